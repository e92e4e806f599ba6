/* Path MTUs: whose word is believed, for whom, and for how long. */
#include "dataplane/net/path.h"
#include "frames.h"

#define LONG 1000u /* bytes of payload that no path of 576 holds */

struct too_big_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_icmp_hdr icmp;
	struct rte_ipv4_hdr quoted;
	struct rte_udp_hdr udp;
};

struct too_big6_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv6_hdr ip;
	struct rte_icmp_hdr icmp;
	struct rte_ipv6_hdr quoted;
	struct rte_udp_hdr udp;
};

static uint32_t room(void)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	take(&frame, &sent, sizeof sent);
	return gyr_net_payload_room(&host, &frame.mbuf);
}

static uint32_t room6(void)
{
	struct udp6_frame sent = udp6_frame();
	struct frame frame;
	take(&frame, &sent, sizeof sent);
	return gyr_net_payload_room(&host, &frame.mbuf);
}

/* Answers their question with BYTES of payload, and quotes that answer as a router with MTU would. */
static struct too_big_frame too_big_of(uint32_t bytes, uint16_t mtu)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	take(&frame, &sent, sizeof sent);
	gyr_net_reply(&host, &frame.mbuf, bytes);
	const struct udp_frame *reply = bytes_of(&frame);
	struct too_big_frame said = {.ether = sent.ether, .ip = sent.ip, .quoted = reply->ip, .udp = reply->udp};
	said.ip.src_addr = rte_cpu_to_be_32(FAR_ADDRESS); /* routers are anywhere */
	said.ip.next_proto_id = IPPROTO_ICMP;
	said.ip.total_length = RTE_BE16(sizeof said - sizeof said.ether);
	sum_ip(&said.ip);
	said.icmp = (struct rte_icmp_hdr){.icmp_type = 3, .icmp_code = 4, .icmp_seq_nb = rte_cpu_to_be_16(mtu)};
	sum_icmp(&said.icmp, sizeof said - offsetof(struct too_big_frame, icmp));
	return said;
}

static struct too_big_frame too_big(uint16_t mtu)
{
	return too_big_of(LONG, mtu);
}

static struct too_big6_frame too_big6(uint32_t mtu)
{
	struct udp6_frame sent = udp6_frame();
	struct frame frame;
	take(&frame, &sent, sizeof sent);
	gyr_net_reply(&host, &frame.mbuf, 1400);
	const struct udp6_frame *reply = bytes_of(&frame);
	struct too_big6_frame said = {.ether = sent.ether, .ip = sent.ip, .quoted = reply->ip, .udp = reply->udp};
	said.ip.src_addr = far_address6;
	said.ip.proto = GYR_ICMP6_NEXT;
	said.ip.payload_len = RTE_BE16(sizeof said - offsetof(struct too_big6_frame, icmp));
	said.icmp =
		(struct rte_icmp_hdr){.icmp_type = 2, .icmp_ident = rte_cpu_to_be_16((uint16_t)(mtu >> 16)), .icmp_seq_nb = rte_cpu_to_be_16((uint16_t)mtu)};
	sum_icmp6(&said.ip, sizeof said - offsetof(struct too_big6_frame, icmp));
	return said;
}

static void honours_a_router(void **state)
{
	gyr_net_due(&host, 100);
	struct too_big_frame said = too_big(900);
	assert_int_equal(room(), MTU - 28);
	assert_int_equal(INPUT(said), GYR_NET_PATH_MTU);
	assert_int_equal(room(), 900 - 28);
	assert_int_equal(room6(), MTU - 48); /* that is another address */
	struct too_big6_frame said6 = too_big6(1300);
	assert_int_equal(INPUT(said6), GYR_NET_PATH_MTU);
	assert_int_equal(room6(), 1300 - 48);
	assert_int_equal(room(), 900 - 28);
	struct udp_frame sent = udp_frame();
	struct frame frame;
	sent.ip.src_addr = rte_cpu_to_be_32(THEIR_ADDRESS + 1);
	sum_ip(&sent.ip);
	sum_udp(&sent);
	take(&frame, &sent, sizeof sent);
	assert_int_equal(gyr_net_payload_room(&host, &frame.mbuf), MTU - 28); /* and so is this */
	/* Another port of the same client has the same way. */
	sent = udp_frame();
	sent.udp.src_port++;
	sum_udp(&sent);
	take(&frame, &sent, sizeof sent);
	assert_int_equal(gyr_net_payload_room(&host, &frame.mbuf), 900 - 28);
}

static void believes_no_less_than_the_least(void **state)
{
	struct too_big_frame said = too_big(68);
	assert_int_equal(INPUT(said), GYR_NET_PATH_MTU);
	assert_int_equal(room(), 576 - 28);
	struct too_big6_frame said6 = too_big6(1279);
	assert_int_equal(INPUT(said6), GYR_NET_PATH_MTU);
	assert_int_equal(room6(), 1280 - 48);
}

static void believes_only_who_quotes_us(void **state)
{
	struct too_big_frame good = too_big(900), said;
	const struct {
		size_t at;
		uint8_t change;
	} changes[] = {
		{offsetof(struct too_big_frame, quoted.version_ihl), 1},  {offsetof(struct too_big_frame, quoted.next_proto_id), 1},
		{offsetof(struct too_big_frame, quoted.src_addr), 1},     {offsetof(struct too_big_frame, quoted.dst_addr), 1},
		{offsetof(struct too_big_frame, quoted.total_length), 1}, {offsetof(struct too_big_frame, udp.src_port), 1},
		{offsetof(struct too_big_frame, udp.dst_port), 1},
	};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		said = good;
		((uint8_t *)&said)[changes[i].at] ^= changes[i].change;
		sum_icmp(&said.icmp, sizeof said - offsetof(struct too_big_frame, icmp));
		assert_int_equal(INPUT(said), GYR_NET_PATH_MTU_REFUSED);
	}
	said = good;
	said.udp.dgram_len ^= 1;
	assert_int_equal(INPUT(said), GYR_NET_ICMP_CHECKSUM);
	static const uint16_t mtus[] = {0, LONG + 28, 65535}; /* none is told; what was sent would have passed */
	for (size_t i = 0; i < 3; i++) {
		said = too_big(mtus[i]);
		assert_int_equal(INPUT(said), GYR_NET_PATH_MTU_REFUSED);
	}
	said = good;
	said.ip.total_length = RTE_BE16(sizeof said - sizeof said.ether - 1);
	sum_ip(&said.ip);
	sum_icmp(&said.icmp, sizeof said - offsetof(struct too_big_frame, icmp) - 1);
	assert_int_equal(INPUT(said), GYR_NET_ICMP_OTHER);
	assert_int_equal(room(), MTU - 28);
	struct too_big6_frame said6 = too_big6(1300);
	said6.quoted.dst_addr.a[15] ^= 1;
	sum_icmp6(&said6.ip, sizeof said6 - offsetof(struct too_big6_frame, icmp));
	assert_int_equal(INPUT(said6), GYR_NET_PATH_MTU_REFUSED);
	said6 = too_big6(65536 + 1300);
	assert_int_equal(INPUT(said6), GYR_NET_PATH_MTU_REFUSED);
	said6.ip.payload_len = RTE_BE16(sizeof said6 - offsetof(struct too_big6_frame, icmp) - 1);
	sum_icmp6(&said6.ip, sizeof said6 - offsetof(struct too_big6_frame, icmp) - 1);
	assert_int_equal(INPUT(said6), GYR_NET_ICMP6_OTHER);
	assert_int_equal(room6(), MTU - 48);
}

/* A short answer passes everywhere, so nobody can complain of it. */
static void remembers_only_what_is_long(void **state)
{
	struct udp_frame sent = udp_frame();
	struct frame frame;
	for (uint32_t bytes = 576 - 28; bytes <= 576 - 28 + 1; bytes++) {
		take(&frame, &sent, sizeof sent);
		gyr_net_reply(&host, &frame.mbuf, bytes);
		unsigned remembered = 0;
		for (uint32_t i = 0; i < GYR_NET_PATHS; i++)
			remembered += host.paths.sent[i] != 0;
		assert_int_equal(remembered, bytes - (576 - 28));
	}
}

/* A shorter answer, still one that a router could complain of, follows before the router's word about the longer comes. */
static void remembers_the_longest(void **state)
{
	gyr_net_due(&host, 100);
	struct too_big_frame longer = too_big_of(1400, 900), shorter = too_big_of(700, 600);
	assert_int_equal(INPUT(shorter), GYR_NET_PATH_MTU_REFUSED);
	assert_int_equal(INPUT(longer), GYR_NET_PATH_MTU);
	assert_int_equal(room(), 900 - 28);
	/* The longer has had its complaint: the next link on the way is heard about what goes now. */
	shorter = too_big_of(850, 800);
	assert_int_equal(INPUT(longer), GYR_NET_PATH_MTU_REFUSED);
	assert_int_equal(INPUT(shorter), GYR_NET_PATH_MTU);
	assert_int_equal(room(), 800 - 28);
}

/* Nobody complained of the longer in time: then the shorter counts, although it went in the meantime. */
static void forgets_the_longest(void **state)
{
	gyr_net_due(&host, 100);
	struct too_big_frame longer = too_big_of(1400, 900), shorter;
	for (uint32_t second = 101; second <= 105; second++) {
		gyr_net_due(&host, second);
		shorter = too_big_of(700, 600);
		assert_int_equal(INPUT(shorter), second <= 104 ? GYR_NET_PATH_MTU_REFUSED : GYR_NET_PATH_MTU);
	}
	assert_int_equal(INPUT(longer), GYR_NET_PATH_MTU_REFUSED);
	assert_int_equal(room(), 600 - 28);
}

static void forgets(void **state)
{
	gyr_net_due(&host, 100);
	struct too_big_frame said = too_big(900);
	gyr_net_due(&host, 105); /* too late for an answer to what was sent at 100 */
	assert_int_equal(INPUT(said), GYR_NET_PATH_MTU_REFUSED);
	said = too_big(900);
	gyr_net_due(&host, 109);
	assert_int_equal(INPUT(said), GYR_NET_PATH_MTU);
	for (uint32_t second = 110; second <= 109 + 600; second++)
		gyr_net_due(&host, second);
	assert_int_equal(room(), 900 - 28);
	gyr_net_due(&host, 109 + 601);
	assert_int_equal(room(), MTU - 28);
	assert_false(host.any_path);
	for (uint32_t i = 0; i < GYR_NET_PATHS; i++)
		assert_int_equal(host.paths.known[i], 0);
}

/* More clients than places: what is known stays bounded and right for those that it still holds. */
static void is_bounded(void **state)
{
	unsigned kept = 0;
	for (uint32_t i = 0; i < 4 * GYR_NET_PATHS; i++) {
		struct udp_frame sent = udp_frame();
		struct frame frame;
		sent.ip.src_addr = rte_cpu_to_be_32(RTE_IPV4(192u, 0, 2, 2) + (i << 8));
		sum_ip(&sent.ip);
		sum_udp(&sent);
		take(&frame, &sent, sizeof sent);
		struct gyr_net_endpoint client = gyr_net_source(&frame.mbuf);
		gyr_net_path_sent(&host, &client, 1200);
		assert_true(gyr_net_path_tell(&host, &client, 1200, 600 + i % 500));
		assert_int_equal(gyr_net_path_mtu(&host, &frame.mbuf), 600 + i % 500);
	}
	for (uint32_t i = 0; i < GYR_NET_PATHS; i++)
		kept += host.paths.known[i] != 0;
	assert_in_range(kept, GYR_NET_PATHS / 2, GYR_NET_PATHS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(honours_a_router, set_up),
		cmocka_unit_test_setup(believes_no_less_than_the_least, set_up),
		cmocka_unit_test_setup(believes_only_who_quotes_us, set_up),
		cmocka_unit_test_setup(remembers_only_what_is_long, set_up),
		cmocka_unit_test_setup(remembers_the_longest, set_up),
		cmocka_unit_test_setup(forgets_the_longest, set_up),
		cmocka_unit_test_setup(forgets, set_up),
		cmocka_unit_test_setup(is_bounded, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
