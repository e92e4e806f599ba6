/* Gateways: asked for, believed only when asked, asked again, forgotten; and what else a host sends unasked. */
#include "frames.h"

#define REFRESH_S 30u

static const struct rte_ether_addr other_mac = {{0x02, 0, 0, 0, 0, 0xee}};
static const struct rte_ipv6_addr gateway6 = {{0xfe, 0x80, [15] = 0xfe}};

static int set_up_gateways(void **state)
{
	set_up(state);
	config.gateway = gyr_net_address_of_ipv4(rte_cpu_to_be_32(RTE_IPV4(192u, 0, 2, 254)));
	memcpy(&config.gateway6, &gateway6, sizeof gateway6);
	set_host(0);
	return 0;
}

static enum gyr_net_outcome tell_arp(uint16_t opcode, const struct rte_ether_addr *mac)
{
	struct arp_frame frame = arp_frame();
	frame.ether.dst_addr = our_mac;
	frame.arp.arp_opcode = rte_cpu_to_be_16(opcode);
	frame.arp.arp_data.arp_sip = rte_cpu_to_be_32(RTE_IPV4(192u, 0, 2, 254));
	frame.arp.arp_data.arp_sha = *mac;
	return INPUT(frame);
}

static enum gyr_net_outcome tell_nd(uint32_t flags, const struct rte_ether_addr *mac)
{
	struct nd_frame frame = solicitation_frame();
	frame.ether.dst_addr = our_mac;
	frame.ip.dst_addr = our_local6;
	frame.ip.src_addr = gateway6;
	frame.nd = (struct gyr_icmp6_nd){.type = 136, .flags = rte_cpu_to_be_32(flags), .target = gateway6};
	frame.option = (struct gyr_icmp6_option){.type = 2, .eights = 1, .mac = *mac};
	sum_icmp6(&frame.ip, 32);
	return INPUT(frame);
}

/* Where a reply to this client goes. */
static struct rte_ether_addr reply_goes_to(uint32_t client)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	sent.ip.src_addr = rte_cpu_to_be_32(client);
	sum_ip(&sent.ip);
	sum_udp(&sent);
	take(&frame, &sent, sizeof sent);
	gyr_net_reply(&host, &frame.mbuf, 1);
	return ((struct udp_frame *)bytes_of(&frame))->ether.dst_addr;
}

static struct rte_ether_addr reply6_goes_to(const struct rte_ipv6_addr *client)
{
	struct udp6_frame sent = udp6_frame();
	struct frame frame;
	sent.ip.src_addr = *client;
	sum_udp6(&sent);
	take(&frame, &sent, sizeof sent);
	gyr_net_reply(&host, &frame.mbuf, 1);
	return ((struct udp6_frame *)bytes_of(&frame))->ether.dst_addr;
}

#define GOES_TO(reply, mac)                                                                                                                                    \
	do {                                                                                                                                                   \
		struct rte_ether_addr there = (reply);                                                                                                         \
		assert_memory_equal(&there, &(mac), sizeof there);                                                                                             \
	} while (0)

static void finds_the_gateway(void **state)
{
	GOES_TO(reply_goes_to(FAR_ADDRESS), their_mac);                              /* until it is found: where the question came from */
	assert_int_equal(tell_arp(RTE_ARP_OP_REPLY, &other_mac), GYR_NET_ARP_OTHER); /* nobody asked */
	assert_int_equal(tell_nd(0x60000000, &other_mac), GYR_NET_ND_OTHER);
	assert_int_equal(gyr_net_due(&host, 5) & (GYR_NET_DUE_ARP | GYR_NET_DUE_ND), GYR_NET_DUE_ARP | GYR_NET_DUE_ND);
	assert_int_equal(tell_arp(RTE_ARP_OP_REQUEST, &other_mac), GYR_NET_ARP_REPLY); /* it asks for us: that is no answer */
	assert_int_equal(tell_nd(0x20000000, &other_mac), GYR_NET_ND_OTHER);           /* unsolicited */
	GOES_TO(reply_goes_to(FAR_ADDRESS), their_mac);
	assert_int_equal(tell_arp(RTE_ARP_OP_REPLY, &gateway_mac), GYR_NET_ARP_GATEWAY);
	assert_int_equal(tell_nd(0x60000000, &gateway_mac), GYR_NET_ND_GATEWAY);
	GOES_TO(reply_goes_to(FAR_ADDRESS), gateway_mac);
	GOES_TO(reply_goes_to(THEIR_ADDRESS), their_mac);
	GOES_TO(reply6_goes_to(&far_address6), gateway_mac);
	GOES_TO(reply6_goes_to(&their_address6), their_mac);
	static const struct rte_ipv6_addr local = {{0xfe, 0x80, [15] = 0x33}};
	GOES_TO(reply6_goes_to(&local), their_mac);
	/* A second answer was not asked for. */
	assert_int_equal(tell_arp(RTE_ARP_OP_REPLY, &other_mac), GYR_NET_ARP_OTHER);
	GOES_TO(reply_goes_to(FAR_ADDRESS), gateway_mac);
	/* Echo takes the same way. */
	struct echo_frame echo = echo_frame();
	struct frame frame;
	echo.ip.src_addr = rte_cpu_to_be_32(FAR_ADDRESS);
	sum_ip(&echo.ip);
	put(&frame, &echo, sizeof echo);
	assert_int_equal(gyr_net_input(&host, &frame.mbuf, NULL, NULL), GYR_NET_ECHO_REPLY);
	GOES_TO(((struct echo_frame *)bytes_of(&frame))->ether.dst_addr, gateway_mac);
}

static void asks_again_and_forgets(void **state)
{
	uint32_t second = 5;
	assert_true(gyr_net_due(&host, second) & GYR_NET_DUE_ARP);
	assert_false(gyr_net_due(&host, second) & GYR_NET_DUE_ARP); /* once a second at most */
	assert_true(gyr_net_due(&host, ++second) & GYR_NET_DUE_ARP);
	assert_int_equal(tell_arp(RTE_ARP_OP_REPLY, &gateway_mac), GYR_NET_ARP_GATEWAY);
	second++;
	for (uint32_t i = 0; i < REFRESH_S; i++)
		assert_false(gyr_net_due(&host, second + i) & GYR_NET_DUE_ARP);
	second += REFRESH_S;
	for (int unanswered = 0; unanswered < 3; unanswered++) {
		assert_true(gyr_net_due(&host, second++) & GYR_NET_DUE_ARP);
		GOES_TO(reply_goes_to(FAR_ADDRESS), gateway_mac);
	}
	assert_true(gyr_net_due(&host, second++) & GYR_NET_DUE_ARP);
	GOES_TO(reply_goes_to(FAR_ADDRESS), their_mac); /* it is gone */
	assert_int_equal(tell_arp(RTE_ARP_OP_REPLY, &other_mac), GYR_NET_ARP_GATEWAY);
	GOES_TO(reply_goes_to(FAR_ADDRESS), other_mac); /* another has taken its place */
}

/* What it says unasked is not believed, but makes us ask. */
static void doubts_make_it_ask(void **state)
{
	assert_true(gyr_net_due(&host, 5) & GYR_NET_DUE_ARP);
	assert_int_equal(tell_arp(RTE_ARP_OP_REPLY, &gateway_mac), GYR_NET_ARP_GATEWAY);
	assert_false(gyr_net_due(&host, 6) & GYR_NET_DUE_ARP);
	tell_arp(RTE_ARP_OP_REPLY, &gateway_mac);
	assert_false(gyr_net_due(&host, 7) & GYR_NET_DUE_ARP); /* nothing new */
	tell_arp(RTE_ARP_OP_REPLY, &other_mac);
	GOES_TO(reply_goes_to(FAR_ADDRESS), gateway_mac);
	assert_true(gyr_net_due(&host, 8) & GYR_NET_DUE_ARP);
	assert_int_equal(tell_arp(RTE_ARP_OP_REPLY, &other_mac), GYR_NET_ARP_GATEWAY);
	GOES_TO(reply_goes_to(FAR_ADDRESS), other_mac);
}

static void make(struct frame *frame, enum gyr_net_due bit)
{
	put(frame, "", 0);
	assert_true(gyr_net_make(&host, &frame->mbuf, bit));
}

static void writes_what_is_due(void **state)
{
	for (uint16_t vlan = 0; vlan <= 100; vlan += 100) {
		struct frame frame;
		size_t l2 = vlan == 0 ? 14 : 18;
		config.vlan = vlan;
		set_host(0);
		make(&frame, GYR_NET_DUE_ARP);
		const struct rte_arp_hdr *arp = rte_pktmbuf_mtod_offset(&frame.mbuf, const struct rte_arp_hdr *, l2);
		assert_int_equal(frame.mbuf.data_len, l2 + sizeof *arp);
		assert_memory_equal(bytes_of(&frame), &all_macs, 6);
		assert_int_equal(rte_be_to_cpu_16(arp->arp_opcode), RTE_ARP_OP_REQUEST);
		assert_int_equal(rte_be_to_cpu_32(arp->arp_data.arp_tip), RTE_IPV4(192u, 0, 2, 254));
		assert_int_equal(rte_be_to_cpu_32(arp->arp_data.arp_sip), OUR_ADDRESS);
		if (vlan != 0)
			assert_int_equal(rte_be_to_cpu_16(*rte_pktmbuf_mtod_offset(&frame.mbuf, const rte_be16_t *, 14)), vlan);
		static const struct {
			enum gyr_net_due bit;
			const struct rte_ipv6_addr *target, *source;
		} asked[] = {{GYR_NET_DUE_ND, &gateway6, &our_local6}, {GYR_NET_DUE_PROBE, &our_address6, NULL}, {GYR_NET_DUE_PROBE_LOCAL, &our_local6, NULL}};
		for (size_t i = 0; i < 3; i++) {
			make(&frame, asked[i].bit);
			const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(&frame.mbuf, const struct rte_ipv6_hdr *, l2);
			const struct gyr_icmp6_nd *nd = (const struct gyr_icmp6_nd *)(ip + 1);
			size_t bytes = asked[i].source != NULL ? 32 : 24; /* a probe tells no MAC address */
			struct gyr_net_address target;
			memcpy(&target, asked[i].target, sizeof target);
			struct rte_ipv6_addr group = gyr_icmp6_solicited_group(&target), nobody = {{0}};
			assert_int_equal(frame.mbuf.data_len, l2 + sizeof *ip + bytes);
			assert_memory_equal(&ip->dst_addr, &group, 16);
			assert_memory_equal(&ip->src_addr, asked[i].source != NULL ? asked[i].source : &nobody, 16);
			assert_int_equal(ip->hop_limits, 255);
			assert_memory_equal(&nd->target, asked[i].target, 16);
			assert_int_equal(plain_checksum(nd, bytes, pseudo_header6(ip, GYR_ICMP6_NEXT, bytes)), 0);
		}
		make(&frame, GYR_NET_DUE_GROUPS);
		const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(&frame.mbuf, const struct rte_ipv6_hdr *, l2);
		const uint8_t *report = (const uint8_t *)(ip + 1) + 8;
		static const uint8_t hop_by_hop[8] = {58, 0, 5, 2, 0, 0, 1, 0};
		assert_memory_equal(ip + 1, hop_by_hop, 8);
		assert_int_equal(ip->hop_limits, 1);
		assert_int_equal(rte_be_to_cpu_16(ip->payload_len), 56);
		assert_int_equal(report[0], 143);
		assert_int_equal(report[7], 2);
		const struct rte_ipv6_addr groups[] = {{{0xff, 0x02, [11] = 1, 0xff, 0x51, 0, 0x61}}, {{0xff, 0x02, [11] = 1, 0xff, 0, 0, 1}}};
		for (size_t i = 0; i < 2; i++) {
			static const uint8_t all_sources[4] = {2, 0, 0, 0}; /* MODE_IS_EXCLUDE, with no source to leave out (RFC 3810, section 5.2) */
			assert_memory_equal(report + 8 + 20 * i, all_sources, 4);
			assert_memory_equal(report + 8 + 20 * i + 4, &groups[i], 16);
		}
		assert_int_equal(plain_checksum(report, 48, pseudo_header6(ip, GYR_ICMP6_NEXT, 48)), 0);
	}
}

/* Groups are told once a minute, addresses probed once; nothing is, without IPv6 and gateways. */
static void little_is_due(void **state)
{
	const unsigned ipv6 = GYR_NET_DUE_PROBE | GYR_NET_DUE_PROBE_LOCAL | GYR_NET_DUE_GROUPS;
	unsigned probes = 0, reports = 0;
	for (uint32_t second = 1000; second < 1000 + 180; second++) {
		unsigned due = gyr_net_due(&host, second);
		assert_int_equal(due & GYR_NET_DUE_PROBE ? GYR_NET_DUE_PROBE_LOCAL : 0, due & GYR_NET_DUE_PROBE_LOCAL);
		probes += (due & GYR_NET_DUE_PROBE) != 0;
		reports += (due & GYR_NET_DUE_GROUPS) != 0;
	}
	assert_int_equal(probes, 1);
	assert_int_equal(reports, 3);
	memset(&config.gateway, 0, sizeof config.gateway);
	memset(&config.gateway6, 0, sizeof config.gateway6);
	set_host(0);
	assert_int_equal(gyr_net_due(&host, 1000) & ~ipv6, 0);
	memset(&config.address6, 0, sizeof config.address6);
	set_host(0);
	struct rte_ether_addr groups[GYR_NET_GROUPS];
	assert_int_equal(gyr_net_due(&host, 1000), 0);
	assert_int_equal(gyr_net_groups(&host, groups), 0);
}

static void joins_its_groups(void **state)
{
	static const struct rte_ether_addr expected[GYR_NET_GROUPS] = {
		{{0x33, 0x33, 0, 0, 0, 1}}, {{0x33, 0x33, 0xff, 0x51, 0, 0x61}}, {{0x33, 0x33, 0xff, 0, 0, 1}}};
	struct rte_ether_addr groups[GYR_NET_GROUPS];
	assert_int_equal(gyr_net_groups(&host, groups), GYR_NET_GROUPS);
	assert_memory_equal(groups, expected, sizeof groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(finds_the_gateway, set_up_gateways),  cmocka_unit_test_setup(asks_again_and_forgets, set_up_gateways),
		cmocka_unit_test_setup(doubts_make_it_ask, set_up_gateways), cmocka_unit_test_setup(writes_what_is_due, set_up_gateways),
		cmocka_unit_test_setup(little_is_due, set_up_gateways),      cmocka_unit_test_setup(joins_its_groups, set_up_gateways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
