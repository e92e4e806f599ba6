/*
 * Products of small integers with zero points: matrices and convolutions. Sums are of 32 bits; where they do not hold one, it wraps, as ONNX allows.
 */
#ifndef GYR_ENGINE_REF_INTEGER_H
#define GYR_ENGINE_REF_INTEGER_H

#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"
#include "engine/ref/convolution.h"

/* Bytes, i8 or u8, and the number that stands for 0 among them. */
struct gyr_integers {
	enum gyr_dtype dtype;
	const void *data;  /* of any alignment */
	const void *zeros; /* of the same type; NULL for 0 */
	size_t zero_step;  /* from one column's, or one channel's, to the next; 0: one for all */
};

/* SUMS[m,n] (i32, any alignment) = sum over k of (A[m,k] - its zero) * (B[k,n] - n's zero); both matrices and SUMS are dense. Any thread. */
void gyr_ref_integer_product(size_t m, size_t n, size_t k, const struct gyr_integers *a, const struct gyr_integers *b, void *sums);

/*
 * The convolution of X and W (which gyr_ref_convolution describes; not transposed) with BIAS, an i32 for each channel of the result or NULL, into SUMS (i32).
 * Padding counts as X's zero. Any thread.
 */
void gyr_ref_integer_convolution(const struct gyr_convolution *convolution, const struct gyr_integers *x, const struct gyr_integers *w, const void *bias,
				 void *sums);

#endif
