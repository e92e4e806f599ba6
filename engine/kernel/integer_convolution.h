/*
 * Convolutions of bytes as products of the weights with panels of the image.
 *
 * An image is first copied, plane by plane, with its padding, and where the stride is not 1 into one plane for each remainder that a tap leaves: then what a
 * tap sees of neighbouring results lies side by side. A panel is what some neighbouring results see. Either its columns are the results, and the rows are
 * channels; or, where few results would leave most of a panel's columns empty, the columns are channels and the results are the rows.
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

/*
 * Whether its weights are to be packed, for each group, as columns (gyr_integer_pack_columns); else as rows (gyr_integer_pack_rows). Each group takes
 * gyr_integer_conv_weight_bytes.
 */
bool gyr_integer_conv_columns(const struct gyr_integer_conv *conv);
size_t gyr_integer_conv_weight_bytes(const struct gyr_integer_conv *conv);

/* What the sums of a channel become. */
struct gyr_integer_channels {
	const uint32_t *added; /* to each sum of the channel */
	const uint32_t *zeros; /* of the weights: times the sum of what the window sees, taken away; NULL where all are 0 */
	enum gyr_dtype dtype;  /* i32: the sums as they are; u8 or i8: requantised */
	const float *factors;
	int32_t zero;
};

/*
 * Y = the convolution of X, bytes of DTYPE whose zero point is ZERO, with WEIGHTS, packed. X and Y of any alignment. Any thread. Hot path.
 */
void gyr_integer_conv_run(const struct gyr_integer_conv *conv, enum gyr_dtype dtype, const void *x, uint8_t zero, const void *weights,
			  const struct gyr_integer_channels *channels, void *y, void *scratch);

#endif
