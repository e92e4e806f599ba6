/*
 * The core of integer products: tiles of sums of products of bytes, in 32 bits that wrap.
 *
 * A tile multiplies some rows of one side with the columns of a panel. Both sides are cut into groups of four along the sum. A panel has, for each group, the
 * four bytes of each of its columns; so the columns of a panel can be the rows of another tile's side. One side is of u8 and the other of i8, which is what
 * CPUs multiply: bytes of the other kind are moved by 128 before, together with their zero point.
 */
#ifndef GYR_ENGINE_KERNEL_INTEGER_H
#define GYR_ENGINE_KERNEL_INTEGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"

#define GYR_INTEGER_GROUP 4u
#define GYR_INTEGER_ROWS 6u     /* of a tile, at most */
#define GYR_INTEGER_COLUMNS 64u /* of a panel, at most */
#define GYR_INTEGER_STEP 16u    /* the columns of a panel are a multiple of it */

static inline size_t gyr_integer_round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

struct gyr_integer_tile {
	size_t groups;
	size_t rows, columns;
	const void *side; /* rows of groups: rows are ROW_BYTES apart, a row's groups GROUP_BYTES */
	size_t row_bytes, group_bytes;
	const void *panel; /* [groups][columns][4] */
	bool panel_signed; /* the panel is of i8 and the side of u8, or the other way round */
};

/* SUMS[row][column] = the sum of products; rows are GYR_INTEGER_COLUMNS apart, SUMS is 64-byte aligned. Arrays of any alignment. Any thread. Hot path. */
void gyr_integer_tile(const struct gyr_integer_tile *tile, int32_t *sums);

/*
 * Packs B, [K, N] bytes of DTYPE (u8 or i8), into panels of i8: GYR_INTEGER_COLUMNS columns each, and a last one of what is left, rounded up to
 * GYR_INTEGER_STEP, with zeros in what is added. TOTALS[n] is the sum of column n as it is packed. PANELS has gyr_integer_packed_bytes(K, N).
 */
void gyr_integer_pack(size_t k, size_t n, enum gyr_dtype dtype, const void *b, void *panels, uint32_t *totals);
size_t gyr_integer_packed_bytes(size_t k, size_t n);

/*
 * The same from B as [N, K], its columns one after another, each byte moved by 128 where FLIP.
 */
void gyr_integer_pack_columns(size_t k, size_t n, bool flip, const void *b, void *panels, uint32_t *totals);

/*
 * Packs ROWS rows of K bytes of A for the other side: each byte moved by 128 where FLIP, each row filled up to whole groups with zeros. TOTALS[row] (NULL where
 * nobody asks) is the sum of a row as it is packed, its bytes being i8 where IS_SIGNED and else u8.
 */
void gyr_integer_pack_rows(size_t rows, size_t k, bool flip, bool is_signed, const void *a, void *packed, uint32_t *totals);

#endif
