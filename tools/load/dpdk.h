/*
 * The way over a DPDK port: the smallest host that can ask over UDP. It finds the next hop by ARP or neighbour discovery (an echoing port has no address, so
 * none is looked for with --echo), answers both for the addresses of all its clients, and sends and checks whole frames. What its files share.
 */
#ifndef GYR_TOOLS_LOAD_DPDK_H
#define GYR_TOOLS_LOAD_DPDK_H

#include <rte_ether.h>
#include <rte_ip4.h>
#include <rte_ip6.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include "tools/load/transport.h"

#define LOAD_DPDK_PORT 49700u /* UDP, of every client */

/* The headers of one client's questions, but for lengths and checksums. */
struct load_headers {
	struct rte_ether_hdr ether;
	union {
		struct {
			struct rte_ipv4_hdr ip;
			struct rte_udp_hdr udp;
		} v4;
		struct {
			struct rte_ipv6_hdr ip;
			struct rte_udp_hdr udp;
		} v6;
	};
};
_Static_assert(sizeof(struct load_headers) == 62, "as they follow each other in a frame");
#define LOAD_HEADERS_V4 (sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))
#define LOAD_HEADERS_V6 (sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv6_hdr) + sizeof(struct rte_udp_hdr))

struct load_dpdk {
	struct load_transport transport;
	uint16_t port;
	bool ipv4, echo, is_memif_client, started;
	uint32_t mtu;
	struct rte_mempool *pool;
	struct rte_ether_addr own, hop; /* hop: the next, on the way to the server */
	bool hop_known, link_up;
	uint64_t connect_ns;                           /* when a memif client that has no link is started anew */
	uint64_t look_ns;                              /* when the link is looked at next */
	struct load_address server, hop_address, base; /* base: of client 0 */
	uint32_t header_bytes, client_count, next_client;
	struct rte_mbuf *next; /* being filled */
	struct rte_mbuf *staged[LOAD_BURST];
	unsigned staged_count;
	struct load_headers headers[]; /* of each client */
};

/* dpdk.c: hands MBUF to the port with the next flush. */
void load_dpdk_stage(struct load_dpdk *dpdk, struct rte_mbuf *mbuf);

/* Fills in the headers of all clients, once the next hop is known, and anew when it changed. */
void load_frame_prepare(struct load_dpdk *dpdk, uint16_t server_port);

/* Puts CLIENT's headers before the BYTES that lie behind their room in MBUF. */
void load_frame_finish(const struct load_dpdk *dpdk, struct rte_mbuf *mbuf, uint32_t client, size_t bytes);

/* The bytes of the datagram in a frame that is the server's to one of our clients, with right lengths and checksums; NULL for any other. */
const uint8_t *load_frame_datagram(const struct load_dpdk *dpdk, const struct rte_mbuf *mbuf, uint32_t *client, size_t *size);

/* Asks for the next hop's Ethernet address. */
void load_neighbour_ask(struct load_dpdk *dpdk);

/* Takes a frame that is ARP or neighbour discovery: answers it, or learns the next hop from it. False: it is neither. */
bool load_neighbour_take(struct load_dpdk *dpdk, const struct rte_mbuf *mbuf);

/* Which client has ADDRESS; UINT32_MAX: none. */
uint32_t load_client_of(const struct load_dpdk *dpdk, const struct load_address *address);

#endif
