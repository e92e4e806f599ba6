/*
 * Ensembles of trees: see forest.h.
 */
#include "engine/ref/forest.h"

#include <math.h>
#include <string.h>

#include "engine/ref/scores.h"
#include "engine/ref/unaligned.h"

int64_t gyr_forest_key32(uint32_t bits)
{
	uint32_t size = bits & 0x7fffffffu;
	if (size > 0x7f800000u)
		return GYR_FOREST_NAN;
	return bits >> 31 != 0 ? -(int64_t)size : (int64_t)size; /* both zeros are 0 */
}

int64_t gyr_forest_key64(uint64_t bits)
{
	uint64_t size = bits & INT64_MAX;
	if (size > UINT64_C(0x7ff0000000000000))
		return GYR_FOREST_NAN;
	return bits >> 63 != 0 ? -(int64_t)size : (int64_t)size;
}

static int64_t key_of_float(enum gyr_dtype dtype, float value)
{
	uint32_t bits;
	uint64_t wide;
	double number = (double)value;
	memcpy(&bits, &value, sizeof bits);
	memcpy(&wide, &number, sizeof wide);
	return dtype == GYR_DTYPE_F64 ? gyr_forest_key64(wide) : gyr_forest_key32(bits);
}

int64_t gyr_forest_key(enum gyr_dtype dtype, enum gyr_dtype x_dtype, const void *x, size_t index)
{
	switch (x_dtype) {
	case GYR_DTYPE_F32: return gyr_forest_key32(((const gyr_u32_u *)x)[index]);
	case GYR_DTYPE_F64: return gyr_forest_key64(((const gyr_u64_u *)x)[index]);
	case GYR_DTYPE_I32: return key_of_float(dtype, (float)((const gyr_i32_u *)x)[index]);
	default: return key_of_float(dtype, (float)((const gyr_i64_u *)x)[index]);
	}
}

static bool is_member(const struct gyr_forest *forest, const struct gyr_forest_node *node, int64_t key)
{
	for (uint32_t i = 0; i < node->member_count; i++)
		if (forest->members[node->member_begin + i] == key)
			return true;
	return false;
}

static bool goes_first(const struct gyr_forest *forest, const struct gyr_forest_node *node, int64_t key)
{
	if (key == GYR_FOREST_NAN)
		return node->missing_first || node->mode == GYR_FOREST_NEQ;
	if (node->split == GYR_FOREST_NAN && node->mode != GYR_FOREST_MEMBER)
		return node->mode == GYR_FOREST_NEQ;
	switch (node->mode) {
	case GYR_FOREST_LEQ: return key <= node->split;
	case GYR_FOREST_LT: return key < node->split;
	case GYR_FOREST_GTE: return key >= node->split;
	case GYR_FOREST_GT: return key > node->split;
	case GYR_FOREST_EQ: return key == node->split;
	case GYR_FOREST_NEQ: return key != node->split;
	case GYR_FOREST_MEMBER: return is_member(forest, node, key);
	}
	return false;
}

size_t gyr_ref_forest_scratch(const struct gyr_forest *forest)
{
	return forest->features * sizeof(int64_t);
}

static double combine(enum gyr_forest_sum sum, double so_far, double weight)
{
	switch (sum) {
	case GYR_FOREST_MIN: return weight < so_far ? weight : so_far;
	case GYR_FOREST_MAX: return weight > so_far ? weight : so_far;
	default: return so_far + weight;
	}
}

void gyr_ref_forest_sums(const struct gyr_forest *forest, enum gyr_dtype x_dtype, const void *x, size_t row, void *scratch, double *sums)
{
	int64_t *keys = scratch;
	double start = forest->sum == GYR_FOREST_MIN ? INFINITY : forest->sum == GYR_FOREST_MAX ? -INFINITY : 0;
	for (size_t i = 0; i < forest->features; i++)
		keys[i] = gyr_forest_key(forest->dtype, x_dtype, x, row * forest->features + i);
	for (uint32_t i = 0; i < forest->targets; i++)
		sums[i] = start;
	for (uint32_t tree = 0; tree < forest->tree_count; tree++) {
		uint32_t at = forest->roots[tree];
		while ((at & GYR_FOREST_LEAF) == 0) {
			const struct gyr_forest_node *node = &forest->nodes[at];
			at = goes_first(forest, node, keys[node->feature]) ? node->first : node->second;
		}
		at &= ~GYR_FOREST_LEAF;
		for (uint32_t i = forest->entries_at[at]; i < forest->entries_at[at + 1]; i++) {
			const struct gyr_forest_entry *entry = &forest->entries[i];
			sums[entry->target] = combine(forest->sum, sums[entry->target], entry->weight);
		}
	}
}

/*
 * Two labels and the score of the second. Source: what ONNX Runtime does (the schema leaves it open). Where no weight is negative the score is a probability,
 * else a margin, whose sign decides. The first score is what is left, and a probability has no transform; or, where the weights are said to be the second
 * class's, it is 0.
 */
static void finish_pair(const struct gyr_forest *forest, double score, int64_t *label, double *scores)
{
	float second[2] = {forest->beside ? 0 : -(float)score, (float)score};
	*label = forest->labels[second[1] > (forest->positive ? 0.5f : 0)];
	if (forest->positive && !forest->beside)
		second[0] = 1.0f - second[1];
	else
		gyr_ref_scores(forest->transform, second, 2);
	scores[0] = (double)second[0];
	scores[1] = (double)second[1];
}

/* Transforms doubles as the floats that they are rounded to, in their own memory. */
static void transform(enum gyr_ml_transform transform, double *scores, size_t count)
{
	float *narrow = (float *)(void *)scores;
	for (size_t i = 0; i < count; i++)
		narrow[i] = (float)scores[i];
	gyr_ref_scores(transform, narrow, count);
	for (size_t i = count; i > 0; i--)
		scores[i - 1] = (double)narrow[i - 1];
}

void gyr_forest_finish(const struct gyr_forest *forest, const double *sums, int64_t *label, double *scores)
{
	for (uint32_t i = 0; i < forest->targets; i++) {
		double sum = forest->sum == GYR_FOREST_AVERAGE ? sums[i] / forest->tree_count : sums[i];
		scores[i] = sum + (forest->base_count != 0 ? forest->bases[i] : 0);
	}
	if (forest->pair) {
		finish_pair(forest, scores[0], label, scores);
		return;
	}
	if (forest->label_count != 0) {
		uint32_t best = 0;
		for (uint32_t i = 1; i < forest->targets; i++)
			best = (float)scores[i] > (float)scores[best] ? i : best;
		*label = forest->labels[best];
	}
	if (forest->transform != GYR_ML_NONE)
		transform(forest->transform, scores, forest->targets);
}
