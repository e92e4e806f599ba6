#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct gyr_shape sample_shape(const char *text)
{
	struct gyr_shape shape = {0};
	char type[8] = {0};
	const char *bracket = strchr(text, '[');
	assert_non_null(bracket);
	memcpy(type, text, (size_t)(bracket - text));
	shape.dtype = gyr_dtype_from_name(type);
	const char *at = bracket + 1;
	while (*at != ']') {
		char *end = (char *)(uintptr_t)at + 1;
		shape.dims[shape.rank++] = *at == 'N' ? GYR_DIM_BATCH : strtoll(at, &end, 10);
		at = *end == ',' ? end + 1 : end;
	}
	return shape;
}

uint32_t sample_value(struct gyr_graph *graph, const char *name, const char *shape)
{
	uint32_t index;
	struct gyr_shape parsed;
	if (shape != NULL)
		parsed = sample_shape(shape);
	assert_int_equal(gyr_graph_add_value(graph, name, shape != NULL ? &parsed : NULL, NULL, false, &index, NULL), 0);
	return index;
}

uint32_t sample_constant(struct gyr_graph *graph, const char *name, const char *shape, const void *data)
{
	uint32_t index;
	struct gyr_shape parsed = sample_shape(shape);
	assert_int_equal(gyr_graph_add_value(graph, name, &parsed, data, true, &index, NULL), 0);
	return index;
}

struct gyr_node sample_node(enum gyr_op op, const uint32_t inputs[3], const uint32_t *output)
{
	struct gyr_node node = {.op = op, .name = "", .inputs = inputs, .outputs = output, .output_count = 1};
	while (node.input_count < 3 && inputs[node.input_count] != GYR_VALUE_NONE)
		node.input_count++;
	return node;
}

static uint32_t add(struct gyr_graph *graph, enum gyr_op op, const char *result, uint32_t a, uint32_t b, uint32_t c, const struct gyr_attribute *attribute)
{
	uint32_t inputs[3] = {a, b, c}, output = sample_value(graph, result, NULL);
	struct gyr_node node = sample_node(op, inputs, &output);
	node.name = result;
	node.attributes = attribute;
	node.attribute_count = attribute != NULL;
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	return output;
}

struct gyr_graph *sample_net(void)
{
	static const float divisor = 255, weights[12] = {1, -2, 3, -4, .5f, .25f, 0, 1, 0, 0, 1, 1}, bias[3] = {.1f, .2f, -.3f};
	static const int64_t target[2] = {-1, 3};
	const struct gyr_attribute to = {.name = "to", .type = GYR_ATTRIBUTE_INT, .integer = GYR_DTYPE_F32};
	const struct gyr_attribute trans_b = {.name = "transB", .type = GYR_ATTRIBUTE_INT, .integer = 1};
	const uint32_t none = GYR_VALUE_NONE;
	struct gyr_graph *graph = gyr_graph_create("sample", 13);
	assert_non_null(graph);
	uint32_t input = sample_value(graph, "x", "u8[N,4]");
	uint32_t by = sample_constant(graph, "by", "f32[]", &divisor);
	uint32_t w = sample_constant(graph, "w", "f32[3,4]", weights);
	uint32_t b = sample_constant(graph, "b", "f32[3]", bias);
	uint32_t shape = sample_constant(graph, "shape", "i64[2]", target);
	uint32_t at = add(graph, GYR_OP_CAST, "float", input, none, none, &to);
	at = add(graph, GYR_OP_DIV, "scaled", at, by, none, NULL);
	at = add(graph, GYR_OP_GEMM, "dense", at, w, b, &trans_b);
	at = add(graph, GYR_OP_RELU, "relu", at, none, none, NULL);
	at = add(graph, GYR_OP_RESHAPE, "reshaped", at, shape, none, NULL);
	at = add(graph, GYR_OP_SOFTMAX, "y", at, none, none, NULL);
	assert_int_equal(gyr_graph_add_input(graph, input, NULL), 0);
	assert_int_equal(gyr_graph_add_output(graph, at, NULL), 0);
	struct gyr_error error;
	if (gyr_graph_finish(graph, &error) != 0)
		fail_msg("%s", error.text);
	return graph;
}

const struct gyr_bundle_info *sample_info(void)
{
	static const uint8_t question[8] = {0, 1, 2, 3, 255, 254, 253, 252};
	static const float answer[6] = {.1f, .2f, .7f, .3f, .3f, .4f};
	static const void *const questions[1] = {question}, *const answers[1] = {answer};
	static const struct gyr_golden golden[1] = {{.batch = 2, .inputs = questions, .outputs = answers, .tolerance = 1e-5f}};
	static const struct gyr_lineage lineage[2] = {{"parent", "none"}, {"seed", "42"}};
	static const struct gyr_bundle_info info = {.lineage_count = 2, .lineage = lineage, .golden_count = 1, .golden = golden};
	return &info;
}
