/*
 * Sizes given from outside for what a file leaves open: what is taken, and each refusal.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/onnx/onnx.h"
#include "onnx.pb-c.h"

/* A model of Relu on x [N, 3, "seq", ?] and Neg on "bare", whose shape the file does not say. */
static void *open_model(size_t *size)
{
	static char batch[] = "N", steps[] = "seq";
	Onnx__TensorShapeProto__Dimension dims[4];
	Onnx__TensorShapeProto__Dimension *dim_list[4] = {&dims[0], &dims[1], &dims[2], &dims[3]};
	for (int i = 0; i < 4; i++)
		onnx__tensor_shape_proto__dimension__init(&dims[i]);
	dims[0].value_case = dims[2].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
	dims[0].dim_param = batch;
	dims[2].dim_param = steps;
	dims[1].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
	dims[1].dim_value = 3;
	Onnx__TensorShapeProto shape = ONNX__TENSOR_SHAPE_PROTO__INIT;
	shape.n_dim = 4;
	shape.dim = dim_list;
	Onnx__TypeProto__Tensor tensors[2];
	Onnx__TypeProto types[2];
	Onnx__ValueInfoProto values[4];
	Onnx__ValueInfoProto *value_list[4] = {&values[0], &values[1], &values[2], &values[3]};
	static char names[4][8] = {"x", "bare", "y", "z"}, ops[2][8] = {"Relu", "Neg"};
	for (int i = 0; i < 2; i++) {
		onnx__type_proto__tensor__init(&tensors[i]);
		onnx__type_proto__init(&types[i]);
		tensors[i].has_elem_type = true;
		tensors[i].elem_type = GYR_DTYPE_F32;
		types[i].value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
		types[i].tensor_type = &tensors[i];
	}
	tensors[0].shape = &shape;
	for (int i = 0; i < 4; i++) {
		onnx__value_info_proto__init(&values[i]);
		values[i].name = names[i];
		values[i].type = i < 2 ? &types[i] : NULL;
	}
	Onnx__NodeProto nodes[2];
	Onnx__NodeProto *node_list[2] = {&nodes[0], &nodes[1]};
	for (int i = 0; i < 2; i++) {
		onnx__node_proto__init(&nodes[i]);
		nodes[i].op_type = ops[i];
		nodes[i].n_input = nodes[i].n_output = 1;
		nodes[i].input = &values[i].name;
		nodes[i].output = &values[2 + i].name;
	}
	Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
	graph.n_input = graph.n_output = graph.n_node = 2;
	graph.input = value_list;
	graph.output = value_list + 2;
	graph.node = node_list;
	Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opset_list[1] = {&opset};
	opset.has_version = true;
	opset.version = 13;
	Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
	model.has_ir_version = true;
	model.ir_version = 8;
	model.graph = &graph;
	model.n_opset_import = 1;
	model.opset_import = opset_list;
	*size = onnx__model_proto__get_packed_size(&model);
	void *bytes = malloc(*size);
	assert_non_null(bytes);
	onnx__model_proto__pack(&model, bytes);
	return bytes;
}

/* Imports the model with what DIMS and SHAPES say (each ends with NULL). */
static int import(const char *const *dims, const char *const *shapes, struct gyr_graph **graph, struct gyr_error *error)
{
	struct gyr_onnx_fixed fixed = {0};
	size_t size;
	void *bytes = open_model(&size);
	int status = 0;
	*graph = NULL;
	for (; status == 0 && *dims != NULL; dims++)
		status = gyr_onnx_fix_dim(&fixed, *dims, error);
	for (; status == 0 && *shapes != NULL; shapes++)
		status = gyr_onnx_fix_shape(&fixed, *shapes, error);
	if (status == 0)
		status = gyr_onnx_import_fixed(bytes, size, &fixed, graph, error);
	free(bytes);
	return status;
}

static void expect_shape(const struct gyr_graph *graph, uint32_t input, const char *text)
{
	char found[128];
	assert_string_equal(gyr_shape_text(&graph->values[graph->inputs[input]].shape, found, sizeof found), text);
}

#define DIMS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHAPES(...) DIMS(__VA_ARGS__)

static void sizes_are_taken(void **state)
{
	struct gyr_graph *graph;
	struct gyr_error error;
	if (import(DIMS(NULL), SHAPES("x=N,3,7,5", "bare=N,2"), &graph, &error) != 0)
		fail_msg("%s", error.text);
	expect_shape(graph, 0, "f32[N,3,7,5]");
	expect_shape(graph, 1, "f32[N,2]");
	gyr_graph_destroy(graph);
	assert_int_equal(import(DIMS(NULL), SHAPES("bare=", "x=4,3,7,5"), &graph, &error), 0);
	expect_shape(graph, 0, "f32[4,3,7,5]");
	expect_shape(graph, 1, "f32[]");
	gyr_graph_destroy(graph);
	/* A dimension's own name fixes the batch where the shape leaves it open. */
	assert_int_equal(import(DIMS("N=2"), SHAPES("bare=1", "x=N,3,7,5"), &graph, &error), 0);
	expect_shape(graph, 0, "f32[2,3,7,5]");
	gyr_graph_destroy(graph);
}

/* Imports the model, sizes fixed, with VALUE said of an input. */
static int import_value(const char *value, const char *bare, struct gyr_graph **graph, struct gyr_error *error)
{
	struct gyr_onnx_fixed fixed = {0};
	size_t size;
	void *bytes = open_model(&size);
	*graph = NULL;
	int status = gyr_onnx_fix_shape(&fixed, "x=N,3,7,5", error);
	if (status == 0)
		status = gyr_onnx_fix_shape(&fixed, bare, error);
	if (status == 0)
		status = gyr_onnx_fix_value(&fixed, value, error);
	if (status == 0)
		status = gyr_onnx_import_fixed(bytes, size, &fixed, graph, error);
	free(bytes);
	return status;
}

static void values_are_taken(void **state)
{
	struct gyr_graph *graph;
	struct gyr_error error;
	if (import_value("bare=-2.5", "bare=3", &graph, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(graph->input_count, 1);
	const struct gyr_value *bare = &graph->values[gyr_graph_find(graph, "bare")];
	assert_non_null(bare->data);
	for (int i = 0; i < 3; i++)
		assert_true(((const float *)bare->data)[i] == -2.5f);
	gyr_graph_destroy(graph);
	static const struct {
		const char *value, *bare;
		int status;
		const char *text;
	} refused[] = {
		{"bare=1", "bare=N,2", -EINVAL, "input 'bare': it was given a value, and has as many elements as there are rows"},
		{"lost=1", "bare=3", -EINVAL, "input 'lost' was given a value, and there is no such input"},
		{"bare=1e39", "bare=3", -EINVAL, "is no element of f32"},
		{"bare=1", "bare=262145", -E2BIG, "is larger than 1048576 bytes"},
		{"bare=", "bare=3", -EINVAL, "is no value"},
		{"bare=x", "bare=3", -EINVAL, "is no value"},
		{"bare=1x", "bare=3", -EINVAL, "is no value"},
		{"bare=nan", "bare=3", -EINVAL, "is no value"},
		{"bare=-inf", "bare=3", -EINVAL, "is no value"},
		{"=1", "bare=3", -EINVAL, "is no value"},
		{"bare", "bare=3", -EINVAL, "is no value"},
	};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		int status = import_value(refused[i].value, refused[i].bare, &graph, &error);
		gyr_graph_destroy(graph);
		if (status != refused[i].status || strstr(error.text, refused[i].text) == NULL)
			fail_msg("%s: %d '%s'", refused[i].value, status, error.text);
	}
	struct gyr_onnx_fixed fixed = {0};
	assert_int_equal(gyr_onnx_fix_value(&fixed, "a=1", NULL), 0);
	assert_int_equal(gyr_onnx_fix_value(&fixed, "a=2", NULL), -EINVAL); /* a second time */
}

static void expect_refused(const char *const *dims, const char *const *shapes, int status, const char *text)
{
	struct gyr_graph *graph;
	struct gyr_error error;
	int got = import(dims, shapes, &graph, &error);
	gyr_graph_destroy(graph);
	if (got != status || strstr(error.text, text) == NULL)
		fail_msg("%d '%s', and not %d '%s'", got, error.text, status, text);
}

static void refusals(void **state)
{
	expect_refused(DIMS("N=2"), SHAPES("bare=1"), -ENOTSUP, "input 'x': dimension 2 'seq' is not fixed");
	expect_refused(DIMS("seq=2"), SHAPES("bare=1"), -ENOTSUP, "dimension 3 is not fixed (only the first may be the batch; --shape x=");
	expect_refused(DIMS(NULL), SHAPES("x=N,3,7,5"), -ENOTSUP, "input 'bare': it has no shape (--shape bare=");
	expect_refused(DIMS("other=2"), SHAPES("x=N,3,7,5", "bare=1"), -EINVAL, "dimension 'other' was given a size, and no input leaves it open");
	expect_refused(DIMS(NULL), SHAPES("x=N,3,7,5", "bare=1", "lost=1"), -EINVAL, "input 'lost' was given a shape, and there is no such input");
	expect_refused(DIMS(NULL), SHAPES("x=N,3,7", "bare=1"), -EINVAL, "it was given 3 dimensions, and has 4");
	expect_refused(DIMS(NULL), SHAPES("x=N,4,7,5", "bare=1"), -EINVAL, "dimension 1 was given another size than the file's 3");
}

static void texts(void **state)
{
	static const char *const bad_dims[] = {"", "=", "=2", "n", "n=", "n=0", "n=-1", "n=2147483648", "n=99999999999999999999", "n=2x", "n= 2", "n=2,3"};
	static const char *const bad_shapes[] = {"", "=", "=2", "x", "x=,", "x=1,", "x=1,N", "x=N,N", "x=0", "x=1,,2", "x=1 2", "x=1,2,3,4,5,6,7,8,9", "x=M"};
	struct gyr_onnx_fixed fixed = {0};
	for (size_t i = 0; i < sizeof bad_dims / sizeof bad_dims[0]; i++)
		if (gyr_onnx_fix_dim(&fixed, bad_dims[i], NULL) != -EINVAL)
			fail_msg("dimension \"%s\"", bad_dims[i]);
	for (size_t i = 0; i < sizeof bad_shapes / sizeof bad_shapes[0]; i++)
		if (gyr_onnx_fix_shape(&fixed, bad_shapes[i], NULL) != -EINVAL)
			fail_msg("shape \"%s\"", bad_shapes[i]);
	assert_int_equal(fixed.dim_count + fixed.shape_count, 0);
	assert_int_equal(gyr_onnx_fix_dim(&fixed, "a=b=2147483647", NULL), 0); /* a name may hold anything */
	assert_int_equal(fixed.dims[0].name_length, 3);
	assert_int_equal(fixed.dims[0].size, INT32_MAX);
	assert_int_equal(gyr_onnx_fix_dim(&fixed, "a=b=1", NULL), -EINVAL); /* a second time */
	assert_int_equal(gyr_onnx_fix_shape(&fixed, "x=1,2,3,4,5,6,7,8", NULL), 0);
	assert_int_equal(fixed.shapes[0].rank, 8);
	assert_int_equal(gyr_onnx_fix_shape(&fixed, "x=1", NULL), -EINVAL);
	static char names[GYR_ONNX_FIXED_MAX][24];
	for (unsigned i = 1; i < GYR_ONNX_FIXED_MAX; i++) {
		snprintf(names[i], sizeof names[i], "d%u=1", i);
		assert_int_equal(gyr_onnx_fix_dim(&fixed, names[i], NULL), 0);
		assert_int_equal(gyr_onnx_fix_shape(&fixed, names[i], NULL), 0);
	}
	assert_int_equal(gyr_onnx_fix_dim(&fixed, "more=1", NULL), -E2BIG);
	assert_int_equal(gyr_onnx_fix_shape(&fixed, "more=1", NULL), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_are_taken), cmocka_unit_test(values_are_taken), cmocka_unit_test(refusals),
					   cmocka_unit_test(texts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
