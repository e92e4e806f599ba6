/*
 * Pooling with channels last: see pool_last.h. A few vectors of channels stay in registers while the taps go by.
 */
#include "engine/kernel/pool_last.h"

#include <math.h>

#include "engine/kernel/last.h"

#define VECTORS 4u
#define RUN 64 /* numbers that are summed before their sum is added to the others' */

/* The larger of each; NaN, once seen, stays. */
static inline __attribute__((always_inline)) vector larger(vector most, vector x)
{
	typedef int32_t mask __attribute__((vector_size(LANES * sizeof(int32_t))));
	const mask takes = (x > most) | (x != x);
	return (vector)((takes & (mask)x) | (~takes & (mask)most));
}

/* VECTORS of channels of one pixel, COUNT channels in the last: X is the first of them in the image. */
static inline __attribute__((always_inline)) void pool_channels(const struct gyr_pool_last *pool, const struct origin *origin, const struct range ranges[3],
								float share, const gyr_f32_u *x, gyr_f32_u *y, bool most, const size_t vectors, size_t count)
{
	const struct gyr_window_axis *axes = pool->pool.window.axes;
	const int64_t channels = (int64_t)pool->channels;
	vector results[VECTORS], runs[VECTORS];
	int64_t left = RUN;
#pragma GCC unroll 4
	for (size_t j = 0; j < vectors; j++) {
		results[j] = (most ? -INFINITY : 0) - (vector){0};
		runs[j] = (vector){0};
	}
	for (int64_t tap_z = ranges[0].begin; tap_z < ranges[0].end; tap_z++) {
		for (int64_t tap_y = ranges[1].begin; tap_y < ranges[1].end; tap_y++) {
			const int64_t at_y = (origin->at[0] + tap_z * axes[0].dilation) * axes[1].in + origin->at[1] + tap_y * axes[1].dilation;
			const gyr_f32_u *from = x + (at_y * axes[2].in + origin->at[2] + ranges[2].begin * axes[2].dilation) * channels;
			for (int64_t tap_x = ranges[2].begin; tap_x < ranges[2].end; tap_x++, from += axes[2].dilation * channels) {
#pragma GCC unroll 4
				for (size_t j = 0; j < vectors; j++) {
					const vector v = LOAD(from, j, vectors, count);
					if (most)
						results[j] = larger(results[j], v);
					else
						runs[j] += v;
				}
				if (!most && --left == 0) {
#pragma GCC unroll 4
					for (size_t j = 0; j < vectors; j++) {
						results[j] += runs[j];
						runs[j] = (vector){0};
					}
					left = RUN;
				}
			}
		}
	}
#pragma GCC unroll 4
	for (size_t j = 0; j < vectors; j++) {
		if (!most)
			results[j] = (results[j] + runs[j]) * share;
		if (j + 1 < vectors)
			*(vector *)(y + j * LANES) = results[j];
		else
			store_part(y + j * LANES, &results[j], count);
	}
}

static inline __attribute__((always_inline)) void pool_pixel(const struct gyr_pool_last *pool, const struct origin *origin, const struct range ranges[3],
							     float share, const gyr_f32_u *x, gyr_f32_u *y, bool most)
{
	const size_t channels = pool->channels;
	size_t c = 0;
	for (; c + VECTORS * LANES <= channels; c += VECTORS * LANES)
		pool_channels(pool, origin, ranges, share, x + c, y + c, most, VECTORS, LANES);
	for (; c < channels; c += LANES)
		pool_channels(pool, origin, ranges, share, x + c, y + c, most, 1, channels - c < LANES ? channels - c : LANES);
}

static int64_t length(const struct range *range)
{
	return range->end > range->begin ? range->end - range->begin : 0;
}

void gyr_pool_last_run(const struct gyr_pool_last *pool, const void *x, void *y)
{
	const struct gyr_window_axis *axes = pool->pool.window.axes;
	const size_t in_pixels = (size_t)(axes[0].in * axes[1].in * axes[2].in), out_pixels = (size_t)(axes[0].out * axes[1].out * axes[2].out);
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	for (size_t image = 0; image < pool->batch; image++, from += in_pixels * pool->channels) {
		struct origin origin = first_origin(&pool->pool.window);
		for (size_t pixel = 0; pixel < out_pixels; pixel++, to += pool->channels, next_origin(&pool->pool.window, &origin)) {
			const struct range ranges[GYR_WINDOW_AXES] = {inside(&axes[0], origin.at[0]), inside(&axes[1], origin.at[1]),
								      inside(&axes[2], origin.at[2])};
			const int64_t seen = length(&ranges[0]) * length(&ranges[1]) * length(&ranges[2]);
			const int64_t counted = pool->pool.count_pads ? axes[0].kernel * axes[1].kernel * axes[2].kernel : seen;
			if (pool->pool.kind == GYR_POOL_MAX)
				pool_pixel(pool, &origin, ranges, 0, from, to, true);
			else
				pool_pixel(pool, &origin, ranges, counted > 0 ? 1 / (float)counted : 0, from, to, false);
		}
	}
}
