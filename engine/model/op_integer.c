/*
 * The integer family: products of small integers with zero points, summed in 32 bits. Source: the ONNX operator schemas (docs/Operators.md and
 * docs/Changelog.md of ONNX 1.17), opsets 10 to 22.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/model/op_family.h"
#include "engine/model/window.h"

/* Which inputs of the four operators are what. */
struct ends {
	uint32_t a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, bias; /* 0: there is none (a, which is input 0, always is) */
};

static struct ends ends_of(enum gyr_op op)
{
	if (op == GYR_OP_QLINEAR_MATMUL || op == GYR_OP_QLINEAR_CONV)
		return (struct ends){.a_scale = 1, .a_zero = 2, .b = 3, .b_scale = 4, .b_zero = 5, .y_scale = 6, .y_zero = 7, .bias = 8};
	return (struct ends){.a_zero = 2, .b = 1, .b_zero = 3};
}

static bool is_one(const struct gyr_shape *shape)
{
	return shape == NULL || shape->rank == 0 || (shape->rank == 1 && shape->dims[0] == 1);
}

static int must_be_one(struct gyr_infer *infer, uint32_t index, const char *what)
{
	const struct gyr_shape *shape = index == 0 ? NULL : gyr_infer_input(infer, index);
	char text[128];
	return is_one(shape) ? 0 : gyr_error_set(infer->error, -EINVAL, "%s is %s (one number)", what, gyr_shape_text(shape, text, sizeof text));
}

/* That input INDEX is one number, or one for each of COUNT columns of a right side of RANK: a vector, or a row behind dimensions of 1. */
static int check_columns(struct gyr_infer *infer, uint32_t index, const char *what, int64_t count, uint32_t rank)
{
	const struct gyr_shape *shape = index == 0 ? NULL : gyr_infer_input(infer, index);
	char text[128];
	bool fits = is_one(shape) || ((shape->rank == 1 || shape->rank == rank) && shape->dims[shape->rank - 1] == count);
	for (uint32_t i = 0; fits && !is_one(shape) && i + 1 < shape->rank; i++)
		fits = shape->dims[i] == 1;
	return fits ? 0
		    : gyr_error_set(infer->error, -EINVAL, "%s is %s (one number, or %" PRId64 " for all matrices)", what,
				    gyr_shape_text(shape, text, sizeof text), count);
}

/* As MatMul. Scale and zero point of the left side are one number here: for one a row there is no kernel that anybody writes models for. */
static int infer_matmul(struct gyr_infer *infer)
{
	const struct ends ends = ends_of(infer->node->op);
	const struct gyr_shape *a = infer->inputs[0], *b = infer->inputs[ends.b];
	int64_t columns = b->rank > 1 ? b->dims[b->rank - 1] : 1;
	int status = op_infer_matmul(infer, a, b);
	infer->outputs[0].dtype = ends.y_zero != 0 ? infer->inputs[ends.y_zero]->dtype : GYR_DTYPE_I32;
	if (status == 0)
		status = must_be_one(infer, ends.a_scale, "the left side's scale");
	if (status == 0)
		status = must_be_one(infer, ends.a_zero, "the left side's zero point");
	if (status == 0)
		status = check_columns(infer, ends.b_scale, "the right side's scale", columns, b->rank);
	if (status == 0)
		status = check_columns(infer, ends.b_zero, "the right side's zero point", columns, b->rank);
	if (status == 0)
		status = must_be_one(infer, ends.y_scale, "the result's scale");
	return status == 0 ? must_be_one(infer, ends.y_zero, "the result's zero point") : status;
}

/* As Conv. The weights' scale and zero point are one number, or one for each of their channels. */
static int infer_conv(struct gyr_infer *infer)
{
	const struct ends ends = ends_of(infer->node->op);
	const struct gyr_shape *x = infer->inputs[0], *w = infer->inputs[ends.b], *bias = ends.bias != 0 ? gyr_infer_input(infer, ends.bias) : NULL;
	int64_t group = gyr_node_integer(infer->node, "group", 1);
	char x_text[128], w_text[128];
	struct gyr_window window;
	gyr_shape_text(x, x_text, sizeof x_text);
	gyr_shape_text(w, w_text, sizeof w_text);
	if (x->rank != w->rank || x->rank < 3)
		return gyr_error_set(infer->error, -EINVAL, "its input is %s and its weights are %s (rank 3 or more, and the same)", x_text, w_text);
	if (group < 1)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'group' is %" PRId64 " (1 or more)", group);
	if (x->dims[1] % group != 0 || w->dims[0] % group != 0 || w->dims[1] != x->dims[1] / group)
		return gyr_error_set(infer->error, -EINVAL, "weights of %s do not fit an input of %s in %" PRId64 " groups", w_text, x_text, group);
	if (bias != NULL && (bias->rank != 1 || bias->dims[0] != w->dims[0]))
		return gyr_error_set(infer->error, -EINVAL, "its bias is %s ([%" PRId64 "])", gyr_shape_text(bias, x_text, sizeof x_text), w->dims[0]);
	int status = must_be_one(infer, ends.a_scale, "the input's scale");
	if (status == 0)
		status = must_be_one(infer, ends.a_zero, "the input's zero point");
	if (status == 0)
		status = check_columns(infer, ends.b_scale, "the weights' scale", w->dims[0], 1);
	if (status == 0)
		status = check_columns(infer, ends.b_zero, "the weights' zero point", w->dims[0], 1);
	if (status == 0)
		status = must_be_one(infer, ends.y_scale, "the result's scale");
	if (status == 0)
		status = must_be_one(infer, ends.y_zero, "the result's zero point");
	if (status == 0)
		status = gyr_window_read(infer->node, x, w->dims + 2, &window, infer->error);
	infer->outputs[0] = (struct gyr_shape){
		.dtype = ends.y_zero != 0 ? infer->inputs[ends.y_zero]->dtype : GYR_DTYPE_I32, .rank = x->rank, .dims = {x->dims[0], w->dims[0]}};
	for (uint32_t i = 2; i < x->rank && status == 0; i++)
		infer->outputs[0].dims[i] = window.axes[GYR_WINDOW_AXES - x->rank + i].out;
	return status;
}

/* All but the left side, or the image, is the same for all rows. A vector on the left has no rows, and more leading dimensions on the right would be the
 * result's. */
static enum gyr_rows rows_product(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	const struct gyr_shape *a = node->inputs[0], *b = node->inputs[ends_of(node->node->op).b];
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (node->node->inputs[i] != GYR_VALUE_NONE && inputs[i] != GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
	bool conv = node->node->op == GYR_OP_CONV_INTEGER || node->node->op == GYR_OP_QLINEAR_CONV;
	if (conv)
		return inputs[0];
	if (a->rank < 2 || b->rank > a->rank || (a->rank == 2 && b->rank > 2) || (b->rank > 2 && b->rank == a->rank && b->dims[0] != 1))
		return GYR_ROWS_MIXED;
	return inputs[0];
}

static const struct gyr_op_attribute conv_attributes[] = {
	{"auto_pad", GYR_ATTRIBUTE_STRING, 10, false},   {"dilations", GYR_ATTRIBUTE_INTS, 10, false}, {"group", GYR_ATTRIBUTE_INT, 10, false},
	{"kernel_shape", GYR_ATTRIBUTE_INTS, 10, false}, {"pads", GYR_ATTRIBUTE_INTS, 10, false},      {"strides", GYR_ATTRIBUTE_INTS, 10, false},
};

#define BYTES (OP_BIT(I8) | OP_BIT(U8))

static const struct gyr_op_type integer_types[] = {{'A', 10, BYTES}, {'B', 10, BYTES}, {'I', 10, OP_BIT(I32)}};
static const struct gyr_op_type conv_types[] = {{'A', 10, BYTES}, {'B', 10, BYTES}, {'S', 10, OP_BIT(F32)}, {'Y', 10, BYTES}, {'I', 10, OP_BIT(I32)}};
static const struct gyr_op_type matmul_types[] = {
	{'A', 10, BYTES}, {'B', 10, BYTES}, {'S', 10, OP_BIT(F32)}, {'S', 21, OP_BIT(F16) | OP_BIT(BF16)}, {'Y', 10, BYTES},
};

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_CONV_INTEGER,
	 .name = "ConvInteger",
	 OP_OPSETS(10, GYR_OPSET_MAX),
	 OP_INPUTS(2, 4, "ABAB"),
	 OP_OUTPUTS(1, "I"),
	 OP_TYPES(integer_types),
	 OP_ATTRIBUTES(conv_attributes),
	 .infer = infer_conv,
	 .rows = rows_product},
	{.op = GYR_OP_MATMUL_INTEGER,
	 .name = "MatMulInteger",
	 OP_OPSETS(10, GYR_OPSET_MAX),
	 OP_INPUTS(2, 4, "ABAB"),
	 OP_OUTPUTS(1, "I"),
	 OP_TYPES(integer_types),
	 .infer = infer_matmul,
	 .rows = rows_product},
	{.op = GYR_OP_QLINEAR_CONV,
	 .name = "QLinearConv",
	 OP_OPSETS(10, GYR_OPSET_MAX),
	 OP_INPUTS(8, 9, "ASABSBSYI"),
	 OP_OUTPUTS(1, "Y"),
	 OP_TYPES(conv_types),
	 OP_ATTRIBUTES(conv_attributes),
	 .infer = infer_conv,
	 .rows = rows_product},
	{.op = GYR_OP_QLINEAR_MATMUL,
	 .name = "QLinearMatMul",
	 OP_OPSETS(10, GYR_OPSET_MAX),
	 OP_INPUTS(8, 8, "ASABSBSY"),
	 OP_OUTPUTS(1, "Y"),
	 OP_TYPES(matmul_types),
	 .infer = infer_matmul,
	 .rows = rows_product},
};

const struct op_family op_family_integer = {rows, OP_COUNT(rows)};
