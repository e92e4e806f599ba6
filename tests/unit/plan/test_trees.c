/*
 * Tree ensembles: the walk against its twin over random forests, and what is refused. The file is long because ensembles are written in two ways, by ids and by
 * indices: each has its own maker of forests and its own list of refusals, around one comparison.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

#define NODES_MAX 4096u
#define ROUNDS 150
#define ROWS 64u
#define TOO_DEEP 40000u

/* The attributes of an ensemble, in both forms. Weights are multiples of 1/64, so that sums are exact in any order. */
struct ensemble {
	uint32_t count, entries, roots;
	int64_t trees[NODES_MAX], ids[NODES_MAX], features[NODES_MAX], firsts[NODES_MAX], seconds[NODES_MAX], missing[NODES_MAX];
	int64_t first_leaf[NODES_MAX], second_leaf[NODES_MAX], root[NODES_MAX];
	const char *modes[NODES_MAX];
	uint8_t mode_numbers[NODES_MAX];
	float values[NODES_MAX], members[4 * NODES_MAX];
	uint32_t member_count;
	int64_t entry_trees[NODES_MAX], entry_nodes[NODES_MAX], targets[NODES_MAX];
	float weights[NODES_MAX];
};

static uint32_t below(uint32_t most, uint64_t *seed)
{
	return (uint32_t)(fabsf(net_random(seed)) * (float)most) % most;
}

static float weight(bool positive, uint64_t *seed)
{
	return (float)((int)below(129, seed) - (positive ? 0 : 64)) / 64;
}

/* Splits and features come from here, so that they are often equal. */
static float value(uint64_t *seed)
{
	static const float values[] = {0, -0.0f, 1, -1, 2, 1e-40f, -1e-40f, 1.4e-45f, INFINITY, -INFINITY, 3.4e38f, 0.5f, 17, 1.1754944e-38f};
	uint32_t which = below(20, seed);
	return which < sizeof values / sizeof values[0] ? values[which] : net_random(seed);
}

struct shape {
	uint32_t trees, features, targets, mode; /* mode: of all nodes, or 6 for any but MEMBER */
	uint32_t deepest;                        /* the likelihood of leaves grows with depth, up to this */
	bool positive, every_target, missing;
};

/* Adds a leaf's weights. */
static void add_entries(struct ensemble *e, const struct shape *shape, uint32_t tree, uint32_t leaf, uint64_t *seed)
{
	for (uint32_t t = 0; t < (shape->every_target ? shape->targets : 1); t++, e->entries++) {
		e->entry_trees[e->entries] = e->trees[leaf];
		e->entry_nodes[e->entries] = e->ids[leaf];
		e->targets[e->entries] = shape->every_target ? t : tree % shape->targets;
		e->weights[e->entries] = weight(shape->positive, seed);
	}
}

/* A random ensemble, trees by ids. */
static void make_ids(struct ensemble *e, const struct shape *shape, uint64_t *seed)
{
	static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"};
	memset(e, 0, sizeof *e);
	for (uint32_t tree = 0; tree < shape->trees; tree++) {
		uint32_t begin = e->count, depths[NODES_MAX] = {0}, end = begin + 1;
		for (uint32_t i = begin; i < end; i++, e->count++) {
			bool room = end + 2 < begin + (NODES_MAX - 8) / (shape->trees * shape->targets);
			e->trees[i] = 7 * (int64_t)tree - 3;
			e->ids[i] = 5 * (int64_t)(i - begin);
			e->modes[i] = "LEAF";
			if (!room || depths[i] >= shape->deepest || below(10, seed) == 0) {
				add_entries(e, shape, tree, i, seed);
				continue;
			}
			e->modes[i] = names[shape->mode < 6 ? shape->mode : below(6, seed)];
			e->features[i] = below(shape->features, seed);
			e->values[i] = below(40, seed) == 0 ? NAN : value(seed);
			e->missing[i] = shape->missing && below(2, seed);
			e->firsts[i] = 5 * (int64_t)(end - begin);
			e->seconds[i] = 5 * (int64_t)(end + 1 - begin);
			depths[end] = depths[end + 1] = depths[i] + 1;
			end += 2;
		}
	}
}

#define INTS(key, from, length)                                                                                                                                \
	(struct gyr_attribute)                                                                                                                                 \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_INTS, .integers = { length, from }                                                                          \
	}
#define FLOATS(key, from, length)                                                                                                                              \
	(struct gyr_attribute)                                                                                                                                 \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_FLOATS, .numbers = { length, from }                                                                         \
	}
#define STRINGS(key, from, length)                                                                                                                             \
	(struct gyr_attribute)                                                                                                                                 \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_STRINGS, .strings = { length, from }                                                                        \
	}
#define INT(key, number)                                                                                                                                       \
	(struct gyr_attribute)                                                                                                                                 \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_INT, .integer = number                                                                                      \
	}
#define STRING(key, text)                                                                                                                                      \
	(struct gyr_attribute)                                                                                                                                 \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_STRING, .string = text                                                                                      \
	}
#define TENSOR(key, dtype_, from, length)                                                                                                                      \
	(struct gyr_attribute)                                                                                                                                 \
	{                                                                                                                                                      \
		.name = key, .type = GYR_ATTRIBUTE_TENSOR, .tensor = { {.dtype = dtype_, .rank = 1, .dims = {length}}, from }                                  \
	}

/* The attributes of an ensemble by ids; returns how many. */
static uint32_t list_ids(const struct ensemble *e, bool classes, struct gyr_attribute *to)
{
	uint32_t n = 0;
	to[n++] = INTS("nodes_treeids", e->trees, e->count);
	to[n++] = INTS("nodes_nodeids", e->ids, e->count);
	to[n++] = INTS("nodes_featureids", e->features, e->count);
	to[n++] = INTS("nodes_truenodeids", e->firsts, e->count);
	to[n++] = INTS("nodes_falsenodeids", e->seconds, e->count);
	to[n++] = INTS("nodes_missing_value_tracks_true", e->missing, e->count);
	to[n++] = STRINGS("nodes_modes", e->modes, e->count);
	to[n++] = FLOATS("nodes_values", e->values, e->count);
	to[n++] = INTS(classes ? "class_treeids" : "target_treeids", e->entry_trees, e->entries);
	to[n++] = INTS(classes ? "class_nodeids" : "target_nodeids", e->entry_nodes, e->entries);
	to[n++] = INTS(classes ? "class_ids" : "target_ids", e->targets, e->entries);
	to[n++] = FLOATS(classes ? "class_weights" : "target_weights", e->weights, e->entries);
	return n;
}

static struct gyr_graph *graph_of(enum gyr_op op, uint32_t opset, const char *input, const struct gyr_attribute *attributes, uint32_t count,
				  struct gyr_error *error)
{
	struct gyr_graph *graph = gyr_graph_create("trees", 17);
	struct gyr_shape shape = net_shape(input);
	bool classes = op == GYR_OP_TREE_ENSEMBLE_CLASSIFIER;
	uint32_t x, y[2];
	graph->opset_ml = opset;
	assert_int_equal(gyr_graph_add_value(graph, "x", &shape, NULL, false, &x, NULL), 0);
	assert_int_equal(gyr_graph_add_value(graph, "y", NULL, NULL, false, &y[0], NULL), 0);
	if (classes)
		assert_int_equal(gyr_graph_add_value(graph, "z", NULL, NULL, false, &y[1], NULL), 0);
	assert_int_equal(gyr_graph_add_input(graph, x, NULL), 0);
	for (int i = 0; i <= (int)classes; i++)
		assert_int_equal(gyr_graph_add_output(graph, y[i], NULL), 0);
	const struct gyr_node node = {.op = op,
				      .name = "n",
				      .input_count = 1,
				      .inputs = &x,
				      .output_count = classes ? 2 : 1,
				      .outputs = y,
				      .attribute_count = count,
				      .attributes = attributes};
	int status = gyr_graph_add_node(graph, &node, error);
	if (status == 0)
		status = gyr_graph_finish(graph, error);
	if (status == 0)
		return graph;
	gyr_graph_destroy(graph);
	return NULL;
}

/* Runs BATCH rows of X; the outputs' bytes follow each other in ANSWERS. */
static size_t run(const struct gyr_plan *plan, uint32_t batch, const char *x, char *answers)
{
	void *scratch = aligned_alloc(64, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
	void *outputs[2];
	size_t bytes = 0, one;
	for (uint32_t i = 0; i < gyr_plan_output_count(plan); i++) {
		outputs[i] = answers + bytes + 1; /* of no alignment */
		assert_true(gyr_shape_bytes(gyr_plan_output_shape(plan, i), gyr_plan_bucket(plan, batch), &one));
		bytes += one + 1;
	}
	memset(answers, 0, bytes);
	gyr_plan_run(plan, batch, (const void *[]){x}, outputs, scratch);
	free(scratch);
	return bytes;
}

/* The plan answers as the twin does, to the bit, at every batch size, and whatever rows stand beside. */
static void compare(const struct gyr_graph *graph, const char *x, size_t row_bytes)
{
	static char got[1 << 18], expected[1 << 18];
	struct gyr_plan *plan = net_plan(graph, ROWS, false), *twin = net_plan(graph, ROWS, true);
	assert_int_equal(gyr_plan_batch_max(plan), ROWS);
	for (uint32_t batch = 1; batch <= ROWS; batch *= 2) {
		size_t bytes = run(plan, batch, x, got);
		assert_true(bytes <= sizeof got);
		assert_int_equal(run(twin, batch, x, expected), bytes);
		if (memcmp(got, expected, bytes) != 0)
			fail_msg("%u rows", batch);
	}
	/* The last of 64 rows alone. */
	size_t alone = run(plan, 1, x + 63 * row_bytes, got), all = run(twin, 64, x, expected);
	if (gyr_plan_output_count(plan) == 1)
		assert_memory_equal(got + 1, expected + all - (alone - 1), alone - 1);
	gyr_plan_destroy(plan);
	gyr_plan_destroy(twin);
}

static void fill(char *x, enum gyr_dtype dtype, size_t count, bool missing, uint64_t *seed)
{
	for (size_t i = 0; i < count; i++) {
		float real = missing && below(6, seed) == 0 ? NAN : value(seed);
		double wide = (double)real;
		int64_t whole = (int64_t)below(5, seed) - 2;
		int32_t narrow = (int32_t)whole;
		switch (dtype) {
		case GYR_DTYPE_F32: memcpy(x + 4 * i, &real, 4); break;
		case GYR_DTYPE_F64: memcpy(x + 8 * i, &wide, 8); break;
		case GYR_DTYPE_I32: memcpy(x + 4 * i, &narrow, 4); break;
		default: memcpy(x + 8 * i, &whole, 8); break;
		}
	}
}

static void random_ids(void **state)
{
	static struct ensemble e;
	static char x[1 << 20];
	static const int64_t labels[] = {70, -3, 12, 9, 1};
	uint64_t seed = 31;
	gyr_plan_thread_init(); /* denormals count as zero now, but not here */
	for (int round = 0; round < ROUNDS; round++) {
		bool classes = round % 2;
		enum gyr_dtype dtype = round % 7 == 3 ? GYR_DTYPE_I64 : round % 7 == 5 ? GYR_DTYPE_I32 : GYR_DTYPE_F32;
		struct shape shape = {
			.trees = 1 + below(40, &seed),
			.features = round % 20 == 19 ? 9000 : 1 + below(30, &seed),
			.targets = classes ? 3 + below(3, &seed) : 1 + below(4, &seed),
			.mode = below(8, &seed),
			.deepest = round % 10 == 9 ? 200 : below(12, &seed),
			.positive = below(2, &seed),
			.every_target = below(2, &seed),
			.missing = below(2, &seed),
		};
		uint32_t labels_count = shape.targets;
		if (classes && round % 4 == 1)
			labels_count = 2, shape.targets = 1;
		if (shape.trees < shape.targets)
			shape.every_target = true;
		make_ids(&e, &shape, &seed);
		struct gyr_attribute attributes[20];
		uint32_t n = list_ids(&e, classes, attributes);
		if (classes)
			attributes[n++] = INTS("classlabels_int64s", labels, labels_count);
		else
			attributes[n++] = INT("n_targets", shape.targets);
		if (round % 3 == 0 && !classes)
			attributes[n++] = STRING("aggregate_function", "AVERAGE");
		char input[32];
		snprintf(input, sizeof input, "%s[N,%u]", gyr_dtype_name(dtype), shape.features);
		struct gyr_error error = {""};
		struct gyr_graph *graph = graph_of(classes ? GYR_OP_TREE_ENSEMBLE_CLASSIFIER : GYR_OP_TREE_ENSEMBLE_REGRESSOR, 1 + (uint32_t)round % 4, input,
						   attributes, n, &error);
		if (graph == NULL)
			fail_msg("round %d: %s", round, error.text);
		size_t row_bytes = shape.features * gyr_dtype_bytes(dtype);
		uint32_t rows = 64 * row_bytes < sizeof x ? 64 : 0;
		char *own = rows != 0 ? x : malloc(64 * row_bytes + 1);
		fill(own, dtype, 64 * shape.features, round % 5 != 0, &seed);
		memmove(own + (rows != 0), own, rows * row_bytes); /* of no alignment */
		compare(graph, own + (rows != 0), row_bytes);
		if (rows == 0)
			free(own);
		gyr_graph_destroy(graph);
	}
}

/* A random ensemble by indices: of floats. Each leaf has a weight of its own but some that are shared. */
static void make_indices(struct ensemble *e, const struct shape *shape, uint64_t *seed)
{
	memset(e, 0, sizeof *e);
	for (uint32_t tree = 0; tree < shape->trees; tree++) {
		uint32_t begin = e->count, end = begin + 1;
		e->root[e->roots++] = begin;
		for (uint32_t i = begin; i < end; i++, e->count++) {
			e->mode_numbers[i] = (uint8_t)(shape->mode < 7 ? shape->mode : below(7, seed));
			e->features[i] = below(shape->features, seed);
			e->values[i] = value(seed);
			e->missing[i] = shape->missing && below(2, seed);
			for (int side = 0; side < 2; side++) {
				bool leaf = end + 1 >= begin + (NODES_MAX / 2) / shape->trees || below(10, seed) < 4;
				int64_t *child = side ? &e->seconds[i] : &e->firsts[i];
				(side ? e->second_leaf : e->first_leaf)[i] = leaf;
				*child = leaf ? e->entries : end++;
				if (!leaf || (e->entries > 0 && below(4, seed) == 0 && (*child = e->entries - 1, true)))
					continue;
				e->targets[e->entries] = below(shape->targets, seed);
				e->weights[e->entries++] = weight(false, seed);
			}
			for (uint32_t m = below(4, seed); e->mode_numbers[i] == 6 && m > 0 && e->member_count < 3 * NODES_MAX; m--)
				e->members[e->member_count++] = value(seed);
			if (e->mode_numbers[i] == 6)
				e->members[e->member_count++] = NAN;
		}
	}
}

static uint32_t list_indices(const struct ensemble *e, struct gyr_attribute *to)
{
	uint32_t n = 0;
	to[n++] = INTS("nodes_featureids", e->features, e->count);
	to[n++] = INTS("nodes_truenodeids", e->firsts, e->count);
	to[n++] = INTS("nodes_falsenodeids", e->seconds, e->count);
	to[n++] = INTS("nodes_trueleafs", e->first_leaf, e->count);
	to[n++] = INTS("nodes_falseleafs", e->second_leaf, e->count);
	to[n++] = INTS("nodes_missing_value_tracks_true", e->missing, e->count);
	to[n++] = TENSOR("nodes_modes", GYR_DTYPE_U8, e->mode_numbers, e->count);
	to[n++] = TENSOR("nodes_splits", GYR_DTYPE_F32, e->values, e->count);
	to[n++] = INTS("leaf_targetids", e->targets, e->entries);
	to[n++] = TENSOR("leaf_weights", GYR_DTYPE_F32, e->weights, e->entries);
	to[n++] = INTS("tree_roots", e->root, e->roots);
	to[n++] = TENSOR("membership_values", GYR_DTYPE_F32, e->members, e->member_count);
	return n;
}

static void random_indices(void **state)
{
	static struct ensemble e;
	static char x[64 * 32 * 4];
	uint64_t seed = 32;
	for (int round = 0; round < ROUNDS; round++) {
		struct shape shape = {.trees = 1 + below(30, &seed),
				      .features = 1 + below(30, &seed),
				      .targets = 1 + below(3, &seed),
				      .mode = below(8, &seed),
				      .missing = below(2, &seed)};
		make_indices(&e, &shape, &seed);
		if (shape.targets > e.entries)
			continue;
		struct gyr_attribute attributes[20];
		uint32_t n = list_indices(&e, attributes);
		char input[32];
		attributes[n++] = INT("n_targets", shape.targets);
		attributes[n++] = INT("aggregate_function", shape.targets == 1 ? round % 4 : round % 2);
		snprintf(input, sizeof input, "f32[N,%u]", shape.features);
		struct gyr_error error = {""};
		struct gyr_graph *graph = graph_of(GYR_OP_TREE_ENSEMBLE, 5, input, attributes, n, &error);
		if (graph == NULL)
			fail_msg("round %d: %s", round, error.text);
		fill(x, GYR_DTYPE_F32, 64 * shape.features, round % 5 != 0, &seed);
		compare(graph, x, shape.features * 4);
		gyr_graph_destroy(graph);
	}
}

/* One tree that is a chain, too long for narrow nodes' ways to matter and too deep for recursion: leaf i at depth i + 1 is met by x = i. */
static void deep(void **state)
{
	static int64_t trees[2 * TOO_DEEP + 1], ids[2 * TOO_DEEP + 1], zeros[2 * TOO_DEEP + 1], firsts[2 * TOO_DEEP + 1], seconds[2 * TOO_DEEP + 1];
	static const char *modes[2 * TOO_DEEP + 1];
	static float values[2 * TOO_DEEP + 1], weights[TOO_DEEP + 1];
	static int64_t leaves[TOO_DEEP + 1];
	for (uint32_t i = 0; i < TOO_DEEP; i++) {
		ids[2 * i] = 2 * i;
		ids[2 * i + 1] = leaves[i] = 2 * i + 1;
		modes[2 * i] = "BRANCH_LEQ";
		modes[2 * i + 1] = "LEAF";
		values[2 * i] = (float)i;
		firsts[2 * i] = 2 * i + 1;
		seconds[2 * i] = 2 * i + 2;
		weights[i] = (float)i;
	}
	ids[2 * TOO_DEEP] = leaves[TOO_DEEP] = 2 * TOO_DEEP;
	modes[2 * TOO_DEEP] = "LEAF";
	weights[TOO_DEEP] = -1;
	const struct gyr_attribute attributes[] = {
		INTS("nodes_treeids", trees, 2 * TOO_DEEP + 1),        INTS("nodes_nodeids", ids, 2 * TOO_DEEP + 1),
		INTS("nodes_featureids", zeros, 2 * TOO_DEEP + 1),     INTS("nodes_truenodeids", firsts, 2 * TOO_DEEP + 1),
		INTS("nodes_falsenodeids", seconds, 2 * TOO_DEEP + 1), STRINGS("nodes_modes", modes, 2 * TOO_DEEP + 1),
		FLOATS("nodes_values", values, 2 * TOO_DEEP + 1),      INTS("target_treeids", trees, TOO_DEEP + 1),
		INTS("target_nodeids", leaves, TOO_DEEP + 1),          INTS("target_ids", zeros, TOO_DEEP + 1),
		FLOATS("target_weights", weights, TOO_DEEP + 1),       INT("n_targets", 1),
	};
	struct gyr_graph *graph = graph_of(GYR_OP_TREE_ENSEMBLE_REGRESSOR, 3, "f32[N,1]", attributes, sizeof attributes / sizeof attributes[0], NULL);
	assert_non_null(graph);
	struct gyr_plan *plan = net_plan(graph, 8, false);
	static const float x[8] = {0, 1, 2, 39999, 40000, -7, 20000.5f, 12345}, expected[8] = {0, 1, 2, 39999, -1, 0, 20001, 12345};
	for (uint32_t batch = 1; batch <= 8; batch *= 8) {
		char answers[64];
		run(plan, batch, (const char *)x, answers);
		assert_memory_equal(answers + 1, expected, batch * sizeof(float));
	}
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

/* Two trees by ids: in both, node 0 asks x0 <= 0.5 and goes to leaf 1 or 2. */
static void make_two(struct ensemble *e)
{
	memset(e, 0, sizeof *e);
	for (uint32_t tree = 0; tree < 2; tree++) {
		for (uint32_t i = 0; i < 3; i++, e->count++) {
			e->trees[e->count] = tree;
			e->ids[e->count] = i;
			e->modes[e->count] = i == 0 ? "BRANCH_LEQ" : "LEAF";
			e->values[e->count] = 0.5f;
		}
		e->firsts[3 * tree] = 1;
		e->seconds[3 * tree] = 2;
		for (uint32_t i = 1; i < 3; i++, e->entries++) {
			e->entry_trees[e->entries] = tree;
			e->entry_nodes[e->entries] = i;
			e->weights[e->entries] = (float)i;
		}
	}
}

static void expect(enum gyr_op op, uint32_t opset, const struct gyr_attribute *attributes, uint32_t n, const char *text)
{
	struct gyr_error error = {""};
	struct gyr_plan *plan = NULL;
	struct gyr_graph *graph = graph_of(op, opset, "f32[N,2]", attributes, n, &error);
	if (graph != NULL) {
		int status = gyr_plan_create(graph, &(struct gyr_plan_options){.batch_max = 4}, &plan, &error);
		assert_int_equal(status, text == NULL ? 0 : -ENOTSUP);
		gyr_plan_destroy(plan);
		gyr_graph_destroy(graph);
	}
	if (text != NULL && strstr(error.text, text) == NULL)
		fail_msg("'%s' does not say '%s'", error.text, text);
	if (text != NULL && strstr(error.text, "node 'n' (") == NULL)
		fail_msg("'%s' does not name the node", error.text);
}

enum { TREES, IDS, FEATURES, FIRSTS, SECONDS, MODES, ENTRY_TREES, ENTRY_NODES, TARGETS };

static void wrong_ids(void **state)
{
	static struct ensemble e;
	static const struct {
		int field;
		uint32_t at;
		int64_t value;
		const char *text;
	} cases[] = {
		{IDS, 1, 2, "node 2 of tree 0 is there twice"},
		{TREES, 2, 1, "node 2 of tree 1 is there twice"},
		{TREES, 4, 0, "node 1 of tree 0 is there twice"},
		{FEATURES, 3, 2, "node 0 of tree 1 asks for feature 2 of 2"},
		{FEATURES, 0, -1, "asks for feature -1"},
		{FIRSTS, 0, 0, "node 0 of tree 0 is the child of 1 nodes"},
		{FIRSTS, 0, 2, "node 1 of tree 0 is the child of 0 nodes"},
		{SECONDS, 3, 7, "node 0 of tree 1 has child 7, which is not there"},
		{MODES, 0, 'X', "has a mode that is none of ONNX's"},
		{MODES, 0, 'L', "node 1 of tree 0 is the child of 0 nodes"},
		{ENTRY_TREES, 0, 2, "weight 0 is of node 1 of tree 2, which is no leaf"},
		{ENTRY_NODES, 1, 0, "weight 1 is of node 0 of tree 0, which is no leaf"},
		{ENTRY_NODES, 1, 1, "a leaf has two weights"},
		{TARGETS, 2, 1, "weight 2 is of target or class 1 of 1"},
		{TARGETS, 2, -1, "weight 2 is of target or class -1 of 1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		make_two(&e);
		int64_t *fields[] = {[TREES] = e.trees,
				     [IDS] = e.ids,
				     [FEATURES] = e.features,
				     [FIRSTS] = e.firsts,
				     [SECONDS] = e.seconds,
				     [ENTRY_TREES] = e.entry_trees,
				     [ENTRY_NODES] = e.entry_nodes,
				     [TARGETS] = e.targets};
		if (cases[i].field == MODES)
			e.modes[cases[i].at] = cases[i].value == 'L' ? "LEAF" : "BRANCH_MEMBER";
		else
			fields[cases[i].field][cases[i].at] = cases[i].value;
		struct gyr_attribute attributes[20];
		uint32_t n = list_ids(&e, false, attributes);
		attributes[n++] = INT("n_targets", 1);
		expect(GYR_OP_TREE_ENSEMBLE_REGRESSOR, 3, attributes, n, cases[i].text);
	}
	/* A cycle of two nodes beside a whole tree: each has one parent. */
	make_two(&e);
	e.trees[3] = e.trees[4] = e.trees[5] = 0;
	e.ids[3] = 3;
	e.ids[4] = 4;
	e.ids[5] = 5;
	e.modes[4] = "BRANCH_LEQ";
	e.firsts[3] = 4;
	e.seconds[3] = 5;
	e.firsts[4] = 3;
	e.seconds[4] = 6;
	e.count = 7;
	e.ids[6] = 6;
	e.trees[6] = 0;
	e.modes[6] = "LEAF";
	e.entries = 2;
	struct gyr_attribute attributes[20];
	uint32_t n = list_ids(&e, false, attributes);
	attributes[n++] = INT("n_targets", 1);
	expect(GYR_OP_TREE_ENSEMBLE_REGRESSOR, 3, attributes, n, "tree 0 has a cycle");
	/* Lists of different lengths. */
	for (uint32_t list = 0; list < 12; list++) {
		make_two(&e);
		n = list_ids(&e, false, attributes);
		if (attributes[list].type == GYR_ATTRIBUTE_INTS)
			attributes[list].integers.count--;
		else if (attributes[list].type == GYR_ATTRIBUTE_FLOATS)
			attributes[list].numbers.count--;
		else
			attributes[list].strings.count--;
		attributes[n++] = INT("n_targets", 1);
		expect(GYR_OP_TREE_ENSEMBLE_REGRESSOR, 3, attributes, n, "");
	}
}

/* What runtimes take differently. */
static void open_questions(void **state)
{
	static struct ensemble e;
	static const float bases[3] = {1, 2, 3};
	static const int64_t labels[3] = {4, 5, 6};
	struct gyr_attribute attributes[20];
	const enum gyr_op regressor = GYR_OP_TREE_ENSEMBLE_REGRESSOR, classifier = GYR_OP_TREE_ENSEMBLE_CLASSIFIER;
	make_two(&e);
	uint32_t n = list_ids(&e, false, attributes);
	attributes[n] = INT("n_targets", 1);
	expect(regressor, 3, attributes, n + 1, NULL);
	expect(regressor, 5, attributes, n + 1, "from opset 1 to 4");
	attributes[n + 1] = FLOATS("base_values", bases, 2);
	expect(regressor, 3, attributes, n + 2, "2 base values for 1 scores");
	attributes[n + 1] = STRING("post_transform", "LOGISTIC");
	expect(regressor, 3, attributes, n + 2, "over classes, and there is one target");
	attributes[n + 1] = STRING("aggregate_function", "MEDIAN");
	expect(regressor, 3, attributes, n + 2, "aggregate_function is none");
	attributes[n] = INT("n_targets", 0);
	expect(regressor, 3, attributes, n + 1, "n_targets is 0");
	attributes[n] = INT("n_targets", INT32_MAX);
	expect(regressor, 3, attributes, n + 1, "targets or classes, and 4 weights");
	/* The second of two targets has no weight: 0 in a sum, open with base values and to MIN. */
	attributes[n] = INT("n_targets", 2);
	expect(regressor, 3, attributes, n + 1, NULL);
	attributes[n + 1] = FLOATS("base_values", bases, 2);
	expect(regressor, 3, attributes, n + 2, "target or class 1 has no weight");
	attributes[n + 1] = STRING("aggregate_function", "MIN");
	expect(regressor, 3, attributes, n + 2, "target or class 1 has no weight");
	attributes[n] = INT("n_targets", 1);
	attributes[8].integers.count = attributes[9].integers.count = attributes[10].integers.count = attributes[11].numbers.count = 3;
	expect(regressor, 3, attributes, n + 2, "a leaf without a weight");

	n = list_ids(&e, true, attributes);
	attributes[n] = INTS("classlabels_int64s", labels, 2);
	expect(classifier, 3, attributes, n + 1, NULL);
	attributes[n + 1] = STRING("post_transform", "SOFTMAX");
	expect(classifier, 3, attributes, n + 2, "one score for two classes");
	attributes[n] = INTS("classlabels_int64s", labels, 1);
	expect(classifier, 3, attributes, n + 1, "1 labels (2 or more)");
	attributes[n] = STRINGS("classlabels_strings", e.modes, 1);
	expect(classifier, 3, attributes, n + 1, "'classlabels_strings': strings");
	attributes[n] = INTS("classlabels_int64s", labels, 3);
	expect(classifier, 3, attributes, n + 1, "target or class 1 has no weight");
	e.targets[1] = 1;
	attributes[n] = INTS("classlabels_int64s", labels, 2);
	expect(classifier, 3, attributes, n + 1, "scores of both of two classes");
	e.targets[0] = e.targets[2] = e.targets[3] = 1;
	expect(classifier, 3, attributes, n + 1, NULL);
	attributes[n + 1] = FLOATS("base_values", bases, 1);
	expect(classifier, 3, attributes, n + 2, "a base value, and scores of the second of two classes");
}

static void wrong_indices(void **state)
{
	static struct ensemble e;
	static const struct {
		int field;
		uint32_t at;
		int64_t value;
		const char *text;
	} cases[] = {
		{FEATURES, 1, 2, "asks for feature 2 of 2"},
		{FIRSTS, 0, 9, "node 0 has child 9 of 2"},
		{FIRSTS, 0, -1, "node 0 has child -1"},
		{FIRSTS, 0, 0, "node 0 is reached twice"},
		{FIRSTS, 1, 2, "node 1 has child 2 of 2"},
		{TARGETS, 1, 1, "leaf 1 is of target 1 of 1"},
		{IDS, 0, 2, "root 2 of 2 nodes"},
		{IDS, 0, -1, "root -1 of 2"},
		{IDS, 0, 1, "1 nodes belong to no tree"},
		{MODES, 0, 7, "node 0 has mode 7"},
		{MODES, 0, 6, "node 0 has no set"},
		{TREES, 1, 2, "in place of 0 or 1"},
	};
	for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
		memset(&e, 0, sizeof e);
		e.count = e.entries = 2;
		e.roots = 1;
		e.firsts[0] = 1; /* node 0: to node 1, or to leaf 0; node 1: to leaf 0 or 1 */
		e.second_leaf[0] = e.first_leaf[1] = e.second_leaf[1] = 1;
		e.seconds[1] = 1;
		int64_t *fields[] = {[TREES] = e.first_leaf, [IDS] = e.root, [FEATURES] = e.features, [FIRSTS] = e.firsts, [TARGETS] = e.targets};
		bool good = i == sizeof cases / sizeof cases[0];
		if (!good && cases[i].field == MODES)
			e.mode_numbers[cases[i].at] = (uint8_t)cases[i].value;
		else if (!good)
			fields[cases[i].field][cases[i].at] = cases[i].value;
		struct gyr_attribute attributes[20];
		uint32_t n = list_indices(&e, attributes);
		attributes[n++] = INT("n_targets", 1);
		expect(GYR_OP_TREE_ENSEMBLE, 5, attributes, n, good ? NULL : cases[i].text);
		if (!good)
			continue;
		expect(GYR_OP_TREE_ENSEMBLE, 4, attributes, n, "from opset 5 to 5");
		e.member_count = 1;
		e.members[0] = NAN;
		n = list_indices(&e, attributes);
		attributes[n++] = INT("n_targets", 1);
		expect(GYR_OP_TREE_ENSEMBLE, 5, attributes, n, "more than the nodes' sets");
		attributes[n] = INT("post_transform", 5);
		expect(GYR_OP_TREE_ENSEMBLE, 5, attributes, n + 1, "post_transform 5");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_ids), cmocka_unit_test(random_indices), cmocka_unit_test(deep),
		cmocka_unit_test(wrong_ids),  cmocka_unit_test(open_questions), cmocka_unit_test(wrong_indices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
