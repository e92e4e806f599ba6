/*
 * Loads of one bundle while what io_uring says is hurt by a seed: reads that stop short, are put off, cancelled or fail, memory that they leave wrong,
 * completions in any order and more than their queue holds, submissions that are not taken, and a load that is called off. Each ends with the right bytes or
 * fails for the reason that was given it, and leaves nothing behind.
 *
 * 150 schedules; 10,000 with GYR_LONG. GYR_SEED=N runs one.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/load/loader.h"
#include "control/load/reader.h"
#include "sample.h"

#define SIZES 3
#define MEMORY_KB_MAX 4096 /* that all schedules together may leave more than the first ones did */

/* AddressSanitizer keeps what was freed, and tells leaks itself. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

static char folder[64];
static struct gyr_error error;

struct file {
	char path[96];
	void *bytes;
	size_t size;
};

static struct schedule {
	uint64_t random;
	unsigned reads;              /* so far */
	unsigned soft;               /* of 256 reads, that are hurt so that they must be repeated or continued */
	unsigned hard_at, cancel_at; /* the read that is hurt for good, and that at which the load is called off */
	int hard;                    /* what it says; 1: it leaves wrong bytes */
	unsigned refusals;           /* submissions that are not taken */
	bool direct_refused;         /* the first read says so */
	bool hurt, called_off;       /* it has happened */
	atomic_bool cancel;
} now;

static struct {
	unsigned good, failed, wrong, cancelled, overflows, softly;
} seen;

/* xorshift64*: the same schedule on every machine. */
static unsigned draw(unsigned below)
{
	now.random ^= now.random >> 12;
	now.random ^= now.random << 25;
	now.random ^= now.random >> 27;
	return (unsigned)((now.random * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

static int hurt_submission(void *user)
{
	static const int says[] = {-EINTR, -EAGAIN, -EBUSY, -ENOMEM};
	if (now.refusals == 0 || draw(2) == 0)
		return 0;
	now.refusals--;
	return says[draw(4)];
}

static unsigned wait_for(void *user, unsigned in_flight)
{
	return 1 + draw(in_flight < 4 ? in_flight : 4);
}

static void shuffle(void *user, struct gyr_read_result *results, unsigned count)
{
	for (unsigned i = count; i > 1; i--) {
		unsigned other = draw(i);
		struct gyr_read_result kept = results[i - 1];
		results[i - 1] = results[other];
		results[other] = kept;
	}
}

static void count_overflow(void *user)
{
	seen.overflows++;
}

static int hurt_result(void *user, uint64_t offset, uint32_t length, uint8_t *memory, int result)
{
	static const int says[] = {-EAGAIN, -EINTR, -ECANCELED};
	unsigned read = now.reads++;
	if (read == 0 && now.direct_refused)
		return -EINVAL;
	if (read == now.cancel_at) {
		now.called_off = true;
		atomic_store(&now.cancel, true);
	}
	if (read >= now.hard_at && !now.hurt && result > 0) {
		now.hurt = true;
		if (now.hard != 1)
			return now.hard;
		memory[draw((unsigned)result)] ^= (uint8_t)(1u << draw(8));
		return result;
	}
	if (result <= 0 || draw(256) >= now.soft)
		return result;
	seen.softly++;
	/* What is read again must be written again. */
	if (draw(2) == 0) {
		memset(memory, 0xa5, (size_t)result);
		return says[draw(3)];
	}
	unsigned got = 1 + draw((unsigned)result);
	memset(memory + got, 0xa5, (size_t)result - got);
	return (int)got;
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static long resident_kb(void)
{
	long kb = 0;
	char line[128];
	FILE *status = fopen("/proc/self/status", "r");
	assert_non_null(status);
	while (fgets(line, sizeof line, status) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	fclose(status);
	return kb;
}

static void check_bytes(const struct gyr_loaded *loaded, const struct file *file)
{
	void *map = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, loaded->fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(loaded->bytes, file->size);
	assert_memory_equal(map, file->bytes, file->size);
	munmap(map, file->size);
}

static void run_schedule(uint64_t seed, const struct file *files)
{
	static const int fails[] = {-EIO, -ENOMEM, -ENODATA, 0, 1};
	struct gyr_loaded loaded;
	now = (struct schedule){.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1, .hard_at = UINT32_MAX, .cancel_at = UINT32_MAX};
	const struct file *file = &files[draw(8) == 0 ? SIZES - 1 : draw(SIZES - 1)];
	static const unsigned softness[] = {0, 10, 80, 200};
	now.soft = softness[draw(4)];
	if (draw(3) == 0) {
		now.hard_at = draw(70);
		now.hard = fails[draw(5)];
	}
	if (draw(6) == 0)
		now.cancel_at = draw(70);
	now.refusals = draw(4) == 0 ? draw(4) : 0;
	now.direct_refused = draw(4) == 0;
	const struct gyr_read_faults faults = {
		.entries = draw(2) == 0 ? 0 : 4u << draw(3),
		.part_bytes = 32768u << draw(3),
		.submit = hurt_submission,
		.wait = wait_for,
		.order = shuffle,
		.overflowed = count_overflow,
		.result = hurt_result,
	};
	gyr_read_faults = &faults;
	error.text[0] = '\0';
	int status = gyr_load(&(struct gyr_load_request){.path = file->path, .cancel = &now.cancel}, &loaded, &error);
	gyr_read_faults = NULL;
	bool right = status == 0 ? !now.hurt : loaded.fd == -1;
	if (status == -ECANCELED)
		right = right && now.called_off;
	else if (status != 0)
		right = right && now.hurt && status == (now.hard == 0 || now.hard == 1 ? -EBADMSG : now.hard);
	if (!right)
		fail_msg("seed %llu: %d (%s); hurt for good: %d with %d, called off: %d", (unsigned long long)seed, status, status == 0 ? "" : error.text,
			 now.hurt, now.hard, now.called_off);
	seen.good += status == 0;
	seen.cancelled += status == -ECANCELED;
	seen.wrong += status == -EBADMSG && now.hard == 1;
	seen.failed += status != 0;
	if (status == 0) {
		check_bytes(&loaded, file);
		gyr_loaded_release(&loaded);
	}
}

static void schedules_end_right_or_cleanly(void **state)
{
	static const uint32_t widths[SIZES] = {20000, 150000, 500000};
	struct file files[SIZES];
	const char *one = getenv("GYR_SEED");
	uint64_t count = getenv("GYR_LONG") != NULL ? 10000 : 150;
	long before = 0;
	sample_folder(folder);
	for (unsigned i = 0; i < SIZES; i++) {
		snprintf(files[i].path, sizeof files[i].path, "%s/bundle%u", folder, i);
		sample_bundle(widths[i], 3, &files[i].bytes, &files[i].size);
		sample_write(files[i].path, files[i].bytes, files[i].size);
	}
	unsigned descriptors = open_descriptors();
	for (uint64_t seed = one != NULL ? strtoull(one, NULL, 10) : 0, end = one != NULL ? seed + 1 : count; seed < end; seed++) {
		run_schedule(seed, files);
		assert_int_equal(open_descriptors(), descriptors);
		if (seed == 100)
			before = resident_kb();
	}
	print_message("%u loaded, %u failed (%u of them wrong bytes, %u called off), %u reads hurt, %u overflows, %ld KiB more\n", seen.good, seen.failed,
		      seen.wrong, seen.cancelled, seen.softly, seen.overflows, before == 0 ? 0 : resident_kb() - before);
	if (one == NULL) {
#ifndef SANITIZED
		assert_true(resident_kb() - before <= MEMORY_KB_MAX);
#endif
		/* Every kind of end and harm was there. */
		assert_true(seen.good > count / 4 && seen.wrong > 0 && seen.cancelled > 0 && seen.softly > count && seen.overflows > 0);
	}
	for (unsigned i = 0; i < SIZES; i++)
		free(files[i].bytes);
	sample_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(schedules_end_right_or_cleanly)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
