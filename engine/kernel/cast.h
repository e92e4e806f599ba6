/*
 * Cast, vectorised where one of the types is f32.
 */
#ifndef GYR_ENGINE_KERNEL_CAST_H
#define GYR_ENGINE_KERNEL_CAST_H

#include <stddef.h>

#include "base/tensor.h"

/* As gyr_ref_cast, bit for bit. Hot path. */
void gyr_kernel_cast(enum gyr_dtype from, enum gyr_dtype to, size_t count, const void *x, void *y);

#endif
