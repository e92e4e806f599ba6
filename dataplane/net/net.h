/*
 * Ethernet, ARP, IPv4, ICMP and UDP: what a frame is to us, and the headers of the answer, written over those of the question. Stateless, no allocation; one
 * thread at a time for each mbuf. Everything is checked against the bytes that are there, so any frame is safe.
 *
 * Sources: RFC 826 (ARP), RFC 791 (IPv4), RFC 792 (ICMP), RFC 768 (UDP), RFC 1122 (which sources are never answered).
 */
#ifndef GYR_DATAPLANE_NET_NET_H
#define GYR_DATAPLANE_NET_NET_H

#include <stdint.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include "base/net_address.h"

/* IPv4 and UDP headers: what a datagram of one MTU cannot use. */
#define GYR_NET_IP_HEADERS 28u

/* Who we are on one port. */
struct gyr_net_host {
	struct rte_ether_addr mac;
	rte_be16_t udp_port_be;
	rte_be32_t address_be;
	uint32_t address;     /* the same in host byte order */
	uint32_t broadcast;   /* of the subnet, host byte order; equal to address where the prefix leaves no room for one */
	uint32_t mtu;         /* the largest IP packet */
	uint32_t payload_max; /* bytes of UDP payload in one MTU */
};

/* What became of a received frame: exactly one of these. */
enum gyr_net_outcome {
	GYR_NET_DATAGRAM,   /* a UDP datagram for us: to be read on */
	GYR_NET_ARP_REPLY,  /* turned into the reply, to be sent */
	GYR_NET_ECHO_REPLY, /* turned into the reply, to be sent */
	/* From here on: to be dropped. */
	GYR_NET_SEGMENTED,   /* longer than one buffer */
	GYR_NET_RUNT,        /* shorter than its Ethernet header */
	GYR_NET_OTHER_MAC,   /* to another station */
	GYR_NET_SOURCE_MAC,  /* from a group address, or from ourselves */
	GYR_NET_VLAN,        /* tagged */
	GYR_NET_ETHERTYPE,   /* neither IPv4 nor ARP */
	GYR_NET_ARP_INVALID, /* cut, or not Ethernet and IPv4 */
	GYR_NET_ARP_OTHER,   /* not a request for our address */
	GYR_NET_IP_SHORT,    /* cut within the IPv4 header */
	GYR_NET_IP_VERSION,  /* not 4 */
	GYR_NET_IP_OPTIONS,  /* a header length other than 20 */
	GYR_NET_IP_LENGTH,   /* total length larger than the frame or smaller than the header */
	GYR_NET_IP_MTU,      /* total length above the MTU, which a port may let through: no answer could carry as much */
	GYR_NET_IP_CHECKSUM,
	GYR_NET_IP_FRAGMENT,
	GYR_NET_IP_DESTINATION, /* not our address */
	GYR_NET_IP_SOURCE,      /* 0/8, loopback, group, broadcast or our own: never answered */
	GYR_NET_IP_PROTOCOL,    /* neither UDP nor ICMP */
	GYR_NET_ICMP_CHECKSUM,
	GYR_NET_ICMP_OTHER,      /* not an echo request, or cut */
	GYR_NET_UDP_LENGTH,      /* cut, or a length that is not the packet's */
	GYR_NET_UDP_PORT,        /* not the port we serve */
	GYR_NET_UDP_SOURCE_PORT, /* 0, or the port we serve: an answer could go round for ever */
	GYR_NET_UDP_CHECKSUM,
	GYR_NET_OUTCOMES
};

/* "datagram", "ip_checksum", ...: the names of the counters. */
const char *gyr_net_outcome_name(enum gyr_net_outcome outcome);

/* Fills HOST. ADDRESS in host byte order; PREFIX 0 to 32; MTU 68 or more. */
void gyr_net_host_init(struct gyr_net_host *host, const struct rte_ether_addr *mac, uint32_t address, uint8_t prefix, uint16_t udp_port, uint32_t mtu);

/*
 * Reads one received frame. For GYR_NET_DATAGRAM the payload's place within the mbuf and its length are told, and mbuf->l2_len and l3_len hold the lengths of
 * the Ethernet header with its tag and of the IP header, until the reply; for the replies the mbuf holds the frame to send. Checksums that the port has verified (mbuf->ol_flags) are not computed again. Hot path: 15 ns and the checksum of the payload.
 */
enum gyr_net_outcome gyr_net_input(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint8_t **payload, uint32_t *payload_bytes);

/*
 * Of a datagram that gyr_net_input took and gyr_net_reply has not turned: its headers, where its payload begins (and that of its answer), how long it is, and who sent it. Hot
 * path: a few ns.
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

static inline struct gyr_net_endpoint gyr_net_source(const struct rte_mbuf *mbuf)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, mbuf->l2_len);
	struct gyr_net_endpoint source = {.port = rte_be_to_cpu_16(gyr_net_udp_of(mbuf)->src_port)};
	if (mbuf->l3_len == sizeof(struct rte_ipv4_hdr))
		source.address = gyr_net_address_of_ipv4(((const struct rte_ipv4_hdr *)ip)->src_addr);
	else
		memcpy(&source.address, &((const struct rte_ipv6_hdr *)ip)->src_addr, sizeof source.address);
	return source;
}

/* Bytes that a payload written in place in MBUF may have: what its buffer and one MTU hold. */
static inline uint32_t gyr_net_payload_room(const struct gyr_net_host *host, const struct rte_mbuf *mbuf)
{
	uint32_t ip_room = (uint32_t)mbuf->buf_len - mbuf->data_off - mbuf->l2_len;
	return (ip_room < host->mtu ? ip_room : host->mtu) - mbuf->l3_len - (uint32_t)sizeof(struct rte_udp_hdr);
}

/*
 * Turns the headers of a datagram that gyr_net_input took into those of its answer, whose payload of PAYLOAD_BYTES (at most gyr_net_payload_room) the caller
 * has written over the old one. Hot path.
 */
void gyr_net_reply(const struct gyr_net_host *host, struct rte_mbuf *mbuf, uint32_t payload_bytes);

#endif
