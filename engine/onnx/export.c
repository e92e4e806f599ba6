/*
 * Graph to ModelProto. The message is put together in an arena, pointing at the graph's names and weights, and packed once.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/onnx/onnx_internal.h"

/* protobuf-c leaves strings that it packs alone; its fields just do not say so. */
static char *text_field(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* The ir_version that came with OPSET or later; 8 is old enough for all readers of today. Source: docs/Versioning.md of ONNX. */
static int64_t ir_version(uint32_t opset)
{
	return opset <= 18 ? 8 : opset <= 20 ? 9 : 10;
}

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory for the model");
}

/* An array of COUNT initialised messages of one kind, which fits any of protobuf-c's pointers to pointers. NULL without memory. */
static void *new_list(struct gyr_arena *arena, const ProtobufCMessageDescriptor *kind, size_t count)
{
	void **list = GYR_ARENA_NEW(arena, void *, count);
	char *messages = gyr_arena_array(arena, count, kind->sizeof_message, 16);
	if (list == NULL || messages == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		list[i] = messages + i * kind->sizeof_message;
		protobuf_c_message_init(kind, list[i]);
	}
	return list;
}

static bool fill_tensor(const struct gyr_value *value, Onnx__TensorProto *tensor)
{
	size_t bytes;
	bool fits = gyr_shape_bytes(&value->shape, 1, &bytes);
	GYR_ASSERT(fits);
	tensor->name = text_field(value->name);
	tensor->has_data_type = true;
	tensor->data_type = value->shape.dtype;
	tensor->n_dims = value->shape.rank;
	tensor->dims = (int64_t *)(uintptr_t)value->shape.dims;
	tensor->has_raw_data = true;
	tensor->raw_data = (ProtobufCBinaryData){bytes, (uint8_t *)(uintptr_t)value->data};
	return bytes <= GYR_ONNX_BYTES_MAX;
}

/* An input or an output, with its type where that is known (in bodies it need not be). */
static bool fill_value(struct gyr_arena *arena, const struct gyr_value *value, Onnx__ValueInfoProto *info)
{
	uint32_t rank = value->shape.rank;
	info->name = text_field(value->name);
	if (value->shape.dtype == GYR_DTYPE_NONE)
		return true;
	Onnx__TypeProto **type = new_list(arena, &onnx__type_proto__descriptor, 1);
	Onnx__TypeProto__Tensor **tensor = new_list(arena, &onnx__type_proto__tensor__descriptor, 1);
	Onnx__TensorShapeProto **shape = new_list(arena, &onnx__tensor_shape_proto__descriptor, 1);
	Onnx__TensorShapeProto__Dimension **dims = new_list(arena, &onnx__tensor_shape_proto__dimension__descriptor, rank);
	if (type == NULL || tensor == NULL || shape == NULL || dims == NULL)
		return false;
	for (uint32_t i = 0; i < rank; i++) {
		if (value->shape.dims[i] == GYR_DIM_BATCH) {
			dims[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			dims[i]->dim_param = text_field("N");
		} else {
			dims[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			dims[i]->dim_value = value->shape.dims[i];
		}
	}
	shape[0]->n_dim = rank;
	shape[0]->dim = dims;
	tensor[0]->has_elem_type = true;
	tensor[0]->elem_type = value->shape.dtype;
	tensor[0]->shape = shape[0];
	type[0]->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type[0]->tensor_type = tensor[0];
	info->type = type[0];
	return true;
}

static ProtobufCBinaryData bytes_field(const char *text)
{
	return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

static int fill_graph(struct gyr_arena *arena, const struct gyr_graph *from, Onnx__GraphProto *to, struct gyr_error *error);

/* A body as an attribute. */
static int fill_body(struct gyr_arena *arena, const struct gyr_graph *from, Onnx__AttributeProto *to, struct gyr_error *error)
{
	Onnx__GraphProto **graph = new_list(arena, &onnx__graph_proto__descriptor, 1);
	to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
	if (graph == NULL)
		return no_memory(error);
	to->g = graph[0];
	return fill_graph(arena, from, graph[0], error);
}

/* An attribute that is no body. False without memory. */
static bool fill_attribute(struct gyr_arena *arena, const struct gyr_attribute *from, Onnx__AttributeProto *to)
{
	switch (from->type) {
	case GYR_ATTRIBUTE_INT:
		to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
		to->has_i = true;
		to->i = from->integer;
		return true;
	case GYR_ATTRIBUTE_FLOAT:
		to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
		to->has_f = true;
		to->f = from->number;
		return true;
	case GYR_ATTRIBUTE_STRING:
		to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
		to->has_s = true;
		to->s = bytes_field(from->string);
		return true;
	case GYR_ATTRIBUTE_INTS:
		to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
		to->n_ints = from->integers.count;
		to->ints = (int64_t *)(uintptr_t)from->integers.items;
		return true;
	case GYR_ATTRIBUTE_FLOATS:
		to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
		to->n_floats = from->numbers.count;
		to->floats = (float *)(uintptr_t)from->numbers.items;
		return true;
	case GYR_ATTRIBUTE_STRINGS:
		to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
		to->n_strings = from->strings.count;
		to->strings = GYR_ARENA_NEW(arena, ProtobufCBinaryData, from->strings.count);
		for (uint32_t i = 0; to->strings != NULL && i < from->strings.count; i++)
			to->strings[i] = bytes_field(from->strings.items[i]);
		return to->strings != NULL;
	case GYR_ATTRIBUTE_TENSOR: {
		const struct gyr_value value = {.name = "", .shape = from->tensor.shape, .data = from->tensor.data};
		Onnx__TensorProto **tensor = new_list(arena, &onnx__tensor_proto__descriptor, 1);
		to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
		if (tensor == NULL)
			return false;
		to->t = tensor[0];
		(void)fill_tensor(&value, tensor[0]); /* what is too large, the whole file is too */
		tensor[0]->dims = (int64_t *)(uintptr_t)from->tensor.shape.dims;
		return true;
	}
	case GYR_ATTRIBUTE_GRAPH: break;
	}
	gyr_assert_failed("an attribute type", __FILE__, __LINE__);
}

static char **fill_names(struct gyr_arena *arena, const struct gyr_graph *graph, const uint32_t *values, uint32_t count)
{
	char **names = GYR_ARENA_NEW(arena, char *, count);
	for (uint32_t i = 0; names != NULL && i < count; i++)
		names[i] = text_field(values[i] == GYR_VALUE_NONE ? "" : graph->values[values[i]].name);
	return names;
}

static int fill_node(struct gyr_arena *arena, const struct gyr_graph *graph, const struct gyr_node *from, Onnx__NodeProto *to, struct gyr_error *error)
{
	to->name = text_field(from->name);
	to->op_type = text_field(gyr_op_info(from->op)->name);
	to->domain = text_field(gyr_op_info(from->op)->domain);
	to->n_input = from->input_count - from->capture_count; /* ONNX's bodies just read what is around them */
	to->input = fill_names(arena, graph, from->inputs, to->n_input);
	to->n_output = from->output_count;
	to->output = fill_names(arena, graph, from->outputs, from->output_count);
	to->n_attribute = from->attribute_count;
	to->attribute = new_list(arena, &onnx__attribute_proto__descriptor, from->attribute_count);
	if (to->input == NULL || to->output == NULL || to->attribute == NULL)
		return no_memory(error);
	int status = 0;
	for (uint32_t i = 0; i < from->attribute_count && status == 0; i++) {
		const struct gyr_attribute *attribute = &from->attributes[i];
		bool body = attribute->type == GYR_ATTRIBUTE_GRAPH;
		if (!body && !fill_attribute(arena, attribute, to->attribute[i]))
			status = no_memory(error);
		to->attribute[i]->name = text_field(attribute->name);
		to->attribute[i]->has_type = true;
		if (body)
			status = fill_body(arena, attribute->graph, to->attribute[i], error);
	}
	return status;
}

static int fill_graph(struct gyr_arena *arena, const struct gyr_graph *from, Onnx__GraphProto *to, struct gyr_error *error)
{
	to->name = text_field(from->name[0] != 0 ? from->name : "gyr"); /* ONNX wants a name */
	to->n_input = from->input_count - from->capture_count;
	to->n_output = from->output_count;
	to->n_node = from->node_count;
	to->node = new_list(arena, &onnx__node_proto__descriptor, from->node_count);
	to->input = new_list(arena, &onnx__value_info_proto__descriptor, to->n_input);
	to->output = new_list(arena, &onnx__value_info_proto__descriptor, from->output_count);
	to->initializer = new_list(arena, &onnx__tensor_proto__descriptor, from->value_count);
	bool memory = to->node != NULL && to->input != NULL && to->output != NULL && to->initializer != NULL;
	for (uint32_t i = 0; memory && i < to->n_input; i++)
		memory = fill_value(arena, &from->values[from->inputs[i]], to->input[i]);
	for (uint32_t i = 0; memory && i < from->output_count; i++)
		memory = fill_value(arena, &from->values[from->outputs[i]], to->output[i]);
	int status = memory ? 0 : no_memory(error);
	for (uint32_t i = 0; status == 0 && i < from->node_count; i++)
		status = fill_node(arena, from, &from->nodes[i], to->node[i], error);
	for (uint32_t i = 0; status == 0 && i < from->value_count; i++)
		if (from->values[i].data != NULL && !fill_tensor(&from->values[i], to->initializer[to->n_initializer++]))
			return gyr_error_set(error, -E2BIG, "constant '%s' is too large for an ONNX file (at most %zu bytes)", from->values[i].name,
					     GYR_ONNX_BYTES_MAX);
	return status;
}

static int pack(const Onnx__ModelProto *model, void **bytes, size_t *size, struct gyr_error *error)
{
	*size = onnx__model_proto__get_packed_size(model);
	if (*size > GYR_ONNX_BYTES_MAX)
		return gyr_error_set(error, -E2BIG, "the model is over %zu bytes, too large for an ONNX file", GYR_ONNX_BYTES_MAX);
	*bytes = malloc(*size);
	if (*bytes == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for a model of %zu bytes", *size);
	onnx__model_proto__pack(model, *bytes);
	return 0;
}

int gyr_onnx_export(const struct gyr_graph *graph, void **bytes, size_t *size, struct gyr_error *error)
{
	GYR_ASSERT(graph->finished);
	for (uint32_t i = 0; i < graph->output_count; i++)
		if (graph->values[graph->outputs[i]].shape.dtype == GYR_DTYPE_NONE)
			return gyr_error_set(error, -ENOTSUP, "the shape of output '%s' is not known, and ONNX wants one",
					     graph->values[graph->outputs[i]].name);
	struct gyr_arena arena;
	Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
	Onnx__GraphProto message = ONNX__GRAPH_PROTO__INIT;
	Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, ml = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[2] = {&opset, &ml};
	opset.domain = text_field("");
	opset.has_version = true;
	opset.version = graph->opset;
	ml.domain = text_field(GYR_DOMAIN_ML);
	ml.has_version = true;
	ml.version = graph->opset_ml;
	model.has_ir_version = true;
	model.ir_version = ir_version(graph->opset);
	model.producer_name = text_field("gyr");
	model.producer_version = text_field(GYR_VERSION);
	model.n_opset_import = graph->opset_ml != 0 ? 2 : 1;
	model.opset_import = opsets;
	model.graph = &message;
	gyr_arena_init(&arena, 0);
	int status = fill_graph(&arena, graph, &message, error);
	if (status == 0)
		status = pack(&model, bytes, size, error);
	gyr_arena_fini(&arena);
	return status;
}
