/*
 * What the files of engine/model share.
 */
#ifndef GYR_ENGINE_MODEL_GRAPH_INTERNAL_H
#define GYR_ENGINE_MODEL_GRAPH_INTERNAL_H

#include "engine/model/graph.h"

/* Says that memory is out. -ENOMEM. */
int graph_no_memory(struct gyr_error *error);

/* Puts which node of GRAPH it is before the message. Returns STATUS. */
int graph_at_node(const struct gyr_graph *graph, const struct gyr_node *node, int status, struct gyr_error *error);

/* That SHAPE is one: of a constant or a result (without a batch dimension), or of an input (not beyond all measure). -EINVAL. */
GYR_MUST_CHECK int graph_check_shape(const struct gyr_shape *shape, bool constant, struct gyr_error *error);

/* The bytes of the longest beginning of TEXT (zero-terminated), at most MAX, that is UTF-8 without control characters. */
size_t graph_legal_length(const char *text, size_t max);

#endif
