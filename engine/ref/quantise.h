/*
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear, and the step from the sums of an integer product to its quantised result.
 */
#ifndef GYR_ENGINE_REF_QUANTISE_H
#define GYR_ENGINE_REF_QUANTISE_H

#include <stddef.h>

#include "base/tensor.h"

/*
 * X is [outer, length, inner]; the scale of element [o, l, i], and its zero point, is number o * outer_step + l / block * step + i * inner_step of theirs. One
 * for all: outer and length 1, and no step. One along an axis: length that axis, block 1, step 1.
 */
struct gyr_quantise {
	enum gyr_dtype from, to, scale;
	size_t outer, length, inner;
	size_t block, outer_step, step, inner_step;
};

/*
 * y = saturate(round(x / scale) + zero), halves to even, TO being i8, u8, i16 or u16; ZERO is of TO, NULL for 0. FROM is f32, f16, bf16 (the quotient in f32)
 * or i32 (in double). NaN, which ONNX leaves undefined, becomes the lowest number. Arrays of any alignment. Any thread.
 */
void gyr_ref_quantize(const struct gyr_quantise *quantise, const void *x, const void *scale, const void *zero, void *y);

/* y = (x - zero) * scale, ZERO being of FROM (i8, u8, i16, u16 or i32), NULL for 0; TO is the scale's type, and the product is rounded to f32 first. */
void gyr_ref_dequantize(const struct gyr_quantise *quantise, const void *x, const void *scale, const void *zero, void *y);

/*
 * The scale (f32) and zero point (u8) that map the range of COUNT numbers of X (f32), which is widened to include 0, onto 0 to 255, and the numbers so
 * quantised. All numbers 0, or none: the scale is 1. NaN is no part of the range. SCALE and ZERO may be NULL.
 */
void gyr_ref_dynamic_quantize(size_t count, const void *x, void *y, void *scale, void *zero);

/*
 * The quantised result of an integer product: Y (u8 or i8, DTYPE) of COUNT sums, saturate(round(sum * factor) + zero), halves to even. SUMS and Y may be of any
 * alignment.
 */
void gyr_ref_requantise(enum gyr_dtype dtype, size_t count, const void *sums, float factor, int32_t zero, void *y);

#endif
