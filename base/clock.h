/*
 * Time. Durations and instants are uint64_t nanoseconds of CLOCK_MONOTONIC unless a name says otherwise.
 */
#ifndef GYR_BASE_CLOCK_H
#define GYR_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define GYR_NS_PER_S UINT64_C(1000000000)
#define GYR_NS_PER_MS UINT64_C(1000000)
#define GYR_NS_PER_US UINT64_C(1000)

/* Nanoseconds since an arbitrary start that all processes of this machine share. Any thread; about 20 ns. */
static inline uint64_t gyr_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * GYR_NS_PER_S + (uint64_t)now.tv_nsec;
}

#endif
