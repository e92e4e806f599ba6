/*
 * The square family: Det, on square matrices. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 11 to 22.
 */
#include <errno.h>

#include "engine/model/op_family.h"

/* [..., M, M] to [...]. */
static int infer_det(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0];
	char text[128];
	if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
		return gyr_error_set(infer->error, -EINVAL, "its input is %s (square matrices)", gyr_shape_text(x, text, sizeof text));
	infer->outputs[0] = *x;
	infer->outputs[0].rank -= 2;
	return 0;
}

/* Each matrix by itself; a batch of rows of one matrix is none of matrices. */
static enum gyr_rows rows_det(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return node->inputs[0]->rank > 2 ? inputs[0] : GYR_ROWS_MIXED;
}

static const struct gyr_op_type det_types[] = {{'T', 11, OP_FLOATS}, {'T', 22, OP_BIT(BF16)}};

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_DET,
	 .name = "Det",
	 OP_OPSETS(11, GYR_OPSET_MAX),
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(det_types),
	 .infer = infer_det,
	 .rows = rows_det},
};

const struct op_family op_family_square = {rows, OP_COUNT(rows)};
