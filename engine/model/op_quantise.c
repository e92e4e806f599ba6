/*
 * The quantise family: numbers to small integers and back, with a scale and a zero point. Source: the ONNX operator schemas (docs/Operators.md and
 * docs/Changelog.md of ONNX 1.17), opsets 10 to 22. Of the quantised types there are the integers of 8 and 16 bits; the importer refuses those of 4 bits and
 * the floats of 8.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/model/op_family.h"

/* One number: a scalar, or a vector of one. */
static bool is_one(const struct gyr_shape *shape)
{
	return shape->rank == 0 || (shape->rank == 1 && shape->dims[0] == 1);
}

/* That the scale (input 1) is one number, one for each element along the axis, or one for each block along it; and the zero point (input 2) as many. */
static int check_scale(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0], *scale = infer->inputs[1], *zero = gyr_infer_input(infer, 2);
	int64_t block = gyr_node_integer(infer->node, "block_size", 0);
	char text[128], x_text[128];
	uint32_t axis = 0;
	gyr_shape_text(scale, text, sizeof text);
	gyr_shape_text(x, x_text, sizeof x_text);
	/* ONNX Runtime's quantiser writes the one number of a bias as a vector, and its zero point as a scalar. */
	bool one = is_one(scale) && (block == 0 || scale->rank == 0);
	bool alike = zero == NULL || (zero->rank == scale->rank && memcmp(zero->dims, scale->dims, scale->rank * sizeof scale->dims[0]) == 0);
	if (!alike && !(one && is_one(zero)))
		return gyr_error_set(infer->error, -EINVAL, "its zero point is %s, and its scale %s", gyr_shape_text(zero, x_text, sizeof x_text), text);
	if (block < 0)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'block_size' is %" PRId64 " (0 or more)", block);
	if (one)
		return 0;
	int status = op_read_axis(infer, 1, x->rank, (int64_t)x->rank - 1, &axis);
	if (status != 0)
		return status;
	if (block == 0)
		return infer->opset >= 13 && scale->rank == 1 && scale->dims[0] == x->dims[axis]
			       ? 0
			       : gyr_error_set(infer->error, -EINVAL, "its scale is %s, which fits neither %s nor its axis %" PRIu32, text, x_text, axis);
	for (uint32_t i = 0; i < x->rank; i++) {
		int64_t expected = i == axis ? x->dims[i] / block + (x->dims[i] % block != 0) : x->dims[i];
		if (scale->rank != x->rank || scale->dims[i] != expected)
			return gyr_error_set(infer->error, -EINVAL, "its scale is %s, which does not fit blocks of %" PRId64 " of %s along axis %" PRIu32, text,
					     block, x_text, axis);
	}
	return 0;
}

static int infer_quantize(struct gyr_infer *infer)
{
	const struct gyr_shape *zero = gyr_infer_input(infer, 2);
	int64_t asked = gyr_node_integer(infer->node, "output_dtype", 0);
	enum gyr_dtype dtype = zero != NULL ? zero->dtype : asked != 0 ? (enum gyr_dtype)asked : GYR_DTYPE_U8;
	infer->outputs[0] = *infer->inputs[0];
	infer->outputs[0].dtype = dtype;
	if (asked != 0 && (asked != (int64_t)dtype || (dtype != GYR_DTYPE_U8 && dtype != GYR_DTYPE_I8 && dtype != GYR_DTYPE_U16 && dtype != GYR_DTYPE_I16)))
		return gyr_error_set(infer->error, -EINVAL, "attribute 'output_dtype' is %" PRId64 " (u8 2, i8 3, u16 4 or i16 5, and its zero point's)",
				     asked);
	return check_scale(infer);
}

static int infer_dequantize(struct gyr_infer *infer)
{
	infer->outputs[0] = *infer->inputs[0];
	infer->outputs[0].dtype = infer->inputs[1]->dtype;
	return check_scale(infer);
}

/* Scales along the axis are the same for all rows, unless the axis is that of the rows. */
static enum gyr_rows rows_scaled(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	const struct gyr_shape *scale = node->inputs[1];
	bool one = is_one(scale);
	if (!one && scale->rank > 1)
		return GYR_ROWS_MIXED;
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (node->node->inputs[i] != GYR_VALUE_NONE && inputs[i] != GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
	return one ? inputs[0] : gyr_rows_along(node, inputs, 1);
}

/* The scale and the zero point are of everything, so no row stays apart. */
static int infer_dynamic(struct gyr_infer *infer)
{
	infer->outputs[0] = *infer->inputs[0];
	infer->outputs[0].dtype = GYR_DTYPE_U8;
	if (infer->node->output_count > 1)
		infer->outputs[1] = (struct gyr_shape){.dtype = GYR_DTYPE_F32};
	if (infer->node->output_count > 2)
		infer->outputs[2] = (struct gyr_shape){.dtype = GYR_DTYPE_U8};
	return 0;
}

static const struct gyr_op_attribute quantize_attributes[] = {
	{"axis", GYR_ATTRIBUTE_INT, 13, false},
	{"block_size", GYR_ATTRIBUTE_INT, 21, false},
	{"output_dtype", GYR_ATTRIBUTE_INT, 21, false},
	{"saturate", GYR_ATTRIBUTE_INT, 19, false}, /* of floats of 8 bits */
};
static const struct gyr_op_attribute dequantize_attributes[] = {
	{"axis", GYR_ATTRIBUTE_INT, 13, false},
	{"block_size", GYR_ATTRIBUTE_INT, 21, false},
};

#define BYTES (OP_BIT(I8) | OP_BIT(U8))
#define SHORTS (OP_BIT(I16) | OP_BIT(U16))

static const struct gyr_op_type quantize_types[] = {{'T', 10, OP_BIT(F32) | OP_BIT(I32)}, {'S', 10, OP_BIT(F32)}, {'Z', 10, BYTES}};
static const struct gyr_op_type quantize_types_19[] = {
	{'T', 19, OP_BIT(F32) | OP_BIT(F16) | OP_BIT(BF16) | OP_BIT(I32)},
	{'Z', 19, BYTES},
	{'Z', 21, SHORTS},
};
static const struct gyr_op_type dequantize_types[] = {
	{'T', 10, BYTES | OP_BIT(I32)},
	{'T', 21, SHORTS},
	{'S', 10, OP_BIT(F32)},
	{'S', 19, OP_BIT(F16) | OP_BIT(BF16)},
};
static const struct gyr_op_type dynamic_types[] = {{'T', 11, OP_BIT(F32)}, {'U', 11, OP_BIT(U8)}};

#define QUANTIZE                                                                                                                                               \
	.op = GYR_OP_QUANTIZE_LINEAR, .name = "QuantizeLinear", OP_OUTPUTS(1, "Z"), OP_ATTRIBUTES(quantize_attributes), .infer = infer_quantize,               \
	.rows = rows_scaled

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_DEQUANTIZE_LINEAR,
	 .name = "DequantizeLinear",
	 OP_OPSETS(10, GYR_OPSET_MAX),
	 OP_INPUTS(2, 3, "TST"),
	 OP_OUTPUTS(1, "S"),
	 OP_TYPES(dequantize_types),
	 OP_ATTRIBUTES(dequantize_attributes),
	 .infer = infer_dequantize,
	 .rows = rows_scaled},
	{.op = GYR_OP_DYNAMIC_QUANTIZE_LINEAR,
	 .name = "DynamicQuantizeLinear",
	 OP_OPSETS(11, GYR_OPSET_MAX),
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(3, "UTU"),
	 OP_TYPES(dynamic_types),
	 .infer = infer_dynamic},
	{QUANTIZE, OP_OPSETS(10, 18), OP_INPUTS(2, 3, "TSZ"), OP_TYPES(quantize_types)},
	{QUANTIZE, OP_OPSETS(19, GYR_OPSET_MAX), OP_INPUTS(2, 3, "TTZ"), OP_TYPES(quantize_types_19)},
};

const struct op_family op_family_quantise = {rows, OP_COUNT(rows)};
