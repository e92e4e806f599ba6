/*
 * Random nets of convolutions and what stands between them: the plan, which has their channels last and takes activations and sums into the convolutions,
 * against the plain twins.
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

static int64_t pick(uint64_t *seed, int64_t min, int64_t max)
{
	return min + (int64_t)(fabsf(net_random(seed)) * (float)(max - min + 1)) % (max - min + 1);
}

/* A net on its way: the value that the next node reads, and its channels, height and width (rank 3: width alone). */
struct build {
	struct gyr_graph *graph;
	uint64_t *seed;
	uint32_t rank, at;
	int64_t channels, sizes[2];
	uint32_t names;
};

static uint32_t new_value(struct build *build)
{
	char name[16];
	uint32_t value;
	snprintf(name, sizeof name, "v%u", build->names++);
	assert_int_equal(gyr_graph_add_value(build->graph, name, NULL, NULL, false, &value, NULL), 0);
	return value;
}

static uint32_t add_node(struct build *build, enum gyr_op op, uint32_t input_count, const uint32_t *inputs, uint32_t attribute_count,
			 const struct gyr_attribute *attributes)
{
	uint32_t y = new_value(build);
	const struct gyr_node node = {.op = op,
				      .input_count = input_count,
				      .output_count = 1,
				      .attribute_count = attribute_count,
				      .inputs = inputs,
				      .outputs = &y,
				      .attributes = attributes};
	assert_int_equal(gyr_graph_add_node(build->graph, &node, NULL), 0);
	return y;
}

static void conv(struct build *build, int64_t out, int64_t groups, bool same_size)
{
	const uint32_t spatial = build->rank - 2;
	int64_t kernel[2], strides[2], dilations[2], pads[4];
	char w_text[64], b_text[32];
	int used = snprintf(w_text, sizeof w_text, "f32[%lld,%lld", (long long)out, (long long)(build->channels / groups));
	for (uint32_t i = 0; i < spatial; i++) {
		int64_t *size = &build->sizes[i + 2 - spatial];
		kernel[i] = same_size ? 1 + 2 * pick(build->seed, 0, 1) : pick(build->seed, 1, 4);
		dilations[i] = pick(build->seed, 1, 2);
		strides[i] = same_size ? 1 : pick(build->seed, 1, 3);
		pads[i] = same_size ? kernel[i] / 2 * dilations[i] : pick(build->seed, 0, kernel[i] - 1);
		pads[spatial + i] = same_size ? pads[i] : pick(build->seed, 0, kernel[i] - 1);
		while (*size + pads[i] + pads[spatial + i] < (kernel[i] - 1) * dilations[i] + 1)
			pads[spatial + i]++;
		*size = (*size + pads[i] + pads[spatial + i] - (kernel[i] - 1) * dilations[i] - 1) / strides[i] + 1;
		used += snprintf(w_text + used, sizeof w_text - (size_t)used, ",%lld", (long long)kernel[i]);
	}
	snprintf(w_text + used, sizeof w_text - (size_t)used, "]");
	snprintf(b_text, sizeof b_text, "f32[%lld]", (long long)out);
	const struct gyr_attribute attributes[] = {
		{.name = "strides", .type = GYR_ATTRIBUTE_INTS, .integers = {spatial, strides}},
		{.name = "dilations", .type = GYR_ATTRIBUTE_INTS, .integers = {spatial, dilations}},
		{.name = "pads", .type = GYR_ATTRIBUTE_INTS, .integers = {2 * spatial, pads}},
		{.name = "group", .type = GYR_ATTRIBUTE_INT, .integer = groups},
	};
	float scale = 2 / sqrtf((float)(build->channels / groups) * 4);
	const uint32_t inputs[] = {build->at, net_weights(build->graph, w_text, scale, build->seed), net_weights(build->graph, b_text, 1, build->seed)};
	build->at = add_node(build, GYR_OP_CONV, pick(build->seed, 2, 3) == 2 ? 2 : 3, inputs, 4, attributes);
	build->channels = out;
}

/* HardSwish, in the ways in which exporters write it. */
static uint32_t swish(struct build *build, uint32_t x, int64_t way)
{
	struct gyr_graph *graph = build->graph;
	uint32_t three = net_constant(graph, "f32[]", &(float){3}), six = net_constant(graph, "f32[1]", &(float){6}),
		 zero = net_constant(graph, "f32[]", &(float){0});
	if (way == 3) {
		const struct gyr_attribute alpha = {.name = "alpha", .type = GYR_ATTRIBUTE_FLOAT, .number = 1.0f / 6};
		uint32_t gate = add_node(build, GYR_OP_HARD_SIGMOID, 1, &x, 1, &alpha);
		return add_node(build, GYR_OP_MUL, 2, (const uint32_t[]){gate, x}, 0, NULL);
	}
	uint32_t gate = add_node(build, GYR_OP_ADD, 2, (const uint32_t[]){x, three}, 0, NULL);
	gate = add_node(build, GYR_OP_CLIP, 3, (const uint32_t[]){gate, zero, net_constant(graph, "f32[]", &(float){6})}, 0, NULL);
	if (way == 0) {
		uint32_t product = add_node(build, GYR_OP_MUL, 2, (const uint32_t[]){x, gate}, 0, NULL);
		return add_node(build, GYR_OP_DIV, 2, (const uint32_t[]){product, six}, 0, NULL);
	}
	if (way == 1)
		gate = add_node(build, GYR_OP_DIV, 2, (const uint32_t[]){gate, six}, 0, NULL);
	else
		gate = add_node(build, GYR_OP_MUL, 2, (const uint32_t[]){net_constant(graph, "f32[]", &(float){1.0f / 6}), gate}, 0, NULL);
	return add_node(build, GYR_OP_MUL, 2, (const uint32_t[]){gate, x}, 0, NULL);
}

static void activation(struct build *build)
{
	static const enum gyr_op ops[] = {GYR_OP_RELU, GYR_OP_LEAKY_RELU, GYR_OP_SIGMOID, GYR_OP_TANH, GYR_OP_HARD_SIGMOID, GYR_OP_HARD_SWISH, GYR_OP_SOFTPLUS};
	int64_t which = pick(build->seed, 0, 8);
	if (which == 8) {
		build->at = swish(build, build->at, pick(build->seed, 0, 3));
		return;
	}
	if (which < 7) {
		build->at = add_node(build, ops[which], 1, &build->at, 0, NULL);
		return;
	}
	const uint32_t inputs[] = {build->at, net_constant(build->graph, "f32[]", &(float){-0.5f}), net_constant(build->graph, "f32[]", &(float){0.75f})};
	build->at = add_node(build, GYR_OP_CLIP, (uint32_t)pick(build->seed, 2, 3), inputs, 0, NULL);
}

/* One number a channel, from all pixels, times every pixel. */
static void squeeze(struct build *build)
{
	uint32_t whole = build->at;
	int64_t sizes[2] = {build->sizes[0], build->sizes[1]}, channels = build->channels;
	build->at = add_node(build, pick(build->seed, 0, 1) == 0 ? GYR_OP_GLOBAL_AVERAGE_POOL : GYR_OP_GLOBAL_MAX_POOL, 1, &whole, 0, NULL);
	build->sizes[0] = build->sizes[1] = 1;
	conv(build, channels, 1, true);
	build->at = add_node(build, GYR_OP_SIGMOID, 1, &build->at, 0, NULL);
	build->at = add_node(build, GYR_OP_MUL, 2, (const uint32_t[]){build->at, whole}, 0, NULL);
	build->sizes[0] = sizes[0];
	build->sizes[1] = sizes[1];
}

static void pool(struct build *build)
{
	const uint32_t spatial = build->rank - 2;
	int64_t kernel[2] = {2, 2}, strides[2] = {pick(build->seed, 1, 2), pick(build->seed, 1, 2)}, pads[4] = {1, 1, 1, 1};
	bool ceil = pick(build->seed, 0, 1) == 1, most = pick(build->seed, 0, 1) == 1;
	const struct gyr_attribute attributes[] = {
		{.name = "kernel_shape", .type = GYR_ATTRIBUTE_INTS, .integers = {spatial, kernel}},
		{.name = "strides", .type = GYR_ATTRIBUTE_INTS, .integers = {spatial, strides}},
		{.name = "pads", .type = GYR_ATTRIBUTE_INTS, .integers = {2 * spatial, pads}},
		{.name = ceil ? "ceil_mode" : "count_include_pad", .type = GYR_ATTRIBUTE_INT, .integer = 1},
	};
	for (uint32_t i = 0; i < spatial; i++) {
		int64_t *size = &build->sizes[i + 2 - spatial], last = (*size) % strides[i];
		*size = *size / strides[i] + 1 + (ceil && last != 0 && (*size / strides[i] + 1) * strides[i] < *size + 1);
	}
	build->at = add_node(build, most ? GYR_OP_MAX_POOL : GYR_OP_AVERAGE_POOL, 1, &build->at, most && !ceil ? 3 : 4, attributes);
}

/* Channels in two groups, shuffled. */
static void shuffle(struct build *build)
{
	if (build->rank != 4 || build->channels % 2 != 0)
		return;
	const int64_t apart[5] = {0, 2, build->channels / 2, build->sizes[0], build->sizes[1]},
		      together[4] = {0, build->channels, build->sizes[0], build->sizes[1]};
	const int64_t perm[5] = {0, 2, 1, 3, 4};
	const struct gyr_attribute attribute = {.name = "perm", .type = GYR_ATTRIBUTE_INTS, .integers = {5, perm}};
	build->at = add_node(build, GYR_OP_RESHAPE, 2, (const uint32_t[]){build->at, net_constant(build->graph, "i64[5]", apart)}, 0, NULL);
	build->at = add_node(build, GYR_OP_TRANSPOSE, 1, &build->at, 1, &attribute);
	build->at = add_node(build, GYR_OP_RESHAPE, 2, (const uint32_t[]){build->at, net_constant(build->graph, "i64[4]", together)}, 0, NULL);
}

static void constant(struct build *build)
{
	char text[64];
	snprintf(text, sizeof text, build->rank == 4 ? "f32[%lld,1,1]" : "f32[%lld,1]", (long long)build->channels);
	if (pick(build->seed, 0, 1) == 0 && build->rank == 4)
		snprintf(text, sizeof text, "f32[%lld,%lld]", (long long)build->sizes[0], (long long)build->sizes[1]);
	build->at = add_node(build, pick(build->seed, 0, 1) == 0 ? GYR_OP_ADD : GYR_OP_PRELU, 2,
			     (const uint32_t[]){build->at, net_weights(build->graph, text, 1, build->seed)}, 0, NULL);
}

static void step(struct build *build)
{
	struct build before = *build;
	switch (pick(build->seed, 0, 8)) {
	case 0: conv(build, pick(build->seed, 1, 70), 1, false); break;
	case 1: conv(build, build->channels, build->channels, false); break;
	case 2: conv(build, 2 * pick(build->seed, 1, 20), build->channels % 2 == 0 ? 2 : 1, false); break;
	case 3: squeeze(build); break;
	case 4: pool(build); break;
	case 5: shuffle(build); break;
	case 6: constant(build); break;
	default: /* around something: what comes out, and what went in */
		conv(build, pick(build->seed, 0, 1) == 0 ? build->channels : pick(build->seed, 1, 40), 1, true);
		if (pick(build->seed, 0, 1) == 0)
			activation(build);
		if (build->channels == before.channels && pick(build->seed, 0, 1) == 0) {
			build->at = add_node(build, GYR_OP_ADD, 2, (const uint32_t[]){before.at, build->at}, 0, NULL);
			break;
		}
		const struct gyr_attribute axis = {.name = "axis", .type = GYR_ATTRIBUTE_INT, .integer = 1};
		build->at = add_node(build, GYR_OP_CONCAT, 2, (const uint32_t[]){build->at, before.at}, 1, &axis);
		build->channels += before.channels;
	}
	if (pick(build->seed, 0, 1) == 0)
		activation(build);
}

static struct gyr_graph *make_net(uint64_t seed)
{
	char text[64];
	struct build build = {.graph = gyr_graph_create("layout", 14), .seed = &seed, .rank = seed % 4 == 0 ? 3 : 4, .channels = pick(&seed, 1, 20)};
	build.sizes[0] = build.rank == 3 ? 1 : pick(&seed, 3, 9);
	build.sizes[1] = pick(&seed, 3, 9);
	snprintf(text, sizeof text, build.rank == 3 ? "f32[N,%lld,%lld]" : "f32[N,%lld,%lld,%lld]", (long long)build.channels,
		 (long long)build.sizes[build.rank == 3 ? 1 : 0], (long long)build.sizes[1]);
	build.at = net_input(build.graph, text);
	for (int64_t steps = pick(&seed, 2, 6); steps > 0; steps--)
		step(&build);
	if (pick(&seed, 0, 1) == 0)
		build.at = add_node(&build, GYR_OP_FLATTEN, 1, &build.at, 0, NULL);
	build.at = add_node(&build, GYR_OP_NEG, 1, &build.at, 0, NULL);
	net_finish(build.graph, build.at);
	return build.graph;
}

static void test_random_nets(void **state)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct gyr_graph *graph = make_net(seed * 7919);
		net_compare(graph, 1, 2e-5f);
		gyr_graph_destroy(graph);
	}
}

/* How many nodes of operator OP the draft of GRAPH has behind all passes, and how many in all. */
static uint32_t count_nodes(const struct gyr_graph *graph, enum gyr_op op, uint32_t *all)
{
	struct gyr_special special;
	struct gyr_draft draft;
	struct gyr_arena arena;
	uint32_t count = 0;
	gyr_arena_init(&arena, 0);
	assert_int_equal(gyr_specialise(graph, 1, NULL, &arena, &special, NULL), 0);
	assert_int_equal(gyr_draft_init(&draft, graph, &special, 1, NULL), 0);
	assert_int_equal(gyr_draft_fuse(&draft, NULL), 0);
	for (uint32_t n = 0; n < draft.node_count; n++)
		count += !draft.nodes[n].dead && draft.nodes[n].source->op == op;
	*all = draft.node_count;
	gyr_draft_fini(&draft);
	gyr_arena_fini(&arena);
	return count;
}

/* Reorders stand at the edges alone: at the input, and before what needs the channels first. */
static void test_reorders(void **state)
{
	uint64_t seed = 3;
	uint32_t all;
	struct build build = {.graph = gyr_graph_create("layout", 14), .seed = &seed, .rank = 4, .channels = 6, .sizes = {8, 8}};
	build.at = net_input(build.graph, "f32[N,6,8,8]");
	conv(&build, 20, 1, true);
	build.at = add_node(&build, GYR_OP_RELU, 1, &build.at, 0, NULL);
	uint32_t before = build.at;
	conv(&build, 20, 20, true);
	build.at = add_node(&build, GYR_OP_ADD, 2, (const uint32_t[]){before, build.at}, 0, NULL);
	build.at = add_node(&build, GYR_OP_HARD_SWISH, 1, &build.at, 0, NULL);
	squeeze(&build);
	net_finish(build.graph, add_node(&build, GYR_OP_FLATTEN, 1, &build.at, 0, NULL));
	assert_int_equal(count_nodes(build.graph, GYR_OP_TRANSPOSE, &all), 2);
	assert_int_equal(all, 7); /* three convolutions, a pooling and a product besides */
	net_compare(build.graph, 1, 2e-5f);
	gyr_graph_destroy(build.graph);
}

/* Each way of writing HardSwish becomes one, and part of the convolution before it; what is nearly one does not. */
static void test_swish(void **state)
{
	for (int64_t way = 0; way < 6; way++) {
		uint64_t seed = 4;
		uint32_t all, y;
		struct build build = {.graph = gyr_graph_create("swish", 14), .seed = &seed, .rank = 4, .channels = 6, .sizes = {5, 5}};
		build.at = net_input(build.graph, "f32[N,6,5,5]");
		conv(&build, 20, 1, true);
		if (way == 4) /* of something else */
			y = add_node(&build, GYR_OP_MUL, 2, (const uint32_t[]){swish(&build, build.at, 3), build.at}, 0, NULL);
		else if (way == 5) /* its gate is read by another as well */
			y = add_node(&build, GYR_OP_ADD, 2, (const uint32_t[]){swish(&build, build.at, 3), build.graph->nodes[1].outputs[0]}, 0, NULL);
		else
			y = swish(&build, build.at, way);
		net_finish(build.graph, y);
		(void)count_nodes(build.graph, GYR_OP_TRANSPOSE, &all);
		assert_int_equal(all, way < 4 ? 3 : way == 4 ? 5 : 6);
		net_compare(build.graph, 4, 2e-5f);
		gyr_graph_destroy(build.graph);
	}
}

/* NaN and infinities come out where the twin has them. */
static void test_specials(void **state)
{
	uint64_t seed = 5;
	struct build build = {.graph = gyr_graph_create("layout", 14), .seed = &seed, .rank = 4, .channels = 3, .sizes = {6, 5}};
	build.at = net_input(build.graph, "f32[N,3,6,5]");
	conv(&build, 18, 1, true);
	build.at = add_node(&build, GYR_OP_RELU, 1, &build.at, 0, NULL);
	conv(&build, 18, 18, true);
	pool(&build);
	build.at = add_node(&build, GYR_OP_CLIP, 1, &build.at, 0, NULL);
	net_finish(build.graph, build.at);
	struct gyr_plan *plan = net_plan(build.graph, 1, false), *twin = net_plan(build.graph, 1, true);
	float input[90], *got, *expected;
	size_t count;
	assert_true(gyr_shape_count(gyr_plan_output_shape(plan, 0), 1, &count));
	got = malloc(count * sizeof *got);
	expected = malloc(count * sizeof *expected);
	void *scratch = aligned_alloc(64, gyr_plan_scratch_bytes(plan) + 64), *twin_scratch = aligned_alloc(64, gyr_plan_scratch_bytes(twin) + 64);
	for (int round = 0; round < 30; round++) {
		static const float specials[3] = {NAN, INFINITY, -INFINITY};
		for (size_t i = 0; i < 90; i++)
			input[i] = net_random(&seed);
		input[pick(&seed, 0, 89)] = specials[round % 3];
		gyr_plan_run(plan, 1, (const void *const[]){input}, (void *const[]){got}, scratch);
		gyr_plan_run(twin, 1, (const void *const[]){input}, (void *const[]){expected}, twin_scratch);
		for (size_t i = 0; i < count; i++) {
			if (isnan(expected[i]) || isinf(expected[i]))
				assert_true(isnan(expected[i]) ? isnan(got[i]) : got[i] == expected[i]);
			else
				assert_true(fabsf(got[i] - expected[i]) <= 2e-5f * (1 + fabsf(expected[i])));
		}
	}
	free(got);
	free(expected);
	free(scratch);
	free(twin_scratch);
	gyr_plan_destroy(plan);
	gyr_plan_destroy(twin);
	gyr_graph_destroy(build.graph);
}

/* A 3x3 convolution that is large enough for Winograd's way: an input, it, a sum and an activation. */
static struct gyr_graph *make_3x3(uint64_t *seed, const char *input, int64_t channels, int64_t out, int64_t height, int64_t width)
{
	char text[64];
	struct build build = {.graph = gyr_graph_create("3x3", 14), .seed = seed, .rank = 4, .channels = channels, .sizes = {height, width}};
	int64_t pads[4] = {pick(seed, 0, 1), pick(seed, 0, 1), pick(seed, 0, 2), pick(seed, 0, 1)};
	const struct gyr_attribute attribute = {.name = "pads", .type = GYR_ATTRIBUTE_INTS, .integers = {4, pads}};
	float scale = 1 / sqrtf((float)channels);
	build.at = net_input(build.graph, input);
	snprintf(text, sizeof text, "f32[%lld,%lld,3,3]", (long long)out, (long long)channels);
	uint32_t inputs[3] = {build.at, net_weights(build.graph, text, scale, seed), 0};
	snprintf(text, sizeof text, "f32[%lld]", (long long)out);
	inputs[2] = net_weights(build.graph, text, 1, seed);
	build.at = add_node(&build, GYR_OP_CONV, 3, inputs, 1, &attribute);
	build.channels = out;
	if (pick(seed, 0, 1) == 0)
		activation(&build);
	net_finish(build.graph, add_node(&build, GYR_OP_NEG, 1, &build.at, 0, NULL));
	return build.graph;
}

static void test_3x3(void **state)
{
	uint64_t seed = 11;
	for (int round = 0; round < 3; round++) {
		char text[64];
		int64_t channels = pick(&seed, 16, 24), out = pick(&seed, 16, 40), height = pick(&seed, 11, 15), width = pick(&seed, 11, 14);
		snprintf(text, sizeof text, "f32[N,%lld,%lld,%lld]", (long long)channels, (long long)height, (long long)width);
		struct gyr_graph *graph = make_3x3(&seed, text, channels, out, height, width);
		net_compare(graph, 1, 2e-5f);
		gyr_graph_destroy(graph);
	}
}

/* A tile that outweighs the others, and what is not finite: as the twin has it, and no other row of the batch sees it. */
static void test_3x3_specials(void **state)
{
	enum { IN = 20 * 16 * 13, ROUNDS = 12 };
	uint64_t seed = 12;
	struct gyr_graph *graph = make_3x3(&seed, "f32[N,20,16,13]", 20, 18, 16, 13);
	struct gyr_plan *plan = net_plan(graph, 2, false), *twin = net_plan(graph, 2, true);
	size_t count;
	assert_true(gyr_shape_count(gyr_plan_output_shape(plan, 0), 1, &count));
	float *input = malloc(2 * IN * sizeof *input), *got = malloc(2 * count * sizeof *got), *expected = malloc(2 * count * sizeof *expected);
	float *before = malloc(count * sizeof *before);
	void *scratch = aligned_alloc(64, gyr_plan_scratch_bytes(plan) / 64 * 64 + 64),
	     *twin_scratch = aligned_alloc(64, gyr_plan_scratch_bytes(twin) / 64 * 64 + 64);
	for (int round = 0; round < ROUNDS; round++) {
		static const float specials[] = {0, 1e6f, 3e38f, INFINITY, -INFINITY, NAN};
		for (size_t i = 0; i < 2 * IN; i++)
			input[i] = i < IN || round == 0 ? net_random(&seed) : input[i];
		if (round > 0)
			input[pick(&seed, 0, IN - 1)] = specials[round % 6];
		gyr_plan_run(plan, 2, (const void *const[]){input}, (void *const[]){got}, scratch);
		gyr_plan_run(twin, 2, (const void *const[]){input}, (void *const[]){expected}, twin_scratch);
		for (size_t i = 0; i < 2 * count; i++) {
			if (isnan(expected[i]) || isinf(expected[i]))
				assert_true(isnan(expected[i]) ? isnan(got[i]) : got[i] == expected[i]);
			else
				assert_true(fabsf(got[i] - expected[i]) <= 2e-5f * (1 + fabsf(expected[i])));
		}
		if (round > 0)
			assert_memory_equal(got + count, before, count * sizeof *before);
		memcpy(before, got + count, count * sizeof *before);
	}
	free(input);
	free(got);
	free(expected);
	free(before);
	free(scratch);
	free(twin_scratch);
	gyr_plan_destroy(plan);
	gyr_plan_destroy(twin);
	gyr_graph_destroy(graph);
}

/* Shuffled channels that are read first by what wants the channels first, and then beside a twin: their twin has to be made again. */
static void test_shuffle_read_twice(void **state)
{
	static const int64_t axes[2] = {2, 3};
	const struct gyr_attribute attribute = {.name = "axes", .type = GYR_ATTRIBUTE_INTS, .integers = {2, axes}};
	uint64_t seed = 5;
	struct build build = {.graph = gyr_graph_create("shuffle", 14), .seed = &seed, .rank = 4, .channels = 5, .sizes = {6, 7}};
	build.at = net_input(build.graph, "f32[N,5,6,7]");
	conv(&build, 12, 1, true);
	shuffle(&build);
	const uint32_t shuffled = build.at;
	build.at = add_node(&build, GYR_OP_REDUCE_MEAN, 1, &shuffled, 1, &attribute);
	build.at = net_op1(build.graph, GYR_OP_SIGMOID, net_op2(build.graph, GYR_OP_CONV, build.at, net_weights(build.graph, "f32[12,12,1,1]", 1, &seed)));
	net_finish(build.graph, net_op2(build.graph, GYR_OP_MUL, shuffled, build.at));
	net_compare(build.graph, 1, 2e-5f);
	gyr_graph_destroy(build.graph);
}

/* The weights of one convolution are those of another of a smaller image, or, in another shape, of one with other taps: each has them packed its own way. */
static void test_shared_weights(void **state)
{
	for (int way = 0; way < 4; way++) {
		uint64_t seed = 13;
		const bool reshaped = way % 2 == 1;
		const int64_t ones[4] = {1, 1, 1, 1}, fours[2] = {4, 4}, shape[4] = {16, 144, 1, 1}, image[4] = {0, 144, 4, 4};
		const struct gyr_attribute pads = {.name = "pads", .type = GYR_ATTRIBUTE_INTS, .integers = {4, ones}};
		const struct gyr_attribute window[] = {{.name = "kernel_shape", .type = GYR_ATTRIBUTE_INTS, .integers = {2, fours}},
						       {.name = "strides", .type = GYR_ATTRIBUTE_INTS, .integers = {2, fours}}};
		struct build build = {.graph = gyr_graph_create("shared", 14), .seed = &seed, .rank = 4};
		uint32_t x = net_input(build.graph, "f32[N,16,12,12]"), w = net_weights(build.graph, "f32[16,16,3,3]", 0.1f, &seed), results[2];
		for (int i = 0; i < 2; i++) {
			if (i == way / 2) {
				results[i] = add_node(&build, GYR_OP_CONV, 2, (const uint32_t[]){x, w}, 1, &pads);
			} else if (reshaped) {
				uint32_t view = net_op2(build.graph, GYR_OP_RESHAPE, w, net_constant(build.graph, "i64[4]", shape));
				uint32_t from = net_op2(build.graph, GYR_OP_RESHAPE, x, net_constant(build.graph, "i64[4]", image));
				results[i] = add_node(&build, GYR_OP_CONV, 2, (const uint32_t[]){from, view}, 0, NULL);
			} else {
				uint32_t from = add_node(&build, GYR_OP_MAX_POOL, 1, &x, 2, window);
				results[i] = add_node(&build, GYR_OP_CONV, 2, (const uint32_t[]){from, w}, 1, &pads);
			}
			results[i] = net_op1(build.graph, i == way / 2 ? GYR_OP_RELU : GYR_OP_GLOBAL_MAX_POOL, results[i]);
		}
		net_finish(build.graph, net_op2(build.graph, GYR_OP_ADD, results[0], results[1]));
		struct gyr_plan *plan = net_plan(build.graph, 2, false), *twin = net_plan(build.graph, 2, true);
		size_t count;
		float *got = net_run(plan, 2, 1, 1, 1, &count), *expected = net_run(twin, 2, 1, 1, 1, &count);
		for (size_t i = 0; i < count; i++)
			assert_true(fabsf(got[i] - expected[i]) <= 2e-5f * (1 + fabsf(expected[i])));
		free(got);
		free(expected);
		gyr_plan_destroy(plan);
		gyr_plan_destroy(twin);
		gyr_graph_destroy(build.graph);
	}
}

/* An image without a pixel, which padding makes one that is zero: the result is the bias. */
static void test_nothing_but_padding(void **state)
{
	const int64_t twos[4] = {2, 2, 2, 2};
	const struct gyr_attribute pads = {.name = "pads", .type = GYR_ATTRIBUTE_INTS, .integers = {4, twos}};
	uint64_t seed = 17;
	struct build build = {.graph = gyr_graph_create("empty", 14), .seed = &seed, .rank = 4};
	uint32_t x = net_input(build.graph, "f32[N,3,0,5]");
	const uint32_t inputs[] = {x, net_weights(build.graph, "f32[4,3,3,3]", 1, &seed), net_weights(build.graph, "f32[4]", 1, &seed)};
	net_finish(build.graph, add_node(&build, GYR_OP_CONV, 3, inputs, 1, &pads));
	net_compare(build.graph, 1, 1e-6f);
	gyr_graph_destroy(build.graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_nets),
		cmocka_unit_test(test_reorders),
		cmocka_unit_test(test_swish),
		cmocka_unit_test(test_specials),
		cmocka_unit_test(test_3x3),
		cmocka_unit_test(test_3x3_specials),
		cmocka_unit_test(test_shuffle_read_twice),
		cmocka_unit_test(test_shared_weights),
		cmocka_unit_test(test_nothing_but_padding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
