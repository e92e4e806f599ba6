/*
 * The normalisation kernels against their twins.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/kernel/normalise.h"
#include "net.h"

#define ROUNDS 200

static size_t up_to(size_t most, uint64_t *seed)
{
	return 1 + (size_t)(fabsf(net_random(seed)) * (float)most);
}

/* COUNT floats around MIDDLE; free them. */
static float *some(size_t count, float middle, uint64_t *seed)
{
	float *at = malloc(count * sizeof *at);
	assert_non_null(at);
	for (size_t i = 0; i < count; i++)
		at[i] = middle + net_random(seed);
	return at;
}

static void same(const float *got, const float *expected, size_t count, float tolerance)
{
	for (size_t i = 0; i < count; i++)
		if (!(fabsf(got[i] - expected[i]) <= tolerance * (1 + fabsf(expected[i]))))
			fail_msg("at %zu: %.9g, not %.9g", i, (double)got[i], (double)expected[i]);
}

static void test_normalise(void **state)
{
	uint64_t seed = 21;
	for (int round = 0; round < ROUNDS; round++) {
		struct gyr_normalise sizes = {.scale_rows = up_to(4, &seed), .parts = up_to(40, &seed), .epsilon = 1e-3f};
		sizes.rows = sizes.scale_rows * up_to(3, &seed);
		sizes.run = round % 3 ? 1 : up_to(30, &seed);
		size_t count = sizes.rows * sizes.parts * sizes.run, scales = sizes.scale_rows * sizes.parts;
		float *x = some(count, 0, &seed), *scale = some(scales, 1, &seed), *bias = round % 4 ? some(scales, 0, &seed) : NULL;
		float *y[2], *means[2], *inverses[2];
		for (int i = 0; i < 2; i++) {
			y[i] = some(count, 9, &seed);
			means[i] = round % 5 ? some(sizes.rows, 9, &seed) : NULL;
			inverses[i] = round % 5 ? some(sizes.rows, 9, &seed) : NULL;
		}
		gyr_kernel_normalise(&sizes, x, scale, bias, y[0], means[0], inverses[0]);
		gyr_ref_normalise(&sizes, x, scale, bias, y[1], means[1], inverses[1]);
		same(y[0], y[1], count, 2e-6f);
		if (means[0] != NULL) {
			same(means[0], means[1], sizes.rows, 1e-6f);
			same(inverses[0], inverses[1], sizes.rows, 1e-5f);
		}
		free(x);
		free(scale);
		free(bias);
		for (int i = 0; i < 2; i++) {
			free(y[i]);
			free(means[i]);
			free(inverses[i]);
		}
	}
}

/* Rows that are long, large, tiny, constant, or far from 0 for their spread. */
static void test_hard_rows(void **state)
{
	static const struct {
		size_t length;
		float middle, scale, epsilon;
	} rows[] = {{10000, 0, 1, 1e-5f},    {9001, 1000, 1, 1e-5f},  {33, 3e4f, 1, 1e-5f}, {100, 0, 1e25f, 1e-5f}, {100, 0, 3e38f, 1e-5f},
		    {100, 0, 1e-25f, 1e-5f}, {77, 0, 1e-18f, 1e-38f}, {64, 5, 0, 1e-5f},    {1, 7, 1, 1e-5f},       {300, 0, NAN, 1e-5f}};
	uint64_t seed = 26;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct gyr_normalise sizes = {.rows = 1, .parts = rows[i].length, .run = 1, .scale_rows = 1, .epsilon = rows[i].epsilon};
		float *x = some(rows[i].length, 0, &seed), *scale = some(rows[i].length, 1, &seed), *bias = some(rows[i].length, 0, &seed);
		float *got = some(rows[i].length, 0, &seed), *expected = some(rows[i].length, 0, &seed);
		for (size_t k = 0; k < rows[i].length; k++)
			x[k] = x[k] * rows[i].scale + rows[i].middle;
		gyr_kernel_normalise(&sizes, x, scale, bias, got, NULL, NULL);
		gyr_ref_normalise(&sizes, x, scale, bias, expected, NULL, NULL);
		for (size_t k = 0; k < rows[i].length; k++)
			if (isnan(expected[k]) ? !isnan(got[k]) : !(fabsf(got[k] - expected[k]) <= 2e-6f * (1 + fabsf(expected[k]))))
				fail_msg("row %zu at %zu: %.9g, not %.9g", i, k, (double)got[k], (double)expected[k]);
		free(x);
		free(scale);
		free(bias);
		free(got);
		free(expected);
	}
}

static void test_batch_norm(void **state)
{
	uint64_t seed = 22;
	for (int round = 0; round < ROUNDS; round++) {
		const struct gyr_batch_norm sizes = {up_to(4, &seed), up_to(20, &seed), round % 3 ? up_to(50, &seed) : 1, 1e-3f};
		size_t count = sizes.outer * sizes.channels * sizes.inner;
		float *x = some(count, 0, &seed), *own[4], *got = some(count, 9, &seed), *expected = some(count, 9, &seed);
		for (size_t i = 0; i < 4; i++)
			own[i] = some(sizes.channels, i == 3 ? 1.5f : 0, &seed); /* a variance is above 0 */
		gyr_kernel_batch_norm(&sizes, x, own[0], own[1], own[2], own[3], got);
		gyr_ref_batch_norm(&sizes, x, own[0], own[1], own[2], own[3], expected);
		same(got, expected, count, 2e-6f);
		for (size_t i = 0; i < 4; i++)
			free(own[i]);
		free(x);
		free(got);
		free(expected);
	}
}

static void test_log_softmax(void **state)
{
	uint64_t seed = 23;
	for (int round = 0; round < ROUNDS; round++) {
		size_t outer = up_to(4, &seed), length = up_to(90, &seed), inner = round % 2 ? up_to(40, &seed) : 1, count = outer * length * inner;
		float *x = some(count, round % 5 ? 0 : 1e4f, &seed), *got = some(count, 9, &seed), *expected = some(count, 9, &seed);
		gyr_kernel_log_softmax(outer, length, inner, x, got);
		gyr_ref_log_softmax(outer, length, inner, x, expected);
		same(got, expected, count, 2e-6f);
		free(x);
		free(got);
		free(expected);
	}
}

/* Layer normalisation is of rows behind the first axis only, and so are the rows then computed together. */
static void test_rows(void **state)
{
	uint64_t seed = 24;
	for (int64_t axis = 0; axis < 3; axis++) {
		struct gyr_graph *graph = gyr_graph_create("rows", 18);
		uint32_t x = net_input(graph, "f32[N,3,5]"), scale = net_weights(graph, axis == 2 ? "f32[5]" : "f32[1]", 1, &seed);
		net_finish(graph, net_node(graph, GYR_OP_LAYER_NORMALIZATION, x, scale, GYR_VALUE_NONE, "axis", axis));
		assert_int_equal(graph->values[x].shape.dims[0], axis == 0 ? 1 : GYR_DIM_BATCH);
		net_compare(graph, 1, 2e-5f);
		gyr_graph_destroy(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_normalise), cmocka_unit_test(test_hard_rows), cmocka_unit_test(test_batch_norm),
					   cmocka_unit_test(test_log_softmax), cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
