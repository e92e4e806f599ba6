/* IPv6 (RFC 8200) and ICMPv6 (RFC 4443) but for neighbour discovery. No extension header is taken: each kind is refused under a reason of its own. */
#include <rte_icmp.h>

#include "dataplane/net/icmp6.h"
#include "dataplane/net/net_internal.h"
#include "dataplane/net/path.h"

#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_OPTIONS 60

int gyr_net_own6(const struct gyr_net_host *host, const struct rte_ipv6_addr *address)
{
	for (uint32_t i = 0; i < GYR_NET_IPV6_OWN; i++) {
		if (memcmp(&host->own6[i], address, sizeof *address) == 0)
			return (int)i;
	}
	return -1;
}

/* The all-nodes group, and the solicited-node groups of our addresses. */
static bool is_our_group(const struct gyr_net_host *host, const struct rte_ipv6_addr *address)
{
	if (memcmp(address, &gyr_icmp6_all_nodes, sizeof *address) == 0)
		return true;
	for (uint32_t i = 0; i < GYR_NET_IPV6_OWN; i++) {
		struct rte_ipv6_addr group = gyr_icmp6_solicited_group(&host->own6[i]);
		if (memcmp(address, &group, sizeof *address) == 0)
			return true;
	}
	return false;
}

/* Groups, our own, and all that begins with 80 zeros: unspecified, loopback, and what stands for an IPv4 address (RFC 4291, sections 2.5.2 to 2.5.5). */
bool gyr_net_never_answered6(const struct gyr_net_host *host, const struct rte_ipv6_addr *source)
{
	static const uint8_t zeros[10];
	return rte_ipv6_addr_is_mcast(source) || memcmp(source, zeros, sizeof zeros) == 0 || gyr_net_own6(host, source) >= 0;
}

void gyr_net_turn_ipv6(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint16_t payload_bytes)
{
	static const struct gyr_net_network link_local = {.address = {{0xfe, 0x80}}, .prefix = 10};
	struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv6_hdr *, l2);
	struct rte_ipv6_addr own = ip->dst_addr;
	struct gyr_net_address client;
	memcpy(&client, &ip->src_addr, sizeof client);
	swap_ethernet(host, ether);
	if (host->has_gateway && !gyr_net_network_holds(&host->subnet6, &client) && !gyr_net_network_holds(&link_local, &client))
		send_by_gateway(&host->gateways[1], ether);
	ip->dst_addr = ip->src_addr;
	ip->src_addr = own;
	ip->vtc_flow &= ~rte_cpu_to_be_32(RTE_IPV6_HDR_ECN_MASK); /* the question's way says nothing of the answer's */
	ip->payload_len = rte_cpu_to_be_16(payload_bytes);
	ip->hop_limits = REPLY_TTL;
}

/* A router could not send a packet on, and quotes as much of it as fits. */
static enum gyr_net_outcome input_too_big(struct gyr_net_host *host, const struct rte_icmp_hdr *icmp, uint32_t bytes)
{
	const struct rte_ipv6_hdr *quoted = (const struct rte_ipv6_hdr *)(icmp + 1);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(quoted + 1);
	if (bytes < sizeof *icmp + sizeof *quoted + sizeof *udp)
		return GYR_NET_ICMP6_OTHER;
	struct gyr_net_endpoint client = {.port = rte_be_to_cpu_16(udp->dst_port)};
	memcpy(&client.address, &quoted->dst_addr, sizeof client.address);
	bool ours = rte_ipv6_check_version(quoted) == 0 && quoted->proto == IPPROTO_UDP && gyr_net_own6(host, &quoted->src_addr) >= 0 &&
		    udp->src_port == host->udp_port_be;
	/* The MTU stands where an echo has its identifier and sequence number. */
	uint32_t mtu = (uint32_t)rte_be_to_cpu_16(icmp->icmp_ident) << 16 | rte_be_to_cpu_16(icmp->icmp_seq_nb);
	uint32_t sent = rte_be_to_cpu_16(quoted->payload_len) + (uint32_t)sizeof *quoted;
	return ours && gyr_net_path_tell(host, &client, sent, mtu) ? GYR_NET_PATH_MTU : GYR_NET_PATH_MTU_REFUSED;
}

static enum gyr_net_outcome input_echo(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, struct rte_icmp_hdr *icmp, uint32_t bytes)
{
	gyr_net_turn_ipv6(host, mbuf, l2, (uint16_t)bytes);
	/* Only the type changes, from 128 to 129: the checksum shrinks by as much (RFC 1624). */
	icmp->icmp_type = RTE_ICMP6_ECHO_REPLY;
	icmp->icmp_cksum = gyr_checksum_fold((uint64_t)icmp->icmp_cksum + (uint16_t)~RTE_BE16((RTE_ICMP6_ECHO_REPLY - RTE_ICMP6_ECHO_REQUEST) << 8));
	finish_frame(mbuf, l2 + (uint32_t)sizeof(struct rte_ipv6_hdr) + bytes, 0);
	return GYR_NET_ECHO_REPLY;
}

static enum gyr_net_outcome input_icmp6(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t bytes)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv6_hdr *, l2);
	struct rte_icmp_hdr *icmp = rte_pktmbuf_mtod_offset(mbuf, struct rte_icmp_hdr *, l2 + sizeof *ip);
	if (bytes < sizeof *icmp)
		return GYR_NET_ICMP6_OTHER;
	bool nd = icmp->icmp_type == GYR_ICMP6_SOLICITATION || icmp->icmp_type == GYR_ICMP6_ADVERTISEMENT;
	/* Neighbour discovery has its own rules for who may ask: a host that looks whether its address is free has none yet. */
	if (!nd && gyr_net_never_answered6(host, &ip->src_addr))
		return GYR_NET_IP6_SOURCE;
	if (!nd && rte_ipv6_addr_is_mcast(&ip->dst_addr))
		return GYR_NET_IP6_DESTINATION;
	bool echo = icmp->icmp_type == RTE_ICMP6_ECHO_REQUEST && icmp->icmp_code == 0;
	bool too_big = icmp->icmp_type == GYR_ICMP6_TOO_BIG && icmp->icmp_code == 0;
	if (!nd && !echo && !too_big)
		return GYR_NET_ICMP6_OTHER;
	if (gyr_checksum_fold(gyr_checksum_add(pseudo_sum6(ip, rte_cpu_to_be_16((uint16_t)bytes), GYR_ICMP6_NEXT), icmp, bytes)) != UINT16_MAX)
		return GYR_NET_ICMP6_CHECKSUM;
	if (nd)
		return gyr_net_input_nd(host, mbuf, l2, bytes);
	return echo ? input_echo(host, mbuf, l2, icmp, bytes) : input_too_big(host, icmp, bytes);
}

enum gyr_net_outcome gyr_net_input_ipv6(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, bool to_us, uint8_t **payload, uint32_t *payload_bytes)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv6_hdr *, l2);
	uint32_t left = mbuf->data_len - l2;
	if (left < sizeof *ip)
		return GYR_NET_IP6_SHORT;
	if (rte_ipv6_check_version(ip) != 0)
		return GYR_NET_IP6_VERSION;
	uint32_t bytes = rte_be_to_cpu_16(ip->payload_len);
	if (bytes > left - sizeof *ip)
		return GYR_NET_IP6_LENGTH;
	if (bytes + sizeof *ip > host->mtu)
		return GYR_NET_IP6_MTU;
	bool unicast = to_us && gyr_net_own6(host, &ip->dst_addr) >= 0;
	if (!unicast && !is_our_group(host, &ip->dst_addr))
		return GYR_NET_IP6_DESTINATION;
	switch (ip->proto) {
	case IPPROTO_UDP:
		if (!unicast)
			return GYR_NET_IP6_DESTINATION;
		return gyr_net_never_answered6(host, &ip->src_addr) ? GYR_NET_IP6_SOURCE : input_udp(host, mbuf, l2, true, bytes, payload, payload_bytes);
	case GYR_ICMP6_NEXT: return input_icmp6(host, mbuf, l2, bytes);
	case NEXT_HOP_BY_HOP: return GYR_NET_IP6_HOP_BY_HOP;
	case NEXT_ROUTING: return GYR_NET_IP6_ROUTING;
	case NEXT_FRAGMENT: return GYR_NET_IP6_FRAGMENT;
	case NEXT_OPTIONS: return GYR_NET_IP6_OPTIONS;
	default: return GYR_NET_IP6_PROTOCOL;
	}
}
