/*
 * The steps of a tape: written by tape.c, run by tape_run.c.
 */
#ifndef GYR_ENGINE_TRAIN_TAPE_INTERNAL_H
#define GYR_ENGINE_TRAIN_TAPE_INTERNAL_H

#include "engine/train/tape.h"

/* A constant operand: a parameter, or numbers that stay as they are. */
struct gyr_tape_operand {
	const float *data;                    /* NULL: left out */
	float *gradient;                      /* NULL: not trained */
	size_t count;                         /* repeats with this period over a row */
	struct gyr_tape_parameter *parameter; /* NULL: not trained */
};

/*
 * Y from X. Where x and y are the same tensor the step works in place, which it may where no other step reads x and the step that made x does not need it
 * again.
 */
struct gyr_tape_step {
	enum gyr_op op;
	struct gyr_tape_tensor *x, *x2, *y; /* x2: the second operand where it is computed too */

	/* Gemm and MatMul: Y[rows x inner, n] = alpha * X[rows x inner, k] * W + beta * C; W is [k, n], or [n, k] where transposed. */
	struct gyr_tape_operand weight;
	size_t inner, k, n;
	bool transposed;
	float alpha, beta;

	/* C of Gemm; of Add, Sub, Mul and Div the operand that is a constant. */
	struct gyr_tape_operand constant;
	bool constant_first; /* constant - x, constant / x */

	size_t group; /* Softmax: neighbours that add up to 1 */
};

#endif
