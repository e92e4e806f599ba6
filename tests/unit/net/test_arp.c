/* ARP. */
#include "frames.h"

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

/* Who is no single host is told nothing; one that has no address yet is. */
static void replies_only_to_hosts(void **state)
{
	static const uint32_t sources[] = {RTE_IPV4(0u, 0, 0, 1),   RTE_IPV4(127u, 0, 0, 1),   RTE_IPV4(224u, 0, 0, 1),
					   RTE_IPV4(240u, 0, 0, 1), RTE_IPV4(192u, 0, 2, 255), UINT32_MAX};
	struct arp_frame sent = arp_frame();
	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
		sent.arp.arp_data.arp_sip = rte_cpu_to_be_32(sources[i]);
		assert_int_equal(INPUT(sent), GYR_NET_ARP_INVALID);
	}
	sent.arp.arp_data.arp_sip = 0; /* it looks whether our address is free (RFC 5227) */
	assert_int_equal(INPUT(sent), GYR_NET_ARP_REPLY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(replies_to_arp, set_up),
		cmocka_unit_test_setup(refuses_bad_arp, set_up),
		cmocka_unit_test_setup(replies_only_to_hosts, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
