/* ARP (RFC 826): answers for our IPv4 address, and asks for the gateway's MAC address. */
#include <rte_arp.h>

#include "dataplane/net/gateway.h"
#include "dataplane/net/net_internal.h"

enum gyr_net_outcome gyr_net_input_arp(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2)
{
	struct rte_arp_hdr *arp = rte_pktmbuf_mtod_offset(mbuf, struct rte_arp_hdr *, l2);
	struct rte_arp_ipv4 *data = &arp->arp_data;
	if (mbuf->data_len < l2 + sizeof *arp)
		return GYR_NET_ARP_INVALID;
	if (arp->arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) || arp->arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) || arp->arp_hlen != RTE_ETHER_ADDR_LEN ||
	    arp->arp_plen != sizeof(uint32_t) || rte_is_multicast_ether_addr(&data->arp_sha))
		return GYR_NET_ARP_INVALID;
	if (data->arp_sip == host->address_be)
		return GYR_NET_ARP_CONFLICT;
	/* No address at all is that of a host that looks whether ours is free (RFC 5227). */
	if (data->arp_sip != 0 && gyr_net_never_answered4(host, rte_be_to_cpu_32(data->arp_sip)))
		return GYR_NET_ARP_INVALID;
	struct gyr_net_address sender = gyr_net_address_of_ipv4(data->arp_sip);
	bool for_us = data->arp_tip == host->address_be;
	bool answer = for_us && arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY);
	if (gyr_net_gateway_hear(&host->gateways[0], &sender, &data->arp_sha, answer))
		return GYR_NET_ARP_GATEWAY;
	if (arp->arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST) || !for_us)
		return GYR_NET_ARP_OTHER;
	swap_ethernet(host, rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *));
	arp->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	data->arp_tha = data->arp_sha;
	data->arp_tip = data->arp_sip;
	data->arp_sha = host->mac;
	data->arp_sip = host->address_be;
	finish_frame(mbuf, l2 + (uint32_t)sizeof *arp, 0);
	return GYR_NET_ARP_REPLY;
}
