#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/tensor.h"

static void test_types(void **unused)
{
	static const struct {
		enum gyr_dtype dtype;
		size_t bytes;
		const char *name;
	} types[] = {{1, 4, "f32"},  {2, 1, "u8"},   {3, 1, "i8"},   {4, 2, "u16"},  {5, 2, "i16"},  {6, 4, "i32"},  {7, 8, "i64"},
		     {9, 1, "bool"}, {10, 2, "f16"}, {11, 8, "f64"}, {12, 4, "u32"}, {13, 8, "u64"}, {16, 2, "bf16"}};
	unsigned known = 0;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		assert_int_equal(gyr_dtype_bytes(types[i].dtype), types[i].bytes);
		assert_string_equal(gyr_dtype_name(types[i].dtype), types[i].name);
		assert_int_equal(gyr_dtype_from_name(types[i].name), types[i].dtype);
	}
	for (int number = -2; number < 300; number++)
		known += gyr_dtype_bytes((enum gyr_dtype)number) != 0;
	assert_int_equal(known, sizeof types / sizeof types[0]);
	assert_string_equal(gyr_dtype_name((enum gyr_dtype)8), "?");
	assert_string_equal(gyr_dtype_name((enum gyr_dtype)1000), "?");
	assert_int_equal(gyr_dtype_from_name("float"), GYR_DTYPE_NONE);
}

static void test_counts(void **unused)
{
	struct gyr_shape shape = {.dtype = GYR_DTYPE_F32, .rank = 3, .dims = {GYR_DIM_BATCH, 5, 7}};
	size_t count;
	assert_true(gyr_shape_count(&shape, 4, &count));
	assert_int_equal(count, 140);
	assert_true(gyr_shape_bytes(&shape, 4, &count));
	assert_int_equal(count, 560);
	shape.rank = 0;
	assert_true(gyr_shape_count(&shape, 4, &count));
	assert_int_equal(count, 1);
	shape = (struct gyr_shape){.dtype = GYR_DTYPE_U8, .rank = 2, .dims = {3, 0}};
	assert_true(gyr_shape_bytes(&shape, 1, &count));
	assert_int_equal(count, 0);
}

static void test_refusals(void **unused)
{
	size_t count;
	struct gyr_shape shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {2, GYR_DIM_BATCH}};
	assert_false(gyr_shape_count(&shape, 4, &count)); /* the batch is only ever first */
	shape.dims[1] = -2;
	assert_false(gyr_shape_count(&shape, 4, &count));
	shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {-2, 3}};
	assert_false(gyr_shape_count(&shape, 4, &count));
	shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {INT64_MAX, 3}};
	assert_false(gyr_shape_count(&shape, 4, &count));
	shape = (struct gyr_shape){.dtype = GYR_DTYPE_F64, .rank = 1, .dims = {INT64_MAX / 8 + 1}};
	assert_false(gyr_shape_bytes(&shape, 4, &count));
	shape.dims[0]--;
	assert_true(gyr_shape_bytes(&shape, 4, &count));
	shape = (struct gyr_shape){.dtype = (enum gyr_dtype)8, .rank = 1, .dims = {1}};
	assert_false(gyr_shape_count(&shape, 4, &count));
	shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = GYR_RANK_MAX + 1};
	assert_false(gyr_shape_count(&shape, 4, &count));
}

static void test_equal(void **unused)
{
	struct gyr_shape a = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {2, 3, 9}}, b = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {2, 3, 8}};
	assert_true(gyr_shape_equal(&a, &b)); /* what lies beyond the rank is nothing */
	b.dims[1] = 4;
	assert_false(gyr_shape_equal(&a, &b));
	b.dims[1] = 3;
	b.dtype = GYR_DTYPE_I32;
	assert_false(gyr_shape_equal(&a, &b));
	b.dtype = GYR_DTYPE_F32;
	b.rank = 3;
	assert_false(gyr_shape_equal(&a, &b));
}

static void test_text(void **unused)
{
	char text[64];
	struct gyr_shape shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {GYR_DIM_BATCH, 784}};
	assert_string_equal(gyr_shape_text(&shape, text, sizeof text), "f32[N,784]");
	shape.rank = 0;
	assert_string_equal(gyr_shape_text(&shape, text, sizeof text), "f32[]");
	/* Cut where it must be, with its zero. */
	shape.rank = 2;
	for (size_t size = 1; size <= 11; size++) {
		memset(text, 'x', sizeof text);
		gyr_shape_text(&shape, text, size);
		assert_true(strlen(text) < size);
		assert_int_equal(text[size], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types), cmocka_unit_test(test_counts), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_equal), cmocka_unit_test(test_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
