/*
 * Steps: see step.h.
 */
#include "engine/plan/step.h"

#include "base/assertion.h"

static inline const void *read_at(const struct gyr_place *place, const struct gyr_frame *frame)
{
	switch (place->kind) {
	case GYR_PLACE_NOWHERE: return NULL;
	case GYR_PLACE_CONSTANT: return place->constant;
	case GYR_PLACE_SCRATCH: return frame->scratch + place->offset;
	case GYR_PLACE_INPUT: return frame->inputs[place->index];
	case GYR_PLACE_OUTPUT: return frame->outputs[place->index];
	}
	gyr_assert_failed("a place", __FILE__, __LINE__);
}

static inline void *write_at(const struct gyr_place *place, const struct gyr_frame *frame)
{
	switch (place->kind) {
	case GYR_PLACE_NOWHERE: return NULL;
	case GYR_PLACE_SCRATCH: return frame->scratch + place->offset;
	case GYR_PLACE_OUTPUT: return frame->outputs[place->index];
	case GYR_PLACE_CONSTANT:
	case GYR_PLACE_INPUT: break;
	}
	gyr_assert_failed("a place to write at", __FILE__, __LINE__);
}

void gyr_step_run(const struct gyr_step *step, const struct gyr_frame *frame)
{
	const void *inputs[GYR_NODE_ENDS_MAX];
	void *outputs[GYR_NODE_ENDS_MAX];
	for (uint32_t i = 0; i < step->input_count; i++)
		inputs[i] = read_at(&step->inputs[i], frame);
	for (uint32_t i = 0; i < step->output_count; i++)
		outputs[i] = write_at(&step->outputs[i], frame);
	step->run(step->params, inputs, outputs, write_at(&step->scratch, frame));
}
