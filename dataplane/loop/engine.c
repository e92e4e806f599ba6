/*
 * The engine part of an lcore: takes what has come through its ring. When nothing was queued and all that came can be computed together, it is, at once.
 * Otherwise requests are queued by model (backlog.c), and each turn computes one batch, so that the port and the ring are looked at between any two. Each
 * request's version is chosen once, when it leaves the queue to be computed, from the route table as it is then, read after the request was taken from the
 * ring: who was answered by a version is not answered by the one before it any more, on whatever lcore. Nothing that came from a table is kept from one turn to
 * the next. Where clients have allowances, every request goes through the queue, which knows them.
 *
 * Turning away takes time too. An lcore that spends more than its part on it leaves the port, and the ring, alone until it has computed enough: what then does
 * not fit into the port is lost there, at no cost. But whoever waits in the port waits behind everybody, so what was not spent is kept for a while: a burst, or
 * what came while the machine stood still, is turned away at once.
 */
#include "dataplane/loop/backlog.h"

#define REFUSING_PART 10u /* of the time spent on computing, one part may be spent on turning away */
#define PUT_OFF_MAX 16u   /* turns in a row that only take what the port has: about as many frames as a port holds */

/* Computes MBUFS when they fit into one turn of one version; else how many are left of them, to be queued. */
static uint32_t run_at_once(struct gyr_lcore *lcore, const struct gyr_route *route, struct rte_mbuf **mbufs, uint32_t count, uint64_t now)
{
	uint32_t left = 0, rows = 0;
	bool alike = true;
	for (uint32_t i = 0; i < count; i++) {
		if (!gyr_admit(lcore, route, mbufs[i], now))
			continue;
		mbufs[left++] = mbufs[i];
		rows += gyr_request_of(mbufs[left - 1])->rows;
		alike = alike && gyr_request_of(mbufs[left - 1])->version == gyr_request_of(mbufs[0])->version;
	}
	if (left == 0)
		return 0;
	const struct gyr_version *version = gyr_request_of(mbufs[0])->version;
	if (left > 1 && (!alike || rows > version->batch_turn || version->cuts[rows] != rows))
		return left;
	gyr_compute(lcore, mbufs, left, now);
	return 0;
}

/* Whether this turn only takes what has come: a fused lcore does, while its port has more. */
static bool puts_off(struct gyr_lcore *lcore)
{
	struct gyr_backlog *backlog = lcore->backlog;
	backlog->put_off = lcore->io_full && !lcore->behind && backlog->put_off < PUT_OFF_MAX ? backlog->put_off + 1 : 0;
	return backlog->put_off > 0;
}

/* Settles what this turn spent on turning away TAKEN - what was kept - against what it spent on computing. */
static void settle(struct gyr_lcore *lcore, uint32_t taken, uint64_t began_tsc, uint64_t end_tsc)
{
	struct gyr_backlog *backlog = lcore->backlog;
	uint64_t now = rte_rdtsc();
	if (backlog->refused > 0)
		backlog->debt_tsc += (int64_t)(gyr_tsc_since(began_tsc, end_tsc) * backlog->refused / taken);
	backlog->debt_tsc -= (int64_t)(gyr_tsc_since(end_tsc, now) / REFUSING_PART);
	const int64_t credit_max = (int64_t)(backlog->limits.interval / 2), debt_max = (int64_t)(backlog->limits.interval / REFUSING_PART);
	backlog->debt_tsc = RTE_MAX(backlog->debt_tsc, -credit_max);
	backlog->debt_tsc = RTE_MIN(backlog->debt_tsc, debt_max);
	lcore->behind = backlog->debt_tsc > 0 && backlog->share.count > 0;
}

/* Queues COUNT requests and what else is in the ring, and computes a batch. How many it took from the ring. */
static uint32_t queue_and_run(struct gyr_lcore *lcore, const struct gyr_route *route, struct rte_mbuf **mbufs, uint32_t count, uint64_t now)
{
	struct gyr_backlog *backlog = lcore->backlog;
	uint32_t taken = 0, room = lcore->loop->config->ring_entries;
	backlog->refused = 0;
	while (count > 0) {
		for (uint32_t i = 0; i < count; i++)
			gyr_backlog_take(lcore, route, mbufs[i], now);
		taken += count;
		count = taken < room ? rte_ring_sc_dequeue_burst(lcore->requests, (void **)mbufs, GYR_LOOP_BURST, NULL) : 0;
	}
	/* What is turned away does not wait for what it is turned away for. */
	if (backlog->refused > 0)
		gyr_send_flush(lcore);
	uint64_t began_tsc = lcore->began_tsc, taken_tsc = taken > 0 ? rte_rdtsc() : now;
	/* Read again, after the last was taken from the ring: it may come from a client that another lcore has answered by a newer table than ROUTE. */
	bool ran = !puts_off(lcore) && gyr_backlog_run(lcore, gyr_route_read(&lcore->loop->route), taken_tsc);
	atomic_store_explicit(&lcore->queued, backlog->queues.count, memory_order_relaxed);
	if (ran || backlog->refused > 0)
		settle(lcore, taken, began_tsc, taken_tsc);
	return taken;
}

uint32_t gyr_engine_poll(struct gyr_lcore *lcore)
{
	struct gyr_loop *loop = lcore->loop;
	struct rte_mbuf *mbufs[GYR_LOOP_BURST];
	uint32_t waiting = lcore->backlog->queues.count, count = 0;
	unsigned left_in_ring = 0;
	if (!lcore->behind)
		count = rte_ring_sc_dequeue_burst(lcore->requests, (void **)mbufs, GYR_LOOP_BURST, &left_in_ring);
	uint32_t work = count + waiting;
	atomic_store_explicit(&lcore->counters->queued, work + left_in_ring, memory_order_relaxed);
	if (work > 0) {
		uint64_t now = lcore->parsed_tsc != 0 ? lcore->parsed_tsc : rte_rdtsc();
		lcore->parsed_tsc = 0;
		if (lcore->began_tsc == 0)
			lcore->began_tsc = now;
		const struct gyr_route *route = gyr_route_read(&loop->route);
		uint32_t left = count;
		if (waiting == 0 && !lcore->io_full && !gyr_route_delays(route) && lcore->backlog->allowances == NULL)
			left = run_at_once(lcore, route, mbufs, count, now);
		if (left > 0 || waiting > 0)
			queue_and_run(lcore, route, mbufs, left, now);
	}
	return work;
}
