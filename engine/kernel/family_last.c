/*
 * The family of internal operators on values with channels last: what a pass of engine/plan makes of convolutions and poolings. Their attributes are those of
 * the operator that they came from, and some of their own:
 *
 * GYR_OP_CHANNELS_LAST_CONV: X, W (as Conv's, constant), B (constant, or left out), what is added (of Y's shape, or left out); "activation" (enum
 * gyr_conv_activation), "activation_alpha", "activation_beta".
 * GYR_OP_CHANNELS_LAST_POOL: X; "pool" (enum gyr_pool_kind), "global" (1: over all pixels).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "engine/kernel/conv_last.h"
#include "engine/kernel/family.h"
#include "engine/kernel/pool_last.h"

#define PACK_TAG UINT64_C(0x636c617374000000)

/* SHAPE, which has its channels last, with channels first. */
static struct gyr_shape first_of(const struct gyr_shape *shape)
{
	struct gyr_shape first = *shape;
	for (uint32_t i = 2; i < shape->rank; i++)
		first.dims[i] = shape->dims[i - 1];
	first.dims[1] = shape->dims[shape->rank - 1];
	return first;
}

/* Weights as they are packed for one convolution: the same ones may stand beside another bias, in another shape, or before images of another size. */
struct packed {
	const void *bias;
	struct gyr_conv_last conv; /* that they were packed for */
	_Alignas(64) float floats[];
};

struct conv_params {
	struct gyr_conv_last conv;
	const struct packed *packed;
	bool adds;
};

static void run_conv(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct conv_params *conv = params;
	gyr_conv_last_run(&conv->conv, conv->packed->floats, inputs[0], conv->adds ? inputs[3] : NULL, outputs[0], scratch);
}

/* Whether what is packed for OTHER serves CONV, whose weights are the same bytes: Winograd's stand behind those of plain sums. */
static bool serves(const struct gyr_conv_last *other, const struct gyr_conv_last *conv)
{
	const struct gyr_convolution *a = &other->shape, *b = &conv->shape;
	for (uint32_t i = 0; i < GYR_WINDOW_AXES; i++)
		if (a->window.axes[i].kernel != b->window.axes[i].kernel)
			return false;
	return a->groups == b->groups && a->in == b->in && a->out == b->out && (other->winograd || !conv->winograd);
}

/* The packed weights, those of another batch size where they are there. */
static int pack(struct gyr_prepare *prepare, struct conv_params *params)
{
	const void *weights = prepare->contents[1], *bias = kernel_input(prepare, 2) != NULL ? prepare->contents[2] : NULL;
	size_t bytes = sizeof(struct packed) + (gyr_conv_last_packed(&params->conv) * sizeof(float) + 63) / 64 * 64;
	struct packed *packed;
	uint64_t tag = PACK_TAG;
	for (; (packed = gyr_packs_find(prepare->packs, weights, tag)) != NULL; tag++) {
		params->packed = packed;
		if (packed->bias == bias && serves(&packed->conv, &params->conv))
			return 0;
	}
	packed = aligned_alloc(64, bytes);
	if (packed == NULL)
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for weights");
	packed->bias = bias;
	packed->conv = params->conv;
	gyr_conv_last_pack(&params->conv, weights, bias, packed->floats);
	if (!gyr_packs_keep(prepare->packs, weights, tag, packed, bytes, free)) {
		free(packed);
		return gyr_error_set(prepare->error, -ENOMEM, "no memory for weights");
	}
	params->packed = packed;
	return 0;
}

static int prepare_conv(struct gyr_prepare *prepare)
{
	struct gyr_shape x = first_of(prepare->inputs[0]), y = first_of(&prepare->outputs[0]);
	struct conv_params *params = KERNEL_PARAMS(prepare, struct conv_params);
	if (params == NULL)
		return -ENOMEM;
	struct gyr_conv_last *conv = &params->conv;
	struct gyr_convolution *shape = &conv->shape;
	shape->batch = (size_t)x.dims[0];
	shape->groups = (size_t)gyr_node_integer(prepare->node, "group", 1);
	shape->in = (size_t)x.dims[1] / shape->groups;
	shape->out = (size_t)y.dims[1] / shape->groups;
	int status = gyr_window_read(prepare->node, &x, prepare->inputs[1]->dims + 2, &shape->window, prepare->error);
	if (status != 0)
		return status;
	conv->activation = (enum gyr_conv_activation)gyr_node_integer(prepare->node, "activation", GYR_CONV_CLIP);
	conv->alpha = gyr_node_number(prepare->node, "activation_alpha", -INFINITY);
	conv->beta = gyr_node_number(prepare->node, "activation_beta", INFINITY);
	conv->y_stride = shape->groups * shape->out;
	gyr_conv_last_plan(conv);
	params->adds = kernel_input(prepare, 3) != NULL;
	prepare->run = run_conv;
	prepare->scratch_bytes = conv->scratch_bytes;
	prepare->unread = 1u << 1 | 1u << 2;
	return pack(prepare, params);
}

static void run_pool(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_pool_last_run(params, inputs[0], outputs[0]);
}

static int prepare_pool(struct gyr_prepare *prepare)
{
	struct gyr_shape x = first_of(prepare->inputs[0]);
	struct gyr_pool_last *pool = KERNEL_PARAMS(prepare, struct gyr_pool_last);
	if (pool == NULL)
		return -ENOMEM;
	pool->batch = (size_t)x.dims[0];
	pool->channels = (size_t)x.dims[1];
	pool->pool.kind = (enum gyr_pool_kind)gyr_node_integer(prepare->node, "pool", GYR_POOL_MAX);
	pool->pool.dtype = GYR_DTYPE_F32;
	pool->pool.count_pads = gyr_node_integer(prepare->node, "count_include_pad", 0) != 0;
	prepare->run = run_pool;
	if (gyr_node_integer(prepare->node, "global", 0) == 0)
		return gyr_window_read(prepare->node, &x, NULL, &pool->pool.window, prepare->error);
	int64_t size = (int64_t)kernel_product(&x, 2, x.rank);
	for (uint32_t i = 0; i < GYR_WINDOW_AXES; i++)
		pool->pool.window.axes[i] = (struct gyr_window_axis){.in = 1, .out = 1, .kernel = 1, .dilation = 1, .stride = 1};
	pool->pool.window.axes[GYR_WINDOW_AXES - 1].in = pool->pool.window.axes[GYR_WINDOW_AXES - 1].kernel = size;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_CHANNELS_LAST_CONV, prepare_conv},
	{GYR_OP_CHANNELS_LAST_POOL, prepare_pool},
};

const struct kernel_family kernel_family_last = {rows, KERNEL_COUNT(rows)};
