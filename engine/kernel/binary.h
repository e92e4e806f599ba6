/*
 * Functions of two elements with broadcasting, as loops that the compiler vectorises.
 */
#ifndef GYR_ENGINE_KERNEL_BINARY_H
#define GYR_ENGINE_KERNEL_BINARY_H

#include "engine/ref/binary.h"

/* As gyr_ref_binary, bit for bit (but which NaN a NaN is). Hot path. */
void gyr_kernel_binary(const struct gyr_binary *binary, const void *a, const void *b, void *y);

#endif
