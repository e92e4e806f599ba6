/*
 * Whether the rows of a batch stay apart. The rows of a batch are the questions of different clients, so rows are computed together only where it is proven
 * that row i of every output depends on row i of the inputs alone, and not on how many rows there are. The proof goes node after node at one concrete batch
 * number; what holds at the two numbers GYR_ROWS_PROBES, which no dimension of a real model is likely to have, is taken to hold at all.
 */
#ifndef GYR_ENGINE_MODEL_ROWS_H
#define GYR_ENGINE_MODEL_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/model/infer.h"

#define GYR_ROWS_PROBES {1009, 1013}

/* APART with the batch as dimension AXIS, and which dimension that is: GYR_RANK_MAX where ROWS is not APART. */
static inline enum gyr_rows gyr_rows_apart(uint32_t axis)
{
	return (enum gyr_rows)(GYR_ROWS_APART + axis);
}

static inline uint32_t gyr_rows_axis(enum gyr_rows rows)
{
	return rows >= GYR_ROWS_APART && rows < GYR_ROWS_MIXED ? (uint32_t)(rows - GYR_ROWS_APART) : GYR_RANK_MAX;
}

/*
 * Where the batch is: an element with index i in dimension AXIS belongs to row i / BEHIND % batch. APART is BEHIND 1 in a dimension that is the batch; INSIDE
 * all else, as when heads or steps were taken together with it.
 */
struct gyr_rows_place {
	uint32_t axis;
	int64_t behind;
};

/* Where ROWS has the batch; AXIS is GYR_RANK_MAX where it is neither APART nor INSIDE. */
struct gyr_rows_place gyr_rows_place(enum gyr_rows rows);

/* APART or INSIDE, as the batch is at PLACE of SHAPE; MIXED where it cannot be. */
enum gyr_rows gyr_rows_at(const struct gyr_shape *shape, struct gyr_rows_place place, int64_t batch);

/*
 * What becomes of NODE's outputs, given what is known of all values of GRAPH (ROWS, concrete SHAPES, and CONTENTS where known) and the OUTPUTS' shapes, at
 * BATCH rows: ANSWERS has one an output. Without an input that is APART or MIXED no operator is asked; an operator's answer of APART is held against that
 * dimension of the output.
 */
void gyr_rows_of(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *shapes, const void *const *contents,
		 const enum gyr_rows *rows, struct gyr_shape *outputs, int64_t batch, enum gyr_rows *answers);

/*
 * What the content of a value says of its rows, where it is known: ONE is its content at one row, MANY at BATCH rows (2 or more), of the shapes ONE_SHAPE and
 * MANY_SHAPE. APART where one dimension is 1 and BATCH and each of the rows in MANY is that in ONE (zeros for each row, say); else COUNT.
 */
enum gyr_rows gyr_rows_of_content(const struct gyr_shape *one_shape, const void *one, const struct gyr_shape *many_shape, const void *many, int64_t batch);

/*
 * The shape that is A at the first of GYR_ROWS_PROBES and B at the second: the batch dimension stands first, or nowhere. False, and nothing written, where no
 * such shape is both.
 */
bool gyr_rows_merge(const struct gyr_shape *a, const struct gyr_shape *b, struct gyr_shape *merged);

/*
 * Whether a value whose rows are ROWS at BATCH rows, ONE its shape at one row and MANY there, has rows of one shape at both: where the batch is, there are
 * BATCH times as many, and no other dimension depends on it. True where nothing is said of rows.
 */
bool gyr_rows_steady(enum gyr_rows rows, const struct gyr_shape *one, const struct gyr_shape *many, int64_t batch);

/* The rules that most operators follow, for their rows in the table. */

/* Broadcasting, the batch anywhere: the inputs that are APART have it at the same place, counted from the end, and the others are the same for all rows. */
enum gyr_rows gyr_rows_broadcast(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);

/* Input 0 is computed row by row; the other inputs are the same for all rows and any number of them. */
enum gyr_rows gyr_rows_first(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);

/* The elements of input 0 stay in order, the batch anywhere: views. The other inputs may be shapes. */
enum gyr_rows gyr_rows_in_order(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);

/* Input 0 is computed along "axis" (OTHERWISE where left out), which must not be the first; the other inputs are the same for all rows. */
enum gyr_rows gyr_rows_along(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t otherwise);

/* The same with the batch anywhere but on the axis or, where all dimensions from the axis on are taken together (FLAT), behind it. */
enum gyr_rows gyr_rows_beside(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t otherwise, bool flat);

/* The result depends on shapes only. */
enum gyr_rows gyr_rows_count(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);

#endif
