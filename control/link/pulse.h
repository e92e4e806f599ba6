/*
 * The data plane's pulse: whether it still moves, as its counters show without a word to it. What is counted are looks, not time, so that neither a gyrd nor a
 * machine that stood still itself takes that for the data plane's standstill. The loop's thread only.
 */
#ifndef GYR_CONTROL_LINK_PULSE_H
#define GYR_CONTROL_LINK_PULSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/link/stats.h"

#define GYR_PULSE_LCORES_MAX 128u

/* Something that counts up while all is well. */
struct gyr_pulse_beat {
	uint64_t value;
	uint32_t still; /* looks in a row that have seen the same */
};

struct gyr_pulse {
	uint32_t still_max;  /* looks that an lcore, or the house thread, may stand still for */
	uint32_t silent_max; /* looks that it may go on without having greeted anybody: it starts, or loads for a gyrd that was */
	pid_t pid;           /* that was looked at last */
	uint32_t silent;
	struct gyr_pulse_beat house, lcores[GYR_PULSE_LCORES_MAX];
	struct gyr_stats_reading *reading;
};

/* What is known at one look. */
struct gyr_pulse_look {
	pid_t pid;                         /* 0: there is no data plane */
	bool linked;                       /* it has greeted */
	bool asked;                        /* a request is under way, which has a time limit of its own */
	const struct gyr_stats_view *view; /* its counters; NULL, or those of another process: not known */
};

/* -ENOMEM. */
GYR_MUST_CHECK int gyr_pulse_init(struct gyr_pulse *pulse, uint32_t still_max, uint32_t silent_max, struct gyr_error *error);
void gyr_pulse_fini(struct gyr_pulse *pulse); /* all zero is fine */

/* Looks, at even intervals. True: it is stuck, and WHY (of SIZE bytes) says how. */
bool gyr_pulse_look(struct gyr_pulse *pulse, const struct gyr_pulse_look *look, char *why, size_t size);

#endif
