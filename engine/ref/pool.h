/*
 * Pooling: the largest, the mean or the p-norm of what a window sees.
 */
#ifndef GYR_ENGINE_REF_POOL_H
#define GYR_ENGINE_REF_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/tensor.h"
#include "engine/model/window.h"

enum gyr_pool_kind { GYR_POOL_MAX, GYR_POOL_AVERAGE, GYR_POOL_NORM };

struct gyr_pool {
	enum gyr_pool_kind kind;
	enum gyr_dtype dtype; /* f32; MAX: also i8 and u8 */
	size_t planes;        /* batch times channels */
	bool count_pads;      /* AVERAGE: padding counts as zeros */
	bool columns_first;   /* MAX: places are counted along the first spatial axis first */
	double norm;          /* NORM: p */
	struct gyr_window window;
};

/*
 * X is [planes, the window's in...], Y [planes, the window's out...], both of any alignment, not overlapping. PLACES, of Y's shape in i64, gets where in X the
 * largest (of equals the first) was found; NULL where nobody asks, and with another kind than MAX. A window that sees padding alone gives the lowest number of
 * the type (place 0) or 0. NaN, once seen, is the result. Sums in double, rounded once. Any thread.
 */
void gyr_ref_pool(const struct gyr_pool *pool, const void *x, void *y, void *places);

#endif
