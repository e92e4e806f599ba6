/* Addresses and networks of both families: read, written, compared. */
#include "base/net_address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct gyr_net_address address_of(const char *text)
{
	struct gyr_net_address address;
	assert_int_equal(gyr_net_address_parse(text, &address), 0);
	return address;
}

static void reads_and_writes(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "fe80::ff:fe00:1", "ff02::1:ff00:7"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char text[GYR_NET_ADDRESS_TEXT_MAX];
		struct gyr_net_address address = address_of(texts[i]);
		gyr_net_address_text(&address, text);
		assert_string_equal(text, texts[i]);
		assert_int_equal(gyr_net_address_is_ipv4(&address), i < 3);
		assert_int_equal(gyr_net_address_is_zero(&address), i == 4);
	}
	static const struct gyr_net_address expected = {{[10] = 0xff, 0xff, 192, 0, 2, 1}};
	struct gyr_net_address ipv4 = address_of("192.0.2.1");
	assert_true(gyr_net_address_is_same(&ipv4, &expected));
}

static void refuses_what_is_none(void **state)
{
	static const char *const texts[] = {"", "192.0.2", "192.0.2.256", "192.0.2.1 ", "2001:db8", "::ffff:192.0.2.1", "host"};
	static const char *const prefixes[] = {
		"192.0.2.1", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.1/1000",
		"::/129",    "::/",        "/8",           "::/8 ",        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa/1"};
	struct gyr_net_address address = {{1}}, untouched = address;
	uint8_t prefix = 7;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(gyr_net_address_parse(texts[i], &address), -EINVAL);
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		assert_int_equal(gyr_net_prefix_parse(prefixes[i], &address, &prefix), -EINVAL);
	assert_true(gyr_net_address_is_same(&address, &untouched));
	assert_int_equal(prefix, 7);
}

static void networks_hold_what_begins_like_them(void **state)
{
	static const struct {
		const char *network, *inside, *outside;
	} cases[] = {
		{"192.0.2.129/25", "192.0.2.255", "192.0.2.127"},
		{"10.1.2.3/8", "10.255.0.0", "11.0.0.0"},
		{"192.0.2.1/32", "192.0.2.1", "192.0.2.0"},
		{"0.0.0.0/0", "255.1.2.3", "2001:db8::1"},
		{"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
		{"fe80::1/10", "febf::", "fec0::"},
		{"::1/128", "::1", "::2"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_net_address address, inside = address_of(cases[i].inside), outside = address_of(cases[i].outside);
		uint8_t prefix;
		assert_int_equal(gyr_net_prefix_parse(cases[i].network, &address, &prefix), 0);
		struct gyr_net_network network = gyr_net_network_of(&address, prefix);
		assert_true(gyr_net_network_holds(&network, &address));
		assert_true(gyr_net_network_holds(&network, &inside));
		assert_false(gyr_net_network_holds(&network, &outside));
	}
	struct gyr_net_address any = address_of("2001:db8::1"), ipv4 = address_of("192.0.2.1");
	struct gyr_net_network everything = gyr_net_network_of(&any, 0);
	assert_true(gyr_net_address_is_zero(&everything.address));
	assert_true(gyr_net_network_holds(&everything, &any) && gyr_net_network_holds(&everything, &ipv4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(networks_hold_what_begins_like_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
