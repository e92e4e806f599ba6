/*
 * Types and shapes of results, node after node, from concrete shapes: the batch dimension has been replaced by a number before.
 *
 * What an operator's result is shaped like may depend on the content of an input (Reshape's second, Slice's starts, ...). Where that content is known - a
 * constant, or something that was computed from constants and shapes - it is given; where it is not, inference of that node says -EAGAIN, and whoever folds
 * (engine/plan) comes back with more.
 */
#ifndef GYR_ENGINE_MODEL_INFER_H
#define GYR_ENGINE_MODEL_INFER_H

#include <stdint.h>

#include "base/error.h"
#include "engine/model/graph.h"

/* One node, as its operator's inference function sees it. Attributes, counts and types of inputs have been checked against the row. */
struct gyr_infer {
	const struct gyr_node *node;
	uint32_t opset;
	const struct gyr_shape *const *inputs; /* node.input_count; NULL where one is left out; every dimension 0 or more */
	const void *const *contents;           /* node.input_count; NULL where not known */
	struct gyr_shape *outputs;             /* node.output_count, zeroed, to be filled in */
	uint32_t asked;                        /* of an operator's rows function: the output whose rows it is to tell */
	struct gyr_error *error;
};

/* The shape of input INDEX, or NULL where it is left out or beyond the last. */
const struct gyr_shape *gyr_infer_input(const struct gyr_infer *infer, uint32_t index);

/* Checks what does not depend on shapes: NODE's attributes against the row of its operator at OPSET. -EINVAL with the reason (without the node's name). */
GYR_MUST_CHECK int gyr_infer_check_node(const struct gyr_node *node, uint32_t opset, struct gyr_error *error);

/*
 * Checks the types of NODE's inputs and gives the types and shapes of its outputs (node.output_count shapes in OUTPUTS). SHAPES and CONTENTS are those of all
 * values of GRAPH; those of NODE's inputs are known, contents where they can be. -EINVAL with the reason (without the node's name). -EAGAIN: a content is
 * needed that is not known; the message says of which value.
 */
GYR_MUST_CHECK int gyr_infer_node(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *shapes, const void *const *contents,
				  struct gyr_shape *outputs, struct gyr_error *error);

/* SHAPE with BATCH in place of GYR_DIM_BATCH. */
struct gyr_shape gyr_infer_concrete(const struct gyr_shape *shape, int64_t batch);

#endif
