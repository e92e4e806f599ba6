/* Making and freeing the data path: DPDK, the ports, and by layout.c the lcores. run.c runs it. */
#include "dataplane/loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/clock.h"
#include "dataplane/loop/large.h"
#include "dataplane/loop/layout.h"

static int start_ports(struct gyr_loop *loop, struct gyr_error *error)
{
	const struct gyr_config *config = loop->config;
	const struct gyr_port_wishes wishes = {
		.rx_queues = loop->io_count, .tx_queues = loop->lcore_count, .private_bytes = sizeof(struct gyr_request), .socket = gyr_layout_io_socket(loop)};
	loop->payload_max = UINT32_MAX;
	for (uint32_t p = 0; p < config->port_count; p++) {
		struct gyr_port *port = &loop->ports[p];
		int status = gyr_port_start(config, p, &wishes, port, error);
		if (status != 0)
			return status;
		loop->port_count++;
		loop->port_index[port->id] = (uint8_t)p;
		gyr_net_host_init(&loop->hosts[p], config, &port->mac, port->tx_offloads);
		struct rte_ether_addr groups[GYR_NET_GROUPS];
		gyr_port_join(port, groups, gyr_net_groups(&loop->hosts[p], groups));
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
	status = gyr_layout_lcores(made, error);
	if (status == 0)
		status = start_ports(made, error);
	if (status == 0)
		status = gyr_layout_connect(made, error);
	if (status == 0)
		status = gyr_large_create(made, error);
	if (status == 0)
		status = gyr_route_cell_init(&made->route, made->engine_count, error);
	if (status == 0)
		status = gyr_counting_init(made, error);
	if (status != 0) {
		gyr_loop_destroy(made);
		return status;
	}
	*loop = made;
	return 0;
}

bool gyr_loop_moved(struct gyr_loop *loop)
{
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		if (atomic_load_explicit(&loop->lcores[i].counters->polls, memory_order_relaxed) == loop->lcores[i].turns_seen)
			return false;
	}
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		loop->lcores[i].turns_seen = atomic_load_explicit(&loop->lcores[i].counters->polls, memory_order_relaxed);
	return true;
}

void gyr_loop_restore(struct gyr_loop *loop, bool restoring)
{
	atomic_store_explicit(&loop->restoring, restoring, memory_order_relaxed);
}

void gyr_loop_destroy(struct gyr_loop *loop)
{
	if (loop->route.readers != NULL)
		gyr_route_cell_fini(&loop->route);
	for (uint32_t p = 0; p < loop->port_count; p++)
		gyr_port_stop(&loop->ports[p]);
	gyr_large_destroy(loop);
	gyr_layout_free(loop);
	gyr_stats_destroy(loop->stats);
	free(loop);
}
