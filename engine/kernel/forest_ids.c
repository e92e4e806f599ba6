/*
 * Trees as TreeEnsembleRegressor and TreeEnsembleClassifier give them: a list of nodes, each named by the ids of its tree and of its own, leaves among them;
 * and a list of weights, each with the ids of its leaf.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/forest_internal.h"

#define NOBODY UINT32_MAX

/* A place in the list of nodes under its name. */
struct name {
	int64_t tree, node;
	uint32_t at;
};

struct ids {
	struct reading *reading;
	uint32_t count;
	const int64_t *trees, *nodes, *features, *firsts, *seconds, *missing; /* MISSING may be NULL */
	const char *const *modes;
	struct numbers splits;
	struct name *names;    /* in order */
	uint32_t *children[2]; /* places in the list; NOBODY for a leaf's */
	uint32_t *references;  /* of each node: its index, or GYR_FOREST_LEAF and the leaf's */
	uint32_t *queue;
};

static int compare_names(const void *a, const void *b)
{
	const struct name *left = a, *right = b;
	int order = (left->tree > right->tree) - (left->tree < right->tree);
	return order != 0 ? order : (left->node > right->node) - (left->node < right->node);
}

/* The place of a node, or NOBODY. */
static uint32_t find(const struct ids *ids, int64_t tree, int64_t node)
{
	const struct name key = {.tree = tree, .node = node};
	const struct name *found = bsearch(&key, ids->names, ids->count, sizeof key, compare_names);
	return found == NULL ? NOBODY : found->at;
}

static bool read_mode(const char *text, enum gyr_forest_mode *mode, bool *leaf)
{
	static const char *const names[] = {
		[GYR_FOREST_LEQ] = "BRANCH_LEQ", [GYR_FOREST_LT] = "BRANCH_LT", [GYR_FOREST_GTE] = "BRANCH_GTE",
		[GYR_FOREST_GT] = "BRANCH_GT",   [GYR_FOREST_EQ] = "BRANCH_EQ", [GYR_FOREST_NEQ] = "BRANCH_NEQ",
	};
	*leaf = strcmp(text, "LEAF") == 0;
	for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], text) == 0) {
			*mode = (enum gyr_forest_mode)i;
			return true;
		}
	}
	return *leaf;
}

static int read_lists(struct ids *ids)
{
	struct reading *reading = ids->reading;
	uint32_t missing;
	const struct gyr_attribute *modes = gyr_node_attribute(reading->node, "nodes_modes");
	ids->nodes = gyr_ml_integers(reading->node, "nodes_nodeids", &ids->count);
	if (ids->count == 0 || ids->count > INT32_MAX)
		return forest_refuse(reading, "%" PRIu32 " nodes", ids->count);
	ids->trees = forest_integers(reading, "nodes_treeids", ids->count);
	ids->features = forest_integers(reading, "nodes_featureids", ids->count);
	ids->firsts = forest_integers(reading, "nodes_truenodeids", ids->count);
	ids->seconds = forest_integers(reading, "nodes_falsenodeids", ids->count);
	if (ids->trees == NULL || ids->features == NULL || ids->firsts == NULL || ids->seconds == NULL)
		return -ENOTSUP;
	ids->missing = gyr_ml_integers(reading->node, "nodes_missing_value_tracks_true", &missing);
	if (missing == 0)
		ids->missing = NULL;
	int status = forest_numbers(reading, "nodes_values", "nodes_values_as_tensor", &ids->splits);
	if (status == 0 && ((missing != 0 && missing != ids->count) || ids->splits.count != ids->count || modes == NULL || modes->strings.count != ids->count))
		status = forest_refuse(reading, "the attributes of the nodes do not all have %" PRIu32 " elements", ids->count);
	if (status == 0)
		ids->modes = modes->strings.items;
	return status;
}

static int name_nodes(struct ids *ids)
{
	struct reading *reading = ids->reading;
	ids->names = forest_array(reading, ids->count, sizeof *ids->names);
	if (ids->names == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < ids->count; i++)
		ids->names[i] = (struct name){ids->trees[i], ids->nodes[i], i};
	qsort(ids->names, ids->count, sizeof *ids->names, compare_names);
	for (uint32_t i = 1; i < ids->count; i++)
		if (compare_names(&ids->names[i - 1], &ids->names[i]) == 0)
			return forest_refuse(reading, "node %" PRId64 " of tree %" PRId64 " is there twice", ids->names[i].node, ids->names[i].tree);
	return 0;
}

/* Finds the children of the nodes [BEGIN, END) of one tree. Each but the first is the child of one other. */
static int find_children(struct ids *ids, uint32_t begin, uint32_t end, uint32_t *parents)
{
	struct reading *reading = ids->reading;
	int64_t tree = ids->trees[begin];
	for (uint32_t i = begin; i < end; i++) {
		enum gyr_forest_mode mode;
		bool leaf;
		if (!read_mode(ids->modes[i], &mode, &leaf))
			return forest_refuse(reading, "node %" PRId64 " of tree %" PRId64 " has a mode that is none of ONNX's", ids->nodes[i], tree);
		if (!leaf && (ids->features[i] < 0 || (uint64_t)ids->features[i] >= reading->features))
			return forest_refuse(reading, "node %" PRId64 " of tree %" PRId64 " asks for feature %" PRId64 " of %zu", ids->nodes[i], tree,
					     ids->features[i], reading->features);
		for (int side = 0; side < 2; side++) {
			int64_t id = side == 0 ? ids->firsts[i] : ids->seconds[i];
			uint32_t child = leaf ? NOBODY : find(ids, tree, id);
			ids->children[side][i] = child;
			if (leaf)
				continue;
			if (child == NOBODY)
				return forest_refuse(reading, "node %" PRId64 " of tree %" PRId64 " has child %" PRId64 ", which is not there", ids->nodes[i],
						     tree, id);
			parents[child]++;
		}
	}
	for (uint32_t i = begin; i < end; i++)
		if (parents[i] != (i == begin ? 0 : 1))
			return forest_refuse(reading,
					     "node %" PRId64 " of tree %" PRId64 " is the child of %" PRIu32 " nodes (of one; a tree's first node of none)",
					     ids->nodes[i], tree, parents[i]);
	return 0;
}

/* Writes the nodes of the tree whose places are [BEGIN, END), from the root on, and gives all their references. */
static int write_tree(struct ids *ids, uint32_t begin, uint32_t end)
{
	struct gyr_forest *forest = ids->reading->forest;
	uint32_t head = 0, tail = 1, first_node = forest->node_count;
	ids->queue[0] = begin;
	for (; head < tail; head++) {
		uint32_t at = ids->queue[head];
		if (ids->children[0][at] == NOBODY) {
			ids->references[at] = GYR_FOREST_LEAF | forest->leaf_count++;
			continue;
		}
		ids->references[at] = forest->node_count++;
		/* Without a cycle there are no more than all. */
		if (tail + 2 > end - begin)
			break;
		ids->queue[tail++] = ids->children[0][at];
		ids->queue[tail++] = ids->children[1][at];
	}
	if (head != tail || tail != end - begin)
		return forest_refuse(ids->reading, "tree %" PRId64 " has a cycle", ids->trees[begin]);
	for (uint32_t i = 0; i < tail; i++) {
		uint32_t at = ids->queue[i];
		if (ids->children[0][at] == NOBODY)
			continue;
		struct gyr_forest_node *node = &forest->nodes[first_node++];
		bool leaf;
		*node = (struct gyr_forest_node){
			.split = forest_key(ids->reading, &ids->splits, at),
			.feature = (uint32_t)ids->features[at],
			.first = ids->references[ids->children[0][at]],
			.second = ids->references[ids->children[1][at]],
			.missing_first = ids->missing != NULL && ids->missing[at] != 0,
		};
		(void)read_mode(ids->modes[at], &node->mode, &leaf);
	}
	forest->roots[forest->tree_count] = ids->references[begin];
	forest->ends[forest->tree_count++] = forest->node_count;
	return 0;
}

static int write_trees(struct ids *ids)
{
	struct reading *reading = ids->reading;
	struct gyr_forest *forest = reading->forest;
	uint32_t *parents = forest_array(reading, ids->count, sizeof *parents);
	ids->children[0] = forest_array(reading, ids->count, sizeof(uint32_t));
	ids->children[1] = forest_array(reading, ids->count, sizeof(uint32_t));
	ids->references = forest_array(reading, ids->count, sizeof(uint32_t));
	ids->queue = forest_array(reading, ids->count, sizeof(uint32_t));
	forest->nodes = forest_array(reading, ids->count, sizeof *forest->nodes);
	forest->roots = forest_array(reading, ids->count, sizeof *forest->roots);
	forest->ends = forest_array(reading, ids->count, sizeof *forest->ends);
	int status = -ENOMEM;
	if (parents != NULL && ids->children[0] != NULL && ids->children[1] != NULL && ids->references != NULL && ids->queue != NULL && forest->nodes != NULL &&
	    forest->roots != NULL && forest->ends != NULL)
		status = 0;
	for (uint32_t begin = 0, end; begin < ids->count && status == 0; begin = end) {
		for (end = begin + 1; end < ids->count && ids->trees[end] == ids->trees[begin]; end++)
			;
		status = find_children(ids, begin, end, parents);
		if (status == 0)
			status = write_tree(ids, begin, end);
	}
	free(parents);
	return status;
}

/* The weights, those of each leaf together, no target twice. */
static int read_entries(struct ids *ids, const char *const names[4], const char *tensor_name)
{
	struct reading *reading = ids->reading;
	struct gyr_forest *forest = reading->forest;
	struct numbers weights;
	int status = forest_numbers(reading, names[3], tensor_name, &weights);
	if (status != 0)
		return status;
	const int64_t *trees = forest_integers(reading, names[0], weights.count), *nodes = forest_integers(reading, names[1], weights.count);
	const int64_t *targets = forest_integers(reading, names[2], weights.count);
	if (trees == NULL || nodes == NULL || targets == NULL)
		return -ENOTSUP;
	if (forest->targets > weights.count)
		return forest_refuse(reading, "%" PRIu32 " targets or classes, and %" PRIu32 " weights", forest->targets, weights.count);
	uint32_t *leaves = forest_array(reading, weights.count, sizeof *leaves), *seen = forest_array(reading, forest->targets, sizeof *seen);
	forest->entries_at = forest_array(reading, (size_t)forest->leaf_count + 1, sizeof *forest->entries_at);
	forest->entries = forest_array(reading, weights.count, sizeof *forest->entries);
	if (leaves == NULL || seen == NULL || forest->entries_at == NULL || forest->entries == NULL)
		status = -ENOMEM;
	for (uint32_t i = 0; i < weights.count && status == 0; i++) {
		uint32_t at = find(ids, trees[i], nodes[i]);
		if (at == NOBODY || (ids->references[at] & GYR_FOREST_LEAF) == 0)
			status = forest_refuse(reading, "weight %" PRIu32 " is of node %" PRId64 " of tree %" PRId64 ", which is no leaf", i, nodes[i],
					       trees[i]);
		else if (targets[i] < 0 || targets[i] >= forest->targets)
			status = forest_refuse(reading, "weight %" PRIu32 " is of target or class %" PRId64 " of %" PRIu32, i, targets[i], forest->targets);
		else
			forest->entries_at[(leaves[i] = ids->references[at] & ~GYR_FOREST_LEAF) + 1]++;
	}
	for (uint32_t leaf = 0; leaf < forest->leaf_count && status == 0; leaf++)
		forest->entries_at[leaf + 1] += forest->entries_at[leaf];
	for (uint32_t i = weights.count; i > 0 && status == 0; i--) {
		/* Filled from the back, each leaf's begin moves to where it belongs in the end. */
		uint32_t place = --forest->entries_at[leaves[i - 1] + 1];
		forest->entries[place] = (struct gyr_forest_entry){(uint32_t)targets[i - 1], forest_number(&weights, i - 1)};
	}
	if (status == 0) {
		memmove(forest->entries_at, forest->entries_at + 1, forest->leaf_count * sizeof *forest->entries_at);
		forest->entries_at[forest->leaf_count] = weights.count;
	}
	for (uint32_t leaf = 0; leaf < forest->leaf_count && status == 0; leaf++) {
		for (uint32_t e = forest->entries_at[leaf]; e < forest->entries_at[leaf + 1] && status == 0; e++) {
			if (seen[forest->entries[e].target] == leaf + 1)
				status = forest_refuse(reading, "a leaf has two weights for target or class %" PRIu32, forest->entries[e].target);
			seen[forest->entries[e].target] = leaf + 1;
		}
	}
	free(leaves);
	free(seen);
	return status;
}

int forest_read_ids(struct reading *reading)
{
	static const char *const regressor[4] = {"target_treeids", "target_nodeids", "target_ids", "target_weights"};
	static const char *const classifier[4] = {"class_treeids", "class_nodeids", "class_ids", "class_weights"};
	bool classes = reading->node->op == GYR_OP_TREE_ENSEMBLE_CLASSIFIER;
	struct ids ids = {.reading = reading};
	int status = read_lists(&ids);
	if (status == 0)
		status = name_nodes(&ids);
	if (status == 0)
		status = write_trees(&ids);
	if (status == 0)
		status = read_entries(&ids, classes ? classifier : regressor, classes ? "class_weights_as_tensor" : "target_weights_as_tensor");
	free(ids.names);
	free(ids.children[0]);
	free(ids.children[1]);
	free(ids.references);
	free(ids.queue);
	return status;
}
