/* Numbers and forms of ICMPv6 that DPDK has no names for. */
#ifndef GYR_DATAPLANE_NET_ICMP6_H
#define GYR_DATAPLANE_NET_ICMP6_H

#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip6.h>

#include "base/net_address.h"

#define GYR_ICMP6_NEXT 58
#define GYR_ICMP6_TOO_BIG 2
#define GYR_ICMP6_SOLICITATION 135
#define GYR_ICMP6_ADVERTISEMENT 136
#define GYR_ICMP6_LISTENER_REPORT 143 /* RFC 3810 */
#define GYR_ICMP6_HOP_LIMIT 255       /* of neighbour discovery: no router lies between */

#define GYR_ICMP6_ADVERTISEMENT_SOLICITED RTE_BE32(0x40000000)
#define GYR_ICMP6_ADVERTISEMENT_OVERRIDE RTE_BE32(0x20000000)
#define GYR_ICMP6_OPTION_SOURCE 1
#define GYR_ICMP6_OPTION_TARGET 2

/* A solicitation or advertisement (RFC 4861, sections 4.3 and 4.4), before its options. */
struct __rte_aligned(2) gyr_icmp6_nd {
	uint8_t type, code;
	rte_be16_t checksum;
	rte_be32_t flags;
	struct rte_ipv6_addr target;
} __rte_packed;

/* The option that tells a MAC address (section 4.6.1). */
struct gyr_icmp6_option {
	uint8_t type, eights; /* eights: its length in units of 8 bytes */
	struct rte_ether_addr mac;
};

_Static_assert(sizeof(struct gyr_icmp6_nd) == 24 && sizeof(struct gyr_icmp6_option) == 8, "as on the wire");

static const struct rte_ipv6_addr gyr_icmp6_all_nodes = {{0xff, 0x02, [15] = 1}};
static const struct rte_ipv6_addr gyr_icmp6_all_mld_routers = {{0xff, 0x02, [15] = 0x16}};

/* The group in which a neighbour of ADDRESS is asked for (RFC 4291, section 2.7.1). */
static inline struct rte_ipv6_addr gyr_icmp6_solicited_group(const struct gyr_net_address *address)
{
	struct rte_ipv6_addr group = {{0xff, 0x02, [11] = 0x01, [12] = 0xff}};
	memcpy(group.a + 13, address->bytes + 13, 3);
	return group;
}

/* RFC 2464, section 7. */
static inline struct rte_ether_addr gyr_icmp6_group_mac(const struct rte_ipv6_addr *group)
{
	return (struct rte_ether_addr){{0x33, 0x33, group->a[12], group->a[13], group->a[14], group->a[15]}};
}

#endif
