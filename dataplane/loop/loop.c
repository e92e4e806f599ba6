#include "dataplane/loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_pause.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "dataplane/loop/loop_internal.h"
#include "dataplane/port/quiet.h"

#define ACK_POLL_NS 20000

static struct rte_ring *make_ring(const char *kind, const struct gyr_lcore *lcore, uint32_t entries, unsigned flags)
{
	char name[RTE_RING_NAMESIZE];
	snprintf(name, sizeof name, "gyr-%s-%u", kind, lcore->lcore);
	return rte_ring_create(name, entries, SOCKET_ID_ANY, flags | RING_F_EXACT_SZ);
}

/* Gives every RX queue of every port to an io lcore, in turn. */
static int share_queues(struct gyr_loop *loop, struct gyr_error *error)
{
	uint32_t next = 0, io_count = 0;
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		io_count += loop->lcores[i].io;
	for (uint32_t p = 0; p < loop->port_count; p++) {
		for (uint16_t q = 0; q < loop->ports[p].rx_queues; q++) {
			while (!loop->lcores[next % loop->lcore_count].io)
				next++;
			struct gyr_lcore *lcore = &loop->lcores[next++ % loop->lcore_count];
			lcore->queues[lcore->queue_count].port = (uint16_t)p;
			lcore->queues[lcore->queue_count++].queue = q;
		}
	}
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		if (loop->lcores[i].io && loop->lcores[i].queue_count == 0)
			return gyr_error_set(error, -EINVAL,
					     "io_cpus names %u CPUs, and the ports have too few RX queues for CPU %u: raise queues, or name fewer", io_count,
					     loop->lcores[i].cpu);
	}
	return 0;
}

/*
 * Who feeds whom. Where every lcore is fused, each feeds itself: what it received stays in its cache. Otherwise every io lcore feeds every engine lcore.
 */
static int connect_requests(struct gyr_loop *loop, struct gyr_error *error)
{
	bool all_fused = true;
	uint32_t io_count = 0;
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		all_fused = all_fused && loop->lcores[i].io && loop->lcores[i].engine;
		io_count += loop->lcores[i].io;
	}
	unsigned flags = RING_F_SC_DEQ | (all_fused || io_count == 1 ? RING_F_SP_ENQ : 0);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		struct gyr_lcore *lcore = &loop->lcores[i];
		if (lcore->engine) {
			lcore->requests = make_ring("requests", lcore, loop->config->ring_entries, flags);
			if (lcore->requests == NULL)
				return gyr_error_set(error, -ENOMEM, "no memory for a ring of %u requests: raise memory_mb or lower ring_entries",
						     loop->config->ring_entries);
		}
		if (!lcore->io)
			continue;
		lcore->targets = calloc(loop->lcore_count, sizeof(struct gyr_lcore *));
		if (lcore->targets == NULL)
			return gyr_error_set(error, -ENOMEM, "no memory for the lcores");
		for (uint32_t t = 0; t < loop->lcore_count; t++) {
			if (loop->lcores[t].engine && (!all_fused || t == i))
				lcore->targets[lcore->target_count++] = &loop->lcores[t];
		}
	}
	return 0;
}

/* The rule for TX queues that loop.h gives. */
static int share_tx(struct gyr_loop *loop, struct gyr_error *error)
{
	struct gyr_lcore *order[GYR_EAL_HOT_MAX];
	uint32_t queues = UINT32_MAX, io_count = 0, used;
	for (uint32_t p = 0; p < loop->port_count; p++)
		queues = RTE_MIN(queues, loop->ports[p].tx_queues);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		if (loop->lcores[i].io)
			order[io_count++] = &loop->lcores[i];
	}
	used = io_count;
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		if (!loop->lcores[i].io)
			order[used++] = &loop->lcores[i];
	}
	for (uint32_t i = 0; i < used; i++) {
		struct gyr_lcore *lcore = order[i];
		lcore->tx_queue = i < queues ? (int)i : -1;
		if (lcore->tx_queue >= 0)
			continue;
		struct gyr_lcore *owner = order[i % RTE_MIN(queues, io_count)];
		lcore->outbox = make_ring("outbox", lcore, loop->config->ring_entries, RING_F_SP_ENQ | RING_F_SC_DEQ);
		struct rte_ring **inboxes = realloc(owner->inboxes, (owner->inbox_count + 1) * sizeof(struct rte_ring *));
		if (inboxes != NULL)
			owner->inboxes = inboxes;
		if (lcore->outbox == NULL || inboxes == NULL)
			return gyr_error_set(error, -ENOMEM, "no memory for a ring of %u replies: raise memory_mb or lower ring_entries",
					     loop->config->ring_entries);
		owner->inboxes[owner->inbox_count++] = lcore->outbox;
	}
	return 0;
}

static int make_lcores(struct gyr_loop *loop, struct gyr_error *error)
{
	loop->lcores = aligned_alloc(RTE_CACHE_LINE_SIZE, loop->eal.hot_count * sizeof *loop->lcores);
	if (loop->lcores == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the lcores");
	memset(loop->lcores, 0, loop->eal.hot_count * sizeof *loop->lcores);
	loop->lcore_count = loop->eal.hot_count;
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		const struct gyr_eal_lcore *hot = &loop->eal.hot[i];
		struct gyr_lcore *lcore = &loop->lcores[i];
		lcore->loop = loop;
		lcore->lcore = hot->lcore;
		lcore->cpu = hot->cpu;
		lcore->io = hot->io;
		lcore->engine = hot->engine;
		if (hot->engine)
			lcore->engine_index = loop->engine_count++;
	}
	return 0;
}

static int start_ports(struct gyr_loop *loop, struct gyr_error *error)
{
	const struct gyr_config *config = loop->config;
	loop->payload_max = UINT32_MAX;
	for (uint32_t p = 0; p < config->port_count; p++) {
		struct gyr_port *port = &loop->ports[p];
		int status = gyr_port_start(config, p, loop->lcore_count, sizeof(struct gyr_request), port, error);
		if (status != 0)
			return status;
		loop->port_count++;
		loop->port_index[port->id] = (uint8_t)p;
		gyr_net_host_init(&loop->hosts[p], &port->mac, config->address, config->prefix, config->udp_port, config->mtu);
		loop->payload_max = RTE_MIN(loop->payload_max, loop->hosts[p].payload_max);
	}
	return 0;
}

int gyr_loop_create(const struct gyr_config *config, struct gyr_loop **loop, struct gyr_error *error)
{
	struct gyr_loop *made = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the loop");
	memset(made, 0, sizeof *made);
	made->config = config;
	int status = gyr_eal_start(config, &made->eal, error);
	if (status != 0) {
		free(made);
		return status;
	}
	made->tsc_per_us = rte_get_tsc_hz() / 1000000;
	made->ns_per_tsc_32 = (uint64_t)(((unsigned __int128)GYR_NS_PER_S << 32) / rte_get_tsc_hz());
	status = make_lcores(made, error);
	if (status == 0)
		status = start_ports(made, error);
	if (status == 0)
		status = share_queues(made, error);
	if (status == 0)
		status = connect_requests(made, error);
	if (status == 0)
		status = share_tx(made, error);
	if (status == 0)
		status = gyr_route_cell_init(&made->route, made->engine_count, error);
	if (status != 0) {
		gyr_loop_destroy(made);
		return status;
	}
	*loop = made;
	return 0;
}

static void count_turn(struct gyr_lcore *lcore)
{
	gyr_counter_add(&lcore->counters.polls, 1);
	if (lcore->began_tsc == 0)
		return;
	gyr_counter_add(&lcore->counters.busy_tsc, rte_rdtsc() - lcore->began_tsc);
	lcore->began_tsc = 0;
}

/* Waits outside the ports while DPDK's interrupt thread is at work in them. */
static void wait_while_paused(struct gyr_lcore *lcore)
{
	atomic_store_explicit(&lcore->waiting, true, memory_order_release);        /* R6 pairs with A6 in pause_lcores */
	while (atomic_load_explicit(&lcore->loop->paused, memory_order_acquire)) { /* A7 pairs with R7 in resume_lcores */
		if (lcore->engine)
			gyr_route_report(&lcore->loop->route, lcore->engine_index);
		rte_pause();
	}
	atomic_store_explicit(&lcore->waiting, false, memory_order_relaxed);
}

static void pause_lcores(void *argument)
{
	struct gyr_loop *loop = argument;
	atomic_store_explicit(&loop->paused, true, memory_order_seq_cst);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		const struct gyr_lcore *lcore = &loop->lcores[i];
		/* One that has not started, or has ended, is in no port. */
		while (atomic_load_explicit(&lcore->running, memory_order_seq_cst) && !atomic_load_explicit(&lcore->waiting, memory_order_acquire)) /* A6 */
			rte_pause();
	}
}

static void resume_lcores(void *argument)
{
	struct gyr_loop *loop = argument;
	atomic_store_explicit(&loop->paused, false, memory_order_release); /* R7 pairs with A7 in wait_while_paused */
	/* So that the next pause does not take this one's word for its own. */
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		while (atomic_load_explicit(&loop->lcores[i].waiting, memory_order_relaxed))
			rte_pause();
	}
}

static int lcore_main(void *argument)
{
	struct gyr_lcore *lcore = argument;
	struct gyr_loop *loop = lcore->loop;
	if (lcore->engine) {
		gyr_plan_thread_init();
		gyr_route_reader_start(&loop->route, lcore->engine_index);
	}
	/* R3 pairs with A3 in gyr_loop_start: the reader is registered. Ordered before the first look at `paused`, as pause_lcores sets that before it looks
	 * here. */
	atomic_store_explicit(&lcore->running, true, memory_order_seq_cst);
	if (atomic_load_explicit(&loop->paused, memory_order_seq_cst))
		wait_while_paused(lcore);
	uint32_t acked = GYR_PHASE_RUN;
	while (acked != GYR_PHASE_END) {
		if (atomic_load_explicit(&loop->paused, memory_order_relaxed))
			wait_while_paused(lcore);
		uint32_t phase = atomic_load_explicit(&loop->phase, memory_order_acquire); /* A4 pairs with R4 in gyr_loop_drain */
		uint32_t work = 0;
		if (lcore->io && phase == GYR_PHASE_RUN)
			work += gyr_io_poll(lcore);
		if (lcore->engine)
			work += gyr_engine_poll(lcore);
		if (lcore->inbox_count > 0)
			work += gyr_send_poll(lcore);
		if (work > 0)
			gyr_send_flush(lcore);
		count_turn(lcore);
		if (phase != acked && work == 0) {
			acked = phase;
			atomic_store_explicit(&lcore->acked_phase, phase, memory_order_release); /* R5 pairs with A5 in all_acked */
		}
	}
	if (lcore->engine)
		gyr_route_reader_stop(&loop->route, lcore->engine_index);
	atomic_store_explicit(&lcore->running, false, memory_order_release);
	return 0;
}

void gyr_loop_start(struct gyr_loop *loop)
{
	loop->started_ns = gyr_clock_ns();
	loop->started_tsc = rte_rdtsc();
	gyr_quiet_set(pause_lcores, resume_lcores, loop);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		int status = rte_eal_remote_launch(lcore_main, &loop->lcores[i], loop->lcores[i].lcore);
		GYR_ASSERT(status == 0);
	}
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		while (!atomic_load_explicit(&loop->lcores[i].running, memory_order_acquire)) /* A3 pairs with R3 in lcore_main */
			nanosleep(&(struct timespec){.tv_nsec = ACK_POLL_NS}, NULL);
	}
}

static bool all_acked(const struct gyr_loop *loop, uint32_t phase)
{
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		if (atomic_load_explicit(&loop->lcores[i].acked_phase, memory_order_acquire) != phase) /* A5 pairs with R5 in lcore_main */
			return false;
	}
	return true;
}

bool gyr_loop_drain(struct gyr_loop *loop, uint64_t timeout_ns)
{
	uint64_t until_ns = gyr_clock_ns() + timeout_ns;
	for (uint32_t phase = GYR_PHASE_DRAIN; phase <= GYR_PHASE_END; phase++) {
		atomic_store_explicit(&loop->phase, phase, memory_order_release); /* R4 pairs with A4 in lcore_main */
		while (!all_acked(loop, phase)) {
			if (gyr_clock_ns() >= until_ns)
				return false;
			nanosleep(&(struct timespec){.tv_nsec = ACK_POLL_NS}, NULL);
		}
	}
	rte_eal_mp_wait_lcore();
	gyr_quiet_set(NULL, NULL, NULL);
	return true;
}

void gyr_loop_destroy(struct gyr_loop *loop)
{
	if (loop->route.readers != NULL)
		gyr_route_cell_fini(&loop->route);
	for (uint32_t p = 0; p < loop->port_count; p++)
		gyr_port_stop(&loop->ports[p]);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		struct gyr_lcore *lcore = &loop->lcores[i];
		rte_ring_free(lcore->requests);
		rte_ring_free(lcore->outbox);
		free(lcore->targets);
		free(lcore->inboxes);
	}
	free(loop->lcores);
	free(loop);
}
