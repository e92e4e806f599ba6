/*
 * Stands between gyrd and the files under GYR_DISK_DIR (LD_PRELOAD): counts what would change the disk, and at the one that it is told does what a disk or
 * a power cut does. GYR_DISK_CONTROL names a file of `struct control`, which the test and gyrd share. With GYR_DISK_LOG each change that was made is
 * appended there, whole, in order (disk.py reads it).
 */
/* The names below are to be those of the C library, both of them where there are two. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC = 2, NAME = 4 };
enum mode { COUNT, KILL, TEAR, FAIL, FULL };

/* Of 32-bit numbers. MODE at the AT-th change of KINDS: KILL before it, TEAR in its middle, FAIL it with ERRNO; FULL: from then on nothing may grow. */
struct control {
	_Atomic uint32_t mode, at, error, kinds, seen, acted;
};

enum record { LOG_WRITE = 1, LOG_TRUNCATE, LOG_SYNC, LOG_BIND, LOG_RENAME, LOG_UNLINK, LOG_FOLDER };

static struct control *control;
static const char *folder;
static int log_fd = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("GYR_DISK_CONTROL"), *log_path = getenv("GYR_DISK_LOG");
	folder = getenv("GYR_DISK_DIR");
	/* What gyrd's workers write is nobody's until gyrd has taken it. */
	if (path == NULL || folder == NULL || strcmp(program_invocation_short_name, "gyrd") != 0)
		return;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	syscall(SYS_close, fd);
	control = map;
	if (log_path != NULL)
		log_fd = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* The absolute path of what FD is open on; false: it is none of ours. */
static bool of_fd(int fd, char path[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = control == NULL ? -1 : readlink(link, path, PATH_MAX - 1);
	if (length <= 0)
		return false;
	path[length] = '\0';
	return strncmp(path, folder, strlen(folder)) == 0;
}

static bool of_path(int dir, const char *name, char path[PATH_MAX])
{
	char base[PATH_MAX] = "";
	if (control == NULL)
		return false;
	if (name[0] != '/' && (dir == AT_FDCWD ? getcwd(base, sizeof base) == NULL : !of_fd(dir, base)))
		return false;
	return snprintf(path, PATH_MAX, "%s%s%s", base, base[0] == '\0' ? "" : "/", name) < PATH_MAX && strncmp(path, folder, strlen(folder)) == 0;
}

static void put(const void *bytes, size_t size)
{
	for (const char *at = bytes; size > 0;) {
		long wrote = syscall(SYS_write, log_fd, at, size);
		if (wrote < 0)
			abort();
		at += wrote;
		size -= (size_t)wrote;
	}
}

static void note(enum record record, const char *path, const char *second, uint64_t offset, const void *bytes, uint64_t size)
{
	if (log_fd < 0)
		return;
	struct {
		uint32_t record, path, second, zero;
		uint64_t offset, size;
	} head = {record, (uint32_t)strlen(path), (uint32_t)strlen(second), 0, offset, size};
	put(&head, sizeof head);
	put(path, head.path);
	put(second, head.second);
	if (bytes != NULL)
		put(bytes, size);
}

static void die(void)
{
	syscall(SYS_kill, getpid(), SIGKILL);
}

/* A change is about to be made, which GROWS what is there or not. 0: go on; an errno: it fails. *TORN: make half of it and die. */
static int meet(enum kind kind, bool grows, bool *torn)
{
	*torn = false;
	if ((control->kinds & kind) == 0)
		return 0;
	uint32_t now = atomic_fetch_add(&control->seen, 1) + 1, at = control->at;
	if (at == 0 || now < at || (now > at && control->mode != FULL))
		return 0;
	switch (control->mode) {
	case KILL: die(); return 0;
	case TEAR:
		*torn = kind == WRITE;
		if (!*torn)
			die();
		return 0;
	case FULL: control->acted |= grows; return grows ? (int)control->error : 0;
	case FAIL:
		/* To take a name or bytes away needs no room. */
		if (control->error == ENOSPC && kind == NAME && !grows)
			return 0;
		control->acted = 1;
		return (int)control->error;
	default: return 0;
	}
}

static bool grows(int fd, uint64_t end)
{
	struct stat seen;
	return fstat(fd, &seen) != 0 || end > (uint64_t)seen.st_size;
}

static ssize_t write_at(int fd, const void *bytes, size_t size, off_t offset, const char *path)
{
	bool torn;
	int error = meet(WRITE, grows(fd, (uint64_t)offset + size), &torn);
	if (error != 0) {
		errno = error;
		return -1;
	}
	long wrote = syscall(SYS_pwrite64, fd, bytes, torn ? size / 2 : size, offset);
	if (torn)
		die();
	if (wrote > 0)
		note(LOG_WRITE, path, "", (uint64_t)offset, bytes, (uint64_t)wrote);
	return wrote;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	char path[PATH_MAX];
	if (!of_fd(fd, path))
		return syscall(SYS_pwrite64, fd, bytes, size, offset);
	pthread_mutex_lock(&order);
	ssize_t wrote = write_at(fd, bytes, size, offset, path);
	pthread_mutex_unlock(&order);
	return wrote;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
	return pwrite(fd, bytes, size, offset);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	char path[PATH_MAX];
	if (!of_fd(fd, path))
		return syscall(SYS_write, fd, bytes, size);
	pthread_mutex_lock(&order);
	off_t offset = lseek(fd, 0, SEEK_CUR);
	ssize_t wrote = write_at(fd, bytes, size, offset, path);
	if (wrote > 0)
		lseek(fd, offset + wrote, SEEK_SET);
	pthread_mutex_unlock(&order);
	return wrote;
}

int ftruncate(int fd, off_t size)
{
	char path[PATH_MAX];
	bool torn;
	if (!of_fd(fd, path))
		return (int)syscall(SYS_ftruncate, fd, size);
	pthread_mutex_lock(&order);
	int error = meet(NAME, false, &torn);
	int result = error != 0 ? -1 : (int)syscall(SYS_ftruncate, fd, size);
	if (result == 0)
		note(LOG_TRUNCATE, path, "", (uint64_t)size, NULL, 0);
	pthread_mutex_unlock(&order);
	if (error != 0)
		errno = error;
	return result;
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

static int sync_with(long call, int fd)
{
	char path[PATH_MAX];
	bool torn;
	if (!of_fd(fd, path))
		return (int)syscall(call, fd);
	pthread_mutex_lock(&order);
	int error = meet(SYNC, false, &torn);
	int result = error != 0 ? -1 : (int)syscall(call, fd);
	if (result == 0)
		note(LOG_SYNC, path, "", 0, NULL, 0);
	pthread_mutex_unlock(&order);
	if (error != 0)
		errno = error;
	return result;
}

int fsync(int fd)
{
	return sync_with(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_with(SYS_fdatasync, fd);
}

static int change_name(enum record record, bool adds, const char *path, const char *second, long call, int dir, const char *name, int other, const char *to)
{
	bool torn;
	pthread_mutex_lock(&order);
	int error = meet(NAME, adds, &torn);
	int result = -1;
	if (error == 0)
		result = (int)(call == SYS_renameat  ? syscall(call, dir, name, other, to)
			       : call == SYS_mkdirat ? syscall(call, dir, name, other)
						     : syscall(call, dir, name, 0));
	if (result == 0)
		note(record, path, second, 0, NULL, 0);
	pthread_mutex_unlock(&order);
	if (error != 0)
		errno = error;
	return result;
}

int renameat(int dir, const char *name, int to_dir, const char *to)
{
	char path[PATH_MAX], second[PATH_MAX];
	if (!of_path(dir, name, path) || !of_path(to_dir, to, second))
		return (int)syscall(SYS_renameat, dir, name, to_dir, to);
	return change_name(LOG_RENAME, true, path, second, SYS_renameat, dir, name, to_dir, to);
}

int rename(const char *name, const char *to)
{
	return renameat(AT_FDCWD, name, AT_FDCWD, to);
}

int unlinkat(int dir, const char *name, int flags)
{
	char path[PATH_MAX];
	if (flags != 0 || !of_path(dir, name, path))
		return (int)syscall(SYS_unlinkat, dir, name, flags);
	return change_name(LOG_UNLINK, false, path, "", SYS_unlinkat, dir, name, 0, NULL);
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int mkdir(const char *name, mode_t mode)
{
	char path[PATH_MAX];
	if (!of_path(AT_FDCWD, name, path) || access(name, F_OK) == 0)
		return (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);
	return change_name(LOG_FOLDER, true, path, "", SYS_mkdirat, AT_FDCWD, name, (int)mode, NULL);
}

static int open_at(int dir, const char *name, int flags, mode_t mode)
{
	char path[PATH_MAX];
	bool torn;
	if ((flags & O_CREAT) == 0 || !of_path(dir, name, path) || faccessat(dir, name, F_OK, 0) == 0)
		return (int)syscall(SYS_openat, dir, name, flags, mode);
	pthread_mutex_lock(&order);
	int error = meet(NAME, true, &torn);
	int fd = error != 0 ? -1 : (int)syscall(SYS_openat, dir, name, flags, mode);
	if (fd >= 0)
		note(LOG_BIND, path, "", 0, NULL, 0);
	pthread_mutex_unlock(&order);
	if (error != 0)
		errno = error;
	return fd;
}

#define OPEN(name)                                                                                                                                             \
	int name(const char *path, int flags, ...)                                                                                                             \
	{                                                                                                                                                      \
		va_list more;                                                                                                                                  \
		va_start(more, flags);                                                                                                                         \
		mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;                                                                               \
		va_end(more);                                                                                                                                  \
		return open_at(AT_FDCWD, path, flags, mode);                                                                                                   \
	}
#define OPEN_AT(name)                                                                                                                                          \
	int name(int dir, const char *path, int flags, ...)                                                                                                    \
	{                                                                                                                                                      \
		va_list more;                                                                                                                                  \
		va_start(more, flags);                                                                                                                         \
		mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;                                                                               \
		va_end(more);                                                                                                                                  \
		return open_at(dir, path, flags, mode);                                                                                                        \
	}

OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)
