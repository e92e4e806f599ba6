/*
 * A model as a graph: values (inputs, constants, results) and the nodes that make values from values. It is what the ONNX importer and
 * the trainer produce, what a bundle stores, and what a plan is compiled from. Nothing in it depends on a machine.
 *
 * Life: create, add values and nodes in any order, then gyr_graph_finish, which checks everything, sorts the nodes and infers every shape. A finished graph is
 * immutable and may be read by any thread; before that, one thread at a time.
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

#define GYR_GRAPH_VALUES_MAX 65536u
#define GYR_GRAPH_NODES_MAX 65536u
#define GYR_VALUE_NONE UINT32_MAX /* in place of an optional input that is left out */

struct gyr_value {
	const char *name;       /* unique within the graph, not empty */
	struct gyr_shape shape; /* of inputs and constants from the start, of the others after finish */
	const void *data;       /* a constant's elements, row-major little-endian, 4-byte aligned or better; NULL for what is not a constant */
};

enum gyr_attribute_type { GYR_ATTRIBUTE_INT, GYR_ATTRIBUTE_FLOAT, GYR_ATTRIBUTE_STRING, GYR_ATTRIBUTE_INTS, GYR_ATTRIBUTE_FLOATS };

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
	};
};

struct gyr_node {
	enum gyr_op op;
	uint32_t input_count, output_count, attribute_count;
	const char *name;        /* may be empty */
	const uint32_t *inputs;  /* indices into values, or GYR_VALUE_NONE */
	const uint32_t *outputs; /* indices into values */
	const struct gyr_attribute *attributes;
};

struct gyr_graph {
	struct gyr_arena arena; /* owns everything below, except constants added by reference */
	const char *name;
	uint32_t opset;
	uint32_t value_count, node_count, input_count, output_count;
	struct gyr_value *values;
	struct gyr_node *nodes;     /* after finish: each behind those that it needs */
	uint32_t *inputs, *outputs; /* indices into values, in the model's order */
	bool finished;
};

/* An empty graph for OPSET of the default ONNX domain; NAME is copied. NULL without memory. Free with gyr_graph_destroy. */
struct gyr_graph *gyr_graph_create(const char *name, uint32_t opset);
void gyr_graph_destroy(struct gyr_graph *graph); /* NULL is fine */

/*
 * Adds a value and returns its index through *INDEX. NAME is copied. SHAPE may be NULL for a result whose shape is to be inferred. DATA (of a constant) is
 * copied when COPY, else it must outlive the graph. -EEXIST: the name is taken. -E2BIG: too many values. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_graph_add_value(struct gyr_graph *graph, const char *name, const struct gyr_shape *shape, const void *data, bool copy, uint32_t *index,
				       struct gyr_error *error);

/* Adds a node; everything NODE points at is copied. -EINVAL: an index out of range, a count outside the operator's, an opset outside its range. -E2BIG,
 * -ENOMEM. */
GYR_MUST_CHECK int gyr_graph_add_node(struct gyr_graph *graph, const struct gyr_node *node, struct gyr_error *error);

/* Declares a value as the graph's next input or output. */
GYR_MUST_CHECK int gyr_graph_add_input(struct gyr_graph *graph, uint32_t value, struct gyr_error *error);
GYR_MUST_CHECK int gyr_graph_add_output(struct gyr_graph *graph, uint32_t value, struct gyr_error *error);

/*
 * Checks and completes the graph: every value that is used is an input, a constant or the result of exactly one node; no cycle; attributes known and in range;
 * shapes and types fit. Sorts the nodes, infers shapes; where a result was given a shape it must agree. -EINVAL with node, operator and reason; -ENOMEM.
 */
GYR_MUST_CHECK int gyr_graph_finish(struct gyr_graph *graph, struct gyr_error *error);

/* The index of the value of that name, or GYR_VALUE_NONE. */
uint32_t gyr_graph_find(const struct gyr_graph *graph, const char *name);

/* The attribute of NODE of that name, or NULL. */
const struct gyr_attribute *gyr_node_attribute(const struct gyr_node *node, const char *name);

/* Same inputs and outputs, in names, types and shapes. Otherwise false, with the first difference in ERROR. */
bool gyr_graph_same_signature(const struct gyr_graph *a, const struct gyr_graph *b, struct gyr_error *error);

#endif
