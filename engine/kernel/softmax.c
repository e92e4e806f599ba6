/*
 * Softmax: see softmax.h. Along a dense axis the lanes are neighbours of one row; along another axis they are neighbours of the inner dimensions.
 */
#include "engine/kernel/softmax.h"

#include <math.h>

#include "engine/kernel/function.h"
#include "engine/ref/unaligned.h"

#define LANES 16u

/* Sums and largest ones are gathered in as many lanes as a vector has. */
static float largest(size_t length, const gyr_f32_u *x)
{
	float top = -INFINITY;
#pragma omp simd reduction(max : top)
	for (size_t k = 0; k < length; k++)
		top = x[k] > top ? x[k] : top;
	return top;
}

/* Y may be X. */
static void along_dense(size_t length, const gyr_f32_u *x, gyr_f32_u *y)
{
	float top = largest(length, x), total = 0;
#pragma omp simd reduction(+ : total)
	for (size_t k = 0; k < length; k++) {
		float e = gyr_exp(x[k] - top);
		y[k] = e;
		total += e;
	}
	float scale = 1 / total;
#pragma omp simd
	for (size_t k = 0; k < length; k++)
		y[k] *= scale;
}

static void along_strided(size_t length, size_t inner, size_t lanes, const gyr_f32_u *x, gyr_f32_u *y)
{
	float most[LANES], sum[LANES];
	for (size_t lane = 0; lane < lanes; lane++) {
		most[lane] = -INFINITY;
		sum[lane] = 0;
	}
	for (size_t k = 0; k < length; k++)
		for (size_t lane = 0; lane < lanes; lane++)
			most[lane] = x[k * inner + lane] > most[lane] ? x[k * inner + lane] : most[lane];
	for (size_t k = 0; k < length; k++) {
		for (size_t lane = 0; lane < lanes; lane++) {
			float e = gyr_exp(x[k * inner + lane] - most[lane]);
			y[k * inner + lane] = e;
			sum[lane] += e;
		}
	}
	for (size_t k = 0; k < length; k++)
		for (size_t lane = 0; lane < lanes; lane++)
			y[k * inner + lane] /= sum[lane];
}

void gyr_kernel_softmax_masked(size_t length, const void *x, const void *mask, size_t mask_step, void *y)
{
	const gyr_f32_u *from = x, *add = mask;
	gyr_f32_u *to = y;
	if (mask_step == 1) {
#pragma omp simd
		for (size_t k = 0; k < length; k++)
			to[k] = from[k] + add[k];
	} else {
		float same = *add;
#pragma omp simd
		for (size_t k = 0; k < length; k++)
			to[k] = from[k] + same;
	}
	along_dense(length, to, to);
}

void gyr_kernel_softmax(size_t outer, size_t length, size_t inner, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	for (size_t o = 0; o < outer; o++, from += length * inner, to += length * inner) {
		if (inner == 1) {
			along_dense(length, from, to);
			continue;
		}
		for (size_t i = 0; i < inner; i += LANES)
			along_strided(length, inner, inner - i < LANES ? inner - i : LANES, from + i, to + i);
	}
}
