/* Frames of questions and answers, over IPv4 and IPv6. */
#include <string.h>

#include "tools/load/dpdk.h"

uint32_t load_client_of(const struct load_dpdk *dpdk, const struct load_address *address)
{
	if (memcmp(address->bytes, dpdk->base.bytes, 12) != 0)
		return UINT32_MAX;
	rte_be32_t low, first;
	memcpy(&low, address->bytes + 12, 4);
	memcpy(&first, dpdk->base.bytes + 12, 4);
	uint32_t client = rte_be_to_cpu_32(low) - rte_be_to_cpu_32(first);
	return client < dpdk->client_count ? client : UINT32_MAX;
}

void load_frame_prepare(struct load_dpdk *dpdk, uint16_t server_port)
{
	const struct rte_udp_hdr udp = {.src_port = RTE_BE16(LOAD_DPDK_PORT), .dst_port = rte_cpu_to_be_16(server_port)};
	for (uint32_t i = 0; i < dpdk->client_count; i++) {
		struct load_headers *headers = &dpdk->headers[i];
		struct load_address own = load_address_of(&dpdk->base, i);
		*headers = (struct load_headers){.ether = {.dst_addr = dpdk->hop, .src_addr = dpdk->own}};
		if (dpdk->ipv4) {
			headers->ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
			headers->v4.ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
							       .time_to_live = 64,
							       .fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
							       .next_proto_id = IPPROTO_UDP};
			memcpy(&headers->v4.ip.src_addr, own.bytes + 12, 4);
			memcpy(&headers->v4.ip.dst_addr, dpdk->server.bytes + 12, 4);
			headers->v4.udp = udp;
		} else {
			headers->ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
			headers->v6.ip = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(0x60000000), .proto = IPPROTO_UDP, .hop_limits = 64};
			memcpy(&headers->v6.ip.src_addr, own.bytes, 16);
			memcpy(&headers->v6.ip.dst_addr, dpdk->server.bytes, 16);
			headers->v6.udp = udp;
		}
	}
}

void load_frame_finish(const struct load_dpdk *dpdk, struct rte_mbuf *mbuf, uint32_t client, size_t bytes)
{
	struct load_headers *headers = rte_pktmbuf_mtod(mbuf, struct load_headers *);
	rte_be16_t udp_bytes = rte_cpu_to_be_16((uint16_t)(sizeof(struct rte_udp_hdr) + bytes));
	memcpy(headers, &dpdk->headers[client], dpdk->header_bytes);
	if (dpdk->ipv4) {
		headers->v4.udp.dgram_len = udp_bytes;
		headers->v4.ip.total_length = rte_cpu_to_be_16((uint16_t)(sizeof headers->v4.ip + sizeof headers->v4.udp + bytes));
		headers->v4.ip.hdr_checksum = rte_ipv4_cksum(&headers->v4.ip);
		headers->v4.udp.dgram_cksum = rte_ipv4_udptcp_cksum(&headers->v4.ip, &headers->v4.udp);
	} else {
		headers->v6.udp.dgram_len = udp_bytes;
		headers->v6.ip.payload_len = udp_bytes;
		headers->v6.udp.dgram_cksum = rte_ipv6_udptcp_cksum(&headers->v6.ip, &headers->v6.udp);
	}
	mbuf->data_len = (uint16_t)(dpdk->header_bytes + bytes);
	mbuf->pkt_len = mbuf->data_len;
}

static bool is_whole_v4(const struct load_headers *headers, size_t frame_bytes)
{
	size_t total = rte_be_to_cpu_16(headers->v4.ip.total_length), length = rte_be_to_cpu_16(headers->v4.udp.dgram_len);
	if (headers->v4.ip.version_ihl != RTE_IPV4_VHL_DEF || headers->v4.ip.next_proto_id != IPPROTO_UDP)
		return false;
	if (total > frame_bytes - sizeof headers->ether || length + sizeof headers->v4.ip != total || length < sizeof headers->v4.udp)
		return false;
	/* A checksum of zero says that the sender made none. */
	return rte_raw_cksum(&headers->v4.ip, sizeof headers->v4.ip) == 0xffff &&
	       (headers->v4.udp.dgram_cksum == 0 || rte_ipv4_udptcp_cksum_verify(&headers->v4.ip, &headers->v4.udp) == 0);
}

static bool is_whole_v6(const struct load_headers *headers, size_t frame_bytes)
{
	size_t total = rte_be_to_cpu_16(headers->v6.ip.payload_len), length = rte_be_to_cpu_16(headers->v6.udp.dgram_len);
	if (headers->v6.ip.proto != IPPROTO_UDP || total > frame_bytes - sizeof headers->ether - sizeof headers->v6.ip || length != total ||
	    length < sizeof headers->v6.udp)
		return false;
	return headers->v6.udp.dgram_cksum != 0 && rte_ipv6_udptcp_cksum_verify(&headers->v6.ip, &headers->v6.udp) == 0;
}

const uint8_t *load_frame_datagram(const struct load_dpdk *dpdk, const struct rte_mbuf *mbuf, uint32_t *client, size_t *size)
{
	const struct load_headers *headers = rte_pktmbuf_mtod(mbuf, const struct load_headers *);
	struct load_address from = dpdk->server, to = dpdk->base;
	if (mbuf->data_len < dpdk->header_bytes || mbuf->nb_segs != 1)
		return NULL;
	if (headers->ether.ether_type != (dpdk->ipv4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6)))
		return NULL;
	if (!(dpdk->ipv4 ? is_whole_v4(headers, mbuf->data_len) : is_whole_v6(headers, mbuf->data_len)))
		return NULL;
	memcpy(from.bytes + (dpdk->ipv4 ? 12 : 0), dpdk->ipv4 ? (const void *)&headers->v4.ip.src_addr : &headers->v6.ip.src_addr, dpdk->ipv4 ? 4 : 16);
	memcpy(to.bytes + (dpdk->ipv4 ? 12 : 0), dpdk->ipv4 ? (const void *)&headers->v4.ip.dst_addr : &headers->v6.ip.dst_addr, dpdk->ipv4 ? 4 : 16);
	const struct rte_udp_hdr *udp = dpdk->ipv4 ? &headers->v4.udp : &headers->v6.udp;
	*client = load_client_of(dpdk, &to);
	if (memcmp(&from, &dpdk->server, sizeof from) != 0 || *client == UINT32_MAX || udp->dst_port != RTE_BE16(LOAD_DPDK_PORT))
		return NULL;
	*size = rte_be_to_cpu_16(udp->dgram_len) - sizeof *udp;
	return (const uint8_t *)(udp + 1);
}
