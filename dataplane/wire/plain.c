/*
 * Plain tensors: msgpack numbers in nested arrays, to and from elements. For people at a prompt; nothing here is on the path of a bare tensor.
 */
#include <math.h>
#include <string.h>

#include "base/unpack.h"
#include "dataplane/wire/wire.h"
#include "dataplane/wire/wire_internal.h"

const uint8_t gyr_wire_number_bytes[256] = {
	[0x00 ... 0x7f] = 1, [0xc2] = 1, [0xc3] = 1, [0xca] = 5, [0xcb] = 9, [0xcc] = 2, [0xcd] = 3,
	[0xce] = 5,          [0xcf] = 9, [0xd0] = 2, [0xd1] = 3, [0xd2] = 5, [0xd3] = 9, [0xe0 ... 0xff] = 1,
};

/* One number as it came. */
struct number {
	enum { WHOLE, POSITIVE, REAL } kind; /* POSITIVE: above INT64_MAX */
	int64_t whole;
	uint64_t positive;
	double real; /* the value in every kind, rounded */
};

static bool read_number(struct gyr_unpack *cursor, struct number *number)
{
	bool truth;
	if (gyr_unpack_int(cursor, &number->whole)) {
		number->kind = WHOLE;
		number->real = (double)number->whole;
	} else if (gyr_unpack_uint(cursor, &number->positive)) {
		number->kind = POSITIVE;
		number->real = (double)number->positive;
	} else if (gyr_unpack_float(cursor, &number->real)) {
		number->kind = REAL;
	} else if (gyr_unpack_bool(cursor, &truth)) {
		number->kind = WHOLE;
		number->whole = truth;
		number->real = truth;
	} else {
		return false;
	}
	return true;
}

/* NUMBER as an integer from LEAST to MOST: one that came as a float must be whole. */
static bool as_integer(const struct number *number, int64_t least, int64_t most, int64_t *value)
{
	if (number->kind == REAL) {
		/* Both bounds are exact as double, and so is every whole number of that size but the very last, 2^63. */
		if (!(number->real >= (double)least && number->real <= (double)most) || number->real >= 0x1p63 || number->real != trunc(number->real))
			return false;
		*value = (int64_t)number->real;
	} else {
		*value = number->whole;
	}
	return number->kind != POSITIVE && *value >= least && *value <= most;
}

static bool as_u64(const struct number *number, uint64_t *value)
{
	if (number->kind == POSITIVE) {
		*value = number->positive;
		return true;
	}
	if (number->kind == REAL && number->real >= 0x1p63 && number->real < 0x1p64) {
		*value = (uint64_t)number->real;
		return true;
	}
	int64_t whole;
	if (!as_integer(number, 0, INT64_MAX, &whole))
		return false;
	*value = (uint64_t)whole;
	return true;
}

static uint32_t bits_of(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

/* A finite number that rounds to infinity is one that the type cannot hold. */
static bool as_f32(const struct number *number, float *value)
{
	*value = (float)number->real;
	return !isinf(*value) || isinf(number->real);
}

static bool as_f16(const struct number *number, uint16_t *value)
{
	_Float16 half = (_Float16)number->real;
	memcpy(value, &half, sizeof half);
	return !isinf((float)half) || isinf(number->real);
}

/* The upper half of a float, rounded to nearest, ties to even. */
static bool as_bf16(const struct number *number, uint16_t *value)
{
	float single;
	if (!as_f32(number, &single))
		return false;
	uint32_t bits = bits_of(single);
	if (isnan(single))
		bits |= UINT32_C(1) << 16;
	else
		bits += 0x7fff + (bits >> 16 & 1);
	*value = (uint16_t)(bits >> 16);
	return (bits & 0x7fffffff) < 0x7f800000 || !isfinite(number->real);
}

static bool store(const struct number *number, enum gyr_dtype dtype, uint8_t *to)
{
	static const struct {
		int64_t least, most;
	} ranges[] = {
		[GYR_DTYPE_U8] = {0, UINT8_MAX},
		[GYR_DTYPE_I8] = {INT8_MIN, INT8_MAX},
		[GYR_DTYPE_U16] = {0, UINT16_MAX},
		[GYR_DTYPE_I16] = {INT16_MIN, INT16_MAX},
		[GYR_DTYPE_I32] = {INT32_MIN, INT32_MAX},
		[GYR_DTYPE_I64] = {INT64_MIN, INT64_MAX},
		[GYR_DTYPE_BOOL] = {0, 1},
		[GYR_DTYPE_U32] = {0, UINT32_MAX},
	};
	union {
		float f32;
		double f64;
		uint16_t half;
		uint64_t u64;
		int64_t whole;
	} value;
	bool good;
	switch (dtype) {
	case GYR_DTYPE_F32: good = as_f32(number, &value.f32); break;
	case GYR_DTYPE_F64:
		value.f64 = number->real;
		good = true;
		break;
	case GYR_DTYPE_F16: good = as_f16(number, &value.half); break;
	case GYR_DTYPE_BF16: good = as_bf16(number, &value.half); break;
	case GYR_DTYPE_U64: good = as_u64(number, &value.u64); break;
	default: good = as_integer(number, ranges[dtype].least, ranges[dtype].most, &value.whole); break;
	}
	/* Elements are little-endian, as is every machine that we run on: the first bytes are the value's low ones. */
	if (good)
		memcpy(to, &value, gyr_dtype_bytes(dtype));
	return good;
}

enum gyr_wire_code gyr_wire_plain_read(const struct gyr_wire_tensor *tensor, enum gyr_dtype dtype, void *to, size_t count)
{
	struct gyr_unpack cursor = {tensor->data, tensor->data + tensor->bytes};
	size_t element = gyr_dtype_bytes(dtype), done = 0;
	uint8_t *out = to;
	if (element == 0)
		return GYR_WIRE_BAD_DTYPE;
	while (cursor.at != cursor.end) {
		struct number number;
		uint32_t ignored;
		if (gyr_unpack_array(&cursor, &ignored))
			continue;
		if (!read_number(&cursor, &number))
			return GYR_WIRE_MALFORMED;
		if (done == count)
			return GYR_WIRE_BAD_SHAPE;
		if (!store(&number, dtype, out + done++ * element))
			return GYR_WIRE_BAD_DTYPE;
	}
	return done == count ? GYR_WIRE_OK : GYR_WIRE_BAD_SHAPE;
}
