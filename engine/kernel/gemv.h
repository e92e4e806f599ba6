/*
 * A few rows times a matrix: y = x W + bias, of which the time is that in which W is read once. Plain vector code, for every CPU; brgemm takes over where there
 * are enough rows for the arithmetic to count.
 */
#ifndef GYR_ENGINE_KERNEL_GEMV_H
#define GYR_ENGINE_KERNEL_GEMV_H

#include <stdbool.h>
#include <stddef.h>

#define GYR_GEMV_LANES 16u /* floats of a vector */

/*
 * Columns of W that lie together, a tile: for each input, one after another, STRIDE floats (a multiple of GYR_GEMV_LANES) of which the first OUTPUTS count and
 * the others are zero.
 */
struct gyr_gemv {
	size_t in, outputs, stride;
	const float *weights; /* in x stride, 64-byte aligned */
	const float *bias;    /* stride floats, 64-byte aligned */
	bool relu;            /* y = max(0, that) */
};

/*
 * Computes the tile's OUTPUTS of ROWS rows. Row r of the inputs begins at X + r * in, of the results at Y + r * Y_STRIDE (floats, of any alignment, not
 * overlapping). |got - exact| <= 2^-23 * (in + 4) * (sum of |x w| + |bias|). Any thread. Hot path.
 */
void gyr_gemv_run(const struct gyr_gemv *gemv, size_t rows, const void *x, void *y, size_t y_stride);

#endif
