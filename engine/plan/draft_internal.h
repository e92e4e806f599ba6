/*
 * What the files of draft.h share.
 */
#ifndef GYR_ENGINE_PLAN_DRAFT_INTERNAL_H
#define GYR_ENGINE_PLAN_DRAFT_INTERNAL_H

#include "engine/plan/draft.h"

int draft_no_memory(struct gyr_error *error);

/* What value INDEX of a graph, which is SPECIALS (COUNT of them) at the batch numbers, is as value ROOT of a draft. */
struct gyr_draft_value draft_value(const struct gyr_special *const *specials, uint32_t count, uint32_t index, uint32_t root);

/* Takes the nodes of GRAPH, which is SPECIALS at each of the draft's batch numbers, and whose values are those of the draft that MAP says. -ENOMEM. */
GYR_MUST_CHECK int draft_take(struct gyr_draft *draft, const struct gyr_graph *graph, const struct gyr_special *const *specials, const uint32_t *map,
			      struct gyr_error *error);

/* Appends the node that SOURCE, whose ends are values of the draft that MAP says (NULL: the same), becomes. -ENOMEM. */
GYR_MUST_CHECK int draft_append(struct gyr_draft *draft, const struct gyr_node *source, const uint32_t *map, struct gyr_error *error);

/* Adds a value with room for its shapes, which are the caller's to fill in. -ENOMEM. */
GYR_MUST_CHECK int draft_add_value(struct gyr_draft *draft, struct gyr_shape **shapes, uint32_t *value, struct gyr_error *error);

#endif
