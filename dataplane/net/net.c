/* Frames in: Ethernet, VLAN and IPv4. */
#include "dataplane/net/net.h"

#include "base/assertion.h"
#include "dataplane/net/net_internal.h"

#define IP_OPTION_END 0u
#define IP_OPTION_NOTHING 1u
#define IP_OPTION_LOOSE_ROUTE 131u
#define IP_OPTION_STRICT_ROUTE 137u
#define VLAN_ID_MASK 0xfffu

static const char *const outcome_names[GYR_NET_OUTCOMES] = {
#define X(constant, name) [GYR_NET_##constant] = #name,
	GYR_NET_OUTCOME_LIST(X)
#undef X
};

const char *gyr_net_outcome_name(enum gyr_net_outcome outcome)
{
	GYR_ASSERT(outcome < GYR_NET_OUTCOMES);
	return outcome_names[outcome];
}

/* Why a header without the usual first byte is refused: LEFT bytes of it and what follows are there. */
static enum gyr_net_outcome unusual_header(const struct rte_ipv4_hdr *ip, uint32_t left)
{
	if (ip->version_ihl >> 4 != IPVERSION)
		return GYR_NET_IP_VERSION;
	const uint8_t *bytes = (const uint8_t *)ip;
	uint32_t end = RTE_MIN((uint32_t)rte_ipv4_hdr_len(ip), left);
	for (uint32_t at = sizeof *ip; at < end && bytes[at] != IP_OPTION_END;) {
		if (bytes[at] == IP_OPTION_LOOSE_ROUTE || bytes[at] == IP_OPTION_STRICT_ROUTE)
			return GYR_NET_IP_SOURCE_ROUTE;
		if (bytes[at] != IP_OPTION_NOTHING && (at + 1 >= end || bytes[at + 1] < 2))
			break;
		at += bytes[at] == IP_OPTION_NOTHING ? 1 : bytes[at + 1];
	}
	return GYR_NET_IP_OPTIONS;
}

static inline enum gyr_net_outcome input_ipv4(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint8_t **payload, uint32_t *payload_bytes)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv4_hdr *, l2);
	uint32_t left = mbuf->data_len - l2;
	if (left < sizeof *ip)
		return GYR_NET_IP_SHORT;
	if (ip->version_ihl != RTE_IPV4_VHL_DEF)
		return unusual_header(ip, left);
	uint32_t bytes = rte_be_to_cpu_16(ip->total_length);
	if (bytes < sizeof *ip || bytes > left)
		return GYR_NET_IP_LENGTH;
	if (bytes > host->mtu)
		return GYR_NET_IP_MTU;
	/* The bit is also in CKSUM_NONE: not right in the packet, but known to be whole (a virtual port that never computed it). */
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_GOOD) == 0 && gyr_checksum_fold(gyr_checksum_add(0, ip, sizeof *ip)) != UINT16_MAX)
		return GYR_NET_IP_CHECKSUM;
	if ((ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0)
		return GYR_NET_IP_FRAGMENT;
	if (ip->dst_addr != host->address_be)
		return GYR_NET_IP_DESTINATION;
	if (gyr_net_never_answered4(host, rte_be_to_cpu_32(ip->src_addr)))
		return GYR_NET_IP_SOURCE;
	if (ip->next_proto_id == IPPROTO_UDP)
		return input_udp(host, mbuf, l2, false, bytes - (uint32_t)sizeof *ip, payload, payload_bytes);
	if (ip->next_proto_id == IPPROTO_ICMP)
		return gyr_net_input_icmp(host, mbuf, l2, bytes);
	return GYR_NET_IP_PROTOCOL;
}

/*
 * Whether a frame is of our VLAN; *L2 gets the length of its Ethernet header, and *TYPE what follows. A tag with the VLAN id 0 says only how urgent a frame is:
 * such a frame counts as untagged, and so does its answer, which has the same tag.
 */
static bool is_our_vlan(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t *l2, rte_be16_t *type)
{
	/* A port that takes tags off unasked, and does not put them on again: here it stands in the frame. */
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 && !host->tx_vlan && rte_vlan_insert(&mbuf) != 0)
		return false;
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	const struct rte_vlan_hdr *tag = (const struct rte_vlan_hdr *)(ether + 1);
	uint32_t id = 0;
	*l2 = sizeof *ether;
	*type = ether->ether_type;
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) {
		id = mbuf->vlan_tci & VLAN_ID_MASK;
	} else if (ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		if (mbuf->data_len < sizeof *ether + sizeof *tag)
			return false;
		id = rte_be_to_cpu_16(tag->vlan_tci) & VLAN_ID_MASK;
		*l2 = sizeof *ether + sizeof *tag;
		*type = tag->eth_proto;
	}
	return id == host->vlan && *type != RTE_BE16(RTE_ETHER_TYPE_VLAN) && *type != RTE_BE16(RTE_ETHER_TYPE_QINQ);
}

/* All but untagged IPv4 to our MAC address. */
static enum gyr_net_outcome input_other(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint8_t **payload, uint32_t *payload_bytes)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	bool to_us = rte_is_same_ether_addr(&ether->dst_addr, &host->mac), to_all = rte_is_broadcast_ether_addr(&ether->dst_addr);
	bool to_group = host->ipv6 && ether->dst_addr.addr_bytes[0] == 0x33 && ether->dst_addr.addr_bytes[1] == 0x33; /* RFC 2464, section 7 */
	uint32_t l2;
	rte_be16_t type;
	if (!to_us && !to_all && !to_group)
		return GYR_NET_OTHER_MAC;
	if (rte_is_multicast_ether_addr(&ether->src_addr) || rte_is_same_ether_addr(&ether->src_addr, &host->mac))
		return GYR_NET_SOURCE_MAC;
	if (!is_our_vlan(host, mbuf, &l2, &type))
		return GYR_NET_VLAN;
	switch (type) {
	case RTE_BE16(RTE_ETHER_TYPE_IPV4): return to_us ? input_ipv4(host, mbuf, l2, payload, payload_bytes) : GYR_NET_OTHER_MAC;
	case RTE_BE16(RTE_ETHER_TYPE_ARP): return to_group ? GYR_NET_OTHER_MAC : gyr_net_input_arp(host, mbuf, l2);
	case RTE_BE16(RTE_ETHER_TYPE_IPV6):
		if (!host->ipv6)
			return GYR_NET_ETHERTYPE;
		return to_all ? GYR_NET_OTHER_MAC : gyr_net_input_ipv6(host, mbuf, l2, to_us, payload, payload_bytes);
	default: return GYR_NET_ETHERTYPE;
	}
}

enum gyr_net_outcome gyr_net_input(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint8_t **payload, uint32_t *payload_bytes)
{
	if (mbuf->nb_segs != 1)
		return GYR_NET_SEGMENTED;
	if (mbuf->data_len < sizeof(struct rte_ether_hdr))
		return GYR_NET_RUNT;
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	bool plain = ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && host->vlan == 0 && (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) == 0;
	if (!plain || !rte_is_same_ether_addr(&ether->dst_addr, &host->mac))
		return input_other(host, mbuf, payload, payload_bytes);
	if (rte_is_multicast_ether_addr(&ether->src_addr) || rte_is_same_ether_addr(&ether->src_addr, &host->mac))
		return GYR_NET_SOURCE_MAC;
	return input_ipv4(host, mbuf, sizeof *ether, payload, payload_bytes);
}
