/*
 * The resize family: Resize and Upsample.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/kernel/resize.h"
#include "engine/ref/number.h"

#define TABLES_MAX ((size_t)64 << 20) /* bytes of a node's tables */
#define ALIGN 64u

struct resize {
	enum gyr_dtype dtype;
	uint32_t rank;
	struct gyr_resize_taps axes[GYR_RANK_MAX];
	float extrapolation;
	double outside; /* the extrapolation value, as an element */
	bool crop;
	uint32_t pass_count, passes[GYR_RANK_MAX]; /* the axes that change, in the order in which they are run */
	size_t outer[GYR_RANK_MAX], inner[GYR_RANK_MAX];
	size_t other_at; /* in the scratch: the second of two arrays between passes */
};

static void fill_outside(const struct resize *resize, void *y)
{
	if (resize->crop)
		gyr_kernel_resize_outside(gyr_dtype_bytes(resize->dtype), resize->rank, resize->axes, &resize->outside, y);
}

static void run_nearest(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct resize *resize = params;
	gyr_kernel_resize_nearest(gyr_dtype_bytes(resize->dtype), resize->rank, resize->axes, inputs[0], outputs[0]);
	fill_outside(resize, outputs[0]);
}

static void run_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct resize *resize = params;
	gyr_ref_resize(resize->dtype, resize->rank, resize->axes, resize->extrapolation, inputs[0], outputs[0]);
}

static void run_passes(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct resize *resize = params;
	const void *from = inputs[0];
	for (uint32_t i = 0; i < resize->pass_count; i++) {
		void *to = i + 1 == resize->pass_count ? outputs[0] : (char *)scratch + (i % 2 == 0 ? 0 : resize->other_at);
		gyr_kernel_resize_axis(&resize->axes[resize->passes[i]], resize->outer[i], resize->inner[i], from, to);
		from = to;
	}
	fill_outside(resize, outputs[0]);
}

static int make_tables(struct gyr_prepare *prepare, const struct gyr_resize *plan, struct resize *resize)
{
	size_t total = 0;
	for (uint32_t i = 0; i < plan->rank; i++) {
		struct gyr_resize_taps *taps = &resize->axes[i];
		size_t items;
		*taps = (struct gyr_resize_taps){.in = (size_t)plan->axes[i].in, .out = (size_t)plan->axes[i].out, .taps = gyr_resize_tap_count(plan, i)};
		if (__builtin_mul_overflow(taps->taps, taps->out, &items) || items > TABLES_MAX || (total += items * 8) > TABLES_MAX)
			return gyr_error_set(prepare->error, -E2BIG, "its tables of weights are too large (at most %zu bytes)", TABLES_MAX);
		taps->index = gyr_arena_alloc(prepare->arena, items * sizeof *taps->index, ALIGN);
		bool weighted = plan->mode != GYR_RESIZE_NEAREST && !gyr_resize_same(plan, i);
		taps->weights = weighted ? gyr_arena_alloc(prepare->arena, items * sizeof *taps->weights, ALIGN) : NULL;
		taps->outside = resize->crop ? gyr_arena_alloc(prepare->arena, taps->out, ALIGN) : NULL;
		if (taps->index == NULL || (weighted && taps->weights == NULL) || (resize->crop && taps->outside == NULL))
			return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
		gyr_resize_fill(plan, i, taps);
	}
	return 0;
}

/* Axes that shrink come first, and of others the last one: so what is between is small. */
static void order_passes(struct resize *resize)
{
	for (uint32_t i = resize->rank; i-- > 0;) {
		const struct gyr_resize_taps *taps = &resize->axes[i];
		uint32_t at = resize->pass_count;
		if (taps->weights == NULL)
			continue;
		for (; at > 0; at--) {
			const struct gyr_resize_taps *before = &resize->axes[resize->passes[at - 1]];
			if ((double)before->out / (double)before->in <= (double)taps->out / (double)taps->in)
				break;
			resize->passes[at] = resize->passes[at - 1];
		}
		resize->passes[at] = i;
		resize->pass_count++;
	}
}

/* What each pass works on, and the scratch between passes. */
static size_t lay_out(struct resize *resize)
{
	size_t dims[GYR_RANK_MAX], largest[2] = {0, 0};
	for (uint32_t i = 0; i < resize->rank; i++)
		dims[i] = resize->axes[i].in;
	for (uint32_t pass = 0; pass < resize->pass_count; pass++) {
		uint32_t axis = resize->passes[pass];
		resize->outer[pass] = resize->inner[pass] = 1;
		for (uint32_t i = 0; i < resize->rank; i++)
			*(i < axis ? &resize->outer[pass] : i > axis ? &resize->inner[pass] : &(size_t){1}) *= dims[i];
		dims[axis] = resize->axes[axis].out;
		size_t bytes = resize->outer[pass] * resize->inner[pass] * dims[axis] * sizeof(float);
		if (pass + 1 < resize->pass_count && bytes > largest[pass % 2])
			largest[pass % 2] = bytes;
	}
	resize->other_at = (largest[0] + ALIGN - 1) / ALIGN * ALIGN;
	return resize->other_at + largest[1];
}

static int prepare_resize(struct gyr_prepare *prepare)
{
	struct gyr_infer infer = kernel_infer(prepare, NULL);
	enum gyr_dtype dtype = prepare->outputs[0].dtype;
	struct resize *resize = KERNEL_PARAMS(prepare, struct resize);
	struct gyr_resize plan;
	if (resize == NULL)
		return -ENOMEM;
	int status = gyr_resize_read(&infer, &plan);
	if (status != 0)
		return -ENOTSUP;
	bool real = dtype == GYR_DTYPE_F32 || dtype == GYR_DTYPE_F64 || dtype == GYR_DTYPE_F16 || dtype == GYR_DTYPE_BF16;
	if (plan.mode != GYR_RESIZE_NEAREST && !real)
		return gyr_error_set(prepare->error, -ENOTSUP, "what is between elements of %s, ONNX does not say", gyr_dtype_name(dtype));
	resize->dtype = dtype;
	resize->rank = plan.rank;
	resize->extrapolation = plan.extrapolation;
	resize->crop = plan.coordinate == GYR_RESIZE_TF_CROP_AND_RESIZE;
	gyr_number_store(dtype, &resize->outside, 0, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = (double)plan.extrapolation});
	status = make_tables(prepare, &plan, resize);
	if (status != 0)
		return status;
	order_passes(resize);
	prepare->unread = ~UINT64_C(1);
	prepare->run = resize->pass_count == 0 ? run_nearest : run_passes;
	if (resize->pass_count > 0 && (prepare->reference || dtype != GYR_DTYPE_F32))
		prepare->run = run_twin;
	else
		prepare->scratch_bytes = lay_out(resize);
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_RESIZE, prepare_resize},
	{GYR_OP_UPSAMPLE, prepare_resize},
};

const struct kernel_family kernel_family_resize = {rows, KERNEL_COUNT(rows)};
