/*
 * The models and versions that are loaded, as the house thread knows them; every change becomes a new route table. House thread only.
 */
#ifndef GYR_DATAPLANE_LOOP_MODELS_H
#define GYR_DATAPLANE_LOOP_MODELS_H

#include <stdint.h>

#include "base/error.h"
#include "dataplane/link/link.h"
#include "dataplane/loop/loop.h"

#define GYR_MODELS_MAX 1024u
#define GYR_MODELS_VERSIONS_MAX 64u /* of one model, loaded at once */

struct gyr_models;

/* None yet. NULL without memory. */
struct gyr_models *gyr_models_create(struct gyr_loop *loop);
/* Frees everything, also what route tables held: the loop has been drained. NULL is fine. */
void gyr_models_destroy(struct gyr_models *models);

/*
 * Loads VERSION of MODEL from a bundle in the sealed memory DESCRIPTOR (the caller closes it): checks it wholly, compiles it, replays its golden vectors, runs
 * it once at every batch size. One that is loaded already: success. -EINVAL: no valid name, version 0, or not a memfd sealed against writing, shrinking and
 * growing; the errors of gyr_bundle_open, gyr_plan_create, gyr_plan_check_golden and gyr_version_create; -ENOSPC: too many models, or versions of it;
 * -ETIMEDOUT as of gyr_models_unload, but it is loaded.
 */
GYR_MUST_CHECK int gyr_models_load(struct gyr_models *models, const char *model, uint64_t version, int descriptor, struct gyr_error *error);

/*
 * Unloads VERSION; one that is not loaded: success. -EBUSY: a label points at it. -ETIMEDOUT: an engine lcore did not let go in time; the version takes no more
 * requests, but its memory is kept for good. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_models_unload(struct gyr_models *models, const char *model, uint64_t version, struct gyr_error *error);

/* Replaces all labels of MODEL at once. -ENOENT: it, or one of the versions, is not loaded. -EINVAL: a label's name. -ENOMEM, -ETIMEDOUT (but it is done). */
GYR_MUST_CHECK int gyr_models_route(struct gyr_models *models, const char *model, const struct gyr_link_label *labels, uint32_t count, struct gyr_error *error);

/*
 * Sets how MODEL is treated beside others: SETTINGS over the defaults. -EINVAL: a setting that there is not, or a value out of its range. -ENOENT: it is not
 * loaded. -ENOMEM, -ETIMEDOUT (but it is done).
 */
GYR_MUST_CHECK int gyr_models_policy(struct gyr_models *models, const char *model, const struct gyr_link_label *settings, uint32_t count,
				     struct gyr_error *error);

/*
 * Packs what the link's STATUS answers, without the first SKIP models: a msgpack map in at most SIZE bytes (32 KiB or more); models that do not fit are left
 * out and counted. Its length.
 */
uint32_t gyr_models_status(const struct gyr_models *models, uint64_t skip, void *to, uint32_t size);

#endif
