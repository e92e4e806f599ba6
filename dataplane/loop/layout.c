/*
 * Who does what: which lcore polls which RX queue, which io lcore a client's datagrams belong to, which engine lcores an io lcore feeds, and through which TX
 * queue each lcore sends. Made once, before the lcores run. What an lcore alone uses lies in the memory of its NUMA node.
 */
#include "dataplane/loop/layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "dataplane/loop/backlog.h"
#include "dataplane/loop/idle.h"

/* LCORE's ring of KIND, emptied by CONSUMER. */
static int make_ring(const char *kind, const struct gyr_lcore *lcore, const struct gyr_lcore *consumer, uint32_t entries, unsigned flags,
		     struct rte_ring **ring, struct gyr_error *error)
{
	char name[RTE_RING_NAMESIZE];
	snprintf(name, sizeof name, "gyr-%s-%u", kind, lcore->lcore);
	*ring = rte_ring_create(name, entries, consumer->node, flags | RING_F_EXACT_SZ);
	return *ring != NULL ? 0
			     : gyr_error_set(error, -ENOMEM, "no memory for a ring of %u %s: raise memory_mb, or lower ring_entries or mbufs", entries, kind);
}

static uint32_t count_io(const struct gyr_loop *loop)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		count += loop->lcores[i].io;
	return count;
}

int gyr_layout_lcores(struct gyr_loop *loop, struct gyr_error *error)
{
	loop->lcores = gyr_node_map(loop->eal.hot_count * sizeof *loop->lcores);
	if (loop->lcores == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the lcores");
	loop->lcore_count = loop->eal.hot_count;
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		const struct gyr_eal_lcore *hot = &loop->eal.hot[i];
		struct gyr_lcore *lcore = &loop->lcores[i];
		int node = (int)rte_lcore_to_socket_id(hot->lcore);
		gyr_node_prefer(lcore, sizeof *lcore, node);
		lcore->loop = loop;
		lcore->node = node;
		lcore->lcore = hot->lcore;
		lcore->cpu = hot->cpu;
		lcore->io = hot->io;
		lcore->engine = hot->engine;
		lcore->yields = hot->shares_cpu;
		if (!hot->engine)
			continue;
		lcore->engine_index = loop->engine_count++;
		loop->engine_nodes[lcore->engine_index] = node;
	}
	loop->io_count = count_io(loop);
	return 0;
}

int gyr_layout_io_socket(const struct gyr_loop *loop)
{
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		if (loop->lcores[i].io)
			return loop->lcores[i].node;
	}
	return SOCKET_ID_ANY;
}

/* Gives every RX queue of every port to an io lcore, in turn. */
static void share_queues(struct gyr_loop *loop)
{
	uint32_t next = 0;
	for (uint32_t p = 0; p < loop->port_count; p++) {
		for (uint16_t q = 0; q < loop->ports[p].rx_queues; q++) {
			while (!loop->lcores[next % loop->lcore_count].io)
				next++;
			struct gyr_lcore *lcore = &loop->lcores[next++ % loop->lcore_count];
			lcore->queues[lcore->queue_count].port = (uint16_t)p;
			lcore->queues[lcore->queue_count++].queue = q;
		}
	}
}

/*
 * Where the ports alone would not do, datagrams are spread over the io lcores in software, by client: when an io lcore has no queue, which would leave it idle,
 * or when a port deals one client's datagrams out to several queues, which would part what belongs together.
 */
static int spread_clients(struct gyr_loop *loop, struct gyr_error *error)
{
	bool needed = false;
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		needed = needed || (loop->lcores[i].io && loop->lcores[i].queue_count == 0);
	for (uint32_t p = 0; p < loop->port_count; p++)
		needed = needed || !loop->ports[p].keeps_flows;
	if (!needed || loop->io_count == 1)
		return 0;
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		struct gyr_lcore *lcore = &loop->lcores[i];
		if (!lcore->io)
			continue;
		int status = make_ring("datagrams", lcore, lcore, loop->config->ring_entries, RING_F_SC_DEQ, &lcore->handed, error);
		if (status != 0)
			return status;
		lcore->owners = calloc(loop->io_count, sizeof *lcore->owners);
		if (lcore->owners == NULL)
			return gyr_error_set(error, -ENOMEM, "no memory for the lcores");
		for (uint32_t t = 0; t < loop->lcore_count; t++) {
			if (loop->lcores[t].io)
				lcore->owners[lcore->owner_count++].lcore = &loop->lcores[t];
		}
	}
	return 0;
}

/* The queues of LCORE, on its node. */
static bool make_backlog(struct gyr_lcore *lcore)
{
	gyr_node_enter(gyr_node_bit(lcore->node));
	lcore->backlog = gyr_backlog_create(lcore->loop->config, lcore->loop->tsc_per_us);
	gyr_node_leave();
	return lcore->backlog != NULL;
}

/*
 * Who feeds whom. Where every lcore is fused, each feeds itself: what it received stays in its cache. Otherwise every io lcore feeds every engine lcore.
 */
static int connect_requests(struct gyr_loop *loop, struct gyr_error *error)
{
	bool all_fused = true;
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		all_fused = all_fused && loop->lcores[i].io && loop->lcores[i].engine;
	unsigned flags = RING_F_SC_DEQ | (all_fused || loop->io_count == 1 ? RING_F_SP_ENQ : 0);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		struct gyr_lcore *lcore = &loop->lcores[i];
		int status = lcore->engine ? make_ring("requests", lcore, lcore, loop->config->ring_entries, flags, &lcore->requests, error) : 0;
		if (status != 0)
			return status;
		if (lcore->engine && !make_backlog(lcore))
			return gyr_error_set(error, -ENOMEM, "no memory for the queues of %u requests: lower ring_entries", loop->config->ring_entries);
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

/* An lcore that has no TX queue of some port sends through OWNER, an io lcore that has one of each. */
static int send_through(struct gyr_loop *loop, struct gyr_lcore *lcore, struct gyr_lcore *owner, struct gyr_error *error)
{
	/* As many as there are buffers: it never fills, so that no answer is lost while OWNER is busy. */
	int status = make_ring("replies", lcore, owner, loop->port_count * loop->config->mbufs, RING_F_SP_ENQ | RING_F_SC_DEQ, &lcore->outbox, error);
	if (status != 0)
		return status;
	struct rte_ring **inboxes = realloc(owner->inboxes, (owner->inbox_count + 1) * sizeof(struct rte_ring *));
	if (inboxes == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the lcores");
	lcore->sender = owner;
	owner->inboxes = inboxes;
	owner->inboxes[owner->inbox_count++] = lcore->outbox;
	return 0;
}

/* The rule for TX queues that loop.h gives. */
static int share_tx(struct gyr_loop *loop, struct gyr_error *error)
{
	struct gyr_lcore *order[GYR_EAL_HOT_MAX];
	uint32_t least = UINT32_MAX, io_used = 0, used = loop->io_count;
	for (uint32_t p = 0; p < loop->port_count; p++)
		least = RTE_MIN(least, loop->ports[p].tx_queues);
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		order[loop->lcores[i].io ? io_used++ : used++] = &loop->lcores[i];
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		for (uint32_t p = 0; p < loop->port_count; p++)
			order[i]->tx[p].queue = i < loop->ports[p].tx_queues ? (int32_t)i : -1;
		if (i < least)
			continue;
		int status = send_through(loop, order[i], order[i % RTE_MIN(least, loop->io_count)], error);
		if (status != 0)
			return status;
	}
	return 0;
}

int gyr_layout_connect(struct gyr_loop *loop, struct gyr_error *error)
{
	share_queues(loop);
	int status = spread_clients(loop, error);
	if (status == 0)
		status = connect_requests(loop, error);
	if (status == 0)
		status = share_tx(loop, error);
	for (uint32_t i = 0; i < loop->lcore_count && status == 0; i++)
		status = gyr_idle_init(&loop->lcores[i], error);
	return status;
}

void gyr_layout_free(struct gyr_loop *loop)
{
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		struct gyr_lcore *lcore = &loop->lcores[i];
		gyr_idle_fini(lcore);
		rte_ring_free(lcore->handed);
		rte_ring_free(lcore->requests);
		rte_ring_free(lcore->outbox);
		gyr_backlog_destroy(lcore->backlog);
		free(lcore->owners);
		free(lcore->targets);
		free(lcore->inboxes);
	}
	gyr_node_unmap(loop->lcores, loop->lcore_count * sizeof *loop->lcores);
}
