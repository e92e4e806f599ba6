/*
 * Quantising: see quantise.h. Sums of a rounded quotient and a zero point are exact in f32 where they are not beyond the limits anyhow.
 */
#include "engine/kernel/quantise.h"

#include <math.h>

#include "engine/ref/number.h"
#include "engine/ref/unaligned.h"

/* VALUE to the nearest, halves to even, and ZERO, within [LEAST, MOST]; NaN is LEAST. */
static inline float bounded(float value, float zero, float least, float most)
{
	float result = rintf(value) + zero;
	result = result > least ? result : least;
	return result < most ? result : most;
}

/* Each element by its own scale, or SCALE_STEP and ZERO_STEP 0, by one for all. */
#define QUANTIZE(type, least, most)                                                                                                                            \
	do {                                                                                                                                                   \
		const type *zeros = zero;                                                                                                                      \
		type *to = y;                                                                                                                                  \
		if (step == 0) {                                                                                                                               \
			float by = scales[0], middle = zero == NULL ? 0 : zeros[0];                                                                            \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				to[i] = (type)(int32_t)bounded(from[i] / by, middle, least, most);                                                             \
		} else if (zero == NULL) {                                                                                                                     \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				to[i] = (type)(int32_t)bounded(from[i] / scales[i], 0, least, most);                                                           \
		} else {                                                                                                                                       \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				to[i] = (type)(int32_t)bounded(from[i] / scales[i], zeros[i], least, most);                                                    \
		}                                                                                                                                              \
	} while (0)

/* COUNT numbers, with a scale each (STEP 1) or one for all (STEP 0). */
static void quantize_row(enum gyr_dtype dtype, size_t count, size_t step, const gyr_f32_u *from, const gyr_f32_u *scales, const void *zero, void *y)
{
	switch (dtype) {
	case GYR_DTYPE_U8: QUANTIZE(gyr_u8_u, 0.0f, 255.0f); return;
	case GYR_DTYPE_I8: QUANTIZE(gyr_i8_u, -128.0f, 127.0f); return;
	case GYR_DTYPE_U16: QUANTIZE(gyr_u16_u, 0.0f, 65535.0f); return;
	default: QUANTIZE(gyr_i16_u, -32768.0f, 32767.0f); return;
	}
}

#define DEQUANTIZE(type)                                                                                                                                       \
	do {                                                                                                                                                   \
		const type *from = x, *zeros = zero;                                                                                                           \
		if (step == 0) {                                                                                                                               \
			float by = scales[0];                                                                                                                  \
			int32_t middle = zero == NULL ? 0 : zeros[0];                                                                                          \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				to[i] = (float)(from[i] - middle) * by;                                                                                        \
		} else if (zero == NULL) {                                                                                                                     \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				to[i] = (float)from[i] * scales[i];                                                                                            \
		} else {                                                                                                                                       \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				to[i] = (float)(from[i] - zeros[i]) * scales[i];                                                                               \
		}                                                                                                                                              \
	} while (0)

static void dequantize_row(enum gyr_dtype dtype, size_t count, size_t step, const void *x, const gyr_f32_u *scales, const void *zero, gyr_f32_u *to)
{
	switch (dtype) {
	case GYR_DTYPE_U8: DEQUANTIZE(gyr_u8_u); return;
	case GYR_DTYPE_I8: DEQUANTIZE(gyr_i8_u); return;
	case GYR_DTYPE_U16: DEQUANTIZE(gyr_u16_u); return;
	case GYR_DTYPE_I16: DEQUANTIZE(gyr_i16_u); return;
	default: DEQUANTIZE(gyr_i32_u); return;
	}
}

/* Runs of elements with the same scale, or along an innermost axis with a scale each. */
struct runs {
	size_t count, length, step;
};

static struct runs runs_of(const struct gyr_quantise *quantise)
{
	bool along = quantise->inner == 1 && quantise->block == 1 && quantise->step == 1;
	return along ? (struct runs){quantise->outer, quantise->length, 1}
		     : (struct runs){quantise->outer * quantise->length, quantise->inner, quantise->inner_step};
}

/* The number of the first scale of run RUN. */
static size_t first_scale(const struct gyr_quantise *quantise, const struct runs *runs, size_t run)
{
	if (runs->count == quantise->outer)
		return run * quantise->outer_step;
	return run / quantise->length * quantise->outer_step + run % quantise->length / quantise->block * quantise->step;
}

static const void *zero_at(const void *zero, size_t place, enum gyr_dtype dtype)
{
	return zero == NULL ? NULL : (const char *)zero + place * gyr_dtype_bytes(dtype);
}

void gyr_kernel_quantize(const struct gyr_quantise *quantise, const void *x, const void *scale, const void *zero, void *y)
{
	const struct runs runs = runs_of(quantise);
	if (quantise->from != GYR_DTYPE_F32) {
		gyr_ref_quantize(quantise, x, scale, zero, y);
		return;
	}
	for (size_t run = 0; run < runs.count; run++) {
		size_t place = first_scale(quantise, &runs, run);
		quantize_row(quantise->to, runs.length, runs.step, (const gyr_f32_u *)x + run * runs.length, (const gyr_f32_u *)scale + place,
			     zero_at(zero, place, quantise->to), (char *)y + run * runs.length * gyr_dtype_bytes(quantise->to));
	}
}

void gyr_kernel_dequantize(const struct gyr_quantise *quantise, const void *x, const void *scale, const void *zero, void *y)
{
	const struct runs runs = runs_of(quantise);
	if (quantise->to != GYR_DTYPE_F32 || (quantise->from == GYR_DTYPE_I32 && zero != NULL)) { /* a difference of i32 needs more than 32 bits */
		gyr_ref_dequantize(quantise, x, scale, zero, y);
		return;
	}
	for (size_t run = 0; run < runs.count; run++) {
		size_t place = first_scale(quantise, &runs, run);
		dequantize_row(quantise->from, runs.length, runs.step, (const char *)x + run * runs.length * gyr_dtype_bytes(quantise->from),
			       (const gyr_f32_u *)scale + place, zero_at(zero, place, quantise->from), (gyr_f32_u *)y + run * runs.length);
	}
}

#define LANES 64u

void gyr_kernel_dynamic_quantize(size_t count, const void *x, void *y, void *scale, void *zero)
{
	const gyr_f32_u *from = x;
	float low[LANES] = {0}, high[LANES] = {0}, least = 0, most = 0;
	size_t i = 0;
	for (; i + LANES <= count; i += LANES) {
		for (size_t k = 0; k < LANES; k++) {
			low[k] = from[i + k] < low[k] ? from[i + k] : low[k];
			high[k] = from[i + k] > high[k] ? from[i + k] : high[k];
		}
	}
	for (size_t k = 0; k < LANES; k++) {
		least = low[k] < least ? low[k] : least;
		most = high[k] > most ? high[k] : most;
	}
	for (; i < count; i++) {
		least = from[i] < least ? from[i] : least;
		most = from[i] > most ? from[i] : most;
	}
	float step = most == least ? 1.0f : (most - least) / 255.0f;
	uint8_t middle = (uint8_t)bounded(-least / step, 0, 0, 255);
	quantize_row(GYR_DTYPE_U8, count, 0, from, &step, &middle, y);
	if (scale != NULL)
		*(gyr_f32_u *)scale = step;
	if (zero != NULL)
		*(gyr_u8_u *)zero = middle;
}

#define REQUANTISE(type, least, most, addend, factor)                                                                                                          \
	do {                                                                                                                                                   \
		type *to = y;                                                                                                                                  \
		for (size_t i = 0; i < count; i++)                                                                                                             \
			to[i] = (type)(int32_t)bounded((float)(int32_t)((uint32_t)sums[i] + (addend)) * (factor), (float)zero, least, most);                   \
	} while (0)

void gyr_kernel_requantise(enum gyr_dtype dtype, size_t count, const int32_t *sums, const uint32_t *added, const float *factors, int32_t zero, void *y)
{
	if (dtype == GYR_DTYPE_U8)
		REQUANTISE(gyr_u8_u, 0.0f, 255.0f, added[i], factors[i]);
	else
		REQUANTISE(gyr_i8_u, -128.0f, 127.0f, added[i], factors[i]);
}

void gyr_kernel_requantise_by(enum gyr_dtype dtype, size_t count, const int32_t *sums, uint32_t added, float factor, int32_t zero, void *y)
{
	if (dtype == GYR_DTYPE_U8)
		REQUANTISE(gyr_u8_u, 0.0f, 255.0f, added, factor);
	else
		REQUANTISE(gyr_i8_u, -128.0f, 127.0f, added, factor);
}
