/* Neighbour discovery (RFC 4861): answers for our IPv6 addresses, and hears what the gateway answers us. */
#include "dataplane/net/gateway.h"
#include "dataplane/net/icmp6.h"
#include "dataplane/net/net_internal.h"

/* Finds the MAC address in an option of TYPE among BYTES of options; *MAC gets NULL when there is none. False: an option is cut, or has no length. */
static bool read_options(const uint8_t *at, uint32_t bytes, uint8_t type, const struct rte_ether_addr **mac)
{
	*mac = NULL;
	while (bytes > 0) {
		const struct gyr_icmp6_option *option = (const struct gyr_icmp6_option *)at;
		if (bytes < sizeof *option || option->eights == 0 || option->eights * 8u > bytes)
			return false;
		if (option->type == type && option->eights == 1)
			*mac = &option->mac;
		at += option->eights * 8u;
		bytes -= option->eights * 8u;
	}
	return true;
}

/*
 * Turns a solicitation for our address INDEX into the advertisement. A host that looks whether the address is free has no address itself: it is told in the
 * group of all (RFC 4861, section 7.2.4).
 */
static enum gyr_net_outcome advertise(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, int index)
{
	struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv6_hdr *, l2);
	struct gyr_icmp6_nd *nd = (struct gyr_icmp6_nd *)(ip + 1);
	struct gyr_icmp6_option *option = (struct gyr_icmp6_option *)(nd + 1);
	uint16_t bytes = sizeof *nd + sizeof *option;
	if ((uint32_t)mbuf->buf_len - mbuf->data_off < l2 + sizeof *ip + bytes)
		return GYR_NET_ND_INVALID;
	bool probe = rte_ipv6_addr_is_unspec(&ip->src_addr);
	swap_ethernet(host, ether);
	if (probe)
		ether->dst_addr = gyr_icmp6_group_mac(&gyr_icmp6_all_nodes);
	ip->dst_addr = probe ? gyr_icmp6_all_nodes : ip->src_addr;
	memcpy(&ip->src_addr, &host->own6[index], sizeof ip->src_addr);
	ip->payload_len = rte_cpu_to_be_16(bytes);
	ip->hop_limits = GYR_ICMP6_HOP_LIMIT;
	nd->type = GYR_ICMP6_ADVERTISEMENT;
	nd->flags = GYR_ICMP6_ADVERTISEMENT_OVERRIDE | (probe ? 0 : GYR_ICMP6_ADVERTISEMENT_SOLICITED);
	*option = (struct gyr_icmp6_option){.type = GYR_ICMP6_OPTION_TARGET, .eights = 1, .mac = host->mac};
	nd->checksum = 0;
	nd->checksum = gyr_checksum_finish(gyr_checksum_add(pseudo_sum6(ip, ip->payload_len, GYR_ICMP6_NEXT), nd, bytes));
	finish_frame(mbuf, l2 + (uint32_t)sizeof *ip + bytes, 0);
	return GYR_NET_ND_REPLY;
}

/* Sections 7.1.1 and 7.2.3. */
static enum gyr_net_outcome input_solicitation(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t options)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv6_hdr *, l2);
	const struct gyr_icmp6_nd *nd = (const struct gyr_icmp6_nd *)(ip + 1);
	const struct rte_ether_addr *mac;
	if (!read_options((const uint8_t *)(nd + 1), options, GYR_ICMP6_OPTION_SOURCE, &mac))
		return GYR_NET_ND_INVALID;
	bool probe = rte_ipv6_addr_is_unspec(&ip->src_addr);
	bool to_solicited_group = ip->dst_addr.a[0] == 0xff && ip->dst_addr.a[12] == 0xff;
	if (probe && (mac != NULL || !to_solicited_group))
		return GYR_NET_ND_INVALID;
	int index = gyr_net_own6(host, &nd->target);
	if (gyr_net_own6(host, &ip->src_addr) >= 0)
		return GYR_NET_ND_CONFLICT;
	if (!probe && gyr_net_never_answered6(host, &ip->src_addr))
		return GYR_NET_ND_INVALID;
	return index < 0 ? GYR_NET_ND_OTHER : advertise(host, mbuf, l2, index);
}

/* Sections 7.1.2 and 7.2.5. */
static enum gyr_net_outcome input_advertisement(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t options)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv6_hdr *, l2);
	const struct gyr_icmp6_nd *nd = (const struct gyr_icmp6_nd *)(ip + 1);
	const struct rte_ether_addr *mac;
	bool solicited = (nd->flags & GYR_ICMP6_ADVERTISEMENT_SOLICITED) != 0;
	if (!read_options((const uint8_t *)(nd + 1), options, GYR_ICMP6_OPTION_TARGET, &mac) || (solicited && rte_ipv6_addr_is_mcast(&ip->dst_addr)))
		return GYR_NET_ND_INVALID;
	if (gyr_net_own6(host, &nd->target) >= 0)
		return GYR_NET_ND_CONFLICT;
	struct gyr_net_address target;
	memcpy(&target, &nd->target, sizeof target);
	bool told = mac != NULL && !rte_is_multicast_ether_addr(mac) && gyr_net_gateway_hear(&host->gateways[1], &target, mac, solicited);
	return told ? GYR_NET_ND_GATEWAY : GYR_NET_ND_OTHER;
}

enum gyr_net_outcome gyr_net_input_nd(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t icmp_bytes)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv6_hdr *, l2);
	const struct gyr_icmp6_nd *nd = (const struct gyr_icmp6_nd *)(ip + 1);
	if (icmp_bytes < sizeof *nd || ip->hop_limits != GYR_ICMP6_HOP_LIMIT || nd->code != 0 || rte_ipv6_addr_is_mcast(&nd->target))
		return GYR_NET_ND_INVALID;
	uint32_t options = icmp_bytes - (uint32_t)sizeof *nd;
	return nd->type == GYR_ICMP6_SOLICITATION ? input_solicitation(host, mbuf, l2, options) : input_advertisement(host, mbuf, l2, options);
}
