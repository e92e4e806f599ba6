/*
 * Reductions on f32, vectorised: one run of neighbouring dimensions at a time.
 */
#ifndef GYR_ENGINE_KERNEL_REDUCE_H
#define GYR_ENGINE_KERNEL_REDUCE_H

#include <stddef.h>

#include "engine/model/op.h"

/*
 * Y[outer, inner] = what OP (a GYR_OP_REDUCE_) says of X[outer, length, inner] along LENGTH, as gyr_ref_reduce, within a relative 1e-6 of the largest element
 * (LogSumExp: 2e-6). Any alignment, no overlap. Sums run in double. Hot path.
 */
void gyr_kernel_reduce(enum gyr_op op, size_t outer, size_t length, size_t inner, const void *x, void *y);

#endif
