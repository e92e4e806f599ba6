/*
 * Softmax on f32.
 */
#ifndef GYR_ENGINE_REF_SOFTMAX_H
#define GYR_ENGINE_REF_SOFTMAX_H

#include <stddef.h>

/*
 * X and Y are [outer, length, inner] floats of any alignment; Y may be X. For each outer and inner: y = exp(x - max) / sum(exp(x - max)) along LENGTH. Computed
 * in double. Any thread.
 */
void gyr_ref_softmax(size_t outer, size_t length, size_t inner, const void *x, void *y);

#endif
