/*
 * What a host sends unasked: questions for its gateways (ARP, and neighbour solicitation), the question whether its IPv6 addresses are free (RFC 4862, section
 * 5.4), and the report of its groups (RFC 3810), without which a switch that listens in passes on no neighbour's question. Reports come every minute instead of
 * on a router's query, whose hop-by-hop header we refuse.
 */
#include <rte_arp.h>

#include "dataplane/net/gateway.h"
#include "dataplane/net/icmp6.h"
#include "dataplane/net/net_internal.h"
#include "dataplane/net/path.h"

#define REPORT_EVERY_S 60u /* RFC 3810 has a member forgotten after 260 s */
#define HOP_BY_HOP 0
#define MODE_IS_EXCLUDE 2 /* a record of a group, of whose sources none is excluded */

/* A report of our groups, behind its IPv6 header. */
struct report {
	uint8_t next, eights, alert[4], pad[2]; /* the hop-by-hop header with the router alert */
	uint8_t type, code;
	rte_be16_t checksum;
	rte_be16_t reserved, count;
	struct {
		uint8_t type, aux;
		rte_be16_t sources;
		struct rte_ipv6_addr group;
	} records[GYR_NET_IPV6_OWN];
};

_Static_assert(sizeof(struct report) == 16 + 20 * GYR_NET_IPV6_OWN, "as on the wire");

unsigned gyr_net_due(struct gyr_net_host *host, uint32_t second)
{
	unsigned due = 0;
	gyr_net_path_age(host, second);
	if (gyr_net_gateway_due(&host->gateways[0], second))
		due |= GYR_NET_DUE_ARP;
	if (gyr_net_gateway_due(&host->gateways[1], second))
		due |= GYR_NET_DUE_ND;
	if (!host->ipv6 || second < host->announce_at_s)
		return due;
	host->announce_at_s = second + REPORT_EVERY_S;
	if (!host->probed)
		due |= GYR_NET_DUE_PROBE | GYR_NET_DUE_PROBE_LOCAL;
	host->probed = true;
	return due | GYR_NET_DUE_GROUPS;
}

/* Begins a frame to TO, with room for BYTES behind its Ethernet header, which are returned zeroed; NULL when it has none. */
static void *begin(const struct gyr_net_host *host, struct rte_mbuf *mbuf, const struct rte_ether_addr *to, uint16_t type, uint16_t bytes)
{
	uint16_t l2 = (uint16_t)(sizeof(struct rte_ether_hdr) + (host->vlan != 0 ? sizeof(struct rte_vlan_hdr) : 0));
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)rte_pktmbuf_append(mbuf, (uint16_t)(l2 + bytes));
	if (ether == NULL)
		return NULL;
	memset(ether, 0, (size_t)l2 + bytes);
	ether->dst_addr = *to;
	ether->src_addr = host->mac;
	ether->ether_type = rte_cpu_to_be_16(type);
	if (host->vlan != 0) {
		struct rte_vlan_hdr *tag = (struct rte_vlan_hdr *)(ether + 1);
		ether->ether_type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
		tag->vlan_tci = rte_cpu_to_be_16(host->vlan);
		tag->eth_proto = rte_cpu_to_be_16(type);
	}
	return (uint8_t *)ether + l2;
}

static bool make_arp(const struct gyr_net_host *host, struct rte_mbuf *mbuf)
{
	static const struct rte_ether_addr everybody = {{255, 255, 255, 255, 255, 255}};
	struct rte_arp_hdr *arp = begin(host, mbuf, &everybody, RTE_ETHER_TYPE_ARP, sizeof *arp);
	if (arp == NULL)
		return false;
	*arp = (struct rte_arp_hdr){
		.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = RTE_ETHER_ADDR_LEN,
		.arp_plen = sizeof(uint32_t),
		.arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST),
		.arp_data = {.arp_sha = host->mac, .arp_sip = host->address_be},
	};
	memcpy(&arp->arp_data.arp_tip, host->gateways[0].address.bytes + GYR_NET_IPV4_BITS_BEFORE / 8, sizeof arp->arp_data.arp_tip);
	return true;
}

/* Begins an IPv6 packet from SOURCE to GROUP. */
static struct rte_ipv6_hdr *begin_ipv6(const struct gyr_net_host *host, struct rte_mbuf *mbuf, const struct gyr_net_address *source,
				       const struct rte_ipv6_addr *group, uint16_t bytes)
{
	struct rte_ether_addr to = gyr_icmp6_group_mac(group);
	struct rte_ipv6_hdr *ip = begin(host, mbuf, &to, RTE_ETHER_TYPE_IPV6, (uint16_t)(sizeof *ip + bytes));
	if (ip == NULL)
		return NULL;
	ip->vtc_flow = RTE_BE32(UINT32_C(6) << 28);
	ip->payload_len = rte_cpu_to_be_16(bytes);
	ip->proto = GYR_ICMP6_NEXT;
	ip->hop_limits = GYR_ICMP6_HOP_LIMIT;
	memcpy(&ip->src_addr, source, sizeof ip->src_addr);
	ip->dst_addr = *group;
	return ip;
}

/* Asks for TARGET; from no address, and then without our MAC address, when that is to find out whether TARGET is free. */
static bool make_solicitation(const struct gyr_net_host *host, struct rte_mbuf *mbuf, const struct gyr_net_address *source,
			      const struct gyr_net_address *target)
{
	struct rte_ipv6_addr group = gyr_icmp6_solicited_group(target);
	bool probe = gyr_net_address_is_zero(source);
	uint16_t bytes = (uint16_t)(sizeof(struct gyr_icmp6_nd) + (probe ? 0 : sizeof(struct gyr_icmp6_option)));
	struct rte_ipv6_hdr *ip = begin_ipv6(host, mbuf, source, &group, bytes);
	if (ip == NULL)
		return false;
	struct gyr_icmp6_nd *nd = (struct gyr_icmp6_nd *)(ip + 1);
	nd->type = GYR_ICMP6_SOLICITATION;
	memcpy(&nd->target, target, sizeof nd->target);
	if (!probe)
		*(struct gyr_icmp6_option *)(nd + 1) = (struct gyr_icmp6_option){.type = GYR_ICMP6_OPTION_SOURCE, .eights = 1, .mac = host->mac};
	nd->checksum = gyr_checksum_finish(gyr_checksum_add(pseudo_sum6(ip, ip->payload_len, GYR_ICMP6_NEXT), nd, bytes));
	return true;
}

static bool make_report(const struct gyr_net_host *host, struct rte_mbuf *mbuf)
{
	struct rte_ipv6_hdr *ip = begin_ipv6(host, mbuf, &host->own6[1], &gyr_icmp6_all_mld_routers, sizeof(struct report));
	if (ip == NULL)
		return false;
	struct report *report = (struct report *)(ip + 1);
	ip->proto = HOP_BY_HOP;
	ip->hop_limits = 1;
	*report = (struct report){.next = GYR_ICMP6_NEXT,
				  .alert = {5, 2}, /* RFC 2711 */
				  .pad = {1, 0},
				  .type = GYR_ICMP6_LISTENER_REPORT,
				  .count = RTE_BE16(GYR_NET_IPV6_OWN)};
	for (uint32_t i = 0; i < GYR_NET_IPV6_OWN; i++) {
		report->records[i].type = MODE_IS_EXCLUDE;
		report->records[i].group = gyr_icmp6_solicited_group(&host->own6[i]);
	}
	uint16_t bytes = sizeof *report - offsetof(struct report, type);
	report->checksum = gyr_checksum_finish(gyr_checksum_add(pseudo_sum6(ip, rte_cpu_to_be_16(bytes), GYR_ICMP6_NEXT), &report->type, bytes));
	return true;
}

bool gyr_net_make(const struct gyr_net_host *host, struct rte_mbuf *mbuf, enum gyr_net_due bit)
{
	static const struct gyr_net_address nobody;
	static const struct gyr_net_network link_local = {.address = {{0xfe, 0x80}}, .prefix = 64};
	const struct gyr_net_address *gateway6 = &host->gateways[1].address;
	switch (bit) {
	case GYR_NET_DUE_ARP: return make_arp(host, mbuf);
	case GYR_NET_DUE_ND: return make_solicitation(host, mbuf, &host->own6[gyr_net_network_holds(&link_local, gateway6)], gateway6);
	case GYR_NET_DUE_PROBE: return make_solicitation(host, mbuf, &nobody, &host->own6[0]);
	case GYR_NET_DUE_PROBE_LOCAL: return make_solicitation(host, mbuf, &nobody, &host->own6[1]);
	default: return make_report(host, mbuf);
	}
}
