/* Frames for the tests of dataplane/net: built from structures, summed by an independent checksum, and put into an mbuf that ends where its buffer does. */
#ifndef GYR_TESTS_UNIT_NET_FRAMES_H
#define GYR_TESTS_UNIT_NET_FRAMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <rte_arp.h>
#include <rte_ethdev.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "dataplane/net/icmp6.h"
#include "dataplane/net/net.h"

#define OUR_ADDRESS RTE_IPV4(192u, 0, 2, 1)
#define THEIR_ADDRESS RTE_IPV4(192u, 0, 2, 77)
#define FAR_ADDRESS RTE_IPV4(198u, 51, 100, 9) /* of another subnet */
#define OUR_PORT 4970
#define THEIR_PORT 33333
#define MTU 1500
#define PAYLOAD 102
#define HEADERS 42u /* Ethernet, IPv4, UDP */

extern const struct rte_ether_addr our_mac, their_mac, all_macs, gateway_mac;
extern const struct rte_ipv6_addr our_address6, our_local6, their_address6, far_address6;

struct frame {
	struct rte_mbuf mbuf;
	_Alignas(64) uint8_t buffer[RTE_PKTMBUF_HEADROOM + 2048];
};

struct udp_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	uint8_t payload[PAYLOAD];
};

struct udp6_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv6_hdr ip;
	struct rte_udp_hdr udp;
	uint8_t payload[PAYLOAD];
};

struct echo_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_icmp_hdr icmp;
	uint8_t payload[PAYLOAD];
};

struct echo6_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv6_hdr ip;
	struct rte_icmp_hdr icmp;
	uint8_t payload[PAYLOAD];
};

struct arp_frame {
	struct rte_ether_hdr ether;
	struct rte_arp_hdr arp;
};

struct nd_frame {
	struct rte_ether_hdr ether;
	struct rte_ipv6_hdr ip;
	struct gyr_icmp6_nd nd;
	struct gyr_icmp6_option option;
};

_Static_assert(sizeof(struct udp_frame) == HEADERS + PAYLOAD && sizeof(struct arp_frame) == 42 && sizeof(struct nd_frame) == 86, "as on the wire");

extern struct gyr_net_host host;

/* The configuration of the next hosts; set_up makes it, and host from it. */
extern struct gyr_config config;
int set_up(void **state);
/* Makes host anew from config, on a port with these offloads. */
void set_host(uint64_t tx_offloads);

void put(struct frame *frame, const void *bytes, size_t size);
void *bytes_of(struct frame *frame);
/* What a frame is; its mbuf is forgotten. */
enum gyr_net_outcome input(const void *bytes, size_t size);
#define INPUT(frame) input(&(frame), sizeof(frame))
/* Has FRAME taken as a datagram. */
void take(struct frame *frame, const void *bytes, size_t size);

/* An independent sum, word by word in host order as RFC 1071 writes it. */
uint16_t plain_checksum(const void *bytes, size_t size, uint32_t sum);
uint32_t pseudo_header(const struct rte_ipv4_hdr *ip, uint8_t protocol, size_t bytes);
uint32_t pseudo_header6(const struct rte_ipv6_hdr *ip, uint8_t protocol, size_t bytes);

/* Good frames from THEIR to OUR addresses. */
struct udp_frame udp_frame(void);
struct udp6_frame udp6_frame(void);
struct echo_frame echo_frame(void);
struct echo6_frame echo6_frame(void);
struct arp_frame arp_frame(void);
struct nd_frame solicitation_frame(void);

/* Their sums, after a change. */
void sum_ip(struct rte_ipv4_hdr *ip);
void sum_udp(struct udp_frame *frame);
void sum_udp6(struct udp6_frame *frame);
void sum_icmp(struct rte_icmp_hdr *icmp, size_t bytes);
void sum_icmp6(struct rte_ipv6_hdr *ip, size_t bytes);

#endif
