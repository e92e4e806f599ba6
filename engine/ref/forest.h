/*
 * Ensembles of decision trees, and what they answer: the twin of engine/kernel/walk.h, and the parts that both share.
 *
 * Numbers are compared as keys, whole numbers that are ordered as the numbers are, so that denormals count whatever the processor's mode makes of them. A key
 * of a float and one of a double are not comparable; a forest's splits are all of one kind.
 */
#ifndef GYR_ENGINE_REF_FOREST_H
#define GYR_ENGINE_REF_FOREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"
#include "engine/model/ml.h"

#define GYR_FOREST_NAN INT64_MAX /* the key of every NaN */
#define GYR_FOREST_LEAF 0x80000000u

/* When a node goes to its first child; numbered as TreeEnsemble's nodes_modes. NaN goes there with NEQ, and where missing_first is set. */
enum gyr_forest_mode { GYR_FOREST_LEQ, GYR_FOREST_LT, GYR_FOREST_GTE, GYR_FOREST_GT, GYR_FOREST_EQ, GYR_FOREST_NEQ, GYR_FOREST_MEMBER };

/* Numbered as TreeEnsemble's aggregate_function. */
enum gyr_forest_sum { GYR_FOREST_AVERAGE, GYR_FOREST_SUM, GYR_FOREST_MIN, GYR_FOREST_MAX };

struct gyr_forest_node {
	int64_t split;                       /* key; NaN is larger, smaller and equal to none */
	uint32_t feature;                    /* below forest.features */
	uint32_t first, second;              /* children: a node with a larger index, or GYR_FOREST_LEAF and a leaf */
	uint32_t member_begin, member_count; /* of MEMBER: its set, among forest.members, in order */
	enum gyr_forest_mode mode;
	bool missing_first;
};

struct gyr_forest_entry {
	uint32_t target; /* below forest.targets */
	double weight;
};

struct gyr_forest {
	enum gyr_dtype dtype; /* the numbers' whose keys the splits are: F32 or F64 */
	uint32_t tree_count, node_count, leaf_count;
	uint32_t features, targets;
	enum gyr_forest_sum sum;
	enum gyr_ml_transform transform;
	struct gyr_forest_node *nodes;
	uint32_t *roots;      /* of each tree: a node, or GYR_FOREST_LEAF and a leaf */
	uint32_t *ends;       /* of each tree: behind its last node; its first is the root, behind the last of the tree before */
	uint32_t *entries_at; /* leaf_count + 1: where each leaf's entries begin */
	struct gyr_forest_entry *entries;
	int64_t *members;
	uint32_t base_count; /* 0, or targets */
	double *bases;
	/* A classifier's. */
	uint32_t label_count;
	int64_t *labels;
	bool pair;     /* two labels, and one target: the score of the second */
	bool beside;   /* a pair whose first score is 0, not the opposite of the second */
	bool positive; /* no weight is below 0 */
};

int64_t gyr_forest_key32(uint32_t bits); /* of the float with these bits */
int64_t gyr_forest_key64(uint64_t bits); /* of the double */

/* The key of element INDEX of X, of any alignment, for a forest of DTYPE. An integer counts as the float nearest to it. X_DTYPE is F32, F64, I32 or I64. */
int64_t gyr_forest_key(enum gyr_dtype dtype, enum gyr_dtype x_dtype, const void *x, size_t index);

/*
 * From the sums over all trees of one row (targets of them) to the answer: averages, base values, the label (into LABEL, where there are labels), the scores
 * and their transform. SCORES has room for the larger of targets and label_count. Any thread.
 */
void gyr_forest_finish(const struct gyr_forest *forest, const double *sums, int64_t *label, double *scores);

/* Bytes of scratch that gyr_ref_forest_sums takes, of 8-byte alignment. */
size_t gyr_ref_forest_scratch(const struct gyr_forest *forest);

/* Sums the entries of the leaves that row ROW of X ([.., forest.features]) comes to, in the trees' order and in double. Any thread. */
void gyr_ref_forest_sums(const struct gyr_forest *forest, enum gyr_dtype x_dtype, const void *x, size_t row, void *scratch, double *sums);

#endif
