/*
 * Is a blob what its name says? Reads all of it, past the page cache, in the helper thread.
 */
#ifndef GYR_CONTROL_ROLLOUT_CHECK_H
#define GYR_CONTROL_ROLLOUT_CHECK_H

#include "control/event/work.h"
#include "control/registry/registry.h"

typedef void gyr_check_done(void *user, int status, const char *text);

/* Told by DONE in the loop. Errors as of gyr_load; -EBADMSG also: it is whole, and another's. */
void gyr_check_start(struct gyr_work *work, const struct gyr_blobs *blobs, const char *name, gyr_check_done *done, void *user);

#endif
