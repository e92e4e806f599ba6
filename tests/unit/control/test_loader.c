/* The loader against real files: sizes, tails, faults of the file and of the reads. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/load/loader.h"
#include "control/load/reader.h"
#include "sample.h"

static char folder[64], path[128];
static struct gyr_error error;

static int make_folder(void **state)
{
	sample_folder(folder);
	snprintf(path, sizeof path, "%s/bundle", folder);
	gyr_read_faults = NULL;
	return 0;
}

static int remove_folder(void **state)
{
	gyr_read_faults = NULL;
	sample_remove(folder);
	return 0;
}

static bool takes_direct(void)
{
	int fd = open(path, O_RDONLY | O_DIRECT);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* O_DIRECT is kept where there is one: what goes wrong on the way is not mended by the page cache. */
static void must_load(const void *bytes, size_t size)
{
	struct gyr_loaded loaded;
	struct stat seen;
	if (gyr_load(&(struct gyr_load_request){.path = path}, &loaded, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(loaded.bytes, size);
	assert_int_equal(loaded.direct, takes_direct());
	assert_int_equal(fcntl(loaded.fd, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(fstat(loaded.fd, &seen), 0);
	assert_int_equal(seen.st_size, size);
	assert_int_equal(pwrite(loaded.fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, loaded.fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_memory_equal(map, bytes, size);
	munmap(map, size);
	close(loaded.fd);
}

static void bundles_of_many_sizes_are_loaded_and_sealed(void **state)
{
	/* From a few blocks to more parts than the queue is deep. */
	static const uint32_t widths[] = {1, 500, 600, 130000, 131072, 200001, 4300000};
	for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
		void *bytes;
		size_t size;
		sample_bundle(widths[i], 3, &bytes, &size);
		sample_write(path, bytes, size);
		must_load(bytes, size);
		free(bytes);
	}
}

static void tails_of_any_length_are_read(void **state)
{
	static const uint64_t sizes[] = {
		1, 511, 512, 4095, 4096, 4097, GYR_READ_BYTES - 1, GYR_READ_BYTES, GYR_READ_BYTES + 1, 3 * GYR_READ_BYTES + 777, 40 * GYR_READ_BYTES + 4095};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		for (int direct = 0; direct < 2; direct++) {
			size_t room = (sizes[i] / GYR_READ_ALIGN + 1) * GYR_READ_ALIGN;
			uint8_t *bytes = aligned_alloc(GYR_READ_ALIGN, room), *read = aligned_alloc(GYR_READ_ALIGN, room);
			assert_non_null(bytes);
			assert_non_null(read);
			for (uint64_t at = 0; at < sizes[i]; at++)
				bytes[at] = (uint8_t)(at * 31 + at / 4096);
			memset(read, 0xee, room);
			sample_write(path, bytes, sizes[i]);
			int fd = open(path, O_RDONLY | (direct ? O_DIRECT : 0));
			if (fd < 0 && direct && errno == EINVAL) {
				print_message("no O_DIRECT on /tmp\n");
			} else {
				assert_true(fd >= 0);
				struct gyr_read run = {.fd = fd, .direct = direct, .to = read, .end = sizes[i]};
				if (gyr_read_run(&run, &error) != 0)
					fail_msg("%s", error.text);
				assert_memory_equal(read, bytes, sizes[i]);
				close(fd);
			}
			free(bytes);
			free(read);
		}
	}
}

static void expect(int status, const char *words)
{
	struct gyr_loaded loaded;
	int got = gyr_load(&(struct gyr_load_request){.path = path}, &loaded, &error);
	if (got != status)
		fail_msg("%d (%s), expected %d", got, got == 0 ? "" : error.text, status);
	assert_int_equal(loaded.fd, -1);
	if (strstr(error.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", error.text, words);
	assert_non_null(strstr(error.text, folder));
}

static void bad_files_are_refused(void **state)
{
	void *bytes;
	size_t size;
	sample_bundle(600, 3, &bytes, &size);
	expect(-ENOENT, "No such file");
	sample_write(path, "", 0);
	expect(-EBADMSG, "empty");
	sample_write(path, "short", 5);
	expect(-EBADMSG, "");
	sample_write(path, bytes, size - 4096);
	expect(-EBADMSG, "bytes");
	sample_write(path, bytes, size - 1);
	expect(-EBADMSG, "bytes");
	char *longer = calloc(1, size + 4096);
	assert_non_null(longer);
	memcpy(longer, bytes, size);
	sample_write(path, longer, size + 4096);
	expect(-EBADMSG, "bytes");
	free(longer);
	/* Any byte: here one of each block, and of the last. */
	for (size_t at = 17; at < size; at += 4096) {
		((uint8_t *)bytes)[at] ^= 1;
		sample_write(path, bytes, size);
		expect(-EBADMSG, "");
		((uint8_t *)bytes)[at] ^= 1;
	}
	assert_int_equal(truncate(path, (off_t)(GYR_BUNDLE_BYTES_MAX + 1)), 0);
	expect(-E2BIG, "at most");
	free(bytes);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect(-EINVAL, "not a file");
}

/* --- reads that go wrong --- */

static int hook_calls, hook_fault;

static int hurt_read(void *user, uint64_t offset, uint32_t length, uint8_t *memory, int result)
{
	hook_calls++;
	switch (hook_fault) {
	case 'a': return hook_calls % 2 == 1 ? -EAGAIN : result;
	case 'i': return hook_calls % 3 == 1 ? -EINTR : result;
	case 's': return result > 5000 ? 4096 + 100 : result; /* short, and inside a block */
	case 'e': return offset > GYR_READ_BYTES && offset < 2 * GYR_READ_BYTES ? -EIO : result;
	case 'c': return hook_calls % 4 == 1 ? -ECANCELED : result;
	case 'f': return -EAGAIN;
	case 'd': return hook_calls == 1 ? -EINVAL : result;
	default: return result;
	}
}
static const struct gyr_read_faults hurt_read_faults = {.result = hurt_read};

static void reads_are_repeated_and_continued(void **state)
{
	static const char faults[] = "aisc";
	void *bytes;
	size_t size;
	sample_bundle(500000, 3, &bytes, &size);
	sample_write(path, bytes, size);
	gyr_read_faults = &hurt_read_faults;
	for (size_t i = 0; i < sizeof faults - 1; i++) {
		hook_fault = faults[i];
		hook_calls = 0;
		must_load(bytes, size);
		assert_true(hook_calls > (int)(size / GYR_READ_BYTES) + 1);
	}
	free(bytes);
}

static void failing_reads_give_nothing(void **state)
{
	void *bytes;
	size_t size;
	sample_bundle(500000, 3, &bytes, &size);
	sample_write(path, bytes, size);
	gyr_read_faults = &hurt_read_faults;
	hook_fault = 'e';
	expect(-EIO, "at byte 1");
	hook_fault = 'f';
	expect(-EIO, "put off");
	free(bytes);
}

static void a_refused_direct_read_is_done_through_the_page_cache(void **state)
{
	struct gyr_loaded loaded;
	sample_bundle_file(path, 500000, 3, NULL);
	assert_int_equal(gyr_load(&(struct gyr_load_request){.path = path}, &loaded, &error), 0);
	assert_int_equal(loaded.direct, takes_direct());
	close(loaded.fd);
	if (!loaded.direct)
		skip();
	gyr_read_faults = &hurt_read_faults;
	hook_fault = 'd';
	hook_calls = 0;
	assert_int_equal(gyr_load(&(struct gyr_load_request){.path = path}, &loaded, &error), 0);
	assert_false(loaded.direct);
	close(loaded.fd);
}

static int cut_file(void *user, uint64_t offset, uint32_t length, uint8_t *memory, int result)
{
	/* As if the file had been cut while it was read. */
	return offset >= 2 * GYR_READ_BYTES ? 0 : result;
}
static const struct gyr_read_faults cut_file_faults = {.result = cut_file};

static void a_file_that_shrinks_meanwhile_is_refused(void **state)
{
	void *bytes;
	size_t size;
	sample_bundle(500000, 3, &bytes, &size);
	sample_write(path, bytes, size);
	gyr_read_faults = &cut_file_faults;
	expect(-EBADMSG, "ends here");
	free(bytes);
}

static atomic_bool cancelled;

static int cancel_after_some(void *user, uint64_t offset, uint32_t length, uint8_t *memory, int result)
{
	atomic_store(&cancelled, true);
	return result;
}
static const struct gyr_read_faults cancel_after_some_faults = {.result = cancel_after_some};

static void a_load_can_be_cancelled(void **state)
{
	void *bytes;
	size_t size;
	struct gyr_loaded loaded;
	sample_bundle(5000000, 3, &bytes, &size);
	sample_write(path, bytes, size);
	atomic_store(&cancelled, false);
	gyr_read_faults = &cancel_after_some_faults;
	assert_int_equal(gyr_load(&(struct gyr_load_request){.path = path, .cancel = &cancelled}, &loaded, &error), -ECANCELED);
	assert_int_equal(loaded.fd, -1);
	free(bytes);
}

static int refuse(const struct gyr_bundle *bundle, const void *bytes, uint64_t size, void *user, struct gyr_error *why)
{
	assert_int_equal(bundle->graph->input_count, 1);
	return gyr_error_set(why, -ENOSPC, "no room");
}

static void whoever_uses_it_may_refuse(void **state)
{
	struct gyr_loaded loaded;
	sample_bundle_file(path, 600, 3, NULL);
	assert_int_equal(gyr_load(&(struct gyr_load_request){.path = path, .use = refuse}, &loaded, &error), -ENOSPC);
	assert_int_equal(loaded.fd, -1);
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
	struct gyr_budget budget;
	struct gyr_loaded first, second;
	struct gyr_load_progress progress = {0};
	sample_bundle_file(path, 500000, 3, NULL);
	gyr_budget_init(&budget, 10 << 20);
	struct gyr_load_request request = {.path = path, .name = "one version 1", .budget = &budget, .progress = &progress};
	assert_int_equal(gyr_load(&request, &first, &error), 0);
	assert_int_equal(atomic_load(&progress.bytes), first.bytes);
	assert_int_equal(atomic_load(&progress.read), first.bytes);
	assert_int_equal(budget.taken, first.bytes);
	/* With its packed weights beside it the same is too much; alone it is not. */
	request.name = "two version 7";
	request.packed = true;
	assert_int_equal(gyr_load(&request, &second, &error), -ENOSPC);
	assert_int_equal(second.fd, -1);
	assert_non_null(strstr(error.text, "two version 7 needs 8 MiB, and of the 10 MiB for models 4 are taken (one version 1 4)"));
	request.packed = false;
	assert_int_equal(gyr_load(&request, &second, &error), 0);
	gyr_loaded_release(&second);
	assert_int_equal(gyr_budget_note_held(&budget, "three version 2", 7 << 20), 0);
	assert_int_equal(gyr_load(&request, &second, &error), -ENOSPC);
	assert_non_null(strstr(error.text, "three version 2 7, one version 1 4"));
	gyr_budget_forget_held(&budget);
	gyr_loaded_release(&first);
	assert_int_equal(budget.taken, 0);
	gyr_budget_fini(&budget);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(bundles_of_many_sizes_are_loaded_and_sealed),
		TEST(tails_of_any_length_are_read),
		TEST(bad_files_are_refused),
		TEST(reads_are_repeated_and_continued),
		TEST(failing_reads_give_nothing),
		TEST(a_refused_direct_read_is_done_through_the_page_cache),
		TEST(a_file_that_shrinks_meanwhile_is_refused),
		TEST(a_load_can_be_cancelled),
		TEST(whoever_uses_it_may_refuse),
		TEST(what_does_not_fit_is_refused_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
