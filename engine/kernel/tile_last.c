/*
 * Tiles: see tile_last.h. Each number of rows and vectors is a function of its own, so that its sums are registers.
 */
#include "engine/kernel/tile_last.h"

#define LINE 16 /* floats of a cache line */

typedef void tile_fn(const struct last_tile *tile);

static inline __attribute__((always_inline)) void run_tile(const struct last_tile *tile, const size_t rows, const size_t vectors)
{
	vector sums[LAST_ROWS_MAX][LAST_PANEL];
	const size_t count = tile->outputs - (vectors - 1) * LANES;
	const float *weights = tile->weights, *ahead = tile->ahead;
#pragma GCC unroll 8
	for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 4
		for (size_t j = 0; j < vectors; j++)
			sums[i][j] = tile->bias != NULL ? *(const vector *)(tile->bias + j * LANES) : LOAD(tile->y + i * tile->y_stride, j, vectors, count);
	const float *const *pointers = tile->pointers;
	for (size_t run = 0; run < tile->runs; run++, pointers += rows) {
		const size_t end = run + 1 == tile->runs ? tile->last : tile->length;
		const float *x[LAST_ROWS_MAX];
#pragma GCC unroll 8
		for (size_t i = 0; i < rows; i++)
			x[i] = pointers[i];
		for (size_t k = run == 0 ? tile->skip : 0; k < end; k++, weights += vectors * LANES) {
			__builtin_prefetch(ahead, 0, 2);
			ahead += LINE;
			vector w[LAST_PANEL];
#pragma GCC unroll 4
			for (size_t j = 0; j < vectors; j++)
				w[j] = *(const vector *)(weights + j * LANES);
#pragma GCC unroll 8
			for (size_t i = 0; i < rows; i++) {
				const float value = *(const gyr_f32_u *)(x[i] + k);
#pragma GCC unroll 4
				for (size_t j = 0; j < vectors; j++)
					sums[i][j] += value * w[j];
			}
		}
	}
#pragma GCC unroll 8
	for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
		for (size_t j = 0; j < vectors; j++) {
			vector sum = sums[i][j];
			if (tile->ends) {
				if (tile->added != NULL)
					sum += LOAD(tile->added + i * tile->added_stride, j, vectors, count);
				sum = clip(sum, tile->low, tile->high);
			}
			if (j + 1 < vectors)
				*(vector *)(tile->y + i * tile->y_stride + j * LANES) = sum;
			else
				store_part(tile->y + i * tile->y_stride + j * LANES, &sum, count);
		}
	}
}

#define TILE(rows, vectors)                                                                                                                                    \
	static void tile_##rows##_##vectors(const struct last_tile *tile)                                                                                      \
	{                                                                                                                                                      \
		run_tile(tile, rows, vectors);                                                                                                                 \
	}
#define TILES(vectors) TILE(1, vectors) TILE(2, vectors) TILE(3, vectors) TILE(4, vectors) TILE(5, vectors) TILE(6, vectors)
#define NAMES(vectors) NULL, tile_1_##vectors, tile_2_##vectors, tile_3_##vectors, tile_4_##vectors, tile_5_##vectors, tile_6_##vectors
TILES(1)
TILES(2)
#if LAST_PANEL == 4
TILES(3)
TILES(4)
TILE(7, 1)
TILE(8, 1)
TILE(7, 2)
TILE(8, 2)
TILE(7, 3)
TILE(8, 3)
static tile_fn *const tiles[LAST_PANEL + 1][LAST_ROWS_MAX + 1] = {
	{NULL}, {NAMES(1), tile_7_1, tile_8_1}, {NAMES(2), tile_7_2, tile_8_2}, {NAMES(3), tile_7_3, tile_8_3}, {NAMES(4)},
};
#else
static tile_fn *const tiles[LAST_PANEL + 1][LAST_ROWS_MAX + 1] = {{NULL}, {NAMES(1)}, {NAMES(2)}};
#endif

void last_tile_run(const struct last_tile *tile, size_t rows, size_t vectors)
{
	tiles[vectors][rows](tile);
}
