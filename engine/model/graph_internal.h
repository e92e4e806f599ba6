/*
 * What the files of engine/model share.
 */
#ifndef GYR_ENGINE_MODEL_GRAPH_INTERNAL_H
#define GYR_ENGINE_MODEL_GRAPH_INTERNAL_H

#include "engine/model/graph.h"

#define GRAPH_CONSTANT_ALIGN 64u

/* Says that memory is out. -ENOMEM. */
int graph_no_memory(struct gyr_error *error);

/* That SHAPE is one: of a constant or a result (without a batch dimension), or of an input (not beyond all measure). -EINVAL. */
GYR_MUST_CHECK int graph_check_shape(const struct gyr_shape *shape, bool constant, struct gyr_error *error);

/* What can be said of an attribute of a node of GRAPH without its operator: a tensor's shape, a body's being there to be given. -EINVAL. */
GYR_MUST_CHECK int graph_check_attribute(const struct gyr_graph *graph, const struct gyr_attribute *attribute, struct gyr_error *error);

/* Copies ATTRIBUTE, which was checked, into memory of ARENA; not a body. False without memory. */
bool graph_copy_attribute(struct gyr_arena *arena, const struct gyr_attribute *attribute, struct gyr_attribute *copy);

/* The bytes of the longest beginning of TEXT (zero-terminated), at most MAX, that is UTF-8 without control characters. */
size_t graph_legal_length(const char *text, size_t max);

#endif
