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
 * How weights lie: each as a float; or rounded to bf16, those of two inputs for the same output side by side (the first in the lower half of 32 bits), as
 * brgemm wants them: half the bytes. The sums are of f32 in both cases.
 */
enum gyr_gemv_weights { GYR_GEMV_F32, GYR_GEMV_BF16 };

/*
 * Columns of W that lie together, a tile: for each input (each two inputs, the last of which may be missing and is zero then), one after another, STRIDE words
 * of 32 bits (a multiple of GYR_GEMV_LANES) of which the first OUTPUTS count and the others are zero.
 */
struct gyr_gemv {
	enum gyr_gemv_weights kind;
	size_t in, outputs, stride;
	size_t widest;       /* outputs of the layer's widest tile */
	const void *weights; /* 64-byte aligned */
	const float *bias;   /* stride floats, 64-byte aligned */
	bool relu;           /* y = max(0, that) */
};

/*
 * Computes the tile's OUTPUTS of ROWS rows. Row r of the inputs begins at X + r * in, of the results at Y + r * Y_STRIDE (floats, of any alignment, not
 * overlapping). With the weights as they lie, |got - exact| <= 2^-23 * (in + 4) * (sum of |x w| + |bias|). Any thread. Hot path.
 */
void gyr_gemv_run(const struct gyr_gemv *gemv, size_t rows, const void *x, void *y, size_t y_stride);

#endif
