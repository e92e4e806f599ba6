/*
 * Optimisers: from gradients to the next weights.
 */
#ifndef GYR_ENGINE_TRAIN_OPTIMISER_H
#define GYR_ENGINE_TRAIN_OPTIMISER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/train/train.h"

struct gyr_optimiser_state {
	enum gyr_optimiser kind;
	float rate, momentum;
	size_t count;          /* weights */
	uint64_t step;         /* steps made */
	float *first, *second; /* COUNT each, zero at the start: SGD's velocity, or Adam's two moments; SGD has no second */
};

/* One step. WEIGHTS and GRADIENTS are STATE->count numbers each. Allocates nothing. */
void gyr_optimiser_step(struct gyr_optimiser_state *state, float *weights, const float *gradients);

#endif
