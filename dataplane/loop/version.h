/*
 * One loaded version: its plan, its signature as requests are checked against it, and what each engine lcore needs for itself to run it. Made and freed by the
 * house thread; engine lcores reach it through the route table.
 */
#ifndef GYR_DATAPLANE_LOOP_VERSION_H
#define GYR_DATAPLANE_LOOP_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dataplane/flow/batch.h"
#include "dataplane/loop/counters.h"
#include "dataplane/wire/wire.h"
#include "engine/model/bundle.h"
#include "engine/plan/plan.h"

/* One input or output. */
struct gyr_signature_value {
	struct gyr_shape shape;
	size_t row_elements, row_bytes; /* of one row; of the whole where rows cannot be batched */
	size_t place;                   /* offset of its array among an lcore's gathered inputs, or outputs */
	char expected[192];             /* "input \"x\" takes f32[N,784]": the text of a refusal */
};

/* What one engine lcore keeps for a version; nobody else writes it. */
struct gyr_version_lane {
	uint8_t *inputs, *outputs; /* room for batch_max rows of every input, and output */
	void *scratch;             /* for the plan */
	struct gyr_version_counters *counters;
};

struct gyr_version {
	uint64_t number;
	char id[2 * GYR_BUNDLE_ID_BYTES + 1]; /* of its bundle, set by whoever opened that */
	const struct gyr_plan *plan;
	bool batched; /* dimension 0 is the number of rows */
	uint32_t batch_max;
	uint64_t cost_tsc[GYR_BATCH_SIZES];   /* what a run of 1, 2, 4, ... rows took when it was loaded */
	uint32_t batch_efficient, batch_turn; /* flow/batch.h; requests with more rows than a turn has are computed alone */
	uint8_t cuts[GYR_BATCH_ROWS_MAX + 1]; /* flow/batch.h */
	uint32_t input_count, output_count;
	struct gyr_signature_value inputs[GYR_WIRE_TENSORS_MAX], outputs[GYR_WIRE_TENSORS_MAX];
	struct gyr_wire_value input_values[GYR_WIRE_TENSORS_MAX], output_values[GYR_WIRE_TENSORS_MAX]; /* for describe */
	uint32_t lane_count;
	struct gyr_version_lane **lanes; /* by engine lcore, each on its node */
	void *lane_memory;               /* of all of them, one behind the other */
	size_t lane_bytes;               /* of each */
	struct gyr_stats *stats;         /* NULL: not shown */
	int slot;                        /* of its table of versions */
};

/*
 * Makes a version from PLAN, which it takes over also when it fails, for LANE_COUNT engine lcores on NODES (base/node.h); runs every batch size once, so that
 * nothing is touched for the first time by a request. -E2BIG: more inputs or outputs than a message holds. -EMSGSIZE: one row does not fit a message of
 * PAYLOAD_MAX bytes in any form. -ENOTSUP: outputs whose rows are not those of the inputs. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_version_create(uint64_t number, struct gyr_plan *plan, const int *nodes, uint32_t lane_count, uint32_t payload_max,
				      struct gyr_version **version, struct gyr_error *error);
void gyr_version_destroy(struct gyr_version *version); /* NULL is fine; no engine lcore holds it any more */

/*
 * Gives the lanes their counters in STATS and shows them to readers as those of MODEL; version->id is set. Needed before an engine lcore computes with it, and
 * undone by gyr_version_destroy. -ENOSPC: GYR_COUNTERS_VERSIONS_MAX are shown.
 */
GYR_MUST_CHECK int gyr_version_show(struct gyr_version *version, struct gyr_stats *stats, const char *model, struct gyr_error *error);

#endif
