/*
 * Putting an element to a place that has one already: the reductions of ScatterElements and ScatterND.
 */
#ifndef GYR_ENGINE_KERNEL_COMBINE_H
#define GYR_ENGINE_KERNEL_COMBINE_H

#include <stddef.h>

#include "base/tensor.h"

/* TO[i] = TO[i] with FROM[i], for COUNT elements of any alignment. */
typedef void gyr_combine_fn(size_t count, const void *from, void *to);

/* The function for ONNX's reduction NAME ("add", "mul", "max", "min"), or NULL where there is none for DTYPE. Whole numbers wrap; NaN stays. */
gyr_combine_fn *gyr_kernel_combine(const char *name, enum gyr_dtype dtype);

#endif
