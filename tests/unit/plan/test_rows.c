/*
 * Batches that are not the first dimension on their way through a graph: what stays apart is computed together, and gives each row what it gets alone; what
 * mixes is not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

#define NONE GYR_VALUE_NONE
#define BATCH 8u

/* A node with a list of integers as its attribute. */
static uint32_t listed(struct gyr_graph *graph, enum gyr_op op, uint32_t x, const char *name, const int64_t *items, uint32_t count)
{
	struct gyr_attribute attribute = {.name = name, .type = GYR_ATTRIBUTE_INTS, .integers = {count, items}};
	uint32_t output;
	char text[32];
	snprintf(text, sizeof text, "listed%u", graph->value_count);
	assert_int_equal(gyr_graph_add_value(graph, text, NULL, NULL, false, &output, NULL), 0);
	const struct gyr_node node = {.op = op,
				      .name = "listed",
				      .inputs = &x,
				      .input_count = 1,
				      .outputs = &output,
				      .output_count = 1,
				      .attributes = &attribute,
				      .attribute_count = 1};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	return output;
}

static uint32_t swapped(struct gyr_graph *graph, uint32_t x)
{
	return listed(graph, GYR_OP_TRANSPOSE, x, "perm", (const int64_t[]){1, 0, 2}, 3);
}

static uint32_t numbers(struct gyr_graph *graph, const int64_t *items, uint32_t count)
{
	char shape[16];
	snprintf(shape, sizeof shape, "i64[%u]", count);
	return net_constant(graph, shape, items);
}

static float *run(const struct gyr_plan *plan, uint32_t batch, const float *const *rows, size_t *row_floats)
{
	size_t in, out;
	assert_int_equal(gyr_plan_input_count(plan), 1);
	assert_true(gyr_shape_count(gyr_plan_input_shape(plan, 0), 1, &in));
	assert_true(gyr_shape_count(gyr_plan_output_shape(plan, 0), 1, &out));
	float *x = malloc(batch * in * sizeof *x), *y = malloc(batch * out * sizeof *y + 1);
	void *scratch = aligned_alloc(64, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
	for (uint32_t i = 0; i < batch; i++)
		memcpy(x + i * in, rows[i], in * sizeof *x);
	gyr_plan_run(plan, batch, (const void *const[]){x}, (void *const[]){y}, scratch);
	free(scratch);
	free(x);
	*row_floats = out;
	return y;
}

/* GRAPH, which ends in OUTPUT, covers BATCH_MAX rows; each of them gets what it gets alone, whoever is beside it. Destroys GRAPH. */
static void expect(struct gyr_graph *graph, uint32_t output, uint32_t batch_max, const char *what)
{
	uint64_t seed = 7;
	float *rows[BATCH];
	size_t in, out;
	net_finish(graph, output);
	struct gyr_plan *plan = net_plan(graph, BATCH, false);
	if (gyr_plan_batch_max(plan) != batch_max)
		fail_msg("%s: %u rows, not %u", what, gyr_plan_batch_max(plan), batch_max);
	net_compare(graph, 1, 1e-5f);
	assert_true(gyr_shape_count(gyr_plan_input_shape(plan, 0), 1, &in));
	for (uint32_t i = 0; i < BATCH; i++) {
		rows[i] = malloc(in * sizeof *rows[i]);
		for (size_t k = 0; k < in; k++)
			rows[i][k] = net_random(&seed);
	}
	for (uint32_t batch = 2; batch <= batch_max; batch *= 2) {
		float *together = run(plan, batch, (const float *const *)rows, &out);
		for (uint32_t i = 0; i < batch; i++) {
			float *alone = run(plan, 1, (const float *const *)&rows[i], &out);
			for (size_t k = 0; k < out; k++)
				if (!(fabsf(alone[k] - together[i * out + k]) <= 1e-5f))
					fail_msg("%s: row %u of %u, element %zu: %.9g, and alone %.9g", what, i, batch, k, (double)together[i * out + k],
						 (double)alone[k]);
			free(alone);
		}
		free(together);
	}
	for (uint32_t i = 0; i < BATCH; i++)
		free(rows[i]);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

/* What each operator does to t, which is [4, N, 6], and how it comes back with the batch first. NONE where WAY is beyond the last. */
static uint32_t apart(struct gyr_graph *graph, uint32_t t, int way, uint64_t *seed, const char **what)
{
	uint32_t zero = net_constant(graph, "i64[]", &(int64_t){0}), y;
	switch (way) {
	case 0: *what = "Relu"; return swapped(graph, net_op1(graph, GYR_OP_RELU, t));
	case 1: *what = "Add a vector"; return swapped(graph, net_op2(graph, GYR_OP_ADD, t, net_weights(graph, "f32[6]", 1, seed)));
	case 2: *what = "Add steps"; return swapped(graph, net_op2(graph, GYR_OP_ADD, net_weights(graph, "f32[4,1,6]", 1, seed), t));
	case 3:
		*what = "Add more dimensions";
		y = net_op2(graph, GYR_OP_ADD, t, net_weights(graph, "f32[2,1,1,6]", 1, seed));
		return listed(graph, GYR_OP_TRANSPOSE, y, "perm", (const int64_t[]){2, 0, 1, 3}, 4);
	case 4: *what = "Softmax before"; return swapped(graph, net_node(graph, GYR_OP_SOFTMAX, t, NONE, NONE, "axis", 0));
	case 5: *what = "Softmax behind"; return swapped(graph, net_node(graph, GYR_OP_LOG_SOFTMAX, t, NONE, NONE, "axis", -1));
	case 6:
		*what = "LayerNormalization";
		return swapped(graph, net_node(graph, GYR_OP_LAYER_NORMALIZATION, t, net_weights(graph, "f32[6]", 1, seed), NONE, "axis", 2));
	case 7:
		*what = "Slice";
		return swapped(graph, net_node(graph, GYR_OP_SLICE, t, numbers(graph, (int64_t[]){1}, 1), numbers(graph, (int64_t[]){3}, 1), NULL, 0));
	case 8: *what = "Concat"; return swapped(graph, net_node(graph, GYR_OP_CONCAT, t, net_op1(graph, GYR_OP_TANH, t), NONE, "axis", 0));
	case 9: *what = "Gather of one"; return net_node(graph, GYR_OP_GATHER, t, zero, NONE, "axis", 0);
	case 10:
		*what = "Gather of two";
		y = net_node(graph, GYR_OP_GATHER, t, numbers(graph, (int64_t[]){3, 1}, 2), NONE, "axis", -3);
		return swapped(graph, y);
	case 11: *what = "Gather behind"; return swapped(graph, net_node(graph, GYR_OP_GATHER, t, numbers(graph, (int64_t[]){5, 1}, 2), NONE, "axis", 2));
	case 12: *what = "ReduceSum"; return net_node(graph, GYR_OP_REDUCE_SUM, t, numbers(graph, (int64_t[]){0}, 1), NONE, "keepdims", 0);
	case 13:
		*what = "ReduceSum that keeps";
		return swapped(graph, net_node(graph, GYR_OP_REDUCE_SUM, t, numbers(graph, (int64_t[]){0}, 1), NONE, "keepdims", 1));
	case 14:
		*what = "ArgMax";
		y = net_node(graph, GYR_OP_ARG_MAX, t, NONE, NONE, "keepdims", 0);
		return net_node(graph, GYR_OP_CAST, y, NONE, NONE, "to", GYR_DTYPE_F32);
	case 15: *what = "MatMul of rows"; return swapped(graph, net_op2(graph, GYR_OP_MATMUL, t, net_weights(graph, "f32[6,3]", 1, seed)));
	case 16: *what = "MatMul of rows, many"; return swapped(graph, net_op2(graph, GYR_OP_MATMUL, t, net_weights(graph, "f32[4,6,3]", 1, seed)));
	case 17:
		*what = "MatMul to a vector";
		y = net_op2(graph, GYR_OP_MATMUL, t, net_weights(graph, "f32[6]", 1, seed));
		return listed(graph, GYR_OP_TRANSPOSE, y, "perm", (const int64_t[]){1, 0}, 2);
	case 18:
		*what = "MatMul, leading";
		y = net_op2(graph, GYR_OP_UNSQUEEZE, t, numbers(graph, (int64_t[]){2}, 1)); /* [4, N, 1, 6] */
		y = net_op2(graph, GYR_OP_MATMUL, y, net_weights(graph, "f32[6,2]", 1, seed));
		return listed(graph, GYR_OP_TRANSPOSE, y, "perm", (const int64_t[]){1, 0, 2, 3}, 4);
	case 19:
		*what = "MatMul of both";
		y = net_op2(graph, GYR_OP_UNSQUEEZE, t, numbers(graph, (int64_t[]){3}, 1)); /* [4, N, 6, 1] */
		y = net_op2(graph, GYR_OP_MATMUL, y, listed(graph, GYR_OP_TRANSPOSE, y, "perm", (const int64_t[]){0, 1, 3, 2}, 4));
		return listed(graph, GYR_OP_TRANSPOSE, y, "perm", (const int64_t[]){1, 0, 2, 3}, 4);
	case 20:
		*what = "Reshape";
		y = net_op2(graph, GYR_OP_RESHAPE, t, numbers(graph, (int64_t[]){2, 2, -1, 3, 2}, 5));
		return listed(graph, GYR_OP_TRANSPOSE, y, "perm", (const int64_t[]){2, 0, 1, 3, 4}, 5);
	case 21: *what = "CumSum"; return swapped(graph, net_op2(graph, GYR_OP_CUM_SUM, t, zero));
	case 22:
		*what = "Expand";
		y = net_op2(graph, GYR_OP_EXPAND, t, numbers(graph, (int64_t[]){2, 4, 1, 6}, 4));
		return listed(graph, GYR_OP_TRANSPOSE, y, "perm", (const int64_t[]){2, 0, 1, 3}, 4);
	default: return NONE;
	}
}

static void test_apart(void **state)
{
	uint64_t seed = 31;
	int way = 0;
	for (uint32_t y = 0; y != NONE; way++) {
		struct gyr_graph *graph = gyr_graph_create("apart", 17);
		const char *what = "";
		uint32_t x = net_input(graph, "f32[N,4,6]");
		y = apart(graph, swapped(graph, x), way, &seed, &what);
		if (y == NONE)
			gyr_graph_destroy(graph);
		else
			expect(graph, y, BATCH, what);
	}
	assert_int_equal(way, 24);
}

/* Each way in which rows along the second dimension may mix. */
static void test_mixed(void **state)
{
	static const char *const whats[] = {"Softmax", "reversal", "Reshape", "CumSum", "reduced and spread", "gathered and spread", "LayerNormalization",
					    "crossed"};
	uint64_t seed = 32;
	for (int way = 0; way < 8; way++) {
		struct gyr_graph *graph = gyr_graph_create("mixed", 17);
		uint32_t x = net_input(graph, "f32[N,4,6]"), t = swapped(graph, x), y = NONE;
		uint32_t one = numbers(graph, (int64_t[]){1}, 1);
		switch (way) {
		case 0: y = net_node(graph, GYR_OP_SOFTMAX, t, NONE, NONE, "axis", 1); break;
		case 1: {
			const uint32_t inputs[] = {t, numbers(graph, (int64_t[]){-1}, 1), numbers(graph, (int64_t[]){INT64_MIN}, 1), one,
						   numbers(graph, (int64_t[]){-1}, 1)};
			assert_int_equal(gyr_graph_add_value(graph, "reversed", NULL, NULL, false, &y, NULL), 0);
			const struct gyr_node node = {
				.op = GYR_OP_SLICE, .name = "slice", .inputs = inputs, .input_count = 5, .outputs = &y, .output_count = 1};
			assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
			break;
		}
		case 2: y = swapped(graph, net_op2(graph, GYR_OP_RESHAPE, t, numbers(graph, (int64_t[]){-1, 4, 6}, 3))); break;
		case 3: y = net_op2(graph, GYR_OP_CUM_SUM, t, net_constant(graph, "i64[]", &(int64_t){1})); break;
		case 4: y = net_op2(graph, GYR_OP_ADD, t, net_node(graph, GYR_OP_REDUCE_SUM, t, one, NONE, "keepdims", 1)); break;
		case 5: y = net_op2(graph, GYR_OP_ADD, t, net_node(graph, GYR_OP_GATHER, t, numbers(graph, (int64_t[]){0}, 1), NONE, "axis", 1)); break;
		case 6: y = net_node(graph, GYR_OP_LAYER_NORMALIZATION, t, net_weights(graph, "f32[1]", 1, &seed), NONE, "axis", 1); break;
		default: { /* each row and each other */
			uint32_t v = net_op2(graph, GYR_OP_RESHAPE, x, numbers(graph, (int64_t[]){-1, 24}, 2));
			uint32_t across = net_op2(graph, GYR_OP_ADD, net_op2(graph, GYR_OP_UNSQUEEZE, v, one),
						  net_op2(graph, GYR_OP_UNSQUEEZE, v, numbers(graph, (int64_t[]){0}, 1)));
			v = net_node(graph, GYR_OP_REDUCE_SUM, across, one, NONE, "keepdims", 0);
			y = swapped(graph, net_op2(graph, GYR_OP_RESHAPE, v, numbers(graph, (int64_t[]){-1, 4, 6}, 3)));
			break;
		}
		}
		expect(graph, swapped(graph, y), 1, whats[way]);
	}
}

/* X [s, N, 6], with steps or heads and the batch in one dimension, and back. */
static void test_inside(void **state)
{
	static const char *const whats[] = {"heads within the batch", "products within the batch", "the batch within steps",
					    "a sum of both",          "LayerNormalization",        "a matrix for each step"};
	uint64_t seed = 33;
	for (int way = 0; way < 6; way++) {
		struct gyr_graph *graph = gyr_graph_create("inside", 17);
		uint32_t x = net_input(graph, "f32[N,4,6]"), t = swapped(graph, x), y = NONE;
		uint32_t heads = swapped(graph, net_op2(graph, GYR_OP_RESHAPE, t, numbers(graph, (int64_t[]){4, -1, 3}, 3)));
		uint32_t steps = net_op2(graph, GYR_OP_RESHAPE, t, numbers(graph, (int64_t[]){-1, 6}, 2));
		switch (way) {
		case 0: y = net_node(graph, GYR_OP_SOFTMAX, heads, NONE, NONE, "axis", 1); break;
		case 1: {
			uint32_t turned = listed(graph, GYR_OP_TRANSPOSE, heads, "perm", (const int64_t[]){0, 2, 1}, 3);
			y = net_op2(graph, GYR_OP_MATMUL, net_op2(graph, GYR_OP_MATMUL, heads, turned), heads);
			break;
		}
		case 2: y = net_node(graph, GYR_OP_GEMM, net_op1(graph, GYR_OP_RELU, steps), net_weights(graph, "f32[6,6]", 1, &seed), NONE, NULL, 0); break;
		case 3: y = net_op2(graph, GYR_OP_ADD, net_op2(graph, GYR_OP_MUL, steps, net_weights(graph, "f32[6]", 1, &seed)), steps); break;
		case 5: y = net_op2(graph, GYR_OP_MATMUL, swapped(graph, heads), net_weights(graph, "f32[4,3,3]", 1, &seed)); break;
		default: y = net_node(graph, GYR_OP_LAYER_NORMALIZATION, steps, net_weights(graph, "f32[6]", 1, &seed), NONE, "axis", -1); break;
		}
		if (way < 2)
			y = swapped(graph, y);
		y = net_op2(graph, GYR_OP_RESHAPE, y, numbers(graph, (int64_t[]){4, -1, 6}, 3));
		expect(graph, swapped(graph, y), BATCH, whats[way]);
	}
}

/* Where the batch is a part of a dimension, what runs along that, or takes it for rows in another order, mixes. */
static void test_inside_mixed(void **state)
{
	static const char *const whats[] = {"Softmax", "another order", "summed and spread", "heads outside", "turned rows"};
	for (int way = 0; way < 5; way++) {
		struct gyr_graph *graph = gyr_graph_create("inside", 17);
		uint32_t x = net_input(graph, "f32[N,4,6]"), t = swapped(graph, x), y = NONE;
		uint32_t heads = net_op2(graph, GYR_OP_RESHAPE, t, numbers(graph, (int64_t[]){4, -1, 3}, 3)); /* [4, N 2, 3] */
		uint32_t steps = net_op2(graph, GYR_OP_RESHAPE, t, numbers(graph, (int64_t[]){-1, 6}, 2));    /* [4 N, 6] */
		switch (way) {
		case 0: y = net_node(graph, GYR_OP_SOFTMAX, heads, NONE, NONE, "axis", 1); break;
		case 1: /* steps first becomes steps last */
			y = net_op2(graph, GYR_OP_RESHAPE, steps, numbers(graph, (int64_t[]){-1, 4, 6}, 3));
			expect(graph, y, 1, whats[way]);
			continue;
		case 2:
			y = net_op2(graph, GYR_OP_SUB, heads,
				    net_node(graph, GYR_OP_REDUCE_SUM, heads, numbers(graph, (int64_t[]){1}, 1), NONE, "keepdims", 1));
			break;
		case 3: { /* one with the batch outside the heads, the other inside */
			uint32_t other = net_op2(graph, GYR_OP_RESHAPE, x, numbers(graph, (int64_t[]){-1, 4, 2, 3}, 4));
			other = net_op2(graph, GYR_OP_RESHAPE, listed(graph, GYR_OP_TRANSPOSE, other, "perm", (const int64_t[]){1, 2, 0, 3}, 4),
					numbers(graph, (int64_t[]){4, -1, 3}, 3));
			y = net_op2(graph, GYR_OP_ADD, heads, other);
			break;
		}
		default: y = net_node(graph, GYR_OP_GEMM, steps, steps, NONE, "transA", 1); break;
		}
		if (way == 4) {
			y = net_op2(graph, GYR_OP_ADD, x, net_node(graph, GYR_OP_GATHER, y, numbers(graph, (int64_t[]){0}, 1), NONE, "axis", 0));
			expect(graph, y, 1, whats[way]);
			continue;
		}
		y = net_op2(graph, GYR_OP_RESHAPE, y, numbers(graph, (int64_t[]){4, -1, 6}, 3));
		expect(graph, swapped(graph, y), 1, whats[way]);
	}
}

/* The number of rows of X as a vector of one. */
static uint32_t count_of(struct gyr_graph *graph, uint32_t x)
{
	return net_node(graph, GYR_OP_SHAPE, x, NONE, NONE, "end", 1);
}

/* What is the same for each row, however many there are, is a part of each; what follows from their number is not. */
static void test_made_of_the_count(void **state)
{
	static const char *const whats[] = {"zeros", "a layer of zeros", "many zeros", "a sum over as many", "a range"};
	for (int way = 0; way < 5; way++) {
		struct gyr_graph *graph = gyr_graph_create("count", 15);
		uint32_t x = net_input(graph, "f32[N,6]"), n = count_of(graph, x), y = NONE;
		uint32_t two = numbers(graph, (int64_t[]){2}, 1), six = numbers(graph, (int64_t[]){6}, 1), first = numbers(graph, (int64_t[]){0}, 1);
		uint32_t one = numbers(graph, (int64_t[]){1}, 1), many = numbers(graph, (int64_t[]){4096}, 1);
		switch (way) {
		case 0: y = net_op1(graph, GYR_OP_CONSTANT_OF_SHAPE, net_node(graph, GYR_OP_CONCAT, n, six, NONE, "axis", 0)); break;
		case 1:
			y = net_op1(graph, GYR_OP_CONSTANT_OF_SHAPE, net_node(graph, GYR_OP_CONCAT, two, n, six, "axis", 0));
			y = net_op2(graph, GYR_OP_SQUEEZE, net_node(graph, GYR_OP_SLICE, y, first, one, NULL, 0), first);
			break;
		case 2:
			y = net_op1(graph, GYR_OP_CONSTANT_OF_SHAPE, net_node(graph, GYR_OP_CONCAT, n, many, NONE, "axis", 0));
			y = net_node(graph, GYR_OP_GATHER, y, numbers(graph, (int64_t[]){0, 1, 2, 3, 4, 5}, 6), NONE, "axis", 1);
			break;
		case 3:
			y = net_op1(graph, GYR_OP_COS, net_op1(graph, GYR_OP_CONSTANT_OF_SHAPE, net_node(graph, GYR_OP_CONCAT, n, n, NONE, "axis", 0)));
			y = net_node(graph, GYR_OP_REDUCE_SUM, y, one, NONE, "keepdims", 1);
			break;
		default: {
			uint32_t scalar = net_constant(graph, "i64[]", &(int64_t){0}), by = net_constant(graph, "i64[]", &(int64_t){1});
			y = net_node(graph, GYR_OP_RANGE, scalar, net_op2(graph, GYR_OP_SQUEEZE, n, first), by, NULL, 0);
			y = net_op2(graph, GYR_OP_UNSQUEEZE, net_node(graph, GYR_OP_CAST, y, NONE, NONE, "to", GYR_DTYPE_F32), one);
			break;
		}
		}
		expect(graph, net_op2(graph, GYR_OP_ADD, x, y), way < 3 ? BATCH : 1, whats[way]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_inside_mixed),
		cmocka_unit_test(test_made_of_the_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
