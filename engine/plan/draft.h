/*
 * A draft: a graph on its way to a plan. Views share the memory of what they view, what is known is not computed, what nobody reads is dropped, and passes
 * (fuse.h) put nodes in the place of others. It is made from the graph at the batch numbers of the plan, and holds for all of them.
 *
 * Values are those of the graph, at the same indices, and behind them those of branches and those that passes add. Adding moves the arrays: keep indices, not
 * pointers. A branch that is always taken has its nodes among those of the graph, in place of the If.
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
	struct gyr_shape shape; /* at the largest batch number */
	const void *data;       /* the elements of what is the same at every batch number, else NULL */
	bool known;             /* its elements are known at each batch number */
	uint32_t root;          /* the value whose memory this one is: itself, or what it is a view of */
	uint32_t uses;          /* of a root: reads by nodes, and graph outputs */
	uint32_t producer;      /* of a root: the draft node that makes it, or GYR_DRAFT_NONE */
	uint32_t consumer;      /* of a root with one use: the draft node that reads it; GYR_DRAFT_NONE for the graph's output, and where it is not known */
	const struct gyr_shape *shapes; /* of one that was added: one a batch number */
	const void *const *contents;    /* of one of a branch: one a batch number */
	const char *name;               /* of one that was added: perhaps empty */
};

/* y = activation(x W + bias) */
struct gyr_draft_dense {
	size_t in, out;
	const float *weights; /* in x out; the constant's own while nothing was taken into them */
	float *own;           /* a copy of them to write to; NULL: none yet */
	double *bias;         /* out */
	bool has_bias;
	enum gyr_op activation; /* or GYR_OP_NONE */
};

struct gyr_draft_node {
	const struct gyr_node *source; /* for its operator, attributes and name; its ends are not looked at, only whether one is left out */
	uint32_t input_count, output_count;
	uint32_t *inputs, *outputs;                  /* indices into values, or GYR_DRAFT_NONE; outputs are roots */
	bool dead;                                   /* taken in by another node, or read by nobody */
	struct gyr_draft_dense *dense;               /* or NULL */
	const struct gyr_special_flow *const *flows; /* of one that runs bodies: what it is at each batch number */
};

struct gyr_draft {
	const struct gyr_graph *graph;
	const struct gyr_special *specials; /* the graph at each batch number */
	uint32_t special_count;
	struct gyr_arena arena; /* owns everything here */
	struct gyr_draft_value *values;
	struct gyr_draft_node *nodes; /* in an order in which they can run, between passes */
	uint32_t value_count, value_room, node_count, node_room;
};

/*
 * Starts a draft of GRAPH (finished) in the caller's memory, as it is at each of COUNT batch numbers (the largest last): views and uses. Graph and specials are
 * needed as long as the draft. -ENOMEM. Ends with gyr_draft_fini, also after a failure.
 */
GYR_MUST_CHECK int gyr_draft_init(struct gyr_draft *draft, const struct gyr_graph *graph, const struct gyr_special *specials, uint32_t count,
				  struct gyr_error *error);
void gyr_draft_fini(struct gyr_draft *draft);

/* The shape of VALUE at batch number INDEX of the draft's, and its content there (NULL: not known). */
const struct gyr_shape *gyr_draft_shape(const struct gyr_draft *draft, uint32_t value, uint32_t index);
const void *gyr_draft_content(const struct gyr_draft *draft, uint32_t value, uint32_t index);

/* The name of VALUE, empty where it has none. */
const char *gyr_draft_name(const struct gyr_draft *draft, uint32_t value);

/*
 * What a pass may do. Adding keeps producer, uses and consumer of what it touches; a node that it replaces by another must be removed before the other is
 * added. What was the sole reader's is no longer known (consumer NONE) where another reader goes. gyr_draft_renew, which runs behind every pass, finds
 * all of it anew, sorts the nodes and drops what nobody reads.
 */

/* Adds a constant of SHAPE (fixed dimensions), the same at every batch number; its elements, zero, are for the caller to fill in at *DATA. -ENOMEM. */
GYR_MUST_CHECK int gyr_draft_add_constant(struct gyr_draft *draft, const struct gyr_shape *shape, void **data, uint32_t *value, struct gyr_error *error);

/* What the shape of an added value is, where that of another one is SHAPE. */
typedef struct gyr_shape gyr_draft_shape_fn(const struct gyr_shape *shape, const void *context);

/* Adds a value that a node is to make, whose shape at each batch number is RESHAPE (NULL: the same) of that of value LIKE. -ENOMEM. */
GYR_MUST_CHECK int gyr_draft_add_value(struct gyr_draft *draft, uint32_t like, gyr_draft_shape_fn *reshape, const void *context, uint32_t *value,
				       struct gyr_error *error);

/*
 * Adds a node. NODE's ends are values of the draft; its operator is a standard one, with what that needs at the graph's opset, or an internal one (op.h); it is
 * copied, but what its attributes and its name point at must live as long as the draft. *INDEX (may be NULL) is the node's. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_draft_add_node(struct gyr_draft *draft, const struct gyr_node *node, uint32_t *index, struct gyr_error *error);

/* Takes node INDEX away. What it made is to be made by another node, a view of something, or read by nobody. */
void gyr_draft_remove(struct gyr_draft *draft, uint32_t index);

/* Makes VALUE, which no node makes any more, the memory of value OF, which has as many bytes at every batch number. */
void gyr_draft_make_view(struct gyr_draft *draft, uint32_t value, uint32_t of);

/* The root of VALUE; inside a pass that makes views, this is what knows. */
uint32_t gyr_draft_root(const struct gyr_draft *draft, uint32_t value);

/* The node that makes VALUE itself (not what it is a view of), when it has operator OP and has not become a dense layer, or GYR_DRAFT_NONE. */
uint32_t gyr_draft_maker(const struct gyr_draft *draft, uint32_t value, enum gyr_op op);

/* The node that alone reads VALUE, as VALUE itself (not as a view of it), or GYR_DRAFT_NONE. */
uint32_t gyr_draft_sole_reader(const struct gyr_draft *draft, uint32_t value);

/* Whether VALUE is one f32 number, known and the same at every batch number, which *NUMBER then is. */
bool gyr_draft_number(const struct gyr_draft *draft, uint32_t value, float *number);

/* Sorts, counts and drops: see above. -ENOMEM. */
GYR_MUST_CHECK int gyr_draft_renew(struct gyr_draft *draft, struct gyr_error *error);

#endif
