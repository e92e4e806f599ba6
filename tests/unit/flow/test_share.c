/* Engine time shared by weight: simulations with invented time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/flow/share.h"

#define MEMBERS 40

static struct gyr_share share;

static int set_up(void **state)
{
	return gyr_share_init(&share, MEMBERS);
}

static int tear_down(void **state)
{
	gyr_share_fini(&share);
	return 0;
}

/* Serves who comes next, COST each, for DURATION; HAD gets what each had. */
static void serve(const uint64_t *cost, uint64_t duration, uint64_t *had)
{
	for (uint64_t now = 0; now < duration;) {
		uint32_t member = gyr_share_first(&share);
		assert_int_not_equal(member, GYR_SHARE_NONE);
		had[member] += cost[member];
		now += cost[member];
		gyr_share_charge(&share, member, cost[member]);
	}
}

static void nobody_has_work(void **state)
{
	assert_int_equal(gyr_share_first(&share), GYR_SHARE_NONE);
	gyr_share_wake(&share, 3);
	gyr_share_wake(&share, 3);
	assert_int_equal(share.count, 1);
	assert_int_equal(gyr_share_first(&share), 3);
	gyr_share_sleep(&share, 3);
	gyr_share_sleep(&share, 3);
	assert_int_equal(gyr_share_first(&share), GYR_SHARE_NONE);
}

/* A run of one takes 2,500 times as long as a run of the other: each has half of the time. */
static void a_heavy_one_does_not_starve_a_light_one(void **state)
{
	const uint64_t cost[MEMBERS] = {5000000, 2000};
	uint64_t had[MEMBERS] = {0};
	gyr_share_wake(&share, 0);
	gyr_share_wake(&share, 1);
	serve(cost, 1000000000, had);
	assert_in_range(had[1], 490000000, 510000000);
	assert_in_range(had[0], 490000000, 510000000);
}

/* The light one comes and goes: it never waits for more than the one run that it finds under way. */
static void who_comes_back_waits_for_one_run(void **state)
{
	gyr_share_wake(&share, 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(gyr_share_first(&share), 0);
		gyr_share_wake(&share, 1); /* during the run of the heavy one */
		gyr_share_charge(&share, 0, 5000000);
		assert_int_equal(gyr_share_first(&share), 1);
		gyr_share_sleep(&share, 1);
		gyr_share_charge(&share, 1, 2000);
	}
}

static void weights_divide_the_time(void **state)
{
	const uint64_t cost[MEMBERS] = {7000, 3000, 110};
	uint64_t had[MEMBERS] = {0};
	gyr_share_set(&share, 0, 3, 0);
	gyr_share_set(&share, 2, 6, 0);
	for (uint32_t i = 0; i < 3; i++)
		gyr_share_wake(&share, i);
	serve(cost, 100000000, had);
	assert_in_range(had[0], 29500000, 30500000);
	assert_in_range(had[1], 9500000, 10500000);
	assert_in_range(had[2], 59500000, 60500000);
	/* Another weight while it has work. */
	gyr_share_set(&share, 1, 1, 0);
	gyr_share_set(&share, 0, 1, 0);
	gyr_share_set(&share, 2, 1, 0);
	uint64_t again[MEMBERS] = {0};
	serve(cost, 90000000, again);
	for (int i = 0; i < 3; i++)
		assert_in_range(again[i], 29500000, 30500000);
}

/* Nobody saves up for later: who was away while others worked gets no more than its part from then on. */
static void time_away_is_not_made_up_for(void **state)
{
	const uint64_t cost[MEMBERS] = {100, 100};
	uint64_t had[MEMBERS] = {0};
	gyr_share_wake(&share, 0);
	serve(cost, 1000000, had);
	gyr_share_wake(&share, 1);
	had[0] = 0;
	serve(cost, 10000, had);
	assert_in_range(had[0], 4800, 5200);
	assert_in_range(had[1], 4800, 5200);
}

static void priorities_are_strict(void **state)
{
	gyr_share_set(&share, 0, 1000, 1);
	gyr_share_set(&share, 1, 1, 7);
	gyr_share_wake(&share, 0);
	gyr_share_wake(&share, 1);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(gyr_share_first(&share), 1);
		gyr_share_charge(&share, 1, 1000000);
	}
	gyr_share_sleep(&share, 1);
	assert_int_equal(gyr_share_first(&share), 0);
	gyr_share_set(&share, 0, 1, 7);
	gyr_share_wake(&share, 1);
	/* It begins there like any other: neither owed for the time below, nor in debt for it. */
	const uint64_t cost[MEMBERS] = {1000, 1000};
	uint64_t had[MEMBERS] = {0};
	serve(cost, 10000000, had);
	assert_in_range(had[1], 4000000, 5000000);
}

/* The order holds for many, coming and going at random, also where virtual time wraps. */
static void the_least_served_is_always_first(void **state)
{
	uint32_t seed = 12345;
	for (uint32_t i = 0; i < MEMBERS; i++)
		share.members[i].virtual_time = UINT64_MAX - 5000000;
	for (uint32_t p = 0; p < GYR_SHARE_PRIORITIES; p++)
		share.now[p] = UINT64_MAX - 5000000;
	for (int i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		uint32_t member = (seed >> 8) % MEMBERS;
		switch (seed >> 28) {
		case 0: gyr_share_sleep(&share, member); break;
		case 1: gyr_share_set(&share, member, 1 + (seed >> 16) % 10, (seed >> 20) % 3); break;
		case 2:
		case 3:
		case 4: gyr_share_wake(&share, member); break;
		default:
			member = gyr_share_first(&share);
			if (member != GYR_SHARE_NONE)
				gyr_share_charge(&share, member, (seed >> 12) % 1000);
		}
		uint32_t first = gyr_share_first(&share), awake = 0;
		for (uint32_t m = 0; m < MEMBERS; m++) {
			const struct gyr_share_member *one = &share.members[m], *best = &share.members[first];
			if (one->place == GYR_SHARE_NONE)
				continue;
			awake++;
			assert_int_equal(share.heap[one->place], m);
			assert_true(best->priority > one->priority ||
				    (best->priority == one->priority && (int64_t)(one->virtual_time - best->virtual_time) >= 0));
		}
		assert_int_equal(awake, share.count);
	}
	assert_true(share.now[2] < UINT64_MAX / 2); /* it did wrap */
}

static void tells_how_long_work_takes_beside_others(void **state)
{
	gyr_share_set(&share, 0, 3, 2);
	gyr_share_set(&share, 2, 5, 3);
	assert_int_equal(gyr_share_stretch(&share, 0, 120), 120);
	gyr_share_wake(&share, 1);
	gyr_share_set(&share, 1, 1, 2);
	gyr_share_wake(&share, 2);
	assert_int_equal(gyr_share_stretch(&share, 0, 120), 160);
	gyr_share_wake(&share, 0);
	assert_int_equal(gyr_share_stretch(&share, 0, 120), 160);
	assert_int_equal(gyr_share_stretch(&share, 1, 120), 480);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_has_work, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_heavy_one_does_not_starve_a_light_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_comes_back_waits_for_one_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(weights_divide_the_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(time_away_is_not_made_up_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(priorities_are_strict, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_least_served_is_always_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_how_long_work_takes_beside_others, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
