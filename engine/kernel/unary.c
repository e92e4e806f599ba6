/*
 * Functions of one element: see unary.h. What is not worth a loop of its own goes to the reference twin.
 */
#include "engine/kernel/unary.h"

#include <math.h>

#include "engine/kernel/function.h"
#include "engine/ref/unaligned.h"

#define LOOP(value)                                                                                                                                            \
	do {                                                                                                                                                   \
		for (size_t i = 0; i < count; i++) {                                                                                                           \
			float v = from[i];                                                                                                                     \
			to[i] = (value);                                                                                                                       \
		}                                                                                                                                              \
		return;                                                                                                                                        \
	} while (0)

static inline float hold(float x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* Up to where a float ends: gyr_exp is infinite from 88 on. */
static inline float whole_exp(float x)
{
	bool large = x > 88;
	return gyr_exp(large ? x - 1 : x) * (large ? 2.71828183f : 1.0f);
}

void gyr_kernel_unary(const struct gyr_unary *unary, size_t count, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	float alpha = unary->alpha, beta = unary->beta;
	switch (unary->from == GYR_DTYPE_F32 && unary->to == GYR_DTYPE_F32 ? unary->op : GYR_OP_NONE) {
	case GYR_OP_ABS: LOOP(fabsf(v));
	case GYR_OP_CEIL: LOOP(ceilf(v));
	case GYR_OP_CELU: LOOP(v > 0 ? v : alpha * gyr_expm1(v / alpha));
	case GYR_OP_ELU: LOOP(v < 0 ? alpha * gyr_expm1(v) : v);
	case GYR_OP_ERF: LOOP(gyr_erf(v));
	case GYR_OP_EXP: LOOP(whole_exp(v));
	case GYR_OP_FLOOR: LOOP(floorf(v));
	case GYR_OP_GELU:
		if (unary->first)
			LOOP(gyr_gelu_tanh(v));
		LOOP(gyr_gelu(v));
	case GYR_OP_HARD_SIGMOID: LOOP(hold(alpha * v + beta));
	case GYR_OP_HARD_SWISH: LOOP(v * hold(v * (1.0f / 6) + 0.5f));
	case GYR_OP_LEAKY_RELU: LOOP(v < 0 ? alpha * v : v);
	case GYR_OP_LOG: LOOP(gyr_log(v));
	case GYR_OP_MISH: LOOP(gyr_mish(v));
	case GYR_OP_NEG: LOOP(-v);
	case GYR_OP_RECIPROCAL: LOOP(1 / v);
	case GYR_OP_RELU: LOOP(gyr_relu(v));
	case GYR_OP_ROUND: LOOP(rintf(v));
	case GYR_OP_SELU: LOOP(v > 0 ? beta * v : beta * alpha * gyr_expm1(v));
	case GYR_OP_SIGMOID: LOOP(gyr_sigmoid(v));
	case GYR_OP_SOFTPLUS: LOOP(gyr_softplus(v));
	case GYR_OP_SOFTSIGN: LOOP(v / (1 + fabsf(v)));
	case GYR_OP_SQRT: LOOP(sqrtf(v));
	case GYR_OP_TANH: LOOP(gyr_tanh(v));
	case GYR_OP_THRESHOLDED_RELU: LOOP(v > alpha || v != v ? v : 0);
	default: gyr_ref_unary(unary, count, x, y); return;
	}
}
