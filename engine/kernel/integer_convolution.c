/*
 * Integer convolutions: see integer_convolution.h.
 */
#include "engine/kernel/integer_convolution.h"

#include <string.h>

#include "engine/kernel/quantise.h"
#include "engine/ref/unaligned.h"

#ifdef __AVX512BW__
#include <immintrin.h>
#endif

#define ALIGN 64u
#define TAPS_MAX 1024u            /* along an axis: more are left to the twin, and so are */
#define SUM_MAX ((size_t)1 << 20) /* longer sums: what is worked out for each stays small */

/* One axis of the planes. */
struct axis {
	size_t in, out, stride, begin;
	size_t length;       /* of a plane */
	size_t phases;       /* remainders of the stride that taps leave */
	const size_t *phase; /* [phases], the remainders */
};

struct gyr_integer_conv {
	struct gyr_convolution shape;
	struct axis axes[GYR_WINDOW_AXES];
	size_t plane, channel;  /* bytes of one plane, and of all planes of a channel */
	size_t places;          /* from the first result to the last one, in a plane */
	size_t k, groups;       /* bytes of a sum, and groups of four */
	const size_t *offsets;  /* [groups * 4]: where the first result's bytes are, from a group's first channel on */
	const int8_t *ones;     /* [groups * 4]: K ones */
	size_t panel_at, bytes; /* in the scratch */
};

/* Columns [FROM, FROM + COUNT) of a panel are results TO and those behind it. */
struct run {
	size_t from, count, to;
};

static bool make_axis(const struct gyr_window_axis *window, struct gyr_arena *arena, struct axis *axis, size_t *tap_phase, size_t *tap_shift)
{
	size_t kernel = (size_t)window->kernel, stride = (size_t)window->stride, reach = (kernel - 1) * (size_t)window->dilation;
	size_t *phase = GYR_ARENA_NEW(arena, size_t, kernel);
	*axis = (struct axis){.in = (size_t)window->in,
			      .out = (size_t)window->out,
			      .stride = stride,
			      .begin = (size_t)window->begin,
			      .length = (size_t)window->out + reach / stride,
			      .phase = phase};
	if (phase == NULL)
		return false;
	for (size_t tap = 0; tap < kernel; tap++) {
		size_t at = tap * (size_t)window->dilation, found = 0;
		while (found < axis->phases && phase[found] != at % stride)
			found++;
		if (found == axis->phases)
			phase[axis->phases++] = at % stride;
		tap_phase[tap] = found;
		tap_shift[tap] = at / stride;
	}
	return true;
}

static bool multiply_into(size_t *total, size_t by)
{
	return !__builtin_mul_overflow(*total, by, total);
}

struct gyr_integer_conv *gyr_integer_conv_create(const struct gyr_convolution *convolution, size_t bytes_max, struct gyr_arena *arena)
{
	struct gyr_integer_conv *conv = GYR_ARENA_NEW(arena, struct gyr_integer_conv, 1);
	const struct gyr_window_axis *window = convolution->window.axes;
	size_t *phase[GYR_WINDOW_AXES], *shift[GYR_WINDOW_AXES];
	if (conv == NULL)
		return NULL;
	conv->shape = *convolution;
	conv->plane = conv->channel = 1;
	bool fits = true;
	for (uint32_t i = 0; i < GYR_WINDOW_AXES && fits; i++) {
		bool few = window[i].kernel <= TAPS_MAX;
		phase[i] = few ? GYR_ARENA_NEW(arena, size_t, window[i].kernel) : NULL;
		shift[i] = few ? GYR_ARENA_NEW(arena, size_t, window[i].kernel) : NULL;
		fits = phase[i] != NULL && shift[i] != NULL && make_axis(&window[i], arena, &conv->axes[i], phase[i], shift[i]) &&
		       multiply_into(&conv->plane, conv->axes[i].length) && multiply_into(&conv->channel, conv->axes[i].length * conv->axes[i].phases);
	}
	size_t all = convolution->groups * convolution->in;
	fits = fits && multiply_into(&all, conv->channel) && all <= bytes_max;
	if (!fits)
		return NULL;
	const struct axis *axes = conv->axes;
	size_t taps = (size_t)(window[0].kernel * window[1].kernel * window[2].kernel);
	conv->places = ((axes[0].out - 1) * axes[1].length + axes[1].out - 1) * axes[2].length + axes[2].out;
	conv->k = convolution->in * taps;
	if (conv->k > SUM_MAX)
		return NULL;
	conv->groups = gyr_integer_round_up(conv->k, GYR_INTEGER_GROUP) / GYR_INTEGER_GROUP;
	conv->panel_at = gyr_integer_round_up(all + GYR_INTEGER_COLUMNS, ALIGN); /* the last panel reads beyond the last plane */
	conv->bytes = conv->panel_at + conv->groups * GYR_INTEGER_GROUP * GYR_INTEGER_COLUMNS;
	size_t *offsets = GYR_ARENA_NEW(arena, size_t, conv->groups *GYR_INTEGER_GROUP);
	int8_t *ones = GYR_ARENA_NEW(arena, int8_t, conv->groups *GYR_INTEGER_GROUP);
	if (offsets == NULL || ones == NULL || conv->bytes > bytes_max)
		return NULL;
	for (size_t k = 0; k < conv->k; k++) {
		size_t tap = k % taps, at[GYR_WINDOW_AXES] = {tap / (size_t)(window[1].kernel * window[2].kernel),
							      tap / (size_t)window[2].kernel % (size_t)window[1].kernel, tap % (size_t)window[2].kernel};
		size_t plane = (phase[0][at[0]] * axes[1].phases + phase[1][at[1]]) * axes[2].phases + phase[2][at[2]];
		offsets[k] = k / taps * conv->channel + plane * conv->plane +
			     (shift[0][at[0]] * axes[1].length + shift[1][at[1]]) * axes[2].length + shift[2][at[2]];
		ones[k] = 1;
	}
	conv->offsets = offsets;
	conv->ones = ones;
	return conv;
}

size_t gyr_integer_conv_scratch_bytes(const struct gyr_integer_conv *conv)
{
	return conv->bytes;
}

/* One row of a plane: elements PHASE, PHASE + stride, ... of FROM with its padding. */
static void copy_row(const struct axis *axis, size_t phase, const gyr_u8_u *from, uint8_t flip, uint8_t padding, uint8_t *to)
{
	size_t before = axis->begin > phase ? (axis->begin - phase + axis->stride - 1) / axis->stride : 0; /* places in the padding in front */
	size_t end = axis->begin + axis->in, until = end > phase ? (end - phase + axis->stride - 1) / axis->stride : 0;
	until = until < axis->length ? until : axis->length;
	before = before < until ? before : until;
	memset(to, padding, before);
	if (axis->stride == 1) {
		for (size_t i = before; i < until; i++)
			to[i] = from[i + phase - axis->begin] ^ flip;
	} else {
		for (size_t i = before; i < until; i++)
			to[i] = from[i * axis->stride + phase - axis->begin] ^ flip;
	}
	memset(to + until, padding, axis->length - until);
}

/* Where element AT of a plane of PHASE comes from, or AXIS->in where from the padding. */
static size_t comes_from(const struct axis *axis, size_t phase, size_t at)
{
	size_t place = at * axis->stride + phase;
	return place >= axis->begin && place - axis->begin < axis->in ? place - axis->begin : axis->in;
}

static void copy_channel(const struct gyr_integer_conv *conv, const gyr_u8_u *from, uint8_t flip, uint8_t padding, uint8_t *to)
{
	const struct axis *axes = conv->axes;
	for (size_t plane = 0; plane < conv->channel / conv->plane; plane++) {
		size_t columns = axes[2].phase[plane % axes[2].phases], rows = axes[1].phase[plane / axes[2].phases % axes[1].phases],
		       depths = axes[0].phase[plane / axes[2].phases / axes[1].phases];
		for (size_t depth = 0; depth < axes[0].length; depth++) {
			size_t z = comes_from(&axes[0], depths, depth);
			for (size_t row = 0; row < axes[1].length; row++, to += axes[2].length) {
				size_t y = comes_from(&axes[1], rows, row);
				if (z == axes[0].in || y == axes[1].in)
					memset(to, padding, axes[2].length);
				else
					copy_row(&axes[2], columns, from + (z * axes[1].in + y) * axes[2].in, flip, padding, to);
			}
		}
	}
}

/* Columns bytes of each of four lines, one after another. */
static void interleave(const uint8_t *const lines[GYR_INTEGER_GROUP], size_t columns, uint8_t *to)
{
#ifdef __AVX512BW__
	if (columns == GYR_INTEGER_COLUMNS) {
		__m512i a = _mm512_loadu_si512(lines[0]), b = _mm512_loadu_si512(lines[1]), c = _mm512_loadu_si512(lines[2]), d = _mm512_loadu_si512(lines[3]);
		__m512i ab = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
		__m512i cd = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
		/* Quarter q of P is columns 16 q + 4 P to 16 q + 4 P + 3. */
		__m512i p0 = _mm512_unpacklo_epi16(ab, cd), p1 = _mm512_unpackhi_epi16(ab, cd);
		__m512i p2 = _mm512_unpacklo_epi16(ab_high, cd_high), p3 = _mm512_unpackhi_epi16(ab_high, cd_high);
		__m512i low01 = _mm512_shuffle_i32x4(p0, p1, 0x44), high01 = _mm512_shuffle_i32x4(p0, p1, 0xee);
		__m512i low23 = _mm512_shuffle_i32x4(p2, p3, 0x44), high23 = _mm512_shuffle_i32x4(p2, p3, 0xee);
		_mm512_storeu_si512(to, _mm512_shuffle_i32x4(low01, low23, 0x88));
		_mm512_storeu_si512(to + 64, _mm512_shuffle_i32x4(low01, low23, 0xdd));
		_mm512_storeu_si512(to + 128, _mm512_shuffle_i32x4(high01, high23, 0x88));
		_mm512_storeu_si512(to + 192, _mm512_shuffle_i32x4(high01, high23, 0xdd));
		return;
	}
#endif
	for (size_t column = 0; column < columns; column++)
		for (size_t i = 0; i < GYR_INTEGER_GROUP; i++)
			to[column * GYR_INTEGER_GROUP + i] = lines[i][column];
}

static void pack_panel(const struct gyr_integer_conv *conv, const uint8_t *planes, size_t columns, uint8_t *panel)
{
	for (size_t group = 0; group < conv->groups; group++) {
		const size_t *offsets = conv->offsets + group * GYR_INTEGER_GROUP;
		const uint8_t *const lines[GYR_INTEGER_GROUP] = {planes + offsets[0], planes + offsets[1], planes + offsets[2], planes + offsets[3]};
		interleave(lines, columns, panel + group * columns * GYR_INTEGER_GROUP);
	}
}

/* The results among the COUNT places from FIRST on. */
static size_t find_runs(const struct gyr_integer_conv *conv, size_t first, size_t count, struct run *runs)
{
	const struct axis *axes = conv->axes;
	size_t found = 0;
	for (size_t at = 0; at < count;) {
		size_t column = (first + at) % axes[2].length, line = (first + at) / axes[2].length;
		size_t row = line % axes[1].length, depth = line / axes[1].length, left = axes[2].length - column;
		if (column < axes[2].out && row < axes[1].out) {
			size_t length = axes[2].out - column < count - at ? axes[2].out - column : count - at;
			runs[found++] = (struct run){at, length, (depth * axes[1].out + row) * axes[2].out + column};
		}
		at += left;
	}
	return found;
}

/* The sums of one channel of a panel become results. SEEN has the sums of what each window sees. */
static void finish(const struct gyr_integer_channels *channels, size_t channel, size_t columns, int32_t *sums, const int32_t *seen, const struct run *runs,
		   size_t run_count, char *y)
{
	uint32_t added = channels->added[channel];
	size_t bytes = channels->dtype == GYR_DTYPE_I32 ? sizeof *sums : 1;
	uint8_t small[GYR_INTEGER_COLUMNS];
	const char *from = (const char *)sums;
	for (size_t i = 0; i < columns; i++)
		sums[i] = (int32_t)((uint32_t)sums[i] + added);
	if (channels->zeros != NULL)
		for (size_t i = 0; i < columns; i++)
			sums[i] = (int32_t)((uint32_t)sums[i] - channels->zeros[channel] * (uint32_t)seen[i]);
	if (bytes == 1) {
		gyr_kernel_requantise_by(channels->dtype, columns, sums, channels->factors[channel], channels->zero, small);
		from = (const char *)small;
	}
	for (size_t i = 0; i < run_count; i++)
		memcpy(y + runs[i].to * bytes, from + runs[i].from * bytes, runs[i].count * bytes);
}

/* One group's results of one image. */
static void run_group(const struct gyr_integer_conv *conv, size_t group, const uint8_t *planes, const uint8_t *weights,
		      const struct gyr_integer_channels *channels, char *y, uint8_t *panel)
{
	_Alignas(ALIGN) int32_t sums[GYR_INTEGER_ROWS * GYR_INTEGER_COLUMNS], seen[GYR_INTEGER_COLUMNS];
	struct run runs[GYR_INTEGER_COLUMNS];
	size_t out = conv->shape.out, row_bytes = conv->groups * GYR_INTEGER_GROUP;
	size_t results = conv->axes[0].out * conv->axes[1].out * conv->axes[2].out * (channels->dtype == GYR_DTYPE_I32 ? sizeof *sums : 1);
	size_t parts = (out + GYR_INTEGER_ROWS - 1) / GYR_INTEGER_ROWS;
	for (size_t first = 0; first < conv->places; first += GYR_INTEGER_COLUMNS) {
		size_t used = conv->places - first < GYR_INTEGER_COLUMNS ? conv->places - first : GYR_INTEGER_COLUMNS;
		struct gyr_integer_tile tile = {.groups = conv->groups,
						.rows = 1,
						.columns = gyr_integer_round_up(used, GYR_INTEGER_STEP),
						.side = conv->ones,
						.row_bytes = row_bytes,
						.panel = panel};
		size_t run_count = find_runs(conv, first, used, runs);
		pack_panel(conv, planes + first, tile.columns, panel);
		if (channels->zeros != NULL)
			gyr_integer_tile(&tile, seen);
		for (size_t part = 0, row = 0; part < parts; part++, row += tile.rows) {
			tile.rows = (out - row + parts - part - 1) / (parts - part);
			tile.side = weights + (group * out + row) * row_bytes;
			gyr_integer_tile(&tile, sums);
			for (size_t i = 0; i < tile.rows; i++)
				finish(channels, group * out + row + i, tile.columns, sums + i * GYR_INTEGER_COLUMNS, seen, runs, run_count,
				       y + (group * out + row + i) * results);
		}
	}
}

void gyr_integer_conv_run(const struct gyr_integer_conv *conv, enum gyr_dtype dtype, const void *x, uint8_t zero, const void *weights,
			  const struct gyr_integer_channels *channels, void *y, void *scratch)
{
	const struct axis *axes = conv->axes;
	size_t elements = axes[0].in * axes[1].in * axes[2].in, in = conv->shape.groups * conv->shape.in;
	size_t results = axes[0].out * axes[1].out * axes[2].out * conv->shape.groups * conv->shape.out * (channels->dtype == GYR_DTYPE_I32 ? sizeof(int32_t) : 1);
	uint8_t flip = dtype == GYR_DTYPE_I8 ? 0x80 : 0, *planes = scratch;
	const gyr_u8_u *from = x;
	for (size_t image = 0; image < conv->shape.batch; image++) {
		for (size_t channel = 0; channel < in; channel++, from += elements)
			copy_channel(conv, from, flip, zero ^ flip, planes + channel * conv->channel);
		for (size_t group = 0; group < conv->shape.groups; group++)
			run_group(conv, group, planes + group * conv->shape.in * conv->channel, weights, channels, (char *)y + image * results,
				  planes + conv->panel_at);
	}
}
