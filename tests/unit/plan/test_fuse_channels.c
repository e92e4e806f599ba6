/*
 * Convolutions that take in what scales and shifts their channels: that they do, and that the numbers stay.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/plan/fuse.h"
#include "net.h"

/* How many nodes of GRAPH are left, behind the pass. */
static uint32_t nodes_left(const struct gyr_graph *graph)
{
	struct gyr_special special;
	struct gyr_draft draft;
	struct gyr_arena arena;
	gyr_arena_init(&arena, 0);
	assert_int_equal(gyr_specialise(graph, 1, NULL, &arena, &special, NULL), 0);
	assert_int_equal(gyr_draft_init(&draft, graph, &special, 1, NULL), 0);
	assert_int_equal(gyr_fuse_channels(&draft, NULL), 0);
	assert_int_equal(gyr_draft_renew(&draft, NULL), 0);
	uint32_t count = 0;
	for (uint32_t n = 0; n < draft.node_count; n++)
		count += !draft.nodes[n].dead;
	gyr_draft_fini(&draft);
	gyr_arena_fini(&arena);
	return count;
}

/* A convolution of 6 channels to 6 in two groups. */
static uint32_t add_conv(struct gyr_graph *graph, enum gyr_op op, uint32_t bias, uint64_t *seed)
{
	uint32_t x = net_input(graph, "f32[N,6,5,4]"), w = net_weights(graph, "f32[6,3,3,3]", 1, seed);
	return net_node(graph, op, x, w, bias, "group", 2);
}

static uint32_t add_batch_norm(struct gyr_graph *graph, uint32_t x, uint64_t *seed)
{
	static const float variance[6] = {0.5f, 2, 1, 0.01f, 30, 0};
	uint32_t y, inputs[5] = {x, net_weights(graph, "f32[6]", 1, seed), net_weights(graph, "f32[6]", 1, seed), net_weights(graph, "f32[6]", 1, seed),
				 net_constant(graph, "f32[6]", variance)};
	const struct gyr_attribute epsilon = {.name = "epsilon", .type = GYR_ATTRIBUTE_FLOAT, .number = 0.25f};
	assert_int_equal(gyr_graph_add_value(graph, "normal", NULL, NULL, false, &y, NULL), 0);
	const struct gyr_node node = {.op = GYR_OP_BATCH_NORMALIZATION,
				      .input_count = 5,
				      .output_count = 1,
				      .attribute_count = 1,
				      .inputs = inputs,
				      .outputs = &y,
				      .attributes = &epsilon};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	return y;
}

static void test_takes_in(void **state)
{
	for (int round = 0; round < 4; round++) {
		uint64_t seed = 1 + (uint64_t)round;
		struct gyr_graph *graph = gyr_graph_create("channels", 13);
		uint32_t bias = round % 2 == 0 ? GYR_VALUE_NONE : net_weights(graph, "f32[6]", 1, &seed);
		uint32_t at = add_conv(graph, round < 2 ? GYR_OP_CONV : GYR_OP_CONV_TRANSPOSE, bias, &seed);
		at = add_batch_norm(graph, at, &seed);
		at = net_op2(graph, GYR_OP_MUL, net_weights(graph, "f32[6,1,1]", 1, &seed), at);
		at = net_op2(graph, GYR_OP_SUB, at, net_weights(graph, "f32[1,6,1,1]", 1, &seed));
		at = net_op2(graph, GYR_OP_DIV, at, net_constant(graph, "f32[]", &(float){3}));
		at = net_op2(graph, GYR_OP_SUB, net_constant(graph, "f32[1]", &(float){2}), at);
		net_finish(graph, net_op2(graph, GYR_OP_ADD, at, net_weights(graph, "f32[6,1,1]", 1, &seed)));
		assert_int_equal(nodes_left(graph), 1);
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
}

/* What is not one number a channel, or would not leave a weight at full precision, or what others read as well. */
static void test_leaves_alone(void **state)
{
	uint64_t seed = 9;
	for (int round = 0; round < 5; round++) {
		struct gyr_graph *graph = gyr_graph_create("channels", 13);
		uint32_t at = add_conv(graph, GYR_OP_CONV, GYR_VALUE_NONE, &seed), x = graph->inputs[0], more;
		switch (round) {
		case 0: more = net_weights(graph, "f32[2]", 1, &seed); break;
		case 1: more = net_weights(graph, "f32[6,3,2]", 1, &seed); break;
		case 2: more = net_constant(graph, "f32[]", &(float){1e-38f}); break;
		case 3: more = net_op1(graph, GYR_OP_GLOBAL_AVERAGE_POOL, x); break;
		default: more = net_op1(graph, GYR_OP_SIGMOID, at); break;
		}
		net_finish(graph, net_op2(graph, GYR_OP_MUL, at, more));
		assert_int_equal(nodes_left(graph), round < 3 ? 2 : 3);
		net_compare(graph, 1, 1e-5f);
		gyr_graph_destroy(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_in),
		cmocka_unit_test(test_leaves_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
