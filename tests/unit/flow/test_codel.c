/* Queue-delay control, in a simulated queue with one server. Time is in nanoseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/flow/codel.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define SERVICE (20 * US)
#define QUEUE_MAX 4096

static const struct gyr_codel_limits limits = {.target = 500 * US, .interval = 5 * MS};

struct outcome {
	uint64_t served, refused, wait_max, wait_last, idle;
	uint64_t return_min, return_max;
};

/* Requests at FACTOR percent of what one server can do, from NOW for DURATION; tells what became of them. The queue is left as it is. */
static uint64_t simulate(struct gyr_codel *codel, uint64_t now, uint64_t duration, uint64_t percent, struct outcome *outcome)
{
	static uint64_t arrivals[QUEUE_MAX];
	static uint32_t first, count;
	uint64_t end = now + duration, next = now, gap = SERVICE * 100 / percent;
	*outcome = (struct outcome){.return_min = UINT64_MAX};
	while (now < end) {
		for (; next <= now; next += gap) {
			uint64_t wait = count * SERVICE;
			if (count > 0 && (wait >= gyr_codel_allowed(codel, &limits) || count == QUEUE_MAX)) {
				uint64_t after = gyr_codel_refuse(codel, next, wait, SERVICE, 160 * MS, (uint32_t)rand() * 2);
				outcome->refused++;
				outcome->return_min = after < outcome->return_min ? after : outcome->return_min;
				outcome->return_max = after > outcome->return_max ? after : outcome->return_max;
				continue;
			}
			if (count == 0)
				gyr_codel_begin(codel, &limits, next);
			arrivals[(first + count++) % QUEUE_MAX] = next;
		}
		if (count == 0) {
			outcome->idle += next - now;
			now = next;
			continue;
		}
		uint64_t waited = now - arrivals[first];
		first = (first + 1) % QUEUE_MAX;
		count--;
		gyr_codel_leave(codel, &limits, now, waited);
		outcome->wait_last = waited;
		outcome->wait_max = waited > outcome->wait_max ? waited : outcome->wait_max;
		outcome->served++;
		now += SERVICE;
		if (count == 0)
			gyr_codel_empty(codel, now);
	}
	return now;
}

static void below_capacity_nothing_is_refused(void **state)
{
	struct gyr_codel codel = {0};
	struct outcome outcome;
	simulate(&codel, 1, 1000 * MS, 95, &outcome);
	assert_int_equal(outcome.refused, 0);
	assert_false(codel.standing);
}

/* Twice what can be done, for 2 ms of every 10: that waits, and nothing is refused. */
static void a_burst_may_wait(void **state)
{
	struct gyr_codel codel = {0};
	struct outcome outcome;
	uint64_t now = 1;
	for (int i = 0; i < 20; i++) {
		now = simulate(&codel, now, 2 * MS, 200, &outcome);
		assert_int_equal(outcome.refused, 0);
		now = simulate(&codel, now, 8 * MS, 1, &outcome);
	}
	assert_false(codel.standing);
}

/* Ten times what can be done, all within 1 ms of every 10: each burst fills an interval, so the server works for half of the time. */
static void bursts_with_gaps_are_not_a_standing_queue(void **state)
{
	struct gyr_codel codel = {0};
	struct outcome outcome;
	uint64_t now = 1, served = 0;
	for (int i = 0; i < 20; i++) {
		uint64_t end = now + 10 * MS;
		now = simulate(&codel, now, 1 * MS, 10000, &outcome);
		assert_true(outcome.refused > 0);
		served += outcome.served;
		now = simulate(&codel, now, end - now, 1, &outcome);
		assert_true(outcome.wait_max <= limits.interval + 2 * SERVICE);
		served += outcome.served;
	}
	assert_true(served * SERVICE >= 20 * limits.interval);
}

/* At any overload: the server is never idle, what is accepted waits no longer than the target once the queue stands, and at most an interval before. */
static void overload_does_not_become_latency(void **state)
{
	static const uint64_t percents[] = {110, 200, 500, 1000};
	for (int i = 0; i < 4; i++) {
		struct gyr_codel codel = {0};
		struct outcome outcome;
		uint64_t now = simulate(&codel, 1, 200 * MS, percents[i], &outcome);
		assert_true(codel.standing);
		assert_true(outcome.wait_max <= limits.interval + 2 * SERVICE);
		now = simulate(&codel, now, 1000 * MS, percents[i], &outcome);
		assert_int_equal(outcome.idle, 0);
		assert_true(outcome.wait_max <= limits.target + 2 * SERVICE);
		assert_true(outcome.served >= 49999);
		/* The load ends: within an interval all is as before. */
		now = simulate(&codel, now, 20 * MS, 50, &outcome);
		assert_false(codel.standing);
		assert_true(outcome.wait_last <= SERVICE);
		now = simulate(&codel, now, 20 * MS, 50, &outcome);
		assert_int_equal(outcome.refused, 0);
	}
}

/* Those turned away are told to come back one after another, not all at once, and never later than the most. */
static void times_to_come_back_are_spread(void **state)
{
	struct gyr_codel codel = {0};
	uint64_t last = 0, far = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		uint64_t after = gyr_codel_refuse(&codel, 1000 * MS, 500 * US, SERVICE, 160 * MS, 0);
		assert_true(after >= 500 * US);
		assert_int_equal(after, last == 0 ? 500 * US + SERVICE : last + SERVICE);
		last = after;
	}
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t after = gyr_codel_refuse(&codel, 1000 * MS, 500 * US, SERVICE, 160 * MS, i * UINT32_C(0x9e3779b1));
		assert_true(after <= 160 * MS);
		far += after > 120 * MS && after < 150 * MS;
	}
	assert_true(far > 1000);
	/* Time passes, and with it the places that were given. */
	assert_int_equal(gyr_codel_refuse(&codel, 2000 * MS, 500 * US, SERVICE, 160 * MS, 0), 500 * US + SERVICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(below_capacity_nothing_is_refused),
		cmocka_unit_test(a_burst_may_wait),
		cmocka_unit_test(bursts_with_gaps_are_not_a_standing_queue),
		cmocka_unit_test(overload_does_not_become_latency),
		cmocka_unit_test(times_to_come_back_are_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
