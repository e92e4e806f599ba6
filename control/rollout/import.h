/*
 * What is done with whole bundles in the helper thread: taking one into the blobs.
 */
#ifndef GYR_CONTROL_ROLLOUT_IMPORT_H
#define GYR_CONTROL_ROLLOUT_IMPORT_H

#include <stdint.h>

#include "base/error.h"
#include "control/event/work.h"
#include "control/registry/registry.h"

#define GYR_PATH_BYTES 4096u

/* FACTS only when STATUS is 0, and only during the call. */
typedef void gyr_import_done(void *user, int status, const char *text, const struct gyr_facts *facts);

/* Reads and checks the bundle at PATH and keeps it among BLOBS. Errors as of gyr_load, gyr_facts_take and gyr_blobs_put, told by DONE in the loop. */
void gyr_import_start(struct gyr_work *work, const struct gyr_blobs *blobs, const char *path, gyr_import_done *done, void *user);

#endif
