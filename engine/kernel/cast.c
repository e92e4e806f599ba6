/*
 * Cast: see cast.h. What is not worth a loop of its own goes to the reference twin.
 */
#include "engine/kernel/cast.h"

#include <string.h>

#include "engine/ref/cast.h"
#include "engine/ref/unaligned.h"

#define LOOP(from_type, to_type, value)                                                                                                                        \
	do {                                                                                                                                                   \
		const from_type *in = x;                                                                                                                       \
		to_type *out = y;                                                                                                                              \
		for (size_t i = 0; i < count; i++)                                                                                                             \
			out[i] = value;                                                                                                                        \
		return;                                                                                                                                        \
	} while (0)

/* A float within an integer's range, as that integer; outside the nearest one, and NaN 0. LEAST and MOST are floats that the integer holds. */
#define BOUNDED(type, least, most) (type)(in[i] != in[i] ? 0 : in[i]<(least) ? (least) : in[i]>(most) ? (most) : in[i])

static void to_f32(enum gyr_dtype from, size_t count, const void *x, void *y)
{
	switch (from) {
	case GYR_DTYPE_U8: LOOP(gyr_u8_u, gyr_f32_u, in[i]);
	case GYR_DTYPE_I8: LOOP(gyr_i8_u, gyr_f32_u, in[i]);
	case GYR_DTYPE_U16: LOOP(gyr_u16_u, gyr_f32_u, in[i]);
	case GYR_DTYPE_I16: LOOP(gyr_i16_u, gyr_f32_u, in[i]);
	case GYR_DTYPE_I32: LOOP(gyr_i32_u, gyr_f32_u, (float)in[i]);
	case GYR_DTYPE_U32: LOOP(gyr_u32_u, gyr_f32_u, (float)in[i]);
	case GYR_DTYPE_I64: LOOP(gyr_i64_u, gyr_f32_u, (float)in[i]);
	case GYR_DTYPE_U64: LOOP(gyr_u64_u, gyr_f32_u, (float)in[i]);
	case GYR_DTYPE_F64: LOOP(gyr_f64_u, gyr_f32_u, (float)in[i]);
	case GYR_DTYPE_BOOL: LOOP(gyr_u8_u, gyr_f32_u, in[i] != 0);
	default: gyr_ref_cast(from, GYR_DTYPE_F32, count, x, y); return;
	}
}

static void from_f32(enum gyr_dtype to, size_t count, const void *x, void *y)
{
	switch (to) {
	case GYR_DTYPE_U8: LOOP(gyr_f32_u, gyr_u8_u, BOUNDED(uint8_t, 0.0f, 255.0f));
	case GYR_DTYPE_I8: LOOP(gyr_f32_u, gyr_i8_u, BOUNDED(int8_t, -128.0f, 127.0f));
	case GYR_DTYPE_F64: LOOP(gyr_f32_u, gyr_f64_u, in[i]);
	case GYR_DTYPE_BOOL: LOOP(gyr_f32_u, gyr_u8_u, in[i] != 0);
	default: gyr_ref_cast(GYR_DTYPE_F32, to, count, x, y); return;
	}
}

void gyr_kernel_cast(enum gyr_dtype from, enum gyr_dtype to, size_t count, const void *x, void *y)
{
	if (from == to)
		memcpy(y, x, count * gyr_dtype_bytes(to));
	else if (to == GYR_DTYPE_F32)
		to_f32(from, count, x, y);
	else if (from == GYR_DTYPE_F32)
		from_f32(to, count, x, y);
	else
		gyr_ref_cast(from, to, count, x, y);
}
