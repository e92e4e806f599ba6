/* Neighbour discovery: what RFC 4861 has a host answer, discard, and not believe. */
#include "frames.h"

static void sum(struct nd_frame *frame)
{
	sum_icmp6(&frame->ip, rte_be_to_cpu_16(frame->ip.payload_len));
}

/* The advertisement in FRAME, to TO, of OURS. */
static void is_advertisement(struct frame *frame, const struct rte_ipv6_addr *to, const struct rte_ipv6_addr *ours, uint32_t flags)
{
	const struct nd_frame *reply = bytes_of(frame);
	assert_int_equal(frame->mbuf.data_len, sizeof *reply);
	assert_int_equal(frame->mbuf.pkt_len, sizeof *reply);
	assert_memory_equal(&reply->ether.src_addr, &our_mac, 6);
	assert_memory_equal(&reply->ip.src_addr, ours, 16);
	assert_memory_equal(&reply->ip.dst_addr, to, 16);
	assert_int_equal(reply->ip.hop_limits, 255);
	assert_int_equal(rte_be_to_cpu_16(reply->ip.payload_len), 32);
	assert_int_equal(reply->nd.type, 136);
	assert_int_equal(reply->nd.code, 0);
	assert_int_equal(rte_be_to_cpu_32(reply->nd.flags), flags);
	assert_memory_equal(&reply->nd.target, ours, 16);
	assert_int_equal(reply->option.type, 2);
	assert_int_equal(reply->option.eights, 1);
	assert_memory_equal(&reply->option.mac, &our_mac, 6);
	assert_int_equal(plain_checksum(&reply->nd, 32, pseudo_header6(&reply->ip, GYR_ICMP6_NEXT, 32)), 0);
}

static void answers_for_both_addresses(void **state)
{
	const struct rte_ipv6_addr *ours[] = {&our_address6, &our_local6};
	for (int i = 0; i < 2; i++) {
		struct nd_frame sent = solicitation_frame();
		struct frame frame;
		struct gyr_net_address asked;
		memcpy(&asked, ours[i], sizeof asked);
		sent.ip.dst_addr = gyr_icmp6_solicited_group(&asked);
		sent.nd.target = *ours[i];
		sum(&sent);
		put(&frame, &sent, sizeof sent);
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ND_REPLY);
		is_advertisement(&frame, &their_address6, ours[i], 0x60000000);
		assert_memory_equal(bytes_of(&frame), &their_mac, 6);
		/* A neighbour that looks whether we are still there asks us alone, and may leave its own MAC address out. */
		sent.ip.dst_addr = *ours[i];
		sent.ether.dst_addr = our_mac;
		sent.ip.payload_len = RTE_BE16(24);
		sum(&sent);
		put(&frame, &sent, sizeof sent - sizeof sent.option);
		assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ND_REPLY);
		is_advertisement(&frame, &their_address6, ours[i], 0x60000000);
	}
}

static void defends_its_address(void **state)
{
	struct nd_frame sent = solicitation_frame();
	struct frame frame;
	memset(&sent.ip.src_addr, 0, 16);
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID); /* one without an address has no MAC address to tell */
	sent.ip.payload_len = RTE_BE16(24);
	sum(&sent);
	put(&frame, &sent, sizeof sent - sizeof sent.option);
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ND_REPLY);
	is_advertisement(&frame, &gyr_icmp6_all_nodes, &our_address6, 0x20000000);
	static const struct rte_ether_addr all_nodes_mac = {{0x33, 0x33, 0, 0, 0, 1}};
	assert_memory_equal(bytes_of(&frame), &all_nodes_mac, 6);
	sent.ip.dst_addr = our_address6; /* it asks in the solicited-node group, or it is none */
	sent.ether.dst_addr = our_mac;
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
}

static void needs_room_for_the_answer(void **state)
{
	struct nd_frame sent = solicitation_frame();
	struct frame frame;
	sent.ip.payload_len = RTE_BE16(24);
	sum(&sent);
	put(&frame, &sent, sizeof sent - sizeof sent.option);
	frame.mbuf.buf_len = RTE_PKTMBUF_HEADROOM + sizeof sent - 1;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ND_INVALID);
	put(&frame, &sent, sizeof sent - sizeof sent.option);
	frame.mbuf.buf_len = RTE_PKTMBUF_HEADROOM + sizeof sent;
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ND_REPLY);
}

static void discards_what_it_must(void **state)
{
	struct nd_frame good = solicitation_frame(), sent = good;
	sent.ip.hop_limits = 254; /* came through a router */
	assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
	sent = good;
	sent.nd.code = 1;
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
	sent = good;
	sent.nd.target = gyr_icmp6_all_nodes;
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
	sent = good;
	sent.ip.payload_len = RTE_BE16(23);
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
	static const uint8_t lengths[] = {0, 2, 255};
	for (size_t i = 0; i < sizeof lengths; i++) {
		sent = good;
		sent.option.eights = lengths[i];
		sum(&sent);
		assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
	}
	for (uint16_t bytes = 25; bytes < 32; bytes++) {
		sent = good;
		sent.ip.payload_len = rte_cpu_to_be_16(bytes);
		sum(&sent);
		assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
	}
	sent = good;
	sent.ip.src_addr = gyr_icmp6_all_nodes;
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
	sent = good;
	sent.nd.checksum ^= 1;
	assert_int_equal(INPUT(sent), GYR_NET_ICMP6_CHECKSUM);
	sent = good;
	sent.nd.target.a[15] = 9;
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_OTHER);
	sent = good;
	sent.ip.src_addr = our_address6;
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_CONFLICT);
	sent = good;
	sent.option.type = 77; /* an option that we do not know is passed over */
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_REPLY);
}

/* Who is no single host is told nothing: an answer to it could go to many, or to ourselves. */
static void tells_nobody_who_is_no_host(void **state)
{
	static const struct rte_ipv6_addr sources[] = {
		{{0xff, 0x02, [15] = 1}},
		{{[15] = 1}},                         /* loopback */
		{{[10] = 0xff, 0xff, 192, 0, 2, 77}}, /* one of IPv4 */
		{{[12] = 192, 0, 2, 77}},             /* the same in the old form */
	};
	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
		struct nd_frame sent = solicitation_frame();
		sent.ip.src_addr = sources[i];
		sum(&sent);
		assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
	}
}

static void hears_that_its_address_is_taken(void **state)
{
	struct nd_frame sent = solicitation_frame();
	sent.nd.type = 136;
	sent.option.type = 2;
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_CONFLICT);
	sent.nd.target = their_address6;
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_OTHER);
	sent.nd.flags = RTE_BE32(0x40000000); /* solicited, and yet to all */
	sum(&sent);
	assert_int_equal(INPUT(sent), GYR_NET_ND_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(answers_for_both_addresses, set_up),  cmocka_unit_test_setup(defends_its_address, set_up),
		cmocka_unit_test_setup(needs_room_for_the_answer, set_up),   cmocka_unit_test_setup(discards_what_it_must, set_up),
		cmocka_unit_test_setup(tells_nobody_who_is_no_host, set_up), cmocka_unit_test_setup(hears_that_its_address_is_taken, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
