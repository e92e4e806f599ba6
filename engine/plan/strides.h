/*
 * Where the elements of a value lie in the memory of another value, its base, when all that is between them moves or leaves out elements: Transpose, Slice,
 * Split, Gather of one index, and every view. Whoever reads elements where they lie needs none of those nodes.
 */
#ifndef GYR_ENGINE_PLAN_STRIDES_H
#define GYR_ENGINE_PLAN_STRIDES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/plan/draft.h"
#include "engine/plan/plan_internal.h"

#define GYR_FACTORS_MAX 24u

/* A dimension is split into factors, outermost first: one that came from two dimensions of the base has two. Those of size 1 are left out. */
struct gyr_factor {
	uint32_t dim;
	int64_t size, stride; /* stride in elements of the base */
};

/* At one batch number. */
struct gyr_strides {
	int64_t offset;
	uint32_t count;
	struct gyr_factor factors[GYR_FACTORS_MAX]; /* by dimension, the first one first */
};

struct gyr_trace {
	uint32_t base;
	double scale;                                /* that the base's elements are still to be multiplied by */
	struct gyr_strides at[GYR_PLAN_BUCKETS_MAX]; /* one a batch number of the draft */
};

/* The graph's nodes by the value that they make, for gyr_trace; free() it. NULL without memory. */
const struct gyr_node **gyr_trace_makers(const struct gyr_draft *draft);

/*
 * Follows VALUE, f32 and nowhere empty, to its base, which can be read; multiplications and divisions by one constant number on the way go into the scale when
 * SCALED. Where nothing can be followed the base is VALUE itself. False: VALUE has more factors than fit, or is empty.
 */
bool gyr_trace(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t value, bool scaled, struct gyr_trace *trace);

/* The factors of a dense value of SHAPE. False as above. */
bool gyr_strides_dense(const struct gyr_shape *shape, struct gyr_strides *strides);

/* The stride of dimension DIM when it is one number (of a dimension of size 1, OTHERWISE); else -1. */
int64_t gyr_strides_along(const struct gyr_strides *strides, uint32_t dim, int64_t otherwise);

#endif
