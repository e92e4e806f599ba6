/* Blocks never overlap, are as large as asked for, and all come back as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/node.h"
#include "dataplane/flow/blocks.h"

#define LARGEST ((size_t)1 << 16)
#define BYTES (8 * LARGEST)

static void test_random(void **unused)
{
	struct held {
		uint8_t *block, mark;
		size_t bytes;
	} held[256];
	size_t count = 0, used = 0;
	struct gyr_blocks *blocks = gyr_blocks_create(BYTES + 4095, LARGEST, GYR_NODE_ANY);
	assert_non_null(blocks);
	assert_int_equal(gyr_blocks_bytes(blocks), BYTES);
	srand(3);
	for (int step = 0; step < 20000; step++) {
		if (rand() % 2 == 0 && count < sizeof held / sizeof held[0]) {
			size_t bytes = 1 + (size_t)rand() % (LARGEST >> rand() % 6);
			uint8_t *block = gyr_blocks_take(blocks, bytes);
			if (block == NULL)
				continue;
			assert_int_equal((uintptr_t)block % GYR_BLOCKS_MIN, 0);
			assert_true(gyr_blocks_size(blocks, block) >= bytes);
			assert_true(gyr_blocks_size(blocks, block) < 2 * bytes || gyr_blocks_size(blocks, block) == GYR_BLOCKS_MIN);
			assert_int_equal(gyr_blocks_round(bytes), gyr_blocks_size(blocks, block));
			used += gyr_blocks_size(blocks, block);
			held[count] = (struct held){.block = block, .mark = (uint8_t)step, .bytes = gyr_blocks_size(blocks, block)};
			memset(block, held[count].mark, held[count].bytes);
			count++;
		} else if (count > 0) {
			size_t i = (size_t)rand() % count;
			for (size_t b = 0; b < held[i].bytes; b++)
				assert_int_equal(held[i].block[b], held[i].mark);
			used -= held[i].bytes;
			gyr_blocks_give(blocks, held[i].block);
			held[i] = held[--count];
		}
		assert_int_equal(gyr_blocks_used(blocks), used);
	}
	while (count > 0)
		gyr_blocks_give(blocks, held[--count].block);
	/* Nothing is left behind in parts. */
	for (size_t i = 0; i < BYTES / LARGEST; i++)
		assert_non_null(gyr_blocks_take(blocks, LARGEST));
	assert_null(gyr_blocks_take(blocks, 1));
	gyr_blocks_destroy(blocks);
}

static void test_bounds(void **unused)
{
	assert_null(gyr_blocks_create(LARGEST - 1, LARGEST, GYR_NODE_ANY));
	assert_null(gyr_blocks_create(BYTES, 0, GYR_NODE_ANY));
	struct gyr_blocks *blocks = gyr_blocks_create(3 * LARGEST, LARGEST - 5, GYR_NODE_ANY); /* rounded up */
	assert_non_null(blocks);
	assert_null(gyr_blocks_take(blocks, LARGEST + 1));
	for (size_t i = 0; i < 3; i++)
		assert_non_null(gyr_blocks_take(blocks, LARGEST));
	assert_null(gyr_blocks_take(blocks, 1));
	gyr_blocks_destroy(blocks);
	gyr_blocks_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
