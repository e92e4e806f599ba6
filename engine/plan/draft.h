/*
 * A draft: a graph on its way to a plan. Views share the memory of what they view, what can be computed now is computed, what nobody reads is dropped, and
 * dense layers take in what stands around them. Nothing in it depends on the batch size.
 */
#ifndef GYR_ENGINE_PLAN_DRAFT_H
#define GYR_ENGINE_PLAN_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/model/graph.h"

#define GYR_DRAFT_NONE UINT32_MAX
#define GYR_ALIGN_CONSTANT 64u

struct gyr_draft_value {
	struct gyr_shape shape;
	const void *data;  /* a constant's elements, else NULL */
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
	uint32_t inputs[3];            /* indices into values, or GYR_DRAFT_NONE */
	uint32_t output;
	bool dead;                     /* taken in by another node, or read by nobody */
	struct gyr_draft_dense *dense; /* or NULL */
};

struct gyr_draft {
	const struct gyr_graph *graph;
	struct gyr_arena arena; /* owns everything here, results of folding too */
	size_t fold_bytes_left; /* that folding may still take */
	struct gyr_draft_value *values;
	struct gyr_draft_node *nodes; /* in an order in which they can run */
	uint32_t node_count;
};

/* Starts a draft of GRAPH (finished, and needed as long as the draft) in the caller's memory: views, folding (if FOLD), uses. -ENOTSUP, -E2BIG, -ENOMEM. Ends
 * with gyr_draft_fini, also after a failure. */
GYR_MUST_CHECK int gyr_draft_init(struct gyr_draft *draft, const struct gyr_graph *graph, bool fold, struct gyr_error *error);
void gyr_draft_fini(struct gyr_draft *draft);

/*
 * Turns each Gemm and MatMul on f32 whose right side (and C, the same for all rows) is constant into a dense layer, and lets it take in
 * - before it: Add, Sub, Mul and Div by a constant that is one number or one for each of its inputs, in weights and bias;
 * - behind it: the same with one for each of its outputs; then one Relu, Sigmoid or Tanh.
 * What changes is rounding alone, by at most 2^-22 * (sum of |x w| + |bias|) for each operator taken in. To keep that, an operator stays outside when it would
 * make a weight overflow or vanish, or shifts an input by more than 4 (subtracting a large mean after the product would cancel). -ENOMEM.
 */
GYR_MUST_CHECK int gyr_draft_fuse(struct gyr_draft *draft, struct gyr_error *error);

/* Puts the node's operator and name before the message. Returns STATUS. */
int gyr_draft_blame(const struct gyr_node *node, int status, struct gyr_error *error);

#endif
