/* Making and freeing the data path: lcores, ports, who feeds whom. run.c runs it. */
#include "dataplane/loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "dataplane/loop/loop_internal.h"

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
