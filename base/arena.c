#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"

#define BLOCK_BYTES_MIN ((size_t)16 * 1024)

struct gyr_arena_block {
	struct gyr_arena_block *older;
	size_t size, used; /* of the bytes behind this header */
	_Alignas(64) unsigned char bytes[];
};

void gyr_arena_init(struct gyr_arena *arena, size_t limit_bytes)
{
	*arena = (struct gyr_arena){.limit_bytes = limit_bytes};
}

void gyr_arena_fini(struct gyr_arena *arena)
{
	while (arena->blocks != NULL) {
		struct gyr_arena_block *older = arena->blocks->older;
		free(arena->blocks);
		arena->blocks = older;
	}
	arena->used_bytes = 0;
}

static size_t padding_for(const struct gyr_arena_block *block, size_t align)
{
	uintptr_t at = (uintptr_t)block->bytes + block->used;
	return (size_t)(-at & (align - 1));
}

void *gyr_arena_alloc(struct gyr_arena *arena, size_t bytes, size_t align)
{
	GYR_ASSERT(align != 0 && (align & (align - 1)) == 0 && align <= 4096);
	struct gyr_arena_block *block = arena->blocks;
	if (arena->limit_bytes != 0 && bytes > arena->limit_bytes - arena->used_bytes)
		return NULL;
	size_t padding = block == NULL ? 0 : padding_for(block, align);
	if (block == NULL || padding > block->size - block->used || bytes > block->size - block->used - padding) {
		if (bytes > SIZE_MAX - 2 * 4096 - sizeof *block)
			return NULL;
		size_t size = bytes + align > BLOCK_BYTES_MIN ? bytes + align : BLOCK_BYTES_MIN;
		size_t total = (sizeof *block + size + 63) & ~(size_t)63;
		block = aligned_alloc(64, total);
		if (block == NULL)
			return NULL;
		*block = (struct gyr_arena_block){.older = arena->blocks, .size = size};
		arena->blocks = block;
		padding = padding_for(block, align);
	}
	void *result = block->bytes + block->used + padding;
	block->used += padding + bytes;
	arena->used_bytes += bytes;
	memset(result, 0, bytes);
	return result;
}

void *gyr_arena_array(struct gyr_arena *arena, size_t count, size_t bytes, size_t align)
{
	size_t total;
	if (__builtin_mul_overflow(count, bytes, &total))
		return NULL;
	return gyr_arena_alloc(arena, total, align);
}

char *gyr_arena_string(struct gyr_arena *arena, const char *text, size_t length)
{
	char *copy = gyr_arena_alloc(arena, length + 1, 1);
	if (copy != NULL && length != 0)
		memcpy(copy, text, length);
	return copy;
}
