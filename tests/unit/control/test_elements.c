/* What gyrctl predict reads: JSON, IDX, raw elements; and what it prints. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "control/cli/elements.h"
#include "sample.h"

static char folder[64], path[128];
static struct gyr_error error;

static int start(void **state)
{
	sample_folder(folder);
	snprintf(path, sizeof path, "%s/file", folder);
	return 0;
}

static int stop(void **state)
{
	sample_remove(folder);
	return 0;
}

static int from_json(const char *text, enum gyr_dtype dtype, const void *expected, size_t bytes)
{
	struct ctl_elements elements;
	int status = ctl_elements_from_json(text, strlen(text), dtype, &elements, &error);
	if (status == 0) {
		assert_int_equal(elements.bytes, bytes);
		assert_memory_equal(elements.data, expected, bytes);
	} else {
		assert_null(elements.data);
	}
	free(elements.data);
	return status;
}

static void json_is_read_in_the_models_type(void **state)
{
	assert_int_equal(from_json("[1, -2.5, 1e3]", GYR_DTYPE_F32, (float[]){1, -2.5f, 1000}, 12), 0);
	assert_int_equal(from_json("[[1, 2], [3, 4]]", GYR_DTYPE_F64, (double[]){1, 2, 3, 4}, 32), 0);
	assert_int_equal(from_json("7", GYR_DTYPE_U8, (uint8_t[]){7}, 1), 0);
	assert_int_equal(from_json("[0, 255]", GYR_DTYPE_U8, (uint8_t[]){0, 255}, 2), 0);
	assert_int_equal(from_json("[-128, 127]", GYR_DTYPE_I8, (int8_t[]){-128, 127}, 2), 0);
	assert_int_equal(from_json("[-3, 3.0]", GYR_DTYPE_I32, (int32_t[]){-3, 3}, 8), 0);
	assert_int_equal(from_json("[9223372036854775807, -9223372036854775808]", GYR_DTYPE_I64, (int64_t[]){INT64_MAX, INT64_MIN}, 16), 0);
	assert_int_equal(from_json("[18446744073709551615]", GYR_DTYPE_U64, (uint64_t[]){UINT64_MAX}, 8), 0);
	assert_int_equal(from_json("[0, 1]", GYR_DTYPE_BOOL, (uint8_t[]){0, 1}, 2), 0);
}

static void what_does_not_fit_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum gyr_dtype dtype;
		int status;
	} bad[] = {
		{"", GYR_DTYPE_F32, -EINVAL},
		{"[1", GYR_DTYPE_F32, -EINVAL},
		{"[1, \"a\"]", GYR_DTYPE_F32, -EINVAL},
		{"{\"a\": 1}", GYR_DTYPE_F32, -EINVAL},
		{"[null]", GYR_DTYPE_F32, -EINVAL},
		{"[1e39]", GYR_DTYPE_F32, -EINVAL},
		{"[256]", GYR_DTYPE_U8, -EINVAL},
		{"[-1]", GYR_DTYPE_U8, -EINVAL},
		{"[1.5]", GYR_DTYPE_I32, -EINVAL},
		{"[2]", GYR_DTYPE_BOOL, -EINVAL},
		{"[9223372036854775808]", GYR_DTYPE_I64, -EINVAL},
		{"[-1]", GYR_DTYPE_U64, -EINVAL},
		{"[1.0]", GYR_DTYPE_U64, -EINVAL},
		{"[1]", GYR_DTYPE_F16, -ENOTSUP},
		{"[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", GYR_DTYPE_F32, -EINVAL},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int status = from_json(bad[i].text, bad[i].dtype, NULL, 0);
		if (status != bad[i].status)
			fail_msg("%s: %d", bad[i].text, status);
	}
}

static int from_file(int64_t row, enum gyr_dtype dtype, size_t row_bytes, const void *expected, size_t bytes)
{
	struct ctl_elements elements;
	int status = ctl_elements_from_file(path, row, dtype, row_bytes, &elements, &error);
	if (status == 0) {
		assert_int_equal(elements.bytes, bytes);
		assert_memory_equal(elements.data, expected, bytes);
	} else {
		assert_null(elements.data);
		assert_non_null(strstr(error.text, path));
	}
	free(elements.data);
	return status;
}

static void files_are_read_whole_or_by_row(void **state)
{
	static const char idx[] = "\0\0\x08\x02\0\0\0\x03\0\0\0\x02"
				  "abcdef";
	static const char wide[] = "\0\0\x0b\x01\0\0\0\x02\x01\x02\x03\x04";
	sample_write(path, idx, sizeof idx - 1);
	assert_int_equal(from_file(-1, GYR_DTYPE_U8, 2, "abcdef", 6), 0);
	assert_int_equal(from_file(1, GYR_DTYPE_U8, 2, "cd", 2), 0);
	assert_int_equal(from_file(3, GYR_DTYPE_U8, 2, NULL, 0), -ERANGE);
	assert_non_null(strstr(error.text, "0 to 2"));
	assert_int_equal(from_file(0, GYR_DTYPE_U8, 4, NULL, 0), -EINVAL);
	assert_int_equal(from_file(0, GYR_DTYPE_F32, 4, NULL, 0), -EINVAL);
	assert_non_null(strstr(error.text, "f32"));
	gzFile packed = gzopen(path, "wb");
	assert_int_equal(gzwrite(packed, idx, sizeof idx - 1), sizeof idx - 1);
	assert_int_equal(gzclose(packed), Z_OK);
	assert_int_equal(from_file(2, GYR_DTYPE_U8, 2, "ef", 2), 0);
	struct stat seen;
	assert_int_equal(stat(path, &seen), 0);
	assert_int_equal(truncate(path, seen.st_size - 2), 0);
	assert_int_equal(from_file(2, GYR_DTYPE_U8, 2, NULL, 0), -EINVAL);
	assert_non_null(strstr(error.text, "too early"));
	sample_write(path, wide, sizeof wide - 1);
	assert_int_equal(from_file(-1, GYR_DTYPE_I16, 2, (int16_t[]){0x0102, 0x0304}, 4), 0);
	sample_write(path, "rawraw", 6);
	assert_int_equal(from_file(1, GYR_DTYPE_U8, 3, "raw", 3), 0);
	assert_int_equal(from_file(0, GYR_DTYPE_U8, 4, NULL, 0), -EINVAL);
	sample_write(path, "[[1,2],[3,4]]", 13);
	assert_int_equal(from_file(1, GYR_DTYPE_F32, 8, (float[]){3, 4}, 8), 0);
	sample_write(path, "[[1,2],[3]]", 11);
	assert_int_equal(from_file(1, GYR_DTYPE_F32, 8, NULL, 0), -EINVAL);
	sample_write(path, "[oops", 5);
	assert_int_equal(from_file(-1, GYR_DTYPE_F32, 8, NULL, 0), -EINVAL);
	snprintf(path, sizeof path, "%s/none", folder);
	assert_int_equal(from_file(-1, GYR_DTYPE_F32, 8, NULL, 0), -ENOENT);
}

static void elements_are_printed_short(void **state)
{
	static const float f32[] = {0.1f, 1.0f / 3, 16777216};
	static const uint8_t u8[] = {255, 0};
	static const int64_t i64[] = {INT64_MIN};
	static const char *const texts[] = {"0.1", "0.33333334", "16777216.0"};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	for (size_t i = 0; i < 3; i++) {
		char *text = yyjson_mut_val_write(ctl_element_to_json(doc, f32, i, GYR_DTYPE_F32), 0, NULL);
		assert_string_equal(text, texts[i]);
		free(text);
	}
	float nan = __builtin_nanf("");
	assert_true(yyjson_mut_is_null(ctl_element_to_json(doc, &nan, 0, GYR_DTYPE_F32)));
	assert_int_equal(yyjson_mut_get_uint(ctl_element_to_json(doc, u8, 0, GYR_DTYPE_U8)), 255);
	assert_int_equal(yyjson_mut_get_sint(ctl_element_to_json(doc, i64, 0, GYR_DTYPE_I64)), INT64_MIN);
	assert_null(ctl_element_to_json(doc, u8, 0, GYR_DTYPE_BF16));
	yyjson_mut_doc_free(doc);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(json_is_read_in_the_models_type),
		TEST(what_does_not_fit_is_refused),
		TEST(files_are_read_whole_or_by_row),
		TEST(elements_are_printed_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
