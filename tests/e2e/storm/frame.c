#include "frame.h"

#include <string.h>

#define ICMP_HEADER 8u

static uint64_t add(uint64_t sum, const uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i + 1 < size; i += 2)
		sum += get16(bytes + i);
	return size % 2 == 0 ? sum : sum + ((uint32_t)bytes[size - 1] << 8);
}

static uint32_t folded(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

static uint32_t finished(uint64_t sum)
{
	return ~folded(sum) & 0xffff;
}

/* The pseudo header's part, of two addresses of ADDRESS bytes that follow each other. */
static uint64_t pseudo(const uint8_t *addresses, uint32_t address, uint32_t protocol, uint32_t bytes)
{
	return add(0, addresses, 2 * address) + protocol + bytes;
}

static void start(struct frame *frame, const struct path *path, uint32_t type)
{
	memcpy(frame->bytes, path->to, 6);
	memcpy(frame->bytes + 6, path->from, 6);
	put16(frame->bytes + 12, type);
	frame->size = FRAME_ETHER;
}

static uint8_t *extend(struct frame *frame, uint32_t bytes)
{
	uint8_t *at = frame->bytes + frame->size;
	memset(at, 0, bytes);
	frame->size += bytes;
	return at;
}

static void ip4(struct frame *frame, const struct path *path, uint8_t protocol, uint32_t bytes)
{
	start(frame, path, ETHER_IP4);
	uint8_t *ip = extend(frame, FRAME_IP4);
	ip[0] = 0x45;
	put16(ip + 2, FRAME_IP4 + bytes);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, path->source4, 4);
	memcpy(ip + 16, path->server4, 4);
}

static void ip6(struct frame *frame, const struct path *path, uint8_t next, uint8_t hops, uint32_t bytes)
{
	start(frame, path, ETHER_IP6);
	uint8_t *ip = extend(frame, FRAME_IP6);
	ip[0] = 0x60;
	put16(ip + 4, bytes);
	ip[6] = next;
	ip[7] = hops;
	memcpy(ip + 8, path->source6, 16);
	memcpy(ip + 24, path->server6, 16);
}

static uint32_t fitting(uint32_t bytes)
{
	uint32_t most = FRAME_MAX - 256;
	return bytes < most ? bytes : most;
}

static void udp(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes)
{
	uint8_t *at = extend(frame, FRAME_UDP + bytes);
	put16(at, path->source_port);
	put16(at + 2, path->server_port);
	put16(at + 4, FRAME_UDP + bytes);
	memcpy(at + FRAME_UDP, payload, bytes);
	frame_sum(frame);
}

void frame_udp4(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes)
{
	bytes = fitting(bytes);
	ip4(frame, path, IP_UDP, FRAME_UDP + bytes);
	udp(frame, path, payload, bytes);
}

void frame_udp6(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes)
{
	bytes = fitting(bytes);
	ip6(frame, path, IP_UDP, 64, FRAME_UDP + bytes);
	udp(frame, path, payload, bytes);
}

static void icmp(struct frame *frame, uint8_t type, uint8_t code, uint32_t rest, const void *payload, uint32_t bytes)
{
	uint8_t *at = extend(frame, ICMP_HEADER + bytes);
	at[0] = type;
	at[1] = code;
	put32(at + 4, rest);
	memcpy(at + ICMP_HEADER, payload, bytes);
	frame_sum(frame);
}

void frame_echo4(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes)
{
	bytes = fitting(bytes);
	ip4(frame, path, IP_ICMP, ICMP_HEADER + bytes);
	icmp(frame, 8, 0, 0x00070001, payload, bytes);
}

void frame_echo6(struct frame *frame, const struct path *path, const void *payload, uint32_t bytes)
{
	bytes = fitting(bytes);
	ip6(frame, path, IP_ICMP6, 64, ICMP_HEADER + bytes);
	icmp(frame, 128, 0, 0x00070001, payload, bytes);
}

void frame_too_big4(struct frame *frame, const struct path *path, uint32_t mtu, const uint8_t *packet, uint32_t bytes)
{
	ip4(frame, path, IP_ICMP, ICMP_HEADER + bytes);
	icmp(frame, 3, 4, mtu & 0xffff, packet, bytes);
}

void frame_too_big6(struct frame *frame, const struct path *path, uint32_t mtu, const uint8_t *packet, uint32_t bytes)
{
	ip6(frame, path, IP_ICMP6, 64, ICMP_HEADER + bytes);
	icmp(frame, 2, 0, mtu, packet, bytes);
}

void frame_arp(struct frame *frame, const struct path *path)
{
	start(frame, path, ETHER_ARP);
	memset(frame->bytes, 0xff, 6);
	uint8_t *arp = extend(frame, 28);
	put16(arp, 1);
	put16(arp + 2, ETHER_IP4);
	arp[4] = 6;
	arp[5] = 4;
	put16(arp + 6, 1);
	memcpy(arp + 8, path->from, 6);
	memcpy(arp + 14, path->source4, 4);
	memcpy(arp + 24, path->server4, 4);
}

void frame_solicit(struct frame *frame, const struct path *path)
{
	ip6(frame, path, IP_ICMP6, 255, 32);
	uint8_t *group = frame->bytes + FRAME_ETHER + 24;
	memset(group, 0, 16);
	memcpy(group, (const uint8_t[]){0xff, 0x02}, 2);
	group[11] = 1;
	group[12] = 0xff;
	memcpy(group + 13, path->server6 + 13, 3);
	memcpy(frame->bytes, (const uint8_t[]){0x33, 0x33}, 2);
	memcpy(frame->bytes + 2, group + 12, 4);
	uint8_t *solicit = extend(frame, 32);
	solicit[0] = 135;
	memcpy(solicit + 8, path->server6, 16);
	solicit[24] = 1; /* its source's Ethernet address */
	solicit[25] = 1;
	memcpy(solicit + 26, path->from, 6);
	frame_sum(frame);
}

static void insert(struct frame *frame, uint32_t at, const uint8_t *what, uint32_t bytes)
{
	if (frame->size + bytes > FRAME_MAX || at > frame->size)
		return;
	memmove(frame->bytes + at + bytes, frame->bytes + at, frame->size - at);
	memcpy(frame->bytes + at, what, bytes);
	frame->size += bytes;
}

void frame_tag(struct frame *frame, uint16_t type, uint16_t tag)
{
	const uint8_t bytes[4] = {(uint8_t)(type >> 8), (uint8_t)type, (uint8_t)(tag >> 8), (uint8_t)tag};
	insert(frame, 12, bytes, sizeof bytes);
}

void frame_extend6(struct frame *frame, uint8_t kind, const uint8_t *header, uint32_t bytes)
{
	uint8_t *ip = frame->bytes + FRAME_ETHER, copy[256];
	memcpy(copy, header, bytes);
	copy[0] = ip[6];
	ip[6] = kind;
	put16(ip + 4, get16(ip + 4) + bytes);
	insert(frame, FRAME_ETHER + FRAME_IP6, copy, bytes);
}

void frame_options4(struct frame *frame, const uint8_t *options, uint32_t bytes)
{
	uint8_t *ip = frame->bytes + FRAME_ETHER;
	ip[0] = (uint8_t)(0x40 + (FRAME_IP4 + bytes) / 4);
	put16(ip + 2, get16(ip + 2) + bytes);
	insert(frame, FRAME_ETHER + FRAME_IP4, options, bytes);
	frame_sum(frame);
}

/* Where the checksum of PROTOCOL lies; 0: it has none that is known here. */
static uint32_t sum_place(uint8_t protocol)
{
	return protocol == IP_UDP ? 6 : protocol == IP_ICMP || protocol == IP_ICMP6 ? 2 : 0;
}

static void sum_transport(uint8_t *at, uint32_t bytes, uint8_t protocol, uint64_t sum)
{
	uint32_t place = sum_place(protocol);
	if (place == 0 || bytes < place + 2)
		return;
	put16(at + place, 0);
	uint32_t value = finished(add(sum, at, bytes));
	put16(at + place, value == 0 && protocol == IP_UDP ? 0xffff : value);
}

/* Where the network header begins; its type in *TYPE. */
static uint32_t skip_tags(const uint8_t *bytes, uint32_t size, uint32_t *type)
{
	uint32_t at = 12;
	*type = 0;
	while (at + 2 <= size && ((*type = get16(bytes + at)) == ETHER_VLAN || *type == ETHER_QINQ))
		at += 4;
	return at + 2;
}

void frame_sum(struct frame *frame)
{
	uint32_t type, at = skip_tags(frame->bytes, frame->size, &type);
	uint8_t *ip = frame->bytes + at;
	uint32_t left = frame->size > at ? frame->size - at : 0;
	if (type == ETHER_IP4 && left >= FRAME_IP4) {
		uint32_t header = (ip[0] & 15u) * 4, total = get16(ip + 2);
		if (header < FRAME_IP4 || header > left)
			return;
		put16(ip + 10, 0);
		put16(ip + 10, finished(add(0, ip, header)));
		uint32_t bytes = total < header ? 0 : (total < left ? total : left) - header;
		sum_transport(ip + header, bytes, ip[9], ip[9] == IP_UDP ? pseudo(ip + 12, 4, IP_UDP, bytes) : 0);
	} else if (type == ETHER_IP6 && left >= FRAME_IP6) {
		uint32_t bytes = get16(ip + 4) < left - FRAME_IP6 ? get16(ip + 4) : left - FRAME_IP6;
		sum_transport(ip + FRAME_IP6, bytes, ip[6], pseudo(ip + 8, 16, ip[6], bytes));
	}
}

static enum frame_kind read_transport(const uint8_t *at, uint32_t bytes, uint8_t protocol, uint64_t sum, uint32_t server_port, const uint8_t **payload,
				      uint32_t *payload_bytes, uint16_t *to_port)
{
	if (bytes < ICMP_HEADER)
		return FRAME_UNSOUND;
	bool none = protocol == IP_UDP && get16(at + 6) == 0;
	if (none || folded(add(sum, at, bytes)) != 0xffff)
		return FRAME_UNSOUND;
	if (protocol == IP_ICMP)
		return at[0] == 0 && at[1] == 0 ? FRAME_ECHO_REPLY : FRAME_UNSOUND;
	if (protocol == IP_ICMP6)
		return at[0] == 129 ? FRAME_ECHO_REPLY : at[0] == 136 ? FRAME_ADVERTISEMENT : at[0] == 135 ? FRAME_ASKING : FRAME_UNSOUND;
	if (protocol != IP_UDP || get16(at + 4) != bytes || get16(at) != server_port)
		return FRAME_UNSOUND;
	*to_port = (uint16_t)get16(at + 2);
	*payload = at + FRAME_UDP;
	*payload_bytes = bytes - FRAME_UDP;
	return FRAME_UDP_ANSWER;
}

enum frame_kind frame_read(const uint8_t *bytes, uint32_t size, const struct path *path, const uint8_t **payload, uint32_t *payload_bytes, uint8_t to[4],
			   uint16_t *to_port)
{
	uint32_t type, at = skip_tags(bytes, size, &type);
	const uint8_t *ip = bytes + at;
	uint32_t left = size > at ? size - at : 0;
	if (size < FRAME_ETHER || memcmp(bytes + 6, path->to, 6) != 0)
		return FRAME_UNSOUND;
	if (type == ETHER_ARP)
		return left < 28 ? FRAME_UNSOUND : get16(ip + 6) == 2 ? FRAME_ARP_REPLY : FRAME_ASKING;
	if (type == ETHER_IP4 && left >= FRAME_IP4) {
		uint32_t total = get16(ip + 2);
		if (ip[0] != 0x45 || total < FRAME_IP4 || total > left || folded(add(0, ip, FRAME_IP4)) != 0xffff || memcmp(ip + 12, path->server4, 4) != 0)
			return FRAME_UNSOUND;
		memcpy(to, ip + 16, 4);
		return read_transport(ip + FRAME_IP4, total - FRAME_IP4, ip[9], ip[9] == IP_UDP ? pseudo(ip + 12, 4, IP_UDP, total - FRAME_IP4) : 0,
				      path->server_port, payload, payload_bytes, to_port);
	}
	if (type == ETHER_IP6 && left >= FRAME_IP6) {
		uint32_t length = get16(ip + 4);
		if (ip[0] >> 4 != 6 || length > left - FRAME_IP6)
			return FRAME_UNSOUND;
		memcpy(to, ip + 36, 4);
		if (ip[6] == IP_HOP_BY_HOP)
			return FRAME_ASKING;
		return read_transport(ip + FRAME_IP6, length, ip[6], pseudo(ip + 8, 16, ip[6], length), path->server_port, payload, payload_bytes, to_port);
	}
	return FRAME_UNSOUND;
}
