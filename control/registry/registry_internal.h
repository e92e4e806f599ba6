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

/* Does a label of MODEL point at NUMBER, or is one about to? The first such into LABEL. */
bool gyr_registry_pointing(struct gyr_registry *registry, const char *model, uint64_t number, struct gyr_label *label);

#endif
