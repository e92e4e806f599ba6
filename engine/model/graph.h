/*
 * A model as a graph: values (inputs, constants, results) and the nodes that make values from values. It is what the ONNX importer and
 * the trainer produce, what a bundle stores, and what a plan is compiled from. Nothing in it depends on a machine.
 *
 * Life: create, add values and nodes in any order, then gyr_graph_finish, which checks everything, sorts the nodes and infers every shape. A finished graph is
 * immutable and may be read by any thread; before that, one thread at a time.
 *
 * The batch dimension. dims[0] of every input may be GYR_DIM_BATCH. Where it is proven that rows never mix (rows.h), dims[0] of every output is so too after
 * finish, and rows of different questions may be computed together. Where it is not, finish puts 1 in its place, in inputs and outputs: such a model answers
 * one question of one row at a time. Constants have no batch dimension. On the way through the graph the batch may be another dimension than the first; the
 * shape of such a result is kept as it is at one row.
 *
 * Shapes that depend on what the model computes. Where the shape of a result depends on the content of a value that is neither an input nor a constant, finish
 * leaves it unknown (dtype NONE), unless it was given one, which stays and is checked by the plan. Such a graph, and one whose batch dimension can be judged
 * only by computing with shapes, is not "settled": a plan finds both when it is made, and gyr_plan_settle writes them into the graph.
 *
 * Bodies. If, Loop and Scan run graphs of their own, which are attributes of theirs. A body sees no names but its own: what it reads of the graph around it (a
 * capture) is an input of the node, behind the operator's own, and an input of the body, behind the operator's own, under the same name. So who sorts, follows
 * or counts values needs to know nothing of bodies. The captures of a node stand in the order of its bodies among its attributes. A body has no shapes, for
 * they depend on what the node is given: the plan finds them. It may give back an input or a constant as its output, and the same value twice.
 *
 * Softmax before opset 13 works over all dimensions from "axis" (default 1) on, from opset 13 over the one dimension "axis" (default -1): whoever runs it reads
 * graph.opset. Everything else means the same in all opsets of the table.
 */
#ifndef GYR_ENGINE_MODEL_GRAPH_H
#define GYR_ENGINE_MODEL_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/tensor.h"
#include "engine/model/op.h"

#define GYR_GRAPH_VALUES_MAX 65536u /* of a graph and all its bodies, and so are the nodes */
#define GYR_GRAPH_NODES_MAX 65536u
#define GYR_GRAPH_ENDS_MAX 64u                     /* inputs, and outputs; a body has up to GYR_NODE_ENDS_MAX */
#define GYR_GRAPH_DEPTH_MAX 8u                     /* bodies within bodies */
#define GYR_GRAPH_NAME_MAX 1023u                   /* bytes of a name */
#define GYR_VALUE_ELEMENTS_MAX (UINT64_C(1) << 31) /* in one row of a value that is no constant */
#define GYR_VALUE_NONE UINT32_MAX                  /* in place of an optional input that is left out */

struct gyr_value {
	const char *name;       /* unique within the graph, not empty */
	struct gyr_shape shape; /* of inputs and constants from the start, of the others after finish (dtype NONE: not known yet) */
	const void *data;       /* a constant's elements, row-major little-endian, 4-byte aligned or better; NULL for what is not a constant */
};

struct gyr_attribute {
	const char *name;
	enum gyr_attribute_type type;
	union {
		int64_t integer;
		float number;
		const char *string;
		struct {
			uint32_t count;
			const int64_t *items;
		} integers;
		struct {
			uint32_t count;
			const float *items;
		} numbers;
		struct {
			uint32_t count;
			const char *const *items;
		} strings;
		struct {
			struct gyr_shape shape;
			const void *data; /* as a constant's */
		} tensor;
		struct gyr_graph *graph; /* a finished body of the graph that the node is in, which no other attribute has */
	};
};

struct gyr_node {
	enum gyr_op op;
	uint32_t input_count, output_count, attribute_count;
	uint32_t capture_count;  /* how many of the inputs, the last ones, are captures; gyr_graph_add_node counts them */
	const char *name;        /* may be empty */
	const uint32_t *inputs;  /* indices into values, or GYR_VALUE_NONE */
	const uint32_t *outputs; /* indices into values, or (not the first) GYR_VALUE_NONE */
	const struct gyr_attribute *attributes;
};

struct gyr_graph {
	struct gyr_arena arena; /* owns everything below, except constants added by reference */
	const char *name;
	uint32_t opset;    /* of ONNX's default domain */
	uint32_t opset_ml; /* of "ai.onnx.ml", for who adds such nodes to set before; 0: there are none */
	uint32_t value_count, node_count, input_count, output_count;
	struct gyr_value *values;
	struct gyr_node *nodes;     /* after finish: each behind those that it needs */
	uint32_t *inputs, *outputs; /* indices into values, in the model's order */
	bool finished;
	bool settled; /* finish knew every shape, and its judgement of the batch dimension is final */

	struct gyr_graph *outer;                  /* of a body: the graph that it is in, else NULL */
	struct gyr_graph *bodies, *next_body;     /* owned: its bodies, the newest first; of a body: the next in that list */
	uint32_t depth;                           /* of a body: 1 for the bodies of a model's graph, and so on */
	uint32_t capture_count;                   /* of a body: how many of its inputs, the last ones, are captures */
	bool held;                                /* of a body: an attribute has it */
	uint32_t all_value_count, all_node_count; /* of what is no body: with those of all bodies */

	uint32_t *slots; /* graph.c's own: value indices by hash of the name */
	uint32_t slot_count;
	uint8_t hash_key[16];
};

/* An empty graph for OPSET of the default ONNX domain; NAME is copied (cut at a name's limits). NULL without memory. Free with gyr_graph_destroy. */
struct gyr_graph *gyr_graph_create(const char *name, uint32_t opset);
void gyr_graph_destroy(struct gyr_graph *graph); /* NULL is fine; no body */

/*
 * Starts a body of GRAPH (not finished), to be filled, finished and given to a node as an attribute; *BODY belongs to GRAPH at once. -E2BIG: GRAPH is
 * GYR_GRAPH_DEPTH_MAX bodies deep. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_graph_add_body(struct gyr_graph *graph, const char *name, struct gyr_graph **body, struct gyr_error *error);

/*
 * Adds a value and returns its index through *INDEX. NAME is copied. SHAPE may be NULL for a result whose shape is to be inferred. DATA (of a constant) is
 * copied when COPY, else it must outlive the graph. -EEXIST: the name is taken. -EINVAL: the name is not 1 to GYR_GRAPH_NAME_MAX bytes of UTF-8 without control
 * characters, or the shape is none. -E2BIG: too many values. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_graph_add_value(struct gyr_graph *graph, const char *name, const struct gyr_shape *shape, const void *data, bool copy, uint32_t *index,
				       struct gyr_error *error);

/* Adds a node; everything NODE points at is copied, but for bodies. Its inputs are the operator's own, then the captures of its bodies. -EINVAL: an index out
 * of range, a count outside the operator's, an opset outside its range, a body that is not this graph's to give. -E2BIG, -ENOMEM. */
GYR_MUST_CHECK int gyr_graph_add_node(struct gyr_graph *graph, const struct gyr_node *node, struct gyr_error *error);

/* Declares a value as the graph's next input or output. -EINVAL: no such value, a constant as input, or declared before. -E2BIG: more than
 * GYR_GRAPH_ENDS_MAX. -ENOMEM. */
GYR_MUST_CHECK int gyr_graph_add_input(struct gyr_graph *graph, uint32_t value, struct gyr_error *error);
GYR_MUST_CHECK int gyr_graph_add_output(struct gyr_graph *graph, uint32_t value, struct gyr_error *error);

/* Declares a value of the body GRAPH as its next input and a capture; behind captures no other inputs come. As gyr_graph_add_input. */
GYR_MUST_CHECK int gyr_graph_add_capture(struct gyr_graph *graph, uint32_t value, struct gyr_error *error);

/*
 * Checks and completes the graph: at least one input and one output; every value is an input, a constant or the result of exactly one node, and every output is
 * a result; no cycle; attributes known and in range; types as ONNX has them at this opset; shapes fit. Sorts the nodes (an order
 * that is right already is kept), infers shapes; where a result was given a shape it must agree. Of a body only what has nothing to do with shapes. -EINVAL
 * with node, operator and reason; -ENOMEM. After an error the graph can only be destroyed.
 */
GYR_MUST_CHECK int gyr_graph_finish(struct gyr_graph *graph, struct gyr_error *error);

/*
 * Completes a finished graph that is not settled: gives every result the shape in SHAPES (one for each value; dtype NONE where it is not known), and where not
 * BATCHED takes the batch dimension from the inputs. -EINVAL: a result was given another shape before. One thread at a time.
 */
GYR_MUST_CHECK int gyr_graph_settle(struct gyr_graph *graph, const struct gyr_shape *shapes, bool batched, struct gyr_error *error);

/* The opset that holds for OP (not GYR_OP_NONE) in GRAPH: that of its domain. */
uint32_t gyr_graph_opset(const struct gyr_graph *graph, enum gyr_op op);

/* Puts NODE's name (or its first result's), operator and opset before the message of ERROR. Returns STATUS. */
int gyr_graph_blame(const struct gyr_graph *graph, const struct gyr_node *node, int status, struct gyr_error *error);

/* The index of the value of that name, or GYR_VALUE_NONE. */
uint32_t gyr_graph_find(const struct gyr_graph *graph, const char *name);

/* The attribute of NODE of that name, or NULL. */
const struct gyr_attribute *gyr_node_attribute(const struct gyr_node *node, const char *name);

/* The attribute of NODE of that name and of type int, float or string, or OTHERWISE where it is left out. */
int64_t gyr_node_integer(const struct gyr_node *node, const char *name, int64_t otherwise);
float gyr_node_number(const struct gyr_node *node, const char *name, float otherwise);
const char *gyr_node_string(const struct gyr_node *node, const char *name, const char *otherwise);

/* Same inputs and outputs, in names, types and shapes. Otherwise false, with the first difference in ERROR. */
bool gyr_graph_same_signature(const struct gyr_graph *a, const struct gyr_graph *b, struct gyr_error *error);

#endif
