/*
 * General graphs: shapes that are computed, rows that may mix, several outputs, any number of inputs.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/pack.h"
#include "engine/plan/plan_internal.h"
#include "net.h"

#define NONE GYR_VALUE_NONE

/* Shape of X from dimension START up to END. */
static uint32_t shape_of(struct gyr_graph *graph, uint32_t x, int64_t start, int64_t end)
{
	struct gyr_attribute attributes[2] = {{.name = "start", .type = GYR_ATTRIBUTE_INT, .integer = start},
					      {.name = "end", .type = GYR_ATTRIBUTE_INT, .integer = end}};
	uint32_t output;
	char name[32];
	snprintf(name, sizeof name, "shape%u", graph->value_count);
	assert_int_equal(gyr_graph_add_value(graph, name, NULL, NULL, false, &output, NULL), 0);
	const struct gyr_node node = {.op = GYR_OP_SHAPE,
				      .name = "shape",
				      .inputs = &x,
				      .input_count = 1,
				      .outputs = &output,
				      .output_count = 1,
				      .attributes = attributes,
				      .attribute_count = 2};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	return output;
}

/* The plan of GRAPH, before and after it is settled, covers BATCH_MAX rows of 8; and GRAPH's one output is then of SHAPE. */
static void expect(struct gyr_graph *graph, uint32_t batch_max, const char *shape)
{
	struct gyr_error error;
	struct gyr_shape expected = net_shape(shape);
	for (int settled = 0; settled < 2; settled++) {
		struct gyr_plan *plan = net_plan(graph, 8, false);
		assert_int_equal(gyr_plan_batch_max(plan), batch_max);
		assert_true(gyr_shape_equal(gyr_plan_output_shape(plan, 0), &expected));
		gyr_plan_destroy(plan);
		if (gyr_plan_settle(graph, &error) != 0)
			fail_msg("%s", error.text);
		assert_true(graph->settled);
		assert_true(gyr_shape_equal(&graph->values[graph->outputs[0]].shape, &expected));
	}
	net_compare(graph, 1, 1e-5f);
	gyr_graph_destroy(graph);
}

/* A shape from a shape: folded at each batch size, and rows stay apart. */
static void test_computed_shapes(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("computed", 15);
	int64_t factors[2] = {1, 2};
	uint32_t x = net_input(graph, "f32[N,2,3]"), y = net_input(graph, "f32[N,3]");
	uint32_t target = net_op2(graph, GYR_OP_MUL, shape_of(graph, y, 0, 2), net_constant(graph, "i64[2]", factors));
	net_finish(graph, net_op1(graph, GYR_OP_TANH, net_op2(graph, GYR_OP_RESHAPE, x, target)));
	assert_false(graph->settled);
	assert_int_equal(graph->values[graph->outputs[0]].shape.dtype, GYR_DTYPE_NONE);
	expect(graph, 8, "f32[N,6]");

	/* The same where the rows go elsewhere: one at a time. */
	graph = gyr_graph_create("moved", 15);
	x = net_input(graph, "f32[N,2,3]");
	target = net_op2(graph, GYR_OP_MUL, shape_of(graph, x, 1, 3), shape_of(graph, x, -3, 1));
	net_finish(graph, net_op1(graph, GYR_OP_TANH, net_op2(graph, GYR_OP_RESHAPE, x, target)));
	expect(graph, 1, "f32[2,3]");
}

/* The number of features is the same for all; the number of rows is not a number to compute with. */
static void test_counts(void **state)
{
	for (int rows = 0; rows < 2; rows++) {
		struct gyr_graph *graph = gyr_graph_create("counts", 15);
		uint32_t x = net_input(graph, "f32[N,4]");
		uint32_t count = net_node(graph, GYR_OP_CAST, shape_of(graph, x, rows ? 0 : 1, rows ? 1 : 2), NONE, NONE, "to", GYR_DTYPE_F32);
		net_finish(graph, net_op2(graph, GYR_OP_DIV, x, count));
		expect(graph, rows ? 1 : 8, rows ? "f32[1,4]" : "f32[N,4]");
	}
}

/* What holds at the numbers of rows that are tried, and not at all: never computed together. */
static void test_a_count_that_hides(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("hidden", 15);
	struct gyr_plan *plan;
	struct gyr_error error;
	uint32_t x = net_input(graph, "f32[N,4]"), four = net_constant(graph, "i64[1]", &(int64_t){4});
	uint32_t equal = net_op2(graph, GYR_OP_EQUAL, shape_of(graph, x, 0, 1), four);
	net_finish(graph, net_op2(graph, GYR_OP_ADD, x, net_node(graph, GYR_OP_CAST, equal, NONE, NONE, "to", GYR_DTYPE_F32)));
	assert_int_equal(gyr_plan_create(graph, &(struct gyr_plan_options){.batch_max = 8}, &plan, &error), -ENOTSUP);
	assert_non_null(strstr(error.text, "is not at 4 rows what it is at others"));
	gyr_graph_destroy(graph);
}

/* Each way in which rows may mix: the plan is right, and takes one row at a time. */
static void test_mixed_rows(void **state)
{
	uint64_t seed = 1;
	for (int way = 0; way < 6; way++) {
		struct gyr_graph *graph = gyr_graph_create("mixed", 13);
		uint32_t x = net_input(graph, "f32[N,4]"), y = NONE;
		const char *shape = "f32[1,4]";
		switch (way) {
		case 0: y = net_node(graph, GYR_OP_SOFTMAX, x, NONE, NONE, "axis", 0); break;
		case 1: y = net_op2(graph, GYR_OP_ADD, x, net_weights(graph, "f32[5,4]", 1, &seed)), shape = "f32[5,4]"; break;
		case 2: y = net_op2(graph, GYR_OP_ADD, x, net_weights(graph, "f32[3,1,4]", 1, &seed)), shape = "f32[3,1,4]"; break;
		case 3: y = net_op2(graph, GYR_OP_MATMUL, net_weights(graph, "f32[2,1]", 1, &seed), x), shape = "f32[2,4]"; break;
		case 4: y = net_node(graph, GYR_OP_GEMM, x, net_input(graph, "f32[N,3]"), NONE, "transA", 1), shape = "f32[4,3]"; break;
		default: y = net_op2(graph, GYR_OP_MUL, x, net_input(graph, "f32[1,4]")); break;
		}
		net_finish(graph, y);
		assert_true(graph->settled);
		expect(graph, 1, shape);
	}
}

static void test_shapes_that_nobody_knows(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("unknown", 15);
	struct gyr_plan *plan;
	struct gyr_error error;
	uint32_t x = net_input(graph, "f32[6]"), target = net_input(graph, "i64[2]");
	net_finish(graph, net_op2(graph, GYR_OP_RESHAPE, x, target));
	assert_int_equal(gyr_plan_settle(graph, &error), -ENOTSUP);
	assert_string_equal(error.text, "node 'node' (Reshape, opset 15): its result's shape depends on the content of input 1, which is known only when it runs");
	assert_int_equal(gyr_plan_create(graph, &(struct gyr_plan_options){.batch_max = 1}, &plan, &error), -ENOTSUP);
	gyr_graph_destroy(graph);

	/* What was said of a result that only a plan knows is held against what it finds. */
	graph = gyr_graph_create("said", 15);
	struct gyr_shape said = net_shape("f32[N,7]");
	uint32_t y;
	x = net_input(graph, "f32[N,2,3]");
	int64_t factors[2] = {1, 6};
	target = net_op2(graph, GYR_OP_MUL, shape_of(graph, x, 0, 1), net_constant(graph, "i64[2]", factors));
	assert_int_equal(gyr_graph_add_value(graph, "y", &said, NULL, false, &y, NULL), 0);
	const uint32_t inputs[] = {x, target};
	const struct gyr_node node = {.op = GYR_OP_RESHAPE, .name = "r", .inputs = inputs, .input_count = 2, .outputs = &y, .output_count = 1};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, y, NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, NULL), 0);
	assert_int_equal(gyr_plan_settle(graph, &error), -EINVAL);
	assert_non_null(strstr(error.text, "'y' is said to be f32[N,7] and is f32["));
	gyr_graph_destroy(graph);
}

/* Two outputs, of which the second is asked for, left out, or unread; as many inputs as a node may have. */
static void test_many_ends(void **state)
{
	enum { COUNT = GYR_NODE_ENDS_MAX };
	for (int way = 0; way < 3; way++) {
		struct gyr_graph *graph = gyr_graph_create("ends", 13);
		uint32_t inputs[COUNT], sum, outputs[2] = {NONE, NONE};
		inputs[0] = net_input(graph, "f32[N,3]");
		for (uint32_t i = 1; i < COUNT; i++)
			inputs[i] = net_constant(graph, i % 2 ? "f32[3]" : "f32[1,1]", (float[3]){1, 2, 3});
		assert_int_equal(gyr_graph_add_value(graph, "sum", NULL, NULL, false, &sum, NULL), 0);
		assert_int_equal(gyr_graph_add_value(graph, "out", NULL, NULL, false, &outputs[0], NULL), 0);
		if (way != 1)
			assert_int_equal(gyr_graph_add_value(graph, "mask", NULL, NULL, false, &outputs[1], NULL), 0);
		const struct gyr_node add = {.op = GYR_OP_SUM, .inputs = inputs, .input_count = COUNT, .outputs = &sum, .output_count = 1};
		const struct gyr_node drop = {.op = GYR_OP_DROPOUT, .inputs = &sum, .input_count = 1, .outputs = outputs, .output_count = 2};
		struct gyr_error error;
		assert_int_equal(gyr_graph_add_node(graph, &add, NULL), 0);
		assert_int_equal(gyr_graph_add_node(graph, &drop, NULL), 0);
		assert_int_equal(gyr_graph_add_output(graph, outputs[0], NULL), 0);
		if (way == 0)
			assert_int_equal(gyr_graph_add_output(graph, outputs[1], NULL), 0);
		if (gyr_graph_finish(graph, &error) != 0)
			fail_msg("%s", error.text);
		for (int reference = 0; reference < 2; reference++) {
			struct gyr_plan *plan = net_plan(graph, 4, reference);
			const float x[6] = {0, 0, 0, 10, 20, 30}, expected[6] = {255, 383, 511, 265, 403, 541};
			float y[6];
			bool mask[6] = {false};
			void *scratch = aligned_alloc(64, gyr_plan_scratch_bytes(plan) + 64);
			assert_int_equal(gyr_plan_batch_max(plan), 4);
			gyr_plan_run(plan, 2, (const void *const[]){x}, (void *const[]){y, mask}, scratch);
			for (int i = 0; i < 6; i++) {
				assert_true(fabsf(y[i] - expected[i]) < 1e-3f);
				assert_int_equal(mask[i], way == 0);
			}
			free(scratch);
			gyr_plan_destroy(plan);
		}
		gyr_graph_destroy(graph);
	}
}

/* Nothing in, nothing out, and no step for it. */
static void test_empty(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("empty", 13);
	uint32_t x = net_input(graph, "f32[N,2,0]"), y = net_input(graph, "f32[N,0,3]");
	net_finish(graph, net_op2(graph, GYR_OP_MATMUL, net_op1(graph, GYR_OP_TANH, x), y));
	struct gyr_plan *plan = net_plan(graph, 2, false);
	assert_int_equal(plan->buckets[1].step_count, 1);
	float made[12];
	memset(made, 0xff, sizeof made);
	void *scratch = aligned_alloc(64, gyr_plan_scratch_bytes(plan) + 64);
	gyr_plan_run(plan, 2, (const void *const[]){made, made}, (void *const[]){made}, scratch);
	free(scratch);
	for (int i = 0; i < 12; i++)
		assert_true(made[i] == 0);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

static unsigned destroyed;

static void destroy(void *pack)
{
	destroyed++;
}

static void test_packs(void **state)
{
	struct gyr_packs *packs = gyr_packs_create();
	int a, b, first, second;
	assert_null(gyr_packs_find(packs, &a, 1));
	assert_true(gyr_packs_keep(packs, &a, 1, &first, 100, destroy));
	assert_true(gyr_packs_keep(packs, &a, 2, &second, 20, destroy));
	assert_ptr_equal(gyr_packs_find(packs, &a, 1), &first);
	assert_ptr_equal(gyr_packs_find(packs, &a, 2), &second);
	assert_null(gyr_packs_find(packs, &b, 1));
	assert_int_equal(gyr_packs_bytes(packs), 120);
	gyr_packs_destroy(packs);
	assert_int_equal(destroyed, 2);
	gyr_packs_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_computed_shapes), cmocka_unit_test(test_counts),
		cmocka_unit_test(test_mixed_rows),      cmocka_unit_test(test_shapes_that_nobody_knows),
		cmocka_unit_test(test_many_ends),       cmocka_unit_test(test_empty),
		cmocka_unit_test(test_packs),           cmocka_unit_test(test_a_count_that_hides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
