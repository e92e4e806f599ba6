/* The memory of large messages, shared out over the lcores, and what is handed between them. */
#include "dataplane/loop/large.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_random.h>

#include "base/node.h"
#include "dataplane/flow/blocks.h"
#include "dataplane/loop/idle.h"

#define PACE_BURST 16u /* datagrams that go to a client at once after a rest */
#define BITS_PER_BYTE 8u

/* An answer is forgotten: its block goes back to the engine lcore that packed it. */
static void release(void *user, void *bytes)
{
	struct gyr_lcore *lcore = user;
	struct gyr_large_item *item = (struct gyr_large_item *)bytes - 1;
	if (item->owner == lcore) {
		gyr_blocks_give(lcore->large->blocks, item);
		return;
	}
	item->kind = GYR_LARGE_BLOCK;
	gyr_large_hand(item->owner, item);
}

void gyr_large_hand(struct gyr_lcore *to, struct gyr_large_item *item)
{
	struct gyr_large_item *_Atomic *handed = &to->large->handed;
	item->next = atomic_load_explicit(handed, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(handed, &item->next, item, memory_order_release,
						      memory_order_relaxed)) /* R8 pairs with A8 in large_take.c */
		continue;
	gyr_idle_ring(to);
}

static int make_io(struct gyr_lcore *lcore, struct gyr_large *large, size_t share, struct gyr_error *error)
{
	const struct gyr_config *config = lcore->loop->config;
	uint64_t client_bytes = (uint64_t)config->large_client_mb << 20;
	uint32_t slots = (uint32_t)(share / GYR_BLOCKS_MIN);
	const struct gyr_reassembly_limits limits = {
		.slots = slots,
		.message_bytes = lcore->loop->message_max,
		/* As large a part of the slots as of the bytes. */
		.client_slots = client_bytes >= share ? slots : (uint32_t)RTE_MAX(client_bytes * slots / share, 1u),
		.client_bytes = client_bytes,
		/* Half of what engine lcores have: the other half is for answers that were not sent yet. */
		.foreign_bytes = share * lcore->loop->engine_count / lcore->loop->io_count / 2,
		.ask_ticks = config->large_ask_us * lcore->loop->tsc_per_us,
		.timeout_ticks = config->large_timeout_ms * lcore->loop->tsc_per_us * 1000,
	};
	if (config->large_pace_mbps > 0) {
		/* Mbit/s are bits per us. */
		large->rate.ticks_per_byte_16 = (lcore->loop->tsc_per_us * BITS_PER_BYTE << 16) / config->large_pace_mbps;
		large->rate.burst_ticks = (uint64_t)config->mtu * PACE_BURST * large->rate.ticks_per_byte_16 >> 16;
	}
	large->items = calloc(slots, sizeof *large->items);
	large->reassembly = gyr_reassembly_create(&limits, large->blocks, rte_rand(), release, lcore);
	if (large->items == NULL || large->reassembly == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for %u large messages: lower large_mb", slots);
	return 0;
}

static int make_lcore(struct gyr_lcore *lcore, size_t share, size_t block_max, struct gyr_error *error)
{
	struct gyr_large *large = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof *large);
	if (large == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the lcores");
	memset(large, 0, sizeof *large);
	lcore->large = large;
	large->blocks = gyr_blocks_create(share * ((uint32_t)lcore->io + lcore->engine), block_max, lcore->node);
	if (large->blocks == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for large messages: lower large_mb");
	return lcore->io ? make_io(lcore, large, share, error) : 0;
}

int gyr_large_create(struct gyr_loop *loop, struct gyr_error *error)
{
	const struct gyr_config *config = loop->config;
	uint32_t roles = loop->io_count + loop->engine_count;
	if (config->large_mb == 0)
		return 0;
	loop->message_max = config->large_message_kb << 10;
	size_t share = ((size_t)config->large_mb << 20) / roles, block_max = sizeof(struct gyr_large_item) + gyr_reassembly_block_bytes(loop->message_max);
	size_t block = GYR_BLOCKS_MIN;
	while (block < block_max)
		block *= 2;
	if (share < block)
		return gyr_error_set(error, -EINVAL,
				     "large_mb is %u, which %u io and %u engine lcores share, and a message of large_message_kb takes %zu MiB of each: "
				     "raise it to %zu, lower large_message_kb, or set it to 0 to take no messages in pieces",
				     config->large_mb, loop->io_count, loop->engine_count, (block + (1u << 20) - 1) >> 20,
				     (block * roles + (1u << 20) - 1) >> 20);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		gyr_node_enter(gyr_node_bit(loop->lcores[i].node));
		int status = make_lcore(&loop->lcores[i], share, block_max, error);
		gyr_node_leave();
		if (status != 0)
			return status;
	}
	return 0;
}

void gyr_large_destroy(struct gyr_loop *loop)
{
	/* Answers that are still kept lie in others' blocks. */
	for (uint32_t i = 0; loop->lcores != NULL && i < loop->lcore_count; i++) {
		if (loop->lcores[i].large != NULL)
			gyr_reassembly_destroy(loop->lcores[i].large->reassembly);
	}
	for (uint32_t i = 0; loop->lcores != NULL && i < loop->lcore_count; i++) {
		struct gyr_large *large = loop->lcores[i].large;
		if (large == NULL)
			continue;
		gyr_blocks_destroy(large->blocks);
		free(large->items);
		free(large);
		loop->lcores[i].large = NULL;
	}
}
