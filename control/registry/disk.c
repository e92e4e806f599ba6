#include "control/registry/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/registry/step.h"

#define PATH_BYTES 4096u

_Noreturn void gyr_disk_give_up(const char *path, int status)
{
	gyr_log_error("%s: cannot be synced: %s; nothing more is promised of it: ending, and the next start checks what is on the disk", path,
		      strerror(-status));
	_exit(GYR_EXIT_DISK);
}

void gyr_disk_sync(int fd, const char *path, const char *step)
{
	int status = GYR_STEP(step);
	if (status == 0 && fsync(fd) != 0)
		status = -errno;
	if (status != 0)
		gyr_disk_give_up(path, status);
}

void gyr_disk_sync_folder(const char *path, const char *step)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		gyr_disk_give_up(path, -errno);
	gyr_disk_sync(fd, path, step);
	close(fd);
}

void gyr_disk_sync_parent(const char *path, const char *step)
{
	char parent[PATH_BYTES];
	snprintf(parent, sizeof parent, "%s", path);
	char *slash = strrchr(parent, '/');
	if (slash == NULL)
		strcpy(parent, ".");
	else
		slash[slash == parent] = '\0';
	gyr_disk_sync_folder(parent, step);
}

int gyr_disk_make_folder(const char *path, struct gyr_error *error)
{
	if (mkdir(path, 0700) == 0)
		gyr_disk_sync_parent(path, "folder-sync");
	else if (errno != EEXIST)
		return gyr_error_set(error, -errno, "%s: cannot be made: %s", path, strerror(errno));
	return 0;
}

void gyr_disk_forget(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}
