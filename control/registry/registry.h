/*
 * The registry: which models and versions there are, what they are made of, which labels point at them, and what gyrd wants the data plane to hold. It lies in
 * STATE_DIR (registry.db, blobs/, lock) and is open in one process at a time.
 *
 * What a call has reported as done is on the disk. What was interrupted has not happened: every change is one transaction, and a version's row comes after its
 * blob. A sync that fails ends the process (disk.h). One thread at a time (gyrd's loop), but for gyr_registry_blobs.
 */
#ifndef GYR_CONTROL_REGISTRY_REGISTRY_H
#define GYR_CONTROL_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "control/registry/blobs.h"
#include "engine/model/bundle.h"

#define GYR_NAME_BYTES 64u /* of a model or a label, with its zero */
#define GYR_LABELS_MAX 16u /* of one model: as many as a route carries */
#define GYR_SIGNATURE_MAX 65536u
#define GYR_METRICS_MAX 8u

struct gyr_registry;

/* How good a version is, as it was measured when it was made. */
struct gyr_metric {
	const char *name;
	double value;
};

/* What the registry keeps of a bundle besides its bytes. */
struct gyr_facts {
	char id[GYR_BLOB_NAME_BYTES];
	uint64_t bytes;
	char *signature; /* inputs and outputs as JSON; equal text, equal signature */
	uint32_t lineage_count;
	struct gyr_lineage lineage[GYR_BUNDLE_LINEAGE_MAX]; /* copies */
	uint32_t metric_count;
	struct gyr_metric metrics[GYR_METRICS_MAX]; /* those of the lineage that are numbers and measures */
	struct gyr_arena arena;                     /* owns the texts */
};

struct gyr_version {
	char model[GYR_NAME_BYTES];
	uint64_t number;
	char id[GYR_BLOB_NAME_BYTES];
	uint64_t bytes;
	int64_t created_s; /* since 1970 */
	bool wanted;       /* to be held by the data plane */
	const char *signature;
};

struct gyr_label {
	char model[GYR_NAME_BYTES], name[GYR_NAME_BYTES];
	uint64_t version;  /* that it points at; 0: none yet */
	uint64_t former;   /* that it pointed at before; 0: none */
	uint64_t intended; /* that it is about to point at; 0: none. Written before the data plane is told, settled after it has answered */
};

struct gyr_setting {
	char name[GYR_NAME_BYTES];
	uint64_t value; /* at most INT64_MAX */
};

/* Actions of the audit: */
#define GYR_AUDIT_PROMOTED "promoted" /* the action by which a label has come to point at a version */
#define GYR_AUDIT_LOAD "load"         /* somebody wanted it held by name */

/* A row of the audit. */
struct gyr_audit {
	uint64_t id; /* from 1, without a gap */
	int64_t at_s;
	uid_t actor;
	uint64_t version; /* 0: none */
	const char *action, *model, *text;
	const char *hash; /* over this row and the hash of the one before, as 64 hexadecimal digits */
};

/* What gyr_registry_verify has looked at. */
struct gyr_registry_check {
	uint64_t pages, audit_rows;
	uint64_t faults;
	char audit_head[GYR_BLOB_NAME_BYTES]; /* the last row's hash, which stands for them all; "": no rows, or not looked at for other faults */
};

/* A model's or a label's name: 1 to 63 of [a-z0-9._-], the first a letter or a digit. -EINVAL; WHAT ("model", "label") goes into the message. */
GYR_MUST_CHECK int gyr_name_check(const char *what, const char *name, struct gyr_error *error);

/* Takes what is to be kept from an open bundle of BYTES bytes. gyr_facts_fini afterwards, whatever was returned. Any thread. -E2BIG, -ENOMEM. */
GYR_MUST_CHECK int gyr_facts_take(struct gyr_facts *facts, const struct gyr_bundle *bundle, uint64_t bytes, struct gyr_error *error);
void gyr_facts_fini(struct gyr_facts *facts);

/*
 * Opens the registry of STATE_DIR, making what is not there, reads and checks the whole database, and removes what an interrupted import left. -EBUSY: another
 * process has it open (the message gives its pid). -ENOTSUP: made by a later Gyr. -EBADMSG: the database is damaged, or not ours. -ENODATA: there is none, but
 * blobs, which a new one would not know. -ENAMETOOLONG, -EACCES, -EIO, -ENOSPC, -ENOMEM.
 */
GYR_MUST_CHECK int gyr_registry_open(const char *state_dir, struct gyr_registry **registry, struct gyr_error *error);
void gyr_registry_close(struct gyr_registry *registry);

/* Where the blobs lie. The result may be used by any thread until the registry is closed. */
const struct gyr_blobs *gyr_registry_blobs(const struct gyr_registry *registry);

/*
 * Makes the content of FACTS, whose blob is kept, the next version of MODEL, which begins to be with its first. Content that the model has already gives the
 * version that has it (*KNOWN true): a repeated import changes nothing. ACTOR is who asked. -EINVAL: the name. -EIO, -ENOSPC.
 */
GYR_MUST_CHECK int gyr_registry_add(struct gyr_registry *registry, const char *model, const struct gyr_facts *facts, uid_t actor, uint64_t *number, bool *known,
				    struct gyr_error *error);

/* One version. NUMBER 0 asks for the newest. SIGNATURE stays until the registry's next call. -ENOENT: no such model or version (the message names those
 * there are). */
GYR_MUST_CHECK int gyr_registry_version(struct gyr_registry *registry, const char *model, uint64_t number, struct gyr_version *version,
					struct gyr_error *error);

/* One label of a model. -ENOENT. */
GYR_MUST_CHECK int gyr_registry_label(struct gyr_registry *registry, const char *model, const char *name, struct gyr_label *label, struct gyr_error *error);

/* Says whether the data plane shall hold a version. -ENOENT. -EBUSY: a label points at it, or is about to. */
GYR_MUST_CHECK int gyr_registry_want(struct gyr_registry *registry, const char *model, uint64_t number, bool wanted, uid_t actor, struct gyr_error *error);

/*
 * Writes down that label NAME of MODEL shall point at NUMBER, which is wanted from now on. -ENOENT. -EPERM: its signature differs from that of the version the
 * label points at (the message gives both), unless FORCE. -E2BIG: too many labels. -EINVAL: the name.
 */
GYR_MUST_CHECK int gyr_registry_intend(struct gyr_registry *registry, const char *model, const char *name, uint64_t number, bool force, uid_t actor,
				       struct gyr_error *error);

/* What was intended is so: the data plane routes by it. A label without an intention is left as it is. */
GYR_MUST_CHECK int gyr_registry_settle(struct gyr_registry *registry, const char *model, const char *name, struct gyr_error *error);

/* What was intended will not be; WHY goes into the audit. A label that points nowhere then goes. */
GYR_MUST_CHECK int gyr_registry_withdraw(struct gyr_registry *registry, const char *model, const char *name, const char *why, struct gyr_error *error);

/*
 * Takes a version out, with its lineage and metrics; its number is not given again, and its blob is nobody's unless another version has it. -ENOENT. -EBUSY:
 * the data plane shall hold it.
 */
GYR_MUST_CHECK int gyr_registry_remove(struct gyr_registry *registry, const char *model, uint64_t number, uid_t actor, struct gyr_error *error);

/* Gives MODEL settings, over those of the same names that it has. -ENOENT: no such model. -EIO, -ENOSPC. */
GYR_MUST_CHECK int gyr_registry_set(struct gyr_registry *registry, const char *model, const struct gyr_setting *settings, uint32_t count, uid_t actor,
				    struct gyr_error *error);

/*
 * Each calls ITEM for one after another, in the order of names and numbers, until it returns false; ITEM must not change the registry. MODEL NULL: of all
 * models. -EIO.
 */
GYR_MUST_CHECK int gyr_registry_each_version(struct gyr_registry *registry, const char *model, bool wanted_only,
					     bool (*item)(void *user, const struct gyr_version *version), void *user, struct gyr_error *error);
GYR_MUST_CHECK int gyr_registry_each_label(struct gyr_registry *registry, const char *model, bool (*item)(void *user, const struct gyr_label *label),
					   void *user, struct gyr_error *error);
GYR_MUST_CHECK int gyr_registry_each_lineage(struct gyr_registry *registry, const char *model, uint64_t number,
					     bool (*item)(void *user, const char *key, const char *value), void *user, struct gyr_error *error);
/* What was set for MODEL, in the order of names; nothing for a model that there is not. */
GYR_MUST_CHECK int gyr_registry_each_setting(struct gyr_registry *registry, const char *model, bool (*item)(void *user, const struct gyr_setting *setting),
					     void *user, struct gyr_error *error);
GYR_MUST_CHECK int gyr_registry_each_metric(struct gyr_registry *registry, const char *model, uint64_t number,
					    bool (*item)(void *user, const struct gyr_metric *metric), void *user, struct gyr_error *error);
/* The audit, the newest first. */
GYR_MUST_CHECK int gyr_registry_each_audit(struct gyr_registry *registry, const char *model, bool (*item)(void *user, const struct gyr_audit *row), void *user,
					   struct gyr_error *error);
/* The versions that a label has pointed at before, the one before first; one may come more than once, and may have been removed since. */
GYR_MUST_CHECK int gyr_registry_each_former(struct gyr_registry *registry, const char *model, const char *label, bool (*item)(void *user, uint64_t number),
					    void *user, struct gyr_error *error);

/*
 * Checks the database: every page is as it was written, its structure and what its rows say of each other, and the chain of the audit. FAULT (may be NULL) is
 * told each fault in words. Takes as long as reading it. Returns 0 also when there are faults. -EIO, -ENOMEM: it could not be looked at.
 */
GYR_MUST_CHECK int gyr_registry_verify(struct gyr_registry *registry, struct gyr_registry_check *check, void (*fault)(void *user, const char *text), void *user,
				       struct gyr_error *error);

/* Each blob that no version names, with its size, in no order. */
GYR_MUST_CHECK int gyr_registry_each_loose(struct gyr_registry *registry, bool (*item)(void *user, const char *name, uint64_t bytes), void *user,
					   struct gyr_error *error);

#endif
