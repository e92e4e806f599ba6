/*
 * Graphs: building, sorting, every refusal, and the shapes and types that each operator gives. The file is long because most of it is tables, of cases of one
 * node and of wrong graphs, which share the words that write them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sample.h"

#define NONE GYR_VALUE_NONE

/* One node, its inputs and what must come of it: a shape, or a refusal that says TEXT. An input that begins with '=' is a constant of zeros. */
struct node_case {
	enum gyr_op op;
	uint32_t opset;
	const char *inputs[3];
	struct gyr_attribute attributes[4];
	const char *result;
	const char *text;
};
#define INT(key, value) {.name = key, .type = GYR_ATTRIBUTE_INT, .integer = value}
#define FLOAT(key, value) {.name = key, .type = GYR_ATTRIBUTE_FLOAT, .number = value}
#define STRING(key, value) {.name = key, .type = GYR_ATTRIBUTE_STRING, .string = value}
#define INTS(key, ...)                                                                                                                                         \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_INTS, .integers = { sizeof((int64_t[]){__VA_ARGS__}) / 8, (const int64_t[]){__VA_ARGS__} }                  \
	}
#define FLOATS(key, ...)                                                                                                                                       \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_FLOATS, .numbers = { sizeof((float[]){__VA_ARGS__}) / 4, (const float[]){__VA_ARGS__} }                     \
	}
#define STRINGS(key, ...)                                                                                                                                      \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_STRINGS, .strings = { 1, (const char *const[]){__VA_ARGS__} }                                               \
	}

static void run_case(const struct node_case *one, size_t number)
{
	static const uint8_t zeros[4096];
	const char *domain = gyr_op_info(one->op)->domain;
	struct gyr_graph *graph = gyr_graph_create("case", domain == NULL ? one->opset : 17);
	struct gyr_error error = {""};
	graph->opset_ml = domain == NULL ? 0 : one->opset;
	uint32_t inputs[3] = {NONE, NONE, NONE};
	for (uint32_t i = 0; i < 3 && one->inputs[i] != NULL; i++) {
		char name[2] = {(char)('a' + i), 0};
		if (one->inputs[i][0] == '=') {
			inputs[i] = sample_constant(graph, name, one->inputs[i] + 1, zeros);
		} else {
			inputs[i] = sample_value(graph, name, one->inputs[i]);
			assert_int_equal(gyr_graph_add_input(graph, inputs[i], NULL), 0);
		}
	}
	uint32_t output = sample_value(graph, "y", NULL);
	struct gyr_node node = sample_node(one->op, inputs, &output);
	node.name = "n";
	node.attributes = one->attributes;
	while (node.attribute_count < 4 && one->attributes[node.attribute_count].name != NULL)
		node.attribute_count++;
	assert_int_equal(gyr_graph_add_output(graph, output, NULL), 0);
	int status = gyr_graph_add_node(graph, &node, &error);
	if (status == 0)
		status = gyr_graph_finish(graph, &error);
	if (one->result != NULL) {
		struct gyr_shape shape = sample_shape(one->result);
		char text[128];
		if (status != 0)
			fail_msg("case %zu: %s", number, error.text);
		if (!gyr_shape_equal(&graph->values[output].shape, &shape))
			fail_msg("case %zu: %s and not %s", number, gyr_shape_text(&graph->values[output].shape, text, sizeof text), one->result);
	} else {
		char prefix[64];
		snprintf(prefix, sizeof prefix, "node 'n' (%s%s%s, opset %u): ", domain != NULL ? domain : "", domain != NULL ? "." : "",
			 gyr_op_info(one->op)->name, one->opset);
		if (status != -EINVAL || strstr(error.text, one->text) == NULL || strncmp(error.text, prefix, strlen(prefix)) != 0)
			fail_msg("case %zu: status %d, '%s' does not say '%s'", number, status, error.text, one->text);
	}
	gyr_graph_destroy(graph);
}

static void run_cases(const struct node_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		run_case(&cases[i], i);
}
#define RUN(cases) run_cases(cases, sizeof(cases) / sizeof((cases)[0]))

static void elementwise(void **state)
{
	static const struct node_case cases[] = {
		{GYR_OP_ADD, 13, {"f32[N,4]", "=f32[4]"}, {}, "f32[N,4]", NULL},
		{GYR_OP_ADD, 13, {"f32[N,4]", "=f32[]"}, {}, "f32[N,4]", NULL},
		{GYR_OP_SUB, 13, {"=f32[1,1]", "f32[N,4]"}, {}, "f32[N,4]", NULL},
		{GYR_OP_MUL, 7, {"f32[N,4]", "f32[N,1]"}, {}, "f32[N,4]", NULL},
		{GYR_OP_DIV, 22, {"f32[3,1,5]", "f32[4,1]"}, {}, "f32[3,4,5]", NULL},
		{GYR_OP_ADD, 14, {"u8[N,4]", "=u8[4]"}, {}, "u8[N,4]", NULL},
		{GYR_OP_ADD, 13, {"u8[N,4]", "=u8[4]"}, {}, NULL, "does not take"},
		{GYR_OP_ADD, 12, {"bf16[N,4]", "=bf16[4]"}, {}, NULL, "does not take"},
		{GYR_OP_ADD, 13, {"bool[N,4]", "=bool[4]"}, {}, NULL, "does not take"},
		{GYR_OP_ADD, 13, {"f32[N,4]", "=f64[4]"}, {}, NULL, "is f64, and input 0 is f32"},
		{GYR_OP_ADD, 13, {"f32[N,4]", "=f32[3]"}, {}, NULL, "do not broadcast"},
		{GYR_OP_ADD, 13, {"f32[N,4]", "=f32[5,4]"}, {}, "f32[5,4]", NULL}, /* here and below: one row at a time */
		{GYR_OP_ADD, 13, {"f32[N,4]", "=f32[1,1,4]"}, {}, "f32[1,1,4]", NULL},
		{GYR_OP_ADD, 13, {"f32[N]", "=f32[3,1]"}, {}, "f32[3,1]", NULL},
		{GYR_OP_ADD, 13, {"f32[N,4]", "f32[N,1,4]"}, {}, "f32[1,1,4]", NULL},
		{GYR_OP_ADD, 13, {"f32[N,4]", "f32[2,4]"}, {}, "f32[2,4]", NULL},
		{GYR_OP_ADD, 13, {"f32[1073741824,1]", "f32[1,1073741824]"}, {}, NULL, "too many elements"},
		{GYR_OP_ADD, 13, {"f32[N,4]"}, {}, NULL, "1 inputs (2 to 2)"},
		{GYR_OP_ADD, 6, {"f32[N,4]", "=f32[4]"}, {}, NULL, "from opset 7 to 22"},
		{GYR_OP_ADD, 23, {"f32[N,4]", "=f32[4]"}, {}, NULL, "from opset 7 to 22"},
		{GYR_OP_ADD, 13, {"f32[N,4]", "=f32[4]"}, {INT("axis", 1)}, NULL, "'axis' is unknown"},
		{GYR_OP_RELU, 13, {"f32[N,4]"}, {}, "f32[N,4]", NULL},
		{GYR_OP_RELU, 13, {"i8[N,4]"}, {}, NULL, "does not take"},
		{GYR_OP_RELU, 14, {"i8[N,4]"}, {}, "i8[N,4]", NULL},
		{GYR_OP_RELU, 14, {"u8[N,4]"}, {}, NULL, "does not take"},
		{GYR_OP_SIGMOID, 9, {"f16[N]"}, {}, "f16[N]", NULL},
		{GYR_OP_TANH, 7, {"f32[]"}, {}, "f32[]", NULL},
		{GYR_OP_TANH, 7, {"i32[2]"}, {}, NULL, "does not take"},
		{GYR_OP_IDENTITY, 13, {"bool[N,2,2,2,2,2,2,2]"}, {}, "bool[N,2,2,2,2,2,2,2]", NULL},
	};
	RUN(cases);
}

static void cast(void **state)
{
	static const struct node_case cases[] = {
		{GYR_OP_CAST, 7, {"u8[N,4]"}, {INT("to", 1)}, "f32[N,4]", NULL},
		{GYR_OP_CAST, 13, {"f32[N,4]"}, {INT("to", 16)}, "bf16[N,4]", NULL},
		{GYR_OP_CAST, 12, {"f32[N,4]"}, {INT("to", 16)}, NULL, "'to' is 16"},
		{GYR_OP_CAST, 13, {"f32[N,4]"}, {INT("to", 8)}, NULL, "'to' is 8"},
		{GYR_OP_CAST, 13, {"f32[N,4]"}, {INT("to", -1)}, NULL, "'to' is -1"},
		{GYR_OP_CAST, 13, {"f32[N,4]"}, {INT("to", INT64_C(1) << 32 | 1)}, NULL, "'to' is 4294967297"},
		{GYR_OP_CAST, 13, {"f32[N,4]"}, {}, NULL, "'to' is missing"},
		{GYR_OP_CAST, 13, {"f32[N,4]"}, {FLOAT("to", 1)}, NULL, "must be an int"},
		{GYR_OP_CAST, 13, {"f32[N,4]"}, {INT("to", 1), INT("to", 1)}, NULL, "'to' is there twice"},
		{GYR_OP_CAST, 18, {"f32[N,4]"}, {INT("to", 1), INT("saturate", 1)}, NULL, "'saturate' is unknown"},
		{GYR_OP_CAST, 19, {"f32[N,4]"}, {INT("to", 1), INT("saturate", 1)}, "f32[N,4]", NULL},
		{GYR_OP_CAST, 19, {"f32[N,4]"}, {INT("to", 1), INT("saturate", 2)}, NULL, "(0 or 1)"},
	};
	RUN(cases);
}

static void flatten(void **state)
{
	static const struct node_case cases[] = {
		{GYR_OP_FLATTEN, 13, {"f32[N,1,28,28]"}, {}, "f32[N,784]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[N,1,28,28]"}, {INT("axis", 1)}, "f32[N,784]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[N,1,28,28]"}, {INT("axis", -3)}, "f32[N,784]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[N,1,28,28]"}, {INT("axis", 2)}, "f32[N,784]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[N]"}, {}, "f32[N,1]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[2,3,4]"}, {INT("axis", 2)}, "f32[6,4]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[2,3,4]"}, {INT("axis", 0)}, "f32[1,24]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[2,3,4]"}, {INT("axis", 3)}, "f32[24,1]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[N,3,4]"}, {INT("axis", 0)}, "f32[1,12]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[N,3,4]"}, {INT("axis", 2)}, "f32[3,4]", NULL},
		{GYR_OP_FLATTEN, 13, {"f32[2,3,4]"}, {INT("axis", 4)}, NULL, "axis 4 (-3 to 3)"},
		{GYR_OP_FLATTEN, 9, {"f32[2,3,4]"}, {INT("axis", -4)}, NULL, "axis -4 (-3 to 3)"},
		{GYR_OP_FLATTEN, 8, {"u8[N,3]"}, {}, NULL, "does not take"},
		{GYR_OP_FLATTEN, 9, {"u8[N,3]"}, {}, "u8[N,3]", NULL},
	};
	RUN(cases);
}

static void gemm(void **state)
{
	static const struct node_case cases[] = {
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]", "=f32[3]"}, {}, "f32[N,3]", NULL},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]"}, {}, "f32[N,3]", NULL},
		{GYR_OP_GEMM, 10, {"f32[N,4]", "=f32[4,3]"}, {}, NULL, "2 inputs (3 to 3)"},
		{GYR_OP_GEMM, 7, {"f32[N,4]", "=f32[3,4]", "=f32[]"}, {INT("transB", 1), FLOAT("alpha", .5f), FLOAT("beta", 2)}, "f32[N,3]", NULL},
		{GYR_OP_GEMM, 13, {"f32[4,2]", "=f32[4,3]", "=f32[2,1]"}, {INT("transA", 1)}, "f32[2,3]", NULL},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]", "f32[N,3]"}, {}, "f32[N,3]", NULL},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]", "f32[N,1]"}, {}, "f32[N,3]", NULL},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,1]", "=f32[3]"}, {}, NULL, "does not broadcast to the result"},
		{GYR_OP_GEMM, 13, {"f32[1,4]", "=f32[4,3]", "=f32[2,3]"}, {}, NULL, "does not broadcast to the result"},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]", "=f32[2,3]"}, {}, NULL, "does not broadcast to the result"},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]", "=f32[1,1,3]"}, {}, NULL, "rank 2 at most"},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[5,3]"}, {}, NULL, "A f32[1,4] does not fit B f32[5,3]"},
		{GYR_OP_GEMM, 13, {"f32[N,2,2]", "=f32[4,3]"}, {}, NULL, "rank 2 both"},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "f32[N,3]"}, {INT("transA", 1)}, "f32[4,3]", NULL},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "f32[N,4]"}, {INT("transB", 1)}, "f32[1,1]", NULL},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "f32[4,3]"}, {}, "f32[1,3]", NULL},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]"}, {INT("transB", 2)}, NULL, "(0 or 1)"},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]"}, {INT("alpha", 2)}, NULL, "must be a float"},
		{GYR_OP_GEMM, 13, {"f32[N,4]", "=f32[4,3]"}, {FLOAT("alpha", __builtin_nanf(""))}, NULL, "finite"},
		{GYR_OP_GEMM, 8, {"i32[N,4]", "=i32[4,3]", "=i32[3]"}, {}, NULL, "does not take"},
		{GYR_OP_GEMM, 9, {"i32[N,4]", "=i32[4,3]", "=i32[3]"}, {}, "i32[N,3]", NULL},
	};
	RUN(cases);
}

static void matmul(void **state)
{
	static const struct node_case cases[] = {
		{GYR_OP_MATMUL, 13, {"f32[N,4]", "=f32[4,3]"}, {}, "f32[N,3]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N,4]", "=f32[4]"}, {}, "f32[N]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[4]", "=f32[4]"}, {}, "f32[]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[4]", "=f32[2,4,3]"}, {}, "f32[2,3]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N,2,4]", "=f32[4,3]"}, {}, "f32[N,2,3]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N,2,4]", "f32[N,4,3]"}, {}, "f32[N,2,3]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N,5,2,4]", "=f32[5,4,3]"}, {}, "f32[N,5,2,3]", NULL},
		{GYR_OP_MATMUL, 13, {"=f32[2,4]", "f32[N,4,3]"}, {}, "f32[N,2,3]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N,4]", "=f32[5,3]"}, {}, NULL, "does not fit"},
		{GYR_OP_MATMUL, 13, {"f32[N,4]", "=f32[1,4,3]"}, {}, "f32[1,1,3]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N,2,4]", "=f32[5,4,3]"}, {}, "f32[5,2,3]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N]", "f32[N,4]"}, {}, "f32[4]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N,2,4]", "f32[4,3]"}, {}, "f32[1,2,3]", NULL},
		{GYR_OP_MATMUL, 13, {"f32[N]", "=f32[]"}, {}, NULL, "rank 1 or more"},
		{GYR_OP_MATMUL, 8, {"i32[N,4]", "=i32[4,3]"}, {}, NULL, "does not take"},
	};
	RUN(cases);
}

static void softmax(void **state)
{
	static const struct node_case cases[] = {
		{GYR_OP_SOFTMAX, 13, {"f32[N,4]"}, {}, "f32[N,4]", NULL},
		{GYR_OP_SOFTMAX, 13, {"f32[N,4]"}, {INT("axis", 1)}, "f32[N,4]", NULL},
		{GYR_OP_SOFTMAX, 12, {"f32[N,4]"}, {}, "f32[N,4]", NULL},
		{GYR_OP_SOFTMAX, 12, {"f32[N,3,4]"}, {INT("axis", -2)}, "f32[N,3,4]", NULL},
		{GYR_OP_SOFTMAX, 10, {"f32[N,3,4]"}, {INT("axis", -4)}, NULL, "axis -4 (-3 to 2)"},
		{GYR_OP_SOFTMAX, 13, {"f32[N,4]"}, {INT("axis", 0)}, "f32[1,4]", NULL},
		{GYR_OP_SOFTMAX, 13, {"f32[N]"}, {}, "f32[1]", NULL},
		{GYR_OP_SOFTMAX, 12, {"f32[N,4]"}, {INT("axis", -2)}, "f32[1,4]", NULL},
		{GYR_OP_SOFTMAX, 13, {"f32[3,4]"}, {INT("axis", 0)}, "f32[3,4]", NULL},
		{GYR_OP_SOFTMAX, 13, {"f32[3,4]"}, {INT("axis", 2)}, NULL, "axis 2 (-2 to 1)"},
		{GYR_OP_SOFTMAX, 12, {"f32[3]"}, {}, NULL, "axis 1 (-1 to 0)"},
		{GYR_OP_SOFTMAX, 13, {"f32[]"}, {}, NULL, "scalar"},
	};
	RUN(cases);
}

/* Reshape of INPUT to the dimensions of TARGET gives RESULT, or is refused with TEXT. */
static void expect_reshape(const char *input, const char *target, int64_t allow_zero, const char *result, const char *text)
{
	struct gyr_graph *graph = gyr_graph_create("reshape", 14);
	struct gyr_error error = {""};
	struct gyr_shape dims = sample_shape(target), vector = {GYR_DTYPE_I64, 1, {dims.rank}};
	uint32_t inputs[3] = {sample_value(graph, "x", input), 0, NONE}, output = sample_value(graph, "y", NULL);
	assert_int_equal(gyr_graph_add_value(graph, "shape", &vector, dims.dims, true, &inputs[1], NULL), 0);
	struct gyr_node node = sample_node(GYR_OP_RESHAPE, inputs, &output);
	const struct gyr_attribute attribute = INT("allowzero", allow_zero);
	node.attributes = &attribute;
	node.attribute_count = 1;
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	assert_int_equal(gyr_graph_add_input(graph, inputs[0], NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, output, NULL), 0);
	int status = gyr_graph_finish(graph, &error);
	if (result != NULL) {
		struct gyr_shape shape = sample_shape(result);
		if (status != 0)
			fail_msg("%s to %s: %s", input, target, error.text);
		assert_true(gyr_shape_equal(&graph->values[output].shape, &shape));
	} else if (status != -EINVAL || strstr(error.text, text) == NULL) {
		fail_msg("%s to %s: status %d, '%s' does not say '%s'", input, target, status, error.text, text);
	}
	gyr_graph_destroy(graph);
}

static void reshape(void **state)
{
	expect_reshape("f32[N,1,28,28]", "i64[-1,784]", 0, "f32[N,784]", NULL);
	expect_reshape("f32[N,1,28,28]", "i64[0,784]", 0, "f32[N,784]", NULL);
	expect_reshape("f32[N,1,28,28]", "i64[0,-1]", 0, "f32[N,784]", NULL);
	expect_reshape("f32[N,784]", "i64[-1,1,28,28]", 0, "f32[N,1,28,28]", NULL);
	expect_reshape("f32[N,1]", "i64[-1]", 0, "f32[N]", NULL);
	expect_reshape("f32[N,6]", "i64[0,2,-1]", 0, "f32[N,2,3]", NULL);
	expect_reshape("f32[2,3,4]", "i64[0,-1]", 0, "f32[2,12]", NULL);
	expect_reshape("f32[2,3,4]", "i64[4,0,2]", 0, "f32[4,3,2]", NULL);
	expect_reshape("f32[1,1]", "i64[]", 0, "f32[]", NULL);
	expect_reshape("f32[N,784]", "i64[1,784]", 0, "f32[1,784]", NULL);
	expect_reshape("f32[N,784]", "i64[784,-1]", 0, "f32[784,1]", NULL);
	expect_reshape("f32[N,4]", "i64[-1,2]", 0, "f32[2,2]", NULL);
	expect_reshape("f32[N,4]", "i64[0,3,-1]", 0, NULL, "does not divide");
	expect_reshape("f32[N,4]", "i64[-1,-1]", 0, NULL, "two dimensions of -1");
	expect_reshape("f32[N,4]", "i64[0,-2]", 0, NULL, "dimension of -2");
	expect_reshape("f32[N,4]", "i64[0,2,0]", 0, NULL, "the input has none");
	expect_reshape("f32[N,4]", "i64[-1,0]", 1, NULL, "does not divide");
	expect_reshape("f32[6]", "i64[-1,0]", 1, NULL, "does not divide");
	expect_reshape("f32[2,3]", "i64[7]", 0, NULL, "holds 7 elements");
	expect_reshape("f32[2,3]", "i64[4611686018427387904,4]", 0, NULL, "too many");
	expect_reshape("f32[2,3]", "i64[6]", 2, NULL, "(0 or 1)");

	static const struct node_case cases[] = {
		{GYR_OP_RESHAPE, 14, {"f32[2,3]", "=i32[2]"}, {}, NULL, "does not take"},
		{GYR_OP_RESHAPE, 14, {"f32[2,3]", "=i64[1,2]"}, {}, NULL, "no i64 vector"},
		{GYR_OP_RESHAPE, 14, {"f32[2,3]", "=i64[9]"}, {}, NULL, "at most 8"},
		{GYR_OP_RESHAPE, 13, {"f32[2,3]", "=i64[2]"}, {INT("allowzero", 1)}, NULL, "unknown"},
		{GYR_OP_RESHAPE, 13, {"f32[2,3]", "=i64[2]"}, {}, "f32[2,3]", NULL},
	};
	RUN(cases);
}

/* A chain of COUNT Identity nodes, added last first. */
static struct gyr_graph *chain(uint32_t count)
{
	struct gyr_graph *graph = gyr_graph_create("chain", 13);
	char name[16];
	for (uint32_t i = 0; i <= count; i++) {
		snprintf(name, sizeof name, "v%u", i);
		assert_int_equal(sample_value(graph, name, i == 0 ? "f32[N,2]" : NULL), i);
	}
	for (uint32_t i = count; i > 0; i--) {
		uint32_t inputs[3] = {i - 1, NONE, NONE};
		struct gyr_node node = sample_node(GYR_OP_IDENTITY, inputs, &i);
		assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	}
	assert_int_equal(gyr_graph_add_input(graph, 0, NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, count, NULL), 0);
	return graph;
}

static void sorting(void **state)
{
	struct gyr_graph *graph = chain(60000);
	assert_int_equal(gyr_graph_finish(graph, NULL), 0);
	assert_true(graph->finished);
	for (uint32_t i = 0; i < graph->node_count; i++)
		assert_int_equal(graph->nodes[i].outputs[0], i + 1);
	assert_int_equal(gyr_graph_find(graph, "v31415"), 31415);
	assert_int_equal(gyr_graph_find(graph, "v60001"), NONE);
	gyr_graph_destroy(graph);

	/* An order that is right stays. */
	graph = gyr_graph_create("diamond", 13);
	uint32_t x = sample_value(graph, "x", "f32[N,2]"), a = sample_value(graph, "a", NULL), b = sample_value(graph, "b", NULL),
		 y = sample_value(graph, "y", NULL);
	struct gyr_node to_b = sample_node(GYR_OP_TANH, (uint32_t[3]){x, NONE, NONE}, &b), to_a = sample_node(GYR_OP_RELU, (uint32_t[3]){x, NONE, NONE}, &a);
	struct gyr_node to_y = sample_node(GYR_OP_ADD, (uint32_t[3]){a, b, NONE}, &y);
	assert_int_equal(gyr_graph_add_node(graph, &to_b, NULL), 0);
	assert_int_equal(gyr_graph_add_node(graph, &to_a, NULL), 0);
	assert_int_equal(gyr_graph_add_node(graph, &to_y, NULL), 0);
	assert_int_equal(gyr_graph_add_input(graph, x, NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, y, NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, NULL), 0);
	assert_int_equal(graph->nodes[0].op, GYR_OP_TANH);
	assert_int_equal(graph->nodes[1].op, GYR_OP_RELU);
	assert_int_equal(graph->nodes[2].op, GYR_OP_ADD);
	gyr_graph_destroy(graph);
}

/* Finishing GRAPH is refused with TEXT. Destroys it. */
static void expect_unfinished(struct gyr_graph *graph, const char *text)
{
	struct gyr_error error = {""};
	int status = gyr_graph_finish(graph, &error);
	if (status != -EINVAL || strstr(error.text, text) == NULL)
		fail_msg("status %d, '%s' does not say '%s'", status, error.text, text);
	assert_false(graph->finished);
	gyr_graph_destroy(graph);
}

/* A domain whose opsets are counted apart. */
static void ml(void **state)
{
	const struct node_case cases[] = {
		{GYR_OP_SCALER, 1, {"f32[N,2]"}, {FLOATS("scale", 1, 2), FLOATS("offset", 0, 1)}, "f32[N,2]", NULL},
		{GYR_OP_SCALER, 5, {"i64[N,2]"}, {FLOATS("scale", 1), FLOATS("offset", 0)}, "f32[N,2]", NULL},
		{GYR_OP_SCALER, 6, {"f32[N,2]"}, {FLOATS("scale", 1), FLOATS("offset", 0)}, NULL, "from opset 1 to 5"},
		{GYR_OP_SCALER, 0, {"f32[N,2]"}, {FLOATS("scale", 1), FLOATS("offset", 0)}, NULL, "from opset 1 to 5"},
		{GYR_OP_SCALER, 1, {"f32[N,2]"}, {FLOATS("scale", 1, 2), FLOATS("offset", 0)}, NULL, "2 scales and 1 offsets"},
		{GYR_OP_SCALER, 1, {"f32[N,2]"}, {FLOATS("scale", 1, 2, 3), FLOATS("offset", 0, 1, 2)}, NULL, "'scale' has 3 numbers"},
		{GYR_OP_SCALER, 1, {"f32[N,3,2]"}, {FLOATS("scale", 1, 2), FLOATS("offset", 0, 1)}, NULL, "'scale' has 2 numbers"},
		{GYR_OP_SCALER, 1, {"u8[N,2]"}, {FLOATS("scale", 1), FLOATS("offset", 0)}, NULL, "does not take"},
		{GYR_OP_NORMALIZER, 1, {"f64[N,2]"}, {STRING("norm", "L1")}, "f32[N,2]", NULL},
		{GYR_OP_NORMALIZER, 1, {"f64[N,2]"}, {STRING("norm", "L3")}, NULL, "norm is none of"},
		{GYR_OP_NORMALIZER, 1, {"f64[N,2,2]"}, {STRING("norm", "L1")}, NULL, "rows of features"},
		{GYR_OP_BINARIZER, 1, {"i32[N,2,2]"}, {FLOAT("threshold", 1)}, "i32[N,2,2]", NULL},
		{GYR_OP_IMPUTER, 1, {"f32[N,2]"}, {FLOATS("imputed_value_floats", 1, 2), FLOAT("replaced_value_float", __builtin_nanf(""))}, "f32[N,2]", NULL},
		{GYR_OP_IMPUTER, 1, {"f32[N,2]"}, {INTS("imputed_value_int64s", 1)}, NULL, "needs 'imputed_value_floats'"},
		{GYR_OP_IMPUTER, 1, {"i32[N,2]"}, {INTS("imputed_value_int64s", 1, INT64_C(1) << 31)}, NULL, "is no i32"},
		{GYR_OP_IMPUTER, 1, {"i64[N,2]"}, {INTS("imputed_value_int64s", 1, 2, 3)}, NULL, "has 3 numbers"},
		{GYR_OP_FEATURE_VECTORIZER, 1, {"f32[N,2]", "f32[N,3]"}, {INTS("inputdimensions", 2, 3)}, "f32[N,5]", NULL},
		{GYR_OP_FEATURE_VECTORIZER, 1, {"f32[N,2]", "f32[N,3]"}, {INTS("inputdimensions", 2, 4)}, NULL, "input 1 is f32[1,3]"},
		{GYR_OP_FEATURE_VECTORIZER, 1, {"f32[N,2]", "f32[N,3]"}, {INTS("inputdimensions", 2)}, NULL, "1 numbers for 2 inputs"},
		{GYR_OP_ARRAY_FEATURE_EXTRACTOR, 1, {"f64[N,2]", "=i64[3]"}, {}, "f64[N,3]", NULL},
		{GYR_OP_ARRAY_FEATURE_EXTRACTOR, 1, {"f32[7]", "=i64[3]"}, {}, "f32[1,3]", NULL},
		{GYR_OP_ARRAY_FEATURE_EXTRACTOR, 1, {"f32[7,0]", "=i64[3]"}, {}, NULL, "index 0 of 0"},
		{GYR_OP_LINEAR_REGRESSOR, 1, {"f32[N,2]"}, {FLOATS("coefficients", 1, 2, 3, 4), INT("targets", 2)}, "f32[N,2]", NULL},
		{GYR_OP_LINEAR_REGRESSOR, 1, {"f32[N,2]"}, {FLOATS("coefficients", 1, 2, 3, 4)}, NULL, "2 rows of coefficients for 1 targets"},
		{GYR_OP_LINEAR_REGRESSOR, 1, {"f32[N,2]"}, {FLOATS("coefficients", 1, 2, 3)}, NULL, "3 coefficients for 2 features"},
		{GYR_OP_LINEAR_REGRESSOR, 1, {"f32[N,0]"}, {FLOATS("coefficients", 1, 2, 3)}, NULL, "3 coefficients for 0 features"},
		{GYR_OP_LINEAR_REGRESSOR, 1, {"f32[N,2]"}, {FLOATS("coefficients", 1, 2), STRING("post_transform", "SOFTMAX")}, NULL, "over classes"},
		{GYR_OP_LINEAR_REGRESSOR, 1, {"f32[N,2]"}, {FLOATS("coefficients", 1, 2), STRING("post_transform", "TANH")}, NULL, "none of ONNX's"},
		{GYR_OP_LINEAR_CLASSIFIER, 1, {"f32[N,2]"}, {FLOATS("coefficients", 1, 2), INTS("classlabels_ints", 4, 5)}, "i64[N]", NULL},
		{GYR_OP_LINEAR_CLASSIFIER, 1, {"f32[N,2]"}, {FLOATS("coefficients", 1, 2), INTS("classlabels_ints", 4)}, NULL, "1 labels for 1 rows"},
		{GYR_OP_LINEAR_CLASSIFIER,
		 1,
		 {"f32[N,2]"},
		 {FLOATS("coefficients", 1, 2), STRINGS("classlabels_strings", "a")},
		 NULL,
		 "attribute 'classlabels_strings': strings, which Gyr does not take"},
		{GYR_OP_LINEAR_CLASSIFIER,
		 1,
		 {"f32[N,2]"},
		 {FLOATS("coefficients", 1, 2), FLOATS("intercepts", 1, 2), INTS("classlabels_ints", 4, 5)},
		 NULL,
		 "2 intercepts for 1 rows"},
		{GYR_OP_LABEL_ENCODER, 2, {"f32[N,2]"}, {FLOATS("keys_floats", 1, 2), INTS("values_int64s", 4, 5)}, "i64[N,2]", NULL},
		{GYR_OP_LABEL_ENCODER, 2, {"i64[N,2]"}, {FLOATS("keys_floats", 1, 2), INTS("values_int64s", 4, 5)}, NULL, "keys of f32, and an input of i64"},
		{GYR_OP_LABEL_ENCODER, 2, {"i64[N,2]"}, {INTS("keys_int64s", 1, 2), INTS("values_int64s", 4)}, NULL, "as many values"},
		{GYR_OP_LABEL_ENCODER, 2, {"i64[N,2]"}, {INTS("keys_int64s", 1), STRINGS("values_strings", "a")}, NULL, "'values_strings': strings"},
		{GYR_OP_LABEL_ENCODER, 1, {"i64[N,2]"}, {STRINGS("classes_strings", "a")}, NULL, "'classes_strings': strings"},
	};
	RUN(cases);
}

static void wrong_graphs(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("empty", 13);
	expect_unfinished(graph, "no input");

	graph = gyr_graph_create("no output", 13);
	assert_int_equal(gyr_graph_add_input(graph, sample_value(graph, "x", "f32[N]"), NULL), 0);
	expect_unfinished(graph, "no output");

	graph = chain(3);
	graph->opset = 23;
	expect_unfinished(graph, "opset 23 (7 to 22)");

	graph = chain(3);
	graph->opset_ml = 6;
	expect_unfinished(graph, "opset 6 of ai.onnx.ml (1 to 5)");

	graph = chain(3);
	sample_value(graph, "lost", "f32[2]");
	expect_unfinished(graph, "'lost' is neither");

	graph = chain(3); /* v4 = v5 + v3, v5 = v4 */
	uint32_t v4 = sample_value(graph, "v4", NULL), v5 = sample_value(graph, "v5", NULL);
	struct gyr_node node = sample_node(GYR_OP_ADD, (uint32_t[3]){v5, 3, NONE}, &v4);
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	node = sample_node(GYR_OP_RELU, (uint32_t[3]){v4, NONE, NONE}, &v5);
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	expect_unfinished(graph, "a cycle");

	graph = chain(3); /* a node that feeds itself */
	v4 = sample_value(graph, "v4", NULL);
	node = sample_node(GYR_OP_ADD, (uint32_t[3]){3, v4, NONE}, &v4);
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	expect_unfinished(graph, "the node that makes 'v4' (Add, opset 13): it needs its own result, by way of 'v4' (a cycle)");

	graph = chain(3);
	node = sample_node(GYR_OP_RELU, (uint32_t[3]){0, NONE, NONE}, &(uint32_t){2});
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	expect_unfinished(graph, "'v2' is another node's too");

	graph = chain(3);
	node = sample_node(GYR_OP_RELU, (uint32_t[3]){1, NONE, NONE}, &(uint32_t){0});
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	expect_unfinished(graph, "'v0' is an input or a constant already");

	graph = chain(3);
	assert_int_equal(gyr_graph_add_output(graph, 0, NULL), 0);
	expect_unfinished(graph, "output 'v0' is not the result of a node");

	graph = chain(3);
	assert_int_equal(gyr_graph_add_input(graph, sample_value(graph, "other", "f32[3]"), NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, NULL), 0); /* one row at a time */
	assert_int_equal(graph->values[0].shape.dims[0], 1);
	assert_int_equal(graph->values[3].shape.dims[0], 1);
	gyr_graph_destroy(graph);

	graph = chain(3);
	uint32_t fixed = sample_value(graph, "fixed", NULL);
	node = sample_node(GYR_OP_RELU, (uint32_t[3]){sample_constant(graph, "c", "f32[2]", (float[2]){1, 2}), NONE, NONE}, &fixed);
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, fixed, NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, NULL), 0);
	assert_int_equal(graph->values[0].shape.dims[0], 1);
	gyr_graph_destroy(graph);

	graph = chain(3);
	uint32_t said = sample_value(graph, "said", "f32[N,3]");
	node = sample_node(GYR_OP_RELU, (uint32_t[3]){3, NONE, NONE}, &said);
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	expect_unfinished(graph, "'said' is said to be f32[N,3] and is f32[N,2]");
}

static void wrong_values(void **state)
{
	static const float data[4];
	static char over[GYR_GRAPH_NAME_MAX + 2];
	memset(over, 'n', sizeof over - 1);
	const char *const no_names[] = {"",     "a\nb",     "a\x7f", "\x80", "\xc0\xaf", "\xc2\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
					"\xf5", "\xe2\x82", over};
	const char *const names[] = {"a b", "\xc2\xa0", "\xe2\x82\xac", "\xf0\x9f\x99\x82", over + 1};
	struct gyr_graph *graph = gyr_graph_create("values\nof a graph", 13);
	struct gyr_error error;
	uint32_t index;
	assert_string_equal(graph->name, "values");
	for (size_t i = 0; i < sizeof no_names / sizeof no_names[0]; i++)
		assert_int_equal(gyr_graph_add_value(graph, no_names[i], NULL, NULL, false, &index, &error), -EINVAL);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(gyr_graph_add_value(graph, names[i], NULL, NULL, false, &index, &error), 0);
	assert_int_equal(gyr_graph_add_value(graph, names[0], NULL, NULL, false, &index, &error), -EEXIST);
	assert_string_equal(error.text, "value 'a b' is there twice");

	const struct {
		struct gyr_shape shape;
		bool constant;
		int status;
	} shapes[] = {
		{{GYR_DTYPE_F32, 9, {1}}, false, -EINVAL},
		{{(enum gyr_dtype)8, 1, {1}}, false, -EINVAL},
		{{(enum gyr_dtype) - 1, 1, {1}}, false, -EINVAL},
		{{GYR_DTYPE_F32, 2, {-2, 1}}, false, -EINVAL},
		{{GYR_DTYPE_F32, 2, {1, -1}}, false, -EINVAL},
		{{GYR_DTYPE_F32, 2, {-1, 1}}, true, -EINVAL},
		{{GYR_DTYPE_F32, 2, {1, 0}}, false, 0},
		{{GYR_DTYPE_F32, 2, {INT64_MAX, 4}}, false, -EINVAL},
		{{GYR_DTYPE_F32, 2, {INT64_C(1) << 31, 2}}, false, -EINVAL},
		{{GYR_DTYPE_I64, 1, {0}}, true, 0},
		{{GYR_DTYPE_F32, 2, {-1, 4}}, false, 0},
	};
	for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		char name[8];
		snprintf(name, sizeof name, "s%u", i);
		assert_int_equal(gyr_graph_add_value(graph, name, &shapes[i].shape, shapes[i].constant ? data : NULL, true, &index, &error), shapes[i].status);
	}
	gyr_graph_destroy(graph);

	graph = gyr_graph_create("full", 13);
	for (uint32_t i = 0; i < GYR_GRAPH_VALUES_MAX; i++) {
		char name[8];
		snprintf(name, sizeof name, "v%u", i);
		assert_int_equal(sample_value(graph, name, "f32[]"), i);
	}
	assert_int_equal(gyr_graph_add_value(graph, "more", NULL, NULL, false, &index, &error), -E2BIG);
	for (uint32_t i = 0; i < GYR_GRAPH_ENDS_MAX; i++)
		assert_int_equal(gyr_graph_add_input(graph, i, NULL), 0);
	assert_int_equal(gyr_graph_add_input(graph, GYR_GRAPH_ENDS_MAX, NULL), -E2BIG);
	struct gyr_node node = sample_node(GYR_OP_RELU, (uint32_t[3]){0, NONE, NONE}, &(uint32_t){100});
	for (uint32_t i = 0; i < GYR_GRAPH_NODES_MAX; i++)
		assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), -E2BIG);
	gyr_graph_destroy(graph);
	gyr_graph_destroy(NULL);
}

static void wrong_ends_and_nodes(void **state)
{
	struct gyr_graph *graph = chain(3);
	struct gyr_error error;
	uint32_t constant = sample_constant(graph, "c", "f32[]", &(float){1}), open = sample_value(graph, "open", NULL);
	assert_int_equal(gyr_graph_add_input(graph, 0, &error), -EINVAL);
	assert_string_equal(error.text, "value 'v0' is input twice");
	assert_int_equal(gyr_graph_add_output(graph, 3, &error), -EINVAL);
	assert_int_equal(gyr_graph_add_input(graph, constant, &error), -EINVAL);
	assert_int_equal(gyr_graph_add_input(graph, open, &error), -EINVAL);
	assert_int_equal(gyr_graph_add_input(graph, 99, &error), -EINVAL);
	assert_int_equal(gyr_graph_add_output(graph, 99, &error), -EINVAL);

	struct gyr_node node = sample_node(GYR_OP_RELU, (uint32_t[3]){0, NONE, NONE}, &open);
	node.name = "bad\tname";
	assert_int_equal(gyr_graph_add_node(graph, &node, &error), -EINVAL);
	node.name = NULL;
	node.output_count = 2;
	assert_int_equal(gyr_graph_add_node(graph, &node, &error), -EINVAL);
	node.output_count = 0;
	assert_int_equal(gyr_graph_add_node(graph, &node, &error), -EINVAL);
	node.output_count = 1;
	node.outputs = &(uint32_t){99};
	assert_int_equal(gyr_graph_add_node(graph, &node, &error), -EINVAL);
	node.outputs = &open;
	node.inputs = &(uint32_t){NONE};
	assert_int_equal(gyr_graph_add_node(graph, &node, &error), -EINVAL);
	gyr_graph_destroy(graph);
}

static void signatures(void **state)
{
	struct gyr_graph *one = chain(3), *other = chain(3), *longer = chain(4), *two = chain(3);
	struct gyr_error error;
	assert_int_equal(gyr_graph_add_output(two, 2, NULL), 0);
	assert_int_equal(gyr_graph_finish(one, NULL), 0);
	assert_int_equal(gyr_graph_finish(other, NULL), 0);
	assert_int_equal(gyr_graph_finish(longer, NULL), 0);
	assert_int_equal(gyr_graph_finish(two, NULL), 0);
	assert_true(gyr_graph_same_signature(one, other, &error));
	assert_false(gyr_graph_same_signature(one, longer, &error));
	assert_string_equal(error.text, "output 0 is 'v3' f32[N,2] and 'v4' f32[N,2]");
	assert_false(gyr_graph_same_signature(one, two, &error));
	assert_string_equal(error.text, "1 and 2 outputs");
	gyr_graph_destroy(one);
	gyr_graph_destroy(other);
	gyr_graph_destroy(longer);
	gyr_graph_destroy(two);
}

static void attributes(void **state)
{
	struct gyr_graph *graph = sample_net();
	const struct gyr_node *cast_node = &graph->nodes[0], *gemm_node = &graph->nodes[2];
	assert_non_null(gyr_node_attribute(cast_node, "to"));
	assert_null(gyr_node_attribute(cast_node, "axis"));
	assert_int_equal(gyr_node_integer(cast_node, "to", 7), GYR_DTYPE_F32);
	assert_int_equal(gyr_node_integer(gemm_node, "transA", 7), 7);
	assert_true(gyr_node_number(gemm_node, "alpha", 1.5f) == 1.5f);
	gyr_graph_destroy(graph);
}

static void operator_table(void **state)
{
	assert_int_equal(gyr_op_from_name("Gemm"), GYR_OP_GEMM);
	assert_int_equal(gyr_op_from_name("gemm"), GYR_OP_NONE);
	assert_int_equal(gyr_op_from_name("NoSuchOperator"), GYR_OP_NONE);
	assert_int_equal(gyr_op_find("ai.onnx.ml", "Gemm"), GYR_OP_NONE);
	assert_int_equal(gyr_op_find("ai.onnx.ml", "Scaler"), GYR_OP_SCALER);
	assert_int_equal(gyr_op_from_name("Scaler"), GYR_OP_NONE);
	for (int op = GYR_OP_NONE + 1; op < GYR_OP_COUNT; op++) {
		const struct gyr_op_info *info = gyr_op_info((enum gyr_op)op);
		assert_int_equal(gyr_op_find(info->domain, info->name), op);
		assert_false(gyr_op_takes((enum gyr_op)op, 22, (enum gyr_dtype)8));
		assert_false(gyr_op_takes((enum gyr_op)op, 22, (enum gyr_dtype)99));
	}
	assert_true(gyr_op_takes(GYR_OP_TANH, 13, GYR_DTYPE_BF16));
	assert_false(gyr_op_takes(GYR_OP_TANH, 12, GYR_DTYPE_BF16));

	/* Every row is whole, and those of one operator are neighbours that leave no opset between them out. */
	const struct gyr_op_info *row, *before = NULL;
	for (uint32_t i = 0; (row = gyr_op_row(i)) != NULL; before = row, i++) {
		assert_true(row->op > GYR_OP_NONE && row->op < GYR_OP_COUNT);
		uint32_t first = row->domain == NULL ? GYR_OPSET_MIN : GYR_OPSET_ML_MIN, last = row->domain == NULL ? GYR_OPSET_MAX : GYR_OPSET_ML_MAX;
		assert_true(row->domain == NULL || strcmp(row->domain, GYR_DOMAIN_ML) == 0);
		assert_true(row->opset_min >= first && row->opset_min <= row->opset_max && row->opset_max <= last);
		assert_true(row->input_min <= row->input_max && row->input_max <= GYR_NODE_ENDS_MAX);
		assert_true(row->output_max >= 1 && row->output_max <= GYR_NODE_ENDS_MAX);
		assert_non_null(row->infer);
		assert_true(row->input_max == 0 || row->inputs[0] != 0);
		assert_ptr_equal(gyr_op_at(row->op, row->opset_min), row);
		assert_ptr_equal(gyr_op_at(row->op, row->opset_max), row);
		if (before != NULL && before->op == row->op)
			assert_int_equal(row->opset_min, before->opset_max + 1);
		else
			assert_null(gyr_op_at(row->op, row->opset_min - 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elementwise), cmocka_unit_test(cast),         cmocka_unit_test(flatten),        cmocka_unit_test(gemm),
		cmocka_unit_test(matmul),      cmocka_unit_test(softmax),      cmocka_unit_test(reshape),        cmocka_unit_test(sorting),
		cmocka_unit_test(ml),          cmocka_unit_test(wrong_graphs), cmocka_unit_test(wrong_values),   cmocka_unit_test(wrong_ends_and_nodes),
		cmocka_unit_test(signatures),  cmocka_unit_test(attributes),   cmocka_unit_test(operator_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
