/*
 * Drafts: see draft.h.
 */
#include "engine/plan/draft.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/kernel/kernel.h"

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
}

/* Counts who reads what, from the outputs backwards, and drops what nobody reads. */
static void count_uses(struct gyr_draft *draft)
{
	const struct gyr_graph *graph = draft->graph;
	for (uint32_t i = 0; i < graph->output_count; i++)
		draft->values[draft->values[graph->outputs[i]].root].uses++;
	for (uint32_t n = draft->node_count; n-- > 0;) {
		struct gyr_draft_node *node = &draft->nodes[n];
		node->dead = true;
		for (uint32_t o = 0; o < node->output_count; o++)
			node->dead = node->dead && (node->outputs[o] == GYR_DRAFT_NONE || draft->values[node->outputs[o]].uses == 0);
		if (node->dead)
			continue;
		for (uint32_t i = 0; i < node->input_count; i++) {
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

static uint32_t *copy_ends(struct gyr_arena *arena, const uint32_t *ends, uint32_t count)
{
	uint32_t *copy = GYR_ARENA_NEW(arena, uint32_t, count);
	if (copy != NULL && count != 0)
		memcpy(copy, ends, count * sizeof *copy); /* GYR_VALUE_NONE is GYR_DRAFT_NONE */
	return copy;
}

static int add_node(struct gyr_draft *draft, const struct gyr_node *source, struct gyr_error *error)
{
	struct gyr_draft_value *values = draft->values;
	struct gyr_draft_value *result = &values[source->outputs[0]];
	/* Known or not, so that a constant with many views is kept once. */
	if (source->input_count > 0 && gyr_kernel_is_view(source, draft->graph->opset, values[source->inputs[0]].shape.dtype, result->shape.dtype)) {
		result->root = values[source->inputs[0]].root;
		return 0;
	}
	if (result->known)
		return 0;
	struct gyr_draft_node *node = &draft->nodes[draft->node_count];
	*node = (struct gyr_draft_node){
		.source = source,
		.input_count = source->input_count,
		.output_count = source->output_count,
		.inputs = copy_ends(&draft->arena, source->inputs, source->input_count),
		.outputs = copy_ends(&draft->arena, source->outputs, source->output_count),
	};
	if (node->inputs == NULL || node->outputs == NULL)
		return no_memory(error);
	for (uint32_t o = 0; o < source->output_count; o++)
		if (source->outputs[o] != GYR_VALUE_NONE)
			values[source->outputs[o]].producer = draft->node_count;
	draft->node_count++;
	return 0;
}

int gyr_draft_init(struct gyr_draft *draft, const struct gyr_graph *graph, const struct gyr_special *one, const struct gyr_special *other,
		   struct gyr_error *error)
{
	static_assert(GYR_DRAFT_NONE == GYR_VALUE_NONE, "ends are copied as they are");
	GYR_ASSERT(graph->finished);
	*draft = (struct gyr_draft){.graph = graph};
	gyr_arena_init(&draft->arena, 0);
	draft->values = GYR_ARENA_NEW(&draft->arena, struct gyr_draft_value, graph->value_count);
	draft->nodes = GYR_ARENA_NEW(&draft->arena, struct gyr_draft_node, graph->node_count);
	if (draft->values == NULL || draft->nodes == NULL)
		return no_memory(error);
	for (uint32_t i = 0; i < graph->value_count; i++) {
		bool known = one->contents[i] != NULL && other->contents[i] != NULL, same = one->contents[i] == other->contents[i];
		draft->values[i] = (struct gyr_draft_value){.shape = other->shapes[i],
							    .data = known && same ? one->contents[i] : NULL,
							    .known = known,
							    .root = i,
							    .producer = GYR_DRAFT_NONE,
							    .consumer = GYR_DRAFT_NONE};
	}
	int status = 0;
	for (uint32_t i = 0; i < graph->node_count && status == 0; i++)
		status = add_node(draft, &graph->nodes[i], error);
	if (status == 0)
		count_uses(draft);
	return status;
}

void gyr_draft_fini(struct gyr_draft *draft)
{
	gyr_arena_fini(&draft->arena);
}
