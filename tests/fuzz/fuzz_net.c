/*
 * Frames from anybody: none is read or answered beyond its buffer, and an answer is a right frame that another host takes. The first byte chooses how we are
 * set up, the second what the port says of the frame; then comes the frame, in a buffer that ends where it does, but for the room that answers need.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "dataplane/net/checksum.h"
#include "dataplane/net/icmp6.h"
#include "dataplane/net/net.h"
#include "dataplane/net/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 4u /* for a tag */
#define FRAME_MAX 9100u

#define MUST(what)                                                                                                                                             \
	do {                                                                                                                                                   \
		if (!(what))                                                                                                                                   \
			__builtin_trap();                                                                                                                      \
	} while (0)

enum { SETUP_VLAN = 1, SETUP_JUMBO = 2, SETUP_TX_SUMS = 4, SETUP_TX_VLAN = 8, SETUP_IPV4_ONLY = 16, SETUP_TRUST_ALL = 32, SETUP_ROOM = 64 };

static const struct rte_ether_addr our_mac = {{0x02, 0, 0, 0, 0, 1}};

static void set_up(struct gyr_net_host *host, uint8_t setup)
{
	static const struct gyr_net_network all[2] = {{.address = {{[10] = 0xff, 0xff}}, .prefix = 96}, {.prefix = 0}};
	struct gyr_config config;
	gyr_config_defaults(&config);
	config.vlan = setup & SETUP_VLAN ? 100 : 0;
	config.mtu = setup & SETUP_JUMBO ? 9000 : 1500;
	config.gateway = (struct gyr_net_address){{[10] = 0xff, 0xff, 192, 0, 2, 254}};
	config.address6 = setup & SETUP_IPV4_ONLY ? (struct gyr_net_address){{0}} : (struct gyr_net_address){{0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	config.prefix6 = 64;
	config.gateway6 = (struct gyr_net_address){{0xfe, 0x80, [15] = 0xfe}};
	if (setup & SETUP_TRUST_ALL) {
		config.trusted_count = 2;
		memcpy(config.trusted, all, sizeof all);
	}
	uint64_t offloads = setup & SETUP_TX_SUMS ? RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM : 0;
	gyr_net_host_init(host, &config, &our_mac, offloads | (setup & SETUP_TX_VLAN ? RTE_ETH_TX_OFFLOAD_VLAN_INSERT : 0));
	/* As in life, the gateways have been asked, and something long was sent to the client of the seeds. */
	struct gyr_net_endpoint client = {.address = {{[10] = 0xff, 0xff, 192, 0, 2, 77}}, .port = 33333};
	struct gyr_net_endpoint client6 = {.address = {{0x20, 0x01, 0x0d, 0xb8, [15] = 0x77}}, .port = 33333};
	gyr_net_due(host, 100);
	gyr_net_path_sent(host, &client, 1428);
	gyr_net_path_sent(host, &client6, 1448);
}

/* What the port says it has found, from the bits of SAID. */
static uint64_t flags_of(uint8_t said)
{
	return (said & 1 ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : 0) | (said & 2 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0) |
	       (said & 4 ? RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED : 0);
}

/* The length of the Ethernet header of a frame that goes out. */
static uint32_t l2_of(const uint8_t *frame)
{
	return frame[12] == 0x81 && frame[13] == 0x00 ? 18 : 14;
}

static uint16_t sum_of(const void *bytes, size_t size, uint64_t pseudo)
{
	return gyr_checksum_fold(gyr_checksum_add(pseudo, bytes, size));
}

/* An answer comes from us, goes to nobody's group (but what neighbour discovery tells all), and its IP header and sums are right. */
static void check_answer(const struct gyr_net_host *host, const struct rte_mbuf *mbuf, enum gyr_net_outcome outcome)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	MUST(mbuf->data_len == mbuf->pkt_len && mbuf->data_off + mbuf->data_len <= mbuf->buf_len);
	MUST(memcmp(frame + 6, &host->mac, 6) == 0);
	MUST((frame[0] & 1) == 0 || outcome == GYR_NET_ND_REPLY);
	uint32_t l2 = l2_of(frame);
	if (outcome == GYR_NET_ARP_REPLY)
		return;
	if (frame[l2] >> 4 == 4) {
		const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(frame + l2);
		uint32_t bytes = rte_be_to_cpu_16(ip->total_length) - (uint32_t)sizeof *ip;
		MUST(mbuf->data_len == l2 + sizeof *ip + bytes && ip->src_addr == host->address_be);
		MUST((mbuf->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0 || sum_of(ip, sizeof *ip, 0) == UINT16_MAX);
		if (outcome == GYR_NET_DATAGRAM && (mbuf->ol_flags & RTE_MBUF_F_TX_L4_MASK) == 0)
			MUST(sum_of(ip + 1, bytes, (uint64_t)ip->src_addr + ip->dst_addr + rte_cpu_to_be_16((uint16_t)bytes) + RTE_BE16(IPPROTO_UDP)) ==
			     UINT16_MAX);
		if (outcome == GYR_NET_ECHO_REPLY)
			MUST(sum_of(ip + 1, bytes, 0) == UINT16_MAX);
	} else {
		const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)(frame + l2);
		uint32_t bytes = rte_be_to_cpu_16(ip->payload_len);
		MUST(frame[l2] >> 4 == 6 && mbuf->data_len == l2 + sizeof *ip + bytes);
		MUST(memcmp(&ip->src_addr, &host->own6[0], 16) == 0 || memcmp(&ip->src_addr, &host->own6[1], 16) == 0);
		if ((mbuf->ol_flags & RTE_MBUF_F_TX_L4_MASK) == 0)
			MUST(sum_of(ip + 1, bytes, gyr_checksum_add(0, &ip->src_addr, 32) + ip->payload_len + rte_cpu_to_be_16(ip->proto)) == UINT16_MAX);
	}
}

static void answer(struct gyr_net_host *host, struct rte_mbuf *mbuf, const uint8_t *payload, uint32_t bytes)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	MUST(payload == gyr_net_payload_of(mbuf) && bytes == gyr_net_payload_bytes(mbuf));
	MUST(payload >= frame && payload + bytes <= frame + mbuf->data_len);
	struct gyr_net_endpoint source = gyr_net_source(mbuf);
	MUST(source.port != 0 && source.address.bytes[0] != 0xff);
	uint32_t room = gyr_net_payload_room(host, mbuf);
	MUST(room <= gyr_net_payload_max(host, mbuf) && (gyr_net_is_trusted(host, mbuf) || room <= bytes));
	memset(gyr_net_payload_of(mbuf), 0x5a, room);
	gyr_net_reply(host, mbuf, room);
	check_answer(host, mbuf, GYR_NET_DATAGRAM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gyr_net_host host;
	if (size < 2 || size > FRAME_MAX)
		return 0;
	uint8_t setup = data[0];
	uint32_t bytes = (uint32_t)size - 2, room = setup & SETUP_ROOM ? 64 : 0;
	uint8_t *buffer = malloc(HEAD + bytes + room);
	MUST(buffer != NULL);
	memcpy(buffer + HEAD, data + 2, bytes);
	struct rte_mbuf mbuf = {.nb_segs = 1, .refcnt = 1, .data_off = HEAD, .buf_len = (uint16_t)(HEAD + bytes + room), .vlan_tci = 0x6064};
	mbuf.buf_addr = buffer;
	mbuf.data_len = (uint16_t)bytes;
	mbuf.pkt_len = bytes;
	mbuf.ol_flags = flags_of(data[1]);
	set_up(&host, setup);
	uint8_t *payload = NULL;
	uint32_t payload_bytes = 0;
	enum gyr_net_outcome outcome = gyr_net_input(&host, &mbuf, &payload, &payload_bytes);
	MUST(outcome < GYR_NET_OUTCOMES);
	if (outcome == GYR_NET_DATAGRAM)
		answer(&host, &mbuf, payload, payload_bytes);
	else if (gyr_net_is_reply(outcome))
		check_answer(&host, &mbuf, outcome);
	free(buffer);
	return 0;
}
