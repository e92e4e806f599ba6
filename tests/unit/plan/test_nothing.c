/*
 * What does nothing is not computed, and what is computed twice is computed once: how many steps are left of small graphs, and that their answers are those of
 * the twins to the last bit, for -0, NaN, infinities and denormals too.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/plan/profile.h"
#include "net.h"

#define ELEMENTS 24u

static const float odd_numbers[ELEMENTS] = {0,  -0.0f, 1,   -1,    NAN, INFINITY, -INFINITY, 1e-40f, -1e-40f, 3e38f, 2,   .5f,
					    -7, 8,     9.5, 1e-8f, 11,  -12,      13,        14,     15,      -16,   -17, 18};

/* Runs both plans of GRAPH (destroyed), whose input and output have ELEMENTS f32, on odd_numbers; they must agree, and the plan have STEPS steps. */
static void expect(struct gyr_graph *graph, uint32_t output, uint32_t steps)
{
	net_finish(graph, output);
	struct gyr_plan *plan = net_plan(graph, 1, false), *reference = net_plan(graph, 1, true);
	float got[2 * ELEMENTS] = {0}, expected[2 * ELEMENTS] = {0};
	void *scratch = aligned_alloc(64, (gyr_plan_scratch_bytes(plan) + gyr_plan_scratch_bytes(reference) + 64) / 64 * 64);
	gyr_plan_run(plan, 1, (const void *const[]){odd_numbers}, (void *const[]){got}, scratch);
	gyr_plan_run(reference, 1, (const void *const[]){odd_numbers}, (void *const[]){expected}, scratch);
	for (size_t i = 0; i < 2 * ELEMENTS; i++)
		assert_true(isnan(expected[i]) ? isnan(got[i]) : memcmp(&got[i], &expected[i], sizeof got[i]) == 0);
	assert_int_equal(gyr_plan_step_count(plan, 1), steps);
	free(scratch);
	gyr_plan_destroy(plan);
	gyr_plan_destroy(reference);
	gyr_graph_destroy(graph);
}

static uint32_t number(struct gyr_graph *graph, float value)
{
	return net_constant(graph, "f32[1]", &value);
}

/* Abs of OP(x, VALUE), or of OP(VALUE, x): one step when that is nothing, else two. */
static void expect_neutral(enum gyr_op op, float value, bool left, bool nothing)
{
	struct gyr_graph *graph = gyr_graph_create("neutral", 17);
	uint32_t x = net_input(graph, "f32[1,24]"), constant = number(graph, value);
	uint32_t y = left ? net_op2(graph, op, constant, x) : net_op2(graph, op, x, constant);
	expect(graph, net_op1(graph, GYR_OP_NEG, y), nothing ? 1 : 2);
}

static void test_neutral(void **state)
{
	expect_neutral(GYR_OP_ADD, -0.0f, false, true);
	expect_neutral(GYR_OP_ADD, -0.0f, true, true);
	expect_neutral(GYR_OP_ADD, 0, false, false); /* -0 becomes +0 */
	expect_neutral(GYR_OP_SUB, 0, false, true);
	expect_neutral(GYR_OP_SUB, -0.0f, false, false);
	expect_neutral(GYR_OP_SUB, 0, true, false);
	expect_neutral(GYR_OP_MUL, 1, false, true);
	expect_neutral(GYR_OP_MUL, 1, true, true);
	expect_neutral(GYR_OP_MUL, -1, true, false);
	expect_neutral(GYR_OP_DIV, 1, false, true);
	expect_neutral(GYR_OP_DIV, 1, true, false);
	expect_neutral(GYR_OP_POW, 1, false, true);
}

/* A neutral operand that makes more of the other one is not nothing. */
static void test_broadcast(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("broadcast", 17);
	static const float ones[48] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
				       1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	uint32_t x = net_input(graph, "f32[1,24]");
	expect(graph, net_op2(graph, GYR_OP_MUL, x, net_constant(graph, "f32[2,24]", ones)), 1);
	graph = gyr_graph_create("vector", 17);
	x = net_input(graph, "f32[1,24]");
	expect(graph, net_op1(graph, GYR_OP_NEG, net_op2(graph, GYR_OP_MUL, x, net_constant(graph, "f32[24]", ones))), 1);
}

static uint32_t transpose(struct gyr_graph *graph, uint32_t x, const int64_t *order, uint32_t rank)
{
	struct gyr_error error;
	uint32_t y;
	const struct gyr_attribute perm = {.name = "perm", .type = GYR_ATTRIBUTE_INTS, .integers = {rank, order}};
	char name[32];
	snprintf(name, sizeof name, "turned%u", graph->value_count);
	assert_int_equal(gyr_graph_add_value(graph, name, NULL, NULL, false, &y, &error), 0);
	const struct gyr_node node = {.op = GYR_OP_TRANSPOSE,
				      .name = "",
				      .inputs = &x,
				      .input_count = 1,
				      .outputs = &y,
				      .output_count = 1,
				      .attributes = &perm,
				      .attribute_count = 1};
	assert_int_equal(gyr_graph_add_node(graph, &node, &error), 0);
	return y;
}

static void test_transpose(void **state)
{
	static const int64_t forth[] = {0, 2, 3, 1}, back[] = {0, 3, 1, 2}, swap[] = {0, 1, 3, 2}, ones[] = {1, 0, 2, 3};
	struct gyr_graph *graph = gyr_graph_create("there and back", 17);
	uint32_t x = net_input(graph, "f32[1,2,3,4]");
	expect(graph, net_op1(graph, GYR_OP_NEG, transpose(graph, transpose(graph, x, forth, 4), back, 4)), 1);
	graph = gyr_graph_create("two in a row", 17);
	x = net_input(graph, "f32[1,2,3,4]");
	expect(graph, transpose(graph, transpose(graph, x, forth, 4), swap, 4), 1);
	graph = gyr_graph_create("three in a row", 17);
	x = net_input(graph, "f32[1,2,3,4]");
	expect(graph, transpose(graph, transpose(graph, transpose(graph, x, forth, 4), swap, 4), forth, 4), 1);
	graph = gyr_graph_create("a dimension of 1", 17);
	x = net_input(graph, "f32[2,1,3,4]");
	expect(graph, net_op1(graph, GYR_OP_NEG, transpose(graph, x, ones, 4)), 1);
	graph = gyr_graph_create("one that moves", 17);
	x = net_input(graph, "f32[1,2,3,4]");
	expect(graph, net_op1(graph, GYR_OP_NEG, transpose(graph, x, forth, 4)), 2);
	/* The first of two is read by another as well. */
	graph = gyr_graph_create("both", 17);
	x = net_input(graph, "f32[1,2,3,4]");
	uint32_t y = transpose(graph, x, forth, 4);
	expect(graph, net_op2(graph, GYR_OP_ADD, transpose(graph, transpose(graph, y, back, 4), forth, 4), net_op1(graph, GYR_OP_NEG, y)), 3);
}

static uint32_t on_integers(struct gyr_graph *graph, enum gyr_op op, uint32_t x, uint32_t count, const int64_t *first, const int64_t *second)
{
	char shape[16];
	snprintf(shape, sizeof shape, "i64[%u]", count);
	return net_node(graph, op, x, net_constant(graph, shape, first), second == NULL ? GYR_VALUE_NONE : net_constant(graph, shape, second), NULL, 0);
}

static void test_movement(void **state)
{
	static const int64_t ones[] = {1, 1}, zeros[] = {0, 0, 0, 0}, sizes[] = {1, 24}, far[] = {1, INT64_MAX}, twice[] = {2, 1}, half[] = {0, 12};
	struct {
		enum gyr_op op;
		uint32_t count;
		const int64_t *first, *second;
		uint32_t steps;
	} cases[] = {{GYR_OP_TILE, 2, ones, NULL, 1}, {GYR_OP_TILE, 2, twice, NULL, 2}, {GYR_OP_EXPAND, 2, sizes, NULL, 1}, {GYR_OP_EXPAND, 2, twice, NULL, 2},
		     {GYR_OP_PAD, 4, zeros, NULL, 1}, {GYR_OP_SLICE, 2, zeros, far, 1}, {GYR_OP_SLICE, 2, half, far, 2}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_graph *graph = gyr_graph_create("movement", 13);
		uint32_t x = net_input(graph, "f32[1,24]");
		expect(graph, net_op1(graph, GYR_OP_NEG, on_integers(graph, cases[i].op, x, cases[i].count, cases[i].first, cases[i].second)), cases[i].steps);
	}
	/* An output that is the input as it is: a copy. */
	struct gyr_graph *graph = gyr_graph_create("all of it", 13);
	uint32_t x = net_input(graph, "f32[1,24]");
	expect(graph, net_op2(graph, GYR_OP_MUL, net_node(graph, GYR_OP_CONCAT, x, GYR_VALUE_NONE, GYR_VALUE_NONE, "axis", 1), number(graph, 1)), 1);
}

static void test_same(void **state)
{
	/* Through constants that are equal, and views. */
	struct gyr_graph *graph = gyr_graph_create("same", 17);
	uint32_t x = net_input(graph, "f32[1,24]");
	uint32_t a = net_op1(graph, GYR_OP_NEG, net_op2(graph, GYR_OP_MUL, x, number(graph, 3)));
	uint32_t b = net_op1(graph, GYR_OP_NEG, net_op1(graph, GYR_OP_IDENTITY, net_op2(graph, GYR_OP_MUL, x, number(graph, 3))));
	expect(graph, net_op2(graph, GYR_OP_ADD, a, b), 3);
	/* Another constant, another order, another attribute. */
	graph = gyr_graph_create("not the same", 17);
	x = net_input(graph, "f32[1,24]");
	a = net_op2(graph, GYR_OP_MUL, x, number(graph, 3));
	b = net_op2(graph, GYR_OP_MUL, x, number(graph, 4));
	expect(graph, net_op2(graph, GYR_OP_SUB, net_op2(graph, GYR_OP_SUB, a, b), net_op2(graph, GYR_OP_SUB, b, a)), 5);
	graph = gyr_graph_create("attributes", 17);
	x = net_input(graph, "f32[4,6]");
	a = net_node(graph, GYR_OP_SOFTMAX, x, GYR_VALUE_NONE, GYR_VALUE_NONE, "axis", 0);
	b = net_node(graph, GYR_OP_SOFTMAX, x, GYR_VALUE_NONE, GYR_VALUE_NONE, "axis", 1);
	uint32_t c = net_node(graph, GYR_OP_SOFTMAX, x, GYR_VALUE_NONE, GYR_VALUE_NONE, "axis", 1);
	net_finish(graph, net_op2(graph, GYR_OP_SUB, net_op2(graph, GYR_OP_SUB, a, b), c));
	struct gyr_plan *plan = net_plan(graph, 1, false);
	assert_int_equal(gyr_plan_step_count(plan, 1), 4);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neutral),  cmocka_unit_test(test_broadcast), cmocka_unit_test(test_transpose),
		cmocka_unit_test(test_movement), cmocka_unit_test(test_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
