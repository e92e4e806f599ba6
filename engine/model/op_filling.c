/*
 * The filling family: operators that make elements, or put some around or in place of others. Source: the ONNX operator schemas (docs/Operators.md and
 * docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/model/movement.h"
#include "engine/model/op_family.h"

bool gyr_infer_whole(enum gyr_dtype dtype, const void *data, size_t i, int64_t *value)
{
	union {
		int8_t i8;
		int16_t i16;
		int32_t i32;
		int64_t i64;
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
		float f32;
		double f64;
	} number;
	size_t bytes = gyr_dtype_bytes(dtype);
	memcpy(&number, (const char *)data + i * bytes, bytes);
	double real = dtype == GYR_DTYPE_F32 ? (double)number.f32 : dtype == GYR_DTYPE_F64 ? number.f64 : 0;
	switch (dtype) {
	case GYR_DTYPE_I8: *value = number.i8; return true;
	case GYR_DTYPE_I16: *value = number.i16; return true;
	case GYR_DTYPE_I32: *value = number.i32; return true;
	case GYR_DTYPE_I64: *value = number.i64; return true;
	case GYR_DTYPE_U8: *value = number.u8; return true;
	case GYR_DTYPE_U16: *value = number.u16; return true;
	case GYR_DTYPE_U32: *value = number.u32; return true;
	case GYR_DTYPE_U64: *value = (int64_t)number.u64; return number.u64 <= INT64_MAX;
	case GYR_DTYPE_F32:
	case GYR_DTYPE_F64:
		if (!(real > -0x1p62 && real < 0x1p62))
			return false;
		*value = (int64_t)real;
		return true;
	default: return false;
	}
}

static int infer_pads(struct gyr_infer *infer, struct gyr_pad *pad)
{
	uint32_t rank = infer->inputs[0]->rank, count = 0, axis_count = 0, seen = 0;
	int64_t pads[2 * GYR_RANK_MAX], axes[GYR_RANK_MAX];
	bool given, some_axes = false;
	int status = gyr_infer_list(infer, "pads", 1, pads, 2 * GYR_RANK_MAX, &count, &given);
	if (status == 0)
		status = gyr_infer_list(infer, "axes", 3, axes, GYR_RANK_MAX, &axis_count, &some_axes);
	if (status == 0 && count != 2 * (some_axes ? axis_count : rank))
		status = gyr_error_set(infer->error, -EINVAL, "it has %" PRIu32 " pads for %" PRIu32 " dimensions", count, some_axes ? axis_count : rank);
	for (uint32_t i = 0; i < count / 2 && status == 0; i++) {
		uint32_t axis = i;
		if (some_axes)
			status = op_check_axis(infer, "axes", axes[i], rank, (int64_t)rank - 1, &axis);
		if (status == 0 && (seen >> axis & 1) != 0)
			status = gyr_error_set(infer->error, -EINVAL, "axis %" PRIu32 " is named twice", axis);
		if (status != 0)
			return status;
		seen |= UINT32_C(1) << axis;
		pad->before[axis] = pads[i];
		pad->after[axis] = pads[count / 2 + i];
	}
	return status;
}

/* Half of what is more or less goes to the front, rounded towards none. */
static int infer_center(struct gyr_infer *infer, struct gyr_pad *pad)
{
	const struct gyr_attribute *axes = gyr_node_attribute(infer->node, "axes");
	const struct gyr_shape *input = infer->inputs[0];
	uint32_t count = 0, seen = 0;
	int64_t sizes[GYR_RANK_MAX];
	int status = op_read_integers(infer, 1, sizes, GYR_RANK_MAX, &count);
	if (status == 0 && count != (axes != NULL ? axes->integers.count : input->rank))
		status = gyr_error_set(infer->error, -EINVAL, "its shape has %" PRIu32 " dimensions, not as many as its axes", count);
	for (uint32_t i = 0; i < count && status == 0; i++) {
		uint32_t axis = i;
		if (axes != NULL)
			status = op_check_axis(infer, "axes", axes->integers.items[i], input->rank, (int64_t)input->rank - 1, &axis);
		if (status == 0 && (sizes[i] < 0 || (seen >> axis & 1) != 0))
			status = gyr_error_set(infer->error, -EINVAL, "axis %" PRIu32 " is named twice, or is to be %" PRId64, axis, sizes[i]);
		if (status != 0)
			return status;
		seen |= UINT32_C(1) << axis;
		pad->before[axis] = (sizes[i] - input->dims[axis]) / 2;
		pad->after[axis] = sizes[i] - input->dims[axis] - pad->before[axis];
	}
	return status;
}

int gyr_infer_pad(struct gyr_infer *infer, struct gyr_pad *pad)
{
	memset(pad, 0, sizeof *pad);
	return infer->node->op == GYR_OP_PAD ? infer_pads(infer, pad) : infer_center(infer, pad);
}

static int infer_pad(struct gyr_infer *infer)
{
	const char *mode = gyr_node_string(infer->node, "mode", "constant");
	const struct gyr_shape *fill = infer->node->op == GYR_OP_PAD ? gyr_infer_input(infer, 2) : NULL;
	struct gyr_shape *result = &infer->outputs[0];
	bool constant = strcmp(mode, "constant") == 0;
	struct gyr_pad pad;
	*result = *infer->inputs[0];
	if (!constant && strcmp(mode, "reflect") != 0 && strcmp(mode, "edge") != 0 && (strcmp(mode, "wrap") != 0 || infer->opset < 19))
		return gyr_error_set(infer->error, -EINVAL, "attribute 'mode' is '%s' (constant, reflect, edge%s)", mode, infer->opset < 19 ? "" : ", wrap");
	if (fill != NULL && (fill->rank > 1 || (fill->rank == 1 && fill->dims[0] != 1)))
		return gyr_error_set(infer->error, -EINVAL, "its constant value is no scalar");
	int status = gyr_infer_pad(infer, &pad);
	for (uint32_t i = 0; i < result->rank && status == 0; i++) {
		int64_t length = result->dims[i], *dim = &result->dims[i];
		if (__builtin_add_overflow(*dim, pad.before[i], dim) || __builtin_add_overflow(*dim, pad.after[i], dim) || *dim < 0 ||
		    pad.before[i] < -INT64_MAX / 2 || pad.before[i] > INT64_MAX / 2)
			status = gyr_error_set(infer->error, -EINVAL, "dimension %" PRIu32 " of %" PRId64 " is padded by %" PRId64 " and %" PRId64, i, length,
					       pad.before[i], pad.after[i]);
		else if (!constant && length == 0 && *dim > 0)
			status = gyr_error_set(infer->error, -EINVAL, "dimension %" PRIu32 " has no element to pad it with", i);
	}
	return status;
}

static enum gyr_rows rows_pad(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	struct gyr_infer again = *node;
	struct gyr_error unfit;
	struct gyr_pad pad;
	again.error = &unfit;
	return node->inputs[0]->rank > 0 && gyr_infer_pad(&again, &pad) == 0 && pad.before[0] == 0 && pad.after[0] == 0 ? gyr_rows_first(node, inputs, batch)
															: GYR_ROWS_MIXED;
}

static int infer_size(struct gyr_infer *infer)
{
	infer->outputs[0] = (struct gyr_shape){.dtype = GYR_DTYPE_I64};
	return 0;
}

static int infer_constant_of_shape(struct gyr_infer *infer)
{
	const struct gyr_attribute *value = gyr_node_attribute(infer->node, "value");
	struct gyr_shape *result = &infer->outputs[0];
	size_t count = 1;
	result->dtype = value != NULL ? value->tensor.shape.dtype : GYR_DTYPE_F32;
	if (value != NULL && (!gyr_shape_count(&value->tensor.shape, 1, &count) || count != 1))
		return gyr_error_set(infer->error, -EINVAL, "attribute 'value' is not one element");
	int status = op_read_integers(infer, 0, result->dims, GYR_RANK_MAX, &result->rank);
	for (uint32_t i = 0; i < result->rank && status == 0; i++)
		if (result->dims[i] < 0)
			status = gyr_error_set(infer->error, -EINVAL, "its shape has a dimension of %" PRId64, result->dims[i]);
	return status;
}

static double real_of(enum gyr_dtype dtype, const void *data)
{
	float narrow;
	double wide;
	int64_t whole = 0;
	if (dtype == GYR_DTYPE_F32) {
		memcpy(&narrow, data, sizeof narrow);
		return (double)narrow;
	}
	if (dtype == GYR_DTYPE_F64) {
		memcpy(&wide, data, sizeof wide);
		return wide;
	}
	(void)gyr_infer_whole(dtype, data, 0, &whole);
	return (double)whole;
}

static int infer_range(struct gyr_infer *infer)
{
	enum gyr_dtype dtype = infer->inputs[0]->dtype;
	for (uint32_t i = 0; i < 3; i++) {
		size_t count;
		if (!gyr_shape_count(infer->inputs[i], 1, &count) || count != 1)
			return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is no scalar", i);
		if (infer->contents[i] == NULL)
			return op_need_content(infer, i);
	}
	double start = real_of(dtype, infer->contents[0]), limit = real_of(dtype, infer->contents[1]), delta = real_of(dtype, infer->contents[2]);
	double count = ceil((limit - start) / delta);
	if (delta == 0 || !(count < 0x1p40))
		return gyr_error_set(infer->error, -EINVAL, "from %g to %g by %g is no range", start, limit, delta);
	infer->outputs[0] = (struct gyr_shape){.dtype = dtype, .rank = 1, .dims = {count > 0 ? (int64_t)count : 0}};
	return 0;
}

static int infer_one_hot(struct gyr_infer *infer)
{
	const struct gyr_shape *indices = infer->inputs[0], *depth = infer->inputs[1], *values = infer->inputs[2];
	struct gyr_shape *result = &infer->outputs[0];
	int64_t axis = gyr_node_integer(infer->node, "axis", -1), length;
	size_t count;
	if (indices->rank >= GYR_RANK_MAX || axis < -(int64_t)indices->rank - 1 || axis > indices->rank)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'axis' is %" PRId64 ", and the indices have %" PRIu32 " dimensions", axis,
				     indices->rank);
	if (!gyr_shape_count(depth, 1, &count) || count != 1 || values->rank != 1 || values->dims[0] != 2)
		return gyr_error_set(infer->error, -EINVAL, "its depth is not one number, or its values are not two");
	if (infer->contents[1] == NULL)
		return op_need_content(infer, 1);
	if (!gyr_infer_whole(depth->dtype, infer->contents[1], 0, &length) || length < 0)
		return gyr_error_set(infer->error, -EINVAL, "its depth is no whole number of 0 or more");
	axis = axis < 0 ? axis + indices->rank + 1 : axis;
	result->dtype = values->dtype;
	result->rank = indices->rank + 1;
	for (uint32_t i = 0, from = 0; i < result->rank; i++)
		result->dims[i] = i == axis ? length : indices->dims[from++];
	return 0;
}

static enum gyr_rows rows_one_hot(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	int64_t axis = gyr_node_integer(node->node, "axis", -1);
	bool first = axis == 0 || axis + node->inputs[0]->rank + 1 == 0;
	return first || inputs[1] != GYR_ROWS_NONE || inputs[2] != GYR_ROWS_NONE ? GYR_ROWS_MIXED : inputs[0];
}

static int infer_trilu(struct gyr_infer *infer)
{
	const struct gyr_shape *k = gyr_infer_input(infer, 1);
	bool upper = true;
	size_t count = 1;
	infer->outputs[0] = *infer->inputs[0];
	if (infer->inputs[0]->rank < 2 || (k != NULL && (!gyr_shape_count(k, 1, &count) || count != 1)))
		return gyr_error_set(infer->error, -EINVAL, "its input is no matrix, or its k is not one number");
	return op_read_switch(infer, "upper", &upper);
}

static enum gyr_rows rows_trilu(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	bool same = node->node->input_count < 2 || inputs[1] == GYR_ROWS_NONE;
	return same && node->inputs[0]->rank > 2 ? inputs[0] : GYR_ROWS_MIXED;
}

static int infer_eye_like(struct gyr_infer *infer)
{
	int64_t dtype = gyr_node_integer(infer->node, "dtype", (int64_t)infer->inputs[0]->dtype);
	uint32_t types = OP_ALL | (infer->opset >= 22 ? OP_BIT(BF16) : 0);
	infer->outputs[0] = *infer->inputs[0];
	if (infer->inputs[0]->rank != 2)
		return gyr_error_set(infer->error, -EINVAL, "its input is no matrix");
	if (dtype < 0 || dtype >= 32 || (types >> dtype & 1) == 0)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'dtype' is %" PRId64 ", which is no type of this operator", dtype);
	infer->outputs[0].dtype = (enum gyr_dtype)dtype;
	return 0;
}

static const struct gyr_op_attribute axes_attributes[] = {{"axes", GYR_ATTRIBUTE_INTS, 18, false}};
static const struct gyr_op_attribute axis_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 9, false}};
static const struct gyr_op_attribute eye_attributes[] = {{"dtype", GYR_ATTRIBUTE_INT, 9, false}, {"k", GYR_ATTRIBUTE_INT, 9, false}};
static const struct gyr_op_attribute mode_attributes[] = {{"mode", GYR_ATTRIBUTE_STRING, 11, false}};
static const struct gyr_op_attribute pad_attributes[] = {
	{"mode", GYR_ATTRIBUTE_STRING, 7, false}, {"pads", GYR_ATTRIBUTE_INTS, 7, true}, {"value", GYR_ATTRIBUTE_FLOAT, 7, false}};
static const struct gyr_op_attribute upper_attributes[] = {{"upper", GYR_ATTRIBUTE_INT, 14, false}};
static const struct gyr_op_attribute value_attributes[] = {{"value", GYR_ATTRIBUTE_TENSOR, 9, false}};

static const struct gyr_op_type all_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type center_types[] = {{'T', 18, OP_ALL | OP_BIT(BF16)}, {'I', 18, OP_BIT(I32) | OP_BIT(I64)}};
static const struct gyr_op_type constant_types[] = {{'S', 9, OP_BIT(I64)}};
static const struct gyr_op_type eye_types[] = {{'T', 9, OP_ALL}, {'T', 22, OP_BIT(BF16)}};
static const struct gyr_op_type one_hot_types[] = {{'N', 9, OP_NUMBERS}, {'D', 9, OP_NUMBERS}, {'T', 9, OP_ALL}};
static const struct gyr_op_type pad7_types[] = {{'T', 7, OP_FLOATS}};
static const struct gyr_op_type pad_types[] = {
	{'T', 11, OP_NUMBERS}, {'T', 13, OP_BIT(BOOL) | OP_BIT(BF16)}, {'P', 11, OP_BIT(I64)}, {'I', 18, OP_BIT(I32) | OP_BIT(I64)}};
static const struct gyr_op_type range_types[] = {{'T', 11, OP_BIT(F32) | OP_BIT(F64) | OP_BIT(I16) | OP_BIT(I32) | OP_BIT(I64)}};
static const struct gyr_op_type trilu_types[] = {{'T', 14, OP_ALL | OP_BIT(BF16)}, {'P', 14, OP_BIT(I64)}};

#define ROW(op_, name_, from_, to_, ...) {.op = GYR_OP_##op_, .name = (name_), OP_OPSETS(from_, to_), OP_OUTPUTS(1, "T"), __VA_ARGS__}

static const struct gyr_op_info rows[] = {
	ROW(CENTER_CROP_PAD, "CenterCropPad", 18, 22, OP_INPUTS(2, 2, "TI"), OP_TYPES(center_types), OP_ATTRIBUTES(axes_attributes), .infer = infer_pad,
	    .rows = rows_pad),
	ROW(CONSTANT_OF_SHAPE, "ConstantOfShape", 9, 22, OP_INPUTS(1, 1, "S"), OP_TYPES(constant_types), OP_ATTRIBUTES(value_attributes),
	    .infer = infer_constant_of_shape),
	ROW(EYE_LIKE, "EyeLike", 9, 22, OP_INPUTS(1, 1, "T"), OP_TYPES(eye_types), OP_ATTRIBUTES(eye_attributes), .infer = infer_eye_like,
	    .rows = gyr_rows_count),
	ROW(ONE_HOT, "OneHot", 9, 22, OP_INPUTS(3, 3, "NDT"), OP_TYPES(one_hot_types), OP_ATTRIBUTES(axis_attributes), .infer = infer_one_hot,
	    .rows = rows_one_hot),
	ROW(PAD, "Pad", 7, 10, OP_INPUTS(1, 1, "T"), OP_TYPES(pad7_types), OP_ATTRIBUTES(pad_attributes), .infer = infer_pad, .rows = rows_pad),
	ROW(PAD, "Pad", 11, 17, OP_INPUTS(2, 3, "TPT"), OP_TYPES(pad_types), OP_ATTRIBUTES(mode_attributes), .infer = infer_pad, .rows = rows_pad),
	ROW(PAD, "Pad", 18, 22, OP_INPUTS(2, 4, "TPTI"), OP_TYPES(pad_types), OP_ATTRIBUTES(mode_attributes), .infer = infer_pad, .rows = rows_pad),
	ROW(RANGE, "Range", 11, 22, OP_INPUTS(3, 3, "T"), OP_TYPES(range_types), .infer = infer_range),
	ROW(SIZE, "Size", 7, 22, OP_INPUTS(1, 1, "T"), OP_TYPES(all_types), .infer = infer_size, .rows = gyr_rows_count),
	ROW(TRILU, "Trilu", 14, 22, OP_INPUTS(1, 2, "TP"), OP_TYPES(trilu_types), OP_ATTRIBUTES(upper_attributes), .infer = infer_trilu, .rows = rows_trilu),
};

const struct op_family op_family_filling = {rows, OP_COUNT(rows)};
