/* Where each lcore, queue and port of a loop counts, and what the house thread copies there from the drivers. */
#include <stdio.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "dataplane/loop/loop_internal.h"
#include "dataplane/loop/models.h"
#include "dataplane/port/said.h"

/* The only lane of a slot that is taken and shown with HEAD. There are as many slots as things to count. */
static void *give(struct gyr_loop *loop, enum gyr_counters_table table, const void *head)
{
	int slot = gyr_stats_take(loop->stats, (uint32_t)table);
	GYR_ASSERT(slot >= 0);
	gyr_stats_show(loop->stats, (uint32_t)table, slot, head);
	return gyr_stats_lane(loop->stats, (uint32_t)table, slot, 0);
}

static void port_name(const struct gyr_port *port, char name[64])
{
	_Static_assert(RTE_ETH_NAME_MAX_LEN <= 64, "DPDK's names fit");
	if (rte_eth_dev_get_name_by_port(port->id, name) != 0)
		snprintf(name, 64, "port %u", port->id);
}

static void give_lcore(struct gyr_loop *loop, struct gyr_lcore *lcore)
{
	struct gyr_lcore_head head = {.lcore = lcore->lcore, .cpu = lcore->cpu};
	snprintf(head.roles, sizeof head.roles, "%s", lcore->io && lcore->engine ? "io+engine" : lcore->io ? "io" : "engine");
	lcore->counters = give(loop, GYR_COUNTERS_LCORES, &head);
	for (uint32_t q = 0; q < lcore->queue_count; q++) {
		struct gyr_queue_head queue = {.queue = lcore->queues[q].queue, .lcore = lcore->lcore};
		port_name(&loop->ports[lcore->queues[q].port], queue.port);
		lcore->queues[q].counters = give(loop, GYR_COUNTERS_RX, &queue);
	}
	for (uint32_t p = 0; p < loop->port_count; p++) {
		struct gyr_queue_head queue = {.queue = (uint64_t)lcore->tx[p].queue, .lcore = lcore->lcore};
		if (lcore->tx[p].queue < 0)
			continue;
		port_name(&loop->ports[p], queue.port);
		lcore->tx[p].counters = give(loop, GYR_COUNTERS_TX, &queue);
	}
}

static void give_port(struct gyr_loop *loop, uint32_t p)
{
	const struct gyr_port *port = &loop->ports[p];
	struct gyr_port_head head = {.queues = port->rx_queues, .tx_queues = port->tx_queues, .mbufs = port->pool->size};
	uint32_t ip = loop->config->address;
	port_name(port, head.name);
	snprintf(head.devargs, sizeof head.devargs, "%s", port->devargs);
	rte_ether_format_addr(head.mac, sizeof head.mac, &port->mac);
	snprintf(head.address, sizeof head.address, "%u.%u.%u.%u/%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255, loop->config->prefix);
	loop->port_counters[p] = give(loop, GYR_COUNTERS_PORTS, &head);
}

int gyr_counting_init(struct gyr_loop *loop, struct gyr_error *error)
{
	uint32_t rx = 0, tx = 0;
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		rx += loop->lcores[i].queue_count;
		for (uint32_t p = 0; p < loop->port_count; p++)
			tx += loop->lcores[i].tx[p].queue >= 0;
	}
	int status =
		gyr_counters_create(loop->lcore_count, rx, tx, loop->port_count, GYR_MODELS_MAX, loop->engine_count, rte_get_tsc_hz(), &loop->stats, error);
	if (status != 0)
		return status;
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		give_lcore(loop, &loop->lcores[i]);
	for (uint32_t p = 0; p < loop->port_count; p++)
		give_port(loop, p);
	const struct gyr_house_head house = {.hugepages = loop->eal.hugepages};
	loop->house_counters = give(loop, GYR_COUNTERS_HOUSE, &house);
	gyr_loop_copy_stats(loop);
	return 0;
}

int gyr_loop_stats(const struct gyr_loop *loop)
{
	return gyr_stats_descriptor(loop->stats);
}

static void set(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

static void copy_link(const struct gyr_port *port, struct gyr_port_counters *counters)
{
	bool up = gyr_port_link_up(port), was_up = atomic_load_explicit(&counters->link_up, memory_order_relaxed) != 0;
	set(&counters->link_up, up);
	if (up == was_up || atomic_load_explicit(&counters->copied_ns, memory_order_relaxed) == 0)
		return;
	gyr_counter_add(&counters->link_changes, 1);
	gyr_log_info("port %s: the link is %s", port->devargs, up ? "up" : "down");
}

void gyr_loop_copy_stats(struct gyr_loop *loop)
{
	for (uint32_t p = 0; p < loop->port_count; p++) {
		struct gyr_port_counters *counters = loop->port_counters[p];
		struct rte_eth_stats stats = {0};
		copy_link(&loop->ports[p], counters);
		set(&counters->mbufs_used, rte_mempool_in_use_count(loop->ports[p].pool));
		set(&counters->copied_ns, gyr_clock_ns());
		/* A driver whose device was taken away would say so each time. */
		gyr_said_keep();
		int status = rte_eth_stats_get(loop->ports[p].id, &stats);
		gyr_said_end();
		if (status != 0)
			continue;
		set(&counters->received, stats.ipackets);
		set(&counters->received_bytes, stats.ibytes);
		set(&counters->sent, stats.opackets);
		set(&counters->sent_bytes, stats.obytes);
		set(&counters->missed, stats.imissed);
		set(&counters->no_buffer, stats.rx_nombuf);
		set(&counters->receive_errors, stats.ierrors);
		set(&counters->send_errors, stats.oerrors);
	}
}
