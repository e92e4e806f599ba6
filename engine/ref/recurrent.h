/*
 * RNN, GRU and LSTM on f32, step after step.
 */
#ifndef GYR_ENGINE_REF_RECURRENT_H
#define GYR_ENGINE_REF_RECURRENT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/model/recurrent.h"

struct gyr_recurrent {
	struct gyr_recurrent_cell cell;
	size_t steps, batch, inputs, units; /* units 1 or more */
	bool peepholes;                     /* P is given */
	bool bf16;                          /* a kernel keeps W and R in bf16; the twin does not */
};

/* The operator's tensors, dense, in ONNX's layouts, of any alignment; NULL where one is left out (X, W and R are not). */
struct gyr_recurrent_ends {
	const void *x, *w, *r, *b, *lengths, *initial_h, *initial_c, *p;
	void *y, *y_h, *y_c;
};

/* Where a row of a direction stands: Y has steps at y_step from each other, the states have none; all in elements. */
struct gyr_recurrent_places {
	size_t x_step, x_row;              /* of X */
	size_t y_step, y_direction, y_row; /* of Y */
	size_t direction, row;             /* of the states */
};

struct gyr_recurrent_places gyr_recurrent_places(const struct gyr_recurrent *recurrent);

/* The steps that ROW takes: LENGTHS (or NULL) says, within [0, steps]. */
size_t gyr_recurrent_length(const struct gyr_recurrent *recurrent, const void *lengths, size_t row);

/*
 * FUNCTION of X within [-CLIP, CLIP]. NaN stays NaN.
 */
double gyr_ref_recurrent_activate(const struct gyr_recurrent_activation *activation, double clip, double x);

/* Bytes of scratch that gyr_ref_recurrent needs, 8-byte aligned. */
size_t gyr_ref_recurrent_scratch_bytes(const struct gyr_recurrent *recurrent);

/*
 * Computes ENDS. Sums are in double; what one step hands to the next is rounded to f32. A row of fewer steps than X has zeros in Y behind them, and its last
 * states are those of its own last step. Where the schema says nothing, it is as ONNX Runtime has it: the states of a row without a step are zeros, and the
 * clip holds for the sums, not for the cell's state on its way into h. Any thread.
 */
void gyr_ref_recurrent(const struct gyr_recurrent *recurrent, const struct gyr_recurrent_ends *ends, void *scratch);

#endif
