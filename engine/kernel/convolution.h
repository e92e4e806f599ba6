/*
 * Conv and ConvTranspose on f32 with constant weights, by oneDNN's convolutions.
 */
#ifndef GYR_ENGINE_KERNEL_CONVOLUTION_H
#define GYR_ENGINE_KERNEL_CONVOLUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/kernel/pack.h"
#include "engine/ref/convolution.h"

struct gyr_conv;

/*
 * Makes CONVOLUTION over the last RANK axes of its window run on WEIGHTS and BIAS (NULL: zeros), which are read here only. The weights are reordered once for
 * all that share PACKS and ask for the same layout. PACKS owns the result. -ENOTSUP: oneDNN has no such convolution. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_conv_create(const struct gyr_convolution *convolution, uint32_t rank, const void *weights, const void *bias, struct gyr_packs *packs,
				   struct gyr_conv **conv, struct gyr_error *error);

/* The bytes that a run needs, 64-byte aligned. */
size_t gyr_conv_scratch_bytes(const struct gyr_conv *conv);

/*
 * X and Y as in gyr_ref_convolution. Any number of threads, each with its own SCRATCH. False, and nothing computed, where 16 others are running it: nobody
 * waits, the twin is to compute. No allocation.
 */
GYR_MUST_CHECK bool gyr_conv_run(struct gyr_conv *conv, const void *x, void *y, void *scratch);

#endif
