#include "engine/train/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t mixed = (*state += UINT64_C(0x9e3779b97f4a7c15));
	mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ (mixed >> 31);
}

static uint64_t rotate(uint64_t bits, int by)
{
	return bits << by | bits >> (64 - by);
}

void gyr_random_init(struct gyr_random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		random->state[i] = splitmix64(&seed);
}

uint64_t gyr_random_next(struct gyr_random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate(s[3], 45);
	return result;
}

uint32_t gyr_random_below(struct gyr_random *random, uint32_t bound)
{
	uint32_t least = -bound % bound;
	uint64_t product;
	do
		product = (gyr_random_next(random) >> 32) * bound;
	while ((uint32_t)product < least);
	return (uint32_t)(product >> 32);
}

double gyr_random_uniform(struct gyr_random *random)
{
	return (double)(gyr_random_next(random) >> 11) * 0x1p-53;
}

double gyr_random_normal(struct gyr_random *random)
{
	/* 1 - u is never 0, whose logarithm would not be finite. */
	double radius = sqrt(-2 * log(1 - gyr_random_uniform(random)));
	return radius * cos(2 * M_PI * gyr_random_uniform(random));
}
