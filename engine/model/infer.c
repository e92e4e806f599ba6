/*
 * Types and shapes of results, per operator. Source: the ONNX operator schemas, opsets 7 to 22, and ONNX's rules of broadcasting (docs/Broadcasting.md).
 *
 * The batch dimension is a dimension of unknown length that stays first: where an operator would put it elsewhere, sum over it or normalise over it, the node
 * is refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/model/graph_internal.h"

static const char *const attribute_types[] = {
	[GYR_ATTRIBUTE_INT] = "an int", [GYR_ATTRIBUTE_FLOAT] = "a float", [GYR_ATTRIBUTE_STRING] = "a string",
	[GYR_ATTRIBUTE_INTS] = "ints",  [GYR_ATTRIBUTE_FLOATS] = "floats",
};

static const struct gyr_op_attribute *find_attribute(const struct gyr_op_info *info, const char *name)
{
	for (uint32_t i = 0; i < info->attribute_count; i++)
		if (strcmp(info->attributes[i].name, name) == 0)
			return &info->attributes[i];
	return NULL;
}

static int check_attributes(const struct gyr_graph *graph, const struct gyr_node *node, struct gyr_error *error)
{
	const struct gyr_op_info *info = gyr_op_info(node->op);
	for (uint32_t i = 0; i < node->attribute_count; i++) {
		const struct gyr_attribute *attribute = &node->attributes[i];
		const struct gyr_op_attribute *known = find_attribute(info, attribute->name);
		if (known == NULL || graph->opset < known->opset_min)
			return gyr_error_set(error, -EINVAL, "attribute '%s' is unknown", attribute->name);
		if (attribute->type != known->type)
			return gyr_error_set(error, -EINVAL, "attribute '%s' must be %s", attribute->name, attribute_types[known->type]);
		if (attribute->type == GYR_ATTRIBUTE_FLOAT && !isfinite(attribute->number))
			return gyr_error_set(error, -EINVAL, "attribute '%s' is not finite", attribute->name);
		if (gyr_node_attribute(node, attribute->name) != attribute)
			return gyr_error_set(error, -EINVAL, "attribute '%s' is there twice", attribute->name);
	}
	for (uint32_t i = 0; i < info->attribute_count; i++)
		if (info->attributes[i].required && gyr_node_attribute(node, info->attributes[i].name) == NULL)
			return gyr_error_set(error, -EINVAL, "attribute '%s' is missing", info->attributes[i].name);
	return 0;
}

/* An attribute that is a switch. */
static int read_switch(const struct gyr_node *node, const char *name, bool *on, struct gyr_error *error)
{
	int64_t value = gyr_node_integer(node, name, 0);
	if (value != 0 && value != 1)
		return gyr_error_set(error, -EINVAL, "attribute '%s' is %" PRId64 " (0 or 1)", name, value);
	*on = value != 0;
	return 0;
}

/* The axis attribute, counted from the front. MAX is rank - 1, or rank where the axis may stand behind the last dimension. */
static int read_axis(const struct gyr_graph *graph, const struct gyr_node *node, int64_t otherwise, uint32_t rank, int64_t max, uint32_t *axis,
		     struct gyr_error *error)
{
	int64_t value = gyr_node_integer(node, "axis", otherwise);
	int64_t min = graph->opset >= 11 ? -(int64_t)rank : 0; /* opset 11 brought axes counted from the end */
	if (value < min || value > max)
		return gyr_error_set(error, -EINVAL, "axis %" PRId64 " (%" PRId64 " to %" PRId64 ")", value, min, max);
	*axis = (uint32_t)(value < 0 ? value + rank : value);
	return 0;
}

static bool batched(const struct gyr_shape *shape)
{
	return shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH;
}

static int not_first(struct gyr_error *error)
{
	return gyr_error_set(error, -EINVAL, "the batch dimension would not stay the first one");
}

/* The product of dimensions [FROM, TO), none of which is the batch; false when it overflows. */
static bool product(const struct gyr_shape *shape, uint32_t from, uint32_t to, int64_t *total)
{
	*total = 1;
	for (uint32_t i = from; i < to; i++)
		if (__builtin_mul_overflow(*total, shape->dims[i], total))
			return false;
	return true;
}

static int too_many(struct gyr_error *error)
{
	return gyr_error_set(error, -EINVAL, "the result has too many elements");
}

/* Broadcasts the first A_RANK and B_RANK dimensions of A and B into those of RESULT (ONNX's multidirectional rule). */
static int broadcast(const struct gyr_shape *a, uint32_t a_rank, const struct gyr_shape *b, uint32_t b_rank, struct gyr_shape *result, struct gyr_error *error)
{
	uint32_t rank = a_rank > b_rank ? a_rank : b_rank;
	for (uint32_t i = 0; i < rank; i++) {
		/* Aligned at the last dimension; what is missing counts as 1. */
		int64_t from_a = i + a_rank >= rank ? a->dims[i + a_rank - rank] : 1;
		int64_t from_b = i + b_rank >= rank ? b->dims[i + b_rank - rank] : 1;
		if (from_a != from_b && from_a != 1 && from_b != 1) {
			char a_text[128], b_text[128];
			return gyr_error_set(error, -EINVAL, "%s and %s do not broadcast", gyr_shape_text(a, a_text, sizeof a_text),
					     gyr_shape_text(b, b_text, sizeof b_text));
		}
		result->dims[i] = from_a == 1 ? from_b : from_a;
		if (result->dims[i] == GYR_DIM_BATCH && i != 0)
			return not_first(error);
	}
	return 0;
}

static int infer_broadcast(const struct gyr_shape *a, const struct gyr_shape *b, struct gyr_shape *result, struct gyr_error *error)
{
	result->rank = a->rank > b->rank ? a->rank : b->rank;
	return broadcast(a, a->rank, b, b->rank, result, error);
}

static int infer_cast(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *input, struct gyr_shape *result,
		      struct gyr_error *error)
{
	int64_t to = gyr_node_integer(node, "to", GYR_DTYPE_NONE);
	bool saturate;
	if (to < 0 || to > INT32_MAX || !gyr_op_takes(GYR_OP_CAST, graph->opset, (enum gyr_dtype)to))
		return gyr_error_set(error, -EINVAL, "attribute 'to' is %" PRId64 ", no element type that Gyr casts to", to);
	*result = *input;
	result->dtype = (enum gyr_dtype)to;
	return graph->opset >= 19 && gyr_node_attribute(node, "saturate") != NULL ? read_switch(node, "saturate", &saturate, error) : 0;
}

static int infer_flatten(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *input, struct gyr_shape *result,
			 struct gyr_error *error)
{
	uint32_t axis = 0;
	int status = read_axis(graph, node, 1, input->rank, input->rank, &axis, error);
	if (status != 0)
		return status;
	result->rank = 2;
	bool batch = batched(input);
	if (batch && axis == 0)
		return not_first(error);
	if (!product(input, batch ? 1 : 0, axis, &result->dims[0]) || !product(input, axis, input->rank, &result->dims[1]))
		return too_many(error);
	if (batch && result->dims[0] != 1)
		return gyr_error_set(error, -EINVAL, "axis %" PRIu32 " would make more rows than the batch has", axis);
	if (batch)
		result->dims[0] = GYR_DIM_BATCH;
	return 0;
}

static int infer_gemm(const struct gyr_node *node, const struct gyr_shape *a, const struct gyr_shape *b, const struct gyr_shape *c, struct gyr_shape *result,
		      struct gyr_error *error)
{
	bool trans_a = false, trans_b = false;
	char a_text[128], b_text[128];
	int status = read_switch(node, "transA", &trans_a, error);
	if (status == 0)
		status = read_switch(node, "transB", &trans_b, error);
	if (status != 0)
		return status;
	gyr_shape_text(a, a_text, sizeof a_text);
	gyr_shape_text(b, b_text, sizeof b_text);
	if (a->rank != 2 || b->rank != 2)
		return gyr_error_set(error, -EINVAL, "A is %s and B is %s (rank 2 both)", a_text, b_text);
	int64_t m = a->dims[trans_a], inner = a->dims[!trans_a], n = b->dims[!trans_b];
	if (inner != b->dims[trans_b])
		return gyr_error_set(error, -EINVAL, "A %s%s does not fit B %s%s", a_text, trans_a ? " transposed" : "", b_text, trans_b ? " transposed" : "");
	if (inner == GYR_DIM_BATCH)
		return gyr_error_set(error, -EINVAL, "it would sum over the batch dimension");
	if (n == GYR_DIM_BATCH)
		return not_first(error);
	result->rank = 2;
	result->dims[0] = m;
	result->dims[1] = n;
	if (c == NULL)
		return 0;
	/* C broadcasts to the result, and not the other way. */
	struct gyr_shape both = {.dtype = c->dtype};
	if (c->rank > 2)
		return gyr_error_set(error, -EINVAL, "C is %s (rank 2 at most)", gyr_shape_text(c, a_text, sizeof a_text));
	status = infer_broadcast(result, c, &both, error);
	if (status == 0 && memcmp(both.dims, result->dims, 2 * sizeof both.dims[0]) != 0)
		status = gyr_error_set(error, -EINVAL, "C %s does not broadcast to the result %s", gyr_shape_text(c, a_text, sizeof a_text),
				       gyr_shape_text(result, b_text, sizeof b_text));
	return status;
}

/* As numpy.matmul: a vector on the left is a row and on the right a column, and that dimension goes again; leading dimensions broadcast. */
static int infer_matmul(const struct gyr_shape *a, const struct gyr_shape *b, struct gyr_shape *result, struct gyr_error *error)
{
	char a_text[128], b_text[128];
	gyr_shape_text(a, a_text, sizeof a_text);
	gyr_shape_text(b, b_text, sizeof b_text);
	if (a->rank == 0 || b->rank == 0)
		return gyr_error_set(error, -EINVAL, "%s and %s (rank 1 or more both)", a_text, b_text);
	int64_t inner = a->dims[a->rank - 1];
	if (inner != b->dims[b->rank == 1 ? 0 : b->rank - 2])
		return gyr_error_set(error, -EINVAL, "%s does not fit %s", a_text, b_text);
	if (inner == GYR_DIM_BATCH)
		return gyr_error_set(error, -EINVAL, "it would sum over the batch dimension");
	uint32_t a_lead = a->rank > 2 ? a->rank - 2 : 0, b_lead = b->rank > 2 ? b->rank - 2 : 0;
	uint32_t rank = a_lead > b_lead ? a_lead : b_lead;
	int status = broadcast(a, a_lead, b, b_lead, result, error);
	if (status != 0)
		return status;
	if (a->rank > 1) {
		int64_t rows = a->dims[a->rank - 2];
		if (rows == GYR_DIM_BATCH && rank != 0)
			return not_first(error);
		result->dims[rank++] = rows;
	}
	if (b->rank > 1)
		result->dims[rank++] = b->dims[b->rank - 1];
	result->rank = rank;
	return 0;
}

static int infer_reshape(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *input, struct gyr_shape *result,
			 struct gyr_error *error)
{
	const struct gyr_value *target = &graph->values[node->inputs[1]];
	bool allow_zero = false;
	int status = read_switch(node, "allowzero", &allow_zero, error);
	if (status != 0)
		return status;
	if (target->data == NULL)
		return gyr_error_set(error, -EINVAL, "its shape '%s' is computed (it must be a constant)", target->name);
	if (target->shape.dtype != GYR_DTYPE_I64 || target->shape.rank != 1 || target->shape.dims[0] > GYR_RANK_MAX)
		return gyr_error_set(error, -EINVAL, "its shape '%s' is no i64 vector of at most %d", target->name, GYR_RANK_MAX);

	/* Everything but the batch dimension is counted: an input of N rows of COUNT elements each. */
	bool batch = batched(input);
	int64_t count, known = 1;
	if (!product(input, batch ? 1 : 0, input->rank, &count))
		return too_many(error);
	uint32_t open = GYR_RANK_MAX; /* where the -1 stands */
	result->rank = (uint32_t)target->shape.dims[0];
	for (uint32_t i = 0; i < result->rank; i++) {
		int64_t dim;
		memcpy(&dim, (const char *)target->data + i * sizeof dim, sizeof dim);
		if (dim == 0 && !allow_zero) {
			if (i >= input->rank)
				return gyr_error_set(error, -EINVAL, "its shape copies dimension %" PRIu32 ", and the input has none", i);
			dim = input->dims[i];
			result->dims[i] = dim;
			if (dim == GYR_DIM_BATCH)
				continue;
		} else if (dim == -1) {
			if (open != GYR_RANK_MAX)
				return gyr_error_set(error, -EINVAL, "its shape has two dimensions of -1");
			open = i;
			continue;
		} else if (dim < 0) {
			return gyr_error_set(error, -EINVAL, "its shape has a dimension of %" PRId64, dim);
		}
		result->dims[i] = dim;
		if (__builtin_mul_overflow(known, dim, &known))
			return too_many(error);
	}

	char text[128];
	if (batch && !(result->rank > 0 && (open == 0 || result->dims[0] == GYR_DIM_BATCH)))
		return gyr_error_set(error, -EINVAL, "its shape does not keep the batch dimension of %s first (it must begin with 0 or -1)",
				     gyr_shape_text(input, text, sizeof text));
	if (batch && open == 0) {
		result->dims[0] = GYR_DIM_BATCH;
	} else if (open != GYR_RANK_MAX) {
		if (known == 0 || count % known != 0)
			return gyr_error_set(error, -EINVAL, "its shape does not divide %s", gyr_shape_text(input, text, sizeof text));
		result->dims[open] = count / known;
		known = count;
	}
	if (known != count)
		return gyr_error_set(error, -EINVAL, "its shape holds %" PRId64 " elements%s, and %s holds %" PRId64, known, batch ? " a row" : "",
				     gyr_shape_text(input, text, sizeof text), count);
	return 0;
}

static int infer_softmax(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *input, struct gyr_shape *result,
			 struct gyr_error *error)
{
	uint32_t axis = 0;
	*result = *input;
	if (input->rank == 0)
		return gyr_error_set(error, -EINVAL, "its input is a scalar (rank 1 or more)");
	/* Opset 11 allowed an axis of rank, meaning rows of one element each; it has no use and is refused. */
	int status = read_axis(graph, node, graph->opset < 13 ? 1 : -1, input->rank, (int64_t)input->rank - 1, &axis, error);
	if (status == 0 && axis == 0 && batched(input))
		status = gyr_error_set(error, -EINVAL, "it would normalise over the batch dimension");
	return status;
}

int graph_infer_node(const struct gyr_graph *graph, const struct gyr_node *node, struct gyr_shape *result, struct gyr_error *error)
{
	int status = check_attributes(graph, node, error);
	if (status != 0)
		return status;
	const struct gyr_shape *inputs[3] = {NULL, NULL, NULL};
	GYR_ASSERT(node->input_count <= 3);
	for (uint32_t i = 0; i < node->input_count; i++) {
		if (node->inputs[i] == GYR_VALUE_NONE)
			continue;
		const struct gyr_value *input = &graph->values[node->inputs[i]];
		inputs[i] = &input->shape;
		if (node->op == GYR_OP_RESHAPE && i == 1)
			continue; /* a shape, with a type of its own */
		if (!gyr_op_takes(node->op, graph->opset, input->shape.dtype))
			return gyr_error_set(error, -EINVAL, "input %" PRIu32 " '%s' is %s, which this operator does not take", i, input->name,
					     gyr_dtype_name(input->shape.dtype));
		if (input->shape.dtype != inputs[0]->dtype)
			return gyr_error_set(error, -EINVAL, "input %" PRIu32 " '%s' is %s, and input 0 is %s", i, input->name,
					     gyr_dtype_name(input->shape.dtype), gyr_dtype_name(inputs[0]->dtype));
	}

	*result = (struct gyr_shape){.dtype = inputs[0]->dtype};
	switch (node->op) {
	case GYR_OP_ADD:
	case GYR_OP_DIV:
	case GYR_OP_MUL:
	case GYR_OP_SUB: return infer_broadcast(inputs[0], inputs[1], result, error);
	case GYR_OP_CAST: return infer_cast(graph, node, inputs[0], result, error);
	case GYR_OP_FLATTEN: return infer_flatten(graph, node, inputs[0], result, error);
	case GYR_OP_GEMM: return infer_gemm(node, inputs[0], inputs[1], inputs[2], result, error);
	case GYR_OP_MATMUL: return infer_matmul(inputs[0], inputs[1], result, error);
	case GYR_OP_RESHAPE: return infer_reshape(graph, node, inputs[0], result, error);
	case GYR_OP_SOFTMAX: return infer_softmax(graph, node, inputs[0], result, error);
	case GYR_OP_IDENTITY:
	case GYR_OP_RELU:
	case GYR_OP_SIGMOID:
	case GYR_OP_TANH: *result = *inputs[0]; return 0;
	case GYR_OP_NONE:
	case GYR_OP_COUNT: break;
	}
	GYR_ASSERT(!"an operator");
}
