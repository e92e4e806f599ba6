/*
 * Resize along each axis: which elements of the input a place of the result is made of, with what weights; and the plain resize of any real type.
 */
#ifndef GYR_ENGINE_REF_RESIZE_H
#define GYR_ENGINE_REF_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/model/resize.h"

/* One axis. Place OUT of the result is the sum over t of weights[out * taps + t] times element index[out * taps + t] of the input. */
struct gyr_resize_taps {
	size_t in, out, taps;
	int32_t *index;   /* within the input */
	float *weights;   /* NULL where the one tap is the result: nearest, or an axis that stays the same */
	uint8_t *outside; /* [out]: 1 where the extrapolation value is the result; NULL where nowhere */
};

/* How many taps each place along AXIS has. */
size_t gyr_resize_tap_count(const struct gyr_resize *resize, uint32_t axis);

/* Fills in what TAPS points at (index; weights and outside where not NULL) for AXIS. Coordinates are f32, as ONNX Runtime's are. */
void gyr_resize_fill(const struct gyr_resize *resize, uint32_t axis, struct gyr_resize_taps *taps);

/* Y, of DTYPE (f32, f64, f16 or bf16), from X, over RANK axes. Both of any alignment. Sums in double, rounded once. Any thread. */
void gyr_ref_resize(enum gyr_dtype dtype, uint32_t rank, const struct gyr_resize_taps *axes, float extrapolation, const void *x, void *y);

#endif
