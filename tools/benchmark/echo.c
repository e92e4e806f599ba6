/*
 * gyr-bench-echo: what a round trip over a DPDK port costs when nothing is done with a frame but to send it back. The floor that tools/bench divides by.
 *
 *     gyr-bench-echo CPU DEVARGS [EAL-ARGUMENT...]
 *
 * where the arguments say which memory: --in-memory with hugepages, --no-huge -m 64 without.
 *
 * Opens the port DEVARGS (a PCI address or a vdev), swaps the Ethernet, IPv4 and UDP addresses of every frame, and sends it back, on one busy CPU, until SIGINT
 * or SIGTERM. Swapping leaves checksums as they were. Prints "ready" when frames are taken, and at the end how many were.
 */
#include <errno.h>
#include <inttypes.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip4.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/port/quiet.h"

#define MBUFS 8191u
#define RING_ENTRIES 1024u
#define BURST 32u
#define EAL_ARGUMENTS_MAX 32

static atomic_bool stop;

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&stop, true, memory_order_relaxed);
}

static void turn_back(struct rte_mbuf *mbuf)
{
	struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(ether + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	if (mbuf->data_len < sizeof *ether)
		return;
	RTE_SWAP(ether->src_addr, ether->dst_addr);
	if (mbuf->data_len < sizeof *ether + sizeof *ip + sizeof *udp || ether->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
	    ip->version_ihl != RTE_IPV4_VHL_DEF || ip->next_proto_id != IPPROTO_UDP)
		return;
	RTE_SWAP(ip->src_addr, ip->dst_addr);
	RTE_SWAP(udp->src_port, udp->dst_port);
}

static uint64_t echo(uint16_t port)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t total = 0;
	gyr_quiet_begin();
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		gyr_quiet_turn();
		uint16_t count = rte_eth_rx_burst(port, 0, mbufs, BURST);
		if (count == 0)
			continue;
		for (uint16_t i = 0; i < count; i++)
			turn_back(mbufs[i]);
		uint16_t sent = rte_eth_tx_burst(port, 0, mbufs, count);
		rte_pktmbuf_free_bulk(mbufs + sent, (unsigned)(count - sent));
		total += sent;
	}
	gyr_quiet_end();
	return total;
}

static int start_port(uint16_t port, struct rte_mempool *pool)
{
	const struct rte_eth_conf plain = {0};
	int status = rte_eth_dev_configure(port, 1, 1, &plain);
	if (status == 0)
		status = rte_eth_rx_queue_setup(port, 0, RING_ENTRIES, SOCKET_ID_ANY, NULL, pool);
	if (status == 0)
		status = rte_eth_tx_queue_setup(port, 0, RING_ENTRIES, SOCKET_ID_ANY, NULL);
	return status == 0 ? rte_eth_dev_start(port) : status;
}

static int start_eal(char *cpu, int count, char **extra)
{
	char *arguments[EAL_ARGUMENTS_MAX] = {(char[]){"gyr-bench-echo"},     (char[]){"-l"}, cpu, (char[]){"--no-shconf"}, (char[]){"--no-telemetry"},
					      (char[]){"--log-level=*:error"}};
	int used = 6;
	if (count > EAL_ARGUMENTS_MAX - used) {
		rte_errno = E2BIG;
		return -1;
	}
	memcpy(arguments + used, extra, (size_t)count * sizeof *extra);
	return rte_eal_init(used + count, arguments);
}

int main(int argc, char **argv)
{
	struct rte_dev_iterator iterator;
	uint16_t port;
	if (argc < 3) {
		fputs("usage: gyr-bench-echo CPU DEVARGS [EAL-ARGUMENT...]\n", stderr);
		return 2;
	}
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (start_eal(argv[1], argc - 3, argv + 3) < 0) {
		fprintf(stderr, "gyr-bench-echo: DPDK did not start: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	int status = rte_dev_probe(argv[2]);
	RTE_ETH_FOREACH_MATCHING_DEV(port, argv[2], &iterator)
	{
		rte_eth_iterator_cleanup(&iterator);
		break;
	}
	struct rte_mempool *pool = rte_pktmbuf_pool_create("echo", MBUFS, BURST, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (status == 0)
		status = pool == NULL ? -rte_errno : start_port(port, pool);
	if (status != 0) {
		fprintf(stderr, "gyr-bench-echo: %s: %s\n", argv[2], strerror(-status));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	printf("%" PRIu64 " frames\n", echo(port));
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	rte_mempool_free(pool);
	return 0; /* DPDK's environment ends with the process: see dataplane/port/eal.h */
}
