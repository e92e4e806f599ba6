/*
 * Where Gyr's time goes in a net, step by step.
 */
#ifndef GYR_TOOLS_BENCHMARK_INFER_PROFILE_H
#define GYR_TOOLS_BENCHMARK_INFER_PROFILE_H

#include "engine/plan/profile.h"
#include "tools/benchmark/infer_contest.h"

/* Nanoseconds that step INDEX takes by itself, over and over. CONTEST has run, and all its rows in one run. */
double profile_time_step(const struct contest *contest, uint32_t index);

/* Prints a line a step, "PREFIX.step<TAB>ns<TAB>share<TAB>operator<TAB>node<TAB>GFLOP/s, GB/s of weights", each in its place among the others, and their sum.
 */
void profile_print(const char *prefix, const struct contest *contest);

#endif
