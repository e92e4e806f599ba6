/*
 * Reductions on f32: see reduce.h. Along a dense axis each result is gathered in sixteen lanes; along another axis the lanes are neighbours of the inner
 * dimensions.
 */
#include "engine/kernel/reduce.h"

#include <math.h>

#include "base/assertion.h"
#include "engine/kernel/function.h"
#include "engine/ref/unaligned.h"

#define LANES 16u

/* What is gathered is T, from START on, by ADD(gathered, element, shift of its lane); lanes are brought together by JOIN. */
#define GATHER(name, type, start, add, join)                                                                                                                   \
	static type name##_dense(size_t length, const gyr_f32_u *x, float shift)                                                                               \
	{                                                                                                                                                      \
		type lanes[LANES], total = (start);                                                                                                            \
		size_t whole = length / LANES * LANES;                                                                                                         \
		for (size_t lane = 0; lane < LANES; lane++)                                                                                                    \
			lanes[lane] = (start);                                                                                                                 \
		for (size_t k = 0; k < whole; k += LANES)                                                                                                      \
			for (size_t lane = 0; lane < LANES; lane++)                                                                                            \
				lanes[lane] = add(lanes[lane], x[k + lane], shift);                                                                            \
		for (size_t k = whole; k < length; k++)                                                                                                        \
			total = add(total, x[k], shift);                                                                                                       \
		for (size_t lane = 0; lane < LANES; lane++)                                                                                                    \
			total = join(total, lanes[lane], 0);                                                                                                   \
		return total;                                                                                                                                  \
	}                                                                                                                                                      \
	static void name##_strided(size_t length, size_t inner, size_t lanes, const gyr_f32_u *x, const float *shift, type *totals)                            \
	{                                                                                                                                                      \
		for (size_t lane = 0; lane < lanes; lane++)                                                                                                    \
			totals[lane] = (start);                                                                                                                \
		for (size_t k = 0; k < length; k++)                                                                                                            \
			for (size_t lane = 0; lane < lanes; lane++)                                                                                            \
				totals[lane] = add(totals[lane], x[k * inner + lane], shift[lane]);                                                            \
	}

#define PLUS(total, value, shift) ((total) + (double)(value))
#define TIMES(total, value, shift) ((total) * (double)(value))
#define PLUS_SIZE(total, value, shift) ((total) + (double)fabsf(value))
#define PLUS_SQUARE(total, value, shift) ((total) + (double)(value) * (double)(value))
#define PLUS_EXP(total, value, shift) ((total) + (double)gyr_exp((value) - (shift)))
#define MOST(total, value, shift) ((((value) > (total)) | ((value) != (value))) ? (value) : (total))
#define LEAST(total, value, shift) ((((value) < (total)) | ((value) != (value))) ? (value) : (total))

GATHER(sum, double, 0, PLUS, PLUS)
GATHER(product, double, 1, TIMES, TIMES)
GATHER(size, double, 0, PLUS_SIZE, PLUS)
GATHER(square, double, 0, PLUS_SQUARE, PLUS)
GATHER(power, double, 0, PLUS_EXP, PLUS)
GATHER(most, float, -INFINITY, MOST, MOST)
GATHER(least, float, INFINITY, LEAST, LEAST)

static float finish(enum gyr_op op, double total, size_t length)
{
	switch (op) {
	case GYR_OP_REDUCE_L2: return (float)sqrt(total);
	case GYR_OP_REDUCE_LOG_SUM: return (float)log(total);
	case GYR_OP_REDUCE_MEAN: return (float)(total / (double)length);
	default: return (float)total;
	}
}

static float along_dense(enum gyr_op op, size_t length, const gyr_f32_u *x)
{
	switch (op) {
	case GYR_OP_REDUCE_MAX: return most_dense(length, x, 0);
	case GYR_OP_REDUCE_MIN: return least_dense(length, x, 0);
	case GYR_OP_REDUCE_PROD: return finish(op, product_dense(length, x, 0), length);
	case GYR_OP_REDUCE_L1: return finish(op, size_dense(length, x, 0), length);
	case GYR_OP_REDUCE_L2:
	case GYR_OP_REDUCE_SUM_SQUARE: return finish(op, square_dense(length, x, 0), length);
	case GYR_OP_REDUCE_LOG_SUM:
	case GYR_OP_REDUCE_MEAN:
	case GYR_OP_REDUCE_SUM: return finish(op, sum_dense(length, x, 0), length);
	case GYR_OP_REDUCE_LOG_SUM_EXP: {
		float top = most_dense(length, x, 0);
		return isinf(top) ? top : (float)(top + log(power_dense(length, x, top)));
	}
	default: gyr_assert_failed("a reduction", __FILE__, __LINE__);
	}
}

static void along_strided(enum gyr_op op, size_t length, size_t inner, size_t lanes, const gyr_f32_u *x, gyr_f32_u *y)
{
	float tops[LANES] = {0};
	double totals[LANES];
	switch (op) {
	case GYR_OP_REDUCE_MAX:
	case GYR_OP_REDUCE_LOG_SUM_EXP: most_strided(length, inner, lanes, x, tops, tops); break;
	case GYR_OP_REDUCE_MIN: least_strided(length, inner, lanes, x, tops, tops); break;
	case GYR_OP_REDUCE_PROD: product_strided(length, inner, lanes, x, tops, totals); break;
	case GYR_OP_REDUCE_L1: size_strided(length, inner, lanes, x, tops, totals); break;
	case GYR_OP_REDUCE_L2:
	case GYR_OP_REDUCE_SUM_SQUARE: square_strided(length, inner, lanes, x, tops, totals); break;
	case GYR_OP_REDUCE_LOG_SUM:
	case GYR_OP_REDUCE_MEAN:
	case GYR_OP_REDUCE_SUM: sum_strided(length, inner, lanes, x, tops, totals); break;
	default: gyr_assert_failed("a reduction", __FILE__, __LINE__);
	}
	if (op == GYR_OP_REDUCE_LOG_SUM_EXP)
		power_strided(length, inner, lanes, x, tops, totals);
	for (size_t lane = 0; lane < lanes; lane++) {
		if (op == GYR_OP_REDUCE_MAX || op == GYR_OP_REDUCE_MIN)
			y[lane] = tops[lane];
		else if (op == GYR_OP_REDUCE_LOG_SUM_EXP)
			y[lane] = isinf(tops[lane]) ? tops[lane] : (float)(tops[lane] + log(totals[lane]));
		else
			y[lane] = finish(op, totals[lane], length);
	}
}

void gyr_kernel_reduce(enum gyr_op op, size_t outer, size_t length, size_t inner, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	for (size_t o = 0; o < outer; o++, from += length * inner, to += inner) {
		if (inner == 1) {
			*to = along_dense(op, length, from);
			continue;
		}
		for (size_t i = 0; i < inner; i += LANES)
			along_strided(op, length, inner, inner - i < LANES ? inner - i : LANES, from + i, to + i);
	}
}
