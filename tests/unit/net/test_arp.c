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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(replies_to_arp, set_up),
		cmocka_unit_test_setup(refuses_bad_arp, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
