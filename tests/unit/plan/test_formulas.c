/*
 * Gelu and layer normalisation written as formulas: that they become one node, that what is almost one does not, and that the numbers stay.
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

/* How many nodes, and how many with OP, GRAPH has left behind the passes. */
static void count_nodes(const struct gyr_graph *graph, enum gyr_op op, uint32_t *all, uint32_t *with)
{
	struct gyr_special special;
	struct gyr_draft draft;
	struct gyr_arena arena;
	gyr_arena_init(&arena, 0);
	assert_int_equal(gyr_specialise(graph, 1, NULL, &arena, &special, NULL), 0);
	assert_int_equal(gyr_draft_init(&draft, graph, &special, 1, NULL), 0);
	assert_int_equal(gyr_draft_fuse(&draft, NULL), 0);
	*all = *with = 0;
	for (uint32_t n = 0; n < draft.node_count; n++) {
		*all += !draft.nodes[n].dead;
		*with += !draft.nodes[n].dead && draft.nodes[n].dense == NULL && draft.nodes[n].source->op == op;
	}
	gyr_draft_fini(&draft);
	gyr_arena_fini(&arena);
}

/* The graph becomes one node of OP where FUSED, and none of it otherwise; and gives what its twin gives. Destroys GRAPH. */
static void expect(struct gyr_graph *graph, uint32_t y, enum gyr_op op, bool fused, const char *what)
{
	uint32_t all, with;
	net_finish(graph, y);
	count_nodes(graph, op, &all, &with);
	if (fused ? all != 1 || with != 1 : with != 0)
		fail_msg("%s: %u nodes, %u of them fused", what, all, with);
	net_compare(graph, 3, 3e-6f);
	gyr_graph_destroy(graph);
}

static uint32_t number(struct gyr_graph *graph, float value)
{
	return net_constant(graph, "f32[]", &value);
}

static uint32_t mul(struct gyr_graph *graph, uint32_t a, uint32_t b)
{
	return net_op2(graph, GYR_OP_MUL, a, b);
}

static uint32_t one_plus(struct gyr_graph *graph, uint32_t x, float one)
{
	return net_op2(graph, GYR_OP_ADD, x, number(graph, one));
}

static void test_gelu(void **state)
{
	static const struct {
		const char *what;
		bool fused;
	} ways[] = {{"the product, halved", true}, {"half of x first", true}, {"half behind", true},   {"multiplied by the root", true},
		    {"numbers on the left", true}, {"another root", false},   {"another half", false}, {"another one", false},
		    {"read in the middle", false}, {"x not the same", false}, {"x twice", false},      {"by a vector", false}};
	for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
		struct gyr_graph *graph = gyr_graph_create("gelu", 17);
		uint64_t seed = 51;
		uint32_t x = net_input(graph, "f32[N,7,9]"), other = net_op1(graph, GYR_OP_ABS, x), y;
		uint32_t scaled =
			way == 3 ? mul(graph, number(graph, 0.70710677f), x) : net_op2(graph, GYR_OP_DIV, x, number(graph, way == 5 ? 1.4143f : 1.4142135f));
		uint32_t erf = net_op1(graph, GYR_OP_ERF, scaled), sum = one_plus(graph, erf, way == 7 ? 1.0001f : 1);
		switch (way) {
		case 1: y = mul(graph, mul(graph, x, number(graph, 0.5f)), sum); break;
		case 2: y = mul(graph, x, mul(graph, sum, number(graph, 0.5f))); break;
		case 4: y = mul(graph, number(graph, 0.5f), mul(graph, sum, x)); break;
		case 6: y = mul(graph, mul(graph, x, sum), number(graph, 0.51f)); break;
		case 8: y = net_op2(graph, GYR_OP_SUB, mul(graph, mul(graph, x, sum), number(graph, 0.5f)), erf); break;
		case 9: y = mul(graph, mul(graph, other, sum), number(graph, 0.5f)); break;
		case 10: y = mul(graph, mul(graph, x, mul(graph, x, sum)), number(graph, 0.5f)); break;
		case 11: y = mul(graph, mul(graph, x, sum), net_weights(graph, "f32[9]", 1, &seed)); break;
		default: y = mul(graph, mul(graph, x, sum), number(graph, 0.5f)); break;
		}
		expect(graph, y, GYR_OP_GELU, ways[way].fused, ways[way].what);
	}
}

static void test_gelu_by_tanh(void **state)
{
	static const bool fused[] = {true, true, true, false, false, false};
	for (size_t way = 0; way < sizeof fused / sizeof fused[0]; way++) {
		struct gyr_graph *graph = gyr_graph_create("gelu", 17);
		char what[32];
		uint32_t x = net_input(graph, "f32[N,7,9]"), cube;
		switch (way) {
		case 0: cube = net_op2(graph, GYR_OP_POW, x, number(graph, 3)); break;
		case 1: cube = mul(graph, mul(graph, x, x), x); break;
		case 3: cube = net_op2(graph, GYR_OP_POW, x, number(graph, 2)); break;
		case 4: cube = mul(graph, mul(graph, x, x), net_op1(graph, GYR_OP_ABS, x)); break;
		default: cube = mul(graph, x, net_op2(graph, GYR_OP_POW, x, number(graph, 2))); break;
		}
		uint32_t inner = net_op2(graph, GYR_OP_ADD, x, mul(graph, cube, number(graph, way == 5 ? 0.0448f : 0.044715f)));
		uint32_t tanh = net_op1(graph, GYR_OP_TANH, mul(graph, inner, number(graph, 0.7978846f)));
		snprintf(what, sizeof what, "by tanh, %zu", way);
		expect(graph, mul(graph, mul(graph, x, number(graph, 0.5f)), one_plus(graph, tanh, 1)), GYR_OP_GELU, fused[way], what);
	}
}

static uint32_t mean(struct gyr_graph *graph, uint32_t x, const int64_t *axes, uint32_t count, bool keeps)
{
	const struct gyr_attribute attributes[2] = {{.name = "axes", .type = GYR_ATTRIBUTE_INTS, .integers = {count, axes}},
						    {.name = "keepdims", .type = GYR_ATTRIBUTE_INT, .integer = keeps}};
	char name[32];
	uint32_t y;
	snprintf(name, sizeof name, "mean%u", graph->value_count);
	assert_int_equal(gyr_graph_add_value(graph, name, NULL, NULL, false, &y, NULL), 0);
	const struct gyr_node node = {
		.op = GYR_OP_REDUCE_MEAN, .inputs = &x, .input_count = 1, .outputs = &y, .output_count = 1, .attributes = attributes, .attribute_count = 2};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	return y;
}

static void test_normalise(void **state)
{
	enum way { PLAIN, SQUARE, TWO_AXES, NO_BIAS, NO_SCALE, TWO_MEANS, FUSED, OTHER_AXIS = FUSED, NARROW_SCALE, OTHER_MEAN, WIDE_SCALE, SPREAD, WAYS };
	static const int64_t last[] = {-1}, both[] = {2, 1}, first[] = {1};
	for (enum way way = 0; way < WAYS; way++) {
		struct gyr_graph *graph = gyr_graph_create("layer", 15);
		uint64_t seed = 52;
		char what[32];
		const int64_t *axes = way == TWO_AXES ? both : way == OTHER_AXIS ? first : last;
		uint32_t count = way == TWO_AXES ? 2 : 1, x = net_input(graph, "f32[N,5,24]");
		uint32_t middle = mean(graph, x, way == OTHER_MEAN ? first : axes, count, true), d = net_op2(graph, GYR_OP_SUB, x, middle);
		uint32_t square = way == SQUARE ? mul(graph, d, d) : net_op2(graph, GYR_OP_POW, d, number(graph, way == SPREAD ? 4 : 2));
		uint32_t variance = net_op2(graph, GYR_OP_ADD, mean(graph, square, axes, count, true), number(graph, 1e-5f));
		if (way == TWO_MEANS)
			d = net_op2(graph, GYR_OP_SUB, x, mean(graph, x, axes, count, true));
		uint32_t y = net_op2(graph, GYR_OP_DIV, d, net_op1(graph, GYR_OP_SQRT, variance));
		const char *shape = way == TWO_AXES ? "f32[5,24]" : way == NARROW_SCALE ? "f32[5,1]" : way == WIDE_SCALE ? "f32[5,24]" : "f32[24]";
		if (way != NO_SCALE && way != OTHER_AXIS)
			y = mul(graph, y, net_weights(graph, shape, 1, &seed));
		if (way != NO_SCALE && way != NO_BIAS && way != OTHER_AXIS)
			y = net_op2(graph, GYR_OP_ADD, net_weights(graph, shape, 1, &seed), y);
		snprintf(what, sizeof what, "layer, %d", way);
		/* With a scale that is not a layer's, normalising is one node, and the scale another. */
		if (way == NARROW_SCALE || way == WIDE_SCALE) {
			uint32_t all, with;
			net_finish(graph, y);
			count_nodes(graph, GYR_OP_LAYER_NORMALIZATION, &all, &with);
			assert_int_equal(with, 1);
			assert_int_equal(all, 3);
			net_compare(graph, 3, 3e-6f);
			gyr_graph_destroy(graph);
			continue;
		}
		expect(graph, y, GYR_OP_LAYER_NORMALIZATION, way < FUSED, what);
	}
}

/* A dense layer takes in a Gelu that was a formula. */
static void test_dense_gelu(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("dense", 17);
	uint64_t seed = 53;
	uint32_t all, with, x = net_op2(graph, GYR_OP_MATMUL, net_input(graph, "f32[N,5,24]"), net_weights(graph, "f32[24,40]", 1, &seed));
	x = net_op2(graph, GYR_OP_ADD, x, net_weights(graph, "f32[40]", 1, &seed));
	uint32_t erf = net_op1(graph, GYR_OP_ERF, net_op2(graph, GYR_OP_DIV, x, number(graph, 1.4142135f)));
	net_finish(graph, mul(graph, mul(graph, x, one_plus(graph, erf, 1)), number(graph, 0.5f)));
	count_nodes(graph, GYR_OP_GELU, &all, &with);
	assert_int_equal(all, 1);
	net_compare(graph, 2, 5e-6f);
	gyr_graph_destroy(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_gelu), cmocka_unit_test(test_gelu_by_tanh), cmocka_unit_test(test_normalise),
					   cmocka_unit_test(test_dense_gelu)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
