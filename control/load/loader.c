/*
 *     open -> memory made and mapped for writing -> read -> unmapped -> sealed -> mapped for reading -> checked -> given
 *
 * The check comes after the seal, so that what was checked is what is given, whoever else has the descriptor.
 */
#include "control/load/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/load/reader.h"

struct load {
	const char *path;
	int file;
	struct gyr_loaded *loaded;
	void *map;        /* for writing; MAP_FAILED when not */
	size_t map_bytes; /* the bundle's, rounded up to whole blocks */
	struct gyr_error *error;
};

static int failed(struct load *load, int status, const char *doing)
{
	return gyr_error_set(load->error, status, "%s: %s: %s", load->path, doing, strerror(-status));
}

static int open_file(struct load *load)
{
	struct stat seen;
	load->loaded->direct = true;
	load->file = open(load->path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	if (load->file < 0 && errno == EINVAL) {
		gyr_log_info("%s: the file system takes no O_DIRECT; reading through the page cache", load->path);
		load->loaded->direct = false;
		load->file = open(load->path, O_RDONLY | O_CLOEXEC);
	}
	if (load->file < 0)
		return failed(load, -errno, "open");
	if (fstat(load->file, &seen) != 0)
		return failed(load, -errno, "fstat");
	if (!S_ISREG(seen.st_mode))
		return gyr_error_set(load->error, -EINVAL, "%s: not a file", load->path);
	if (seen.st_size == 0)
		return gyr_error_set(load->error, -EBADMSG, "%s: the file is empty", load->path);
	if ((uint64_t)seen.st_size > GYR_BUNDLE_BYTES_MAX)
		return gyr_error_set(load->error, -E2BIG, "%s: %lld bytes; a bundle has at most %llu", load->path, (long long)seen.st_size,
				     (unsigned long long)GYR_BUNDLE_BYTES_MAX);
	load->loaded->bytes = (uint64_t)seen.st_size;
	return 0;
}

/*
 * Room for whole blocks while it is read; the end is cut off before it is sealed. Pages of MFD_HUGETLB would leave a tail that no one may cut, and are taken
 * from those that the data plane's packets need; transparent ones cost neither, where kernel.mm.transparent_hugepage.shmem_enabled gives them.
 */
static int make_memory(struct load *load)
{
	struct gyr_loaded *loaded = load->loaded;
	load->map_bytes = (loaded->bytes + GYR_READ_ALIGN - 1) / GYR_READ_ALIGN * GYR_READ_ALIGN;
	loaded->fd = memfd_create("gyr-bundle", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (loaded->fd < 0)
		return failed(load, -errno, "memfd_create");
	if (ftruncate(loaded->fd, (off_t)load->map_bytes) != 0)
		return failed(load, -errno, "ftruncate");
	load->map = mmap(NULL, load->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, loaded->fd, 0);
	if (load->map == MAP_FAILED)
		return failed(load, -errno, "mmap");
	/* Only advice. But that the pages are there must be known before the kernel or memset writes to them. */
	madvise(load->map, load->map_bytes, MADV_HUGEPAGE);
	if (madvise(load->map, load->map_bytes, MADV_POPULATE_WRITE) != 0)
		return failed(load, -errno, "memory for the bundle");
	return 0;
}

static int fill_memory(struct load *load, const atomic_bool *cancel)
{
	struct gyr_loaded *loaded = load->loaded;
	struct gyr_read read = {.fd = load->file, .direct = loaded->direct, .to = load->map, .size = loaded->bytes, .cancel = cancel};
	int status = gyr_read_run(&read, load->error);
	if (status == -EINVAL && loaded->direct) {
		gyr_log_info("%s: the file system refuses reads with O_DIRECT; reading through the page cache", load->path);
		int flags = fcntl(load->file, F_GETFL);
		if (flags < 0 || fcntl(load->file, F_SETFL, flags & ~O_DIRECT) != 0)
			return failed(load, -errno, "fcntl");
		read.direct = loaded->direct = false;
		status = gyr_read_run(&read, load->error);
	}
	return status == 0 ? 0 : gyr_error_prefix(load->error, status, "%s", load->path);
}

static int seal_memory(struct load *load)
{
	struct gyr_loaded *loaded = load->loaded;
	/* A file that grew while it was read has brought bytes behind the size that was asked for. */
	memset((uint8_t *)load->map + loaded->bytes, 0, load->map_bytes - loaded->bytes);
	munmap(load->map, load->map_bytes);
	load->map = MAP_FAILED;
	if (ftruncate(loaded->fd, (off_t)loaded->bytes) != 0)
		return failed(load, -errno, "ftruncate");
	if (fcntl(loaded->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return failed(load, -errno, "sealing");
	return 0;
}

static int check_memory(struct load *load, gyr_load_use *use, void *user)
{
	struct gyr_loaded *loaded = load->loaded;
	void *map = mmap(NULL, loaded->bytes, PROT_READ, MAP_PRIVATE, loaded->fd, 0);
	if (map == MAP_FAILED)
		return failed(load, -errno, "mmap");
	struct gyr_bundle *bundle;
	int status = gyr_bundle_open(map, loaded->bytes, &bundle, load->error);
	if (status == 0) {
		memcpy(loaded->id, bundle->id, sizeof loaded->id);
		if (use != NULL)
			status = use(bundle, map, loaded->bytes, user, load->error);
		gyr_bundle_close(bundle);
	}
	munmap(map, loaded->bytes);
	return status == 0 ? 0 : gyr_error_prefix(load->error, status, "%s", load->path);
}

int gyr_load(const char *path, const atomic_bool *cancel, gyr_load_use *use, void *user, struct gyr_loaded *loaded, struct gyr_error *error)
{
	*loaded = (struct gyr_loaded){.fd = -1};
	struct load load = {.path = path, .file = -1, .loaded = loaded, .map = MAP_FAILED, .error = error};
	int status = open_file(&load);
	if (status == 0)
		status = make_memory(&load);
	if (status == 0)
		status = fill_memory(&load, cancel);
	if (status == 0)
		status = seal_memory(&load);
	if (status == 0)
		status = check_memory(&load, use, user);
	if (load.map != MAP_FAILED)
		munmap(load.map, load.map_bytes);
	if (load.file >= 0)
		close(load.file);
	if (status != 0 && loaded->fd >= 0) {
		close(loaded->fd);
		loaded->fd = -1;
	}
	return status;
}
