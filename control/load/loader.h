/*
 * Brings a bundle from a file into sealed memory, with io_uring: O_DIRECT where the file system takes it, a deep queue of 1 MiB reads into registered buffers
 * that are the memory itself, each hashed by other threads as it is there. What it gives has been checked wholly and can change no more; it never gives
 * anything else.
 */
#ifndef GYR_CONTROL_LOAD_LOADER_H
#define GYR_CONTROL_LOAD_LOADER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "control/load/budget.h"
#include "engine/model/bundle.h"

struct gyr_loaded {
	int fd;         /* memfd, sealed against writing, shrinking, growing and further seals: to be mapped PROT_READ, MAP_PRIVATE */
	uint64_t bytes; /* of the bundle */
	bool direct;    /* read past the page cache */
	uint8_t id[GYR_BUNDLE_ID_BYTES];
	struct gyr_budget *budget;
	struct gyr_budget_share *share; /* of it; NULL: none */
};

/* How far a load is; read by any thread. */
struct gyr_load_progress {
	_Atomic uint64_t bytes; /* of the file; 0 until it was opened */
	_Atomic uint64_t read;
};

/* What may be done with the bundle while it is mapped and open, before it is closed again; a negative errno fails the load. */
typedef int gyr_load_use(const struct gyr_bundle *bundle, const void *bytes, uint64_t size, void *user, struct gyr_error *error);

/* All but PATH may be left out (0 or NULL). */
struct gyr_load_request {
	const char *path;
	const char *name;          /* what it is, for a refusal; else the path */
	const atomic_bool *cancel; /* once it is true the load ends soon with -ECANCELED */
	struct gyr_load_progress *progress;
	struct gyr_budget *budget; /* that what is loaded must fit into: its bytes, and as many again where it is to be ... */
	bool packed;               /* ... packed beside them */
	gyr_load_use *use;
	void *user;
};

/*
 * Loads a bundle. Takes as long as reading does, so not in gyrd's loop; any other thread, several at once. -ENOENT, -EACCES, -EIO: the file. -EBADMSG: cut,
 * changed, or no bundle. -E2BIG: over GYR_BUNDLE_BYTES_MAX. -ENOSPC: the budget. -ENOMEM. -EPERM, -ENOSYS: io_uring is not to be had (the message says how to
 * allow it).
 */
GYR_MUST_CHECK int gyr_load(const struct gyr_load_request *request, struct gyr_loaded *loaded, struct gyr_error *error);

/* Closes the descriptor, if it is still there (not -1), and gives the memory back to the budget. */
void gyr_loaded_release(struct gyr_loaded *loaded);

#endif
