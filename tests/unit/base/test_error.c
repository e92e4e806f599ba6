#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

static void test_set_and_prefix(void **unused)
{
	struct gyr_error error;
	assert_int_equal(gyr_error_set(&error, -EINVAL, "line %d", 7), -EINVAL);
	assert_string_equal(error.text, "line 7");
	assert_int_equal(gyr_error_prefix(&error, -EIO, "%s", "gyr.conf"), -EIO);
	assert_string_equal(error.text, "gyr.conf: line 7");
	assert_int_equal(gyr_error_set(NULL, -ENOENT, "nobody listens"), -ENOENT);
	assert_int_equal(gyr_error_prefix(NULL, -ENOENT, "nobody listens"), -ENOENT);
}

static void test_cut_when_longer(void **unused)
{
	struct gyr_error error;
	char text[2 * sizeof error.text];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	assert_int_equal(gyr_error_set(&error, -EINVAL, "%s", text), -EINVAL);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
	gyr_error_prefix(&error, -EINVAL, "front");
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
	assert_memory_equal(error.text, "front: xxx", 10);
	gyr_error_prefix(&error, -EINVAL, "%s", text);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_set_and_prefix), cmocka_unit_test(test_cut_when_longer)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
