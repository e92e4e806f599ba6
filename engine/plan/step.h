/*
 * A step: one kernel call with all that it needs to know but the addresses, for one batch size.
 */
#ifndef GYR_ENGINE_PLAN_STEP_H
#define GYR_ENGINE_PLAN_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/kernel.h"

/* Where a tensor lies. */
enum gyr_place_kind { GYR_PLACE_NOWHERE, GYR_PLACE_CONSTANT, GYR_PLACE_SCRATCH, GYR_PLACE_INPUT, GYR_PLACE_OUTPUT };

struct gyr_place {
	enum gyr_place_kind kind;
	union {
		const void *constant;
		size_t offset;  /* in the scratch */
		uint32_t index; /* of an input or output */
	};
};

/* The addresses of one run. */
struct gyr_frame {
	const void *const *inputs;
	void *const *outputs;
	uint8_t *scratch;
};

struct gyr_step {
	gyr_run_fn *run;
	const void *params;
	uint32_t input_count, output_count; /* at most GYR_NODE_ENDS_MAX */
	struct gyr_place *inputs, *outputs; /* NOWHERE where left out; outputs are never constants or inputs */
	struct gyr_place scratch;           /* of the kernel's own; NOWHERE where it needs none */
};

/* Runs a step. Hot path. */
void gyr_step_run(const struct gyr_step *step, const struct gyr_frame *frame);

#endif
