/*
 * Choosing between elements: Where and Clip.
 */
#ifndef GYR_ENGINE_KERNEL_SELECT_H
#define GYR_ENGINE_KERNEL_SELECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"

/* The walk over the result, outermost dimension first; a stride is in elements, 0 where the operand is repeated. */
struct gyr_where {
	uint32_t rank;
	size_t bytes; /* of an element */
	size_t dims[GYR_RANK_MAX], strides[3][GYR_RANK_MAX];
};

/* Describes the choice for three concrete shapes that broadcast to Y: the conditions, what is taken where they are true, and where they are false. */
void gyr_where_init(struct gyr_where *where, const struct gyr_shape *const inputs[3], const struct gyr_shape *y);

/* Moves the elements, of any alignment; Y overlaps nothing. Any thread. */
void gyr_kernel_where(const struct gyr_where *where, const void *condition, const void *a, const void *b, void *y);

/* Y[i] = X[i] held between LOW and HIGH, one element each, or NULL for no bound; where LOW is over HIGH, HIGH. NaN stays. COUNT elements of DTYPE, of any
 * alignment; Y may be X. Any thread. */
void gyr_kernel_clip(enum gyr_dtype dtype, size_t count, const void *low, const void *high, const void *x, void *y);

#endif
