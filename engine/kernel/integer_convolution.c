/*
 * Integer convolutions: see integer_convolution.h.
 */
#include "engine/kernel/integer_convolution.h"

#include <string.h>

#include "engine/kernel/quantise.h"
#include "engine/ref/unaligned.h"

#ifdef __AVX512VBMI__
#include <immintrin.h>
#endif

#define ALIGN 64u
#define UNIT GYR_INTEGER_STEP     /* results that are packed at once */
#define CHUNK 32u                 /* bytes of a row that are copied at once */
#define TAPS_MAX 1024u            /* along an axis: more are left to the twin, and so are */
#define SUM_MAX ((size_t)1 << 20) /* longer sums: what is worked out for each stays small */

/* One axis of the planes. */
struct axis {
	size_t in, out, stride, begin;
	size_t length;       /* of a plane */
	size_t phases;       /* remainders of the stride that taps leave */
	const size_t *phase; /* [phases], the remainders */
};

/* Columns FROM to FROM + UNIT of a panel are what stands from PLACE of a plane on. Where that is too much, the next one covers it. */
struct unit {
	size_t from, place;
};

struct gyr_integer_conv {
	struct gyr_convolution shape;
	struct axis axes[GYR_WINDOW_AXES];
	size_t plane, channel; /* bytes of one plane, and of all planes of a channel */
	size_t results;        /* of one channel */
	size_t k, groups;      /* bytes of a sum, and groups of four */
	bool columns;          /* channels are columns */
	const size_t *offsets; /* [groups * 4]: where the first result's bytes are, from a group's first channel on */
	const int8_t *ones;    /* [groups * 4]: K ones */
	const struct unit *units;
	const size_t *panels;           /* [panels + 1]: the first unit of each */
	size_t row_at, panel_at, bytes; /* in the scratch */
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

/* Cuts the results of a channel into panels, and each panel into units. */
static bool make_units(struct gyr_integer_conv *conv, struct gyr_arena *arena)
{
	const struct axis *axes = conv->axes;
	size_t width = axes[2].out, lines = axes[0].out * axes[1].out, count = (conv->results + GYR_INTEGER_COLUMNS - 1) / GYR_INTEGER_COLUMNS, found = 0;
	struct unit *units = GYR_ARENA_NEW(arena, struct unit, lines + count + conv->results / UNIT);
	size_t *panels = GYR_ARENA_NEW(arena, size_t, count + 1);
	if (units == NULL || panels == NULL)
		return false;
	for (size_t panel = 0, at = 0; panel < count; panel++) {
		size_t first = at, end = first + GYR_INTEGER_COLUMNS < conv->results ? first + GYR_INTEGER_COLUMNS : conv->results;
		size_t full = 0; /* places behind the last one that the unit before still has */
		while (at < end) {
			size_t line = at / width, column = at % width;
			size_t place = (line / axes[1].out * axes[1].length + line % axes[1].out) * axes[2].length + column;
			bool joins = found > panels[panel] && place < full && place - units[found - 1].place == at - first - units[found - 1].from;
			if (!joins) {
				units[found++] = (struct unit){at - first, place};
				full = place + UNIT;
			}
			size_t step = full - place < width - column ? full - place : width - column;
			at += step < end - at ? step : end - at;
		}
		panels[panel + 1] = found;
	}
	conv->units = units;
	conv->panels = panels;
	return true;
}

/* Adds the bytes that a row with its padding takes. False: more than BYTES_MAX. */
static bool row_fits(const struct axis *axis, size_t bytes_max, size_t *bytes)
{
	size_t row = gyr_integer_round_up(axis->length, CHUNK);
	if (!multiply_into(&row, axis->stride) || row > bytes_max || axis->begin + axis->in > bytes_max)
		return false;
	row = row > axis->begin + axis->in ? row : axis->begin + axis->in;
	*bytes += gyr_integer_round_up(row, ALIGN);
	return true;
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
	size_t all = convolution->groups * convolution->in, out = convolution->out;
	fits = fits && multiply_into(&all, conv->channel) && all <= bytes_max;
	if (!fits)
		return NULL;
	const struct axis *axes = conv->axes;
	size_t taps = (size_t)(window[0].kernel * window[1].kernel * window[2].kernel);
	conv->results = axes[0].out * axes[1].out * axes[2].out;
	conv->k = convolution->in * taps;
	if (conv->k > SUM_MAX || !make_units(conv, arena))
		return NULL;
	conv->groups = gyr_integer_round_up(conv->k, GYR_INTEGER_GROUP) / GYR_INTEGER_GROUP;
	conv->columns = gyr_integer_round_up(out, GYR_INTEGER_STEP) * conv->results * 16 < gyr_integer_round_up(conv->results, GYR_INTEGER_STEP) * out * 15;
	/* Units are read and written whole, and chunks written, also beyond the last one's end. */
	conv->row_at = gyr_integer_round_up(all + CHUNK, ALIGN);
	conv->panel_at = conv->row_at;
	if (!row_fits(&axes[2], bytes_max, &conv->panel_at))
		return NULL;
	conv->bytes = conv->panel_at + (conv->groups * GYR_INTEGER_COLUMNS + UNIT) * GYR_INTEGER_GROUP;
	size_t *offsets = GYR_ARENA_NEW(arena, size_t, conv->groups *GYR_INTEGER_GROUP);
	int8_t *ones = GYR_ARENA_NEW(arena, int8_t, conv->groups *GYR_INTEGER_GROUP);
	if (offsets == NULL || ones == NULL || conv->bytes > bytes_max)
		return NULL;
	for (size_t k = 0; k < conv->k; k++) {
		size_t tap = k % taps, at[GYR_WINDOW_AXES] = {tap / (size_t)(window[1].kernel * window[2].kernel),
							      tap / (size_t)window[2].kernel % (size_t)window[1].kernel, tap % (size_t)window[2].kernel};
		size_t plane = (phase[0][at[0]] * axes[1].phases + phase[1][at[1]]) * axes[2].phases + phase[2][at[2]];
		offsets[k] = k / taps * conv->channel + plane * conv->plane + (shift[0][at[0]] * axes[1].length + shift[1][at[1]]) * axes[2].length +
			     shift[2][at[2]];
		ones[k] = 1;
	}
	conv->offsets = offsets;
	conv->ones = ones;
	return conv;
}

bool gyr_integer_conv_columns(const struct gyr_integer_conv *conv)
{
	return conv->columns;
}

size_t gyr_integer_conv_weight_bytes(const struct gyr_integer_conv *conv)
{
	return conv->groups * GYR_INTEGER_GROUP * (conv->columns ? gyr_integer_round_up(conv->shape.out, GYR_INTEGER_STEP) : conv->shape.out);
}

size_t gyr_integer_conv_scratch_bytes(const struct gyr_integer_conv *conv)
{
	return conv->bytes;
}

static inline void copy_chunk(const void *from, uint8_t flip, uint8_t *to)
{
	uint64_t eights[CHUNK / 8], mask = UINT64_C(0x0101010101010101) * flip;
	memcpy(eights, from, sizeof eights);
	for (size_t i = 0; i < CHUNK / 8; i++)
		eights[i] ^= mask;
	memcpy(to, eights, sizeof eights);
}

/* Elements PHASE, PHASE + stride, ... of ROW, a row with its padding, in whole chunks. */
static void copy_row(const struct axis *axis, size_t phase, const uint8_t *row, uint8_t flip, uint8_t *to)
{
	for (size_t first = 0; first < axis->length; first += CHUNK, to += CHUNK) {
		const uint8_t *from = row + first * axis->stride + phase;
		if (axis->stride == 1)
			copy_chunk(from, flip, to);
		else if (axis->stride == 2)
			for (size_t i = 0; i < CHUNK; i++)
				to[i] = from[2 * i] ^ flip;
		else
			for (size_t i = 0; i < CHUNK; i++)
				to[i] = from[i * axis->stride] ^ flip;
	}
}

/* Where element AT of a plane of PHASE comes from, or AXIS->in where from the padding. */
static size_t comes_from(const struct axis *axis, size_t phase, size_t at)
{
	size_t place = at * axis->stride + phase;
	return place >= axis->begin && place - axis->begin < axis->in ? place - axis->begin : axis->in;
}

/* A row of a plane of stride 1: padding, IN elements, which may be read to the end of a chunk, and padding, which is written eight bytes at a time. */
static void copy_whole(const struct axis *axis, const gyr_u8_u *from, uint8_t flip, uint8_t padding, uint8_t *to)
{
	const uint64_t eight = UINT64_C(0x0101010101010101) * padding;
	for (size_t i = 0; i < axis->begin; i += sizeof eight)
		memcpy(to + i, &eight, sizeof eight);
	for (size_t first = 0; first < axis->in; first += CHUNK)
		copy_chunk(from + first, flip, to + axis->begin + first);
	for (size_t i = axis->begin + axis->in; i < axis->length; i += sizeof eight)
		memcpy(to + i, &eight, sizeof eight);
}

/* The planes of a channel, FROM; the image ends at END. ROW has padding where a row's elements do not come. */
static void copy_channel(const struct gyr_integer_conv *conv, const gyr_u8_u *from, const gyr_u8_u *end, uint8_t flip, uint8_t padding, uint8_t *row,
			 uint8_t *to)
{
	const struct axis *axes = conv->axes;
	for (size_t plane = 0; plane < conv->channel / conv->plane; plane++) {
		size_t columns = axes[2].phase[plane % axes[2].phases], rows = axes[1].phase[plane / axes[2].phases % axes[1].phases],
		       depths = axes[0].phase[plane / axes[2].phases / axes[1].phases];
		for (size_t depth = 0; depth < axes[0].length; depth++) {
			size_t z = comes_from(&axes[0], depths, depth);
			for (size_t line = 0; line < axes[1].length; line++, to += axes[2].length) {
				size_t y = comes_from(&axes[1], rows, line);
				const gyr_u8_u *elements = from + (z * axes[1].in + y) * axes[2].in;
				if (z == axes[0].in || y == axes[1].in) {
					memset(to, padding ^ flip, axes[2].length);
				} else if (axes[2].stride == 1 && axes[2].begin + axes[2].in <= axes[2].length &&
					   (size_t)(end - elements) >= axes[2].in + CHUNK) {
					copy_whole(&axes[2], elements, flip, padding ^ flip, to);
				} else {
					memcpy(row + axes[2].begin, elements, axes[2].in);
					copy_row(&axes[2], columns, row, flip, to);
				}
			}
		}
	}
}

/* UNIT bytes of each of four lines, one after another. */
static inline void interleave(const uint8_t *const lines[GYR_INTEGER_GROUP], uint8_t *to)
{
#ifdef __AVX512VBMI__
	static const uint8_t order[64] = {0,  16, 32, 48, 1,  17, 33, 49, 2,  18, 34, 50, 3,  19, 35, 51, 4,  20, 36, 52, 5,  21,
					  37, 53, 6,  22, 38, 54, 7,  23, 39, 55, 8,  24, 40, 56, 9,  25, 41, 57, 10, 26, 42, 58,
					  11, 27, 43, 59, 12, 28, 44, 60, 13, 29, 45, 61, 14, 30, 46, 62, 15, 31, 47, 63};
	__m512i all = _mm512_castsi128_si512(_mm_loadu_si128((const void *)lines[0]));
	all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)lines[1]), 1);
	all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)lines[2]), 2);
	all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)lines[3]), 3);
	_mm512_storeu_si512(to, _mm512_permutexvar_epi8(_mm512_loadu_si512(order), all));
#else
	for (size_t column = 0; column < UNIT; column++)
		for (size_t i = 0; i < GYR_INTEGER_GROUP; i++)
			to[column * GYR_INTEGER_GROUP + i] = lines[i][column];
#endif
}

/* What the results of panel PANEL, which has COLUMNS, see. */
static void pack_panel(const struct gyr_integer_conv *conv, size_t panel, const uint8_t *planes, size_t columns, uint8_t *to)
{
	const struct unit *end = conv->units + conv->panels[panel + 1];
	const size_t *offsets = conv->offsets;
	for (size_t group = 0; group < conv->groups; group++, offsets += GYR_INTEGER_GROUP, to += columns * GYR_INTEGER_GROUP) {
		const uint8_t *const starts[GYR_INTEGER_GROUP] = {planes + offsets[0], planes + offsets[1], planes + offsets[2], planes + offsets[3]};
		for (const struct unit *unit = conv->units + conv->panels[panel]; unit < end; unit++) {
			const uint8_t *const lines[GYR_INTEGER_GROUP] = {starts[0] + unit->place, starts[1] + unit->place, starts[2] + unit->place,
									 starts[3] + unit->place};
			interleave(lines, to + unit->from * GYR_INTEGER_GROUP);
		}
	}
}

/* COUNT sums of one channel, and the sums of what each window SEEs, become results. */
static void finish_channel(const struct gyr_integer_channels *channels, size_t channel, size_t count, int32_t *sums, const int32_t *seen, char *y)
{
	uint32_t added = channels->added[channel];
	if (channels->zeros != NULL)
		for (size_t i = 0; i < count; i++)
			sums[i] = (int32_t)((uint32_t)sums[i] - channels->zeros[channel] * (uint32_t)seen[i]);
	if (channels->dtype != GYR_DTYPE_I32) {
		gyr_kernel_requantise_by(channels->dtype, count, sums, added, channels->factors[channel], channels->zero, y);
		return;
	}
	for (size_t i = 0; i < count; i++)
		((gyr_i32_u *)(void *)y)[i] = (int32_t)((uint32_t)sums[i] + added);
}

/* COUNT channels from FIRST on of one result become results, in the order of channels. */
static void finish_result(const struct gyr_integer_channels *channels, size_t first, size_t count, int32_t *sums, int32_t seen, char *to)
{
	if (channels->zeros != NULL)
		for (size_t i = 0; i < count; i++)
			sums[i] = (int32_t)((uint32_t)sums[i] - channels->zeros[first + i] * (uint32_t)seen);
	if (channels->dtype != GYR_DTYPE_I32) {
		gyr_kernel_requantise(channels->dtype, count, sums, channels->added + first, channels->factors + first, channels->zero, to);
		return;
	}
	for (size_t i = 0; i < count; i++)
		((int32_t *)(void *)to)[i] = (int32_t)((uint32_t)sums[i] + channels->added[first + i]);
}

/* What is needed for one panel. */
struct part {
	const struct gyr_integer_conv *conv;
	const struct gyr_integer_channels *channels;
	const uint8_t *panel;
	size_t first, count; /* results */
	size_t channel;      /* the first of the group */
	const uint8_t *weights;
	size_t item; /* bytes of a result */
	char *y;     /* the image's */
	const int32_t *seen;
};

/* The channels of a group as rows. */
static void multiply_rows(const struct part *part)
{
	_Alignas(ALIGN) int32_t sums[GYR_INTEGER_ROWS * GYR_INTEGER_COLUMNS];
	const struct gyr_integer_conv *conv = part->conv;
	size_t out = conv->shape.out, parts = (out + GYR_INTEGER_ROWS - 1) / GYR_INTEGER_ROWS, row_bytes = conv->groups * GYR_INTEGER_GROUP;
	struct gyr_integer_tile tile = {.groups = conv->groups,
					.columns = gyr_integer_round_up(part->count, GYR_INTEGER_STEP),
					.row_bytes = row_bytes,
					.group_bytes = GYR_INTEGER_GROUP,
					.panel = part->panel};
	for (size_t i = 0, row = 0; i < parts; i++, row += tile.rows) {
		tile.rows = (out - row + parts - i - 1) / (parts - i);
		tile.side = part->weights + row * row_bytes;
		gyr_integer_tile(&tile, sums);
		for (size_t k = 0; k < tile.rows; k++)
			finish_channel(part->channels, part->channel + row + k, part->count, sums + k * GYR_INTEGER_COLUMNS, part->seen,
				       part->y + ((part->channel + row + k) * conv->results + part->first) * part->item);
	}
}

/* Results stand side by side by channel, and go to where each channel's are. */
static void turn(const struct part *part, size_t first, size_t channels, const char *from)
{
	char *to = part->y + ((part->channel + first) * part->conv->results + part->first) * part->item;
	for (size_t channel = 0; channel < channels; channel++, to += part->conv->results * part->item) {
		if (part->item == 1)
			for (size_t i = 0; i < part->count; i++)
				to[i] = from[i * GYR_INTEGER_COLUMNS + channel];
		else
			for (size_t i = 0; i < part->count; i++)
				((gyr_i32_u *)(void *)to)[i] = ((const int32_t *)(const void *)from)[i * GYR_INTEGER_COLUMNS + channel];
	}
}

/* The channels of a group as columns. */
static void multiply_columns(const struct part *part)
{
	_Alignas(ALIGN) int32_t sums[GYR_INTEGER_ROWS * GYR_INTEGER_COLUMNS];
	_Alignas(ALIGN) char turned[GYR_INTEGER_COLUMNS * GYR_INTEGER_COLUMNS * sizeof(int32_t)];
	const struct gyr_integer_conv *conv = part->conv;
	size_t out = conv->shape.out, parts = (part->count + GYR_INTEGER_ROWS - 1) / GYR_INTEGER_ROWS;
	struct gyr_integer_tile tile = {.groups = conv->groups,
					.row_bytes = GYR_INTEGER_GROUP,
					.group_bytes = gyr_integer_round_up(part->count, GYR_INTEGER_STEP) * GYR_INTEGER_GROUP,
					.panel_signed = true};
	for (size_t first = 0; first < out; first += GYR_INTEGER_COLUMNS) {
		size_t used = out - first < GYR_INTEGER_COLUMNS ? out - first : GYR_INTEGER_COLUMNS;
		tile.columns = gyr_integer_round_up(used, GYR_INTEGER_STEP);
		tile.panel = part->weights + first * conv->groups * GYR_INTEGER_GROUP;
		for (size_t i = 0, row = 0; i < parts; i++, row += tile.rows) {
			tile.rows = (part->count - row + parts - i - 1) / (parts - i);
			tile.side = part->panel + row * GYR_INTEGER_GROUP;
			gyr_integer_tile(&tile, sums);
			for (size_t k = 0; k < tile.rows; k++)
				finish_result(part->channels, part->channel + first, used, sums + k * GYR_INTEGER_COLUMNS, part->seen[row + k],
					      turned + (row + k) * GYR_INTEGER_COLUMNS * part->item);
		}
		turn(part, first, used, turned);
	}
}

/* All results of one image. */
static void run_image(const struct gyr_integer_conv *conv, uint8_t *scratch, const uint8_t *weights, const struct gyr_integer_channels *channels, char *y)
{
	_Alignas(ALIGN) int32_t seen[GYR_INTEGER_COLUMNS] = {0};
	uint8_t *panel = scratch + conv->panel_at;
	struct part part = {
		.conv = conv, .channels = channels, .panel = panel, .item = channels->dtype == GYR_DTYPE_I32 ? sizeof(int32_t) : 1, .y = y, .seen = seen};
	for (size_t group = 0; group < conv->shape.groups; group++) {
		const uint8_t *planes = scratch + group * conv->shape.in * conv->channel;
		part.channel = group * conv->shape.out;
		part.weights = weights + group * gyr_integer_conv_weight_bytes(conv);
		for (size_t i = 0; i * GYR_INTEGER_COLUMNS < conv->results; i++) {
			part.first = i * GYR_INTEGER_COLUMNS;
			part.count = conv->results - part.first < GYR_INTEGER_COLUMNS ? conv->results - part.first : GYR_INTEGER_COLUMNS;
			size_t columns = gyr_integer_round_up(part.count, GYR_INTEGER_STEP);
			pack_panel(conv, i, planes, columns, panel);
			if (channels->zeros != NULL)
				gyr_integer_tile(&(struct gyr_integer_tile){.groups = conv->groups,
									    .rows = 1,
									    .columns = columns,
									    .side = conv->ones,
									    .group_bytes = GYR_INTEGER_GROUP,
									    .panel = panel},
						 seen);
			if (conv->columns)
				multiply_columns(&part);
			else
				multiply_rows(&part);
		}
	}
}

void gyr_integer_conv_run(const struct gyr_integer_conv *conv, enum gyr_dtype dtype, const void *x, uint8_t zero, const void *weights,
			  const struct gyr_integer_channels *channels, void *y, void *scratch)
{
	const struct axis *axes = conv->axes;
	size_t elements = axes[0].in * axes[1].in * axes[2].in, in = conv->shape.groups * conv->shape.in;
	size_t bytes = conv->results * conv->shape.groups * conv->shape.out * (channels->dtype == GYR_DTYPE_I32 ? sizeof(int32_t) : 1);
	uint8_t flip = dtype == GYR_DTYPE_I8 ? 0x80 : 0, *planes = scratch;
	const gyr_u8_u *from = x;
	memset(planes + conv->row_at, zero, conv->panel_at - conv->row_at);
	for (size_t image = 0; image < conv->shape.batch; image++) {
		for (size_t channel = 0; channel < in; channel++, from += elements)
			copy_channel(conv, from, (const gyr_u8_u *)x + conv->shape.batch * in * elements, flip, zero, planes + conv->row_at,
				     planes + channel * conv->channel);
		run_image(conv, scratch, weights, channels, (char *)y + image * bytes);
	}
}
