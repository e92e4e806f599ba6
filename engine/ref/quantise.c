/*
 * Quantising, one number after another: see quantise.h.
 */
#include "engine/ref/quantise.h"

#include <math.h>

#include "engine/ref/number.h"
#include "engine/ref/unaligned.h"

static int64_t load_integer(enum gyr_dtype dtype, const void *x, size_t index)
{
	return x == NULL ? 0 : (int64_t)gyr_number_load(dtype, x, index).integer;
}

static void limits(enum gyr_dtype dtype, double *least, double *most)
{
	unsigned bits = gyr_dtype_bytes(dtype) == 1 ? 8 : 16;
	bool is_signed = dtype == GYR_DTYPE_I8 || dtype == GYR_DTYPE_I16;
	*least = is_signed ? -(double)(1u << (bits - 1)) : 0;
	*most = *least + (double)((1u << bits) - 1);
}

/* VALUE to the nearest, halves to even, and ZERO, within the limits of DTYPE. */
static void store(enum gyr_dtype dtype, void *y, size_t index, double value, double zero)
{
	double least, most, result = rint(value) + zero;
	limits(dtype, &least, &most);
	result = result > least ? result : least; /* a NaN too */
	result = result < most ? result : most;
	gyr_number_store(dtype, y, index, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = result});
}

static size_t scale_of(const struct gyr_quantise *quantise, size_t index)
{
	size_t inner = index % quantise->inner, at = index / quantise->inner;
	return at / quantise->length * quantise->outer_step + at % quantise->length / quantise->block * quantise->step + inner * quantise->inner_step;
}

void gyr_ref_quantize(const struct gyr_quantise *quantise, const void *x, const void *scale, const void *zero, void *y)
{
	for (size_t i = 0; i < quantise->outer * quantise->length * quantise->inner; i++) {
		size_t place = scale_of(quantise, i);
		struct gyr_number number = gyr_number_load(quantise->from, x, i);
		double by = gyr_number_load(quantise->scale, scale, place).real;
		double value = number.kind == GYR_NUMBER_REAL ? (double)((float)number.real / (float)by) : (double)(int64_t)number.integer / by;
		store(quantise->to, y, i, value, (double)load_integer(quantise->to, zero, place));
	}
}

void gyr_ref_dequantize(const struct gyr_quantise *quantise, const void *x, const void *scale, const void *zero, void *y)
{
	for (size_t i = 0; i < quantise->outer * quantise->length * quantise->inner; i++) {
		size_t place = scale_of(quantise, i);
		int64_t difference = load_integer(quantise->from, x, i) - load_integer(quantise->from, zero, place);
		float value = (float)difference * (float)gyr_number_load(quantise->scale, scale, place).real;
		gyr_number_store(quantise->to, y, i, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = value});
	}
}

void gyr_ref_dynamic_quantize(size_t count, const void *x, void *y, void *scale, void *zero)
{
	const gyr_f32_u *from = x;
	float least = 0, most = 0;
	for (size_t i = 0; i < count; i++) {
		least = from[i] < least ? from[i] : least;
		most = from[i] > most ? from[i] : most;
	}
	float step = most == least ? 1.0f : (most - least) / 255.0f;
	uint8_t middle;
	store(GYR_DTYPE_U8, &middle, 0, (double)(-least / step), 0);
	for (size_t i = 0; i < count; i++)
		store(GYR_DTYPE_U8, y, i, (double)(from[i] / step), middle);
	if (scale != NULL)
		*(gyr_f32_u *)scale = step;
	if (zero != NULL)
		*(gyr_u8_u *)zero = middle;
}

void gyr_ref_requantise(enum gyr_dtype dtype, size_t count, const void *sums, float factor, int32_t zero, void *y)
{
	const gyr_i32_u *from = sums;
	for (size_t i = 0; i < count; i++)
		store(dtype, y, i, (double)((float)from[i] * factor), zero);
}
