/*
 * Graphs: building and asking. finish.c completes them.
 *
 * Invariants:
 *  1. values, nodes, inputs and outputs are arrays in the arena whose room is the next power of two (8 or more) of their count; a bigger copy replaces a full
 * one.
 *  2. slots is an open hash table over the names of values, never more than half full. Its key is random, because names come from files.
 */
#include "engine/model/graph.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/assertion.h"
#include "engine/model/graph_internal.h"

#define ROOM_MIN 8u

int graph_no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory for the graph");
}

/* The array ITEMS of COUNT elements of BYTES each with room for one more (invariant 1). NULL without memory. */
static void *with_room(struct gyr_arena *arena, void *items, uint32_t count, size_t bytes)
{
	bool full = count == 0 || (count >= ROOM_MIN && (count & (count - 1)) == 0);
	if (!full)
		return items;
	void *bigger = gyr_arena_array(arena, count == 0 ? ROOM_MIN : 2 * (size_t)count, bytes, 16);
	if (bigger != NULL && count != 0)
		memcpy(bigger, items, count * bytes);
	return bigger;
}

/* The length of the UTF-8 sequence at TEXT (zero-terminated), or 0 when it is none or a control character. */
static size_t sequence_length(const unsigned char *text)
{
	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
	uint32_t code = text[0] & (0x7fu >> length);
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	bool control = code < 0xa0, surrogate = code >= 0xd800 && code <= 0xdfff;
	return code < least[length] || code > 0x10ffff || control || surrogate ? 0 : length;
}

size_t graph_legal_length(const char *text, size_t max)
{
	size_t at = 0;
	for (;;) {
		size_t length = sequence_length((const unsigned char *)text + at);
		if (length == 0 || at + length > max)
			return at;
		at += length;
	}
}

static bool name_legal(const char *text)
{
	return text[graph_legal_length(text, GYR_GRAPH_NAME_MAX)] == 0;
}

/* The model's graph that GRAPH is, or is a body in. */
static struct gyr_graph *outermost(struct gyr_graph *graph)
{
	while (graph->outer != NULL)
		graph = graph->outer;
	return graph;
}

struct gyr_graph *gyr_graph_create(const char *name, uint32_t opset)
{
	if (sodium_init() < 0)
		return NULL;
	struct gyr_graph *graph = calloc(1, sizeof *graph);
	if (graph == NULL)
		return NULL;
	gyr_arena_init(&graph->arena, 0);
	randombytes_buf(graph->hash_key, sizeof graph->hash_key);
	graph->opset = opset;
	graph->name = gyr_arena_string(&graph->arena, name, graph_legal_length(name, GYR_GRAPH_NAME_MAX));
	if (graph->name == NULL) {
		gyr_graph_destroy(graph);
		return NULL;
	}
	return graph;
}

int gyr_graph_add_body(struct gyr_graph *graph, const char *name, struct gyr_graph **body, struct gyr_error *error)
{
	GYR_ASSERT(!graph->finished);
	if (graph->depth == GYR_GRAPH_DEPTH_MAX)
		return gyr_error_set(error, -E2BIG, "bodies are nested more than %u deep", GYR_GRAPH_DEPTH_MAX);
	*body = gyr_graph_create(name, graph->opset);
	if (*body == NULL)
		return graph_no_memory(error);
	(*body)->opset_ml = graph->opset_ml;
	(*body)->outer = graph;
	(*body)->depth = graph->depth + 1;
	(*body)->next_body = graph->bodies;
	graph->bodies = *body;
	return 0;
}

void gyr_graph_destroy(struct gyr_graph *graph)
{
	if (graph == NULL)
		return;
	for (struct gyr_graph *body = graph->bodies, *next; body != NULL; body = next) {
		next = body->next_body;
		gyr_graph_destroy(body);
	}
	gyr_arena_fini(&graph->arena);
	free(graph);
}

/* The slot where NAME is, or where it would go. */
static uint32_t slot_of(const struct gyr_graph *graph, const char *name)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t slot;
	static_assert(sizeof graph->hash_key == crypto_shorthash_KEYBYTES, "the key that libsodium wants");
	crypto_shorthash(hash, (const uint8_t *)name, strlen(name), graph->hash_key);
	memcpy(&slot, hash, sizeof slot);
	slot &= graph->slot_count - 1;
	while (graph->slots[slot] != GYR_VALUE_NONE && strcmp(graph->values[graph->slots[slot]].name, name) != 0)
		slot = (slot + 1) & (graph->slot_count - 1);
	return slot;
}

/* Doubles the hash table when one more value would fill more than half (invariant 2). */
static bool grow_slots(struct gyr_graph *graph)
{
	if (2 * (graph->value_count + 1) <= graph->slot_count)
		return true;
	uint32_t count = graph->slot_count == 0 ? 4 * ROOM_MIN : 2 * graph->slot_count;
	uint32_t *slots = GYR_ARENA_NEW(&graph->arena, uint32_t, count);
	if (slots == NULL)
		return false;
	memset(slots, 0xff, count * sizeof *slots);
	graph->slots = slots;
	graph->slot_count = count;
	for (uint32_t i = 0; i < graph->value_count; i++)
		slots[slot_of(graph, graph->values[i].name)] = i;
	return true;
}

uint32_t gyr_graph_find(const struct gyr_graph *graph, const char *name)
{
	return graph->slot_count == 0 ? GYR_VALUE_NONE : graph->slots[slot_of(graph, name)];
}

int graph_check_shape(const struct gyr_shape *shape, bool constant, struct gyr_error *error)
{
	char text[128];
	size_t count;
	if (shape->rank > GYR_RANK_MAX)
		return gyr_error_set(error, -EINVAL, "rank %" PRIu32 " (at most %d)", shape->rank, GYR_RANK_MAX);
	if (gyr_dtype_bytes(shape->dtype) == 0)
		return gyr_error_set(error, -EINVAL, "element type %d, which Gyr does not know", (int)shape->dtype);
	gyr_shape_text(shape, text, sizeof text);
	for (uint32_t i = 0; i < shape->rank; i++) {
		if (shape->dims[i] < 0 && (i != 0 || shape->dims[i] != GYR_DIM_BATCH))
			return gyr_error_set(error, -EINVAL, "%s: dimension %" PRIu32 " is not fixed (only the first may be the batch)", text, i);
		if (shape->dims[i] < 0 && constant)
			return gyr_error_set(error, -EINVAL, "%s: a constant has no batch dimension", text);
	}
	if (!gyr_shape_count(shape, 1, &count) || (!constant && count > GYR_VALUE_ELEMENTS_MAX))
		return gyr_error_set(error, -EINVAL, "%s has too many elements", text);
	return 0;
}

int gyr_graph_add_value(struct gyr_graph *graph, const char *name, const struct gyr_shape *shape, const void *data, bool copy, uint32_t *index,
			struct gyr_error *error)
{
	GYR_ASSERT(!graph->finished);
	GYR_ASSERT(data == NULL || shape != NULL);
	if (name[0] == 0 || !name_legal(name))
		return gyr_error_set(error, -EINVAL, "a value's name is not 1 to %u bytes of UTF-8 without control characters", GYR_GRAPH_NAME_MAX);
	struct gyr_graph *whole = outermost(graph);
	if (whole->all_value_count == GYR_GRAPH_VALUES_MAX)
		return gyr_error_set(error, -E2BIG, "more than %u values", GYR_GRAPH_VALUES_MAX);
	if (gyr_graph_find(graph, name) != GYR_VALUE_NONE)
		return gyr_error_set(error, -EEXIST, "value '%s' is there twice", name);
	if (shape != NULL) {
		int status = graph_check_shape(shape, data != NULL, error);
		if (status != 0)
			return gyr_error_prefix(error, status, "value '%s'", name);
	}

	struct gyr_value *values = with_room(&graph->arena, graph->values, graph->value_count, sizeof *values);
	if (values == NULL)
		return graph_no_memory(error);
	graph->values = values;
	struct gyr_value value = {.name = gyr_arena_string(&graph->arena, name, strlen(name)), .data = data};
	if (value.name == NULL || !grow_slots(graph))
		return graph_no_memory(error);
	if (shape != NULL) {
		/* Dimensions beyond the rank are zero, so that shapes are the same bytes. */
		value.shape = (struct gyr_shape){.dtype = shape->dtype, .rank = shape->rank};
		memcpy(value.shape.dims, shape->dims, shape->rank * sizeof shape->dims[0]);
	}
	if (data != NULL && copy) {
		size_t bytes;
		bool fits = gyr_shape_bytes(shape, 1, &bytes);
		GYR_ASSERT(fits); /* check_shape saw to it */
		void *own = gyr_arena_alloc(&graph->arena, bytes, GRAPH_CONSTANT_ALIGN);
		if (own == NULL)
			return graph_no_memory(error);
		if (bytes != 0)
			memcpy(own, data, bytes);
		value.data = own;
	}
	*index = graph->value_count;
	graph->values[*index] = value;
	graph->slots[slot_of(graph, name)] = *index;
	graph->value_count++;
	whole->all_value_count++;
	return 0;
}

uint32_t gyr_graph_opset(const struct gyr_graph *graph, enum gyr_op op)
{
	return gyr_op_info(op)->domain == NULL ? graph->opset : graph->opset_ml;
}

int gyr_graph_blame(const struct gyr_graph *graph, const struct gyr_node *node, int status, struct gyr_error *error)
{
	const struct gyr_op_info *info = gyr_op_info(node->op);
	const char *domain = info->domain != NULL ? info->domain : "", *dot = info->domain != NULL ? "." : "";
	bool named = node->name != NULL && node->name[0] != 0;
	const char *result = node->output_count > 0 && node->outputs[0] < graph->value_count ? graph->values[node->outputs[0]].name : "?";
	return gyr_error_prefix(error, status, "%s '%s' (%s%s%s, opset %" PRIu32 ")", named ? "node" : "the node that makes", named ? node->name : result,
				domain, dot, info->name, gyr_graph_opset(graph, node->op));
}

/* The attributes of NODE, and how many values its bodies capture. */
static int check_attributes(const struct gyr_graph *graph, const struct gyr_node *node, uint32_t *captures, struct gyr_error *error)
{
	*captures = 0;
	for (uint32_t i = 0; i < node->attribute_count; i++) {
		const struct gyr_attribute *attribute = &node->attributes[i];
		if (!name_legal(attribute->name))
			return gyr_error_set(error, -EINVAL, "the name of attribute %" PRIu32 " is no name", i);
		int status = graph_check_attribute(graph, attribute, error);
		if (status != 0)
			return gyr_error_prefix(error, status, "attribute '%s'", attribute->name);
		if (attribute->type != GYR_ATTRIBUTE_GRAPH)
			continue;
		for (uint32_t k = 0; k < i; k++)
			if (node->attributes[k].type == GYR_ATTRIBUTE_GRAPH && node->attributes[k].graph == attribute->graph)
				return gyr_error_set(error, -EINVAL, "attribute '%s' is the body of another", attribute->name);
		*captures += attribute->graph->capture_count;
	}
	return 0;
}

static int check_node(const struct gyr_graph *graph, const struct gyr_node *node, uint32_t *captures, struct gyr_error *error)
{
	const struct gyr_op_info *info = gyr_op_at(node->op, gyr_graph_opset(graph, node->op));
	if (info == NULL) {
		uint32_t first = 1;
		while (gyr_op_at(node->op, first) == NULL)
			first++;
		return gyr_error_set(error, -EINVAL, "Gyr runs it from opset %" PRIu32 " to %" PRIu32, first, gyr_op_info(node->op)->opset_max);
	}
	int status = check_attributes(graph, node, captures, error);
	if (status != 0)
		return status;
	if (node->input_count > GYR_NODE_ENDS_MAX || *captures > node->input_count)
		return gyr_error_set(error, -EINVAL, "%" PRIu32 " inputs, of which its bodies read %" PRIu32 " (at most %u)", node->input_count, *captures,
				     GYR_NODE_ENDS_MAX);
	uint32_t input_min = info->input_min, own = node->input_count - *captures;
	if (own < input_min || own > info->input_max)
		return gyr_error_set(error, -EINVAL, "%" PRIu32 " inputs (%" PRIu32 " to %" PRIu32 ")", own, input_min, info->input_max);
	if (node->output_count < 1 || node->output_count > info->output_max)
		return gyr_error_set(error, -EINVAL, "%" PRIu32 " outputs (1 to %" PRIu32 ")", node->output_count, info->output_max);
	for (uint32_t i = 0; i < node->input_count; i++) {
		bool needed = i < input_min ? (info->optional >> i & 1) == 0 : i >= own;
		if (node->inputs[i] == GYR_VALUE_NONE && needed)
			return gyr_error_set(error, -EINVAL, "input %" PRIu32 " is left out, and it is needed", i);
		if (node->inputs[i] != GYR_VALUE_NONE && node->inputs[i] >= graph->value_count)
			return gyr_error_set(error, -EINVAL, "input %" PRIu32 " is value %" PRIu32 " of %" PRIu32, i, node->inputs[i], graph->value_count);
	}
	for (uint32_t i = 0; i < node->output_count; i++)
		if (node->outputs[i] >= graph->value_count && (i == 0 || node->outputs[i] != GYR_VALUE_NONE))
			return gyr_error_set(error, -EINVAL, "output %" PRIu32 " is value %" PRIu32 " of %" PRIu32, i, node->outputs[i], graph->value_count);
	return 0;
}

int gyr_graph_add_node(struct gyr_graph *graph, const struct gyr_node *node, struct gyr_error *error)
{
	GYR_ASSERT(!graph->finished);
	if (node->name != NULL && !name_legal(node->name))
		return gyr_error_set(error, -EINVAL, "a node's name is not up to %u bytes of UTF-8 without control characters", GYR_GRAPH_NAME_MAX);
	uint32_t captures = 0;
	int status = check_node(graph, node, &captures, error);
	if (status != 0)
		return gyr_graph_blame(graph, node, status, error);
	struct gyr_graph *whole = outermost(graph);
	if (whole->all_node_count == GYR_GRAPH_NODES_MAX)
		return gyr_error_set(error, -E2BIG, "more than %u nodes", GYR_GRAPH_NODES_MAX);

	struct gyr_arena *arena = &graph->arena;
	struct gyr_node *nodes = with_room(arena, graph->nodes, graph->node_count, sizeof *nodes);
	if (nodes == NULL)
		return graph_no_memory(error);
	graph->nodes = nodes;
	const char *name = node->name != NULL ? node->name : "";
	struct gyr_node copy = *node;
	copy.name = gyr_arena_string(arena, name, strlen(name));
	uint32_t *inputs = GYR_ARENA_NEW(arena, uint32_t, node->input_count);
	uint32_t *outputs = GYR_ARENA_NEW(arena, uint32_t, node->output_count);
	struct gyr_attribute *attributes = GYR_ARENA_NEW(arena, struct gyr_attribute, node->attribute_count);
	if (copy.name == NULL || inputs == NULL || outputs == NULL || attributes == NULL)
		return graph_no_memory(error);
	memcpy(inputs, node->inputs, node->input_count * sizeof *inputs);
	memcpy(outputs, node->outputs, node->output_count * sizeof *outputs);
	for (uint32_t i = 0; i < node->attribute_count; i++)
		if (!graph_copy_attribute(arena, &node->attributes[i], &attributes[i]))
			return graph_no_memory(error);
	copy.inputs = inputs;
	copy.outputs = outputs;
	copy.attributes = attributes;
	copy.capture_count = captures;
	for (uint32_t i = 0; i < node->attribute_count; i++)
		if (node->attributes[i].type == GYR_ATTRIBUTE_GRAPH)
			node->attributes[i].graph->held = true;
	graph->nodes[graph->node_count++] = copy;
	whole->all_node_count++;
	return 0;
}

/* Appends VALUE to the list of inputs or outputs. */
static int add_to(struct gyr_graph *graph, uint32_t value, uint32_t **list, uint32_t *count, const char *what, struct gyr_error *error)
{
	GYR_ASSERT(!graph->finished);
	if (value >= graph->value_count)
		return gyr_error_set(error, -EINVAL, "%s %" PRIu32 " is value %" PRIu32 " of %" PRIu32, what, *count, value, graph->value_count);
	uint32_t max = graph->outer != NULL ? GYR_NODE_ENDS_MAX : GYR_GRAPH_ENDS_MAX;
	if (*count == max)
		return gyr_error_set(error, -E2BIG, "more than %" PRIu32 " %ss", max, what);
	bool again = graph->outer != NULL && list == &graph->outputs;
	for (uint32_t i = 0; i < *count && !again; i++)
		if ((*list)[i] == value)
			return gyr_error_set(error, -EINVAL, "value '%s' is %s twice", graph->values[value].name, what);
	uint32_t *items = with_room(&graph->arena, *list, *count, sizeof *items);
	if (items == NULL)
		return graph_no_memory(error);
	*list = items;
	items[(*count)++] = value;
	return 0;
}

/* Appends VALUE to the inputs, captures or not. */
static int declare_input(struct gyr_graph *graph, uint32_t value, struct gyr_error *error)
{
	if (value < graph->value_count && graph->values[value].data != NULL)
		return gyr_error_set(error, -EINVAL, "constant '%s' cannot be an input", graph->values[value].name);
	if (value < graph->value_count && graph->outer == NULL && graph->values[value].shape.dtype == GYR_DTYPE_NONE)
		return gyr_error_set(error, -EINVAL, "input '%s' needs a shape", graph->values[value].name);
	return add_to(graph, value, &graph->inputs, &graph->input_count, "input", error);
}

int gyr_graph_add_input(struct gyr_graph *graph, uint32_t value, struct gyr_error *error)
{
	if (graph->capture_count > 0)
		return gyr_error_set(error, -EINVAL, "an input behind captures");
	return declare_input(graph, value, error);
}

int gyr_graph_add_capture(struct gyr_graph *graph, uint32_t value, struct gyr_error *error)
{
	GYR_ASSERT(graph->outer != NULL);
	int status = declare_input(graph, value, error);
	graph->capture_count += status == 0;
	return status;
}

int gyr_graph_add_output(struct gyr_graph *graph, uint32_t value, struct gyr_error *error)
{
	return add_to(graph, value, &graph->outputs, &graph->output_count, "output", error);
}

/* The first difference between two lists of inputs or outputs. */
static bool same_values(const struct gyr_graph *a, const uint32_t *a_list, uint32_t a_count, const struct gyr_graph *b, const uint32_t *b_list,
			uint32_t b_count, const char *what, struct gyr_error *error)
{
	if (a_count != b_count) {
		gyr_error_set(error, -EINVAL, "%" PRIu32 " and %" PRIu32 " %ss", a_count, b_count, what);
		return false;
	}
	for (uint32_t i = 0; i < a_count; i++) {
		const struct gyr_value *left = &a->values[a_list[i]], *right = &b->values[b_list[i]];
		char left_text[128], right_text[128];
		if (strcmp(left->name, right->name) == 0 && gyr_shape_equal(&left->shape, &right->shape))
			continue;
		gyr_error_set(error, -EINVAL, "%s %" PRIu32 " is '%.100s' %s and '%.100s' %s", what, i, left->name,
			      gyr_shape_text(&left->shape, left_text, sizeof left_text), right->name,
			      gyr_shape_text(&right->shape, right_text, sizeof right_text));
		return false;
	}
	return true;
}

bool gyr_graph_same_signature(const struct gyr_graph *a, const struct gyr_graph *b, struct gyr_error *error)
{
	return same_values(a, a->inputs, a->input_count, b, b->inputs, b->input_count, "input", error) &&
	       same_values(a, a->outputs, a->output_count, b, b->outputs, b->output_count, "output", error);
}
