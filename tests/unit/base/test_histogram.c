#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "base/histogram.h"

#define VALUES 20000

static struct gyr_histogram histogram, other; /* a quarter of a megabyte each */

static int setup(void **unused)
{
	histogram = other = (struct gyr_histogram){0};
	return 0;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void check_against(uint64_t *values, size_t count)
{
	static const double quantiles[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
	qsort(values, count, sizeof *values, ascending);
	for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
		double rank = ceil(quantiles[i] * (double)count);
		uint64_t truth = values[rank < 1 ? 0 : (size_t)rank - 1], told = gyr_histogram_quantile(&histogram, quantiles[i]);
		assert_true(told >= truth);
		assert_true((double)(told - truth) <= (double)truth / 128);
	}
}

static void test_quantiles(void **unused)
{
	static uint64_t values[VALUES];
	uint64_t state = 7, sum = 0, most = 0, least = UINT64_MAX;
	for (size_t i = 0; i < VALUES; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		values[i] = (state >> 25) >> (state >> 3) % 39; /* from 0 to 2^39, every size */
		gyr_histogram_add(&histogram, values[i]);
		sum += values[i];
		most = values[i] > most ? values[i] : most;
		least = values[i] < least ? values[i] : least;
	}
	assert_int_equal(histogram.count, VALUES);
	assert_int_equal(histogram.sum_ns, sum);
	assert_int_equal(histogram.max_ns, most);
	assert_int_equal(histogram.min_ns, least);
	check_against(values, VALUES);
	/* Small values each have a bucket, so that they come back exactly. */
	for (uint64_t value = 0; value < 256; value++) {
		setup(NULL);
		gyr_histogram_add(&histogram, value);
		gyr_histogram_add(&histogram, 1000);
		assert_int_equal(gyr_histogram_quantile(&histogram, 0.5), value);
	}
}

static void test_every_boundary(void **unused)
{
	for (unsigned bit = 1; bit < 64; bit++)
		for (int step = -1; step <= 1; step++) {
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)step;
			uint64_t counted = value >= UINT64_C(1) << 40 ? (UINT64_C(1) << 40) - 1 : value;
			setup(NULL);
			gyr_histogram_add(&histogram, value);
			assert_int_equal(gyr_histogram_quantile(&histogram, 0.5), counted);
			assert_int_equal(histogram.max_ns, counted);
		}
}

static void test_merge(void **unused)
{
	static uint64_t values[400];
	for (uint64_t i = 0; i < 200; i++) {
		gyr_histogram_add(&histogram, values[i] = 1000 + i * 37);
		gyr_histogram_add(&other, values[200 + i] = 5 + i * i * 1000);
	}
	gyr_histogram_merge(&histogram, &other);
	assert_int_equal(histogram.count, 400);
	assert_int_equal(histogram.min_ns, 5);
	assert_int_equal(histogram.max_ns, 5 + 199 * 199 * 1000);
	check_against(values, 400);
	/* An empty one changes nothing, and one merged into an empty one is that one. */
	uint64_t sum = histogram.sum_ns;
	other = (struct gyr_histogram){0};
	gyr_histogram_merge(&histogram, &other);
	assert_int_equal(histogram.min_ns, 5);
	assert_int_equal(histogram.sum_ns, sum);
	gyr_histogram_merge(&other, &histogram);
	assert_memory_equal(&other, &histogram, sizeof other);
}

static void test_empty(void **unused)
{
	assert_int_equal(gyr_histogram_quantile(&histogram, 0.5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_quantiles, setup),
		cmocka_unit_test_setup(test_every_boundary, setup),
		cmocka_unit_test_setup(test_merge, setup),
		cmocka_unit_test_setup(test_empty, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
