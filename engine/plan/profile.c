/*
 * Profiles: see profile.h. What a step does is noted when the plan is compiled.
 */
#include "engine/plan/profile.h"

#include "base/assertion.h"
#include "engine/plan/plan_internal.h"

static double elements(const struct gyr_shape *shape)
{
	size_t count;
	return shape != NULL && gyr_shape_count(shape, 1, &count) ? (double)count : 0;
}

void gyr_plan_cost(enum gyr_op op, const struct gyr_prepare *prepare, struct gyr_plan_step *step)
{
	if (prepare->node->input_count < 2)
		return;
	const struct gyr_shape *left = prepare->inputs[0], *right = prepare->inputs[1];
	double depth = 0; /* products that one element of the output sums up */
	switch (op) {
	case GYR_OP_MATMUL: depth = left->rank > 0 ? (double)left->dims[left->rank - 1] : 0; break;
	case GYR_OP_GEMM: depth = elements(right) / (double)prepare->outputs[0].dims[1]; break;
	case GYR_OP_CHANNELS_LAST_CONV:
	case GYR_OP_CONV: depth = elements(right) / (double)right->dims[0]; break;
	case GYR_OP_CONV_TRANSPOSE: depth = elements(left) * elements(right) / (double)left->dims[1] / elements(&prepare->outputs[0]); break;
	default: return;
	}
	step->operations = 2 * depth * elements(&prepare->outputs[0]);
	step->weight_bytes = prepare->contents[1] != NULL ? elements(right) * (double)gyr_dtype_bytes(right->dtype) : 0;
}

static const struct gyr_plan_bucket *bucket_of(const struct gyr_plan *plan, uint32_t batch)
{
	return &plan->buckets[__builtin_ctz(gyr_plan_bucket(plan, batch))];
}

uint32_t gyr_plan_step_count(const struct gyr_plan *plan, uint32_t batch)
{
	return bucket_of(plan, batch)->step_count;
}

struct gyr_plan_step gyr_plan_step_at(const struct gyr_plan *plan, uint32_t batch, uint32_t index)
{
	const struct gyr_plan_bucket *bucket = bucket_of(plan, batch);
	GYR_ASSERT(index < bucket->step_count);
	return bucket->told[index];
}

void gyr_plan_step_run(const struct gyr_plan *plan, uint32_t batch, uint32_t index, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct gyr_plan_bucket *bucket = bucket_of(plan, batch);
	const struct gyr_frame frame = {.inputs = inputs, .outputs = outputs, .scratch = scratch};
	GYR_ASSERT(index < bucket->step_count);
	gyr_step_run(&bucket->steps[index], &frame);
}
