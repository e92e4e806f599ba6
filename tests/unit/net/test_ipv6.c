/* IPv6, its ICMPv6 echo and its UDP: every refusal, and replies to the byte. */
#include "frames.h"

static void replies_to_a_datagram(void **state)
{
	static const uint32_t lengths[] = {0, 1, 2, 101, MTU - 48};
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct udp6_frame sent = udp6_frame();
		struct frame frame;
		uint32_t length = lengths[i];
		take(&frame, &sent, sizeof sent);
		struct gyr_net_endpoint source = gyr_net_source(&frame.mbuf);
		assert_memory_equal(&source.address, &their_address6, 16);
		assert_int_equal(source.port, THEIR_PORT);
		assert_int_equal(gyr_net_payload_room(&host, &frame.mbuf), MTU - 48);
		memset(gyr_net_payload_of(&frame.mbuf), 0xa5, length);
		gyr_net_reply(&host, &frame.mbuf, length);
		const struct udp6_frame *reply = bytes_of(&frame);
		size_t udp_bytes = sizeof reply->udp + length;
		assert_int_equal(frame.mbuf.data_len, 54 + udp_bytes);
		assert_int_equal(frame.mbuf.pkt_len, 54 + udp_bytes);
		assert_memory_equal(&reply->ether.dst_addr, &their_mac, 6);
		assert_memory_equal(&reply->ether.src_addr, &our_mac, 6);
		assert_memory_equal(&reply->ip.src_addr, &our_address6, 16);
		assert_memory_equal(&reply->ip.dst_addr, &their_address6, 16);
		assert_int_equal(rte_be_to_cpu_32(reply->ip.vtc_flow), 0x6b812345); /* without the mark of congestion */
		assert_int_equal(rte_be_to_cpu_16(reply->ip.payload_len), udp_bytes);
		assert_int_equal(reply->ip.hop_limits, 64);
		assert_int_equal(rte_be_to_cpu_16(reply->udp.src_port), OUR_PORT);
		assert_int_equal(rte_be_to_cpu_16(reply->udp.dst_port), THEIR_PORT);
		assert_int_not_equal(reply->udp.dgram_cksum, 0);
		assert_int_equal(plain_checksum(&reply->udp, udp_bytes, pseudo_header6(&reply->ip, IPPROTO_UDP, udp_bytes)), 0);
	}
}

static void replies_from_the_address_that_was_asked(void **state)
{
	struct udp6_frame sent = udp6_frame();
	struct frame frame;
	sent.ip.dst_addr = our_local6;
	sum_udp6(&sent);
	take(&frame, &sent, sizeof sent);
	gyr_net_reply(&host, &frame.mbuf, 1);
	assert_memory_equal(&((struct udp6_frame *)bytes_of(&frame))->ip.src_addr, &our_local6, 16);
}

static void leaves_the_checksum_to_the_port(void **state)
{
	struct udp6_frame sent = udp6_frame();
	struct frame frame;
	set_host(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM);
	take(&frame, &sent, sizeof sent);
	gyr_net_reply(&host, &frame.mbuf, PAYLOAD);
	const struct udp6_frame *reply = bytes_of(&frame);
	assert_int_equal(frame.mbuf.ol_flags, RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM);
	assert_int_equal(frame.mbuf.l2_len, 14);
	assert_int_equal(frame.mbuf.l3_len, 40);
	uint16_t pseudo = (uint16_t)~plain_checksum(NULL, 0, pseudo_header6(&reply->ip, IPPROTO_UDP, sizeof reply->udp + PAYLOAD));
	assert_int_equal(rte_be_to_cpu_16(reply->udp.dgram_cksum), pseudo);
}

static void replies_to_echo_with_every_checksum(void **state)
{
	struct echo6_frame sent = echo6_frame();
	for (uint32_t ident = 0; ident <= UINT16_MAX; ident++) {
		struct frame frame;
		sent.icmp.icmp_ident = (uint16_t)ident;
		sum_icmp6(&sent.ip, sizeof sent.icmp + PAYLOAD);
		put(&frame, &sent, sizeof sent);
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ECHO_REPLY);
		const struct echo6_frame *reply = bytes_of(&frame);
		assert_int_equal(reply->icmp.icmp_type, RTE_ICMP6_ECHO_REPLY);
		assert_int_equal(
			plain_checksum(&reply->icmp, sizeof reply->icmp + PAYLOAD, pseudo_header6(&reply->ip, GYR_ICMP6_NEXT, sizeof reply->icmp + PAYLOAD)),
			0);
		if (ident > 0)
			continue;
		assert_int_equal(frame.mbuf.data_len, sizeof sent);
		assert_memory_equal(&reply->ip.dst_addr, &their_address6, 16);
		assert_memory_equal(reply->payload, sent.payload, PAYLOAD);
	}
}

static void refuses_bad_ip(void **state)
{
	struct udp6_frame sent = udp6_frame();
	sent.ip.vtc_flow = RTE_BE32(0x40000000);
	assert_int_equal(INPUT(sent), GYR_NET_IP6_VERSION);
	sent = udp6_frame();
	sent.ip.payload_len = RTE_BE16(sizeof sent.udp + PAYLOAD + 1);
	assert_int_equal(INPUT(sent), GYR_NET_IP6_LENGTH);
	static const struct {
		uint8_t next;
		enum gyr_net_outcome outcome;
	} nexts[] = {{0, GYR_NET_IP6_HOP_BY_HOP}, {43, GYR_NET_IP6_ROUTING},   {44, GYR_NET_IP6_FRAGMENT}, {60, GYR_NET_IP6_OPTIONS},
		     {6, GYR_NET_IP6_PROTOCOL},   {1, GYR_NET_IP6_PROTOCOL},   {50, GYR_NET_IP6_PROTOCOL}, {51, GYR_NET_IP6_PROTOCOL},
		     {59, GYR_NET_IP6_PROTOCOL},  {135, GYR_NET_IP6_PROTOCOL}, {255, GYR_NET_IP6_PROTOCOL}};
	for (size_t i = 0; i < sizeof nexts / sizeof nexts[0]; i++) {
		sent = udp6_frame();
		sent.ip.proto = nexts[i].next;
		assert_int_equal(INPUT(sent), nexts[i].outcome);
	}
	sent = udp6_frame();
	config.mtu = sizeof sent - sizeof sent.ether;
	set_host(0);
	assert_int_equal(INPUT(sent), GYR_NET_DATAGRAM);
	config.mtu--;
	set_host(0);
	assert_int_equal(INPUT(sent), GYR_NET_IP6_MTU);
	memset(&config.address6, 0, sizeof config.address6);
	set_host(0);
	assert_int_equal(INPUT(sent), GYR_NET_ETHERTYPE);
	struct nd_frame nd = solicitation_frame();
	assert_int_equal(INPUT(nd), GYR_NET_OTHER_MAC);
}

static void refuses_bad_addresses(void **state)
{
	static const struct rte_ipv6_addr sources[] = {
		{{0}},
		{{[15] = 1}},
		{{[10] = 0xff, 0xff, 192, 0, 2, 77}},
		{{[12] = 192, 0, 2, 77}},
		{{0xff, 0x02, [15] = 1}},
		{{0x20, 0x01, 0x0d, 0xb8, [13] = 0x51, [15] = 0x61}},
		{{0xfe, 0x80, [11] = 0xff, 0xfe, [15] = 1}},
	};
	static const struct rte_ipv6_addr destinations[] = {
		{{0x20, 0x01, 0x0d, 0xb8, [15] = 2}},
		{{0xff, 0x02, [15] = 1}},
		{{0xff, 0x02, [11] = 1, 0xff, [15] = 1}},
		{{0xff, 0x02, [11] = 1, 0xff, 0x51, 0, 0x61}},
		{{0xff, 0x02, [11] = 1, 0xff, [15] = 2}},
	};
	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
		struct udp6_frame sent = udp6_frame();
		struct echo6_frame echo = echo6_frame();
		sent.ip.src_addr = echo.ip.src_addr = sources[i];
		sum_udp6(&sent);
		sum_icmp6(&echo.ip, sizeof echo.icmp + PAYLOAD);
		assert_int_equal(INPUT(sent), GYR_NET_IP6_SOURCE);
		assert_int_equal(INPUT(echo), GYR_NET_IP6_SOURCE);
	}
	for (size_t i = 0; i < sizeof destinations / sizeof destinations[0]; i++) {
		struct udp6_frame sent = udp6_frame();
		struct echo6_frame echo = echo6_frame();
		sent.ip.dst_addr = echo.ip.dst_addr = destinations[i];
		sum_udp6(&sent);
		sum_icmp6(&echo.ip, sizeof echo.icmp + PAYLOAD);
		if (i > 0)
			sent.ether.dst_addr = echo.ether.dst_addr = gyr_icmp6_group_mac(&destinations[i]);
		assert_int_equal(INPUT(sent), GYR_NET_IP6_DESTINATION);
		assert_int_equal(INPUT(echo), GYR_NET_IP6_DESTINATION);
	}
	/* Our address in a frame to all is for nobody, and in one to a group it is not for us. */
	struct udp6_frame sent = udp6_frame();
	sent.ether.dst_addr = all_macs;
	assert_int_equal(INPUT(sent), GYR_NET_OTHER_MAC);
	sent.ether.dst_addr = (struct rte_ether_addr){{0x33, 0x33, 0, 0, 0, 1}};
	assert_int_equal(INPUT(sent), GYR_NET_IP6_DESTINATION);
	sent.ether.dst_addr = (struct rte_ether_addr){{0x01, 0x00, 0x5e, 0, 0, 1}};
	assert_int_equal(INPUT(sent), GYR_NET_OTHER_MAC);
}

static void refuses_bad_udp_and_icmp(void **state)
{
	struct udp6_frame sent = udp6_frame();
	sent.udp.dgram_cksum = 0; /* IPv6 knows no datagram without */
	assert_int_equal(INPUT(sent), GYR_NET_UDP_CHECKSUM);
	sent = udp6_frame();
	sent.payload[5] ^= 1;
	assert_int_equal(INPUT(sent), GYR_NET_UDP_CHECKSUM);
	sent = udp6_frame();
	sent.ip.src_addr.a[7] ^= 1; /* the pseudo header is summed too */
	assert_int_equal(INPUT(sent), GYR_NET_UDP_CHECKSUM);
	sent = udp6_frame();
	sent.udp.dst_port++;
	assert_int_equal(INPUT(sent), GYR_NET_UDP_PORT);
	sent = udp6_frame();
	sent.udp.src_port = RTE_BE16(OUR_PORT);
	assert_int_equal(INPUT(sent), GYR_NET_UDP_SOURCE_PORT);
	sent = udp6_frame();
	sent.ip.payload_len = RTE_BE16(sizeof sent.udp + PAYLOAD - 1);
	assert_int_equal(INPUT(sent), GYR_NET_UDP_LENGTH);
	sent.ip.payload_len = RTE_BE16(7);
	assert_int_equal(INPUT(sent), GYR_NET_UDP_LENGTH);
	struct echo6_frame echo = echo6_frame();
	echo.payload[3] ^= 1;
	assert_int_equal(INPUT(echo), GYR_NET_ICMP6_CHECKSUM);
	static const uint8_t others[] = {1, 3, 4, 129, 130, 133, 134, 137, 255};
	for (size_t i = 0; i < sizeof others; i++) {
		echo = echo6_frame();
		echo.icmp.icmp_type = others[i];
		sum_icmp6(&echo.ip, sizeof echo.icmp + PAYLOAD);
		assert_int_equal(INPUT(echo), GYR_NET_ICMP6_OTHER);
	}
	echo = echo6_frame();
	echo.icmp.icmp_code = 1;
	assert_int_equal(INPUT(echo), GYR_NET_ICMP6_OTHER);
	echo = echo6_frame();
	echo.ip.payload_len = RTE_BE16(sizeof echo.icmp - 1);
	assert_int_equal(INPUT(echo), GYR_NET_ICMP6_OTHER);
}

static void refuses_every_truncation(void **state)
{
	struct udp6_frame sent = udp6_frame();
	for (size_t size = sizeof sent.ether; size < sizeof sent; size++) {
		enum gyr_net_outcome expected = size < sizeof sent.ether + sizeof sent.ip ? GYR_NET_IP6_SHORT : GYR_NET_IP6_LENGTH;
		assert_int_equal(input(&sent, size), expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(replies_to_a_datagram, set_up),
		cmocka_unit_test_setup(replies_from_the_address_that_was_asked, set_up),
		cmocka_unit_test_setup(leaves_the_checksum_to_the_port, set_up),
		cmocka_unit_test_setup(replies_to_echo_with_every_checksum, set_up),
		cmocka_unit_test_setup(refuses_bad_ip, set_up),
		cmocka_unit_test_setup(refuses_bad_addresses, set_up),
		cmocka_unit_test_setup(refuses_bad_udp_and_icmp, set_up),
		cmocka_unit_test_setup(refuses_every_truncation, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
