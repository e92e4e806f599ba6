/*
 * What the files of flow.h share.
 */
#ifndef GYR_ENGINE_PLAN_FLOW_INTERNAL_H
#define GYR_ENGINE_PLAN_FLOW_INTERNAL_H

#include "engine/plan/flow.h"

/* A body as a run sees it. */
struct flow_body {
	const struct gyr_plan_bucket *bucket;
	uint32_t own_count; /* inputs that the node's code gives it, before the captures */
	uint32_t output_count;
	uint32_t capture, capture_count; /* the captures are the node's inputs from here on */
	size_t scratch;                  /* where in the node's scratch that of the body begins */
};

/* A node that is being prepared. Its scratch grows from 0. */
struct flow_layout {
	const struct gyr_draft *draft;
	const struct gyr_draft_node *node;
	const struct gyr_special_flow *special;
	const struct gyr_flow_plans *plans;
	uint32_t bucket;
	struct gyr_prepare *prepare;
	struct gyr_flow flow;
	size_t bytes;
};

/* Zeroed memory that lives as long as the plan; NULL with the error set. */
void *flow_params(const struct flow_layout *layout, size_t bytes);

/* Takes BYTES of the node's scratch; returns where they begin. */
size_t flow_reserve(struct flow_layout *layout, size_t bytes);

/* The bytes of SHAPE. -E2BIG: more than a run may have. */
GYR_MUST_CHECK int flow_bytes(const struct flow_layout *layout, const struct gyr_shape *shape, size_t *bytes);

/* The shape of output OUTPUT of body WHICH. */
const struct gyr_shape *flow_output_shape(const struct flow_layout *layout, uint32_t which, uint32_t output);

/* Fills in *BODY for body WHICH, takes its scratch, and notes which captures it reads. */
void flow_use_body(struct flow_layout *layout, uint32_t which, struct flow_body *body);

/* Notes that the node's code reads input INPUT. */
void flow_reads(struct flow_layout *layout, uint32_t input);

/* Runs a body on arrays in the order of its inputs and outputs, none NULL but captures that it does not read. SCRATCH is the node's. */
void flow_run_body(const struct flow_body *body, const void *const inputs[], void *const outputs[], uint8_t *scratch);

/* What a loop carries: it goes back and forth between two arrays. */
struct flow_carried {
	size_t bytes;
	size_t spare;   /* where in the scratch the second is */
	size_t instead; /* and the first, where the node leaves the result out */
};

/* Fills in COUNT carried values, the node's first results, which are the body's outputs from OUTPUT on. */
GYR_MUST_CHECK int flow_carry(struct flow_layout *layout, uint32_t output, uint32_t count, struct flow_carried *carried);

/* That each of the first COUNT results that somebody reads can say that it is not a number. -ENOTSUP: one cannot; WHEN says when it would have to. */
GYR_MUST_CHECK int flow_check_spoilable(const struct flow_layout *layout, uint32_t count, const char *when);

/* Makes BYTES of DTYPE at RESULT (NULL: nothing) no numbers; 0 where the type has no such thing. */
void flow_spoil(enum gyr_dtype dtype, size_t bytes, void *result);

GYR_MUST_CHECK int flow_prepare_loop(struct flow_layout *layout);
GYR_MUST_CHECK int flow_prepare_scan(struct flow_layout *layout);

#endif
