/*
 * Resize on f32, one axis after another; and by the nearest element, on any type. Arrays of any alignment. Any thread. Hot path.
 */
#ifndef GYR_ENGINE_KERNEL_RESIZE_H
#define GYR_ENGINE_KERNEL_RESIZE_H

#include "engine/ref/resize.h"

/* Y from X where no axis has weights; elements are of BYTES (1, 2, 4 or 8). */
void gyr_kernel_resize_nearest(size_t bytes, uint32_t rank, const struct gyr_resize_taps *axes, const void *x, void *y);

/* X as [outer, taps->in, inner] to Y as [outer, taps->out, inner], f32; TAPS has weights. */
void gyr_kernel_resize_axis(const struct gyr_resize_taps *taps, size_t outer, size_t inner, const void *x, void *y);

/* Puts VALUE, an element of BYTES, wherever some axis is outside. */
void gyr_kernel_resize_outside(size_t bytes, uint32_t rank, const struct gyr_resize_taps *axes, const void *value, void *y);

#endif
