/*
 * Functions of one element: see unary.h.
 */
#include "engine/ref/unary.h"

#include <math.h>

#include "base/assertion.h"
#include "engine/ref/unaligned.h"

static double compute(enum gyr_op op, double x)
{
	switch (op) {
	case GYR_OP_RELU: return x < 0 ? 0 : x;
	case GYR_OP_SIGMOID: return 1 / (1 + exp(-x));
	case GYR_OP_TANH: return tanh(x);
	default: gyr_assert_failed("a function of one element", __FILE__, __LINE__);
	}
}

void gyr_ref_unary(enum gyr_op op, size_t count, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	for (size_t i = 0; i < count; i++)
		to[i] = (float)compute(op, from[i]);
}
