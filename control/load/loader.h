/*
 * Brings a bundle from a file into sealed memory, with io_uring: O_DIRECT where the file system takes it, a deep queue of 1 MiB reads into registered buffers
 * that are the memory itself. What it gives has been checked wholly and can change no more; it never gives anything else.
 */
#ifndef GYR_CONTROL_LOAD_LOADER_H
#define GYR_CONTROL_LOAD_LOADER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/bundle.h"

struct gyr_loaded {
	int fd;         /* memfd, sealed against writing, shrinking, growing and further seals: to be mapped PROT_READ, MAP_PRIVATE. The caller closes it */
	uint64_t bytes; /* of the bundle */
	bool direct;    /* read past the page cache */
	uint8_t id[GYR_BUNDLE_ID_BYTES];
};

/* What may be done with the bundle while it is mapped and open, before it is closed again; a negative errno fails the load. */
typedef int gyr_load_use(const struct gyr_bundle *bundle, const void *bytes, uint64_t size, void *user, struct gyr_error *error);

/*
 * Loads PATH. USE may be NULL. CANCEL may be NULL; once it is true the load ends soon with -ECANCELED. Takes as long as reading and hashing do, so not in
 * gyrd's loop; any other thread. -ENOENT, -EACCES, -EIO: the file. -EBADMSG: cut, changed, or no bundle. -E2BIG: over GYR_BUNDLE_BYTES_MAX. -ENOMEM. -EPERM,
 * -ENOSYS: io_uring is not to be had (the message says how to allow it).
 */
GYR_MUST_CHECK int gyr_load(const char *path, const atomic_bool *cancel, gyr_load_use *use, void *user, struct gyr_loaded *loaded, struct gyr_error *error);

#endif
