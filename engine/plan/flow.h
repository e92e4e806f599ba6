/*
 * How a plan runs If, Loop and Scan. Each body becomes a plan within the plan, with the batch sizes of the one around it, whose inputs and outputs are the
 * arrays that the node has; its scratch is part of the node's. So running a body is running its steps, and nothing is copied but what a loop carries when it
 * ends early, and slices along other axes than the first.
 *
 * A run cannot refuse. What it cannot compute is not a number, in every element: the results of a loop whose trips are known only when it runs, and which has
 * not ended after GYR_PLAN_TRIPS_UNKNOWN of them; those of an If that asks for a branch which the shapes do not fit. Only floating-point results can say so: a
 * plan in which another result of such a node is read is refused.
 */
#ifndef GYR_ENGINE_PLAN_FLOW_H
#define GYR_ENGINE_PLAN_FLOW_H

#include "engine/kernel/kernel.h"
#include "engine/model/flow.h"
#include "engine/plan/plan_internal.h"

/* The bodies of a node, compiled; NULL for the branch that is never taken or does not fit. They belong to the plan around them. */
struct gyr_flow_plans {
	const struct gyr_plan *bodies[GYR_FLOW_BODIES_MAX];
};

/* Compiles the bodies of draft node INDEX, which runs bodies, into PLAN. -ENOTSUP, -E2BIG, -ENOMEM. */
GYR_MUST_CHECK int gyr_flow_compile(struct gyr_plan *plan, const struct gyr_draft *draft, uint32_t index, const struct gyr_plan_options *options,
				    struct gyr_flow_plans *plans, struct gyr_error *error);

/* Prepares draft node INDEX for batch size BUCKET, as gyr_kernel_prepare does other nodes. -ENOTSUP, -E2BIG, -ENOMEM. */
GYR_MUST_CHECK int gyr_flow_prepare(const struct gyr_draft *draft, uint32_t index, uint32_t bucket, const struct gyr_flow_plans *plans,
				    struct gyr_prepare *prepare);

#endif
