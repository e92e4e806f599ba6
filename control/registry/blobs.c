#include "control/registry/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/registry/disk.h"
#include "control/registry/step.h"

int gyr_blobs_open(struct gyr_blobs *blobs, const char *state_dir, struct gyr_error *error)
{
	int length = snprintf(blobs->dir, sizeof blobs->dir, "%s/blobs", state_dir);
	if (length < 0 || (size_t)length >= sizeof blobs->dir)
		return gyr_error_set(error, -ENAMETOOLONG, "%.100s...: the state directory's path is too long", state_dir);
	int status = gyr_disk_make_folder(blobs->dir, error);
	if (status != 0)
		return status;
	blobs->dir_fd = open(blobs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (blobs->dir_fd < 0)
		return gyr_error_set(error, -errno, "%s: cannot be opened: %s", blobs->dir, strerror(errno));
	return 0;
}

void gyr_blobs_close(struct gyr_blobs *blobs)
{
	close(blobs->dir_fd);
	blobs->dir_fd = -1;
}

void gyr_blobs_path(const struct gyr_blobs *blobs, const char *name, char path[GYR_BLOB_PATH_BYTES])
{
	snprintf(path, GYR_BLOB_PATH_BYTES, "%.126s/%.64s", blobs->dir, name);
}

static int write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;
	while (size > 0) {
		size_t part = size < (8u << 20) ? size : 8u << 20;
		ssize_t wrote = write(fd, at, part);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		at += wrote;
		size -= (size_t)wrote;
	}
	return 0;
}

/* Brings the bytes to the disk under ASIDE; *FAILED says at what. */
static int write_aside(const struct gyr_blobs *blobs, const char *aside, const void *bytes, size_t size, const char **failed)
{
	*failed = "open";
	int status = GYR_STEP("blob-open");
	if (status != 0)
		return status;
	int fd = openat(blobs->dir_fd, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	*failed = "write";
	status = GYR_STEP("blob-write");
	if (status == 0)
		status = write_all(fd, bytes, size);
	if (status == 0)
		gyr_disk_sync(fd, blobs->dir, "blob-sync");
	close(fd);
	return status;
}

/* Is NAME there with these very bytes? One that a disk has damaged since is not, whatever its size. */
static bool is_there(const struct gyr_blobs *blobs, const char *name, const void *bytes, size_t size)
{
	char part[1 << 16];
	size_t at = 0;
	ssize_t got;
	int fd = openat(blobs->dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while ((got = read(fd, part, sizeof part)) > 0 && (size_t)got <= size - at && memcmp(part, (const char *)bytes + at, (size_t)got) == 0)
		at += (size_t)got;
	close(fd);
	return got == 0 && at == size;
}

/* Writes NAME in one step, in the place of what may be there. */
static int write_blob(const struct gyr_blobs *blobs, const char *name, const void *bytes, size_t size, struct gyr_error *error)
{
	static atomic_uint serial;
	char aside[GYR_BLOB_NAME_BYTES + 16];
	const char *failed;
	snprintf(aside, sizeof aside, ".%.64s.%u", name, atomic_fetch_add(&serial, 1));
	int status = write_aside(blobs, aside, bytes, size, &failed);
	if (status == 0) {
		failed = "rename";
		status = GYR_STEP("blob-rename");
		if (status == 0 && renameat(blobs->dir_fd, aside, blobs->dir_fd, name) != 0)
			status = -errno;
	}
	if (status == 0)
		return 0;
	unlinkat(blobs->dir_fd, aside, 0);
	return gyr_error_set(error, status, "%s/%s: %s: %s", blobs->dir, name, failed, strerror(-status));
}

int gyr_blobs_put(const struct gyr_blobs *blobs, const char *name, const void *bytes, size_t size, struct gyr_error *error)
{
	int status = is_there(blobs, name, bytes, size) ? 0 : write_blob(blobs, name, bytes, size, error);
	if (status != 0)
		return status;
	/* Also for one that was there: its own put may have ended before this. */
	gyr_disk_sync(blobs->dir_fd, blobs->dir, "blob-folder-sync");
	return 0;
}

int gyr_blobs_count(const struct gyr_blobs *blobs, uint32_t *count, struct gyr_error *error)
{
	DIR *dir = opendir(blobs->dir);
	*count = 0;
	if (dir == NULL)
		return gyr_error_set(error, -errno, "%s: %s", blobs->dir, strerror(errno));
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		*count += entry->d_name[0] != '.';
	closedir(dir);
	return 0;
}

int gyr_blobs_remove(const struct gyr_blobs *blobs, const char *name, struct gyr_error *error)
{
	if (unlinkat(blobs->dir_fd, name, 0) != 0 && errno != ENOENT)
		return gyr_error_set(error, -errno, "%s/%s: cannot be removed: %s", blobs->dir, name, strerror(errno));
	return 0;
}

int gyr_blobs_sweep(const struct gyr_blobs *blobs, struct gyr_error *error)
{
	DIR *dir = opendir(blobs->dir);
	if (dir == NULL)
		return gyr_error_set(error, -errno, "%s: %s", blobs->dir, strerror(errno));
	struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;
		if (name[0] != '.' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		gyr_log_info("%s/%s: left by an import that did not end; removed", blobs->dir, name);
		if (unlinkat(blobs->dir_fd, name, 0) != 0)
			gyr_log_warning("%s/%s: cannot be removed: %s", blobs->dir, name, strerror(errno));
	}
	closedir(dir);
	return 0;
}
