/* What the files of this folder share. */
#ifndef GYR_DATAPLANE_NET_NET_INTERNAL_H
#define GYR_DATAPLANE_NET_NET_INTERNAL_H

#include <string.h>

#include <rte_byteorder.h>

#include "dataplane/net/checksum.h"
#include "dataplane/net/net.h"

#define REPLY_TTL 64
#define IP_LOOPBACK_NET 127u
#define IP_THIS_NET 0u
#define IP_FIRST_GROUP_NET 224u /* class D, then the reserved class E, which ends in the limited broadcast */
#define IPV4_MTU_MIN 576u       /* we believe in no smaller one; RFC 791 has every host take as much */
#define IPV6_MTU_MIN 1280u

/* l2_len and l3_len of a datagram, as mbuf->tx_offload holds them. */
static inline uint64_t header_lengths(uint32_t l2, uint32_t l3)
{
	return (uint64_t)l2 | (uint64_t)l3 << RTE_MBUF_L2_LEN_BITS;
}

/* The pseudo header's part of a checksum, for BYTES_BE bytes of PROTOCOL (RFC 768; RFC 8200, section 8.1). */
static inline uint64_t pseudo_sum(const struct rte_ipv4_hdr *ip, uint16_t bytes_be, uint8_t protocol)
{
	return (uint64_t)ip->src_addr + ip->dst_addr + bytes_be + RTE_BE16(protocol);
}

static inline uint64_t pseudo_sum6(const struct rte_ipv6_hdr *ip, uint16_t bytes_be, uint8_t protocol)
{
	return gyr_checksum_add((uint64_t)bytes_be + RTE_BE16(protocol), &ip->src_addr, 2 * sizeof ip->src_addr);
}

/* ARP's and neighbour discovery's answers, and echo's from our own subnet, go where the question came from. */
static inline void swap_ethernet(const struct gyr_net_host *host, struct rte_ether_hdr *ether)
{
	ether->dst_addr = ether->src_addr;
	ether->src_addr = host->mac;
}

static inline void send_by_gateway(const struct gyr_net_gateway *gateway, struct rte_ether_hdr *ether)
{
	uint64_t mac = atomic_load_explicit(&gateway->mac, memory_order_relaxed);
	if (mac != 0)
		memcpy(&ether->dst_addr, &mac, sizeof ether->dst_addr);
}

/* Turns the Ethernet header round; what goes out of the subnet goes by the gateway, as soon as its MAC address is known. */
static inline void turn_ethernet(const struct gyr_net_host *host, struct rte_ether_hdr *ether, rte_be32_t client)
{
	swap_ethernet(host, ether);
	if (__builtin_expect(host->has_gateway, 0) && ((client ^ host->address_be) & host->subnet_mask_be) != 0)
		send_by_gateway(&host->gateways[0], ether);
}

/* Turns the IPv4 header round. A 20-byte header is summed anew as cheaply as by increments. */
static inline void turn_ipv4(struct rte_ipv4_hdr *ip, uint16_t total_length, bool sum_it)
{
	uint32_t source = ip->src_addr;
	ip->src_addr = ip->dst_addr;
	ip->dst_addr = source;
	ip->type_of_service &= (uint8_t)~RTE_IPV4_HDR_ECN_MASK; /* the question's way says nothing of the answer's */
	ip->total_length = rte_cpu_to_be_16(total_length);
	ip->packet_id = 0; /* means nothing in a packet that is never fragmented (RFC 6864) */
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = REPLY_TTL;
	ip->hdr_checksum = 0;
	if (sum_it)
		ip->hdr_checksum = gyr_checksum_finish(gyr_checksum_add(0, ip, sizeof *ip));
}

/* The frame is BYTES long now, and the port makes of it what TX_FLAGS say. */
static inline void finish_frame(struct rte_mbuf *mbuf, uint32_t bytes, uint64_t tx_flags)
{
	uint64_t flags = mbuf->ol_flags;
	mbuf->data_len = (uint16_t)bytes;
	mbuf->pkt_len = bytes;
	if (__builtin_expect((flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0, 0))
		tx_flags |= RTE_MBUF_F_TX_VLAN; /* mbuf->vlan_tci holds the question's tag */
	mbuf->ol_flags = (flags & ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_VLAN |
				    RTE_MBUF_F_RX_VLAN_STRIPPED)) |
			 tx_flags;
}

/* Takes the UDP datagram in BYTES behind an IP header, which the caller knows to be of IPv6 or not when it is compiled. */
static inline enum gyr_net_outcome input_udp(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, bool ipv6, uint32_t bytes, uint8_t **payload,
					     uint32_t *payload_bytes)
{
	uint32_t l3 = ipv6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	void *ip = rte_pktmbuf_mtod_offset(mbuf, void *, l2);
	struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(mbuf, struct rte_udp_hdr *, l2 + l3);
	if (bytes < sizeof *udp || rte_be_to_cpu_16(udp->dgram_len) != bytes)
		return GYR_NET_UDP_LENGTH;
	if (udp->dst_port != host->udp_port_be)
		return GYR_NET_UDP_PORT;
	if (udp->src_port == 0 || udp->src_port == host->udp_port_be)
		return GYR_NET_UDP_SOURCE_PORT;
	if (ipv6 && udp->dgram_cksum == 0)
		return GYR_NET_UDP_CHECKSUM;
	if (udp->dgram_cksum != 0 && (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD) == 0) {
		uint64_t sum = ipv6 ? pseudo_sum6(ip, udp->dgram_len, IPPROTO_UDP) : pseudo_sum(ip, udp->dgram_len, IPPROTO_UDP);
		if (gyr_checksum_fold(gyr_checksum_add(sum, udp, bytes)) != UINT16_MAX)
			return GYR_NET_UDP_CHECKSUM;
	}
	mbuf->tx_offload = header_lengths(l2, l3);
	*payload = (uint8_t *)(udp + 1);
	*payload_bytes = bytes - (uint32_t)sizeof *udp;
	return GYR_NET_DATAGRAM;
}

/* arp.c, icmp.c, ipv6.c, nd.c: frames whose Ethernet header, of L2 bytes with its tag, has been checked. */
enum gyr_net_outcome gyr_net_input_arp(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2);
enum gyr_net_outcome gyr_net_input_icmp(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t ip_bytes);
enum gyr_net_outcome gyr_net_input_ipv6(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, bool to_us, uint8_t **payload, uint32_t *payload_bytes);
enum gyr_net_outcome gyr_net_input_icmp6(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t ip_bytes);
enum gyr_net_outcome gyr_net_input_nd(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t icmp_bytes);

/* Sources that are never answered: groups, our own, and what names no single host. ipv6.c has the list of IPv6. */
bool gyr_net_never_answered6(const struct gyr_net_host *host, const struct rte_ipv6_addr *source);

static inline bool gyr_net_never_answered4(const struct gyr_net_host *host, uint32_t source)
{
	uint32_t net = source >> 24;
	return net == IP_THIS_NET || net == IP_LOOPBACK_NET || net >= IP_FIRST_GROUP_NET || source == host->address || source == host->broadcast;
}

/* The index of ADDRESS among our own, or -1. */
int gyr_net_own6(const struct gyr_net_host *host, const struct rte_ipv6_addr *address);
/* Turns an IPv6 header round, for PAYLOAD_BYTES behind it. */
void gyr_net_turn_ipv6(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint16_t payload_bytes);

#endif
