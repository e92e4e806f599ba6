/*
 * Functions of floats in plain arithmetic without a branch or a table, so that a loop over them becomes vector code under any compiler. NaN stays NaN. Any
 * thread.
 *
 * exp(x) = 2^n * exp(r), n = round(x / ln 2), r = x - n ln 2 in two parts (Cody and Waite), |r| <= 0.347; exp(r) by its Taylor series to r^7, whose rest is
 * below 6e-9. The polynomials of erf, erfc and log are minimax fits of their own, made for this file; their errors are below 5e-8.
 *
 * Relative error: exp 2e-7; sigmoid, tanh, expm1, erf, log (near 1 too), log1p, softplus, mish and, from -1 on, both gelus 4e-7; below -1 these have an
 * absolute error of 1e-7.
 */
#ifndef GYR_ENGINE_KERNEL_FUNCTION_H
#define GYR_ENGINE_KERNEL_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define GYR_LOG2_E 1.44269504f
#define GYR_LN2_HIGH 0.693359375f
#define GYR_LN2_LOW -2.12194440e-4f
#define GYR_ROUNDER 12582912.0f /* 1.5 * 2^23: adding it leaves the nearest whole number in the low bits */

/* The n and the r of X, and 2^n; X is within [-87, 88] (or NaN, which R then is). */
static inline float gyr_exp_reduce(float x, float *r)
{
	float shifted = x * GYR_LOG2_E + GYR_ROUNDER;
	int32_t bits;
	memcpy(&bits, &shifted, sizeof bits);
	float n = shifted - GYR_ROUNDER;
	*r = x - n * GYR_LN2_HIGH - n * GYR_LN2_LOW;
	uint32_t power_bits = ((uint32_t)bits + 127u) << 23;
	float power;
	memcpy(&power, &power_bits, sizeof power);
	return power;
}

/* exp(r) - 1 for |r| <= 0.347, with a small relative error also near 0. */
static inline float gyr_expm1_small(float r)
{
	float p = 1.0f / 5040;
	p = p * r + 1.0f / 720;
	p = p * r + 1.0f / 120;
	p = p * r + 1.0f / 24;
	p = p * r + 1.0f / 6;
	p = p * r + 0.5f;
	return p * r * r + r;
}

/* exp(x); 0 below -87, where the result would soon be denormal, and infinity above 88. */
static inline float gyr_exp(float x)
{
	float bounded = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x, r;
	float power = gyr_exp_reduce(bounded, &r);
	float y = power * gyr_expm1_small(r) + power;
	y = x > 88.0f ? __builtin_inff() : y;
	return x < -87.0f ? 0.0f : y;
}

static inline float gyr_sigmoid(float x)
{
	return 1.0f / (1.0f + gyr_exp(-x));
}

/* tanh|x| = t / (t + 2), t = exp(2|x|) - 1; beyond 10 it is 1. */
static inline float gyr_tanh(float x)
{
	float size = x < 0 ? -x : x, r;
	float twice = size > 10.0f ? 20.0f : 2 * size;
	float power = gyr_exp_reduce(twice, &r);
	float t = power * gyr_expm1_small(r) + (power - 1.0f);
	float y = t / (t + 2.0f);
	return x < 0 ? -y : y;
}

/* exp(x) - 1, which is -1 below -87; infinity above 88. */
static inline float gyr_expm1(float x)
{
	float bounded = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x, r;
	float power = gyr_exp_reduce(bounded, &r);
	float y = power * gyr_expm1_small(r) + (power - 1.0f);
	return x > 88.0f ? __builtin_inff() : y;
}

/* erfc(t) for t in [1, 9.3], below which it is 1e-38: exp(-t^2) times a polynomial of 1 / (t + 2). */
static inline float gyr_erfc_large(float t)
{
	float u = 1 / (t + 2);
	float p = 9.957027986746558f;
	p = p * u - 21.68831048677175f;
	p = p * u + 12.332854353181585f;
	p = p * u + 0.43582437649063754f;
	p = p * u + 2.327123009313631f;
	p = p * u + 1.097324745787956f;
	p = p * u + 0.5656936020686703f;
	p = p * u - 3.078094102109273e-5f;
	return gyr_exp(-t * t) * p;
}

/* erf(x) for |x| <= 1. */
static inline float gyr_erf_small(float x)
{
	float z = x * x;
	float p = 7.85385798e-5f;
	p = p * z - 8.01019285e-4f;
	p = p * z + 5.18832763e-3f;
	p = p * z - 2.68538119e-2f;
	p = p * z + 1.12835851e-1f;
	p = p * z - 3.76126258e-1f;
	p = p * z + 1.28379166e-1f;
	return x * p + x;
}

static inline float gyr_erf(float x)
{
	float size = x < 0 ? -x : x;
	float large = 1 - gyr_erfc_large(size > 4 ? 4 : size), small = gyr_erf_small(size > 1 ? 1 : x);
	large = x < 0 ? -large : large;
	return size > 1 ? large : small;
}

/* x times the part of a normal distribution below x. Far below 0 that part is erfc alone, so that nothing cancels. */
static inline float gyr_gelu(float x)
{
	float t = x * 0.70710678f, size = t < 0 ? -t : t;
	float tail = 0.5f * gyr_erfc_large(size > 9.3f ? 9.3f : size), small = 0.5f * gyr_erf_small(size > 1 ? 1 : t) + 0.5f;
	float large = t < 0 ? tail : 1 - tail;
	large = t < -9.3f ? 0 : large;
	return x * (size > 1 ? large : small);
}

static inline float gyr_gelu_tanh(float x)
{
	return x * gyr_sigmoid(1.59576912f * x * (1 + 0.044715f * x * x));
}

/* log(x): m 2^e with m in [sqrt(1/2), sqrt(2)), and a polynomial of m - 1. Of 0 minus infinity, of less NaN. */
static inline float gyr_log(float x)
{
	bool tiny = x < 1.17549435e-38f;
	float scaled = tiny ? x * 8388608.0f : x;
	uint32_t bits;
	memcpy(&bits, &scaled, sizeof bits);
	uint32_t shifted = bits - 0x3f3504f3u; /* sqrt(1/2) */
	int32_t exponent = (int32_t)shifted >> 23;
	uint32_t m_bits = (shifted & 0x7fffffu) + 0x3f3504f3u;
	float m, e = (float)exponent - (tiny ? 23.0f : 0.0f);
	memcpy(&m, &m_bits, sizeof m);
	float f = m - 1;
	float p = 0.0733448780297075f;
	p = p * f - 0.11656027703113614f;
	p = p * f + 0.11632035597960488f;
	p = p * f - 0.12397263160966547f;
	p = p * f + 0.14251547711725973f;
	p = p * f - 0.16669126002502974f;
	p = p * f + 0.2000067014716833f;
	p = p * f - 0.2499998155435433f;
	p = p * f + 0.33333331465531113f;
	float z = f * f;
	float y = (e * GYR_LN2_LOW + (z * f * p - 0.5f * z)) + f + e * GYR_LN2_HIGH;
	y = x == 0 ? -__builtin_inff() : y;
	y = x < 0 ? __builtin_nanf("") : y;
	return x > 3.40282347e38f || x != x ? x : y;
}

/* log(1 + x) for x >= 0, also where 1 + x is 1. */
static inline float gyr_log1p(float x)
{
	float u = 1 + x, over = u - 1;
	float y = gyr_log(u) * (x / (over == 0 ? 1 : over));
	return over == 0 ? x : y;
}

/* log(1 + exp(x)) */
static inline float gyr_softplus(float x)
{
	return (x > 0 ? x : x < 0 ? 0 : x) + gyr_log1p(gyr_exp(x < 0 ? x : -x));
}

/* x tanh(softplus(x)) = x n / (n + 2), n = e^x (e^x + 2); beyond 20 that is x. */
static inline float gyr_mish(float x)
{
	float e = gyr_exp(x > 20 ? 20 : x), n = e * (e + 2);
	return x * (n / (n + 2));
}

static inline float gyr_relu(float x)
{
	return x < 0 ? 0 : x;
}

#endif
