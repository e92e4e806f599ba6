/*
 * Constants of a graph that is imported: its initialisers, and its nodes called Constant.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/import.h"

/* Whether a node is a Constant, and if so what it holds. */
static int read_constant_node(struct onnx_importer *importer, const Onnx__NodeProto *node, struct onnx_constant *constant)
{
	struct gyr_error *error = importer->error;
	if (node->n_attribute != 1 || node->attribute[0]->name == NULL || node->n_output != 1 || node->n_input != 0)
		return gyr_error_set(error, -EINVAL, "a constant has no input, one attribute and one output");
	const Onnx__AttributeProto *attribute = node->attribute[0];
	*constant = (struct onnx_constant){.name = node->output[0], .attribute = attribute};
	if (strcmp(attribute->name, "value") == 0 && attribute->t != NULL) {
		constant->tensor = attribute->t;
		return 0;
	}
	bool number = strcmp(attribute->name, "value_float") == 0 || strcmp(attribute->name, "value_int") == 0;
	bool numbers = strcmp(attribute->name, "value_floats") == 0 || strcmp(attribute->name, "value_ints") == 0;
	char name[SHOWN_MAX];
	return number || numbers ? 0 : gyr_error_set(error, -ENOTSUP, "a constant given as '%s'", onnx_shown(attribute->name, name));
}

bool onnx_is_constant_node(const Onnx__NodeProto *node)
{
	return node->op_type != NULL && onnx_default_domain(node->domain) && strcmp(node->op_type, "Constant") == 0;
}

static int compare_constants(const void *a, const void *b)
{
	return strcmp(((const struct onnx_constant *)a)->name, ((const struct onnx_constant *)b)->name);
}

int onnx_collect_constants(struct onnx_importer *importer, struct onnx_scope *scope, const Onnx__GraphProto *graph)
{
	char name[SHOWN_MAX];
	size_t count = 0;
	struct onnx_constant *constants = calloc(graph->n_initializer + graph->n_node + 1, sizeof *constants);
	if (constants == NULL)
		return onnx_no_memory(importer);
	scope->constants = constants;
	if (graph->n_sparse_initializer != 0)
		return gyr_error_set(importer->error, -ENOTSUP, "sparse initialisers");
	for (size_t i = 0; i < graph->n_initializer; i++) {
		const Onnx__TensorProto *tensor = graph->initializer[i];
		if (tensor->name == NULL || tensor->name[0] == 0)
			return gyr_error_set(importer->error, -EINVAL, "initialiser %zu has no name", i);
		constants[count++] = (struct onnx_constant){.name = tensor->name, .tensor = tensor};
	}
	for (size_t i = 0; i < graph->n_node; i++) {
		if (!onnx_is_constant_node(graph->node[i]))
			continue;
		int status = read_constant_node(importer, graph->node[i], &constants[count++]);
		if (status != 0)
			return onnx_at_node(importer, graph->node[i], status);
	}
	qsort(constants, count, sizeof *constants, compare_constants);
	for (size_t i = 1; i < count; i++)
		if (compare_constants(&constants[i - 1], &constants[i]) == 0)
			return gyr_error_set(importer->error, -EINVAL, "constant '%s' is there twice", onnx_shown(constants[i].name, name));
	scope->constant_count = count;
	return 0;
}

const struct onnx_constant *onnx_find_constant(const struct onnx_scope *scope, const char *name)
{
	const struct onnx_constant key = {.name = name};
	return bsearch(&key, scope->constants, scope->constant_count, sizeof key, compare_constants);
}

/* The shape and the elements of a constant that is given as an attribute of numbers. */
static int attribute_constant(const Onnx__AttributeProto *attribute, struct gyr_shape *shape, const void **elements, struct gyr_error *error)
{
	switch (attribute->type) {
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
		*shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32};
		*elements = &attribute->f;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
		*shape = (struct gyr_shape){.dtype = GYR_DTYPE_I64};
		*elements = &attribute->i;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
		*shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {(int64_t)attribute->n_floats}};
		*elements = attribute->floats;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
		*shape = (struct gyr_shape){.dtype = GYR_DTYPE_I64, .rank = 1, .dims = {(int64_t)attribute->n_ints}};
		*elements = attribute->ints;
		return 0;
	default: return gyr_error_set(error, -EINVAL, "its attribute has the wrong type");
	}
}

int onnx_add_constant(struct onnx_importer *importer, struct gyr_graph *graph, const struct onnx_constant *constant, uint32_t *index)
{
	struct gyr_shape shape;
	const void *numbers = NULL;
	void *elements;
	size_t bytes;
	int status = constant->tensor != NULL ? onnx_tensor_shape(constant->tensor, &shape, &bytes, importer->error)
					      : attribute_constant(constant->attribute, &shape, &numbers, importer->error);
	if (status != 0)
		return status;
	if (constant->tensor == NULL && !gyr_shape_bytes(&shape, 1, &bytes))
		return gyr_error_set(importer->error, -EINVAL, "its shape has too many elements");
	elements = gyr_arena_alloc(&graph->arena, bytes, 64);
	if (elements == NULL)
		return onnx_no_memory(importer);
	if (constant->tensor != NULL)
		status = onnx_tensor_elements(constant->tensor, elements, importer->error);
	else if (bytes != 0)
		memcpy(elements, numbers, bytes);
	return status == 0 ? gyr_graph_add_value(graph, constant->name, &shape, elements, false, index, importer->error) : status;
}
