/*
 * Profiles: see infer_profile.h. In its place each step stands between two readings of the clock, whose own cost is taken off.
 */
#include "tools/benchmark/infer_profile.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/benchmark/infer_machine.h"

#define PROFILE_NS (400 * GYR_NS_PER_MS)
#define PROFILE_RUNS_MIN 3u
#define STEP_NS (GYR_NS_PER_MS / 2)

static uint64_t wall_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * GYR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void run_step(const struct contest *contest, uint32_t index)
{
	gyr_plan_step_run(contest->plan, contest->rows, index, (const void *const *)contest->inputs, contest->outputs, contest->scratch);
}

double profile_time_step(const struct contest *contest, uint32_t index)
{
	uint64_t runs = 0, block = 1, begun = machine_own_ns(), now = begun;
	run_step(contest, index);
	for (begun = now = machine_own_ns(); now - begun < STEP_NS || runs == 0; now = machine_own_ns(), runs += block, block = block < 64 ? block * 2 : block)
		for (uint64_t i = 0; i < block; i++)
			run_step(contest, index);
	return (double)(now - begun) / (double)runs;
}

/* The least of several times of nothing at all. */
static uint64_t clock_cost(void)
{
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < 1000; i++) {
		uint64_t begun = wall_ns(), took = wall_ns() - begun;
		least = took < least ? took : least;
	}
	return least;
}

void profile_print(const char *prefix, const struct contest *contest)
{
	uint32_t count = gyr_plan_step_count(contest->plan, contest->rows);
	double *total = calloc(count + 1, sizeof *total), sum = 0;
	uint64_t begun = wall_ns(), cost = clock_cost(), runs = 0;
	if (total == NULL)
		return;
	for (; runs < PROFILE_RUNS_MIN || wall_ns() - begun < PROFILE_NS; runs++) {
		for (uint32_t i = 0; i < count; i++) {
			uint64_t before = wall_ns();
			run_step(contest, i);
			uint64_t took = wall_ns() - before;
			total[i] += took > cost ? (double)(took - cost) : 0;
		}
	}
	for (uint32_t i = 0; i < count; i++)
		sum += total[i];
	for (uint32_t i = 0; i < count; i++) {
		struct gyr_plan_step step = gyr_plan_step_at(contest->plan, contest->rows, i);
		double ns = total[i] / (double)runs;
		printf("%s.step\t%.0f\t%.1f%%\t%s\t%s", prefix, ns, sum > 0 ? 100 * total[i] / sum : 0, step.op, step.node);
		if (step.operations > 0 && ns > 0)
			printf("\t%.1f GFLOP/s, %.1f GB/s", step.operations / ns, step.weight_bytes / ns);
		printf("\n");
	}
	printf("%s.steps\t%.0f\tns in %u steps\n", prefix, sum / (double)runs, count);
	free(total);
}
