/*
 * Convolutions of bytes as products of the weights with panels of the image.
 *
 * An image is first copied, plane by plane, with its padding, and where the stride is not 1 into one plane for each remainder that a tap leaves: then what a tap
 * sees of neighbouring results lies side by side, in a plane that is wider than the result by what the window reaches over. A panel is a run of places in such
 * a plane; those that are no results (a row's end) are computed and dropped.
 */
#ifndef GYR_ENGINE_KERNEL_INTEGER_CONVOLUTION_H
#define GYR_ENGINE_KERNEL_INTEGER_CONVOLUTION_H

#include "base/arena.h"
#include "engine/kernel/integer.h"
#include "engine/ref/convolution.h"

struct gyr_integer_conv;

/* The geometry of CONVOLUTION (not transposed), from ARENA. NULL without memory, or where it would take more than BYTES_MAX of scratch. */
struct gyr_integer_conv *gyr_integer_conv_create(const struct gyr_convolution *convolution, size_t bytes_max, struct gyr_arena *arena);
size_t gyr_integer_conv_scratch_bytes(const struct gyr_integer_conv *conv); /* 64-byte aligned */

/* What the sums of a channel become. */
struct gyr_integer_channels {
	const uint32_t *added; /* to each sum of the channel */
	const uint32_t *zeros; /* of the weights: times the sum of what the window sees, taken away; NULL where all are 0 */
	enum gyr_dtype dtype;  /* i32: the sums as they are; u8 or i8: requantised */
	const float *factors;
	int32_t zero;
};

/*
 * Y = the convolution of X, bytes of DTYPE whose zero point is ZERO, with WEIGHTS: rows as gyr_integer_pack_rows makes them, one for each channel of the result.
 * X and Y of any alignment. Any thread. Hot path.
 */
void gyr_integer_conv_run(const struct gyr_integer_conv *conv, enum gyr_dtype dtype, const void *x, uint8_t zero, const void *weights,
			  const struct gyr_integer_channels *channels, void *y, void *scratch);

#endif
