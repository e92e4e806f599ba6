/* Ethernet and VLAN, the names of outcomes, and the checksum. */
#include "dataplane/net/checksum.h"
#include "frames.h"
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
	sent.ether.ether_type = RTE_BE16(0x88cc);
	assert_int_equal(INPUT(sent), GYR_NET_ETHERTYPE);
	memset(&config.address6, 0, sizeof config.address6);
	set_host(0);
	sent.ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
	assert_int_equal(INPUT(sent), GYR_NET_ETHERTYPE);
	struct frame frame;
	sent = udp_frame();
	put(&frame, &sent, sizeof sent);
	frame.mbuf.nb_segs = 2;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_SEGMENTED);
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

/* FRAME, of SIZE bytes, with a tag of our own making; its length. */
static size_t tag(uint8_t *to, const void *frame, size_t size, uint16_t type, uint16_t tci)
{
	struct rte_vlan_hdr vlan = {.vlan_tci = rte_cpu_to_be_16(tci)};
	memcpy(to, frame, 12);
	memcpy(&vlan.eth_proto, (const uint8_t *)frame + 12, 2);
	type = rte_cpu_to_be_16(type);
	memcpy(to + 12, &type, 2);
	memcpy(to + 14, &vlan, sizeof vlan);
	memcpy(to + 18, (const uint8_t *)frame + 14, size - 14);
	return size + sizeof vlan;
}

/* The same frame with each tag, tagged by hand: what it is to us. */
static enum gyr_net_outcome input_tagged(uint16_t type, uint16_t tci)
{
	uint8_t bytes[256];
	struct udp_frame sent = udp_frame();
	return input(bytes, tag(bytes, &sent, sizeof sent, type, tci));
}

static void takes_only_its_own_vlan(void **state)
{
	struct udp_frame sent = udp_frame();
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_VLAN, 0), GYR_NET_DATAGRAM);
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_VLAN, 7 << 13), GYR_NET_DATAGRAM); /* only urgent */
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_VLAN, 1), GYR_NET_VLAN);
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_VLAN, 4095), GYR_NET_VLAN);
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_QINQ, 0), GYR_NET_VLAN);
	config.vlan = 100;
	set_host(0);
	assert_int_equal(INPUT(sent), GYR_NET_VLAN);
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_VLAN, 5 << 13 | 100), GYR_NET_DATAGRAM);
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_VLAN, 0), GYR_NET_VLAN);
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_VLAN, 101), GYR_NET_VLAN);
	assert_int_equal(input_tagged(RTE_ETHER_TYPE_QINQ, 100), GYR_NET_VLAN);
	uint8_t once[256], twice[256];
	size_t size = tag(once, &sent, sizeof sent, RTE_ETHER_TYPE_VLAN, 100);
	assert_int_equal(input(twice, tag(twice, once, size, RTE_ETHER_TYPE_VLAN, 100)), GYR_NET_VLAN);
	for (size_t cut = sizeof(struct rte_ether_hdr); cut < 18; cut++)
		assert_int_equal(input(once, cut), GYR_NET_VLAN);
	assert_int_equal(input(once, 37), GYR_NET_IP_SHORT);
}

static void replies_keep_the_tag(void **state)
{
	config.vlan = 100;
	set_host(0);
	uint8_t bytes[256];
	struct udp_frame sent = udp_frame();
	struct arp_frame arp = arp_frame();
	struct udp6_frame sent6 = udp6_frame();
	struct frame frame;
	take(&frame, bytes, tag(bytes, &sent, sizeof sent, RTE_ETHER_TYPE_VLAN, 5 << 13 | 100));
	assert_int_equal(gyr_net_source(&frame.mbuf).port, THEIR_PORT);
	gyr_net_reply(&host, &frame.mbuf, 10);
	assert_int_equal(frame.mbuf.data_len, HEADERS + 4 + 10);
	assert_memory_equal(bytes_of(&frame), &their_mac, 6);
	assert_memory_equal((uint8_t *)bytes_of(&frame) + 6, &our_mac, 6);
	assert_memory_equal((uint8_t *)bytes_of(&frame) + 12, bytes + 12, 6); /* the tag and what follows it */
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(&frame.mbuf, const struct rte_ipv4_hdr *, 18);
	assert_int_equal(plain_checksum(ip, sizeof *ip, 0), 0);
	assert_int_equal(plain_checksum(ip + 1, 18, pseudo_header(ip, IPPROTO_UDP, 18)), 0);
	take(&frame, bytes, tag(bytes, &sent6, sizeof sent6, RTE_ETHER_TYPE_VLAN, 100));
	gyr_net_reply(&host, &frame.mbuf, 10);
	assert_int_equal(frame.mbuf.data_len, 18 + 40 + 8 + 10);
	put(&frame, bytes, tag(bytes, &arp, sizeof arp, RTE_ETHER_TYPE_VLAN, 100));
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ARP_REPLY);
	assert_int_equal(frame.mbuf.data_len, sizeof arp + 4);
	assert_memory_equal((uint8_t *)bytes_of(&frame) + 12, bytes + 12, 6);
}

/* The port takes the tag off; and puts it on again, or else it is put back into the frame. */
static void tags_are_left_to_the_port(void **state)
{
	struct udp_frame sent = udp_frame();
	uint8_t *payload;
	uint32_t payload_bytes;
	for (int both = 0; both < 2; both++) {
		struct frame frame;
		config.vlan = 100;
		set_host(both ? RTE_ETH_TX_OFFLOAD_VLAN_INSERT : 0);
		put(&frame, &sent, sizeof sent);
		frame.mbuf.ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		frame.mbuf.vlan_tci = 3 << 13 | 100;
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_DATAGRAM);
		gyr_net_reply(&host, &frame.mbuf, 10);
		assert_int_equal(frame.mbuf.data_len, HEADERS + 10 + (both ? 0 : 4));
		assert_int_equal(frame.mbuf.ol_flags, both ? RTE_MBUF_F_TX_VLAN : 0);
		assert_int_equal(frame.mbuf.vlan_tci, 3 << 13 | 100);
		put(&frame, &sent, sizeof sent);
		frame.mbuf.ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		frame.mbuf.vlan_tci = 99;
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), GYR_NET_VLAN);
		/* Without room for it before the frame. */
		put(&frame, &sent, sizeof sent);
		memmove(frame.buffer, bytes_of(&frame), sizeof sent);
		frame.mbuf.data_off = 0;
		frame.mbuf.ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		frame.mbuf.vlan_tci = 100;
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, &payload, &payload_bytes), both ? GYR_NET_DATAGRAM : GYR_NET_VLAN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(refuses_bad_ethernet, set_up),
		cmocka_unit_test_setup(every_outcome_has_its_own_name, set_up),
		cmocka_unit_test_setup(checksum_agrees_with_the_plain_one, set_up),
		cmocka_unit_test_setup(takes_only_its_own_vlan, set_up),
		cmocka_unit_test_setup(replies_keep_the_tag, set_up),
		cmocka_unit_test_setup(tags_are_left_to_the_port, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
