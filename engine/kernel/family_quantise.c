/*
 * The quantise family: QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear.
 */
#include <errno.h>

#include "engine/kernel/family.h"
#include "engine/kernel/quantise.h"
#include "engine/ref/quantise.h"

static void run_quantize(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_kernel_quantize(params, inputs[0], inputs[1], inputs[2], outputs[0]);
}

static void run_quantize_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_quantize(params, inputs[0], inputs[1], inputs[2], outputs[0]);
}

/* Without a zero point there is no third input. */
static void run_quantize_plain(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_kernel_quantize(params, inputs[0], inputs[1], NULL, outputs[0]);
}

static void run_quantize_plain_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_quantize(params, inputs[0], inputs[1], NULL, outputs[0]);
}

static void run_dequantize(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_kernel_dequantize(params, inputs[0], inputs[1], inputs[2], outputs[0]);
}

static void run_dequantize_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_dequantize(params, inputs[0], inputs[1], inputs[2], outputs[0]);
}

static void run_dequantize_plain(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_kernel_dequantize(params, inputs[0], inputs[1], NULL, outputs[0]);
}

static void run_dequantize_plain_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_dequantize(params, inputs[0], inputs[1], NULL, outputs[0]);
}

/* Which scale each element has: see gyr_quantise. */
static void place_scales(const struct gyr_prepare *prepare, struct gyr_quantise *quantise)
{
	const struct gyr_shape *x = prepare->inputs[0], *scale = prepare->inputs[1];
	size_t block = (size_t)gyr_node_integer(prepare->node, "block_size", 0);
	int64_t given = gyr_node_integer(prepare->node, "axis", 1);
	quantise->outer = quantise->length = quantise->block = 1;
	quantise->inner = kernel_count(x);
	if (scale->rank == 0 || (block == 0 && scale->rank == 1 && scale->dims[0] == 1))
		return;
	uint32_t axis = (uint32_t)(given < 0 ? given + x->rank : given);
	quantise->outer = kernel_product(x, 0, axis);
	quantise->length = (size_t)x->dims[axis];
	quantise->inner = kernel_product(x, axis + 1, x->rank);
	quantise->step = 1;
	if (block != 0) {
		quantise->block = block;
		quantise->step = quantise->inner;
		quantise->outer_step = quantise->inner * (size_t)scale->dims[axis];
		quantise->inner_step = 1;
	}
}

static int prepare_scaled(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *scale = prepare->inputs[1];
	bool quantize = prepare->node->op == GYR_OP_QUANTIZE_LINEAR, zero = kernel_input(prepare, 2) != NULL;
	gyr_run_fn *const runs[2][2][2] = {{{run_dequantize_plain, run_dequantize_plain_twin}, {run_dequantize, run_dequantize_twin}},
					   {{run_quantize_plain, run_quantize_plain_twin}, {run_quantize, run_quantize_twin}}};
	struct gyr_quantise *quantise = KERNEL_PARAMS(prepare, struct gyr_quantise);
	if (quantise == NULL)
		return -ENOMEM;
	if (scale->dtype == GYR_DTYPE_I32)
		return gyr_error_set(prepare->error, -ENOTSUP, "its scale is i32 (f32, f16 or bf16)");
	quantise->from = x->dtype;
	quantise->to = prepare->outputs[0].dtype;
	quantise->scale = scale->dtype;
	place_scales(prepare, quantise);
	prepare->run = runs[quantize][zero][prepare->reference];
	return 0;
}

static void run_dynamic(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const size_t *count = params;
	gyr_kernel_dynamic_quantize(count[0], inputs[0], outputs[0], count[1] > 1 ? outputs[1] : NULL, count[1] > 2 ? outputs[2] : NULL);
}

static void run_dynamic_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const size_t *count = params;
	gyr_ref_dynamic_quantize(count[0], inputs[0], outputs[0], count[1] > 1 ? outputs[1] : NULL, count[1] > 2 ? outputs[2] : NULL);
}

static int prepare_dynamic(struct gyr_prepare *prepare)
{
	size_t *count = kernel_params(prepare, 2 * sizeof *count); /* of numbers, and of outputs */
	if (count == NULL)
		return -ENOMEM;
	count[0] = kernel_count(prepare->inputs[0]);
	count[1] = prepare->node->output_count;
	prepare->run = prepare->reference ? run_dynamic_twin : run_dynamic;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_DEQUANTIZE_LINEAR, prepare_scaled},
	{GYR_OP_DYNAMIC_QUANTIZE_LINEAR, prepare_dynamic},
	{GYR_OP_QUANTIZE_LINEAR, prepare_scaled},
};

const struct kernel_family kernel_family_quantise = {rows, KERNEL_COUNT(rows)};
