/* Who may be sent more than was asked. */
#include "frames.h"

static uint32_t room(uint32_t client)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	sent.ip.src_addr = rte_cpu_to_be_32(client);
	sum_ip(&sent.ip);
	sum_udp(&sent);
	take(&frame, &sent, sizeof sent);
	uint32_t bytes = gyr_net_payload_room(&host, &frame.mbuf);
	assert_int_equal(gyr_net_is_trusted(&host, &frame.mbuf), bytes != PAYLOAD);
	return bytes;
}

static uint32_t room6(const struct rte_ipv6_addr *client)
{
	struct udp6_frame sent = udp6_frame();
	struct frame frame;
	sent.ip.src_addr = *client;
	sum_udp6(&sent);
	take(&frame, &sent, sizeof sent);
	uint32_t bytes = gyr_net_payload_room(&host, &frame.mbuf);
	assert_int_equal(gyr_net_is_trusted(&host, &frame.mbuf), bytes != PAYLOAD);
	return bytes;
}

static const struct rte_ipv6_addr local = {{0xfe, 0x80, [15] = 0x33}};

static void trusts_its_own_subnets(void **state)
{
	assert_int_equal(room(THEIR_ADDRESS), MTU - 28);
	assert_int_equal(room(FAR_ADDRESS), PAYLOAD);
	assert_int_equal(room6(&their_address6), MTU - 48);
	assert_int_equal(room6(&local), MTU - 48);
	assert_int_equal(room6(&far_address6), PAYLOAD);
	config.prefix = 0;
	set_host(0);
	assert_int_equal(room(FAR_ADDRESS), MTU - 28);
}

static void trust(const char *text)
{
	struct gyr_error error;
	if (gyr_config_set(&config, "test", "dataplane.trusted", text, &error) != 0)
		fail_msg("%s", error.text);
	set_host(0);
}

static void trusts_whom_the_configuration_names(void **state)
{
	trust("198.51.100.0/25 10.0.0.0/8 192.0.2.77/32 2001:db9::/32");
	assert_int_equal(room(FAR_ADDRESS), MTU - 28);
	assert_int_equal(room(RTE_IPV4(198u, 51, 100, 128)), PAYLOAD);
	assert_int_equal(room(RTE_IPV4(10u, 255, 0, 1)), MTU - 28);
	assert_int_equal(room(THEIR_ADDRESS), MTU - 28);
	assert_int_equal(room(THEIR_ADDRESS + 1), PAYLOAD); /* our own subnet is not named */
	assert_int_equal(room6(&far_address6), MTU - 48);
	assert_int_equal(room6(&their_address6), PAYLOAD);
	assert_int_equal(room6(&local), PAYLOAD);
}

/* One family's networks say nothing of the other's, also where they hold everything. */
static void families_are_apart(void **state)
{
	trust("::/0");
	assert_int_equal(room6(&far_address6), MTU - 48);
	assert_int_equal(room(THEIR_ADDRESS), PAYLOAD);
	assert_int_equal(room(FAR_ADDRESS), PAYLOAD);
	trust("0.0.0.0/0");
	assert_int_equal(room6(&far_address6), PAYLOAD);
	assert_int_equal(room(FAR_ADDRESS), MTU - 28);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(trusts_its_own_subnets, set_up),
		cmocka_unit_test_setup(trusts_whom_the_configuration_names, set_up),
		cmocka_unit_test_setup(families_are_apart, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
