#include "control/registry/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int take(const char *path, int fd, char holder[GYR_LOCK_HOLDER_BYTES], struct gyr_error *error)
{
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int status = -errno;
		if (status != -EWOULDBLOCK)
			return gyr_error_set(error, status, "%s: flock: %s", path, strerror(-status));
		ssize_t length = pread(fd, holder, GYR_LOCK_HOLDER_BYTES - 1, 0);
		holder[length > 0 ? length : 0] = '\0';
		holder[strcspn(holder, "\n")] = '\0';
		if (holder[0] == '\0')
			strcpy(holder, "?");
		return gyr_error_set(error, -EBUSY, "%s: held by process %s", path, holder);
	}
	int length = snprintf(holder, GYR_LOCK_HOLDER_BYTES, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0)
		return gyr_error_set(error, -errno, "%s: cannot be written: %s", path, strerror(errno));
	ssize_t wrote = pwrite(fd, holder, (size_t)length, 0);
	if (wrote != length)
		return gyr_error_set(error, wrote < 0 ? -errno : -ENOSPC, "%s: cannot be written: %s", path, strerror(wrote < 0 ? errno : ENOSPC));
	return 0;
}

int gyr_lock_take(const char *path, int *fd, char holder[GYR_LOCK_HOLDER_BYTES], struct gyr_error *error)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return gyr_error_set(error, -errno, "%s: %s", path, strerror(errno));
	int status = take(path, *fd, holder, error);
	if (status != 0) {
		close(*fd);
		*fd = -1;
	}
	return status;
}
