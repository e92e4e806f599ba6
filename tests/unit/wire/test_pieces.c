/* Pieces against a map with one byte for each byte of the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire/pieces.h"

#define TOTAL_MAX 9000u

static uint8_t model[TOTAL_MAX];

/* What is not there, range by range, is what the map says. */
static void compare(const struct gyr_pieces *pieces)
{
	struct gyr_wire_range range;
	uint32_t from = 0, grains = 0;
	for (uint32_t at = 0; at < pieces->total; at = range.offset + range.bytes) {
		bool more = gyr_pieces_next_missing(pieces, from, &range);
		uint32_t end = more ? range.offset : pieces->total;
		for (; at < end; at++)
			assert_int_equal(model[at], 1);
		if (!more)
			break;
		assert_true(gyr_pieces_may_be(pieces->total, range.offset, range.bytes));
		for (; at < range.offset + range.bytes; at++)
			assert_int_equal(model[at], 0);
		grains += (range.bytes + GYR_PIECES_GRAIN - 1) / GYR_PIECES_GRAIN;
		from = (at + GYR_PIECES_GRAIN - 1) / GYR_PIECES_GRAIN * GYR_PIECES_GRAIN;
	}
	assert_int_equal(pieces->left, grains);
}

static void test_random(void **unused)
{
	uint64_t bits[TOTAL_MAX / 64 / 8];
	srand(7);
	for (int round = 0; round < 300; round++) {
		struct gyr_pieces pieces;
		uint32_t total = 1 + (uint32_t)rand() % TOTAL_MAX;
		assert_true(gyr_pieces_bytes(total) <= sizeof bits);
		memset(bits, 0xaa, sizeof bits);
		memset(model, 0, sizeof model);
		gyr_pieces_init(&pieces, bits, total);
		compare(&pieces);
		for (int step = 0; step < 40; step++) {
			uint32_t offset = (uint32_t)rand() % total / GYR_PIECES_GRAIN * GYR_PIECES_GRAIN, bytes = 1 + (uint32_t)rand() % (total - offset);
			if (rand() % 2 == 0)
				bytes = bytes < GYR_PIECES_GRAIN ? total - offset : bytes / GYR_PIECES_GRAIN * GYR_PIECES_GRAIN;
			if (!gyr_pieces_may_be(total, offset, bytes))
				continue;
			bool there = rand() % 4 != 0;
			uint32_t changed = 0;
			for (uint32_t at = offset; at < offset + bytes; at += GYR_PIECES_GRAIN)
				changed += model[at] != there;
			memset(model + offset, there, bytes);
			assert_int_equal(there ? gyr_pieces_add(&pieces, offset, bytes) : gyr_pieces_remove(&pieces, offset, bytes), changed);
			compare(&pieces);
		}
	}
}

static void test_what_may_be(void **unused)
{
	assert_true(gyr_pieces_may_be(1, 0, 1));
	assert_true(gyr_pieces_may_be(UINT32_MAX, UINT32_MAX / 64 * 64, 63));
	assert_false(gyr_pieces_may_be(64, 0, 0));
	assert_false(gyr_pieces_may_be(64, 0, 65));
	assert_false(gyr_pieces_may_be(64, 64, 1));
	assert_false(gyr_pieces_may_be(65, 1, 64));
	assert_false(gyr_pieces_may_be(128, 0, 63));
	assert_false(gyr_pieces_may_be(128, UINT64_MAX - 63, 64));
	assert_int_equal(gyr_pieces_size(1472) % GYR_PIECES_GRAIN, 0);
	assert_int_equal(gyr_pieces_size(1472), 1408);
	assert_int_equal(gyr_pieces_bytes(1), 8);
	assert_int_equal(gyr_pieces_bytes(4096), 8);
	assert_int_equal(gyr_pieces_bytes(4097), 16);
	assert_int_equal(gyr_pieces_bytes(UINT32_MAX), (size_t)1 << 23);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_what_may_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
