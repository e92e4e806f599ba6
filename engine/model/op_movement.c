/*
 * The movement family: operators that move elements or look at shapes. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX
 * 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/model/op_family.h"

static int infer_flatten(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	struct gyr_shape *result = &infer->outputs[0];
	uint32_t axis = 0;
	int status = op_read_axis(infer, 1, input->rank, input->rank, &axis);
	result->dtype = input->dtype;
	result->rank = 2;
	if (status == 0)
		status = op_product(infer, input, 0, axis, &result->dims[0]);
	return status == 0 ? op_product(infer, input, axis, input->rank, &result->dims[1]) : status;
}

static int infer_reshape(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	struct gyr_shape *result = &infer->outputs[0];
	bool allow_zero = false;
	int64_t count = 0, known = 1, target[GYR_RANK_MAX];
	uint32_t open = GYR_RANK_MAX; /* where the -1 stands */
	int status = op_read_switch(infer, "allowzero", &allow_zero);
	if (status == 0)
		status = op_read_integers(infer, 1, target, GYR_RANK_MAX, &result->rank);
	if (status == 0)
		status = op_product(infer, input, 0, input->rank, &count);
	if (status != 0)
		return status;
	result->dtype = input->dtype;
	for (uint32_t i = 0; i < result->rank; i++) {
		int64_t dim = target[i];
		if (dim == 0 && !allow_zero) {
			if (i >= input->rank)
				return gyr_error_set(infer->error, -EINVAL, "its shape copies dimension %" PRIu32 ", and the input has none", i);
			dim = input->dims[i];
		} else if (dim == -1) {
			if (open != GYR_RANK_MAX)
				return gyr_error_set(infer->error, -EINVAL, "its shape has two dimensions of -1");
			open = i;
			continue;
		} else if (dim < 0) {
			return gyr_error_set(infer->error, -EINVAL, "its shape has a dimension of %" PRId64, dim);
		}
		result->dims[i] = dim;
		if (__builtin_mul_overflow(known, dim, &known))
			return gyr_error_set(infer->error, -EINVAL, "the result has too many elements");
	}
	char text[128];
	if (open != GYR_RANK_MAX) {
		if (known == 0 || count % known != 0)
			return gyr_error_set(infer->error, -EINVAL, "its shape does not divide %s", gyr_shape_text(input, text, sizeof text));
		result->dims[open] = count / known;
		known = count;
	}
	if (known != count)
		return gyr_error_set(infer->error, -EINVAL, "its shape holds %" PRId64 " elements, and %s holds %" PRId64, known,
				     gyr_shape_text(input, text, sizeof text), count);
	return 0;
}

/* A bound of Shape's slice: counted from the end where negative, and cut at the ends. */
static int64_t shape_bound(const struct gyr_infer *infer, const char *name, int64_t otherwise)
{
	int64_t rank = infer->inputs[0]->rank, bound = gyr_node_integer(infer->node, name, otherwise);
	bound = bound < 0 ? bound + rank : bound;
	return bound < 0 ? 0 : bound > rank ? rank : bound;
}

static int infer_shape(struct gyr_infer *infer)
{
	int64_t start = shape_bound(infer, "start", 0), end = shape_bound(infer, "end", infer->inputs[0]->rank);
	infer->outputs[0] = (struct gyr_shape){.dtype = GYR_DTYPE_I64, .rank = 1, .dims = {end > start ? end - start : 0}};
	return 0;
}

static const struct gyr_op_attribute flatten_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}};
static const struct gyr_op_attribute reshape_attributes[] = {{"allowzero", GYR_ATTRIBUTE_INT, 14, false}};
static const struct gyr_op_attribute shape_attributes[] = {{"end", GYR_ATTRIBUTE_INT, 15, false}, {"start", GYR_ATTRIBUTE_INT, 15, false}};

static const struct gyr_op_type all_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type flatten_types[] = {{'T', 7, OP_FLOATS}, {'T', 9, OP_ALL}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type reshape_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}, {'S', 7, OP_BIT(I64)}};

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_FLATTEN,
	 .name = "Flatten",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(flatten_types),
	 OP_ATTRIBUTES(flatten_attributes),
	 .infer = infer_flatten,
	 .rows = gyr_rows_in_order,
	 .rows_anywhere = true,
	 .rows_inside = true,
	 .view = true},
	{.op = GYR_OP_IDENTITY,
	 .name = "Identity",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(all_types),
	 .infer = op_infer_same,
	 .rows = gyr_rows_in_order,
	 .rows_anywhere = true,
	 .rows_inside = true,
	 .view = true},
	{.op = GYR_OP_RESHAPE,
	 .name = "Reshape",
	 OP_EVERY_OPSET,
	 OP_INPUTS(2, 2, "TS"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(reshape_types),
	 OP_ATTRIBUTES(reshape_attributes),
	 .infer = infer_reshape,
	 .rows = gyr_rows_in_order,
	 .rows_anywhere = true,
	 .rows_inside = true,
	 .view = true},
	{.op = GYR_OP_SHAPE,
	 .name = "Shape",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "S"),
	 OP_TYPES(all_types),
	 OP_ATTRIBUTES(shape_attributes),
	 .infer = infer_shape,
	 .rows = gyr_rows_count},
};

const struct op_family op_family_movement = {rows, OP_COUNT(rows)};
