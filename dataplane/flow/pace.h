/*
 * Pacing: so many bytes per unit of time, and a bounded burst after a rest (the virtual scheduling form of a leaky bucket, ITU-T I.371). Time is the caller's,
 * in any unit that only grows. All zero has been idle for ever. One thread at a time.
 */
#ifndef GYR_DATAPLANE_FLOW_PACE_H
#define GYR_DATAPLANE_FLOW_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct gyr_pace {
	uint64_t free_at; /* when what was taken so far has drained away */
};

/* What BYTES may cost, and how far ahead of time may be taken. */
struct gyr_pace_rate {
	uint64_t ticks_per_byte_16; /* units of time of one byte, times 2^16; 0: no limit */
	uint64_t burst_ticks;       /* after a rest, so much may go at once; at least one piece always may */
};

/* Whether BYTES may go now; if so, they are counted. A few ns. */
static inline bool gyr_pace_take(struct gyr_pace *pace, const struct gyr_pace_rate *rate, uint64_t now, uint32_t bytes)
{
	uint64_t from = pace->free_at > now ? pace->free_at : now;
	if (from - now > rate->burst_ticks)
		return false;
	pace->free_at = from + (bytes * rate->ticks_per_byte_16 >> 16);
	return true;
}

#endif
