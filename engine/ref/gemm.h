/*
 * Gemm and MatMul on f32, in any layout, for any operands.
 */
#ifndef GYR_ENGINE_REF_GEMM_H
#define GYR_ENGINE_REF_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"

/* For each index of the leading dimensions: Y[m,n] = alpha * sum over k of A[m,k] * B[k,n] + beta * C[m,n]. Strides are in elements, 0 where repeated. */
struct gyr_gemm {
	size_t m, n, k;
	size_t a_row, a_column; /* A[m,k] lies at m * a_row + k * a_column */
	size_t b_row, b_column;
	size_t c_row, c_column;
	float alpha, beta;
	uint32_t leading;                                                            /* dimensions before the matrices; Y is dense over them */
	size_t dims[GYR_RANK_MAX], a_strides[GYR_RANK_MAX], b_strides[GYR_RANK_MAX]; /* of the leading dimensions */
};

/* Computes it; every pointer of any alignment, Y dense and overlapping nothing, C NULL where there is none. Sums in double, rounded once. Any thread. */
void gyr_ref_gemm(const struct gyr_gemm *gemm, const void *a, const void *b, const void *c, void *y);

#endif
