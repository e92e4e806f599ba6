/*
 * One port: any DPDK device by its devargs. The house thread starts and stops it; between, each of its queues belongs to one lcore.
 */
#ifndef GYR_DATAPLANE_PORT_PORT_H
#define GYR_DATAPLANE_PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mempool.h>

#include "base/config.h"
#include "base/error.h"

struct gyr_port {
	char devargs[GYR_CONFIG_TEXT_MAX];
	uint16_t id;          /* DPDK's */
	uint16_t rx_queues;   /* 1 to GYR_CONFIG_QUEUES_MAX */
	uint16_t tx_queues;   /* 1 or more */
	uint64_t tx_offloads; /* what it does on the way out: RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, _UDP_CKSUM, _VLAN_INSERT, or nothing */
	bool started;
	bool interrupts;  /* asked for, for whoever sleeps; not every port has them */
	bool keeps_flows; /* what one client sends comes in by one RX queue */
	struct rte_ether_addr mac;
	struct rte_mempool *pool;
};

/* What the lcores would like of a port. */
struct gyr_port_wishes {
	uint32_t rx_queues, tx_queues; /* so many lcores poll, and send */
	uint32_t private_bytes;        /* of each buffer */
	int socket;                    /* the NUMA node for a port that has none; SOCKET_ID_ANY: anywhere */
};

/*
 * Brings up port INDEX of the configuration: probes it, gives it its own buffers on its own NUMA node, RSS (by a key that gives both directions of a
 * flow one queue) and checksum offload where it has them, queues, MTU. RX queues are config->queues, or fewer where the port has fewer (logged); a memif port
 * has one, and a physical port that has RSS as many as WISHES has, if that is more. A physical port gets as many TX queues as WISHES has, where it has
 * them; the queues of a virtual one come in pairs. Every message names the devargs. -ENODEV: no such device, or no driver took it; -ENOMEM: too few mbufs
 * or too little memory; -EINVAL or DPDK's own errno: it refused a setting. On failure nothing is left.
 */
GYR_MUST_CHECK int gyr_port_start(const struct gyr_config *config, uint32_t index, const struct gyr_port_wishes *wishes, struct gyr_port *port,
				  struct gyr_error *error);

/*
 * Has the port take frames to COUNT group addresses too: by their list, or else by taking all groups, or else all frames. A port that has none of this (memif)
 * takes everything. House thread.
 */
void gyr_port_join(struct gyr_port *port, struct rte_ether_addr *groups, uint32_t count);

/* Stops, closes and frees; nothing polls it any more. */
void gyr_port_stop(struct gyr_port *port);

/*
 * A descriptor that has an event when frames come in by RX queue QUEUE, while gyr_port_set_rx_interrupt has switched that on; the port's. -1: the port has
 * none, or config->idle did not ask for them. House thread.
 */
int gyr_port_rx_interrupt(const struct gyr_port *port, uint16_t queue);
/* On the lcore that polls QUEUE. Nothing happens where the port has none, or always has them on. */
void gyr_port_set_rx_interrupt(const struct gyr_port *port, uint16_t queue, bool on);

/* Whether the link (or the peer of a virtual port) is up now. House thread. */
bool gyr_port_link_up(const struct gyr_port *port);

#endif
