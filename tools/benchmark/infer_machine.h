/*
 * What this core can do, measured: the ceilings that times are divided by.
 */
#ifndef GYR_TOOLS_BENCHMARK_INFER_MACHINE_H
#define GYR_TOOLS_BENCHMARK_INFER_MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/clock.h"
#include "tools/benchmark/infer_figures.h"

enum machine_level { MACHINE_L1, MACHINE_L2, MACHINE_L3, MACHINE_MEMORY, MACHINE_LEVELS };

struct machine {
	char cpu[64];
	size_t cache_bytes[3];            /* by machine_level */
	double gigabytes[MACHINE_LEVELS]; /* read bandwidth, 10^9 bytes a second */
	double gigaflops;                 /* fused multiply-adds on f32, each counted as two */
};

/* Nanoseconds that this thread has had the core: what others take of it meanwhile does not count. About 0.3 us. */
static inline uint64_t machine_own_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * GYR_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Fills in the name and the sizes of the caches. */
void machine_describe(struct machine *machine);

/* Measures the rest and adds it to FIGURES. A second or so. */
void machine_measure(struct machine *machine, struct figures *figures);

/* The level that holds BYTES that are read over and over. */
enum machine_level machine_level_of(const struct machine *machine, size_t bytes);

#endif
