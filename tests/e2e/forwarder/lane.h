/*
 * One direction of a bad network: frames go in, and come out later, in another order, twice, damaged, or never. Pure: time and chance are given.
 */
#ifndef GYR_TESTS_E2E_FORWARDER_LANE_H
#define GYR_TESTS_E2E_FORWARDER_LANE_H

#include "../storm/frame.h"
#include "../storm/random.h"

#define LANE_HELD_MAX 2048u

/* What is done to frames. Shares from 0 to 1. */
struct lane_harm {
	double loss, duplicate, reorder, corrupt;
	double delay_us, jitter_us; /* each frame is late by the first and up to the second; the order is kept */
	double reorder_us;          /* a frame that is reordered is late by as much more, and others pass it */
	double mbps;                /* what the wire carries; 0: any */
	double mtu;                 /* larger packets are dropped, and their sender told; 0: none is */
};

struct lane_stats {
	uint64_t in, out, lost, duplicated, reordered, corrupted, too_big, overflown;
	uint64_t told; /* senders of what was too big, by the lane's user */
};

struct lane_held {
	uint64_t due_ns, number;
	struct frame *frame;
};

struct lane {
	struct lane_harm harm;
	struct lane_stats stats;
	struct storm_random random;
	uint64_t number, last_due_ns, wire_free_ns;
	uint32_t count, free_count;
	struct lane_held held[LANE_HELD_MAX]; /* a heap, the next to go out first */
	struct frame *free[LANE_HELD_MAX];
};

/* Ends the program when there is no memory. FINI: when nothing is held. */
void lane_init(struct lane *lane, uint64_t seed);
void lane_fini(struct lane *lane);

/* Takes a copy of FRAME, or loses it. False: its sender is to be told that it is too big. */
bool lane_put(struct lane *lane, const struct frame *frame, uint64_t now_ns);

/* The next frame that is due, or NULL; valid until the next call. */
const struct frame *lane_get(struct lane *lane, uint64_t now_ns);

/* When the next one is due; UINT64_MAX: none is held. */
uint64_t lane_due_ns(const struct lane *lane);

#endif
