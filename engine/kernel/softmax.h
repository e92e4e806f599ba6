/*
 * Softmax on f32, vectorised.
 */
#ifndef GYR_ENGINE_KERNEL_SOFTMAX_H
#define GYR_ENGINE_KERNEL_SOFTMAX_H

#include <stddef.h>

/* As gyr_ref_softmax, within a relative 2e-6 of it, and 0 where that is below 1e-37. Hot path. */
void gyr_kernel_softmax(size_t outer, size_t length, size_t inner, const void *x, void *y);

/* As that of the row X + MASK, LENGTH long, to whose element k MASK[k * MASK_STEP] is added; Y may be X. Any alignment. Hot path. */
void gyr_kernel_softmax_masked(size_t length, const void *x, const void *mask, size_t mask_step, void *y);

#endif
