#include "control/jobs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALIGN 4096u

/* The file beside the one that is being written, for a signal handler. There is one thread, so volatile is what ISO C asks for here. */
static char aside[PATH_MAX];
static volatile sig_atomic_t aside_exists;

static int read_all(int fd, const char *path, uint8_t *bytes, size_t size, struct gyr_error *error)
{
	for (size_t at = 0; at < size;) {
		ssize_t count = read(fd, bytes + at, size - at);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return gyr_error_set(error, -EIO, "%s: reading: %s", path, strerror(errno));
		if (count == 0)
			return gyr_error_set(error, -EIO, "%s: became shorter while it was read", path);
		at += (size_t)count;
	}
	return 0;
}

static int check_open(int fd, const char *path, uint64_t bytes_max, size_t *size, struct gyr_error *error)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return gyr_error_set(error, -EIO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size == 0)
		return gyr_error_set(error, -EBADMSG, "%s: %s; a model file is expected", path, S_ISREG(status.st_mode) ? "empty" : "not a file");
	if ((uint64_t)status.st_size > bytes_max)
		return gyr_error_set(error, -E2BIG, "%s: %jd bytes; %" PRIu64 " are the most", path, (intmax_t)status.st_size, bytes_max);
	*size = (size_t)status.st_size;
	return 0;
}

int gyr_job_file_open(const char *path, uint64_t bytes_max, int *fd, size_t *size, struct gyr_error *error)
{
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return gyr_error_set(error, errno == ENOENT ? -ENOENT : -EIO, "%s: %s", path, strerror(errno));
	int result = check_open(*fd, path, bytes_max, size, error);
	if (result != 0)
		close(*fd);
	return result;
}

int gyr_job_file_take(int fd, const char *path, size_t size, void **bytes, struct gyr_error *error)
{
	*bytes = aligned_alloc(ALIGN, (size + ALIGN - 1) / ALIGN * ALIGN);
	if (*bytes == NULL)
		return gyr_error_set(error, -ENOMEM, "%s: no memory for its %zu bytes", path, size);
	int result = read_all(fd, path, *bytes, size, error);
	if (result != 0)
		free(*bytes);
	return result;
}

int gyr_job_file_read(const char *path, uint64_t bytes_max, void **bytes, size_t *size, struct gyr_error *error)
{
	int fd, result = gyr_job_file_open(path, bytes_max, &fd, size, error);
	if (result != 0)
		return result;
	result = gyr_job_file_take(fd, path, *size, bytes, error);
	close(fd);
	return result;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t count = write(fd, bytes, size);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return false;
		bytes += count;
		size -= (size_t)count;
	}
	return true;
}

/* The folder of PATH, "." where it names none. */
static void folder_of(const char *path, char folder[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		strcpy(folder, ".");
	else
		snprintf(folder, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

int gyr_job_file_check(const char *path, struct gyr_error *error)
{
	char folder[PATH_MAX];
	folder_of(path, folder);
	if (access(folder, W_OK | X_OK) == 0)
		return 0;
	int status = errno;
	return gyr_error_set(error, -status, "%s: cannot be written: %s: %s", path, folder, strerror(status));
}

/* Makes a rename in PATH's folder last. */
static bool sync_folder(const char *path)
{
	char folder[PATH_MAX];
	folder_of(path, folder);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool synced = fsync(fd) == 0;
	int saved = errno;
	close(fd);
	errno = saved;
	return synced;
}

int gyr_job_file_begin(const char *path, int *fd, struct gyr_error *error)
{
	int length = snprintf(aside, sizeof aside, "%s.part-%d", path, (int)getpid());
	if (length < 0 || (size_t)length >= sizeof aside)
		return gyr_error_set(error, -ENAMETOOLONG, "%.80s...: the path is too long", path);
	aside_exists = 1;
	*fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (*fd >= 0)
		return 0;
	int status = errno;
	aside_exists = 0;
	return gyr_error_set(error, -status, "%s: %s", aside, strerror(status));
}

int gyr_job_file_put(int fd, const void *bytes, size_t size, struct gyr_error *error)
{
	return write_all(fd, bytes, size) ? 0 : gyr_error_set(error, -errno, "writing %zu bytes: %s", size, strerror(errno));
}

int gyr_job_file_end(const char *path, int fd, int result, struct gyr_error *error)
{
	int status = result == 0 && fsync(fd) != 0 ? errno : 0;
	if (close(fd) != 0 && status == 0)
		status = errno;
	if (result == 0 && status == 0 && rename(aside, path) != 0)
		status = errno;
	if (result != 0 || status != 0)
		unlink(aside);
	aside_exists = 0;
	if (result == 0 && status == 0 && !sync_folder(path))
		status = errno;
	if (result != 0)
		return result;
	return status == 0 ? 0 : gyr_error_set(error, -status, "%s: cannot be written: %s", path, strerror(status));
}

int gyr_job_file_write(const char *path, const void *bytes, size_t size, struct gyr_error *error)
{
	int fd, result = gyr_job_file_begin(path, &fd, error);
	if (result != 0)
		return result;
	result = gyr_job_file_put(fd, bytes, size, error);
	if (result != 0)
		gyr_error_prefix(error, 0, "%s", path);
	return gyr_job_file_end(path, fd, result, error);
}

void gyr_job_file_abandon(void)
{
	if (aside_exists)
		unlink(aside);
}
