/*
 * QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear and requantising as vector code; what is not worth a loop of its own goes to the reference twin
 * (engine/ref/quantise.h), which says what each computes. Results are the twins', bit for bit. Arrays of any alignment. Any thread.
 */
#ifndef GYR_ENGINE_KERNEL_QUANTISE_H
#define GYR_ENGINE_KERNEL_QUANTISE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/ref/quantise.h"

void gyr_kernel_quantize(const struct gyr_quantise *quantise, const void *x, const void *scale, const void *zero, void *y);
void gyr_kernel_dequantize(const struct gyr_quantise *quantise, const void *x, const void *scale, const void *zero, void *y);
void gyr_kernel_dynamic_quantize(size_t count, const void *x, void *y, void *scale, void *zero);

/* As gyr_ref_requantise, sum i with ADDED[i], which wraps, and times FACTORS[i]. All but Y are aligned as their types are. */
void gyr_kernel_requantise(enum gyr_dtype dtype, size_t count, const int32_t *sums, const uint32_t *added, const float *factors, int32_t zero, void *y);

/* The same with one number for all. */
void gyr_kernel_requantise_by(enum gyr_dtype dtype, size_t count, const int32_t *sums, uint32_t added, float factor, int32_t zero, void *y);

#endif
