/*
 * Tiles: a few rows, which need not be neighbours, times a panel of vectors, whose sums stay in registers. What convolutions with channels last are made of.
 * Inside engine/kernel.
 */
#ifndef GYR_ENGINE_KERNEL_TILE_LAST_H
#define GYR_ENGINE_KERNEL_TILE_LAST_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernel/last.h"

#if LANES == 16
#define LAST_PANEL 4u
#define LAST_ROWS_MAX 8u
#else
#define LAST_PANEL 2u
#define LAST_ROWS_MAX 6u
#endif

/* The rows of a tile of VECTORS across: with 16 lanes 24 sums and what they need fill the 32 registers. */
static inline size_t last_tile_rows(size_t vectors)
{
	return vectors == 4 ? 6 : LAST_ROWS_MAX;
}

struct last_tile {
	const float *const *pointers; /* for each run, one for each row */
	size_t runs, skip, length;    /* the first run begins at SKIP; all end at LENGTH, the last one at LAST */
	size_t last;
	const float *weights; /* a panel's, from where the first run begins */
	const float *ahead;   /* what is to be read from memory soon: a line of it for each element of a run */
	const float *bias;    /* NULL: the sums go on from Y */
	const gyr_f32_u *added;
	gyr_f32_u *y;
	size_t y_stride, added_stride;
	size_t outputs; /* that count, more than (vectors - 1) * LANES */
	bool ends;      /* the sums are complete: what is added is, and they are clipped */
	float low, high;
};

/* Computes ROWS (1 to last_tile_rows) times VECTORS (1 to LAST_PANEL). Any thread. */
void last_tile_run(const struct last_tile *tile, size_t rows, size_t vectors);

#endif
