/*
 * A growing arena: many small allocations, freed together. One thread at a time.
 */
#ifndef GYR_BASE_ARENA_H
#define GYR_BASE_ARENA_H

#include <stddef.h>

struct gyr_arena_block;

struct gyr_arena {
	struct gyr_arena_block *blocks; /* newest first */
	size_t used_bytes;              /* handed out */
	size_t limit_bytes;             /* the most that may be handed out; 0 means no limit */
};

/* Makes an empty arena in the caller's memory. LIMIT_BYTES bounds what it hands out in all (0: no bound), for work on untrusted input. */
void gyr_arena_init(struct gyr_arena *arena, size_t limit_bytes);

/* Frees all that was handed out. */
void gyr_arena_fini(struct gyr_arena *arena);

/*
 * BYTES zeroed bytes at an address divisible by ALIGN (a power of two up to 4096). NULL when the limit or the memory is exhausted.
 * Zero bytes give a valid pointer.
 */
void *gyr_arena_alloc(struct gyr_arena *arena, size_t bytes, size_t align);

/* COUNT zeroed objects of BYTES each; NULL also when the product overflows. */
void *gyr_arena_array(struct gyr_arena *arena, size_t count, size_t bytes, size_t align);

/* A copy of LENGTH bytes of TEXT with a zero behind it. */
char *gyr_arena_string(struct gyr_arena *arena, const char *text, size_t length);

#define GYR_ARENA_NEW(arena, type, count) ((type *)gyr_arena_array((arena), (count), sizeof(type), _Alignof(type)))

#endif
