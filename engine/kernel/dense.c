/*
 * Dense layers: see dense.h.
 *
 * Layout. The weights are cut into tiles of TILE outputs; a tile holds its columns for every input (in bf16: every two inputs), one after another, so that a
 * run reads one stream from the first byte to the last. What is left over at the end has a narrower tile of its own. A few rows are computed by gemv.h, many by
 * a brgemm microkernel, both from the same tiles; how wide those are is what is fastest at one row, where it matters.
 *
 * A microkernel is made for one number of rows (at most ROWS_BLOCK; more rows are taken in blocks) and one tile width. With very many inputs the sum is cut
 * into parts that brgemm adds up as a batch, because the rows of one part then stay in the L1 cache (measured: 3072 inputs at 32 rows, 1.2 times as fast).
 *
 * Behind brgemm the bias and the activation are added in plain C, while the result of a tile is in the L1 cache: brgemm's own post-operations allocate, and at
 * few rows cost more.
 */
#include "engine/kernel/dense.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include "base/assertion.h"
#include "engine/kernel/bf16.h"
#include "engine/kernel/function.h"
#include "engine/kernel/heap.h"
#include "engine/kernel/micro.h"
#include "engine/kernel/tune.h"
#include "engine/ref/unaligned.h"

#define ROWS_BLOCK 64u
#define ROWS_CHOICE_MAX 8u   /* up to so many rows both ways are measured; above, brgemm is ahead */
#define LANES GYR_GEMV_LANES /* the packed width of a tile is a multiple of it */
#define PART_INPUTS 1024u
#define PARTS_MAX 16u
#define ALIGN 64u
#define HUGE_PAGE ((size_t)2 << 20)
#define TUNE_BYTES_MAX ((size_t)64 << 20) /* larger weights are in no cache, and not worth measuring */

enum tile_kind { TILE_FULL, TILE_TAIL };

/*
 * Outputs of a tile; the first is taken where nothing is measured. What the L2 cache holds may be in wide tiles; of more, a tile must stay in that cache while
 * brgemm reads it for some rows after others (measured: 3072 x 768 at 32 rows in tiles of 128 took 1.2 times as long as in tiles of 64).
 */
#define SMALL_BYTES ((size_t)1 << 20)
#define WIDTHS 3u
static const size_t small_widths[WIDTHS] = {128, 64, 256}, large_widths[WIDTHS] = {64, 32, 48};
#define NARROWEST 32u

struct gyr_dense {
	enum gyr_gemv_weights kind;
	size_t in, out;
	size_t steps;             /* from one place in a tile to the next: inputs, or pairs of them */
	size_t tile, tiles, tail; /* TILES full tiles of TILE outputs, then one of TAIL (which may be 0) */
	size_t parts;             /* that the inputs are cut into: brgemm's batch */
	enum gyr_op activation;
	bool plain;               /* no bias and no activation: nothing to do after the product */
	bool own[ROWS_BLOCK + 1]; /* by rows: so many are computed by gemv.h */
	size_t bytes;
	uint32_t *weights;
	float *bias;
	int64_t offsets[2][2 * PARTS_MAX]; /* by enum tile_kind: where the parts of x and of the tile start, in bytes, in pairs */
	struct dnnl_brgemm *kernels[ROWS_BLOCK + 1][2];
};

static size_t round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

/* Words from one place to the next within a tile of OUTPUTS outputs. */
static size_t tile_stride(size_t outputs)
{
	return round_up(outputs, LANES);
}

static size_t inputs_a_step(const struct gyr_dense *dense)
{
	return dense->kind == GYR_GEMV_BF16 ? 2 : 1;
}

/* One place of a tile: COUNT weights from column FIRST on, of the input or inputs of STEP. */
static void pack_step(const struct gyr_dense *dense, const float *weights, size_t step, size_t first, size_t count, uint32_t *to)
{
	const float *row = weights + step * inputs_a_step(dense) * dense->out + first;
	if (dense->kind == GYR_GEMV_F32) {
		memcpy(to, row, count * sizeof *to);
		return;
	}
	bool both = 2 * step + 1 < dense->in;
	for (size_t i = 0; i < count; i++)
		to[i] = (uint32_t)gyr_bf16_of(row[i]) | (both ? (uint32_t)gyr_bf16_of(row[dense->out + i]) << 16 : 0);
}

/* Cuts into tiles of WIDTH outputs. */
static void set_tiles(struct gyr_dense *dense, size_t width)
{
	dense->tile = width;
	dense->tiles = dense->out / width;
	dense->tail = dense->out % width;
	size_t part = dense->steps / dense->parts;
	for (size_t i = 0; i < dense->parts; i++) {
		for (int which = TILE_FULL; which <= TILE_TAIL; which++) {
			dense->offsets[which][2 * i] = (int64_t)(i * part * sizeof(uint32_t));
			dense->offsets[which][2 * i + 1] = (int64_t)(i * part * tile_stride(which == TILE_FULL ? dense->tile : dense->tail) * sizeof(uint32_t));
		}
	}
}

static void pack(struct gyr_dense *dense, const float *weights)
{
	/* Rows are read as they lie, which may be in 4 KiB pages; what is written are as many streams as there are tiles, in huge ones. */
	for (size_t step = 0; step < dense->steps; step++) {
		for (size_t first = 0; first < dense->out; first += dense->tile) {
			size_t outputs = dense->out - first < dense->tile ? dense->out - first : dense->tile, stride = tile_stride(outputs);
			uint32_t *to = dense->weights + dense->steps * first + step * stride;
			pack_step(dense, weights, step, first, outputs, to);
			memset(to + outputs, 0, (stride - outputs) * sizeof *to);
		}
	}
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

static void run_own(const struct gyr_dense *dense, size_t rows, size_t first, size_t outputs, const gyr_f32_u *x, const uint32_t *weights, gyr_f32_u *y)
{
	const struct gyr_gemv gemv = {.kind = dense->kind,
				      .in = dense->in,
				      .outputs = outputs,
				      .widest = dense->tiles > 0 ? dense->tile : dense->tail,
				      .stride = tile_stride(outputs),
				      .weights = weights,
				      .bias = dense->bias + first,
				      .relu = dense->activation == GYR_OP_RELU};
	gyr_gemv_run(&gemv, rows, x, y + first, dense->out);
	switch (dense->activation) {
	case GYR_OP_SIGMOID: finish(rows, outputs, dense->out, NULL, y + first, gyr_sigmoid); return;
	case GYR_OP_TANH: finish(rows, outputs, dense->out, NULL, y + first, gyr_tanh); return;
	case GYR_OP_GELU: finish(rows, outputs, dense->out, NULL, y + first, gyr_gelu); return;
	default: return;
	}
}

static void run_micro(const struct gyr_dense *dense, enum tile_kind which, size_t rows, size_t first, size_t outputs, const void *x, const uint32_t *weights,
		      gyr_f32_u *y)
{
	gyr_micro_run(dense->kernels[rows][which], x, weights, dense->offsets[which], y + first);
	if (dense->plain)
		return;
	const float *bias = dense->bias + first;
	switch (dense->activation) {
	case GYR_OP_RELU: finish(rows, outputs, dense->out, bias, y + first, gyr_relu); return;
	case GYR_OP_SIGMOID: finish(rows, outputs, dense->out, bias, y + first, gyr_sigmoid); return;
	case GYR_OP_TANH: finish(rows, outputs, dense->out, bias, y + first, gyr_tanh); return;
	case GYR_OP_GELU: finish(rows, outputs, dense->out, bias, y + first, gyr_gelu); return;
	default: finish(rows, outputs, dense->out, bias, y + first, as_it_is); return;
	}
}

static void run_block(const struct gyr_dense *dense, size_t rows, const gyr_f32_u *x, gyr_f32_u *y, void *scratch)
{
	const uint32_t *weights = dense->weights;
	const void *micro_x = x;
	if (!dense->own[rows] && dense->kind == GYR_GEMV_BF16) {
		gyr_bf16_rows(rows, dense->in, dense->steps * 2, x, scratch);
		micro_x = scratch;
	}
	for (size_t first = 0; first < dense->out; first += dense->tile) {
		enum tile_kind which = dense->out - first >= dense->tile ? TILE_FULL : TILE_TAIL;
		size_t outputs = which == TILE_FULL ? dense->tile : dense->tail;
		if (dense->own[rows])
			run_own(dense, rows, first, outputs, x, weights, y);
		else
			run_micro(dense, which, rows, first, outputs, micro_x, weights, y);
		weights += dense->steps * tile_stride(outputs);
	}
}

void gyr_dense_run(const struct gyr_dense *dense, size_t rows, const void *x, void *y, void *scratch)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	gyr_kernel_heap_begin();
	for (size_t block; rows > 0; rows -= block, from += block * dense->in, to += block * dense->out) {
		block = rows < ROWS_BLOCK ? rows : ROWS_BLOCK;
		run_block(dense, block, from, to, scratch);
	}
	gyr_kernel_heap_end();
}

size_t gyr_dense_scratch_bytes(const struct gyr_dense *dense, size_t rows)
{
	size_t block = rows < ROWS_BLOCK ? rows : ROWS_BLOCK;
	return dense->kind == GYR_GEMV_BF16 ? block * dense->steps * 2 * sizeof(uint16_t) : 0;
}

size_t gyr_dense_bytes(const struct gyr_dense *dense)
{
	return dense->bytes;
}

/* What is timed: a layer on arrays of its own. */
struct trial {
	struct gyr_dense *dense;
	size_t rows;
	float *x, *y;
	void *scratch;
};

/* False without memory. */
static bool trial_init(struct trial *trial, struct gyr_dense *dense, size_t rows)
{
	*trial = (struct trial){.dense = dense, .rows = rows};
	trial->x = malloc(rows * dense->in * sizeof *trial->x);
	trial->y = malloc(rows * dense->out * sizeof *trial->y);
	trial->scratch = aligned_alloc(ALIGN, round_up(gyr_dense_scratch_bytes(dense, rows) + 1, ALIGN));
	for (size_t i = 0; trial->x != NULL && i < rows * dense->in; i++)
		trial->x[i] = 1;
	return trial->x != NULL && trial->y != NULL && trial->scratch != NULL;
}

static void trial_fini(struct trial *trial)
{
	free(trial->x);
	free(trial->y);
	free(trial->scratch);
}

static const size_t *widths_of(const struct gyr_dense *dense)
{
	return dense->bytes <= SMALL_BYTES ? small_widths : large_widths;
}

static void try_tile(void *context, uint32_t candidate)
{
	const struct trial *trial = context;
	set_tiles(trial->dense, widths_of(trial->dense)[candidate]); /* the weights in another order, whose time is the same */
	gyr_dense_run(trial->dense, trial->rows, trial->x, trial->y, trial->scratch);
}

static void try_way(void *context, uint32_t candidate)
{
	const struct trial *trial = context;
	trial->dense->own[trial->rows] = candidate == 1;
	gyr_dense_run(trial->dense, trial->rows, trial->x, trial->y, trial->scratch);
}

/* Packs for one row. */
static int choose_tile(struct gyr_dense *dense, const float *weights, struct gyr_error *error)
{
	const size_t *widths = widths_of(dense);
	set_tiles(dense, widths[0]);
	pack(dense, weights);
	if (dense->out <= NARROWEST || dense->bytes > TUNE_BYTES_MAX)
		return 0;
	struct trial trial;
	const struct gyr_tune_key key = {.kernel = "dense tile", .sizes = {dense->kind, dense->in, dense->out}};
	bool memory = trial_init(&trial, dense, 1);
	dense->own[1] = true;
	uint32_t choice = memory ? gyr_tune_choose(&key, WIDTHS, try_tile, &trial) : 0;
	trial_fini(&trial);
	if (!memory)
		return gyr_error_set(error, -ENOMEM, "no memory to measure a layer");
	set_tiles(dense, widths[choice]);
	if (choice != 0)
		pack(dense, weights);
	return 0;
}

static void set_parts(struct gyr_dense *dense)
{
	dense->parts = 1;
	for (size_t parts = 1; parts <= PARTS_MAX; parts++) {
		if (dense->steps % parts != 0)
			continue;
		dense->parts = parts;
		if (dense->in / parts <= PART_INPUTS)
			break;
	}
}

static int make_micro(const struct gyr_dense *dense, size_t rows, size_t outputs, struct dnnl_brgemm **micro, struct gyr_error *error)
{
	size_t inputs = dense->steps * inputs_a_step(dense);
	const struct gyr_micro_size size = {.rows = rows,
					    .outputs = outputs,
					    .inputs = inputs / dense->parts,
					    .parts = dense->parts,
					    .a_stride = inputs,
					    .b_stride = tile_stride(outputs),
					    .c_stride = dense->out,
					    .bf16 = dense->kind == GYR_GEMV_BF16};
	return gyr_micro_create(&size, micro, error);
}

static int make_micros(struct gyr_dense *dense, size_t rows, struct gyr_error *error)
{
	const size_t outputs[2] = {[TILE_FULL] = dense->tiles != 0 ? dense->tile : 0, [TILE_TAIL] = dense->tail};
	int status = 0;
	for (int which = TILE_FULL; which <= TILE_TAIL && status == 0; which++)
		if (outputs[which] != 0 && dense->kernels[rows][which] == NULL)
			status = make_micro(dense, rows, outputs[which], &dense->kernels[rows][which], error);
	return status;
}

static int choose_way(struct gyr_dense *dense, size_t rows, struct gyr_error *error)
{
	const struct gyr_tune_key key = {.kernel = "dense way", .sizes = {dense->kind, dense->in, dense->out, dense->tile, rows}};
	struct trial trial;
	bool memory = trial_init(&trial, dense, rows);
	uint32_t choice = memory ? gyr_tune_choose(&key, 2, try_way, &trial) : 0;
	trial_fini(&trial);
	dense->own[rows] = choice == 1;
	return memory ? 0 : gyr_error_set(error, -ENOMEM, "no memory to measure a layer");
}

static int prepare_block(struct gyr_dense *dense, size_t rows, struct gyr_error *error)
{
	int status = make_micros(dense, rows, error);
	dense->own[rows] = status == -ENOTSUP;
	if (status == -ENOTSUP)
		return 0;
	return status == 0 && rows <= ROWS_CHOICE_MAX && dense->bytes <= TUNE_BYTES_MAX ? choose_way(dense, rows, error) : status;
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

/* A CPU that has no microkernel in bf16 gains too little from it. */
static int check_bf16(const struct gyr_dense *dense, struct gyr_error *error)
{
	struct dnnl_brgemm *micro = NULL;
	int status = dense->kind == GYR_GEMV_BF16 ? make_micro(dense, ROWS_BLOCK, dense->out < LANES ? dense->out : LANES, &micro, error) : 0;
	gyr_micro_destroy(micro);
	return status;
}

static int no_memory(size_t in, size_t out, struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory for %zu x %zu weights", in, out);
}

int gyr_dense_create(enum gyr_gemv_weights kind, size_t in, size_t out, const float *weights, const float *bias, enum gyr_op activation,
		     struct gyr_dense **result, struct gyr_error *error)
{
	GYR_ASSERT(in > 0);
	GYR_ASSERT(out > 0);
	size_t words, bias_words = round_up(out, LANES);
	if (__builtin_mul_overflow(in, bias_words, &words) || words > SIZE_MAX / 16)
		return no_memory(in, out, error);
	struct gyr_dense *dense = calloc(1, sizeof *dense);
	if (dense == NULL)
		return no_memory(in, out, error);
	*dense = (struct gyr_dense){.kind = kind, .in = in, .out = out, .activation = activation, .plain = bias == NULL && activation == GYR_OP_NONE};
	dense->steps = (in + inputs_a_step(dense) - 1) / inputs_a_step(dense);
	words = dense->steps * bias_words;
	dense->bytes = (words + bias_words) * sizeof(uint32_t);
	size_t align = dense->bytes < HUGE_PAGE ? ALIGN : HUGE_PAGE;
	dense->weights = aligned_alloc(align, round_up(dense->bytes, align));
	if (dense->weights == NULL) {
		free(dense);
		return no_memory(in, out, error);
	}
	/* Large weights in 4 KiB pages outrun the TLB: 15 to 20% of the time at one row. Without huge pages all still works. */
	if (align == HUGE_PAGE)
		(void)madvise(dense->weights, round_up(dense->bytes, ALIGN), MADV_HUGEPAGE);
	dense->bias = (float *)(dense->weights + words);
	memset(dense->bias, 0, bias_words * sizeof *dense->bias);
	if (bias != NULL)
		memcpy(dense->bias, bias, out * sizeof *bias);
	set_parts(dense);
	int status = check_bf16(dense, error);
	if (status == 0)
		status = choose_tile(dense, weights, error);
	if (status != 0) {
		gyr_dense_destroy(dense);
		return status;
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
			gyr_micro_destroy(dense->kernels[rows][which]);
	free(dense->weights);
	free(dense);
}
