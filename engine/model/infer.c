/*
 * Types and shapes of results: the part that is the same for all operators, and what their inference functions share.
 */
#include "engine/model/infer.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/model/graph_internal.h"
#include "engine/model/op_family.h"

static const char *const attribute_types[] = {
	[GYR_ATTRIBUTE_INT] = "an int",    [GYR_ATTRIBUTE_FLOAT] = "a float",   [GYR_ATTRIBUTE_STRING] = "a string", [GYR_ATTRIBUTE_INTS] = "ints",
	[GYR_ATTRIBUTE_FLOATS] = "floats", [GYR_ATTRIBUTE_STRINGS] = "strings", [GYR_ATTRIBUTE_TENSOR] = "a tensor", [GYR_ATTRIBUTE_GRAPH] = "a graph",
};

static const struct gyr_op_attribute *find_attribute(const struct gyr_op_info *row, const char *name)
{
	for (uint32_t i = 0; i < row->attribute_count; i++)
		if (strcmp(row->attributes[i].name, name) == 0)
			return &row->attributes[i];
	return NULL;
}

int gyr_infer_check_node(const struct gyr_node *node, uint32_t opset, struct gyr_error *error)
{
	const struct gyr_op_info *row = gyr_op_at(node->op, opset);
	GYR_ASSERT(row != NULL);
	for (uint32_t i = 0; i < node->attribute_count; i++) {
		const struct gyr_attribute *attribute = &node->attributes[i];
		const struct gyr_op_attribute *known = find_attribute(row, attribute->name);
		if (known == NULL || opset < known->opset_min)
			return gyr_error_set(error, -EINVAL, "attribute '%s' is unknown", attribute->name);
		if (attribute->type != known->type)
			return gyr_error_set(error, -EINVAL, "attribute '%s' must be %s", attribute->name, attribute_types[known->type]);
		if (attribute->type == GYR_ATTRIBUTE_FLOAT && !known->any_number && !isfinite(attribute->number))
			return gyr_error_set(error, -EINVAL, "attribute '%s' is not finite", attribute->name);
		if (gyr_node_attribute(node, attribute->name) != attribute)
			return gyr_error_set(error, -EINVAL, "attribute '%s' is there twice", attribute->name);
	}
	for (uint32_t i = 0; i < row->attribute_count; i++)
		if (row->attributes[i].required && gyr_node_attribute(node, row->attributes[i].name) == NULL)
			return gyr_error_set(error, -EINVAL, "attribute '%s' is missing", row->attributes[i].name);
	return 0;
}

/* The types of the inputs against the row: each in its variable's list, and those of one capital letter alike. */
static int check_types(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_op_info *row, uint32_t opset,
		       const struct gyr_shape *const *inputs, struct gyr_error *error)
{
	for (uint32_t i = 0; i < node->input_count - node->capture_count; i++) {
		if (inputs[i] == NULL)
			continue;
		const char *name = graph->values[node->inputs[i]].name;
		char letter = gyr_op_letter(row->inputs, i);
		if (!gyr_op_type_has(row, letter, opset, inputs[i]->dtype))
			return gyr_error_set(error, -EINVAL, "input %" PRIu32 " '%s' is %s, which this operator does not take", i, name,
					     gyr_dtype_name(inputs[i]->dtype));
		for (uint32_t k = 0; k < i && isupper((unsigned char)letter); k++)
			if (inputs[k] != NULL && gyr_op_letter(row->inputs, k) == letter && inputs[k]->dtype != inputs[i]->dtype)
				return gyr_error_set(error, -EINVAL, "input %" PRIu32 " '%s' is %s, and input %" PRIu32 " is %s", i, name,
						     gyr_dtype_name(inputs[i]->dtype), k, gyr_dtype_name(inputs[k]->dtype));
	}
	return 0;
}

int gyr_infer_node(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *shapes, const void *const *contents,
		   struct gyr_shape *outputs, struct gyr_error *error)
{
	uint32_t opset = gyr_graph_opset(graph, node->op);
	const struct gyr_op_info *row = gyr_op_at(node->op, opset);
	const struct gyr_shape *inputs[GYR_NODE_ENDS_MAX];
	const void *known[GYR_NODE_ENDS_MAX];
	GYR_ASSERT(row != NULL);
	for (uint32_t i = 0; i < node->input_count; i++) {
		inputs[i] = node->inputs[i] == GYR_VALUE_NONE ? NULL : &shapes[node->inputs[i]];
		known[i] = node->inputs[i] == GYR_VALUE_NONE ? NULL : contents[node->inputs[i]];
	}
	int status = check_types(graph, node, row, opset, inputs, error);
	if (status != 0)
		return status;
	memset(outputs, 0, node->output_count * sizeof *outputs);
	struct gyr_infer infer = {.node = node, .opset = opset, .inputs = inputs, .contents = known, .outputs = outputs, .error = error};
	status = row->infer(&infer);
	for (uint32_t i = 0; i < node->output_count && status == 0; i++)
		status = graph_check_shape(&outputs[i], true, error);
	return status;
}

const struct gyr_shape *gyr_infer_input(const struct gyr_infer *infer, uint32_t index)
{
	return index < infer->node->input_count ? infer->inputs[index] : NULL;
}

struct gyr_shape gyr_infer_concrete(const struct gyr_shape *shape, int64_t batch)
{
	struct gyr_shape concrete = *shape;
	if (concrete.rank > 0 && concrete.dims[0] == GYR_DIM_BATCH)
		concrete.dims[0] = batch;
	return concrete;
}

int op_read_switch(struct gyr_infer *infer, const char *name, bool *on)
{
	int64_t value = gyr_node_integer(infer->node, name, 0);
	if (value != 0 && value != 1)
		return gyr_error_set(infer->error, -EINVAL, "attribute '%s' is %" PRId64 " (0 or 1)", name, value);
	*on = value != 0;
	return 0;
}

int op_check_axis(struct gyr_infer *infer, const char *name, int64_t value, uint32_t rank, int64_t max, uint32_t *axis)
{
	int64_t min = -(int64_t)rank; /* before opset 11 ONNX has none below 0, but exporters wrote them, and ONNX Runtime reads them so */
	if (value < min || value > max)
		return gyr_error_set(infer->error, -EINVAL, "%s %" PRId64 " (%" PRId64 " to %" PRId64 ")", name, value, min, max);
	*axis = (uint32_t)(value < 0 ? value + rank : value);
	return 0;
}

int op_read_axis(struct gyr_infer *infer, int64_t otherwise, uint32_t rank, int64_t max, uint32_t *axis)
{
	return op_check_axis(infer, "axis", gyr_node_integer(infer->node, "axis", otherwise), rank, max, axis);
}

int op_product(struct gyr_infer *infer, const struct gyr_shape *shape, uint32_t from, uint32_t to, int64_t *total)
{
	*total = 1;
	for (uint32_t i = from; i < to; i++)
		if (__builtin_mul_overflow(*total, shape->dims[i], total))
			return gyr_error_set(infer->error, -EINVAL, "the result has too many elements");
	return 0;
}

int op_broadcast(struct gyr_infer *infer, const struct gyr_shape *a, uint32_t a_rank, const struct gyr_shape *b, uint32_t b_rank, struct gyr_shape *result)
{
	const struct gyr_shape left = *a, right = *b;
	uint32_t rank = a_rank > b_rank ? a_rank : b_rank;
	for (uint32_t i = 0; i < rank; i++) {
		/* Aligned at the last dimension; what is missing counts as 1. */
		int64_t from_a = i + a_rank >= rank ? left.dims[i + a_rank - rank] : 1;
		int64_t from_b = i + b_rank >= rank ? right.dims[i + b_rank - rank] : 1;
		if (from_a != from_b && from_a != 1 && from_b != 1) {
			char a_text[128], b_text[128];
			return gyr_error_set(infer->error, -EINVAL, "%s and %s do not broadcast", gyr_shape_text(&left, a_text, sizeof a_text),
					     gyr_shape_text(&right, b_text, sizeof b_text));
		}
		result->dims[i] = from_a == 1 ? from_b : from_a;
	}
	return 0;
}

int op_need_content(struct gyr_infer *infer, uint32_t index)
{
	return gyr_error_set(infer->error, -EAGAIN, "its result's shape depends on the content of input %" PRIu32 ", which is known only when it runs", index);
}

int op_read_integers(struct gyr_infer *infer, uint32_t index, int64_t *items, uint32_t max, uint32_t *count)
{
	const struct gyr_shape *shape = infer->inputs[index];
	if ((shape->dtype != GYR_DTYPE_I64 && shape->dtype != GYR_DTYPE_I32) || shape->rank > 1 || (shape->rank == 1 && shape->dims[0] > max))
		return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is no i64 vector of at most %" PRIu32, index, max);
	*count = shape->rank == 0 ? 1 : (uint32_t)shape->dims[0];
	if (infer->contents[index] == NULL)
		return op_need_content(infer, index);
	for (uint32_t i = 0; i < *count; i++) {
		int32_t narrow;
		if (shape->dtype == GYR_DTYPE_I64) {
			memcpy(&items[i], (const char *)infer->contents[index] + i * sizeof items[i], sizeof items[i]);
		} else {
			memcpy(&narrow, (const char *)infer->contents[index] + i * sizeof narrow, sizeof narrow);
			items[i] = narrow;
		}
	}
	return 0;
}

int op_infer_same(struct gyr_infer *infer)
{
	infer->outputs[0] = *infer->inputs[0];
	return 0;
}
