/*
 * Random numbers that a seed repeats on any machine: xoshiro256** started by splitmix64. Source: Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2021. Not for secrets.
 */
#ifndef GYR_ENGINE_TRAIN_RANDOM_H
#define GYR_ENGINE_TRAIN_RANDOM_H

#include <stdint.h>

struct gyr_random {
	uint64_t state[4]; /* never all zero */
};

/* Starts the sequence that belongs to SEED (any number). */
void gyr_random_init(struct gyr_random *random, uint64_t seed);

/* 64 random bits. */
uint64_t gyr_random_next(struct gyr_random *random);

/* A number from 0 to BOUND - 1, each equally likely (Lemire, "Fast random integer generation in an interval", 2019). BOUND is 1 or more. */
uint32_t gyr_random_below(struct gyr_random *random, uint32_t bound);

/* Uniform in [0, 1), in steps of 2^-53. */
double gyr_random_uniform(struct gyr_random *random);

/* From the normal distribution of mean 0 and variance 1 (Box and Muller, 1958; one of each pair is used). */
double gyr_random_normal(struct gyr_random *random);

#endif
