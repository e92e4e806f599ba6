#include "frames.h"

const struct rte_ether_addr our_mac = {{0x02, 0, 0, 0, 0, 1}}, their_mac = {{0x02, 0, 0, 0, 0, 2}}, all_macs = {{255, 255, 255, 255, 255, 255}},
			    gateway_mac = {{0x02, 0, 0, 0, 0, 0xfe}};
const struct rte_ipv6_addr our_address6 = {{0x20, 0x01, 0x0d, 0xb8, [13] = 0x51, [15] = 0x61}}, our_local6 = {{0xfe, 0x80, [11] = 0xff, 0xfe, [15] = 1}},
			   their_address6 = {{0x20, 0x01, 0x0d, 0xb8, [13] = 0xaa, 0xbb, 0x77}}, far_address6 = {{0x20, 0x01, 0x0d, 0xb9, [15] = 9}};

struct gyr_net_host host;
struct gyr_config config;

void set_host(uint64_t tx_offloads)
{
	gyr_net_host_init(&host, &config, &our_mac, tx_offloads);
}

int set_up(void **state)
{
	gyr_config_defaults(&config);
	config.address = OUR_ADDRESS;
	config.prefix = 24;
	config.udp_port = OUR_PORT;
	config.mtu = MTU;
	memcpy(&config.address6, &our_address6, sizeof config.address6);
	config.prefix6 = 64;
	set_host(0);
	return 0;
}

void put(struct frame *frame, const void *bytes, size_t size)
{
	*frame = (struct frame){.mbuf = {.nb_segs = 1, .refcnt = 1, .data_off = RTE_PKTMBUF_HEADROOM, .buf_len = sizeof frame->buffer}};
	frame->mbuf.buf_addr = frame->buffer;
	frame->mbuf.data_len = (uint16_t)size;
	frame->mbuf.pkt_len = (uint32_t)size;
	memcpy(frame->buffer + RTE_PKTMBUF_HEADROOM, bytes, size);
}

void *bytes_of(struct frame *frame)
{
	return rte_pktmbuf_mtod(&frame->mbuf, void *);
}

enum gyr_net_outcome input(const void *bytes, size_t size)
{
	struct frame frame;
	uint8_t *payload;
	uint32_t payload_bytes;
	put(&frame, bytes, size);
	return gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes);
}

void take(struct frame *frame, const void *bytes, size_t size)
{
	uint8_t *payload;
	uint32_t payload_bytes;
	put(frame, bytes, size);
	assert_int_equal(gyr_net_input(&host, &frame->mbuf, &payload, &payload_bytes), GYR_NET_DATAGRAM);
	assert_ptr_equal(gyr_net_payload_of(&frame->mbuf), payload);
	assert_int_equal(gyr_net_payload_bytes(&frame->mbuf), payload_bytes);
}

uint16_t plain_checksum(const void *data, size_t size, uint32_t sum)
{
	const uint8_t *bytes = data;
	for (size_t i = 0; i < size; i++)
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t pseudo_header(const struct rte_ipv4_hdr *ip, uint8_t protocol, size_t bytes)
{
	uint32_t source = rte_be_to_cpu_32(ip->src_addr), destination = rte_be_to_cpu_32(ip->dst_addr);
	return (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff) + protocol + (uint32_t)bytes;
}

uint32_t pseudo_header6(const struct rte_ipv6_hdr *ip, uint8_t protocol, size_t bytes)
{
	return (uint16_t)~plain_checksum(&ip->src_addr, 32, 0) + protocol + (uint32_t)bytes;
}

void sum_ip(struct rte_ipv4_hdr *ip)
{
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_cpu_to_be_16(plain_checksum(ip, sizeof *ip, 0));
}

void sum_udp(struct udp_frame *frame)
{
	size_t bytes = rte_be_to_cpu_16(frame->udp.dgram_len);
	frame->udp.dgram_cksum = 0;
	frame->udp.dgram_cksum = rte_cpu_to_be_16(plain_checksum(&frame->udp, bytes, pseudo_header(&frame->ip, IPPROTO_UDP, bytes)));
}

void sum_udp6(struct udp6_frame *frame)
{
	size_t bytes = rte_be_to_cpu_16(frame->udp.dgram_len);
	frame->udp.dgram_cksum = 0;
	frame->udp.dgram_cksum = rte_cpu_to_be_16(plain_checksum(&frame->udp, bytes, pseudo_header6(&frame->ip, IPPROTO_UDP, bytes)));
}

void sum_icmp(struct rte_icmp_hdr *icmp, size_t bytes)
{
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = rte_cpu_to_be_16(plain_checksum(icmp, bytes, 0));
}

void sum_icmp6(struct rte_ipv6_hdr *ip, size_t bytes)
{
	struct rte_icmp_hdr *icmp = (struct rte_icmp_hdr *)(ip + 1);
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = rte_cpu_to_be_16(plain_checksum(icmp, bytes, pseudo_header6(ip, GYR_ICMP6_NEXT, bytes)));
}

static void set_ip(struct rte_ipv4_hdr *ip, uint8_t protocol, size_t bytes)
{
	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
				    .type_of_service = 0xbb, /* urgent, and one that has met a queue */
				    .total_length = rte_cpu_to_be_16((uint16_t)bytes),
				    .packet_id = rte_cpu_to_be_16(7),
				    .time_to_live = 3,
				    .next_proto_id = protocol,
				    .src_addr = rte_cpu_to_be_32(THEIR_ADDRESS),
				    .dst_addr = rte_cpu_to_be_32(OUR_ADDRESS)};
	sum_ip(ip);
}

static void set_ip6(struct rte_ipv6_hdr *ip, uint8_t protocol, size_t bytes)
{
	*ip = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(0x6bb12345),
				    .payload_len = rte_cpu_to_be_16((uint16_t)bytes),
				    .proto = protocol,
				    .hop_limits = 3,
				    .src_addr = their_address6,
				    .dst_addr = our_address6};
}

static struct rte_ether_hdr ether_header(uint16_t type)
{
	return (struct rte_ether_hdr){.dst_addr = our_mac, .src_addr = their_mac, .ether_type = rte_cpu_to_be_16(type)};
}

static const struct rte_udp_hdr udp_header = {
	.src_port = RTE_BE16(THEIR_PORT), .dst_port = RTE_BE16(OUR_PORT), .dgram_len = RTE_BE16(sizeof(struct rte_udp_hdr) + PAYLOAD)};

static void fill(uint8_t *payload)
{
	for (int i = 0; i < PAYLOAD; i++)
		payload[i] = (uint8_t)(i * 7);
}

struct udp_frame udp_frame(void)
{
	struct udp_frame frame = {.ether = ether_header(RTE_ETHER_TYPE_IPV4), .udp = udp_header};
	set_ip(&frame.ip, IPPROTO_UDP, sizeof frame - sizeof frame.ether);
	fill(frame.payload);
	sum_udp(&frame);
	return frame;
}

struct udp6_frame udp6_frame(void)
{
	struct udp6_frame frame = {.ether = ether_header(RTE_ETHER_TYPE_IPV6), .udp = udp_header};
	set_ip6(&frame.ip, IPPROTO_UDP, sizeof frame.udp + PAYLOAD);
	fill(frame.payload);
	sum_udp6(&frame);
	return frame;
}

struct echo_frame echo_frame(void)
{
	struct echo_frame frame = {.ether = ether_header(RTE_ETHER_TYPE_IPV4)};
	set_ip(&frame.ip, IPPROTO_ICMP, sizeof frame - sizeof frame.ether);
	frame.icmp = (struct rte_icmp_hdr){.icmp_type = RTE_ICMP_TYPE_ECHO_REQUEST, .icmp_ident = RTE_BE16(9), .icmp_seq_nb = RTE_BE16(1)};
	memset(frame.payload, 0xff, sizeof frame.payload);
	sum_icmp(&frame.icmp, sizeof frame.icmp + PAYLOAD);
	return frame;
}

struct echo6_frame echo6_frame(void)
{
	struct echo6_frame frame = {.ether = ether_header(RTE_ETHER_TYPE_IPV6)};
	set_ip6(&frame.ip, GYR_ICMP6_NEXT, sizeof frame.icmp + PAYLOAD);
	frame.icmp = (struct rte_icmp_hdr){.icmp_type = RTE_ICMP6_ECHO_REQUEST, .icmp_ident = RTE_BE16(9), .icmp_seq_nb = RTE_BE16(1)};
	memset(frame.payload, 0xff, sizeof frame.payload);
	sum_icmp6(&frame.ip, sizeof frame.icmp + PAYLOAD);
	return frame;
}

struct arp_frame arp_frame(void)
{
	struct arp_frame frame = {
		.ether = ether_header(RTE_ETHER_TYPE_ARP),
		.arp = {.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
			.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
			.arp_hlen = 6,
			.arp_plen = 4,
			.arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST),
			.arp_data = {.arp_sha = their_mac, .arp_sip = rte_cpu_to_be_32(THEIR_ADDRESS), .arp_tip = rte_cpu_to_be_32(OUR_ADDRESS)}},
	};
	frame.ether.dst_addr = all_macs;
	return frame;
}

struct nd_frame solicitation_frame(void)
{
	struct nd_frame frame = {.ether = ether_header(RTE_ETHER_TYPE_IPV6)};
	struct gyr_net_address ours;
	memcpy(&ours, &our_address6, sizeof ours);
	set_ip6(&frame.ip, GYR_ICMP6_NEXT, sizeof frame.nd + sizeof frame.option);
	frame.ip.hop_limits = 255;
	frame.ip.dst_addr = gyr_icmp6_solicited_group(&ours);
	frame.ether.dst_addr = gyr_icmp6_group_mac(&frame.ip.dst_addr);
	frame.nd = (struct gyr_icmp6_nd){.type = GYR_ICMP6_SOLICITATION, .target = our_address6};
	frame.option = (struct gyr_icmp6_option){.type = GYR_ICMP6_OPTION_SOURCE, .eights = 1, .mac = their_mac};
	sum_icmp6(&frame.ip, sizeof frame.nd + sizeof frame.option);
	return frame;
}
