/*
 * The reduction family: what sums, orders and searches along axes. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17),
 * opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/model/op_family.h"

/* The axes as they are given: an attribute or, later, an input. *COUNT is 0 where there are none. */
static int read_axes(struct gyr_infer *infer, int64_t *axes, uint32_t *count)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(infer->node, "axes");
	*count = 0;
	if (gyr_infer_input(infer, 1) != NULL)
		return op_read_integers(infer, 1, axes, GYR_RANK_MAX, count);
	if (attribute == NULL)
		return 0;
	if (attribute->integers.count > GYR_RANK_MAX)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'axes' has %" PRIu32 " items (at most %d)", attribute->integers.count, GYR_RANK_MAX);
	*count = attribute->integers.count;
	memcpy(axes, attribute->integers.items, *count * sizeof *axes);
	return 0;
}

/* "keepdims" is on unless it is said to be off. */
static int read_keep(struct gyr_infer *infer, bool *keep)
{
	*keep = true;
	return gyr_node_attribute(infer->node, "keepdims") != NULL ? op_read_switch(infer, "keepdims", keep) : 0;
}

/* Output 0 is SHAPE's with the dimensions REDUCED gone, or 1. */
static void drop(struct gyr_infer *infer, const bool *reduced, bool keep, enum gyr_dtype dtype)
{
	const struct gyr_shape *input = infer->inputs[0];
	struct gyr_shape *result = &infer->outputs[0];
	result->dtype = dtype;
	for (uint32_t i = 0; i < input->rank; i++)
		if (!reduced[i] || keep)
			result->dims[result->rank++] = reduced[i] ? 1 : input->dims[i];
}

/* Which dimensions of its input a Reduce takes together. */
static int find_reduced(struct gyr_infer *infer, bool *reduced)
{
	uint32_t count = 0, rank = infer->inputs[0]->rank;
	int64_t axes[GYR_RANK_MAX];
	bool noop = false;
	int status = op_read_switch(infer, "noop_with_empty_axes", &noop);
	if (status == 0)
		status = read_axes(infer, axes, &count);
	for (uint32_t i = 0; i < count && status == 0; i++) {
		uint32_t axis = 0;
		status = op_check_axis(infer, "axes", axes[i], rank, (int64_t)rank - 1, &axis);
		if (status == 0 && reduced[axis])
			status = gyr_error_set(infer->error, -EINVAL, "its axes name dimension %" PRIu32 " twice", axis);
		if (status == 0)
			reduced[axis] = true;
	}
	for (uint32_t i = 0; i < rank && count == 0; i++)
		reduced[i] = !noop;
	return status;
}

static int infer_reduce(struct gyr_infer *infer)
{
	bool reduced[GYR_RANK_MAX] = {false}, keep = true;
	int status = read_keep(infer, &keep);
	if (status == 0)
		status = find_reduced(infer, reduced);
	if (status != 0)
		return status;
	drop(infer, reduced, keep, infer->inputs[0]->dtype);
	return 0;
}

static enum gyr_rows rows_reduce(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	struct gyr_error unfit;
	struct gyr_infer again = *node;
	bool reduced[GYR_RANK_MAX] = {false}, keep = true;
	uint32_t axis = gyr_rows_axis(inputs[0]), to = 0;
	again.error = &unfit;
	if (axis == GYR_RANK_MAX || (node->node->input_count > 1 && inputs[1] != GYR_ROWS_NONE))
		return GYR_ROWS_MIXED;
	if (read_keep(&again, &keep) != 0 || find_reduced(&again, reduced) != 0 || reduced[axis])
		return GYR_ROWS_MIXED;
	for (uint32_t i = 0; i < axis; i++)
		to += !reduced[i] || keep;
	return gyr_rows_apart(to);
}

static int infer_arg(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	bool reduced[GYR_RANK_MAX] = {false}, keep = true, last;
	uint32_t axis = 0;
	int status = read_keep(infer, &keep);
	if (status == 0)
		status = op_read_switch(infer, "select_last_index", &last);
	if (status == 0)
		status = op_read_axis(infer, 0, input->rank, (int64_t)input->rank - 1, &axis);
	if (status != 0)
		return status;
	if (input->dims[axis] == 0)
		return gyr_error_set(infer->error, -EINVAL, "dimension %" PRIu32 ", along which it searches, is empty", axis);
	reduced[axis] = true;
	drop(infer, reduced, keep, GYR_DTYPE_I64);
	return 0;
}

static enum gyr_rows rows_arg(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	int64_t axis = gyr_node_integer(node->node, "axis", 0), rank = node->inputs[0]->rank;
	enum gyr_rows rows = gyr_rows_beside(node, inputs, 0, false);
	uint32_t batch_axis = gyr_rows_axis(rows);
	bool goes = gyr_node_integer(node->node, "keepdims", 1) == 0 && (axis < 0 ? axis + rank : axis) < batch_axis;
	return batch_axis != GYR_RANK_MAX && goes ? gyr_rows_apart(batch_axis - 1) : rows;
}

/* How many it takes is an attribute before opset 10. */
static int infer_top_k(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	int64_t k = gyr_node_integer(infer->node, "k", 0);
	bool on;
	uint32_t axis = 0, count = 1;
	/* The default axis counts from the end also where a given one may not. */
	int status = gyr_node_attribute(infer->node, "axis") == NULL && input->rank > 0 ? (axis = input->rank - 1, 0)
											: op_read_axis(infer, -1, input->rank, (int64_t)input->rank - 1, &axis);
	if (status == 0)
		status = op_read_switch(infer, "largest", &on);
	if (status == 0)
		status = op_read_switch(infer, "sorted", &on);
	if (status == 0 && gyr_infer_input(infer, 1) != NULL)
		status = op_read_integers(infer, 1, &k, 1, &count);
	if (status != 0)
		return status;
	if (count != 1 || k < 0 || k > input->dims[axis])
		return gyr_error_set(infer->error, -EINVAL, "K is %" PRId64 " (0 to %" PRId64 ", the size of dimension %" PRIu32 ")", k, input->dims[axis],
				     axis);
	for (uint32_t i = 0; i < infer->node->output_count; i++) {
		infer->outputs[i] = *input;
		infer->outputs[i].dims[axis] = k;
	}
	if (infer->node->output_count > 1)
		infer->outputs[1].dtype = GYR_DTYPE_I64;
	return 0;
}

static enum gyr_rows rows_top_k(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return gyr_rows_beside(node, inputs, -1, false);
}

static int infer_cum_sum(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0], *place = infer->inputs[1];
	int64_t given = 0;
	uint32_t axis, count;
	bool on;
	infer->outputs[0] = *input;
	int status = op_read_switch(infer, "exclusive", &on);
	if (status == 0)
		status = op_read_switch(infer, "reverse", &on);
	if (status != 0)
		return status;
	if (input->rank == 0 || place->rank > 1 || (place->rank == 1 && place->dims[0] != 1))
		return gyr_error_set(infer->error, -EINVAL, "its input is a scalar, or its axis is not one number");
	if (infer->contents[1] == NULL)
		return 0; /* read at each run */
	status = op_read_integers(infer, 1, &given, 1, &count);
	return status == 0 ? op_check_axis(infer, "axis", given, input->rank, (int64_t)input->rank - 1, &axis) : status;
}

static enum gyr_rows rows_cum_sum(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	struct gyr_error error;
	struct gyr_infer infer = *node;
	int64_t axis = 0;
	uint32_t count;
	infer.error = &error;
	if (inputs[1] != GYR_ROWS_NONE || op_read_integers(&infer, 1, &axis, 1, &count) != 0)
		return GYR_ROWS_MIXED;
	return gyr_rows_axis(inputs[0]) == (axis < 0 ? axis + node->inputs[0]->rank : axis) ? GYR_ROWS_MIXED : inputs[0];
}

static const struct gyr_op_attribute reduce_attributes[] = {{"axes", GYR_ATTRIBUTE_INTS, 7, false}, {"keepdims", GYR_ATTRIBUTE_INT, 7, false}};
static const struct gyr_op_attribute reduce_late_attributes[] = {{"keepdims", GYR_ATTRIBUTE_INT, 7, false},
								 {"noop_with_empty_axes", GYR_ATTRIBUTE_INT, 13, false}};
static const struct gyr_op_attribute arg_attributes[] = {
	{"axis", GYR_ATTRIBUTE_INT, 7, false}, {"keepdims", GYR_ATTRIBUTE_INT, 7, false}, {"select_last_index", GYR_ATTRIBUTE_INT, 12, false}};
static const struct gyr_op_attribute top_k_early_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}, {"k", GYR_ATTRIBUTE_INT, 7, true}};
static const struct gyr_op_attribute top_k_attributes[] = {
	{"axis", GYR_ATTRIBUTE_INT, 7, false}, {"largest", GYR_ATTRIBUTE_INT, 11, false}, {"sorted", GYR_ATTRIBUTE_INT, 11, false}};
static const struct gyr_op_attribute cum_sum_attributes[] = {{"exclusive", GYR_ATTRIBUTE_INT, 11, false}, {"reverse", GYR_ATTRIBUTE_INT, 11, false}};

static const struct gyr_op_type reduce_types[] = {{'T', 7, OP_FLOATS | OP_INTS_WIDE}, {'T', 13, OP_BIT(BF16)}, {'A', 7, OP_BIT(I64)}};
static const struct gyr_op_type extreme_types[] = {
	{'T', 7, OP_FLOATS | OP_INTS_WIDE}, {'T', 12, OP_BIT(I8) | OP_BIT(U8)}, {'T', 13, OP_BIT(BF16)}, {'T', 20, OP_BIT(BOOL)}, {'A', 7, OP_BIT(I64)}};
static const struct gyr_op_type arg_types[] = {{'T', 7, OP_NUMBERS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type top_k_types[] = {{'T', 7, OP_FLOATS}, {'T', 11, OP_NUMBERS}, {'K', 7, OP_BIT(I64)}};
static const struct gyr_op_type cum_sum_types[] = {
	{'T', 11, OP_BIT(F32) | OP_BIT(F64) | OP_INTS_WIDE}, {'T', 14, OP_BIT(F16) | OP_BIT(BF16)}, {'A', 11, OP_BIT(I32) | OP_BIT(I64)}};

/* The axes became an input with the opset SINCE. */
#define REDUCE(op_, name_, types_, since)                                                                                                                      \
	{.op = GYR_OP_REDUCE_##op_,                                                                                                                            \
	 .name = name_,                                                                                                                                        \
	 OP_OPSETS(7, (since) - 1),                                                                                                                            \
	 OP_INPUTS(1, 1, "T"),                                                                                                                                 \
	 OP_OUTPUTS(1, "T"),                                                                                                                                   \
	 OP_TYPES(types_),                                                                                                                                     \
	 OP_ATTRIBUTES(reduce_attributes),                                                                                                                     \
	 .infer = infer_reduce,                                                                                                                                \
	 .rows = rows_reduce,                                                                                                                                  \
	 .rows_anywhere = true},                                                                                                                               \
	{                                                                                                                                                      \
		.op = GYR_OP_REDUCE_##op_, .name = name_, OP_OPSETS(since, GYR_OPSET_MAX), OP_INPUTS(1, 2, "TA"), OP_OUTPUTS(1, "T"), OP_TYPES(types_),        \
		OP_ATTRIBUTES(reduce_late_attributes), .infer = infer_reduce, .rows = rows_reduce, .rows_anywhere = true                                       \
	}
#define ARG(op_, name_)                                                                                                                                        \
	{.op = GYR_OP_##op_,                                                                                                                                   \
	 .name = name_,                                                                                                                                        \
	 OP_EVERY_OPSET,                                                                                                                                       \
	 OP_INPUTS(1, 1, "T"),                                                                                                                                 \
	 OP_OUTPUTS(1, "I"),                                                                                                                                   \
	 OP_TYPES(arg_types),                                                                                                                                  \
	 OP_ATTRIBUTES(arg_attributes),                                                                                                                        \
	 .infer = infer_arg,                                                                                                                                   \
	 .rows = rows_arg,                                                                                                                                     \
	 .rows_anywhere = true}
#define TOP_K .op = GYR_OP_TOP_K, .name = "TopK", OP_OUTPUTS(2, "TI"), OP_TYPES(top_k_types), .infer = infer_top_k, .rows = rows_top_k, .rows_anywhere = true

static const struct gyr_op_info rows[] = {
	REDUCE(L1, "ReduceL1", reduce_types, 18),
	REDUCE(L2, "ReduceL2", reduce_types, 18),
	REDUCE(LOG_SUM, "ReduceLogSum", reduce_types, 18),
	REDUCE(LOG_SUM_EXP, "ReduceLogSumExp", reduce_types, 18),
	REDUCE(MAX, "ReduceMax", extreme_types, 18),
	REDUCE(MEAN, "ReduceMean", reduce_types, 18),
	REDUCE(MIN, "ReduceMin", extreme_types, 18),
	REDUCE(PROD, "ReduceProd", reduce_types, 18),
	REDUCE(SUM, "ReduceSum", reduce_types, 13),
	REDUCE(SUM_SQUARE, "ReduceSumSquare", reduce_types, 18),
	ARG(ARG_MAX, "ArgMax"),
	ARG(ARG_MIN, "ArgMin"),
	{.op = GYR_OP_CUM_SUM,
	 .name = "CumSum",
	 OP_OPSETS(11, GYR_OPSET_MAX),
	 OP_INPUTS(2, 2, "TA"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(cum_sum_types),
	 OP_ATTRIBUTES(cum_sum_attributes),
	 .infer = infer_cum_sum,
	 .rows = rows_cum_sum,
	 .rows_anywhere = true},
	{TOP_K, OP_OPSETS(7, 9), OP_INPUTS(1, 1, "T"), OP_ATTRIBUTES(top_k_early_attributes)},
	{TOP_K, OP_OPSETS(10, GYR_OPSET_MAX), OP_INPUTS(2, 2, "TK"), OP_ATTRIBUTES(top_k_attributes)},
};

const struct op_family op_family_reduce = {rows, OP_COUNT(rows)};
