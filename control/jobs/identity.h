/*
 * Whose files a worker opens. gyrd may run as root and its callers not: what a caller names by its path is opened with the caller's rights, what gyrd names
 * with gyrd's.
 */
#ifndef GYR_CONTROL_JOBS_IDENTITY_H
#define GYR_CONTROL_JOBS_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define GYR_IDENTITY_GROUPS_MAX 64u

struct gyr_identity {
	bool other; /* than the process's own, and it may take it */
	uid_t uid;
	gid_t gid;
	uint32_t group_count;
	gid_t groups[GYR_IDENTITY_GROUPS_MAX];
};

/* Reads "UID:GID,GID,...", the first group being the main one. NULL, and for a process that is not root: its own. -EINVAL. */
GYR_MUST_CHECK int gyr_identity_read(const char *text, struct gyr_identity *identity, struct gyr_error *error);

/* Takes it, and gives it up again, which ends the process if it cannot. Nothing for the process's own. -EPERM. */
GYR_MUST_CHECK int gyr_identity_take(const struct gyr_identity *identity, struct gyr_error *error);
void gyr_identity_leave(const struct gyr_identity *identity);

#endif
