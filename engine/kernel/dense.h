/*
 * A dense layer, y = activation(x W + bias), with weights packed once in the order in which they are read: by gemv.h for a few rows, for more by oneDNN's
 * brgemm microkernels.
 *
 * Life: create, prepare for each number of rows that will be run, run. From the last prepare on, a layer is immutable and any number of threads may run it.
 */
#ifndef GYR_ENGINE_KERNEL_DENSE_H
#define GYR_ENGINE_KERNEL_DENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/op.h"

struct gyr_dense;

/*
 * Packs WEIGHTS (IN x OUT floats, row-major, IN and OUT at least 1) and BIAS (OUT floats, or NULL), which are copied. ACTIVATION is GYR_OP_RELU, SIGMOID or
 * TANH, or GYR_OP_NONE. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_dense_create(size_t in, size_t out, const float *weights, const float *bias, enum gyr_op activation, struct gyr_dense **dense,
				    struct gyr_error *error);
void gyr_dense_destroy(struct gyr_dense *dense); /* NULL is fine */

/* Generates the code that ROWS rows need. -ENOTSUP: oneDNN has no microkernel of that shape for this CPU. -ENOMEM. Milliseconds. */
GYR_MUST_CHECK int gyr_dense_prepare(struct gyr_dense *dense, size_t rows, struct gyr_error *error);

/*
 * Computes ROWS rows (prepared): X is [rows, in] and Y [rows, out], dense, of any alignment, not overlapping. Sums are of f32 products in f32, in any order: |got - exact| <= 2^-23 * (in + 4) * (sum of |x w| + |bias|), which sigmoid and tanh then pass on within a relative 4e-7. Hot path: at one
 * row, the time in which the weights are read from the cache that holds them.
 */
void gyr_dense_run(const struct gyr_dense *dense, size_t rows, const void *x, void *y);

/* Bytes of the packed weights and bias. */
size_t gyr_dense_bytes(const struct gyr_dense *dense);

#endif
