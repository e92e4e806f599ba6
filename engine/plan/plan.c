/*
 * Plans: see plan.h. Compiling is in draft.c (the graph), fuse*.c (the passes over it) and compile.c (steps and memory); running is here and in step.c.
 */
#include "engine/plan/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <omp.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/assertion.h"
#include "engine/kernel/tune.h"
#include "engine/plan/fuse.h"
#include "engine/plan/plan_internal.h"

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory for the plan");
}

static int copy_ports(struct gyr_plan *plan, const struct gyr_graph *graph, const struct gyr_shape *shapes, const uint32_t *values, uint32_t count,
		      struct gyr_plan_port **result, struct gyr_error *error)
{
	struct gyr_plan_port *ports = GYR_ARENA_NEW(&plan->arena, struct gyr_plan_port, count);
	if (ports == NULL)
		return no_memory(error);
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_value *value = &graph->values[values[i]];
		ports[i].name = gyr_arena_string(&plan->arena, value->name, strlen(value->name));
		ports[i].shape = shapes[values[i]];
		if (ports[i].name == NULL)
			return no_memory(error);
	}
	*result = ports;
	return 0;
}

/* The signature's ports, and how many batch sizes there are. */
static int make_signature(struct gyr_plan *plan, const struct gyr_graph *graph, const struct gyr_special *one, uint32_t batch_max, struct gyr_error *error)
{
	bool batched;
	struct gyr_shape *shapes = malloc((graph->value_count + 1) * sizeof *shapes);
	int status = shapes == NULL ? no_memory(error) : gyr_specialise_signature(graph, one, shapes, &batched, error);
	plan->bucket_count = 1;
	while (status == 0 && batched && UINT32_C(1) << plan->bucket_count <= batch_max)
		plan->bucket_count++;
	plan->input_count = graph->input_count;
	plan->output_count = graph->output_count;
	if (status == 0)
		status = copy_ports(plan, graph, shapes, graph->inputs, graph->input_count, &plan->inputs, error);
	if (status == 0)
		status = copy_ports(plan, graph, shapes, graph->outputs, graph->output_count, &plan->outputs, error);
	free(shapes);
	return status;
}

/* The graph at each batch size, the first of which is there. */
static int make_specials(const struct gyr_plan *plan, const struct gyr_graph *graph, struct gyr_arena *arena, struct gyr_special *specials,
			 struct gyr_error *error)
{
	for (uint32_t bucket = 1; bucket < plan->bucket_count; bucket++) {
		int64_t batch = INT64_C(1) << bucket;
		int status = gyr_specialise(graph, batch, &specials[0], arena, &specials[bucket], error);
		if (status != 0)
			return status;
		specials[0].fold_bytes_left = specials[bucket].fold_bytes_left; /* one bound for all of them */
		if (!gyr_special_steady(graph, &specials[0], &specials[bucket]))
			return gyr_error_set(error, -ENOTSUP, "a row is not at %lld rows what it is at one", (long long)batch);
		for (uint32_t i = 0; i < graph->output_count; i++) {
			struct gyr_shape expected = gyr_infer_concrete(&plan->outputs[i].shape, batch);
			if (!gyr_shape_equal(&expected, &specials[bucket].shapes[graph->outputs[i]]) ||
			    specials[bucket].rows[graph->outputs[i]] != GYR_ROWS_APART)
				return gyr_error_set(error, -ENOTSUP, "output '%s' is not at %lld rows what it is at others", plan->outputs[i].name,
						     (long long)batch);
		}
	}
	return 0;
}

static struct gyr_plan *new_plan(bool fuse)
{
	struct gyr_plan *plan = calloc(1, sizeof *plan);
	if (plan == NULL)
		return NULL;
	plan->fuse = fuse;
	gyr_arena_init(&plan->arena, 0);
	plan->packs = gyr_packs_create();
	if (plan->packs == NULL) {
		gyr_plan_destroy(plan);
		return NULL;
	}
	return plan;
}

/* From the graph at each batch size to steps. */
static int compile(struct gyr_plan *plan, const struct gyr_graph *graph, const struct gyr_special *specials, const struct gyr_plan_options *options,
		   struct gyr_error *error)
{
	struct gyr_draft draft = {0};
	int status = gyr_draft_init(&draft, graph, specials, plan->bucket_count, error);
	if (status == 0 && plan->fuse)
		status = gyr_draft_fuse(&draft, error);
	if (status == 0)
		status = gyr_plan_compile(plan, &draft, options, error);
	gyr_draft_fini(&draft);
	return status;
}

int gyr_plan_add_body(struct gyr_plan *plan, const struct gyr_graph *body, const struct gyr_special *specials, const struct gyr_plan_options *options,
		      struct gyr_plan **result, struct gyr_error *error)
{
	struct gyr_plan *inner = new_plan(plan->fuse);
	if (inner == NULL)
		return no_memory(error);
	inner->next_body = plan->bodies;
	plan->bodies = inner;
	inner->bucket_count = plan->bucket_count;
	inner->output_count = body->output_count;
	int status = copy_ports(inner, body, specials[0].shapes, body->outputs, body->output_count, &inner->outputs, error);
	if (status == 0)
		status = compile(inner, body, specials, options, error);
	plan->weight_bytes += inner->weight_bytes;
	plan->bf16 = plan->bf16 || inner->bf16;
	*result = inner;
	return status;
}

/* One attempt at a plan, with or without passes over its draft. */
static int create(const struct gyr_graph *graph, const struct gyr_plan_options *options, bool fuse, struct gyr_plan **result, struct gyr_error *error)
{
	struct gyr_special specials[GYR_PLAN_BUCKETS_MAX];
	struct gyr_arena arena; /* of the specials */
	struct gyr_plan *plan = new_plan(fuse);
	if (plan == NULL)
		return no_memory(error);
	gyr_arena_init(&arena, 0);
	plan->node_count = graph->node_count;
	size_t fold_bytes_max = options->fold_bytes_max != 0 ? options->fold_bytes_max : GYR_PLAN_FOLD_BYTES_MAX;
	int status = gyr_specialise_within(graph, 1, fold_bytes_max, &arena, &specials[0], error);
	if (status == 0)
		status = make_signature(plan, graph, &specials[0], options->batch_max, error);
	if (status == 0)
		status = make_specials(plan, graph, &arena, specials, error);
	if (status == 0)
		status = compile(plan, graph, specials, options, error);
	gyr_arena_fini(&arena);
	if (status != 0) {
		gyr_plan_destroy(plan);
		return status;
	}
	*result = plan;
	return 0;
}

int gyr_plan_create(const struct gyr_graph *graph, const struct gyr_plan_options *options, struct gyr_plan **plan, struct gyr_error *error)
{
	GYR_ASSERT(graph->finished);
	GYR_ASSERT(options->batch_max >= 1);
	GYR_ASSERT(options->batch_max <= GYR_PLAN_BATCH_MAX);
	gyr_tune_begin();
	int status = create(graph, options, !options->reference, plan, error);
	if (status == -ENOTSUP && !options->reference)
		status = create(graph, options, false, plan, error); /* a CPU without microkernels: the twin multiplies */
	return status;
}

void gyr_plan_destroy(struct gyr_plan *plan)
{
	if (plan == NULL)
		return;
	for (struct gyr_plan *body = plan->bodies, *next; body != NULL; body = next) {
		next = body->next_body;
		gyr_plan_destroy(body);
	}
	for (uint32_t i = 0; i < plan->layer_count; i++)
		gyr_dense_destroy(plan->layers[i]);
	gyr_packs_destroy(plan->packs);
	gyr_arena_fini(&plan->arena);
	free(plan);
}

int gyr_plan_settle(struct gyr_graph *graph, struct gyr_error *error)
{
	struct gyr_special one;
	struct gyr_arena arena;
	bool batched;
	GYR_ASSERT(graph->finished);
	if (graph->settled)
		return 0;
	gyr_arena_init(&arena, 0);
	struct gyr_shape *shapes = GYR_ARENA_NEW(&arena, struct gyr_shape, graph->value_count);
	int status = shapes == NULL ? no_memory(error) : gyr_specialise(graph, 1, NULL, &arena, &one, error);
	if (status == 0)
		status = gyr_specialise_signature(graph, &one, shapes, &batched, error);
	if (status == 0)
		status = gyr_graph_settle(graph, shapes, batched, error);
	gyr_arena_fini(&arena);
	return status;
}

uint32_t gyr_plan_batch_max(const struct gyr_plan *plan)
{
	return UINT32_C(1) << (plan->bucket_count - 1);
}

static uint32_t bucket_index(uint32_t batch)
{
	return batch <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(batch - 1);
}

uint32_t gyr_plan_bucket(const struct gyr_plan *plan, uint32_t batch)
{
	GYR_ASSERT(batch >= 1);
	GYR_ASSERT(batch <= gyr_plan_batch_max(plan));
	return UINT32_C(1) << bucket_index(batch);
}

size_t gyr_plan_scratch_bytes(const struct gyr_plan *plan)
{
	return plan->scratch_bytes;
}

uint32_t gyr_plan_node_count(const struct gyr_plan *plan)
{
	return plan->node_count;
}

enum gyr_plan_precision gyr_plan_precision(const struct gyr_plan *plan)
{
	return plan->bf16 ? GYR_PLAN_BF16 : GYR_PLAN_F32;
}

size_t gyr_plan_weight_bytes(const struct gyr_plan *plan)
{
	return plan->weight_bytes;
}

uint32_t gyr_plan_input_count(const struct gyr_plan *plan)
{
	return plan->input_count;
}

uint32_t gyr_plan_output_count(const struct gyr_plan *plan)
{
	return plan->output_count;
}

const char *gyr_plan_input_name(const struct gyr_plan *plan, uint32_t index)
{
	GYR_ASSERT(index < plan->input_count);
	return plan->inputs[index].name;
}

const char *gyr_plan_output_name(const struct gyr_plan *plan, uint32_t index)
{
	GYR_ASSERT(index < plan->output_count);
	return plan->outputs[index].name;
}

const struct gyr_shape *gyr_plan_input_shape(const struct gyr_plan *plan, uint32_t index)
{
	GYR_ASSERT(index < plan->input_count);
	return &plan->inputs[index].shape;
}

const struct gyr_shape *gyr_plan_output_shape(const struct gyr_plan *plan, uint32_t index)
{
	GYR_ASSERT(index < plan->output_count);
	return &plan->outputs[index].shape;
}

void gyr_plan_run(const struct gyr_plan *plan, uint32_t batch, const void *const inputs[], void *const outputs[], void *scratch)
{
	GYR_ASSERT(batch - 1 < UINT32_C(1) << (plan->bucket_count - 1));
	const struct gyr_plan_bucket *bucket = &plan->buckets[bucket_index(batch)];
	const struct gyr_frame frame = {.inputs = inputs, .outputs = outputs, .scratch = scratch};
	for (uint32_t i = 0; i < bucket->step_count; i++)
		gyr_step_run(&bucket->steps[i], &frame);
}

void gyr_plan_thread_init(void)
{
	omp_set_num_threads(1);
#if defined(__x86_64__)
	_mm_setcsr(_mm_getcsr() | _MM_FLUSH_ZERO_ON | 0x0040u); /* the second: denormal inputs count as zero */
#endif
}
