/*
 * Normalisation on f32: arrays of any alignment, not overlapping; computed in double. Any thread.
 */
#ifndef GYR_ENGINE_REF_NORMALISE_H
#define GYR_ENGINE_REF_NORMALISE_H

#include <stddef.h>

#include "engine/ref/reduce.h"

/*
 * X is ROWS rows of PARTS * RUN elements. Each row gets mean 0 and variance 1; then part p of row r is multiplied by scale[s] and shifted by bias[s],
 * s = r % scale_rows * parts + p. So are layer (scale_rows 1, run 1), instance (scale_rows C, parts 1) and group normalisation.
 */
struct gyr_normalise {
	size_t rows, parts, run, scale_rows;
	float epsilon;
};

/* BIAS, MEANS and INVERSES (1 / standard deviation; each one number a row) may be NULL. */
void gyr_ref_normalise(const struct gyr_normalise *normalise, const void *x, const void *scale, const void *bias, void *y, void *means, void *inverses);

/* X is [outer, channels, inner]: y = (x - mean[c]) / sqrt(variance[c] + epsilon) * scale[c] + bias[c]. */
struct gyr_batch_norm {
	size_t outer, channels, inner;
	float epsilon;
};

void gyr_ref_batch_norm(const struct gyr_batch_norm *norm, const void *x, const void *scale, const void *bias, const void *mean, const void *variance, void *y);

/* Along LENGTH of X [outer, length, inner]: y = x - log(sum(exp(x))). */
void gyr_ref_log_softmax(size_t outer, size_t length, size_t inner, const void *x, void *y);

/* Along LENGTH: 1 at the first of the largest, 0 elsewhere. */
void gyr_ref_hardmax(size_t outer, size_t length, size_t inner, const void *x, void *y);

/* Along LENGTH: x over the sum of sizes (P 1) or its root of the sum of squares (P 2); 0 where that is 0. */
void gyr_ref_lp_normalise(size_t outer, size_t length, size_t inner, int p, const void *x, void *y);

/* X is [outer, channels, inner]: y = x / (bias + alpha / size * s)^beta, s the sum of squares of the SIZE channels around its own. */
struct gyr_lrn {
	size_t outer, channels, inner, size;
	float alpha, beta, bias;
};

void gyr_ref_lrn(const struct gyr_lrn *lrn, const void *x, void *y);

/* Y = (x - mean) / (standard deviation + 1e-9), over the dimensions that ALONG reduces. */
void gyr_ref_mean_variance(const struct gyr_reduce *along, const void *x, void *y);

#endif
