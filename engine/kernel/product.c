/*
 * Products: see product.h.
 *
 * Y is computed in blocks of BLOCK_ROWS rows by TILE columns, and in parts of PART along k, so that a block of A and a tile of B stay in the L2 cache. A
 * microkernel reads rows of A and B; where the rows of B are columns in memory, all of B is turned into scratch once for each matrix, tile after tile, and
 * where those of A are, each block of A. Layouts in which neither lies side by side are gathered element by element.
 */
#include "engine/kernel/product.h"

#include <errno.h>
#include <string.h>

#include "engine/kernel/heap.h"
#include "engine/kernel/microkernel.h"
#include "engine/kernel/turn.h"
#include "engine/ref/unaligned.h"

#define BLOCK_ROWS 64u
#define TILE 64u
#define PART 1024u
#define LANES 16u
#define TWIN_PRODUCTS 64u /* so many multiplications cost the twin less than a call of a microkernel */

enum size { WHOLE, REST };

struct gyr_product {
	struct gyr_gemm gemm;
	bool twin, dots;
	bool pack_a, pack_b;
	size_t a_bytes, b_bytes; /* of the scratch */
	/* By whole or last: rows of a block, columns of a tile, elements of a part. Of the first part, and of those that add to it. */
	const struct gyr_microkernel *first[2][2][2], *further[2][2][2];
};

static size_t round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

/* The floats from row to row of a packed tile of COLUMNS columns. */
static size_t tile_row(size_t columns)
{
	return round_up(columns, LANES);
}

/* The number of WHOLEs in COUNT, and the REST. */
static size_t size_of(size_t count, size_t whole, enum size size)
{
	return size == REST ? count % whole : count >= whole ? whole : 0;
}

static int get(struct gyr_product *product, struct gyr_packs *packs, enum size rows, enum size columns, enum size part, struct gyr_error *error)
{
	const struct gyr_gemm *gemm = &product->gemm;
	struct gyr_microkernel_shape shape = {
		.m = size_of(gemm->m, BLOCK_ROWS, rows), .n = size_of(gemm->n, TILE, columns), .k = size_of(gemm->k, PART, part), .y_row = gemm->n};
	if (shape.m == 0 || shape.n == 0 || shape.k == 0)
		return 0;
	/* A single row may say that it lies nearer to the next than it is long. */
	shape.a_row = product->pack_a || gemm->a_row < gemm->k ? gemm->k : gemm->a_row;
	shape.b_row = product->pack_b ? tile_row(shape.n) : gemm->b_row < shape.n ? shape.n : gemm->b_row;
	int status = 0;
	if (part == WHOLE || gemm->k < PART)
		status = gyr_microkernel_get(packs, &shape, &product->first[rows][columns][part], error);
	shape.add = true;
	if (status == 0 && gemm->k > PART)
		status = gyr_microkernel_get(packs, &shape, &product->further[rows][columns][part], error);
	return status;
}

/* Where B is the same for all of the leading dimensions and the rows of A follow each other through them, all of it is one product. */
static void fold_leading(struct gyr_gemm *gemm)
{
	while (gemm->leading > 0) {
		uint32_t last = gemm->leading - 1;
		bool follows = gemm->m == 1 || gemm->a_strides[last] == gemm->m * gemm->a_row;
		if (gemm->b_strides[last] != 0 || !follows || gemm->c_row != 0)
			return;
		if (gemm->m == 1)
			gemm->a_row = gemm->a_strides[last];
		gemm->m *= gemm->dims[last];
		gemm->leading--;
	}
}

int gyr_product_prepare(const struct gyr_gemm *gemm, struct gyr_arena *arena, struct gyr_packs *packs, const struct gyr_product **result,
			struct gyr_error *error)
{
	struct gyr_product *product = GYR_ARENA_NEW(arena, struct gyr_product, 1);
	if (product == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the plan");
	product->gemm = *gemm;
	fold_leading(&product->gemm);
	gemm = &product->gemm;
	*result = product;
	product->twin = gemm->m <= TWIN_PRODUCTS && gemm->n <= TWIN_PRODUCTS && gemm->k <= TWIN_PRODUCTS && gemm->m * gemm->n * gemm->k <= TWIN_PRODUCTS;
	product->dots = gemm->n == 1 && gemm->a_column == 1 && (gemm->b_row == 1 || gemm->k == 1);
	if (product->twin || product->dots)
		return 0;
	product->pack_a = (gemm->k > 1 && gemm->a_column != 1) || (gemm->m > 1 && gemm->a_row < gemm->k);
	product->pack_b = (gemm->n > 1 && gemm->b_column != 1) || (gemm->k > 1 && gemm->b_row < gemm->n);
	if (product->pack_a)
		product->a_bytes = round_up((gemm->m < BLOCK_ROWS ? gemm->m : BLOCK_ROWS) * gemm->k * sizeof(float), 64);
	if (product->pack_b)
		product->b_bytes = gemm->k * round_up(gemm->n, LANES) * sizeof(float);
	int status = 0;
	for (int which = 0; which < 8 && status == 0; which++)
		status = get(product, packs, which & 1, which >> 1 & 1, which >> 2, error);
	return status;
}

size_t gyr_product_scratch_bytes(const struct gyr_product *product)
{
	return product->a_bytes + product->b_bytes;
}

/* TO[r * TO_ROW + c] = FROM[r * ROW + c * COLUMN] */
static void pack(size_t rows, size_t columns, const gyr_f32_u *from, size_t row, size_t column, float *to, size_t to_row)
{
	if (row == 1 || rows == 1) {
		gyr_kernel_turn(columns, rows, 1, from, column, to, to_row);
		return;
	}
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++)
			to[r * to_row + c] = from[r * row + c * column];
}

static void pack_tiles(const struct gyr_gemm *gemm, const gyr_f32_u *b, float *to)
{
	for (size_t n = 0; n < gemm->n; n += TILE) {
		size_t columns = gemm->n - n < TILE ? gemm->n - n : TILE;
		pack(gemm->k, columns, b + n * gemm->b_column, gemm->b_row, gemm->b_column, to + n * gemm->k, tile_row(columns));
	}
}

/* One block of rows of A, whose rows lie A_ROW apart, by all of B. */
static void multiply_rows(const struct gyr_product *product, enum size rows, const gyr_f32_u *a, const gyr_f32_u *b, gyr_f32_u *y)
{
	const struct gyr_gemm *gemm = &product->gemm;
	for (size_t n = 0; n < gemm->n; n += TILE) {
		enum size columns = gemm->n - n < TILE ? REST : WHOLE;
		const gyr_f32_u *tile = product->pack_b ? b + n * gemm->k : b + n;
		size_t step = product->pack_b ? tile_row(columns == REST ? gemm->n - n : TILE) : gemm->b_row;
		for (size_t k = 0; k < gemm->k; k += PART) {
			enum size part = gemm->k - k < PART ? REST : WHOLE;
			const struct gyr_microkernel *microkernel = (k == 0 ? product->first : product->further)[rows][columns][part];
			gyr_microkernel_run(microkernel, a + k, tile + k * step, y + n);
		}
	}
}

static void multiply(const struct gyr_product *product, const gyr_f32_u *a, const gyr_f32_u *b, gyr_f32_u *y, char *scratch)
{
	const struct gyr_gemm *gemm = &product->gemm;
	float *packed_a = (float *)(void *)scratch; /* NULL where nothing is packed */
	float *packed_b = product->pack_b ? (float *)(void *)(scratch + product->a_bytes) : NULL;
	if (product->pack_b) {
		pack_tiles(gemm, b, packed_b);
		b = packed_b;
	}
	for (size_t m = 0; m < gemm->m; m += BLOCK_ROWS) {
		enum size rows = gemm->m - m < BLOCK_ROWS ? REST : WHOLE;
		const gyr_f32_u *block = a + m * gemm->a_row;
		if (product->pack_a) {
			pack(rows == REST ? gemm->m - m : BLOCK_ROWS, gemm->k, block, gemm->a_row, gemm->a_column, packed_a, gemm->k);
			block = packed_a;
		}
		multiply_rows(product, rows, block, b, y + m * gemm->n);
	}
}

static void multiply_dots(const struct gyr_gemm *gemm, const gyr_f32_u *a, const gyr_f32_u *b, gyr_f32_u *y)
{
	for (size_t m = 0; m < gemm->m; m++) {
		const gyr_f32_u *row = a + m * gemm->a_row;
		float sum = 0;
#pragma omp simd reduction(+ : sum)
		for (size_t k = 0; k < gemm->k; k++)
			sum += row[k] * b[k];
		y[m] = sum;
	}
}

/* Y = alpha Y + beta C */
static void finish(const struct gyr_gemm *gemm, const gyr_f32_u *c, gyr_f32_u *y)
{
	if (gemm->alpha == 1 && c == NULL)
		return;
	for (size_t m = 0; m < gemm->m; m++, y += gemm->n) {
		const gyr_f32_u *row = c == NULL ? NULL : c + m * gemm->c_row;
		for (size_t n = 0; n < gemm->n && row == NULL; n++)
			y[n] *= gemm->alpha;
		for (size_t n = 0; n < gemm->n && row != NULL; n++)
			y[n] = gemm->alpha * y[n] + gemm->beta * row[n * gemm->c_column];
	}
}

void gyr_product_run(const struct gyr_product *product, const void *a, const void *b, const void *c, void *y, void *scratch)
{
	const struct gyr_gemm *gemm = &product->gemm;
	size_t index[GYR_RANK_MAX] = {0}, count = 1;
	const gyr_f32_u *left = a, *right = b;
	gyr_f32_u *to = y;
	if (product->twin) {
		gyr_ref_gemm(gemm, a, b, c, y);
		return;
	}
	for (uint32_t i = 0; i < gemm->leading; i++)
		count *= gemm->dims[i];
	gyr_kernel_heap_begin();
	for (size_t at = 0; at < count; at++, to += gemm->m * gemm->n) {
		if (product->dots)
			multiply_dots(gemm, left, right, to);
		else
			multiply(product, left, right, to, scratch);
		finish(gemm, c, to);
		for (uint32_t i = gemm->leading; i-- > 0;) {
			left += gemm->a_strides[i];
			right += gemm->b_strides[i];
			if (++index[i] < gemm->dims[i])
				break;
			left -= gemm->a_strides[i] * gemm->dims[i];
			right -= gemm->b_strides[i] * gemm->dims[i];
			index[i] = 0;
		}
	}
	gyr_kernel_heap_end();
}
