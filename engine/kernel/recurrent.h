/*
 * RNN, GRU and LSTM on f32 as vector code, on weights packed for it. The twin is engine/ref/recurrent.h.
 */
#ifndef GYR_ENGINE_KERNEL_RECURRENT_H
#define GYR_ENGINE_KERNEL_RECURRENT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/ref/recurrent.h"

/* Whether the cell's activations are those that this knows: Sigmoid and Tanh where they are usual; of an RNN Tanh, Relu or Sigmoid. The twin runs the others.
 */
bool gyr_recurrent_supports(const struct gyr_recurrent_cell *cell);

/* Floats that the packed weights of both directions take: 64-byte aligned. False where they are too many to count. */
bool gyr_recurrent_packed_floats(const struct gyr_recurrent *recurrent, size_t *floats);

/* Packs W, R, B and P (the last two may be NULL) of ENDS, of any alignment, into PACKED. Only gates, units and inputs count, not steps or batch. Any thread. */
void gyr_recurrent_pack(const struct gyr_recurrent *recurrent, const struct gyr_recurrent_ends *ends, float *packed);

/* Bytes of scratch that a run needs, 64-byte aligned. False where they are too many to count. */
bool gyr_recurrent_scratch_bytes(const struct gyr_recurrent *recurrent, size_t *bytes);

/*
 * Computes ENDS, whose W, R, B and P are not read, as gyr_ref_recurrent does. Sums are of f32 products in f32, |got - exact| <= 2^-23 * (inputs + units + 4) *
 * (sum of |x w| + |h r| + |bias|), which sigmoid and tanh then pass on within a relative 1e-6. Any thread. Hot path: at one row, the time of a step is that in
 * which its weights are read from the cache that holds them.
 */
void gyr_recurrent_run(const struct gyr_recurrent *recurrent, const struct gyr_recurrent_ends *ends, const float *packed, void *scratch);

#endif
