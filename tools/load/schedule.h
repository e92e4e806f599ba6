/* When the questions of an open loop are due. It knows nothing of answers: that keeps it free of coordinated omission. */
#ifndef GYR_TOOLS_LOAD_SCHEDULE_H
#define GYR_TOOLS_LOAD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct load_schedule {
	uint64_t start_ns, random;
	double gap_ns, next_ns; /* next: after the start */
	uint64_t count;
	bool poisson;
};

/* RATE a second from START_NS on: evenly, or as a Poisson process, whose gaps are exponential. The first is due at the start, or one gap after it. */
void load_schedule_start(struct load_schedule *schedule, double rate, bool poisson, uint64_t seed, uint64_t start_ns);

/* When the next is due; STEP goes on to the one after it. */
uint64_t load_schedule_due_ns(const struct load_schedule *schedule);
void load_schedule_step(struct load_schedule *schedule);

/* A random number (splitmix64: Steele, Lea, Flood 2014), and the same from 0 up to, not with, 1. */
uint64_t load_random(uint64_t *state);
double load_random_unit(uint64_t *state);

#endif
