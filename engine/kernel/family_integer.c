/*
 * The integer family: MatMulInteger, QLinearMatMul, ConvInteger and QLinearConv.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/kernel/integer.h"
#include "engine/kernel/integer_convolution.h"
#include "engine/kernel/integer_terms.h"
#include "engine/kernel/quantise.h"
#include "engine/ref/integer.h"
#include "engine/ref/quantise.h"
#include "engine/ref/unaligned.h"

#define ALIGN 64u
#define MATMUL_TAG UINT64_C(0x69386d61746d0000)  /* packs of weights: of products of matrices, */
#define ROWS_TAG UINT64_C(0x6938726f77730000)    /* and of convolutions as rows */
#define COLUMNS_TAG UINT64_C(0x6938636f6c730000) /* and as columns */
#define SCRATCH_MAX ((size_t)256 << 20)

/* A part of the scratch, BYTES long, from *AT on. */
static size_t part(size_t *at, size_t bytes)
{
	size_t begin = *at;
	*at += gyr_integer_round_up(bytes, ALIGN);
	return begin;
}

struct matmul {
	struct integer integer;
	size_t m;                                                                                /* rows of a product */
	size_t count, leading, dims[GYR_RANK_MAX], a_steps[GYR_RANK_MAX], b_steps[GYR_RANK_MAX]; /* products, by leading dimensions */
	const struct integer_packed *packed;                                                     /* NULL: packed when it runs */
	bool known;                                                                              /* terms are */
	bool copied; /* rows are packed when it runs: moved, or of no whole groups */
	struct integer_terms terms;
	size_t rows_at, sums_at, terms_at, panels_at, totals_at; /* in the scratch */
};

/* The sums of a tile become results, Y at the first of them. */
static void finish_tile(const struct matmul *matmul, const struct integer_terms *terms, const struct gyr_integer_tile *tile, size_t row, size_t first,
			size_t used, const uint32_t *row_totals, int32_t *sums, char *y)
{
	const struct integer *integer = &matmul->integer;
	const uint32_t *added = terms->added + first, *zeros = terms->zeros + first;
	for (size_t i = 0; i < tile->rows; i++, sums += GYR_INTEGER_COLUMNS) {
		size_t to = (row + i) * integer->n + first;
		if (!terms->zeroed)
			for (size_t n = 0; n < used; n++)
				sums[n] = (int32_t)((uint32_t)sums[n] - row_totals[row + i] * zeros[n]);
		if (integer->y != GYR_DTYPE_I32)
			gyr_kernel_requantise(integer->y, used, sums, added, terms->factors + first, terms->y_zero, y + to);
		else
			for (size_t n = 0; n < used; n++)
				((gyr_i32_u *)(void *)y)[to + n] = (int32_t)((uint32_t)sums[n] + added[n]);
	}
}

/* One product of matrices. */
static void multiply(const struct matmul *matmul, const struct integer_terms *terms, const uint8_t *panels, const void *a, char *y, uint8_t *scratch)
{
	_Alignas(ALIGN) int32_t sums[GYR_INTEGER_ROWS * GYR_INTEGER_COLUMNS];
	size_t k = matmul->integer.k, n = matmul->integer.n, m = matmul->m, parts = (m + GYR_INTEGER_ROWS - 1) / GYR_INTEGER_ROWS;
	uint32_t *row_totals = (uint32_t *)(void *)(scratch + matmul->sums_at);
	const uint8_t *rows = a;
	struct gyr_integer_tile tile = {
		.groups = gyr_integer_round_up(k, GYR_INTEGER_GROUP) / GYR_INTEGER_GROUP, .panel_signed = true, .group_bytes = GYR_INTEGER_GROUP};
	tile.row_bytes = tile.groups * GYR_INTEGER_GROUP;
	if (matmul->copied || !terms->zeroed) {
		gyr_integer_pack_rows(m, k, matmul->integer.a == GYR_DTYPE_I8, false, a, scratch + matmul->rows_at, row_totals);
		rows = scratch + matmul->rows_at;
	}
	for (size_t first = 0; first < n; first += GYR_INTEGER_COLUMNS) {
		size_t used = n - first < GYR_INTEGER_COLUMNS ? n - first : GYR_INTEGER_COLUMNS;
		tile.columns = gyr_integer_round_up(used, GYR_INTEGER_STEP);
		tile.panel = panels + first * tile.row_bytes;
		for (size_t i = 0, row = 0; i < parts; i++, row += tile.rows) {
			tile.rows = (m - row + parts - i - 1) / (parts - i);
			tile.side = rows + row * tile.row_bytes;
			gyr_integer_tile(&tile, sums);
			finish_tile(matmul, terms, &tile, row, first, used, row_totals, sums, y);
		}
	}
}

/* Where the operands of product AT begin, in bytes. */
static void find_product(const struct matmul *matmul, size_t at, size_t *a, size_t *b)
{
	*a = *b = 0;
	for (size_t i = matmul->leading; i-- > 0; at /= matmul->dims[i]) {
		*a += at % matmul->dims[i] * matmul->a_steps[i];
		*b += at % matmul->dims[i] * matmul->b_steps[i];
	}
}

static void run_matmul(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct matmul *matmul = params;
	const struct integer *integer = &matmul->integer;
	struct integer_terms terms = matmul->terms;
	uint8_t *own = scratch, *panels = matmul->packed != NULL ? matmul->packed->bytes : own + matmul->panels_at;
	uint32_t *totals = matmul->packed != NULL ? matmul->packed->totals : (uint32_t *)(void *)(own + matmul->totals_at);
	size_t bytes = matmul->m * integer->n * (integer->y == GYR_DTYPE_I32 ? sizeof(int32_t) : 1), last = SIZE_MAX;
	if (matmul->packed != NULL && !matmul->known)
		terms = integer_find_terms(integer, inputs, totals, own + matmul->terms_at);
	for (size_t i = 0; i < matmul->count; i++) {
		size_t a, b;
		find_product(matmul, i, &a, &b);
		if (matmul->packed == NULL && b != last) {
			gyr_integer_pack(integer->k, integer->n, integer->b, (const char *)inputs[integer->ends.b] + b, panels, totals);
			terms = integer_find_terms(integer, inputs, totals, own + matmul->terms_at);
			last = b;
		}
		multiply(matmul, &terms, panels, (const char *)inputs[0] + a, (char *)outputs[0] + i * bytes, own);
	}
}

static void run_matmul_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct matmul *matmul = params;
	const struct integer *integer = &matmul->integer;
	const struct integer_ends *ends = &integer->ends;
	int32_t *sums = scratch;
	for (size_t i = 0; i < matmul->count; i++) {
		size_t a_at, b_at, elements = matmul->m * integer->n;
		find_product(matmul, i, &a_at, &b_at);
		const struct gyr_integers a = {integer->a, (const char *)inputs[0] + a_at, integer_input(inputs, ends->a_zero), 0};
		const struct gyr_integers b = {integer->b, (const char *)inputs[ends->b] + b_at, integer_input(inputs, ends->b_zero), integer->b_zero_step};
		if (integer->y == GYR_DTYPE_I32) {
			gyr_ref_integer_product(matmul->m, integer->n, integer->k, &a, &b, (char *)outputs[0] + i * elements * sizeof *sums);
			continue;
		}
		gyr_ref_integer_product(matmul->m, integer->n, integer->k, &a, &b, sums);
		for (size_t at = 0; at < elements; at++)
			gyr_ref_requantise(integer->y, 1, sums + at, integer_factor(integer, inputs, at % integer->n), integer_y_zero(integer, inputs),
					   (char *)outputs[0] + i * elements + at);
	}
}

/* The products of the leading dimensions, which broadcast. */
static void set_leading(const struct gyr_shape *a, const struct gyr_shape *b, struct matmul *matmul)
{
	size_t a_leading = a->rank > 2 ? a->rank - 2 : 0, b_leading = b->rank > 2 ? b->rank - 2 : 0;
	size_t a_step = matmul->m * matmul->integer.k, b_step = matmul->integer.k * matmul->integer.n;
	matmul->count = 1;
	matmul->leading = a_leading > b_leading ? a_leading : b_leading;
	for (size_t place = 0; place < matmul->leading; place++) {
		size_t a_dim = place < a_leading ? (size_t)a->dims[a_leading - 1 - place] : 1, at = matmul->leading - 1 - place;
		size_t b_dim = place < b_leading ? (size_t)b->dims[b_leading - 1 - place] : 1;
		matmul->dims[at] = a_dim == 1 ? b_dim : a_dim;
		matmul->a_steps[at] = a_dim == 1 ? 0 : a_step;
		matmul->b_steps[at] = b_dim == 1 ? 0 : b_step;
		matmul->count *= matmul->dims[at];
		a_step *= a_dim;
		b_step *= b_dim;
	}
	/* With one matrix on the right, all rows are of one product. */
	if (kernel_product(b, 0, (uint32_t)b_leading) == 1) {
		matmul->m *= matmul->count;
		matmul->count = 1;
		matmul->leading = 0;
	}
}

static int prepare_matmul(struct gyr_prepare *prepare)
{
	const struct gyr_shape *a = prepare->inputs[0], *b = prepare->inputs[integer_find_ends(prepare).b];
	struct matmul *matmul = KERNEL_PARAMS(prepare, struct matmul);
	if (matmul == NULL)
		return -ENOMEM;
	matmul->integer = integer_describe(prepare, (size_t)a->dims[a->rank - 1], b->rank > 1 ? (size_t)b->dims[b->rank - 1] : 1);
	matmul->m = a->rank > 1 ? (size_t)a->dims[a->rank - 2] : 1;
	set_leading(a, b, matmul);
	const struct integer *integer = &matmul->integer;
	size_t at = 0;
	if (prepare->reference) {
		prepare->run = run_matmul_twin;
		prepare->scratch_bytes = integer->y == GYR_DTYPE_I32 ? 0 : matmul->m * integer->n * sizeof(int32_t);
		return 0;
	}
	prepare->run = run_matmul;
	matmul->copied = integer->a == GYR_DTYPE_I8 || integer->k % GYR_INTEGER_GROUP != 0;
	if (prepare->contents[integer->ends.b] != NULL && kernel_product(b, 0, b->rank) == integer->k * integer->n) {
		bool fresh;
		matmul->packed = integer_packed(prepare, integer, MATMUL_TAG, 1, gyr_integer_packed_bytes(integer->k, integer->n), &fresh);
		if (matmul->packed == NULL)
			return -ENOMEM;
		if (fresh)
			gyr_integer_pack(integer->k, integer->n, integer->b, prepare->contents[integer->ends.b], matmul->packed->bytes, matmul->packed->totals);
		matmul->known = integer_terms_known(prepare, integer);
		int status = matmul->known ? integer_keep_terms(prepare, integer, matmul->packed->totals, &matmul->terms) : 0;
		if (status != 0)
			return status;
	}
	integer_set_unread(prepare, integer, matmul->packed != NULL, matmul->known);
	matmul->rows_at = part(&at, matmul->m * gyr_integer_round_up(integer->k, GYR_INTEGER_GROUP));
	matmul->sums_at = part(&at, matmul->m * sizeof(uint32_t));
	matmul->terms_at = part(&at, matmul->known ? 0 : integer_terms_bytes(integer));
	matmul->panels_at = part(&at, matmul->packed != NULL ? 0 : gyr_integer_packed_bytes(integer->k, integer->n));
	matmul->totals_at = part(&at, matmul->packed != NULL ? 0 : integer->n * sizeof(uint32_t));
	prepare->scratch_bytes = at;
	return 0;
}

struct convolution {
	struct integer integer;
	struct gyr_convolution shape;
	const struct gyr_integer_conv *conv;
	const struct integer_packed *packed; /* NULL: packed when it runs */
	bool known;                          /* terms are */
	struct integer_terms terms;
	size_t terms_at, weights_at, totals_at; /* in the scratch, behind the convolution's own */
};

static size_t weight_bytes(const struct convolution *convolution)
{
	return convolution->shape.groups * gyr_integer_conv_weight_bytes(convolution->conv);
}

/* Packs the weights of each group, in the way that the convolution asks for. */
static void pack_groups(const struct convolution *convolution, const void *weights, uint8_t *to, uint32_t *totals)
{
	const struct integer *integer = &convolution->integer;
	size_t out = convolution->shape.out, k = integer->k, bytes = gyr_integer_conv_weight_bytes(convolution->conv);
	const char *from = weights;
	for (size_t group = 0; group < convolution->shape.groups; group++, from += out * k, to += bytes, totals += out) {
		if (gyr_integer_conv_columns(convolution->conv))
			gyr_integer_pack_columns(k, out, integer->b == GYR_DTYPE_U8, from, to, totals);
		else
			gyr_integer_pack_rows(out, k, integer->b == GYR_DTYPE_U8, true, from, to, totals);
	}
}

static void run_conv(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct convolution *convolution = params;
	const struct integer *integer = &convolution->integer;
	struct integer_terms terms = convolution->terms;
	uint8_t *own = scratch, *weights = convolution->packed != NULL ? convolution->packed->bytes : own + convolution->weights_at;
	uint32_t *totals = convolution->packed != NULL ? convolution->packed->totals : (uint32_t *)(void *)(own + convolution->totals_at);
	if (convolution->packed == NULL)
		pack_groups(convolution, inputs[integer->ends.b], weights, totals);
	if (!convolution->known)
		terms = integer_find_terms(integer, inputs, totals, own + convolution->terms_at);
	const struct gyr_integer_channels channels = {
		.added = terms.added, .zeros = terms.zeroed ? NULL : terms.zeros, .dtype = integer->y, .factors = terms.factors, .zero = terms.y_zero};
	gyr_integer_conv_run(convolution->conv, integer->a, inputs[0], terms.a_zero, weights, &channels, outputs[0], scratch);
}

static void run_conv_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct convolution *convolution = params;
	const struct integer *integer = &convolution->integer;
	const struct integer_ends *ends = &integer->ends;
	const struct gyr_window_axis *axes = convolution->shape.window.axes;
	const struct gyr_integers x = {integer->a, inputs[0], integer_input(inputs, ends->a_zero), 0};
	const struct gyr_integers w = {integer->b, inputs[ends->b], integer_input(inputs, ends->b_zero), integer->b_zero_step};
	int32_t *sums = integer->y == GYR_DTYPE_I32 ? outputs[0] : scratch;
	gyr_ref_integer_convolution(&convolution->shape, &x, &w, integer_input(inputs, ends->bias), sums);
	size_t results = (size_t)(axes[0].out * axes[1].out * axes[2].out);
	for (size_t plane = 0; integer->y != GYR_DTYPE_I32 && plane < convolution->shape.batch * integer->n; plane++)
		gyr_ref_requantise(integer->y, results, sums + plane * results, integer_factor(integer, inputs, plane % integer->n),
				   integer_y_zero(integer, inputs), (char *)outputs[0] + plane * results);
}

/* The fast way where its geometry fits; else the twin is left to do it. */
static int prepare_fast(struct gyr_prepare *prepare, struct convolution *convolution)
{
	const struct integer *integer = &convolution->integer;
	convolution->conv = gyr_integer_conv_create(&convolution->shape, SCRATCH_MAX / 2, prepare->arena);
	if (convolution->conv == NULL)
		return 0;
	size_t at = gyr_integer_round_up(gyr_integer_conv_scratch_bytes(convolution->conv), ALIGN);
	if (prepare->contents[integer->ends.b] != NULL) {
		bool fresh, columns = gyr_integer_conv_columns(convolution->conv);
		convolution->packed =
			integer_packed(prepare, integer, columns ? COLUMNS_TAG : ROWS_TAG, convolution->shape.groups, weight_bytes(convolution), &fresh);
		if (convolution->packed == NULL)
			return -ENOMEM;
		if (fresh)
			pack_groups(convolution, prepare->contents[integer->ends.b], convolution->packed->bytes, convolution->packed->totals);
		convolution->known = integer_terms_known(prepare, integer);
		int status = convolution->known ? integer_keep_terms(prepare, integer, convolution->packed->totals, &convolution->terms) : 0;
		if (status != 0)
			return status;
	}
	integer_set_unread(prepare, integer, convolution->packed != NULL, convolution->known);
	convolution->terms_at = part(&at, convolution->known ? 0 : integer_terms_bytes(integer));
	convolution->weights_at = part(&at, convolution->packed != NULL ? 0 : weight_bytes(convolution));
	convolution->totals_at = part(&at, convolution->packed != NULL ? 0 : integer->n * sizeof(uint32_t));
	prepare->scratch_bytes = at;
	prepare->run = run_conv;
	return 0;
}

static int prepare_conv(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *w = prepare->inputs[integer_find_ends(prepare).b];
	struct convolution *convolution = KERNEL_PARAMS(prepare, struct convolution);
	if (convolution == NULL)
		return -ENOMEM;
	struct gyr_convolution *shape = &convolution->shape;
	shape->batch = (size_t)x->dims[0];
	shape->groups = (size_t)gyr_node_integer(prepare->node, "group", 1);
	shape->in = (size_t)x->dims[1] / shape->groups;
	shape->out = (size_t)w->dims[0] / shape->groups;
	convolution->integer = integer_describe(prepare, kernel_product(w, 1, w->rank), (size_t)w->dims[0]);
	int status = gyr_window_read(prepare->node, x, w->dims + 2, &shape->window, prepare->error);
	prepare->run = run_conv_twin;
	prepare->scratch_bytes = convolution->integer.y == GYR_DTYPE_I32 ? 0 : kernel_count(&prepare->outputs[0]) * sizeof(int32_t);
	return status != 0 || prepare->reference || shape->in == 0 ? status : prepare_fast(prepare, convolution);
}

static const struct kernel_row rows[] = {
	{GYR_OP_CONV_INTEGER, prepare_conv},
	{GYR_OP_MATMUL_INTEGER, prepare_matmul},
	{GYR_OP_QLINEAR_CONV, prepare_conv},
	{GYR_OP_QLINEAR_MATMUL, prepare_matmul},
};

const struct kernel_family kernel_family_integer = {rows, KERNEL_COUNT(rows)};
