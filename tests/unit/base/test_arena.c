#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"

static void test_aligned_zeroed_and_apart(void **unused)
{
	struct gyr_arena arena;
	unsigned char *pieces[300];
	size_t sizes[300], total = 0;
	gyr_arena_init(&arena, 0);
	for (size_t i = 0; i < 300; i++) {
		size_t align = (size_t)1 << i % 13;
		sizes[i] = i * 131 % 5000;
		pieces[i] = gyr_arena_alloc(&arena, sizes[i], align);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % align, 0);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(pieces[i][j], 0);
		memset(pieces[i], (int)(i & 0xff), sizes[i]);
		total += sizes[i];
	}
	assert_int_equal(arena.used_bytes, total);
	for (size_t i = 0; i < 300; i++)
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(pieces[i][j], i & 0xff);
	gyr_arena_fini(&arena);
	assert_int_equal(arena.used_bytes, 0);
}

static void test_limit(void **unused)
{
	struct gyr_arena arena;
	gyr_arena_init(&arena, 100);
	assert_non_null(gyr_arena_alloc(&arena, 60, 1));
	assert_null(gyr_arena_alloc(&arena, 41, 1));
	assert_non_null(gyr_arena_alloc(&arena, 40, 64));
	assert_null(gyr_arena_alloc(&arena, 1, 1));
	assert_non_null(gyr_arena_alloc(&arena, 0, 1));
	gyr_arena_fini(&arena);
	/* What was freed can be handed out again. */
	assert_non_null(gyr_arena_alloc(&arena, 100, 1));
	gyr_arena_fini(&arena);
}

static void test_array_overflow(void **unused)
{
	struct gyr_arena arena;
	gyr_arena_init(&arena, 0);
	assert_null(gyr_arena_array(&arena, SIZE_MAX / 2, 3, 8));
	assert_null(gyr_arena_alloc(&arena, SIZE_MAX, 8));
	uint32_t *numbers = GYR_ARENA_NEW(&arena, uint32_t, 7);
	assert_int_equal((uintptr_t)numbers % _Alignof(uint32_t), 0);
	assert_int_equal(arena.used_bytes, 28);
	gyr_arena_fini(&arena);
}

static void test_string(void **unused)
{
	struct gyr_arena arena;
	gyr_arena_init(&arena, 4);
	assert_string_equal(gyr_arena_string(&arena, "abcdef", 3), "abc");
	assert_null(gyr_arena_string(&arena, "", 0));
	gyr_arena_fini(&arena);
	assert_string_equal(gyr_arena_string(&arena, NULL, 0), "");
	gyr_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aligned_zeroed_and_apart),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_array_overflow),
		cmocka_unit_test(test_string),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
