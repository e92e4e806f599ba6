/*
 * Quantised operators: the plan against its reference, whose numbers must be the same; numbers worked out by hand; rows of a batch; and refusals.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/quantise.h"
#include "net.h"

static int64_t pick(uint64_t *seed, int64_t min, int64_t max)
{
	return min + (int64_t)(fabsf(net_random(seed)) * (float)(max - min + 1)) % (max - min + 1);
}

static uint32_t number(struct gyr_graph *graph, float value)
{
	return net_constant(graph, "f32[]", &value);
}

/* COUNT random bytes as a constant. */
static uint32_t bytes(struct gyr_graph *graph, const char *shape, uint64_t *seed)
{
	struct gyr_shape parsed = net_shape(shape);
	size_t count;
	assert_true(gyr_shape_count(&parsed, 1, &count));
	int8_t *data = malloc(count + 1);
	assert_non_null(data);
	for (size_t i = 0; i < count; i++)
		data[i] = (int8_t)pick(seed, -128, 127);
	uint32_t index = net_constant(graph, shape, data);
	free(data);
	return index;
}

static uint32_t floats(struct gyr_graph *graph, int64_t count, uint64_t *seed)
{
	float data[64];
	char shape[32];
	for (int64_t i = 0; i < count; i++)
		data[i] = 0.01f + fabsf(net_random(seed));
	snprintf(shape, sizeof shape, "f32[%lld]", (long long)count);
	return net_constant(graph, shape, data);
}

static uint32_t add(struct gyr_graph *graph, enum gyr_op op, uint32_t input_count, const uint32_t *inputs, uint32_t attribute_count,
		    const struct gyr_attribute *attributes)
{
	char name[32];
	uint32_t y;
	struct gyr_error error;
	snprintf(name, sizeof name, "result%u", graph->value_count);
	assert_int_equal(gyr_graph_add_value(graph, name, NULL, NULL, false, &y, NULL), 0);
	const struct gyr_node node = {.op = op,
				      .name = "node",
				      .input_count = input_count,
				      .output_count = 1,
				      .attribute_count = attribute_count,
				      .inputs = inputs,
				      .outputs = &y,
				      .attributes = attributes};
	if (gyr_graph_add_node(graph, &node, &error) != 0)
		fail_msg("%s", error.text);
	return y;
}

static const char *name_of(bool is_signed)
{
	return is_signed ? "i8" : "u8";
}

static uint32_t byte(struct gyr_graph *graph, bool is_signed, uint64_t *seed)
{
	return bytes(graph, is_signed ? "i8[]" : "u8[]", seed);
}

/* x, quantised; a product with constant weights; and back to f32. All four combinations of types, rows and columns of every remainder. */
static void test_matmul(void **state)
{
	uint64_t seed = 1;
	for (int round = 0; round < 24; round++) {
		bool a_signed = round % 2 != 0, b_signed = round / 2 % 2 != 0, many = pick(&seed, 0, 1) != 0;
		int64_t k = pick(&seed, 1, 40), n = round == 0 ? 64 : pick(&seed, 1, 150);
		char shape[64];
		struct gyr_graph *graph = gyr_graph_create("matmul", 13);
		snprintf(shape, sizeof shape, "f32[N,%lld]", (long long)k);
		uint32_t x = net_input(graph, shape), a_scale = number(graph, 0.01f), a_zero = byte(graph, a_signed, &seed);
		snprintf(shape, sizeof shape, "%s[%lld,%lld]", name_of(b_signed), (long long)k, (long long)n);
		uint32_t b = bytes(graph, shape, &seed), b_scale = number(graph, 0.02f), b_zero = byte(graph, b_signed, &seed);
		if (many && n <= 64) {
			b_scale = floats(graph, n, &seed);
			snprintf(shape, sizeof shape, "%s[%lld]", name_of(b_signed), (long long)n);
			b_zero = bytes(graph, shape, &seed);
		}
		uint32_t y_scale = number(graph, 0.5f), y_zero = byte(graph, b_signed, &seed);
		uint32_t a = add(graph, GYR_OP_QUANTIZE_LINEAR, 3, (uint32_t[]){x, a_scale, a_zero}, 0, NULL), y;
		if (round % 3 == 0) {
			y = add(graph, GYR_OP_MATMUL_INTEGER, 4, (uint32_t[]){a, b, a_zero, b_zero}, 0, NULL);
			y = net_node(graph, GYR_OP_CAST, y, GYR_VALUE_NONE, GYR_VALUE_NONE, "to", GYR_DTYPE_F32);
		} else {
			y = add(graph, GYR_OP_QLINEAR_MATMUL, 8, (uint32_t[]){a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero}, 0, NULL);
			y = add(graph, GYR_OP_DEQUANTIZE_LINEAR, 3, (uint32_t[]){y, y_scale, y_zero}, 0, NULL);
		}
		net_finish(graph, y);
		struct gyr_plan *plan = net_plan(graph, 64, false);
		assert_int_equal(gyr_plan_batch_max(plan), 64);
		gyr_plan_destroy(plan);
		net_compare(graph, 2, 0);
		gyr_graph_destroy(graph);
	}
}

/* Both sides are known only when it runs, and have leading dimensions, of which one broadcasts. */
static void test_matmul_of_two(void **state)
{
	uint64_t seed = 2;
	struct gyr_graph *graph = gyr_graph_create("matmul", 21);
	uint32_t a = net_input(graph, "i8[2,3,5,19]"), b = net_input(graph, "u8[3,19,21]"), a_zero = byte(graph, true, &seed),
		 b_zero = byte(graph, false, &seed);
	uint32_t y = add(graph, GYR_OP_MATMUL_INTEGER, 4, (uint32_t[]){a, b, a_zero, b_zero}, 0, NULL);
	net_finish(graph, net_node(graph, GYR_OP_CAST, y, GYR_VALUE_NONE, GYR_VALUE_NONE, "to", GYR_DTYPE_F32));
	net_compare(graph, 1, 0);
	gyr_graph_destroy(graph);
}

static void check_conv(int round, uint64_t *seed)
{
	bool x_signed = round % 2 != 0, w_signed = round / 2 % 2 != 0, integer = round % 3 == 0;
	int64_t rank = pick(seed, 1, 3), groups = pick(seed, 1, 3), in = pick(seed, 1, 7), out = pick(seed, 1, 14);
	int64_t strides[3], dilations[3], pads[6];
	char x_text[64], w_text[64];
	int x_used = snprintf(x_text, sizeof x_text, "f32[N,%lld", (long long)(groups * in));
	int w_used = snprintf(w_text, sizeof w_text, "%s[%lld,%lld", name_of(w_signed), (long long)(groups * out), (long long)in);
	for (int64_t i = 0; i < rank; i++) {
		int64_t kernel = pick(seed, 1, 4);
		strides[i] = pick(seed, 1, 3);
		dilations[i] = pick(seed, 1, 3);
		pads[i] = pick(seed, 0, kernel);
		pads[rank + i] = pick(seed, 0, kernel);
		x_used += snprintf(x_text + x_used, sizeof x_text - (size_t)x_used, ",%lld", (long long)pick(seed, 10, rank == 3 ? 12 : 20));
		w_used += snprintf(w_text + w_used, sizeof w_text - (size_t)w_used, ",%lld", (long long)kernel);
	}
	snprintf(x_text + x_used, sizeof x_text - (size_t)x_used, "]");
	snprintf(w_text + w_used, sizeof w_text - (size_t)w_used, "]");
	const struct gyr_attribute attributes[] = {
		{.name = "strides", .type = GYR_ATTRIBUTE_INTS, .integers = {(uint32_t)rank, strides}},
		{.name = "dilations", .type = GYR_ATTRIBUTE_INTS, .integers = {(uint32_t)rank, dilations}},
		{.name = "pads", .type = GYR_ATTRIBUTE_INTS, .integers = {(uint32_t)(2 * rank), pads}},
		{.name = "group", .type = GYR_ATTRIBUTE_INT, .integer = groups},
	};
	struct gyr_graph *graph = gyr_graph_create("convolution", 13);
	uint32_t x = net_input(graph, x_text), w = bytes(graph, w_text, seed), x_scale = number(graph, 0.01f), x_zero = byte(graph, x_signed, seed);
	uint32_t w_scale = floats(graph, groups * out, seed), w_zero = byte(graph, w_signed, seed), y_scale = number(graph, 1),
		 y_zero = byte(graph, x_signed, seed);
	int32_t added[64];
	char text[32];
	snprintf(text, sizeof text, "i32[%lld]", (long long)(groups * out));
	for (int64_t i = 0; i < groups * out; i++)
		added[i] = (int32_t)pick(seed, -5000, 5000);
	if (round % 5 != 0) { /* one zero point for each channel, or weights around 0 */
		snprintf(text, sizeof text, "%s[%lld]", name_of(w_signed), (long long)(groups * out));
		w_zero = round % 5 == 1 ? bytes(graph, text, seed) : net_constant(graph, w_signed ? "i8[]" : "u8[]", w_signed ? "\0" : "\x80");
		snprintf(text, sizeof text, "i32[%lld]", (long long)(groups * out));
	}
	uint32_t q = add(graph, GYR_OP_QUANTIZE_LINEAR, 3, (uint32_t[]){x, x_scale, x_zero}, 0, NULL), y;
	if (integer) {
		y = add(graph, GYR_OP_CONV_INTEGER, 4, (uint32_t[]){q, w, x_zero, w_zero}, 4, attributes);
		y = net_node(graph, GYR_OP_CAST, y, GYR_VALUE_NONE, GYR_VALUE_NONE, "to", GYR_DTYPE_F32);
	} else {
		uint32_t b = net_constant(graph, text, added);
		if (round % 5 == 1)
			w_scale = floats(graph, groups * out, seed);
		else
			w_scale = number(graph, 0.02f);
		y = add(graph, GYR_OP_QLINEAR_CONV, 9, (uint32_t[]){q, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, b}, 4, attributes);
		y = add(graph, GYR_OP_DEQUANTIZE_LINEAR, 3, (uint32_t[]){y, y_scale, y_zero}, 0, NULL);
	}
	net_finish(graph, y);
	net_compare(graph, 2, 0);
	gyr_graph_destroy(graph);
}

static void test_conv(void **state)
{
	uint64_t seed = 3;
	for (int round = 0; round < 30; round++)
		check_conv(round, &seed);
}

/* One scale as a vector, and one zero point as a scalar: how ONNX Runtime's quantiser writes a bias. */
static void test_one_number(void **state)
{
	uint64_t seed = 7;
	struct gyr_graph *graph = gyr_graph_create("one", 13);
	const int32_t none = 0;
	const float scale = 0.25f;
	uint32_t x = net_input(graph, "i32[N,5]"), y;
	y = net_node(graph, GYR_OP_DEQUANTIZE_LINEAR, x, net_constant(graph, "f32[1]", &scale), net_constant(graph, "i32[]", &none), NULL, 0);
	net_finish(graph, y);
	net_compare(graph, 1, 0);
	gyr_graph_destroy(graph);
	graph = gyr_graph_create("many", 13);
	x = net_input(graph, "f32[2,3]");
	y = net_node(graph, GYR_OP_QUANTIZE_LINEAR, x, floats(graph, 3, &seed), byte(graph, true, &seed), NULL, 0);
	struct gyr_error error = {""};
	assert_int_equal(gyr_graph_add_output(graph, y, NULL), 0);
	assert_int_equal(gyr_graph_finish(graph, &error), -EINVAL);
	gyr_graph_destroy(graph);
}

/* Halves go to the even number; what is beyond the type stops at its end, infinities too, and NaN is its lowest number. */
static void test_numbers(void **state)
{
	const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.5f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN, 1e-40f};
	const int8_t expected[] = {-9, -7, -7, -9, -11, 117, 127, -128, 127, -128, -128, -9};
	const float scale = 1, factor = 0.5f;
	const int8_t zero = -9;
	const struct gyr_quantise quantise = {
		.from = GYR_DTYPE_F32, .to = GYR_DTYPE_I8, .scale = GYR_DTYPE_F32, .outer = 1, .length = 1, .inner = 12, .block = 1};
	int8_t got[12], twin[12];
	gyr_kernel_quantize(&quantise, x, &scale, &zero, got);
	gyr_ref_quantize(&quantise, x, &scale, &zero, twin);
	assert_memory_equal(got, expected, sizeof expected);
	assert_memory_equal(twin, expected, sizeof expected);
	/* As QLinearMatMul's and QLinearConv's results: they saturate. */
	_Alignas(64) const int32_t sums[] = {-1000, 1000, 3, 5, -3, INT32_MAX, INT32_MIN};
	const int8_t results[] = {-128, 127, -7, -7, -11, 127, -128};
	gyr_kernel_requantise_by(GYR_DTYPE_I8, 7, sums, 0, factor, zero, got);
	gyr_ref_requantise(GYR_DTYPE_I8, 7, sums, factor, zero, twin);
	assert_memory_equal(got, results, sizeof results);
	assert_memory_equal(twin, results, sizeof results);
}

static void check_same(const struct gyr_quantise *quantise, size_t scales, uint64_t *seed)
{
	size_t count = quantise->outer * quantise->length * quantise->inner, width = gyr_dtype_bytes(quantise->to);
	float *x = malloc(count * sizeof *x + 1), *scale = malloc(scales * sizeof *scale), *back = malloc(2 * count * sizeof *back);
	char *zero = malloc(scales * width), *y = malloc(2 * count * width);
	for (size_t i = 0; i < count; i++)
		x[i] = net_random(seed) * 300;
	for (size_t i = 0; i < scales; i++)
		scale[i] = 0.01f + fabsf(net_random(seed));
	for (size_t i = 0; i < scales * width; i++)
		zero[i] = (char)pick(seed, -128, 127);
	memmove((char *)x + 1, x, count * sizeof *x); /* of no alignment */
	gyr_kernel_quantize(quantise, (char *)x + 1, scale, zero, y);
	gyr_ref_quantize(quantise, (char *)x + 1, scale, zero, y + count * width);
	assert_memory_equal(y, y + count * width, count * width);
	struct gyr_quantise other = *quantise;
	other.from = quantise->to;
	other.to = GYR_DTYPE_F32;
	gyr_kernel_dequantize(&other, y, scale, zero, back);
	gyr_ref_dequantize(&other, y, scale, zero, back + count);
	assert_memory_equal(back, back + count, count * sizeof *back);
	free(x);
	free(scale);
	free(back);
	free(zero);
	free(y);
}

/* One scale, one along an axis (the last, and another), and one a block, on every type. */
static void test_scales(void **state)
{
	static const enum gyr_dtype types[] = {GYR_DTYPE_I8, GYR_DTYPE_U8, GYR_DTYPE_I16, GYR_DTYPE_U16};
	uint64_t seed = 4;
	for (size_t i = 0; i < 4; i++) {
		struct gyr_quantise quantise = {
			.from = GYR_DTYPE_F32, .to = types[i], .scale = GYR_DTYPE_F32, .outer = 1, .length = 1, .inner = 133, .block = 1};
		check_same(&quantise, 1, &seed);
		quantise.outer = 3;
		quantise.length = 7;
		quantise.inner = 21;
		quantise.step = 1;
		check_same(&quantise, 7, &seed);
		quantise.length = 37;
		quantise.inner = 1;
		check_same(&quantise, 37, &seed);
		quantise.length = 10;
		quantise.inner = 5;
		quantise.block = 4;
		quantise.step = 5;
		quantise.inner_step = 1;
		quantise.outer_step = 15;
		check_same(&quantise, 45, &seed);
	}
}

static void test_dynamic(void **state)
{
	uint64_t seed = 5;
	for (size_t count = 0; count < 300; count += count < 4 ? 1 : 37) {
		float x[300], scale[2];
		uint8_t y[2][300], zero[2];
		for (size_t i = 0; i < count; i++)
			x[i] = net_random(&seed) * 10 + (count % 2 ? 7 : -1);
		if (count > 100)
			x[50] = NAN;
		gyr_kernel_dynamic_quantize(count, x, y[0], &scale[0], &zero[0]);
		gyr_ref_dynamic_quantize(count, x, y[1], &scale[1], &zero[1]);
		assert_memory_equal(&scale[0], &scale[1], sizeof scale[0]);
		assert_int_equal(zero[0], zero[1]);
		assert_memory_equal(y[0], y[1], count);
		assert_true(scale[0] > 0);
	}
}

/* The scale of a dynamically quantised tensor is of all rows, so they are computed one at a time. */
static void test_rows(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("dynamic", 13);
	uint32_t x = net_input(graph, "f32[N,8]"), q = net_op1(graph, GYR_OP_DYNAMIC_QUANTIZE_LINEAR, x);
	net_finish(graph, net_node(graph, GYR_OP_CAST, q, GYR_VALUE_NONE, GYR_VALUE_NONE, "to", GYR_DTYPE_F32));
	struct gyr_plan *plan = net_plan(graph, 8, false);
	assert_int_equal(gyr_plan_batch_max(plan), 1);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

static void refused(struct gyr_graph *graph, uint32_t output, const char *why)
{
	struct gyr_error error = {""};
	assert_int_equal(gyr_graph_add_output(graph, output, NULL), 0);
	assert_int_not_equal(gyr_graph_finish(graph, &error), 0);
	if (strstr(error.text, why) == NULL)
		fail_msg("'%s' says nothing of '%s'", error.text, why);
	gyr_graph_destroy(graph);
}

static void test_refusals(void **state)
{
	uint64_t seed = 6;
	struct gyr_graph *graph = gyr_graph_create("scale", 13);
	uint32_t x = net_input(graph, "f32[2,3]");
	refused(graph, net_op2(graph, GYR_OP_QUANTIZE_LINEAR, x, floats(graph, 2, &seed)), "its scale");
	graph = gyr_graph_create("axis", 13);
	x = net_input(graph, "f32[2,3]");
	refused(graph, net_node(graph, GYR_OP_QUANTIZE_LINEAR, x, floats(graph, 2, &seed), GYR_VALUE_NONE, "axis", 2), "axis 2");
	graph = gyr_graph_create("zero", 13);
	x = net_input(graph, "f32[2,3]");
	refused(graph, net_node(graph, GYR_OP_QUANTIZE_LINEAR, x, number(graph, 1), bytes(graph, "u8[3]", &seed), NULL, 0), "its zero point");
	graph = gyr_graph_create("type", 21);
	x = net_input(graph, "f32[2,3]");
	refused(graph, net_node(graph, GYR_OP_QUANTIZE_LINEAR, x, number(graph, 1), GYR_VALUE_NONE, "output_dtype", 22), "output_dtype");
	graph = gyr_graph_create("block", 21);
	x = net_input(graph, "f32[2,3]");
	refused(graph, net_node(graph, GYR_OP_QUANTIZE_LINEAR, x, net_weights(graph, "f32[2,3]", 1, &seed), GYR_VALUE_NONE, "block_size", 2), "blocks of 2");
	graph = gyr_graph_create("matmul", 13);
	x = net_input(graph, "u8[2,3]");
	refused(graph, net_op2(graph, GYR_OP_MATMUL_INTEGER, x, bytes(graph, "u8[4,3]", &seed)), "does not fit");
	graph = gyr_graph_create("rows", 13);
	x = net_input(graph, "u8[2,3]");
	refused(graph, net_node(graph, GYR_OP_MATMUL_INTEGER, x, bytes(graph, "u8[3,4]", &seed), bytes(graph, "u8[2]", &seed), NULL, 0), "left side's zero");
	graph = gyr_graph_create("conv", 13);
	x = net_input(graph, "u8[1,3,5,5]");
	refused(graph, net_op2(graph, GYR_OP_CONV_INTEGER, x, bytes(graph, "u8[4,2,3,3]", &seed)), "do not fit an input");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matmul),  cmocka_unit_test(test_matmul_of_two), cmocka_unit_test(test_conv),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_one_number),    cmocka_unit_test(test_scales),
		cmocka_unit_test(test_dynamic), cmocka_unit_test(test_rows),          cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
