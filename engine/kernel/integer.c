/*
 * Tiles of integer products: see integer.h. With AVX-512's VNNI a group of four is one instruction, and the sums of a tile stay in registers: 6 rows times 4
 * vectors of 16. Elsewhere the compiler makes what it can of plain C.
 */
#include "engine/kernel/integer.h"

#include <string.h>

#include "base/assertion.h"
#include "engine/ref/unaligned.h"

#ifdef __AVX512VNNI__
#include <immintrin.h>

/* TOTAL plus the products of the four bytes of each lane. Said in assembly, since GCC 14 copies TOTAL at each of its own intrinsics. */
static inline __attribute__((always_inline)) __m512i dot(__m512i total, __m512i unsigneds, __m512i signeds)
{
	__asm__("vpdpbusd %2, %1, %0" : "+v"(total) : "v"(unsigneds), "v"(signeds));
	return total;
}

/* Adds one group's products to TOTALS. */
static inline __attribute__((always_inline)) void add_group(const struct gyr_integer_tile *tile, size_t group, const size_t rows, const size_t vectors,
							    const bool panel_signed, __m512i (*totals)[GYR_INTEGER_COLUMNS / 16])
{
	const uint8_t *side = (const uint8_t *)tile->side + group * tile->group_bytes, *panel = (const uint8_t *)tile->panel + group * vectors * 64;
	__m512i columns[GYR_INTEGER_COLUMNS / 16];
#pragma GCC unroll 4
	for (size_t v = 0; v < vectors; v++)
		columns[v] = _mm512_loadu_si512(panel + v * 64);
#pragma GCC unroll 6
	for (size_t row = 0; row < rows; row++) {
		__m512i four = _mm512_set1_epi32(*(const gyr_i32_u *)(side + row * tile->row_bytes));
#pragma GCC unroll 4
		for (size_t v = 0; v < vectors; v++)
			totals[row][v] = panel_signed ? dot(totals[row][v], four, columns[v]) : dot(totals[row][v], columns[v], four);
	}
}

/* Few rows have too few sums to hide the time that an instruction takes: they get a second set for the odd groups. */
static inline __attribute__((always_inline)) void multiply(const struct gyr_integer_tile *tile, int32_t *sums, const size_t rows, const size_t vectors,
							   const bool panel_signed)
{
	const bool twice = rows * vectors <= 8;
	__m512i totals[GYR_INTEGER_ROWS][GYR_INTEGER_COLUMNS / 16], odd[GYR_INTEGER_ROWS][GYR_INTEGER_COLUMNS / 16];
#pragma GCC unroll 6
	for (size_t row = 0; row < rows; row++)
#pragma GCC unroll 4
		for (size_t v = 0; v < vectors; v++)
			totals[row][v] = odd[row][v] = _mm512_setzero_si512();
	size_t group = 0;
	for (; twice && group + 2 <= tile->groups; group += 2) {
		add_group(tile, group, rows, vectors, panel_signed, totals);
		add_group(tile, group + 1, rows, vectors, panel_signed, odd);
	}
	for (; group < tile->groups; group++)
		add_group(tile, group, rows, vectors, panel_signed, totals);
#pragma GCC unroll 6
	for (size_t row = 0; row < rows; row++)
#pragma GCC unroll 4
		for (size_t v = 0; v < vectors; v++)
			_mm512_store_si512(sums + row * GYR_INTEGER_COLUMNS + v * 16, twice ? _mm512_add_epi32(totals[row][v], odd[row][v]) : totals[row][v]);
}

#else

static inline __attribute__((always_inline)) void multiply(const struct gyr_integer_tile *tile, int32_t *sums, const size_t rows, const size_t vectors,
							   const bool panel_signed)
{
	const size_t columns = vectors * 16;
	for (size_t row = 0; row < rows; row++) {
		const gyr_u8_u *side = (const gyr_u8_u *)tile->side + row * tile->row_bytes, *panel = tile->panel;
		uint32_t totals[GYR_INTEGER_COLUMNS] = {0};
		for (size_t group = 0; group < tile->groups; group++, side += tile->group_bytes, panel += columns * GYR_INTEGER_GROUP) {
			for (size_t column = 0; column < columns; column++) {
				int32_t sum = 0;
				for (size_t i = 0; i < GYR_INTEGER_GROUP; i++) {
					uint8_t at = panel[column * GYR_INTEGER_GROUP + i];
					sum += panel_signed ? side[i] * (int32_t)(int8_t)at : (int32_t)(int8_t)side[i] * at;
				}
				totals[column] += (uint32_t)sum;
			}
		}
		for (size_t column = 0; column < columns; column++)
			sums[row * GYR_INTEGER_COLUMNS + column] = (int32_t)totals[column];
	}
}

#endif

#define BY_VECTORS(rows, is_signed)                                                                                                                            \
	switch (tile->columns / 16) {                                                                                                                          \
	case 1: multiply(tile, sums, rows, 1, is_signed); return;                                                                                              \
	case 2: multiply(tile, sums, rows, 2, is_signed); return;                                                                                              \
	case 3: multiply(tile, sums, rows, 3, is_signed); return;                                                                                              \
	default: multiply(tile, sums, rows, 4, is_signed); return;                                                                                             \
	}
#define BY_ROWS(is_signed)                                                                                                                                     \
	switch (tile->rows) {                                                                                                                                  \
	case 1: BY_VECTORS(1, is_signed)                                                                                                                       \
	case 2: BY_VECTORS(2, is_signed)                                                                                                                       \
	case 3: BY_VECTORS(3, is_signed)                                                                                                                       \
	case 4: BY_VECTORS(4, is_signed)                                                                                                                       \
	case 5: BY_VECTORS(5, is_signed)                                                                                                                       \
	default: BY_VECTORS(6, is_signed)                                                                                                                      \
	}

static void multiply_signed(const struct gyr_integer_tile *tile, int32_t *sums)
{
	BY_ROWS(true)
}

static void multiply_unsigned(const struct gyr_integer_tile *tile, int32_t *sums)
{
	BY_ROWS(false)
}

void gyr_integer_tile(const struct gyr_integer_tile *tile, int32_t *sums)
{
	GYR_ASSERT(tile->rows - 1 < GYR_INTEGER_ROWS);
	GYR_ASSERT(tile->columns % GYR_INTEGER_STEP == 0 && tile->columns - 1 < GYR_INTEGER_COLUMNS);
	if (tile->panel_signed)
		multiply_signed(tile, sums);
	else
		multiply_unsigned(tile, sums);
}

size_t gyr_integer_packed_bytes(size_t k, size_t n)
{
	return gyr_integer_round_up(k, GYR_INTEGER_GROUP) * gyr_integer_round_up(n, GYR_INTEGER_STEP);
}

void gyr_integer_pack(size_t k, size_t n, enum gyr_dtype dtype, const void *b, void *panels, uint32_t *totals)
{
	const gyr_u8_u *from = b;
	uint8_t flip = dtype == GYR_DTYPE_U8 ? 0x80 : 0, *to = panels;
	memset(totals, 0, n * sizeof *totals);
	for (size_t first = 0; first < n; first += GYR_INTEGER_COLUMNS) {
		size_t used = n - first < GYR_INTEGER_COLUMNS ? n - first : GYR_INTEGER_COLUMNS, columns = gyr_integer_round_up(used, GYR_INTEGER_STEP);
		size_t bytes = gyr_integer_round_up(k, GYR_INTEGER_GROUP) * columns;
		memset(to, 0, bytes);
		for (size_t i = 0; i < k; i++) {
			uint8_t *group = to + i / GYR_INTEGER_GROUP * columns * GYR_INTEGER_GROUP + i % GYR_INTEGER_GROUP;
			for (size_t column = 0; column < used; column++) {
				uint8_t at = from[i * n + first + column] ^ flip;
				group[column * GYR_INTEGER_GROUP] = at;
				totals[first + column] += (uint32_t)(int8_t)at;
			}
		}
		to += bytes;
	}
}

void gyr_integer_pack_columns(size_t k, size_t n, bool flip, const void *b, void *panels, uint32_t *totals)
{
	const gyr_u8_u *from = b;
	uint8_t mask = flip ? 0x80 : 0, *to = panels;
	for (size_t first = 0; first < n; first += GYR_INTEGER_COLUMNS) {
		size_t used = n - first < GYR_INTEGER_COLUMNS ? n - first : GYR_INTEGER_COLUMNS, columns = gyr_integer_round_up(used, GYR_INTEGER_STEP);
		size_t bytes = gyr_integer_round_up(k, GYR_INTEGER_GROUP) * columns;
		memset(to, 0, bytes);
		for (size_t column = 0; column < used; column++) {
			uint32_t total = 0;
			for (size_t i = 0; i < k; i++) {
				uint8_t at = from[(first + column) * k + i] ^ mask;
				to[(i / GYR_INTEGER_GROUP * columns + column) * GYR_INTEGER_GROUP + i % GYR_INTEGER_GROUP] = at;
				total += (uint32_t)(int8_t)at;
			}
			totals[first + column] = total;
		}
		to += bytes;
	}
}

void gyr_integer_pack_rows(size_t rows, size_t k, bool flip, bool is_signed, const void *a, void *packed, uint32_t *totals)
{
	const gyr_u8_u *from = a;
	uint8_t *to = packed, mask = flip ? 0x80 : 0;
	size_t bytes = gyr_integer_round_up(k, GYR_INTEGER_GROUP);
	for (size_t row = 0; row < rows; row++, from += k, to += bytes) {
		uint32_t total = 0;
		for (size_t i = 0; i < k; i++) {
			to[i] = from[i] ^ mask;
			total += is_signed ? (uint32_t)(int8_t)to[i] : to[i];
		}
		memset(to + k, 0, bytes - k);
		if (totals != NULL)
			totals[row] = total;
	}
}
