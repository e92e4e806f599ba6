/* Due times and the heap of what rests. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/load/rest.h"
#include "tools/load/schedule.h"

#define START_NS UINT64_C(5000000000000000) /* two months after the machine's start */
#define DRAWS 200000u

static void test_even(void **state)
{
	struct load_schedule schedule;
	(void)state;
	/* A gap that no whole number of nanoseconds makes does not add up to an error. */
	load_schedule_start(&schedule, 3e6, false, 1, START_NS);
	for (uint64_t i = 0; i < 3000000; i++, load_schedule_step(&schedule))
		assert_true(load_schedule_due_ns(&schedule) - START_NS == (uint64_t)((double)i * (1e9 / 3e6)));
	assert_int_equal(load_schedule_due_ns(&schedule), START_NS + 1000000000);
}

static void test_poisson(void **state)
{
	struct load_schedule schedule;
	double rate = 50000, mean = 1e9 / rate, sum = 0, squares = 0;
	uint64_t last = START_NS, above = 0;
	(void)state;
	load_schedule_start(&schedule, rate, true, 7, START_NS);
	for (unsigned i = 0; i < DRAWS; i++, load_schedule_step(&schedule)) {
		uint64_t due = load_schedule_due_ns(&schedule);
		double gap = (double)(due - last);
		sum += gap;
		squares += gap * gap;
		above += gap > mean;
		last = due;
	}
	/* Of exponential gaps, the deviation is the mean, and 1/e are above it; each within 5 standard errors. */
	double error = 5 / sqrt(DRAWS), variance = squares / DRAWS - sum / DRAWS * (sum / DRAWS);
	assert_true(fabs(sum / DRAWS / mean - 1) < error);
	assert_true(fabs(sqrt(variance) / mean - 1) < 2 * error);
	assert_true(fabs((double)above / DRAWS - exp(-1)) < error);
	/* The same seed draws the same, another does not. */
	struct load_schedule same, other;
	load_schedule_start(&schedule, rate, true, 7, START_NS);
	load_schedule_start(&same, rate, true, 7, START_NS);
	load_schedule_start(&other, rate, true, 8, START_NS);
	assert_int_equal(load_schedule_due_ns(&schedule), load_schedule_due_ns(&same));
	assert_int_not_equal(load_schedule_due_ns(&schedule), load_schedule_due_ns(&other));
}

static void test_rest(void **state)
{
	struct load_rest rest;
	uint64_t random = 3, last = 0;
	(void)state;
	assert_true(load_rest_init(&rest, 1000));
	assert_int_equal(load_rest_due_ns(&rest), UINT64_MAX);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t wake_ns = load_random(&random) % 500;
		assert_true(load_rest_add(&rest, wake_ns, wake_ns * 2));
	}
	assert_false(load_rest_add(&rest, 1, 1));
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t due_ns = load_rest_due_ns(&rest);
		assert_true(due_ns >= last);
		assert_int_equal(load_rest_take(&rest), due_ns * 2);
		last = due_ns;
	}
	assert_int_equal(load_rest_due_ns(&rest), UINT64_MAX);
	load_rest_fini(&rest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_even), cmocka_unit_test(test_poisson), cmocka_unit_test(test_rest)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
