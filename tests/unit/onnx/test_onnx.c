/*
 * ONNX, export to import: nothing is lost, and no cut or changed file does harm. Files of others are tested by check_models.py.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/onnx/onnx.h"
#include "onnx.pb-c.h"
#include "tests/unit/model/sample.h"

static void *export_sample(size_t *size)
{
	struct gyr_graph *graph = sample_net();
	void *bytes;
	assert_int_equal(gyr_onnx_export(graph, &bytes, size, NULL), 0);
	gyr_graph_destroy(graph);
	return bytes;
}

static void round_trip(void **state)
{
	struct gyr_graph *before = sample_net(), *after;
	struct gyr_error error;
	size_t size;
	void *bytes = export_sample(&size);
	if (gyr_onnx_import(bytes, size, &after, &error) != 0)
		fail_msg("%s", error.text);
	free(bytes);
	assert_true(gyr_graph_same_signature(before, after, NULL));
	assert_int_equal(after->opset, before->opset);
	assert_string_equal(after->name, before->name);
	assert_int_equal(after->node_count, before->node_count);
	assert_int_equal(after->value_count, before->value_count);
	for (uint32_t i = 0; i < before->node_count; i++) {
		assert_int_equal(after->nodes[i].op, before->nodes[i].op);
		assert_string_equal(after->nodes[i].name, before->nodes[i].name);
		assert_int_equal(after->nodes[i].attribute_count, before->nodes[i].attribute_count);
	}
	assert_int_equal(gyr_node_integer(&after->nodes[2], "transB", 0), 1);
	for (uint32_t i = 0; i < before->value_count; i++) {
		const struct gyr_value *value = &before->values[i], *found = &after->values[gyr_graph_find(after, value->name)];
		size_t count;
		assert_true(gyr_shape_equal(&found->shape, &value->shape));
		if (value->data == NULL)
			continue;
		assert_true(gyr_shape_bytes(&value->shape, 1, &count));
		assert_memory_equal(found->data, value->data, count);
	}
	gyr_graph_destroy(before);
	gyr_graph_destroy(after);
}

/* A copy on the heap of exactly SIZE bytes, so that a sanitizer sees a read beyond them. */
static int import_copy(const void *bytes, size_t size)
{
	struct gyr_graph *graph = NULL;
	void *copy = malloc(size + (size == 0));
	memcpy(copy, bytes, size);
	int status = gyr_onnx_import(copy, size, &graph, NULL);
	free(copy);
	gyr_graph_destroy(graph);
	return status;
}

static void every_length_counts(void **state)
{
	size_t size;
	void *bytes = export_sample(&size);
	assert_int_equal(import_copy(bytes, size), 0);
	for (size_t cut = 0; cut < size; cut++) {
		int status = import_copy(bytes, cut);
		/* Cut between two fields of the model it is whole, but lacks what comes behind. */
		if (status != -EBADMSG && status != -EINVAL)
			fail_msg("cut to %zu bytes: %d", cut, status);
	}
	free(bytes);
}

static void changed_bytes_do_no_harm(void **state)
{
	size_t size;
	uint8_t *bytes = export_sample(&size);
	unsigned refused = 0;
	for (size_t i = 0; i < size; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1u << bit);
			refused += import_copy(bytes, size) != 0;
			bytes[i] ^= (uint8_t)(1u << bit);
		}
	}
	assert_in_range(refused, size, 8 * size); /* most of the file is structure */
	free(bytes);
}

static void too_large(void **state)
{
	struct gyr_graph *graph = NULL;
	assert_int_equal(gyr_onnx_import("", GYR_ONNX_BYTES_MAX + 1, &graph, NULL), -E2BIG);
}

/* A zero in a name would make two names of one. */
static void zero_in_a_name(void **state)
{
	struct gyr_error error;
	struct gyr_graph *graph;
	size_t size;
	char *bytes = export_sample(&size), *name = memmem(bytes, size, "scaled", 6);
	assert_non_null(name);
	name[3] = 0;
	assert_int_equal(gyr_onnx_import(bytes, size, &graph, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "a zero byte in a text"));
	free(bytes);
}

/* What is written is what ONNX's own description says: read with its own classes. */
static void header_fields(void **state)
{
	size_t size;
	void *bytes = export_sample(&size);
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
	assert_non_null(model);
	assert_int_equal(model->ir_version, 8);
	assert_string_equal(model->producer_name, "gyr");
	assert_string_equal(model->producer_version, GYR_VERSION);
	assert_int_equal(model->n_opset_import, 1);
	assert_int_equal(model->opset_import[0]->version, 13);
	assert_int_equal(model->graph->n_initializer, 4);
	assert_int_equal(model->graph->n_input, 1);
	assert_string_equal(model->graph->input[0]->type->tensor_type->shape->dim[0]->dim_param, "N");
	assert_int_equal(model->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value, 4);
	onnx__model_proto__free_unpacked(model, NULL);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(every_length_counts), cmocka_unit_test(changed_bytes_do_no_harm),
		cmocka_unit_test(too_large),  cmocka_unit_test(zero_in_a_name),      cmocka_unit_test(header_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
