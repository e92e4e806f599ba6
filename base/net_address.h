/*
 * An address of the Internet, of either family, in one form: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). No sockets, no DPDK.
 */
#ifndef GYR_BASE_NET_ADDRESS_H
#define GYR_BASE_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct gyr_net_address {
	uint8_t bytes[16];
};

/* Who sent a datagram. */
struct gyr_net_endpoint {
	struct gyr_net_address address;
	uint16_t port; /* host byte order */
};

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

#endif
