/*
 * Forests: what both kinds of attributes share, and the checks that need all trees.
 */
#include "engine/kernel/forest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/forest_internal.h"

int forest_refuse(struct reading *reading, const char *format, ...)
{
	char text[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return gyr_error_set(reading->error, -ENOTSUP, "%s", text);
}

static int no_memory(struct reading *reading)
{
	return gyr_error_set(reading->error, -ENOMEM, "no memory for the trees");
}

void *forest_array(struct reading *reading, size_t count, size_t bytes)
{
	void *items = calloc(count + 1, bytes);
	if (items == NULL)
		(void)no_memory(reading);
	return items;
}

const int64_t *forest_integers(struct reading *reading, const char *name, uint32_t count)
{
	static const int64_t none;
	uint32_t found;
	const int64_t *items = gyr_ml_integers(reading->node, name, &found);
	if (found != count) {
		(void)forest_refuse(reading, "attribute '%s' has %" PRIu32 " numbers (%" PRIu32 ")", name, found, count);
		return NULL;
	}
	return items != NULL ? items : &none;
}

int forest_numbers(struct reading *reading, const char *name, const char *tensor_name, struct numbers *numbers)
{
	const struct gyr_attribute *tensor = gyr_node_attribute(reading->node, tensor_name);
	*numbers = (struct numbers){.dtype = GYR_DTYPE_F32};
	if (name != NULL)
		numbers->items = gyr_ml_numbers(reading->node, name, &numbers->count);
	if (tensor == NULL)
		return 0;
	enum gyr_dtype wanted = reading->x_dtype == GYR_DTYPE_F64 ? GYR_DTYPE_F64 : GYR_DTYPE_F32;
	if (numbers->count != 0)
		return forest_refuse(reading, "both of '%s' and '%s'", name, tensor_name);
	if (tensor->tensor.shape.rank != 1 || tensor->tensor.shape.dtype != wanted || tensor->tensor.shape.dims[0] > INT32_MAX)
		return forest_refuse(reading, "attribute '%s' is no list of %s", tensor_name, gyr_dtype_name(wanted));
	*numbers = (struct numbers){wanted, (uint32_t)tensor->tensor.shape.dims[0], tensor->tensor.data};
	return 0;
}

double forest_number(const struct numbers *numbers, uint32_t i)
{
	return numbers->dtype == GYR_DTYPE_F64 ? ((const double *)numbers->items)[i] : (double)((const float *)numbers->items)[i];
}

int64_t forest_key(const struct reading *reading, const struct numbers *numbers, uint32_t i)
{
	uint32_t bits;
	uint64_t wide;
	if (numbers->dtype == GYR_DTYPE_F64) {
		memcpy(&wide, (const double *)numbers->items + i, sizeof wide);
		return gyr_forest_key64(wide);
	}
	memcpy(&bits, (const float *)numbers->items + i, sizeof bits);
	if (reading->forest->dtype == GYR_DTYPE_F32)
		return gyr_forest_key32(bits);
	/* A denormal float, which the processor may be told to take for zero, is a normal double. */
	bool denormal = (bits & 0x7f800000u) == 0;
	double size = denormal ? (double)(bits & 0x7fffffu) * 0x1p-149 : (double)((const float *)numbers->items)[i];
	memcpy(&wide, &size, sizeof wide);
	return gyr_forest_key64(denormal ? wide | (uint64_t)(bits >> 31) << 63 : wide);
}

void gyr_forest_forget_trees(struct gyr_forest *forest)
{
	free(forest->nodes);
	free(forest->roots);
	free(forest->ends);
	free(forest->entries_at);
	free(forest->entries);
	free(forest->members);
	forest->nodes = NULL;
	forest->roots = forest->ends = forest->entries_at = NULL;
	forest->entries = NULL;
	forest->members = NULL;
}

void gyr_forest_destroy(void *forest)
{
	struct gyr_forest *dead = forest;
	if (dead == NULL)
		return;
	gyr_forest_forget_trees(dead);
	free(dead->bases);
	free(dead->labels);
	free(dead);
}

size_t gyr_forest_bytes(const struct gyr_forest *forest)
{
	size_t bytes = sizeof *forest + forest->base_count * sizeof *forest->bases + forest->label_count * sizeof *forest->labels;
	if (forest->nodes == NULL)
		return bytes;
	return bytes + forest->node_count * sizeof *forest->nodes + forest->tree_count * 2 * sizeof *forest->roots +
	       (forest->leaf_count + 1) * sizeof *forest->entries_at + forest->entries_at[forest->leaf_count] * sizeof *forest->entries;
}

/* How many targets, how they are summed and transformed. The numbers that inference took are in range. */
static int read_ends(struct reading *reading)
{
	static const char *const sums[] = {[GYR_FOREST_AVERAGE] = "AVERAGE", [GYR_FOREST_SUM] = "SUM", [GYR_FOREST_MIN] = "MIN", [GYR_FOREST_MAX] = "MAX"};
	struct gyr_forest *forest = reading->forest;
	const struct gyr_node *node = reading->node;
	bool by_number = node->op == GYR_OP_TREE_ENSEMBLE;
	const char *sum = by_number ? "SUM" : gyr_node_string(node, "aggregate_function", "SUM");
	uint32_t labels;
	const int64_t *label = gyr_ml_integers(node, "classlabels_int64s", &labels);
	forest->targets = (uint32_t)gyr_node_integer(node, "n_targets", 1);
	forest->sum = by_number ? (enum gyr_forest_sum)gyr_node_integer(node, "aggregate_function", GYR_FOREST_SUM) : GYR_FOREST_SUM;
	for (uint32_t i = 0; !by_number && i < sizeof sums / sizeof sums[0]; i++)
		if (strcmp(sums[i], sum) == 0)
			forest->sum = (enum gyr_forest_sum)i;
	if (by_number)
		forest->transform = (enum gyr_ml_transform)gyr_node_integer(node, "post_transform", GYR_ML_NONE);
	else if (!gyr_ml_transform(gyr_node_string(node, "post_transform", "NONE"), &forest->transform))
		return forest_refuse(reading, "post_transform is none of ONNX's");
	if (node->op != GYR_OP_TREE_ENSEMBLE_CLASSIFIER)
		return 0;
	forest->targets = forest->label_count = labels;
	forest->labels = forest_array(reading, labels, sizeof *forest->labels);
	if (forest->labels == NULL)
		return -ENOMEM;
	memcpy(forest->labels, label, labels * sizeof *label);
	return 0;
}

static int read_bases(struct reading *reading)
{
	struct gyr_forest *forest = reading->forest;
	struct numbers bases;
	int status = forest_numbers(reading, "base_values", "base_values_as_tensor", &bases);
	if (status != 0 || bases.count == 0)
		return status;
	if (forest->beside)
		return forest_refuse(reading, "a base value, and scores of the second of two classes");
	if (bases.count != forest->targets)
		return forest_refuse(reading, "%" PRIu32 " base values for %" PRIu32 " scores", bases.count, forest->targets);
	forest->bases = forest_array(reading, bases.count, sizeof *forest->bases);
	if (forest->bases == NULL)
		return -ENOMEM;
	forest->base_count = bases.count;
	for (uint32_t i = 0; i < bases.count; i++)
		forest->bases[i] = forest_number(&bases, i);
	return 0;
}

/*
 * Two classes with the score of one are a pair. Runtimes take other forms differently: a score for both (ONNX Runtime's labels are not those of the largest
 * score), and transforms and base values that it passes over.
 */
static int check_pair(struct reading *reading)
{
	struct gyr_forest *forest = reading->forest;
	uint32_t entries = forest->entries_at[forest->leaf_count];
	if (forest->label_count != 2)
		return 0;
	forest->pair = forest->positive = true;
	forest->beside = forest->entries[0].target == 1;
	forest->targets = 1;
	for (uint32_t i = 0; i < entries; i++) {
		if (forest->entries[i].target != forest->beside)
			return forest_refuse(reading, "scores of both of two classes");
		forest->entries[i].target = 0;
		forest->positive = forest->positive && forest->entries[i].weight >= 0;
	}
	if (!forest->beside && forest->transform != GYR_ML_NONE && forest->transform != GYR_ML_LOGISTIC)
		return forest_refuse(reading, "a post_transform over classes, and one score for two classes");
	return 0;
}

/* Marks in ALWAYS the targets that every leaf of TREE has, and counts in *FULL whether every leaf has all. COUNTS is zeroed, and is again afterwards. */
static void targets_of_tree(const struct gyr_forest *forest, uint32_t begin, uint32_t end, const uint32_t *leaves, uint32_t *counts, bool *always)
{
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = begin; i < end; i++) {
			for (uint32_t e = forest->entries_at[leaves[i]]; e < forest->entries_at[leaves[i] + 1]; e++) {
				uint32_t target = forest->entries[e].target;
				if (pass == 0)
					always[target] |= ++counts[target] == end - begin;
				else
					counts[target] = 0;
			}
		}
	}
}

/* Lists the leaves of all trees, those of each together: tree T's from BEGINS[T] on. A leaf that several nodes share is there as often. */
static void list_leaves(const struct gyr_forest *forest, uint32_t *begins, uint32_t *leaves)
{
	uint32_t count = 0, node = 0;
	for (uint32_t tree = 0; tree < forest->tree_count; tree++) {
		begins[tree] = count;
		if ((forest->roots[tree] & GYR_FOREST_LEAF) != 0)
			leaves[count++] = forest->roots[tree] & ~GYR_FOREST_LEAF;
		for (; node < forest->ends[tree]; node++) {
			if ((forest->nodes[node].first & GYR_FOREST_LEAF) != 0)
				leaves[count++] = forest->nodes[node].first & ~GYR_FOREST_LEAF;
			if ((forest->nodes[node].second & GYR_FOREST_LEAF) != 0)
				leaves[count++] = forest->nodes[node].second & ~GYR_FOREST_LEAF;
		}
	}
	begins[forest->tree_count] = count;
}

/*
 * That no row can come to a target without a weight, where runtimes differ in what that means: it is 0 to all only in a sum without a base value and without
 * labels.
 */
static int check_targets(struct reading *reading)
{
	struct gyr_forest *forest = reading->forest;
	bool extreme = forest->sum == GYR_FOREST_MIN || forest->sum == GYR_FOREST_MAX;
	if (!extreme && (forest->base_count == 0 || forest->targets == 1) && forest->label_count == 0)
		return 0;
	if (forest->label_count > 2 && forest->base_count != 0)
		return 0;
	uint32_t *begins = forest_array(reading, forest->tree_count + 1, sizeof *begins);
	uint32_t *leaves = forest_array(reading, (size_t)forest->node_count + forest->tree_count + 1, sizeof *leaves);
	uint32_t *counts = forest_array(reading, forest->targets, sizeof *counts);
	bool *always = forest_array(reading, forest->targets, sizeof *always);
	int status = begins == NULL || leaves == NULL || counts == NULL || always == NULL ? -ENOMEM : 0;
	if (status == 0) {
		list_leaves(forest, begins, leaves);
		for (uint32_t tree = 0; tree < forest->tree_count; tree++)
			targets_of_tree(forest, begins[tree], begins[tree + 1], leaves, counts, always);
	}
	for (uint32_t i = 0; status == 0 && i < forest->targets; i++)
		if (!always[i])
			status = forest_refuse(reading, "target or class %" PRIu32 " has no weight in some leaves, and no tree gives it one always", i);
	/* With one target a leaf without a weight counts as 0, also to MIN and MAX. */
	for (uint32_t i = 0; status == 0 && extreme && i < forest->leaf_count; i++)
		if (forest->entries_at[i] == forest->entries_at[i + 1])
			status = forest_refuse(reading, "a leaf without a weight, and MIN or MAX over the trees");
	free(begins);
	free(leaves);
	free(counts);
	free(always);
	return status;
}

int gyr_forest_read(const struct gyr_node *node, enum gyr_dtype x_dtype, size_t features, struct gyr_forest **forest, struct gyr_error *error)
{
	struct reading reading = {.node = node, .x_dtype = x_dtype, .features = features, .forest = calloc(1, sizeof **forest), .error = error};
	if (reading.forest == NULL)
		return no_memory(&reading);
	reading.forest->dtype = x_dtype == GYR_DTYPE_F64 ? GYR_DTYPE_F64 : GYR_DTYPE_F32;
	reading.forest->features = (uint32_t)features;
	int status = features >= INT32_MAX ? forest_refuse(&reading, "%zu features", features) : read_ends(&reading);
	if (status == 0)
		status = node->op == GYR_OP_TREE_ENSEMBLE ? forest_read_indices(&reading) : forest_read_ids(&reading);
	if (status == 0)
		status = check_pair(&reading);
	if (status == 0)
		status = read_bases(&reading);
	if (status == 0)
		status = check_targets(&reading);
	if (status != 0) {
		gyr_forest_destroy(reading.forest);
		return status;
	}
	*forest = reading.forest;
	return 0;
}
