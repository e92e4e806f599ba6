/*
 * Lays trees out for walk.c. First every inner node becomes one or more that ask whether a key is not larger than a split; then the pairs of children find
 * their places, a pair with those of its children in one line of the cache; then all is written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/kernel/walk_internal.h"

#define LINE 8u /* nodes of 8 bytes in a line of the cache */
#define HUGE_PAGE ((size_t)2 << 20)
#define NARROW_SLOTS 8192u
#define NODES_MAX (UINT32_C(1) << 30)
#define LAST_KEY 0xff800000u /* of the largest number; NaN's is larger, and below all numbers is 0 */
#define NO_PLACE UINT32_MAX
#define RAGGED_STEPS 4u /* between the nearest leaf and the deepest */

/* Asks whether the key at SLOT is at most SPLIT; then it goes to children[0]. Children are such nodes, or GYR_FOREST_LEAF and a leaf. */
struct flat {
	uint32_t split, slot;
	uint32_t children[2];
	uint32_t height, lowest; /* steps to the deepest leaf, and to the nearest */
	uint32_t pair;           /* where its children are */
};

struct layout {
	const struct gyr_forest *forest;
	struct gyr_walk *walk;
	struct flat *flats;
	uint32_t *of_node; /* the first flat node of each node of the forest */
	uint32_t flat_count, *queue;
	uint32_t end; /* of the places taken */
	bool far;     /* some way is too long for 16 bits */
};

/* The flat nodes that NODE becomes. */
static uint32_t flats_of(const struct gyr_forest_node *node)
{
	switch (node->mode) {
	case GYR_FOREST_EQ:
	case GYR_FOREST_NEQ: return 2;
	case GYR_FOREST_MEMBER: return node->member_count == 0 ? 1 : 2 * node->member_count;
	default: return 1;
	}
}

static uint32_t split_of(int64_t key)
{
	return (uint32_t)(key + INT64_C(0x80000000));
}

/* A node of the forest as the flat node that it becomes, a leaf as it is. */
static uint32_t refer(const struct layout *layout, uint32_t reference)
{
	return (reference & GYR_FOREST_LEAF) != 0 ? reference : layout->of_node[reference];
}

/* Where keys are at most SPLIT it goes to LEFT; NaN does where NAN_LEFT. */
static struct flat question(struct layout *layout, const struct gyr_forest_node *node, uint32_t split, bool nan_left, uint32_t left, uint32_t right)
{
	layout->walk->missing |= nan_left;
	return (struct flat){
		.split = split, .slot = node->feature + (nan_left ? layout->forest->features + 1 : 0), .children = {left, right}, .pair = NO_PLACE};
}

/* LEQ and LT as they are; GTE and GT are their opposites. Where the split is NaN, nothing goes to the first child. */
static struct flat order_question(struct layout *layout, const struct gyr_forest_node *node)
{
	bool opposite = node->mode == GYR_FOREST_GTE || node->mode == GYR_FOREST_GT;
	bool below = node->mode == GYR_FOREST_LT || node->mode == GYR_FOREST_GTE;
	uint32_t first = refer(layout, node->first), second = refer(layout, node->second);
	uint32_t split = node->split == GYR_FOREST_NAN ? (opposite ? LAST_KEY : 0) : split_of(node->split) - below;
	if (opposite)
		return question(layout, node, split, !node->missing_first, second, first);
	return question(layout, node, split, node->missing_first, first, second);
}

/* Two questions: SAME where the key is that of SPLIT, else OTHER. AT is the place of the first. */
static void equal_questions(struct layout *layout, const struct gyr_forest_node *node, int64_t split, bool nan_same, uint32_t same, uint32_t other, uint32_t at)
{
	bool none = split == GYR_FOREST_NAN;
	layout->flats[at] = question(layout, node, none ? 0 : split_of(split), nan_same, at + 1, other);
	layout->flats[at + 1] = question(layout, node, none ? 0 : split_of(split) - 1, false, other, same);
}

static void flatten_node(struct layout *layout, uint32_t index)
{
	const struct gyr_forest_node *node = &layout->forest->nodes[index];
	uint32_t at = layout->of_node[index], first = refer(layout, node->first), second = refer(layout, node->second);
	if (node->mode == GYR_FOREST_EQ) {
		equal_questions(layout, node, node->split, node->missing_first, first, second, at);
	} else if (node->mode == GYR_FOREST_NEQ) {
		equal_questions(layout, node, node->split, false, second, first, at);
	} else if (node->mode != GYR_FOREST_MEMBER) {
		layout->flats[at] = order_question(layout, node);
	} else if (node->member_count == 0) {
		layout->flats[at] = question(layout, node, 0, node->missing_first, first, second);
	} else {
		for (uint32_t i = 0; i < node->member_count; i++, at += 2)
			equal_questions(layout, node, layout->forest->members[node->member_begin + i], i == 0 && node->missing_first, first,
					i + 1 < node->member_count ? at + 2 : second, at);
	}
}

/* Flat nodes come in the order of the forest's, so that children are behind their parents. */
static void flatten(struct layout *layout)
{
	for (uint32_t i = 0; i < layout->forest->node_count; i++)
		flatten_node(layout, i);
	for (uint32_t i = layout->flat_count; i > 0; i--) {
		struct flat *flat = &layout->flats[i - 1];
		flat->lowest = UINT32_MAX;
		for (int side = 0; side < 2; side++) {
			bool leaf = (flat->children[side] & GYR_FOREST_LEAF) != 0;
			uint32_t height = leaf ? 0 : layout->flats[flat->children[side]].height;
			uint32_t lowest = leaf ? 0 : layout->flats[flat->children[side]].lowest;
			flat->height = height > flat->height ? height : flat->height;
			flat->lowest = lowest < flat->lowest ? lowest : flat->lowest;
		}
		flat->height++;
		flat->lowest++;
	}
}

/* Whether REFERENCE is a flat node whose children have no place yet. */
static bool is_open(const struct layout *layout, uint32_t reference)
{
	return (reference & GYR_FOREST_LEAF) == 0 && layout->flats[reference].pair == NO_PLACE;
}

static void place(struct layout *layout, struct flat *flat)
{
	flat->pair = layout->end;
	layout->end += 2;
}

/* Places FLAT's children, and theirs beside them; adds those whose children come next to the queue. */
static uint32_t place_pairs(struct layout *layout, struct flat *flat, uint32_t tail)
{
	place(layout, flat);
	for (int side = 0; side < 2; side++) {
		if (!is_open(layout, flat->children[side]))
			continue;
		struct flat *child = &layout->flats[flat->children[side]];
		place(layout, child);
		for (int end = 0; end < 2; end++)
			if (is_open(layout, child->children[end]))
				layout->queue[tail++] = child->children[end];
	}
	return tail;
}

/* Places the tree whose root is REFERENCE. Returns the root's place. */
static uint32_t place_tree(struct layout *layout, uint32_t reference)
{
	uint32_t head = 0, tail = 0;
	layout->end = (layout->end + LINE - 1) / LINE * LINE + 1; /* the root takes the second place of a line, so that pairs are at even ones */
	uint32_t root = layout->end++;
	if ((reference & GYR_FOREST_LEAF) != 0)
		return root;
	tail = place_pairs(layout, &layout->flats[reference], tail);
	for (; head < tail; head++) {
		struct flat *flat = &layout->flats[layout->queue[head]];
		if (flat->pair != NO_PLACE)
			continue; /* two questions have the same answer: it was in the queue twice */
		uint32_t pairs = 1 + is_open(layout, flat->children[0]) + is_open(layout, flat->children[1]);
		uint32_t used = layout->end % LINE;
		if (used != 0 && used + 2 * pairs > LINE)
			layout->end += LINE - used;
		tail = place_pairs(layout, flat, tail);
	}
	return root;
}

/* What a leaf's node holds on top. */
static uint32_t leaf_top(const struct layout *layout, uint32_t leaf)
{
	const struct gyr_forest *forest = layout->forest;
	if (layout->walk->leaves != WALK_VALUES)
		return leaf;
	uint32_t bits;
	float weight = forest->entries_at[leaf] == forest->entries_at[leaf + 1] ? 0 : (float)forest->entries[forest->entries_at[leaf]].weight;
	memcpy(&bits, &weight, sizeof bits);
	return bits;
}

static void write_top(struct layout *layout, uint32_t at, uint32_t top, uint32_t slot, int64_t way)
{
	struct gyr_walk *walk = layout->walk;
	if (walk->wide)
		walk->wides[at] = (struct walk_wide){(uint64_t)top << 32 | slot * sizeof(uint64_t), way};
	else
		walk->narrow[at] = (uint64_t)top << 32 | (uint64_t)(uint16_t)way << 16 | slot * sizeof(uint64_t);
}

/* Writes REFERENCE as the node at AT. */
static void write_node(struct layout *layout, uint32_t at, uint32_t reference)
{
	if ((reference & GYR_FOREST_LEAF) != 0) {
		write_top(layout, at, leaf_top(layout, reference & ~GYR_FOREST_LEAF), layout->forest->features, 0);
		return;
	}
	const struct flat *flat = &layout->flats[reference];
	write_top(layout, at, flat->split, flat->slot, (int64_t)flat->pair - at);
}

/* Finds out whether all ways fit in 16 bits, from every place to which a node is written. */
static void measure(struct layout *layout, uint32_t at, uint32_t reference)
{
	if ((reference & GYR_FOREST_LEAF) != 0)
		return;
	int64_t way = (int64_t)layout->flats[reference].pair - at;
	layout->far |= way < INT16_MIN || way > INT16_MAX;
}

static void for_all(struct layout *layout, const uint32_t *roots, void visit(struct layout *, uint32_t, uint32_t))
{
	for (uint32_t tree = 0; tree < layout->forest->tree_count; tree++)
		visit(layout, roots[tree], refer(layout, layout->forest->roots[tree]));
	for (uint32_t i = 0; i < layout->flat_count; i++)
		for (uint32_t side = 0; side < 2; side++)
			visit(layout, layout->flats[i].pair + side, layout->flats[i].children[side]);
}

struct tree {
	uint32_t height, target, root, index;
	bool ragged;
};

/* The deepest first. */
static int compare_trees(const void *a, const void *b)
{
	const struct tree *left = a, *right = b;
	int order = (left->height < right->height) - (left->height > right->height);
	return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

/* Takes LEAF's target as the one of its tree. False: there is another, or the leaf has several weights. A leaf without one fits any. */
static bool take_target(const struct gyr_forest *forest, uint32_t leaf, bool *found, uint32_t *target)
{
	uint32_t begin = forest->entries_at[leaf], count = forest->entries_at[leaf + 1] - begin;
	if (count == 0)
		return true;
	if (count > 1 || (*found && forest->entries[begin].target != *target))
		return false;
	*found = true;
	*target = forest->entries[begin].target;
	return true;
}

/* Each tree's height and target. Says what leaves hold. */
static void look_at_trees(struct layout *layout, struct tree *trees)
{
	const struct gyr_forest *forest = layout->forest;
	uint32_t node = 0;
	bool values = true, rows = true;
	for (uint32_t tree = 0; tree < forest->tree_count; tree++) {
		uint32_t root = forest->roots[tree];
		bool leaf = (root & GYR_FOREST_LEAF) != 0, found = false;
		trees[tree] = (struct tree){.index = tree};
		if (!leaf) {
			const struct flat *flat = &layout->flats[layout->of_node[root]];
			trees[tree].height = flat->height;
			trees[tree].ragged = flat->lowest + RAGGED_STEPS <= flat->height;
		}
		if (leaf)
			values = values && take_target(forest, root & ~GYR_FOREST_LEAF, &found, &trees[tree].target);
		for (; node < forest->ends[tree]; node++) {
			const uint32_t ends[2] = {forest->nodes[node].first, forest->nodes[node].second};
			for (int side = 0; side < 2; side++)
				if ((ends[side] & GYR_FOREST_LEAF) != 0)
					values = values && take_target(forest, ends[side] & ~GYR_FOREST_LEAF, &found, &trees[tree].target);
		}
	}
	/* Lists of all targets are rows where every list has them in order. */
	for (uint32_t leaf = 0; leaf < forest->leaf_count && rows; leaf++) {
		rows = forest->entries_at[leaf + 1] - forest->entries_at[leaf] == forest->targets;
		for (uint32_t i = 0; i < forest->targets && rows; i++)
			rows = forest->entries[forest->entries_at[leaf] + i].target == i;
	}
	layout->walk->leaves = values ? WALK_VALUES : rows ? WALK_ROWS_OF_WEIGHTS : WALK_ENTRIES;
}

/* Groups trees of like heights. TREES have their roots' places; NOTHING is the place of a leaf that weighs nothing. */
static void make_groups(struct gyr_walk *walk, const struct tree *trees, uint32_t count, uint32_t nothing)
{
	for (uint32_t g = 0; g < walk->group_count; g++) {
		struct walk_group *group = &walk->groups[g];
		*group = (struct walk_group){.steps = trees[g * WALK_LANES].height, .ragged = trees[g * WALK_LANES].ragged};
		for (uint32_t lane = 0; lane < WALK_LANES; lane++) {
			uint32_t at = g * WALK_LANES + lane;
			group->roots[lane] = at < count ? trees[at].root : nothing;
			group->targets[lane] = at < count ? trees[at].target : 0;
			group->ragged |= at < count && trees[at].ragged;
		}
	}
}

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory for the trees");
}

/* What leaves refer to, besides their own nodes. */
static bool copy_weights(const struct gyr_forest *forest, struct gyr_walk *walk)
{
	size_t entries = forest->entries_at[forest->leaf_count];
	if (walk->leaves == WALK_ROWS_OF_WEIGHTS) {
		/* One more row, of zeros, for the leaf that weighs nothing. */
		walk->weights = calloc(entries + forest->targets, sizeof *walk->weights);
		for (size_t i = 0; walk->weights != NULL && i < entries; i++)
			walk->weights[i] = (float)forest->entries[i].weight;
		walk->bytes += (entries + forest->targets) * sizeof *walk->weights;
		return walk->weights != NULL;
	}
	if (walk->leaves == WALK_ENTRIES) {
		/* One more, of no entries. */
		walk->entries_at = malloc(((size_t)forest->leaf_count + 2) * sizeof *walk->entries_at);
		walk->entries = malloc((entries + 1) * sizeof *walk->entries);
		if (walk->entries_at == NULL || walk->entries == NULL)
			return false;
		memcpy(walk->entries_at, forest->entries_at, ((size_t)forest->leaf_count + 1) * sizeof *walk->entries_at);
		walk->entries_at[forest->leaf_count + 1] = walk->entries_at[forest->leaf_count];
		memcpy(walk->entries, forest->entries, entries * sizeof *walk->entries);
		walk->bytes += (forest->leaf_count + 2) * sizeof *walk->entries_at + entries * sizeof *walk->entries;
	}
	return true;
}

/* Room for all nodes, on huge pages where they are many: a row touches a few of them all over. */
static bool take_nodes(struct gyr_walk *walk, size_t count)
{
	size_t bytes = count * (walk->wide ? sizeof(struct walk_wide) : sizeof(walk_narrow));
	size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
	bytes = (bytes + align - 1) / align * align;
	walk->nodes = aligned_alloc(align, bytes);
	if (walk->nodes == NULL)
		return false;
	if (align == HUGE_PAGE)
		(void)madvise(walk->nodes, bytes, MADV_HUGEPAGE);
	memset(walk->nodes, 0, bytes);
	walk->bytes += bytes;
	return true;
}

/* All places, in the order in which trees are walked; TREES are sorted, and get their roots' places. False: there are too many. */
static bool place_trees(struct layout *layout, struct tree *trees, uint32_t *roots)
{
	for (uint32_t i = 0; i < layout->forest->tree_count; i++) {
		if (layout->end > NODES_MAX)
			return false;
		trees[i].root = place_tree(layout, refer(layout, layout->forest->roots[trees[i].index]));
		roots[trees[i].index] = trees[i].root;
	}
	return layout->end < NODES_MAX;
}

/* -E2BIG: this layout does not fit. */
static int lay_out(struct layout *layout, struct tree *trees, uint32_t *roots, struct gyr_error *error)
{
	const struct gyr_forest *forest = layout->forest;
	struct gyr_walk *walk = layout->walk;
	flatten(layout);
	look_at_trees(layout, trees);
	qsort(trees, forest->tree_count, sizeof *trees, compare_trees);
	if (!place_trees(layout, trees, roots))
		return -E2BIG;
	uint32_t nothing = layout->end++;
	for_all(layout, roots, measure);
	walk->slots = forest->features + 1 + (walk->missing ? forest->features : 0);
	walk->wide = layout->far || walk->slots > NARROW_SLOTS;
	walk->group_count = (forest->tree_count + WALK_LANES - 1) / WALK_LANES;
	walk->groups = calloc((size_t)walk->group_count + 1, sizeof *walk->groups); /* who walks looks ahead, also behind the last */
	if (walk->groups == NULL || !take_nodes(walk, layout->end) || !copy_weights(forest, walk))
		return no_memory(error);
	walk->bytes += ((size_t)walk->group_count + 1) * sizeof *walk->groups;
	for_all(layout, roots, write_node);
	write_top(layout, nothing, walk->leaves == WALK_VALUES ? 0 : forest->leaf_count, forest->features, 0);
	make_groups(walk, trees, forest->tree_count, nothing);
	return 0;
}

int gyr_walk_create(const struct gyr_forest *forest, struct gyr_walk **walk, struct gyr_error *error)
{
	struct layout layout = {.forest = forest};
	uint64_t flats = 0;
	*walk = NULL;
	for (uint32_t i = 0; i < forest->node_count; i++)
		flats += flats_of(&forest->nodes[i]);
	if (forest->dtype != GYR_DTYPE_F32 || forest->sum == GYR_FOREST_MIN || forest->sum == GYR_FOREST_MAX || flats > NODES_MAX / 4 ||
	    forest->features > INT32_MAX / (2 * sizeof(uint64_t)))
		return 0;
	layout.walk = calloc(1, sizeof *layout.walk);
	layout.flats = calloc(flats + 1, sizeof *layout.flats);
	layout.of_node = malloc((forest->node_count + 1) * sizeof *layout.of_node);
	layout.queue = malloc((2 * flats + 1) * sizeof *layout.queue);
	struct tree *trees = malloc(forest->tree_count * sizeof *trees);
	uint32_t *roots = malloc(forest->tree_count * sizeof *roots);
	int status = -ENOMEM;
	if (layout.walk == NULL || layout.flats == NULL || layout.of_node == NULL || layout.queue == NULL || trees == NULL || roots == NULL) {
		status = no_memory(error);
	} else {
		for (uint32_t i = 0; i < forest->node_count; i++) {
			layout.of_node[i] = layout.flat_count;
			layout.flat_count += flats_of(&forest->nodes[i]);
		}
		layout.walk->features = forest->features;
		layout.walk->targets = forest->targets;
		layout.walk->bytes = sizeof *layout.walk;
		status = lay_out(&layout, trees, roots, error);
	}
	free(layout.flats);
	free(layout.of_node);
	free(layout.queue);
	free(trees);
	free(roots);
	if (status == 0)
		*walk = layout.walk;
	else
		gyr_walk_destroy(layout.walk);
	return status == -E2BIG ? 0 : status;
}

void gyr_walk_destroy(void *walk)
{
	struct gyr_walk *dead = walk;
	if (dead == NULL)
		return;
	free(dead->groups);
	free(dead->nodes);
	free(dead->weights);
	free(dead->entries_at);
	free(dead->entries);
	free(dead);
}

size_t gyr_walk_bytes(const struct gyr_walk *walk)
{
	return walk->bytes;
}
