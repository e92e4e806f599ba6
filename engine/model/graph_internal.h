/*
 * What graph.c and infer.c share.
 */
#ifndef GYR_ENGINE_MODEL_GRAPH_INTERNAL_H
#define GYR_ENGINE_MODEL_GRAPH_INTERNAL_H

#include "engine/model/graph.h"

/*
 * Checks NODE's attributes and the types and shapes of its inputs, all of which are known, and gives the type and shape of its one result. -EINVAL with the
 * reason (without the node's name).
 */
GYR_MUST_CHECK int infer_node(const struct gyr_graph *graph, const struct gyr_node *node, struct gyr_shape *result, struct gyr_error *error);

/* The bytes of the longest beginning of TEXT (zero-terminated), at most MAX, that is UTF-8 without control characters. */
size_t legal_length(const char *text, size_t max);

#endif
