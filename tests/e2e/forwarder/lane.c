#include "lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_US 1000u

void lane_init(struct lane *lane, uint64_t seed)
{
	*lane = (struct lane){.random = {seed}};
	for (uint32_t i = 0; i < LANE_HELD_MAX; i++) {
		lane->free[i] = malloc(sizeof *lane->free[i]);
		if (lane->free[i] == NULL) {
			fprintf(stderr, "forwarder: no memory\n");
			exit(2);
		}
	}
	lane->free_count = LANE_HELD_MAX;
}

void lane_fini(struct lane *lane)
{
	for (uint32_t i = 0; i < lane->free_count; i++)
		free(lane->free[i]);
}

static double share(struct lane *lane)
{
	return (double)(storm_next(&lane->random) >> 11) / (double)(UINT64_C(1) << 53);
}

static bool before(const struct lane_held *a, const struct lane_held *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void swap(struct lane *lane, uint32_t a, uint32_t b)
{
	struct lane_held kept = lane->held[a];
	lane->held[a] = lane->held[b];
	lane->held[b] = kept;
}

static void hold(struct lane *lane, const struct frame *frame, uint64_t due_ns)
{
	if (lane->free_count == 0) {
		lane->stats.overflown++;
		return;
	}
	struct frame *copy = lane->free[--lane->free_count];
	copy->size = frame->size;
	memcpy(copy->bytes, frame->bytes, frame->size);
	uint32_t at = lane->count++;
	lane->held[at] = (struct lane_held){.due_ns = due_ns, .number = lane->number++, .frame = copy};
	for (; at > 0 && before(&lane->held[at], &lane->held[(at - 1) / 2]); at = (at - 1) / 2)
		swap(lane, at, (at - 1) / 2);
}

static bool is_too_big(const struct lane *lane, const struct frame *frame)
{
	uint32_t type = frame->size < FRAME_ETHER ? 0 : get16(frame->bytes + 12);
	return lane->harm.mtu > 0 && (type == ETHER_IP4 || type == ETHER_IP6) && frame->size - FRAME_ETHER > lane->harm.mtu;
}

bool lane_put(struct lane *lane, const struct frame *frame, uint64_t now_ns)
{
	const struct lane_harm *harm = &lane->harm;
	lane->stats.in++;
	if (is_too_big(lane, frame)) {
		lane->stats.too_big++;
		return false;
	}
	if (share(lane) < harm->loss) {
		lane->stats.lost++;
		return true;
	}
	uint64_t due_ns = now_ns + (uint64_t)((harm->delay_us + share(lane) * harm->jitter_us) * NS_PER_US);
	if (harm->mbps > 0) {
		uint64_t start_ns = due_ns > lane->wire_free_ns ? due_ns : lane->wire_free_ns;
		lane->wire_free_ns = start_ns + (uint64_t)(frame->size * 8000.0 / harm->mbps);
		due_ns = lane->wire_free_ns;
	}
	if (share(lane) < harm->reorder) {
		lane->stats.reordered++;
		due_ns += (uint64_t)(harm->reorder_us * NS_PER_US);
	} else {
		due_ns = due_ns > lane->last_due_ns ? due_ns : lane->last_due_ns;
		lane->last_due_ns = due_ns;
	}
	bool twice = share(lane) < harm->duplicate;
	if (twice) {
		lane->stats.duplicated++;
		hold(lane, frame, due_ns);
	}
	struct frame damaged;
	if (share(lane) < harm->corrupt) {
		lane->stats.corrupted++;
		damaged.size = frame->size;
		memcpy(damaged.bytes, frame->bytes, frame->size);
		damaged.bytes[storm_below(&lane->random, frame->size)] ^= (uint8_t)(1u << storm_below(&lane->random, 8));
		frame = &damaged;
	}
	hold(lane, frame, due_ns);
	return true;
}

const struct frame *lane_get(struct lane *lane, uint64_t now_ns)
{
	if (lane->count == 0 || lane->held[0].due_ns > now_ns)
		return NULL;
	struct frame *frame = lane->held[0].frame;
	lane->held[0] = lane->held[--lane->count];
	for (uint32_t at = 0;;) {
		uint32_t least = at;
		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < lane->count; child++) {
			if (before(&lane->held[child], &lane->held[least]))
				least = child;
		}
		if (least == at)
			break;
		swap(lane, at, least);
		at = least;
	}
	/* Whole until something else is held: the last to be free is the first to be taken. */
	lane->free[lane->free_count++] = frame;
	lane->stats.out++;
	return frame;
}

uint64_t lane_due_ns(const struct lane *lane)
{
	return lane->count == 0 ? UINT64_MAX : lane->held[0].due_ns;
}
