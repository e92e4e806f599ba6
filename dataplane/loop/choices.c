/*
 * The file of choices: see choices.h. A write that a crash cuts short leaves what the import refuses, and the next load measures again.
 */
#include "dataplane/loop/choices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/plan/choices.h"

/* At most GYR_CHOICES_BYTES_MAX bytes of DESCRIPTOR; how many, or a negative errno. */
static ssize_t read_whole(int descriptor, uint8_t *to)
{
	size_t used = 0;
	while (used < GYR_CHOICES_BYTES_MAX) {
		ssize_t got = pread(descriptor, to + used, GYR_CHOICES_BYTES_MAX - used, (off_t)used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

static int take_over(int descriptor, struct gyr_error *error)
{
	struct gyr_error reason;
	uint8_t *bytes = malloc(GYR_CHOICES_BYTES_MAX);
	if (bytes == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory to read what was chosen");
	ssize_t size = read_whole(descriptor, bytes);
	if (size > 0 && gyr_choices_import(bytes, (size_t)size, &reason) != 0)
		gyr_log_info("%s; plans measure anew", reason.text);
	free(bytes);
	return size >= 0 ? 0 : gyr_error_set(error, (int)size, "the file of choices: %s", strerror((int)-size));
}

int gyr_choices_file_take(struct gyr_choices_file *file, int descriptor, struct gyr_error *error)
{
	struct stat about;
	if (fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode))
		return gyr_error_set(error, -EINVAL, "link: the descriptor is no file");
	int status = take_over(descriptor, error);
	int kept = status == 0 ? fcntl(descriptor, F_DUPFD_CLOEXEC, 0) : -1;
	if (status == 0 && kept < 0)
		status = gyr_error_set(error, -errno, "the file of choices: %s", strerror(errno));
	if (status != 0)
		return status;
	gyr_choices_file_fini(file);
	file->descriptor = kept;
	file->saved = 0;
	gyr_choices_file_save(file); /* of versions that were loaded before */
	return 0;
}

static bool write_whole(int descriptor, const uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t wrote = pwrite(descriptor, bytes + at, size - at, (off_t)at);
		if (wrote < 0 && errno != EINTR)
			return false;
		at += wrote < 0 ? 0 : (size_t)wrote;
	}
	return ftruncate(descriptor, (off_t)size) == 0;
}

void gyr_choices_file_save(struct gyr_choices_file *file)
{
	uint64_t made = gyr_choices_made();
	if (file->descriptor < 0 || made == file->saved)
		return;
	uint8_t *bytes = malloc(GYR_CHOICES_BYTES_MAX);
	size_t size = bytes == NULL ? 0 : gyr_choices_export(bytes, GYR_CHOICES_BYTES_MAX);
	if (size == 0 || !write_whole(file->descriptor, bytes, size))
		gyr_log_warning("what plans chose cannot be kept: %s", size == 0 ? "no memory" : strerror(errno));
	else
		file->saved = made;
	free(bytes);
}

void gyr_choices_file_fini(struct gyr_choices_file *file)
{
	if (file->descriptor >= 0)
		close(file->descriptor);
	file->descriptor = -1;
}
