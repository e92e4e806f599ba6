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
#include "engine/plan/flow.h"
#include "engine/plan/plan_internal.h"

/* A root value, as one batch size sees it. */
struct slot {
	struct gyr_place place;
	const void *copied; /* of a constant: what place.constant is a copy of */
	size_t bytes;       /* of one in the scratch */
	uint32_t read;      /* the last draft node that reads it, or the one that makes it */
	bool live;          /* has its place in the scratch, while that is laid out */
};

/* Free bytes of the scratch, [begin, end). */
struct gap {
	size_t begin, end;
};

/* A draft node, as one batch size sees it. */
struct call {
	struct gyr_prepare prepare;
	struct gyr_plan_step told; /* for profile.h, without the node's name */
	bool skipped;              /* its outputs are empty */
};

struct compiler {
	struct gyr_plan *plan;
	const struct gyr_draft *draft;
	uint32_t bucket; /* of the batch size that is being made */
	const struct gyr_plan_options *options;
	struct slot *slots;           /* one a value; only those of roots are used */
	struct call *calls;           /* one a draft node */
	struct gyr_dense **layers;    /* one a draft node */
	struct gyr_flow_plans *flows; /* one a draft node */
	const char **names;           /* one a draft node, in the plan's memory */
	struct gap *gaps;             /* by offset; no two touch */
	uint32_t gap_count;
};

struct dense_params {
	const struct gyr_dense *dense;
	size_t rows;
};

static void run_dense(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct dense_params *dense = params;
	gyr_dense_run(dense->dense, dense->rows, inputs[0], outputs[0], scratch);
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
	bool bf16 = compiler->options->precision == GYR_PLAN_BF16;
	int status = gyr_dense_create(bf16 ? GYR_GEMV_BF16 : GYR_GEMV_F32, dense->in, dense->out, dense->weights, bias, dense->activation, &layer, error);
	if (status == -ENOTSUP && bf16) {
		bf16 = false;
		status = gyr_dense_create(GYR_GEMV_F32, dense->in, dense->out, dense->weights, bias, dense->activation, &layer, error);
	}
	free(bias);
	if (status != 0)
		return status;
	compiler->layers[index] = layer;
	compiler->plan->layers[compiler->plan->layer_count++] = layer;
	compiler->plan->weight_bytes += gyr_dense_bytes(layer);
	compiler->plan->bf16 |= bf16;
	return 0;
}

static long long batch_of(const struct compiler *compiler)
{
	return (long long)compiler->draft->specials[compiler->bucket].batch;
}

static const struct gyr_shape *shape_of(const struct compiler *compiler, uint32_t value)
{
	return gyr_draft_shape(compiler->draft, value, compiler->bucket);
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
		if (gyr_flow_is(node->source))
			status = gyr_flow_compile(compiler->plan, draft, n, compiler->options, &compiler->flows[n], error);
		if (status != 0)
			return gyr_graph_blame(compiler->draft->graph, node->source, status, error);
		for (uint32_t i = 0; i < inputs_read(node); i++)
			if (node->inputs[i] != GYR_DRAFT_NONE)
				slot_of(compiler, node->inputs[i])->read = n;
		for (uint32_t o = 0; o < node->output_count; o++)
			if (node->outputs[o] != GYR_DRAFT_NONE)
				compiler->slots[node->outputs[o]].read = n;
	}
	return 0;
}

/* The place of VALUE; a constant is copied into the plan, once for all its views, when it is first asked for, and again where a batch size has another content.
 */
static int find_place(struct compiler *compiler, uint32_t value, struct gyr_place *place, struct gyr_error *error)
{
	*place = (struct gyr_place){.kind = GYR_PLACE_NOWHERE};
	if (value == GYR_DRAFT_NONE)
		return 0;
	uint32_t root = compiler->draft->values[value].root;
	struct slot *slot = &compiler->slots[root];
	bool known = compiler->draft->values[root].known;
	const void *content = known ? gyr_draft_content(compiler->draft, root, compiler->bucket) : NULL;
	if (known && content == NULL)
		return gyr_error_set(error, -ENOTSUP, "the constant '%s' is too large at %lld rows, though not at others",
				     gyr_draft_name(compiler->draft, root), batch_of(compiler));
	if (content != NULL && slot->copied != content) {
		size_t bytes;
		if (!gyr_shape_bytes(shape_of(compiler, root), 1, &bytes))
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

static int prepare_dense(struct compiler *compiler, uint32_t index, struct call *call, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &compiler->draft->nodes[index];
	struct dense_params *params = GYR_ARENA_NEW(&compiler->plan->arena, struct dense_params, 1);
	size_t count;
	if (params == NULL)
		return no_memory(error);
	if (!gyr_shape_count(shape_of(compiler, node->inputs[0]), 1, &count))
		return gyr_error_set(error, -ENOTSUP, "its input is too large");
	*params = (struct dense_params){.dense = compiler->layers[index], .rows = count / node->dense->in};
	call->prepare.run = run_dense;
	call->prepare.params = params;
	call->prepare.scratch_bytes = gyr_dense_scratch_bytes(params->dense, params->rows);
	call->told.weight_bytes = (double)(node->dense->in * node->dense->out * sizeof(float));
	call->told.operations = 2.0 * (double)params->rows * (double)node->dense->in * (double)node->dense->out;
	return gyr_dense_prepare(compiler->layers[index], params->rows, error);
}

/* Has the kernel of a draft node prepared. */
static int prepare_call(struct compiler *compiler, uint32_t index, struct call *call, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &compiler->draft->nodes[index];
	const struct gyr_shape *inputs[GYR_NODE_ENDS_MAX];
	const void *contents[GYR_NODE_ENDS_MAX];
	struct gyr_shape outputs[GYR_NODE_ENDS_MAX];
	*call = (struct call){.skipped = true};
	for (uint32_t o = 0; o < node->output_count; o++) {
		size_t count;
		outputs[o] = (struct gyr_shape){0};
		if (node->outputs[o] == GYR_DRAFT_NONE)
			continue;
		outputs[o] = *shape_of(compiler, node->outputs[o]);
		if (!gyr_shape_count(&outputs[o], 1, &count))
			return gyr_error_set(error, -ENOTSUP, "its result is too large");
		call->skipped = call->skipped && count == 0;
	}
	if (call->skipped)
		return 0;
	call->told.op = gyr_op_info(node->source->op)->name;
	if (node->dense != NULL)
		return prepare_dense(compiler, index, call, error);
	for (uint32_t i = 0; i < node->input_count; i++) {
		bool given = node->inputs[i] != GYR_DRAFT_NONE;
		inputs[i] = given ? shape_of(compiler, node->inputs[i]) : NULL;
		contents[i] = given ? gyr_draft_content(compiler->draft, node->inputs[i], compiler->bucket) : NULL;
	}
	call->prepare = (struct gyr_prepare){
		.node = node->source,
		.opset = gyr_graph_opset(compiler->draft->graph, node->source->op),
		.inputs = inputs,
		.contents = contents,
		.outputs = outputs,
		.reference = compiler->options->reference,
		.bf16 = compiler->options->precision == GYR_PLAN_BF16,
		.arena = &compiler->plan->arena,
		.packs = compiler->plan->packs,
		.error = error,
	};
	gyr_plan_cost(node->source->op, &call->prepare, &call->told);
	if (gyr_flow_is(node->source))
		return gyr_flow_prepare(compiler->draft, index, compiler->bucket, &compiler->flows[index], &call->prepare);
	int status = gyr_kernel_prepare(&call->prepare);
	compiler->plan->bf16 |= call->prepare.rounded;
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

static size_t round_up(size_t bytes)
{
	return (bytes + GYR_PLAN_SCRATCH_ALIGN - 1) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN;
}

static int too_big(const struct compiler *compiler, size_t bytes, struct gyr_error *error)
{
	return gyr_error_set(error, -E2BIG, "a run of %lld rows needs %zu bytes for its inputs, its outputs and what is between them (at most %zu)",
			     batch_of(compiler), bytes, GYR_PLAN_RUN_BYTES_MAX);
}

/* Takes BYTES of scratch, which are rounded up. -E2BIG: more than any run may have, so that sums stay small. */
static int take_scratch(struct compiler *compiler, size_t *bytes, size_t *offset, struct gyr_error *error)
{
	if (*bytes > GYR_PLAN_RUN_BYTES_MAX)
		return too_big(compiler, *bytes, error);
	*bytes = round_up(*bytes);
	*offset = take(compiler, *bytes);
	if (*offset + *bytes > compiler->plan->scratch_bytes)
		compiler->plan->scratch_bytes = *offset + *bytes;
	return 0;
}

/* Gives VALUE, an end of draft node N, back if that is the last to use it. */
static void give_back_value(struct compiler *compiler, uint32_t value, uint32_t n)
{
	struct slot *slot = value == GYR_DRAFT_NONE ? NULL : slot_of(compiler, value);
	if (slot == NULL || !slot->live || slot->read != n)
		return;
	slot->live = false; /* it may be several of the ends */
	give_back(compiler, slot->place.offset, slot->place.offset + slot->bytes);
}

/* Gives the outputs of draft node N and its kernel's own scratch, *OWN, their places, and gives back what is not used behind it. */
static int lay_out_node(struct compiler *compiler, uint32_t n, struct gyr_place *own, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &compiler->draft->nodes[n];
	size_t own_bytes = compiler->calls[n].prepare.scratch_bytes;
	int status = 0;
	for (uint32_t o = 0; o < node->output_count && status == 0; o++) {
		struct slot *slot = node->outputs[o] == GYR_DRAFT_NONE ? NULL : &compiler->slots[node->outputs[o]];
		if (slot == NULL || slot->place.kind == GYR_PLACE_OUTPUT)
			continue;
		if (!gyr_shape_bytes(shape_of(compiler, node->outputs[o]), 1, &slot->bytes))
			return gyr_error_set(error, -ENOTSUP, "its result is too large");
		slot->bytes += slot->bytes == 0; /* an empty one has an address too */
		slot->place = (struct gyr_place){.kind = GYR_PLACE_SCRATCH};
		status = take_scratch(compiler, &slot->bytes, &slot->place.offset, error);
		slot->live = status == 0 && slot->bytes != 0;
	}
	if (status == 0 && own_bytes != 0) {
		own->kind = GYR_PLACE_SCRATCH;
		status = take_scratch(compiler, &own_bytes, &own->offset, error);
		if (status == 0)
			give_back(compiler, own->offset, own->offset + own_bytes);
	}
	for (uint32_t i = 0; i < inputs_read(node) && status == 0; i++)
		give_back_value(compiler, node->inputs[i], n);
	for (uint32_t o = 0; o < node->output_count && status == 0; o++)
		give_back_value(compiler, node->outputs[o], n);
	return status;
}

/* Lays out the scratch of a run. SCRATCHES, one a draft node, are the kernels' own. */
static int lay_out(struct compiler *compiler, struct gyr_place *scratches, struct gyr_error *error)
{
	const struct gyr_draft *draft = compiler->draft;
	compiler->gaps[0] = (struct gap){0, SIZE_MAX};
	compiler->gap_count = 1;
	for (uint32_t n = 0; n < draft->node_count; n++) {
		int status = draft->nodes[n].dead ? 0 : lay_out_node(compiler, n, &scratches[n], error);
		if (status != 0)
			return gyr_graph_blame(draft->graph, draft->nodes[n].source, status, error);
	}
	return 0;
}

/* That one run's arrays are within their bound. */
static int check_size(const struct compiler *compiler, struct gyr_error *error)
{
	const struct gyr_plan *plan = compiler->plan;
	size_t total = plan->scratch_bytes, bytes;
	for (uint32_t i = 0; i < plan->input_count + plan->output_count; i++) {
		const struct gyr_plan_port *port = i < plan->input_count ? &plan->inputs[i] : &plan->outputs[i - plan->input_count];
		if (!gyr_shape_bytes(&port->shape, (uint64_t)batch_of(compiler), &bytes) || __builtin_add_overflow(total, bytes, &total))
			total = SIZE_MAX;
	}
	return total <= GYR_PLAN_RUN_BYTES_MAX ? 0 : too_big(compiler, total, error);
}

static int write_step(struct compiler *compiler, uint32_t index, struct gyr_step *step, struct gyr_plan_step *told, struct gyr_error *error)
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
	if (compiler->names[index] == NULL)
		compiler->names[index] = gyr_arena_string(arena, node->source->name, strlen(node->source->name));
	if (step->inputs == NULL || step->outputs == NULL || compiler->names[index] == NULL)
		return no_memory(error);
	*told = compiler->calls[index].told;
	told->node = compiler->names[index];
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
static int write_copy(struct compiler *compiler, uint32_t output, struct gyr_place from, struct gyr_step *step, struct gyr_plan_step *told,
		      struct gyr_error *error)
{
	const struct gyr_graph *graph = compiler->draft->graph;
	struct gyr_place *places = GYR_ARENA_NEW(&compiler->plan->arena, struct gyr_place, 2);
	size_t *bytes = GYR_ARENA_NEW(&compiler->plan->arena, size_t, 1);
	if (places == NULL || bytes == NULL)
		return no_memory(error);
	places[0] = from;
	places[1] = (struct gyr_place){.kind = GYR_PLACE_OUTPUT, .index = output};
	*told = (struct gyr_plan_step){.op = "copy", .node = compiler->plan->outputs[output].name};
	*step = (struct gyr_step){.run = run_copy, .params = bytes, .input_count = 1, .output_count = 1, .inputs = places, .outputs = places + 1};
	if (!gyr_shape_bytes(shape_of(compiler, graph->outputs[output]), 1, bytes))
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
			return gyr_graph_blame(draft->graph, draft->nodes[n].source, status, error);
	}
	struct gyr_place *scratches = calloc(draft->node_count + 1, sizeof *scratches);
	int status = scratches == NULL ? no_memory(error) : lay_out(compiler, scratches, error);
	if (status == 0)
		status = check_size(compiler, error);
	to->steps = GYR_ARENA_NEW(&compiler->plan->arena, struct gyr_step, draft->node_count + graph->output_count);
	to->told = GYR_ARENA_NEW(&compiler->plan->arena, struct gyr_plan_step, draft->node_count + graph->output_count);
	if (status == 0 && (to->steps == NULL || to->told == NULL))
		status = no_memory(error);
	for (uint32_t n = 0; n < draft->node_count && status == 0; n++) {
		if (draft->nodes[n].dead || compiler->calls[n].skipped)
			continue;
		struct gyr_step *step = &to->steps[to->step_count];
		step->scratch = scratches[n];
		status = write_step(compiler, n, step, &to->told[to->step_count++], error);
	}
	for (uint32_t i = 0; i < graph->output_count && status == 0; i++) {
		struct gyr_place from;
		status = find_place(compiler, graph->outputs[i], &from, error);
		if (status != 0 || (from.kind == GYR_PLACE_OUTPUT && from.index == i))
			continue;
		status = write_copy(compiler, i, from, &to->steps[to->step_count], &to->told[to->step_count], error);
		to->step_count++;
	}
	free(scratches);
	return status;
}

int gyr_plan_compile(struct gyr_plan *plan, const struct gyr_draft *draft, const struct gyr_plan_options *options, struct gyr_error *error)
{
	uint32_t value_count = draft->value_count;
	struct compiler compiler = {.plan = plan, .draft = draft, .options = options};
	compiler.slots = calloc(value_count + 1, sizeof *compiler.slots);
	compiler.gaps = calloc((size_t)value_count + 2, sizeof *compiler.gaps);
	compiler.calls = calloc(draft->node_count + 1, sizeof *compiler.calls);
	compiler.layers = calloc(draft->node_count + 1, sizeof(struct gyr_dense *));
	compiler.flows = calloc(draft->node_count + 1, sizeof *compiler.flows);
	compiler.names = calloc(draft->node_count + 1, sizeof *compiler.names);
	plan->layers = GYR_ARENA_NEW(&plan->arena, struct gyr_dense *, draft->node_count);
	bool memory = compiler.slots != NULL && compiler.gaps != NULL && compiler.calls != NULL && compiler.layers != NULL && compiler.flows != NULL &&
		      compiler.names != NULL && plan->layers != NULL;
	int status = memory ? prepare(&compiler, error) : no_memory(error);
	for (; compiler.bucket < plan->bucket_count && status == 0; compiler.bucket++)
		status = write_bucket(&compiler, &plan->buckets[compiler.bucket], error);
	plan->weight_bytes += gyr_packs_bytes(plan->packs);
	free(compiler.slots);
	free(compiler.gaps);
	free(compiler.calls);
	free(compiler.layers);
	free(compiler.flows);
	free(compiler.names);
	return status;
}
