/*
 * Ethernet with VLAN tags, ARP, neighbour discovery, IPv4, IPv6, ICMP and UDP: what a frame is to us, and the headers of the answer, written over those of the
 * question. No allocation; everything is checked against the bytes that are there, so any frame is safe. One thread at a time for each mbuf. A host is shared
 * by all lcores: what they learn of the network (the gateways' MAC addresses, path MTUs) is kept in atomic words of it.
 *
 * Sources: RFC 826 (ARP), RFC 791 (IPv4), RFC 792 (ICMP), RFC 768 (UDP), RFC 1122 (which sources are never answered), RFC 1191 (path MTU), RFC 8200 (IPv6),
 * RFC 4443 (ICMPv6), RFC 4861 (neighbour discovery), RFC 8201 (path MTU of IPv6), IEEE 802.1Q.
 */
#ifndef GYR_DATAPLANE_NET_NET_H
#define GYR_DATAPLANE_NET_NET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include "base/config.h"
#include "base/net_address.h"

/* IPv4 and UDP headers: what a datagram of one MTU cannot use. */
#define GYR_NET_IP_HEADERS 28u

#define GYR_NET_PATHS 1024u /* a power of two */
#define GYR_NET_IPV6_OWN 2u
#define GYR_NET_GROUPS (1u + GYR_NET_IPV6_OWN)

/* What became of a received frame: exactly one of these. X(CONSTANT, the counter's name). */
#define GYR_NET_OUTCOME_LIST(X)                                                                                                                                \
	X(DATAGRAM, datagram)   /* a UDP datagram for us: to be read on */                                                                                     \
	X(ARP_REPLY, arp_reply) /* turned into the reply, to be sent; the same for the next two */                                                             \
	X(ECHO_REPLY, echo_reply)                                                                                                                              \
	X(ND_REPLY, nd_reply)                                                                                                                                  \
	/* From here on: to be freed. */                                                                                                                       \
	X(ARP_GATEWAY, arp_gateway) /* the gateway told its MAC address */                                                                                     \
	X(ND_GATEWAY, nd_gateway)                                                                                                                              \
	X(PATH_MTU, path_mtu)                 /* a router told what the way to a client holds */                                                               \
	X(PATH_MTU_REFUSED, path_mtu_refused) /* the same, of a datagram that we are not known to have sent */                                                 \
	X(SEGMENTED, segmented)               /* longer than one buffer */                                                                                     \
	X(RUNT, runt)                         /* shorter than its Ethernet header */                                                                           \
	X(OTHER_MAC, other_mac)               /* to another station */                                                                                         \
	X(SOURCE_MAC, source_mac)             /* from a group address, or from ourselves */                                                                    \
	X(VLAN, vlan)                         /* of another VLAN, without the tag that ours has, or with two */                                                \
	X(ETHERTYPE, ethertype)               /* neither IPv4, IPv6 (where we have an address of it) nor ARP */                                                \
	X(ARP_INVALID, arp_invalid)           /* cut, not Ethernet and IPv4, or from an address that is never answered */                                      \
	X(ARP_CONFLICT, arp_conflict)         /* another station says that our address is its own */                                                           \
	X(ARP_OTHER, arp_other)               /* not a request for our address, nor what we asked the gateway */                                               \
	X(IP_SHORT, ip_short)                 /* cut within the IPv4 header */                                                                                 \
	X(IP_VERSION, ip_version)             /* not 4 */                                                                                                      \
	X(IP_OPTIONS, ip_options)             /* a header length other than 20 */                                                                              \
	X(IP_SOURCE_ROUTE, ip_source_route)   /* the same, with a loose or strict source route among the options */                                            \
	X(IP_LENGTH, ip_length)               /* total length larger than the frame or smaller than the header */                                              \
	X(IP_MTU, ip_mtu)                     /* total length above the MTU, which a port may let through: no answer could carry as much */                    \
	X(IP_CHECKSUM, ip_checksum)                                                                                                                            \
	X(IP_FRAGMENT, ip_fragment)                                                                                                                            \
	X(IP_DESTINATION, ip_destination) /* not our address */                                                                                                \
	X(IP_SOURCE, ip_source)           /* 0/8, loopback, group, broadcast or our own: never answered */                                                     \
	X(IP_PROTOCOL, ip_protocol)       /* neither UDP nor ICMP */                                                                                           \
	X(IP6_SHORT, ip6_short)                                                                                                                                \
	X(IP6_VERSION, ip6_version)                                                                                                                            \
	X(IP6_LENGTH, ip6_length) /* payload length larger than the frame */                                                                                   \
	X(IP6_MTU, ip6_mtu)                                                                                                                                    \
	X(IP6_DESTINATION, ip6_destination) /* neither our addresses nor a group that neighbour discovery has us in */                                         \
	X(IP6_SOURCE, ip6_source)           /* group, unspecified, loopback, one with an IPv4 address inside, or our own: never answered */                    \
	X(IP6_HOP_BY_HOP, ip6_hop_by_hop)   /* the extension headers */                                                                                        \
	X(IP6_ROUTING, ip6_routing)                                                                                                                            \
	X(IP6_FRAGMENT, ip6_fragment)                                                                                                                          \
	X(IP6_OPTIONS, ip6_options)   /* of the destination */                                                                                                 \
	X(IP6_PROTOCOL, ip6_protocol) /* neither UDP nor ICMPv6 */                                                                                             \
	X(ICMP_CHECKSUM, icmp_checksum)                                                                                                                        \
	X(ICMP_OTHER, icmp_other) /* neither an echo request nor a path MTU, or cut */                                                                         \
	X(ICMP6_CHECKSUM, icmp6_checksum)                                                                                                                      \
	X(ICMP6_OTHER, icmp6_other)                                                                                                                            \
	X(ND_INVALID, nd_invalid)           /* what RFC 4861 has hosts discard: sections 7.1.1 and 7.1.2; or from an address that is never answered */         \
	X(ND_CONFLICT, nd_conflict)         /* another station says that our address is its own */                                                             \
	X(ND_OTHER, nd_other)               /* about another address */                                                                                        \
	X(UDP_LENGTH, udp_length)           /* cut, or a length that is not the packet's */                                                                    \
	X(UDP_PORT, udp_port)               /* not the port we serve */                                                                                        \
	X(UDP_SOURCE_PORT, udp_source_port) /* 0, or the port we serve: an answer could go round for ever */                                                   \
	X(UDP_CHECKSUM, udp_checksum)       /* wrong, or missing where IPv6 demands it */

enum gyr_net_outcome {
#define X(constant, name) GYR_NET_##constant,
	GYR_NET_OUTCOME_LIST(X)
#undef X
		GYR_NET_OUTCOMES
};

/* Whether a frame with this outcome is now one to be sent, not for the caller to read. */
static inline bool gyr_net_is_reply(enum gyr_net_outcome outcome)
{
	return outcome > GYR_NET_DATAGRAM && outcome <= GYR_NET_ND_REPLY;
}

/* "datagram", "ip_checksum", ...: the names of the counters. */
const char *gyr_net_outcome_name(enum gyr_net_outcome outcome);

/* The way to clients outside our subnet. Asked for and forgotten by the lcore that calls gyr_net_due; the others read MAC, or tell what they heard. */
struct gyr_net_gateway {
	struct gyr_net_address address; /* all zeros: none */
	uint32_t ask_at_s;
	uint32_t unanswered;   /* questions since the last answer */
	_Atomic uint64_t mac;  /* as it lies in memory, two bytes of it unused; 0: not known */
	_Atomic bool asking;   /* a question is open: an answer is believed */
	_Atomic bool answered; /* since gyr_net_due looked last */
	_Atomic bool doubtful; /* it spoke from another MAC address */
};

/* Which clients cannot be reached with our own MTU. Words that any lcore reads and writes: a lost one costs a reply that does not arrive. See path.c. */
struct gyr_net_paths {
	uint64_t secret[2];
	_Atomic uint32_t second; /* of the house's clock, as gyr_net_due was told last */
	_Atomic uint64_t sent[GYR_NET_PATHS];
	_Atomic uint64_t known[GYR_NET_PATHS];
};

/* Who we are on one port. */
struct gyr_net_host {
	/* Read for every datagram. */
	_Alignas(RTE_CACHE_LINE_SIZE) struct rte_ether_addr mac;
	rte_be16_t udp_port_be;
	rte_be32_t address_be;
	uint32_t address;     /* the same in host byte order */
	uint32_t broadcast;   /* of the subnet, host byte order; equal to address where the prefix leaves no room for one */
	uint32_t mtu;         /* the largest IP packet */
	uint32_t payload_max; /* bytes of UDP payload over IPv4 in one MTU */
	uint32_t plain_end;   /* payloads of fewer bytes need nothing but their headers turned */
	uint16_t vlan;        /* 0: untagged */
	bool ipv6;
	uint8_t trusted4_count, trusted6_count;
	struct gyr_net_ipv4_network {
		rte_be32_t address, mask;
	} trusted4[GYR_CONFIG_TRUSTED_MAX];

	/* What the port does for us on the way out, as flags of mbufs. */
	uint64_t tx_flags4, tx_flags6;
	bool tx_vlan;
	bool has_gateway;
	rte_be32_t subnet_mask_be;
	struct gyr_net_network subnet6;
	struct gyr_net_address own6[GYR_NET_IPV6_OWN]; /* that of the configuration, and the link-local one */
	struct gyr_net_network trusted6[GYR_CONFIG_TRUSTED_MAX + GYR_NET_IPV6_OWN];

	/* What is learnt. */
	_Alignas(RTE_CACHE_LINE_SIZE) _Atomic bool any_path; /* there is one among paths.known */
	_Alignas(RTE_CACHE_LINE_SIZE) struct gyr_net_gateway gateways[2];
	uint32_t announce_at_s;
	bool probed;
	struct gyr_net_paths paths;
};

/*
 * Fills HOST from a checked configuration, for a port with MAC that has TX_OFFLOADS (RTE_ETH_TX_OFFLOAD_...). House thread.
 */
void gyr_net_host_init(struct gyr_net_host *host, const struct gyr_config *config, const struct rte_ether_addr *mac, uint64_t tx_offloads);

/* The MAC addresses of the groups that IPv6 has us in: GYR_NET_GROUPS of them, or 0. */
uint32_t gyr_net_groups(const struct gyr_net_host *host, struct rte_ether_addr groups[GYR_NET_GROUPS]);

/*
 * Reads one received frame. For GYR_NET_DATAGRAM the payload's place within the mbuf and its length are told, and mbuf->l2_len and l3_len hold the lengths of
 * the Ethernet header with its tag and of the IP header, until the reply; for the replies the mbuf holds the frame to send. Checksums that the port has
 * verified (mbuf->ol_flags) are not computed again. Hot path: 15 ns and the checksum of the payload.
 */
enum gyr_net_outcome gyr_net_input(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint8_t **payload, uint32_t *payload_bytes);

/*
 * Of a datagram that gyr_net_input took and gyr_net_reply has not turned: its headers, where its payload begins (and that of its answer), how long that is,
 * and who sent it. Hot path: a few ns.
 */
static inline struct rte_udp_hdr *gyr_net_udp_of(const struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_mtod_offset(mbuf, struct rte_udp_hdr *, (size_t)mbuf->l2_len + mbuf->l3_len);
}

static inline uint8_t *gyr_net_payload_of(const struct rte_mbuf *mbuf)
{
	return (uint8_t *)(gyr_net_udp_of(mbuf) + 1);
}

static inline uint32_t gyr_net_payload_bytes(const struct rte_mbuf *mbuf)
{
	return rte_be_to_cpu_16(gyr_net_udp_of(mbuf)->dgram_len) - (uint32_t)sizeof(struct rte_udp_hdr);
}

/* The most that one of its family can hold. */
static inline uint32_t gyr_net_payload_max(const struct gyr_net_host *host, const struct rte_mbuf *mbuf)
{
	return host->mtu - mbuf->l3_len - (uint32_t)sizeof(struct rte_udp_hdr);
}

static inline bool gyr_net_is_ipv4(const struct rte_mbuf *mbuf)
{
	return mbuf->l3_len == sizeof(struct rte_ipv4_hdr);
}

static inline struct gyr_net_endpoint gyr_net_source(const struct rte_mbuf *mbuf)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, mbuf->l2_len);
	struct gyr_net_endpoint source = {.port = rte_be_to_cpu_16(gyr_net_udp_of(mbuf)->src_port)};
	if (gyr_net_is_ipv4(mbuf))
		source.address = gyr_net_address_of_ipv4(((const struct rte_ipv4_hdr *)ip)->src_addr);
	else
		memcpy(&source.address, &((const struct rte_ipv6_hdr *)ip)->src_addr, sizeof source.address);
	return source;
}

/* The rare cases of the next two. */
bool gyr_net_is_trusted_beyond(const struct gyr_net_host *host, const struct rte_mbuf *mbuf);
uint32_t gyr_net_path_mtu(const struct gyr_net_host *host, const struct rte_mbuf *mbuf);

/* Whether the sender of such a datagram may be sent more than it sent. Hot path: 2 ns for IPv4 and the first network. */
static inline bool gyr_net_is_trusted(const struct gyr_net_host *host, const struct rte_mbuf *mbuf)
{
	if (gyr_net_is_ipv4(mbuf)) {
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(mbuf, const struct rte_ipv4_hdr *, mbuf->l2_len);
		if (__builtin_expect((ip->src_addr & host->trusted4[0].mask) == host->trusted4[0].address, 1))
			return true;
	}
	return gyr_net_is_trusted_beyond(host, mbuf);
}

/*
 * Bytes that a payload written in place in MBUF, such a datagram, may have: what its buffer and one MTU of the way to the client hold; and no more than the
 * question had, unless its sender is trusted.
 */
static inline uint32_t gyr_net_payload_room(const struct gyr_net_host *host, const struct rte_mbuf *mbuf)
{
	uint32_t ip_room = (uint32_t)mbuf->buf_len - mbuf->data_off - mbuf->l2_len, mtu = host->mtu;
	if (__builtin_expect(atomic_load_explicit(&host->any_path, memory_order_relaxed), 0))
		mtu = gyr_net_path_mtu(host, mbuf);
	uint32_t room = (ip_room < mtu ? ip_room : mtu) - mbuf->l3_len - (uint32_t)sizeof(struct rte_udp_hdr);
	if (__builtin_expect(!gyr_net_is_trusted(host, mbuf), 0))
		room = RTE_MIN(room, gyr_net_payload_bytes(mbuf));
	return room;
}

/*
 * Turns the headers of a datagram that gyr_net_input took into those of its answer, whose payload of PAYLOAD_BYTES (at most gyr_net_payload_room) the caller
 * has written over the old one. Hot path: 15 ns and the checksum of the payload.
 */
void gyr_net_reply(struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t payload_bytes);

/*
 * What a host sends unasked. One lcore for each host calls due, about once a second, with the SECOND of a clock that only goes on, and sends what make writes
 * for each bit that it returns.
 */
enum gyr_net_due {
	GYR_NET_DUE_ARP = 1,         /* asks for the gateway */
	GYR_NET_DUE_ND = 2,          /* asks for the gateway of IPv6 */
	GYR_NET_DUE_PROBE = 4,       /* asks whether our IPv6 address is another's too */
	GYR_NET_DUE_PROBE_LOCAL = 8, /* the same of the link-local one */
	GYR_NET_DUE_GROUPS = 16,     /* tells switches which groups we are in */
	GYR_NET_DUE_END = 32
};
unsigned gyr_net_due(struct gyr_net_host *host, uint32_t second);

/* Writes the frame for one bit of due into the empty MBUF. False: its buffer is too small. */
bool gyr_net_make(const struct gyr_net_host *host, struct rte_mbuf *mbuf, enum gyr_net_due bit);

#endif
