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


/* facts.c: what of the lineage are measures; NULL ends them. */
extern const char *const gyr_metric_names[];

/* schema.c: makes the tables of a new database, or finds that those there are ours and brings them up. Errors as of gyr_registry_open. */
GYR_MUST_CHECK int gyr_schema_settle(struct gyr_registry *registry, const char *path, struct gyr_error *error);

/* audit.c: writes the rows of audit_before, in their order, as the rows of audit. */
GYR_MUST_CHECK int gyr_audit_chain_again(struct gyr_registry *registry, struct gyr_error *error);
/* audit.c: follows the chain. -EBADMSG: it is broken. */
GYR_MUST_CHECK int gyr_audit_verify(struct gyr_registry *registry, uint64_t *rows, char head[GYR_BLOB_NAME_BYTES], struct gyr_error *error);

/* registry.c: a transaction. END commits what STATUS says went well, and undoes what did not. */
GYR_MUST_CHECK int gyr_registry_begin(struct gyr_registry *registry, struct gyr_error *error);
GYR_MUST_CHECK int gyr_registry_end(struct gyr_registry *registry, int status, struct gyr_error *error);
/* audit.c */
GYR_MUST_CHECK int gyr_registry_audit(struct gyr_registry *registry, uid_t actor, const char *action, const char *model, uint64_t number, const char *text,
				      struct gyr_error *error);

/* Does a label of MODEL point at NUMBER, or is one about to? The first such into LABEL. */
bool gyr_registry_pointing(struct gyr_registry *registry, const char *model, uint64_t number, struct gyr_label *label);

#endif
