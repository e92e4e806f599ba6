/* Who has which Ethernet address: ARP (RFC 826) for IPv4, neighbour discovery (RFC 4861) for IPv6, each for the next hop and for our clients. */
#include <rte_arp.h>
#include <rte_icmp.h>
#include <string.h>

#include "tools/load/dpdk.h"

#define ND_SOLICITATION 135u
#define ND_ADVERTISEMENT 136u
#define ND_HOPS 255u
#define ND_OPTION_SOURCE 1u
#define ND_OPTION_TARGET 2u
#define ND_ANSWER_FLAGS 0x60u /* solicited, override */

/* A solicitation or an advertisement with the one option that Ethernet has: RFC 4861, 4.3, 4.4 and 4.6.1. */
struct neighbour_message {
	struct rte_ether_hdr ether;
	struct rte_ipv6_hdr ip;
	uint8_t type, code;
	rte_be16_t checksum;
	uint8_t flags[4];
	uint8_t target[16];
	uint8_t option, option_units;
	struct rte_ether_addr address;
};
_Static_assert(sizeof(struct neighbour_message) == 86, "as they follow each other in a frame");
#define ND_BYTES (sizeof(struct neighbour_message) - sizeof(struct rte_ether_hdr) - sizeof(struct rte_ipv6_hdr))

static const struct rte_ether_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, nobody;

static void send_arp(struct load_dpdk *dpdk, uint16_t opcode, rte_be32_t from, const struct rte_ether_addr *to, rte_be32_t to_ip)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dpdk->pool);
	if (mbuf == NULL)
		return;
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)rte_pktmbuf_append(mbuf, sizeof *ether + sizeof(struct rte_arp_hdr));
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(ether + 1);
	*ether = (struct rte_ether_hdr){
		.dst_addr = opcode == RTE_ARP_OP_REQUEST ? broadcast : *to, .src_addr = dpdk->own, .ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP)};
	*arp = (struct rte_arp_hdr){.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
				    .arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
				    .arp_hlen = RTE_ETHER_ADDR_LEN,
				    .arp_plen = sizeof(rte_be32_t),
				    .arp_opcode = rte_cpu_to_be_16(opcode)};
	arp->arp_data.arp_sha = dpdk->own;
	arp->arp_data.arp_sip = from;
	arp->arp_data.arp_tha = *to;
	arp->arp_data.arp_tip = to_ip;
	load_dpdk_stage(dpdk, mbuf);
}

static void take_arp(struct load_dpdk *dpdk, const struct rte_mbuf *mbuf)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod_offset(mbuf, const struct rte_arp_hdr *, sizeof(struct rte_ether_hdr));
	struct load_address asked = dpdk->base;
	if (!dpdk->ipv4 || mbuf->data_len < sizeof(struct rte_ether_hdr) + sizeof *arp)
		return;
	memcpy(asked.bytes + 12, &arp->arp_data.arp_tip, 4);
	if (load_client_of(dpdk, &asked) == UINT32_MAX)
		return;
	if (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST)) {
		send_arp(dpdk, RTE_ARP_OP_REPLY, arp->arp_data.arp_tip, &arp->arp_data.arp_sha, arp->arp_data.arp_sip);
	} else if (memcmp(&arp->arp_data.arp_sip, dpdk->hop_address.bytes + 12, 4) == 0) {
		dpdk->hop = arp->arp_data.arp_sha;
		dpdk->hop_known = true;
	}
}

static void send_discovery(struct load_dpdk *dpdk, uint8_t type, const uint8_t from[16], const struct rte_ether_addr *to, const uint8_t to_ip[16],
			   const uint8_t target[16])
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dpdk->pool);
	if (mbuf == NULL)
		return;
	struct neighbour_message *message = (struct neighbour_message *)rte_pktmbuf_append(mbuf, sizeof *message);
	*message = (struct neighbour_message){
		.ether = {.dst_addr = *to, .src_addr = dpdk->own, .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6)},
		.ip = {.vtc_flow = RTE_BE32(0x60000000), .payload_len = RTE_BE16(ND_BYTES), .proto = IPPROTO_ICMPV6, .hop_limits = ND_HOPS},
		.type = type,
		.flags = {type == ND_ADVERTISEMENT ? ND_ANSWER_FLAGS : 0},
		.option = type == ND_ADVERTISEMENT ? ND_OPTION_TARGET : ND_OPTION_SOURCE,
		.option_units = 1,
		.address = dpdk->own,
	};
	memcpy(&message->ip.src_addr, from, 16);
	memcpy(&message->ip.dst_addr, to_ip, 16);
	memcpy(message->target, target, 16);
	message->checksum = rte_ipv6_udptcp_cksum(&message->ip, &message->type);
	load_dpdk_stage(dpdk, mbuf);
}

static void take_discovery(struct load_dpdk *dpdk, const struct neighbour_message *message)
{
	struct load_address asked, from;
	memcpy(asked.bytes, message->target, 16);
	memcpy(from.bytes, &message->ip.src_addr, 16);
	if (rte_ipv6_udptcp_cksum_verify(&message->ip, &message->type) != 0)
		return;
	if (message->type == ND_SOLICITATION && load_client_of(dpdk, &asked) != UINT32_MAX && load_address_is_given(&from)) {
		send_discovery(dpdk, ND_ADVERTISEMENT, asked.bytes, &message->ether.src_addr, from.bytes, asked.bytes);
	} else if (message->type == ND_ADVERTISEMENT && memcmp(&asked, &dpdk->hop_address, sizeof asked) == 0 && message->option == ND_OPTION_TARGET) {
		dpdk->hop = message->address;
		dpdk->hop_known = true;
	}
}

void load_neighbour_ask(struct load_dpdk *dpdk)
{
	const uint8_t *hop = dpdk->hop_address.bytes;
	if (dpdk->ipv4) {
		rte_be32_t own, asked;
		memcpy(&own, dpdk->base.bytes + 12, 4);
		memcpy(&asked, hop + 12, 4);
		send_arp(dpdk, RTE_ARP_OP_REQUEST, own, &nobody, asked);
		return;
	}
	/* The solicited-node multicast address (RFC 4291, 2.7.1), and its Ethernet group (RFC 2464, 7). */
	const uint8_t group[16] = {0xff, 2, [11] = 1, 0xff, hop[13], hop[14], hop[15]};
	const struct rte_ether_addr to = {{0x33, 0x33, 0xff, hop[13], hop[14], hop[15]}};
	send_discovery(dpdk, ND_SOLICITATION, dpdk->base.bytes, &to, group, hop);
}

bool load_neighbour_take(struct load_dpdk *dpdk, const struct rte_mbuf *mbuf)
{
	const struct neighbour_message *message = rte_pktmbuf_mtod(mbuf, const struct neighbour_message *);
	if (mbuf->data_len < sizeof message->ether || mbuf->nb_segs != 1)
		return false;
	if (message->ether.ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
		take_arp(dpdk, mbuf);
		return true;
	}
	if (message->ether.ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV6) || mbuf->data_len < sizeof message->ether + sizeof message->ip ||
	    message->ip.proto != IPPROTO_ICMPV6)
		return false;
	/* Any other ICMPv6, and discovery in another form, is none of ours. */
	if (!dpdk->ipv4 && mbuf->data_len >= sizeof *message && message->ip.hop_limits == ND_HOPS && message->ip.payload_len == RTE_BE16(ND_BYTES))
		take_discovery(dpdk, message);
	return true;
}
