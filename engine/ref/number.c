/*
 * Elements of any type: see number.h.
 */
#include "engine/ref/number.h"

#include <string.h>

#include "base/assertion.h"
#include "engine/ref/unaligned.h"

static struct gyr_number real(double value)
{
	return (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = value};
}

static struct gyr_number whole(int64_t value)
{
	return (struct gyr_number){.kind = GYR_NUMBER_SIGNED, .integer = (uint64_t)value};
}

static struct gyr_number natural(uint64_t value)
{
	return (struct gyr_number){.kind = GYR_NUMBER_UNSIGNED, .integer = value};
}

static float float_of_bf16(uint16_t bits)
{
	uint32_t wide = (uint32_t)bits << 16;
	float value;
	memcpy(&value, &wide, sizeof value);
	return value;
}

static uint16_t bf16_of_float(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	if (value != value)
		return (uint16_t)(bits >> 16 | 0x40); /* a NaN stays one */
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

struct gyr_number gyr_number_load(enum gyr_dtype dtype, const void *x, size_t index)
{
	switch (dtype) {
	case GYR_DTYPE_F32: return real(((const gyr_f32_u *)x)[index]);
	case GYR_DTYPE_F64: return real(((const gyr_f64_u *)x)[index]);
	case GYR_DTYPE_F16: return real((double)((const gyr_f16_u *)x)[index]);
	case GYR_DTYPE_BF16: return real(float_of_bf16(((const gyr_u16_u *)x)[index]));
	case GYR_DTYPE_BOOL: return natural(((const gyr_u8_u *)x)[index] != 0);
	case GYR_DTYPE_U8: return natural(((const gyr_u8_u *)x)[index]);
	case GYR_DTYPE_U16: return natural(((const gyr_u16_u *)x)[index]);
	case GYR_DTYPE_U32: return natural(((const gyr_u32_u *)x)[index]);
	case GYR_DTYPE_U64: return natural(((const gyr_u64_u *)x)[index]);
	case GYR_DTYPE_I8: return whole(((const gyr_i8_u *)x)[index]);
	case GYR_DTYPE_I16: return whole(((const gyr_i16_u *)x)[index]);
	case GYR_DTYPE_I32: return whole(((const gyr_i32_u *)x)[index]);
	case GYR_DTYPE_I64: return whole(((const gyr_i64_u *)x)[index]);
	case GYR_DTYPE_NONE: break;
	}
	gyr_assert_failed("a known dtype", __FILE__, __LINE__);
}

/* NUMBER as a signed integer of BITS bits, or an unsigned one. */
static int64_t to_signed(struct gyr_number number, unsigned bits)
{
	if (number.kind != GYR_NUMBER_REAL)
		return (int64_t)number.integer;
	double limit = (double)(UINT64_C(1) << (bits - 1));
	if (number.real != number.real)
		return 0;
	if (number.real >= limit)
		return (int64_t)((UINT64_C(1) << (bits - 1)) - 1);
	return number.real <= -limit ? -(int64_t)((UINT64_C(1) << (bits - 1)) - 1) - 1 : (int64_t)number.real;
}

static uint64_t to_unsigned(struct gyr_number number, unsigned bits)
{
	if (number.kind != GYR_NUMBER_REAL)
		return number.integer;
	uint64_t most = UINT64_MAX >> (64 - bits);
	if (!(number.real > 0))
		return 0;
	return number.real >= (double)most ? most : (uint64_t)number.real;
}

/* Each real type is reached from an integer in one rounding. */
#define TO_REAL(type, number)                                                                                                                                  \
	((number).kind == GYR_NUMBER_REAL ? (type)(number).real : (number).kind == GYR_NUMBER_SIGNED ? (type)(int64_t)(number).integer : (type)(number).integer)

void gyr_number_store(enum gyr_dtype dtype, void *y, size_t index, struct gyr_number number)
{
	switch (dtype) {
	case GYR_DTYPE_F32: ((gyr_f32_u *)y)[index] = TO_REAL(float, number); return;
	case GYR_DTYPE_F64: ((gyr_f64_u *)y)[index] = TO_REAL(double, number); return;
	case GYR_DTYPE_F16: ((gyr_f16_u *)y)[index] = TO_REAL(_Float16, number); return;
	case GYR_DTYPE_BF16: ((gyr_u16_u *)y)[index] = bf16_of_float(TO_REAL(float, number)); return;
	case GYR_DTYPE_BOOL: ((gyr_u8_u *)y)[index] = number.kind == GYR_NUMBER_REAL ? number.real != 0 : number.integer != 0; return;
	case GYR_DTYPE_U8: ((gyr_u8_u *)y)[index] = (uint8_t)to_unsigned(number, 8); return;
	case GYR_DTYPE_U16: ((gyr_u16_u *)y)[index] = (uint16_t)to_unsigned(number, 16); return;
	case GYR_DTYPE_U32: ((gyr_u32_u *)y)[index] = (uint32_t)to_unsigned(number, 32); return;
	case GYR_DTYPE_U64: ((gyr_u64_u *)y)[index] = to_unsigned(number, 64); return;
	case GYR_DTYPE_I8: ((gyr_i8_u *)y)[index] = (int8_t)to_signed(number, 8); return;
	case GYR_DTYPE_I16: ((gyr_i16_u *)y)[index] = (int16_t)to_signed(number, 16); return;
	case GYR_DTYPE_I32: ((gyr_i32_u *)y)[index] = (int32_t)to_signed(number, 32); return;
	case GYR_DTYPE_I64: ((gyr_i64_u *)y)[index] = to_signed(number, 64); return;
	case GYR_DTYPE_NONE: break;
	}
	gyr_assert_failed("a known dtype", __FILE__, __LINE__);
}

double gyr_number_load_real(enum gyr_dtype dtype, const void *x, size_t index)
{
	struct gyr_number number = gyr_number_load(dtype, x, index);
	return TO_REAL(double, number);
}

void gyr_number_store_real(enum gyr_dtype dtype, void *y, size_t index, double real)
{
	gyr_number_store(dtype, y, index, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = real});
}
