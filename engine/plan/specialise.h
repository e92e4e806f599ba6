/*
 * A graph at one batch number: the shape of every value, the content of those that can be known before anything is asked, and what is known of their rows.
 * Shapes and contents are found together, node after node, because a shape may depend on a content that itself comes from shapes (Shape, Gather, Concat,
 * Reshape). Contents are computed by the plain twins.
 */
#ifndef GYR_ENGINE_PLAN_SPECIALISE_H
#define GYR_ENGINE_PLAN_SPECIALISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/model/flow.h"
#include "engine/model/graph.h"
#include "engine/model/rows.h"

struct gyr_special_flow;

struct gyr_special {
	int64_t batch;
	struct gyr_shape *shapes;              /* one a value; concrete */
	const void **contents;                 /* one a value; NULL where it is known only when it runs */
	enum gyr_rows *rows;                   /* one a value */
	size_t fold_bytes_max;                 /* what was given for folding */
	size_t fold_bytes_left;                /* that folding may still take; at another batch number it goes on from its base's */
	int64_t trips;                         /* how often a run runs the graph, at most: 1, or the trips of the loops around it */
	const struct gyr_special_flow **flows; /* one a node; NULL for one that runs no bodies */
};

/* A node that runs bodies (model/flow.h). */
struct gyr_special_flow {
	const struct gyr_special *bodies[GYR_FLOW_BODIES_MAX]; /* NULL for the branch of an If that is not taken, or does not fit */
	bool asked;                                            /* of an If: its condition is known only when it runs */
	int64_t trips;                                         /* of Loop and Scan: how many there are, at most */
	bool trips_known;                                      /* of a Loop: its trip count was; else it is asked for when it runs */
	bool ends;                                             /* of a Loop: a condition may end it before that */
};

/*
 * Specialises GRAPH (finished) for BATCH rows, all memory from ARENA, and where something is the same in BASE (the same graph at another batch number, or NULL)
 * it is BASE's memory: contents with the same address there do not depend on the batch. -ENOTSUP: a shape depends on what is known only when it runs, or no
 * kernel computes a content; -EINVAL: shapes do not fit at this batch number; both with node and reason.
 * -E2BIG: contents computed take more than GYR_PLAN_FOLD_BYTES_MAX and twice the bytes of the graph's own, or loops take more than GYR_PLAN_TRIPS_MAX trips.
 * -ENOMEM.
 */
GYR_MUST_CHECK int gyr_specialise(const struct gyr_graph *graph, int64_t batch, const struct gyr_special *base, struct gyr_arena *arena,
				  struct gyr_special *special, struct gyr_error *error);

/* The same without a base, and with FOLD_BYTES_MAX in place of GYR_PLAN_FOLD_BYTES_MAX, there and where SPECIAL is a base. */
GYR_MUST_CHECK int gyr_specialise_within(const struct gyr_graph *graph, int64_t batch, size_t fold_bytes_max, struct gyr_arena *arena,
					 struct gyr_special *special, struct gyr_error *error);

/*
 * What can be asked: SHAPES (one a value) gets every shape, with GYR_DIM_BATCH first where *BATCHED, which is whether rows can be computed together. ONE is the
 * graph at batch number 1. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_specialise_signature(const struct gyr_graph *graph, const struct gyr_special *one, struct gyr_shape *shapes, bool *batched,
					    struct gyr_error *error);

/*
 * Finds what node INDEX, which runs bodies, and its bodies are, with all that comes before it known. BASE as above. Where the condition of an If is known only
 * when it runs, shapes may fit one branch and not the other, which then is no branch of the plan's. -ENOTSUP: what must be known before anything is asked is
 * not; the branches of an If differ in shape, or what a Loop or Scan carries changes its shape. -E2BIG: more than GYR_PLAN_TRIPS_MAX trips.
 */
GYR_MUST_CHECK int gyr_specialise_flow(const struct gyr_graph *graph, uint32_t index, const struct gyr_special *base, struct gyr_arena *arena,
				       struct gyr_special *special, struct gyr_error *error);

/* A body's inputs, for gyr_specialise_body; one element each for an input of the body. */
struct gyr_special_inputs {
	struct gyr_shape *shapes;
	const void **contents;
	enum gyr_rows *rows;
};

/* Specialises BODY, run TRIPS times by OUTER, whose memory for folding it takes. BASE (or NULL) is the body at another batch number. Else as gyr_specialise. */
GYR_MUST_CHECK int gyr_specialise_body(const struct gyr_graph *body, const struct gyr_special_inputs *inputs, int64_t trips, struct gyr_special *outer,
				       const struct gyr_special *base, struct gyr_arena *arena, struct gyr_special *special, struct gyr_error *error);

/* Whether the rows of every value of GRAPH, and of the bodies in it, have one shape at MANY rows and at ONE: see gyr_rows_steady. */
bool gyr_special_steady(const struct gyr_graph *graph, const struct gyr_special *one, const struct gyr_special *many);

#endif
