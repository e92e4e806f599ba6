/*
 * Contiguous blocks of memory, in powers of two from 4 KiB on, out of one range that is taken and touched when it is made (a buddy system: Knowlton, CACM
 * 1965): taking and giving back cost a few steps for each power of two and never search. One thread at a time.
 */
#ifndef GYR_DATAPLANE_FLOW_BLOCKS_H
#define GYR_DATAPLANE_FLOW_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#define GYR_BLOCKS_MIN 4096u

struct gyr_blocks;

/*
 * BYTES in all, on NODE (base/node.h), of which blocks of up to LARGEST bytes (rounded up to a power of two) can be taken; BYTES is rounded down to a multiple
 * of that. NULL: no memory, or BYTES hold no such block.
 */
struct gyr_blocks *gyr_blocks_create(size_t bytes, size_t largest, int node);
void gyr_blocks_destroy(struct gyr_blocks *blocks); /* NULL is fine */

/* A block of BYTES (1 or more) or somewhat more; NULL when none is free, or BYTES are more than the largest. */
void *gyr_blocks_take(struct gyr_blocks *blocks, size_t bytes);

/* How many bytes the block takes that gyr_blocks_take gives for BYTES, which some allocator holds. */
size_t gyr_blocks_round(size_t bytes);

/* Gives a block back. */
void gyr_blocks_give(struct gyr_blocks *blocks, void *block);

/* What can be used of a block. */
size_t gyr_blocks_size(const struct gyr_blocks *blocks, const void *block);

/* Bytes in blocks that are taken, and in all. */
size_t gyr_blocks_used(const struct gyr_blocks *blocks);
size_t gyr_blocks_bytes(const struct gyr_blocks *blocks);

#endif
