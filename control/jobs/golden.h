/*
 * Golden vectors: questions with the answers of the reference plan.
 */
#ifndef GYR_CONTROL_JOBS_GOLDEN_H
#define GYR_CONTROL_JOBS_GOLDEN_H

#include <stdbool.h>

#include "base/error.h"
#include "engine/model/bundle.h"
#include "engine/model/graph.h"

/* Golden vectors with the memory that they need. */
struct gyr_job_golden {
	struct gyr_golden golden;
	void *inputs[GYR_GRAPH_ENDS_MAX], *outputs[GYR_GRAPH_ENDS_MAX];
};

#define GYR_JOB_GOLDEN_ROWS 8u

/* Takes memory for golden.batch rows of each input, to be filled: GYR_JOB_GOLDEN_ROWS, which the caller may lower, or 1 where the batch is fixed. -ENOMEM,
 * -E2BIG. */
GYR_MUST_CHECK int gyr_job_golden_init(struct gyr_job_golden *golden, const struct gyr_graph *graph, struct gyr_error *error);
void gyr_job_golden_fini(struct gyr_job_golden *golden);

/* Fills the inputs with random numbers from SEED: between -1 and 1, or small whole ones. */
void gyr_job_golden_random(struct gyr_job_golden *golden, const struct gyr_graph *graph, uint64_t seed);

/*
 * Computes the outputs with the reference plan, and the tolerance from what this CPU's plan answers instead: 8 times the largest difference, between 1e-4 and
 * 1e-2. *FINITE: false when an answer is not finite, which no tolerance covers. -ENOTSUP, -ENOMEM.
 */
GYR_MUST_CHECK int gyr_job_golden_compute(struct gyr_job_golden *golden, const struct gyr_graph *graph, bool *finite, struct gyr_error *error);

#endif
