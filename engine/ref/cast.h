/*
 * Cast, one element after another.
 */
#ifndef GYR_ENGINE_REF_CAST_H
#define GYR_ENGINE_REF_CAST_H

#include <stddef.h>

#include "base/tensor.h"

/* Converts COUNT elements of FROM at X into elements of TO at Y, both of any alignment, not overlapping, as gyr_number_store says. Any thread. */
void gyr_ref_cast(enum gyr_dtype from, enum gyr_dtype to, size_t count, const void *x, void *y);

#endif
