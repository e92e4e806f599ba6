/* How many rows are computed together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/flow/batch.h"

/* Time that CUTS give for ROWS. */
static uint64_t time_of(const uint64_t *cost, const uint8_t *cuts, uint32_t rows)
{
	uint64_t time = 0;
	while (rows > 0) {
		uint32_t first = cuts[rows], size = 0;
		assert_in_range(first, 1, rows);
		while (1u << size < first)
			size++;
		time += cost[size];
		rows -= first;
	}
	return time;
}

/* What is bound by memory takes as long for one row as for 64: everything goes together. */
static void equal_times_are_padded(void **state)
{
	const uint64_t cost[GYR_BATCH_SIZES] = {100, 100, 101, 101, 102, 103, 105};
	uint8_t cuts[GYR_BATCH_ROWS_MAX + 1];
	gyr_batch_cuts(cost, 64, cuts);
	for (uint32_t rows = 1; rows <= 64; rows++)
		assert_int_equal(cuts[rows], rows);
}

/* What is bound by arithmetic is split: 33 rows are 32 and 1, and never worse than padded. */
static void proportional_times_are_split(void **state)
{
	const uint64_t cost[GYR_BATCH_SIZES] = {1000, 2000, 4000, 8000, 16000, 32000, 64000};
	uint8_t cuts[GYR_BATCH_ROWS_MAX + 1];
	gyr_batch_cuts(cost, 64, cuts);
	assert_int_equal(cuts[33], 32);
	assert_int_equal(cuts[48], 32);
	assert_int_equal(cuts[3], 2);
	assert_int_equal(cuts[63], 63); /* as 32, 16, 8, 4, 2 and 1 it would save too little */
	for (uint32_t rows = 1, size = 0; rows <= 64; rows++) {
		size += rows > 1u << size;
		assert_true(time_of(cost, cuts, rows) <= cost[size]);
	}
}

static void stays_within_the_most_rows(void **state)
{
	const uint64_t cost[GYR_BATCH_SIZES] = {10, 20, 40};
	uint8_t cuts[GYR_BATCH_ROWS_MAX + 1] = {0};
	gyr_batch_cuts(cost, 4, cuts);
	assert_int_equal(cuts[3], 2);
	assert_int_equal(cuts[4], 4);
	assert_int_equal(cuts[5], 0);
	gyr_batch_cuts(cost, 1, cuts);
	assert_int_equal(cuts[1], 1);
}

/* A row's cost at the best, within a tenth: at 64 rows where memory is what is waited for, at one where arithmetic is. */
static void tells_how_many_rows_are_worth_waiting_for(void **state)
{
	const uint64_t memory[GYR_BATCH_SIZES] = {100, 100, 100, 100, 100, 100, 100}, arithmetic[GYR_BATCH_SIZES] = {10, 20, 40, 80, 160, 320, 640};
	const uint64_t both[GYR_BATCH_SIZES] = {100, 110, 130, 170, 330, 650, 1290};
	assert_int_equal(gyr_batch_efficient(memory, 64), 64);
	assert_int_equal(gyr_batch_efficient(memory, 8), 8);
	assert_int_equal(gyr_batch_efficient(arithmetic, 64), 1);
	assert_int_equal(gyr_batch_efficient(both, 64), 8);
	assert_int_equal(gyr_batch_efficient(both, 1), 1);
}

/* No more than are efficient, but for what takes no longer than the time that is given. */
static void turns_are_no_longer_than_they_gain(void **state)
{
	const uint64_t memory[GYR_BATCH_SIZES] = {100, 100, 100, 100, 100, 100, 100}, arithmetic[GYR_BATCH_SIZES] = {10, 20, 40, 80, 160, 320, 640};
	assert_int_equal(gyr_batch_turn(memory, 64, 10), 64);
	assert_int_equal(gyr_batch_turn(arithmetic, 64, 9), 1);
	assert_int_equal(gyr_batch_turn(arithmetic, 64, 159), 8);
	assert_int_equal(gyr_batch_turn(arithmetic, 64, 160), 16);
	assert_int_equal(gyr_batch_turn(arithmetic, 4, 160), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_times_are_padded),
		cmocka_unit_test(proportional_times_are_split),
		cmocka_unit_test(stays_within_the_most_rows),
		cmocka_unit_test(tells_how_many_rows_are_worth_waiting_for),
		cmocka_unit_test(turns_are_no_longer_than_they_gain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
