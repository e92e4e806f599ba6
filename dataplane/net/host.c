/* A host: who we are on one port, and whom we trust. */
#include <sys/random.h>

#include <rte_ethdev.h>

#include "base/assertion.h"
#include "dataplane/net/icmp6.h"
#include "dataplane/net/net_internal.h"

static rte_be32_t mask_of(uint32_t prefix)
{
	return prefix == 0 ? 0 : rte_cpu_to_be_32(UINT32_MAX << (32 - prefix));
}

/* The link-local address that a MAC address gives (RFC 4291, appendix A). */
static struct gyr_net_address link_local_of(const struct rte_ether_addr *mac)
{
	const uint8_t *m = mac->addr_bytes;
	return (struct gyr_net_address){{0xfe, 0x80, [8] = m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]}};
}

static void trust(struct gyr_net_host *host, const struct gyr_net_network *network)
{
	/* One of IPv6 with few bits would hold IPv4 as well, as it stands in the same form: that is not what it says. */
	if (network->prefix >= GYR_NET_IPV4_BITS_BEFORE && gyr_net_address_is_ipv4(&network->address)) {
		struct gyr_net_ipv4_network *entry = &host->trusted4[host->trusted4_count++];
		memcpy(&entry->address, network->address.bytes + GYR_NET_IPV4_BITS_BEFORE / 8, sizeof entry->address);
		entry->mask = mask_of(network->prefix - GYR_NET_IPV4_BITS_BEFORE);
	} else {
		host->trusted6[host->trusted6_count++] = *network;
	}
}

static void trust_all_of(struct gyr_net_host *host, const struct gyr_config *config)
{
	static const struct gyr_net_network link_local = {.address = {{0xfe, 0x80}}, .prefix = 64};
	struct gyr_net_address address = gyr_net_address_of_ipv4(host->address_be);
	struct gyr_net_network subnet = gyr_net_network_of(&address, (uint8_t)(GYR_NET_IPV4_BITS_BEFORE + config->prefix));
	for (uint32_t i = 0; i < config->trusted_count; i++)
		trust(host, &config->trusted[i]);
	if (config->trusted_count == 0) {
		trust(host, &subnet);
		trust(host, &host->subnet6);
		trust(host, &link_local);
	}
	/* The first is looked at without counting: no source that is answered is all ones. */
	if (host->trusted4_count == 0)
		host->trusted4[0] = (struct gyr_net_ipv4_network){.address = UINT32_MAX, .mask = UINT32_MAX};
}

/* What of the checksums of an answer the port makes. */
static void use_offloads(struct gyr_net_host *host, uint64_t offloads)
{
	bool ip = (offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0, udp = (offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
	uint64_t udp_flag = udp ? RTE_MBUF_F_TX_UDP_CKSUM : 0;
	if (ip || udp)
		host->tx_flags4 = RTE_MBUF_F_TX_IPV4 | (ip ? RTE_MBUF_F_TX_IP_CKSUM : 0) | udp_flag;
	if (udp)
		host->tx_flags6 = RTE_MBUF_F_TX_IPV6 | udp_flag;
	host->tx_vlan = (offloads & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0;
}

void gyr_net_host_init(struct gyr_net_host *host, const struct gyr_config *config, const struct rte_ether_addr *mac, uint64_t tx_offloads)
{
	/* A prefix of 31 or 32 has no broadcast address (RFC 3021). */
	uint32_t host_bits = config->prefix >= 31 ? 0 : UINT32_MAX >> config->prefix;
	memset(host, 0, sizeof *host);
	host->mac = *mac;
	host->udp_port_be = rte_cpu_to_be_16(config->udp_port);
	host->address = config->address;
	host->address_be = rte_cpu_to_be_32(config->address);
	host->broadcast = config->address | host_bits;
	host->subnet_mask_be = mask_of(config->prefix);
	host->mtu = config->mtu;
	host->payload_max = config->mtu - GYR_NET_IP_HEADERS;
	host->vlan = config->vlan;
	host->ipv6 = !gyr_net_address_is_zero(&config->address6);
	host->own6[0] = config->address6;
	host->own6[1] = link_local_of(mac);
	host->subnet6 = gyr_net_network_of(&config->address6, config->prefix6);
	host->gateways[0].address = config->gateway;
	host->gateways[1].address = config->gateway6;
	host->has_gateway = !gyr_net_address_is_zero(&config->gateway) || !gyr_net_address_is_zero(&config->gateway6);
	trust_all_of(host, config);
	use_offloads(host, tx_offloads);
	host->plain_end = host->tx_flags4 == 0 && !host->tx_vlan ? IPV4_MTU_MIN - GYR_NET_IP_HEADERS + 1 : 0;
	ssize_t got = getrandom(host->paths.secret, sizeof host->paths.secret, 0);
	GYR_ASSERT(got == (ssize_t)sizeof host->paths.secret); /* so few bytes come whole, once the kernel has any */
}

bool gyr_net_is_trusted_beyond(const struct gyr_net_host *host, const struct rte_mbuf *mbuf)
{
	if (gyr_net_is_ipv4(mbuf)) {
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv4_hdr *, mbuf->l2_len);
		for (uint32_t i = 1; i < host->trusted4_count; i++) {
			if ((ip->src_addr & host->trusted4[i].mask) == host->trusted4[i].address)
				return true;
		}
		return false;
	}
	struct gyr_net_endpoint source = gyr_net_source(mbuf);
	for (uint32_t i = 0; i < host->trusted6_count; i++) {
		if (gyr_net_network_holds(&host->trusted6[i], &source.address))
			return true;
	}
	return false;
}

uint32_t gyr_net_groups(const struct gyr_net_host *host, struct rte_ether_addr groups[GYR_NET_GROUPS])
{
	if (!host->ipv6)
		return 0;
	groups[0] = gyr_icmp6_group_mac(&gyr_icmp6_all_nodes);
	for (uint32_t i = 0; i < GYR_NET_IPV6_OWN; i++) {
		struct rte_ipv6_addr group = gyr_icmp6_solicited_group(&host->own6[i]);
		groups[1 + i] = gyr_icmp6_group_mac(&group);
	}
	return GYR_NET_GROUPS;
}
