/*
 * Convolutions with channels last: X is [batch, pixels, channels], Y the same, so that what belongs to one pixel lies together. A convolution is then one
 * matrix product for each tap, and its rows are pixels that need not be neighbours; vectors go along the channels of Y.
 *
 * Hand-vectorised with the compiler's vectors, as wide as the CPU's are. The twin is gyr_ref_convolution, which has channels first.
 */
#ifndef GYR_ENGINE_KERNEL_CONV_LAST_H
#define GYR_ENGINE_KERNEL_CONV_LAST_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/ref/convolution.h"

/* What is done to each sum, after the bias and what is added. */
enum gyr_conv_activation {
	GYR_CONV_CLIP,  /* to [alpha, beta]: with infinities, nothing; with 0 and infinity, Relu */
	GYR_CONV_LEAKY, /* x < 0 ? alpha x : x */
	GYR_CONV_SIGMOID,
	GYR_CONV_TANH,
	GYR_CONV_HARD_SIGMOID, /* alpha x + beta, clipped to [0, 1] */
	GYR_CONV_HARD_SWISH,   /* x times that */
	GYR_CONV_SWISH,        /* x sigmoid(alpha x) */
	GYR_CONV_ACTIVATION_COUNT,
};

struct gyr_conv_last {
	struct gyr_convolution shape; /* not transposed */
	enum gyr_conv_activation activation;
	float alpha, beta;
	size_t y_stride; /* floats from one pixel of Y to the next: at least groups * out */
	bool depthwise;  /* set by gyr_conv_last_plan, as the next four */
	bool merged, plain, winograd;
	size_t scratch_bytes;
};

/* Works out how CONV, whose shape, activation and y_stride are set, runs. */
void gyr_conv_last_plan(struct gyr_conv_last *conv);

/* The floats of its packed weights. */
size_t gyr_conv_last_packed(const struct gyr_conv_last *conv);

/*
 * Packs WEIGHTS, [groups * out, in, kernel...], and BIAS (groups * out; NULL: zeros) into PACKED, 64-byte aligned. They do not depend on the batch; on the size
 * of X only in that those for Winograd's way are there where CONV's is that, behind what plain sums read.
 */
void gyr_conv_last_pack(const struct gyr_conv_last *conv, const void *weights, const void *bias, float *packed);

/*
 * Y = activation(conv(X) + bias + ADDED), each image by itself. ADDED is of Y's shape, dense, or NULL. SCRATCH has scratch_bytes. Any alignment of X, Y and
 * ADDED, which do not overlap. Sums are in f32, of the products in the order of taps and channels, cut where no error beyond that of a plain sum in another
 * order comes of it: the relative error to sum |x w| + |bias| is at most 2^-23 * (in * taps + 4), and far less in practice. A 3x3 one may be computed as
 * winograd.h says, within that. NaN and infinities go where they belong. Any thread.
 */
void gyr_conv_last_run(const struct gyr_conv_last *conv, const float *packed, const void *x, const void *added, void *y, void *scratch);

#endif
