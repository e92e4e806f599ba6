#include "dataplane/net/net.h"

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_icmp.h>

#include "base/assertion.h"
#include "dataplane/net/checksum.h"

#define REPLY_TTL 64
/* l2_len and l3_len of an untagged IPv4 datagram, as mbuf->tx_offload holds them. */
#define PLAIN_HEADERS ((uint64_t)sizeof(struct rte_ether_hdr) | (uint64_t)sizeof(struct rte_ipv4_hdr) << RTE_MBUF_L2_LEN_BITS)
#define IP_LOOPBACK_NET 127u
#define IP_THIS_NET 0u
#define IP_FIRST_GROUP_NET 224u /* class D, then the reserved class E, which ends in the limited broadcast */

static const char *const outcome_names[GYR_NET_OUTCOMES] = {
	[GYR_NET_DATAGRAM] = "datagram",
	[GYR_NET_ARP_REPLY] = "arp_reply",
	[GYR_NET_ECHO_REPLY] = "echo_reply",
	[GYR_NET_SEGMENTED] = "segmented",
	[GYR_NET_RUNT] = "runt",
	[GYR_NET_OTHER_MAC] = "other_mac",
	[GYR_NET_SOURCE_MAC] = "source_mac",
	[GYR_NET_VLAN] = "vlan",
	[GYR_NET_ETHERTYPE] = "ethertype",
	[GYR_NET_ARP_INVALID] = "arp_invalid",
	[GYR_NET_ARP_OTHER] = "arp_other",
	[GYR_NET_IP_SHORT] = "ip_short",
	[GYR_NET_IP_VERSION] = "ip_version",
	[GYR_NET_IP_OPTIONS] = "ip_options",
	[GYR_NET_IP_LENGTH] = "ip_length",
	[GYR_NET_IP_MTU] = "ip_mtu",
	[GYR_NET_IP_CHECKSUM] = "ip_checksum",
	[GYR_NET_IP_FRAGMENT] = "ip_fragment",
	[GYR_NET_IP_DESTINATION] = "ip_destination",
	[GYR_NET_IP_SOURCE] = "ip_source",
	[GYR_NET_IP_PROTOCOL] = "ip_protocol",
	[GYR_NET_ICMP_CHECKSUM] = "icmp_checksum",
	[GYR_NET_ICMP_OTHER] = "icmp_other",
	[GYR_NET_UDP_LENGTH] = "udp_length",
	[GYR_NET_UDP_PORT] = "udp_port",
	[GYR_NET_UDP_SOURCE_PORT] = "udp_source_port",
	[GYR_NET_UDP_CHECKSUM] = "udp_checksum",
};

const char *gyr_net_outcome_name(enum gyr_net_outcome outcome)
{
	GYR_ASSERT(outcome < GYR_NET_OUTCOMES);
	return outcome_names[outcome];
}

void gyr_net_host_init(struct gyr_net_host *host, const struct rte_ether_addr *mac, uint32_t address, uint8_t prefix, uint16_t udp_port, uint32_t mtu)
{
	GYR_ASSERT(prefix <= 32);
	GYR_ASSERT(mtu >= 68);
	/* A prefix of 31 or 32 has no broadcast address (RFC 3021). */
	uint32_t host_bits = prefix >= 31 ? 0 : UINT32_MAX >> prefix;
	*host = (struct gyr_net_host){
		.mac = *mac,
		.address = address,
		.broadcast = address | host_bits,
		.mtu = mtu,
		.payload_max = mtu - GYR_NET_IP_HEADERS,
		.address_be = rte_cpu_to_be_32(address),
		.udp_port_be = rte_cpu_to_be_16(udp_port),
	};
}

/* The pseudo header's part of a UDP checksum. */
static inline uint64_t pseudo_sum(const struct rte_ipv4_hdr *ip, uint16_t udp_length_be)
{
	return (uint64_t)ip->src_addr + ip->dst_addr + udp_length_be + rte_cpu_to_be_16(IPPROTO_UDP);
}

static inline void swap_ethernet(const struct gyr_net_host *host, struct rte_ether_hdr *ether)
{
	ether->dst_addr = ether->src_addr;
	ether->src_addr = host->mac;
}

/* Turns the IPv4 header round. A 20-byte header is summed anew as cheaply as by increments. */
static inline void turn_ip(struct rte_ipv4_hdr *ip, uint16_t total_length)
{
	uint32_t source = ip->src_addr;
	ip->src_addr = ip->dst_addr;
	ip->dst_addr = source;
	ip->total_length = rte_cpu_to_be_16(total_length);
	ip->packet_id = 0; /* means nothing in a packet that is never fragmented (RFC 6864) */
	ip->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = REPLY_TTL;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = gyr_checksum_finish(gyr_checksum_add(0, ip, sizeof *ip));
}

static inline void set_frame_length(struct rte_mbuf *mbuf, uint32_t bytes)
{
	mbuf->data_len = (uint16_t)bytes;
	mbuf->pkt_len = bytes;
	mbuf->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_RSS_HASH);
}

static enum gyr_net_outcome input_arp(const struct gyr_net_host *host, struct rte_mbuf *mbuf)
{
	struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(ether + 1);
	if (mbuf->data_len < sizeof *ether + sizeof *arp)
		return GYR_NET_ARP_INVALID;
	if (arp->arp_hardware != rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) || arp->arp_protocol != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
	    arp->arp_hlen != RTE_ETHER_ADDR_LEN || arp->arp_plen != sizeof(uint32_t) || rte_is_multicast_ether_addr(&arp->arp_data.arp_sha))
		return GYR_NET_ARP_INVALID;
	if (arp->arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REQUEST) || arp->arp_data.arp_tip != host->address_be || arp->arp_data.arp_sip == host->address_be)
		return GYR_NET_ARP_OTHER;
	swap_ethernet(host, ether);
	arp->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
	arp->arp_data.arp_tha = arp->arp_data.arp_sha;
	arp->arp_data.arp_tip = arp->arp_data.arp_sip;
	arp->arp_data.arp_sha = host->mac;
	arp->arp_data.arp_sip = host->address_be;
	set_frame_length(mbuf, sizeof *ether + sizeof *arp);
	return GYR_NET_ARP_REPLY;
}

static enum gyr_net_outcome input_icmp(const struct gyr_net_host *host, struct rte_mbuf *mbuf, struct rte_ipv4_hdr *ip, uint32_t ip_bytes)
{
	struct rte_icmp_hdr *icmp = (struct rte_icmp_hdr *)(ip + 1);
	uint32_t bytes = ip_bytes - (uint32_t)sizeof *ip;
	if (bytes < sizeof *icmp || icmp->icmp_type != RTE_ICMP_TYPE_ECHO_REQUEST || icmp->icmp_code != 0)
		return GYR_NET_ICMP_OTHER;
	if (gyr_checksum_fold(gyr_checksum_add(0, icmp, bytes)) != UINT16_MAX)
		return GYR_NET_ICMP_CHECKSUM;
	swap_ethernet(host, rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *));
	turn_ip(ip, (uint16_t)ip_bytes);
	/* Only the type changes, from 8 to 0: the checksum grows by as much (RFC 1624). */
	icmp->icmp_type = RTE_ICMP_TYPE_ECHO_REPLY;
	icmp->icmp_cksum = gyr_checksum_fold((uint64_t)icmp->icmp_cksum + rte_cpu_to_be_16(RTE_ICMP_TYPE_ECHO_REQUEST << 8));
	set_frame_length(mbuf, (uint32_t)sizeof(struct rte_ether_hdr) + ip_bytes);
	return GYR_NET_ECHO_REPLY;
}

static inline enum gyr_net_outcome input_udp(const struct gyr_net_host *host, struct rte_mbuf *mbuf, struct rte_ipv4_hdr *ip, uint32_t ip_bytes,
					     uint8_t **payload, uint32_t *payload_bytes)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint32_t bytes = ip_bytes - (uint32_t)sizeof *ip;
	if (bytes < sizeof *udp || rte_be_to_cpu_16(udp->dgram_len) != bytes)
		return GYR_NET_UDP_LENGTH;
	if (udp->dst_port != host->udp_port_be)
		return GYR_NET_UDP_PORT;
	if (udp->src_port == 0 || udp->src_port == host->udp_port_be)
		return GYR_NET_UDP_SOURCE_PORT;
	if (udp->dgram_cksum != 0 && (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD) == 0 &&
	    gyr_checksum_fold(gyr_checksum_add(pseudo_sum(ip, udp->dgram_len), udp, bytes)) != UINT16_MAX)
		return GYR_NET_UDP_CHECKSUM;
	mbuf->tx_offload = PLAIN_HEADERS;
	*payload = (uint8_t *)(udp + 1);
	*payload_bytes = bytes - (uint32_t)sizeof *udp;
	return GYR_NET_DATAGRAM;
}

static inline bool never_answered(const struct gyr_net_host *host, uint32_t source)
{
	uint32_t net = source >> 24;
	return net == IP_THIS_NET || net == IP_LOOPBACK_NET || net >= IP_FIRST_GROUP_NET || source == host->address || source == host->broadcast;
}

static inline enum gyr_net_outcome input_ip(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint8_t **payload, uint32_t *payload_bytes)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv4_hdr *, sizeof(struct rte_ether_hdr));
	uint32_t left = mbuf->data_len - (uint32_t)sizeof(struct rte_ether_hdr);
	if (left < sizeof *ip)
		return GYR_NET_IP_SHORT;
	if (ip->version_ihl != RTE_IPV4_VHL_DEF)
		return ip->version_ihl >> 4 != IPVERSION ? GYR_NET_IP_VERSION : GYR_NET_IP_OPTIONS;
	uint32_t bytes = rte_be_to_cpu_16(ip->total_length);
	if (bytes < sizeof *ip || bytes > left)
		return GYR_NET_IP_LENGTH;
	if (bytes > host->mtu)
		return GYR_NET_IP_MTU;
	/* The bit is also in CKSUM_NONE: not right in the packet, but known to be whole (a virtual port that never computed it). */
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_GOOD) == 0 && gyr_checksum_fold(gyr_checksum_add(0, ip, sizeof *ip)) != UINT16_MAX)
		return GYR_NET_IP_CHECKSUM;
	if ((ip->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0)
		return GYR_NET_IP_FRAGMENT;
	if (ip->dst_addr != host->address_be)
		return GYR_NET_IP_DESTINATION;
	if (never_answered(host, rte_be_to_cpu_32(ip->src_addr)))
		return GYR_NET_IP_SOURCE;
	if (ip->next_proto_id == IPPROTO_UDP)
		return input_udp(host, mbuf, ip, bytes, payload, payload_bytes);
	if (ip->next_proto_id == IPPROTO_ICMP)
		return input_icmp(host, mbuf, ip, bytes);
	return GYR_NET_IP_PROTOCOL;
}

enum gyr_net_outcome gyr_net_input(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint8_t **payload, uint32_t *payload_bytes)
{
	if (mbuf->nb_segs != 1)
		return GYR_NET_SEGMENTED;
	if (mbuf->data_len < sizeof(struct rte_ether_hdr))
		return GYR_NET_RUNT;
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	bool to_us = rte_is_same_ether_addr(&ether->dst_addr, &host->mac);
	if (!to_us && !rte_is_broadcast_ether_addr(&ether->dst_addr))
		return GYR_NET_OTHER_MAC;
	if (rte_is_multicast_ether_addr(&ether->src_addr) || rte_is_same_ether_addr(&ether->src_addr, &host->mac))
		return GYR_NET_SOURCE_MAC;
	switch (ether->ether_type) {
	case RTE_BE16(RTE_ETHER_TYPE_IPV4): return to_us ? input_ip(host, mbuf, payload, payload_bytes) : GYR_NET_OTHER_MAC;
	case RTE_BE16(RTE_ETHER_TYPE_ARP): return input_arp(host, mbuf);
	case RTE_BE16(RTE_ETHER_TYPE_VLAN):
	case RTE_BE16(RTE_ETHER_TYPE_QINQ): return GYR_NET_VLAN;
	default: return GYR_NET_ETHERTYPE;
	}
}

void gyr_net_reply(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t payload_bytes)
{
	GYR_ASSERT(payload_bytes <= gyr_net_payload_room(host, mbuf));
	struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(ether + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint32_t udp_bytes = payload_bytes + (uint32_t)sizeof *udp;
	swap_ethernet(host, ether);
	turn_ip(ip, (uint16_t)(udp_bytes + sizeof *ip));
	udp->dst_port = udp->src_port;
	udp->src_port = host->udp_port_be;
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)udp_bytes);
	udp->dgram_cksum = 0;
	uint16_t sum = gyr_checksum_finish(gyr_checksum_add(pseudo_sum(ip, udp->dgram_len), udp, udp_bytes));
	udp->dgram_cksum = sum == 0 ? UINT16_MAX : sum; /* a field of 0 would say that there is none */
	set_frame_length(mbuf, (uint32_t)(sizeof *ether + sizeof *ip) + udp_bytes);
}
