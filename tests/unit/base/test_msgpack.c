/* The cursor and the packer against msgpack-c, over random objects in every format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/pack.h"
#include "tests/unit/base/oracle.h"

#define OBJECTS 3000
#define BYTES_MAX 4096u

static uint64_t state = 1;

static uint64_t draw(uint64_t below)
{
	state = state * 6364136223846793005 + 1442695040888963407;
	return (state >> 20) % below;
}

/* A number whose size is as random as its value, so that every format comes up. */
static uint64_t draw_wide(void)
{
	uint64_t high = draw(UINT64_C(1) << 40) << 24;
	return (high ^ draw(UINT64_C(1) << 40)) >> draw(64);
}

static void pack_random(struct gyr_pack *pack, unsigned depth)
{
	static uint8_t body[400];
	msgpack_packer *packer = &pack->packer;
	uint32_t bits = (uint32_t)draw_wide();
	float real;
	memcpy(&real, &bits, sizeof real);
	size_t count, length = draw(10) == 0 ? draw(sizeof body) : draw(40);
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)draw(256);
	switch (draw(depth == 0 ? 9 : 12)) {
	case 0: msgpack_pack_nil(packer); break;
	case 1: msgpack_pack_true(packer); break;
	case 2: msgpack_pack_false(packer); break;
	case 3: msgpack_pack_uint64(packer, draw_wide()); break;
	case 4: msgpack_pack_int64(packer, -(int64_t)(draw_wide() >> 1)); break;
	case 5: real == real ? msgpack_pack_float(packer, real) : msgpack_pack_double(packer, (double)bits / 3); break;
	case 6: gyr_pack_strn(pack, (const char *)body, length); break;
	case 7: gyr_pack_bin(pack, body, length); break;
	case 8: msgpack_pack_ext_with_body(packer, body, length, (int8_t)draw(100)); break;
	case 9:
	case 10:
		count = draw(20);
		msgpack_pack_array(packer, count);
		while (count-- > 0)
			pack_random(pack, depth - 1);
		break;
	default:
		count = draw(20);
		msgpack_pack_map(packer, count);
		for (count *= 2; count > 0; count--)
			pack_random(pack, depth - 1);
		break;
	}
}

static void test_random_objects(void **unused)
{
	static uint8_t bytes[BYTES_MAX], cut[BYTES_MAX];
	unsigned whole = 0;
	for (unsigned i = 0; i < OBJECTS; i++) {
		struct gyr_pack pack;
		gyr_pack_init(&pack, bytes, sizeof bytes);
		pack_random(&pack, 3);
		if (pack.overflow)
			continue;
		whole++;
		msgpack_unpacked unpacked;
		msgpack_unpacked_init(&unpacked);
		size_t offset = 0;
		assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)bytes, pack.used, &offset), MSGPACK_UNPACK_SUCCESS);
		assert_int_equal(offset, pack.used);

		struct gyr_unpack cursor = {bytes, bytes + pack.used};
		assert_true(oracle_is_same(&cursor, &unpacked.data));
		assert_ptr_equal(cursor.at, cursor.end);

		cursor = (struct gyr_unpack){bytes, bytes + pack.used};
		assert_true(gyr_unpack_skip(&cursor, 3));
		assert_ptr_equal(cursor.at, cursor.end);

		/* Cut anywhere, nothing whole is left, and the cursor stays. A copy at the end of the array lets a sanitizer see a read past it. */
		for (size_t length = 0; length < pack.used; length += 1 + pack.used / 97) {
			uint8_t *start = cut + sizeof cut - length;
			memcpy(start, bytes, length);
			cursor = (struct gyr_unpack){start, start + length};
			assert_false(gyr_unpack_skip(&cursor, 3));
			assert_ptr_equal(cursor.at, start);
			assert_false(oracle_is_same(&cursor, &unpacked.data));
		}
		msgpack_unpacked_destroy(&unpacked);
	}
	assert_true(whole > OBJECTS / 2);
}

static void test_wrong_type_leaves_the_cursor(void **unused)
{
	static const uint8_t firsts[] = {0x05, 0xe0, 0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc2, 0xc4, 0xc7,
					 0xca, 0xcb, 0xcc, 0xcf, 0xd0, 0xd3, 0xd4, 0xd9, 0xdc, 0xde};
	for (size_t i = 0; i < sizeof firsts; i++) {
		uint8_t bytes[16] = {firsts[i]};
		struct gyr_unpack cursor = {bytes, bytes + sizeof bytes};
		enum gyr_unpack_type type = gyr_unpack_peek(&cursor);
		const uint8_t *bin;
		const char *str;
		uint32_t count;
		uint64_t natural;
		int64_t whole;
		double real;
		bool truth;
		if (type != GYR_UNPACK_NIL)
			assert_false(gyr_unpack_nil(&cursor));
		if (type != GYR_UNPACK_BOOL)
			assert_false(gyr_unpack_bool(&cursor, &truth));
		if (type != GYR_UNPACK_INT) {
			assert_false(gyr_unpack_uint(&cursor, &natural));
			assert_false(gyr_unpack_int(&cursor, &whole));
		}
		if (type != GYR_UNPACK_INT && type != GYR_UNPACK_FLOAT)
			assert_false(gyr_unpack_float(&cursor, &real));
		if (type != GYR_UNPACK_STR)
			assert_false(gyr_unpack_str(&cursor, &str, &count));
		if (type != GYR_UNPACK_BIN)
			assert_false(gyr_unpack_bin(&cursor, &bin, &count));
		if (type != GYR_UNPACK_ARRAY)
			assert_false(gyr_unpack_array(&cursor, &count));
		if (type != GYR_UNPACK_MAP)
			assert_false(gyr_unpack_map(&cursor, &count));
		assert_ptr_equal(cursor.at, bytes);
	}
	struct gyr_unpack empty = {firsts, firsts};
	assert_int_equal(gyr_unpack_peek(&empty), GYR_UNPACK_END);
	assert_false(gyr_unpack_skip(&empty, 0));
}

/* A length or a count that promises more than is there is refused before it is used. */
static void test_lying_lengths(void **unused)
{
	static const uint8_t firsts[] = {0xc6, 0xc9, 0xdb, 0xdd, 0xdf};
	for (size_t i = 0; i < sizeof firsts; i++) {
		const uint8_t bytes[] = {firsts[i], 0xff, 0xff, 0xff, 0xff, 1, 2, 3};
		struct gyr_unpack cursor = {bytes, bytes + sizeof bytes};
		const uint8_t *bin;
		const char *str;
		uint32_t count;
		assert_false(gyr_unpack_skip(&cursor, 32));
		assert_false(gyr_unpack_bin(&cursor, &bin, &count));
		assert_false(gyr_unpack_str(&cursor, &str, &count));
		assert_false(gyr_unpack_array(&cursor, &count));
		assert_false(gyr_unpack_map(&cursor, &count));
		assert_ptr_equal(cursor.at, bytes);
	}
}

static void test_nesting_is_bounded(void **unused)
{
	uint8_t bytes[40];
	memset(bytes, 0x91, sizeof bytes);
	bytes[32] = 0xc0;
	struct gyr_unpack cursor = {bytes, bytes + 33};
	assert_false(gyr_unpack_skip(&cursor, 31));
	assert_true(gyr_unpack_skip(&cursor, 32));
	assert_ptr_equal(cursor.at, cursor.end);
	/* A container without elements is one level all the same. */
	bytes[0] = 0x90;
	cursor = (struct gyr_unpack){bytes, bytes + 1};
	assert_false(gyr_unpack_skip(&cursor, 0));
	assert_true(gyr_unpack_skip(&cursor, 1));
}

static void test_pack_tells_overflow(void **unused)
{
	uint8_t bytes[8];
	for (size_t size = 0; size <= sizeof bytes; size++) {
		struct gyr_pack pack;
		memset(bytes, 0xee, sizeof bytes);
		gyr_pack_init(&pack, bytes, size);
		msgpack_pack_array(&pack.packer, 2);
		gyr_pack_str(&pack, "abc");
		gyr_pack_bin(&pack, "", 0);
		assert_int_equal(pack.overflow, size < 7);
		assert_true(pack.used <= size);
		for (size_t i = size; i < sizeof bytes; i++)
			assert_int_equal(bytes[i], 0xee);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_objects),     cmocka_unit_test(test_wrong_type_leaves_the_cursor), cmocka_unit_test(test_lying_lengths),
		cmocka_unit_test(test_nesting_is_bounded), cmocka_unit_test(test_pack_tells_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
