/*
 *     open -> memory made and mapped for writing -> read -> unmapped -> sealed -> mapped for reading -> checked -> given
 *
 * The check comes after the seal, so that what was checked is what is given, whoever else has the descriptor.
 */
#include "control/load/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/load/reader.h"

#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)
#define HUGE_FROM_BYTES (UINT64_C(32) << 20) /* smaller bundles would waste more than a sixteenth, and the data plane's packets want huge pages too */

struct load {
	const char *path;
	int file;
	struct gyr_loaded *loaded;
	void *map; /* for writing; MAP_FAILED when not */
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

/* Makes and maps the memory of one kind. Whether there are enough huge pages shows only when they are mapped. */
static int make_memory(struct load *load, bool huge)
{
	struct gyr_loaded *loaded = load->loaded;
	uint64_t unit = huge ? HUGE_PAGE_BYTES : GYR_READ_ALIGN;
	loaded->mapped_bytes = (loaded->bytes + unit - 1) / unit * unit;
	loaded->huge = huge;
	loaded->fd = memfd_create("gyr-bundle", MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
	if (loaded->fd < 0)
		return -errno;
	if (ftruncate(loaded->fd, (off_t)loaded->mapped_bytes) == 0)
		load->map = mmap(NULL, loaded->mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, loaded->fd, 0);
	if (load->map != MAP_FAILED)
		return 0;
	int status = -errno;
	close(loaded->fd);
	loaded->fd = -1;
	return status;
}

static int make_any_memory(struct load *load)
{
	if (load->loaded->bytes >= HUGE_FROM_BYTES && make_memory(load, true) == 0)
		return 0;
	int status = make_memory(load, false);
	return status == 0 ? 0 : failed(load, status, "memory for the bundle");
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
	memset((uint8_t *)load->map + loaded->bytes, 0, loaded->mapped_bytes - loaded->bytes);
	munmap(load->map, loaded->mapped_bytes);
	load->map = MAP_FAILED;
	if (!loaded->huge) {
		if (ftruncate(loaded->fd, (off_t)loaded->bytes) != 0)
			return failed(load, -errno, "ftruncate");
		loaded->mapped_bytes = loaded->bytes;
	}
	if (fcntl(loaded->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return failed(load, -errno, "sealing");
	return 0;
}

static int check_memory(struct load *load, gyr_load_use *use, void *user)
{
	struct gyr_loaded *loaded = load->loaded;
	void *map = mmap(NULL, loaded->mapped_bytes, PROT_READ, MAP_PRIVATE, loaded->fd, 0);
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
	munmap(map, loaded->mapped_bytes);
	return status == 0 ? 0 : gyr_error_prefix(load->error, status, "%s", load->path);
}

int gyr_load(const char *path, const atomic_bool *cancel, gyr_load_use *use, void *user, struct gyr_loaded *loaded, struct gyr_error *error)
{
	*loaded = (struct gyr_loaded){.fd = -1};
	struct load load = {.path = path, .file = -1, .loaded = loaded, .map = MAP_FAILED, .error = error};
	int status = open_file(&load);
	if (status == 0)
		status = make_any_memory(&load);
	if (status == 0)
		status = fill_memory(&load, cancel);
	if (status == 0)
		status = seal_memory(&load);
	if (status == 0)
		status = check_memory(&load, use, user);
	if (load.map != MAP_FAILED)
		munmap(load.map, loaded->mapped_bytes);
	if (load.file >= 0)
		close(load.file);
	if (status != 0 && loaded->fd >= 0) {
		close(loaded->fd);
		loaded->fd = -1;
	}
	return status;
}
