/*
 * Dense layers: see dense.h.
 *
 * Layout. The weights are cut into tiles of TILE outputs; a tile holds its columns for every input, one input after another, so that a run reads one stream
 * from the first byte to the last. What is left over at the end has a narrower tile of its own. A few rows are computed by gemv.h, many by a brgemm microkernel,
 * both from the same tiles.
 *
 * A microkernel is made for one number of rows (at most ROWS_BLOCK; more rows are taken in blocks) and one tile width. With very many inputs the sum is cut
 * into parts that brgemm adds up as a batch, because the rows of one part then stay in the L1 cache (measured: 3072 inputs at 32 rows, 1.2 times as fast).
 *
 * Behind brgemm the bias and the activation are added in plain C, while the result of a tile is in the L1 cache: brgemm's own post-operations allocate, and at
 * few rows cost more.
 */
#define DNNL_EXPERIMENTAL_UKERNEL

#include "engine/kernel/dense.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <oneapi/dnnl/dnnl_ukernel.h>
#include <sys/mman.h>

#include "base/assertion.h"
#include "engine/kernel/function.h"
#include "engine/kernel/gemv.h"
#include "engine/kernel/heap.h"
#include "engine/ref/unaligned.h"

#define ROWS_BLOCK 64u
#define LANES GYR_GEMV_LANES /* the packed width of a tile is a multiple of it */
#define TILE_SMALL 128u /* outputs of a tile; the larger number for weights that the L2 cache holds */
#define TILE_LARGE 64u
#define SMALL_BYTES ((size_t)1 << 20)
#define OWN_ROWS_MAX 4u
#define PART_INPUTS 1024u
#define PARTS_MAX 16u
#define ALIGN 64u
#define HUGE_PAGE ((size_t)2 << 20)

enum tile_kind { TILE_FULL, TILE_TAIL };

struct gyr_dense {
	size_t in, out;
	size_t tile, tiles, tail; /* TILES full tiles of TILE outputs, then one of TAIL (which may be 0) */
	size_t parts;             /* that the inputs are cut into: brgemm's batch */
	enum gyr_op activation;
	bool plain;                /* no bias and no activation: nothing to do after the product */
	bool own[ROWS_BLOCK + 1];  /* by rows: so many rows are computed by gemv.h, not by brgemm */
	size_t bytes;
	float *weights, *bias;
	dnnl_dim_t offsets[2][2 * PARTS_MAX]; /* by enum tile_kind: where the parts of x and of the tile start, in bytes, in pairs */
	dnnl_brgemm_t kernels[ROWS_BLOCK + 1][2];
};

static size_t round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

/* Floats from one input to the next within a tile of OUTPUTS outputs. */
static size_t tile_stride(size_t outputs)
{
	return round_up(outputs, LANES);
}

static void pack(struct gyr_dense *dense, const float *weights)
{
	float *to = dense->weights;
	for (size_t first = 0; first < dense->out; first += dense->tile) {
		size_t outputs = dense->out - first < dense->tile ? dense->out - first : dense->tile;
		for (size_t k = 0; k < dense->in; k++, to += tile_stride(outputs))
			memcpy(to, weights + k * dense->out + first, outputs * sizeof *to);
	}
}

int gyr_dense_create(size_t in, size_t out, const float *weights, const float *bias, enum gyr_op activation, struct gyr_dense **result, struct gyr_error *error)
{
	GYR_ASSERT(in > 0);
	GYR_ASSERT(out > 0);
	size_t floats, bias_floats = round_up(out, LANES);
	if (__builtin_mul_overflow(in, bias_floats, &floats) || floats > SIZE_MAX / 8)
		return gyr_error_set(error, -ENOMEM, "no memory for %zu x %zu weights", in, out);
	struct gyr_dense *dense = calloc(1, sizeof *dense);
	if (dense == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for a layer");
	dense->in = in;
	dense->out = out;
	dense->activation = activation;
	dense->plain = bias == NULL && activation == GYR_OP_NONE;
	dense->tile = floats * sizeof(float) <= SMALL_BYTES ? TILE_SMALL : TILE_LARGE;
	dense->tiles = out / dense->tile;
	dense->tail = out % dense->tile;
	dense->bytes = (floats + bias_floats) * sizeof(float);
	size_t align = dense->bytes < HUGE_PAGE ? ALIGN : HUGE_PAGE;
	dense->weights = aligned_alloc(align, round_up(dense->bytes, align));
	if (dense->weights == NULL) {
		free(dense);
		return gyr_error_set(error, -ENOMEM, "no memory for %zu x %zu weights", in, out);
	}
	/* Large weights in 4 KiB pages outrun the TLB: 15 to 20% of the time at one row. Without huge pages all still works. */
	if (align == HUGE_PAGE)
		(void)madvise(dense->weights, round_up(dense->bytes, ALIGN), MADV_HUGEPAGE);
	memset(dense->weights, 0, dense->bytes);
	pack(dense, weights);
	dense->bias = dense->weights + floats;
	if (bias != NULL)
		memcpy(dense->bias, bias, out * sizeof *bias);

	dense->parts = 1;
	for (size_t parts = 1; parts <= PARTS_MAX; parts++) {
		if (in % parts == 0) {
			dense->parts = parts;
			if (in / parts <= PART_INPUTS)
				break;
		}
	}
	size_t part = in / dense->parts;
	for (size_t i = 0; i < dense->parts; i++) {
		for (int which = TILE_FULL; which <= TILE_TAIL; which++) {
			dense->offsets[which][2 * i] = (dnnl_dim_t)(i * part * sizeof(float));
			dense->offsets[which][2 * i + 1] = (dnnl_dim_t)(i * part * tile_stride(which == TILE_FULL ? dense->tile : dense->tail) * sizeof(float));
		}
	}
	*result = dense;
	return 0;
}

void gyr_dense_destroy(struct gyr_dense *dense)
{
	if (dense == NULL)
		return;
	for (size_t rows = 0; rows <= ROWS_BLOCK; rows++)
		for (int which = TILE_FULL; which <= TILE_TAIL; which++)
			if (dense->kernels[rows][which] != NULL)
				dnnl_brgemm_destroy(dense->kernels[rows][which]);
	free(dense->weights);
	free(dense);
}

size_t gyr_dense_bytes(const struct gyr_dense *dense)
{
	return dense->bytes;
}

static int make_kernel(const struct gyr_dense *dense, size_t rows, size_t outputs, dnnl_brgemm_t *kernel, struct gyr_error *error)
{
	dnnl_dim_t m = (dnnl_dim_t)rows, n = (dnnl_dim_t)outputs, k = (dnnl_dim_t)(dense->in / dense->parts);
	dnnl_brgemm_t made = NULL;
	size_t scratch = 0;
	dnnl_status_t status = dnnl_brgemm_create(&made, m, n, k, (dnnl_dim_t)dense->parts, (dnnl_dim_t)dense->in, (dnnl_dim_t)tile_stride(outputs),
						  (dnnl_dim_t)dense->out, dnnl_f32, dnnl_f32, dnnl_f32);
	if (status == dnnl_success)
		status = dnnl_brgemm_finalize(made);
	if (status == dnnl_success)
		status = dnnl_brgemm_generate(made);
	if (status == dnnl_success)
		status = dnnl_brgemm_get_scratchpad_size(made, &scratch);
	if (status == dnnl_success && scratch == 0) {
		*kernel = made;
		return 0;
	}
	if (made != NULL)
		dnnl_brgemm_destroy(made);
	if (status == dnnl_out_of_memory)
		return gyr_error_set(error, -ENOMEM, "no memory for a microkernel");
	return gyr_error_set(error, -ENOTSUP, "oneDNN has no microkernel for %zu rows of %zu by %zu on this CPU", rows, dense->in, outputs);
}

static int prepare_block(struct gyr_dense *dense, size_t rows, struct gyr_error *error)
{
	dense->own[rows] = rows <= OWN_ROWS_MAX;
	if (dense->own[rows])
		return 0;
	const size_t outputs[2] = {[TILE_FULL] = dense->tiles != 0 ? dense->tile : 0, [TILE_TAIL] = dense->tail};
	for (int which = TILE_FULL; which <= TILE_TAIL; which++) {
		if (outputs[which] == 0 || dense->kernels[rows][which] != NULL)
			continue;
		int status = make_kernel(dense, rows, outputs[which], &dense->kernels[rows][which], error);
		if (status != 0)
			return status;
	}
	return 0;
}

int gyr_dense_prepare(struct gyr_dense *dense, size_t rows, struct gyr_error *error)
{
	int status = 0;
	if (rows >= ROWS_BLOCK)
		status = prepare_block(dense, ROWS_BLOCK, error);
	if (status == 0 && rows % ROWS_BLOCK != 0)
		status = prepare_block(dense, rows % ROWS_BLOCK, error);
	return status;
}

/* Adds the bias (where one is given) and applies the activation to OUTPUTS columns of ROWS rows. */
static inline __attribute__((always_inline)) void finish(size_t rows, size_t outputs, size_t stride, const float *bias, gyr_f32_u *y, float activate(float))
{
	for (size_t row = 0; row < rows; row++, y += stride)
		for (size_t i = 0; i < outputs; i++)
			y[i] = activate(bias != NULL ? y[i] + bias[i] : y[i]);
}

static inline float as_it_is(float x)
{
	return x;
}

static void run_own(const struct gyr_dense *dense, size_t rows, size_t first, size_t outputs, const gyr_f32_u *x, const float *weights, gyr_f32_u *y)
{
	const struct gyr_gemv gemv = {.in = dense->in,
				      .outputs = outputs,
				      .stride = tile_stride(outputs),
				      .weights = weights,
				      .bias = dense->bias + first,
				      .relu = dense->activation == GYR_OP_RELU};
	gyr_gemv_run(&gemv, rows, x, y + first, dense->out);
	switch (dense->activation) {
	case GYR_OP_SIGMOID: finish(rows, outputs, dense->out, NULL, y + first, gyr_sigmoid); return;
	case GYR_OP_TANH: finish(rows, outputs, dense->out, NULL, y + first, gyr_tanh); return;
	default: return;
	}
}

static void run_microkernel(const struct gyr_dense *dense, enum tile_kind which, size_t rows, size_t first, size_t outputs, const gyr_f32_u *x,
			    const float *weights, gyr_f32_u *y)
{
	dnnl_status_t status = dnnl_brgemm_execute(dense->kernels[rows][which], x, weights, dense->offsets[which], y + first, NULL);
	GYR_ASSERT(status == dnnl_success);
	if (dense->plain)
		return;
	const float *bias = dense->bias + first;
	switch (dense->activation) {
	case GYR_OP_RELU: finish(rows, outputs, dense->out, bias, y + first, gyr_relu); return;
	case GYR_OP_SIGMOID: finish(rows, outputs, dense->out, bias, y + first, gyr_sigmoid); return;
	case GYR_OP_TANH: finish(rows, outputs, dense->out, bias, y + first, gyr_tanh); return;
	default: finish(rows, outputs, dense->out, bias, y + first, as_it_is); return;
	}
}

static void run_block(const struct gyr_dense *dense, size_t rows, const gyr_f32_u *x, gyr_f32_u *y)
{
	const float *weights = dense->weights;
	for (size_t first = 0; first < dense->out; first += dense->tile) {
		enum tile_kind which = dense->out - first >= dense->tile ? TILE_FULL : TILE_TAIL;
		size_t outputs = which == TILE_FULL ? dense->tile : dense->tail;
		if (dense->own[rows])
			run_own(dense, rows, first, outputs, x, weights, y);
		else
			run_microkernel(dense, which, rows, first, outputs, x, weights, y);
		weights += dense->in * tile_stride(outputs);
	}
}

void gyr_dense_run(const struct gyr_dense *dense, size_t rows, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	gyr_kernel_heap_begin();
	for (size_t block; rows > 0; rows -= block, from += block * dense->in, to += block * dense->out) {
		block = rows < ROWS_BLOCK ? rows : ROWS_BLOCK;
		run_block(dense, block, from, to);
	}
	gyr_kernel_heap_end();
}
