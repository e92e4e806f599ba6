#include "engine/train/optimiser.h"

#include <math.h>

static void step_sgd(struct gyr_optimiser_state *state, float *restrict weights, const float *restrict gradients)
{
	float *restrict velocity = state->first;
	for (size_t i = 0; i < state->count; i++) {
		velocity[i] = state->momentum * velocity[i] + gradients[i];
		weights[i] -= state->rate * velocity[i];
	}
}

static void step_adam(struct gyr_optimiser_state *state, float *restrict weights, const float *restrict gradients)
{
	const double beta1 = 0.9, beta2 = 0.999;
	const float keep1 = (float)beta1, add1 = (float)(1 - beta1), keep2 = (float)beta2, add2 = (float)(1 - beta2), epsilon = 1e-8f;
	/* rate * (m / c1) / (sqrt(v / c2) + epsilon), with the corrections taken out of the loop. */
	float rate = (float)((double)state->rate / (1 - pow(beta1, (double)state->step)));
	float correction = (float)(1 / sqrt(1 - pow(beta2, (double)state->step)));
	float *restrict m = state->first, *restrict v = state->second;
	for (size_t i = 0; i < state->count; i++) {
		float g = gradients[i];
		m[i] = keep1 * m[i] + add1 * g;
		v[i] = keep2 * v[i] + add2 * g * g;
		weights[i] -= rate * m[i] / (sqrtf(v[i]) * correction + epsilon);
	}
}

void gyr_optimiser_step(struct gyr_optimiser_state *state, float *weights, const float *gradients)
{
	state->step++;
	if (state->kind == GYR_OPTIMISER_ADAM)
		step_adam(state, weights, gradients);
	else
		step_sgd(state, weights, gradients);
}
