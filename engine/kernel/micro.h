/*
 * oneDNN's brgemm microkernels: C = A B for one size, the sum over the inputs cut into parts that follow each other.
 */
#ifndef GYR_ENGINE_KERNEL_MICRO_H
#define GYR_ENGINE_KERNEL_MICRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct dnnl_brgemm; /* oneDNN's: dnnl_brgemm_t points at one */

struct gyr_micro_size {
	size_t rows, outputs, inputs;        /* of C; inputs of one part */
	size_t parts;                        /* 1 or more */
	size_t a_stride, b_stride, c_stride; /* elements from one row to the next */
	bool bf16;                           /* A and B, B in pairs of inputs as gyr_gemv_weights has them; else they are f32. C is f32 */
	bool add;                            /* to C, not in its place */
};

/* Generates the code. -ENOTSUP: oneDNN has none of that size for this CPU. -ENOMEM. Milliseconds. */
GYR_MUST_CHECK int gyr_micro_create(const struct gyr_micro_size *size, struct dnnl_brgemm **micro, struct gyr_error *error);
void gyr_micro_destroy(struct dnnl_brgemm *micro); /* NULL is fine */

/*
 * Computes C, on arrays of any alignment; reads and writes no byte outside the rows. OFFSETS has two numbers for each part: where it begins in A and in B, in
 * bytes. Between gyr_kernel_heap_begin and gyr_kernel_heap_end, so that it allocates nothing. Any thread. Hot path.
 */
void gyr_micro_run(const struct dnnl_brgemm *micro, const void *a, const void *b, const int64_t *offsets, void *c);

#endif
