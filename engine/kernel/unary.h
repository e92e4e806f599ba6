/*
 * Functions of one element, vectorised for f32 where that is cheap.
 */
#ifndef GYR_ENGINE_KERNEL_UNARY_H
#define GYR_ENGINE_KERNEL_UNARY_H

#include "engine/ref/unary.h"

/*
 * As gyr_ref_unary; on f32 within a relative 4e-7 of it (Exp and Mish: where e^x is denormal, 0; Gelu below -1: an absolute 1e-7). Hot path.
 */
void gyr_kernel_unary(const struct gyr_unary *unary, size_t count, const void *x, void *y);

#endif
