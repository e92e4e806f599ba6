/*
 * 3x3 convolutions with channels last by Winograd's minimal filtering F(4x4, 3x3), at a quarter of the multiplications. Inside engine/kernel: conv_last.h is
 * what others call.
 *
 * Source of the transforms: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), for any points; these are closer together
 * than the usual 1 and 2, which gives a smaller error.
 *
 * A result depends on the whole tile of 6x6 pixels that it is made from: its error is bounded by 2^-19 * sum of |x| over the tile and all channels * the
 * largest |w|, where a plain sum's is by that over its own window. An image in which the heaviest tile outweighs more than one in
 * WINOGRAD_LIGHT of the others by more than WINOGRAD_PEAK is therefore left to the plain sums, as is one in which any result is not finite. Each image is
 * judged by itself.
 */
#ifndef GYR_ENGINE_KERNEL_WINOGRAD_H
#define GYR_ENGINE_KERNEL_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernel/conv_last.h"
#include "engine/ref/unaligned.h"

#define WINOGRAD_PEAK 64
#define WINOGRAD_LIGHT 8

/* Whether CONV is one that is faster this way, by how much there is to multiply and to read. */
bool winograd_suits(const struct gyr_conv_last *conv);

/* The floats of its transformed weights, a multiple of 16, and the bytes of scratch, a multiple of 64. */
size_t winograd_packed(const struct gyr_conv_last *conv);
size_t winograd_scratch(const struct gyr_conv_last *conv);

/* Transforms WEIGHTS, [out, in, 3, 3], into PACKED. */
void winograd_pack(const struct gyr_conv_last *conv, const gyr_f32_u *weights, float *packed);

/*
 * One image. BIAS is padded to a vector; LOW and HIGH clip the results. False where plain sums must be: then Y holds anything. SCRATCH is 64-byte aligned.
 */
bool winograd_run(const struct gyr_conv_last *conv, const float *packed, const float *bias, float low, float high, const gyr_f32_u *x, const gyr_f32_u *added,
		  gyr_f32_u *y, void *scratch);

#endif
