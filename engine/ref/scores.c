/*
 * Scores: see scores.h.
 */
#include "engine/ref/scores.h"

#include <math.h>

#define WINITZKI_A 0.147f
#define PI 3.14159f
#define AS_GOOD_AS_ZERO 1e-7f

static float logistic(float x)
{
	float y = 1.0f / (1.0f + expf(-fabsf(x)));
	return x < 0 ? 1.0f - y : y;
}

static float inverse_erf(float x)
{
	float log_rest = logf((1.0f - x) * (1.0f + x));
	float half = 2.0f / (PI * WINITZKI_A) + 0.5f * log_rest;
	return copysignf(sqrtf(sqrtf(half * half - log_rest / WINITZKI_A) - half), x);
}

static void softmax(float *scores, size_t count, bool keep_zeros)
{
	float most = scores[gyr_ref_largest(scores, count)], sum = 0;
	for (size_t i = 0; i < count; i++) {
		if (keep_zeros && fabsf(scores[i]) <= AS_GOOD_AS_ZERO)
			scores[i] *= expf(-most);
		else
			sum += scores[i] = expf(scores[i] - most);
	}
	for (size_t i = 0; i < count; i++)
		scores[i] /= sum;
}

void gyr_ref_scores(enum gyr_ml_transform transform, float *scores, size_t count)
{
	switch (transform) {
	case GYR_ML_NONE: break;
	case GYR_ML_SOFTMAX: softmax(scores, count, false); break;
	case GYR_ML_SOFTMAX_ZERO: softmax(scores, count, true); break;
	case GYR_ML_LOGISTIC:
		for (size_t i = 0; i < count; i++)
			scores[i] = logistic(scores[i]);
		break;
	case GYR_ML_PROBIT:
		for (size_t i = 0; i < count; i++)
			scores[i] = 1.41421356f * inverse_erf(2.0f * scores[i] - 1.0f);
		break;
	}
}

size_t gyr_ref_largest(const float *scores, size_t count)
{
	size_t best = 0;
	for (size_t i = 1; i < count; i++)
		best = scores[i] > scores[best] ? i : best;
	return best;
}
