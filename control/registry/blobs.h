/*
 * The content-addressed store: STATE_DIR/blobs/HEX holds the bundle whose id is HEX, whole and on the disk, or is not there. What is being written lies beside
 * it under a name that begins with a dot, and is swept away by the next start.
 *
 * Written aside, synced, renamed, the folder synced: only then may something name it. A sync that fails ends the process (disk.h).
 */
#ifndef GYR_CONTROL_REGISTRY_BLOBS_H
#define GYR_CONTROL_REGISTRY_BLOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_BLOB_NAME_BYTES 65u /* 64 hexadecimal digits and a zero */
#define GYR_BLOB_PATH_BYTES 192u

struct gyr_blobs {
	int dir_fd;
	char dir[GYR_BLOB_PATH_BYTES - GYR_BLOB_NAME_BYTES];
};

/* Opens, and makes where needed, the folder "blobs" of STATE_DIR. The errno of mkdir or open. */
GYR_MUST_CHECK int gyr_blobs_open(struct gyr_blobs *blobs, const char *state_dir, struct gyr_error *error);
void gyr_blobs_close(struct gyr_blobs *blobs);

/*
 * Keeps SIZE bytes as NAME; afterwards they are on the disk. A blob that is there already with these bytes is left as it is, a damaged one is replaced. Any
 * thread. -ENOSPC, -EIO and what else open, write and rename give; no row may name the blob then.
 */
GYR_MUST_CHECK int gyr_blobs_put(const struct gyr_blobs *blobs, const char *name, const void *bytes, size_t size, struct gyr_error *error);

/* Writes the path of NAME's blob. Any thread. */
void gyr_blobs_path(const struct gyr_blobs *blobs, const char *name, char path[GYR_BLOB_PATH_BYTES]);

/* How many blobs there are. The errno of reading the folder. */
GYR_MUST_CHECK int gyr_blobs_count(const struct gyr_blobs *blobs, uint32_t *count, struct gyr_error *error);

/* Removes a blob, which nothing may name. Any thread. One that is gone is fine. The errno of unlink. */
GYR_MUST_CHECK int gyr_blobs_remove(const struct gyr_blobs *blobs, const char *name, struct gyr_error *error);

/* Removes what is left of blobs that were being written. Only while nothing is being put. The errno of reading the folder. */
GYR_MUST_CHECK int gyr_blobs_sweep(const struct gyr_blobs *blobs, struct gyr_error *error);

#endif
