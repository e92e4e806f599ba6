/*
 * Normalisation: see normalise.h.
 */
#include "engine/kernel/normalise.h"

#include <math.h>

#include "engine/kernel/function.h"
#include "engine/kernel/reduce.h"
#include "engine/ref/unaligned.h"

#define LANES 16u

/* Sums of floats go in the lanes of a vector for so many elements, then in double. */
#define CHUNK ((size_t)4096)

/* What a sum of squares in f32 may be, for one element, to have lost nothing to the ends of its range. */
#define SQUARE_MIN 1e-30
#define SQUARE_MAX 1e37

static void moments_double(size_t length, const gyr_f32_u *x, double *mean, double *variance)
{
	double sum = 0, squares = 0;
	for (size_t k = 0; k < length; k++)
		sum += (double)x[k];
	*mean = sum / (double)length;
	for (size_t k = 0; k < length; k++)
		squares += ((double)x[k] - *mean) * ((double)x[k] - *mean);
	*variance = squares / (double)length;
}

/* The second pass is over x - MIDDLE, the mean but for its rounding, whose own sum corrects for that. */
static void moments(size_t length, const gyr_f32_u *x, double *mean, double *variance)
{
	double sum = 0, offs = 0, squares = 0;
	for (size_t first = 0; first < length; first += CHUNK) {
		size_t end = length - first < CHUNK ? length : first + CHUNK;
		float part = 0;
#pragma omp simd reduction(+ : part)
		for (size_t k = first; k < end; k++)
			part += x[k];
		sum += (double)part;
	}
	float middle = (float)(sum / (double)length);
	for (size_t first = 0; first < length; first += CHUNK) {
		size_t end = length - first < CHUNK ? length : first + CHUNK;
		float part = 0, square = 0;
#pragma omp simd reduction(+ : part, square)
		for (size_t k = first; k < end; k++) {
			float off = x[k] - middle;
			part += off;
			square += off * off;
		}
		offs += (double)part;
		squares += (double)square;
	}
	double off = offs / (double)length;
	*mean = (double)middle + off;
	*variance = squares / (double)length - off * off;
	if (!(*variance >= SQUARE_MIN && squares <= SQUARE_MAX))
		moments_double(length, x, mean, variance);
}

/* MEAN in two parts, so that x less the first loses nothing. */
static void write_row(const struct gyr_normalise *normalise, const gyr_f32_u *x, double mean, float inverse, const gyr_f32_u *scale, const gyr_f32_u *bias,
		      gyr_f32_u *y)
{
	float middle = (float)mean, off = (float)(mean - (double)middle);
	if (normalise->run == 1 && bias != NULL) {
#pragma omp simd
		for (size_t k = 0; k < normalise->parts; k++)
			y[k] = (x[k] - middle - off) * inverse * scale[k] + bias[k];
		return;
	}
	for (size_t p = 0; p < normalise->parts; p++) {
		float factor = inverse * scale[p], shift = bias != NULL ? bias[p] : 0;
#pragma omp simd
		for (size_t k = p * normalise->run; k < (p + 1) * normalise->run; k++)
			y[k] = (x[k] - middle - off) * factor + shift;
	}
}

void gyr_kernel_normalise(const struct gyr_normalise *normalise, const void *x, const void *scale, const void *bias, void *y, void *means, void *inverses)
{
	size_t length = normalise->parts * normalise->run;
	for (size_t r = 0; r < normalise->rows; r++) {
		const gyr_f32_u *from = (const gyr_f32_u *)x + r * length;
		size_t s = r % normalise->scale_rows * normalise->parts;
		double mean, variance;
		moments(length, from, &mean, &variance);
		float inverse = (float)(1 / sqrt(variance + (double)normalise->epsilon));
		write_row(normalise, from, mean, inverse, (const gyr_f32_u *)scale + s, bias != NULL ? (const gyr_f32_u *)bias + s : NULL,
			  (gyr_f32_u *)y + r * length);
		if (means != NULL)
			((gyr_f32_u *)means)[r] = (float)mean;
		if (inverses != NULL)
			((gyr_f32_u *)inverses)[r] = inverse;
	}
}

void gyr_kernel_batch_norm(const struct gyr_batch_norm *norm, const void *x, const void *scale, const void *bias, const void *mean, const void *variance,
			   void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	for (size_t row = 0; row < norm->outer * norm->channels; row++, from += norm->inner, to += norm->inner) {
		size_t c = row % norm->channels;
		float factor = ((const gyr_f32_u *)scale)[c] / sqrtf(((const gyr_f32_u *)variance)[c] + norm->epsilon);
		float middle = ((const gyr_f32_u *)mean)[c], shift = ((const gyr_f32_u *)bias)[c];
		for (size_t i = 0; i < norm->inner; i++)
			to[i] = (from[i] - middle) * factor + shift;
	}
}

/* The largest goes first, so that the logarithm is small and exact. */
static void log_softmax_dense(size_t length, const gyr_f32_u *x, gyr_f32_u *y)
{
	float top, total;
	gyr_kernel_reduce(GYR_OP_REDUCE_MAX, 1, length, 1, x, &top);
	for (size_t k = 0; k < length; k++)
		y[k] = x[k] - top;
	gyr_kernel_reduce(GYR_OP_REDUCE_LOG_SUM_EXP, 1, length, 1, y, &total);
	for (size_t k = 0; k < length; k++)
		y[k] -= total;
}

static void log_softmax_strided(size_t length, size_t inner, size_t lanes, const gyr_f32_u *x, gyr_f32_u *y)
{
	float top[LANES];
	double sum[LANES] = {0};
	for (size_t lane = 0; lane < lanes; lane++)
		top[lane] = -INFINITY;
	for (size_t k = 0; k < length; k++)
		for (size_t lane = 0; lane < lanes; lane++)
			top[lane] = x[k * inner + lane] > top[lane] ? x[k * inner + lane] : top[lane];
	for (size_t k = 0; k < length; k++)
		for (size_t lane = 0; lane < lanes; lane++)
			sum[lane] += (double)gyr_exp(x[k * inner + lane] - top[lane]);
	for (size_t lane = 0; lane < lanes; lane++)
		sum[lane] = log(sum[lane]);
	for (size_t k = 0; k < length; k++)
		for (size_t lane = 0; lane < lanes; lane++)
			y[k * inner + lane] = x[k * inner + lane] - top[lane] - (float)sum[lane];
}

void gyr_kernel_log_softmax(size_t outer, size_t length, size_t inner, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	for (size_t o = 0; o < outer; o++, from += length * inner, to += length * inner) {
		if (inner == 1) {
			log_softmax_dense(length, from, to);
			continue;
		}
		for (size_t i = 0; i < inner; i += LANES)
			log_softmax_strided(length, inner, inner - i < LANES ? inner - i : LANES, from + i, to + i);
	}
}
