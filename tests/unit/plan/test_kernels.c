/*
 * Every kernel against its reference twin: odd sizes, tails, unaligned arrays, extreme values.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/binary.h"
#include "engine/kernel/cast.h"
#include "engine/kernel/dense.h"
#include "engine/kernel/select.h"
#include "engine/kernel/softmax.h"
#include "engine/kernel/unary.h"
#include "engine/ref/binary.h"
#include "engine/ref/cast.h"
#include "engine/ref/gemm.h"
#include "engine/ref/softmax.h"
#include "engine/ref/unary.h"
#include "net.h"

static const float extremes[] = {0,
				 -0.0f,
				 1,
				 -1,
				 .5f,
				 1e-8f,
				 -1e-8f,
				 1e-30f,
				 -1e-30f,
				 FLT_MIN,
				 -FLT_MIN,
				 1e-40f,
				 FLT_MAX,
				 -FLT_MAX,
				 INFINITY,
				 -INFINITY,
				 NAN,
				 9.99f,
				 -10.01f,
				 20,
				 86.9f,
				 -86.9f,
				 87.5f,
				 -87.5f,
				 88.5f,
				 -88.5f,
				 104,
				 -104,
				 1e10f,
				 -1e10f,
				 16777216,
				 .1f,
				 -.625f,
				 2.5f,
				 -2.5f,
				 127.5f,
				 128,
				 255.9f,
				 256,
				 -128.9f,
				 -129,
				 32768,
				 65535.5f,
				 2147483647.0f,
				 -2147483648.0f,
				 4294967295.0f,
				 9.3e18f,
				 -9.3e18f,
				 1.9e19f};
#define EXTREMES (sizeof extremes / sizeof extremes[0])

/* COUNT floats, random with extreme ones strewn in, OFF bytes behind an aligned address. *OWNED is what to free. */
static void *some_floats(size_t count, size_t off, float scale, bool extreme, uint64_t *seed, void **owned)
{
	*owned = malloc(count * sizeof(float) + off + 64);
	assert_non_null(*owned);
	char *at = (char *)*owned + off;
	for (size_t i = 0; i < count; i++) {
		float value = net_random(seed) * scale;
		if (extreme && net_random(seed) > .8f)
			value = extremes[(size_t)(fabsf(net_random(seed)) * EXTREMES)];
		memcpy(at + i * sizeof value, &value, sizeof value);
	}
	return at;
}

static float get(const void *at, size_t index)
{
	float value;
	memcpy(&value, (const char *)at + index * sizeof value, sizeof value);
	return value;
}

static void same(float got, float expected, float relative, float absolute, size_t index, float of)
{
	if (isnan(expected) ? isnan(got) : got == expected || fabsf(got - expected) <= relative * fabsf(expected) + absolute)
		return;
	fail_msg("element %zu of %.9g: got %.9g, expected %.9g", index, (double)of, (double)got, (double)expected);
}

static void check_dense(size_t in, size_t out, enum gyr_op activation, bool with_bias, const size_t *rows, size_t rows_count, uint64_t *seed)
{
	void *owned[4];
	float *weights = some_floats(in * out, 0, 1 / sqrtf((float)in), false, seed, &owned[0]);
	float *bias = some_floats(out, 0, 1, false, seed, &owned[1]);
	struct gyr_dense *dense;
	assert_int_equal(gyr_dense_create(GYR_GEMV_F32, in, out, weights, with_bias ? bias : NULL, activation, &dense, NULL), 0);
	assert_true(gyr_dense_bytes(dense) >= in * out * sizeof(float));
	for (size_t r = 0; r < rows_count; r++) {
		struct gyr_error error;
		if (gyr_dense_prepare(dense, rows[r], &error) != 0)
			fail_msg("%s", error.text);
		void *x = some_floats(rows[r] * in, r % 4, 1, false, seed, &owned[2]);
		size_t count = rows[r] * out, guard = 64;
		char *y = malloc(count * sizeof(float) + guard + 3);
		float *expected = malloc(count * sizeof(float));
		memset(y, 0x5a, count * sizeof(float) + guard + 3);
		gyr_dense_run(dense, rows[r], x, y + 3, NULL);
		const struct gyr_gemm gemm = {
			.m = rows[r], .n = out, .k = in, .a_row = in, .a_column = 1, .b_row = out, .b_column = 1, .c_column = 1, .alpha = 1, .beta = 1};
		gyr_ref_gemm(&gemm, x, weights, with_bias ? bias : NULL, expected);
		if (activation != GYR_OP_NONE)
			gyr_ref_unary(&(struct gyr_unary){activation, GYR_DTYPE_F32, GYR_DTYPE_F32}, count, expected, expected);
		for (size_t i = 0; i < count; i++)
			same(get(y + 3, i), expected[i], 1e-6f, 1e-5f, i, 0);
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(y[i], 0x5a);
		for (size_t i = 0; i < guard; i++)
			assert_int_equal(y[3 + count * sizeof(float) + i], 0x5a);
		free(owned[2]);
		free(y);
		free(expected);
	}
	gyr_dense_destroy(dense);
	free(owned[0]);
	free(owned[1]);
}

static void test_dense(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 7, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 127, 130, 200, 255};
	static const enum gyr_op activations[] = {GYR_OP_NONE, GYR_OP_RELU, GYR_OP_SIGMOID, GYR_OP_TANH};
	static const size_t rows[] = {1, 2, 4, 8, 16, 32, 64};
	uint64_t seed = 1;
	for (int round = 0; round < 60; round++) {
		size_t in = sizes[(size_t)(fabsf(net_random(&seed)) * 18)], out = sizes[(size_t)(fabsf(net_random(&seed)) * 18)];
		size_t some[3];
		for (size_t i = 0; i < 3; i++)
			some[i] = rows[(size_t)(fabsf(net_random(&seed)) * 7)];
		check_dense(in, out, activations[round % 4], round % 3 != 0, some, 3, &seed);
	}
	/* Few rows, on every number of vectors across; and what is left of one. */
	for (size_t out = 9; out <= 300; out += 13)
		check_dense(37, out, activations[out % 4], out % 3 != 0, (const size_t[]){1, 2, 3, 4}, 4, &seed);
	/* More rows than a block; tiles with and without a tail; inputs in parts, and a number of inputs that does not divide. */
	check_dense(30, 40, GYR_OP_RELU, true, (const size_t[]){63, 65, 128, 150}, 4, &seed);
	check_dense(768, 512, GYR_OP_NONE, true, (const size_t[]){1, 6}, 2, &seed);
	check_dense(2048, 203, GYR_OP_TANH, true, (const size_t[]){1, 3}, 2, &seed);
	check_dense(2053, 133, GYR_OP_RELU, true, (const size_t[]){1, 8}, 2, &seed);
	gyr_dense_destroy(NULL);
}

static void test_unary(void **state)
{
	static const enum gyr_op ops[] = {GYR_OP_RELU,     GYR_OP_SIGMOID,    GYR_OP_TANH,       GYR_OP_ABS,        GYR_OP_CEIL,
					  GYR_OP_EXP,      GYR_OP_FLOOR,      GYR_OP_LEAKY_RELU, GYR_OP_HARD_SWISH, GYR_OP_HARD_SIGMOID,
					  GYR_OP_NEG,      GYR_OP_RECIPROCAL, GYR_OP_SOFTSIGN,   GYR_OP_SQRT,       GYR_OP_THRESHOLDED_RELU,
					  GYR_OP_SOFTPLUS, GYR_OP_CELU,       GYR_OP_ELU,        GYR_OP_ERF,        GYR_OP_GELU,
					  GYR_OP_LOG,      GYR_OP_MISH,       GYR_OP_ROUND,      GYR_OP_SELU};
	enum { OPS = sizeof ops / sizeof ops[0] };
	uint64_t seed = 2;
	void *owned;
	for (int round = 0; round < 100 * OPS; round++) {
		enum gyr_op op = ops[round % OPS];
		float absolute = op == GYR_OP_RELU ? 0 : op == GYR_OP_GELU ? 1e-7f : op == GYR_OP_MISH ? 2e-36f : 2e-38f;
		const struct gyr_unary unary = {
			.op = op, .from = GYR_DTYPE_F32, .to = GYR_DTYPE_F32, .alpha = 0.2f, .beta = 0.5f, .first = round / OPS % 2 != 0};
		size_t count = 1 + (size_t)(fabsf(net_random(&seed)) * 300), off = (size_t)round % 4;
		float scale = round % 2 ? 12 : 1e-3f;
		void *x = some_floats(count, off, scale, true, &seed, &owned);
		float *y = malloc(count * sizeof *y), *expected = malloc(count * sizeof *y);
		gyr_ref_unary(&unary, count, x, expected);
		gyr_kernel_unary(&unary, count, x, y);
		for (size_t i = 0; i < count; i++)
			same(y[i], expected[i], op == GYR_OP_RELU ? 0 : 4e-7f, absolute, i, get(x, i));
		gyr_kernel_unary(&unary, count, x, x); /* in place */
		for (size_t i = 0; i < count; i++)
			same(get(x, i), y[i], 0, 0, i, y[i]);
		free(owned);
		free(y);
		free(expected);
	}
}

static void test_softmax(void **state)
{
	uint64_t seed = 3;
	void *owned;
	for (int round = 0; round < 200; round++) {
		size_t outer = 1 + (size_t)(fabsf(net_random(&seed)) * 5), length = 1 + (size_t)(fabsf(net_random(&seed)) * 70);
		size_t inner = round % 2 ? 1 : 1 + (size_t)(fabsf(net_random(&seed)) * 40), count = outer * length * inner;
		float scale = round % 5 == 0 ? 1e4f : 8;
		void *x = some_floats(count, (size_t)round % 4, scale, false, &seed, &owned);
		float *y = malloc(count * sizeof *y), *expected = malloc(count * sizeof *y);
		if (round % 7 == 0 && length > 1) {
			float never = -INFINITY;
			memcpy(x, &never, sizeof never);
		}
		gyr_ref_softmax(outer, length, inner, x, expected);
		gyr_kernel_softmax(outer, length, inner, x, y);
		for (size_t i = 0; i < count; i++)
			same(y[i], expected[i], 2e-6f, 2e-37f, i, get(x, i));
		gyr_kernel_softmax(outer, length, inner, x, x);
		for (size_t i = 0; i < count; i++)
			same(get(x, i), y[i], 0, 0, i, y[i]);
		free(owned);
		free(y);
		free(expected);
	}
	/* NaN, or only minus infinity, gives NaN. */
	float bad[4] = {1, NAN, 2, 3}, never[2] = {-INFINITY, -INFINITY}, y[4];
	gyr_kernel_softmax(1, 4, 1, bad, y);
	for (int i = 0; i < 4; i++)
		assert_true(isnan(y[i]));
	gyr_kernel_softmax(1, 2, 1, never, y);
	assert_true(isnan(y[0]) && isnan(y[1]));
}

static const enum gyr_dtype types[] = {GYR_DTYPE_F32,  GYR_DTYPE_U8,  GYR_DTYPE_I8,  GYR_DTYPE_U16, GYR_DTYPE_I16, GYR_DTYPE_I32, GYR_DTYPE_I64,
				       GYR_DTYPE_BOOL, GYR_DTYPE_F16, GYR_DTYPE_F64, GYR_DTYPE_U32, GYR_DTYPE_U64, GYR_DTYPE_BF16};
#define TYPES (sizeof types / sizeof types[0])

static void test_cast(void **state)
{
	uint64_t seed = 4;
	void *owned;
	enum { COUNT = 300 };
	for (size_t from = 0; from < TYPES; from++) {
		for (size_t to = 0; to < TYPES; to++) {
			float *source = some_floats(COUNT, 0, 300, true, &seed, &owned);
			char x[COUNT * 8 + 1], y[COUNT * 8 + 1], expected[COUNT * 8];
			memset(y, 0, sizeof y);
			memset(expected, 0, sizeof expected);
			gyr_ref_cast(GYR_DTYPE_F32, types[from], COUNT, source, x + 1);
			gyr_ref_cast(types[from], types[to], COUNT, x + 1, expected);
			gyr_kernel_cast(types[from], types[to], COUNT, x + 1, y + 1);
			assert_memory_equal(y + 1, expected, COUNT * gyr_dtype_bytes(types[to]));
			free(owned);
		}
	}
}

/* The twin itself, against what ONNX says. */
static void test_cast_meaning(void **state)
{
	const float x[] = {1.9f, -1.9f, 300, -300, NAN, INFINITY, -INFINITY, 0, .25f};
	int8_t i8[9];
	uint8_t u8[9];
	int64_t i64[9];
	gyr_ref_cast(GYR_DTYPE_F32, GYR_DTYPE_I8, 9, x, i8);
	assert_memory_equal(i8, ((int8_t[]){1, -1, 127, -128, 0, 127, -128, 0, 0}), 9);
	gyr_ref_cast(GYR_DTYPE_F32, GYR_DTYPE_U8, 9, x, u8);
	assert_memory_equal(u8, ((uint8_t[]){1, 0, 255, 0, 0, 255, 0, 0, 0}), 9);
	gyr_ref_cast(GYR_DTYPE_F32, GYR_DTYPE_BOOL, 9, x, u8);
	assert_memory_equal(u8, ((uint8_t[]){1, 1, 1, 1, 1, 1, 1, 0, 1}), 9);
	gyr_ref_cast(GYR_DTYPE_F32, GYR_DTYPE_I64, 9, x, i64);
	assert_memory_equal(i64, ((int64_t[]){1, -1, 300, -300, 0, INT64_MAX, INT64_MIN, 0, 0}), sizeof i64);
	const int32_t whole[] = {300, -1, 0, 256};
	gyr_ref_cast(GYR_DTYPE_I32, GYR_DTYPE_U8, 4, whole, u8);
	assert_memory_equal(u8, ((uint8_t[]){44, 255, 0, 0}), 4);
	gyr_ref_cast(GYR_DTYPE_I32, GYR_DTYPE_BOOL, 4, whole, u8);
	assert_memory_equal(u8, ((uint8_t[]){1, 1, 0, 1}), 4);
	const float halves[] = {1.00390625f, 1.01171875f, 3.4e38f}; /* halfway between two bf16: to the even one */
	uint16_t bf16[3], f16[3];
	gyr_ref_cast(GYR_DTYPE_F32, GYR_DTYPE_BF16, 3, halves, bf16);
	assert_memory_equal(bf16, ((uint16_t[]){0x3f80, 0x3f82, 0x7f80}), sizeof bf16);
	gyr_ref_cast(GYR_DTYPE_F32, GYR_DTYPE_F16, 3, halves, f16);
	assert_memory_equal(f16, ((uint16_t[]){0x3c04, 0x3c0c, 0x7c00}), sizeof f16);
}

static void test_binary(void **state)
{
	static const enum gyr_op ops[] = {
		GYR_OP_ADD,  GYR_OP_SUB,           GYR_OP_MUL, GYR_OP_DIV, GYR_OP_MAX, GYR_OP_MIN, GYR_OP_EQUAL, GYR_OP_GREATER, GYR_OP_GREATER_OR_EQUAL,
		GYR_OP_LESS, GYR_OP_LESS_OR_EQUAL, GYR_OP_AND, GYR_OP_OR,  GYR_OP_XOR, GYR_OP_POW, GYR_OP_PRELU};
	static const float powers[] = {2, 3, .5f, -1};
	uint64_t seed = 5;
	for (int round = 0; round < 8000; round++) {
		struct gyr_shape a = {.dtype = types[(size_t)(fabsf(net_random(&seed)) * TYPES)]}, b = {.dtype = a.dtype};
		enum gyr_op op = ops[(round / 2) % (sizeof ops / sizeof ops[0])];
		if (round % 2)
			a.dtype = b.dtype = op == GYR_OP_AND || op == GYR_OP_OR || op == GYR_OP_XOR ? GYR_DTYPE_BOOL : GYR_DTYPE_F32;
		if (!gyr_binary_supports(op, a.dtype))
			continue;
		uint32_t rank = (uint32_t)(fabsf(net_random(&seed)) * 5);
		a.rank = (uint32_t)(fabsf(net_random(&seed)) * 3) > 1 ? rank / 2 : rank;
		b.rank = a.rank == rank && net_random(&seed) > 0 ? rank / 2 : rank;
		int64_t dims[GYR_RANK_MAX];
		for (uint32_t i = 0; i < rank; i++)
			dims[i] = 1 + (int64_t)(fabsf(net_random(&seed)) * 19);
		for (uint32_t i = 0; i < a.rank; i++)
			a.dims[i] = net_random(&seed) > .5f ? 1 : dims[rank - a.rank + i];
		for (uint32_t i = 0; i < b.rank; i++)
			b.dims[i] = net_random(&seed) > .5f ? 1 : dims[rank - b.rank + i];
		size_t a_count, b_count, count = 1;
		assert_true(gyr_shape_count(&a, 1, &a_count) && gyr_shape_count(&b, 1, &b_count));
		struct gyr_binary binary;
		gyr_binary_init(&binary, op, &a, &b, 1);
		for (uint32_t i = 0; i < binary.rank; i++)
			count *= binary.dims[i];
		void *owned[2];
		float scale = round % 3 ? 100 : 2; /* small ones are often equal as integers */
		float *left = some_floats(a_count, 0, scale, true, &seed, &owned[0]), *right = some_floats(b_count, 0, scale, true, &seed, &owned[1]);
		for (size_t i = 0; op == GYR_OP_POW && round % 5 && i < b_count; i++)
			right[i] = powers[round % 4];
		char *x = malloc(a_count * 8 + 1), *z = malloc(b_count * 8 + 1), *y = malloc(count * 8 + 1), *expected = malloc(count * 8);
		gyr_ref_cast(GYR_DTYPE_F32, a.dtype, a_count, left, x + 1);
		gyr_ref_cast(GYR_DTYPE_F32, b.dtype, b_count, right, z + 1);
		gyr_ref_binary(&binary, x + 1, z + 1, expected);
		gyr_kernel_binary(&binary, x + 1, z + 1, y + 1);
		if (binary.y_dtype == GYR_DTYPE_F32)
			for (size_t i = 0; i < count; i++)
				same(get(y + 1, i), get(expected, i), 0, 0, i, 0);
		else
			assert_memory_equal(y + 1, expected, count * gyr_dtype_bytes(binary.y_dtype));
		free(owned[0]);
		free(owned[1]);
		free(x);
		free(z);
		free(y);
		free(expected);
	}
}

/* The twin itself: broadcasting by hand, wrapping, division by zero. */
/* Where, over shapes that broadcast, against the definition. */
static void test_where(void **state)
{
	uint64_t seed = 6;
	for (int round = 0; round < 1000; round++) {
		static const enum gyr_dtype dtypes[] = {GYR_DTYPE_F32, GYR_DTYPE_U8, GYR_DTYPE_I16, GYR_DTYPE_F64};
		struct gyr_shape y = {.dtype = dtypes[round % 4], .rank = (uint32_t)(fabsf(net_random(&seed)) * 5)}, shapes[3];
		size_t bytes = gyr_dtype_bytes(y.dtype), count = 1;
		uint8_t conditions[4096], sources[2][4096 * 8], got[4096 * 8 + 1];
		for (uint32_t i = 0; i < y.rank; i++) {
			y.dims[i] = 1 + (int64_t)(fabsf(net_random(&seed)) * 7);
			count *= (size_t)y.dims[i];
		}
		for (int k = 0; k < 3; k++) {
			uint32_t cut = k == round % 3 ? y.rank / 2 : 0;
			shapes[k] = (struct gyr_shape){.dtype = k == 0 ? GYR_DTYPE_BOOL : y.dtype, .rank = y.rank - cut};
			for (uint32_t i = 0; i < shapes[k].rank; i++)
				shapes[k].dims[i] = net_random(&seed) > 0.4f ? 1 : y.dims[cut + i];
		}
		for (size_t i = 0; i < sizeof conditions; i++)
			conditions[i] = net_random(&seed) > 0;
		for (size_t i = 0; i < sizeof sources; i++)
			((uint8_t *)sources)[i] = (uint8_t)(fabsf(net_random(&seed)) * 255);
		struct gyr_where where;
		gyr_where_init(&where, (const struct gyr_shape *const[]){&shapes[0], &shapes[1], &shapes[2]}, &y);
		gyr_kernel_where(&where, conditions, sources[0], sources[1], got + 1);
		for (size_t n = 0; n < count; n++) {
			size_t at[3] = {0};
			for (int k = 0; k < 3; k++) {
				size_t rest = n, step = 1;
				for (uint32_t place = 0; place < shapes[k].rank; place++) {
					size_t dim = (size_t)y.dims[y.rank - 1 - place], own = (size_t)shapes[k].dims[shapes[k].rank - 1 - place];
					at[k] += own == 1 ? 0 : rest % dim * step;
					step *= own;
					rest /= dim;
				}
			}
			const uint8_t *source = conditions[at[0]] ? sources[0] + at[1] * bytes : sources[1] + at[2] * bytes;
			assert_memory_equal(got + 1 + n * bytes, source, bytes);
		}
	}
}

static void test_binary_meaning(void **state)
{
	struct gyr_shape a = net_shape("i32[2,1,2]"), b = net_shape("i32[3,1]");
	const int32_t left[] = {1, 2, 10, INT32_MIN}, right[] = {0, -1, 2};
	int32_t y[12];
	struct gyr_binary binary;
	gyr_binary_init(&binary, GYR_OP_DIV, &a, &b, 1);
	gyr_ref_binary(&binary, left, right, y);
	assert_memory_equal(y, ((int32_t[]){0, 0, -1, -2, 0, 1, 0, 0, -10, INT32_MIN, 5, INT32_MIN / 2}), sizeof y);
	gyr_binary_init(&binary, GYR_OP_SUB, &a, &b, 1);
	gyr_ref_binary(&binary, left, right, y);
	assert_memory_equal(y, ((int32_t[]){1, 2, 2, 3, -1, 0, 10, INT32_MIN, 11, INT32_MIN + 1, 8, INT32_MAX - 1}), sizeof y);
	assert_false(gyr_binary_supports(GYR_OP_ADD, GYR_DTYPE_BOOL));
	assert_false(gyr_binary_supports(GYR_OP_RELU, GYR_DTYPE_F32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dense),        cmocka_unit_test(test_unary),  cmocka_unit_test(test_softmax),        cmocka_unit_test(test_cast),
		cmocka_unit_test(test_cast_meaning), cmocka_unit_test(test_binary), cmocka_unit_test(test_binary_meaning), cmocka_unit_test(test_where),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
