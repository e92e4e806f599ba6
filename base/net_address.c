#include "base/net_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assertion.h"

bool gyr_net_address_is_ipv4(const struct gyr_net_address *address)
{
	static const struct gyr_net_address mapped = {{[10] = 0xff, [11] = 0xff}};
	return memcmp(address, &mapped, GYR_NET_IPV4_BITS_BEFORE / 8) == 0;
}

bool gyr_net_network_holds(const struct gyr_net_network *network, const struct gyr_net_address *address)
{
	uint32_t bytes = network->prefix / 8, bits = network->prefix % 8;
	if (memcmp(network->address.bytes, address->bytes, bytes) != 0)
		return false;
	return bits == 0 || (network->address.bytes[bytes] ^ address->bytes[bytes]) >> (8 - bits) == 0;
}

struct gyr_net_network gyr_net_network_of(const struct gyr_net_address *address, uint8_t prefix)
{
	GYR_ASSERT(prefix <= 128);
	struct gyr_net_network network = {.prefix = prefix};
	uint32_t bytes = prefix / 8, bits = prefix % 8;
	memcpy(network.address.bytes, address->bytes, bytes);
	if (bits != 0)
		network.address.bytes[bytes] = (uint8_t)(address->bytes[bytes] & 0xff00 >> bits);
	return network;
}

int gyr_net_address_parse(const char *text, struct gyr_net_address *address)
{
	struct in_addr ipv4;
	struct gyr_net_address parsed;
	if (inet_pton(AF_INET, text, &ipv4) == 1) {
		*address = gyr_net_address_of_ipv4(ipv4.s_addr);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &parsed) != 1 || gyr_net_address_is_ipv4(&parsed))
		return -EINVAL;
	*address = parsed;
	return 0;
}

int gyr_net_prefix_parse(const char *text, struct gyr_net_address *address, uint8_t *prefix)
{
	char before[GYR_NET_ADDRESS_TEXT_MAX];
	struct gyr_net_address parsed;
	size_t length = strcspn(text, "/");
	const char *digits = text + length + 1;
	if (text[length] != '/' || length >= sizeof before || strlen(digits) > 3 || digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits))
		return -EINVAL;
	memcpy(before, text, length);
	before[length] = '\0';
	if (gyr_net_address_parse(before, &parsed) != 0)
		return -EINVAL;
	unsigned long bits = strtoul(digits, NULL, 10) + (gyr_net_address_is_ipv4(&parsed) ? GYR_NET_IPV4_BITS_BEFORE : 0);
	if (bits > 128)
		return -EINVAL;
	*address = parsed;
	*prefix = (uint8_t)bits;
	return 0;
}

void gyr_net_address_text(const struct gyr_net_address *address, char text[GYR_NET_ADDRESS_TEXT_MAX])
{
	bool ipv4 = gyr_net_address_is_ipv4(address);
	const char *made = inet_ntop(ipv4 ? AF_INET : AF_INET6, address->bytes + (ipv4 ? GYR_NET_IPV4_BITS_BEFORE / 8 : 0), text, GYR_NET_ADDRESS_TEXT_MAX);
	GYR_ASSERT(made != NULL);
}
