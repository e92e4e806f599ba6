/*
 * A plan seen step by step, for tools that measure it. Not for the hot path: what is run here is the same, one step a call.
 */
#ifndef GYR_ENGINE_PLAN_PROFILE_H
#define GYR_ENGINE_PLAN_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/plan/plan.h"

/* What a step does. Names live as long as the plan. */
struct gyr_plan_step {
	const char *op;      /* its operator's name, or "copy" */
	const char *node;    /* the node's name, perhaps empty; of a copy the output's */
	double operations;   /* of a product: multiplications and additions; 0 for what is none, or not known */
	double weight_bytes; /* of a product: its constant side, as the model has it; 0 likewise */
};

/* The steps in which the plan computes BATCH rows (1 to batch_max). */
uint32_t gyr_plan_step_count(const struct gyr_plan *plan, uint32_t batch);
struct gyr_plan_step gyr_plan_step_at(const struct gyr_plan *plan, uint32_t batch, uint32_t index);

/* Runs one of them, with the arguments of gyr_plan_run; right when those before it have been run with the same. */
void gyr_plan_step_run(const struct gyr_plan *plan, uint32_t batch, uint32_t index, const void *const inputs[], void *const outputs[], void *scratch);

#endif
