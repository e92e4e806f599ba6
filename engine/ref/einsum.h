/*
 * Einstein sums of any type of numbers.
 */
#ifndef GYR_ENGINE_REF_EINSUM_H
#define GYR_ENGINE_REF_EINSUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"
#include "engine/model/einsum.h"

/* For each label, how far apart the elements of an operand are along it: 0 where it has it not, the sum of both on a diagonal. */
struct gyr_einsum_strides {
	size_t along[GYR_EINSUM_LABELS_MAX];
};

void gyr_einsum_strides(const struct gyr_einsum *einsum, uint32_t operand, const struct gyr_shape *shape, struct gyr_einsum_strides *strides);

/*
 * Y = the sum, over the labels behind the result's, of the products of the operands' elements. STRIDES and X are one an operand; arrays of DTYPE of any
 * alignment; Y dense, overlapping none. Reals are computed in double and rounded once; integers wrap. Any thread.
 */
void gyr_ref_einsum(const struct gyr_einsum *einsum, enum gyr_dtype dtype, const struct gyr_einsum_strides *strides, const void *const *x, void *y);

#endif
