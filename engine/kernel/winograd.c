/*
 * Winograd's convolutions: see winograd.h.
 *
 * A tile of 6x6 pixels of X gives 4x4 of Y. A block of tiles is transformed, V[36][tiles][channels]; each of the 36 matrices is multiplied with its weights,
 * one panel of outputs after the other, M[36][tiles][panel]; and that is transformed back. A block is so large that V stays in the L2 cache.
 */
#include "engine/kernel/winograd.h"

#include <string.h>

#include "engine/kernel/last.h"
#include "engine/kernel/tile_last.h"

#define EDGE 6u /* of a tile */
#define OUT 4u  /* pixels along an edge of the result */
#define POINTS (EDGE * EDGE)
#define A 0.625f /* the polynomials are known at 0, A, -A, B, -B and infinity; powers and products of these are exact */
#define B 1.5f
#define BLOCK_BYTES ((size_t)768 << 10)
#define WEIGHT_BYTES ((size_t)16 << 20) /* more of them would be read from memory at each image */
#define TILES_MIN 9u                    /* fewer rows a product do not make up for its larger weights */
#define SPEEDUP_MIN 1.6                 /* in multiplications, edges counted */
#define ALIGN 64u

static size_t round_up(size_t value, size_t step)
{
	return (value + step - 1) / step * step;
}

/* Tiles along axis AXIS of the window. */
static size_t tiles_along(const struct gyr_conv_last *conv, uint32_t axis)
{
	return ((size_t)conv->shape.window.axes[axis].out + OUT - 1) / OUT;
}

static size_t tiles_of(const struct gyr_conv_last *conv)
{
	return tiles_along(conv, 1) * tiles_along(conv, 2);
}

/* The tiles of a block, at most all. */
static size_t block_of(const struct gyr_conv_last *conv)
{
	size_t fit = BLOCK_BYTES / (POINTS * conv->shape.in * sizeof(float)), all = tiles_of(conv);
	fit = fit < 12 ? 12 : fit > 96 ? 96 : fit;
	size_t blocks = (all + fit - 1) / fit;
	return (all + blocks - 1) / blocks;
}

bool winograd_suits(const struct gyr_conv_last *conv)
{
	const struct gyr_window_axis *axes = conv->shape.window.axes;
	if (conv->shape.groups != 1 || axes[0].kernel != 1 || axes[0].in != 1 || axes[0].out != 1)
		return false;
	for (uint32_t i = 1; i < GYR_WINDOW_AXES; i++)
		if (axes[i].kernel != 3 || axes[i].stride != 1 || axes[i].dilation != 1)
			return false;
	double speedup = (double)(axes[1].out * axes[2].out) / (double)(OUT * tiles_of(conv));
	return conv->shape.in >= LANES && conv->shape.out >= LANES && tiles_of(conv) >= TILES_MIN && speedup >= SPEEDUP_MIN &&
	       conv->shape.in <= WEIGHT_BYTES / sizeof(float) / POINTS / conv->shape.out;
}

size_t winograd_packed(const struct gyr_conv_last *conv)
{
	return POINTS * conv->shape.in * round_up(conv->shape.out, LANES);
}

static size_t v_floats(const struct gyr_conv_last *conv)
{
	return round_up(POINTS * block_of(conv) * conv->shape.in, ALIGN / sizeof(float));
}

static size_t m_floats(const struct gyr_conv_last *conv)
{
	return round_up(POINTS * block_of(conv) * LAST_PANEL * LANES, ALIGN / sizeof(float));
}

size_t winograd_scratch(const struct gyr_conv_last *conv)
{
	const struct gyr_window_axis *axes = conv->shape.window.axes;
	return (v_floats(conv) + m_floats(conv)) * sizeof(float) +
	       round_up((size_t)(axes[1].in * axes[2].in) * sizeof(vector) + tiles_of(conv) * sizeof(float), ALIGN);
}

void winograd_pack(const struct gyr_conv_last *conv, const gyr_f32_u *weights, float *packed)
{
	const double zero = A * A * B * B, as = 2 * A * A * (A * A - B * B), bs = 2 * B * B * (B * B - A * A);
	const double g[EDGE][3] = {
		{1 / zero, 0, 0}, {1 / as, A / as, A * A / as}, {1 / as, -A / as, A * A / as}, {1 / bs, B / bs, B * B / bs}, {1 / bs, -B / bs, B * B / bs},
		{0, 0, 1}};
	const size_t in = conv->shape.in, out = conv->shape.out, stride = round_up(out, LANES);
	memset(packed, 0, winograd_packed(conv) * sizeof *packed);
	for (size_t o = 0; o < out; o++) {
		const size_t first = o / (LAST_PANEL * LANES) * (LAST_PANEL * LANES);
		const size_t width = stride - first < LAST_PANEL * LANES ? stride - first : LAST_PANEL * LANES;
		for (size_t c = 0; c < in; c++, weights += 9) {
			double half[EDGE][3];
			for (size_t i = 0; i < EDGE; i++)
				for (size_t k = 0; k < 3; k++)
					half[i][k] = g[i][0] * weights[k] + g[i][1] * weights[3 + k] + g[i][2] * weights[6 + k];
			for (size_t i = 0; i < EDGE; i++)
				for (size_t j = 0; j < EDGE; j++)
					packed[first * POINTS * in + ((i * EDGE + j) * in + c) * width + o - first] =
						(float)(g[j][0] * half[i][0] + g[j][1] * half[i][1] + g[j][2] * half[i][2]);
		}
	}
}

/* SUMS gets, lane by lane, the sum of |x| over the channels of each pixel. */
static void weigh(const struct gyr_conv_last *conv, const gyr_f32_u *x, vector *sums)
{
	const struct gyr_window_axis *axes = conv->shape.window.axes;
	const size_t channels = conv->shape.in;
	typedef int32_t bits __attribute__((vector_size(LANES * sizeof(int32_t))));
	for (int64_t pixel = 0; pixel < axes[1].in * axes[2].in; pixel++, x += channels) {
		vector sum = {0};
		for (size_t c = 0; c < channels; c += LANES) {
			const vector v = channels - c < LANES ? load_part(x + c, channels - c) : *(const vector *)(x + c);
			sum += (vector)((bits)v & INT32_MAX);
		}
		sums[pixel] = sum;
	}
}

/* Whether no tile of the image outweighs many others, by the SUMS of its pixels. Not where there is a NaN. WEIGHTS has room for one number a tile. */
static bool even(const struct gyr_conv_last *conv, const vector *sums, float *weights)
{
	const struct gyr_window_axis *axes = conv->shape.window.axes;
	const size_t across = tiles_along(conv, 2), tiles = tiles_of(conv);
	float most = 0;
	for (size_t t = 0; t < tiles; t++) {
		const int64_t top = (int64_t)(t / across * OUT) - axes[1].begin, left = (int64_t)(t % across * OUT) - axes[2].begin;
		vector lanes = {0};
		for (int64_t y = top < 0 ? 0 : top; y < top + (int64_t)EDGE && y < axes[1].in; y++)
			for (int64_t w = left < 0 ? 0 : left; w < left + (int64_t)EDGE && w < axes[2].in; w++)
				lanes += sums[y * axes[2].in + w];
		weights[t] = 0;
		for (size_t i = 0; i < LANES; i++)
			weights[t] += lanes[i];
		most = weights[t] > most ? weights[t] : most;
	}
	size_t light = 0;
	for (size_t t = 0; t < tiles; t++)
		light += !(weights[t] * WINOGRAD_PEAK >= most);
	return light * WINOGRAD_LIGHT <= tiles;
}

static inline __attribute__((always_inline)) void transform_in(const vector *d, size_t step, vector *to, size_t to_step)
{
	const vector d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
	const vector even_a = d4 - B * B * d2, odd_a = A * (d3 - B * B * d1), even_b = d4 - A * A * d2, odd_b = B * (d3 - A * A * d1);
	to[0] = A * A * B * B * d0 - (A * A + B * B) * d2 + d4;
	to[to_step] = even_a + odd_a;
	to[2 * to_step] = even_a - odd_a;
	to[3 * to_step] = even_b + odd_b;
	to[4 * to_step] = even_b - odd_b;
	to[5 * to_step] = A * A * B * B * d1 - (A * A + B * B) * d3 + d5;
}

static inline __attribute__((always_inline)) void transform_out(const vector *m, size_t step, vector *to, size_t to_step)
{
	const vector m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step];
	const vector even_a = m1 + m2, odd_a = m1 - m2, even_b = m3 + m4, odd_b = m3 - m4;
	to[0] = m[0] + even_a + even_b;
	to[to_step] = A * odd_a + B * odd_b;
	to[2 * to_step] = A * A * even_a + B * B * even_b;
	to[3 * to_step] = A * A * A * odd_a + B * B * B * odd_b + m[5 * step];
}

/* Transforms tile T of the image, which is number AT of a block of TILES, into V. */
static void gather(const struct gyr_conv_last *conv, const gyr_f32_u *x, size_t t, size_t at, size_t tiles, float *v)
{
	const struct gyr_window_axis *axes = conv->shape.window.axes;
	const size_t across = tiles_along(conv, 2), channels = conv->shape.in;
	const int64_t top = (int64_t)(t / across * OUT) - axes[1].begin, left = (int64_t)(t % across * OUT) - axes[2].begin;
	for (size_t c = 0; c < channels; c += LANES) {
		const size_t count = channels - c < LANES ? channels - c : LANES;
		vector d[POINTS], half[POINTS], whole[POINTS];
		for (int64_t i = 0; i < (int64_t)EDGE; i++) {
			for (int64_t j = 0; j < (int64_t)EDGE; j++) {
				const bool inside = (uint64_t)(top + i) < (uint64_t)axes[1].in && (uint64_t)(left + j) < (uint64_t)axes[2].in;
				const gyr_f32_u *from = x + ((top + i) * axes[2].in + left + j) * (int64_t)channels + (int64_t)c;
				d[i * (int64_t)EDGE + j] = !inside ? (vector){0} : count == LANES ? *(const vector *)from : load_part(from, count);
			}
		}
		for (size_t j = 0; j < EDGE; j++)
			transform_in(d + j, EDGE, half + j, EDGE);
		for (size_t i = 0; i < EDGE; i++)
			transform_in(half + i * EDGE, 1, whole + i * EDGE, 1);
		for (size_t p = 0; p < POINTS; p++)
			store_part(v + (p * tiles + at) * channels + c, &whole[p], count);
	}
}

/* What the results of one image share. */
struct result {
	const struct gyr_conv_last *conv;
	const float *bias;
	float low, high;
	const gyr_f32_u *added;
	gyr_f32_u *y;
	vector faults; /* 0, or NaN where a result was not finite */
};

/* Transforms tile T back from M, where it is number AT of TILES, for the WIDTH outputs of a panel from FIRST on. */
static void scatter(struct result *result, size_t t, size_t at, size_t tiles, const float *m, size_t first, size_t width)
{
	const struct gyr_conv_last *conv = result->conv;
	const struct gyr_window_axis *axes = conv->shape.window.axes;
	const size_t across = tiles_along(conv, 2), out = conv->shape.out;
	const size_t top = t / across * OUT, left = t % across * OUT;
	for (size_t o = first; o < first + width && o < out; o += LANES) {
		const size_t count = out - o < LANES ? out - o : LANES;
		vector sums[POINTS], half[OUT * EDGE], whole[OUT * OUT];
		for (size_t p = 0; p < POINTS; p++)
			sums[p] = *(const vector *)(m + (p * tiles + at) * width + o - first);
		for (size_t j = 0; j < EDGE; j++)
			transform_out(sums + j, EDGE, half + j, EDGE);
		for (size_t i = 0; i < OUT; i++)
			transform_out(half + i * EDGE, 1, whole + i * OUT, 1);
		for (size_t i = 0; i < OUT && top + i < (size_t)axes[1].out; i++) {
			for (size_t j = 0; j < OUT && left + j < (size_t)axes[2].out; j++) {
				const size_t pixel = (top + i) * (size_t)axes[2].out + left + j;
				vector sum = whole[i * OUT + j] + *(const vector *)(result->bias + o);
				result->faults += sum * 0;
				if (result->added != NULL)
					sum += count == LANES ? *(const vector *)(result->added + pixel * out + o)
							      : load_part(result->added + pixel * out + o, count);
				sum = clip(sum, result->low, result->high);
				store_part(result->y + pixel * conv->y_stride + o, &sum, count);
			}
		}
	}
}

/* One of the 36 products: TILES rows of V times a panel of VECTORS. */
static void multiply(const float *v, size_t channels, const float *weights, size_t vectors, const float *zeros, float *m, size_t tiles)
{
	const size_t steps = (tiles + last_tile_rows(vectors) - 1) / last_tile_rows(vectors);
	const float *pointers[LAST_ROWS_MAX];
	for (size_t step = 0, row = 0; step < steps; step++) {
		const size_t end = tiles * (step + 1) / steps, rows = end - row;
		for (size_t i = 0; i < rows; i++)
			pointers[i] = v + (row + i) * channels;
		const struct last_tile tile = {.pointers = pointers,
					       .runs = 1,
					       .length = channels,
					       .last = channels,
					       .weights = weights,
					       .ahead = weights + channels * vectors * LANES * (steps + step) / steps,
					       .bias = zeros,
					       .y = m + row * vectors * LANES,
					       .y_stride = vectors * LANES,
					       .outputs = vectors * LANES};
		last_tile_run(&tile, rows, vectors);
		row = end;
	}
}

bool winograd_run(const struct gyr_conv_last *conv, const float *packed, const float *bias, float low, float high, const gyr_f32_u *x, const gyr_f32_u *added,
		  gyr_f32_u *y, void *scratch)
{
	static const float zeros[LAST_PANEL * LANES];
	const size_t in = conv->shape.in, stride = round_up(conv->shape.out, LANES), all = tiles_of(conv), block = block_of(conv);
	float *v = scratch, *m = v + v_floats(conv);
	vector *sums = (vector *)(m + m_floats(conv));
	struct result result = {.conv = conv, .bias = bias, .low = low, .high = high, .added = added, .y = y};
	weigh(conv, x, sums);
	if (!even(conv, sums, (float *)(sums + conv->shape.window.axes[1].in * conv->shape.window.axes[2].in)))
		return false;
	for (size_t first = 0; first < all; first += block) {
		const size_t tiles = all - first < block ? all - first : block;
		for (size_t t = 0; t < tiles; t++)
			gather(conv, x, first + t, t, tiles, v);
		for (size_t o = 0; o < stride; o += LAST_PANEL * LANES) {
			const size_t vectors = stride - o < LAST_PANEL * LANES ? (stride - o) / LANES : LAST_PANEL, width = vectors * LANES;
			for (size_t p = 0; p < POINTS; p++)
				multiply(v + p * tiles * in, in, packed + (o * POINTS + p * width) * in, vectors, zeros, m + p * tiles * width, tiles);
			for (size_t t = 0; t < tiles; t++)
				scatter(&result, first + t, t, tiles, m, o, width);
		}
	}
	for (size_t i = 0; i < LANES; i++)
		if (result.faults[i] != 0)
			return false;
	return true;
}
