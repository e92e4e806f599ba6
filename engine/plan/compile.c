/*
 * From a draft to steps: packs the layers, copies the constants, and for each batch size lays out the scratch and writes the steps.
 *
 * Scratch. A value lives from the step that makes it to the last one that reads it; two values whose lives meet do not share bytes. Values are placed in the
 * order in which they are made, each at the lowest offset that is free during its life. A graph output is made in the caller's array at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/plan/plan_internal.h"

/* A root value, as one batch size sees it. */
struct slot {
	struct gyr_place place;
	size_t bytes;
	uint32_t read; /* the last draft node that reads it */
	bool live;     /* has its place in the scratch, while that is laid out */
};

/* Free bytes of the scratch, [begin, end). */
struct gap {
	size_t begin, end;
};

struct compiler {
	struct gyr_plan *plan;
	const struct gyr_draft *draft;
	bool reference;
	struct slot *slots;        /* one a value; only those of roots are used */
	struct gyr_dense **layers; /* one a draft node */
	struct gap *gaps;          /* by offset; no two touch */
	uint32_t gap_count;
};

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory for the plan");
}

static int pack_layer(struct compiler *compiler, uint32_t index, struct gyr_error *error)
{
	const struct gyr_draft_dense *dense = compiler->draft->nodes[index].dense;
	float *bias = NULL;
	if (dense->has_bias) {
		bias = malloc(dense->out * sizeof *bias);
		if (bias == NULL)
			return no_memory(error);
		for (size_t n = 0; n < dense->out; n++)
			bias[n] = (float)dense->bias[n];
	}
	struct gyr_dense *layer;
	int status = gyr_dense_create(dense->in, dense->out, dense->weights, bias, dense->activation, &layer, error);
	free(bias);
	if (status != 0)
		return status;
	compiler->layers[index] = layer;
	compiler->plan->layers[compiler->plan->layer_count++] = layer;
	compiler->plan->weight_bytes += gyr_dense_bytes(layer);
	return 0;
}

/* Copies a constant that a step or an output reads into the plan, once. */
static int keep_constant(struct compiler *compiler, uint32_t value, struct gyr_error *error)
{
	const struct gyr_draft_value *from = &compiler->draft->values[value];
	struct slot *slot = &compiler->slots[from->root];
	if (from->data == NULL || slot->place.kind == GYR_PLACE_CONSTANT)
		return 0;
	size_t bytes;
	if (!gyr_shape_bytes(&from->shape, 1, &bytes))
		return no_memory(error);
	void *copy = gyr_arena_alloc(&compiler->plan->arena, bytes, GYR_ALIGN_CONSTANT);
	if (copy == NULL)
		return no_memory(error);
	memcpy(copy, from->data, bytes);
	slot->place = (struct gyr_place){.kind = GYR_PLACE_CONSTANT, .constant = copy};
	compiler->plan->weight_bytes += bytes;
	return 0;
}

/* What does not depend on the batch size: layers, constants, the places of inputs and outputs, and when values live. */
static int prepare(struct compiler *compiler, struct gyr_error *error)
{
	const struct gyr_draft *draft = compiler->draft;
	const struct gyr_graph *graph = draft->graph;
	int status = 0;
	for (uint32_t i = 0; i < graph->input_count; i++)
		compiler->slots[graph->inputs[i]].place = (struct gyr_place){.kind = GYR_PLACE_INPUT, .index = i};
	for (uint32_t i = 0; i < graph->output_count && status == 0; i++) {
		struct slot *slot = &compiler->slots[draft->values[graph->outputs[i]].root];
		if (draft->values[draft->values[graph->outputs[i]].root].producer != GYR_DRAFT_NONE && slot->place.kind == GYR_PLACE_NOWHERE)
			slot->place = (struct gyr_place){.kind = GYR_PLACE_OUTPUT, .index = i};
		status = keep_constant(compiler, graph->outputs[i], error);
	}
	for (uint32_t n = 0; n < draft->node_count && status == 0; n++) {
		const struct gyr_draft_node *node = &draft->nodes[n];
		if (node->dead)
			continue;
		if (node->dense != NULL) {
			status = pack_layer(compiler, n, error);
			if (status != 0)
				return gyr_draft_blame(node->source, status, error);
		}
		for (uint32_t i = 0; i < (node->dense != NULL ? 1 : 3) && status == 0; i++) {
			if (node->inputs[i] == GYR_DRAFT_NONE)
				continue;
			compiler->slots[draft->values[node->inputs[i]].root].read = n;
			status = keep_constant(compiler, node->inputs[i], error);
		}
	}
	return status;
}

/* Takes BYTES at the lowest offset where that many are free. The last gap has no end, so there always is one. */
static size_t take(struct compiler *compiler, size_t bytes)
{
	struct gap *gap = compiler->gaps;
	while (gap->end - gap->begin < bytes)
		gap++;
	size_t offset = gap->begin;
	gap->begin += bytes;
	if (gap->begin == gap->end)
		memmove(gap, gap + 1, (size_t)(compiler->gaps + --compiler->gap_count - gap) * sizeof *gap);
	return offset;
}

/* Gives [BEGIN, END) back: it joins the gaps beside it, or becomes one. */
static void give_back(struct compiler *compiler, size_t begin, size_t end)
{
	uint32_t low = 0, high = compiler->gap_count - 1; /* the gap behind it is one of them */
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (compiler->gaps[middle].begin < end)
			low = middle + 1;
		else
			high = middle;
	}
	struct gap *behind = &compiler->gaps[low];
	bool joins_behind = behind->begin == end, joins_before = low > 0 && behind[-1].end == begin;
	if (joins_behind && joins_before) {
		behind[-1].end = behind->end;
		memmove(behind, behind + 1, (--compiler->gap_count - low) * sizeof *behind);
	} else if (joins_behind) {
		behind->begin = begin;
	} else if (joins_before) {
		behind[-1].end = end;
	} else {
		memmove(behind + 1, behind, (compiler->gap_count++ - low) * sizeof *behind);
		*behind = (struct gap){begin, end};
	}
}

/* Gives back the inputs that draft node N is the last to read. */
static void give_back_inputs(struct compiler *compiler, uint32_t n)
{
	const struct gyr_draft_node *node = &compiler->draft->nodes[n];
	for (uint32_t i = 0; i < (node->dense != NULL ? 1 : 3); i++) {
		if (node->inputs[i] == GYR_DRAFT_NONE)
			continue;
		struct slot *slot = &compiler->slots[compiler->draft->values[node->inputs[i]].root];
		if (slot->place.kind != GYR_PLACE_SCRATCH || slot->read != n || !slot->live)
			continue;
		slot->live = false; /* it may be both inputs */
		give_back(compiler, slot->place.offset, slot->place.offset + slot->bytes);
	}
}

static int lay_out(struct compiler *compiler, uint64_t batch, struct gyr_error *error)
{
	const struct gyr_draft *draft = compiler->draft;
	compiler->gaps[0] = (struct gap){0, SIZE_MAX};
	compiler->gap_count = 1;
	for (uint32_t n = 0; n < draft->node_count; n++) {
		const struct gyr_draft_node *node = &draft->nodes[n];
		struct slot *slot = &compiler->slots[node->output];
		if (node->dead)
			continue;
		if (slot->place.kind != GYR_PLACE_OUTPUT) {
			if (!gyr_shape_bytes(&draft->values[node->output].shape, batch, &slot->bytes))
				return gyr_draft_blame(node->source, gyr_error_set(error, -ENOTSUP, "its result is too large"), error);
			slot->bytes = (slot->bytes + GYR_PLAN_SCRATCH_ALIGN - 1) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN;
			slot->place = (struct gyr_place){.kind = GYR_PLACE_SCRATCH, .offset = take(compiler, slot->bytes)};
			slot->live = true;
			if (slot->place.offset + slot->bytes > compiler->plan->scratch_bytes)
				compiler->plan->scratch_bytes = slot->place.offset + slot->bytes;
		}
		give_back_inputs(compiler, n);
	}
	return 0;
}

/* That one run's arrays are within their bound at BATCH rows. */
static int check_size(const struct gyr_plan *plan, uint64_t batch, struct gyr_error *error)
{
	size_t total = plan->scratch_bytes, bytes;
	for (uint32_t i = 0; i < plan->input_count + plan->output_count; i++) {
		const struct gyr_plan_port *port = i < plan->input_count ? &plan->inputs[i] : &plan->outputs[i - plan->input_count];
		if (!gyr_shape_bytes(&port->shape, batch, &bytes) || __builtin_add_overflow(total, bytes, &total))
			total = SIZE_MAX;
	}
	if (total <= GYR_PLAN_RUN_BYTES_MAX)
		return 0;
	return gyr_error_set(error, -E2BIG, "a run of %llu rows needs %zu bytes for its inputs, its outputs and what is between them (at most %zu)",
			     (unsigned long long)batch, total, GYR_PLAN_RUN_BYTES_MAX);
}

static struct gyr_place place_of(const struct compiler *compiler, uint32_t value)
{
	if (value == GYR_DRAFT_NONE)
		return (struct gyr_place){.kind = GYR_PLACE_NOWHERE};
	return compiler->slots[compiler->draft->values[value].root].place;
}

static int write_step(struct compiler *compiler, uint32_t index, uint64_t batch, struct gyr_step *step, struct gyr_error *error)
{
	const struct gyr_draft *draft = compiler->draft;
	const struct gyr_draft_node *node = &draft->nodes[index];
	int status;
	if (node->dense != NULL) {
		size_t count;
		if (!gyr_shape_count(&draft->values[node->inputs[0]].shape, batch, &count))
			return gyr_error_set(error, -ENOTSUP, "its input is too large");
		*step = (struct gyr_step){.kind = GYR_STEP_DENSE, .dense = {.dense = compiler->layers[index], .rows = count / node->dense->in}};
		status = gyr_dense_prepare(compiler->layers[index], step->dense.rows, error);
	} else {
		const struct gyr_shape *shapes[3];
		for (uint32_t i = 0; i < 3; i++)
			shapes[i] = node->inputs[i] == GYR_DRAFT_NONE ? NULL : &draft->values[node->inputs[i]].shape;
		status = gyr_step_init(step, node->source, draft->graph->opset, shapes, &draft->values[node->output].shape, batch, compiler->reference, error);
	}
	if (status != 0)
		return status;
	for (uint32_t i = 0; i < (node->dense != NULL ? 1 : 3); i++)
		step->inputs[i] = place_of(compiler, node->inputs[i]);
	step->output = place_of(compiler, node->output);
	return 0;
}

static int write_bucket(struct compiler *compiler, uint32_t bucket, struct gyr_error *error)
{
	const struct gyr_draft *draft = compiler->draft;
	const struct gyr_graph *graph = draft->graph;
	struct gyr_plan_bucket *to = &compiler->plan->buckets[bucket];
	uint64_t batch = UINT64_C(1) << bucket;
	int status = lay_out(compiler, batch, error);
	if (status == 0)
		status = check_size(compiler->plan, batch, error);
	if (status != 0)
		return status;
	to->steps = GYR_ARENA_NEW(&compiler->plan->arena, struct gyr_step, draft->node_count + graph->output_count);
	if (to->steps == NULL)
		return no_memory(error);
	for (uint32_t n = 0; n < draft->node_count; n++) {
		if (draft->nodes[n].dead)
			continue;
		status = write_step(compiler, n, batch, &to->steps[to->step_count++], error);
		if (status != 0)
			return gyr_draft_blame(draft->nodes[n].source, status, error);
	}
	/* An output that is not made in its array: an input, a constant, or an output twice. */
	for (uint32_t i = 0; i < graph->output_count; i++) {
		struct gyr_place from = place_of(compiler, graph->outputs[i]);
		if (from.kind == GYR_PLACE_OUTPUT && from.index == i)
			continue;
		struct gyr_step *copy = &to->steps[to->step_count++];
		*copy = (struct gyr_step){.kind = GYR_STEP_COPY, .inputs = {from}, .output = {.kind = GYR_PLACE_OUTPUT, .index = i}};
		if (!gyr_shape_bytes(&draft->values[graph->outputs[i]].shape, batch, &copy->bytes))
			return gyr_error_set(error, -ENOTSUP, "output '%s' is too large", graph->values[graph->outputs[i]].name);
	}
	return 0;
}

int gyr_plan_compile(struct gyr_plan *plan, const struct gyr_draft *draft, bool reference, struct gyr_error *error)
{
	uint32_t value_count = draft->graph->value_count;
	struct compiler compiler = {.plan = plan, .draft = draft, .reference = reference};
	compiler.slots = calloc(value_count + 1, sizeof *compiler.slots);
	compiler.gaps = calloc((size_t)value_count + 2, sizeof *compiler.gaps);
	compiler.layers = calloc(draft->node_count + 1, sizeof(struct gyr_dense *));
	plan->layers = GYR_ARENA_NEW(&plan->arena, struct gyr_dense *, draft->node_count);
	int status = compiler.slots == NULL || compiler.gaps == NULL || compiler.layers == NULL || plan->layers == NULL ? no_memory(error) : 0;
	if (status == 0)
		status = prepare(&compiler, error);
	for (uint32_t bucket = 0; bucket < plan->bucket_count && status == 0; bucket++)
		status = write_bucket(&compiler, bucket, error);
	free(compiler.slots);
	free(compiler.gaps);
	free(compiler.layers);
	return status;
}
