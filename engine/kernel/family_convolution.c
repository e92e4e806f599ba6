/*
 * The convolution family: convolution and pooling.
 */
#include <errno.h>

#include "engine/kernel/convolution.h"
#include "engine/kernel/family.h"
#include "engine/ref/convolution.h"
#include "engine/ref/pool.h"

static void run_conv_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_convolution(params, inputs[0], inputs[1], inputs[2], outputs[0]);
}

/* Without a bias there is no third input. */
static void run_conv_twin_plain(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_convolution(params, inputs[0], inputs[1], NULL, outputs[0]);
}

struct conv_params {
	struct gyr_convolution shape; /* what the twins take */
	struct gyr_conv *conv;
	bool with_bias;
};

static void run_conv(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct conv_params *conv = params;
	if (!gyr_conv_run(conv->conv, inputs[0], outputs[0], scratch))
		gyr_ref_convolution(&conv->shape, inputs[0], inputs[1], conv->with_bias ? inputs[2] : NULL, outputs[0]);
}

/* Weights that are known go to oneDNN, where it has such a convolution; the twin takes all else. */
static int prepare_known(struct gyr_prepare *prepare, struct conv_params *params)
{
	bool with_bias = kernel_input(prepare, 2) != NULL;
	if (prepare->reference || prepare->contents[1] == NULL || (with_bias && prepare->contents[2] == NULL) || params->shape.in == 0)
		return 0;
	int status = gyr_conv_create(&params->shape, prepare->inputs[0]->rank - 2, prepare->contents[1], with_bias ? prepare->contents[2] : NULL,
				     prepare->packs, &params->conv, prepare->error);
	if (status != 0)
		return status == -ENOTSUP ? 0 : status;
	prepare->run = run_conv;
	prepare->scratch_bytes = gyr_conv_scratch_bytes(params->conv);
	params->with_bias = with_bias;
	return 0;
}

static int prepare_conv(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *w = prepare->inputs[1], *y = &prepare->outputs[0];
	struct conv_params *params = KERNEL_PARAMS(prepare, struct conv_params);
	if (params == NULL)
		return -ENOMEM;
	struct gyr_convolution *conv = &params->shape;
	conv->transposed = prepare->node->op == GYR_OP_CONV_TRANSPOSE;
	conv->batch = (size_t)x->dims[0];
	conv->groups = (size_t)gyr_node_integer(prepare->node, "group", 1);
	conv->in = (size_t)x->dims[1] / conv->groups;
	conv->out = (size_t)y->dims[1] / conv->groups;
	prepare->run = kernel_input(prepare, 2) != NULL ? run_conv_twin : run_conv_twin_plain;
	int status = kernel_need_f32(prepare, x);
	if (status == 0)
		status = gyr_window_read(prepare->node, x, w->dims + 2, &conv->window, prepare->error);
	return status == 0 ? prepare_known(prepare, params) : status;
}

static void run_pool_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_pool(params, inputs[0], outputs[0], NULL);
}

static void run_pool_places(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_pool(params, inputs[0], outputs[0], outputs[1]);
}

/* Whether what a window sees beyond the padding counts as padding is answered one way by ONNX's own cases and another by other runtimes: -ENOTSUP. */
static int need_padding(struct gyr_prepare *prepare, const struct gyr_window *window)
{
	for (uint32_t i = 0; i < GYR_WINDOW_AXES; i++) {
		const struct gyr_window_axis *axis = &window->axes[i];
		if ((axis->out - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1 > axis->begin + axis->in + axis->end)
			return gyr_error_set(prepare->error, -ENOTSUP, "with 'count_include_pad', no window may end beyond the padding");
	}
	return 0;
}

/* A global pooling is one of a single window over all elements of a plane. */
static int prepare_pool(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	const struct gyr_node *node = prepare->node;
	enum gyr_op op = node->op;
	bool bytes = op == GYR_OP_MAX_POOL && (x->dtype == GYR_DTYPE_I8 || x->dtype == GYR_DTYPE_U8);
	struct gyr_pool *pool = KERNEL_PARAMS(prepare, struct gyr_pool);
	int status = pool == NULL ? -ENOMEM : bytes ? 0 : kernel_need_f32(prepare, x);
	if (status != 0)
		return status;
	pool->kind = op == GYR_OP_MAX_POOL || op == GYR_OP_GLOBAL_MAX_POOL ? GYR_POOL_MAX
		     : op == GYR_OP_LP_POOL || op == GYR_OP_GLOBAL_LP_POOL ? GYR_POOL_NORM
									   : GYR_POOL_AVERAGE;
	pool->dtype = x->dtype;
	pool->planes = kernel_product(x, 0, 2);
	pool->count_pads = gyr_node_integer(node, "count_include_pad", 0) != 0;
	pool->columns_first = gyr_node_integer(node, "storage_order", 0) != 0;
	pool->norm = (double)gyr_node_integer(node, "p", 2);
	prepare->run = node->output_count > 1 && node->outputs[1] != GYR_VALUE_NONE ? run_pool_places : run_pool_twin;
	if (op != GYR_OP_GLOBAL_MAX_POOL && op != GYR_OP_GLOBAL_LP_POOL && op != GYR_OP_GLOBAL_AVERAGE_POOL) {
		status = gyr_window_read(node, x, NULL, &pool->window, prepare->error);
		return status == 0 && pool->count_pads ? need_padding(prepare, &pool->window) : status;
	}
	int64_t size = (int64_t)kernel_product(x, 2, x->rank);
	for (uint32_t i = 0; i < GYR_WINDOW_AXES; i++)
		pool->window.axes[i] = (struct gyr_window_axis){.in = 1, .out = 1, .kernel = 1, .dilation = 1, .stride = 1};
	pool->window.axes[GYR_WINDOW_AXES - 1].in = pool->window.axes[GYR_WINDOW_AXES - 1].kernel = size;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_AVERAGE_POOL, prepare_pool},   {GYR_OP_CONV, prepare_conv},
	{GYR_OP_CONV_TRANSPOSE, prepare_conv}, {GYR_OP_GLOBAL_AVERAGE_POOL, prepare_pool},
	{GYR_OP_GLOBAL_LP_POOL, prepare_pool}, {GYR_OP_GLOBAL_MAX_POOL, prepare_pool},
	{GYR_OP_LP_POOL, prepare_pool},        {GYR_OP_MAX_POOL, prepare_pool},
};

const struct kernel_family kernel_family_convolution = {rows, KERNEL_COUNT(rows)};
