/*
 * Relu, Sigmoid and Tanh on f32, vectorised.
 */
#ifndef GYR_ENGINE_KERNEL_UNARY_H
#define GYR_ENGINE_KERNEL_UNARY_H

#include <stddef.h>

#include "engine/model/op.h"

/* As gyr_ref_unary; sigmoid and tanh within a relative 4e-7 of it. Hot path. */
void gyr_kernel_unary(enum gyr_op op, size_t count, const void *x, void *y);

#endif
