/*
 * Indices that come with a request: whatever they are, nothing but what they may name is read or written, and the result is defined.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

#define INPUTS_MAX 3

struct hostile {
	enum gyr_op op;
	const char *attribute;
	int64_t integer;
	const char *shapes[INPUTS_MAX];
	const void *inputs[INPUTS_MAX];
	uint32_t count; /* of the result */
	float expected[12];
};

static const float points[] = {NAN, 0, INFINITY, -INFINITY, 1e30f, 0, 0.5f, -1e30f, -0.5f, 0.25f, 0, 0};
static const float data[] = {1, 2, 3, 4, 5, 6}, updates[] = {10, 20, 30, 40, 50, 60};
static const int64_t along[] = {INT64_MIN, -4, -3, 2, 3, INT64_MAX};
static const int64_t places[] = {0, 1, INT64_MIN, 0, 2, INT64_MAX, -1, -2, 3, 0, -4, 0};
static const int64_t lengths[] = {INT64_MIN, INT64_MAX};
static const int32_t narrow[] = {INT32_MIN, INT32_MAX, -1, 0};

static const struct hostile cases[] = {
	{GYR_OP_GATHER, "axis", 0, {"f32[3,2]", "i64[6]"}, {data, along}, 12, {0, 0, 0, 0, 1, 2, 5, 6, 0, 0, 0, 0}},
	{GYR_OP_GATHER, "axis", 1, {"f32[3,2]", "i32[4]"}, {data, narrow}, 12, {0, 0, 2, 1, 0, 0, 4, 3, 0, 0, 6, 5}},
	{GYR_OP_GATHER_ELEMENTS, "axis", 0, {"f32[3,2]", "i64[3,2]"}, {data, along}, 6, {0, 0, 1, 6, 0, 0}},
	{GYR_OP_GATHER_ND, "batch_dims", 0, {"f32[3,2]", "i64[6,2]"}, {data, places}, 6, {2, 0, 0, 5, 0, 0}},
	{GYR_OP_SCATTER_ELEMENTS, "axis", 0, {"f32[3,2]", "i64[3,2]", "f32[3,2]"}, {data, along, updates}, 6, {30, 2, 3, 4, 5, 40}},
	{GYR_OP_SCATTER_ND, NULL, 0, {"f32[3,2]", "i64[6,2]", "f32[6]"}, {data, places, updates}, 6, {1, 10, 3, 4, 40, 6}},
	{GYR_OP_TRILU, "upper", 1, {"f32[3,2]", "i64[]"}, {data, &along[0]}, 6, {1, 2, 3, 4, 5, 6}},
	{GYR_OP_TRILU, "upper", 0, {"f32[3,2]", "i64[]"}, {data, &along[0]}, 6, {0, 0, 0, 0, 0, 0}},
	{GYR_OP_TRILU, "upper", 1, {"f32[3,2]", "i64[]"}, {data, &along[5]}, 6, {0, 0, 0, 0, 0, 0}},
	{GYR_OP_TRILU, "upper", 0, {"f32[3,2]", "i64[]"}, {data, &along[5]}, 6, {1, 2, 3, 4, 5, 6}},
	{GYR_OP_REVERSE_SEQUENCE, NULL, 0, {"f32[3,2]", "i64[2]"}, {data, lengths}, 6, {1, 6, 3, 4, 5, 2}},
	{GYR_OP_GRID_SAMPLE, NULL, 0, {"f32[1,1,2,2]", "f32[1,1,6,2]"}, {data, points}, 6, {NAN, 0, 0, 0, 2.5f, 2.5f}},
};

/* In memory of its exact size, so that a sanitizer sees what leaves it. */
static void *exact(const void *from, size_t bytes)
{
	void *memory = malloc(bytes);
	assert_non_null(memory);
	memcpy(memory, from, bytes);
	return memory;
}

static void run_case(const struct hostile *hostile)
{
	struct gyr_graph *graph = gyr_graph_create("hostile", 22);
	uint32_t values[INPUTS_MAX] = {GYR_VALUE_NONE, GYR_VALUE_NONE, GYR_VALUE_NONE};
	void *owned[INPUTS_MAX] = {NULL};
	for (uint32_t i = 0; i < INPUTS_MAX && hostile->shapes[i] != NULL; i++) {
		const struct gyr_shape shape = net_shape(hostile->shapes[i]);
		size_t bytes;
		assert_true(gyr_shape_bytes(&shape, 1, &bytes));
		owned[i] = exact(hostile->inputs[i], bytes);
		values[i] = net_input(graph, hostile->shapes[i]);
	}
	net_finish(graph, net_node(graph, hostile->op, values[0], values[1], values[2], hostile->attribute, hostile->integer));
	struct gyr_plan *plan = net_plan(graph, 1, false);
	const void *inputs[INPUTS_MAX] = {owned[0], owned[1], owned[2]};
	float *result = malloc(hostile->count * sizeof *result);
	void *outputs[1] = {result}, *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
	assert_non_null(result);
	assert_non_null(scratch);
	memset(result, 0x7e, hostile->count * sizeof *result);
	gyr_plan_run(plan, 1, inputs, outputs, scratch);
	for (uint32_t i = 0; i < hostile->count; i++)
		if (isnan(hostile->expected[i]) ? !isnan(result[i]) : !(result[i] == hostile->expected[i]))
			fail_msg("%s, element %u: got %g, expected %g", gyr_op_info(hostile->op)->name, i, (double)result[i], (double)hostile->expected[i]);
	free(scratch);
	free(result);
	for (uint32_t i = 0; i < INPUTS_MAX; i++)
		free(owned[i]);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

static void test_hostile_indices(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		run_case(&cases[i]);
}

/* OneHot needs a depth that is known: an index out of it is off everywhere, be it no number. */
static void test_hostile_one_hot(void **state)
{
	static const float indices[] = {NAN, INFINITY, -1e30f, -2, 2, 1}, values[] = {7, 9}, expected[] = {7, 7, 7, 7, 7, 7, 9, 7, 7, 7, 7, 9};
	static const int64_t depth = 2;
	struct gyr_graph *graph = gyr_graph_create("hostile", 22);
	uint32_t x = net_input(graph, "f32[6]");
	net_finish(graph, net_node(graph, GYR_OP_ONE_HOT, x, net_constant(graph, "i64[]", &depth), net_constant(graph, "f32[2]", values), NULL, 0));
	struct gyr_plan *plan = net_plan(graph, 1, false);
	float result[12];
	const void *inputs[] = {indices};
	void *outputs[] = {result}, *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
	assert_non_null(scratch);
	gyr_plan_run(plan, 1, inputs, outputs, scratch);
	assert_memory_equal(result, expected, sizeof expected);
	free(scratch);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

/* Rows are computed together only where the operator keeps them apart. */
static void test_rows(void **state)
{
	static const int64_t one[] = {1}, zero[] = {0}, many[] = {INT64_MAX}, back[] = {-1}, least[] = {INT64_MIN + 1};
	for (int which = 0; which < 3; which++) {
		struct gyr_graph *graph = gyr_graph_create("rows", 13);
		uint32_t x = net_input(graph, "f32[N,4]"), y, starts, ends, axes, steps;
		starts = net_constant(graph, "i64[1]", which == 2 ? back : zero);
		ends = net_constant(graph, "i64[1]", which == 2 ? least : which == 1 ? many : one);
		axes = net_constant(graph, "i64[1]", which == 0 ? one : zero);
		steps = net_constant(graph, "i64[1]", which == 2 ? back : one);
		uint32_t index, inputs[] = {x, starts, ends, axes, steps};
		assert_int_equal(gyr_graph_add_value(graph, "cut", NULL, NULL, false, &index, NULL), 0);
		const struct gyr_node node = {.op = GYR_OP_SLICE, .name = "cut", .input_count = 5, .inputs = inputs, .output_count = 1, .outputs = &index};
		assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
		y = net_op1(graph, GYR_OP_RELU, index);
		net_finish(graph, y);
		/* Along axis 1, and all of axis 0; axis 0 backwards has the same shape, and other rows. */
		assert_int_equal(graph->values[y].shape.dims[0], which == 2 ? 1 : GYR_DIM_BATCH);
		gyr_graph_destroy(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hostile_indices), cmocka_unit_test(test_hostile_one_hot), cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
