/* Invariant: heap[members[m].place] == m for every member in the heap, and no member comes before the one above it (half its place). */
#include "dataplane/flow/share.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assertion.h"

#define VIRTUAL_SCALE 1024u /* so that a division by the weight loses little */

int gyr_share_init(struct gyr_share *share, uint32_t size)
{
	*share = (struct gyr_share){.size = size};
	share->members = calloc(size, sizeof *share->members);
	share->heap = calloc(size, sizeof *share->heap);
	if (share->members == NULL || share->heap == NULL) {
		gyr_share_fini(share);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < size; i++)
		share->members[i] = (struct gyr_share_member){.weight = 1, .place = GYR_SHARE_NONE};
	return 0;
}

void gyr_share_fini(struct gyr_share *share)
{
	free(share->members);
	free(share->heap);
	*share = (struct gyr_share){0};
}

static bool is_before(const struct gyr_share *share, uint32_t a, uint32_t b)
{
	const struct gyr_share_member *one = &share->members[a], *other = &share->members[b];
	if (one->priority != other->priority)
		return one->priority > other->priority;
	return (int64_t)(one->virtual_time - other->virtual_time) < 0;
}

static void put(struct gyr_share *share, uint32_t place, uint32_t member)
{
	share->heap[place] = member;
	share->members[member].place = place;
}

/* Moves MEMBER up from PLACE, or down, to where it belongs; PLACE is free. */
static void settle(struct gyr_share *share, uint32_t place, uint32_t member)
{
	for (; place > 0 && is_before(share, member, share->heap[(place - 1) / 2]); place = (place - 1) / 2)
		put(share, place, share->heap[(place - 1) / 2]);
	for (;;) {
		uint32_t below = 2 * place + 1;
		if (below + 1 < share->count && is_before(share, share->heap[below + 1], share->heap[below]))
			below++;
		if (below >= share->count || !is_before(share, share->heap[below], member))
			break;
		put(share, place, share->heap[below]);
		place = below;
	}
	put(share, place, member);
}

void gyr_share_wake(struct gyr_share *share, uint32_t member)
{
	struct gyr_share_member *one = &share->members[member];
	if (one->place != GYR_SHARE_NONE)
		return;
	uint64_t now = share->now[one->priority];
	if ((int64_t)(now - one->virtual_time) > 0)
		one->virtual_time = now;
	share->weights[one->priority] += one->weight;
	share->count++;
	settle(share, share->count - 1, member);
}

void gyr_share_sleep(struct gyr_share *share, uint32_t member)
{
	struct gyr_share_member *one = &share->members[member];
	if (one->place == GYR_SHARE_NONE)
		return;
	uint32_t place = one->place, last = share->heap[--share->count];
	share->weights[one->priority] -= one->weight;
	one->place = GYR_SHARE_NONE;
	if (last != member)
		settle(share, place, last);
}

void gyr_share_set(struct gyr_share *share, uint32_t member, uint32_t weight, uint32_t priority)
{
	struct gyr_share_member *one = &share->members[member];
	GYR_ASSERT(weight >= 1);
	GYR_ASSERT(weight <= GYR_SHARE_WEIGHT_MAX);
	GYR_ASSERT(priority < GYR_SHARE_PRIORITIES);
	if (one->weight == weight && one->priority == priority)
		return;
	bool awake = one->place != GYR_SHARE_NONE;
	gyr_share_sleep(share, member);
	if (one->priority != priority)
		one->virtual_time = share->now[priority];
	one->weight = weight;
	one->priority = priority;
	if (awake)
		gyr_share_wake(share, member);
}

void gyr_share_charge(struct gyr_share *share, uint32_t member, uint64_t time)
{
	struct gyr_share_member *one = &share->members[member];
	/* The start of the turn that was just had is the present of its priority: who wakes now begins there. */
	if ((int64_t)(one->virtual_time - share->now[one->priority]) > 0)
		share->now[one->priority] = one->virtual_time;
	one->virtual_time += time * VIRTUAL_SCALE / one->weight;
	if (one->place != GYR_SHARE_NONE)
		settle(share, one->place, member);
}

uint64_t gyr_share_stretch(const struct gyr_share *share, uint32_t member, uint64_t time)
{
	const struct gyr_share_member *one = &share->members[member];
	uint64_t all = share->weights[one->priority] + (one->place == GYR_SHARE_NONE ? one->weight : 0);
	return all == one->weight ? time : time * all / one->weight;
}
