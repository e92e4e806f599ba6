/*
 * The integer family: MatMulInteger, QLinearMatMul, ConvInteger and QLinearConv.
 *
 * With a' = a - za and b' = b - zb, the sum of a' b' is the sum of a b, less za times the sum of b, less zb times the sum of a, and K za zb. The first and the
 * last of what is added are one number a column (or channel) where zero points are known; the sum of a is needed only where some zb is not 0.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/kernel/integer.h"
#include "engine/kernel/integer_convolution.h"
#include "engine/kernel/quantise.h"
#include "engine/ref/integer.h"
#include "engine/ref/number.h"
#include "engine/ref/quantise.h"
#include "engine/ref/unaligned.h"

#define ALIGN 64u
#define PANELS_TAG UINT64_C(0x6938636f6c730000) /* packs: weights as columns, and */
#define ROWS_TAG UINT64_C(0x6938726f77730000)   /* weights as rows */
#define SCRATCH_MAX ((size_t)256 << 20)

/* Where things are among a node's inputs; 0: nowhere. */
struct ends {
	uint32_t a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, bias;
};

/* What is known of a product beforehand. */
struct integer {
	struct ends ends;
	enum gyr_dtype a, b, y, scale;
	size_t k, n; /* length of a sum; columns, or channels */
	size_t b_scale_step, b_zero_step;
};

/* What the sums of each column, or channel, still lack. */
struct terms {
	uint32_t *added, *zeros; /* [n] */
	float *factors;          /* [n] */
	bool zeroed;             /* all zeros are 0 */
	uint8_t a_zero;          /* as it is in the input */
	int32_t y_zero;
};

static struct ends find_ends(const struct gyr_prepare *prepare)
{
	enum gyr_op op = prepare->node->op;
	struct ends ends = {.a_zero = 2, .b = 1, .b_zero = 3};
	if (op == GYR_OP_QLINEAR_MATMUL || op == GYR_OP_QLINEAR_CONV)
		ends = (struct ends){.a_scale = 1, .a_zero = 2, .b = 3, .b_scale = 4, .b_zero = 5, .y_scale = 6, .y_zero = 7, .bias = 8};
	uint32_t *const optional[] = {&ends.a_zero, &ends.b_zero, &ends.bias};
	for (size_t i = 0; i < KERNEL_COUNT(optional); i++)
		if (*optional[i] != 0 && kernel_input(prepare, *optional[i]) == NULL)
			*optional[i] = 0;
	return ends;
}

static size_t step_of(const struct gyr_prepare *prepare, uint32_t input)
{
	return input != 0 && kernel_count(prepare->inputs[input]) > 1 ? 1 : 0;
}

static struct integer describe(const struct gyr_prepare *prepare, size_t k, size_t n)
{
	const struct ends ends = find_ends(prepare);
	return (struct integer){.ends = ends,
				.a = prepare->inputs[0]->dtype,
				.b = prepare->inputs[ends.b]->dtype,
				.y = prepare->outputs[0].dtype,
				.scale = ends.y_scale != 0 ? prepare->inputs[ends.y_scale]->dtype : GYR_DTYPE_NONE,
				.k = k,
				.n = n,
				.b_scale_step = step_of(prepare, ends.b_scale),
				.b_zero_step = step_of(prepare, ends.b_zero)};
}

static int32_t zero_at(enum gyr_dtype dtype, const void *zeros, size_t index)
{
	return zeros == NULL ? 0 : (int32_t)gyr_number_load(dtype, zeros, index).integer;
}

static float scale_at(const struct integer *integer, const void *scales, size_t index)
{
	return (float)gyr_number_load(integer->scale, scales, index).real;
}

static const void *input_at(const void *const inputs[], uint32_t input)
{
	return input == 0 ? NULL : inputs[input];
}

/* Bytes that terms take. */
static size_t terms_bytes(const struct integer *integer)
{
	return gyr_integer_round_up(3 * integer->n * sizeof(uint32_t), ALIGN);
}

/* Works the terms out into MEMORY. TOTALS has the sums of the weights as they are packed. */
static struct terms find_terms(const struct integer *integer, const void *const inputs[], const uint32_t *totals, void *memory)
{
	struct terms terms = {.added = memory, .zeros = (uint32_t *)memory + integer->n, .factors = (float *)memory + 2 * integer->n, .zeroed = true};
	const struct ends *ends = &integer->ends;
	const void *b_zeros = input_at(inputs, ends->b_zero);
	const gyr_i32_u *bias = input_at(inputs, ends->bias);
	int32_t a_zero = zero_at(integer->a, input_at(inputs, ends->a_zero), 0);
	uint32_t a_moved = (uint32_t)(a_zero + (integer->a == GYR_DTYPE_I8 ? 128 : 0));
	float a_scale = ends->y_scale != 0 ? scale_at(integer, inputs[ends->a_scale], 0) : 0;
	float y_scale = ends->y_scale != 0 ? scale_at(integer, inputs[ends->y_scale], 0) : 0;
	terms.a_zero = (uint8_t)a_zero;
	terms.y_zero = ends->y_zero != 0 ? zero_at(integer->y, inputs[ends->y_zero], 0) : 0;
	for (size_t n = 0; n < integer->n; n++) {
		int32_t zero = zero_at(integer->b, b_zeros, n * integer->b_zero_step) - (integer->b == GYR_DTYPE_U8 ? 128 : 0);
		terms.zeros[n] = (uint32_t)zero;
		terms.zeroed = terms.zeroed && zero == 0;
		terms.added[n] = (bias != NULL ? (uint32_t)bias[n] : 0) - a_moved * totals[n] + (uint32_t)integer->k * a_moved * (uint32_t)zero;
		if (ends->y_scale != 0)
			terms.factors[n] = a_scale * scale_at(integer, inputs[ends->b_scale], n * integer->b_scale_step) / y_scale;
	}
	return terms;
}

/* Whether all that terms need is constant. */
static bool terms_known(const struct gyr_prepare *prepare, const struct integer *integer)
{
	const struct ends *ends = &integer->ends;
	const uint32_t needed[] = {ends->a_scale, ends->a_zero, ends->b, ends->b_scale, ends->b_zero, ends->y_scale, ends->y_zero, ends->bias};
	for (size_t i = 0; i < KERNEL_COUNT(needed); i++)
		if (needed[i] != 0 && prepare->contents[needed[i]] == NULL)
			return false;
	return true;
}

/* Weights, packed once for all batch sizes: behind the bytes, the sums that go with them. */
struct packed {
	uint8_t *bytes;
	uint32_t *totals;
};

static void destroy_packed(void *object)
{
	struct packed *packed = object;
	free(packed->bytes);
	free(packed);
}

static struct packed *new_packed(size_t bytes, size_t totals)
{
	struct packed *packed = malloc(sizeof *packed);
	size_t whole = gyr_integer_round_up(bytes, ALIGN);
	if (packed == NULL || (packed->bytes = aligned_alloc(ALIGN, gyr_integer_round_up(whole + totals * sizeof(uint32_t), ALIGN))) == NULL) {
		free(packed);
		return NULL;
	}
	packed->totals = (uint32_t *)(void *)(packed->bytes + whole);
	return packed;
}

/* The constant weights of PREPARE, packed as columns or as rows. NULL without memory. */
static const struct packed *pack_weights(struct gyr_prepare *prepare, const struct integer *integer, bool rows)
{
	const void *weights = prepare->contents[integer->ends.b];
	uint64_t tag = rows ? ROWS_TAG : PANELS_TAG;
	size_t k = integer->k, n = integer->n, bytes = rows ? gyr_integer_round_up(k, GYR_INTEGER_GROUP) * n : gyr_integer_packed_bytes(k, n);
	struct packed *packed = gyr_packs_find(prepare->packs, weights, tag);
	if (packed != NULL)
		return packed;
	packed = new_packed(bytes, n);
	if (packed == NULL)
		return NULL;
	if (rows)
		gyr_integer_pack_rows(n, k, integer->b == GYR_DTYPE_U8, true, weights, packed->bytes, packed->totals);
	else
		gyr_integer_pack(k, n, integer->b, weights, packed->bytes, packed->totals);
	if (!gyr_packs_keep(prepare->packs, weights, tag, packed, bytes + n * sizeof(uint32_t), destroy_packed)) {
		destroy_packed(packed);
		return NULL;
	}
	return packed;
}

/* Marks what packs and terms hold as not read. */
static void set_unread(struct gyr_prepare *prepare, const struct integer *integer, bool packed, bool known)
{
	if (packed)
		prepare->unread = UINT64_C(1) << integer->ends.b;
	if (known)
		prepare->unread = ~UINT64_C(1);
}

/* A part of the scratch, BYTES long, from *AT on. */
static size_t part(size_t *at, size_t bytes)
{
	size_t begin = *at;
	*at += gyr_integer_round_up(bytes, ALIGN);
	return begin;
}

struct matmul {
	struct integer integer;
	size_t m;                                                           /* rows of a product */
	size_t count, leading, dims[GYR_RANK_MAX], a_steps[GYR_RANK_MAX], b_steps[GYR_RANK_MAX]; /* products, by leading dimensions */
	const struct packed *packed;                                        /* NULL: packed when it runs */
	bool known;                                                         /* terms are */
	bool copied;                                                        /* rows are packed when it runs: moved, or of no whole groups */
	struct terms terms;
	size_t rows_at, sums_at, terms_at, panels_at, totals_at; /* in the scratch */
};

/* The sums of a tile become results, Y at the first of them. */
static void finish_tile(const struct matmul *matmul, const struct terms *terms, const struct gyr_integer_tile *tile, size_t row, size_t first, size_t used,
			const uint32_t *row_totals, int32_t *sums, char *y)
{
	const struct integer *integer = &matmul->integer;
	const uint32_t *added = terms->added + first, *zeros = terms->zeros + first;
	for (size_t i = 0; i < tile->rows; i++, sums += GYR_INTEGER_COLUMNS) {
		size_t to = (row + i) * integer->n + first;
		for (size_t n = 0; n < used; n++)
			sums[n] = (int32_t)((uint32_t)sums[n] + added[n]);
		if (!terms->zeroed)
			for (size_t n = 0; n < used; n++)
				sums[n] = (int32_t)((uint32_t)sums[n] - row_totals[row + i] * zeros[n]);
		if (integer->y == GYR_DTYPE_I32)
			memcpy(y + to * sizeof *sums, sums, used * sizeof *sums);
		else
			gyr_kernel_requantise(integer->y, used, sums, terms->factors + first, terms->y_zero, y + to);
	}
}

/* One product of matrices. */
static void multiply(const struct matmul *matmul, const struct terms *terms, const uint8_t *panels, const void *a, char *y, uint8_t *scratch)
{
	_Alignas(ALIGN) int32_t sums[GYR_INTEGER_ROWS * GYR_INTEGER_COLUMNS];
	size_t k = matmul->integer.k, n = matmul->integer.n, m = matmul->m, parts = (m + GYR_INTEGER_ROWS - 1) / GYR_INTEGER_ROWS;
	uint32_t *row_totals = (uint32_t *)(void *)(scratch + matmul->sums_at);
	const uint8_t *rows = a;
	struct gyr_integer_tile tile = {.groups = gyr_integer_round_up(k, GYR_INTEGER_GROUP) / GYR_INTEGER_GROUP, .panel_signed = true};
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
	struct terms terms = matmul->terms;
	uint8_t *own = scratch, *panels = matmul->packed != NULL ? matmul->packed->bytes : own + matmul->panels_at;
	uint32_t *totals = matmul->packed != NULL ? matmul->packed->totals : (uint32_t *)(void *)(own + matmul->totals_at);
	size_t bytes = matmul->m * integer->n * (integer->y == GYR_DTYPE_I32 ? sizeof(int32_t) : 1), last = SIZE_MAX;
	if (matmul->packed != NULL && !matmul->known)
		terms = find_terms(integer, inputs, totals, own + matmul->terms_at);
	for (size_t i = 0; i < matmul->count; i++) {
		size_t a, b;
		find_product(matmul, i, &a, &b);
		if (matmul->packed == NULL && b != last) {
			gyr_integer_pack(integer->k, integer->n, integer->b, (const char *)inputs[integer->ends.b] + b, panels, totals);
			terms = find_terms(integer, inputs, totals, own + matmul->terms_at);
			last = b;
		}
		multiply(matmul, &terms, panels, (const char *)inputs[0] + a, (char *)outputs[0] + i * bytes, own);
	}
}

static void run_matmul_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct matmul *matmul = params;
	const struct integer *integer = &matmul->integer;
	const struct ends *ends = &integer->ends;
	int32_t *sums = scratch;
	for (size_t i = 0; i < matmul->count; i++) {
		size_t a_at, b_at, elements = matmul->m * integer->n;
		find_product(matmul, i, &a_at, &b_at);
		const struct gyr_integers a = {integer->a, (const char *)inputs[0] + a_at, input_at(inputs, ends->a_zero), 0};
		const struct gyr_integers b = {integer->b, (const char *)inputs[ends->b] + b_at, input_at(inputs, ends->b_zero), integer->b_zero_step};
		if (integer->y == GYR_DTYPE_I32) {
			gyr_ref_integer_product(matmul->m, integer->n, integer->k, &a, &b, (char *)outputs[0] + i * elements * sizeof *sums);
			continue;
		}
		gyr_ref_integer_product(matmul->m, integer->n, integer->k, &a, &b, sums);
		for (size_t at = 0; at < elements; at++) {
			float factor = scale_at(integer, inputs[ends->a_scale], 0) *
				       scale_at(integer, inputs[ends->b_scale], at % integer->n * integer->b_scale_step) / scale_at(integer, inputs[ends->y_scale], 0);
			gyr_ref_requantise(integer->y, 1, sums + at, factor, zero_at(integer->y, inputs[ends->y_zero], 0), (char *)outputs[0] + i * elements + at);
		}
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
	const struct gyr_shape *a = prepare->inputs[0], *b = prepare->inputs[find_ends(prepare).b];
	struct matmul *matmul = KERNEL_PARAMS(prepare, struct matmul);
	if (matmul == NULL)
		return -ENOMEM;
	matmul->integer = describe(prepare, (size_t)a->dims[a->rank - 1], b->rank > 1 ? (size_t)b->dims[b->rank - 1] : 1);
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
		matmul->packed = pack_weights(prepare, integer, false);
		if (matmul->packed == NULL)
			return gyr_error_set(prepare->error, -ENOMEM, "no memory for its weights");
		matmul->known = terms_known(prepare, integer);
	}
	if (matmul->known) {
		void *memory = gyr_arena_alloc(prepare->arena, terms_bytes(integer), ALIGN);
		if (memory == NULL)
			return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
		matmul->terms = find_terms(integer, prepare->contents, matmul->packed->totals, memory);
	}
	set_unread(prepare, integer, matmul->packed != NULL, matmul->known);
	matmul->rows_at = part(&at, matmul->m * gyr_integer_round_up(integer->k, GYR_INTEGER_GROUP));
	matmul->sums_at = part(&at, matmul->m * sizeof(uint32_t));
	matmul->terms_at = part(&at, matmul->known ? 0 : terms_bytes(integer));
	matmul->panels_at = part(&at, matmul->packed != NULL ? 0 : gyr_integer_packed_bytes(integer->k, integer->n));
	matmul->totals_at = part(&at, matmul->packed != NULL ? 0 : integer->n * sizeof(uint32_t));
	prepare->scratch_bytes = at;
	return 0;
}

struct convolution {
	struct integer integer;
	struct gyr_convolution shape;
	const struct gyr_integer_conv *conv;
	const struct packed *packed; /* NULL: packed when it runs */
	bool known;                  /* terms are */
	struct terms terms;
	size_t terms_at, weights_at, totals_at; /* in the scratch, behind the convolution's own */
};

static void run_conv(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct convolution *convolution = params;
	const struct integer *integer = &convolution->integer;
	struct terms terms = convolution->terms;
	uint8_t *own = scratch, *weights = convolution->packed != NULL ? convolution->packed->bytes : own + convolution->weights_at;
	uint32_t *totals = convolution->packed != NULL ? convolution->packed->totals : (uint32_t *)(void *)(own + convolution->totals_at);
	if (convolution->packed == NULL)
		gyr_integer_pack_rows(integer->n, integer->k, integer->b == GYR_DTYPE_U8, true, inputs[integer->ends.b], weights, totals);
	if (!convolution->known)
		terms = find_terms(integer, inputs, totals, own + convolution->terms_at);
	const struct gyr_integer_channels channels = {.added = terms.added,
						      .zeros = terms.zeroed ? NULL : terms.zeros,
						      .dtype = integer->y,
						      .factors = terms.factors,
						      .zero = terms.y_zero};
	gyr_integer_conv_run(convolution->conv, integer->a, inputs[0], terms.a_zero, weights, &channels, outputs[0], scratch);
}

static void run_conv_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct convolution *convolution = params;
	const struct integer *integer = &convolution->integer;
	const struct ends *ends = &integer->ends;
	const struct gyr_window_axis *axes = convolution->shape.window.axes;
	const struct gyr_integers x = {integer->a, inputs[0], input_at(inputs, ends->a_zero), 0};
	const struct gyr_integers w = {integer->b, inputs[ends->b], input_at(inputs, ends->b_zero), integer->b_zero_step};
	int32_t *sums = integer->y == GYR_DTYPE_I32 ? outputs[0] : scratch;
	gyr_ref_integer_convolution(&convolution->shape, &x, &w, input_at(inputs, ends->bias), sums);
	size_t results = (size_t)(axes[0].out * axes[1].out * axes[2].out);
	for (size_t plane = 0; integer->y != GYR_DTYPE_I32 && plane < convolution->shape.batch * integer->n; plane++) {
		float factor = scale_at(integer, inputs[ends->a_scale], 0) * scale_at(integer, inputs[ends->b_scale], plane % integer->n * integer->b_scale_step) /
			       scale_at(integer, inputs[ends->y_scale], 0);
		gyr_ref_requantise(integer->y, results, sums + plane * results, factor, zero_at(integer->y, inputs[ends->y_zero], 0),
				   (char *)outputs[0] + plane * results);
	}
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
		convolution->packed = pack_weights(prepare, integer, true);
		if (convolution->packed == NULL)
			return gyr_error_set(prepare->error, -ENOMEM, "no memory for its weights");
		convolution->known = terms_known(prepare, integer);
	}
	if (convolution->known) {
		void *memory = gyr_arena_alloc(prepare->arena, terms_bytes(integer), ALIGN);
		if (memory == NULL)
			return gyr_error_set(prepare->error, -ENOMEM, "no memory for the plan");
		convolution->terms = find_terms(integer, prepare->contents, convolution->packed->totals, memory);
	}
	set_unread(prepare, integer, convolution->packed != NULL, convolution->known);
	convolution->terms_at = part(&at, convolution->known ? 0 : terms_bytes(integer));
	convolution->weights_at = part(&at, convolution->packed != NULL ? 0 : gyr_integer_round_up(integer->k, GYR_INTEGER_GROUP) * integer->n);
	convolution->totals_at = part(&at, convolution->packed != NULL ? 0 : integer->n * sizeof(uint32_t));
	prepare->scratch_bytes = at;
	prepare->run = run_conv;
	return 0;
}

static int prepare_conv(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *w = prepare->inputs[find_ends(prepare).b];
	struct convolution *convolution = KERNEL_PARAMS(prepare, struct convolution);
	if (convolution == NULL)
		return -ENOMEM;
	struct gyr_convolution *shape = &convolution->shape;
	shape->batch = (size_t)x->dims[0];
	shape->groups = (size_t)gyr_node_integer(prepare->node, "group", 1);
	shape->in = (size_t)x->dims[1] / shape->groups;
	shape->out = (size_t)w->dims[0] / shape->groups;
	convolution->integer = describe(prepare, kernel_product(w, 1, w->rank), (size_t)w->dims[0]);
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
