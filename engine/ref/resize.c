/*
 * Resize: see resize.h. Source: the formulas of ONNX's operator schema and of its reference implementation (ONNX 1.17).
 */
#include "engine/ref/resize.h"

#include <math.h>

#include "engine/ref/number.h"

/* Where in the input place AT of the result lies. */
static float coordinate(const struct gyr_resize *resize, const struct gyr_resize_axis *axis, float at)
{
	float in = (float)axis->in, last = in - 1;
	switch (resize->coordinate) {
	case GYR_RESIZE_HALF_PIXEL: return (at + 0.5f) / axis->scale - 0.5f;
	case GYR_RESIZE_HALF_PIXEL_SYMMETRIC: {
		float offset = in / 2 * (1 - (float)axis->out / axis->width);
		return offset + (at + 0.5f) / axis->scale - 0.5f;
	}
	case GYR_RESIZE_PYTORCH_HALF_PIXEL: return axis->out > 1 ? (at + 0.5f) / axis->scale - 0.5f : 0;
	case GYR_RESIZE_ALIGN_CORNERS: return axis->out > 1 ? at * last / (float)(axis->out - 1) : 0;
	case GYR_RESIZE_TF_CROP_AND_RESIZE:
		return axis->out > 1 ? axis->begin * last + at * (axis->end - axis->begin) * last / (float)(axis->out - 1)
				     : 0.5f * (axis->begin + axis->end) * last;
	case GYR_RESIZE_ASYMMETRIC: break;
	}
	return at / axis->scale;
}

static int32_t within(float at, int64_t count)
{
	return at > 0 ? (at < (float)(count - 1) ? (int32_t)at : (int32_t)(count - 1)) : 0;
}

static float nearest(const struct gyr_resize *resize, const struct gyr_resize_axis *axis, float at)
{
	float below = floorf(at), rest = at - below;
	switch (resize->nearest) {
	case GYR_RESIZE_ROUND_PREFER_FLOOR: return rest <= 0.5f ? below : below + 1;
	case GYR_RESIZE_ROUND_PREFER_CEIL: return rest < 0.5f ? below : below + 1;
	case GYR_RESIZE_CEIL: return ceilf(at);
	case GYR_RESIZE_SIMPLE: return axis->scale < 1 ? ceilf(at) : below;
	case GYR_RESIZE_FLOOR: break;
	}
	return below;
}

/* The weight of an element DISTANCE away. */
static double kernel(const struct gyr_resize *resize, double distance)
{
	double x = fabs(distance), a = (double)resize->cubic;
	if (resize->mode == GYR_RESIZE_LINEAR)
		return x < 1 ? 1 - x : 0;
	if (x <= 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* How far the weights are stretched: with antialias, where the result is smaller. */
static double stretch(const struct gyr_resize *resize, const struct gyr_resize_axis *axis)
{
	return resize->antialias && axis->scale < 1 ? (double)axis->scale : 1;
}

/* Elements on each side of a coordinate that have a weight. */
static size_t half(const struct gyr_resize *resize, const struct gyr_resize_axis *axis)
{
	return (size_t)ceil((resize->mode == GYR_RESIZE_CUBIC ? 2 : 1) / stretch(resize, axis));
}

size_t gyr_resize_tap_count(const struct gyr_resize *resize, uint32_t axis)
{
	return resize->mode == GYR_RESIZE_NEAREST || gyr_resize_same(resize, axis) ? 1 : 2 * half(resize, &resize->axes[axis]);
}

/* The taps of one place; weights add up to 1. */
static void fill_place(const struct gyr_resize *resize, const struct gyr_resize_axis *axis, float at, size_t taps, int32_t *index, float *weights)
{
	double by = stretch(resize, axis), sum = 0, kept = 0, rest = (double)(at - floorf(at));
	double first = (double)floorf(at) - (double)(taps / 2) + 1;
	for (size_t t = 0; t < taps; t++) {
		double place = first + (double)t, weight = kernel(resize, ((double)t - (double)(taps / 2) + 1 - rest) * by);
		sum += weight;
		kept += place >= 0 && place < (double)axis->in ? weight : 0;
	}
	bool exclude = resize->exclude_outside && kept != 0;
	for (size_t t = 0; t < taps; t++) {
		double place = first + (double)t, weight = kernel(resize, ((double)t - (double)(taps / 2) + 1 - rest) * by);
		bool outside = place < 0 || place >= (double)axis->in;
		index[t] = within((float)place, axis->in);
		weights[t] = exclude && outside ? 0 : (float)(weight / (exclude ? kept : sum));
	}
}

void gyr_resize_fill(const struct gyr_resize *resize, uint32_t number, struct gyr_resize_taps *taps)
{
	const struct gyr_resize_axis *axis = &resize->axes[number];
	bool same = gyr_resize_same(resize, number);
	for (size_t out = 0; out < taps->out; out++) {
		float at = same ? (float)out : coordinate(resize, axis, (float)out);
		if (taps->outside != NULL)
			taps->outside[out] = !(at >= 0 && at <= (float)(axis->in - 1));
		if (same)
			taps->index[out] = (int32_t)out;
		else if (taps->weights == NULL)
			taps->index[out] = within(nearest(resize, axis, at), axis->in);
		else
			fill_place(resize, axis, at, taps->taps, taps->index + out * taps->taps, taps->weights + out * taps->taps);
	}
}

/* The sum over the taps of axes AXIS and behind, of the place AT. FIRST is the element that the axes before have chosen. */
static double sum(enum gyr_dtype dtype, uint32_t rank, const struct gyr_resize_taps *axes, uint32_t axis, const size_t *at, size_t first, const void *x)
{
	if (axis == rank)
		return gyr_number_load(dtype, x, first).real;
	const struct gyr_resize_taps *taps = &axes[axis];
	double total = 0;
	for (size_t t = 0; t < taps->taps; t++) {
		size_t tap = at[axis] * taps->taps + t;
		double one = sum(dtype, rank, axes, axis + 1, at, first * taps->in + (size_t)taps->index[tap], x);
		total = taps->weights == NULL ? one : total + one * (double)taps->weights[tap];
	}
	return total;
}

void gyr_ref_resize(enum gyr_dtype dtype, uint32_t rank, const struct gyr_resize_taps *axes, float extrapolation, const void *x, void *y)
{
	size_t at[GYR_RANK_MAX] = {0}, count = 1;
	for (uint32_t i = 0; i < rank; i++)
		count *= axes[i].out;
	for (size_t i = 0; i < count; i++) {
		bool outside = false;
		for (uint32_t k = 0; k < rank; k++)
			outside = outside || (axes[k].outside != NULL && axes[k].outside[at[k]] != 0);
		double value = outside ? (double)extrapolation : sum(dtype, rank, axes, 0, at, 0, x);
		gyr_number_store(dtype, y, i, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = value});
		for (uint32_t k = rank; k-- > 0;) {
			if (++at[k] < axes[k].out)
				break;
			at[k] = 0;
		}
	}
}
