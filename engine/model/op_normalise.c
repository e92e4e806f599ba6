/*
 * The normalisation family. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/model/op_family.h"

/* Inputs FROM to TO - 1 that are given are vectors of COUNT numbers. */
static int check_vectors(struct gyr_infer *infer, uint32_t from, uint32_t to, int64_t count)
{
	for (uint32_t i = from; i < to; i++) {
		const struct gyr_shape *shape = gyr_infer_input(infer, i);
		char text[128];
		if (shape != NULL && (shape->rank != 1 || shape->dims[0] != count))
			return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is %s (%" PRId64 " numbers)", i,
					     gyr_shape_text(shape, text, sizeof text), count);
	}
	return 0;
}

/* Input 0 has channels: its dimension 1. */
static int check_channels(struct gyr_infer *infer)
{
	if (infer->inputs[0]->rank < 2)
		return gyr_error_set(infer->error, -EINVAL, "its input has rank %" PRIu32 " (2 or more)", infer->inputs[0]->rank);
	infer->outputs[0] = *infer->inputs[0];
	return 0;
}

static int infer_layer(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0];
	int64_t stash = gyr_node_integer(infer->node, "stash_type", GYR_DTYPE_F32);
	uint32_t axis = 0;
	int status = op_read_axis(infer, -1, input->rank, (int64_t)input->rank - 1, &axis);
	if (status == 0 && stash != GYR_DTYPE_F32 && stash != GYR_DTYPE_BF16)
		status = gyr_error_set(infer->error, -EINVAL, "attribute 'stash_type' is %" PRId64 " (1 or 16)", stash);
	for (uint32_t i = 1; i < infer->node->input_count && status == 0; i++) {
		const struct gyr_shape *given = infer->inputs[i];
		struct gyr_shape normal = {.dtype = input->dtype, .rank = input->rank - axis}, both;
		if (given == NULL)
			continue;
		for (uint32_t k = axis; k < input->rank; k++)
			normal.dims[k - axis] = input->dims[k];
		both = normal;
		if (given->rank <= normal.rank)
			status = op_broadcast(infer, &normal, normal.rank, given, given->rank, &both);
		if (status == 0 && (given->rank > normal.rank || !gyr_shape_equal(&both, &normal)))
			status = gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " does not fit the dimensions from the axis on", i);
	}
	infer->outputs[0] = *input;
	for (uint32_t i = 1; i < infer->node->output_count && status == 0; i++) {
		infer->outputs[i] = *input;
		infer->outputs[i].dtype = (enum gyr_dtype)stash;
		for (uint32_t k = axis; k < input->rank; k++)
			infer->outputs[i].dims[k] = 1;
	}
	return status;
}

static int infer_instance(struct gyr_infer *infer)
{
	int status = check_channels(infer);
	return status == 0 ? check_vectors(infer, 1, 3, infer->inputs[0]->dims[1]) : status;
}

/* Scale and bias are of groups before opset 21, and of channels from there on. */
static int infer_group(struct gyr_infer *infer)
{
	int64_t groups = gyr_node_integer(infer->node, "num_groups", 0);
	int status = check_channels(infer);
	if (status == 0 && (groups < 1 || infer->inputs[0]->dims[1] % groups != 0))
		status = gyr_error_set(infer->error, -EINVAL, "attribute 'num_groups' is %" PRId64 ", which does not divide %" PRId64 " channels", groups,
				       infer->inputs[0]->dims[1]);
	return status == 0 ? check_vectors(infer, 1, 3, infer->opset < 21 ? groups : infer->inputs[0]->dims[1]) : status;
}

static int infer_batch(struct gyr_infer *infer)
{
	bool training;
	int status = op_read_switch(infer, "training_mode", &training);
	if (status == 0)
		status = check_channels(infer);
	if (status == 0 && (training || infer->node->output_count > 1))
		status = gyr_error_set(infer->error, -EINVAL, "it trains (training_mode 0 and one output)");
	if (status == 0 && gyr_node_integer(infer->node, "spatial", 1) != 1)
		status = gyr_error_set(infer->error, -EINVAL, "attribute 'spatial' is not 1");
	return status == 0 ? check_vectors(infer, 1, 5, infer->inputs[0]->dims[1]) : status;
}

static int infer_lrn(struct gyr_infer *infer)
{
	int64_t size = gyr_node_integer(infer->node, "size", 0);
	if (size < 1)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'size' is %" PRId64 " (1 or more)", size);
	return check_channels(infer);
}

static int infer_lp(struct gyr_infer *infer)
{
	int64_t p = gyr_node_integer(infer->node, "p", 2), axis = gyr_node_integer(infer->node, "axis", -1);
	uint32_t rank = infer->inputs[0]->rank, at;
	infer->outputs[0] = *infer->inputs[0];
	if (p != 1 && p != 2)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'p' is %" PRId64 " (1 or 2)", p);
	/* The default axis, -1, is in the schema of every opset. */
	return axis == -1 && rank > 0 ? 0 : op_read_axis(infer, -1, rank, (int64_t)rank - 1, &at);
}

/* Without axes they are 0, 2 and 3. */
static int infer_mean_variance(struct gyr_infer *infer)
{
	const struct gyr_attribute *axes = gyr_node_attribute(infer->node, "axes");
	uint32_t rank = infer->inputs[0]->rank, axis;
	int status = 0;
	infer->outputs[0] = *infer->inputs[0];
	if (axes == NULL && rank < 4)
		return gyr_error_set(infer->error, -EINVAL, "its input has rank %" PRIu32 " (4 or more, without axes)", rank);
	for (uint32_t i = 0; axes != NULL && i < axes->integers.count && status == 0; i++)
		status = op_check_axis(infer, "axes", axes->integers.items[i], rank, (int64_t)rank - 1, &axis);
	return status;
}

static enum gyr_rows rows_mean_variance(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	const struct gyr_attribute *axes = gyr_node_attribute(node->node, "axes");
	bool rows = axes == NULL || axes->integers.count == 0;
	for (uint32_t i = 0; !rows && i < axes->integers.count; i++)
		rows = axes->integers.items[i] == 0 || axes->integers.items[i] + node->inputs[0]->rank == 0;
	return rows ? GYR_ROWS_MIXED : inputs[0];
}

/* Before opset 13, dimensions from the axis on are taken as one. */
static int infer_along(struct gyr_infer *infer)
{
	uint32_t rank = infer->inputs[0]->rank, axis;
	infer->outputs[0] = *infer->inputs[0];
	return op_read_axis(infer, infer->opset < 13 ? 1 : -1, rank, (int64_t)rank - 1, &axis);
}

static enum gyr_rows rows_along(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return gyr_rows_beside(node, inputs, node->opset < 13 ? 1 : -1, node->opset < 13);
}

static enum gyr_rows rows_last(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return gyr_rows_beside(node, inputs, -1, true);
}

/* Each row by itself; the other inputs are the same for all. */
static enum gyr_rows rows_channels(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] != GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
	return inputs[0] == GYR_ROWS_APART ? GYR_ROWS_APART : GYR_ROWS_MIXED;
}

static const struct gyr_op_attribute axis_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}};
static const struct gyr_op_attribute layer_attributes[] = {
	{"axis", GYR_ATTRIBUTE_INT, 17, false}, {"epsilon", GYR_ATTRIBUTE_FLOAT, 17, false}, {"stash_type", GYR_ATTRIBUTE_INT, 17, false}};
static const struct gyr_op_attribute instance_attributes[] = {{"epsilon", GYR_ATTRIBUTE_FLOAT, 7, false}};
static const struct gyr_op_attribute group_attributes[] = {
	{"epsilon", GYR_ATTRIBUTE_FLOAT, 18, false}, {"num_groups", GYR_ATTRIBUTE_INT, 18, true}, {"stash_type", GYR_ATTRIBUTE_INT, 21, false}};
static const struct gyr_op_attribute batch_7_attributes[] = {
	{"epsilon", GYR_ATTRIBUTE_FLOAT, 7, false}, {"momentum", GYR_ATTRIBUTE_FLOAT, 7, false}, {"spatial", GYR_ATTRIBUTE_INT, 7, false}};
static const struct gyr_op_attribute batch_attributes[] = {
	{"epsilon", GYR_ATTRIBUTE_FLOAT, 7, false}, {"momentum", GYR_ATTRIBUTE_FLOAT, 7, false}, {"training_mode", GYR_ATTRIBUTE_INT, 14, false}};
static const struct gyr_op_attribute lrn_attributes[] = {{"alpha", GYR_ATTRIBUTE_FLOAT, 7, false},
							 {"beta", GYR_ATTRIBUTE_FLOAT, 7, false},
							 {"bias", GYR_ATTRIBUTE_FLOAT, 7, false},
							 {"size", GYR_ATTRIBUTE_INT, 7, true}};
static const struct gyr_op_attribute lp_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}, {"p", GYR_ATTRIBUTE_INT, 7, false}};

static const struct gyr_op_attribute mean_variance_attributes[] = {{"axes", GYR_ATTRIBUTE_INTS, 9, false}};

static const struct gyr_op_type along_types[] = {{'T', 7, OP_FLOATS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type late_types[] = {{'T', 7, OP_FLOATS}, {'T', 22, OP_BIT(BF16)}};
static const struct gyr_op_type batch_types[] = {{'T', 7, OP_FLOATS},     {'U', 7, OP_FLOATS},     {'S', 7, OP_FLOATS},
						 {'T', 14, OP_BIT(BF16)}, {'U', 14, OP_BIT(BF16)}, {'S', 14, OP_BIT(BF16)}};

#define ALONG(op_, name_, types_, attributes_, infer_, rows_)                                                                                                  \
	{.op = GYR_OP_##op_,                                                                                                                                   \
	 .name = name_,                                                                                                                                        \
	 OP_EVERY_OPSET,                                                                                                                                       \
	 OP_INPUTS(1, 1, "T"),                                                                                                                                 \
	 OP_OUTPUTS(1, "T"),                                                                                                                                   \
	 OP_TYPES(types_),                                                                                                                                     \
	 OP_ATTRIBUTES(attributes_),                                                                                                                           \
	 .infer = infer_,                                                                                                                                      \
	 .rows = rows_,                                                                                                                                        \
	 .rows_anywhere = true,                                                                                                                                \
	 .rows_inside = true}
#define BATCH .op = GYR_OP_BATCH_NORMALIZATION, .name = "BatchNormalization", OP_TYPES(batch_types), .infer = infer_batch, .rows = rows_channels

static const struct gyr_op_info rows[] = {
	{BATCH, OP_OPSETS(7, 8), OP_INPUTS(5, 5, "T"), OP_OUTPUTS(5, "T"), OP_ATTRIBUTES(batch_7_attributes)},
	{BATCH, OP_OPSETS(9, 13), OP_INPUTS(5, 5, "T"), OP_OUTPUTS(5, "T"), OP_ATTRIBUTES(batch_attributes)},
	{BATCH, OP_OPSETS(14, 14), OP_INPUTS(5, 5, "TTTU"), OP_OUTPUTS(3, "TU"), OP_ATTRIBUTES(batch_attributes)},
	{BATCH, OP_OPSETS(15, GYR_OPSET_MAX), OP_INPUTS(5, 5, "TSSU"), OP_OUTPUTS(3, "TU"), OP_ATTRIBUTES(batch_attributes)},
	{.op = GYR_OP_GROUP_NORMALIZATION,
	 .name = "GroupNormalization",
	 OP_OPSETS(18, GYR_OPSET_MAX),
	 OP_INPUTS(3, 3, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(along_types),
	 OP_ATTRIBUTES(group_attributes),
	 .infer = infer_group,
	 .rows = rows_channels},
	ALONG(HARDMAX, "Hardmax", along_types, axis_attributes, infer_along, rows_along),
	{.op = GYR_OP_INSTANCE_NORMALIZATION,
	 .name = "InstanceNormalization",
	 OP_EVERY_OPSET,
	 OP_INPUTS(3, 3, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(late_types),
	 OP_ATTRIBUTES(instance_attributes),
	 .infer = infer_instance,
	 .rows = rows_channels},
	{.op = GYR_OP_LAYER_NORMALIZATION,
	 .name = "LayerNormalization",
	 OP_OPSETS(17, GYR_OPSET_MAX),
	 OP_INPUTS(2, 3, "T"),
	 OP_OUTPUTS(3, "TU"),
	 OP_TYPES(along_types),
	 OP_ATTRIBUTES(layer_attributes),
	 .infer = infer_layer,
	 .rows = rows_last,
	 .rows_anywhere = true,
	 .rows_inside = true},
	ALONG(LOG_SOFTMAX, "LogSoftmax", along_types, axis_attributes, infer_along, rows_along),
	ALONG(LP_NORMALIZATION, "LpNormalization", late_types, lp_attributes, infer_lp, rows_last),
	ALONG(LRN, "LRN", along_types, lrn_attributes, infer_lrn, rows_channels),
	{.op = GYR_OP_MEAN_VARIANCE_NORMALIZATION,
	 .name = "MeanVarianceNormalization",
	 OP_OPSETS(9, GYR_OPSET_MAX),
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(along_types),
	 OP_ATTRIBUTES(mean_variance_attributes),
	 .infer = infer_mean_variance,
	 .rows = rows_mean_variance},
};

const struct op_family op_family_normalise = {rows, OP_COUNT(rows)};
