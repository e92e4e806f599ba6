/*
 * The loss family: what classifiers are trained by, for graphs that carry their loss with them. Source: the ONNX operator schemas (docs/Operators.md and
 * docs/Changelog.md of ONNX 1.17), opsets 12 to 22.
 */
#include <errno.h>
#include <string.h>

#include "engine/model/op_family.h"

/* Scores are [N, C, ...], targets [N, ...], weights [C]. The loss is as the targets are, or one number; the probabilities are as the scores are. */
static int infer_loss(struct gyr_infer *infer)
{
	const struct gyr_shape *scores = infer->inputs[0], *targets = infer->inputs[1], *weights = gyr_infer_input(infer, 2);
	const char *reduction = gyr_node_string(infer->node, "reduction", "mean");
	bool each = strcmp(reduction, "none") == 0;
	char scores_text[128], targets_text[128];
	if (!each && strcmp(reduction, "mean") != 0 && strcmp(reduction, "sum") != 0)
		return gyr_error_set(infer->error, -EINVAL, "reduction is '%.32s' (mean, none or sum)", reduction);
	bool fit = scores->rank >= 2 && targets->rank == scores->rank - 1 && targets->dims[0] == scores->dims[0];
	for (uint32_t i = 2; i < scores->rank && fit; i++)
		fit = targets->dims[i - 1] == scores->dims[i];
	if (!fit)
		return gyr_error_set(infer->error, -EINVAL, "%s are no targets of %s", gyr_shape_text(targets, targets_text, sizeof targets_text),
				     gyr_shape_text(scores, scores_text, sizeof scores_text));
	if (weights != NULL && (weights->rank != 1 || weights->dims[0] != scores->dims[1]))
		return gyr_error_set(infer->error, -EINVAL, "%s is no weight for each class of %s", gyr_shape_text(weights, targets_text, sizeof targets_text),
				     gyr_shape_text(scores, scores_text, sizeof scores_text));
	if (each)
		infer->outputs[0] = *targets;
	infer->outputs[0].dtype = scores->dtype;
	if (infer->node->output_count > 1)
		infer->outputs[1] = *scores;
	return 0;
}

static enum gyr_rows rows_loss(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	bool each = strcmp(gyr_node_string(node->node, "reduction", "mean"), "none") == 0;
	bool weighed = gyr_infer_input(node, 2) != NULL && inputs[2] != GYR_ROWS_NONE;
	return each && !weighed && inputs[0] == GYR_ROWS_APART && inputs[1] == GYR_ROWS_APART ? GYR_ROWS_APART : GYR_ROWS_MIXED;
}

static const struct gyr_op_attribute attributes[] = {{"ignore_index", GYR_ATTRIBUTE_INT, 12, false}, {"reduction", GYR_ATTRIBUTE_STRING, 12, false}};

#define TARGETS {'I', 12, OP_BIT(I32) | OP_BIT(I64)}
static const struct gyr_op_type likelihood_types[] = {{'T', 12, OP_FLOATS}, {'T', 22, OP_BIT(BF16)}, TARGETS};
static const struct gyr_op_type softmax_types[] = {{'T', 12, OP_FLOATS}, {'T', 13, OP_BIT(BF16)}, TARGETS};

#define LOSS(id, onnx, results, letters, table)                                                                                                                \
	{.op = GYR_OP_##id,                                                                                                                                    \
	 .name = onnx,                                                                                                                                         \
	 OP_OPSETS(12, GYR_OPSET_MAX),                                                                                                                         \
	 OP_INPUTS(2, 3, "TIT"),                                                                                                                               \
	 OP_OUTPUTS(results, letters),                                                                                                                         \
	 OP_TYPES(table),                                                                                                                                      \
	 OP_ATTRIBUTES(attributes),                                                                                                                            \
	 .infer = infer_loss,                                                                                                                                  \
	 .rows = rows_loss}

static const struct gyr_op_info rows[] = {
	LOSS(NEGATIVE_LOG_LIKELIHOOD_LOSS, "NegativeLogLikelihoodLoss", 1, "T", likelihood_types),
	LOSS(SOFTMAX_CROSS_ENTROPY_LOSS, "SoftmaxCrossEntropyLoss", 2, "TT", softmax_types),
};

const struct op_family op_family_loss = {rows, OP_COUNT(rows)};
