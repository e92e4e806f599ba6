/* Folders in Triton's layout: which versions there are, and which a policy chooses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/jobs/folder.h"
#include "sample.h"

static char top[64];
static struct gyr_error error;

static void make(const char *name, const char *file)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", top, name);
	assert_int_equal(mkdir(path, 0755), 0);
	if (file == NULL)
		return;
	snprintf(path, sizeof path, "%s/%s/%s", top, name, file);
	sample_write(path, name, strlen(name));
}

static int start(void **state)
{
	sample_folder(top);
	make("1", "model.onnx");
	make("9", "model.onnx");
	make("10", "model.onnx");
	make("100", "model.onnx");
	/* None of these is a version. */
	make("02", "model.onnx");
	make("0", "model.onnx");
	make("3x", "model.onnx");
	make("-4", "model.onnx");
	make("99999999999999999999", "model.onnx");
	make("5", "model.pb");
	make("6", NULL);
	make("7", NULL);
	char path[256];
	snprintf(path, sizeof path, "%s/7/model.onnx", top);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/8", top);
	sample_write(path, "8", 1);
	return 0;
}

static int stop(void **state)
{
	sample_remove(top);
	return 0;
}

/* The versions that TEXT chooses, as "1,9,"; or the status. */
static int choose(const char *text, char *chosen, size_t size)
{
	struct gyr_folder_policy policy;
	struct gyr_folder folder;
	size_t used = 0;
	int status = gyr_folder_policy_read(text, &policy, &error);
	if (status == 0)
		status = gyr_folder_read(top, &policy, &folder, &error);
	chosen[0] = '\0';
	for (uint32_t i = 0; status == 0 && i < folder.count; i++)
		used += (size_t)snprintf(chosen + used, size - used, "%llu,", (unsigned long long)folder.versions[i].number);
	return status;
}

static void policies_choose(void **state)
{
	static const struct {
		const char *policy, *chosen;
	} cases[] = {{"all", "1,9,10,100,"}, {"latest:1", "100,"}, {"latest:3", "9,10,100,"}, {"latest:64", "1,9,10,100,"}, {"10", "10,"}, {"1,100", "1,100,"}};
	char chosen[256];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(choose(cases[i].policy, chosen, sizeof chosen), 0);
		assert_string_equal(chosen, cases[i].chosen);
	}
}

static void what_is_wrong_is_named(void **state)
{
	static const char *const wrong[] = {"",  "none", "latest", "latest:", "latest:0", "latest:65", "latest:2x",
					    "0", "1,",   "1,,2",   "2,1",     "1,1",      "1 2",       "-1"};
	char chosen[256];
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (choose(wrong[i], chosen, sizeof chosen) != -EINVAL)
			fail_msg("\"%s\" was taken", wrong[i]);
	assert_int_equal(choose("1,2", chosen, sizeof chosen), -ENOENT);
	assert_non_null(strstr(error.text, "/2/model.onnx"));
	assert_int_equal(choose("5", chosen, sizeof chosen), -ENOENT);
	assert_int_equal(choose("7", chosen, sizeof chosen), -ENOENT);
	struct gyr_folder_policy all = {.choice = GYR_FOLDER_ALL};
	struct gyr_folder folder;
	char path[256];
	snprintf(path, sizeof path, "%s/6", top);
	assert_int_equal(gyr_folder_read(path, &all, &folder, &error), -ENOENT);
	assert_non_null(strstr(error.text, "no version"));
	snprintf(path, sizeof path, "%s/8", top);
	assert_int_equal(gyr_folder_read(path, &all, &folder, &error), -ENOTDIR);
}

static void too_many_are_refused(void **state)
{
	char name[16], chosen[1024];
	for (uint32_t i = 0; i < GYR_FOLDER_VERSIONS_MAX; i++) {
		snprintf(name, sizeof name, "%u", 1000 + i);
		make(name, "model.onnx");
	}
	assert_int_equal(choose("all", chosen, sizeof chosen), -E2BIG);
	assert_int_equal(choose("latest:2", chosen, sizeof chosen), 0);
	assert_string_equal(chosen, "1062,1063,");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {TEST(policies_choose), TEST(what_is_wrong_is_named), TEST(too_many_are_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
