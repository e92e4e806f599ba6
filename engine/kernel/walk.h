/*
 * Trees in a layout made for the cache, walked without a branch: what engine/ref/forest.h computes, for sums of floats.
 */
#ifndef GYR_ENGINE_KERNEL_WALK_H
#define GYR_ENGINE_KERNEL_WALK_H

#include "base/error.h"
#include "engine/ref/forest.h"

#define GYR_WALK_ROWS 32u /* that gyr_walk_sums takes at once, at most */

struct gyr_walk;

/*
 * Lays FOREST, of floats, out; it is not needed afterwards. *WALK is NULL where this layout does not fit: MIN, MAX, or too large. -ENOMEM. gyr_walk_destroy
 * ends it.
 */
GYR_MUST_CHECK int gyr_walk_create(const struct gyr_forest *forest, struct gyr_walk **walk, struct gyr_error *error);
void gyr_walk_destroy(void *walk); /* NULL is fine */

size_t gyr_walk_bytes(const struct gyr_walk *walk);

/* Bytes of scratch, 64-byte aligned, that gyr_walk_sums takes for ROWS rows. */
size_t gyr_walk_scratch(const struct gyr_walk *walk, size_t rows);

/*
 * The sums of ROWS rows (1 to GYR_WALK_ROWS) of X, from row FROM on, of type F32, I32 or I64 and of any alignment, into SUMS ([ROWS, targets] floats). They
 * are added up in another order than the twin's, in floats: within 1e-6 times the sum of the weights' sizes of it for each thousand trees. Any thread. Hot
 * path.
 */
void gyr_walk_sums(const struct gyr_walk *walk, enum gyr_dtype x_dtype, const void *x, size_t from, size_t rows, void *scratch, float *sums);

#endif
