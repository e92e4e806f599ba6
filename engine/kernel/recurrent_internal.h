/*
 * How the weights and the scratch of recurrent operators are laid out. Inside engine/kernel.
 *
 * Units are taken in panels: LANES units with all their gates or, of an RNN, which has but one, RECURRENT_RNN_BLOCKS * LANES units. A panel of a matrix holds
 * for each number of its input, one after another, a vector of LANES weights for each of its gates (blocks), so that a product reads one stream from the first
 * byte to the last and ends with all gates of the same units at hand. The last panel may have fewer units: then their gates lie side by side without gaps, in
 * as few vectors as they fill; what is behind them is zero. (Where the gates of a GRU are multiplied apart, each keeps its own vector.)
 */
#ifndef GYR_ENGINE_KERNEL_RECURRENT_INTERNAL_H
#define GYR_ENGINE_KERNEL_RECURRENT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/ref/recurrent.h"

#define RECURRENT_LANES 16u /* floats of a vector */
#define RECURRENT_RNN_BLOCKS 4u

/* One direction's weights; what follows LAST_GATE is counted in floats. Biases lie as a panel's sums do, peepholes as those of a panel that is full. */
struct gyr_recurrent_packing {
	size_t panels, panel_units, vectors;
	size_t last_units, last_vectors, last_gate; /* of the last panel; LAST_GATE is counted in floats, from a gate to the next */
	size_t panel, across;                       /* of one number of the input: a panel's, and all panels' */
	size_t bias, state_bias, peepholes; /* where they begin; STATE_BIAS is that of the state's part of a GRU's hidden gate, where that is kept apart */
	size_t w, r, floats;
};

/* The scratch, in floats: where each part begins. Rows of states are STATE_ROW floats each, a multiple of RECURRENT_LANES. */
struct gyr_recurrent_layout {
	size_t chunk; /* steps whose inputs are projected at once */
	size_t state_row;
	size_t projected, c, update, reset, h[2], floats;
	size_t sums; /* of an LSTM with one row: panel after panel, as of a full one */
};

/* Both are false where there are too many floats to count. */
bool gyr_recurrent_find_packing(const struct gyr_recurrent *recurrent, struct gyr_recurrent_packing *packing);
bool gyr_recurrent_find_layout(const struct gyr_recurrent *recurrent, struct gyr_recurrent_layout *layout);

/* How many times a panel's vectors the weights of DEPTH numbers take: in bf16 two share a word, the first in its lower half. */
static inline size_t gyr_recurrent_depth(const struct gyr_recurrent *recurrent, size_t depth)
{
	return recurrent->bf16 ? depth / 2 + depth % 2 : depth;
}

/* GRU: whether the state's part of the hidden gate is multiplied before it is added to the input's. */
static inline bool gyr_recurrent_splits(const struct gyr_recurrent_cell *cell)
{
	return cell->op == GYR_OP_GRU && cell->linear_before_reset;
}

#endif
