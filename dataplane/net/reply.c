/* The headers of answers to datagrams. */
#include "base/assertion.h"
#include "dataplane/net/net_internal.h"
#include "dataplane/net/path.h"

/* Writes the UDP header of an answer whose pseudo header adds up to PSEUDO; the port sums where SUM_IT is false, and needs PSEUDO for that. */
static inline void turn_udp(const struct gyr_net_host *host, struct rte_udp_hdr *udp, uint16_t bytes, uint64_t pseudo, bool sum_it)
{
	udp->dst_port = udp->src_port;
	udp->src_port = host->udp_port_be;
	udp->dgram_len = rte_cpu_to_be_16(bytes);
	if (!sum_it) {
		udp->dgram_cksum = gyr_checksum_fold(pseudo);
		return;
	}
	udp->dgram_cksum = 0;
	uint16_t sum = gyr_checksum_finish(gyr_checksum_add(pseudo, udp, bytes));
	udp->dgram_cksum = sum == 0 ? UINT16_MAX : sum; /* a field of 0 would say that there is none */
}

static inline void reply_ipv4(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t payload_bytes, uint64_t tx_flags)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv4_hdr *, l2);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint16_t bytes = (uint16_t)(payload_bytes + sizeof *udp);
	turn_ethernet(host, rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *), ip->src_addr);
	turn_ipv4(ip, (uint16_t)(bytes + sizeof *ip), (tx_flags & RTE_MBUF_F_TX_IP_CKSUM) == 0);
	turn_udp(host, udp, bytes, pseudo_sum(ip, rte_cpu_to_be_16(bytes), IPPROTO_UDP), (tx_flags & RTE_MBUF_F_TX_L4_MASK) != RTE_MBUF_F_TX_UDP_CKSUM);
	finish_frame(mbuf, l2 + (uint32_t)sizeof *ip + bytes, tx_flags);
}

static void reply_ipv6(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t l2, uint32_t payload_bytes)
{
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv6_hdr *, l2);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint16_t bytes = (uint16_t)(payload_bytes + sizeof *udp);
	gyr_net_turn_ipv6(host, mbuf, l2, bytes);
	turn_udp(host, udp, bytes, pseudo_sum6(ip, ip->payload_len, IPPROTO_UDP), host->tx_flags6 == 0);
	finish_frame(mbuf, l2 + (uint32_t)sizeof *ip + bytes, host->tx_flags6);
}

void gyr_net_reply(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t payload_bytes)
{
	uint64_t plain = header_lengths(sizeof(struct rte_ether_hdr), sizeof(struct rte_ipv4_hdr));
	if (__builtin_expect(mbuf->tx_offload == plain && payload_bytes < host->plain_end, 1)) {
		reply_ipv4(host, mbuf, sizeof(struct rte_ether_hdr), payload_bytes, 0);
		return;
	}
	/* Not gyr_net_payload_room: another lcore may have heard of a smaller path MTU since the caller asked for that. */
	GYR_ASSERT(payload_bytes <= gyr_net_payload_max(host, mbuf));
	uint32_t l2 = mbuf->l2_len, ip_bytes = mbuf->l3_len + (uint32_t)sizeof(struct rte_udp_hdr) + payload_bytes;
	if (ip_bytes > (gyr_net_is_ipv4(mbuf) ? IPV4_MTU_MIN : IPV6_MTU_MIN)) {
		struct gyr_net_endpoint client = gyr_net_source(mbuf);
		gyr_net_path_sent(host, &client, ip_bytes);
	}
	if (gyr_net_is_ipv4(mbuf))
		reply_ipv4(host, mbuf, l2, payload_bytes, host->tx_flags4);
	else
		reply_ipv6(host, mbuf, l2, payload_bytes);
}
