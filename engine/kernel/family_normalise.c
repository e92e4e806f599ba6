/*
 * The normalisation family, on f32.
 */
#include <errno.h>

#include "engine/kernel/family.h"
#include "engine/kernel/normalise.h"

static int need_f32(struct gyr_prepare *prepare)
{
	int status = 0;
	for (uint32_t i = 0; i < prepare->node->input_count && status == 0; i++)
		if (prepare->inputs[i] != NULL)
			status = kernel_need_f32(prepare, prepare->inputs[i]);
	for (uint32_t i = 1; i < prepare->node->output_count && status == 0; i++)
		if (prepare->node->outputs[i] != GYR_VALUE_NONE)
			status = kernel_need_f32(prepare, &prepare->outputs[i]);
	return status;
}

struct normalise {
	struct gyr_normalise sizes;
	bool bias, means, inverses; /* whether they are there */
};

#define RUN_NORMALISE(name, compute)                                                                                                                           \
	static void name(const void *params, const void *const inputs[], void *const outputs[], void *scratch)                                                 \
	{                                                                                                                                                      \
		const struct normalise *normalise = params;                                                                                                    \
		compute(&normalise->sizes, inputs[0], inputs[1], normalise->bias ? inputs[2] : NULL, outputs[0], normalise->means ? outputs[1] : NULL,         \
			normalise->inverses ? outputs[2] : NULL);                                                                                              \
	}
RUN_NORMALISE(run_normalise, gyr_kernel_normalise)
RUN_NORMALISE(run_normalise_twin, gyr_ref_normalise)

/* -ENOTSUP where the layer's scale or bias broadcasts along some of the dimensions only. */
static int size_layer(struct gyr_prepare *prepare, struct gyr_normalise *sizes)
{
	const struct gyr_shape *x = prepare->inputs[0], *bias = kernel_input(prepare, 2);
	int64_t axis = gyr_node_integer(prepare->node, "axis", -1);
	uint32_t at = (uint32_t)(axis < 0 ? axis + x->rank : axis);
	size_t length = kernel_product(x, at, x->rank), scales = kernel_count(prepare->inputs[1]);
	if (scales == 0 || (scales != length && scales != 1) || (bias != NULL && kernel_count(bias) != scales))
		return gyr_error_set(prepare->error, -ENOTSUP, "its scale and bias are neither of the normalised dimensions nor of one number");
	*sizes = (struct gyr_normalise){.rows = kernel_product(x, 0, at), .parts = scales, .run = length / scales, .scale_rows = 1};
	return 0;
}

static int prepare_normalise(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct normalise *normalise = KERNEL_PARAMS(prepare, struct normalise);
	if (normalise == NULL)
		return -ENOMEM;
	int status = need_f32(prepare);
	if (status == 0 && prepare->node->op == GYR_OP_LAYER_NORMALIZATION) {
		status = size_layer(prepare, &normalise->sizes);
	} else if (status == 0) {
		size_t channels = (size_t)x->dims[1], inner = kernel_product(x, 2, x->rank);
		size_t groups = (size_t)gyr_node_integer(prepare->node, "num_groups", (int64_t)channels); /* an instance has a group for each channel */
		size_t parts = prepare->opset < 21 ? 1 : channels / groups;
		normalise->sizes = (struct gyr_normalise){
			.rows = (size_t)x->dims[0] * groups, .parts = parts, .run = channels / groups / parts * inner, .scale_rows = groups};
	}
	normalise->sizes.epsilon = gyr_node_number(prepare->node, "epsilon", 1e-5f);
	normalise->bias = kernel_input(prepare, 2) != NULL;
	normalise->means = prepare->node->output_count > 1;
	normalise->inverses = prepare->node->output_count > 2;
	prepare->run = prepare->reference ? run_normalise_twin : run_normalise;
	return status;
}

static void run_batch(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_kernel_batch_norm(params, inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], outputs[0]);
}

static void run_batch_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_batch_norm(params, inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], outputs[0]);
}

static int prepare_batch(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct gyr_batch_norm *norm = KERNEL_PARAMS(prepare, struct gyr_batch_norm);
	if (norm == NULL)
		return -ENOMEM;
	*norm = (struct gyr_batch_norm){.outer = (size_t)x->dims[0],
					.channels = (size_t)x->dims[1],
					.inner = kernel_product(x, 2, x->rank),
					.epsilon = gyr_node_number(prepare->node, "epsilon", 1e-5f)};
	prepare->run = prepare->reference ? run_batch_twin : run_batch;
	return need_f32(prepare);
}

struct along {
	size_t outer, length, inner;
	int p;
};

static void run_log_softmax(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct along *along = params;
	gyr_kernel_log_softmax(along->outer, along->length, along->inner, inputs[0], outputs[0]);
}

static void run_log_softmax_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct along *along = params;
	gyr_ref_log_softmax(along->outer, along->length, along->inner, inputs[0], outputs[0]);
}

static void run_hardmax(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct along *along = params;
	gyr_ref_hardmax(along->outer, along->length, along->inner, inputs[0], outputs[0]);
}

static void run_lp(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct along *along = params;
	gyr_ref_lp_normalise(along->outer, along->length, along->inner, along->p, inputs[0], outputs[0]);
}

/* Before opset 13, LogSoftmax and Hardmax took all dimensions from the axis on as one. */
static int prepare_along(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	bool lp = prepare->node->op == GYR_OP_LP_NORMALIZATION, flat = !lp && prepare->opset < 13;
	int64_t given = gyr_node_integer(prepare->node, "axis", flat ? 1 : -1);
	uint32_t axis = (uint32_t)(given < 0 ? given + x->rank : given);
	struct along *along = KERNEL_PARAMS(prepare, struct along);
	if (along == NULL)
		return -ENOMEM;
	along->outer = kernel_product(x, 0, axis);
	along->length = flat ? kernel_product(x, axis, x->rank) : (size_t)x->dims[axis];
	along->inner = flat ? 1 : kernel_product(x, axis + 1, x->rank);
	along->p = (int)gyr_node_integer(prepare->node, "p", 2);
	if (prepare->node->op == GYR_OP_LOG_SOFTMAX)
		prepare->run = prepare->reference ? run_log_softmax_twin : run_log_softmax;
	else
		prepare->run = lp ? run_lp : run_hardmax;
	return need_f32(prepare);
}

static void run_lrn(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_lrn(params, inputs[0], outputs[0]);
}

static int prepare_lrn(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct gyr_lrn *lrn = KERNEL_PARAMS(prepare, struct gyr_lrn);
	if (lrn == NULL)
		return -ENOMEM;
	*lrn = (struct gyr_lrn){.outer = (size_t)x->dims[0],
				.channels = (size_t)x->dims[1],
				.inner = kernel_product(x, 2, x->rank),
				.size = (size_t)gyr_node_integer(prepare->node, "size", 1),
				.alpha = gyr_node_number(prepare->node, "alpha", 1e-4f),
				.beta = gyr_node_number(prepare->node, "beta", .75f),
				.bias = gyr_node_number(prepare->node, "bias", 1)};
	prepare->run = run_lrn;
	return need_f32(prepare);
}

static void run_mean_variance(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_mean_variance(params, inputs[0], outputs[0]);
}

static int prepare_mean_variance(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	const struct gyr_attribute *axes = gyr_node_attribute(prepare->node, "axes");
	bool reduced[GYR_RANK_MAX] = {[0] = axes == NULL, [2] = axes == NULL, [3] = axes == NULL};
	struct gyr_reduce *along = KERNEL_PARAMS(prepare, struct gyr_reduce);
	if (along == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; axes != NULL && i < axes->integers.count; i++)
		reduced[axes->integers.items[i] < 0 ? axes->integers.items[i] + x->rank : axes->integers.items[i]] = true;
	gyr_reduce_init(along, GYR_OP_REDUCE_MEAN, x, reduced);
	prepare->run = run_mean_variance;
	return need_f32(prepare);
}

static const struct kernel_row rows[] = {
	{GYR_OP_BATCH_NORMALIZATION, prepare_batch},
	{GYR_OP_GROUP_NORMALIZATION, prepare_normalise},
	{GYR_OP_HARDMAX, prepare_along},
	{GYR_OP_INSTANCE_NORMALIZATION, prepare_normalise},
	{GYR_OP_LAYER_NORMALIZATION, prepare_normalise},
	{GYR_OP_LOG_SOFTMAX, prepare_along},
	{GYR_OP_LP_NORMALIZATION, prepare_along},
	{GYR_OP_LRN, prepare_lrn},
	{GYR_OP_MEAN_VARIANCE_NORMALIZATION, prepare_mean_variance},
};

const struct kernel_family kernel_family_normalise = {rows, KERNEL_COUNT(rows)};
