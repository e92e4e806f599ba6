/*
 * Moving elements: a block of up to 16 dimensions from one place to another, with steps of its own on either side. Most movement operators are one or a few of
 * these, and differ only in how the steps are worked out.
 */
#ifndef GYR_ENGINE_KERNEL_MOVE_H
#define GYR_ENGINE_KERNEL_MOVE_H

#include <stddef.h>
#include <stdint.h>

#define GYR_MOVE_RANK_MAX 16u

struct gyr_move {
	uint32_t rank;
	size_t bytes; /* of an element */
	size_t dims[GYR_MOVE_RANK_MAX];
	ptrdiff_t from_steps[GYR_MOVE_RANK_MAX], to_steps[GYR_MOVE_RANK_MAX]; /* bytes from one element to the next in a dimension */
	size_t from, to;                                                      /* bytes before the first element */
};

/* Adds a dimension inside those that are there. */
void gyr_move_add(struct gyr_move *move, size_t dim, ptrdiff_t from_step, ptrdiff_t to_step);

/* Makes MOVE as short as it can be: dimensions that follow each other on both sides become one, and dense runs one element. */
void gyr_move_simplify(struct gyr_move *move);

/* Moves. FROM and TO, of any alignment, do not overlap. Any thread. */
void gyr_kernel_move(const struct gyr_move *move, const void *from, void *to);

#endif
