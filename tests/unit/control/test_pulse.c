/* The data plane's pulse, felt at counters that the test writes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/link/pulse.h"

#define STILL_MAX 4u
#define SILENT_MAX 10u

enum { LCORES, PORTS };

struct head {
	uint64_t cpu;
};

struct words {
	_Atomic uint64_t word;
};

static const struct gyr_stats_field lcore_fields[] = {
	{.name = "cpu", .kind = GYR_STATS_NUMBER, .bytes = 8},
	{.name = "polls", .kind = GYR_STATS_COUNTER, .bytes = 8},
};
static const struct gyr_stats_field port_fields[] = {{.name = "copied_ns", .kind = GYR_STATS_GAUGE, .bytes = 8}};
static const struct gyr_stats_plan plans[] = {
	{"lcores", 2, 1, sizeof(struct head), sizeof(struct words), 2, lcore_fields},
	{"ports", 1, 1, 0, sizeof(struct words), 1, port_fields},
};

static struct gyr_error error;
static struct gyr_stats *stats;
static struct gyr_stats_view *view;
static struct words *lcores[2], *port;
static struct gyr_pulse pulse;
static struct gyr_pulse_look look;
static char why[128];

static int start(void **state)
{
	if (gyr_stats_create(plans, 2, 1000000000, &stats, &error) != 0)
		return -1;
	for (uint32_t i = 0; i < 2; i++) {
		struct head head = {.cpu = 4 + i};
		int slot = gyr_stats_take(stats, LCORES);
		gyr_stats_show(stats, LCORES, slot, &head);
		lcores[i] = gyr_stats_lane(stats, LCORES, slot, 0);
	}
	int slot = gyr_stats_take(stats, PORTS);
	gyr_stats_show(stats, PORTS, slot, NULL);
	port = gyr_stats_lane(stats, PORTS, slot, 0);
	if (gyr_stats_view_open(gyr_stats_descriptor(stats), &view, &error) != 0)
		return -1;
	look = (struct gyr_pulse_look){.pid = getpid(), .linked = true, .view = view};
	why[0] = '\0';
	return gyr_pulse_init(&pulse, STILL_MAX, SILENT_MAX, &error);
}

static int stop(void **state)
{
	gyr_pulse_fini(&pulse);
	gyr_stats_view_close(view);
	gyr_stats_destroy(stats);
	return 0;
}

/* After how many looks it is found to be stuck, at most MOST; which of the words move meanwhile. */
static uint32_t looks_until_stuck(uint32_t most, bool first, bool second, bool house)
{
	for (uint32_t i = 1; i <= most; i++) {
		lcores[0]->word += first;
		lcores[1]->word += second;
		port->word += house;
		if (gyr_pulse_look(&pulse, &look, why, sizeof why))
			return i;
	}
	return 0;
}

static void one_that_moves_is_well(void **state)
{
	assert_int_equal(looks_until_stuck(1000, true, true, true), 0);
}

static void a_still_lcore_is_found(void **state)
{
	assert_int_equal(looks_until_stuck(3, true, true, true), 0);
	assert_int_equal(looks_until_stuck(100, true, false, true), STILL_MAX);
	assert_string_equal(why, "its lcore 1 (CPU 5) stands still");
	/* Not one that moves now and then. */
	assert_int_equal(looks_until_stuck(1, true, true, true), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(looks_until_stuck(1, true, i % STILL_MAX == 0, true), 0);
}

static void a_still_house_is_found_unless_it_serves_a_request(void **state)
{
	assert_int_equal(looks_until_stuck(3, true, true, true), 0);
	look.asked = true;
	assert_int_equal(looks_until_stuck(100, true, true, false), 0);
	look.asked = false;
	assert_int_equal(looks_until_stuck(100, true, true, false), STILL_MAX);
	assert_string_equal(why, "its house thread stands still");
	/* Whether it is linked or not. */
	look.linked = false;
	assert_int_equal(looks_until_stuck(1, true, true, true), 0);
	assert_int_equal(looks_until_stuck(100, true, true, false), STILL_MAX);
}

static void one_that_never_greets_is_found(void **state)
{
	look.view = NULL;
	assert_int_equal(looks_until_stuck(1000, false, false, false), 0);
	look.linked = false;
	assert_int_equal(looks_until_stuck(1000, false, false, false), SILENT_MAX);
	assert_string_equal(why, "it does not answer");
	/* Another process begins anew, and what an earlier one counted says nothing about it; without one there is nothing to be said. */
	look.view = view;
	look.pid = getppid();
	assert_int_equal(looks_until_stuck(SILENT_MAX - 1, false, false, false), 0);
	look.pid = 0;
	assert_int_equal(looks_until_stuck(1000, false, false, false), 0);
	look.pid = getppid();
	assert_int_equal(looks_until_stuck(1, false, false, false), 1);
	look.pid = getpid();
	assert_int_equal(looks_until_stuck(100, true, true, true), 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(one_that_moves_is_well),
		TEST(a_still_lcore_is_found),
		TEST(a_still_house_is_found_unless_it_serves_a_request),
		TEST(one_that_never_greets_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
