/*
 * Convolutions by oneDNN: see convolution.h.
 *
 * A oneDNN primitive takes its arrays as memory objects, which are made on the heap; setting the address in one is cheap. So each convolution has SLOTS sets of
 * them; a run takes a free set, points it at its arrays, and gives it back.
 *
 * A primitive runs on as many OpenMP threads as there were when it was made, so both making and running set the number to one, and put it back.
 *
 * oneDNN chooses the layouts of X, W and Y. Where those of X and Y are not the plain one, they are reordered into and out of the scratch.
 */
#include "engine/kernel/convolution.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include "base/assertion.h"
#include "engine/kernel/heap.h"

#define SLOTS 16u
#define ALIGN 64u
#define WEIGHTS_TAG UINT64_C(0x636f6e7600000000) /* the first of those under which layouts of the same weights are kept */

enum { X_PLAIN, X_BLOCKED, Y_BLOCKED, Y_PLAIN, SCRATCHPAD, MEMORIES };

struct slot {
	dnnl_stream_t stream;
	dnnl_memory_t memories[MEMORIES];
};

struct packed {
	dnnl_engine_t engine;
	dnnl_memory_desc_t desc;
	dnnl_memory_t memory;
	void *data;
};

struct gyr_conv {
	dnnl_engine_t engine;
	dnnl_primitive_t convolution, reorder_x, reorder_y; /* a reorder is NULL where the layout is plain */
	dnnl_memory_desc_t descs[MEMORIES];
	size_t offsets[MEMORIES]; /* into the scratch */
	size_t scratch_bytes;
	const struct packed *weights;
	dnnl_memory_t bias; /* NULL: none */
	void *bias_data;
	_Atomic uint32_t busy; /* bit i: slot i is taken */
	struct slot slots[SLOTS];
};

/* What is needed while one is made. */
struct maker {
	struct gyr_conv *conv;
	dnnl_memory_desc_t x, w, b, y; /* plain ones */
	dnnl_memory_desc_t any_x, any_w, any_y;
	dnnl_primitive_desc_t desc;
	dnnl_primitive_attr_t attributes;
};

static size_t round_up(size_t bytes)
{
	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static void destroy_packed(void *object)
{
	struct packed *packed = object;
	dnnl_memory_destroy(packed->memory);
	dnnl_memory_desc_destroy(packed->desc);
	dnnl_engine_destroy(packed->engine);
	free(packed->data);
	free(packed);
}

static void destroy(void *object)
{
	struct gyr_conv *conv = object;
	for (uint32_t i = 0; i < SLOTS; i++) {
		for (uint32_t k = 0; k < MEMORIES; k++)
			dnnl_memory_destroy(conv->slots[i].memories[k]);
		dnnl_stream_destroy(conv->slots[i].stream);
	}
	for (uint32_t k = 0; k < MEMORIES; k++)
		dnnl_memory_desc_destroy(conv->descs[k]);
	dnnl_primitive_destroy(conv->reorder_x);
	dnnl_primitive_destroy(conv->reorder_y);
	dnnl_primitive_destroy(conv->convolution);
	dnnl_memory_destroy(conv->bias);
	dnnl_engine_destroy(conv->engine);
	free(conv->bias_data);
	free(conv);
}

static dnnl_status_t make_reorder(struct maker *maker, dnnl_memory_desc_t from, dnnl_memory_desc_t to, dnnl_primitive_t *reorder)
{
	dnnl_engine_t engine = maker->conv->engine;
	dnnl_primitive_desc_t desc = NULL;
	dnnl_status_t status = dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, NULL);
	if (status == dnnl_success)
		status = dnnl_primitive_create(reorder, desc);
	if (desc != NULL)
		dnnl_primitive_desc_destroy(desc);
	return status;
}

static dnnl_status_t run_reorder(dnnl_primitive_t reorder, dnnl_stream_t stream, dnnl_memory_t from, dnnl_memory_t to)
{
	const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
	return dnnl_primitive_execute(reorder, stream, 2, arguments);
}

/* The plain descriptions, and those that leave the layout open. */
static dnnl_status_t describe(struct maker *maker, const struct gyr_convolution *convolution, uint32_t rank, bool with_bias)
{
	const struct gyr_window_axis *axes = &convolution->window.axes[GYR_WINDOW_AXES - rank];
	dnnl_dim_t in = (dnnl_dim_t)convolution->in, out = (dnnl_dim_t)convolution->out, groups = (dnnl_dim_t)convolution->groups,
		   batch = (dnnl_dim_t)convolution->batch;
	dnnl_dims_t x = {batch, groups * in}, y = {batch, groups * out}, w = {groups, out, in}, x_steps, y_steps, w_steps, b = {groups * out}, b_steps = {1};
	dnnl_dim_t x_step = 1, y_step = 1, w_step = 1;
	for (uint32_t i = rank; i-- > 0;) {
		x[2 + i] = axes[i].in;
		y[2 + i] = axes[i].out;
		w[3 + i] = axes[i].kernel;
		x_steps[2 + i] = x_step;
		y_steps[2 + i] = y_step;
		w_steps[3 + i] = w_step;
		x_step *= x[2 + i];
		y_step *= y[2 + i];
		w_step *= w[3 + i];
	}
	x_steps[1] = x_step;
	x_steps[0] = x_step * x[1];
	y_steps[1] = y_step;
	y_steps[0] = y_step * y[1];
	w_steps[convolution->transposed ? 1 : 2] = w_step;
	w_steps[convolution->transposed ? 2 : 1] = w_step * (convolution->transposed ? out : in);
	w_steps[0] = w_step * in * out;
	int n = (int)rank + 2, skip = groups == 1; /* without groups the weights have no dimension for them */
	dnnl_status_t status = dnnl_memory_desc_create_with_strides(&maker->x, n, x, dnnl_f32, x_steps);
	if (status == dnnl_success)
		status = dnnl_memory_desc_create_with_strides(&maker->y, n, y, dnnl_f32, y_steps);
	if (status == dnnl_success)
		status = dnnl_memory_desc_create_with_strides(&maker->w, n + !skip, w + skip, dnnl_f32, w_steps + skip);
	if (status == dnnl_success && with_bias)
		status = dnnl_memory_desc_create_with_strides(&maker->b, 1, b, dnnl_f32, b_steps);
	if (status == dnnl_success)
		status = dnnl_memory_desc_create_with_tag(&maker->any_x, n, x, dnnl_f32, dnnl_format_tag_any);
	if (status == dnnl_success)
		status = dnnl_memory_desc_create_with_tag(&maker->any_y, n, y, dnnl_f32, dnnl_format_tag_any);
	if (status == dnnl_success)
		status = dnnl_memory_desc_create_with_tag(&maker->any_w, n + !skip, w + skip, dnnl_f32, dnnl_format_tag_any);
	return status;
}

static dnnl_status_t make_primitive(struct maker *maker, const struct gyr_convolution *convolution, uint32_t rank)
{
	const struct gyr_window_axis *axes = &convolution->window.axes[GYR_WINDOW_AXES - rank];
	dnnl_engine_t engine = maker->conv->engine;
	dnnl_dims_t strides, dilates, begin, end;
	for (uint32_t i = 0; i < rank; i++) {
		strides[i] = axes[i].stride;
		dilates[i] = axes[i].dilation - 1;
		begin[i] = axes[i].begin;
		/* What is added to a transposed convolution's result is padding taken away. */
		end[i] = convolution->transposed ? (axes[i].in - 1) * axes[i].stride + (axes[i].kernel - 1) * axes[i].dilation + 1 - axes[i].begin - axes[i].out
						 : axes[i].end;
	}
	dnnl_status_t status = dnnl_primitive_attr_create(&maker->attributes);
	if (status == dnnl_success)
		status = dnnl_primitive_attr_set_scratchpad_mode(maker->attributes, dnnl_scratchpad_mode_user);
	if (status != dnnl_success)
		return status;
	if (convolution->transposed)
		status =
			dnnl_deconvolution_forward_primitive_desc_create(&maker->desc, engine, dnnl_forward_inference, dnnl_deconvolution_direct, maker->any_x,
									 maker->any_w, maker->b, maker->any_y, strides, dilates, begin, end, maker->attributes);
	else
		status = dnnl_convolution_forward_primitive_desc_create(&maker->desc, engine, dnnl_forward_inference, dnnl_convolution_direct, maker->any_x,
									maker->any_w, maker->b, maker->any_y, strides, dilates, begin, end, maker->attributes);
	return status == dnnl_success ? dnnl_primitive_create(&maker->conv->convolution, maker->desc) : status;
}

/* Descriptions of all arrays of a run, the reorders, and where in the scratch things are. */
static dnnl_status_t lay_out(struct maker *maker)
{
	struct gyr_conv *conv = maker->conv;
	const dnnl_memory_desc_t from[MEMORIES] = {
		[X_PLAIN] = maker->x,
		[X_BLOCKED] = (dnnl_memory_desc_t)dnnl_primitive_desc_query_md(maker->desc, dnnl_query_src_md, 0),
		[Y_BLOCKED] = (dnnl_memory_desc_t)dnnl_primitive_desc_query_md(maker->desc, dnnl_query_dst_md, 0),
		[Y_PLAIN] = maker->y,
		[SCRATCHPAD] = (dnnl_memory_desc_t)dnnl_primitive_desc_query_md(maker->desc, dnnl_query_scratchpad_md, 0),
	};
	dnnl_status_t status = dnnl_success;
	for (uint32_t k = 0; k < MEMORIES && status == dnnl_success; k++)
		status = dnnl_memory_desc_clone(&conv->descs[k], from[k]);
	if (status == dnnl_success && !dnnl_memory_desc_equal(maker->x, from[X_BLOCKED])) {
		status = make_reorder(maker, maker->x, from[X_BLOCKED], &conv->reorder_x);
		conv->offsets[X_BLOCKED] = conv->scratch_bytes;
		conv->scratch_bytes += round_up(dnnl_memory_desc_get_size(from[X_BLOCKED]));
	}
	if (status == dnnl_success && !dnnl_memory_desc_equal(maker->y, from[Y_BLOCKED])) {
		status = make_reorder(maker, from[Y_BLOCKED], maker->y, &conv->reorder_y);
		conv->offsets[Y_BLOCKED] = conv->scratch_bytes;
		conv->scratch_bytes += round_up(dnnl_memory_desc_get_size(from[Y_BLOCKED]));
	}
	conv->offsets[SCRATCHPAD] = conv->scratch_bytes;
	conv->scratch_bytes += round_up(dnnl_memory_desc_get_size(from[SCRATCHPAD]));
	for (uint32_t i = 0; i < SLOTS && status == dnnl_success; i++) {
		status = dnnl_stream_create(&conv->slots[i].stream, conv->engine, dnnl_stream_default_flags);
		for (uint32_t k = 0; k < MEMORIES && status == dnnl_success; k++)
			status = dnnl_memory_create(&conv->slots[i].memories[k], conv->descs[k], conv->engine, DNNL_MEMORY_NONE);
	}
	return status;
}

/* The weights in the layout that the primitive wants, from PACKS where they are there. */
static dnnl_status_t pack_weights(struct maker *maker, const void *weights, struct gyr_packs *packs)
{
	const_dnnl_memory_desc_t desc = dnnl_primitive_desc_query_md(maker->desc, dnnl_query_weights_md, 0);
	struct packed *packed;
	uint64_t tag = WEIGHTS_TAG;
	for (; (packed = gyr_packs_find(packs, weights, tag)) != NULL; tag++) {
		if (dnnl_memory_desc_equal(packed->desc, desc)) {
			maker->conv->weights = packed;
			return dnnl_success;
		}
	}
	size_t bytes = dnnl_memory_desc_get_size(desc);
	dnnl_primitive_t reorder = NULL;
	dnnl_memory_t from = NULL;
	packed = calloc(1, sizeof *packed);
	if (packed == NULL || (packed->data = aligned_alloc(ALIGN, round_up(bytes))) == NULL) {
		free(packed);
		return dnnl_out_of_memory;
	}
	dnnl_status_t status = dnnl_engine_create(&packed->engine, dnnl_cpu, 0);
	if (status == dnnl_success)
		status = dnnl_memory_desc_clone(&packed->desc, desc);
	if (status == dnnl_success)
		status = dnnl_memory_create(&packed->memory, packed->desc, packed->engine, packed->data);
	if (status == dnnl_success)
		status = make_reorder(maker, maker->w, packed->desc, &reorder);
	if (status == dnnl_success)
		status = dnnl_memory_create(&from, maker->w, maker->conv->engine, (void *)weights);
	if (status == dnnl_success)
		status = run_reorder(reorder, maker->conv->slots[0].stream, from, packed->memory);
	if (status == dnnl_success && !gyr_packs_keep(packs, weights, tag, packed, bytes, destroy_packed))
		status = dnnl_out_of_memory;
	if (status != dnnl_success)
		destroy_packed(packed);
	dnnl_memory_destroy(from);
	dnnl_primitive_destroy(reorder);
	maker->conv->weights = packed;
	return status;
}

static dnnl_status_t copy_bias(struct maker *maker, const void *bias, size_t bytes)
{
	struct gyr_conv *conv = maker->conv;
	conv->bias_data = aligned_alloc(ALIGN, round_up(bytes));
	if (conv->bias_data == NULL)
		return dnnl_out_of_memory;
	memcpy(conv->bias_data, bias, bytes);
	return dnnl_memory_create(&conv->bias, maker->b, conv->engine, conv->bias_data);
}

int gyr_conv_create(const struct gyr_convolution *convolution, uint32_t rank, const void *weights, const void *bias, struct gyr_packs *packs,
		    struct gyr_conv **result, struct gyr_error *error)
{
	struct maker maker = {.conv = calloc(1, sizeof *maker.conv)};
	if (maker.conv == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for a convolution");
	int threads = omp_get_max_threads();
	omp_set_num_threads(1);
	dnnl_status_t status = dnnl_engine_create(&maker.conv->engine, dnnl_cpu, 0);
	if (status == dnnl_success)
		status = describe(&maker, convolution, rank, bias != NULL);
	if (status == dnnl_success)
		status = make_primitive(&maker, convolution, rank);
	if (status == dnnl_success)
		status = lay_out(&maker);
	if (status == dnnl_success)
		status = pack_weights(&maker, weights, packs);
	if (status == dnnl_success && bias != NULL)
		status = copy_bias(&maker, bias, convolution->groups * convolution->out * sizeof(float));
	if (status == dnnl_success && !gyr_packs_keep(packs, maker.conv, 0, maker.conv, 0, destroy))
		status = dnnl_out_of_memory;
	omp_set_num_threads(threads);
	const dnnl_memory_desc_t descs[] = {maker.x, maker.w, maker.b, maker.y, maker.any_x, maker.any_w, maker.any_y};
	for (size_t i = 0; i < sizeof descs / sizeof descs[0]; i++)
		dnnl_memory_desc_destroy(descs[i]);
	dnnl_primitive_attr_destroy(maker.attributes);
	dnnl_primitive_desc_destroy(maker.desc);
	if (status == dnnl_success) {
		*result = maker.conv;
		return 0;
	}
	destroy(maker.conv);
	return status == dnnl_out_of_memory ? gyr_error_set(error, -ENOMEM, "no memory for a convolution")
					    : gyr_error_set(error, -ENOTSUP, "oneDNN has no such convolution");
}

size_t gyr_conv_scratch_bytes(const struct gyr_conv *conv)
{
	return conv->scratch_bytes;
}

/* Takes a slot that is free; its number, or SLOTS where none is. */
static uint32_t take_slot(struct gyr_conv *conv)
{
	uint32_t busy = atomic_load_explicit(&conv->busy, memory_order_relaxed), free;
	do {
		free = ~busy & ((1u << SLOTS) - 1);
		if (free == 0)
			return SLOTS;
		free &= -free;
		/* Acquire: pairs with the release of who had the slot before. */
	} while (!atomic_compare_exchange_weak_explicit(&conv->busy, &busy, busy | free, memory_order_acquire, memory_order_relaxed));
	return (uint32_t)__builtin_ctz(free);
}

bool gyr_conv_run(struct gyr_conv *conv, const void *x, void *y, void *scratch)
{
	uint32_t index = take_slot(conv);
	if (index == SLOTS)
		return false;
	const struct slot *slot = &conv->slots[index];
	const dnnl_memory_t *memories = slot->memories;
	void *const arrays[MEMORIES] = {
		[X_PLAIN] = (void *)x,
		[X_BLOCKED] = conv->reorder_x != NULL ? (char *)scratch + conv->offsets[X_BLOCKED] : (void *)x,
		[Y_BLOCKED] = conv->reorder_y != NULL ? (char *)scratch + conv->offsets[Y_BLOCKED] : y,
		[Y_PLAIN] = y,
		[SCRATCHPAD] = (char *)scratch + conv->offsets[SCRATCHPAD],
	};
	const dnnl_exec_arg_t arguments[] = {
		{DNNL_ARG_SRC, memories[X_BLOCKED]}, {DNNL_ARG_WEIGHTS, conv->weights->memory},
		{DNNL_ARG_DST, memories[Y_BLOCKED]}, {DNNL_ARG_SCRATCHPAD, memories[SCRATCHPAD]},
		{DNNL_ARG_BIAS, conv->bias},
	};
	dnnl_status_t status = dnnl_success;
	int threads = omp_get_max_threads();
	omp_set_num_threads(1);
	gyr_kernel_heap_begin();
	for (uint32_t k = 0; k < MEMORIES && status == dnnl_success; k++)
		status = dnnl_memory_set_data_handle(memories[k], arrays[k]);
	if (status == dnnl_success && conv->reorder_x != NULL)
		status = run_reorder(conv->reorder_x, slot->stream, memories[X_PLAIN], memories[X_BLOCKED]);
	if (status == dnnl_success)
		status = dnnl_primitive_execute(conv->convolution, slot->stream, conv->bias != NULL ? 5 : 4, arguments);
	if (status == dnnl_success && conv->reorder_y != NULL)
		status = run_reorder(conv->reorder_y, slot->stream, memories[Y_BLOCKED], memories[Y_PLAIN]);
	gyr_kernel_heap_end();
	omp_set_num_threads(threads);
	GYR_ASSERT(status == dnnl_success);
	atomic_fetch_and_explicit(&conv->busy, ~(1u << index), memory_order_release); /* pairs with take_slot's acquire */
	return true;
}
