/*
 * The layout of walk.h.
 *
 * Every inner node compares one feature's key with a split: it goes to its first child where the key is not larger. The two children are neighbours, so that a
 * step adds to a node's place the way to its children, and one more where the key is larger: no branch. A leaf compares with the key 0, which is never larger,
 * and its way is 0: it stays, so that several trees or rows walk in step until the deepest has arrived.
 *
 * Keys are unsigned: a float's in [2^23, 2^32 - 2^23], in the upper half of 64 bits. Each row has a key for each feature, where NaN is 2^32 - 1 and so goes
 * second; behind them the 0 for leaves; behind that, if some node sends NaN to its first child, the features once more with 0 for NaN.
 */
#ifndef GYR_ENGINE_KERNEL_WALK_INTERNAL_H
#define GYR_ENGINE_KERNEL_WALK_INTERNAL_H

#include "engine/kernel/walk.h"

#define WALK_LANES 8u /* trees, or rows, that walk in step */

/*
 * A node in 8 bytes: from the top, 32 bits of split (of a leaf: what it holds), 16 of the way to its children in nodes, signed, 16 of its key's place in
 * bytes. As the split is on top, the whole number is smaller than a key exactly where the split is.
 */
typedef uint64_t walk_narrow;

/* The same where the ways or places are longer. */
struct walk_wide {
	uint64_t top; /* the split, and the key's place in bytes */
	int64_t way;
};

/* What a leaf holds: the weight itself; the number of a row of weights, one for each target; or the number of a list of entries. */
enum walk_leaves { WALK_VALUES, WALK_ROWS_OF_WEIGHTS, WALK_ENTRIES };

/* WALK_LANES trees of about the same depth. The last is filled up with trees that are one leaf of weight 0. */
struct walk_group {
	uint32_t steps; /* until all have arrived */
	bool ragged;    /* it is worth to look whether all have arrived before */
	uint32_t roots[WALK_LANES];
	uint32_t targets[WALK_LANES]; /* with values: of each tree */
};

struct gyr_walk {
	uint32_t features, targets, slots; /* slots: keys of a row */
	bool wide, missing;                /* missing: the features are there once more */
	enum walk_leaves leaves;
	uint32_t group_count;
	size_t node_count, bytes;
	struct walk_group *groups;
	union {
		walk_narrow *narrow;
		struct walk_wide *wides;
		void *nodes;
	};
	float *weights; /* rows of weights */
	uint32_t *entries_at;
	struct gyr_forest_entry *entries;
};

#endif
