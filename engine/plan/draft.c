/*
 * Drafts: see draft.h.
 */
#include "engine/plan/draft_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/ref/unaligned.h"

int draft_no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
}

/* Counts who reads what, from the outputs backwards, and drops what nobody reads. Uses are 0 before. */
static void count_uses(struct gyr_draft *draft)
{
	const struct gyr_graph *graph = draft->graph;
	for (uint32_t i = 0; i < graph->output_count; i++)
		draft->values[draft->values[graph->outputs[i]].root].uses++;
	for (uint32_t n = draft->node_count; n-- > 0;) {
		struct gyr_draft_node *node = &draft->nodes[n];
		bool read = false;
		for (uint32_t o = 0; o < node->output_count; o++)
			read = read || (node->outputs[o] != GYR_DRAFT_NONE && draft->values[node->outputs[o]].uses != 0);
		node->dead = node->dead || !read;
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

/* Room for one more of COUNT items, which have ROOM. False without memory. */
static bool make_room(struct gyr_draft *draft, void *items, uint32_t count, uint32_t *room, size_t bytes)
{
	void *moved, **at = items;
	if (count < *room)
		return true;
	uint32_t more = count + count / 2 + 16;
	if (more < count || (moved = gyr_arena_array(&draft->arena, more, bytes, _Alignof(max_align_t))) == NULL)
		return false;
	if (count != 0)
		memcpy(moved, *at, count * bytes);
	*at = moved;
	*room = more;
	return true;
}

/* Writes COUNT ENDS of a graph's node as values of the draft, which MAP says (NULL: they are the same). */
static uint32_t *map_ends(struct gyr_arena *arena, const uint32_t *ends, uint32_t count, const uint32_t *map)
{
	uint32_t *mapped = GYR_ARENA_NEW(arena, uint32_t, count);
	for (uint32_t i = 0; i < count && mapped != NULL; i++)
		mapped[i] = ends[i] == GYR_VALUE_NONE ? GYR_DRAFT_NONE : map != NULL ? map[ends[i]] : ends[i];
	return mapped;
}

int draft_append(struct gyr_draft *draft, const struct gyr_node *source, const uint32_t *map, struct gyr_error *error)
{
	if (!make_room(draft, &draft->nodes, draft->node_count, &draft->node_room, sizeof *draft->nodes))
		return draft_no_memory(error);
	struct gyr_draft_node *node = &draft->nodes[draft->node_count];
	*node = (struct gyr_draft_node){
		.source = source,
		.input_count = source->input_count,
		.output_count = source->output_count,
		.inputs = map_ends(&draft->arena, source->inputs, source->input_count, map),
		.outputs = map_ends(&draft->arena, source->outputs, source->output_count, map),
	};
	if (node->inputs == NULL || node->outputs == NULL)
		return draft_no_memory(error);
	for (uint32_t o = 0; o < source->output_count; o++)
		if (node->outputs[o] != GYR_DRAFT_NONE)
			draft->values[node->outputs[o]].producer = draft->node_count;
	draft->node_count++;
	return 0;
}

int gyr_draft_init(struct gyr_draft *draft, const struct gyr_graph *graph, const struct gyr_special *specials, uint32_t count, struct gyr_error *error)
{
	static_assert(GYR_DRAFT_NONE == GYR_VALUE_NONE, "ends are copied as they are");
	GYR_ASSERT(graph->finished);
	*draft = (struct gyr_draft){.graph = graph, .specials = specials, .special_count = count};
	gyr_arena_init(&draft->arena, 0);
	draft->values = GYR_ARENA_NEW(&draft->arena, struct gyr_draft_value, graph->value_count);
	draft->nodes = GYR_ARENA_NEW(&draft->arena, struct gyr_draft_node, graph->node_count);
	if (draft->values == NULL || draft->nodes == NULL)
		return draft_no_memory(error);
	draft->value_count = draft->value_room = graph->value_count;
	draft->node_room = graph->node_count;
	const struct gyr_special **each = GYR_ARENA_NEW(&draft->arena, const struct gyr_special *, count);
	uint32_t *map = GYR_ARENA_NEW(&draft->arena, uint32_t, graph->value_count);
	if (each == NULL || map == NULL)
		return draft_no_memory(error);
	for (uint32_t i = 0; i < count; i++)
		each[i] = &specials[i];
	for (uint32_t i = 0; i < graph->value_count; i++) {
		map[i] = i;
		draft->values[i] = draft_value(each, count, i, i);
	}
	int status = draft_take(draft, graph, each, map, error);
	if (status == 0)
		count_uses(draft);
	return status;
}

void gyr_draft_fini(struct gyr_draft *draft)
{
	gyr_arena_fini(&draft->arena);
}

const struct gyr_shape *gyr_draft_shape(const struct gyr_draft *draft, uint32_t value, uint32_t index)
{
	return value < draft->graph->value_count ? &draft->specials[index].shapes[value] : &draft->values[value].shapes[index];
}

const void *gyr_draft_content(const struct gyr_draft *draft, uint32_t value, uint32_t index)
{
	return value < draft->graph->value_count       ? draft->specials[index].contents[value]
	       : draft->values[value].contents != NULL ? draft->values[value].contents[index]
						       : draft->values[value].data;
}

const char *gyr_draft_name(const struct gyr_draft *draft, uint32_t value)
{
	const char *name = value < draft->graph->value_count ? draft->graph->values[value].name : draft->values[value].name;
	return name != NULL ? name : "";
}

int draft_add_value(struct gyr_draft *draft, struct gyr_shape **shapes, uint32_t *value, struct gyr_error *error)
{
	*shapes = GYR_ARENA_NEW(&draft->arena, struct gyr_shape, draft->special_count);
	if (*shapes == NULL || !make_room(draft, &draft->values, draft->value_count, &draft->value_room, sizeof *draft->values))
		return draft_no_memory(error);
	*value = draft->value_count++;
	draft->values[*value] = (struct gyr_draft_value){.root = *value, .producer = GYR_DRAFT_NONE, .consumer = GYR_DRAFT_NONE, .shapes = *shapes};
	return 0;
}

int gyr_draft_add_constant(struct gyr_draft *draft, const struct gyr_shape *shape, void **data, uint32_t *value, struct gyr_error *error)
{
	struct gyr_shape *shapes;
	size_t bytes;
	if (!gyr_shape_bytes(shape, 1, &bytes) || (*data = gyr_arena_alloc(&draft->arena, bytes, GYR_ALIGN_CONSTANT)) == NULL)
		return draft_no_memory(error);
	int status = draft_add_value(draft, &shapes, value, error);
	if (status != 0)
		return status;
	for (uint32_t i = 0; i < draft->special_count; i++)
		shapes[i] = *shape;
	draft->values[*value].shape = *shape;
	draft->values[*value].data = *data;
	draft->values[*value].known = true;
	return 0;
}

int gyr_draft_add_value(struct gyr_draft *draft, uint32_t like, gyr_draft_shape_fn *reshape, const void *context, uint32_t *value, struct gyr_error *error)
{
	struct gyr_shape *shapes;
	int status = draft_add_value(draft, &shapes, value, error);
	if (status != 0)
		return status;
	for (uint32_t i = 0; i < draft->special_count; i++) {
		const struct gyr_shape *shape = gyr_draft_shape(draft, like, i);
		shapes[i] = reshape != NULL ? reshape(shape, context) : *shape;
	}
	draft->values[*value].shape = shapes[draft->special_count - 1];
	return 0;
}

int gyr_draft_add_node(struct gyr_draft *draft, const struct gyr_node *node, uint32_t *index, struct gyr_error *error)
{
	struct gyr_node *source = GYR_ARENA_NEW(&draft->arena, struct gyr_node, 1);
	struct gyr_attribute *attributes = GYR_ARENA_NEW(&draft->arena, struct gyr_attribute, node->attribute_count);
	if (source == NULL || attributes == NULL)
		return draft_no_memory(error);
	*source = *node;
	if (node->attribute_count != 0)
		memcpy(attributes, node->attributes, node->attribute_count * sizeof *attributes);
	source->attributes = attributes;
	source->name = node->name != NULL ? node->name : "";
	int status = draft_append(draft, source, NULL, error);
	if (status != 0)
		return status;
	uint32_t at = draft->node_count - 1;
	source->inputs = draft->nodes[at].inputs;
	source->outputs = draft->nodes[at].outputs;
	for (uint32_t i = 0; i < node->input_count; i++) {
		if (node->inputs[i] == GYR_DRAFT_NONE)
			continue;
		struct gyr_draft_value *root = &draft->values[gyr_draft_root(draft, node->inputs[i])];
		root->consumer = root->uses++ == 0 ? at : GYR_DRAFT_NONE;
	}
	if (index != NULL)
		*index = at;
	return 0;
}

void gyr_draft_remove(struct gyr_draft *draft, uint32_t index)
{
	struct gyr_draft_node *node = &draft->nodes[index];
	node->dead = true;
	for (uint32_t i = 0; i < node->input_count; i++) {
		if (node->inputs[i] == GYR_DRAFT_NONE)
			continue;
		struct gyr_draft_value *root = &draft->values[gyr_draft_root(draft, node->inputs[i])];
		root->uses--;
		root->consumer = GYR_DRAFT_NONE;
	}
	for (uint32_t o = 0; o < node->output_count; o++)
		if (node->outputs[o] != GYR_DRAFT_NONE && draft->values[node->outputs[o]].producer == index)
			draft->values[node->outputs[o]].producer = GYR_DRAFT_NONE;
}

void gyr_draft_make_view(struct gyr_draft *draft, uint32_t value, uint32_t of)
{
	uint32_t root = gyr_draft_root(draft, of);
	GYR_ASSERT(draft->values[value].root == value);
	GYR_ASSERT(draft->values[value].producer == GYR_DRAFT_NONE);
	GYR_ASSERT(root != value);
	draft->values[value].root = root;
	draft->values[root].consumer = draft->values[root].uses == 0 ? draft->values[value].consumer : GYR_DRAFT_NONE;
	draft->values[root].uses += draft->values[value].uses;
}

uint32_t gyr_draft_root(const struct gyr_draft *draft, uint32_t value)
{
	while (draft->values[value].root != value)
		value = draft->values[value].root;
	return value;
}

uint32_t gyr_draft_maker(const struct gyr_draft *draft, uint32_t value, enum gyr_op op)
{
	uint32_t producer = value == GYR_DRAFT_NONE || draft->values[value].root != value ? GYR_DRAFT_NONE : draft->values[value].producer;
	if (producer == GYR_DRAFT_NONE || draft->nodes[producer].dense != NULL || draft->nodes[producer].source->op != op)
		return GYR_DRAFT_NONE;
	return producer;
}

uint32_t gyr_draft_sole_reader(const struct gyr_draft *draft, uint32_t value)
{
	const struct gyr_draft_value *root = &draft->values[value];
	if (root->root != value || root->uses != 1 || root->consumer == GYR_DRAFT_NONE)
		return GYR_DRAFT_NONE;
	const struct gyr_draft_node *reader = &draft->nodes[root->consumer];
	for (uint32_t i = 0; i < reader->input_count; i++)
		if (reader->inputs[i] == value)
			return root->consumer;
	return GYR_DRAFT_NONE;
}

bool gyr_draft_number(const struct gyr_draft *draft, uint32_t value, float *number)
{
	size_t count;
	if (value == GYR_DRAFT_NONE || draft->values[value].data == NULL || draft->values[value].shape.dtype != GYR_DTYPE_F32 ||
	    !gyr_shape_count(&draft->values[value].shape, 1, &count) || count != 1)
		return false;
	*number = *(const gyr_f32_u *)draft->values[value].data;
	return true;
}

/* Where a walk from a node to what it needs has come. */
struct visit {
	uint32_t node, input;
};

/* Writes the nodes that are not dead into SORTED, each behind those that it needs, else in the order in which they are. SEEN is zero, one a node; VISITS has
 * room for as many. */
static uint32_t sort(const struct gyr_draft *draft, struct gyr_draft_node *sorted, bool *seen, struct visit *visits)
{
	uint32_t count = 0;
	for (uint32_t n = 0; n < draft->node_count; n++) {
		uint32_t depth = 0;
		if (draft->nodes[n].dead || seen[n])
			continue;
		seen[n] = true;
		visits[depth++] = (struct visit){.node = n};
		while (depth > 0) {
			struct visit *visit = &visits[depth - 1];
			const struct gyr_draft_node *node = &draft->nodes[visit->node];
			if (visit->input == node->input_count) {
				sorted[count++] = *node;
				depth--;
				continue;
			}
			uint32_t input = node->inputs[visit->input++];
			uint32_t producer = input == GYR_DRAFT_NONE ? GYR_DRAFT_NONE : draft->values[draft->values[input].root].producer;
			if (producer == GYR_DRAFT_NONE || seen[producer])
				continue;
			seen[producer] = true;
			visits[depth++] = (struct visit){.node = producer};
		}
	}
	return count;
}

/* Roots, uses and producers, as the nodes that are not dead have them. */
static void find_producers(struct gyr_draft *draft)
{
	for (uint32_t v = 0; v < draft->value_count; v++) {
		struct gyr_draft_value *value = &draft->values[v];
		value->uses = 0;
		value->producer = value->consumer = GYR_DRAFT_NONE;
	}
	for (uint32_t n = 0; n < draft->node_count; n++) {
		const struct gyr_draft_node *node = &draft->nodes[n];
		for (uint32_t o = 0; o < node->output_count && !node->dead; o++) {
			if (node->outputs[o] == GYR_DRAFT_NONE)
				continue;
			GYR_ASSERT(draft->values[node->outputs[o]].producer == GYR_DRAFT_NONE);
			GYR_ASSERT(draft->values[node->outputs[o]].root == node->outputs[o]);
			draft->values[node->outputs[o]].producer = n;
		}
	}
}

int gyr_draft_renew(struct gyr_draft *draft, struct gyr_error *error)
{
	struct gyr_draft_node *sorted = GYR_ARENA_NEW(&draft->arena, struct gyr_draft_node, draft->node_count);
	bool *seen = calloc((size_t)draft->node_count + 1, sizeof *seen);
	struct visit *visits = calloc((size_t)draft->node_count + 1, sizeof *visits);
	bool memory = sorted != NULL && seen != NULL && visits != NULL;
	if (memory) {
		for (uint32_t v = 0; v < draft->value_count; v++)
			draft->values[v].root = gyr_draft_root(draft, v);
		find_producers(draft);
		draft->node_room = draft->node_count;
		draft->node_count = sort(draft, sorted, seen, visits);
		draft->nodes = sorted;
		find_producers(draft);
		count_uses(draft);
	}
	free(seen);
	free(visits);
	return memory ? 0 : draft_no_memory(error);
}
