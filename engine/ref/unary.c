/*
 * Functions of one element: see unary.h. Source of the formulas: docs/Operators.md of ONNX 1.17.
 */
#include "engine/ref/unary.h"

#include <math.h>

#include "base/assertion.h"
#include "engine/ref/number.h"

#define SQRT_2 1.41421356237309504880
#define SQRT_2_BY_PI 0.79788456080286535588

static double softplus(double x)
{
	return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double gelu(const struct gyr_unary *unary, double x)
{
	return unary->first ? 0.5 * x * (1 + tanh(SQRT_2_BY_PI * (x + 0.044715 * x * x * x))) : 0.5 * x * (1 + erf(x / SQRT_2));
}

/* X held between 0 and 1; NaN stays. */
static double hold(double x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double compute_real(const struct gyr_unary *unary, double x)
{
	double alpha = unary->alpha, beta = unary->beta;
	switch (unary->op) {
	case GYR_OP_ABS: return fabs(x);
	case GYR_OP_ACOS: return acos(x);
	case GYR_OP_ACOSH: return acosh(x);
	case GYR_OP_ASIN: return asin(x);
	case GYR_OP_ASINH: return asinh(x);
	case GYR_OP_ATAN: return atan(x);
	case GYR_OP_ATANH: return atanh(x);
	case GYR_OP_CEIL: return ceil(x);
	case GYR_OP_CELU: return x > 0 ? x : alpha * expm1(x / alpha);
	case GYR_OP_COS: return cos(x);
	case GYR_OP_COSH: return cosh(x);
	case GYR_OP_ELU: return x < 0 ? alpha * expm1(x) : x;
	case GYR_OP_ERF: return erf(x);
	case GYR_OP_EXP: return exp(x);
	case GYR_OP_FLOOR: return floor(x);
	case GYR_OP_GELU: return gelu(unary, x);
	case GYR_OP_HARD_SIGMOID: return hold(alpha * x + beta);
	case GYR_OP_HARD_SWISH: return x * hold(x / 6 + 0.5);
	case GYR_OP_IS_INF: return isinf(x) && (x < 0 ? unary->first : unary->second);
	case GYR_OP_IS_NAN: return isnan(x);
	case GYR_OP_LEAKY_RELU: return x < 0 ? alpha * x : x;
	case GYR_OP_LOG: return log(x);
	case GYR_OP_MISH: return x * tanh(softplus(x));
	case GYR_OP_NEG: return -x;
	case GYR_OP_RECIPROCAL: return 1 / x;
	case GYR_OP_RELU: return x < 0 ? 0 : x;
	case GYR_OP_ROUND: return rint(x);
	case GYR_OP_SELU: return x > 0 ? beta * x : beta * alpha * expm1(x);
	case GYR_OP_SHRINK: return x < -alpha ? x + beta : x > alpha ? x - beta : isnan(x) ? x : 0;
	case GYR_OP_SIGMOID: return 1 / (1 + exp(-x));
	case GYR_OP_SIGN: return isnan(x) ? x : (x > 0) - (x < 0);
	case GYR_OP_SIN: return sin(x);
	case GYR_OP_SINH: return sinh(x);
	case GYR_OP_SOFTPLUS: return softplus(x);
	case GYR_OP_SOFTSIGN: return x / (1 + fabs(x));
	case GYR_OP_SQRT: return sqrt(x);
	case GYR_OP_TAN: return tan(x);
	case GYR_OP_TANH: return tanh(x);
	case GYR_OP_THRESHOLDED_RELU: return x > alpha || isnan(x) ? x : 0;
	default: gyr_assert_failed("a function of one element", __FILE__, __LINE__);
	}
}

/* An integer stays one under these; under the others it counts as a real. */
static struct gyr_number compute_integer(const struct gyr_unary *unary, struct gyr_number x)
{
	bool negative = x.kind == GYR_NUMBER_SIGNED && (int64_t)x.integer < 0;
	switch (unary->op) {
	case GYR_OP_ABS: x.integer = negative ? 0 - x.integer : x.integer; return x;
	case GYR_OP_BITWISE_NOT: x.integer = ~x.integer; return x;
	case GYR_OP_NEG: x.integer = 0 - x.integer; return x;
	case GYR_OP_NOT: x.integer = x.integer == 0; return x;
	case GYR_OP_RELU: x.integer = negative ? 0 : x.integer; return x;
	case GYR_OP_SIGN: x.integer = negative ? UINT64_MAX : x.integer != 0; return x;
	default: x.real = x.kind == GYR_NUMBER_SIGNED ? (double)(int64_t)x.integer : (double)x.integer; break;
	}
	return (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = compute_real(unary, x.real)};
}

void gyr_ref_unary(const struct gyr_unary *unary, size_t count, const void *x, void *y)
{
	for (size_t i = 0; i < count; i++) {
		struct gyr_number number = gyr_number_load(unary->from, x, i);
		if (number.kind == GYR_NUMBER_REAL)
			number.real = compute_real(unary, number.real);
		else
			number = compute_integer(unary, number);
		gyr_number_store(unary->to, y, i, number);
	}
}
