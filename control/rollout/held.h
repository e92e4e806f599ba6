/*
 * What is known of the data plane: the versions it holds and the labels it routes by.
 */
#ifndef GYR_CONTROL_ROLLOUT_HELD_H
#define GYR_CONTROL_ROLLOUT_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "control/registry/registry.h"
#include "dataplane/link/link.h"
#include "dataplane/link/policy.h"

struct gyr_held_version {
	char model[GYR_NAME_BYTES];
	uint64_t number;
	char id[GYR_BLOB_NAME_BYTES]; /* of its bundle; "" when not told */
	bool foreign;                 /* not what the registry has under that number */
	bool checked;                 /* its file was read since this gyrd began */
};

struct gyr_held_route {
	char model[GYR_NAME_BYTES];
	struct gyr_link_policy policy; /* the default while none of its versions is held */
	uint32_t label_count;
	struct gyr_link_label labels[GYR_LINK_LABELS_MAX];
};

struct gyr_held {
	uint32_t version_count, route_count;
	uint32_t model_count; /* models that were told so far, */
	uint64_t left_out;    /* and that are left to be asked for */
	struct gyr_held_version *versions;
	struct gyr_held_route *routes;
};

/* Adds what the body of a further STATUS says, which skipped model_count models. -EBADMSG as of gyr_held_take: then nothing is left to be asked for, and what
 * was understood stays. */
GYR_MUST_CHECK int gyr_held_take_more(struct gyr_held *held, const uint8_t *body, uint32_t bytes, struct gyr_error *error);
/* Replaces all by what the body of a HELLO or STATUS says. -EBADMSG: it has no "models" of the form that link.h gives; -ENOMEM. Empty then. */
GYR_MUST_CHECK int gyr_held_take(struct gyr_held *held, const uint8_t *body, uint32_t bytes, struct gyr_error *error);
void gyr_held_clear(struct gyr_held *held);

const struct gyr_held_version *gyr_held_find(const struct gyr_held *held, const char *model, uint64_t number);
/* Is any version of MODEL held? */
bool gyr_held_any(const struct gyr_held *held, const char *model);
/* -ENOMEM. */
GYR_MUST_CHECK int gyr_held_add(struct gyr_held *held, const char *model, uint64_t number, const char *id);
void gyr_held_remove(struct gyr_held *held, const char *model, uint64_t number);

/* The route of MODEL; one without labels is added when there is none. NULL without memory. */
struct gyr_held_route *gyr_held_route(struct gyr_held *held, const char *model);

#endif
