/*
 * Dense layers, in f32 and bf16, against sums in double: every number of vectors across, rows computed both ways, extremes, arrays that are not aligned; and
 * the choices that were measured: remembered, taken out, put back, whatever the bytes.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/bf16.h"
#include "engine/kernel/dense.h"
#include "engine/kernel/tune.h"
#include "net.h"

static void *need(size_t bytes)
{
	void *memory = malloc(bytes);
	assert_non_null(memory);
	return memory;
}

/* NULL where this CPU has no bf16. */
static struct gyr_dense *make(enum gyr_gemv_weights kind, size_t in, size_t out, const float *weights, const float *bias, enum gyr_op activation)
{
	struct gyr_dense *dense;
	struct gyr_error error;
	int status = gyr_dense_create(kind, in, out, weights, bias, activation, &dense, &error);
	if (status == -ENOTSUP && kind == GYR_GEMV_BF16)
		return NULL;
	if (status != 0)
		fail_msg("%s", error.text);
	return dense;
}

/* Holds Y against sums in double, within the bound of dense.h. */
static void check(enum gyr_gemv_weights kind, size_t in, size_t out, size_t rows, const float *weights, const float *bias, enum gyr_op activation,
		  const float *x, const char *y)
{
	for (size_t row = 0; row < rows; row++) {
		for (size_t n = 0; n < out; n++) {
			double exact = bias[n], size = fabs(exact), products = 0;
			float got;
			memcpy(&got, y + (row * out + n) * sizeof got, sizeof got);
			for (size_t k = 0; k < in; k++) {
				exact += (double)x[row * in + k] * weights[k * out + n];
				products += fabs((double)x[row * in + k] * weights[k * out + n]);
			}
			double bound = ldexp((double)in + 4, -23) * (size + products) + (kind == GYR_GEMV_BF16 ? ldexp(products, -7) : 0);
			if (activation == GYR_OP_RELU)
				exact = fmax(exact, 0);
			if (activation == GYR_OP_TANH)
				exact = tanh(exact), bound += 4e-7;
			if (!(fabs(got - exact) <= bound))
				fail_msg("%zu x %zu, %zu rows, row %zu, output %zu: %.9g, expected %.9g within %g", in, out, rows, row, n, (double)got, exact,
					 bound);
		}
	}
}

static void check_layer(enum gyr_gemv_weights kind, size_t in, size_t out, enum gyr_op activation, uint64_t *seed)
{
	static const size_t rows[] = {1, 2, 3, 4, 5, 8, 17, 64, 67};
	float *weights = need(in * out * sizeof *weights), *bias = need(out * sizeof *bias);
	for (size_t i = 0; i < in * out; i++)
		weights[i] = net_random(seed);
	for (size_t i = 0; i < out; i++)
		bias[i] = net_random(seed);
	struct gyr_dense *dense = make(kind, in, out, weights, bias, activation);
	for (size_t r = 0; r < sizeof rows / sizeof rows[0] && dense != NULL; r++) {
		size_t inputs = rows[r] * in * sizeof(float), outputs = rows[r] * out * sizeof(float);
		char *moved = need(inputs + 1), *y = need(outputs + 65);
		float *x = need(inputs);
		assert_int_equal(gyr_dense_prepare(dense, rows[r], NULL), 0);
		void *scratch = need(gyr_dense_scratch_bytes(dense, rows[r]) + 1);
		for (size_t i = 0; i < rows[r] * in; i++)
			x[i] = net_random(seed);
		memcpy(moved + 1, x, inputs);
		memset(y, 0x5a, outputs + 65);
		gyr_dense_run(dense, rows[r], moved + 1, y + 1, scratch);
		check(kind, in, out, rows[r], weights, bias, activation, x, y + 1);
		for (size_t i = 0; i < 64; i++)
			assert_int_equal(y[1 + outputs + i], 0x5a);
		free(moved);
		free(y);
		free(x);
		free(scratch);
	}
	gyr_dense_destroy(dense);
	free(weights);
	free(bias);
}

static void test_layers(void **state)
{
	static const enum gyr_op activations[] = {GYR_OP_NONE, GYR_OP_RELU, GYR_OP_TANH};
	uint64_t seed = 1;
	for (enum gyr_gemv_weights kind = GYR_GEMV_F32; kind <= GYR_GEMV_BF16; kind++) {
		for (size_t out = 1; out <= 300; out += out < 150 ? 7 : 49)
			check_layer(kind, out % 3 == 0 ? 30 : 41, out, activations[out % 3], &seed);
		check_layer(kind, 1, 1, GYR_OP_NONE, &seed);
		check_layer(kind, 1030, 70, GYR_OP_RELU, &seed);
		check_layer(kind, 2051, 33, GYR_OP_NONE, &seed);
	}
}

/* What is not finite in one row or column stays there. */
static void test_extremes(void **state)
{
	static const float strange[] = {INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX};
	enum { IN = 9, OUT = 37, ROWS = 6 };
	for (enum gyr_gemv_weights kind = GYR_GEMV_F32; kind <= GYR_GEMV_BF16; kind++) {
		for (size_t s = 0; s < sizeof strange / sizeof strange[0]; s++) {
			for (size_t rows = 1; rows <= ROWS; rows++) {
				float weights[IN * OUT], x[ROWS * IN], y[ROWS * OUT];
				char scratch[4096];
				for (size_t i = 0; i < IN * OUT; i++)
					weights[i] = .5f;
				for (size_t i = 0; i < ROWS * IN; i++)
					x[i] = 2;
				x[(rows - 1) * IN + IN - 1] = strange[s]; /* the last input of the last row, which stands alone in its pair */
				struct gyr_dense *dense = make(kind, IN, OUT, weights, NULL, GYR_OP_RELU);
				if (dense == NULL)
					continue;
				assert_int_equal(gyr_dense_prepare(dense, rows, NULL), 0);
				assert_true(gyr_dense_scratch_bytes(dense, rows) <= sizeof scratch);
				gyr_dense_run(dense, rows, x, y, scratch);
				for (size_t i = 0; i < (rows - 1) * OUT; i++)
					assert_true(y[i] == IN);
				float expected = strange[s] * .5f + 2 * .5f * (IN - 1);
				for (size_t i = (rows - 1) * OUT; i < rows * OUT; i++)
					assert_true(isnan(expected) ? isnan(y[i])
								    : fabsf(y[i] - fmaxf(expected, 0)) <= .01f * fabsf(expected) || y[i] == fmaxf(expected, 0));
				gyr_dense_destroy(dense);
			}
		}
	}
}

static void test_bf16(void **state)
{
	static const struct {
		float value;
		uint16_t bits;
	} cases[] = {{0, 0},          {-0.0f, 0x8000},   {1, 0x3f80},        {1.00390625f, 0x3f80}, {1.01171875f, 0x3f82}, {1.0039064f, 0x3f81},
		     {-2.5f, 0xc020}, {FLT_MAX, 0x7f80}, {INFINITY, 0x7f80}, {-INFINITY, 0xff80},   {1e-40f, 0x0001}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(gyr_bf16_of(cases[i].value), cases[i].bits);
	assert_true((gyr_bf16_of(NAN) & 0x7fff) > 0x7f80);
	const float x[] = {1, 2, 3, 4};
	uint16_t y[8];
	gyr_bf16_rows(2, 2, 4, x, y);
	assert_memory_equal(y, ((const uint16_t[]){0x3f80, 0x4000, 0, 0, 0x4040, 0x4080, 0, 0}), sizeof y);
}

struct work {
	uint32_t runs[4];
	uint64_t rounds[4]; /* that a run of each takes */
};

static void run_work(void *context, uint32_t candidate)
{
	struct work *work = context;
	work->runs[candidate]++;
	for (volatile uint64_t i = 0; i < work->rounds[candidate];)
		i = i + 1;
}

static const struct gyr_tune_key some_key = {.kernel = "test", .sizes = {1, 2, 3}};

static void test_choose(void **state)
{
	struct work work = {.rounds = {2000, 8000, 100, 8000}};
	gyr_tune_forget();
	gyr_tune_begin();
	assert_int_equal(gyr_tune_choose(&some_key, 1, run_work, &work), 0);
	assert_int_equal(work.runs[0], 0); /* no choice */
	assert_int_equal(gyr_tune_choose(&some_key, 4, run_work, &work), 2);
	assert_true(work.runs[0] > 0 && work.runs[1] > 0 && work.runs[3] > 0);
	assert_int_equal(gyr_tune_count(), 1);

	struct work again = work;
	assert_int_equal(gyr_tune_choose(&some_key, 4, run_work, &again), 2); /* remembered */
	assert_memory_equal(&work, &again, sizeof work);

	struct gyr_tune_key other = some_key;
	other.sizes[5] = 1;
	assert_int_equal(gyr_tune_choose(&other, 2, run_work, &again), 0);
	assert_int_equal(gyr_tune_count(), 2);
	/* A remembered choice that names no candidate is measured anew. */
	assert_int_equal(gyr_tune_choose(&some_key, 2, run_work, &again), 0);
	assert_int_equal(gyr_tune_choose(&some_key, 4, run_work, &again), 0);

	/* Work that has measured for long enough measures no more, and remembers nothing. */
	struct work slow = {.rounds = {20000000, 20000000}};
	uint32_t before = UINT32_MAX, choices = 0;
	for (; slow.runs[0] != before && choices < 1000; choices++) {
		before = slow.runs[0];
		other.sizes[5] = 2 + choices;
		(void)gyr_tune_choose(&other, 2, run_work, &slow);
	}
	assert_int_equal(slow.runs[0], before);
	assert_int_equal(gyr_tune_count(), 2 + choices - 1);
}

static void test_round_trip(void **state)
{
	static uint8_t bytes[GYR_TUNE_BYTES_MAX], other[GYR_TUNE_BYTES_MAX];
	struct work work = {.rounds = {4000, 100}};
	struct gyr_error error;
	gyr_tune_forget();
	gyr_tune_begin();
	assert_int_equal(gyr_tune_choose(&some_key, 2, run_work, &work), 1);
	size_t size = gyr_tune_export(bytes, sizeof bytes);
	assert_true(size > 0);
	assert_int_equal(gyr_tune_export(other, size - 1), 0);
	gyr_tune_forget();
	assert_int_equal(gyr_tune_import(bytes, size, &error), 0);
	assert_int_equal(gyr_tune_count(), 1);
	work = (struct work){0};
	assert_int_equal(gyr_tune_choose(&some_key, 2, run_work, &work), 1);
	assert_int_equal(work.runs[0] + work.runs[1], 0);
	assert_int_equal(gyr_tune_import(bytes, size, &error), 0); /* what is known stays once */
	assert_int_equal(gyr_tune_count(), 1);

	/* Cut short, or with something behind it: refused whole. */
	gyr_tune_forget();
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(gyr_tune_import(bytes, cut, &error), -EBADMSG);
	assert_int_equal(gyr_tune_import(bytes, size + 1, &error), -EBADMSG);
	assert_int_equal(gyr_tune_count(), 0);
	/* Any byte changed: nothing, or choices that do no harm. */
	for (size_t at = 0; at < size; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(other, bytes, size);
			other[at] ^= (uint8_t)(1u << bit);
			int status = gyr_tune_import(other, size, &error);
			assert_true(status == 0 || status == -EBADMSG || status == -ENOTSUP);
			assert_true(gyr_tune_choose(&some_key, 2, run_work, &work) < 2);
			gyr_tune_forget();
		}
	}
}

/* However many choices there are, memory stays what it is, and the export fits. */
static void test_full(void **state)
{
	static uint8_t bytes[GYR_TUNE_BYTES_MAX];
	struct work work = {0};
	struct gyr_tune_key key = {.kernel = "fifteen letters", .sizes = {~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)}};
	gyr_tune_forget();
	for (uint64_t i = 0; i < GYR_TUNE_ENTRIES_MAX + 10; i++) {
		gyr_tune_begin();
		key.sizes[5] = ~i;
		(void)gyr_tune_choose(&key, 2, run_work, &work);
	}
	assert_int_equal(gyr_tune_count(), GYR_TUNE_ENTRIES_MAX);
	size_t size = gyr_tune_export(bytes, sizeof bytes);
	assert_true(size > 0);
	gyr_tune_forget();
	assert_int_equal(gyr_tune_import(bytes, size, NULL), 0);
	assert_int_equal(gyr_tune_count(), GYR_TUNE_ENTRIES_MAX);
	gyr_tune_forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers), cmocka_unit_test(test_extremes),   cmocka_unit_test(test_bf16),
		cmocka_unit_test(test_choose), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
