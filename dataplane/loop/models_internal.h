/* What models.c and status.c share. */
#ifndef GYR_DATAPLANE_LOOP_MODELS_INTERNAL_H
#define GYR_DATAPLANE_LOOP_MODELS_INTERNAL_H

#include "dataplane/loop/loop_internal.h"
#include "dataplane/loop/models.h"

struct gyr_model {
	char name[GYR_WIRE_NAME_MAX + 1];
	uint64_t handle;
	int slot; /* of the counters' table of models */
	struct gyr_link_policy policy;
	uint32_t version_count;
	struct gyr_version *versions[GYR_MODELS_VERSIONS_MAX]; /* ascending */
	uint32_t label_count;
	struct gyr_link_label labels[GYR_LINK_LABELS_MAX];
};

struct gyr_models {
	struct gyr_loop *loop;
	uint32_t count;
	struct gyr_model *models[GYR_MODELS_MAX]; /* in the order of their first load; each has a version */
	uint64_t handle_next;
};

#endif
