/*
 * Nodes that compute what another one has computed: see fuse.h.
 *
 * Nodes are visited in their order, each looked up in a table of those before it. The results of one that is found become views of the other's, by which the
 * readers of both are seen to read the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan/fuse.h"

#define SMALL_BYTES 64u /* constants up to this are compared by what is in them */
#define TRIES_MAX 64u   /* nodes that one is compared with at most: a model may be made of those that look alike */

/* What makes a small constant, or NULL. */
static const void *small_content(const struct gyr_draft *draft, uint32_t value, size_t *bytes)
{
	const struct gyr_draft_value *constant = &draft->values[value];
	return constant->data != NULL && gyr_shape_bytes(&constant->shape, 1, bytes) && *bytes <= SMALL_BYTES ? constant->data : NULL;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < count; i++)
		hash = mix(hash, at[i]);
	return hash;
}

/* Of its operator and inputs; what differs in attributes alone is told apart by same_nodes. */
static uint64_t hash_node(const struct gyr_draft *draft, const struct gyr_draft_node *node)
{
	uint64_t hash = mix(node->source->op, node->input_count);
	for (uint32_t i = 0; i < node->input_count; i++) {
		size_t bytes;
		const void *content = node->inputs[i] == GYR_DRAFT_NONE ? NULL : small_content(draft, node->inputs[i], &bytes);
		if (content != NULL)
			hash = mix_bytes(hash, content, bytes);
		else
			hash = mix(hash, node->inputs[i] == GYR_DRAFT_NONE ? GYR_DRAFT_NONE : gyr_draft_root(draft, node->inputs[i]));
	}
	for (uint32_t i = 0; i < node->source->attribute_count; i++) {
		const struct gyr_attribute *attribute = &node->source->attributes[i];
		if (attribute->type == GYR_ATTRIBUTE_INT)
			hash = mix(hash, (uint64_t)attribute->integer);
		else if (attribute->type == GYR_ATTRIBUTE_INTS)
			hash = mix_bytes(hash, attribute->integers.items, attribute->integers.count * sizeof(int64_t));
	}
	return hash;
}

static bool same_attribute(const struct gyr_attribute *a, const struct gyr_attribute *b)
{
	if (strcmp(a->name, b->name) != 0 || a->type != b->type)
		return false;
	switch (a->type) {
	case GYR_ATTRIBUTE_INT: return a->integer == b->integer;
	case GYR_ATTRIBUTE_FLOAT: return memcmp(&a->number, &b->number, sizeof a->number) == 0;
	case GYR_ATTRIBUTE_STRING: return strcmp(a->string, b->string) == 0;
	case GYR_ATTRIBUTE_INTS:
		return a->integers.count == b->integers.count &&
		       (a->integers.count == 0 || memcmp(a->integers.items, b->integers.items, a->integers.count * sizeof a->integers.items[0]) == 0);
	case GYR_ATTRIBUTE_FLOATS:
		return a->numbers.count == b->numbers.count &&
		       (a->numbers.count == 0 || memcmp(a->numbers.items, b->numbers.items, a->numbers.count * sizeof a->numbers.items[0]) == 0);
	default: return false; /* long, and rare */
	}
}

static bool same_input(const struct gyr_draft *draft, uint32_t a, uint32_t b)
{
	size_t bytes, others;
	if (a == GYR_DRAFT_NONE || b == GYR_DRAFT_NONE)
		return a == b;
	const void *content = small_content(draft, a, &bytes), *other = small_content(draft, b, &others);
	if (content != NULL && other != NULL) {
		if (bytes != others || memcmp(content, other, bytes) != 0)
			return false;
	} else if (gyr_draft_root(draft, a) != gyr_draft_root(draft, b)) {
		return false;
	}
	for (uint32_t i = 0; i < draft->special_count; i++)
		if (!gyr_shape_equal(gyr_draft_shape(draft, a, i), gyr_draft_shape(draft, b, i)))
			return false;
	return true;
}

/* Whether NODE computes what FIRST does; each of its results is then there. */
static bool same_nodes(const struct gyr_draft *draft, const struct gyr_draft_node *first, const struct gyr_draft_node *node)
{
	const struct gyr_node *a = first->source, *b = node->source;
	if (a->op != b->op || a->attribute_count != b->attribute_count || first->input_count != node->input_count || first->output_count != node->output_count)
		return false;
	for (uint32_t i = 0; i < a->attribute_count; i++)
		if (!same_attribute(&a->attributes[i], &b->attributes[i]))
			return false;
	for (uint32_t i = 0; i < node->input_count; i++)
		if (!same_input(draft, first->inputs[i], node->inputs[i]))
			return false;
	for (uint32_t o = 0; o < node->output_count; o++)
		if (node->outputs[o] != GYR_DRAFT_NONE && first->outputs[o] == GYR_DRAFT_NONE)
			return false;
	return true;
}

static void merge(struct gyr_draft *draft, uint32_t first, uint32_t index)
{
	gyr_draft_remove(draft, index);
	for (uint32_t o = 0; o < draft->nodes[index].output_count; o++)
		if (draft->nodes[index].outputs[o] != GYR_DRAFT_NONE)
			gyr_draft_make_view(draft, draft->nodes[index].outputs[o], draft->nodes[first].outputs[o]);
}

int gyr_fuse_same(struct gyr_draft *draft, struct gyr_error *error)
{
	size_t room = 16;
	while (room < 2 * (size_t)draft->node_count)
		room *= 2;
	uint32_t *table = malloc(room * sizeof *table); /* node indices, by hash, the next free place taken where one is not */
	if (table == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
	memset(table, 0xff, room * sizeof *table);
	for (uint32_t i = 0; i < draft->node_count; i++) {
		const struct gyr_draft_node *node = &draft->nodes[i];
		if (node->dead || node->dense != NULL)
			continue;
		size_t at = hash_node(draft, node) & (room - 1), tried = 0;
		while (tried < TRIES_MAX && table[at] != GYR_DRAFT_NONE && !same_nodes(draft, &draft->nodes[table[at]], node)) {
			at = (at + 1) & (room - 1);
			tried++;
		}
		if (tried == TRIES_MAX)
			continue;
		if (table[at] == GYR_DRAFT_NONE)
			table[at] = i;
		else
			merge(draft, table[at], i);
	}
	free(table);
	return 0;
}
