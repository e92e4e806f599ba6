/*
 * The choose family: what a content chooses, NonZero and Compress. How much that is must be known before anything is asked. Source: the ONNX operator schemas
 * (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 9 to 22.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/model/op_family.h"

/* Whether element INDEX of CONTENT is not 0; a real number's sign says nothing. */
static bool is_set(enum gyr_dtype dtype, const uint8_t *content, size_t index)
{
	size_t bytes = gyr_dtype_bytes(dtype);
	bool real = dtype == GYR_DTYPE_F16 || dtype == GYR_DTYPE_BF16 || dtype == GYR_DTYPE_F32 || dtype == GYR_DTYPE_F64;
	for (size_t i = 0; i < bytes; i++)
		if ((content[index * bytes + i] & (real && i + 1 == bytes ? 0x7f : 0xff)) != 0)
			return true;
	return false;
}

static int64_t count_set(const struct gyr_shape *shape, const void *content, size_t count)
{
	int64_t set = 0;
	for (size_t i = 0; i < count; i++)
		set += is_set(shape->dtype, content, i);
	return set;
}

/* [rank, how many]. */
static int infer_non_zero(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0];
	int64_t count = 0;
	if (x->rank == 0)
		return gyr_error_set(infer->error, -EINVAL, "its input is a scalar (rank 1 or more)");
	int status = op_product(infer, x, 0, x->rank, &count);
	if (status == 0 && infer->contents[0] == NULL && count > 0)
		status = op_need_content(infer, 0);
	if (status == 0)
		infer->outputs[0] = (struct gyr_shape){
			.dtype = GYR_DTYPE_I64, .rank = 2, .dims = {x->rank, count > 0 ? count_set(x, infer->contents[0], (size_t)count) : 0}};
	return status;
}

/* Without an axis, the input is one row. A condition may be shorter than what it chooses from: the rest stays away. */
static int infer_compress(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0], *condition = infer->inputs[1];
	bool flat = gyr_node_attribute(infer->node, "axis") == NULL;
	int64_t length = 0;
	uint32_t axis = 0;
	if (x->rank == 0 || condition->rank != 1)
		return gyr_error_set(infer->error, -EINVAL, "its input has rank %" PRIu32 " (1 or more) and its condition %" PRIu32 " (1)", x->rank,
				     condition->rank);
	int status = flat ? op_product(infer, x, 0, x->rank, &length) : op_read_axis(infer, 0, x->rank, (int64_t)x->rank - 1, &axis);
	if (status != 0)
		return status;
	if (!flat)
		length = x->dims[axis];
	if (condition->dims[0] > length)
		return gyr_error_set(infer->error, -EINVAL, "its condition has %" PRId64 " items (%" PRId64 " at most)", condition->dims[0], length);
	if (infer->contents[1] == NULL && condition->dims[0] > 0)
		return op_need_content(infer, 1);
	infer->outputs[0] = *x;
	if (flat)
		infer->outputs[0].rank = 1;
	infer->outputs[0].dims[axis] = condition->dims[0] > 0 ? count_set(condition, infer->contents[1], (size_t)condition->dims[0]) : 0;
	return 0;
}

static enum gyr_rows rows_compress(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return gyr_rows_along(node, inputs, 0);
}

static const struct gyr_op_attribute compress_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 9, false}};
static const struct gyr_op_type non_zero_types[] = {{'T', 9, OP_ALL}, {'T', 13, OP_BIT(BF16)}, {'I', 9, OP_BIT(I64)}};
static const struct gyr_op_type compress_types[] = {{'T', 9, OP_ALL}, {'C', 9, OP_BIT(BOOL)}};

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_COMPRESS,
	 .name = "Compress",
	 OP_OPSETS(9, GYR_OPSET_MAX),
	 OP_INPUTS(2, 2, "TC"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(compress_types),
	 OP_ATTRIBUTES(compress_attributes),
	 .infer = infer_compress,
	 .rows = rows_compress},
	{.op = GYR_OP_NON_ZERO,
	 .name = "NonZero",
	 OP_OPSETS(9, GYR_OPSET_MAX),
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "I"),
	 OP_TYPES(non_zero_types),
	 .infer = infer_non_zero},
};

const struct op_family op_family_choose = {rows, OP_COUNT(rows)};
