/*
 * Rows times panels: see recurrent_product.h.
 *
 * A kernel is made for a number of rows and of vectors across, so that all sums stay in registers. One row alone would have each sum wait for the one before
 * it, and is summed in two parts. A bf16 is the upper half of a float, so that a shift and a mask make floats of a pair.
 */
#include "engine/kernel/recurrent_product.h"

#include <stdint.h>

#include "engine/kernel/recurrent_internal.h"

#define LANES RECURRENT_LANES
#define ROWS_MAX RECURRENT_ROWS_MAX
#define VECTORS_MAX RECURRENT_VECTORS_MAX
#if defined(__AVX512F__)
#define PARTS 2u
#define WIDTH LANES
#else
#define PARTS 1u
#define WIDTH 8u /* a vector in two halves: the compiler makes poor code of vectors that the CPU does not have */
#endif
#define HALVES (LANES / WIDTH)

typedef float vector __attribute__((vector_size(WIDTH * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t words __attribute__((vector_size(WIDTH * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));

typedef void product_fn(const struct gyr_recurrent_product *product);

/* Adds what COUNT numbers (1; in bf16 1 or 2) of each row from K on contribute, by the vectors at WEIGHTS. */
static inline __attribute__((always_inline)) void add_products(const bool bf16, const size_t count, const float *weights, const gyr_f32_u *const *x, size_t k,
							       const size_t rows, const size_t vectors, vector sums[ROWS_MAX][PARTS][VECTORS_MAX * HALVES],
							       const size_t part)
{
#pragma GCC unroll 8
	for (size_t v = 0; v < vectors * HALVES; v++) {
		const words loaded = *(const words *)(weights + v * WIDTH);
		const vector low = bf16 ? (vector)(loaded << 16) : (vector)loaded, high = (vector)(loaded & 0xffff0000u);
#pragma GCC unroll 8
		for (size_t row = 0; row < rows; row++) {
			sums[row][part][v] += low * x[row][k];
			if (count == 2)
				sums[row][part][v] += high * x[row][k + 1];
		}
	}
}

static inline __attribute__((always_inline)) void run_product(const struct gyr_recurrent_product *product, const bool bf16, const bool back, const size_t rows,
							      const size_t vectors)
{
	const size_t parts = rows == 1 ? PARTS : 1, each = bf16 ? 2 : 1, step = product->weights_step;
	const size_t whole = product->depth / each; /* of EACH numbers */
	const float *weights = product->weights;
	const gyr_f32_u *x[ROWS_MAX];
	vector sums[ROWS_MAX][PARTS][VECTORS_MAX * HALVES];
	size_t k = 0;
#pragma GCC unroll 8
	for (size_t row = 0; row < rows; row++) {
		x[row] = product->x[row];
#pragma GCC unroll 8
		for (size_t v = 0; v < vectors * HALVES; v++) {
			sums[row][0][v] = *(const vector *)(product->first + row * product->first_row + v * WIDTH);
			if (parts > 1)
				sums[row][1][v] = (vector){0};
		}
	}
	for (; k + parts <= whole; k += parts) {
		const size_t at = back ? whole - parts - k : k;
#pragma GCC unroll 8
		for (size_t part = 0; part < parts; part++)
			add_products(bf16, each, weights + (at + part) * step, x, (at + part) * each, rows, vectors, sums, part);
	}
	if (parts > 1 && k < whole)
		add_products(bf16, each, weights + (back ? 0 : k) * step, x, (back ? 0 : k) * each, rows, vectors, sums, 0);
	if (bf16 && product->depth % 2 != 0)
		add_products(bf16, 1, weights + whole * step, x, product->depth - 1, rows, vectors, sums, 0);
#pragma GCC unroll 8
	for (size_t row = 0; row < rows; row++) {
#pragma GCC unroll 8
		for (size_t v = 0; v < vectors * HALVES; v++) {
			vector sum = sums[row][0][v];
			if (parts > 1)
				sum += sums[row][1][v];
			*(vector *)(product->sums + row * product->sums_row + v * WIDTH) = sum;
		}
	}
}

#define PRODUCT(name, bf16, back, rows, vectors)                                                                                                               \
	static void name##_##rows##_##vectors(const struct gyr_recurrent_product *product)                                                                     \
	{                                                                                                                                                      \
		run_product(product, bf16, back, rows, vectors);                                                                                               \
	}
#define PRODUCTS(name, bf16, back, rows)                                                                                                                       \
	PRODUCT(name, bf16, back, rows, 1)                                                                                                                     \
	PRODUCT(name, bf16, back, rows, 2) PRODUCT(name, bf16, back, rows, 3) PRODUCT(name, bf16, back, rows, 4)
#define ROW(name, rows) {name##_##rows##_1, name##_##rows##_2, name##_##rows##_3, name##_##rows##_4}

PRODUCTS(f32, false, false, 1)
PRODUCTS(f32_back, false, true, 1)
PRODUCTS(bf16, true, false, 1)
PRODUCTS(bf16_back, true, true, 1)
#if defined(__AVX512F__)
#define MANY(rows) PRODUCTS(f32, false, false, rows) PRODUCTS(bf16, true, false, rows)
MANY(2)
MANY(3)
MANY(4)
MANY(5)
MANY(6)
#define ROWS(name) {ROW(name, 1), ROW(name, 2), ROW(name, 3), ROW(name, 4), ROW(name, 5), ROW(name, 6)}
#else
#define ROWS(name) {ROW(name, 1)}
#endif

/* In f32 and in bf16. */
static product_fn *const products[2][ROWS_MAX][VECTORS_MAX] = {ROWS(f32), ROWS(bf16)};
static product_fn *const backward[2][VECTORS_MAX] = {ROW(f32_back, 1), ROW(bf16_back, 1)};

void gyr_recurrent_multiply(bool bf16, bool back, size_t rows, size_t vectors, const struct gyr_recurrent_product *product)
{
	(back && rows == 1 ? backward[bf16] : products[bf16][rows - 1])[vectors - 1](product);
}
