/*
 * What goes along one axis in order, on f32. Any alignment, no overlap. Hot path.
 */
#ifndef GYR_ENGINE_KERNEL_ORDER_H
#define GYR_ENGINE_KERNEL_ORDER_H

#include "engine/ref/order.h"

/* As gyr_ref_arg. */
void gyr_kernel_arg(const struct gyr_order *order, const void *x, void *places);

/* As gyr_ref_top_k. HEAP has room for k int64_t. Cost: length * log k. */
void gyr_kernel_top_k(const struct gyr_order *order, const void *x, void *values, void *places, int64_t *heap);

/* As gyr_ref_cum_sum. */
void gyr_kernel_cum_sum(const struct gyr_order *order, const void *x, void *y);

#endif
