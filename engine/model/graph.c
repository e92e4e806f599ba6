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
#define CONSTANT_ALIGN 64u

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

void gyr_graph_destroy(struct gyr_graph *graph)
{
	if (graph == NULL)
		return;
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
	if (graph->value_count == GYR_GRAPH_VALUES_MAX)
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
		void *own = gyr_arena_alloc(&graph->arena, bytes, CONSTANT_ALIGN);
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
	return 0;
}

/* A copy of ATTRIBUTE in the arena. False without memory. */
static bool copy_attribute(struct gyr_arena *arena, const struct gyr_attribute *attribute, struct gyr_attribute *copy)
{
	*copy = *attribute;
	copy->name = gyr_arena_string(arena, attribute->name, strlen(attribute->name));
	if (copy->name == NULL)
		return false;
	switch (attribute->type) {
	case GYR_ATTRIBUTE_INT:
	case GYR_ATTRIBUTE_FLOAT: return true;
	case GYR_ATTRIBUTE_STRING: copy->string = gyr_arena_string(arena, attribute->string, strlen(attribute->string)); return copy->string != NULL;
	case GYR_ATTRIBUTE_INTS: {
		int64_t *items = GYR_ARENA_NEW(arena, int64_t, attribute->integers.count);
		if (items != NULL && attribute->integers.count != 0)
			memcpy(items, attribute->integers.items, attribute->integers.count * sizeof *items);
		copy->integers.items = items;
		return items != NULL;
	}
	case GYR_ATTRIBUTE_FLOATS: {
		float *items = GYR_ARENA_NEW(arena, float, attribute->numbers.count);
		if (items != NULL && attribute->numbers.count != 0)
			memcpy(items, attribute->numbers.items, attribute->numbers.count * sizeof *items);
		copy->numbers.items = items;
		return items != NULL;
	}
	case GYR_ATTRIBUTE_STRINGS: {
		const char **items = GYR_ARENA_NEW(arena, const char *, attribute->strings.count);
		copy->strings.items = items;
		for (uint32_t i = 0; items != NULL && i < attribute->strings.count; i++) {
			items[i] = gyr_arena_string(arena, attribute->strings.items[i], strlen(attribute->strings.items[i]));
			if (items[i] == NULL)
				return false;
		}
		return items != NULL;
	}
	case GYR_ATTRIBUTE_TENSOR: {
		size_t bytes;
		bool fits = gyr_shape_bytes(&attribute->tensor.shape, 1, &bytes);
		GYR_ASSERT(fits); /* check_node saw to it */
		void *data = gyr_arena_alloc(arena, bytes, CONSTANT_ALIGN);
		if (data != NULL && bytes != 0)
			memcpy(data, attribute->tensor.data, bytes);
		copy->tensor.data = data;
		return data != NULL;
	}
	}
	GYR_ASSERT(!"an attribute type");
}

uint32_t gyr_graph_opset(const struct gyr_graph *graph, enum gyr_op op)
{
	return gyr_op_info(op)->domain == NULL ? graph->opset : graph->opset_ml;
}

int graph_at_node(const struct gyr_graph *graph, const struct gyr_node *node, int status, struct gyr_error *error)
{
	const struct gyr_op_info *info = gyr_op_info(node->op);
	const char *domain = info->domain != NULL ? info->domain : "", *dot = info->domain != NULL ? "." : "";
	bool named = node->name != NULL && node->name[0] != 0;
	const char *result = node->output_count > 0 && node->outputs[0] < graph->value_count ? graph->values[node->outputs[0]].name : "?";
	return gyr_error_prefix(error, status, "%s '%s' (%s%s%s, opset %" PRIu32 ")", named ? "node" : "the node that makes", named ? node->name : result,
				domain, dot, info->name, gyr_graph_opset(graph, node->op));
}

static int check_node(const struct gyr_graph *graph, const struct gyr_node *node, struct gyr_error *error)
{
	const struct gyr_op_info *info = gyr_op_at(node->op, gyr_graph_opset(graph, node->op));
	if (info == NULL) {
		uint32_t first = 1;
		while (gyr_op_at(node->op, first) == NULL)
			first++;
		return gyr_error_set(error, -EINVAL, "Gyr runs it from opset %" PRIu32 " to %" PRIu32, first, gyr_op_info(node->op)->opset_max);
	}
	uint32_t input_min = info->input_min;
	if (node->input_count < input_min || node->input_count > info->input_max)
		return gyr_error_set(error, -EINVAL, "%" PRIu32 " inputs (%" PRIu32 " to %" PRIu32 ")", node->input_count, input_min, info->input_max);
	if (node->output_count < 1 || node->output_count > info->output_max)
		return gyr_error_set(error, -EINVAL, "%" PRIu32 " outputs (1 to %" PRIu32 ")", node->output_count, info->output_max);
	for (uint32_t i = 0; i < node->input_count; i++) {
		if (node->inputs[i] == GYR_VALUE_NONE && i < input_min)
			return gyr_error_set(error, -EINVAL, "input %" PRIu32 " is left out, and it is needed", i);
		if (node->inputs[i] != GYR_VALUE_NONE && node->inputs[i] >= graph->value_count)
			return gyr_error_set(error, -EINVAL, "input %" PRIu32 " is value %" PRIu32 " of %" PRIu32, i, node->inputs[i], graph->value_count);
	}
	for (uint32_t i = 0; i < node->output_count; i++)
		if (node->outputs[i] >= graph->value_count && (i == 0 || node->outputs[i] != GYR_VALUE_NONE))
			return gyr_error_set(error, -EINVAL, "output %" PRIu32 " is value %" PRIu32 " of %" PRIu32, i, node->outputs[i], graph->value_count);
	for (uint32_t i = 0; i < node->attribute_count; i++) {
		const struct gyr_attribute *attribute = &node->attributes[i];
		if (!name_legal(attribute->name))
			return gyr_error_set(error, -EINVAL, "the name of attribute %" PRIu32 " is no name", i);
		int status = attribute->type == GYR_ATTRIBUTE_TENSOR ? graph_check_shape(&attribute->tensor.shape, true, error) : 0;
		if (status != 0)
			return gyr_error_prefix(error, status, "attribute '%s'", attribute->name);
	}
	return 0;
}

int gyr_graph_add_node(struct gyr_graph *graph, const struct gyr_node *node, struct gyr_error *error)
{
	GYR_ASSERT(!graph->finished);
	if (node->name != NULL && !name_legal(node->name))
		return gyr_error_set(error, -EINVAL, "a node's name is not up to %u bytes of UTF-8 without control characters", GYR_GRAPH_NAME_MAX);
	int status = check_node(graph, node, error);
	if (status != 0)
		return graph_at_node(graph, node, status, error);
	if (graph->node_count == GYR_GRAPH_NODES_MAX)
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
		if (!copy_attribute(arena, &node->attributes[i], &attributes[i]))
			return graph_no_memory(error);
	copy.inputs = inputs;
	copy.outputs = outputs;
	copy.attributes = attributes;
	graph->nodes[graph->node_count++] = copy;
	return 0;
}

/* Appends VALUE to the list of inputs or outputs. */
static int add_to(struct gyr_graph *graph, uint32_t value, uint32_t **list, uint32_t *count, const char *what, struct gyr_error *error)
{
	GYR_ASSERT(!graph->finished);
	if (value >= graph->value_count)
		return gyr_error_set(error, -EINVAL, "%s %" PRIu32 " is value %" PRIu32 " of %" PRIu32, what, *count, value, graph->value_count);
	if (*count == GYR_GRAPH_ENDS_MAX)
		return gyr_error_set(error, -E2BIG, "more than %u %ss", GYR_GRAPH_ENDS_MAX, what);
	for (uint32_t i = 0; i < *count; i++)
		if ((*list)[i] == value)
			return gyr_error_set(error, -EINVAL, "value '%s' is %s twice", graph->values[value].name, what);
	uint32_t *items = with_room(&graph->arena, *list, *count, sizeof *items);
	if (items == NULL)
		return graph_no_memory(error);
	*list = items;
	items[(*count)++] = value;
	return 0;
}

int gyr_graph_add_input(struct gyr_graph *graph, uint32_t value, struct gyr_error *error)
{
	if (value < graph->value_count && graph->values[value].data != NULL)
		return gyr_error_set(error, -EINVAL, "constant '%s' cannot be an input", graph->values[value].name);
	if (value < graph->value_count && graph->values[value].shape.dtype == GYR_DTYPE_NONE)
		return gyr_error_set(error, -EINVAL, "input '%s' needs a shape", graph->values[value].name);
	return add_to(graph, value, &graph->inputs, &graph->input_count, "input", error);
}

int gyr_graph_add_output(struct gyr_graph *graph, uint32_t value, struct gyr_error *error)
{
	return add_to(graph, value, &graph->outputs, &graph->output_count, "output", error);
}

const struct gyr_attribute *gyr_node_attribute(const struct gyr_node *node, const char *name)
{
	for (uint32_t i = 0; i < node->attribute_count; i++)
		if (strcmp(node->attributes[i].name, name) == 0)
			return &node->attributes[i];
	return NULL;
}

int64_t gyr_node_integer(const struct gyr_node *node, const char *name, int64_t otherwise)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(node, name);
	return attribute != NULL && attribute->type == GYR_ATTRIBUTE_INT ? attribute->integer : otherwise;
}

float gyr_node_number(const struct gyr_node *node, const char *name, float otherwise)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(node, name);
	return attribute != NULL && attribute->type == GYR_ATTRIBUTE_FLOAT ? attribute->number : otherwise;
}

const char *gyr_node_string(const struct gyr_node *node, const char *name, const char *otherwise)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(node, name);
	return attribute != NULL && attribute->type == GYR_ATTRIBUTE_STRING ? attribute->string : otherwise;
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
