/*
 * Resize, Upsample, NonZero, Compress and Det: the plan against its reference, numbers worked out by hand, rows of a batch, and refusals.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

static int64_t pick(uint64_t *seed, int64_t min, int64_t max)
{
	return min + (int64_t)(fabsf(net_random(seed)) * (float)(max - min + 1)) % (max - min + 1);
}

static struct gyr_attribute text(const char *name, const char *value)
{
	return (struct gyr_attribute){.name = name, .type = GYR_ATTRIBUTE_STRING, .string = value};
}

/* Adds a node with attributes; GYR_VALUE_NONE where an input is left out. */
static uint32_t add(struct gyr_graph *graph, enum gyr_op op, uint32_t input_count, const uint32_t *inputs, uint32_t attribute_count,
		    const struct gyr_attribute *attributes)
{
	char name[32];
	uint32_t y;
	struct gyr_error error;
	snprintf(name, sizeof name, "result%u", graph->value_count);
	assert_int_equal(gyr_graph_add_value(graph, name, NULL, NULL, false, &y, NULL), 0);
	const struct gyr_node node = {.op = op,
				      .name = "node",
				      .input_count = input_count,
				      .output_count = 1,
				      .attribute_count = attribute_count,
				      .inputs = inputs,
				      .outputs = &y,
				      .attributes = attributes};
	if (gyr_graph_add_node(graph, &node, &error) != 0)
		fail_msg("%s", error.text);
	return y;
}

/* Linear and cubic, in each way of laying one tensor over the other, to sizes and by scales. */
static void test_between(void **state)
{
	static const char *const coordinates[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
						  "align_corners", "asymmetric",           "tf_crop_and_resize"};
	uint64_t seed = 1;
	for (int round = 0; round < 48; round++) {
		const char *coordinate = coordinates[round % 6];
		bool crop = round % 6 == 5, by_size = crop || round % 6 == 3 || round / 6 % 2 == 0;
		int64_t height = pick(&seed, 1, 9), width = pick(&seed, 1, 20);
		const int64_t sizes[] = {pick(&seed, 1, 20), pick(&seed, 1, 40)};
		const float scales[] = {((float)sizes[0] + 0.3f) / (float)height, ((float)sizes[1] + 0.2f) / (float)width}, roi[] = {0.1f, -0.2f, 0.9f, 0.7f};
		static const int64_t axes[] = {2, -1};
		char shape[64];
		struct gyr_graph *graph = gyr_graph_create("resize", 19);
		snprintf(shape, sizeof shape, "f32[N,3,%lld,%lld]", (long long)height, (long long)width);
		const uint32_t inputs[] = {net_input(graph, shape), crop ? net_constant(graph, "f32[4]", roi) : GYR_VALUE_NONE,
					   by_size ? GYR_VALUE_NONE : net_constant(graph, "f32[2]", scales),
					   by_size ? net_constant(graph, "i64[2]", sizes) : GYR_VALUE_NONE};
		const struct gyr_attribute attributes[] = {
			text("mode", round / 12 % 2 == 0 ? "linear" : "cubic"),
			text("coordinate_transformation_mode", coordinate),
			{.name = "axes", .type = GYR_ATTRIBUTE_INTS, .integers = {2, axes}},
			{.name = "exclude_outside", .type = GYR_ATTRIBUTE_INT, .integer = round % 2},
			{.name = "antialias", .type = GYR_ATTRIBUTE_INT, .integer = round / 24},
			{.name = "extrapolation_value", .type = GYR_ATTRIBUTE_FLOAT, .number = -7},
		};
		net_finish(graph, add(graph, GYR_OP_RESIZE, 4, inputs, 6, attributes));
		struct gyr_plan *plan = net_plan(graph, 8, false);
		assert_int_equal(gyr_plan_batch_max(plan), 8);
		gyr_plan_destroy(plan);
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
}

/* Runs a plan of one input of f32 and checks its one output. */
static void check(struct gyr_graph *graph, uint32_t y, const float *x, const float *expected)
{
	net_finish(graph, y);
	for (int reference = 0; reference < 2; reference++) {
		struct gyr_plan *plan = net_plan(graph, 1, reference);
		size_t count;
		assert_true(gyr_shape_count(gyr_plan_output_shape(plan, 0), 1, &count));
		float *got = malloc(count * sizeof *got);
		void *scratch = aligned_alloc(64, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
		gyr_plan_run(plan, 1, (const void *[]){x}, (void *[]){got}, scratch);
		for (size_t i = 0; i < count; i++)
			if (!(fabsf(got[i] - expected[i]) <= 1e-5f))
				fail_msg("element %zu: got %.9g, expected %.9g", i, (double)got[i], (double)expected[i]);
		free(got);
		free(scratch);
		gyr_plan_destroy(plan);
	}
	gyr_graph_destroy(graph);
}

/* Halves, and each way to choose. */
static void test_nearest(void **state)
{
	static const struct {
		const char *nearest, *coordinate;
		float expected[6];
	} cases[] = {
		{"round_prefer_floor", "asymmetric", {1, 1, 2, 2, 3, 3}}, /* 0, 0.5, 1, 1.5, 2, 2.5 */
		{"round_prefer_ceil", "asymmetric", {1, 2, 2, 3, 3, 3}},
		{"floor", "half_pixel", {1, 1, 1, 2, 2, 3}}, /* -0.25, 0.25, 0.75, 1.25, 1.75, 2.25 */
		{"ceil", "half_pixel", {1, 2, 2, 3, 3, 3}},
	};
	static const float x[] = {1, 2, 3}, scale[] = {2};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_graph *graph = gyr_graph_create("nearest", 13);
		const uint32_t inputs[] = {net_input(graph, "f32[3]"), GYR_VALUE_NONE, net_constant(graph, "f32[1]", scale)};
		const struct gyr_attribute attributes[] = {text("nearest_mode", cases[i].nearest), text("coordinate_transformation_mode", cases[i].coordinate)};
		check(graph, add(graph, GYR_OP_RESIZE, 3, inputs, 2, attributes), x, cases[i].expected);
	}
}

/* The old operators: corners meet; a smaller result takes the element behind. */
static void test_old(void **state)
{
	static const float x[] = {1, 2, 3, 4}, scales[] = {1, 1, 2, 2}, half[] = {0.6f};
	static const float twice[] = {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}, linear[] = {1, 1.5f, 2, 2, 2, 2.5f, 3, 3, 3, 3.5f, 4, 4, 3, 3.5f, 4, 4};
	static const float smaller[] = {1, 3};
	for (int way = 0; way < 4; way++) {
		struct gyr_graph *graph = gyr_graph_create("upsample", way < 2 ? 7 : 9);
		const struct gyr_attribute attributes[] = {text("mode", way % 2 == 0 ? "nearest" : "linear"),
							   {.name = "scales", .type = GYR_ATTRIBUTE_FLOATS, .numbers = {4, scales}}};
		const uint32_t inputs[] = {net_input(graph, "f32[1,1,2,2]"), net_constant(graph, "f32[4]", scales)};
		check(graph, add(graph, GYR_OP_UPSAMPLE, way < 2 ? 1 : 2, inputs, way < 2 ? 2 : 1, attributes), x, way % 2 == 0 ? twice : linear);
	}
	struct gyr_graph *graph = gyr_graph_create("resize", 10);
	const uint32_t inputs[] = {net_input(graph, "f32[4]"), net_constant(graph, "f32[1]", half)};
	check(graph, add(graph, GYR_OP_RESIZE, 2, inputs, 0, NULL), x, smaller);
}

/* Every size of element, the last axis or another one. */
static void test_types(void **state)
{
	static const char *const types[] = {"u8", "i16", "i32", "i64"};
	static const float scales[] = {1, 2, 1.5f, 3};
	for (size_t i = 0; i < 4; i++) {
		char shape[32];
		struct gyr_graph *graph = gyr_graph_create("types", 13);
		snprintf(shape, sizeof shape, "%s[N,2,3,5]", types[i]);
		const uint32_t inputs[] = {net_input(graph, shape), GYR_VALUE_NONE, net_constant(graph, "f32[4]", scales)};
		uint32_t y = add(graph, GYR_OP_RESIZE, 3, inputs, 0, NULL);
		net_finish(graph, net_node(graph, GYR_OP_CAST, y, GYR_VALUE_NONE, GYR_VALUE_NONE, "to", GYR_DTYPE_F32));
		net_compare(graph, 1, 0);
		gyr_graph_destroy(graph);
	}
}

/* The rows of a batch may not become other rows. */
static void test_rows(void **state)
{
	static const float along[] = {2, 1}, within[] = {1, 2};
	for (int apart = 0; apart < 2; apart++) {
		struct gyr_graph *graph = gyr_graph_create("rows", 13);
		const uint32_t inputs[] = {net_input(graph, "f32[N,4]"), GYR_VALUE_NONE, net_constant(graph, "f32[2]", apart != 0 ? within : along)};
		net_finish(graph, add(graph, GYR_OP_RESIZE, 3, inputs, 0, NULL));
		struct gyr_plan *plan = net_plan(graph, 8, false);
		assert_int_equal(gyr_plan_batch_max(plan), apart != 0 ? 8 : 1);
		gyr_plan_destroy(plan);
		gyr_graph_destroy(graph);
	}
}

static void test_choose(void **state)
{
	static const float x[] = {1, 2, 3, 4, 5, 6}, scattered[] = {0, -0.0f, 5, 7, 0, 0};
	static const float columns[] = {2, 5}, all[] = {2, 6}, found[] = {2, 0};
	static const uint8_t second[] = {0, 1}, flat[] = {0, 1, 0, 0, 0, 1};
	struct gyr_graph *graph = gyr_graph_create("compress", 13);
	uint32_t input = net_input(graph, "f32[2,3]"), condition = net_constant(graph, "bool[2]", second);
	check(graph, net_node(graph, GYR_OP_COMPRESS, input, condition, GYR_VALUE_NONE, "axis", -1), x, columns);
	graph = gyr_graph_create("compress", 13);
	input = net_input(graph, "f32[2,3]");
	check(graph, net_op2(graph, GYR_OP_COMPRESS, input, net_constant(graph, "bool[6]", flat)), x, all);
	/* NonZero of a constant, places [0, 2] and [1, 0]: Gather finds the columns. */
	graph = gyr_graph_create("nonzero", 13);
	input = net_input(graph, "f32[3]");
	uint32_t places = net_op1(graph, GYR_OP_NON_ZERO, net_constant(graph, "f32[2,3]", scattered));
	uint32_t from = net_constant(graph, "i64[1]", (int64_t[]){1}), to = net_constant(graph, "i64[1]", (int64_t[]){2});
	uint32_t column = net_node(graph, GYR_OP_SLICE, places, from, to, NULL, 0);
	const uint32_t gather[] = {input, column};
	check(graph, add(graph, GYR_OP_GATHER, 2, gather, 0, NULL), (float[]){0, 1, 2}, found);
}

/* Rows change places, a column of nothing, and 512 rows at most. */
static void test_det(void **state)
{
	static const float x[] = {0, 2, 3, 4, 1, 2, 2, 4, 7, 0, 5, 0}, expected[] = {-6, 0, 0};
	struct gyr_graph *graph = gyr_graph_create("det", 13);
	uint32_t input = net_input(graph, "f32[3,2,2]");
	check(graph, net_op1(graph, GYR_OP_DET, input), x, expected);
	for (int apart = 0; apart < 2; apart++) {
		graph = gyr_graph_create("det", 13);
		input = net_input(graph, apart != 0 ? "f32[N,9,9]" : "f32[N,1]");
		net_finish(graph, net_op1(graph, GYR_OP_DET, input));
		struct gyr_plan *plan = net_plan(graph, 8, false);
		assert_int_equal(gyr_plan_batch_max(plan), apart != 0 ? 8 : 1);
		gyr_plan_destroy(plan);
		gyr_graph_destroy(graph);
	}
}

/* A refusal says why: at finish, or when the plan is made. */
static void refused(struct gyr_graph *graph, uint32_t y, const char *why)
{
	struct gyr_error error = {""};
	struct gyr_plan *plan = NULL;
	assert_int_equal(gyr_graph_add_output(graph, y, NULL), 0);
	int status = gyr_graph_finish(graph, &error);
	if (status == 0)
		status = gyr_plan_create(graph, &(struct gyr_plan_options){.batch_max = 1}, &plan, &error);
	assert_int_not_equal(status, 0);
	if (strstr(error.text, why) == NULL)
		fail_msg("'%s' says nothing of '%s'", error.text, why);
	gyr_graph_destroy(graph);
}

static void test_refusals(void **state)
{
	static const float scales[] = {1, 2}, none[] = {1, 0}, tiny[] = {1, 0.1f}, cut[] = {1, 1.5f};
	struct gyr_attribute linear[] = {text("mode", "linear"), text("coordinate_transformation_mode", "tf_crop_and_resize")};
	struct gyr_graph *graph = gyr_graph_create("integers", 13);
	uint32_t x = net_input(graph, "u8[2,3]"), s = net_constant(graph, "f32[2]", scales);
	refused(graph, add(graph, GYR_OP_RESIZE, 3, (uint32_t[]){x, GYR_VALUE_NONE, s}, 1, linear), "u8");
	graph = gyr_graph_create("both", 13);
	x = net_input(graph, "f32[2,3]");
	refused(graph, add(graph, GYR_OP_RESIZE, 1, &x, 0, NULL), "either scales or sizes");
	graph = gyr_graph_create("scale", 13);
	x = net_input(graph, "f32[2,3]");
	s = net_constant(graph, "f32[2]", none);
	refused(graph, add(graph, GYR_OP_RESIZE, 3, (uint32_t[]){x, GYR_VALUE_NONE, s}, 0, NULL), "a scale is 0");
	graph = gyr_graph_create("empty", 13);
	x = net_input(graph, "f32[2,3]");
	s = net_constant(graph, "f32[2]", tiny);
	refused(graph, add(graph, GYR_OP_RESIZE, 3, (uint32_t[]){x, GYR_VALUE_NONE, s}, 0, NULL), "empty");
	graph = gyr_graph_create("crop", 13);
	x = net_input(graph, "f32[2,3]");
	s = net_constant(graph, "f32[2]", scales);
	refused(graph, add(graph, GYR_OP_RESIZE, 3, (uint32_t[]){x, GYR_VALUE_NONE, s}, 2, linear), "roi");
	linear[1].string = "align_corners";
	graph = gyr_graph_create("corners", 13);
	x = net_input(graph, "f32[2,3]");
	s = net_constant(graph, "f32[2]", cut);
	refused(graph, add(graph, GYR_OP_RESIZE, 3, (uint32_t[]){x, GYR_VALUE_NONE, s}, 2, linear), "align_corners");
	graph = gyr_graph_create("runtime", 13);
	x = net_input(graph, "f32[2,3]");
	s = net_input(graph, "f32[2]");
	refused(graph, add(graph, GYR_OP_RESIZE, 3, (uint32_t[]){x, GYR_VALUE_NONE, s}, 0, NULL), "depends on the content of input 2");
	graph = gyr_graph_create("det", 13);
	x = net_input(graph, "f32[2,3]");
	refused(graph, net_op1(graph, GYR_OP_DET, x), "square");
	graph = gyr_graph_create("det", 13);
	x = net_input(graph, "f32[513,513]");
	refused(graph, net_op1(graph, GYR_OP_DET, x), "513 rows");
	graph = gyr_graph_create("nonzero", 13);
	x = net_input(graph, "f32[2,3]");
	refused(graph, net_op1(graph, GYR_OP_NON_ZERO, x), "depends on the content of input 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_between), cmocka_unit_test(test_nearest), cmocka_unit_test(test_old), cmocka_unit_test(test_types),
		cmocka_unit_test(test_rows),    cmocka_unit_test(test_choose),  cmocka_unit_test(test_det), cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
