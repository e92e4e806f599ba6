/*
 * Each block has an order: it is GYR_BLOCKS_MIN << order bytes long and begins at a multiple of that. What is known of the block that begins at a page (of
 * GYR_BLOCKS_MIN) lies in arrays beside the memory, so that giving a block back touches none of it.
 */
#include "dataplane/flow/blocks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assertion.h"
#include "base/node.h"

#define ORDERS_MAX 32u
#define NONE UINT32_MAX

enum state { INSIDE, FREE, TAKEN }; /* INSIDE: no block begins here */

struct page {
	uint8_t state, order;
	uint32_t next, previous; /* FREE: in the list of its order */
};

struct gyr_blocks {
	uint8_t *memory;
	uint32_t page_count, orders;
	size_t used;
	uint32_t free[ORDERS_MAX]; /* the first of each order; NONE */
	struct page pages[];
};

static uint32_t order_of(size_t bytes)
{
	size_t pages = (bytes + GYR_BLOCKS_MIN - 1) / GYR_BLOCKS_MIN;
	return pages <= 1 ? 0 : 64u - (uint32_t)__builtin_clzll(pages - 1);
}

static void link_free(struct gyr_blocks *blocks, uint32_t at, uint32_t order)
{
	uint32_t first = blocks->free[order];
	blocks->pages[at] = (struct page){.state = FREE, .order = (uint8_t)order, .next = first, .previous = NONE};
	if (first != NONE)
		blocks->pages[first].previous = at;
	blocks->free[order] = at;
}

static void unlink_free(struct gyr_blocks *blocks, uint32_t at)
{
	struct page *page = &blocks->pages[at];
	if (page->previous != NONE)
		blocks->pages[page->previous].next = page->next;
	else
		blocks->free[page->order] = page->next;
	if (page->next != NONE)
		blocks->pages[page->next].previous = page->previous;
	page->state = INSIDE;
}

static uint32_t page_of(const struct gyr_blocks *blocks, const void *block)
{
	size_t at = (size_t)((const uint8_t *)block - blocks->memory);
	GYR_ASSERT(at % GYR_BLOCKS_MIN == 0);
	GYR_ASSERT(at / GYR_BLOCKS_MIN < blocks->page_count);
	GYR_ASSERT(blocks->pages[at / GYR_BLOCKS_MIN].state == TAKEN);
	return (uint32_t)(at / GYR_BLOCKS_MIN);
}

struct gyr_blocks *gyr_blocks_create(size_t bytes, size_t largest, int node)
{
	uint32_t orders = order_of(largest) + 1;
	if (largest == 0 || orders > ORDERS_MAX)
		return NULL;
	size_t block_bytes = (size_t)GYR_BLOCKS_MIN << (orders - 1), page_count = bytes / block_bytes * (block_bytes / GYR_BLOCKS_MIN);
	if (page_count == 0 || page_count >= NONE)
		return NULL;
	struct gyr_blocks *blocks = calloc(1, sizeof *blocks + page_count * sizeof(struct page));
	if (blocks == NULL)
		return NULL;
	void *memory = gyr_node_map(page_count * GYR_BLOCKS_MIN);
	if (memory == NULL) {
		free(blocks);
		return NULL;
	}
	gyr_node_prefer(memory, page_count * GYR_BLOCKS_MIN, node);
	/* Fewer misses of the TLB where the kernel has huge pages; without them all is the same. */
	(void)madvise(memory, page_count * GYR_BLOCKS_MIN, MADV_HUGEPAGE);
	memset(memory, 0, page_count * GYR_BLOCKS_MIN);
	blocks->memory = memory;
	blocks->page_count = (uint32_t)page_count;
	blocks->orders = orders;
	for (uint32_t order = 0; order < ORDERS_MAX; order++)
		blocks->free[order] = NONE;
	for (uint32_t at = blocks->page_count; at > 0; at -= 1u << (orders - 1))
		link_free(blocks, at - (1u << (orders - 1)), orders - 1);
	return blocks;
}

void gyr_blocks_destroy(struct gyr_blocks *blocks)
{
	if (blocks == NULL)
		return;
	gyr_node_unmap(blocks->memory, (size_t)blocks->page_count * GYR_BLOCKS_MIN);
	free(blocks);
}

/* Makes the block at AT one of ORDER, freeing what lies behind. */
static void split(struct gyr_blocks *blocks, uint32_t at, uint32_t from, uint32_t order)
{
	while (from > order) {
		from--;
		link_free(blocks, at + (1u << from), from);
	}
	blocks->pages[at] = (struct page){.state = TAKEN, .order = (uint8_t)order};
}

size_t gyr_blocks_round(size_t bytes)
{
	return (size_t)GYR_BLOCKS_MIN << order_of(bytes);
}

void *gyr_blocks_take(struct gyr_blocks *blocks, size_t bytes)
{
	uint32_t order = order_of(bytes), from = order;
	while (from < blocks->orders && blocks->free[from] == NONE)
		from++;
	if (from >= blocks->orders)
		return NULL;
	uint32_t at = blocks->free[from];
	unlink_free(blocks, at);
	split(blocks, at, from, order);
	blocks->used += (size_t)GYR_BLOCKS_MIN << order;
	return blocks->memory + (size_t)at * GYR_BLOCKS_MIN;
}

void gyr_blocks_give(struct gyr_blocks *blocks, void *block)
{
	uint32_t at = page_of(blocks, block), order = blocks->pages[at].order;
	blocks->used -= (size_t)GYR_BLOCKS_MIN << order;
	blocks->pages[at].state = INSIDE;
	while (order + 1 < blocks->orders) {
		uint32_t buddy = at ^ (1u << order);
		if (blocks->pages[buddy].state != FREE || blocks->pages[buddy].order != order)
			break;
		unlink_free(blocks, buddy);
		at &= ~(1u << order);
		order++;
	}
	link_free(blocks, at, order);
}

size_t gyr_blocks_size(const struct gyr_blocks *blocks, const void *block)
{
	return (size_t)GYR_BLOCKS_MIN << blocks->pages[page_of(blocks, block)].order;
}

size_t gyr_blocks_used(const struct gyr_blocks *blocks)
{
	return blocks->used;
}

size_t gyr_blocks_bytes(const struct gyr_blocks *blocks)
{
	return (size_t)blocks->page_count * GYR_BLOCKS_MIN;
}
