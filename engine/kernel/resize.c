/*
 * Resize: see resize.h.
 */
#include "engine/kernel/resize.h"

#include <string.h>

#include "engine/ref/unaligned.h"

#define GATHER(type)                                                                                                                                           \
	do {                                                                                                                                                   \
		const type *from = x;                                                                                                                          \
		type *to = y;                                                                                                                                  \
		if (taps->out == 2 * taps->in && twice)                                                                                                        \
			for (size_t i = 0; i < taps->in; i++)                                                                                                  \
				to[2 * i] = to[2 * i + 1] = from[i];                                                                                           \
		else                                                                                                                                           \
			for (size_t i = 0; i < taps->out; i++)                                                                                                 \
				to[i] = from[taps->index[i]];                                                                                                  \
	} while (0)

/* One innermost row. TWICE: each element two times. */
static void gather(size_t bytes, const struct gyr_resize_taps *taps, bool twice, const void *x, void *y)
{
	switch (bytes) {
	case 1: GATHER(gyr_u8_u); return;
	case 2: GATHER(gyr_u16_u); return;
	case 4: GATHER(gyr_u32_u); return;
	default: GATHER(gyr_u64_u); return;
	}
}

static bool is_twice(const struct gyr_resize_taps *taps)
{
	bool twice = taps->out == 2 * taps->in;
	for (size_t i = 0; i < taps->out && twice; i++)
		twice = (size_t)taps->index[i] == i / 2;
	return twice;
}

/* Axes AXIS and behind, of one place in those before. A row that is the same as the one before it is copied from there. */
static void resize_nearest(size_t bytes, uint32_t rank, const struct gyr_resize_taps *axes, uint32_t axis, bool twice, const char *x, char *y)
{
	const struct gyr_resize_taps *taps = &axes[axis];
	size_t x_step = bytes, y_step = bytes;
	if (axis + 1 == rank) {
		gather(bytes, taps, twice, x, y);
		return;
	}
	for (uint32_t i = axis + 1; i < rank; i++) {
		x_step *= axes[i].in;
		y_step *= axes[i].out;
	}
	for (size_t i = 0; i < taps->out; i++) {
		if (i > 0 && taps->index[i] == taps->index[i - 1])
			memcpy(y + i * y_step, y + (i - 1) * y_step, y_step);
		else
			resize_nearest(bytes, rank, axes, axis + 1, twice, x + (size_t)taps->index[i] * x_step, y + i * y_step);
	}
}

void gyr_kernel_resize_nearest(size_t bytes, uint32_t rank, const struct gyr_resize_taps *axes, const void *x, void *y)
{
	if (rank == 0)
		memcpy(y, x, bytes);
	else
		resize_nearest(bytes, rank, axes, 0, is_twice(&axes[rank - 1]), x, y);
}

/* Y = the sum of weighted rows of X, INNER long. */
static void add_rows(const struct gyr_resize_taps *taps, size_t out, size_t inner, const gyr_f32_u *x, gyr_f32_u *y)
{
	const int32_t *index = taps->index + out * taps->taps;
	const float *weights = taps->weights + out * taps->taps;
	const gyr_f32_u *first = x + (size_t)index[0] * inner, *second = x + (size_t)index[1] * inner;
	float a = weights[0], b = weights[1];
	for (size_t i = 0; i < inner; i++)
		y[i] = a * first[i] + b * second[i];
	for (size_t t = 2; t < taps->taps; t += 2) { /* there are always an even number of them */
		first = x + (size_t)index[t] * inner;
		second = x + (size_t)index[t + 1] * inner;
		a = weights[t];
		b = weights[t + 1];
		for (size_t i = 0; i < inner; i++)
			y[i] += a * first[i] + b * second[i];
	}
}

/* The same along rows of single elements. */
static void add_elements(const struct gyr_resize_taps *taps, const gyr_f32_u *x, gyr_f32_u *y)
{
	const int32_t *index = taps->index;
	const float *weights = taps->weights;
	if (taps->taps == 2) {
		for (size_t out = 0; out < taps->out; out++)
			y[out] = weights[2 * out] * x[index[2 * out]] + weights[2 * out + 1] * x[index[2 * out + 1]];
		return;
	}
	for (size_t out = 0; out < taps->out; out++, index += taps->taps, weights += taps->taps) {
		float total = 0;
		for (size_t t = 0; t < taps->taps; t++)
			total += weights[t] * x[index[t]];
		y[out] = total;
	}
}

void gyr_kernel_resize_axis(const struct gyr_resize_taps *taps, size_t outer, size_t inner, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	for (size_t o = 0; o < outer; o++, from += taps->in * inner, to += taps->out * inner) {
		if (inner == 1)
			add_elements(taps, from, to);
		else
			for (size_t out = 0; out < taps->out; out++)
				add_rows(taps, out, inner, from, to + out * inner);
	}
}

void gyr_kernel_resize_outside(size_t bytes, uint32_t rank, const struct gyr_resize_taps *axes, const void *value, void *y)
{
	size_t outer = 1;
	for (uint32_t axis = 0; axis < rank; outer *= axes[axis].out, axis++) {
		size_t inner = 1;
		for (uint32_t i = axis + 1; i < rank; i++)
			inner *= axes[i].out;
		for (size_t at = 0; at < outer * axes[axis].out && axes[axis].outside != NULL; at++)
			for (size_t i = 0; i < inner && axes[axis].outside[at % axes[axis].out] != 0; i++)
				memcpy((char *)y + (at * inner + i) * bytes, value, bytes);
	}
}
