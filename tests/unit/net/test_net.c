/* Frames against dataplane/net: every outcome, replies to the byte, and every way to cut a frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <rte_arp.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "dataplane/net/checksum.h"
#include "dataplane/net/net.h"

#define OUR_ADDRESS RTE_IPV4(192u, 0, 2, 1)
#define THEIR_ADDRESS RTE_IPV4(192u, 0, 2, 77)
#define OUR_PORT 4970
#define THEIR_PORT 33333
#define MTU 1500
#define PAYLOAD 102
#define HEADERS 42u /* Ethernet, IPv4, UDP */

static const struct rte_ether_addr our_mac = {{0x02, 0, 0, 0, 0, 1}}, their_mac = {{0x02, 0, 0, 0, 0, 2}}, all_macs = {{255, 255, 255, 255, 255, 255}};

struct frame {
	struct rte_mbuf mbuf;
	_Alignas(64) uint8_t buffer[RTE_PKTMBUF_HEADROOM + 2048];
};

struct udp_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	uint8_t payload[PAYLOAD];
};

struct echo_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_icmp_hdr icmp;
	uint8_t payload[PAYLOAD];
};

struct arp_frame {
	struct rte_ether_hdr ether;
	struct rte_arp_hdr arp;
};

_Static_assert(sizeof(struct udp_frame) == HEADERS + PAYLOAD && sizeof(struct arp_frame) == 42, "as on the wire");

static struct gyr_net_host host;

static void set_host(uint32_t address, uint8_t prefix, uint32_t mtu)
{
	struct gyr_config config;
	gyr_config_defaults(&config);
	config.address = address;
	config.prefix = prefix;
	config.udp_port = OUR_PORT;
	config.mtu = mtu;
	gyr_net_host_init(&host, &config, &our_mac, 0);
}

static int set_up(void **state)
{
	set_host(OUR_ADDRESS, 24, MTU);
	return 0;
}

static void put(struct frame *frame, const void *bytes, size_t size)
{
	*frame = (struct frame){.mbuf = {.nb_segs = 1, .data_off = RTE_PKTMBUF_HEADROOM, .buf_len = sizeof frame->buffer}};
	frame->mbuf.buf_addr = frame->buffer;
	frame->mbuf.data_len = (uint16_t)size;
	frame->mbuf.pkt_len = (uint32_t)size;
	memcpy(frame->buffer + RTE_PKTMBUF_HEADROOM, bytes, size);
}

static void *bytes_of(struct frame *frame)
{
	return frame->buffer + RTE_PKTMBUF_HEADROOM;
}

/* An independent sum, word by word in host order as RFC 1071 writes it. */
static uint16_t plain_checksum(const uint8_t *bytes, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t pseudo_header(const struct rte_ipv4_hdr *ip, size_t udp_bytes)
{
	uint32_t source = rte_be_to_cpu_32(ip->src_addr), destination = rte_be_to_cpu_32(ip->dst_addr);
	return (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff) + IPPROTO_UDP + (uint32_t)udp_bytes;
}

static void set_ip(struct rte_ipv4_hdr *ip, uint8_t protocol, size_t bytes)
{
	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
				    .total_length = rte_cpu_to_be_16((uint16_t)bytes),
				    .packet_id = rte_cpu_to_be_16(7),
				    .time_to_live = 3,
				    .next_proto_id = protocol,
				    .src_addr = rte_cpu_to_be_32(THEIR_ADDRESS),
				    .dst_addr = rte_cpu_to_be_32(OUR_ADDRESS)};
}

static void sum_ip(struct rte_ipv4_hdr *ip)
{
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_cpu_to_be_16(plain_checksum((const uint8_t *)ip, sizeof *ip, 0));
}

static void sum_udp(struct udp_frame *frame)
{
	size_t bytes = rte_be_to_cpu_16(frame->udp.dgram_len);
	frame->udp.dgram_cksum = 0;
	frame->udp.dgram_cksum = rte_cpu_to_be_16(plain_checksum((const uint8_t *)&frame->udp, bytes, pseudo_header(&frame->ip, bytes)));
}

static struct udp_frame udp_frame(void)
{
	struct udp_frame frame = {.ether = {.dst_addr = our_mac, .src_addr = their_mac, .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)}};
	set_ip(&frame.ip, IPPROTO_UDP, sizeof frame - sizeof frame.ether);
	frame.udp = (struct rte_udp_hdr){.src_port = RTE_BE16(THEIR_PORT), .dst_port = RTE_BE16(OUR_PORT), .dgram_len = RTE_BE16(sizeof frame.udp + PAYLOAD)};
	for (int i = 0; i < PAYLOAD; i++)
		frame.payload[i] = (uint8_t)(i * 7);
	sum_ip(&frame.ip);
	sum_udp(&frame);
	return frame;
}

static struct echo_frame echo_frame(void)
{
	struct echo_frame frame = {.ether = {.dst_addr = our_mac, .src_addr = their_mac, .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)}};
	set_ip(&frame.ip, IPPROTO_ICMP, sizeof frame - sizeof frame.ether);
	frame.icmp = (struct rte_icmp_hdr){.icmp_type = RTE_ICMP_TYPE_ECHO_REQUEST, .icmp_ident = RTE_BE16(9), .icmp_seq_nb = RTE_BE16(1)};
	memset(frame.payload, 0xff, sizeof frame.payload);
	sum_ip(&frame.ip);
	frame.icmp.icmp_cksum = rte_cpu_to_be_16(plain_checksum((const uint8_t *)&frame.icmp, sizeof frame.icmp + PAYLOAD, 0));
	return frame;
}

static struct arp_frame arp_frame(void)
{
	return (struct arp_frame){
		.ether = {.dst_addr = all_macs, .src_addr = their_mac, .ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP)},
		.arp = {.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
			.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
			.arp_hlen = 6,
			.arp_plen = 4,
			.arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST),
			.arp_data = {.arp_sha = their_mac, .arp_sip = rte_cpu_to_be_32(THEIR_ADDRESS), .arp_tip = rte_cpu_to_be_32(OUR_ADDRESS)}},
	};
}

static enum gyr_net_outcome input(const void *bytes, size_t size)
{
	struct frame frame;
	uint8_t *payload;
	uint32_t payload_bytes;
	put(&frame, bytes, size);
	return gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes);
}

#define INPUT(frame) input(&(frame), sizeof(frame))

static void takes_a_datagram(void **state)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	uint8_t *payload;
	uint32_t payload_bytes;
	put(&frame, &sent, sizeof sent);
	frame.mbuf.data_len += 5; /* Ethernet's padding is not the datagram's */
	frame.mbuf.pkt_len += 5;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_DATAGRAM);
	assert_int_equal(payload_bytes, PAYLOAD);
	assert_memory_equal(payload, sent.payload, PAYLOAD);
	assert_ptr_equal(gyr_net_payload_of(&frame.mbuf), payload);
	struct gyr_net_endpoint source = gyr_net_source(&frame.mbuf);
	struct gyr_net_address theirs = {{[10] = 255, 255, 192, 0, 2, 77}};
	assert_memory_equal(&source.address, &theirs, sizeof theirs);
	assert_int_equal(source.port, THEIR_PORT);
	sent.udp.dgram_cksum = 0; /* the sender computed none */
	assert_int_equal(INPUT(sent), GYR_NET_DATAGRAM);
	sent.ip.total_length = rte_cpu_to_be_16(sizeof sent - sizeof sent.ether - 1);
	sent.udp.dgram_len = RTE_BE16(sizeof sent.udp + PAYLOAD - 1); /* an odd length */
	sum_ip(&sent.ip);
	sum_udp(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_DATAGRAM);
	sent.payload[PAYLOAD - 2] ^= 1;
	assert_int_equal(INPUT(sent), GYR_NET_UDP_CHECKSUM);
}

static void replies_to_a_datagram(void **state)
{
	static const uint32_t lengths[] = {0, 1, 2, 3, 4, 101, MTU - GYR_NET_IP_HEADERS};
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct udp_frame sent = udp_frame();
		struct frame frame;
		uint8_t *payload;
		uint32_t payload_bytes, length = lengths[i];
		put(&frame, &sent, sizeof sent);
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_DATAGRAM);
		assert_true(length <= gyr_net_payload_room(&host, &frame.mbuf));
		memset(payload, 0xa5, length);
		gyr_net_reply(&host, &frame.mbuf, length);
		const struct udp_frame *reply = bytes_of(&frame);
		size_t udp_bytes = sizeof reply->udp + length;
		assert_int_equal(frame.mbuf.data_len, HEADERS + length);
		assert_int_equal(frame.mbuf.pkt_len, HEADERS + length);
		assert_memory_equal(&reply->ether.dst_addr, &their_mac, 6);
		assert_memory_equal(&reply->ether.src_addr, &our_mac, 6);
		assert_int_equal(rte_be_to_cpu_32(reply->ip.src_addr), OUR_ADDRESS);
		assert_int_equal(rte_be_to_cpu_32(reply->ip.dst_addr), THEIR_ADDRESS);
		assert_int_equal(rte_be_to_cpu_16(reply->ip.total_length), sizeof reply->ip + udp_bytes);
		assert_int_equal(reply->ip.time_to_live, 64);
		assert_int_equal(plain_checksum((const uint8_t *)&reply->ip, sizeof reply->ip, 0), 0);
		assert_int_equal(rte_be_to_cpu_16(reply->udp.src_port), OUR_PORT);
		assert_int_equal(rte_be_to_cpu_16(reply->udp.dst_port), THEIR_PORT);
		assert_int_equal(rte_be_to_cpu_16(reply->udp.dgram_len), udp_bytes);
		assert_int_not_equal(reply->udp.dgram_cksum, 0);
		assert_int_equal(plain_checksum((const uint8_t *)&reply->udp, udp_bytes, pseudo_header(&reply->ip, udp_bytes)), 0);
	}
}

/* A sum that comes out as 0 is sent as 0xffff: 0 would say that there is none. */
static void never_sends_a_zero_checksum(void **state)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	uint8_t *payload;
	uint32_t payload_bytes, length = 2;
	put(&frame, &sent, sizeof sent);
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_DATAGRAM);
	memset(payload, 0, length);
	gyr_net_reply(&host, &frame.mbuf, length);
	struct udp_frame reply;
	memcpy(&reply, bytes_of(&frame), HEADERS + length);
	put(&frame, &sent, sizeof sent);
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_DATAGRAM);
	memcpy(payload, &reply.udp.dgram_cksum, 2); /* makes the sum 0xffff, and its complement 0 */
	gyr_net_reply(&host, &frame.mbuf, length);
	const struct udp_frame *again = bytes_of(&frame);
	assert_int_equal(again->udp.dgram_cksum, 0xffff);
}

static void replies_to_echo(void **state)
{
	struct echo_frame sent = echo_frame();
	struct frame frame;
	put(&frame, &sent, sizeof sent);
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ECHO_REPLY);
	const struct echo_frame *reply = bytes_of(&frame);
	assert_int_equal(frame.mbuf.data_len, sizeof *reply);
	assert_memory_equal(&reply->ether.dst_addr, &their_mac, 6);
	assert_memory_equal(&reply->ether.src_addr, &our_mac, 6);
	assert_int_equal(rte_be_to_cpu_32(reply->ip.dst_addr), THEIR_ADDRESS);
	assert_int_equal(plain_checksum((const uint8_t *)&reply->ip, sizeof reply->ip, 0), 0);
	assert_int_equal(reply->icmp.icmp_type, RTE_ICMP_TYPE_ECHO_REPLY);
	assert_int_equal(plain_checksum((const uint8_t *)&reply->icmp, sizeof reply->icmp + PAYLOAD, 0), 0);
	assert_memory_equal(reply->payload, sent.payload, PAYLOAD);
}

/* The incremental checksum of the echo reply, for every value that the field can have. */
static void echo_checksum_is_right_for_every_value(void **state)
{
	struct echo_frame sent = echo_frame();
	for (uint32_t ident = 0; ident <= UINT16_MAX; ident++) {
		struct frame frame;
		sent.icmp.icmp_ident = (uint16_t)ident;
		sent.icmp.icmp_cksum = 0;
		sent.icmp.icmp_cksum = rte_cpu_to_be_16(plain_checksum((const uint8_t *)&sent.icmp, sizeof sent.icmp + PAYLOAD, 0));
		put(&frame, &sent, sizeof sent);
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ECHO_REPLY);
		const struct echo_frame *reply = bytes_of(&frame);
		assert_int_equal(plain_checksum((const uint8_t *)&reply->icmp, sizeof reply->icmp + PAYLOAD, 0), 0);
	}
}

static void replies_to_arp(void **state)
{
	struct arp_frame sent = arp_frame();
	struct frame frame;
	put(&frame, &sent, sizeof sent);
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ARP_REPLY);
	const struct arp_frame *reply = bytes_of(&frame);
	assert_memory_equal(&reply->ether.dst_addr, &their_mac, 6);
	assert_memory_equal(&reply->ether.src_addr, &our_mac, 6);
	assert_int_equal(rte_be_to_cpu_16(reply->arp.arp_opcode), RTE_ARP_OP_REPLY);
	assert_memory_equal(&reply->arp.arp_data.arp_sha, &our_mac, 6);
	assert_memory_equal(&reply->arp.arp_data.arp_tha, &their_mac, 6);
	assert_int_equal(rte_be_to_cpu_32(reply->arp.arp_data.arp_sip), OUR_ADDRESS);
	assert_int_equal(rte_be_to_cpu_32(reply->arp.arp_data.arp_tip), THEIR_ADDRESS);
	sent.ether.dst_addr = our_mac; /* a neighbour that checks whether we are still there */
	assert_int_equal(INPUT(sent), GYR_NET_ARP_REPLY);
}

static void refuses_bad_ethernet(void **state)
{
	struct udp_frame sent = udp_frame();
	sent.ether.dst_addr = their_mac;
	assert_int_equal(INPUT(sent), GYR_NET_OTHER_MAC);
	sent.ether.dst_addr = all_macs; /* IPv4 to everybody is for nobody */
	assert_int_equal(INPUT(sent), GYR_NET_OTHER_MAC);
	sent = udp_frame();
	sent.ether.src_addr = all_macs;
	assert_int_equal(INPUT(sent), GYR_NET_SOURCE_MAC);
	sent.ether.src_addr = (struct rte_ether_addr){{0x01, 0, 0x5e, 0, 0, 1}};
	assert_int_equal(INPUT(sent), GYR_NET_SOURCE_MAC);
	sent.ether.src_addr = our_mac;
	assert_int_equal(INPUT(sent), GYR_NET_SOURCE_MAC);
	sent = udp_frame();
	sent.ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
	assert_int_equal(INPUT(sent), GYR_NET_VLAN);
	sent.ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_QINQ);
	assert_int_equal(INPUT(sent), GYR_NET_VLAN);
	sent.ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
	assert_int_equal(INPUT(sent), GYR_NET_ETHERTYPE);
	struct frame frame;
	sent = udp_frame();
	put(&frame, &sent, sizeof sent);
	frame.mbuf.nb_segs = 2;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_SEGMENTED);
}

static void refuses_bad_arp(void **state)
{
	struct arp_frame sent = arp_frame();
	sent.arp.arp_hardware = RTE_BE16(2);
	assert_int_equal(INPUT(sent), GYR_NET_ARP_INVALID);
	sent = arp_frame();
	sent.arp.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV6);
	assert_int_equal(INPUT(sent), GYR_NET_ARP_INVALID);
	sent = arp_frame();
	sent.arp.arp_hlen = 8;
	assert_int_equal(INPUT(sent), GYR_NET_ARP_INVALID);
	sent = arp_frame();
	sent.arp.arp_plen = 16;
	assert_int_equal(INPUT(sent), GYR_NET_ARP_INVALID);
	sent = arp_frame();
	sent.arp.arp_data.arp_sha = all_macs;
	assert_int_equal(INPUT(sent), GYR_NET_ARP_INVALID);
	sent = arp_frame();
	sent.arp.arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	assert_int_equal(INPUT(sent), GYR_NET_ARP_OTHER);
	sent = arp_frame();
	sent.arp.arp_data.arp_tip = rte_cpu_to_be_32(THEIR_ADDRESS);
	assert_int_equal(INPUT(sent), GYR_NET_ARP_OTHER);
	sent = arp_frame();
	sent.arp.arp_data.arp_sip = rte_cpu_to_be_32(OUR_ADDRESS); /* somebody claims our address */
	assert_int_equal(INPUT(sent), GYR_NET_ARP_CONFLICT);
}

static void refuses_bad_ip(void **state)
{
	struct udp_frame sent = udp_frame();
	sent.ip.version_ihl = 0x65;
	assert_int_equal(INPUT(sent), GYR_NET_IP_VERSION);
	sent.ip.version_ihl = 0x46;
	assert_int_equal(INPUT(sent), GYR_NET_IP_OPTIONS);
	sent.ip.version_ihl = 0x44;
	assert_int_equal(INPUT(sent), GYR_NET_IP_OPTIONS);
	sent = udp_frame();
	sent.ip.total_length = rte_cpu_to_be_16(sizeof sent - sizeof sent.ether + 1);
	sum_ip(&sent.ip);
	assert_int_equal(INPUT(sent), GYR_NET_IP_LENGTH);
	sent.ip.total_length = RTE_BE16(19);
	sum_ip(&sent.ip);
	assert_int_equal(INPUT(sent), GYR_NET_IP_LENGTH);
	/* The last MTU that the datagram fits, and one byte less. */
	sent = udp_frame();
	set_host(OUR_ADDRESS, 24, sizeof sent - sizeof sent.ether);
	assert_int_equal(INPUT(sent), GYR_NET_DATAGRAM);
	set_host(OUR_ADDRESS, 24, sizeof sent - sizeof sent.ether - 1);
	assert_int_equal(INPUT(sent), GYR_NET_IP_MTU);
	struct echo_frame echo = echo_frame();
	assert_int_equal(INPUT(echo), GYR_NET_IP_MTU);
	set_up(state);
	sent.ip.hdr_checksum ^= 1;
	assert_int_equal(INPUT(sent), GYR_NET_IP_CHECKSUM);
	static const uint16_t fragments[] = {RTE_IPV4_HDR_MF_FLAG, 1, RTE_IPV4_HDR_OFFSET_MASK};
	for (size_t i = 0; i < sizeof fragments / sizeof fragments[0]; i++) {
		sent = udp_frame();
		sent.ip.fragment_offset = rte_cpu_to_be_16(fragments[i]);
		sum_ip(&sent.ip);
		assert_int_equal(INPUT(sent), GYR_NET_IP_FRAGMENT);
	}
	sent = udp_frame();
	sent.ip.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	sum_ip(&sent.ip);
	assert_int_equal(INPUT(sent), GYR_NET_DATAGRAM);
	sent.ip.next_proto_id = IPPROTO_TCP;
	sum_ip(&sent.ip);
	assert_int_equal(INPUT(sent), GYR_NET_IP_PROTOCOL);
}

static void refuses_bad_addresses(void **state)
{
	static const uint32_t destinations[] = {RTE_IPV4(192u, 0, 2, 2), RTE_IPV4(192u, 0, 2, 255), RTE_IPV4_BROADCAST, RTE_IPV4(224u, 0, 0, 1)};
	static const uint32_t sources[] = {0,
					   RTE_IPV4(0u, 1, 2, 3),
					   RTE_IPV4(127u, 0, 0, 1),
					   RTE_IPV4(224u, 0, 0, 1),
					   RTE_IPV4(240u, 0, 0, 1),
					   RTE_IPV4_BROADCAST,
					   RTE_IPV4(192u, 0, 2, 255),
					   OUR_ADDRESS};
	for (size_t i = 0; i < sizeof destinations / sizeof destinations[0]; i++) {
		struct udp_frame sent = udp_frame();
		sent.ip.dst_addr = rte_cpu_to_be_32(destinations[i]);
		sum_ip(&sent.ip);
		assert_int_equal(INPUT(sent), GYR_NET_IP_DESTINATION);
	}
	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
		struct udp_frame sent = udp_frame();
		struct echo_frame echo = echo_frame();
		sent.ip.src_addr = echo.ip.src_addr = rte_cpu_to_be_32(sources[i]);
		sum_ip(&sent.ip);
		sum_udp(&sent);
		sum_ip(&echo.ip);
		assert_int_equal(INPUT(sent), GYR_NET_IP_SOURCE);
		assert_int_equal(INPUT(echo), GYR_NET_IP_SOURCE);
	}
}

/* A /31 and a /32 have no broadcast address to refuse. */
static void small_subnets_have_no_broadcast(void **state)
{
	struct udp_frame sent = udp_frame();
	sent.ip.src_addr = rte_cpu_to_be_32(RTE_IPV4(192u, 0, 2, 3));
	sent.ip.dst_addr = rte_cpu_to_be_32(RTE_IPV4(192u, 0, 2, 2));
	sum_ip(&sent.ip);
	sum_udp(&sent);
	for (uint8_t prefix = 30; prefix <= 32; prefix++) {
		set_host(RTE_IPV4(192u, 0, 2, 2), prefix, MTU);
		assert_int_equal(INPUT(sent), prefix == 30 ? GYR_NET_IP_SOURCE : GYR_NET_DATAGRAM);
	}
	set_host(RTE_IPV4(192u, 0, 2, 2), 0, MTU);
	assert_int_equal(INPUT(sent), GYR_NET_DATAGRAM);
}

static void refuses_bad_icmp(void **state)
{
	struct echo_frame sent = echo_frame();
	sent.icmp.icmp_type = RTE_ICMP_TYPE_ECHO_REPLY;
	assert_int_equal(INPUT(sent), GYR_NET_ICMP_OTHER);
	sent = echo_frame();
	sent.icmp.icmp_code = 1;
	assert_int_equal(INPUT(sent), GYR_NET_ICMP_OTHER);
	sent = echo_frame();
	sent.ip.total_length = RTE_BE16(sizeof sent.ip + sizeof sent.icmp - 1);
	sum_ip(&sent.ip);
	assert_int_equal(INPUT(sent), GYR_NET_ICMP_OTHER);
	sent = echo_frame();
	sent.payload[3] ^= 1;
	assert_int_equal(INPUT(sent), GYR_NET_ICMP_CHECKSUM);
}

static void refuses_bad_udp(void **state)
{
	struct udp_frame sent = udp_frame();
	sent.udp.dst_port = RTE_BE16(OUR_PORT + 1);
	assert_int_equal(INPUT(sent), GYR_NET_UDP_PORT);
	static const uint16_t sources[] = {0, OUR_PORT};
	for (size_t i = 0; i < 2; i++) {
		sent = udp_frame();
		sent.udp.src_port = rte_cpu_to_be_16(sources[i]);
		sum_udp(&sent);
		assert_int_equal(INPUT(sent), GYR_NET_UDP_SOURCE_PORT);
	}
	static const int lengths[] = {0, 7, (int)sizeof(struct rte_udp_hdr) + PAYLOAD - 1, (int)sizeof(struct rte_udp_hdr) + PAYLOAD + 1, 65535};
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		sent = udp_frame();
		sent.udp.dgram_len = rte_cpu_to_be_16((uint16_t)lengths[i]);
		assert_int_equal(INPUT(sent), GYR_NET_UDP_LENGTH);
	}
	for (size_t byte = sizeof sent.ether + sizeof sent.ip + offsetof(struct rte_udp_hdr, dgram_cksum); byte < sizeof sent; byte++) {
		sent = udp_frame();
		((uint8_t *)&sent)[byte] ^= 0x10;
		assert_int_equal(INPUT(sent), GYR_NET_UDP_CHECKSUM);
	}
}

static void believes_the_port_that_verified_checksums(void **state)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	uint8_t *payload;
	uint32_t payload_bytes;
	sent.ip.hdr_checksum ^= 1;
	sent.udp.dgram_cksum ^= 1;
	put(&frame, &sent, sizeof sent);
	frame.mbuf.ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_DATAGRAM);
	frame.mbuf.ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_NONE;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_DATAGRAM);
	frame.mbuf.ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_UDP_CHECKSUM);
	frame.mbuf.ol_flags = RTE_MBUF_F_RX_IP_CKSUM_BAD;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_IP_CHECKSUM);
}

/* Every length short of the whole is refused, with the reason of the header that it cuts. */
static void refuses_every_truncation(void **state)
{
	struct udp_frame udp = udp_frame();
	struct echo_frame echo = echo_frame();
	struct arp_frame arp = arp_frame();
	for (size_t size = 0; size < sizeof udp; size++) {
		enum gyr_net_outcome expected = size < sizeof udp.ether                   ? GYR_NET_RUNT
						: size < sizeof udp.ether + sizeof udp.ip ? GYR_NET_IP_SHORT
											  : GYR_NET_IP_LENGTH;
		assert_int_equal(input(&udp, size), expected);
		assert_int_equal(input(&echo, size), expected);
	}
	for (size_t size = sizeof arp.ether; size < sizeof arp; size++)
		assert_int_equal(input(&arp, size), GYR_NET_ARP_INVALID);
	/* The same, with a total length that goes along. */
	for (size_t size = sizeof udp.ether + sizeof udp.ip; size < sizeof udp; size++) {
		udp.ip.total_length = rte_cpu_to_be_16((uint16_t)(size - sizeof udp.ether));
		sum_ip(&udp.ip);
		assert_int_equal(input(&udp, size), GYR_NET_UDP_LENGTH);
	}
}

static void every_outcome_has_its_own_name(void **state)
{
	for (unsigned i = 0; i < GYR_NET_OUTCOMES; i++) {
		assert_non_null(gyr_net_outcome_name(i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(gyr_net_outcome_name(i), gyr_net_outcome_name(j));
	}
}

static void checksum_agrees_with_the_plain_one(void **state)
{
	uint8_t bytes[256];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * i + 13);
	for (size_t from = 0; from < 8; from++) {
		for (size_t size = 0; size + from <= sizeof bytes; size++)
			assert_int_equal(rte_be_to_cpu_16(gyr_checksum_finish(gyr_checksum_add(0, bytes + from, size))), plain_checksum(bytes + from, size, 0));
	}
	assert_int_equal(gyr_checksum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(gyr_checksum_fold(UINT64_C(0x1fffe0001)), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_datagram),
		cmocka_unit_test(replies_to_a_datagram),
		cmocka_unit_test(never_sends_a_zero_checksum),
		cmocka_unit_test(replies_to_echo),
		cmocka_unit_test(echo_checksum_is_right_for_every_value),
		cmocka_unit_test(replies_to_arp),
		cmocka_unit_test(refuses_bad_ethernet),
		cmocka_unit_test(refuses_bad_arp),
		cmocka_unit_test(refuses_bad_ip),
		cmocka_unit_test(refuses_bad_addresses),
		cmocka_unit_test_setup(small_subnets_have_no_broadcast, set_up),
		cmocka_unit_test_setup(refuses_bad_icmp, set_up),
		cmocka_unit_test(refuses_bad_udp),
		cmocka_unit_test(believes_the_port_that_verified_checksums),
		cmocka_unit_test(refuses_every_truncation),
		cmocka_unit_test(every_outcome_has_its_own_name),
		cmocka_unit_test(checksum_agrees_with_the_plain_one),
	};
	return cmocka_run_group_tests_name("net", tests, set_up, NULL);
}
