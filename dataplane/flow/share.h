/*
 * Engine time shared by weight: who of those with work to do comes next. Strict between priorities; within one, the time that each has had, divided by its
 * weight, is kept level (start-time fair queueing: Goyal, Vin and Cheng, 1996). What a turn costs is known only after it, so it is charged then. One who has
 * been away owes nothing and is owed nothing. Whatever the unit of time, it is the caller's. One thread.
 */
#ifndef GYR_DATAPLANE_FLOW_SHARE_H
#define GYR_DATAPLANE_FLOW_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_SHARE_NONE UINT32_MAX
#define GYR_SHARE_PRIORITIES 8u /* 0 the least */
#define GYR_SHARE_WEIGHT_MAX 1000u

struct gyr_share_member {
	uint64_t virtual_time; /* had, over weight; compared by difference, so that it may wrap */
	uint32_t weight, priority;
	uint32_t place; /* in the heap; GYR_SHARE_NONE: nothing to do */
};

struct gyr_share {
	uint32_t size, count;             /* members, and those in the heap */
	struct gyr_share_member *members; /* by index */
	uint32_t *heap;                   /* the next one first */
	uint64_t now[GYR_SHARE_PRIORITIES];
	uint64_t weights[GYR_SHARE_PRIORITIES]; /* of those in the heap */
};

/* SIZE members of weight 1 and priority 0, none with work. -ENOMEM. */
GYR_MUST_CHECK int gyr_share_init(struct gyr_share *share, uint32_t size);
void gyr_share_fini(struct gyr_share *share);

/* Sets what MEMBER is worth: WEIGHT 1 to GYR_SHARE_WEIGHT_MAX, PRIORITY below GYR_SHARE_PRIORITIES. */
void gyr_share_set(struct gyr_share *share, uint32_t member, uint32_t weight, uint32_t priority);

/* MEMBER has work, or has none any more; no change is fine. The logarithm of those with work. */
void gyr_share_wake(struct gyr_share *share, uint32_t member);
void gyr_share_sleep(struct gyr_share *share, uint32_t member);

/* Who comes next; GYR_SHARE_NONE when nobody has work. */
static inline uint32_t gyr_share_first(const struct gyr_share *share)
{
	return share->count > 0 ? share->heap[0] : GYR_SHARE_NONE;
}

/* MEMBER, the first or one that was just put to sleep, had a turn of TIME. */
void gyr_share_charge(struct gyr_share *share, uint32_t member, uint64_t time);

/* How much longer than its own work it takes until MEMBER has had TIME, while all that now have work keep it: TIME over its share, those above it not counted.
 */
uint64_t gyr_share_stretch(const struct gyr_share *share, uint32_t member, uint64_t time);

#endif
