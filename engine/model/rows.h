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

/*
 * What becomes of NODE's outputs, given what is known of all values of GRAPH (ROWS, and concrete SHAPES) and the OUTPUTS' shapes, at BATCH rows. Without an
 * input that is APART or MIXED no operator is asked, and an operator sees the contents of the graph's constants only; an operator's answer of APART is held against dims[0] of each output.
 */
enum gyr_rows gyr_rows_of(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *shapes, const enum gyr_rows *rows,
			  struct gyr_shape *outputs, int64_t batch);

/*
 * The shape that is A at the first of GYR_ROWS_PROBES and B at the second: the batch dimension stands first, or nowhere. False, and nothing written, where no
 * such shape is both.
 */
bool gyr_rows_merge(const struct gyr_shape *a, const struct gyr_shape *b, struct gyr_shape *merged);

/* The rules that most operators follow, for their rows in the table. */

/* Broadcasting: inputs that are APART have the result's rank, and the others are the same for all rows. */
enum gyr_rows gyr_rows_broadcast(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);

/* Input 0 is computed row by row, or its elements stay in order (views); the other inputs are parameters that may depend on the number of rows: shapes. */
enum gyr_rows gyr_rows_first(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);

/* Input 0 is computed along "axis" (OTHERWISE where left out), which must not be the first; the other inputs are the same for all rows. */
enum gyr_rows gyr_rows_along(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t otherwise);

/* The result depends on shapes only. */
enum gyr_rows gyr_rows_count(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch);

#endif
