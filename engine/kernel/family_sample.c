/*
 * The sampling family: plain code for any type, computed in double.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/model/sample.h"
#include "engine/ref/number.h"

#define DIMS_MAX (GYR_RANK_MAX - 2)
#define FAR 1e9 /* further out than any image is large, and still a whole number */
#define TAPS_MAX 4u

struct grid_sample {
	size_t images, channels, points; /* places of the grid on one image */
	uint32_t rank;
	size_t dims[DIMS_MAX];
	enum gyr_dtype dtype, grid;
	enum { LINEAR, NEAREST, CUBIC } mode;
	enum { ZEROS, BORDER, REFLECTION } padding;
	bool align;
};

/* AT folded back between LEAST and MOST as often as needed. */
static double reflect(double at, double least, double most)
{
	double range = most - least;
	if (!(range > 0))
		return least;
	double away = fmod(fabs(at - least), 2 * range);
	return least + (away > range ? 2 * range - away : away);
}

/* The places that are read along one dimension of LENGTH for a grid value, and their weights; a place of -1 is outside, and 0. */
struct taps {
	uint32_t count;
	int64_t places[TAPS_MAX];
	double weights[TAPS_MAX];
};

static int64_t place_of(const struct grid_sample *sample, int64_t at, int64_t length)
{
	if (at >= 0 && at < length)
		return at;
	if (sample->padding == ZEROS)
		return -1;
	if (sample->padding == BORDER)
		return at < 0 ? 0 : length - 1;
	double half = sample->align ? 0 : 0.5;
	int64_t place = (int64_t)reflect((double)at, -half, (double)length - 1 + half);
	return place < 0 ? 0 : place < length ? place : length - 1;
}

/* ONNX's cubic with A = -0.75, for a point T behind the second of four. */
static void cubic_weights(double t, double weights[TAPS_MAX])
{
	const double a = -0.75;
	for (uint32_t k = 0; k < TAPS_MAX; k++) {
		double d = fabs(t + 1 - k);
		weights[k] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
	}
}

static void find_taps(const struct grid_sample *sample, double value, int64_t length, struct taps *taps)
{
	double half = sample->align ? 0 : 0.5, least = -half, most = (double)length - 1 + half;
	double at = sample->align ? (value + 1) / 2 * (double)(length - 1) : ((value + 1) * (double)length - 1) / 2;
	if (sample->mode == NEAREST)
		at = rint(at);
	if (at < least || at > most) {
		if (sample->padding == BORDER)
			at = at < 0 ? 0 : (double)(length - 1);
		else if (sample->padding == REFLECTION)
			at = reflect(at, least, most);
	}
	at = at < -FAR ? -FAR : at > FAR ? FAR : at;
	double floored = floor(at);
	int64_t first = (int64_t)floored;
	*taps = (struct taps){.count = 1, .weights = {1}};
	if (sample->mode == LINEAR) {
		taps->count = 2;
		taps->weights[0] = 1 - (at - floored);
		taps->weights[1] = at - floored;
	} else if (sample->mode == CUBIC) {
		taps->count = TAPS_MAX;
		first--;
		cubic_weights(at - floored, taps->weights);
	}
	for (uint32_t k = 0; k < taps->count; k++)
		taps->places[k] = place_of(sample, first + k, length);
}

/* Sums what the taps read of the image that is IMAGE'th at X: every choice of one tap in each dimension. */
static double gather(const struct grid_sample *sample, const struct taps *taps, const void *x, size_t image)
{
	size_t choices = 1;
	double sum = 0;
	for (uint32_t d = 0; d < sample->rank; d++)
		choices *= taps[d].count;
	for (size_t choice = 0; choice < choices; choice++) {
		size_t left = choice, at = image;
		double weight = 1;
		bool outside = false;
		for (uint32_t d = 0; d < sample->rank; d++) {
			uint32_t tap = (uint32_t)(left % taps[d].count);
			left /= taps[d].count;
			weight *= taps[d].weights[tap];
			outside = outside || taps[d].places[tap] < 0;
			at = at * sample->dims[d] + (size_t)taps[d].places[tap];
		}
		if (!outside)
			sum += weight * gyr_number_load_real(sample->dtype, x, at);
	}
	return sum;
}

/* A place that is NaN gives NaN, and 0 in a type that has none. */
static void run_grid_sample(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct grid_sample *sample = params;
	for (size_t n = 0; n < sample->images; n++)
		for (size_t point = 0; point < sample->points; point++) {
			struct taps taps[DIMS_MAX];
			bool lost = false;
			for (uint32_t d = 0; d < sample->rank; d++) { /* the grid has x first, the image last */
				double value =
					gyr_number_load_real(sample->grid, inputs[1], (n * sample->points + point) * sample->rank + sample->rank - 1 - d);
				lost = lost || value != value;
				find_taps(sample, value != value ? 0 : value, (int64_t)sample->dims[d], &taps[d]);
			}
			for (size_t c = 0; c < sample->channels; c++) {
				size_t image = n * sample->channels + c;
				double value = lost ? NAN : gather(sample, taps, inputs[0], image);
				gyr_number_store_real(sample->dtype, outputs[0], image * sample->points + point, value);
			}
		}
}

static int prepare_grid_sample(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *grid = prepare->inputs[1];
	const char *mode = gyr_node_string(prepare->node, "mode", "linear"), *padding = gyr_node_string(prepare->node, "padding_mode", "zeros");
	struct grid_sample *sample = KERNEL_PARAMS(prepare, struct grid_sample);
	if (sample == NULL)
		return -ENOMEM;
	*sample = (struct grid_sample){
		.images = (size_t)x->dims[0],
		.channels = (size_t)x->dims[1],
		.points = kernel_product(grid, 1, grid->rank - 1),
		.rank = x->rank - 2,
		.dtype = x->dtype,
		.grid = grid->dtype,
		.mode = strcmp(mode, "nearest") == 0    ? NEAREST
			: strstr(mode, "cubic") != NULL ? CUBIC
							: LINEAR,
		.padding = padding[0] == 'z'   ? ZEROS
			   : padding[0] == 'b' ? BORDER
					       : REFLECTION,
		.align = gyr_node_integer(prepare->node, "align_corners", 0) != 0,
	};
	for (uint32_t d = 0; d < sample->rank; d++) {
		sample->dims[d] = (size_t)x->dims[d + 2];
		if (sample->dims[d] == 0)
			return gyr_error_set(prepare->error, -ENOTSUP, "its image is empty");
	}
	prepare->run = run_grid_sample;
	return 0;
}

struct affine_grid {
	size_t images, points;
	uint32_t rank;
	size_t dims[3]; /* of the grid, the outermost first */
	enum gyr_dtype dtype;
	bool align;
};

static void run_affine_grid(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct affine_grid *affine = params;
	for (size_t n = 0; n < affine->images; n++)
		for (size_t point = 0; point < affine->points; point++) {
			double place[4] = {0}; /* x first, and 1 behind the last */
			size_t left = point;
			for (uint32_t d = 0; d < affine->rank; d++) {
				size_t length = affine->dims[affine->rank - 1 - d], at = left % length;
				left /= length;
				place[d] = affine->align ? (length > 1 ? 2.0 * (double)at / (double)(length - 1) - 1 : -1)
							 : (2.0 * (double)at + 1) / (double)length - 1;
			}
			place[affine->rank] = 1;
			for (uint32_t row = 0; row < affine->rank; row++) {
				double sum = 0;
				for (uint32_t d = 0; d <= affine->rank; d++)
					sum += gyr_number_load_real(affine->dtype, inputs[0], (n * affine->rank + row) * (affine->rank + 1) + d) * place[d];
				gyr_number_store_real(affine->dtype, outputs[0], (n * affine->points + point) * affine->rank + row, sum);
			}
		}
}

static int prepare_affine_grid(struct gyr_prepare *prepare)
{
	const struct gyr_shape *grid = &prepare->outputs[0];
	struct affine_grid *affine = KERNEL_PARAMS(prepare, struct affine_grid);
	if (affine == NULL)
		return -ENOMEM;
	*affine = (struct affine_grid){
		.images = (size_t)grid->dims[0],
		.points = kernel_product(grid, 1, grid->rank - 1),
		.rank = grid->rank - 2,
		.dtype = grid->dtype,
		.align = gyr_node_integer(prepare->node, "align_corners", 0) != 0,
	};
	for (uint32_t d = 0; d < affine->rank; d++)
		affine->dims[d] = (size_t)grid->dims[d + 1];
	prepare->run = run_affine_grid;
	return 0;
}

struct col2im {
	struct gyr_col2im how;
	size_t images, elements, blocks, pixels; /* images: of all channels; elements of a block */
	enum gyr_dtype dtype;
};

/* Where element ELEMENT of block BLOCK goes in the image; -1: into the padding. */
static int64_t pixel_of(const struct gyr_col2im *how, size_t element, size_t block)
{
	int64_t pixel = 0, step = 1;
	for (uint32_t d = how->rank; d-- > 0;) {
		int64_t within = (int64_t)element % how->block[d], place = (int64_t)block % how->places[d];
		int64_t at = place * how->stride[d] + within * how->dilation[d] - how->before[d];
		element /= (size_t)how->block[d];
		block /= (size_t)how->places[d];
		if (at < 0 || at >= how->image[d])
			return -1;
		pixel += at * step;
		step *= how->image[d];
	}
	return pixel;
}

static void run_col2im(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct col2im *col2im = params;
	memset(outputs[0], 0, col2im->images * col2im->pixels * gyr_dtype_bytes(col2im->dtype));
	for (size_t image = 0; image < col2im->images; image++)
		for (size_t element = 0; element < col2im->elements; element++)
			for (size_t block = 0; block < col2im->blocks; block++) {
				int64_t pixel = pixel_of(&col2im->how, element, block);
				if (pixel < 0)
					continue;
				size_t to = image * col2im->pixels + (size_t)pixel;
				double value = gyr_number_load_real(col2im->dtype, inputs[0], (image * col2im->elements + element) * col2im->blocks + block);
				gyr_number_store_real(col2im->dtype, outputs[0], to, gyr_number_load_real(col2im->dtype, outputs[0], to) + value);
			}
}

static int prepare_col2im(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *y = &prepare->outputs[0];
	struct gyr_shape shape;
	struct gyr_infer infer = kernel_infer(prepare, &shape);
	struct col2im *col2im = KERNEL_PARAMS(prepare, struct col2im);
	if (col2im == NULL)
		return -ENOMEM;
	int status = gyr_infer_col2im(&infer, &col2im->how);
	if (status != 0)
		return status == -EAGAIN ? -ENOTSUP : status;
	if (x->dtype != GYR_DTYPE_F32 && x->dtype != GYR_DTYPE_F64)
		return gyr_error_set(prepare->error, -ENOTSUP, "no kernel sums blocks of %s", gyr_dtype_name(x->dtype));
	col2im->images = kernel_product(y, 0, 2);
	col2im->pixels = kernel_product(y, 2, y->rank);
	col2im->blocks = (size_t)x->dims[2];
	col2im->elements = (size_t)(x->dims[1] / y->dims[1]);
	col2im->dtype = x->dtype;
	prepare->run = run_col2im;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_AFFINE_GRID, prepare_affine_grid},
	{GYR_OP_COL2IM, prepare_col2im},
	{GYR_OP_GRID_SAMPLE, prepare_grid_sample},
};

const struct kernel_family kernel_family_sample = {rows, KERNEL_COUNT(rows)};
