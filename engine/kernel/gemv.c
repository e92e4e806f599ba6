/*
 * A few rows times a matrix: see gemv.h.
 *
 * A kernel is made for a number of rows and of vectors across, so that all sums stay in registers: at most SUMS_MAX of them. A sum waits for the one before it;
 * few across are therefore summed in several interleaved parts (UNROLL), which are added at the end: in as many in all tiles of a layer, so that equal columns
 * of weights give equal answers. Each vector of weights is read once for all rows of a kernel, in the order in which it lies in memory. A bf16 is the upper
 * half of a float, so that a shift and a mask make floats of a pair. (Prefetching by hand was measured at several distances: it gains nothing from L2 and loses
 * a fifth from L3.)
 */
#include "engine/kernel/gemv.h"

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "base/assertion.h"
#include "engine/ref/unaligned.h"

#define LANES GYR_GEMV_LANES
#define ROWS_MAX 4u
#define UNROLL_MAX 8u
#define WIDE_MAX 8u /* vectors across, of one or two rows */
#define MANY_MAX 6u /* of four rows */

typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(1), may_alias)); /* results have any alignment */
typedef uint32_t words __attribute__((vector_size(LANES * sizeof(uint32_t)), aligned(1), may_alias));

/* What one kernel computes: ROWS x VECTORS, which the kernel knows. */
struct block {
	size_t in, stride, y_stride;
	size_t outputs; /* that count, more than (vectors - 1) * LANES */
	const uint32_t *weights;
	const float *bias;
	const gyr_f32_u *x;
	gyr_f32_u *y;
	bool relu;
};

typedef void block_fn(const struct block *block);

/* Stores the first COUNT numbers of *FROM. */
static inline __attribute__((always_inline)) void store_part(gyr_f32_u *y, const vector *from, size_t count)
{
#if defined(__AVX512F__)
	_mm512_mask_storeu_ps(y, (__mmask16)((1u << count) - 1), (__m512)*from);
#else
	memcpy(y, from, count * sizeof(float));
#endif
}

/* The inputs that a vector of weights is for. */
static inline __attribute__((always_inline)) size_t inputs_of(enum gyr_gemv_weights kind)
{
	return kind == GYR_GEMV_BF16 ? 2 : 1;
}

/* Adds to the sums of VECTORS the products with the weights at WEIGHTS, for the INPUTS numbers of each row at X. */
static inline __attribute__((always_inline)) void add_products(const enum gyr_gemv_weights kind, const size_t rows, const size_t vectors, const size_t inputs,
							       const uint32_t *weights, const gyr_f32_u *x, size_t in,
							       vector sums[ROWS_MAX][UNROLL_MAX][WIDE_MAX], const size_t part)
{
#pragma GCC unroll 8
	for (size_t v = 0; v < vectors; v++) {
		const words loaded = *(const words *)(weights + v * LANES);
		const vector first = kind == GYR_GEMV_BF16 ? (vector)(loaded << 16) : (vector)loaded;
		const vector second = (vector)(loaded & 0xffff0000u);
#pragma GCC unroll 8
		for (size_t row = 0; row < rows; row++) {
			sums[row][part][v] += first * x[row * in];
			if (inputs == 2)
				sums[row][part][v] += second * x[row * in + 1];
		}
	}
}

static inline __attribute__((always_inline)) void run_block(const struct block *block, const enum gyr_gemv_weights kind, const size_t rows,
							    const size_t vectors, const size_t unroll)
{
	vector sums[ROWS_MAX][UNROLL_MAX][WIDE_MAX];
	const uint32_t *weights = block->weights;
	const gyr_f32_u *x = block->x;
	const size_t in = block->in, step = inputs_of(kind);
	size_t k = 0;
#pragma GCC unroll 8
	for (size_t row = 0; row < rows; row++)
#pragma GCC unroll 8
		for (size_t part = 0; part < unroll; part++)
#pragma GCC unroll 8
			for (size_t v = 0; v < vectors; v++)
				sums[row][part][v] = (vector){0};
	for (; k + step * unroll <= in; k += step * unroll) {
#pragma GCC unroll 8
		for (size_t part = 0; part < unroll; part++, weights += block->stride)
			add_products(kind, rows, vectors, step, weights, x + k + step * part, in, sums, part);
	}
	for (; k + step <= in; k += step, weights += block->stride)
		add_products(kind, rows, vectors, step, weights, x + k, in, sums, 0);
	if (k < in)
		add_products(kind, rows, vectors, 1, weights, x + k, in, sums, 0);
#pragma GCC unroll 8
	for (size_t row = 0; row < rows; row++) {
		gyr_f32_u *y = block->y + row * block->y_stride;
#pragma GCC unroll 8
		for (size_t v = 0; v < vectors; v++) {
			vector sum = sums[row][0][v];
#pragma GCC unroll 8
			for (size_t part = 1; part < unroll; part++)
				sum += sums[row][part][v];
			sum += *(const vector *)(block->bias + v * LANES);
			if (block->relu)
				sum = (vector)((words)sum & ~(words)(sum < 0)); /* a NaN stays */
			if (v + 1 < vectors || block->outputs == vectors * LANES)
				*(vector *)(y + v * LANES) = sum;
			else
				store_part(y + v * LANES, &sum, block->outputs - v * LANES);
		}
	}
}

#define BLOCK(rows, unroll, vectors)                                                                                                                           \
	static void f32_##rows##_##unroll##_##vectors(const struct block *block)                                                                               \
	{                                                                                                                                                      \
		run_block(block, GYR_GEMV_F32, rows, vectors, unroll);                                                                                         \
	}                                                                                                                                                      \
	static void bf16_##rows##_##unroll##_##vectors(const struct block *block)                                                                              \
	{                                                                                                                                                      \
		run_block(block, GYR_GEMV_BF16, rows, vectors, unroll);                                                                                        \
	}

BLOCK(1, 8, 1)
BLOCK(1, 4, 1)
BLOCK(1, 4, 2)
BLOCK(1, 4, 3)
BLOCK(1, 2, 1)
BLOCK(1, 2, 2)
BLOCK(1, 2, 3)
BLOCK(1, 2, 4)
BLOCK(1, 2, 5)
BLOCK(1, 2, 6)
BLOCK(1, 2, 7)
BLOCK(1, 2, 8)
BLOCK(2, 4, 1)
BLOCK(2, 2, 1)
BLOCK(2, 2, 2)
BLOCK(2, 2, 3)
BLOCK(2, 1, 1)
BLOCK(2, 1, 2)
BLOCK(2, 1, 3)
BLOCK(2, 1, 4)
BLOCK(2, 1, 5)
BLOCK(2, 1, 6)
BLOCK(2, 1, 7)
BLOCK(2, 1, 8)
BLOCK(4, 2, 1)
BLOCK(4, 1, 1)
BLOCK(4, 1, 2)
BLOCK(4, 1, 3)
BLOCK(4, 1, 4)
BLOCK(4, 1, 5)
BLOCK(4, 1, 6)

/* By kind of weights, rows, how many vectors the layer's widest tile has (one, two or three, more), and vectors. */
#define WIDTHS 3u
static const struct {
	block_fn *one_row[WIDTHS][WIDE_MAX], *two_rows[WIDTHS][WIDE_MAX], *four_rows[WIDTHS][MANY_MAX];
} kernels[] = {
	[GYR_GEMV_F32] =
		{{{f32_1_8_1}, {f32_1_4_1, f32_1_4_2, f32_1_4_3}, {f32_1_2_1, f32_1_2_2, f32_1_2_3, f32_1_2_4, f32_1_2_5, f32_1_2_6, f32_1_2_7, f32_1_2_8}},
		 {{f32_2_4_1}, {f32_2_2_1, f32_2_2_2, f32_2_2_3}, {f32_2_1_1, f32_2_1_2, f32_2_1_3, f32_2_1_4, f32_2_1_5, f32_2_1_6, f32_2_1_7, f32_2_1_8}},
		 {{f32_4_2_1},
		  {f32_4_1_1, f32_4_1_2, f32_4_1_3, f32_4_1_4, f32_4_1_5, f32_4_1_6},
		  {f32_4_1_1, f32_4_1_2, f32_4_1_3, f32_4_1_4, f32_4_1_5, f32_4_1_6}}},
	[GYR_GEMV_BF16] = {{{bf16_1_8_1},
			    {bf16_1_4_1, bf16_1_4_2, bf16_1_4_3},
			    {bf16_1_2_1, bf16_1_2_2, bf16_1_2_3, bf16_1_2_4, bf16_1_2_5, bf16_1_2_6, bf16_1_2_7, bf16_1_2_8}},
			   {{bf16_2_4_1},
			    {bf16_2_2_1, bf16_2_2_2, bf16_2_2_3},
			    {bf16_2_1_1, bf16_2_1_2, bf16_2_1_3, bf16_2_1_4, bf16_2_1_5, bf16_2_1_6, bf16_2_1_7, bf16_2_1_8}},
			   {{bf16_4_2_1},
			    {bf16_4_1_1, bf16_4_1_2, bf16_4_1_3, bf16_4_1_4, bf16_4_1_5, bf16_4_1_6},
			    {bf16_4_1_1, bf16_4_1_2, bf16_4_1_3, bf16_4_1_4, bf16_4_1_5, bf16_4_1_6}}},
};

/* All of the tile's outputs for some rows, with BY_VECTORS[v - 1] for v vectors across, up to VECTORS_MAX: as evenly as it goes. */
static void run_rows(const struct gyr_gemv *gemv, block_fn *const *by_vectors, size_t vectors_max, const gyr_f32_u *x, gyr_f32_u *y, size_t y_stride)
{
	size_t vectors = (gemv->outputs + LANES - 1) / LANES, pieces = (vectors + vectors_max - 1) / vectors_max;
	struct block block = {.in = gemv->in, .stride = gemv->stride, .y_stride = y_stride, .x = x, .relu = gemv->relu};
	for (size_t done = 0, piece; done < vectors; done += piece, pieces--) {
		size_t first = done * LANES;
		piece = (vectors - done + pieces - 1) / pieces;
		block.outputs = done + piece < vectors ? piece * LANES : gemv->outputs - first;
		block.weights = (const uint32_t *)gemv->weights + first;
		block.bias = gemv->bias + first;
		block.y = y + first;
		by_vectors[piece - 1](&block);
	}
}

/* Which of the WIDTHS a layer has. */
static size_t width_of(const struct gyr_gemv *gemv)
{
	size_t vectors = (gemv->widest + LANES - 1) / LANES;
	return vectors == 1 ? 0 : vectors < 4 ? 1 : 2;
}

void gyr_gemv_run(const struct gyr_gemv *gemv, size_t rows, const void *x, void *y, size_t y_stride)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	size_t width = width_of(gemv);
	for (size_t taken; rows > 0; rows -= taken, from += taken * gemv->in, to += taken * y_stride) {
		taken = rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
		if (taken == 1)
			run_rows(gemv, kernels[gemv->kind].one_row[width], WIDE_MAX, from, to, y_stride);
		else if (taken == 2)
			run_rows(gemv, kernels[gemv->kind].two_rows[width], WIDE_MAX, from, to, y_stride);
		else
			run_rows(gemv, kernels[gemv->kind].four_rows[width], MANY_MAX, from, to, y_stride);
	}
}
