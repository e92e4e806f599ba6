/*
 * Attention as exporters write it: that it becomes one node, that what is almost attention does not, and that the numbers stay.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/plan/fuse.h"
#include "net.h"

/* How many of GRAPH's nodes with OP are left, behind the passes. */
static uint32_t count_nodes(const struct gyr_graph *graph, enum gyr_op op)
{
	struct gyr_special special;
	struct gyr_draft draft;
	struct gyr_arena arena;
	gyr_arena_init(&arena, 0);
	assert_int_equal(gyr_specialise(graph, 1, NULL, &arena, &special, NULL), 0);
	assert_int_equal(gyr_draft_init(&draft, graph, &special, 1, NULL), 0);
	assert_int_equal(gyr_draft_fuse(&draft, NULL), 0);
	uint32_t count = 0;
	for (uint32_t n = 0; n < draft.node_count; n++)
		count += !draft.nodes[n].dead && draft.nodes[n].dense == NULL && draft.nodes[n].source->op == op;
	gyr_draft_fini(&draft);
	gyr_arena_fini(&arena);
	return count;
}

static uint32_t transpose(struct gyr_graph *graph, uint32_t x, const int64_t *perm, uint32_t rank)
{
	const struct gyr_attribute attribute = {.name = "perm", .type = GYR_ATTRIBUTE_INTS, .integers = {rank, perm}};
	char name[32];
	uint32_t y;
	snprintf(name, sizeof name, "transposed%u", graph->value_count);
	assert_int_equal(gyr_graph_add_value(graph, name, NULL, NULL, false, &y, NULL), 0);
	const struct gyr_node node = {
		.op = GYR_OP_TRANSPOSE, .inputs = &x, .input_count = 1, .outputs = &y, .output_count = 1, .attributes = &attribute, .attribute_count = 1};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	return y;
}

#define TRANSPOSE(graph, x, ...) transpose((graph), (x), (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static uint32_t reshape(struct gyr_graph *graph, uint32_t x, const int64_t *dims, uint32_t rank)
{
	char shape[16];
	snprintf(shape, sizeof shape, "i64[%u]", rank);
	return net_op2(graph, GYR_OP_RESHAPE, x, net_constant(graph, shape, dims));
}

#define RESHAPE(graph, x, ...) reshape((graph), (x), (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static uint32_t number(struct gyr_graph *graph, float value)
{
	return net_constant(graph, "f32[]", &value);
}

static uint32_t softmax(struct gyr_graph *graph, uint32_t x, int64_t axis)
{
	return net_node(graph, GYR_OP_SOFTMAX, x, GYR_VALUE_NONE, GYR_VALUE_NONE, "axis", axis);
}

/* The graph has COUNT attention nodes, and gives what its twin gives. */
static void expect(struct gyr_graph *graph, uint32_t y, uint32_t count)
{
	net_finish(graph, y);
	assert_int_equal(count_nodes(graph, GYR_OP_STRIDED_ATTENTION), count);
	net_compare(graph, 2, 1e-5f);
	gyr_graph_destroy(graph);
}

enum { BATCH = 2, HEADS = 3, DEPTH = 5 };

/* Heads split off inputs of [batch, length, heads * depth], as BERT's exporters write it. */
static uint32_t split_heads(struct gyr_graph *graph, int64_t length, bool keys)
{
	char shape[32];
	snprintf(shape, sizeof shape, "f32[%d,%d,%d]", BATCH, (int)length, HEADS * DEPTH);
	uint32_t x = RESHAPE(graph, net_input(graph, shape), 0, -1, HEADS, DEPTH);
	return keys ? TRANSPOSE(graph, x, 0, 2, 3, 1) : TRANSPOSE(graph, x, 0, 2, 1, 3);
}

static uint32_t join_heads(struct gyr_graph *graph, uint32_t y, int64_t length)
{
	return RESHAPE(graph, TRANSPOSE(graph, y, 0, 2, 1, 3), BATCH, length, HEADS * DEPTH);
}

/* None, and what broadcasts over heads and queries, over all but keys, over queries and keys, and over nothing. */
static void mask_shape(size_t which, int64_t queries, int64_t keys, char *text, size_t size)
{
	switch (which) {
	case 0: *text = 0; return;
	case 1: snprintf(text, size, "f32[%d,1,1,%d]", BATCH, (int)keys); return;
	case 2: snprintf(text, size, "f32[%d]", (int)keys); return;
	case 3: snprintf(text, size, "f32[1,%d,1,1]", HEADS); return;
	default: snprintf(text, size, "f32[%d,%d,%d,%d]", BATCH, HEADS, (int)queries, (int)keys); return;
	}
}

static void test_separate(void **state)
{
	static const int64_t lengths[][2] = {{1, 1}, {7, 7}, {1, 40}, {33, 16}, {70, 65}, {130, 300}};
	uint64_t seed = 5;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] * 5; i++) {
		int64_t queries = lengths[i / 5][0], keys = lengths[i / 5][1];
		struct gyr_graph *graph = gyr_graph_create("attention", 17);
		uint32_t q = split_heads(graph, queries, false), k = split_heads(graph, keys, true), v = split_heads(graph, keys, false);
		uint32_t scores = net_op2(graph, GYR_OP_MATMUL, q, k);
		if (i % 3 != 0)
			scores = net_op2(graph, i % 3 == 1 ? GYR_OP_DIV : GYR_OP_MUL, scores, number(graph, i % 3 == 1 ? 2.5f : 0.3f));
		char shape[64];
		mask_shape(i % 5, queries, keys, shape, sizeof shape);
		if (*shape != 0) {
			uint32_t mask = i % 2 != 0 ? net_input(graph, shape) : net_weights(graph, shape, 3, &seed);
			scores = i % 4 < 2 ? net_op2(graph, GYR_OP_ADD, scores, mask) : net_op2(graph, GYR_OP_ADD, mask, scores);
		}
		uint32_t y = net_op2(graph, GYR_OP_MATMUL, softmax(graph, scores, i % 2 != 0 ? -1 : 3), v);
		expect(graph, i % 7 == 0 ? y : join_heads(graph, y, queries), 1);
	}
}

/* One projection for all three, as PyTorch's modules write it: cut apart by Gather, Split or Slice; scaled before the product; heads within the batch. */
static void test_packed(void **state)
{
	enum { LENGTH = 37, WIDE = HEADS * DEPTH };
	for (int how = 0; how < 3; how++) {
		struct gyr_graph *graph = gyr_graph_create("attention", 13);
		uint32_t x = net_input(graph, "f32[37,2,45]"), parts[3];
		if (how == 0) {
			x = RESHAPE(graph, x, LENGTH, BATCH, 3, WIDE);
			x = net_op2(graph, GYR_OP_UNSQUEEZE, x, net_constant(graph, "i64[1]", &(int64_t){0}));
			x = net_op2(graph, GYR_OP_SQUEEZE, TRANSPOSE(graph, x, 3, 1, 2, 0, 4), net_constant(graph, "i64[1]", &(int64_t){3}));
			for (int64_t i = 0; i < 3; i++)
				parts[i] =
					net_node(graph, GYR_OP_GATHER, x, net_constant(graph, "i64[]", &(int64_t){i == 2 ? -1 : i}), GYR_VALUE_NONE, "axis", 0);
		} else if (how == 1) {
			const struct gyr_attribute axis = {.name = "axis", .type = GYR_ATTRIBUTE_INT, .integer = 2};
			uint32_t inputs[2] = {x, net_constant(graph, "i64[3]", (const int64_t[]){WIDE, WIDE, WIDE})};
			for (int i = 0; i < 3; i++)
				assert_int_equal(gyr_graph_add_value(graph, (const char *[]){"q", "k", "v"}[i], NULL, NULL, false, &parts[i], NULL), 0);
			const struct gyr_node node = {.op = GYR_OP_SPLIT,
						      .inputs = inputs,
						      .input_count = 2,
						      .outputs = parts,
						      .output_count = 3,
						      .attributes = &axis,
						      .attribute_count = 1};
			assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
		} else {
			for (int64_t i = 0; i < 3; i++) {
				uint32_t inputs[4] = {x, net_constant(graph, "i64[1]", &(int64_t){i * WIDE}),
						      net_constant(graph, "i64[1]", &(int64_t){i == 2 ? INT64_MAX : (i + 1) * WIDE}),
						      net_constant(graph, "i64[1]", &(int64_t){-1})};
				assert_int_equal(gyr_graph_add_value(graph, (const char *[]){"q", "k", "v"}[i], NULL, NULL, false, &parts[i], NULL), 0);
				const struct gyr_node node = {.op = GYR_OP_SLICE, .inputs = inputs, .input_count = 4, .outputs = &parts[i], .output_count = 1};
				assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
			}
		}
		for (int i = 0; i < 3; i++)
			parts[i] = TRANSPOSE(graph, RESHAPE(graph, parts[i], LENGTH, BATCH * HEADS, DEPTH), 1, 0, 2);
		if (how != 1) /* four dimensions, two of which were one */
			for (int i = 0; i < 3; i++)
				parts[i] = RESHAPE(graph, parts[i], BATCH, HEADS, LENGTH, DEPTH);
		uint32_t k = how == 1 ? TRANSPOSE(graph, parts[1], 0, 2, 1) : TRANSPOSE(graph, parts[1], 0, 1, 3, 2);
		uint32_t root = number(graph, 0.668740f);
		uint32_t scores = net_op2(graph, GYR_OP_MATMUL, net_op2(graph, GYR_OP_MUL, parts[0], root), net_op2(graph, GYR_OP_MUL, root, k));
		uint32_t y = net_op2(graph, GYR_OP_MATMUL, softmax(graph, scores, -1), parts[2]);
		y = how == 1 ? TRANSPOSE(graph, y, 1, 0, 2) : TRANSPOSE(graph, y, 2, 0, 1, 3);
		expect(graph, RESHAPE(graph, y, LENGTH * BATCH, WIDE), 1);
	}
}

/* Scores left out by Where, to either side, with minus infinity or a large number, by a condition that is known or comes with the run. */
static void test_chosen(void **state)
{
	bool triangle[9 * 9];
	for (int i = 0; i < 9 * 9; i++)
		triangle[i] = i % 9 <= i / 9;
	for (int way = 0; way < 8; way++) {
		struct gyr_graph *graph = gyr_graph_create("attention", 17);
		bool keeps = way % 2 != 0, known = way / 2 % 2 != 0;
		uint32_t q = split_heads(graph, 9, false), k = split_heads(graph, 9, true), v = split_heads(graph, 9, false);
		uint32_t scores = net_op2(graph, GYR_OP_DIV, net_op2(graph, GYR_OP_MATMUL, q, k), number(graph, 2.2f));
		uint32_t fill = number(graph, known && keeps ? -INFINITY : -1e4f);
		uint32_t condition =
			known ? net_constant(graph, "bool[9,9]", triangle) : net_op2(graph, GYR_OP_GREATER, net_input(graph, "f32[2,1,1,9]"), number(graph, 0));
		scores = net_node(graph, GYR_OP_WHERE, condition, keeps ? scores : fill, keeps ? fill : scores, NULL, 0);
		if (way >= 4) /* not a number, but one for each key: left as it is */
			scores = net_node(graph, GYR_OP_WHERE, condition, scores, net_constant(graph, "f32[9]", (const float[9]){1, 2, 3}), NULL, 0);
		uint32_t y = net_op2(graph, GYR_OP_MATMUL, softmax(graph, scores, -1), v);
		expect(graph, join_heads(graph, y, 9), way < 4);
	}
}

/* Rows of a batch, at every batch size. */
static void test_batch(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("attention", 17);
	uint32_t parts[3];
	for (int i = 0; i < 3; i++) {
		uint32_t x = RESHAPE(graph, net_input(graph, "f32[N,12,15]"), -1, 12, HEADS, DEPTH);
		parts[i] = i == 1 ? TRANSPOSE(graph, x, 0, 2, 3, 1) : TRANSPOSE(graph, x, 0, 2, 1, 3);
	}
	uint32_t mask = net_input(graph, "f32[N,1,1,12]"), scores = net_op2(graph, GYR_OP_MATMUL, parts[0], parts[1]);
	scores = net_op2(graph, GYR_OP_ADD, net_op2(graph, GYR_OP_DIV, scores, number(graph, 2.236068f)), mask);
	uint32_t y = TRANSPOSE(graph, net_op2(graph, GYR_OP_MATMUL, softmax(graph, scores, -1), parts[2]), 0, 2, 1, 3);
	net_finish(graph, RESHAPE(graph, y, -1, 12, HEADS * DEPTH));
	struct gyr_plan *plan = net_plan(graph, 32, false);
	assert_int_equal(gyr_plan_batch_max(plan), 32);
	gyr_plan_destroy(plan);
	assert_int_equal(count_nodes(graph, GYR_OP_STRIDED_ATTENTION), 1);
	net_compare(graph, 2, 1e-5f);
	gyr_graph_destroy(graph);
}

/* What is almost attention stays as it is. */
static void test_near_misses(void **state)
{
	enum miss { AXIS, LARGE_SCALE, VECTOR_SCALE, READ_TWICE, WIDER_MASK, SHARED_KEYS, TURNED_VALUES, SCALED_VALUES, MASK_FIRST, MISSES };
	for (enum miss miss = 0; miss < MISSES; miss++) {
		struct gyr_graph *graph = gyr_graph_create("attention", 17);
		uint64_t seed = 6;
		uint32_t q = net_input(graph, "f32[2,3,8,5]"), k = net_input(graph, miss == SHARED_KEYS ? "f32[2,1,5,8]" : "f32[2,3,5,8]");
		uint32_t v = net_input(graph, miss == TURNED_VALUES ? "f32[2,3,5,8]" : "f32[2,3,8,5]"), scores = net_op2(graph, GYR_OP_MATMUL, q, k);
		if (miss == TURNED_VALUES)
			v = TRANSPOSE(graph, v, 0, 1, 3, 2);
		if (miss == SCALED_VALUES)
			v = net_op2(graph, GYR_OP_MUL, v, number(graph, 0.5f));
		if (miss == LARGE_SCALE)
			scores = net_op2(graph, GYR_OP_MUL, scores, number(graph, 1.5f));
		if (miss == VECTOR_SCALE)
			scores = net_op2(graph, GYR_OP_MUL, scores, net_weights(graph, "f32[8]", 1, &seed));
		if (miss == MASK_FIRST) {
			scores = net_op2(graph, GYR_OP_ADD, scores, net_weights(graph, "f32[8,8]", 1, &seed));
			scores = net_op2(graph, GYR_OP_MUL, scores, number(graph, 0.5f));
		}
		uint32_t masked = miss == WIDER_MASK ? net_op2(graph, GYR_OP_ADD, scores, net_input(graph, "f32[4,1,1,1,8]")) : scores;
		uint32_t y = net_op2(graph, GYR_OP_MATMUL, softmax(graph, masked, miss == AXIS ? 2 : -1), v);
		if (miss == READ_TWICE)
			y = net_op2(graph, GYR_OP_ADD, y, net_node(graph, GYR_OP_REDUCE_MAX, scores, GYR_VALUE_NONE, GYR_VALUE_NONE, "keepdims", 0));
		/* Values that are turned are first made so, scaled ones too, and then are read where they lie. */
		expect(graph, y, miss == TURNED_VALUES ? 0 : miss == SCALED_VALUES ? 1 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_separate), cmocka_unit_test(test_packed), cmocka_unit_test(test_batch),
					   cmocka_unit_test(test_chosen), cmocka_unit_test(test_near_misses)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
