/*
 * Einsum. Source: the ONNX operator schemas (docs/Operators.md of ONNX 1.17), opset 12, and numpy.einsum, which they name.
 */
#include "engine/model/einsum.h"
#include "engine/model/op_family.h"

static int infer_einsum(struct gyr_infer *infer)
{
	struct gyr_einsum einsum;
	int status = gyr_einsum_read(infer, &einsum);
	if (status != 0)
		return status;
	infer->outputs[0] = (struct gyr_shape){.dtype = infer->inputs[0]->dtype, .rank = einsum.output_rank};
	for (uint32_t i = 0; i < einsum.output_rank; i++)
		infer->outputs[0].dims[i] = einsum.sizes[i];
	return 0;
}

/* One label, of the result, is the batch in every operand that has rows; in the others it is missing, or of one element. */
static enum gyr_rows rows_einsum(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	struct gyr_einsum einsum;
	uint32_t label = GYR_RANK_MAX;
	if (gyr_einsum_read(node, &einsum) != 0)
		return GYR_ROWS_MIXED;
	for (uint32_t i = 0; i < einsum.operand_count; i++) {
		uint32_t axis = gyr_rows_axis(inputs[i]);
		if (axis == GYR_RANK_MAX)
			continue;
		if (label != GYR_RANK_MAX && label != einsum.labels[i][axis])
			return GYR_ROWS_MIXED;
		label = einsum.labels[i][axis];
	}
	if (label >= einsum.output_rank)
		return GYR_ROWS_MIXED;
	for (uint32_t i = 0; i < einsum.operand_count; i++) {
		uint32_t axis = gyr_rows_axis(inputs[i]);
		if (axis == GYR_RANK_MAX && inputs[i] != GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
		for (uint32_t k = 0; k < einsum.ranks[i]; k++)
			if (einsum.labels[i][k] == label && k != axis && (axis != GYR_RANK_MAX || node->inputs[i]->dims[k] != 1))
				return GYR_ROWS_MIXED;
	}
	return gyr_rows_apart(label);
}

static const struct gyr_op_attribute attributes[] = {{"equation", GYR_ATTRIBUTE_STRING, 12, true}};
static const struct gyr_op_type types[] = {{'T', 12, OP_NUMBERS}};

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_EINSUM,
	 .name = "Einsum",
	 OP_OPSETS(12, GYR_OPSET_MAX),
	 OP_INPUTS(1, GYR_OP_VARIADIC, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(types),
	 OP_ATTRIBUTES(attributes),
	 .infer = infer_einsum,
	 .rows = rows_einsum,
	 .rows_anywhere = true},
};

const struct op_family op_family_einsum = {rows, OP_COUNT(rows)};
