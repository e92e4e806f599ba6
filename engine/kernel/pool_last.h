/*
 * Pooling with channels last: X is [batch, pixels, channels], Y the same. The twin is gyr_ref_pool, which has channels first.
 */
#ifndef GYR_ENGINE_KERNEL_POOL_LAST_H
#define GYR_ENGINE_KERNEL_POOL_LAST_H

#include "engine/ref/pool.h"

struct gyr_pool_last {
	struct gyr_pool pool; /* MAX or AVERAGE of f32; planes is not read */
	size_t batch, channels;
};

/*
 * As gyr_ref_pool, but for sums, which are in f32, of at most 64 numbers at a time: within a relative 2^-23 * (taps / 64 + 65) of the sum of what is summed,
 * without signs. Any alignment, X and Y not overlapping. Any thread.
 */
void gyr_pool_last_run(const struct gyr_pool_last *pool, const void *x, void *y);

#endif
