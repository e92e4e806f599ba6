/*
 * A draft: a graph on its way to a plan. Views share the memory of what they view, what is known is not computed, what nobody reads is dropped, and dense
 * layers take in what stands around them. It is made from the graph at one batch number, and holds for all of the plan.
 */
#ifndef GYR_ENGINE_PLAN_DRAFT_H
#define GYR_ENGINE_PLAN_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/model/graph.h"
#include "engine/plan/specialise.h"

#define GYR_DRAFT_NONE UINT32_MAX
#define GYR_ALIGN_CONSTANT 64u

struct gyr_draft_value {
	struct gyr_shape shape;
	const void *data;  /* the elements of what is the same at every batch number, else NULL */
	bool known;        /* its elements are known at each batch number */
	uint32_t root;     /* the value whose memory this one is: itself, or what it is a view of */
	uint32_t uses;     /* of a root: reads by nodes, and graph outputs */
	uint32_t producer; /* of a root: the draft node that makes it, or GYR_DRAFT_NONE */
	uint32_t consumer; /* of a root with one use: the draft node that reads it, or GYR_DRAFT_NONE for the graph's output */
};

/* y = activation(x W + bias) */
struct gyr_draft_dense {
	size_t in, out;
	float *weights; /* in x out */
	double *bias;   /* out */
	bool has_bias;
	enum gyr_op activation; /* or GYR_OP_NONE */
};

struct gyr_draft_node {
	const struct gyr_node *source; /* for its operator, attributes and name */
	uint32_t input_count, output_count;
	uint32_t *inputs, *outputs;    /* indices into values, or GYR_DRAFT_NONE */
	bool dead;                     /* taken in by another node, or read by nobody */
	struct gyr_draft_dense *dense; /* or NULL */
};

struct gyr_draft {
	const struct gyr_graph *graph;
	struct gyr_arena arena; /* owns everything here */
	struct gyr_draft_value *values;
	struct gyr_draft_node *nodes; /* in an order in which they can run */
	uint32_t node_count;
};

/*
 * Starts a draft of GRAPH (finished) in the caller's memory, as it is at batch number ONE and at another, OTHER (or ONE again): views and uses. Graph and
 * specials are needed as long as the draft. -ENOMEM. Ends with gyr_draft_fini, also after a failure.
 */
GYR_MUST_CHECK int gyr_draft_init(struct gyr_draft *draft, const struct gyr_graph *graph, const struct gyr_special *one, const struct gyr_special *other,
				  struct gyr_error *error);
void gyr_draft_fini(struct gyr_draft *draft);

/*
 * Turns each Gemm and MatMul on f32 whose right side (and C, the same for all rows) is constant into a dense layer, and lets it take in
 * - before it: Add, Sub, Mul and Div by a constant that is one number or one for each of its inputs, in weights and bias;
 * - behind it: the same with one for each of its outputs; then one Relu, Sigmoid or Tanh.
 * What changes is rounding alone, by at most 2^-22 * (sum of |x w| + |bias|) for each operator taken in. To keep that, an operator stays outside when it would
 * make a weight overflow or vanish, or shifts an input by more than 4 (subtracting a large mean after the product would cancel). -ENOMEM.
 */
GYR_MUST_CHECK int gyr_draft_fuse(struct gyr_draft *draft, struct gyr_error *error);

#endif
