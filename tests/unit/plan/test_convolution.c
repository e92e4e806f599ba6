/*
 * Convolutions of random shapes and attributes: the plan against its reference.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net.h"

static int64_t pick(uint64_t *seed, int64_t min, int64_t max)
{
	return min + (int64_t)(fabsf(net_random(seed)) * (float)(max - min + 1)) % (max - min + 1);
}

static void check(enum gyr_op op, uint64_t *seed)
{
	int64_t rank = pick(seed, 1, 3), groups = pick(seed, 1, 3), in = pick(seed, 1, 9), out = pick(seed, 1, 9);
	int64_t strides[3], dilations[3], pads[6], more[3];
	char x_text[64], w_text[64], b_text[64];
	int x_used, w_used;
	if (groups > 1 && net_random(seed) > 0)
		in = out = 1; /* depthwise */
	x_used = snprintf(x_text, sizeof x_text, "f32[N,%lld", (long long)(groups * in));
	w_used = op == GYR_OP_CONV ? snprintf(w_text, sizeof w_text, "f32[%lld,%lld", (long long)(groups * out), (long long)in)
				   : snprintf(w_text, sizeof w_text, "f32[%lld,%lld", (long long)(groups * in), (long long)out);
	snprintf(b_text, sizeof b_text, "f32[%lld]", (long long)(groups * out));
	for (int64_t i = 0; i < rank; i++) {
		int64_t kernel = pick(seed, 1, 3);
		strides[i] = pick(seed, 1, 3);
		dilations[i] = pick(seed, 1, 2);
		pads[i] = pick(seed, 0, kernel - 1);
		pads[rank + i] = pick(seed, 0, kernel - 1);
		more[i] = pick(seed, 0, strides[i] - 1);
		x_used += snprintf(x_text + x_used, sizeof x_text - (size_t)x_used, ",%lld", (long long)pick(seed, 5, 9));
		w_used += snprintf(w_text + w_used, sizeof w_text - (size_t)w_used, ",%lld", (long long)kernel);
	}
	snprintf(x_text + x_used, sizeof x_text - (size_t)x_used, "]");
	snprintf(w_text + w_used, sizeof w_text - (size_t)w_used, "]");
	const struct gyr_attribute attributes[] = {
		{.name = "strides", .type = GYR_ATTRIBUTE_INTS, .integers = {(uint32_t)rank, strides}},
		{.name = "dilations", .type = GYR_ATTRIBUTE_INTS, .integers = {(uint32_t)rank, dilations}},
		{.name = "pads", .type = GYR_ATTRIBUTE_INTS, .integers = {(uint32_t)(2 * rank), pads}},
		{.name = "group", .type = GYR_ATTRIBUTE_INT, .integer = groups},
		{.name = "output_padding", .type = GYR_ATTRIBUTE_INTS, .integers = {(uint32_t)rank, more}},
	};
	struct gyr_graph *graph = gyr_graph_create("convolution", 13);
	uint32_t x = net_input(graph, x_text), w = net_weights(graph, w_text, 1, seed), y;
	const uint32_t inputs[] = {x, w, net_random(seed) > 0 ? net_weights(graph, b_text, 1, seed) : GYR_VALUE_NONE};
	assert_int_equal(gyr_graph_add_value(graph, "y", NULL, NULL, false, &y, NULL), 0);
	const struct gyr_node node = {.op = op,
				      .name = "convolution",
				      .input_count = inputs[2] == GYR_VALUE_NONE ? 2 : 3,
				      .output_count = 1,
				      .attribute_count = op == GYR_OP_CONV ? 4 : 5,
				      .inputs = inputs,
				      .outputs = &y,
				      .attributes = attributes};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	net_finish(graph, y);
	net_compare(graph, 1, 1e-5f);
	gyr_graph_destroy(graph);
}

static void test_conv(void **state)
{
	uint64_t seed = 1;
	for (int round = 0; round < 12; round++)
		check(GYR_OP_CONV, &seed);
}

static void test_conv_transpose(void **state)
{
	uint64_t seed = 2;
	for (int round = 0; round < 12; round++)
		check(GYR_OP_CONV_TRANSPOSE, &seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conv),
		cmocka_unit_test(test_conv_transpose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
