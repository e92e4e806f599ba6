#include "engine/train/optimiser.h"

#include <math.h>

/*
 * The loops work on locals: a store through a float pointer might change *STATE for all that the compiler knows (-fno-strict-aliasing).
 */
static void step_sgd(const struct gyr_optimiser_state *state, float *restrict weights, const float *restrict gradients)
{
	float *restrict velocity = state->first;
	const float momentum = state->momentum, rate = state->rate;
	for (size_t i = 0, count = state->count; i < count; i++) {
		float v = momentum * velocity[i] + gradients[i];
		velocity[i] = v;
		weights[i] -= rate * v;
	}
}

static void step_adam(const struct gyr_optimiser_state *state, float *restrict weights, const float *restrict gradients)
{
	const double beta1 = 0.9, beta2 = 0.999;
	const float keep1 = (float)beta1, add1 = (float)(1 - beta1), keep2 = (float)beta2, add2 = (float)(1 - beta2), epsilon = 1e-8f;
	/* rate * (m / c1) / (sqrt(v / c2) + epsilon), with the corrections taken out of the loop. */
	const float rate = (float)((double)state->rate / (1 - pow(beta1, (double)state->step)));
	const float correction = (float)(1 / sqrt(1 - pow(beta2, (double)state->step)));
	float *restrict first = state->first, *restrict second = state->second;
	for (size_t i = 0, count = state->count; i < count; i++) {
		float g = gradients[i], m = keep1 * first[i] + add1 * g, v = keep2 * second[i] + add2 * g * g;
		first[i] = m;
		second[i] = v;
		weights[i] -= rate * m / (sqrtf(v) * correction + epsilon);
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
