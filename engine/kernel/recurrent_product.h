/*
 * The products of recurrent operators: a few rows times a panel of weights (recurrent_internal.h). Inside engine/kernel.
 */
#ifndef GYR_ENGINE_KERNEL_RECURRENT_PRODUCT_H
#define GYR_ENGINE_KERNEL_RECURRENT_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/ref/unaligned.h"

#if defined(__AVX512F__)
#define RECURRENT_ROWS_MAX 6u
#else
#define RECURRENT_ROWS_MAX 1u
#endif
#define RECURRENT_VECTORS_MAX 4u

/* SUMS = FIRST + X W */
struct gyr_recurrent_product {
	size_t depth;                           /* numbers of a row of X */
	const float *weights;                   /* of each number; in bf16 of each two, as words */
	size_t weights_step;                    /* from one to the next */
	const gyr_f32_u *x[RECURRENT_ROWS_MAX]; /* the rows */
	const float *first;                     /* rows first_row floats apart */
	float *sums;                            /* rows sums_row floats apart */
	size_t first_row, sums_row;
};

/*
 * Multiplies ROWS rows (1 to RECURRENT_ROWS_MAX) by VECTORS vectors across (1 to RECURRENT_VECTORS_MAX), of which the weights are BF16 or not. BACK: where it
 * is one row, from the last number to the first. Any thread. Hot path.
 */
void gyr_recurrent_multiply(bool bf16, bool back, size_t rows, size_t vectors, const struct gyr_recurrent_product *product);

#endif
