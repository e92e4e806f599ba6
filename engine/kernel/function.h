/*
 * exp, sigmoid and tanh of floats in plain arithmetic without a branch or a table, so that a loop over them becomes vector code under any compiler. Any thread.
 *
 * exp(x) = 2^n * exp(r), n = round(x / ln 2), r = x - n ln 2 in two parts (Cody and Waite), |r| <= 0.347; exp(r) by its Taylor series to r^7, whose rest is
 * below 6e-9. Relative error: exp 2e-7, sigmoid and tanh 4e-7.
 */
#ifndef GYR_ENGINE_KERNEL_FUNCTION_H
#define GYR_ENGINE_KERNEL_FUNCTION_H

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

static inline float gyr_relu(float x)
{
	return x < 0 ? 0 : x;
}

#endif
