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
#include "engine/kernel/gemv.h"
#include "engine/model/op.h"

struct gyr_dense;

/*
 * Packs WEIGHTS (IN x OUT floats, row-major, IN and OUT at least 1), as they are or rounded to bf16 (KIND), and BIAS (OUT floats, or NULL), which are copied.
 * ACTIVATION is GYR_OP_RELU, SIGMOID, TANH or GELU, or GYR_OP_NONE. How they are packed is measured (tune.h). -ENOTSUP: in bf16, and this CPU has no arithmetic
 * for it. -ENOMEM. Milliseconds.
 */
GYR_MUST_CHECK int gyr_dense_create(enum gyr_gemv_weights kind, size_t in, size_t out, const float *weights, const float *bias, enum gyr_op activation,
				    struct gyr_dense **dense, struct gyr_error *error);
void gyr_dense_destroy(struct gyr_dense *dense); /* NULL is fine */

/* Gets ready for ROWS rows: generates code, and measures which is faster where there is a choice (tune.h). -ENOMEM. Milliseconds. */
GYR_MUST_CHECK int gyr_dense_prepare(struct gyr_dense *dense, size_t rows, struct gyr_error *error);

/* Bytes of scratch that running ROWS rows (prepared) needs. */
size_t gyr_dense_scratch_bytes(const struct gyr_dense *dense, size_t rows);

/*
 * Computes ROWS rows (prepared): X is [rows, in] and Y [rows, out], dense, of any alignment, not overlapping. SCRATCH: as many bytes as were said, 64-byte
 * aligned. Sums are of f32 products in f32, in any order: |got - exact| <= 2^-23 * (in + 4) * (sum of |x w| + |bias|), which sigmoid and tanh then pass on
 * within a relative 4e-7; in bf16, 2^-7 * (sum of |x w|) is added, for the weights and, at many rows, the inputs are rounded to it. Hot path: at one row, the
 * time in which the weights are read from the cache that holds them.
 */
void gyr_dense_run(const struct gyr_dense *dense, size_t rows, const void *x, void *y, void *scratch);

/* Bytes of the packed weights and bias. */
size_t gyr_dense_bytes(const struct gyr_dense *dense);

#endif
