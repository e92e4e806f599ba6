/*
 * Reductions along any axes, of any type.
 */
#ifndef GYR_ENGINE_REF_REDUCE_H
#define GYR_ENGINE_REF_REDUCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/tensor.h"
#include "engine/model/op.h"

struct gyr_reduce {
	enum gyr_op op; /* a GYR_OP_REDUCE_ */
	enum gyr_dtype dtype;
	uint32_t kept_rank, reduced_rank;
	size_t kept[GYR_RANK_MAX], reduced[GYR_RANK_MAX];                 /* dimensions, outermost first */
	size_t kept_strides[GYR_RANK_MAX], reduced_strides[GYR_RANK_MAX]; /* in X, in elements */
	size_t count, length;                                             /* the products of kept and of reduced */
};

/* Fills in REDUCE for a tensor of SHAPE (concrete), whose dimensions REDUCED are to go. */
void gyr_reduce_init(struct gyr_reduce *reduce, enum gyr_op op, const struct gyr_shape *shape, const bool *reduced);

/* Where element INDEX (row-major) of an array of RANK DIMS lies, in elements, when the dimensions have STRIDES. */
size_t gyr_reduce_offset(uint32_t rank, const size_t *dims, const size_t *strides, size_t index);

/*
 * Y[i] = what REDUCE says of the elements of X with kept index i: both of any alignment, not overlapping. Reals are computed in double; integers wrap as 64-bit
 * ones, their mean is cut towards 0, and so are the real functions of them. Of nothing, the sum is 0, the product 1, the largest the type's smallest, and the
 * other way. A NaN among reals is the largest and the smallest. Any thread.
 */
void gyr_ref_reduce(const struct gyr_reduce *reduce, const void *x, void *y);

#endif
