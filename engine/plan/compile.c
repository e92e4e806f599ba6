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
	const void *copied;  /* of a constant: what place.constant is a copy of */
	size_t bytes;        /* of one in the scratch */
	uint32_t made, read; /* draft nodes: the one that makes it, the last one that reads it */
};

/* A draft node, as one batch size sees it. */
struct call {
	struct gyr_prepare prepare;
	bool skipped; /* its outputs are empty */
};

struct compiler {
	struct gyr_plan *plan;
	const struct gyr_draft *draft;
	const struct gyr_special *special; /* of the batch size that is being made */
	bool reference;
	struct slot *slots;        /* one a value; only those of roots are used */
	struct call *calls;        /* one a draft node */
	struct gyr_dense **layers; /* one a draft node */
	uint32_t *live;            /* roots that have a place in the scratch */
};

struct dense_params {
	const struct gyr_dense *dense;
	size_t rows;
};

static void run_dense(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct dense_params *dense = params;
	gyr_dense_run(dense->dense, dense->rows, inputs[0], outputs[0]);
}

static void run_copy(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	memcpy(outputs[0], inputs[0], *(const size_t *)params);
}

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

static struct slot *slot_of(const struct compiler *compiler, uint32_t value)
{
	return &compiler->slots[compiler->draft->values[value].root];
}

/* A dense layer reads its first input only: its weights are packed. */
static uint32_t inputs_read(const struct gyr_draft_node *node)
{
	return node->dense != NULL ? 1 : node->input_count;
}

/* What does not depend on the batch size: layers, the places of inputs and outputs, and when values live. */
static int prepare(struct compiler *compiler, struct gyr_error *error)
{
	const struct gyr_draft *draft = compiler->draft;
	const struct gyr_graph *graph = draft->graph;
	for (uint32_t i = 0; i < graph->input_count; i++)
		compiler->slots[graph->inputs[i]].place = (struct gyr_place){.kind = GYR_PLACE_INPUT, .index = i};
	for (uint32_t i = 0; i < graph->output_count; i++) {
		struct slot *slot = slot_of(compiler, graph->outputs[i]);
		if (draft->values[draft->values[graph->outputs[i]].root].producer != GYR_DRAFT_NONE && slot->place.kind == GYR_PLACE_NOWHERE)
			slot->place = (struct gyr_place){.kind = GYR_PLACE_OUTPUT, .index = i};
	}
	for (uint32_t n = 0; n < draft->node_count; n++) {
		const struct gyr_draft_node *node = &draft->nodes[n];
		if (node->dead)
			continue;
		int status = node->dense != NULL ? pack_layer(compiler, n, error) : 0;
		if (status != 0)
			return gyr_plan_blame(node->source, status, error);
		for (uint32_t i = 0; i < inputs_read(node); i++)
			if (node->inputs[i] != GYR_DRAFT_NONE)
				slot_of(compiler, node->inputs[i])->read = n;
		for (uint32_t o = 0; o < node->output_count; o++)
			if (node->outputs[o] != GYR_DRAFT_NONE)
				compiler->slots[node->outputs[o]].made = compiler->slots[node->outputs[o]].read = n;
	}
	return 0;
}

/* The place of VALUE; a constant is copied into the plan when it is first asked for, and again where a batch size has another content. */
static int find_place(struct compiler *compiler, uint32_t value, struct gyr_place *place, struct gyr_error *error)
{
	*place = (struct gyr_place){.kind = GYR_PLACE_NOWHERE};
	if (value == GYR_DRAFT_NONE)
		return 0;
	uint32_t root = compiler->draft->values[value].root;
	struct slot *slot = &compiler->slots[root];
	const void *content = compiler->draft->values[root].known ? compiler->special->contents[root] : NULL;
	if (content != NULL && slot->copied != content) {
		size_t bytes;
		if (!gyr_shape_bytes(&compiler->special->shapes[root], 1, &bytes))
			return no_memory(error);
		void *copy = gyr_arena_alloc(&compiler->plan->arena, bytes, GYR_ALIGN_CONSTANT);
		if (copy == NULL)
			return no_memory(error);
		memcpy(copy, content, bytes);
		slot->place = (struct gyr_place){.kind = GYR_PLACE_CONSTANT, .constant = copy};
		slot->copied = content;
		compiler->plan->weight_bytes += bytes;
	}
	*place = slot->place;
	return 0;
}

static int prepare_dense(struct compiler *compiler, uint32_t index, struct gyr_prepare *call, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &compiler->draft->nodes[index];
	struct dense_params *params = GYR_ARENA_NEW(&compiler->plan->arena, struct dense_params, 1);
	size_t count;
	if (params == NULL)
		return no_memory(error);
	if (!gyr_shape_count(&compiler->special->shapes[node->inputs[0]], 1, &count))
		return gyr_error_set(error, -ENOTSUP, "its input is too large");
	*params = (struct dense_params){.dense = compiler->layers[index], .rows = count / node->dense->in};
	call->run = run_dense;
	call->params = params;
	return gyr_dense_prepare(compiler->layers[index], params->rows, error);
}

/* Has the kernel of a draft node prepared. */
static int prepare_call(struct compiler *compiler, uint32_t index, struct call *call, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &compiler->draft->nodes[index];
	const struct gyr_special *special = compiler->special;
	const struct gyr_shape *inputs[GYR_NODE_ENDS_MAX];
	const void *contents[GYR_NODE_ENDS_MAX];
	struct gyr_shape outputs[GYR_NODE_ENDS_MAX];
	*call = (struct call){.skipped = true};
	for (uint32_t o = 0; o < node->output_count; o++) {
		size_t count;
		outputs[o] = (struct gyr_shape){0};
		if (node->outputs[o] == GYR_DRAFT_NONE)
			continue;
		outputs[o] = special->shapes[node->outputs[o]];
		if (!gyr_shape_count(&outputs[o], 1, &count))
			return gyr_error_set(error, -ENOTSUP, "its result is too large");
		call->skipped = call->skipped && count == 0;
	}
	if (call->skipped)
		return 0;
	if (node->dense != NULL)
		return prepare_dense(compiler, index, &call->prepare, error);
	for (uint32_t i = 0; i < node->input_count; i++) {
		bool given = node->inputs[i] != GYR_DRAFT_NONE;
		inputs[i] = given ? &special->shapes[node->inputs[i]] : NULL;
		contents[i] = given ? special->contents[node->inputs[i]] : NULL;
	}
	call->prepare = (struct gyr_prepare){
		.node = node->source,
		.opset = compiler->draft->graph->opset,
		.inputs = inputs,
		.contents = contents,
		.outputs = outputs,
		.reference = compiler->reference,
		.arena = &compiler->plan->arena,
		.packs = compiler->plan->packs,
		.error = error,
	};
	return gyr_kernel_prepare(&call->prepare);
}

/* The lowest offset at which BYTES are free of the COUNT live values that are still read at node NOW or later. */
static size_t lowest_free(const struct compiler *compiler, uint32_t count, uint32_t now, size_t bytes)
{
	size_t offset = 0;
	for (bool moved = true; moved;) {
		moved = false;
		for (uint32_t i = 0; i < count; i++) {
			const struct slot *other = &compiler->slots[compiler->live[i]];
			if (other->read >= now && offset < other->place.offset + other->bytes && other->place.offset < offset + bytes) {
				offset = other->place.offset + other->bytes;
				moved = true;
			}
		}
	}
	return offset;
}

static size_t round_up(size_t bytes)
{
	return (bytes + GYR_PLAN_SCRATCH_ALIGN - 1) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN;
}

/* Takes BYTES of scratch at the lowest offset that is free at node NOW. */
static size_t take_scratch(struct compiler *compiler, uint32_t count, uint32_t now, size_t bytes)
{
	size_t offset = lowest_free(compiler, count, now, bytes);
	if (offset + bytes > compiler->plan->scratch_bytes)
		compiler->plan->scratch_bytes = offset + bytes;
	return offset;
}

/* Gives the outputs of each node and its kernel's own scratch their places. SCRATCHES, one a draft node, are the latter's. */
static int lay_out(struct compiler *compiler, struct gyr_place *scratches, struct gyr_error *error)
{
	const struct gyr_draft *draft = compiler->draft;
	uint32_t count = 0;
	for (uint32_t n = 0; n < draft->node_count; n++) {
		const struct gyr_draft_node *node = &draft->nodes[n];
		if (node->dead)
			continue;
		/* Those that nobody reads any more leave the list. */
		uint32_t kept = 0;
		for (uint32_t i = 0; i < count; i++)
			if (compiler->slots[compiler->live[i]].read >= n)
				compiler->live[kept++] = compiler->live[i];
		count = kept;
		for (uint32_t o = 0; o < node->output_count; o++) {
			struct slot *slot = node->outputs[o] == GYR_DRAFT_NONE ? NULL : &compiler->slots[node->outputs[o]];
			if (slot == NULL || slot->place.kind == GYR_PLACE_OUTPUT)
				continue;
			if (!gyr_shape_bytes(&compiler->special->shapes[node->outputs[o]], 1, &slot->bytes))
				return gyr_plan_blame(node->source, gyr_error_set(error, -ENOTSUP, "its result is too large"), error);
			slot->bytes = round_up(slot->bytes + (slot->bytes == 0)); /* an empty one has an address too */
			slot->place = (struct gyr_place){.kind = GYR_PLACE_SCRATCH, .offset = take_scratch(compiler, count, n, slot->bytes)};
			compiler->live[count++] = node->outputs[o];
		}
		size_t own = round_up(compiler->calls[n].prepare.scratch_bytes);
		if (own != 0)
			scratches[n] = (struct gyr_place){.kind = GYR_PLACE_SCRATCH, .offset = take_scratch(compiler, count, n, own)};
	}
	return 0;
}

static int write_step(struct compiler *compiler, uint32_t index, struct gyr_step *step, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &compiler->draft->nodes[index];
	const struct gyr_prepare *call = &compiler->calls[index].prepare;
	struct gyr_arena *arena = &compiler->plan->arena;
	step->run = call->run;
	step->params = call->params;
	step->input_count = inputs_read(node);
	step->output_count = node->output_count;
	step->inputs = GYR_ARENA_NEW(arena, struct gyr_place, step->input_count);
	step->outputs = GYR_ARENA_NEW(arena, struct gyr_place, step->output_count);
	if (step->inputs == NULL || step->outputs == NULL)
		return no_memory(error);
	int status = 0;
	for (uint32_t i = 0; i < step->input_count && status == 0; i++)
		if (i >= 64 || (call->unread >> i & 1) == 0)
			status = find_place(compiler, node->inputs[i], &step->inputs[i], error);
	for (uint32_t o = 0; o < step->output_count; o++)
		if (node->outputs[o] != GYR_DRAFT_NONE)
			step->outputs[o] = compiler->slots[node->outputs[o]].place;
	return status;
}

/* An output that is not made in its array: an input, a constant, or an output twice. */
static int write_copy(struct compiler *compiler, uint32_t output, struct gyr_place from, struct gyr_step *step, struct gyr_error *error)
{
	const struct gyr_graph *graph = compiler->draft->graph;
	struct gyr_place *places = GYR_ARENA_NEW(&compiler->plan->arena, struct gyr_place, 2);
	size_t *bytes = GYR_ARENA_NEW(&compiler->plan->arena, size_t, 1);
	if (places == NULL || bytes == NULL)
		return no_memory(error);
	places[0] = from;
	places[1] = (struct gyr_place){.kind = GYR_PLACE_OUTPUT, .index = output};
	*step = (struct gyr_step){.run = run_copy, .params = bytes, .input_count = 1, .output_count = 1, .inputs = places, .outputs = places + 1};
	if (!gyr_shape_bytes(&compiler->special->shapes[graph->outputs[output]], 1, bytes))
		return gyr_error_set(error, -ENOTSUP, "output '%s' is too large", graph->values[graph->outputs[output]].name);
	return 0;
}

static int write_bucket(struct compiler *compiler, struct gyr_plan_bucket *to, struct gyr_error *error)
{
	const struct gyr_draft *draft = compiler->draft;
	const struct gyr_graph *graph = draft->graph;
	for (uint32_t n = 0; n < draft->node_count; n++) {
		int status = draft->nodes[n].dead ? 0 : prepare_call(compiler, n, &compiler->calls[n], error);
		if (status != 0)
			return gyr_plan_blame(draft->nodes[n].source, status, error);
	}
	struct gyr_place *scratches = calloc(draft->node_count + 1, sizeof *scratches);
	int status = scratches == NULL ? no_memory(error) : lay_out(compiler, scratches, error);
	to->steps = GYR_ARENA_NEW(&compiler->plan->arena, struct gyr_step, draft->node_count + graph->output_count);
	if (status == 0 && to->steps == NULL)
		status = no_memory(error);
	for (uint32_t n = 0; n < draft->node_count && status == 0; n++) {
		if (draft->nodes[n].dead || compiler->calls[n].skipped)
			continue;
		struct gyr_step *step = &to->steps[to->step_count++];
		step->scratch = scratches[n];
		status = write_step(compiler, n, step, error);
	}
	for (uint32_t i = 0; i < graph->output_count && status == 0; i++) {
		struct gyr_place from;
		status = find_place(compiler, graph->outputs[i], &from, error);
		if (status == 0 && !(from.kind == GYR_PLACE_OUTPUT && from.index == i))
			status = write_copy(compiler, i, from, &to->steps[to->step_count++], error);
	}
	free(scratches);
	return status;
}

int gyr_plan_compile(struct gyr_plan *plan, const struct gyr_draft *draft, const struct gyr_special *specials, bool reference, struct gyr_error *error)
{
	uint32_t value_count = draft->graph->value_count;
	struct compiler compiler = {.plan = plan, .draft = draft, .special = specials, .reference = reference};
	compiler.slots = calloc(value_count + 1, sizeof *compiler.slots);
	compiler.live = calloc(value_count + 1, sizeof *compiler.live);
	compiler.calls = calloc(draft->node_count + 1, sizeof *compiler.calls);
	compiler.layers = calloc(draft->node_count + 1, sizeof(struct gyr_dense *));
	plan->layers = GYR_ARENA_NEW(&plan->arena, struct gyr_dense *, draft->node_count);
	bool memory = compiler.slots != NULL && compiler.live != NULL && compiler.calls != NULL && compiler.layers != NULL && plan->layers != NULL;
	int status = memory ? prepare(&compiler, error) : no_memory(error);
	for (uint32_t bucket = 0; bucket < plan->bucket_count && status == 0; bucket++) {
		compiler.special = &specials[bucket];
		status = write_bucket(&compiler, &plan->buckets[bucket], error);
	}
	plan->weight_bytes += gyr_packs_bytes(plan->packs);
	free(compiler.slots);
	free(compiler.live);
	free(compiler.calls);
	free(compiler.layers);
	return status;
}
