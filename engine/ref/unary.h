/*
 * Relu, Sigmoid and Tanh on f32.
 */
#ifndef GYR_ENGINE_REF_UNARY_H
#define GYR_ENGINE_REF_UNARY_H

#include <stddef.h>

#include "engine/model/op.h"

/* Y[i] = op(X[i]) for COUNT floats of any alignment; Y may be X. OP is GYR_OP_RELU, SIGMOID or TANH. NaN stays NaN. Computed in double. Any thread. */
void gyr_ref_unary(enum gyr_op op, size_t count, const void *x, void *y);

#endif
