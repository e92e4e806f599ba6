/*
 * Whole nets: the plan against its reference, which runs every node as it stands on the plain twins.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/plan/plan_internal.h"
#include "net.h"

#define NONE GYR_VALUE_NONE

/* How many steps the plan of GRAPH takes, after it has been compared. */
static uint32_t steps_of(struct gyr_graph *graph, float scale, float tolerance)
{
	net_compare(graph, scale, tolerance);
	struct gyr_plan *plan = net_plan(graph, 1, false);
	uint32_t steps = plan->buckets[0].step_count;
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
	return steps;
}

static uint32_t gemm(struct gyr_graph *graph, uint32_t x, const char *weights, const char *bias, bool trans_b, uint64_t *seed)
{
	uint32_t w = net_weights(graph, weights, .2f, seed), b = net_weights(graph, bias, .5f, seed);
	return net_node(graph, GYR_OP_GEMM, x, w, b, "transB", trans_b);
}

static void test_teaching_net(void **state)
{
	uint64_t seed = 1;
	struct gyr_graph *graph = gyr_graph_create("mlp", 17);
	uint32_t x = net_input(graph, "f32[N,100]");
	x = net_op1(graph, GYR_OP_RELU, gemm(graph, x, "f32[200,100]", "f32[200]", true, &seed));
	x = gemm(graph, x, "f32[200,100]", "f32[1,100]", false, &seed);
	net_finish(graph, x);
	assert_int_equal(steps_of(graph, 1, 2e-5f), 2);
}

/* Bytes in, probabilities out, with the normalisation in the model: cast, layer, layer, softmax. */
static void test_image_net(void **state)
{
	uint64_t seed = 2;
	float divisor = 255, mean = .1307f, deviation = .3081f;
	struct gyr_graph *graph = gyr_graph_create("image", 13);
	uint32_t x = net_input(graph, "u8[N,28,28]");
	x = net_node(graph, GYR_OP_CAST, x, NONE, NONE, "to", GYR_DTYPE_F32);
	x = net_op2(graph, GYR_OP_DIV, x, net_constant(graph, "f32[]", &divisor));
	x = net_op2(graph, GYR_OP_SUB, x, net_constant(graph, "f32[1]", &mean));
	x = net_op2(graph, GYR_OP_DIV, x, net_constant(graph, "f32[1,1]", &deviation));
	x = net_op1(graph, GYR_OP_FLATTEN, x);
	x = net_op1(graph, GYR_OP_SIGMOID, gemm(graph, x, "f32[784,128]", "f32[128]", false, &seed));
	x = net_op1(graph, GYR_OP_SOFTMAX, gemm(graph, x, "f32[128,10]", "f32[]", false, &seed));
	net_finish(graph, x);
	assert_int_equal(steps_of(graph, 1, 1e-5f), 4);
}

/* MatMul over the last dimension of a tensor of rank 3, with everything around it that a layer can take in. */
static void test_matmul_takes_in(void **state)
{
	uint64_t seed = 3;
	struct gyr_graph *graph = gyr_graph_create("matmul", 13);
	uint32_t x = net_input(graph, "f32[N,5,37]");
	x = net_op2(graph, GYR_OP_MUL, x, net_weights(graph, "f32[37]", 2, &seed));
	x = net_op2(graph, GYR_OP_SUB, net_weights(graph, "f32[1,1,37]", 1, &seed), x);
	x = net_op2(graph, GYR_OP_MATMUL, x, net_weights(graph, "f32[37,70]", .3f, &seed));
	x = net_op2(graph, GYR_OP_ADD, net_weights(graph, "f32[70]", 1, &seed), x);
	x = net_op2(graph, GYR_OP_MUL, x, net_weights(graph, "f32[1,70]", 1, &seed));
	x = net_op1(graph, GYR_OP_TANH, x);
	net_finish(graph, x);
	assert_int_equal(steps_of(graph, 1, 1e-5f), 1);
}

/* What must stay outside of a layer. */
static void test_matmul_leaves_out(void **state)
{
	uint64_t seed = 4;
	float mean = 1000, tiny = 1e-38f;
	struct gyr_graph *graph = gyr_graph_create("outside", 13);
	uint32_t x = net_input(graph, "f32[N,5,37]");
	x = net_op2(graph, GYR_OP_SUB, x, net_constant(graph, "f32[]", &mean)); /* too large a shift: would cancel */
	x = net_op2(graph, GYR_OP_MATMUL, x, net_weights(graph, "f32[37,20]", .001f, &seed));
	x = net_op2(graph, GYR_OP_ADD, x, net_weights(graph, "f32[5,1]", 1, &seed)); /* differs between rows */
	x = net_op2(graph, GYR_OP_MATMUL, x, net_weights(graph, "f32[20,6]", 1, &seed));
	x = net_op2(graph, GYR_OP_MUL, x, net_constant(graph, "f32[]", &tiny)); /* weights would vanish */
	net_finish(graph, x);
	assert_int_equal(steps_of(graph, 1, 1e-4f), 5);
}

/* A value that two nodes read, and one that is an output as well, is still made. */
static void test_shared_values(void **state)
{
	uint64_t seed = 5;
	struct gyr_graph *graph = gyr_graph_create("residual", 13);
	uint32_t x = net_input(graph, "f32[N,48]");
	uint32_t a = gemm(graph, x, "f32[48,48]", "f32[48]", false, &seed);
	uint32_t b = net_op1(graph, GYR_OP_RELU, a);
	uint32_t c = net_op2(graph, GYR_OP_ADD, a, gemm(graph, b, "f32[48,48]", "f32[48]", false, &seed));
	net_finish(graph, net_op1(graph, GYR_OP_IDENTITY, net_op2(graph, GYR_OP_MUL, c, x)));
	assert_int_equal(steps_of(graph, 1, 1e-5f), 5);
}

/* A scaled value that two layers read is made for both. */
static void test_shared_before(void **state)
{
	uint64_t seed = 11;
	struct gyr_graph *graph = gyr_graph_create("shared", 13);
	uint32_t x = net_op2(graph, GYR_OP_MUL, net_input(graph, "f32[N,20]"), net_weights(graph, "f32[20]", 1, &seed));
	uint32_t a = gemm(graph, x, "f32[20,9]", "f32[9]", false, &seed), b = gemm(graph, x, "f32[20,9]", "f32[9]", false, &seed);
	net_finish(graph, net_op2(graph, GYR_OP_DIV, net_op1(graph, GYR_OP_TANH, a), net_op1(graph, GYR_OP_SIGMOID, b)));
	assert_int_equal(steps_of(graph, 1, 1e-5f), 4);
}

/* The left side is the same for every row of the batch: against a product written out here, since the plan and its reference share the strides. */
static void test_matmul_broadcasts(void **state)
{
	uint64_t seed = 12;
	struct gyr_graph *graph = gyr_graph_create("broadcast", 13);
	float left[2 * 3], right[2][3 * 4], made[2][2 * 4];
	for (int i = 0; i < 6; i++)
		left[i] = net_random(&seed);
	for (int i = 0; i < 24; i++)
		right[i / 12][i % 12] = net_random(&seed);
	uint32_t a = net_constant(graph, "f32[1,2,3]", left);
	net_finish(graph, net_op2(graph, GYR_OP_MATMUL, a, net_input(graph, "f32[N,3,4]")));
	for (int reference = 0; reference < 2; reference++) {
		struct gyr_plan *plan = net_plan(graph, 2, reference);
		gyr_plan_run(plan, 2, (const void *const[]){right}, (void *const[]){made}, NULL);
		for (int at = 0; at < 16; at++) {
			int row = at / 8, m = at / 4 % 2, n = at % 4;
			float sum = 0;
			for (int k = 0; k < 3; k++)
				sum += left[m * 3 + k] * right[row][k * 4 + n];
			assert_true(fabsf(made[row][m * 4 + n] - sum) < 1e-6f);
		}
		gyr_plan_destroy(plan);
	}
	gyr_graph_destroy(graph);
}

/* Several outputs: a value, two views of it, and an input as it came. */
static void test_outputs(void **state)
{
	uint64_t seed = 6;
	struct gyr_graph *graph = gyr_graph_create("outputs", 13);
	uint32_t x = net_input(graph, "f32[N,4]"), w = net_weights(graph, "f32[4,6]", 1, &seed), b = net_weights(graph, "f32[6]", 1, &seed);
	uint32_t y = net_node(graph, GYR_OP_GEMM, x, w, b, NULL, 0);
	int64_t target[3] = {0, 2, 3};
	uint32_t view = net_op2(graph, GYR_OP_RESHAPE, y, net_constant(graph, "i64[3]", target));
	const uint32_t outputs[] = {view, y, net_op1(graph, GYR_OP_IDENTITY, x), net_op1(graph, GYR_OP_FLATTEN, view)};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(gyr_graph_add_output(graph, outputs[i], NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, NULL), 0);
	struct gyr_plan *plan = net_plan(graph, 2, false);
	float input[8], made[4][12];
	const float *weights = graph->values[w].data, *bias = graph->values[b].data;
	for (int i = 0; i < 8; i++)
		input[i] = net_random(&seed);
	const void *inputs[] = {input};
	void *results[] = {made[0], made[1], made[2], made[3]};
	gyr_plan_run(plan, 2, inputs, results, NULL);
	for (int row = 0; row < 2; row++) {
		for (int n = 0; n < 6; n++) {
			float sum = bias[n];
			for (int k = 0; k < 4; k++)
				sum += input[row * 4 + k] * weights[k * 6 + n];
			assert_true(fabsf(made[0][row * 6 + n] - sum) < 1e-6f);
		}
	}
	assert_memory_equal(made[0], made[1], sizeof made[0]);
	assert_memory_equal(made[0], made[3], sizeof made[0]);
	assert_memory_equal(made[2], input, sizeof input);
	assert_int_equal(gyr_plan_scratch_bytes(plan), 0);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

/* Constants are computed when the plan is made; a node that nobody reads is not run. */
static void test_folding(void **state)
{
	uint64_t seed = 7;
	struct gyr_graph *graph = gyr_graph_create("folding", 13);
	uint8_t bytes[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	uint32_t x = net_input(graph, "f32[N,3]");
	uint32_t w = net_node(graph, GYR_OP_CAST, net_constant(graph, "u8[3,4]", bytes), NONE, NONE, "to", GYR_DTYPE_F32);
	w = net_op1(graph, GYR_OP_TANH, net_op2(graph, GYR_OP_MUL, w, net_weights(graph, "f32[1,4]", .1f, &seed)));
	uint32_t y = net_op2(graph, GYR_OP_MATMUL, x, w);
	net_op1(graph, GYR_OP_SIGMOID, x); /* unread */
	net_finish(graph, y);
	assert_int_equal(steps_of(graph, 1, 1e-5f), 1);
}

/* Operands that are only known when it runs: products in every layout, sums by row and by column. */
static void test_unknown_operands(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("unknown", 13);
	uint32_t a = net_input(graph, "f32[N,6,7]"), b = net_input(graph, "f32[N,7,3]"), c = net_input(graph, "f32[N,1,3]");
	uint32_t y = net_op2(graph, GYR_OP_ADD, net_op2(graph, GYR_OP_MATMUL, a, b), c);
	net_finish(graph, net_node(graph, GYR_OP_SOFTMAX, y, NONE, NONE, "axis", 1));
	assert_int_equal(steps_of(graph, 1, 1e-5f), 3);

	uint64_t seed = 8;
	graph = gyr_graph_create("transposed", 13);
	a = net_input(graph, "f32[7,6]");
	b = net_weights(graph, "f32[7,3]", 1, &seed);
	y = net_node(graph, GYR_OP_GEMM, a, b, net_input(graph, "f32[6,1]"), "transA", 1);
	net_finish(graph, y);
	struct gyr_plan *plan = net_plan(graph, 64, false);
	assert_int_equal(gyr_plan_batch_max(plan), 1);
	gyr_plan_destroy(plan);
	assert_int_equal(steps_of(graph, 1, 1e-5f), 1);
}

/* Before opset 13, Softmax normalised over all dimensions from the axis on. */
static void test_old_softmax(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("old", 11);
	net_finish(graph, net_op1(graph, GYR_OP_SOFTMAX, net_input(graph, "f32[N,3,5]")));
	struct gyr_plan *plan = net_plan(graph, 1, false);
	size_t count;
	float *y = net_run(plan, 1, 1, 4, 0, &count), sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += y[i];
	assert_true(fabsf(sum - 1) < 1e-6f);
	free(y);
	gyr_plan_destroy(plan);
	assert_int_equal(steps_of(graph, 4, 1e-6f), 1);
}

/* Random stacks of layers of odd sizes, large ones too. */
static void test_random_nets(void **state)
{
	static const int sizes[] = {1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 129, 200, 257, 1025};
	static const enum gyr_op activations[] = {GYR_OP_RELU, GYR_OP_SIGMOID, GYR_OP_TANH};
	uint64_t seed = 9;
	for (int round = 0; round < 40; round++) {
		struct gyr_graph *graph = gyr_graph_create("random", 13);
		char text[64];
		int in = sizes[(size_t)(fabsf(net_random(&seed)) * 16)], layers = 1 + (int)(fabsf(net_random(&seed)) * 3);
		snprintf(text, sizeof text, "f32[N,%d]", in);
		uint32_t x = net_input(graph, text);
		for (int layer = 0; layer < layers; layer++) {
			int out = sizes[(size_t)(fabsf(net_random(&seed)) * 16)];
			char bias[64];
			bool trans_b = net_random(&seed) > 0;
			snprintf(text, sizeof text, trans_b ? "f32[%d,%d]" : "f32[%2$d,%1$d]", out, in);
			snprintf(bias, sizeof bias, "f32[%d]", out);
			x = gemm(graph, x, text, bias, trans_b, &seed);
			if (net_random(&seed) > -.5f)
				x = net_op1(graph, activations[(size_t)(fabsf(net_random(&seed)) * 3)], x);
			in = out;
		}
		net_finish(graph, x);
		net_compare(graph, 1, 1e-4f);
		gyr_graph_destroy(graph);
	}
}

static void refuse(struct gyr_graph *graph, const char *message)
{
	struct gyr_plan *plan;
	struct gyr_error error;
	const struct gyr_plan_options both[] = {{.batch_max = 8}, {.batch_max = 8, .reference = true}};
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(gyr_plan_create(graph, &both[i], &plan, &error), -ENOTSUP);
		assert_string_equal(error.text, message);
	}
	gyr_graph_destroy(graph);
}

static void test_refusals(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("i32", 13);
	net_finish(graph, net_op2(graph, GYR_OP_MATMUL, net_input(graph, "i32[N,2,3]"), net_input(graph, "i32[N,3,3]")));
	refuse(graph, "node 'node' (MatMul, opset 13): it is run on f32 only, not on i32");
}

static void test_signature(void **state)
{
	uint64_t seed = 10;
	struct gyr_graph *graph = gyr_graph_create("signature", 13);
	net_finish(graph, gemm(graph, net_input(graph, "f32[N,4]"), "f32[4,6]", "f32[6]", false, &seed));
	struct gyr_plan *plan = net_plan(graph, 48, false);
	struct gyr_shape in = net_shape("f32[N,4]"), out = net_shape("f32[N,6]");
	gyr_graph_destroy(graph); /* not needed any more */
	assert_int_equal(gyr_plan_batch_max(plan), 32);
	assert_int_equal(gyr_plan_bucket(plan, 1), 1);
	assert_int_equal(gyr_plan_bucket(plan, 3), 4);
	assert_int_equal(gyr_plan_bucket(plan, 17), 32);
	assert_int_equal(gyr_plan_bucket(plan, 32), 32);
	assert_int_equal(gyr_plan_input_count(plan), 1);
	assert_int_equal(gyr_plan_output_count(plan), 1);
	assert_string_equal(gyr_plan_input_name(plan, 0), "value0");
	assert_string_equal(gyr_plan_output_name(plan, 0), "value3");
	assert_true(gyr_shape_equal(gyr_plan_input_shape(plan, 0), &in));
	assert_true(gyr_shape_equal(gyr_plan_output_shape(plan, 0), &out));
	assert_true(gyr_plan_weight_bytes(plan) >= 30 * sizeof(float));
	assert_int_equal(gyr_plan_scratch_bytes(plan), 0);
	gyr_plan_destroy(plan);
	gyr_plan_destroy(NULL);
}

/* A C that differs from row to row is no bias of a layer. */
static void test_gemm_of_rows(void **state)
{
	uint64_t seed = 5;
	const char *const shapes[] = {"f32[3,7]", "f32[3,1]", "f32[1,7]", "f32[7]", "f32[1]", "f32[]"};
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		struct gyr_graph *graph = gyr_graph_create("rows", 17);
		uint32_t x = net_input(graph, "f32[3,5]"), w = net_weights(graph, "f32[5,7]", 1, &seed), c = net_weights(graph, shapes[i], 1, &seed);
		net_finish(graph, net_node(graph, GYR_OP_GEMM, x, w, c, NULL, 0));
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
}

/* A file of some kilobytes can ask for any amount of memory by broadcasting. Each of these would take gigabytes. */
static void refuse_as_too_big(struct gyr_graph *graph, uint32_t output, bool reference, const char *text)
{
	const struct gyr_plan_options options = {.batch_max = 64, .reference = reference};
	struct gyr_plan *plan;
	struct gyr_error error = {""};
	net_finish(graph, output);
	assert_int_equal(gyr_plan_create(graph, &options, &plan, &error), -E2BIG);
	assert_non_null(strstr(error.text, text));
}

static void test_too_big(void **state)
{
	for (int reference = 0; reference < 2; reference++) {
		uint64_t seed = 1;
		struct gyr_graph *graph = gyr_graph_create("between", 17);
		uint32_t x = net_input(graph, "f32[N,1,1]");
		uint32_t wide = net_op2(graph, GYR_OP_ADD, x, net_weights(graph, "f32[1,2048,1]", 1, &seed));
		wide = net_op2(graph, GYR_OP_MUL, wide, net_weights(graph, "f32[1,1,1024]", 1, &seed));
		wide = net_op2(graph, GYR_OP_MATMUL, wide, net_weights(graph, "f32[1024,1]", 1, &seed));
		refuse_as_too_big(graph, net_op1(graph, GYR_OP_RELU, wide), reference, "a run of ");
		gyr_graph_destroy(graph);

		graph = gyr_graph_create("output", 17);
		x = net_input(graph, "f32[N,1,1]");
		wide = net_op2(graph, GYR_OP_ADD, x, net_weights(graph, "f32[1,2048,1]", 1, &seed));
		refuse_as_too_big(graph, net_op2(graph, GYR_OP_MUL, wide, net_weights(graph, "f32[1,1,1024]", 1, &seed)), reference, "a run of ");
		gyr_graph_destroy(graph);

		graph = gyr_graph_create("beforehand", 17);
		x = net_input(graph, "f32[N,1]");
		wide = net_op2(graph, GYR_OP_ADD, net_weights(graph, "f32[16384,1]", 1, &seed), net_weights(graph, "f32[1,16384]", 1, &seed));
		wide = net_op2(graph, GYR_OP_MATMUL, wide, net_weights(graph, "f32[16384,1]", 1, &seed));
		wide = net_op2(graph, GYR_OP_MATMUL, net_weights(graph, "f32[1,16384]", 1, &seed), wide);
		refuse_as_too_big(graph, net_op2(graph, GYR_OP_ADD, x, wide), reference, "(Add, opset 17): constants computed");
		gyr_graph_destroy(graph);
	}
}

/* Thousands of results at a time, of several sizes, read in another order than they were made: none is overwritten before it is read. */
static void test_many_results(void **state)
{
	enum { COUNT = 3000 };
	static uint32_t results[COUNT];
	const float steps[] = {1, 2, 3};
	struct gyr_graph *graph = gyr_graph_create("many", 17);
	uint32_t x = net_input(graph, "f32[N,1]"), wide = net_constant(graph, "f32[3]", steps);
	for (uint32_t i = 0; i < COUNT; i++) {
		float number = (float)i;
		results[i] = net_op2(graph, GYR_OP_ADD, i % 3 == 0 ? net_op2(graph, GYR_OP_MUL, x, wide) : x, net_constant(graph, "f32[1]", &number));
		if (i % 7 == 0)
			results[i] = net_op2(graph, GYR_OP_DIV, results[i], results[i]); /* reads its one input twice */
	}
	uint32_t sum = results[0];
	for (uint32_t i = 1; i < COUNT; i++)
		sum = net_op2(graph, GYR_OP_ADD, sum, results[i * 1009 % COUNT]);
	net_finish(graph, sum);
	net_compare(graph, 1, 1e-5f);
	gyr_graph_destroy(graph);
}

/* A constant that is read through many views is kept once. */
static void test_views_of_constant(void **state)
{
	const struct gyr_plan_options options = {.batch_max = 4};
	struct gyr_plan *plan;
	struct gyr_error error = {""};
	uint64_t seed = 1;
	struct gyr_graph *graph = gyr_graph_create("views", 17);
	uint32_t sum = net_input(graph, "f32[N,1000]"), weights = net_weights(graph, "f32[1,1000]", 1, &seed);
	for (uint32_t i = 0; i < 20; i++)
		sum = net_op2(graph, GYR_OP_ADD, sum, net_op1(graph, GYR_OP_IDENTITY, weights));
	net_finish(graph, sum);
	net_compare(graph, 1, 1e-5f);
	assert_int_equal(gyr_plan_create(graph, &options, &plan, &error), 0);
	assert_int_equal(gyr_plan_weight_bytes(plan), 1000 * sizeof(float));
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gemm_of_rows),    cmocka_unit_test(test_views_of_constant), cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_many_results),    cmocka_unit_test(test_teaching_net),      cmocka_unit_test(test_image_net),
		cmocka_unit_test(test_matmul_takes_in), cmocka_unit_test(test_matmul_leaves_out), cmocka_unit_test(test_shared_values),
		cmocka_unit_test(test_shared_before),   cmocka_unit_test(test_matmul_broadcasts), cmocka_unit_test(test_outputs),
		cmocka_unit_test(test_folding),         cmocka_unit_test(test_unknown_operands),  cmocka_unit_test(test_old_softmax),
		cmocka_unit_test(test_random_nets),     cmocka_unit_test(test_refusals),          cmocka_unit_test(test_signature),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
