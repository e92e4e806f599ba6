/*
 * Queue-delay control: how much work may wait. The idea is CoDel's (RFC 8289): a burst may wait, a queue that stands may not. Time in the queue is measured as
 * requests leave it; while it has stayed above TARGET for a whole INTERVAL the queue stands. Unlike a router, which must guess, we know about how long what
 * waits will take: a queue that does not stand may hold work for one interval, one that stands for the target, and what comes beyond that is turned away as it
 * comes, so the queue never runs empty for it. The queue stands until nothing had to be turned away for an interval, or until it was empty for longer than the
 * target: what comes after such a gap is a burst again, and who sends in bursts (a client, or an io lcore that shares its CPU) would else leave the engine idle
 * in between. Units of time are the caller's. Pure; one thread.
 */
#ifndef GYR_DATAPLANE_FLOW_CODEL_H
#define GYR_DATAPLANE_FLOW_CODEL_H

#include <stdbool.h>
#include <stdint.h>

struct gyr_codel {
	uint64_t above_since;  /* when time in the queue rose above the target; 0: it is not */
	uint64_t refused_last; /* when something was last turned away */
	uint64_t return_last;  /* the time to come back that was last given */
	uint64_t empty_since;  /* when the queue last ran empty; means nothing while something is in it */
	bool standing;
};

struct gyr_codel_limits {
	uint64_t target, interval; /* above 0; the interval not below the target */
};

/* Something left the queue at NOW, above 0, after WAITED in it. Hot path: a few ns. */
void gyr_codel_leave(struct gyr_codel *codel, const struct gyr_codel_limits *limits, uint64_t now, uint64_t waited);

/* What was in the queue is done at NOW, and nothing is in it. */
static inline void gyr_codel_empty(struct gyr_codel *codel, uint64_t now)
{
	codel->empty_since = now;
}

/* Something comes at NOW into the queue, which is empty. */
static inline void gyr_codel_begin(struct gyr_codel *codel, const struct gyr_codel_limits *limits, uint64_t now)
{
	codel->standing = codel->standing && now - codel->empty_since <= limits->target;
}

/* How long what waits may take, before more is turned away. */
static inline uint64_t gyr_codel_allowed(const struct gyr_codel *codel, const struct gyr_codel_limits *limits)
{
	return codel->standing ? limits->target : limits->interval;
}

/*
 * Something is turned away at NOW, while what waits takes WAIT, and one more SERVICE. Returns after how long it should come back: each who is turned away is
 * given a place of its own behind those before it, so that they do not all come back at once. At most WAIT_MAX, spread over its last quarter by SPREAD, any
 * number.
 */
uint64_t gyr_codel_refuse(struct gyr_codel *codel, uint64_t now, uint64_t wait, uint64_t service, uint64_t wait_max, uint32_t spread);

#endif
