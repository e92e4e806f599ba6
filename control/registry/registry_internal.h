/* What registry.c and query.c share. */
#ifndef GYR_CONTROL_REGISTRY_REGISTRY_INTERNAL_H
#define GYR_CONTROL_REGISTRY_REGISTRY_INTERNAL_H

#include <sqlite3.h>

#include "control/registry/registry.h"

struct gyr_registry {
	int lock_fd; /* holds the lock while open */
	sqlite3 *database;
	struct gyr_blobs blobs;
	char *signature; /* that gyr_registry_version gave last */
};

/* registry.c: a transaction, and the row of the audit in it. END commits what STATUS says went well, and undoes what did not. */
GYR_MUST_CHECK int gyr_registry_begin(struct gyr_registry *registry, struct gyr_error *error);
GYR_MUST_CHECK int gyr_registry_end(struct gyr_registry *registry, int status, struct gyr_error *error);
GYR_MUST_CHECK int gyr_registry_audit(struct gyr_registry *registry, uid_t actor, const char *action, const char *model, uint64_t number, const char *text,
				      struct gyr_error *error);

/* Does a label of MODEL point at NUMBER, or is one about to? The first such into LABEL. */
bool gyr_registry_pointing(struct gyr_registry *registry, const char *model, uint64_t number, struct gyr_label *label);

#endif
