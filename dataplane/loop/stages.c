/*
 * What became of each request that was computed, counted once its answer has been handed to the port: the client does not wait for the counting, and the turn's
 * one look at the clock after sending serves all of them.
 */
#include "dataplane/loop/loop_internal.h"

void gyr_stages_count(struct gyr_lcore *lcore, uint64_t now)
{
	const struct gyr_loop *loop = lcore->loop;
	for (uint32_t i = 0; i < lcore->done_count; i++) {
		struct gyr_version_counters *counters = lcore->done[i].counters;
		const struct gyr_stage_times *times = &lcore->done[i].times;
		const uint64_t cycles[GYR_STAGES] = {
			[GYR_STAGE_PARSED] = gyr_tsc_since(times->arrival, times->parsed),
			/* Another lcore's clock may be a little behind. */
			[GYR_STAGE_QUEUED] = gyr_tsc_since(times->parsed, times->begin),
			[GYR_STAGE_COMPUTED] = times->end - times->begin,
			[GYR_STAGE_SENT] = now - times->end,
			[GYR_STAGE_TOTAL] = gyr_tsc_since(times->arrival, now),
		};
		for (unsigned stage = 0; stage < GYR_STAGES; stage++)
			gyr_histogram_count(counters->stages[stage], &counters->stage_sums_ns[stage], gyr_loop_ns(loop, cycles[stage]));
	}
	lcore->done_count = 0;
}
