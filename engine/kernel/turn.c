/*
 * Turning: see turn.h. Blocks of 8 by 8 are turned in registers, in three rounds that swap single elements, pairs and halves; the edges go one by one. A few
 * dense rows that become columns, or the reverse, are loops of a known step, which the compiler makes shuffles of.
 */
#include "engine/kernel/turn.h"

#include <stdbool.h>
#include <string.h>

#include "engine/ref/unaligned.h"

#define BLOCK 8u

typedef float eight __attribute__((vector_size(BLOCK * sizeof(float))));

#define SINGLES_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define SINGLES_HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIRS_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define HALVES_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HALVES_HIGH(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

static inline void turn_block(float scale, const gyr_f32_u *from, size_t from_row, gyr_f32_u *to, size_t to_row)
{
	eight r[BLOCK], s[BLOCK];
	for (size_t i = 0; i < BLOCK; i++) {
		memcpy(&r[i], from + i * from_row, sizeof r[i]);
		if (scale != 1)
			r[i] *= scale;
	}
	for (size_t i = 0; i < BLOCK; i += 2) {
		s[i] = SINGLES_LOW(r[i], r[i + 1]);
		s[i + 1] = SINGLES_HIGH(r[i], r[i + 1]);
	}
	for (size_t i = 0; i < BLOCK; i += 4) {
		r[i] = PAIRS_LOW(s[i], s[i + 2]);
		r[i + 1] = PAIRS_HIGH(s[i], s[i + 2]);
		r[i + 2] = PAIRS_LOW(s[i + 1], s[i + 3]);
		r[i + 3] = PAIRS_HIGH(s[i + 1], s[i + 3]);
	}
	for (size_t i = 0; i < BLOCK / 2; i++) {
		s[i] = HALVES_LOW(r[i], r[i + 4]);
		s[i + 4] = HALVES_HIGH(r[i], r[i + 4]);
	}
	for (size_t i = 0; i < BLOCK; i++)
		memcpy(to + i * to_row, &s[i], sizeof s[i]);
}

static void turn_edge(size_t rows, size_t columns, float scale, const gyr_f32_u *from, size_t from_row, gyr_f32_u *to, size_t to_row)
{
	for (size_t c = 0; c < columns; c++)
		for (size_t r = 0; r < rows; r++)
			to[c * to_row + r] = scale != 1 ? from[r * from_row + c] * scale : from[r * from_row + c];
}

/* ROWS, a known number, become dense columns. */
static inline __attribute__((always_inline)) void join(const size_t rows, size_t columns, const gyr_f32_u *restrict from, size_t from_row,
						       gyr_f32_u *restrict to)
{
	for (size_t c = 0; c < columns; c++)
#pragma GCC unroll 4
		for (size_t r = 0; r < rows; r++)
			to[c * rows + r] = from[r * from_row + c];
}

/* COLUMNS, a known number and dense, become rows. */
static inline __attribute__((always_inline)) void part(size_t rows, const size_t columns, const gyr_f32_u *restrict from, gyr_f32_u *restrict to, size_t to_row)
{
	for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
		for (size_t c = 0; c < columns; c++)
			to[c * to_row + r] = from[r * columns + c];
}

/* Whether a matrix of so few rows or columns was turned here. */
static bool turn_few(size_t rows, size_t columns, const gyr_f32_u *from, size_t from_row, gyr_f32_u *to, size_t to_row)
{
	if (to_row == rows && rows >= 2 && rows <= 4) {
		switch (rows) {
		case 2: join(2, columns, from, from_row, to); break;
		case 3: join(3, columns, from, from_row, to); break;
		default: join(4, columns, from, from_row, to); break;
		}
		return true;
	}
	if (from_row == columns && columns >= 2 && columns <= 4) {
		switch (columns) {
		case 2: part(rows, 2, from, to, to_row); break;
		case 3: part(rows, 3, from, to, to_row); break;
		default: part(rows, 4, from, to, to_row); break;
		}
		return true;
	}
	return false;
}

void gyr_kernel_turn(size_t rows, size_t columns, float scale, const void *from, size_t from_row, void *to, size_t to_row)
{
	const gyr_f32_u *source = from;
	gyr_f32_u *target = to;
	if (scale == 1 && turn_few(rows, columns, source, from_row, target, to_row))
		return;
	size_t whole_rows = rows / BLOCK * BLOCK, whole_columns = columns / BLOCK * BLOCK;
	for (size_t r = 0; r < whole_rows; r += BLOCK)
		for (size_t c = 0; c < whole_columns; c += BLOCK)
			turn_block(scale, source + r * from_row + c, from_row, target + c * to_row + r, to_row);
	turn_edge(whole_rows, columns - whole_columns, scale, source + whole_columns, from_row, target + whole_columns * to_row, to_row);
	turn_edge(rows - whole_rows, columns, scale, source + whole_rows * from_row, from_row, target + whole_rows, to_row);
}
