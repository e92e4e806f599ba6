/*
 * An address of the Internet, of either family, in one form: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). No sockets, no DPDK.
 */
#ifndef GYR_BASE_NET_ADDRESS_H
#define GYR_BASE_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

struct gyr_net_address {
	uint8_t bytes[16];
};

/* Who sent a datagram. */
struct gyr_net_endpoint {
	struct gyr_net_address address;
	uint16_t port; /* host byte order */
};

/* All addresses whose first PREFIX bits are those of ADDRESS; an IPv4 prefix is counted with the 96 bits before it. */
struct gyr_net_network {
	struct gyr_net_address address; /* zeros behind the prefix */
	uint8_t prefix;                 /* 0 to 128 */
};

#define GYR_NET_IPV4_BITS_BEFORE 96u
#define GYR_NET_ADDRESS_TEXT_MAX 46u /* with its zero */

/* ADDRESS as it stands in an IPv4 header: in network byte order. Hot path. */
static inline struct gyr_net_address gyr_net_address_of_ipv4(uint32_t address_be)
{
	struct gyr_net_address address = {{[10] = 0xff, [11] = 0xff}};
	memcpy(address.bytes + 12, &address_be, sizeof address_be);
	return address;
}

static inline bool gyr_net_address_is_same(const struct gyr_net_address *a, const struct gyr_net_address *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static inline bool gyr_net_address_is_zero(const struct gyr_net_address *address)
{
	static const struct gyr_net_address zero;
	return gyr_net_address_is_same(address, &zero);
}

bool gyr_net_address_is_ipv4(const struct gyr_net_address *address);

/* Whether NETWORK holds ADDRESS. Hot path: 5 ns. */
bool gyr_net_network_holds(const struct gyr_net_network *network, const struct gyr_net_address *address);

/* The network of PREFIX bits that ADDRESS lies in. */
struct gyr_net_network gyr_net_network_of(const struct gyr_net_address *address, uint8_t prefix);

/* "192.0.2.1" or "2001:db8::1". -EINVAL: neither, or an IPv4 address written as one of IPv6. */
GYR_MUST_CHECK int gyr_net_address_parse(const char *text, struct gyr_net_address *address);

/* The same with "/" and a prefix of 0 to 32 or 128: the address as it stands there, and the prefix as struct gyr_net_network counts it. -EINVAL. */
GYR_MUST_CHECK int gyr_net_prefix_parse(const char *text, struct gyr_net_address *address, uint8_t *prefix);

/* Writes ADDRESS as gyr_net_address_parse reads it. */
void gyr_net_address_text(const struct gyr_net_address *address, char text[GYR_NET_ADDRESS_TEXT_MAX]);

#endif
