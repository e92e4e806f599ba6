/*
 * Drafts: see draft.h.
 */
#include "engine/plan/draft.h"

#include <errno.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/plan/plan.h"
#include "engine/plan/step.h"

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
}

int gyr_draft_blame(const struct gyr_node *node, int status, struct gyr_error *error)
{
	return gyr_error_prefix(error, status, "node '%s' (%s)", node->name, gyr_op_info(node->op)->name);
}

/* The node's result is its first input's memory under another shape. */
static bool is_view(const struct gyr_draft *draft, const struct gyr_node *node)
{
	switch (node->op) {
	case GYR_OP_FLATTEN:
	case GYR_OP_IDENTITY:
	case GYR_OP_RESHAPE: return true;
	case GYR_OP_CAST: return draft->values[node->inputs[0]].shape.dtype == draft->values[node->outputs[0]].shape.dtype;
	default: return false;
	}
}

static bool all_constant(const struct gyr_draft *draft, const struct gyr_draft_node *node)
{
	for (uint32_t i = 0; i < 3; i++)
		if (node->inputs[i] != GYR_DRAFT_NONE && draft->values[node->inputs[i]].data == NULL)
			return false;
	return true;
}

/* Computes the node now, with the reference twins, and makes its result a constant. */
static int fold(struct gyr_draft *draft, const struct gyr_draft_node *node, struct gyr_error *error)
{
	struct gyr_draft_value *result = &draft->values[node->output];
	const struct gyr_shape *shapes[3] = {NULL, NULL, NULL};
	struct gyr_step step;
	size_t bytes;
	for (uint32_t i = 0; i < 3; i++)
		if (node->inputs[i] != GYR_DRAFT_NONE)
			shapes[i] = &draft->values[node->inputs[i]].shape;
	int status = gyr_step_init(&step, node->source, draft->graph->opset, shapes, &result->shape, 1, true, error);
	if (status != 0)
		return gyr_draft_blame(node->source, status, error);
	if (!gyr_shape_bytes(&result->shape, 1, &bytes) || bytes > draft->fold_bytes_left) {
		status = gyr_error_set(error, -E2BIG, "constants computed from constants are too large (at most %zu bytes, and twice those in the model)",
				       GYR_PLAN_FOLD_BYTES_MAX);
		return gyr_draft_blame(node->source, status, error);
	}
	draft->fold_bytes_left -= bytes;
	void *data = gyr_arena_alloc(&draft->arena, bytes, GYR_ALIGN_CONSTANT);
	if (data == NULL)
		return no_memory(error);
	for (uint32_t i = 0; i < 3; i++)
		if (node->inputs[i] != GYR_DRAFT_NONE)
			step.inputs[i] = (struct gyr_place){.kind = GYR_PLACE_CONSTANT, .constant = draft->values[node->inputs[i]].data};
	step.output = (struct gyr_place){.kind = GYR_PLACE_SCRATCH, .offset = 0};
	gyr_step_run(&step, &(struct gyr_frame){.scratch = data});
	result->data = data;
	return 0;
}

/* Counts who reads what, from the outputs backwards, and drops what nobody reads. */
static void count_uses(struct gyr_draft *draft)
{
	const struct gyr_graph *graph = draft->graph;
	for (uint32_t i = 0; i < graph->output_count; i++)
		draft->values[draft->values[graph->outputs[i]].root].uses++;
	for (uint32_t n = draft->node_count; n-- > 0;) {
		struct gyr_draft_node *node = &draft->nodes[n];
		node->dead = draft->values[node->output].uses == 0;
		if (node->dead)
			continue;
		for (uint32_t i = 0; i < 3; i++) {
			if (node->inputs[i] == GYR_DRAFT_NONE)
				continue;
			struct gyr_draft_value *root = &draft->values[draft->values[node->inputs[i]].root];
			root->uses++;
			root->consumer = n;
		}
	}
	for (uint32_t i = 0; i < graph->output_count; i++)
		draft->values[draft->values[graph->outputs[i]].root].consumer = GYR_DRAFT_NONE;
}

int gyr_draft_init(struct gyr_draft *draft, const struct gyr_graph *graph, bool do_fold, struct gyr_error *error)
{
	GYR_ASSERT(graph->finished);
	*draft = (struct gyr_draft){.graph = graph};
	gyr_arena_init(&draft->arena, 0);
	draft->values = GYR_ARENA_NEW(&draft->arena, struct gyr_draft_value, graph->value_count);
	draft->nodes = GYR_ARENA_NEW(&draft->arena, struct gyr_draft_node, graph->node_count);
	if (draft->values == NULL || draft->nodes == NULL)
		return no_memory(error);
	draft->fold_bytes_left = GYR_PLAN_FOLD_BYTES_MAX;
	for (uint32_t i = 0; i < graph->value_count; i++) {
		size_t bytes;
		if (graph->values[i].data != NULL && gyr_shape_bytes(&graph->values[i].shape, 1, &bytes))
			draft->fold_bytes_left += 2 * bytes;
		draft->values[i] = (struct gyr_draft_value){
			.shape = graph->values[i].shape, .data = graph->values[i].data, .root = i, .producer = GYR_DRAFT_NONE, .consumer = GYR_DRAFT_NONE};
	}
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct gyr_node *source = &graph->nodes[i];
		struct gyr_draft_node node = {.source = source, .inputs = {GYR_DRAFT_NONE, GYR_DRAFT_NONE, GYR_DRAFT_NONE}, .output = source->outputs[0]};
		GYR_ASSERT(source->input_count <= 3);
		for (uint32_t k = 0; k < source->input_count; k++)
			if (source->inputs[k] != GYR_VALUE_NONE)
				node.inputs[k] = source->inputs[k];
		struct gyr_draft_value *result = &draft->values[node.output];
		if (is_view(draft, source)) {
			result->root = draft->values[node.inputs[0]].root;
			result->data = draft->values[node.inputs[0]].data;
			continue;
		}
		if (do_fold && all_constant(draft, &node)) {
			int status = fold(draft, &node, error);
			if (status != 0)
				return status;
			continue;
		}
		result->producer = draft->node_count;
		draft->nodes[draft->node_count++] = node;
	}
	count_uses(draft);
	return 0;
}

void gyr_draft_fini(struct gyr_draft *draft)
{
	gyr_arena_fini(&draft->arena);
}
