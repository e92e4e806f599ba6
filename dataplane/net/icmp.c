/* ICMP (RFC 792): echo, and what routers tell of path MTUs (RFC 1191). */
#include <rte_icmp.h>

#include "dataplane/net/net_internal.h"
#include "dataplane/net/path.h"

/* A router could not send a packet on: its header, and the first 8 bytes behind that, are quoted. */
static enum gyr_net_outcome input_too_big(struct gyr_net_host *host, const struct rte_icmp_hdr *icmp, uint32_t bytes)
{
	const struct rte_ipv4_hdr *quoted = (const struct rte_ipv4_hdr *)(icmp + 1);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(quoted + 1);
	if (bytes < sizeof *icmp + sizeof *quoted + sizeof *udp)
		return GYR_NET_ICMP_OTHER;
	struct gyr_net_endpoint client = {.address = gyr_net_address_of_ipv4(quoted->dst_addr), .port = rte_be_to_cpu_16(udp->dst_port)};
	bool ours = quoted->version_ihl == RTE_IPV4_VHL_DEF && quoted->next_proto_id == IPPROTO_UDP && quoted->src_addr == host->address_be &&
		    udp->src_port == host->udp_port_be;
	/* The MTU stands where an echo has its sequence number. */
	uint32_t mtu = rte_be_to_cpu_16(icmp->icmp_seq_nb);
	return ours && mtu != 0 && gyr_net_path_tell(host, &client, rte_be_to_cpu_16(quoted->total_length), mtu) ? GYR_NET_PATH_MTU : GYR_NET_PATH_MTU_REFUSED;
}

enum gyr_net_outcome gyr_net_input_icmp(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t ip_bytes)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv4_hdr *, l2);
	struct rte_icmp_hdr *icmp = (struct rte_icmp_hdr *)(ip + 1);
	uint32_t bytes = ip_bytes - (uint32_t)sizeof *ip;
	if (bytes < sizeof *icmp)
		return GYR_NET_ICMP_OTHER;
	bool echo = icmp->icmp_type == RTE_ICMP_TYPE_ECHO_REQUEST && icmp->icmp_code == 0;
	bool too_big = icmp->icmp_type == RTE_ICMP_TYPE_DEST_UNREACHABLE && icmp->icmp_code == RTE_ICMP_CODE_UNREACH_FRAG;
	if (!echo && !too_big)
		return GYR_NET_ICMP_OTHER;
	if (gyr_checksum_fold(gyr_checksum_add(0, icmp, bytes)) != UINT16_MAX)
		return GYR_NET_ICMP_CHECKSUM;
	if (too_big)
		return input_too_big(host, icmp, bytes);
	turn_ethernet(host, rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *), ip->src_addr);
	turn_ipv4(ip, (uint16_t)ip_bytes, true);
	/* Only the type changes, from 8 to 0: the checksum grows by as much (RFC 1624). */
	icmp->icmp_type = RTE_ICMP_TYPE_ECHO_REPLY;
	icmp->icmp_cksum = gyr_checksum_fold((uint64_t)icmp->icmp_cksum + RTE_BE16(RTE_ICMP_TYPE_ECHO_REQUEST << 8));
	finish_frame(mbuf, l2 + ip_bytes, 0);
	return GYR_NET_ECHO_REPLY;
}
