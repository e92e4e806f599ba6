/*
 * From a graph to a draft's nodes: views, what is known, and branches that are always taken, whose nodes come in the place of the If.
 */
#include <string.h>

#include "engine/kernel/kernel.h"
#include "engine/plan/draft_internal.h"

struct gyr_draft_value draft_value(const struct gyr_special *const *specials, uint32_t count, uint32_t index, uint32_t root)
{
	const struct gyr_special *one = specials[0], *most = specials[count - 1];
	bool known = one->contents[index] != NULL && most->contents[index] != NULL, same = true;
	for (uint32_t k = 1; k < count; k++)
		same = same && specials[k]->contents[index] == one->contents[index];
	return (struct gyr_draft_value){.shape = most->shapes[index],
					.data = known && same ? one->contents[index] : NULL,
					.known = known,
					.root = root,
					.producer = GYR_DRAFT_NONE,
					.consumer = GYR_DRAFT_NONE};
}

/* Adds value INDEX of a branch. */
static int add_value(struct gyr_draft *draft, const struct gyr_graph *body, const struct gyr_special *const *specials, uint32_t index, uint32_t *value,
		     struct gyr_error *error)
{
	uint32_t count = draft->special_count;
	struct gyr_shape *shapes;
	const void **contents = GYR_ARENA_NEW(&draft->arena, const void *, count);
	int status = contents == NULL ? draft_no_memory(error) : draft_add_value(draft, &shapes, value, error);
	if (status != 0)
		return status;
	for (uint32_t i = 0; i < count; i++) {
		shapes[i] = specials[i]->shapes[index];
		contents[i] = specials[i]->contents[index];
	}
	draft->values[*value] = draft_value(specials, count, index, *value);
	draft->values[*value].shapes = shapes;
	draft->values[*value].contents = contents;
	draft->values[*value].name = body->values[index].name;
	return 0;
}

/* The branch that an If takes at every batch number, or GYR_FLOW_BODIES_MAX. */
static uint32_t sole_branch(const struct gyr_special_flow *const *flows, uint32_t count)
{
	uint32_t branch = flows[0]->bodies[0] != NULL ? 0 : 1;
	for (uint32_t i = 0; i < count; i++)
		if (flows[i]->asked || flows[i]->bodies[branch] == NULL)
			return GYR_FLOW_BODIES_MAX;
	return branch;
}

/* Takes branch WHICH of the If that is node SOURCE of a graph, whose values are those that MAP says. */
static int take_branch(struct gyr_draft *draft, const struct gyr_node *source, const struct gyr_special_flow *const *flows, uint32_t which, const uint32_t *map,
		       struct gyr_error *error)
{
	struct gyr_flow flow;
	gyr_flow_read(source, &flow);
	const struct gyr_graph *body = flow.bodies[which];
	const struct gyr_special **specials = GYR_ARENA_NEW(&draft->arena, const struct gyr_special *, draft->special_count);
	uint32_t *own = GYR_ARENA_NEW(&draft->arena, uint32_t, body->value_count);
	if (specials == NULL || own == NULL)
		return draft_no_memory(error);
	for (uint32_t i = 0; i < draft->special_count; i++)
		specials[i] = flows[i]->bodies[which];
	memset(own, 0xff, body->value_count * sizeof *own);
	for (uint32_t i = 0; i < body->input_count; i++) /* captures, all of them */
		own[body->inputs[i]] = map[source->inputs[flow.captures[which] + i]];
	int status = 0;
	for (uint32_t i = 0; i < body->value_count && status == 0; i++)
		if (own[i] == GYR_DRAFT_NONE)
			status = add_value(draft, body, specials, i, &own[i], error);
	if (status == 0)
		status = draft_take(draft, body, specials, own, error);
	for (uint32_t o = 0; o < source->output_count && status == 0; o++)
		if (source->outputs[o] != GYR_VALUE_NONE)
			draft->values[map[source->outputs[o]]].root = draft->values[own[body->outputs[o]]].root;
	return status;
}

/* Takes node SOURCE, number INDEX of its graph. */
static int take_node(struct gyr_draft *draft, const struct gyr_node *source, uint32_t index, const struct gyr_special *const *specials, const uint32_t *map,
		     struct gyr_error *error)
{
	struct gyr_draft_value *result = &draft->values[map[source->outputs[0]]];
	uint32_t first = source->input_count > 0 && source->inputs[0] != GYR_VALUE_NONE ? map[source->inputs[0]] : GYR_DRAFT_NONE;
	/* Known or not, so that a constant with many views is kept once. */
	if (first != GYR_DRAFT_NONE &&
	    gyr_kernel_is_view(source, gyr_graph_opset(draft->graph, source->op), draft->values[first].shape.dtype, result->shape.dtype)) {
		result->root = draft->values[first].root;
		return 0;
	}
	if (result->known)
		return 0;
	if (!gyr_flow_is(source))
		return draft_append(draft, source, map, error);
	const struct gyr_special_flow **flows = GYR_ARENA_NEW(&draft->arena, const struct gyr_special_flow *, draft->special_count);
	if (flows == NULL)
		return draft_no_memory(error);
	for (uint32_t i = 0; i < draft->special_count; i++)
		flows[i] = specials[i]->flows[index];
	uint32_t branch = source->op == GYR_OP_IF ? sole_branch(flows, draft->special_count) : GYR_FLOW_BODIES_MAX;
	if (branch != GYR_FLOW_BODIES_MAX)
		return take_branch(draft, source, flows, branch, map, error);
	int status = draft_append(draft, source, map, error);
	if (status == 0)
		draft->nodes[draft->node_count - 1].flows = flows;
	return status;
}

int draft_take(struct gyr_draft *draft, const struct gyr_graph *graph, const struct gyr_special *const *specials, const uint32_t *map, struct gyr_error *error)
{
	int status = 0;
	for (uint32_t i = 0; i < graph->node_count && status == 0; i++)
		status = take_node(draft, &graph->nodes[i], i, specials, map, error);
	return status;
}
