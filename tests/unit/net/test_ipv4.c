/* IPv4, its ICMP echo and its UDP: every refusal, replies to the byte, and every way to cut a frame. */
#include "frames.h"

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
		uint32_t length = lengths[i];
		take(&frame, &sent, sizeof sent);
		assert_true(length <= gyr_net_payload_room(&host, &frame.mbuf));
		memset(gyr_net_payload_of(&frame.mbuf), 0xa5, length);
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
		assert_int_equal(plain_checksum(&reply->ip, sizeof reply->ip, 0), 0);
		assert_int_equal(rte_be_to_cpu_16(reply->udp.src_port), OUR_PORT);
		assert_int_equal(rte_be_to_cpu_16(reply->udp.dst_port), THEIR_PORT);
		assert_int_equal(rte_be_to_cpu_16(reply->udp.dgram_len), udp_bytes);
		assert_int_not_equal(reply->udp.dgram_cksum, 0);
		assert_int_equal(plain_checksum(&reply->udp, udp_bytes, pseudo_header(&reply->ip, IPPROTO_UDP, udp_bytes)), 0);
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
	assert_int_equal(plain_checksum(&reply->ip, sizeof reply->ip, 0), 0);
	assert_int_equal(reply->icmp.icmp_type, RTE_ICMP_TYPE_ECHO_REPLY);
	assert_int_equal(plain_checksum(&reply->icmp, sizeof reply->icmp + PAYLOAD, 0), 0);
	assert_memory_equal(reply->payload, sent.payload, PAYLOAD);
}

/* The incremental checksum of the echo reply, for every value that the field can have. */
static void echo_checksum_is_right_for_every_value(void **state)
{
	struct echo_frame sent = echo_frame();
	for (uint32_t ident = 0; ident <= UINT16_MAX; ident++) {
		struct frame frame;
		sent.icmp.icmp_ident = (uint16_t)ident;
		sum_icmp(&sent.icmp, sizeof sent.icmp + PAYLOAD);
		put(&frame, &sent, sizeof sent);
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ECHO_REPLY);
		const struct echo_frame *reply = bytes_of(&frame);
		assert_int_equal(plain_checksum(&reply->icmp, sizeof reply->icmp + PAYLOAD, 0), 0);
	}
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
	config.mtu = sizeof sent - sizeof sent.ether;
	set_host(0);
	assert_int_equal(INPUT(sent), GYR_NET_DATAGRAM);
	config.mtu--;
	set_host(0);
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
	config.address = RTE_IPV4(192u, 0, 2, 2);
	for (uint8_t prefix = 30; prefix <= 32; prefix++) {
		config.prefix = prefix;
		set_host(0);
		assert_int_equal(INPUT(sent), prefix == 30 ? GYR_NET_IP_SOURCE : GYR_NET_DATAGRAM);
	}
	config.prefix = 0;
	set_host(0);
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

static void source_routes_are_told_from_other_options(void **state)
{
	static const struct {
		uint8_t options[8];
		enum gyr_net_outcome outcome;
	} cases[] = {
		{{131, 7, 4, 192, 0, 2, 1, 0}, GYR_NET_IP_SOURCE_ROUTE}, {{1, 137, 7, 4, 192, 0, 2, 1}, GYR_NET_IP_SOURCE_ROUTE},
		{{148, 4, 0, 0, 131, 3, 4, 0}, GYR_NET_IP_SOURCE_ROUTE}, {{7, 7, 4, 131, 131, 131, 131, 0}, GYR_NET_IP_OPTIONS}, /* a recorded route */
		{{0, 131, 7, 4, 1, 1, 1, 1}, GYR_NET_IP_OPTIONS},        {{68, 0, 131, 131, 1, 1, 1, 1}, GYR_NET_IP_OPTIONS},    /* no length */
		{{68, 200, 1, 1, 1, 1, 1, 1}, GYR_NET_IP_OPTIONS},       {{1, 1, 1, 1, 1, 1, 1, 68}, GYR_NET_IP_OPTIONS},        /* cut */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t bytes[sizeof(struct udp_frame) + 8];
		struct udp_frame sent = udp_frame();
		sent.ip.version_ihl = 0x47;
		memcpy(bytes, &sent, 34);
		memcpy(bytes + 34, cases[i].options, 8);
		memcpy(bytes + 42, &sent.udp, sizeof sent - 34);
		assert_int_equal(input(bytes, sizeof bytes), cases[i].outcome);
		/* Options that the frame ends in. */
		assert_int_equal(input(bytes, 34), GYR_NET_IP_OPTIONS);
	}
}

/* What the port is to do is asked of it, with the pseudo header's sum in the field, and the rest is done here. */
static void leaves_checksums_to_the_port(void **state)
{
	static const uint64_t offloads[] = {RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
					    RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM};
	for (size_t i = 0; i < 3; i++) {
		bool ip = (offloads[i] & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0, udp = (offloads[i] & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
		struct udp_frame sent = udp_frame();
		struct frame frame;
		set_host(offloads[i]);
		take(&frame, &sent, sizeof sent);
		gyr_net_reply(&host, &frame.mbuf, PAYLOAD);
		const struct udp_frame *reply = bytes_of(&frame);
		size_t bytes = sizeof reply->udp + PAYLOAD;
		assert_int_equal(frame.mbuf.ol_flags, RTE_MBUF_F_TX_IPV4 | (ip ? RTE_MBUF_F_TX_IP_CKSUM : 0) | (udp ? RTE_MBUF_F_TX_UDP_CKSUM : 0));
		assert_int_equal(frame.mbuf.l2_len, 14);
		assert_int_equal(frame.mbuf.l3_len, 20);
		if (ip)
			assert_int_equal(reply->ip.hdr_checksum, 0);
		else
			assert_int_equal(plain_checksum(&reply->ip, sizeof reply->ip, 0), 0);
		uint16_t pseudo = (uint16_t)~plain_checksum(NULL, 0, pseudo_header(&reply->ip, IPPROTO_UDP, bytes));
		if (udp)
			assert_int_equal(rte_be_to_cpu_16(reply->udp.dgram_cksum), pseudo);
		else
			assert_int_equal(plain_checksum(&reply->udp, bytes, pseudo_header(&reply->ip, IPPROTO_UDP, bytes)), 0);
	}
}

/* The way of the answer is not the question's: its marks of congestion are not copied, its urgency is. */
static void replies_keep_the_urgency(void **state)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	take(&frame, &sent, sizeof sent);
	gyr_net_reply(&host, &frame.mbuf, 1);
	assert_int_equal(((struct udp_frame *)bytes_of(&frame))->ip.type_of_service, 0xb8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(takes_a_datagram, set_up),
		cmocka_unit_test_setup(replies_to_a_datagram, set_up),
		cmocka_unit_test_setup(never_sends_a_zero_checksum, set_up),
		cmocka_unit_test_setup(replies_to_echo, set_up),
		cmocka_unit_test_setup(echo_checksum_is_right_for_every_value, set_up),
		cmocka_unit_test_setup(refuses_bad_ip, set_up),
		cmocka_unit_test_setup(refuses_bad_addresses, set_up),
		cmocka_unit_test_setup(small_subnets_have_no_broadcast, set_up),
		cmocka_unit_test_setup(refuses_bad_icmp, set_up),
		cmocka_unit_test_setup(refuses_bad_udp, set_up),
		cmocka_unit_test_setup(believes_the_port_that_verified_checksums, set_up),
		cmocka_unit_test_setup(refuses_every_truncation, set_up),
		cmocka_unit_test_setup(source_routes_are_told_from_other_options, set_up),
		cmocka_unit_test_setup(leaves_checksums_to_the_port, set_up),
		cmocka_unit_test_setup(replies_keep_the_urgency, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
