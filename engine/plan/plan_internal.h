/*
 * What a plan consists of.
 */
#ifndef GYR_ENGINE_PLAN_PLAN_INTERNAL_H
#define GYR_ENGINE_PLAN_PLAN_INTERNAL_H

#include "base/arena.h"
#include "engine/kernel/dense.h"
#include "engine/plan/draft.h"
#include "engine/plan/plan.h"
#include "engine/plan/profile.h"
#include "engine/plan/step.h"

#define GYR_PLAN_BUCKETS_MAX 7u /* 1, 2, 4, ... GYR_PLAN_BATCH_MAX */

struct gyr_plan_port {
	const char *name;
	struct gyr_shape shape;
};

struct gyr_plan_bucket {
	uint32_t step_count;
	struct gyr_step *steps;
	struct gyr_plan_step *told; /* what each does */
};

struct gyr_plan {
	struct gyr_arena arena; /* owns everything but the layers and packs */
	uint32_t bucket_count;  /* bucket i computes 2^i rows */
	struct gyr_plan_bucket buckets[GYR_PLAN_BUCKETS_MAX];
	uint32_t input_count, output_count, layer_count, node_count;
	struct gyr_plan_port *inputs, *outputs;
	struct gyr_dense **layers;
	struct gyr_packs *packs;
	size_t scratch_bytes, weight_bytes;
	bool bf16;                           /* some layer's weights are */
	bool fuse;                           /* passes go over its draft, and those of its bodies */
	struct gyr_plan *bodies, *next_body; /* owned: what its nodes run; of a body: the next in that list */
};

/*
 * Compiles BODY, a body of a node of PLAN's graph, as it is at each of PLAN's batch sizes (SPECIALS), into *RESULT, which belongs to PLAN. What it weighs is
 * added to PLAN; its scratch is the node's. As gyr_plan_create.
 */
GYR_MUST_CHECK int gyr_plan_add_body(struct gyr_plan *plan, const struct gyr_graph *body, const struct gyr_special *specials,
				     const struct gyr_plan_options *options, struct gyr_plan **result, struct gyr_error *error);

/* Makes the steps of PLAN, whose signature and buckets are set, from DRAFT, which has the plan's batch sizes. -ENOTSUP, -E2BIG, -ENOMEM. */
GYR_MUST_CHECK int gyr_plan_compile(struct gyr_plan *plan, const struct gyr_draft *draft, const struct gyr_plan_options *options, struct gyr_error *error);

/* Fills in the costs of STEP, a node of operator OP that PREPARE has prepared. */
void gyr_plan_cost(enum gyr_op op, const struct gyr_prepare *prepare, struct gyr_plan_step *step);

#endif
