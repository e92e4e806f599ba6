/* A seeded source of chance: the same seed makes the same storm on every machine (splitmix64; Steele, Lea, Flood 2014). */
#ifndef GYR_TESTS_E2E_STORM_RANDOM_H
#define GYR_TESTS_E2E_STORM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct storm_random {
	uint64_t state;
};

static inline uint64_t storm_next(struct storm_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* 0 to N - 1. */
static inline uint32_t storm_below(struct storm_random *random, uint32_t n)
{
	return (uint32_t)((storm_next(random) >> 32) * n >> 32);
}

/* True in PERCENT of a hundred times. */
static inline bool storm_chance(struct storm_random *random, uint32_t percent)
{
	return storm_below(random, 100) < percent;
}

static inline void storm_fill(struct storm_random *random, uint8_t *to, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)storm_next(random);
}

#endif
