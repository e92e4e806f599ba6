/*
 * What the kernels for channels last share: vectors along the channels, and windows that slide over pixels. Inside engine/kernel.
 */
#ifndef GYR_ENGINE_KERNEL_LAST_H
#define GYR_ENGINE_KERNEL_LAST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "engine/model/window.h"
#include "engine/ref/unaligned.h"

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(1), may_alias));

static inline __attribute__((always_inline)) void store_part(gyr_f32_u *y, const vector *from, size_t count)
{
#if defined(__AVX512F__)
	_mm512_mask_storeu_ps(y, (__mmask16)((1u << count) - 1), (__m512)*from);
#else
	memcpy(y, from, count * sizeof(float));
#endif
}

static inline __attribute__((always_inline)) vector load_part(const gyr_f32_u *x, size_t count)
{
#if defined(__AVX512F__)
	return (vector)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), x);
#else
	vector v = {0};
	memcpy(&v, x, count * sizeof(float));
	return v;
#endif
}

/* X within [low, high]; NaN stays. */
static inline __attribute__((always_inline)) vector clip(vector x, float low, float high)
{
	const vector lows = low - (vector){0}, highs = high - (vector){0};
#if defined(__AVX512F__)
	return (vector)_mm512_min_ps((__m512)highs, _mm512_max_ps((__m512)lows, (__m512)x)); /* the second where one is NaN */
#else
	typedef int32_t mask __attribute__((vector_size(LANES * sizeof(int32_t))));
	mask less = lows > x;
	x = (vector)((less & (mask)lows) | (~less & (mask)x));
	mask more = highs < x;
	return (vector)((more & (mask)highs) | (~more & (mask)x));
#endif
}

/* The vector J of a row of VECTORS, the last of which has COUNT numbers. */
#define LOAD(x, j, vectors, count) ((j) + 1 < (vectors) ? *(const vector *)((x) + (j) * LANES) : load_part((x) + (j) * LANES, (count)))

/* Where the window of a pixel of Y begins in X, padding counted. */
struct origin {
	int64_t at[GYR_WINDOW_AXES];
};

/* The origin of the first pixel. */
static inline struct origin first_origin(const struct gyr_window *window)
{
	return (struct origin){{-window->axes[0].begin, -window->axes[1].begin, -window->axes[2].begin}};
}

/* From the origin of a pixel to that of the next one; behind the last comes the first. */
static inline void next_origin(const struct gyr_window *window, struct origin *origin)
{
	for (uint32_t i = GYR_WINDOW_AXES; i-- > 0;) {
		const struct gyr_window_axis *axis = &window->axes[i];
		origin->at[i] += axis->stride;
		if (origin->at[i] + axis->begin < axis->out * axis->stride)
			return;
		origin->at[i] = -axis->begin;
	}
}

/* The taps [begin, end) of an axis that lie inside X, for a window that begins at AT. */
struct range {
	int64_t begin, end;
};

static inline struct range inside(const struct gyr_window_axis *axis, int64_t at)
{
	struct range range = {0, axis->kernel};
	if (at < 0)
		range.begin = axis->dilation == 1 ? -at : (-at + axis->dilation - 1) / axis->dilation;
	if (at + (axis->kernel - 1) * axis->dilation >= axis->in)
		range.end = axis->in <= at ? 0 : axis->dilation == 1 ? axis->in - at : (axis->in - 1 - at) / axis->dilation + 1;
	return range;
}

#endif
