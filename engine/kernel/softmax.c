/*
 * Softmax: see softmax.h. Along a dense axis each sum runs in sixteen lanes; along another axis the lanes are neighbours of the inner dimensions.
 */
#include "engine/kernel/softmax.h"

#include <math.h>

#include "engine/kernel/function.h"
#include "engine/ref/unaligned.h"

#define LANES 16u

static void along_dense(size_t length, const gyr_f32_u *x, gyr_f32_u *y)
{
	float most[LANES], sum[LANES], top = -INFINITY, total = 0;
	size_t whole = length / LANES * LANES;
	for (size_t lane = 0; lane < LANES; lane++) {
		most[lane] = -INFINITY;
		sum[lane] = 0;
	}
	for (size_t k = 0; k < whole; k += LANES)
		for (size_t lane = 0; lane < LANES; lane++)
			most[lane] = x[k + lane] > most[lane] ? x[k + lane] : most[lane];
	for (size_t k = whole; k < length; k++)
		top = x[k] > top ? x[k] : top;
	for (size_t lane = 0; lane < LANES; lane++)
		top = most[lane] > top ? most[lane] : top;
	for (size_t k = 0; k < length; k++)
		y[k] = gyr_exp(x[k] - top);
	for (size_t k = 0; k < whole; k += LANES)
		for (size_t lane = 0; lane < LANES; lane++)
			sum[lane] += y[k + lane];
	for (size_t k = whole; k < length; k++)
		total += y[k];
	for (size_t lane = 0; lane < LANES; lane++)
		total += sum[lane];
	float scale = 1 / total;
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
