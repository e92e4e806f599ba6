/*
 *     opened -> budgeted -> memory made -> header read -> manifest read -> tensors read and hashed -> unmapped -> sealed -> mapped for reading -> checked ->
 * given
 *
 * Nobody else has the descriptor until it is given, so what was hashed while it was read is what is sealed. Memory is got from the kernel while the disk reads:
 * chunk after chunk, just before the reads that go there are submitted.
 */
#include "control/load/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/load/hasher.h"
#include "control/load/reader.h"

_Static_assert(GYR_READ_BYTES % GYR_BUNDLE_PIECE_BYTES == 0, "what has been read can be hashed");

struct load {
	const struct gyr_load_request *request;
	int file;
	struct gyr_loaded *loaded;
	uint8_t *map;     /* for writing; MAP_FAILED when not */
	size_t map_bytes; /* the bundle's, rounded up to whole blocks */
	uint64_t ready;   /* up to where there are pages */
	struct gyr_bundle_frame frame;
	struct gyr_hasher *hasher;         /* NULL: its hashes are not those of pieces */
	uint8_t hash[GYR_BUNDLE_ID_BYTES]; /* of the tensors, where there was a hasher */
	struct gyr_error *error;
};

static int failed(struct load *load, int status, const char *doing)
{
	return gyr_error_set(load->error, status, "%s: %s: %s", load->request->path, doing, strerror(-status));
}

static int open_file(struct load *load)
{
	struct stat seen;
	const char *path = load->request->path;
	load->loaded->direct = true;
	load->file = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	if (load->file < 0 && errno == EINVAL) {
		gyr_log_info("%s: the file system takes no O_DIRECT; reading through the page cache", path);
		load->loaded->direct = false;
		load->file = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (load->file < 0)
		return failed(load, -errno, "open");
	if (fstat(load->file, &seen) != 0)
		return failed(load, -errno, "fstat");
	if (!S_ISREG(seen.st_mode))
		return gyr_error_set(load->error, -EINVAL, "%s: not a file", path);
	if (seen.st_size == 0)
		return gyr_error_set(load->error, -EBADMSG, "%s: the file is empty", path);
	if ((uint64_t)seen.st_size > GYR_BUNDLE_BYTES_MAX)
		return gyr_error_set(load->error, -E2BIG, "%s: %lld bytes; a bundle has at most %llu", path, (long long)seen.st_size,
				     (unsigned long long)GYR_BUNDLE_BYTES_MAX);
	load->loaded->bytes = (uint64_t)seen.st_size;
	return 0;
}

static int take_share(struct load *load)
{
	const struct gyr_load_request *request = load->request;
	struct gyr_loaded *loaded = load->loaded;
	loaded->budget = request->budget;
	if (request->budget == NULL)
		return 0;
	return gyr_budget_take(request->budget, request->name != NULL ? request->name : request->path, loaded->bytes * (request->packed ? 2 : 1),
			       &loaded->share, load->error);
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
	madvise(load->map, load->map_bytes, MADV_HUGEPAGE); /* only advice */
	return 0;
}

/* That the pages are there must be known before the kernel or memset writes to them. */
static int get_pages(void *user, uint64_t at, uint64_t bytes, struct gyr_error *error)
{
	struct load *load = user;
	uint64_t end = at + bytes;
	if (end <= load->ready)
		return 0;
	if (madvise(load->map + load->ready, end - load->ready, MADV_POPULATE_WRITE) != 0)
		return gyr_error_set(error, -errno, "memory for the bundle: %s", strerror(errno));
	load->ready = end;
	return 0;
}

static void note_arrival(void *user, uint64_t at, uint64_t bytes)
{
	struct load *load = user;
	if (load->request->progress != NULL)
		atomic_fetch_add_explicit(&load->request->progress->read, bytes, memory_order_relaxed);
	if (load->hasher != NULL)
		gyr_hasher_add(load->hasher, at - load->frame.tensors_offset, bytes);
}

static int read_range(struct load *load, uint64_t from, uint64_t end)
{
	const struct gyr_read read = {
		.fd = load->file,
		.direct = load->loaded->direct,
		.to = load->map,
		.from = from,
		.end = end,
		.cancel = load->request->cancel,
		.prepare = get_pages,
		.arrived = note_arrival,
		.user = load,
	};
	return gyr_read_run(&read, load->error);
}

/* The first block. It shows whether O_DIRECT, which was taken when the file was opened, is taken by reads, too. */
static int read_header(struct load *load)
{
	struct gyr_loaded *loaded = load->loaded;
	uint64_t end = loaded->bytes < GYR_BUNDLE_ALIGN ? loaded->bytes : GYR_BUNDLE_ALIGN;
	int status = read_range(load, 0, end);
	if (status != -EINVAL || !loaded->direct)
		return status;
	gyr_log_info("%s: the file system refuses reads with O_DIRECT; reading through the page cache", load->request->path);
	int flags = fcntl(load->file, F_GETFL);
	if (flags < 0 || fcntl(load->file, F_SETFL, flags & ~O_DIRECT) != 0)
		return failed(load, -errno, "fcntl");
	loaded->direct = false;
	return read_range(load, 0, end);
}

/* What follows the header. A file that is no bundle is not read further. */
static int read_rest(struct load *load)
{
	const struct gyr_bundle_frame *frame = &load->frame;
	int status = gyr_bundle_frame(load->map, load->loaded->bytes, &load->frame, load->error);
	if (status == 0)
		status = read_range(load, GYR_BUNDLE_ALIGN, frame->tensors_offset);
	if (status == 0 && frame->pieces)
		status = gyr_hasher_create(load->map + frame->tensors_offset, frame->tensors_bytes, &load->hasher, load->error);
	if (status == 0)
		status = read_range(load, frame->tensors_offset, load->loaded->bytes);
	if (status == 0 && load->hasher != NULL)
		gyr_hasher_finish(load->hasher, load->hash);
	return status;
}

static int fill_memory(struct load *load)
{
	if (load->request->progress != NULL)
		atomic_store_explicit(&load->request->progress->bytes, load->loaded->bytes, memory_order_relaxed);
	int status = read_header(load);
	if (status == 0)
		status = read_rest(load);
	return status == 0 ? 0 : gyr_error_prefix(load->error, status, "%s", load->request->path);
}

static int seal_memory(struct load *load)
{
	struct gyr_loaded *loaded = load->loaded;
	/* A file that grew while it was read has brought bytes behind the size that was asked for. */
	memset(load->map + loaded->bytes, 0, load->map_bytes - loaded->bytes);
	munmap(load->map, load->map_bytes);
	load->map = MAP_FAILED;
	if (ftruncate(loaded->fd, (off_t)loaded->bytes) != 0)
		return failed(load, -errno, "ftruncate");
	if (fcntl(loaded->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return failed(load, -errno, "sealing");
	return 0;
}

static int check_memory(struct load *load)
{
	struct gyr_loaded *loaded = load->loaded;
	const struct gyr_load_request *request = load->request;
	void *map = mmap(NULL, loaded->bytes, PROT_READ, MAP_PRIVATE, loaded->fd, 0);
	if (map == MAP_FAILED)
		return failed(load, -errno, "mmap");
	struct gyr_bundle *bundle;
	int status = load->hasher != NULL ? gyr_bundle_open_hashed(map, loaded->bytes, load->hash, &bundle, load->error)
					  : gyr_bundle_open(map, loaded->bytes, &bundle, load->error);
	if (status == 0) {
		memcpy(loaded->id, bundle->id, sizeof loaded->id);
		if (request->use != NULL)
			status = request->use(bundle, map, loaded->bytes, request->user, load->error);
		gyr_bundle_close(bundle);
	}
	munmap(map, loaded->bytes);
	return status == 0 ? 0 : gyr_error_prefix(load->error, status, "%s", request->path);
}

int gyr_load(const struct gyr_load_request *request, struct gyr_loaded *loaded, struct gyr_error *error)
{
	*loaded = (struct gyr_loaded){.fd = -1};
	struct load load = {.request = request, .file = -1, .loaded = loaded, .map = MAP_FAILED, .error = error};
	int status = open_file(&load);
	if (status == 0)
		status = take_share(&load);
	if (status == 0)
		status = make_memory(&load);
	if (status == 0)
		status = fill_memory(&load);
	if (status == 0)
		status = seal_memory(&load);
	if (status == 0)
		status = check_memory(&load);
	gyr_hasher_destroy(load.hasher);
	if (load.map != MAP_FAILED)
		munmap(load.map, load.map_bytes);
	if (load.file >= 0)
		close(load.file);
	if (status != 0)
		gyr_loaded_release(loaded);
	return status;
}

void gyr_loaded_release(struct gyr_loaded *loaded)
{
	if (loaded->fd >= 0)
		close(loaded->fd);
	loaded->fd = -1;
	if (loaded->share != NULL)
		gyr_budget_give(loaded->budget, loaded->share);
	loaded->share = NULL;
}
