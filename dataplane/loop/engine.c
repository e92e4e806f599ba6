/*
 * The engine part of an lcore: takes what has queued, chooses each request's version once, from the table as it is now, groups by version, and has the groups
 * computed.
 */
#include "dataplane/loop/loop_internal.h"

#define SERVICE_WEIGHT 16u /* of what was known before, against one new turn, in service_tsc */

/* Takes from MBUFS the first and all that can be computed with it; how many are left. */
static uint32_t run_group(struct gyr_lcore *lcore, struct rte_mbuf **mbufs, uint32_t count, uint64_t dequeued)
{
	struct rte_mbuf *group[GYR_LOOP_BURST];
	const struct gyr_version *version = gyr_request_of(mbufs[0])->version;
	uint32_t group_count = 0, left = 0, rows = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_request *request = gyr_request_of(mbufs[i]);
		if (request->version == version && rows + request->rows <= version->batch_max) {
			rows += request->rows;
			group[group_count++] = mbufs[i];
		} else {
			mbufs[left++] = mbufs[i];
		}
	}
	gyr_compute(lcore, group, group_count, dequeued);
	return left;
}

/* Answers those of MBUFS whose deadline passed while a group before them was computed; how many are left. */
static uint32_t drop_late(struct gyr_lcore *lcore, struct rte_mbuf **mbufs, uint32_t count)
{
	uint64_t now = rte_rdtsc();
	uint32_t left = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (gyr_is_late(lcore, gyr_request_of(mbufs[i]), now))
			gyr_refuse_late(lcore, mbufs[i]);
		else
			mbufs[left++] = mbufs[i];
	}
	return left;
}

uint32_t gyr_engine_poll(struct gyr_lcore *lcore)
{
	struct gyr_loop *loop = lcore->loop;
	struct rte_mbuf *mbufs[GYR_LOOP_BURST];
	unsigned left_behind = 0;
	uint32_t count = rte_ring_sc_dequeue_burst(lcore->requests, (void **)mbufs, GYR_LOOP_BURST, &left_behind);
	atomic_store_explicit(&lcore->counters->queued, count + left_behind, memory_order_relaxed);
	if (count > 0) {
		uint64_t now = rte_rdtsc();
		if (lcore->began_tsc == 0)
			lcore->began_tsc = now;
		const struct gyr_route *route = gyr_route_read(&loop->route);
		uint32_t left = 0;
		for (uint32_t i = 0; i < count; i++) {
			if (gyr_admit(lcore, route, mbufs[i], now))
				mbufs[left++] = mbufs[i];
		}
		while (left > 0) {
			left = run_group(lcore, mbufs, left, now);
			left = drop_late(lcore, mbufs, left);
		}
		uint64_t service = (rte_rdtsc() - now) / count, known = atomic_load_explicit(&lcore->service_tsc, memory_order_relaxed);
		uint64_t mean = (known * (SERVICE_WEIGHT - 1) + service) / SERVICE_WEIGHT;
		atomic_store_explicit(&lcore->service_tsc, mean < UINT32_MAX ? (uint32_t)mean : UINT32_MAX, memory_order_relaxed);
	}
	return count;
}
