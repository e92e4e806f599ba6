/*
 * The matrix family: products of matrices, and Softmax. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to
 * 22.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/model/op_family.h"

static int infer_gemm(struct gyr_infer *infer)
{
	const struct gyr_shape *a = infer->inputs[0], *b = infer->inputs[1], *c = gyr_infer_input(infer, 2);
	struct gyr_shape *result = &infer->outputs[0];
	bool trans_a = false, trans_b = false;
	char a_text[128], b_text[128];
	int status = op_read_switch(infer, "transA", &trans_a);
	if (status == 0)
		status = op_read_switch(infer, "transB", &trans_b);
	if (status != 0)
		return status;
	gyr_shape_text(a, a_text, sizeof a_text);
	gyr_shape_text(b, b_text, sizeof b_text);
	if (a->rank != 2 || b->rank != 2)
		return gyr_error_set(infer->error, -EINVAL, "A is %s and B is %s (rank 2 both)", a_text, b_text);
	if (a->dims[!trans_a] != b->dims[trans_b])
		return gyr_error_set(infer->error, -EINVAL, "A %s%s does not fit B %s%s", a_text, trans_a ? " transposed" : "", b_text,
				     trans_b ? " transposed" : "");
	*result = (struct gyr_shape){.dtype = a->dtype, .rank = 2, .dims = {a->dims[trans_a], b->dims[!trans_b]}};
	if (c == NULL)
		return 0;
	/* C broadcasts to the result, and not the other way. */
	struct gyr_shape both = *result;
	if (c->rank > 2)
		return gyr_error_set(infer->error, -EINVAL, "C is %s (rank 2 at most)", gyr_shape_text(c, a_text, sizeof a_text));
	status = op_broadcast(infer, result, 2, c, c->rank, &both);
	if (status == 0 && !gyr_shape_equal(&both, result))
		status = gyr_error_set(infer->error, -EINVAL, "C %s does not broadcast to the result %s", gyr_shape_text(c, a_text, sizeof a_text),
				       gyr_shape_text(result, b_text, sizeof b_text));
	return status;
}

/* A is not transposed, B is the same for all rows, and so is C where its rows are not those of the batch. */
static enum gyr_rows rows_gemm(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	const struct gyr_shape *c = gyr_infer_input(node, 2);
	bool c_rows = c != NULL && c->rank == 2 && c->dims[0] != 1;
	struct gyr_rows_place place = gyr_rows_place(inputs[0]);
	if (place.axis != 0 || inputs[1] != GYR_ROWS_NONE || gyr_node_integer(node->node, "transA", 0) != 0)
		return GYR_ROWS_MIXED;
	return c == NULL || inputs[2] == (c_rows ? inputs[0] : GYR_ROWS_NONE) ? gyr_rows_at(&node->outputs[0], place, batch) : GYR_ROWS_MIXED;
}

int op_infer_matmul(struct gyr_infer *infer, const struct gyr_shape *a, const struct gyr_shape *b)
{
	struct gyr_shape *result = &infer->outputs[0];
	char a_text[128], b_text[128];
	gyr_shape_text(a, a_text, sizeof a_text);
	gyr_shape_text(b, b_text, sizeof b_text);
	if (a->rank == 0 || b->rank == 0)
		return gyr_error_set(infer->error, -EINVAL, "%s and %s (rank 1 or more both)", a_text, b_text);
	if (a->dims[a->rank - 1] != b->dims[b->rank == 1 ? 0 : b->rank - 2])
		return gyr_error_set(infer->error, -EINVAL, "%s does not fit %s", a_text, b_text);
	uint32_t a_lead = a->rank > 2 ? a->rank - 2 : 0, b_lead = b->rank > 2 ? b->rank - 2 : 0;
	int status = op_broadcast(infer, a, a_lead, b, b_lead, result);
	if (status != 0)
		return status;
	result->rank = a_lead > b_lead ? a_lead : b_lead;
	if (a->rank > 1)
		result->dims[result->rank++] = a->dims[a->rank - 2];
	if (b->rank > 1)
		result->dims[result->rank++] = b->dims[b->rank - 1];
	return 0;
}

static int infer_matmul(struct gyr_infer *infer)
{
	infer->outputs[0].dtype = infer->inputs[0]->dtype;
	return op_infer_matmul(infer, infer->inputs[0], infer->inputs[1]);
}

/*
 * The batch is a leading dimension of the result, on one side or on both, or the rows of the matrices on the left. LEADING counts from the last of the leading
 * dimensions, which is 1.
 */
static enum gyr_rows rows_matmul(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	const struct gyr_shape *a = node->inputs[0], *b = node->inputs[1], *result = &node->outputs[0];
	uint32_t matrix = (a->rank > 1) + (b->rank > 1), leading = 0;
	struct gyr_rows_place places[2] = {gyr_rows_place(inputs[0]), gyr_rows_place(inputs[1])};
	int64_t behind = 0, size = 0;
	if (a->rank > 1 && places[0].axis == a->rank - 2) {
		places[0].axis = result->rank - matrix;
		return inputs[1] == GYR_ROWS_NONE ? gyr_rows_at(result, places[0], batch) : GYR_ROWS_MIXED;
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t axis = places[i].axis, rank = node->inputs[i]->rank;
		if (axis == GYR_RANK_MAX)
			continue;
		if (axis + 2 >= rank)
			return GYR_ROWS_MIXED;
		if (leading != 0 && (leading != rank - 2 - axis || behind != places[i].behind || size != node->inputs[i]->dims[axis]))
			return GYR_ROWS_MIXED;
		leading = rank - 2 - axis;
		behind = places[i].behind;
		size = node->inputs[i]->dims[axis];
	}
	for (uint32_t i = 0; i < 2; i++) {
		const struct gyr_shape *shape = node->inputs[i];
		bool same = shape->rank < 2 + leading || shape->dims[shape->rank - 2 - leading] == 1;
		if (places[i].axis == GYR_RANK_MAX && (inputs[i] != GYR_ROWS_NONE || !same))
			return GYR_ROWS_MIXED;
	}
	return leading != 0 ? gyr_rows_at(result, (struct gyr_rows_place){result->rank - matrix - leading, behind}, batch) : GYR_ROWS_MIXED;
}

/* Before opset 13, Softmax takes all dimensions from the axis on as one. */
static int infer_softmax(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	uint32_t axis = 0;
	infer->outputs[0] = *input;
	if (input->rank == 0)
		return gyr_error_set(infer->error, -EINVAL, "its input is a scalar (rank 1 or more)");
	/* Opset 11 allowed an axis of rank, meaning rows of one element each; it has no use and is refused. */
	return op_read_axis(infer, infer->opset < 13 ? 1 : -1, input->rank, (int64_t)input->rank - 1, &axis);
}

static enum gyr_rows rows_softmax(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return gyr_rows_beside(node, inputs, node->opset < 13 ? 1 : -1, node->opset < 13);
}

static const struct gyr_op_attribute gemm_attributes[] = {
	{"alpha", GYR_ATTRIBUTE_FLOAT, 7, false},
	{"beta", GYR_ATTRIBUTE_FLOAT, 7, false},
	{"transA", GYR_ATTRIBUTE_INT, 7, false},
	{"transB", GYR_ATTRIBUTE_INT, 7, false},
};
static const struct gyr_op_attribute softmax_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}};

static const struct gyr_op_type product_types[] = {{'T', 7, OP_FLOATS}, {'T', 9, OP_INTS_WIDE}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type softmax_types[] = {{'T', 7, OP_FLOATS}, {'T', 13, OP_BIT(BF16)}};

#define GEMM                                                                                                                                                   \
	.op = GYR_OP_GEMM, .name = "Gemm", OP_OUTPUTS(1, "T"), OP_TYPES(product_types), OP_ATTRIBUTES(gemm_attributes), .infer = infer_gemm,                   \
	.rows = rows_gemm, .rows_anywhere = true, .rows_inside = true

static const struct gyr_op_info rows[] = {
	{GEMM, OP_OPSETS(7, 10), OP_INPUTS(3, 3, "T")},
	{GEMM, OP_OPSETS(11, GYR_OPSET_MAX), OP_INPUTS(2, 3, "T")},
	{.op = GYR_OP_MATMUL,
	 .name = "MatMul",
	 OP_EVERY_OPSET,
	 OP_INPUTS(2, 2, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(product_types),
	 .infer = infer_matmul,
	 .rows = rows_matmul,
	 .rows_anywhere = true,
	 .rows_inside = true},
	{.op = GYR_OP_SOFTMAX,
	 .name = "Softmax",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(softmax_types),
	 OP_ATTRIBUTES(softmax_attributes),
	 .infer = infer_softmax,
	 .rows = rows_softmax,
	 .rows_anywhere = true,
	 .rows_inside = true},
};

const struct op_family op_family_matrix = {rows, OP_COUNT(rows)};
