/*
 * Trees as TreeEnsemble gives them: inner nodes and leaves in lists of their own, children and roots by index.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/forest_internal.h"

struct indices {
	struct reading *reading;
	uint32_t count, leaf_count, root_count;
	const int64_t *features, *children[2], *leaf_flags[2], *missing, *roots; /* MISSING may be NULL */
	const uint8_t *modes;
	struct numbers splits, weights, members;
	uint32_t *references; /* of each node in the lists: its index in the forest + 1, 0 until it is met */
	uint32_t *order;      /* the nodes in the forest's order */
	uint32_t *sets;       /* of each MEMBER node, in the lists' order, where its set begins */
};

static int read_lists(struct indices *indices)
{
	struct reading *reading = indices->reading;
	const struct gyr_node *node = reading->node;
	const struct gyr_attribute *modes = gyr_node_attribute(node, "nodes_modes");
	uint32_t missing;
	indices->features = gyr_ml_integers(node, "nodes_featureids", &indices->count);
	indices->roots = gyr_ml_integers(node, "tree_roots", &indices->root_count);
	if (indices->count == 0 || indices->count > INT32_MAX || indices->root_count == 0)
		return forest_refuse(reading, "%" PRIu32 " nodes and %" PRIu32 " roots", indices->count, indices->root_count);
	indices->children[0] = forest_integers(reading, "nodes_truenodeids", indices->count);
	indices->children[1] = forest_integers(reading, "nodes_falsenodeids", indices->count);
	indices->leaf_flags[0] = forest_integers(reading, "nodes_trueleafs", indices->count);
	indices->leaf_flags[1] = forest_integers(reading, "nodes_falseleafs", indices->count);
	if (indices->children[0] == NULL || indices->children[1] == NULL || indices->leaf_flags[0] == NULL || indices->leaf_flags[1] == NULL)
		return -ENOTSUP;
	indices->missing = gyr_ml_integers(node, "nodes_missing_value_tracks_true", &missing);
	if (missing == 0)
		indices->missing = NULL;
	int status = forest_numbers(reading, NULL, "nodes_splits", &indices->splits);
	if (status == 0)
		status = forest_numbers(reading, NULL, "leaf_weights", &indices->weights);
	if (status == 0)
		status = forest_numbers(reading, NULL, "membership_values", &indices->members);
	if (status != 0)
		return status;
	if (modes->tensor.shape.dtype != GYR_DTYPE_U8 || modes->tensor.shape.rank != 1)
		return forest_refuse(reading, "attribute 'nodes_modes' is no list of u8");
	if ((missing != 0 && missing != indices->count) || indices->splits.count != indices->count || modes->tensor.shape.dims[0] != indices->count)
		return forest_refuse(reading, "the attributes of the nodes do not all have %" PRIu32 " elements", indices->count);
	indices->modes = modes->tensor.data;
	indices->leaf_count = indices->weights.count;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

/* The sets, each ended by a NaN, are those of the MEMBER nodes in the lists' order. */
static int read_members(struct indices *indices)
{
	struct reading *reading = indices->reading;
	struct gyr_forest *forest = reading->forest;
	uint32_t at = 0;
	forest->members = forest_array(reading, indices->members.count, sizeof *forest->members);
	indices->sets = forest_array(reading, indices->count, sizeof *indices->sets);
	if (forest->members == NULL || indices->sets == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < indices->members.count; i++)
		forest->members[i] = forest_key(reading, &indices->members, i);
	for (uint32_t i = 0; i < indices->count; i++) {
		if (indices->modes[i] > GYR_FOREST_MEMBER)
			return forest_refuse(reading, "node %" PRIu32 " has mode %u", i, indices->modes[i]);
		if (indices->modes[i] != GYR_FOREST_MEMBER)
			continue;
		uint32_t begin = at;
		while (at < indices->members.count && forest->members[at] != GYR_FOREST_NAN)
			at++;
		if (at == indices->members.count)
			return forest_refuse(reading, "node %" PRIu32 " has no set in membership_values, or one without a NaN at its end", i);
		qsort(forest->members + begin, at - begin, sizeof *forest->members, compare_keys);
		indices->sets[i] = begin;
		at++;
	}
	return at == indices->members.count ? 0 : forest_refuse(reading, "membership_values has more than the nodes' sets");
}

/* The reference of a child, to which the node must be the first to refer. */
static int refer(struct indices *indices, uint32_t at, int side, uint32_t *reference)
{
	int64_t child = indices->children[side][at], leaf = indices->leaf_flags[side][at];
	uint32_t limit = leaf != 0 ? indices->leaf_count : indices->count;
	if (leaf != 0 && leaf != 1)
		return forest_refuse(indices->reading, "node %" PRIu32 " has %" PRId64 " in place of 0 or 1 for whether its child is a leaf", at, leaf);
	if (child < 0 || child >= limit)
		return forest_refuse(indices->reading, "node %" PRIu32 " has child %" PRId64 " of %" PRIu32, at, child, limit);
	*reference = GYR_FOREST_LEAF | (uint32_t)child;
	if (leaf != 0)
		return 0;
	if (indices->references[child] != 0)
		return forest_refuse(indices->reading, "node %" PRId64 " is reached twice: from two nodes, as two roots, or in a cycle", child);
	struct gyr_forest *forest = indices->reading->forest;
	indices->order[forest->node_count] = (uint32_t)child;
	*reference = forest->node_count++;
	indices->references[child] = *reference + 1;
	return 0;
}

static int write_tree(struct indices *indices, int64_t root)
{
	struct reading *reading = indices->reading;
	struct gyr_forest *forest = reading->forest;
	if (root < 0 || root >= indices->count)
		return forest_refuse(reading, "root %" PRId64 " of %" PRIu32 " nodes", root, indices->count);
	if (indices->references[root] != 0)
		return forest_refuse(reading, "node %" PRId64 " is reached twice: from two nodes, as two roots, or in a cycle", root);
	uint32_t next = forest->node_count;
	indices->order[next] = (uint32_t)root;
	indices->references[root] = next + 1;
	forest->roots[forest->tree_count] = next;
	forest->node_count++;
	for (; next < forest->node_count; next++) {
		uint32_t at = indices->order[next];
		struct gyr_forest_node *node = &forest->nodes[next];
		*node = (struct gyr_forest_node){
			.split = forest_key(reading, &indices->splits, at),
			.feature = (uint32_t)indices->features[at],
			.mode = (enum gyr_forest_mode)indices->modes[at],
			.missing_first = indices->missing != NULL && indices->missing[at] != 0,
		};
		if (indices->features[at] < 0 || (uint64_t)indices->features[at] >= reading->features)
			return forest_refuse(reading, "node %" PRIu32 " asks for feature %" PRId64 " of %zu", at, indices->features[at], reading->features);
		if (node->mode == GYR_FOREST_MEMBER) {
			node->member_begin = indices->sets[at];
			while (forest->members[node->member_begin + node->member_count] != GYR_FOREST_NAN)
				node->member_count++;
		}
		int status = refer(indices, at, 0, &node->first);
		if (status == 0)
			status = refer(indices, at, 1, &node->second);
		if (status != 0)
			return status;
	}
	forest->ends[forest->tree_count++] = forest->node_count;
	return 0;
}

static int write_trees(struct indices *indices)
{
	struct reading *reading = indices->reading;
	struct gyr_forest *forest = reading->forest;
	indices->references = forest_array(reading, indices->count, sizeof *indices->references);
	indices->order = forest_array(reading, indices->count, sizeof *indices->order);
	forest->nodes = forest_array(reading, indices->count, sizeof *forest->nodes);
	forest->roots = forest_array(reading, indices->root_count, sizeof *forest->roots);
	forest->ends = forest_array(reading, indices->root_count, sizeof *forest->ends);
	if (indices->references == NULL || indices->order == NULL || forest->nodes == NULL || forest->roots == NULL || forest->ends == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < indices->root_count; i++) {
		int status = write_tree(indices, indices->roots[i]);
		if (status != 0)
			return status;
	}
	return forest->node_count == indices->count ? 0 : forest_refuse(reading, "%" PRIu32 " nodes belong to no tree", indices->count - forest->node_count);
}

/* Each leaf has one weight. */
static int read_entries(struct indices *indices)
{
	struct reading *reading = indices->reading;
	struct gyr_forest *forest = reading->forest;
	const int64_t *targets = forest_integers(reading, "leaf_targetids", indices->leaf_count);
	if (targets == NULL)
		return -ENOTSUP;
	if (forest->targets > indices->leaf_count)
		return forest_refuse(reading, "%" PRIu32 " targets, and %" PRIu32 " weights", forest->targets, indices->leaf_count);
	forest->leaf_count = indices->leaf_count;
	forest->entries_at = forest_array(reading, (size_t)forest->leaf_count + 1, sizeof *forest->entries_at);
	forest->entries = forest_array(reading, forest->leaf_count, sizeof *forest->entries);
	if (forest->entries_at == NULL || forest->entries == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < forest->leaf_count; i++) {
		if (targets[i] < 0 || targets[i] >= forest->targets)
			return forest_refuse(reading, "leaf %" PRIu32 " is of target %" PRId64 " of %" PRIu32, i, targets[i], forest->targets);
		forest->entries_at[i + 1] = i + 1;
		forest->entries[i] = (struct gyr_forest_entry){(uint32_t)targets[i], forest_number(&indices->weights, i)};
	}
	return 0;
}

int forest_read_indices(struct reading *reading)
{
	struct indices indices = {.reading = reading};
	int status = read_lists(&indices);
	if (status == 0)
		status = read_members(&indices);
	if (status == 0)
		status = write_trees(&indices);
	if (status == 0)
		status = read_entries(&indices);
	free(indices.references);
	free(indices.order);
	free(indices.sets);
	return status;
}
