/*
 * If, Loop and Scan in a plan: see flow.h. Here is what they share, and If; loops are in flow_loop.c and flow_scan.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "engine/plan/flow_internal.h"
#include "engine/ref/number.h"

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory for the plan");
}

int gyr_flow_compile(struct gyr_plan *plan, const struct gyr_draft *draft, uint32_t index, const struct gyr_plan_options *options, struct gyr_flow_plans *plans,
		     struct gyr_error *error)
{
	struct gyr_special specials[GYR_PLAN_BUCKETS_MAX];
	struct gyr_flow flow;
	gyr_flow_read(draft->nodes[index].source, &flow);
	*plans = (struct gyr_flow_plans){{NULL}};
	for (uint32_t which = 0; which < flow.body_count; which++) {
		uint32_t taken = 0;
		for (uint32_t bucket = 0; bucket < draft->special_count; bucket++) {
			const struct gyr_special *special = draft->nodes[index].flows[bucket]->bodies[which];
			taken += special != NULL;
			if (special != NULL)
				specials[bucket] = *special;
		}
		if (taken == 0)
			continue;
		if (taken != draft->special_count)
			return gyr_error_set(error, -ENOTSUP, "which branch it takes depends on how many rows there are");
		struct gyr_plan *body;
		int status = gyr_plan_add_body(plan, flow.bodies[which], specials, options, &body, error);
		if (status != 0)
			return status;
		plans->bodies[which] = body;
	}
	return 0;
}

size_t flow_reserve(struct flow_layout *layout, size_t bytes)
{
	size_t offset = layout->bytes;
	layout->bytes += (bytes + GYR_PLAN_SCRATCH_ALIGN - 1) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN;
	return offset;
}

int flow_bytes(const struct flow_layout *layout, const struct gyr_shape *shape, size_t *bytes)
{
	if (!gyr_shape_bytes(shape, 1, bytes) || *bytes > GYR_PLAN_RUN_BYTES_MAX)
		return gyr_error_set(layout->prepare->error, -E2BIG, "what a body gives is too large (at most %zu bytes)", GYR_PLAN_RUN_BYTES_MAX);
	return 0;
}

const struct gyr_shape *flow_output_shape(const struct flow_layout *layout, uint32_t which, uint32_t output)
{
	const struct gyr_graph *body = layout->flow.bodies[which];
	return &layout->special->bodies[which]->shapes[body->outputs[output]];
}

void *flow_params(const struct flow_layout *layout, size_t bytes)
{
	void *params = gyr_arena_alloc(layout->prepare->arena, bytes, 64);
	if (params == NULL)
		(void)no_memory(layout->prepare->error);
	return params;
}

void flow_use_body(struct flow_layout *layout, uint32_t which, struct flow_body *body)
{
	const struct gyr_plan *plan = layout->plans->bodies[which];
	const struct gyr_plan_bucket *bucket = &plan->buckets[layout->bucket];
	const struct gyr_graph *graph = layout->flow.bodies[which];
	uint32_t own = graph->input_count - graph->capture_count;
	*body = (struct flow_body){.bucket = bucket,
				   .own_count = own,
				   .output_count = graph->output_count,
				   .capture = layout->flow.captures[which],
				   .capture_count = graph->capture_count,
				   .scratch = flow_reserve(layout, plan->scratch_bytes)};
	for (uint32_t i = 0; i < bucket->step_count; i++) {
		const struct gyr_step *step = &bucket->steps[i];
		for (uint32_t k = 0; k < step->input_count; k++) {
			uint32_t index = step->inputs[k].kind == GYR_PLACE_INPUT ? step->inputs[k].index : 0;
			if (step->inputs[k].kind == GYR_PLACE_INPUT && index >= own)
				flow_reads(layout, body->capture + index - own);
		}
	}
}

void flow_reads(struct flow_layout *layout, uint32_t input)
{
	if (input < 64)
		layout->prepare->unread &= ~(UINT64_C(1) << input);
}

void flow_run_body(const struct flow_body *body, const void *const inputs[], void *const outputs[], uint8_t *scratch)
{
	const struct gyr_frame frame = {.inputs = inputs, .outputs = outputs, .scratch = scratch + body->scratch};
	for (uint32_t i = 0; i < body->bucket->step_count; i++)
		gyr_step_run(&body->bucket->steps[i], &frame);
}

int flow_check_spoilable(const struct flow_layout *layout, uint32_t count, const char *when)
{
	for (uint32_t i = 0; i < layout->node->output_count && i < count; i++) {
		uint32_t value = layout->node->outputs[i];
		enum gyr_dtype type = layout->prepare->outputs[i].dtype;
		bool real = type == GYR_DTYPE_F32 || type == GYR_DTYPE_F64 || type == GYR_DTYPE_F16 || type == GYR_DTYPE_BF16;
		if (value != GYR_DRAFT_NONE && layout->draft->values[value].uses != 0 && !real)
			return gyr_error_set(layout->prepare->error, -ENOTSUP, "result %" PRIu32 " of type %s could not say so when %s", i,
					     gyr_dtype_name(type), when);
	}
	return 0;
}

void flow_spoil(enum gyr_dtype dtype, size_t bytes, void *result)
{
	for (size_t i = 0; result != NULL && i < bytes / gyr_dtype_bytes(dtype); i++)
		gyr_number_store(dtype, result, i, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = NAN});
}

/* A result of an If. */
struct branch_result {
	enum gyr_dtype dtype;
	size_t bytes;
	size_t instead; /* where in the scratch it goes when the node leaves it out */
};

struct branches {
	struct flow_body bodies[GYR_FLOW_BODIES_MAX]; /* without a bucket: the shapes do not fit it */
	bool asked;                                   /* the condition decides when it runs; else the branch is TAKEN */
	uint32_t taken;
	uint32_t result_count; /* those that the node has; a body may have more */
	struct branch_result *results;
};

static void run_if(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct branches *branches = params;
	const struct flow_body *body = &branches->bodies[branches->asked ? *(const uint8_t *)inputs[0] == 0 : branches->taken];
	void *to[GYR_NODE_ENDS_MAX];
	if (body->bucket == NULL) {
		for (uint32_t o = 0; o < branches->result_count; o++)
			flow_spoil(branches->results[o].dtype, branches->results[o].bytes, outputs[o]);
		return;
	}
	for (uint32_t o = 0; o < body->output_count; o++)
		to[o] = o < branches->result_count && outputs[o] != NULL ? outputs[o] : (uint8_t *)scratch + branches->results[o].instead;
	flow_run_body(body, inputs + body->capture, to, scratch);
}

/* Result INDEX of the branches that fit; both have one shape where the node has the result. */
static int lay_out_result(struct flow_layout *layout, uint32_t index, struct branch_result *result)
{
	bool given = index < layout->node->output_count && layout->node->outputs[index] != GYR_DRAFT_NONE;
	for (uint32_t which = 0; which < GYR_FLOW_BODIES_MAX; which++) {
		size_t bytes;
		if (layout->plans->bodies[which] == NULL || index >= layout->flow.bodies[which]->output_count)
			continue;
		const struct gyr_shape *shape = flow_output_shape(layout, which, index);
		int status = flow_bytes(layout, shape, &bytes);
		if (status != 0)
			return status;
		result->dtype = shape->dtype;
		result->bytes = bytes > result->bytes ? bytes : result->bytes;
	}
	result->instead = given ? 0 : flow_reserve(layout, result->bytes);
	return 0;
}

static int prepare_if(struct flow_layout *layout)
{
	struct branches *branches = flow_params(layout, sizeof *branches);
	uint32_t most = 0;
	int status = 0;
	if (branches == NULL)
		return -ENOMEM;
	branches->asked = layout->special->asked;
	branches->taken = layout->plans->bodies[0] != NULL ? 0 : 1;
	branches->result_count = layout->node->output_count;
	for (uint32_t which = 0; which < GYR_FLOW_BODIES_MAX; which++) {
		if (layout->plans->bodies[which] != NULL)
			flow_use_body(layout, which, &branches->bodies[which]);
		else if (branches->asked && status == 0)
			status = flow_check_spoilable(layout, branches->result_count, "the branch that does not fit is asked for");
		most = layout->flow.bodies[which]->output_count > most ? layout->flow.bodies[which]->output_count : most;
	}
	if (branches->asked)
		flow_reads(layout, 0);
	branches->results = flow_params(layout, most * sizeof *branches->results);
	if (branches->results == NULL)
		return -ENOMEM;
	for (uint32_t o = 0; o < most && status == 0; o++)
		status = lay_out_result(layout, o, &branches->results[o]);
	layout->prepare->run = run_if;
	layout->prepare->params = branches;
	return status;
}

int gyr_flow_prepare(const struct gyr_draft *draft, uint32_t index, uint32_t bucket, const struct gyr_flow_plans *plans, struct gyr_prepare *prepare)
{
	struct flow_layout layout = {.draft = draft,
				     .node = &draft->nodes[index],
				     .special = draft->nodes[index].flows[bucket],
				     .plans = plans,
				     .bucket = bucket,
				     .prepare = prepare};
	gyr_flow_read(prepare->node, &layout.flow);
	prepare->unread = UINT64_MAX;
	int status = prepare->node->op == GYR_OP_IF     ? prepare_if(&layout)
		     : prepare->node->op == GYR_OP_LOOP ? flow_prepare_loop(&layout)
							: flow_prepare_scan(&layout);
	prepare->scratch_bytes = layout.bytes + (layout.bytes == 0); /* places of nothing have an address too */
	return status;
}
