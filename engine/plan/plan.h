/*
 * A plan: a graph compiled for this CPU. Weights are packed once, at create, and shared by every batch size and every thread; running allocates nothing, locks
 * nothing and makes no system call.
 */
#ifndef GYR_ENGINE_PLAN_PLAN_H
#define GYR_ENGINE_PLAN_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/bundle.h"
#include "engine/model/graph.h"

#define GYR_PLAN_BATCH_MAX 64u
#define GYR_PLAN_SCRATCH_ALIGN 64u
#define GYR_PLAN_RUN_BYTES_MAX ((size_t)256 << 20)  /* inputs, outputs and scratch of a run at the largest batch size */
#define GYR_PLAN_FOLD_BYTES_MAX ((size_t)256 << 20) /* constants that are computed from constants, beside twice the bytes of those */
#define GYR_PLAN_TRIPS_MAX (INT64_C(1) << 20)       /* of a loop, times those of the loops around it */
#define GYR_PLAN_TRIPS_UNKNOWN (INT64_C(1) << 16)   /* what a loop counts for whose trips are known only when it runs */

struct gyr_plan;

/*
 * In which numbers constant weights of matrix products, and of recurrent layers at one row, are kept. In bf16 they are rounded, and at many rows what they are
 * multiplied by is rounded as well; sums are of f32. Half the bytes, and up to twice the speed. A CPU without arithmetic in bf16 keeps f32 for the products.
 */
enum gyr_plan_precision { GYR_PLAN_F32, GYR_PLAN_BF16 };

struct gyr_plan_options {
	uint32_t batch_max; /* 1 to GYR_PLAN_BATCH_MAX; the plan covers the powers of two up to it, and the largest of them is its own batch_max */
	bool reference;     /* run engine/ref's plain C twins instead of oneDNN */
	enum gyr_plan_precision precision;
	size_t fold_bytes_max; /* for a model that is trusted with more than GYR_PLAN_FOLD_BYTES_MAX; 0: that */
};

/*
 * Compiles GRAPH (finished). The graph is not needed afterwards. A graph whose inputs have no batch dimension, or whose rows are not proven to stay apart, gets
 * a plan for batch 1 only. -ENOTSUP: a graph that no kernel here runs; -EINVAL: its shapes do not fit; the message names node and operator. -E2BIG: a
 * bound is passed, as a small file can by broadcasting. -ENOMEM. Slow (milliseconds): not for a hot thread.
 */
GYR_MUST_CHECK int gyr_plan_create(const struct gyr_graph *graph, const struct gyr_plan_options *options, struct gyr_plan **plan, struct gyr_error *error);
/*
 * Settles GRAPH (finished): where finish could not know every shape, finds them, and whether rows can be computed together, and writes both into the graph.
 * -ENOTSUP: a shape depends on what the model is asked; -EINVAL: shapes do not fit, or differ from those that were said; both with the node. -E2BIG: constants
 * computed from constants are too large. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_plan_settle(struct gyr_graph *graph, struct gyr_error *error);

void gyr_plan_destroy(struct gyr_plan *plan); /* NULL is fine; no thread may be in gyr_plan_run */

uint32_t gyr_plan_batch_max(const struct gyr_plan *plan);
/* The batch size that a run of BATCH rows (1 to batch_max) really computes: the next power of two. */
uint32_t gyr_plan_bucket(const struct gyr_plan *plan, uint32_t batch);
/* Scratch that each running thread needs for itself, GYR_PLAN_SCRATCH_ALIGN aligned, at most. */
size_t gyr_plan_scratch_bytes(const struct gyr_plan *plan);
/* Nodes of the graph that it was made from; profile.h tells how many steps became of them. */
uint32_t gyr_plan_node_count(const struct gyr_plan *plan);
/* What its weights are in: bf16 when those of some layer are. */
enum gyr_plan_precision gyr_plan_precision(const struct gyr_plan *plan);
/* Bytes of the packed weights. */
size_t gyr_plan_weight_bytes(const struct gyr_plan *plan);

/* The signature. Dimension 0 is GYR_DIM_BATCH where rows can be batched. Names live as long as the plan. */
uint32_t gyr_plan_input_count(const struct gyr_plan *plan);
uint32_t gyr_plan_output_count(const struct gyr_plan *plan);
const char *gyr_plan_input_name(const struct gyr_plan *plan, uint32_t index);
const char *gyr_plan_output_name(const struct gyr_plan *plan, uint32_t index);
const struct gyr_shape *gyr_plan_input_shape(const struct gyr_plan *plan, uint32_t index);
const struct gyr_shape *gyr_plan_output_shape(const struct gyr_plan *plan, uint32_t index);

/*
 * Computes BATCH rows (1 to batch_max). INPUTS and OUTPUTS are dense arrays in the signature's order, of any alignment, each with room for
 * gyr_plan_bucket(BATCH) rows: rows from BATCH on are read (their content does not matter) and written. No output overlaps an input or another output. SCRATCH
 * is this thread's own. Any number of threads at once. Hot path.
 */
void gyr_plan_run(const struct gyr_plan *plan, uint32_t batch, const void *const inputs[], void *const outputs[], void *scratch);

/* Tells the libraries beneath that this thread computes alone (one OpenMP thread, denormals flushed). Each thread that runs plans, once. */
void gyr_plan_thread_init(void);

/*
 * Replays the golden vectors of BUNDLE, at every batch size up to batch_max. -EILSEQ: an answer is outside its tolerance (the message says which, and by how
 * much); for a plan in bf16, the bundle's bf16_bound is added to that. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_plan_check_golden(const struct gyr_plan *plan, const struct gyr_bundle *bundle, struct gyr_error *error);

/*
 * Compiles BUNDLE's graph and replays its golden vectors: in bf16 where the bundle bounds the error of that, has golden vectors that show it, and they are
 * within the bound; else in f32. OPTIONS' own precision is not looked at. The errors of gyr_plan_create and gyr_plan_check_golden.
 */
GYR_MUST_CHECK int gyr_plan_create_checked(const struct gyr_bundle *bundle, const struct gyr_plan_options *options, struct gyr_plan **plan,
					   struct gyr_error *error);

#endif
