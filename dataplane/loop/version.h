/*
 * One loaded version: its plan, its signature as requests are checked against it, and what each engine lcore needs for itself to run it. Made and freed by the
 * house thread; engine lcores reach it through the route table.
 */
#ifndef GYR_DATAPLANE_LOOP_VERSION_H
#define GYR_DATAPLANE_LOOP_VERSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/histogram.h"
#include "dataplane/wire/wire.h"
#include "engine/model/bundle.h"
#include "engine/plan/plan.h"

/* What is measured of each answered request. */
enum gyr_stage {
	GYR_STAGE_QUEUED,  /* arrival to dequeue */
	GYR_STAGE_COMPUTE, /* the plan's run that it was part of */
	GYR_STAGE_TOTAL,   /* arrival to the end of that run; the reply is packed and sent in what comes after */
	GYR_STAGES
};

/* One input or output. */
struct gyr_signature_value {
	struct gyr_shape shape;
	size_t row_elements, row_bytes; /* of one row; of the whole where rows cannot be batched */
	size_t place;                   /* offset of its array among an lcore's gathered inputs, or outputs */
	char expected[192];             /* "input \"x\" takes f32[N,784]": the text of a refusal */
};

/* What one engine lcore keeps for a version; nobody else writes it. */
struct gyr_version_lane {
	_Alignas(64) _Atomic uint64_t requests; /* answered with a result */
	_Atomic uint64_t rows;
	_Atomic uint64_t errors;   /* answered with an error after the version was chosen */
	uint8_t *inputs, *outputs; /* room for batch_max rows of every input, and output */
	void *scratch;             /* for the plan */
	/* The lcore adds to the side that struct gyr_loop's histogram_side names; the other is the house thread's. */
	struct gyr_histogram stages[2][GYR_STAGES];
};

struct gyr_version {
	uint64_t number;
	char id[2 * GYR_BUNDLE_ID_BYTES + 1]; /* of its bundle, set by whoever opened that */
	const struct gyr_plan *plan;
	bool batched; /* dimension 0 is the number of rows */
	uint32_t batch_max;
	uint32_t input_count, output_count;
	struct gyr_signature_value inputs[GYR_WIRE_TENSORS_MAX], outputs[GYR_WIRE_TENSORS_MAX];
	struct gyr_wire_value input_values[GYR_WIRE_TENSORS_MAX], output_values[GYR_WIRE_TENSORS_MAX]; /* for describe */
	uint32_t lane_count;
	struct gyr_version_lane **lanes;         /* by engine lcore */
	struct gyr_histogram stages[GYR_STAGES]; /* the house thread's sums of what the lanes have counted */
};

/*
 * Makes a version from PLAN, which it takes over also when it fails, for LANE_COUNT engine lcores; runs every batch size once, so that nothing is
 * touched for the first time by a request. -E2BIG: more inputs or outputs than a message holds. -EMSGSIZE: one row does not fit a datagram of PAYLOAD_MAX bytes
 * in any form. -ENOTSUP: outputs whose rows are not those of the inputs. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_version_create(uint64_t number, struct gyr_plan *plan, uint32_t lane_count, uint32_t payload_max, struct gyr_version **version,
				      struct gyr_error *error);
void gyr_version_destroy(struct gyr_version *version); /* NULL is fine; no engine lcore holds it any more */

/* Adds what the lanes counted on SIDE to version->stages and empties them. House thread, while no engine lcore uses that side. */
void gyr_version_collect(struct gyr_version *version, unsigned side);

#endif
