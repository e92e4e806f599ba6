/*
 * Attributes of nodes: checking and copying what is given, and asking.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/model/graph_internal.h"

int graph_check_attribute(const struct gyr_graph *graph, const struct gyr_attribute *attribute, struct gyr_error *error)
{
	const struct gyr_graph *body;
	switch (attribute->type) {
	case GYR_ATTRIBUTE_TENSOR: return graph_check_shape(&attribute->tensor.shape, true, error);
	case GYR_ATTRIBUTE_GRAPH:
		body = attribute->graph;
		if (body->outer != graph || !body->finished || body->held)
			return gyr_error_set(error, -EINVAL, "it is not a finished body of this graph that no node has");
		return 0;
	default: return 0;
	}
}

bool graph_copy_attribute(struct gyr_arena *arena, const struct gyr_attribute *attribute, struct gyr_attribute *copy)
{
	*copy = *attribute;
	copy->name = gyr_arena_string(arena, attribute->name, strlen(attribute->name));
	if (copy->name == NULL)
		return false;
	switch (attribute->type) {
	case GYR_ATTRIBUTE_INT:
	case GYR_ATTRIBUTE_FLOAT:
	case GYR_ATTRIBUTE_GRAPH: return true;
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
		GYR_ASSERT(fits); /* graph_check_attribute saw to it */
		void *data = gyr_arena_alloc(arena, bytes, GRAPH_CONSTANT_ALIGN);
		if (data != NULL && bytes != 0)
			memcpy(data, attribute->tensor.data, bytes);
		copy->tensor.data = data;
		return data != NULL;
	}
	}
	GYR_ASSERT(!"an attribute type");
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
