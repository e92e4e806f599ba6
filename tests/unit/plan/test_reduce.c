/*
 * The reduction kernels against their twins, and the twins against results worked out by hand.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/order.h"
#include "engine/kernel/reduce.h"
#include "engine/ref/reduce.h"
#include "net.h"

#define ROUNDS 300

static size_t up_to(size_t most, uint64_t *seed)
{
	return 1 + (size_t)(fabsf(net_random(seed)) * (float)most);
}

/* COUNT floats in [-1, 1), one byte off their alignment (free the address before); with EQUALS many are equal and some are NaN or infinite. */
static char *some(size_t count, bool equals, uint64_t *seed)
{
	char *at = malloc(count * sizeof(float) + 1);
	assert_non_null(at);
	for (size_t i = 0; i < count; i++) {
		float value = net_random(seed), pick = net_random(seed);
		if (equals)
			value = pick > .95f ? NAN : pick < -.95f ? INFINITY : roundf(value * 4);
		memcpy(at + 1 + i * sizeof value, &value, sizeof value);
	}
	return at;
}

static void test_reduce(void **state)
{
	uint64_t seed = 11;
	for (int round = 0; round < ROUNDS; round++) {
		enum gyr_op op = GYR_OP_REDUCE_L1 + (enum gyr_op)(round % 10);
		size_t outer = up_to(5, &seed), length = round % 50 == 0 ? 0 : up_to(90, &seed), inner = round % 3 ? up_to(40, &seed) : 1;
		struct gyr_shape shape = {.dtype = GYR_DTYPE_F32, .rank = 3, .dims = {(int64_t)outer, (int64_t)length, (int64_t)inner}};
		struct gyr_reduce reduce;
		gyr_reduce_init(&reduce, op, &shape, (const bool[]){false, true, false});
		char *x = some(outer * length * inner, round % 4 == 3, &seed), *y = malloc(outer * inner * sizeof(float) + 1);
		float *expected = malloc(outer * inner * sizeof *expected);
		gyr_kernel_reduce(op, outer, length, inner, x + 1, y + 1);
		gyr_ref_reduce(&reduce, x + 1, expected);
		for (size_t i = 0; i < outer * inner; i++) {
			float got;
			memcpy(&got, y + 1 + i * sizeof got, sizeof got);
			if (isnan(expected[i]) ? !isnan(got) : got != expected[i] && !(fabsf(got - expected[i]) <= 2e-6f * (1 + fabsf(expected[i]))))
				fail_msg("operator %d [%zu, %zu, %zu] at %zu: %.9g, not %.9g", op, outer, length, inner, i, (double)got, (double)expected[i]);
		}
		free(x);
		free(y);
		free(expected);
	}
}

static void test_order(void **state)
{
	uint64_t seed = 12;
	for (int round = 0; round < ROUNDS; round++) {
		struct gyr_order order = {.dtype = GYR_DTYPE_F32,
					  .least = round % 2,
					  .last = round / 2 % 2,
					  .exclusive = round / 2 % 2,
					  .reversed = round % 2,
					  .outer = up_to(4, &seed),
					  .length = up_to(70, &seed),
					  .inner = round % 3 ? up_to(35, &seed) : 1};
		size_t count = order.outer * order.length * order.inner;
		order.k = up_to(order.length - 1, &seed);
		char *x = some(count, round % 5 != 0, &seed);
		float *values[2] = {calloc(count, sizeof(float)), calloc(count, sizeof(float))};
		int64_t *places[2] = {calloc(count, sizeof(int64_t)), calloc(count, sizeof(int64_t))}, *heap = calloc(order.k, sizeof *heap);
		gyr_ref_arg(&order, x + 1, places[0]);
		gyr_kernel_arg(&order, x + 1, places[1]);
		assert_memory_equal(places[0], places[1], count * sizeof(int64_t));
		gyr_ref_top_k(&order, x + 1, values[0], places[0]);
		gyr_kernel_top_k(&order, x + 1, values[1], places[1], heap);
		assert_memory_equal(places[0], places[1], count * sizeof(int64_t));
		for (size_t i = 0; i < count; i++)
			assert_true(values[0][i] == values[1][i] || (isnan(values[0][i]) && isnan(values[1][i])));
		gyr_ref_cum_sum(&order, x + 1, values[0]);
		gyr_kernel_cum_sum(&order, x + 1, values[1]);
		for (size_t i = 0; i < count; i++)
			assert_true(values[0][i] == values[1][i] || (isnan(values[0][i]) && isnan(values[1][i])));
		free(x);
		free(heap);
		for (int i = 0; i < 2; i++) {
			free(values[i]);
			free(places[i]);
		}
	}
}

/* Integers, and two runs of axes: by hand. */
static void test_meaning(void **state)
{
	struct gyr_shape shape = net_shape("i32[2,2,2]");
	const int32_t x[] = {1, -2, 3, -4, 5, 6, -7, 9};
	int32_t y[2];
	struct gyr_reduce reduce;
	static const struct {
		enum gyr_op op;
		int32_t y[2];
	} cases[] = {{GYR_OP_REDUCE_SUM, {10, 1}},      {GYR_OP_REDUCE_MEAN, {2, 0}},          {GYR_OP_REDUCE_MAX, {6, 9}},  {GYR_OP_REDUCE_MIN, {-2, -7}},
		     {GYR_OP_REDUCE_PROD, {-60, 756}}, {GYR_OP_REDUCE_SUM_SQUARE, {66, 155}}, {GYR_OP_REDUCE_L1, {14, 23}}, {GYR_OP_REDUCE_L2, {8, 12}}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		gyr_reduce_init(&reduce, cases[i].op, &shape, (const bool[]){true, false, true});
		gyr_ref_reduce(&reduce, x, y);
		assert_memory_equal(y, cases[i].y, sizeof y);
	}
	struct gyr_shape empty = net_shape("u8[0]");
	uint8_t small = 7;
	gyr_reduce_init(&reduce, GYR_OP_REDUCE_MIN, &empty, (const bool[]){true});
	gyr_ref_reduce(&reduce, x, &small);
	assert_int_equal(small, 255);
	const struct gyr_order order = {.dtype = GYR_DTYPE_I32, .last = true, .outer = 2, .length = 4, .inner = 1};
	int64_t places[2];
	gyr_ref_arg(&order, (const int32_t[]){4, 1, 4, 0, -1, -2, -3, -4}, places);
	assert_memory_equal(places, ((int64_t[]){2, 0}), sizeof places);
}

/* Rows stay apart where the axes are behind them, and are never computed together where not. */
static void test_rows(void **state)
{
	static const struct {
		int64_t axes[2];
		bool keep, batched;
	} cases[] = {{{1, 2}, true, true}, {{-1, 1}, false, true}, {{0, 1}, true, false}, {{-3, 1}, false, false}, {{0, 2}, false, false}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_graph *graph = gyr_graph_create("rows", 18);
		uint32_t x = net_input(graph, "f32[N,3,5]"), axes = net_constant(graph, "i64[2]", cases[i].axes);
		uint32_t y = net_node(graph, GYR_OP_REDUCE_MEAN, x, axes, GYR_VALUE_NONE, "keepdims", cases[i].keep);
		net_finish(graph, y);
		assert_int_equal(graph->values[x].shape.dims[0], cases[i].batched ? GYR_DIM_BATCH : 1);
		net_compare(graph, 1, 1e-6f);
		gyr_graph_destroy(graph);
	}
	for (int64_t axis = -2; axis < 2; axis++) {
		struct gyr_graph *graph = gyr_graph_create("rows", 18);
		uint32_t x = net_input(graph, "f32[N,7]"), where = net_constant(graph, "i64[]", &axis);
		net_finish(graph, net_op2(graph, GYR_OP_CUM_SUM, x, where));
		assert_int_equal(graph->values[x].shape.dims[0], axis == 0 || axis == -2 ? 1 : GYR_DIM_BATCH);
		net_compare(graph, 1, 1e-6f);
		gyr_graph_destroy(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reduce), cmocka_unit_test(test_order), cmocka_unit_test(test_meaning),
					   cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
