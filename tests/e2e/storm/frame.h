/*
 * Frames written byte by byte, from the RFCs and from nothing of Gyr's: what the storm says of a frame is judged apart from the code that it tests.
 */
#ifndef GYR_TESTS_E2E_STORM_FRAME_H
#define GYR_TESTS_E2E_STORM_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX 9216u
#define FRAME_ETHER 14u
#define FRAME_IP4 20u
#define FRAME_IP6 40u
#define FRAME_UDP 8u

enum { ETHER_IP4 = 0x0800, ETHER_ARP = 0x0806, ETHER_VLAN = 0x8100, ETHER_QINQ = 0x88a8, ETHER_IP6 = 0x86dd };
enum { IP_HOP_BY_HOP = 0, IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ROUTING = 43, IP_FRAGMENT = 44, IP_ICMP6 = 58, IP_DESTINATION = 60 };

struct frame {
	uint32_t size;
	uint8_t bytes[FRAME_MAX];
};

/* Who asks whom. Ports in host byte order, addresses as on the wire. */
struct path {
	uint8_t to[6], from[6];
	uint8_t source4[4], server4[4];
	uint8_t source6[16], server6[16];
	uint16_t source_port, server_port;
};

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* Each writes a whole, right frame; the payload is copied, at most what FRAME_MAX holds. */
void frame_udp4(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes);
void frame_udp6(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes);
void frame_echo4(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes);
void frame_echo6(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes);
void frame_arp(struct frame *frame, const struct path *path);
/* A neighbour solicitation for the server's address, to its group (RFC 4861). */
void frame_solicit(struct frame *frame, const struct path *path);
/* ICMP "fragmentation needed" or ICMPv6 "packet too big" that quotes BYTES of a packet (RFC 1191, RFC 8201). */
void frame_too_big4(struct frame *frame, const struct path *path, uint32_t mtu, const uint8_t *packet, uint32_t bytes);
void frame_too_big6(struct frame *frame, const struct path *path, uint32_t mtu, const uint8_t *packet, uint32_t bytes);
/* Puts a tag of TYPE behind the Ethernet addresses. */
void frame_tag(struct frame *frame, uint16_t type, uint16_t tag);
/* Puts an extension header of KIND and BYTES (a multiple of 8) between the IPv6 header and what follows it. */
void frame_extend6(struct frame *frame, uint8_t kind, const uint8_t *header, uint32_t bytes);
/* Puts IPv4 options of BYTES (a multiple of 4, at most 40) behind the header. */
void frame_options4(struct frame *frame, const uint8_t *options, uint32_t bytes);

/* Makes right what checksums there are, going by what the headers say and by the bytes that are there. */
void frame_sum(struct frame *frame);

/* What a frame that came back is. */
enum frame_kind {
	FRAME_UNSOUND,
	FRAME_UDP_ANSWER,
	FRAME_ARP_REPLY,
	FRAME_ECHO_REPLY,
	FRAME_ADVERTISEMENT,
	FRAME_ASKING /* its own ARP or neighbour question, or a report of its groups */
};

/* Reads a frame from the server; checks every length and checksum. For an answer: its payload, and the address (last 4 bytes of it) and port that it goes to.
 */
enum frame_kind frame_read(const uint8_t *bytes, uint32_t size, const struct path *path, const uint8_t **payload, uint32_t *payload_bytes, uint8_t to[4],
			   uint16_t *to_port);

#endif
