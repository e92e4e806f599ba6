/* Plain numbers to elements of every type and back: what fits, what is rounded, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/pack.h"
#include "dataplane/wire/wire.h"

static uint8_t bytes[256], elements[64];
static struct gyr_pack pack;

static enum gyr_wire_code read_packed(enum gyr_dtype dtype, size_t count)
{
	struct gyr_wire_tensor tensor = {.form = GYR_WIRE_PLAIN, .data = bytes, .bytes = (uint32_t)pack.used};
	memset(elements, 0, sizeof elements);
	return gyr_wire_plain_read(&tensor, dtype, elements, count);
}

static enum gyr_wire_code read_double(enum gyr_dtype dtype, double value)
{
	gyr_pack_init(&pack, bytes, sizeof bytes);
	msgpack_pack_double(&pack.packer, value);
	return read_packed(dtype, 1);
}

static enum gyr_wire_code read_int(enum gyr_dtype dtype, int64_t value)
{
	gyr_pack_init(&pack, bytes, sizeof bytes);
	msgpack_pack_int64(&pack.packer, value);
	return read_packed(dtype, 1);
}

static enum gyr_wire_code read_uint(enum gyr_dtype dtype, uint64_t value)
{
	gyr_pack_init(&pack, bytes, sizeof bytes);
	msgpack_pack_uint64(&pack.packer, value);
	return read_packed(dtype, 1);
}

static uint64_t low_bits(size_t size)
{
	uint64_t value = 0;
	memcpy(&value, elements, size);
	return value;
}

static void test_integers(void **unused)
{
	static const struct {
		enum gyr_dtype dtype;
		int64_t least, most;
	} types[] = {
		{GYR_DTYPE_U8, 0, UINT8_MAX},
		{GYR_DTYPE_I8, INT8_MIN, INT8_MAX},
		{GYR_DTYPE_U16, 0, UINT16_MAX},
		{GYR_DTYPE_I16, INT16_MIN, INT16_MAX},
		{GYR_DTYPE_I32, INT32_MIN, INT32_MAX},
		{GYR_DTYPE_U32, 0, UINT32_MAX},
		{GYR_DTYPE_BOOL, 0, 1},
	};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		size_t size = gyr_dtype_bytes(types[i].dtype);
		uint64_t mask = (UINT64_C(1) << 8 * size) - 1;
		const int64_t inside[] = {types[i].least, types[i].most, 0, 1}, outside[] = {types[i].least - 1, types[i].most + 1};
		for (size_t j = 0; j < 4; j++) {
			assert_int_equal(read_int(types[i].dtype, inside[j]), GYR_WIRE_OK);
			assert_int_equal(low_bits(size), (uint64_t)inside[j] & mask);
			assert_int_equal(elements[size], 0);
			assert_int_equal(read_double(types[i].dtype, (double)inside[j]), GYR_WIRE_OK);
			assert_int_equal(low_bits(size), (uint64_t)inside[j] & mask);
		}
		for (size_t j = 0; j < 2; j++) {
			assert_int_equal(read_int(types[i].dtype, outside[j]), GYR_WIRE_BAD_DTYPE);
			assert_int_equal(read_double(types[i].dtype, (double)outside[j]), GYR_WIRE_BAD_DTYPE);
		}
		assert_int_equal(read_uint(types[i].dtype, UINT64_MAX), GYR_WIRE_BAD_DTYPE);
		assert_int_equal(read_double(types[i].dtype, 0.5), GYR_WIRE_BAD_DTYPE);
		assert_int_equal(read_double(types[i].dtype, (double)NAN), GYR_WIRE_BAD_DTYPE);
		assert_int_equal(read_double(types[i].dtype, (double)INFINITY), GYR_WIRE_BAD_DTYPE);
	}
}

static void test_wide_integers(void **unused)
{
	assert_int_equal(read_int(GYR_DTYPE_I64, INT64_MIN), GYR_WIRE_OK);
	assert_int_equal(low_bits(8), (uint64_t)INT64_MIN);
	assert_int_equal(read_double(GYR_DTYPE_I64, -0x1p63), GYR_WIRE_OK);
	assert_int_equal(low_bits(8), (uint64_t)INT64_MIN);
	assert_int_equal(read_uint(GYR_DTYPE_I64, INT64_MAX), GYR_WIRE_OK);
	assert_int_equal(read_uint(GYR_DTYPE_I64, UINT64_C(1) << 63), GYR_WIRE_BAD_DTYPE);
	assert_int_equal(read_double(GYR_DTYPE_I64, 0x1p63), GYR_WIRE_BAD_DTYPE);
	assert_int_equal(read_uint(GYR_DTYPE_U64, UINT64_MAX), GYR_WIRE_OK);
	assert_int_equal(low_bits(8), UINT64_MAX);
	assert_int_equal(read_double(GYR_DTYPE_U64, 0x1p63), GYR_WIRE_OK);
	assert_int_equal(low_bits(8), UINT64_C(1) << 63);
	assert_int_equal(read_double(GYR_DTYPE_U64, 0x1p64), GYR_WIRE_BAD_DTYPE);
	assert_int_equal(read_int(GYR_DTYPE_U64, -1), GYR_WIRE_BAD_DTYPE);
	assert_int_equal(read_double(GYR_DTYPE_U64, 7), GYR_WIRE_OK);
	assert_int_equal(low_bits(8), 7);
}

static void test_floats(void **unused)
{
	static const struct {
		enum gyr_dtype dtype;
		double value;
		uint64_t bits;
	} good[] = {
		{GYR_DTYPE_F32, 1.5, 0x3fc00000},
		{GYR_DTYPE_F32, -0.0, 0x80000000},
		{GYR_DTYPE_F32, 0.1, 0x3dcccccd}, /* rounded */
		{GYR_DTYPE_F32, 1e-60, 0},
		{GYR_DTYPE_F64, 0.1, 0x3fb999999999999a},
		{GYR_DTYPE_F16, 65504, 0x7bff},
		{GYR_DTYPE_F16, 1.0 / 3, 0x3555},
		{GYR_DTYPE_BF16, 1, 0x3f80},
		{GYR_DTYPE_BF16, 1 + 0x1p-8, 0x3f80},     /* a tie goes to even, */
		{GYR_DTYPE_BF16, 1 + 3 * 0x1p-8, 0x3f82}, /* either way */
		{GYR_DTYPE_BF16, 1 + 0x1p-8 + 0x1p-20, 0x3f81},
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(read_double(good[i].dtype, good[i].value), GYR_WIRE_OK);
		assert_int_equal(low_bits(gyr_dtype_bytes(good[i].dtype)), good[i].bits);
	}
	/* Infinity and NaN stay; a finite number that would become infinity is refused. */
	static const struct {
		enum gyr_dtype dtype;
		double too_large;
		uint64_t infinity, exponent;
	} types[] = {{GYR_DTYPE_F32, 1e39, 0x7f800000, 0x7f800000}, {GYR_DTYPE_F16, 65520, 0x7c00, 0x7c00}, {GYR_DTYPE_BF16, 3.4e38, 0x7f80, 0x7f80}};
	for (size_t i = 0; i < 3; i++) {
		size_t size = gyr_dtype_bytes(types[i].dtype);
		assert_int_equal(read_double(types[i].dtype, (double)INFINITY), GYR_WIRE_OK);
		assert_int_equal(low_bits(size), types[i].infinity);
		assert_int_equal(read_double(types[i].dtype, (double)NAN), GYR_WIRE_OK);
		assert_int_equal(low_bits(size) & types[i].exponent, types[i].exponent);
		assert_int_not_equal(low_bits(size) & (types[i].exponent - 1) & ~types[i].exponent, 0);
		assert_int_equal(read_double(types[i].dtype, types[i].too_large), GYR_WIRE_BAD_DTYPE);
		assert_int_equal(read_double(types[i].dtype, -types[i].too_large), GYR_WIRE_BAD_DTYPE);
	}
	assert_int_equal(read_uint(GYR_DTYPE_F64, UINT64_MAX), GYR_WIRE_OK);
	assert_int_equal(low_bits(8), 0x43f0000000000000);
}

static void test_counts_and_types(void **unused)
{
	gyr_pack_init(&pack, bytes, sizeof bytes);
	msgpack_pack_array(&pack.packer, 2);
	for (int i = 0; i < 2; i++) {
		msgpack_pack_array(&pack.packer, 2);
		msgpack_pack_true(&pack.packer);
		msgpack_pack_int(&pack.packer, 200 + i);
	}
	assert_int_equal(read_packed(GYR_DTYPE_U8, 4), GYR_WIRE_OK);
	assert_memory_equal(elements, ((uint8_t[]){1, 200, 1, 201, 0}), 5);
	assert_int_equal(read_packed(GYR_DTYPE_U8, 3), GYR_WIRE_BAD_SHAPE);
	assert_int_equal(elements[3], 0);
	assert_int_equal(read_packed(GYR_DTYPE_U8, 5), GYR_WIRE_BAD_SHAPE);
	assert_int_equal(read_packed((enum gyr_dtype)8, 4), GYR_WIRE_BAD_DTYPE);
	pack.used--;
	assert_int_equal(read_packed(GYR_DTYPE_U8, 4), GYR_WIRE_MALFORMED);
	gyr_pack_init(&pack, bytes, sizeof bytes);
	gyr_pack_str(&pack, "x");
	assert_int_equal(read_packed(GYR_DTYPE_U8, 1), GYR_WIRE_MALFORMED);
}

/* Each type's elements, packed plainly and read again, are the same. */
static void test_round_trip(void **unused)
{
	static const enum gyr_dtype types[] = {GYR_DTYPE_F32, GYR_DTYPE_U8,  GYR_DTYPE_I8,  GYR_DTYPE_U16, GYR_DTYPE_I16, GYR_DTYPE_I32,
					       GYR_DTYPE_I64, GYR_DTYPE_F16, GYR_DTYPE_F64, GYR_DTYPE_U32, GYR_DTYPE_U64, GYR_DTYPE_BF16};
	/* As floats of any width these bits are neither NaN nor infinite. */
	static const uint8_t values[48] = {0,    0,    0,    0,    0,    0,    0,    0,    1,    0x3c, 0x11, 0xbc, 0xff, 0x42, 0x03, 0x80,
					   0x7f, 0x38, 0x01, 0x44, 0xfe, 0x80, 0x77, 0x35, 0x20, 0x41, 0x99, 0xc1, 0x10, 0x50, 0x21, 0xd0,
					   0x88, 0x3f, 0x80, 0x3f, 0x00, 0x40, 0x00, 0xc0, 1,    2,    3,    4,    5,    6,    7,    8};
	static uint8_t datagram[512], back[48];
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		int64_t count = (int64_t)(sizeof values / gyr_dtype_bytes(types[i]) / 2);
		struct gyr_wire_output output = {.shape = {.dtype = types[i], .rank = 2, .dims = {2, count}}, .data = values, .form = GYR_WIRE_PLAIN};
		struct gyr_wire_message message;
		const char *reason;
		size_t size = gyr_wire_pack_result(datagram, sizeof datagram, 1, 1, &output, 1, NULL, NULL);
		assert_true(size > 0);
		assert_int_equal(gyr_wire_parse(datagram, size, &message, &reason), GYR_WIRE_OK);
		assert_int_equal(message.tensors[0].dims[1], count);
		assert_int_equal(gyr_wire_plain_read(&message.tensors[0], types[i], back, 2 * (size_t)count), GYR_WIRE_OK);
		assert_memory_equal(back, values, sizeof values);
	}
	/* Booleans come back as 0 and 1. */
	struct gyr_wire_output truths = {.shape = {.dtype = GYR_DTYPE_BOOL, .rank = 1, .dims = {3}}, .data = "\1\0\1", .form = GYR_WIRE_PLAIN};
	size_t size = gyr_wire_pack_result(datagram, sizeof datagram, 1, 1, &truths, 1, NULL, NULL);
	assert_memory_equal(datagram + size - 3, "\xc3\xc2\xc3", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),         cmocka_unit_test(test_wide_integers), cmocka_unit_test(test_floats),
		cmocka_unit_test(test_counts_and_types), cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
