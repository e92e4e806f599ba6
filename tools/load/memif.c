/*
 * The way over a DPDK memif port: the smallest host that can ask over UDP. It finds the server by ARP (an echoing port has no address, so none is asked for
 * with --echo), answers ARP for itself, and sends and checks whole frames.
 */
#include <errno.h>
#include <rte_arp.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip4.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dataplane/port/quiet.h"
#include "tools/load/load.h"

#define MBUFS 8191u
#define RING_ENTRIES 1024u
#define FRAME_PAYLOAD_MAX (RTE_ETHER_MTU - sizeof(struct rte_ipv4_hdr) - sizeof(struct rte_udp_hdr))
#define CLIENT_PORT 49700u
#define LINK_WAIT_NS (10 * GYR_NS_PER_S)
#define ARP_EVERY_NS (100 * GYR_NS_PER_MS)

struct headers {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
};
_Static_assert(sizeof(struct headers) == 42, "as they follow each other in a frame");

struct memif {
	struct load_transport transport;
	uint16_t port;
	struct rte_mempool *pool;
	struct rte_ether_addr own, server;
	rte_be32_t own_ip, server_ip;
	bool server_known;
	struct headers headers; /* of every question, but for lengths and checksums */
	struct rte_mbuf *next;  /* being filled */
	struct rte_mbuf *staged[LOAD_BURST];
	unsigned staged_count;
};

static void memif_flush(struct load_transport *transport)
{
	struct memif *memif = (struct memif *)transport;
	unsigned sent = rte_eth_tx_burst(memif->port, 0, memif->staged, (uint16_t)memif->staged_count);
	/* A ring that is full loses what does not fit, as a wire would. */
	if (sent < memif->staged_count)
		rte_pktmbuf_free_bulk(memif->staged + sent, memif->staged_count - sent);
	memif->staged_count = 0;
}

static void stage(struct memif *memif, struct rte_mbuf *mbuf)
{
	memif->staged[memif->staged_count++] = mbuf;
	if (memif->staged_count == LOAD_BURST)
		memif_flush(&memif->transport);
}

static uint8_t *memif_buffer(struct load_transport *transport, size_t *size)
{
	struct memif *memif = (struct memif *)transport;
	if (memif->next == NULL)
		memif->next = rte_pktmbuf_alloc(memif->pool);
	if (memif->next == NULL)
		return NULL;
	*size = FRAME_PAYLOAD_MAX;
	return rte_pktmbuf_mtod_offset(memif->next, uint8_t *, sizeof(struct headers));
}

static void memif_send(struct load_transport *transport, size_t bytes)
{
	struct memif *memif = (struct memif *)transport;
	struct rte_mbuf *mbuf = memif->next;
	struct headers *headers = rte_pktmbuf_mtod(mbuf, struct headers *);
	memif->next = NULL;
	*headers = memif->headers;
	headers->udp.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof headers->udp + bytes));
	headers->ip.total_length = rte_cpu_to_be_16((uint16_t)(sizeof headers->ip + sizeof headers->udp + bytes));
	headers->ip.hdr_checksum = rte_ipv4_cksum(&headers->ip);
	headers->udp.dgram_cksum = rte_ipv4_udptcp_cksum(&headers->ip, &headers->udp);
	mbuf->data_len = (uint16_t)(sizeof *headers + bytes);
	mbuf->pkt_len = mbuf->data_len;
	stage(memif, mbuf);
}

static void send_arp(struct memif *memif, uint16_t opcode, const struct rte_ether_addr *to, rte_be32_t to_ip)
{
	static const struct rte_ether_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(memif->pool);
	if (mbuf == NULL)
		return;
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)rte_pktmbuf_append(mbuf, sizeof *ether + sizeof(struct rte_arp_hdr));
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(ether + 1);
	*ether = (struct rte_ether_hdr){
		.dst_addr = opcode == RTE_ARP_OP_REQUEST ? broadcast : *to, .src_addr = memif->own, .ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP)};
	*arp = (struct rte_arp_hdr){.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
				    .arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
				    .arp_hlen = RTE_ETHER_ADDR_LEN,
				    .arp_plen = sizeof(rte_be32_t),
				    .arp_opcode = rte_cpu_to_be_16(opcode)};
	arp->arp_data.arp_sha = memif->own;
	arp->arp_data.arp_sip = memif->own_ip;
	arp->arp_data.arp_tha = *to;
	arp->arp_data.arp_tip = to_ip;
	stage(memif, mbuf);
	memif_flush(&memif->transport);
}

static void take_arp(struct memif *memif, const struct rte_mbuf *mbuf)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod_offset(mbuf, const struct rte_arp_hdr *, sizeof(struct rte_ether_hdr));
	if (mbuf->data_len < sizeof(struct rte_ether_hdr) + sizeof *arp || arp->arp_data.arp_tip != memif->own_ip)
		return;
	if (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST)) {
		send_arp(memif, RTE_ARP_OP_REPLY, &arp->arp_data.arp_sha, arp->arp_data.arp_sip);
	} else if (arp->arp_data.arp_sip == memif->server_ip) {
		memif->server = arp->arp_data.arp_sha;
		memif->server_known = true;
	}
}

/* The bytes of the datagram in a frame that is the server's to us, with right lengths and checksums; NULL for any other. */
static const uint8_t *datagram_of(const struct memif *memif, const struct rte_mbuf *mbuf, size_t *size)
{
	const struct headers *headers = rte_pktmbuf_mtod(mbuf, const struct headers *);
	if (mbuf->data_len < sizeof *headers || mbuf->nb_segs != 1 || headers->ip.version_ihl != RTE_IPV4_VHL_DEF || headers->ip.next_proto_id != IPPROTO_UDP)
		return NULL;
	size_t total = rte_be_to_cpu_16(headers->ip.total_length), length = rte_be_to_cpu_16(headers->udp.dgram_len);
	if (total > mbuf->data_len - sizeof headers->ether || length + sizeof headers->ip != total || length < sizeof headers->udp)
		return NULL;
	if (headers->ip.src_addr != memif->server_ip || headers->ip.dst_addr != memif->own_ip || headers->udp.dst_port != RTE_BE16(CLIENT_PORT))
		return NULL;
	if (rte_raw_cksum(&headers->ip, sizeof headers->ip) != 0xffff)
		return NULL;
	/* Zero says that the sender made none. */
	if (headers->udp.dgram_cksum != 0 && rte_ipv4_udptcp_cksum_verify(&headers->ip, &headers->udp) != 0)
		return NULL;
	*size = length - sizeof headers->udp;
	return (const uint8_t *)(headers + 1);
}

static unsigned memif_receive(struct load_transport *transport, unsigned most, void (*handler)(void *context, const uint8_t *bytes, size_t size), void *context)
{
	struct memif *memif = (struct memif *)transport;
	struct rte_mbuf *mbufs[LOAD_BURST];
	gyr_quiet_turn();
	unsigned count = rte_eth_rx_burst(memif->port, 0, mbufs, (uint16_t)most), handed = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbufs[i], const struct rte_ether_hdr *);
		size_t size;
		const uint8_t *datagram = datagram_of(memif, mbufs[i], &size);
		if (datagram != NULL && ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
			handler(context, datagram, size);
			handed++;
		} else if (mbufs[i]->data_len >= sizeof *ether && ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
			take_arp(memif, mbufs[i]);
		} else {
			transport->rejected++;
		}
	}
	rte_pktmbuf_free_bulk(mbufs, count);
	return handed;
}

static void memif_wait(struct load_transport *transport, uint64_t until_ns)
{
	/* A memif port has nothing to sleep on. */
	(void)transport;
	(void)until_ns;
	rte_pause();
}

static void memif_close(struct load_transport *transport)
{
	struct memif *memif = (struct memif *)transport;
	gyr_quiet_end();
	rte_pktmbuf_free(memif->next);
	rte_eth_dev_stop(memif->port);
	rte_eth_dev_close(memif->port);
	rte_mempool_free(memif->pool);
	free(memif);
	/* DPDK's environment ends with the process: see dataplane/port/eal.h. */
}

static int start_eal(const struct load_options *options, struct gyr_error *error)
{
	char cpu[16], device[256];
	/* DPDK refuses --in-memory beside --no-huge. */
	const char *const hugepages[] = {"--in-memory"}, *const none[] = {"--no-huge", "--no-shconf", "-m", "64"};
	const char *const fixed[] = {"gyr-load", "-l", cpu, device, "--no-telemetry", "--no-pci", "--log-level=*:error"};
	char *arguments[16];
	int count = 0;
	int length = snprintf(device, sizeof device, "--vdev=net_memif0,role=client,id=0,socket-abstract=no,socket=%s", options->memif);
	if (strchr(options->memif, ',') != NULL || length >= (int)sizeof device)
		return gyr_error_set(error, -EINVAL, "--memif %s: a path without a comma, of at most 107 bytes, is expected", options->memif);
	snprintf(cpu, sizeof cpu, "%d", options->cpu >= 0 ? options->cpu : sched_getcpu());
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		arguments[count++] = (char *)(uintptr_t)fixed[i];
	for (size_t i = 0; options->hugepages && i < sizeof hugepages / sizeof hugepages[0]; i++)
		arguments[count++] = (char *)(uintptr_t)hugepages[i];
	for (size_t i = 0; !options->hugepages && i < sizeof none / sizeof none[0]; i++)
		arguments[count++] = (char *)(uintptr_t)none[i];
	if (rte_eal_init(count, arguments) < 0)
		return gyr_error_set(error, -rte_errno, "DPDK did not start: %s%s", rte_strerror(rte_errno),
				     options->hugepages ? " (are there free hugepages?)" : "");
	return 0;
}

static int start_port(struct memif *memif, struct gyr_error *error)
{
	const struct rte_eth_conf plain = {0};
	int status = rte_eth_dev_get_port_by_name("net_memif0", &memif->port);
	if (status == 0)
		status = rte_eth_dev_configure(memif->port, 1, 1, &plain);
	if (status == 0)
		status = rte_eth_rx_queue_setup(memif->port, 0, RING_ENTRIES, SOCKET_ID_ANY, NULL, memif->pool);
	if (status == 0)
		status = rte_eth_tx_queue_setup(memif->port, 0, RING_ENTRIES, SOCKET_ID_ANY, NULL);
	if (status == 0)
		status = rte_eth_dev_start(memif->port);
	if (status == 0)
		status = rte_eth_macaddr_get(memif->port, &memif->own);
	return status == 0 ? 0 : gyr_error_set(error, status, "the memif port did not start: %s", strerror(-status));
}

static void ignore(void *context, const uint8_t *bytes, size_t size)
{
	(void)context;
	(void)bytes;
	(void)size;
}

/* Until the other end is there and, without --echo, has told its Ethernet address. */
static int find_server(struct memif *memif, const struct load_options *options, struct gyr_error *error)
{
	static const struct rte_ether_addr nobody = {{0}};
	uint64_t now_ns = gyr_clock_ns(), give_up_ns = now_ns + LINK_WAIT_NS, ask_ns = now_ns;
	struct rte_eth_link link = {0};
	while (link.link_status != RTE_ETH_LINK_UP || (!memif->server_known && !options->echo)) {
		gyr_quiet_turn();
		now_ns = gyr_clock_ns();
		if (now_ns >= give_up_ns)
			return gyr_error_set(error, -ETIMEDOUT,
					     link.link_status != RTE_ETH_LINK_UP ? "--memif %s: no server came to that socket in 10 s"
										 : "--memif %s: nobody told the server's address by ARP in 10 s",
					     options->memif);
		if (link.link_status != RTE_ETH_LINK_UP) {
			if (rte_eth_link_get_nowait(memif->port, &link) != 0)
				link.link_status = RTE_ETH_LINK_DOWN;
			rte_delay_us_sleep(1000);
			continue;
		}
		if (now_ns >= ask_ns && !options->echo) {
			send_arp(memif, RTE_ARP_OP_REQUEST, &nobody, memif->server_ip);
			ask_ns = now_ns + ARP_EVERY_NS;
		}
		memif_receive(&memif->transport, LOAD_BURST, ignore, NULL);
	}
	return 0;
}

int load_memif_open(const struct load_options *options, struct load_transport **transport, struct gyr_error *error)
{
	static const struct load_transport_methods methods = {memif_buffer, memif_send, memif_flush, memif_receive, memif_wait, memif_close};
	int status = start_eal(options, error);
	if (status != 0)
		return status;
	struct memif *memif = calloc(1, sizeof *memif);
	if (memif == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the memif port");
	*memif = (struct memif){
		.transport.methods = &methods,
		.own_ip = rte_cpu_to_be_32(options->address),
		.server_ip = rte_cpu_to_be_32(options->server),
		.pool = rte_pktmbuf_pool_create("load", MBUFS, LOAD_BURST, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY),
	};
	status = memif->pool == NULL ? gyr_error_set(error, -rte_errno, "no memory for %u buffers: %s", MBUFS, rte_strerror(rte_errno))
				     : start_port(memif, error);
	gyr_quiet_begin();
	if (status == 0)
		status = find_server(memif, options, error);
	if (status != 0) {
		memif_close(&memif->transport);
		return status;
	}
	/* An echoing port takes any address. */
	memif->headers = (struct headers){
		.ether = {.dst_addr = memif->server_known ? memif->server : memif->own, .src_addr = memif->own, .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)},
		.ip = {.version_ihl = RTE_IPV4_VHL_DEF,
		       .time_to_live = 64,
		       .fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		       .next_proto_id = IPPROTO_UDP,
		       .src_addr = memif->own_ip,
		       .dst_addr = memif->server_ip},
		.udp = {.src_port = RTE_BE16(CLIENT_PORT), .dst_port = rte_cpu_to_be_16(options->port)},
	};
	*transport = &memif->transport;
	return 0;
}
