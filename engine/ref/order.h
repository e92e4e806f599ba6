/*
 * What goes along one axis in order: running sums, the place of the largest, the k largest. Arrays are [outer, length, inner] elements of any type and
 * alignment, and do not overlap. Any thread.
 */
#ifndef GYR_ENGINE_REF_ORDER_H
#define GYR_ENGINE_REF_ORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/tensor.h"

struct gyr_order {
	enum gyr_dtype dtype;
	bool least;               /* smallest, not largest */
	bool last;                /* of equal ones the last, not the first */
	bool exclusive, reversed; /* of a running sum: without the element itself; from the end */
	size_t outer, length, inner;
	size_t k; /* how many of the largest: 0 to length */
};

/* PLACES[outer, inner] (i64) is where the largest along the axis stands; LENGTH is 1 or more. A NaN counts as the largest, and as the smallest. */
void gyr_ref_arg(const struct gyr_order *order, const void *x, void *places);

/* VALUES[outer, k, inner] and PLACES (i64; either may be NULL) are the K largest in order; of equal ones the first in X comes first. A NaN is above all. */
void gyr_ref_top_k(const struct gyr_order *order, const void *x, void *values, void *places);

/* Y[o, k, i] is the sum of X[o, 0..k, i]: reals in double, integers wrap. */
void gyr_ref_cum_sum(const struct gyr_order *order, const void *x, void *y);

#endif
