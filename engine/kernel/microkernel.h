/*
 * Microkernels for products whose operands are both known only when a plan runs: oneDNN's brgemm on f32, each shape generated once a plan and shared by its
 * nodes and batch sizes.
 */
#ifndef GYR_ENGINE_KERNEL_MICROKERNEL_H
#define GYR_ENGINE_KERNEL_MICROKERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "engine/kernel/pack.h"

/* Y[m,n] = sum over k of A[m,k] B[k,n], or ADD that to Y. Every size is at least 1; a row's elements lie side by side, rows are so many elements apart. */
struct gyr_microkernel_shape {
	size_t m, n, k;
	size_t a_row, b_row, y_row;
	bool add;
};

struct gyr_microkernel;

/* The microkernel of SHAPE, which lives as long as PACKS. One thread at a time. Its first time costs 0.1 ms. -ENOTSUP: oneDNN has none for this CPU. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_microkernel_get(struct gyr_packs *packs, const struct gyr_microkernel_shape *shape, const struct gyr_microkernel **microkernel,
				       struct gyr_error *error);

/*
 * Computes on arrays of any alignment; reads and writes no byte outside the rows. Sums of f32 products in f32, in an order of oneDNN's choosing. Between
 * gyr_kernel_heap_begin and gyr_kernel_heap_end only. Hot path: some 50 ns and the multiplying.
 */
void gyr_microkernel_run(const struct gyr_microkernel *microkernel, const void *a, const void *b, void *y);

#endif
