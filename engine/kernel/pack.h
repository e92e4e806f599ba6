/*
 * Packs: what the batch sizes of a plan share. A weight that is packed for the kernel that reads it is packed once, by the first batch size that asks, and
 * found again by the others.
 */
#ifndef GYR_ENGINE_KERNEL_PACK_H
#define GYR_ENGINE_KERNEL_PACK_H

#include <stddef.h>
#include <stdint.h>

struct gyr_packs;

/* Empty. NULL without memory. gyr_packs_destroy destroys every pack in it; NULL is fine. One thread at a time. */
struct gyr_packs *gyr_packs_create(void);
void gyr_packs_destroy(struct gyr_packs *packs);

/*
 * The pack that was kept under SOURCE (the address of what it was made from, which stays the same for all batch sizes) and TAG (how it was made: a number that
 * differs between kinds and parameters of packing), or NULL.
 */
void *gyr_packs_find(const struct gyr_packs *packs, const void *source, uint64_t tag);

/* Keeps PACK of BYTES, which DESTROY ends. False without memory: then PACK is still the caller's. */
_Bool gyr_packs_keep(struct gyr_packs *packs, const void *source, uint64_t tag, void *pack, size_t bytes, void (*destroy)(void *));

/* The sum of the BYTES of all packs. */
size_t gyr_packs_bytes(const struct gyr_packs *packs);

#endif
