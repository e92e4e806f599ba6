/*
 * Normalisation on f32, vectorised. Any alignment, no overlap. Hot path.
 */
#ifndef GYR_ENGINE_KERNEL_NORMALISE_H
#define GYR_ENGINE_KERNEL_NORMALISE_H

#include "engine/ref/normalise.h"

/* As gyr_ref_normalise, within 2e-6 * (1 + |y|) of it. Sums are of floats, and of doubles where those would not do. */
void gyr_kernel_normalise(const struct gyr_normalise *normalise, const void *x, const void *scale, const void *bias, void *y, void *means, void *inverses);

/* As gyr_ref_batch_norm, within a relative 1e-6 of the largest of x, mean and bias. */
void gyr_kernel_batch_norm(const struct gyr_batch_norm *norm, const void *x, const void *scale, const void *bias, const void *mean, const void *variance,
			   void *y);

/* As gyr_ref_log_softmax, within 2e-6 * (1 + |y|). */
void gyr_kernel_log_softmax(size_t outer, size_t length, size_t inner, const void *x, void *y);

#endif
