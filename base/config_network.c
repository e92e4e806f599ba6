/* The keys that say who the appliance is on its network, and what of them fits together. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/config_internal.h"

#define MTU_MIN_IPV6 1280u /* RFC 8200, section 5 */

int gyr_config_parse_address(const char *text, struct gyr_config *config)
{
	struct gyr_net_address address;
	uint8_t prefix;
	if (gyr_net_prefix_parse(text, &address, &prefix) != 0 || !gyr_net_address_is_ipv4(&address))
		return -EINVAL;
	uint32_t number_be;
	memcpy(&number_be, address.bytes + GYR_NET_IPV4_BITS_BEFORE / 8, sizeof number_be);
	uint32_t number = ntohl(number_be);
	/* Class D and E are no host's. */
	if (number == 0 || number >> 28 >= 14)
		return -EINVAL;
	config->address = number;
	config->prefix = (uint8_t)(prefix - GYR_NET_IPV4_BITS_BEFORE);
	return 0;
}

/* Whether an IPv6 address may be a host's: neither of a group nor one that stands for none, this host or an IPv4 address. */
static bool is_unicast6(const struct gyr_net_address *address)
{
	static const struct gyr_net_network embedded = {.prefix = 80};
	return address->bytes[0] != 0xff && !gyr_net_network_holds(&embedded, address);
}

int gyr_config_parse_address6(const char *text, struct gyr_config *config)
{
	struct gyr_net_address address = {{0}};
	uint8_t prefix = 0;
	if (text[0] != '\0' && (gyr_net_prefix_parse(text, &address, &prefix) != 0 || !is_unicast6(&address)))
		return -EINVAL;
	config->address6 = address;
	config->prefix6 = prefix;
	return 0;
}

int gyr_config_parse_gateway(const char *text, bool ipv4, struct gyr_net_address *gateway)
{
	struct gyr_net_address address = {{0}};
	if (text[0] != '\0' && (gyr_net_address_parse(text, &address) != 0 || gyr_net_address_is_ipv4(&address) != ipv4 || (!ipv4 && !is_unicast6(&address))))
		return -EINVAL;
	*gateway = address;
	return 0;
}

int gyr_config_parse_networks(const char *text, struct gyr_config *config)
{
	struct gyr_net_network networks[GYR_CONFIG_TRUSTED_MAX];
	uint32_t count = 0;
	while (*(text += strspn(text, " \t")) != '\0') {
		char one[GYR_NET_ADDRESS_TEXT_MAX + 4];
		struct gyr_net_address address;
		uint8_t prefix;
		size_t length = strcspn(text, " \t");
		if (count == GYR_CONFIG_TRUSTED_MAX || length >= sizeof one)
			return -EINVAL;
		memcpy(one, text, length);
		one[length] = '\0';
		if (gyr_net_prefix_parse(one, &address, &prefix) != 0)
			return -EINVAL;
		networks[count++] = gyr_net_network_of(&address, prefix);
		text += length;
	}
	memcpy(config->trusted, networks, count * sizeof networks[0]);
	config->trusted_count = count;
	return 0;
}

int gyr_config_check_network(const struct gyr_config *config, struct gyr_error *error)
{
	static const struct gyr_net_network link_local = {.address = {{0xfe, 0x80}}, .prefix = 64};
	struct gyr_net_address address = gyr_net_address_of_ipv4(htonl(config->address));
	struct gyr_net_network subnet = gyr_net_network_of(&address, (uint8_t)(GYR_NET_IPV4_BITS_BEFORE + config->prefix));
	struct gyr_net_network subnet6 = gyr_net_network_of(&config->address6, config->prefix6);
	bool ipv6 = !gyr_net_address_is_zero(&config->address6);
	if (ipv6 && config->mtu < MTU_MIN_IPV6)
		return gyr_error_set(error, -EINVAL, "dataplane.mtu: %u is less than the %u that IPv6 needs (address6 is set)", config->mtu, MTU_MIN_IPV6);
	if (!gyr_net_address_is_zero(&config->gateway) &&
	    (!gyr_net_network_holds(&subnet, &config->gateway) || gyr_net_address_is_same(&config->gateway, &address)))
		return gyr_error_set(error, -EINVAL, "dataplane.gateway: must be another address of the subnet of dataplane.address");
	if (gyr_net_address_is_zero(&config->gateway6))
		return 0;
	if (!ipv6)
		return gyr_error_set(error, -EINVAL, "dataplane.gateway6: is of no use without dataplane.address6");
	if ((!gyr_net_network_holds(&subnet6, &config->gateway6) && !gyr_net_network_holds(&link_local, &config->gateway6)) ||
	    gyr_net_address_is_same(&config->gateway6, &config->address6))
		return gyr_error_set(error, -EINVAL, "dataplane.gateway6: must be another address of the subnet of dataplane.address6, or one of fe80::/64");
	return 0;
}
