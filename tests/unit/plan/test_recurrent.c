/*
 * RNN, GRU and LSTM: the kernels against their twin, and in graphs.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/recurrent.h"
#include "net.h"

#define NONE GYR_VALUE_NONE
#define ROUNDS 400

static size_t up_to(size_t most, uint64_t *seed)
{
	return 1 + (size_t)(fabsf(net_random(seed)) * (float)most);
}

static bool one_in(int n, uint64_t *seed)
{
	return up_to((size_t)n, seed) == 1;
}

/* COUNT floats of [-SCALE, SCALE), 4 bytes off any alignment; NULL unless WANTED. Free them by give_back. */
static float *some(bool wanted, size_t count, float scale, uint64_t *seed)
{
	if (!wanted)
		return NULL;
	float *at = malloc((count + 1) * sizeof *at);
	assert_non_null(at);
	for (size_t i = 0; i < count + 1; i++)
		at[i] = net_random(seed) * scale;
	return at + 1;
}

static void give_back(const void *at)
{
	if (at != NULL)
		free((float *)(uintptr_t)at - 1);
}

static void same(const char *what, const float *got, const float *expected, size_t count, float tolerance)
{
	for (size_t i = 0; i < count; i++)
		if (got[i] != expected[i] && !(fabsf(got[i] - expected[i]) <= tolerance * (1 + fabsf(expected[i]))) && !(isnan(got[i]) && isnan(expected[i])))
			fail_msg("%s at %zu: %.9g, not %.9g", what, i, (double)got[i], (double)expected[i]);
}

static struct gyr_recurrent random_cell(uint64_t *seed)
{
	static const enum gyr_op ops[] = {GYR_OP_RNN, GYR_OP_GRU, GYR_OP_LSTM};
	struct gyr_recurrent r = {.steps = up_to(7, seed), .batch = up_to(15, seed), .inputs = up_to(40, seed), .units = up_to(70, seed)};
	enum gyr_op op = ops[up_to(3, seed) - 1];
	r.cell = (struct gyr_recurrent_cell){.op = op,
					     .gates = op == GYR_OP_LSTM  ? 4
						      : op == GYR_OP_GRU ? 3
									 : 1,
					     .functions = op == GYR_OP_LSTM  ? 3
							  : op == GYR_OP_GRU ? 2
									     : 1,
					     .directions = one_in(3, seed) ? 2 : 1,
					     .reverse = one_in(3, seed),
					     .batch_first = one_in(2, seed),
					     .input_forget = op == GYR_OP_LSTM && one_in(4, seed),
					     .linear_before_reset = op == GYR_OP_GRU && one_in(2, seed),
					     .clip = one_in(4, seed) ? 0.5f : INFINITY};
	r.cell.reverse = r.cell.reverse && r.cell.directions == 1;
	r.peepholes = op == GYR_OP_LSTM && one_in(3, seed);
	for (int d = 0; d < 2; d++) {
		r.cell.activations[d][0].function = GYR_RECURRENT_SIGMOID;
		r.cell.activations[d][1].function = r.cell.activations[d][2].function = GYR_RECURRENT_TANH;
		if (op == GYR_OP_RNN)
			r.cell.activations[d][0].function = (enum gyr_recurrent_function)(up_to(3, seed) - 1);
	}
	return r;
}

/* Both of one cell on random tensors of [-SCALE, SCALE); EXTREME is put at a random place of X and of the first states. */
static void compare(const struct gyr_recurrent *r, float scale, float extreme, float tolerance, uint64_t *seed)
{
	size_t rows = r->cell.gates * r->units, d = r->cell.directions, y_count = r->steps * d * r->batch * r->units, state = d * r->batch * r->units;
	float *x = some(true, r->steps * r->batch * r->inputs, scale, seed), *h = some(!one_in(3, seed), state, 1, seed);
	float weight = 1 / sqrtf((float)(r->units + r->inputs));
	int32_t *lengths = one_in(3, seed) ? calloc(r->batch, sizeof *lengths) : NULL;
	for (size_t row = 0; row < r->batch && lengths != NULL; row++)
		lengths[row] = (int32_t)up_to(r->steps + 3, seed) - 2; /* also below 0 and above the steps */
	struct gyr_recurrent_ends ends[2];
	ends[0] = (struct gyr_recurrent_ends){
		.x = x,
		.w = some(true, d * rows * r->inputs, weight, seed),
		.r = some(true, d * rows * r->units, weight, seed),
		.b = some(!one_in(4, seed), d * 2 * rows, 1, seed),
		.lengths = lengths,
		.initial_h = h,
		.initial_c = some(r->cell.op == GYR_OP_LSTM && !one_in(3, seed), state, 2, seed),
		.p = some(r->peepholes, d * 3 * r->units, 1, seed),
	};
	for (size_t i = 0; i < d * rows * (r->inputs + r->units) && r->bf16; i++) {
		float *weights = (float *)(uintptr_t)(i < d * rows * r->inputs ? ends[0].w : ends[0].r);
		uint32_t *bits = (uint32_t *)(void *)(weights + (i < d * rows * r->inputs ? i : i - d * rows * r->inputs));
		*bits &= 0xffff0000u;
	}
	if (extreme != 0) {
		x[up_to(r->steps * r->batch * r->inputs, seed) - 1] = extreme;
		if (h != NULL)
			h[up_to(state, seed) - 1] = extreme;
	}
	bool y = !one_in(4, seed), y_h = !y || !one_in(3, seed), y_c = r->cell.op == GYR_OP_LSTM && !one_in(3, seed);
	for (int i = 0; i < 2; i++) {
		ends[i] = ends[0];
		ends[i].y = some(y, y_count, 9, seed);
		ends[i].y_h = some(y_h, state, 9, seed);
		ends[i].y_c = some(y_c, state, 9, seed);
	}
	size_t floats, bytes;
	assert_true(gyr_recurrent_packed_floats(r, &floats));
	assert_true(gyr_recurrent_scratch_bytes(r, &bytes));
	float *packed = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
	void *scratch = aligned_alloc(64, (bytes + 64) / 64 * 64), *twin = malloc(gyr_ref_recurrent_scratch_bytes(r));
	memset(scratch, 0xff, bytes);
	gyr_recurrent_pack(r, &ends[0], packed);
	gyr_recurrent_run(r, &ends[0], packed, scratch);
	gyr_ref_recurrent(r, &ends[1], twin);
	if (y)
		same("Y", ends[0].y, ends[1].y, y_count, tolerance);
	if (y_h)
		same("Y_h", ends[0].y_h, ends[1].y_h, state, tolerance);
	if (y_c)
		same("Y_c", ends[0].y_c, ends[1].y_c, state, tolerance);
	const void *const owned[] = {x,         ends[0].w,   ends[0].r,   ends[0].b, h,           ends[0].initial_c, ends[0].p,
				     ends[0].y, ends[0].y_h, ends[0].y_c, ends[1].y, ends[1].y_h, ends[1].y_c};
	for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
		give_back(owned[i]);
	free(lengths);
	free(packed);
	free(scratch);
	free(twin);
}

static void test_against_twin(void **state)
{
	uint64_t seed = 41;
	for (int round = 0; round < ROUNDS; round++) {
		const struct gyr_recurrent r = random_cell(&seed);
		assert_true(gyr_recurrent_supports(&r.cell));
		compare(&r, round % 5 == 0 ? 30.0f : 1.0f, 0, 2e-5f, &seed);
	}
}

/* Weights in bf16 are what the twin computes from rounded ones. */
static void test_bf16(void **state)
{
	uint64_t seed = 49;
	for (int round = 0; round < ROUNDS / 4; round++) {
		struct gyr_recurrent r = random_cell(&seed);
		r.bf16 = true;
		compare(&r, 1, 0, 2e-5f, &seed);
	}
}

static void test_extremes(void **state)
{
	static const float extremes[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-42f};
	uint64_t seed = 42;
	for (int round = 0; round < ROUNDS; round++) {
		struct gyr_recurrent r = random_cell(&seed);
		r.cell.clip = INFINITY;
		/* A Relu's sums may pass f32's range in the one order of adding and not in the other. */
		for (int d = 0; d < 2; d++)
			r.cell.activations[d][0].function =
				r.cell.activations[d][0].function == GYR_RECURRENT_RELU ? GYR_RECURRENT_TANH : r.cell.activations[d][0].function;
		compare(&r, 1, extremes[round % 6], 2e-4f, &seed);
	}
}

/* The functions as the twin has them, at points where they bend. */
static void test_functions(void **state)
{
	static const struct {
		enum gyr_recurrent_function function;
		float alpha, beta;
		double x, y;
	} points[] = {
		{GYR_RECURRENT_SIGMOID, 0, 0, 0, 0.5},
		{GYR_RECURRENT_SIGMOID, 0, 0, -1000, 0},
		{GYR_RECURRENT_TANH, 0, 0, 1000, 1},
		{GYR_RECURRENT_RELU, 0, 0, -2, 0},
		{GYR_RECURRENT_AFFINE, 2, 0.5, 3, 6.5},
		{GYR_RECURRENT_LEAKY_RELU, 0.25, 0, -4, -1},
		{GYR_RECURRENT_LEAKY_RELU, 0.25, 0, 4, 4},
		{GYR_RECURRENT_THRESHOLDED_RELU, 2, 0, 1.5, 0},
		{GYR_RECURRENT_THRESHOLDED_RELU, 2, 0, 2.5, 2.5},
		{GYR_RECURRENT_SCALED_TANH, 3, 1000, 1, 3},
		{GYR_RECURRENT_HARD_SIGMOID, 0.25, 0.5, 1, 0.75},
		{GYR_RECURRENT_HARD_SIGMOID, 0.25, 0.5, -9, 0},
		{GYR_RECURRENT_HARD_SIGMOID, 0.25, 0.5, 9, 1},
		{GYR_RECURRENT_ELU, 2, 0, -1000, -2},
		{GYR_RECURRENT_ELU, 2, 0, 5, 5},
		{GYR_RECURRENT_SOFTSIGN, 0, 0, -3, -0.75},
		{GYR_RECURRENT_SOFTSIGN, 0, 0, INFINITY, 1},
		{GYR_RECURRENT_SOFTPLUS, 0, 0, 1000, 1000},
		{GYR_RECURRENT_SOFTPLUS, 0, 0, -1000, 0},
	};
	for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
		const struct gyr_recurrent_activation activation = {points[i].function, points[i].alpha, points[i].beta};
		double got = gyr_ref_recurrent_activate(&activation, INFINITY, points[i].x);
		if (!(fabs(got - points[i].y) <= 1e-12))
			fail_msg("point %zu: %.17g, not %.17g", i, got, points[i].y);
		assert_true(isnan(gyr_ref_recurrent_activate(&activation, INFINITY, NAN)));
	}
	assert_true(gyr_ref_recurrent_activate(&(struct gyr_recurrent_activation){.function = GYR_RECURRENT_RELU}, 2, 5) == 2);
}

/* A node on INPUTS (NONE where left out) with up to three outputs. */
static void add_recurrent(struct gyr_graph *graph, enum gyr_op op, const uint32_t *inputs, uint32_t input_count, uint32_t *outputs, uint32_t output_count,
			  const struct gyr_attribute *attributes, uint32_t attribute_count)
{
	struct gyr_error error;
	char name[32];
	for (uint32_t o = 0; o < output_count; o++) {
		snprintf(name, sizeof name, "out%u", graph->value_count);
		assert_int_equal(gyr_graph_add_value(graph, name, NULL, NULL, false, &outputs[o], NULL), 0);
	}
	const struct gyr_node node = {.op = op,
				      .name = "cell",
				      .inputs = inputs,
				      .input_count = input_count,
				      .outputs = outputs,
				      .output_count = output_count,
				      .attributes = attributes,
				      .attribute_count = attribute_count};
	if (gyr_graph_add_node(graph, &node, &error) != 0)
		fail_msg("%s", error.text);
}

static uint32_t swapped(struct gyr_graph *graph, uint32_t x)
{
	const int64_t order[] = {1, 0, 2};
	const struct gyr_attribute perm = {.name = "perm", .type = GYR_ATTRIBUTE_INTS, .integers = {3, order}};
	uint32_t y;
	add_recurrent(graph, GYR_OP_TRANSPOSE, &x, 1, &y, 1, &perm, 1);
	return y;
}

static uint32_t vector_of(struct gyr_graph *graph, int64_t a)
{
	return net_constant(graph, "i64[1]", &a);
}

/* X (steps first) through a layer of 20 units on 12 features or 20, with zeros as its first states, as PyTorch writes it; NONE, or with STATES from outside. */
static uint32_t layer(struct gyr_graph *graph, uint32_t x, const char *w, uint32_t h, uint32_t c, uint32_t *outputs, uint64_t *seed)
{
	const uint32_t inputs[] = {
		x, net_weights(graph, w, 0.3f, seed), net_weights(graph, "f32[1,80,20]", 0.3f, seed), net_weights(graph, "f32[1,160]", 0.3f, seed), NONE, h, c};
	add_recurrent(graph, GYR_OP_LSTM, inputs, 7, outputs, 3, NULL, 0);
	return net_op2(graph, GYR_OP_SQUEEZE, outputs[0], vector_of(graph, 1));
}

/* Two layers between transposes, the first states made from the number of rows: rows are computed together, and come out as they do alone. */
static void test_batch_first(void **state)
{
	uint64_t seed = 43;
	struct gyr_graph *graph = gyr_graph_create("batch-first", 15);
	uint32_t x = net_input(graph, "f32[N,5,12]"), outputs[3];
	uint32_t n = net_node(graph, GYR_OP_SHAPE, x, NONE, NONE, "end", 1);
	uint32_t one = vector_of(graph, 1), shape = net_node(graph, GYR_OP_CONCAT, one, n, vector_of(graph, 20), "axis", 0);
	uint32_t zeros = net_op1(graph, GYR_OP_CONSTANT_OF_SHAPE, shape);
	uint32_t y = layer(graph, swapped(graph, x), "f32[1,80,12]", zeros, zeros, outputs, &seed);
	y = swapped(graph, layer(graph, y, "f32[1,80,20]", zeros, zeros, outputs, &seed));
	net_finish(graph, net_node(graph, GYR_OP_GATHER, y, net_constant(graph, "i64[]", &(int64_t){-1}), NONE, "axis", 1));
	net_compare(graph, 1, 2e-5f);
	struct gyr_plan *plan = net_plan(graph, 16, false);
	assert_int_equal(gyr_plan_batch_max(plan), 16);
	float rows[16][60], together[16][20], alone[20];
	void *scratch = aligned_alloc(64, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
	for (int i = 0; i < 16; i++)
		for (int k = 0; k < 60; k++)
			rows[i][k] = net_random(&seed);
	gyr_plan_run(plan, 16, (const void *const[]){rows}, (void *const[]){together}, scratch);
	for (int i = 0; i < 16; i++) {
		gyr_plan_run(plan, 1, (const void *const[]){rows[i]}, (void *const[]){alone}, scratch);
		same("row", together[i], alone, 20, 1e-6f);
	}
	free(scratch);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

/* A layer whose states are inputs and outputs, one step a call: step after step it gives what the whole window gives at once. */
static void test_state(void **state)
{
	float x[6][12], whole[6 * 20], y[20], h[2][20] = {{0}}, c[2][20] = {{0}}, last[2][20];
	uint64_t seed = 44;
	for (int i = 0; i < 72; i++)
		x[i / 12][i % 12] = net_random(&seed);
	for (int steps = 6; steps > 0; steps -= 5) {
		struct gyr_graph *graph = gyr_graph_create("state", 15);
		struct gyr_error error;
		uint32_t in = net_input(graph, steps == 6 ? "f32[6,1,12]" : "f32[1,1,12]"), h_in = net_input(graph, "f32[1,1,20]");
		uint32_t c_in = net_input(graph, "f32[1,1,20]"), outputs[3];
		uint64_t weights = 45;
		assert_int_equal(gyr_graph_add_output(graph, layer(graph, in, "f32[1,80,12]", h_in, c_in, outputs, &weights), NULL), 0);
		assert_int_equal(gyr_graph_add_output(graph, outputs[1], NULL), 0);
		assert_int_equal(gyr_graph_add_output(graph, outputs[2], NULL), 0);
		if (gyr_graph_finish(graph, &error) != 0)
			fail_msg("%s", error.text);
		struct gyr_plan *plan = net_plan(graph, 1, false);
		void *scratch = aligned_alloc(64, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
		if (steps == 6)
			gyr_plan_run(plan, 1, (const void *const[]){x, h[0], c[0]}, (void *const[]){whole, last[0], last[1]}, scratch);
		for (int step = 0; step < 6 && steps == 1; step++) {
			int from = step % 2;
			gyr_plan_run(plan, 1, (const void *const[]){x[step], h[from], c[from]}, (void *const[]){y, h[!from], c[!from]}, scratch);
			same("step", y, whole + (size_t)step * 20, 20, 1e-6f);
		}
		free(scratch);
		gyr_plan_destroy(plan);
		gyr_graph_destroy(graph);
	}
	same("h", h[0], last[0], 20, 1e-6f);
	same("c", c[0], last[1], 20, 1e-6f);
}

/* Weights that come with the run are packed in it. */
static void test_weights_from_outside(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("outside", 14);
	const uint32_t inputs[] = {net_input(graph, "f32[3,2,5]"), net_input(graph, "f32[1,21,5]"), net_input(graph, "f32[1,21,7]")};
	uint32_t y;
	add_recurrent(graph, GYR_OP_GRU, inputs, 3, &y, 1, NULL, 0);
	net_finish(graph, y);
	net_compare(graph, 0.5f, 2e-5f);
	gyr_graph_destroy(graph);
}

/* A plan in bf16 is off by its rounding, and says so. */
static void test_plan_in_bf16(void **state)
{
	uint64_t seed = 50;
	struct gyr_error error;
	struct gyr_plan *plans[2];
	struct gyr_graph *graph = gyr_graph_create("bf16", 14);
	const uint32_t inputs[] = {net_input(graph, "f32[9,1,33]"), net_weights(graph, "f32[1,84,33]", 0.4f, &seed),
				   net_weights(graph, "f32[1,84,21]", 0.4f, &seed)};
	uint32_t y;
	size_t count;
	add_recurrent(graph, GYR_OP_LSTM, inputs, 3, &y, 1, NULL, 0);
	net_finish(graph, y);
	float *answers[2], most = 0, off = 0;
	for (int i = 0; i < 2; i++) {
		const struct gyr_plan_options options = {.batch_max = 1, .precision = i == 0 ? GYR_PLAN_F32 : GYR_PLAN_BF16};
		if (gyr_plan_create(graph, &options, &plans[i], &error) != 0)
			fail_msg("%s", error.text);
		assert_int_equal(gyr_plan_precision(plans[i]), options.precision);
		answers[i] = net_run(plans[i], 1, 3, 1, 0, &count);
	}
	for (size_t i = 0; i < count; i++) {
		most = fmaxf(most, fabsf(answers[0][i]));
		off = fmaxf(off, fabsf(answers[0][i] - answers[1][i]));
	}
	assert_true(off > 0);
	assert_true(off < 0.01f * most);
	assert_true(gyr_plan_weight_bytes(plans[1]) < gyr_plan_weight_bytes(plans[0]) * 6 / 10);
	for (int i = 0; i < 2; i++) {
		free(answers[i]);
		gyr_plan_destroy(plans[i]);
	}
	gyr_graph_destroy(graph);
}

/* Activations that only the twin has. */
static void test_other_activations(void **state)
{
	static const char *const names[] = {"HardSigmoid", "Elu", "softsign"};
	static const float alphas[] = {0.3f, 1.5f};
	const struct gyr_attribute attributes[] = {{.name = "activations", .type = GYR_ATTRIBUTE_STRINGS, .strings = {3, names}},
						   {.name = "activation_alpha", .type = GYR_ATTRIBUTE_FLOATS, .numbers = {2, alphas}}};
	uint64_t seed = 46;
	struct gyr_graph *graph = gyr_graph_create("activations", 14);
	const uint32_t inputs[] = {net_input(graph, "f32[3,2,5]"), net_weights(graph, "f32[1,28,5]", 1, &seed), net_weights(graph, "f32[1,28,7]", 1, &seed)};
	uint32_t y;
	add_recurrent(graph, GYR_OP_LSTM, inputs, 3, &y, 1, attributes, 2);
	net_finish(graph, y);
	net_compare(graph, 1, 0);
	gyr_graph_destroy(graph);
}

/* An RNN's numbers where they could be those of either direction. */
static void test_numbers_of_either_direction(void **state)
{
	static const char *const names[] = {"Tanh", "LeakyRelu"};
	static const float alpha[] = {0.25f};
	const struct gyr_attribute attributes[] = {{.name = "activations", .type = GYR_ATTRIBUTE_STRINGS, .strings = {2, names}},
						   {.name = "activation_alpha", .type = GYR_ATTRIBUTE_FLOATS, .numbers = {1, alpha}},
						   {.name = "direction", .type = GYR_ATTRIBUTE_STRING, .string = "bidirectional"}};
	uint64_t seed = 48;
	struct gyr_error error;
	struct gyr_graph *graph = gyr_graph_create("either", 14);
	const uint32_t inputs[] = {net_input(graph, "f32[3,2,5]"), net_weights(graph, "f32[2,7,5]", 1, &seed), net_weights(graph, "f32[2,7,7]", 1, &seed)};
	uint32_t y;
	add_recurrent(graph, GYR_OP_RNN, inputs, 3, &y, 1, attributes, 3);
	assert_int_equal(gyr_graph_add_output(graph, y, NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, &error), -EINVAL);
	assert_non_null(strstr(error.text, "'activation_alpha' may be read in two ways: activation 'LeakyRelu'"));
	gyr_graph_destroy(graph);
}

/* Each attribute and shape that is refused, and what is said of it. */
static void test_refusals(void **state)
{
	static const char *const other[] = {"Sigmoid", "Tanh", "Swish"}, *const affine[] = {"Sigmoid", "Affine", "Tanh"};
	static const float two[] = {1, 2};
	static const struct {
		struct gyr_attribute attribute[2];
		uint32_t attributes;
		const char *w, *r, *reason;
	} cases[] = {
		{{{.name = "direction", .type = GYR_ATTRIBUTE_STRING, .string = "sideways"}}, 1, NULL, NULL, "'direction' is 'sideways'"},
		{{{.name = "clip", .type = GYR_ATTRIBUTE_FLOAT, .number = -1}}, 1, NULL, NULL, "'clip' is -1"},
		{{{.name = "layout", .type = GYR_ATTRIBUTE_INT, .integer = 2}}, 1, NULL, NULL, "'layout' is 2"},
		{{{.name = "hidden_size", .type = GYR_ATTRIBUTE_INT, .integer = 8}}, 1, NULL, NULL, "'hidden_size' is not 7"},
		{{{.name = "activations", .type = GYR_ATTRIBUTE_STRINGS, .strings = {2, other}}}, 1, NULL, NULL, "has 2 names, not 3"},
		{{{.name = "activations", .type = GYR_ATTRIBUTE_STRINGS, .strings = {3, other}}}, 1, NULL, NULL, "'Swish' is none that ONNX lists"},
		{{{.name = "activations", .type = GYR_ATTRIBUTE_STRINGS, .strings = {3, affine}}}, 1, NULL, NULL, "'Affine' needs a number of its own"},
		{{{.name = "activation_alpha", .type = GYR_ATTRIBUTE_FLOATS, .numbers = {2, two}}}, 1, NULL, NULL, "has 2 numbers, and its activations take 0"},
		{{{0}}, 0, "f32[1,28,6]", NULL, "W is f32[1,28,6], not f32[1,28,5]"},
		{{{0}}, 0, NULL, "f32[2,28,7]", "R is f32[2,28,7], not f32[1,28,7]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t seed = 47;
		struct gyr_error error;
		struct gyr_graph *graph = gyr_graph_create("refused", 14);
		const uint32_t inputs[] = {net_input(graph, "f32[3,2,5]"), net_weights(graph, cases[i].w != NULL ? cases[i].w : "f32[1,28,5]", 1, &seed),
					   net_weights(graph, cases[i].r != NULL ? cases[i].r : "f32[1,28,7]", 1, &seed)};
		uint32_t y;
		add_recurrent(graph, GYR_OP_LSTM, inputs, 3, &y, 1, cases[i].attribute, cases[i].attributes);
		assert_int_equal(gyr_graph_add_output(graph, y, NULL), 0);
		assert_int_equal(gyr_graph_finish(graph, &error), -EINVAL);
		if (strstr(error.text, cases[i].reason) == NULL)
			fail_msg("case %zu: %s", i, error.text);
		gyr_graph_destroy(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_twin),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_bf16),
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_batch_first),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_weights_from_outside),
		cmocka_unit_test(test_plan_in_bf16),
		cmocka_unit_test(test_other_activations),
		cmocka_unit_test(test_numbers_of_either_direction),
		cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
