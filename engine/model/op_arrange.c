/*
 * The arrange family: operators that give the same elements in another order or number, known from shapes and constants. Source: the ONNX operator schemas
 * (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/model/movement.h"
#include "engine/model/op_family.h"

static int too_large(struct gyr_infer *infer)
{
	return gyr_error_set(infer->error, -EINVAL, "the result has too many elements");
}

int gyr_infer_list(struct gyr_infer *infer, const char *name, uint32_t index, int64_t *items, uint32_t max, uint32_t *count, bool *given)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(infer->node, name);
	*count = 0;
	*given = attribute != NULL || gyr_infer_input(infer, index) != NULL;
	if (attribute == NULL)
		return *given ? op_read_integers(infer, index, items, max, count) : 0;
	if (attribute->integers.count > max)
		return gyr_error_set(infer->error, -EINVAL, "attribute '%s' has more than %" PRIu32 " numbers", name, max);
	*count = attribute->integers.count;
	for (uint32_t i = 0; i < *count; i++)
		items[i] = attribute->integers.items[i];
	return 0;
}

/* The axes that a list names, each at most once: bit i is axis i. */
static int read_axes(struct gyr_infer *infer, uint32_t rank, uint32_t *axes, bool *given)
{
	int64_t items[GYR_RANK_MAX];
	uint32_t count, axis;
	int status = gyr_infer_list(infer, "axes", 1, items, GYR_RANK_MAX, &count, given);
	*axes = 0;
	for (uint32_t i = 0; i < count && status == 0; i++) {
		status = op_check_axis(infer, "axes", items[i], rank, (int64_t)rank - 1, &axis);
		if (status == 0 && (*axes >> axis & 1) != 0)
			status = gyr_error_set(infer->error, -EINVAL, "axis %" PRIu32 " is named twice", axis);
		if (status == 0)
			*axes |= UINT32_C(1) << axis;
	}
	return status;
}

static int infer_squeeze(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	struct gyr_shape *result = &infer->outputs[0];
	uint32_t axes = 0;
	bool given = false;
	int status = read_axes(infer, input->rank, &axes, &given);
	result->dtype = input->dtype;
	for (uint32_t i = 0; i < input->rank && status == 0; i++) {
		bool named = (axes >> i & 1) != 0;
		if (named && input->dims[i] != 1)
			status = gyr_error_set(infer->error, -EINVAL, "dimension %" PRIu32 " is %" PRId64 ", not 1", i, input->dims[i]);
		if (!named && (given || input->dims[i] != 1))
			result->dims[result->rank++] = input->dims[i];
	}
	return status;
}

static int infer_unsqueeze(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	struct gyr_shape *result = &infer->outputs[0];
	const struct gyr_attribute *attribute = gyr_node_attribute(infer->node, "axes");
	uint32_t axes = 0, from = 0, added;
	bool given = false;
	if (attribute == NULL && infer->inputs[1]->rank > 1)
		return gyr_error_set(infer->error, -EINVAL, "its axes are no vector");
	int64_t count = attribute != NULL ? attribute->integers.count : infer->inputs[1]->rank == 0 ? 1 : infer->inputs[1]->dims[0];
	if (count > (int64_t)(GYR_RANK_MAX - input->rank))
		return gyr_error_set(infer->error, -EINVAL, "the result has more than %d dimensions", GYR_RANK_MAX);
	added = (uint32_t)count;
	int status = read_axes(infer, input->rank + added, &axes, &given);
	result->dtype = input->dtype;
	result->rank = input->rank + added;
	for (uint32_t i = 0; i < result->rank && status == 0; i++)
		result->dims[i] = (axes >> i & 1) != 0 ? 1 : input->dims[from++];
	return status;
}

static int infer_transpose(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	struct gyr_shape *result = &infer->outputs[0];
	const struct gyr_attribute *perm = gyr_node_attribute(infer->node, "perm");
	uint32_t seen = 0;
	*result = *input;
	if (perm != NULL && perm->integers.count != input->rank)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'perm' has %" PRIu32 " numbers, not %" PRIu32, perm->integers.count, input->rank);
	for (uint32_t i = 0; i < input->rank; i++) {
		int64_t from = perm != NULL ? perm->integers.items[i] : input->rank - 1 - i;
		if (from < 0 || from >= input->rank || (seen >> from & 1) != 0)
			return gyr_error_set(infer->error, -EINVAL, "attribute 'perm' is no order of the dimensions");
		seen |= UINT32_C(1) << from;
		result->dims[i] = input->dims[from];
	}
	return 0;
}

static enum gyr_rows rows_transpose(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	const struct gyr_attribute *perm = gyr_node_attribute(node->node, "perm");
	struct gyr_rows_place place = gyr_rows_place(inputs[0]);
	uint32_t rank = node->inputs[0]->rank;
	for (uint32_t i = 0; i < rank; i++)
		if ((perm != NULL ? perm->integers.items[i] : rank - 1 - i) == place.axis)
			return gyr_rows_at(&node->outputs[0], (struct gyr_rows_place){i, place.behind}, batch);
	return GYR_ROWS_MIXED;
}

static int infer_concat(struct gyr_infer *infer)
{
	struct gyr_shape *result = &infer->outputs[0];
	uint32_t axis = 0;
	*result = *infer->inputs[0];
	int status = op_read_axis(infer, 0, result->rank, (int64_t)result->rank - 1, &axis);
	for (uint32_t i = 1; i < infer->node->input_count && status == 0; i++) {
		const struct gyr_shape *input = infer->inputs[i];
		struct gyr_shape expected = *result;
		if (input->rank == result->rank)
			expected.dims[axis] = input->dims[axis];
		if (!gyr_shape_equal(&expected, input)) {
			char is[128], said[128];
			return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is %s, and should be as %s but in dimension %" PRIu32, i,
					     gyr_shape_text(input, is, sizeof is), gyr_shape_text(infer->inputs[0], said, sizeof said), axis);
		}
		if (__builtin_add_overflow(result->dims[axis], input->dims[axis], &result->dims[axis]))
			return too_large(infer);
	}
	return status;
}

static enum gyr_rows rows_concat(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	int64_t given = gyr_node_integer(node->node, "axis", 0), axis = given < 0 ? given + node->inputs[0]->rank : given;
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] != inputs[0])
			return GYR_ROWS_MIXED;
	return gyr_rows_axis(inputs[0]) == axis ? GYR_ROWS_MIXED : inputs[0];
}

static int infer_split(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	int64_t sizes[GYR_NODE_ENDS_MAX], left, parts = infer->node->output_count;
	uint32_t axis = 0, count = 0;
	bool given = false;
	int status = op_read_axis(infer, 0, input->rank, (int64_t)input->rank - 1, &axis);
	if (status == 0)
		status = gyr_infer_list(infer, "split", 1, sizes, GYR_NODE_ENDS_MAX, &count, &given);
	if (status != 0)
		return status;
	left = input->dims[axis];
	if (given && count != infer->node->output_count)
		return gyr_error_set(infer->error, -EINVAL, "it is split into %" PRIu32 " parts, and has %" PRId64 " outputs", count, parts);
	if (gyr_node_integer(infer->node, "num_outputs", parts) != parts)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'num_outputs' is not %" PRId64 ", which it has", parts);
	if (!given && infer->opset < 18 && left % parts != 0)
		return gyr_error_set(infer->error, -EINVAL, "%" PRId64 " is not divided by %" PRId64 " outputs", left, parts);
	int64_t each = left / parts + (left % parts != 0); /* the last may be smaller */
	for (uint32_t i = 0; i < infer->node->output_count; i++) {
		int64_t size = given ? sizes[i] : each < left ? each : left;
		if (size < 0 || size > left)
			return gyr_error_set(infer->error, -EINVAL, "part %" PRIu32 " is %" PRId64 " of the %" PRId64 " that are left", i, size, left);
		left -= size;
		infer->outputs[i] = *input;
		infer->outputs[i].dims[axis] = size;
	}
	return left == 0 ? 0 : gyr_error_set(infer->error, -EINVAL, "its parts leave %" PRId64 " of dimension %" PRIu32, left, axis);
}

static enum gyr_rows rows_split(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return gyr_rows_beside(node, inputs, 0, false);
}

/* One dimension of a slice. ONNX puts a start before the first element on that element, also where steps are negative (numpy puts it before it then). */
static void cut(struct gyr_slice *slice, uint32_t axis, int64_t dim, int64_t start, int64_t end, int64_t step)
{
	int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
	slice->whole[axis] = start == 0 && step == 1 && end >= INT32_MAX;
	start = start < 0 ? start + dim : start;
	end = end < 0 ? end + dim : end;
	start = start < 0 ? 0 : start;
	start = start > high ? high : start;
	end = end < low ? low : end > high ? high : end;
	step = step < -INT64_MAX ? -INT64_MAX : step;
	slice->counts[axis] = step > 0 ? (end > start ? 1 + (end - start - 1) / step : 0) : (start > end ? 1 + (start - end - 1) / -step : 0);
	slice->starts[axis] = slice->counts[axis] > 0 ? start : 0;
	slice->steps[axis] = slice->counts[axis] > 1 ? step : 1;
}

int gyr_infer_slice(struct gyr_infer *infer, struct gyr_slice *slice)
{
	const struct gyr_shape *input = infer->inputs[0];
	int64_t starts[GYR_RANK_MAX] = {0}, ends[GYR_RANK_MAX] = {0}, axes[GYR_RANK_MAX] = {0}, steps[GYR_RANK_MAX] = {0};
	uint32_t count = 0, end_count = 0, axis_count = 0, step_count = 0, seen = 0;
	bool given = false, some_axes = false, some_steps = false;
	for (uint32_t i = 0; i < input->rank; i++) {
		slice->starts[i] = 0;
		slice->steps[i] = 1;
		slice->counts[i] = input->dims[i];
		slice->whole[i] = true;
	}
	int status = gyr_infer_list(infer, "starts", 1, starts, GYR_RANK_MAX, &count, &given);
	if (status == 0)
		status = gyr_infer_list(infer, "ends", 2, ends, GYR_RANK_MAX, &end_count, &given);
	if (status == 0)
		status = gyr_infer_list(infer, "axes", 3, axes, GYR_RANK_MAX, &axis_count, &some_axes);
	if (status == 0)
		status = gyr_infer_list(infer, "steps", 4, steps, GYR_RANK_MAX, &step_count, &some_steps);
	if (status != 0)
		return status;
	if (end_count != count || (some_axes && axis_count != count) || (some_steps && step_count != count) || count > input->rank)
		return gyr_error_set(infer->error, -EINVAL, "its starts, ends, axes and steps are not as many, or more than %" PRIu32, input->rank);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t axis = i;
		int64_t step = some_steps ? steps[i] : 1;
		if (some_axes)
			status = op_check_axis(infer, "axes", axes[i], input->rank, (int64_t)input->rank - 1, &axis);
		if (status != 0)
			return status;
		if (step == 0 || (seen >> axis & 1) != 0)
			return gyr_error_set(infer->error, -EINVAL, "axis %" PRIu32 " is %s", axis, step == 0 ? "cut with a step of 0" : "named twice");
		seen |= UINT32_C(1) << axis;
		cut(slice, axis, input->dims[axis], starts[i], ends[i], step);
	}
	return 0;
}

static int infer_slice(struct gyr_infer *infer)
{
	struct gyr_slice slice;
	int status = gyr_infer_slice(infer, &slice);
	infer->outputs[0] = *infer->inputs[0];
	for (uint32_t i = 0; i < infer->inputs[0]->rank && status == 0; i++)
		infer->outputs[0].dims[i] = slice.counts[i];
	return status;
}

static enum gyr_rows rows_slice(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	struct gyr_infer again = *node;
	struct gyr_error unfit;
	struct gyr_slice slice;
	again.error = &unfit;
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] > GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
	uint32_t axis = gyr_rows_axis(inputs[0]);
	return axis != GYR_RANK_MAX && gyr_infer_slice(&again, &slice) == 0 && slice.whole[axis] ? inputs[0] : GYR_ROWS_MIXED;
}

static int infer_expand(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	struct gyr_shape target = {.dtype = input->dtype};
	int status = op_read_integers(infer, 1, target.dims, GYR_RANK_MAX, &target.rank);
	for (uint32_t i = 0; i < target.rank && status == 0; i++)
		if (target.dims[i] < 0)
			status = gyr_error_set(infer->error, -EINVAL, "its shape has a dimension of %" PRId64, target.dims[i]);
	infer->outputs[0].dtype = input->dtype;
	infer->outputs[0].rank = input->rank > target.rank ? input->rank : target.rank;
	return status == 0 ? op_broadcast(infer, input, input->rank, &target, target.rank, &infer->outputs[0]) : status;
}

static enum gyr_rows rows_expand(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	uint32_t axis = gyr_rows_axis(inputs[0]);
	return axis != GYR_RANK_MAX && inputs[1] <= GYR_ROWS_COUNT ? gyr_rows_apart(axis + node->outputs[0].rank - node->inputs[0]->rank) : GYR_ROWS_MIXED;
}

static int infer_tile(struct gyr_infer *infer)
{
	struct gyr_shape *result = &infer->outputs[0];
	int64_t repeats[GYR_RANK_MAX];
	uint32_t count = 0;
	*result = *infer->inputs[0];
	int status = op_read_integers(infer, 1, repeats, GYR_RANK_MAX, &count);
	if (status == 0 && count != result->rank)
		return gyr_error_set(infer->error, -EINVAL, "it has %" PRIu32 " repeats for %" PRIu32 " dimensions", count, result->rank);
	for (uint32_t i = 0; i < count && status == 0; i++)
		if (repeats[i] < 0 || __builtin_mul_overflow(result->dims[i], repeats[i], &result->dims[i]))
			status = too_large(infer);
	return status;
}

/* The block's side, and an image's shape N, C, H, W. */
static int read_block(struct gyr_infer *infer, int64_t *side)
{
	*side = gyr_node_integer(infer->node, "blocksize", 1);
	if (*side < 1 || *side > 1 << 15)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'blocksize' is %" PRId64 " (1 to %d)", *side, 1 << 15);
	if (infer->inputs[0]->rank != 4)
		return gyr_error_set(infer->error, -EINVAL, "its input has %" PRIu32 " dimensions, not 4", infer->inputs[0]->rank);
	return 0;
}

static int infer_depth_to_space(struct gyr_infer *infer)
{
	struct gyr_shape *result = &infer->outputs[0];
	const char *mode = gyr_node_string(infer->node, "mode", "DCR");
	int64_t side = 1;
	int status = read_block(infer, &side);
	*result = *infer->inputs[0];
	if (status != 0)
		return status;
	if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'mode' is '%s' (DCR or CRD)", mode);
	if (result->dims[1] % (side * side) != 0)
		return gyr_error_set(infer->error, -EINVAL, "%" PRId64 " channels are not divided by %" PRId64, result->dims[1], side * side);
	result->dims[1] /= side * side;
	if (__builtin_mul_overflow(result->dims[2], side, &result->dims[2]) || __builtin_mul_overflow(result->dims[3], side, &result->dims[3]))
		return too_large(infer);
	return 0;
}

static int infer_space_to_depth(struct gyr_infer *infer)
{
	struct gyr_shape *result = &infer->outputs[0];
	int64_t side = 1;
	int status = read_block(infer, &side);
	*result = *infer->inputs[0];
	if (status != 0)
		return status;
	if (result->dims[2] % side != 0 || result->dims[3] % side != 0)
		return gyr_error_set(infer->error, -EINVAL, "its image is not divided by %" PRId64, side);
	result->dims[2] /= side;
	result->dims[3] /= side;
	return __builtin_mul_overflow(result->dims[1], side * side, &result->dims[1]) ? too_large(infer) : 0;
}

/* Without axes, what is squeezed depends on the number of rows: at one row, its dimension goes too. */
static enum gyr_rows rows_squeeze(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	bool given = gyr_node_attribute(node->node, "axes") != NULL || gyr_infer_input(node, 1) != NULL;
	return given ? gyr_rows_in_order(node, inputs, batch) : GYR_ROWS_MIXED;
}

static const struct gyr_op_attribute axis_needed[] = {{"axis", GYR_ATTRIBUTE_INT, 7, true}};
static const struct gyr_op_attribute axes_attributes[] = {{"axes", GYR_ATTRIBUTE_INTS, 7, false}};
static const struct gyr_op_attribute axes_needed[] = {{"axes", GYR_ATTRIBUTE_INTS, 7, true}};
static const struct gyr_op_attribute depth_attributes[] = {{"blocksize", GYR_ATTRIBUTE_INT, 7, true}, {"mode", GYR_ATTRIBUTE_STRING, 11, false}};
static const struct gyr_op_attribute space_attributes[] = {{"blocksize", GYR_ATTRIBUTE_INT, 7, true}};
static const struct gyr_op_attribute perm_attributes[] = {{"perm", GYR_ATTRIBUTE_INTS, 7, false}};
static const struct gyr_op_attribute slice_attributes[] = {
	{"axes", GYR_ATTRIBUTE_INTS, 7, false}, {"ends", GYR_ATTRIBUTE_INTS, 7, true}, {"starts", GYR_ATTRIBUTE_INTS, 7, true}};
static const struct gyr_op_attribute split7_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}, {"split", GYR_ATTRIBUTE_INTS, 7, false}};
static const struct gyr_op_attribute split13_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 13, false}, {"num_outputs", GYR_ATTRIBUTE_INT, 18, false}};

static const struct gyr_op_type all_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type sized_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}, {'S', 7, OP_BIT(I64)}};
static const struct gyr_op_type index_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}, {'I', 7, OP_BIT(I32) | OP_BIT(I64)}};

#define ROW(op_, name_, from_, to_, ...) {.op = GYR_OP_##op_, .name = (name_), OP_OPSETS(from_, to_), __VA_ARGS__}
#define ONE_IN OP_INPUTS(1, 1, "T"), OP_OUTPUTS(1, "T"), OP_TYPES(all_types)
#define SIZED_IN(min) OP_INPUTS(min, 2, "TS"), OP_OUTPUTS(1, "T"), OP_TYPES(sized_types)

static const struct gyr_op_info rows[] = {
	ROW(CONCAT, "Concat", 7, 22, OP_INPUTS(1, GYR_OP_VARIADIC, "T"), OP_OUTPUTS(1, "T"), OP_TYPES(all_types), OP_ATTRIBUTES(axis_needed),
	    .infer = infer_concat, .rows = rows_concat, .rows_anywhere = true),
	ROW(DEPTH_TO_SPACE, "DepthToSpace", 7, 22, ONE_IN, OP_ATTRIBUTES(depth_attributes), .infer = infer_depth_to_space, .rows = gyr_rows_first),
	ROW(EXPAND, "Expand", 8, 22, SIZED_IN(2), .infer = infer_expand, .rows = rows_expand, .rows_anywhere = true),
	ROW(SLICE, "Slice", 7, 9, ONE_IN, OP_ATTRIBUTES(slice_attributes), .infer = infer_slice, .rows = rows_slice, .rows_anywhere = true),
	ROW(SLICE, "Slice", 10, 22, OP_INPUTS(3, 5, "TI"), OP_OUTPUTS(1, "T"), OP_TYPES(index_types), .infer = infer_slice, .rows = rows_slice,
	    .rows_anywhere = true),
	ROW(SPACE_TO_DEPTH, "SpaceToDepth", 7, 22, ONE_IN, OP_ATTRIBUTES(space_attributes), .infer = infer_space_to_depth, .rows = gyr_rows_first),
	ROW(SPLIT, "Split", 7, 12, OP_INPUTS(1, 1, "T"), OP_OUTPUTS(GYR_OP_VARIADIC, "T"), OP_TYPES(all_types), OP_ATTRIBUTES(split7_attributes),
	    .infer = infer_split, .rows = rows_split, .rows_anywhere = true),
	ROW(SPLIT, "Split", 13, 22, OP_INPUTS(1, 2, "TS"), OP_OUTPUTS(GYR_OP_VARIADIC, "T"), OP_TYPES(sized_types), OP_ATTRIBUTES(split13_attributes),
	    .infer = infer_split, .rows = rows_split, .rows_anywhere = true),
	ROW(SQUEEZE, "Squeeze", 7, 12, ONE_IN, OP_ATTRIBUTES(axes_attributes), .infer = infer_squeeze, .rows = rows_squeeze, .rows_anywhere = true,
	    .rows_inside = true, .view = true),
	ROW(SQUEEZE, "Squeeze", 13, 22, SIZED_IN(1), .infer = infer_squeeze, .rows = rows_squeeze, .rows_anywhere = true, .rows_inside = true, .view = true),
	ROW(TILE, "Tile", 7, 22, SIZED_IN(2), .infer = infer_tile, .rows = gyr_rows_first),
	ROW(TRANSPOSE, "Transpose", 7, 22, ONE_IN, OP_ATTRIBUTES(perm_attributes), .infer = infer_transpose, .rows = rows_transpose, .rows_anywhere = true,
	    .rows_inside = true),
	ROW(UNSQUEEZE, "Unsqueeze", 7, 12, ONE_IN, OP_ATTRIBUTES(axes_needed), .infer = infer_unsqueeze, .rows = gyr_rows_in_order, .rows_anywhere = true,
	    .rows_inside = true, .view = true),
	ROW(UNSQUEEZE, "Unsqueeze", 13, 22, SIZED_IN(2), .infer = infer_unsqueeze, .rows = gyr_rows_in_order, .rows_anywhere = true, .rows_inside = true,
	    .view = true),
};

const struct op_family op_family_arrange = {rows, OP_COUNT(rows)};
