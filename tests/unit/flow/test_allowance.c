/* Allowances of engine time, in simulated time. Time is in nanoseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/flow/allowance.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)
#define SPAN (100 * MS)
#define RUN (50 * US)

/* What CLIENT gets of the time from NOW for DURATION when it asks all the time and takes RUN each time; *LONGEST is the longest that it was sent away for. */
static uint64_t ask_all_the_time(struct gyr_allowances *allowances, uint64_t client, uint64_t now, uint64_t duration, uint64_t *longest)
{
	uint64_t end = now + duration, used = 0;
	*longest = 0;
	while (now < end) {
		uint64_t wait = gyr_allowances_wait(allowances, client, now);
		if (wait > 0) {
			*longest = wait > *longest ? wait : *longest;
			now += wait;
			assert_int_equal(gyr_allowances_wait(allowances, client, now), 0); /* who comes back when it was told to is let in */
			continue;
		}
		now += RUN;
		used += RUN;
		gyr_allowances_charge(allowances, client, RUN, now);
	}
	return used;
}

/* Each client gets its part of the time and what it may owe, and no more; who was away has that again. */
static void holds_each_client_to_its_part(void **state)
{
	static const uint32_t parts[] = {1000, 50000, 300000, 1000000};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		struct gyr_allowances *allowances = gyr_allowances_create(parts[i], SPAN, 7);
		uint64_t longest, part = parts[i], burst = SPAN * part / 1000000, hour = 3600 * S;
		assert_non_null(allowances);
		uint64_t first = ask_all_the_time(allowances, 1, hour, 10 * S, &longest), expected = 10 * S * part / 1000000;
		assert_in_range(first, expected, part == 1000000 ? expected : expected + burst * 11 / 10 + 2 * RUN);
		assert_in_range(longest, part == 1000000 ? 0 : 1, RUN * 1000000 / part);
		/* Another is let in at once, and so is this one after a while. */
		assert_int_equal(gyr_allowances_wait(allowances, 2, hour + 10 * S), 0);
		uint64_t again = ask_all_the_time(allowances, 1, 2 * hour, 10 * S, &longest);
		assert_in_range(again, expected, part == 1000000 ? expected : expected + burst * 11 / 10 + 2 * RUN);
		gyr_allowances_destroy(allowances);
	}
}

/* With more debtors than places whoever owes most is held to it; and who owes nothing takes no place. */
static void remembers_who_owes_most(void **state)
{
	struct gyr_allowances *allowances = gyr_allowances_create(1000, SPAN, 9);
	assert_non_null(allowances);
	gyr_allowances_charge(allowances, 1, S, S);
	for (uint64_t client = 2; client < 100000; client++)
		gyr_allowances_charge(allowances, client, RUN, S);
	assert_int_equal(gyr_allowances_wait(allowances, 1, S), 1000 * S - SPAN);
	/* Later those others owe nothing, and a new debtor finds a place. */
	gyr_allowances_charge(allowances, 100000, S, 10 * S);
	assert_int_equal(gyr_allowances_wait(allowances, 100000, 10 * S), 1000 * S - SPAN);
	assert_int_equal(gyr_allowances_wait(allowances, 1, 10 * S), 991 * S - SPAN);
	gyr_allowances_destroy(allowances);
}

/* A client of number 0 is one like any other, also beside places that nobody has. */
static void knows_every_client(void **state)
{
	struct gyr_allowances *allowances = gyr_allowances_create(1000, SPAN, 11);
	assert_non_null(allowances);
	assert_int_equal(gyr_allowances_wait(allowances, 0, S), 0);
	gyr_allowances_charge(allowances, 0, S, S);
	assert_int_equal(gyr_allowances_wait(allowances, 0, S), 1000 * S - SPAN);
	gyr_allowances_charge(allowances, UINT64_MAX, S, S);
	assert_int_equal(gyr_allowances_wait(allowances, UINT64_MAX, S), 1000 * S - SPAN);
	gyr_allowances_destroy(allowances);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_each_client_to_its_part),
		cmocka_unit_test(remembers_who_owes_most),
		cmocka_unit_test(knows_every_client),
	};
	return cmocka_run_group_tests_name("allowance", tests, NULL, NULL);
}
