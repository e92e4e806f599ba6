/*
 * Convolutions with channels last: see conv_last.h.
 *
 * The outputs of a group are cut into panels of up to LAST_PANEL vectors. Packed, a panel holds its weights for every tap and every input channel, one after
 * the other, a vector beside a vector, padded with zeros, in the order in which a tile reads them; so one product's row has length taps * in.
 *
 * A tile is a few pixels times a panel, whose sums stay in registers while the taps go by. The pixels of a tile need not be neighbours: each has, for each tap,
 * a pointer to where its channels begin, or to zeros where the tap is in the padding. Where the windows of all pixels lie inside along the last axis, a row of
 * taps is contiguous in X ("merged"), and is one run.
 *
 * So that a panel's weights are read from the nearest cache, long sums are cut: a part of the panel is multiplied with all tiles of a few images before the
 * next part is, and Y holds the sums in between.
 */
#include "engine/kernel/conv_last.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/kernel/function.h"
#include "engine/kernel/last.h"
#include "engine/kernel/tile_last.h"
#include "engine/kernel/winograd.h"
#include "engine/ref/unaligned.h"

#define DEPTH_VECTORS 4u
#define ALIGN 64u
#define PART 256u                /* of a sum, at least, before it is cut */
#define CHUNK_BYTES (192u << 10) /* of X, that are multiplied with one part of a panel */

static size_t round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

static size_t taps_of(const struct gyr_conv_last *conv)
{
	const struct gyr_window_axis *axes = conv->shape.window.axes;
	return (size_t)(axes[0].kernel * axes[1].kernel * axes[2].kernel);
}

/* What a run of X is long: one tap, or a row of taps. */
static size_t run_length(const struct gyr_conv_last *conv, bool merged)
{
	return conv->shape.in * (merged ? (size_t)conv->shape.window.axes[2].kernel : 1);
}

void gyr_conv_last_plan(struct gyr_conv_last *conv)
{
	const struct gyr_window_axis *last = &conv->shape.window.axes[2];
	GYR_ASSERT(!conv->shape.transposed);
	conv->depthwise = conv->shape.in == 1 && conv->shape.out == 1 && conv->shape.groups > 1;
	conv->merged = conv->shape.groups == 1 && last->dilation == 1 && last->kernel > 1;
	conv->plain = taps_of(conv) == 1;
	for (uint32_t i = 0; i < GYR_WINDOW_AXES; i++)
		conv->plain = conv->plain && conv->shape.window.axes[i].stride == 1 && conv->shape.window.axes[i].in == conv->shape.window.axes[i].out;
	size_t zeros = round_up(run_length(conv, conv->merged) * sizeof(float), ALIGN);
	conv->scratch_bytes = zeros + taps_of(conv) * LAST_ROWS_MAX * sizeof(float *);
	conv->winograd = winograd_suits(conv);
	if (conv->winograd)
		conv->scratch_bytes = round_up(conv->scratch_bytes, ALIGN) + winograd_scratch(conv);
}

/* Floats of the bias, in front of the weights: each group's begins with a vector. */
static size_t group_stride(const struct gyr_conv_last *conv)
{
	return conv->depthwise ? 1 : round_up(conv->shape.out, LANES);
}

static size_t bias_floats(const struct gyr_conv_last *conv)
{
	return round_up(conv->shape.groups * group_stride(conv), LANES);
}

/* The floats of what a plain sum reads: bias and weights. */
static size_t plain_floats(const struct gyr_conv_last *conv)
{
	return bias_floats(conv) * (1 + taps_of(conv) * conv->shape.in);
}

size_t gyr_conv_last_packed(const struct gyr_conv_last *conv)
{
	return plain_floats(conv) + (conv->winograd ? winograd_packed(conv) : 0);
}

void gyr_conv_last_pack(const struct gyr_conv_last *conv, const void *weights, const void *bias, float *packed)
{
	const gyr_f32_u *w = weights, *b = bias;
	const size_t out = conv->shape.out, in = conv->shape.in, taps = taps_of(conv), stride = group_stride(conv), width = bias_floats(conv);
	memset(packed, 0, plain_floats(conv) * sizeof *packed);
	if (conv->winograd)
		winograd_pack(conv, w, packed + plain_floats(conv));
	for (size_t o = 0; b != NULL && o < conv->shape.groups * out; o++)
		packed[o / out * stride + o % out] = b[o];
	packed += width;
	if (conv->depthwise) {
		for (size_t tap = 0; tap < taps; tap++)
			for (size_t c = 0; c < conv->shape.groups; c++)
				packed[tap * width + c] = w[c * taps + tap];
		return;
	}
	for (size_t group = 0; group < conv->shape.groups; group++, w += out * in * taps) {
		for (size_t first = 0; first < stride; first += LAST_PANEL * LANES) {
			size_t panel = stride - first < LAST_PANEL * LANES ? stride - first : LAST_PANEL * LANES;
			for (size_t tap = 0; tap < taps; tap++)
				for (size_t c = 0; c < in; c++, packed += panel)
					for (size_t o = first; o < first + panel && o < out; o++)
						packed[o - first] = w[(o * in + c) * taps + tap];
		}
	}
}

/* The activations that a tile does not do itself, over COUNT numbers. */
static void activate(const struct gyr_conv_last *conv, gyr_f32_u *y, size_t count)
{
	const float alpha = conv->alpha, beta = conv->beta;
#define EACH(expression)                                                                                                                                       \
	for (size_t i = 0; i < count; i++) {                                                                                                                   \
		const float v = y[i];                                                                                                                          \
		y[i] = (expression);                                                                                                                           \
	}                                                                                                                                                      \
	return
	switch (conv->activation) {
	case GYR_CONV_LEAKY: EACH(v < 0 ? alpha * v : v);
	case GYR_CONV_SIGMOID: EACH(gyr_sigmoid(v));
	case GYR_CONV_TANH: EACH(gyr_tanh(v));
	case GYR_CONV_HARD_SIGMOID: EACH(alpha * v + beta < 0 ? 0 : alpha * v + beta > 1 ? 1 : alpha * v + beta);
	case GYR_CONV_HARD_SWISH: EACH(v * (alpha * v + beta < 0 ? 0 : alpha * v + beta > 1 ? 1 : alpha * v + beta));
	case GYR_CONV_SWISH: EACH(v * gyr_sigmoid(alpha * v));
	case GYR_CONV_CLIP:
	case GYR_CONV_ACTIVATION_COUNT: break;
	}
#undef EACH
}

/* What all tiles of one convolution share. */
struct walk {
	const struct gyr_conv_last *conv;
	const float *zeros;
	const float **pointers;
	size_t in_pixels, out_pixels, channels; /* of an image of X and Y; of X */
	float low, high;
};

/*
 * Fills in the pointers of ROWS pixels from FIRST on for runs [BEGIN, END) of LENGTH, X being the group's first channel in the image. MERGED: each run is a row
 * of taps.
 */
static void point(const struct walk *walk, const gyr_f32_u *x, const struct origin *origins, size_t rows, size_t begin, size_t end, bool merged)
{
	const struct gyr_window_axis *axes = walk->conv->shape.window.axes;
	const float **to = walk->pointers;
	const int64_t width = merged ? 1 : axes[2].kernel;
	for (size_t run = begin; run < end; run++) {
		const int64_t tap_x = (int64_t)run % width, rest = (int64_t)run / width;
		const int64_t z = rest / axes[1].kernel * axes[0].dilation, y = rest % axes[1].kernel * axes[1].dilation, w = tap_x * axes[2].dilation;
		for (size_t i = 0; i < rows; i++) {
			const int64_t at_z = origins[i].at[0] + z, at_y = origins[i].at[1] + y, at_x = origins[i].at[2] + w;
			const bool inside =
				(uint64_t)at_z < (uint64_t)axes[0].in && (uint64_t)at_y < (uint64_t)axes[1].in && (uint64_t)at_x < (uint64_t)axes[2].in;
			const int64_t pixel = (at_z * axes[1].in + at_y) * axes[2].in + at_x;
			*to++ = inside ? (const float *)(x + pixel * (int64_t)walk->channels) : walk->zeros;
		}
	}
}

/* Rows [PART_BEGIN, PART_END) of a panel times the pixels of one image. */
static void run_part(const struct walk *walk, struct last_tile *tile, const gyr_f32_u *x, size_t vectors, size_t part_begin, size_t part_end)
{
	const struct gyr_conv_last *conv = walk->conv;
	const struct gyr_window_axis *last = &conv->shape.window.axes[2];
	const size_t steps = (walk->out_pixels + last_tile_rows(vectors) - 1) / last_tile_rows(vectors);
	const size_t rows_low = walk->out_pixels / steps, higher = walk->out_pixels % steps; /* so many tiles have a row more */
	const size_t weights = (part_end - part_begin) * vectors * LANES;
	gyr_f32_u *y = tile->y;
	const gyr_f32_u *added = tile->added;
	struct origin origin = first_origin(&conv->shape.window);
	for (size_t step = 0, pixel = 0; step < steps; step++) {
		const size_t rows = rows_low + (step < higher);
		struct origin origins[LAST_ROWS_MAX];
		bool merged = conv->merged;
		for (size_t i = 0; i < rows && !conv->plain; i++) {
			origins[i] = origin;
			next_origin(&conv->shape.window, &origin);
			merged = merged && origins[i].at[2] >= 0 && origins[i].at[2] + last->kernel <= last->in;
		}
		const size_t length = run_length(conv, merged), begin = part_begin / length, end = (part_end + length - 1) / length;
		if (walk->conv->plain)
			for (size_t i = 0; i < rows; i++)
				walk->pointers[i] = (const float *)(x + (pixel + i) * walk->channels);
		else
			point(walk, x, origins, rows, begin, end, merged);
		tile->runs = end - begin;
		tile->skip = part_begin - begin * length;
		tile->length = length;
		tile->last = part_end - (end - 1) * length;
		tile->ahead = tile->weights + weights + weights * step / steps; /* its share of the next part */
		tile->y = y + pixel * conv->y_stride;
		tile->added = added == NULL ? NULL : added + pixel * tile->added_stride;
		last_tile_run(tile, rows, vectors);
		if (tile->ends && conv->activation != GYR_CONV_CLIP)
			for (size_t i = 0; i < rows; i++)
				activate(conv, tile->y + i * conv->y_stride, tile->outputs);
		pixel += rows;
	}
	tile->y = y;
	tile->added = added;
}

/* One panel: VECTORS of outputs from FIRST on, of group GROUP, for COUNT images. */
static void run_panel(const struct walk *walk, const float *bias, const float *weights, size_t group, size_t first, size_t vectors, size_t count,
		      const gyr_f32_u *x, const gyr_f32_u *added, gyr_f32_u *y)
{
	const struct gyr_conv_last *conv = walk->conv;
	const size_t in = conv->shape.in, out = conv->shape.out, length = taps_of(conv) * in;
	const size_t parts = length < 2 * PART ? 1 : length / PART;
	const size_t y_channel = group * out + first, outputs = out - first < vectors * LANES ? out - first : vectors * LANES;
	for (size_t part = 0; part < parts; part++) {
		const size_t begin = length * part / parts, end = length * (part + 1) / parts;
		for (size_t image = 0; image < count; image++) {
			struct last_tile tile = {
				.pointers = walk->pointers,
				.weights = weights + begin * vectors * LANES,
				.bias = part == 0 ? bias : NULL,
				.y = y + image * walk->out_pixels * conv->y_stride + y_channel,
				.y_stride = conv->y_stride,
				.added = added == NULL ? NULL : added + image * walk->out_pixels * conv->shape.groups * out + y_channel,
				.added_stride = conv->shape.groups * out,
				.outputs = outputs,
				.ends = part + 1 == parts,
				.low = walk->low,
				.high = walk->high,
			};
			run_part(walk, &tile, x + image * walk->in_pixels * walk->channels + group * in, vectors, begin, end);
		}
	}
}

static void run_dense(const struct walk *walk, const float *packed, const gyr_f32_u *x, const gyr_f32_u *added, gyr_f32_u *y)
{
	const struct gyr_conv_last *conv = walk->conv;
	const size_t stride = group_stride(conv), length = taps_of(conv) * conv->shape.in, batch = conv->shape.batch;
	const size_t image_bytes = walk->in_pixels * walk->channels * sizeof(float);
	const size_t chunk = image_bytes >= CHUNK_BYTES ? 1 : CHUNK_BYTES / image_bytes;
	for (size_t image = 0; image < batch; image += chunk) {
		const size_t count = batch - image < chunk ? batch - image : chunk;
		const float *bias = packed, *weights = packed + bias_floats(conv);
		for (size_t group = 0; group < conv->shape.groups; group++) {
			for (size_t first = 0; first < stride; first += LAST_PANEL * LANES) {
				const size_t vectors = stride - first < LAST_PANEL * LANES ? (stride - first) / LANES : LAST_PANEL;
				run_panel(walk, bias, weights, group, first, vectors, count, x + image * walk->in_pixels * walk->channels,
					  added == NULL ? NULL : added + image * walk->out_pixels * conv->shape.groups * conv->shape.out,
					  y + image * walk->out_pixels * conv->y_stride);
				bias += vectors * LANES;
				weights += length * vectors * LANES;
			}
		}
	}
}

/* VECTORS of channels of one pixel of a depthwise convolution, COUNT channels in the last: X is the first of them in the image, W that of the first tap. */
static inline __attribute__((always_inline)) void run_channels(const struct walk *walk, const struct origin *origin, const struct range ranges[3],
							       const gyr_f32_u *x, const float *bias, const float *w, const gyr_f32_u *added, gyr_f32_u *y,
							       const size_t vectors, size_t count)
{
	const struct gyr_window_axis *axes = walk->conv->shape.window.axes;
	const int64_t channels = (int64_t)walk->channels, width = (int64_t)bias_floats(walk->conv);
	vector sums[DEPTH_VECTORS];
#pragma GCC unroll 4
	for (size_t j = 0; j < vectors; j++)
		sums[j] = *(const vector *)(bias + j * LANES);
	for (int64_t tap_z = ranges[0].begin; tap_z < ranges[0].end; tap_z++) {
		for (int64_t tap_y = ranges[1].begin; tap_y < ranges[1].end; tap_y++) {
			const int64_t at_y = (origin->at[0] + tap_z * axes[0].dilation) * axes[1].in + origin->at[1] + tap_y * axes[1].dilation;
			const gyr_f32_u *from = x + (at_y * axes[2].in + origin->at[2] + ranges[2].begin * axes[2].dilation) * channels;
			const float *weights = w + ((tap_z * axes[1].kernel + tap_y) * axes[2].kernel + ranges[2].begin) * width;
			for (int64_t tap_x = ranges[2].begin; tap_x < ranges[2].end; tap_x++) {
#pragma GCC unroll 4
				for (size_t j = 0; j < vectors; j++)
					sums[j] += LOAD(from, j, vectors, count) * *(const vector *)(weights + j * LANES);
				from += axes[2].dilation * channels;
				weights += width;
			}
		}
	}
#pragma GCC unroll 4
	for (size_t j = 0; j < vectors; j++) {
		if (added != NULL)
			sums[j] += LOAD(added, j, vectors, count);
		sums[j] = clip(sums[j], walk->low, walk->high);
		if (j + 1 < vectors)
			*(vector *)(y + j * LANES) = sums[j];
		else
			store_part(y + j * LANES, &sums[j], count);
	}
}

static void run_depthwise(const struct walk *walk, const float *packed, const gyr_f32_u *x, const gyr_f32_u *added, gyr_f32_u *y)
{
	const struct gyr_window_axis *axes = walk->conv->shape.window.axes;
	const size_t channels = walk->channels, width = bias_floats(walk->conv), images = walk->conv->shape.batch;
	struct origin origin = first_origin(&walk->conv->shape.window);
	for (size_t pixel = 0; pixel < images * walk->out_pixels; pixel++, y += walk->conv->y_stride, next_origin(&walk->conv->shape.window, &origin)) {
		const gyr_f32_u *image = x + pixel / walk->out_pixels * walk->in_pixels * channels;
		const struct range ranges[GYR_WINDOW_AXES] = {inside(&axes[0], origin.at[0]), inside(&axes[1], origin.at[1]), inside(&axes[2], origin.at[2])};
		size_t c = 0;
		for (; c + DEPTH_VECTORS * LANES <= channels; c += DEPTH_VECTORS * LANES)
			run_channels(walk, &origin, ranges, image + c, packed + c, packed + width + c, added == NULL ? NULL : added + c, y + c, DEPTH_VECTORS,
				     LANES);
		for (; c < channels; c += LANES)
			run_channels(walk, &origin, ranges, image + c, packed + c, packed + width + c, added == NULL ? NULL : added + c, y + c, 1,
				     channels - c < LANES ? channels - c : LANES);
		if (walk->conv->activation != GYR_CONV_CLIP)
			activate(walk->conv, y, channels);
		added = added == NULL ? NULL : added + channels;
	}
}

/* One image, the fast way where its numbers allow that. */
static void run_image(const struct walk *walk, const float *packed, const gyr_f32_u *x, const gyr_f32_u *added, gyr_f32_u *y, void *scratch)
{
	const struct gyr_conv_last *conv = walk->conv;
	struct gyr_conv_last one = *conv;
	struct walk alone = *walk;
	const bool clips = conv->activation == GYR_CONV_CLIP;
	one.shape.batch = 1;
	alone.conv = &one;
	if (!winograd_run(conv, packed + plain_floats(conv), packed, walk->low, walk->high, x, added, y, scratch))
		run_dense(&alone, packed, x, added, y);
	else
		for (size_t pixel = 0; pixel < walk->out_pixels && !clips; pixel++)
			activate(conv, y + pixel * conv->y_stride, conv->shape.out);
}

void gyr_conv_last_run(const struct gyr_conv_last *conv, const float *packed, const void *x, const void *added, void *y, void *scratch)
{
	const struct gyr_window_axis *axes = conv->shape.window.axes;
	const size_t zeros = run_length(conv, conv->merged);
	const bool clips = conv->activation == GYR_CONV_CLIP;
	const struct walk walk = {
		.conv = conv,
		.zeros = scratch,
		.pointers = (const float **)((char *)scratch + round_up(zeros * sizeof(float), ALIGN)),
		.in_pixels = (size_t)(axes[0].in * axes[1].in * axes[2].in),
		.out_pixels = (size_t)(axes[0].out * axes[1].out * axes[2].out),
		.channels = conv->shape.groups * conv->shape.in,
		.low = clips ? conv->alpha : -INFINITY,
		.high = clips ? conv->beta : INFINITY,
	};
	memset(scratch, 0, round_up(zeros * sizeof(float), ALIGN));
	if (conv->depthwise)
		run_depthwise(&walk, packed, x, added, y);
	else if (!conv->winograd)
		run_dense(&walk, packed, x, added, y);
	for (size_t image = 0; conv->winograd && image < conv->shape.batch; image++)
		run_image(&walk, packed, (const gyr_f32_u *)x + image * walk.in_pixels * walk.channels,
			  added == NULL ? NULL : (const gyr_f32_u *)added + image * walk.out_pixels * conv->shape.out,
			  (gyr_f32_u *)y + image * walk.out_pixels * conv->y_stride, (char *)scratch + conv->scratch_bytes - winograd_scratch(conv));
}
