/* Frames that are wrong below the message. */
#include "fault.h"

#define IP FRAME_ETHER
#define UDP (FRAME_ETHER + FRAME_IP4)

static void right(struct scene *scene, struct frame *frame)
{
	scene_request(scene, &scene->message);
	frame_udp4(frame, &scene->path, scene->message.bytes, scene->message.size);
}

static void arp(struct scene *scene, struct frame *frame)
{
	frame_arp(frame, &scene->path);
}

static void echo(struct scene *scene, struct frame *frame)
{
	frame_echo4(frame, &scene->path, scene->message.bytes, storm_below(&scene->random, 1000));
}

/* Longer than one buffer of the port, and than its MTU. */
static void segmented(struct scene *scene, struct frame *frame)
{
	frame_udp4(frame, &scene->path, scene->message.bytes, 4000);
}

static void runt(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->size = 1 + storm_below(&scene->random, FRAME_ETHER - 1);
}

static void other_mac(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[5] ^= (uint8_t)(1 + storm_below(&scene->random, 255));
}

static void broadcast_ip(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	memset(frame->bytes, 0xff, 6);
}

static void group_source(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[6] |= 1;
}

static void own_source(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	memcpy(frame->bytes + 6, frame->bytes, 6);
}

static void other_type(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + 12, 0x88b5); /* kept for experiments */
}

static void cut_arp(struct scene *scene, struct frame *frame)
{
	frame_arp(frame, &scene->path);
	frame->size = FRAME_ETHER + storm_below(&scene->random, 28);
}

static void token_ring_arp(struct scene *scene, struct frame *frame)
{
	frame_arp(frame, &scene->path);
	put16(frame->bytes + IP, 6);
}

static void arp_for_another(struct scene *scene, struct frame *frame)
{
	frame_arp(frame, &scene->path);
	frame->bytes[IP + 27] ^= 0x40;
}

static void cut_ip(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->size = FRAME_ETHER + storm_below(&scene->random, FRAME_IP4);
}

static void ip_version(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[IP] = (uint8_t)(0x05 | (5 + storm_below(&scene->random, 11)) << 4);
}

static void ip_options(struct scene *scene, struct frame *frame)
{
	static const uint8_t nothing[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	right(scene, frame);
	frame_options4(frame, nothing, 4 + 4 * storm_below(&scene->random, 2));
}

static void ip_longer_than_frame(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + IP + 2, frame->size - FRAME_ETHER + 1 + storm_below(&scene->random, 500));
	frame_sum(frame);
}

static void ip_checksum(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[IP + 10] ^= (uint8_t)(1u << storm_below(&scene->random, 8));
}

static void first_fragment(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + IP + 6, 0x2000);
	frame_sum(frame);
}

static void later_fragment(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + IP + 6, 1 + storm_below(&scene->random, 0x1fff));
	frame_sum(frame);
}

static void other_destination(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[IP + 19] ^= (uint8_t)(1 + storm_below(&scene->random, 255));
	frame_sum(frame);
}

static void bad_source(struct scene *scene, struct frame *frame)
{
	static const uint8_t sources[][4] = {{0, 0, 0, 0},     {127, 0, 0, 1}, {224, 0, 0, 1}, {255, 255, 255, 255},
					     {192, 0, 2, 255}, {192, 0, 2, 1}, {240, 1, 2, 3}};
	right(scene, frame);
	memcpy(frame->bytes + IP + 12, sources[storm_below(&scene->random, sizeof sources / sizeof sources[0])], 4);
	frame_sum(frame);
}

static void other_protocol(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[IP + 9] = IP_TCP;
	frame_sum(frame);
}

static void icmp_checksum(struct scene *scene, struct frame *frame)
{
	echo(scene, frame);
	frame->bytes[UDP + 2] ^= 0x10;
}

static void icmp_other(struct scene *scene, struct frame *frame)
{
	echo(scene, frame);
	frame->bytes[UDP] = 13; /* timestamp */
	frame_sum(frame);
}

static void udp_length(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + UDP + 4, get16(frame->bytes + UDP + 4) + 1 + storm_below(&scene->random, 500));
}

static void udp_port(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + UDP + 2, scene->path.server_port + 1u + storm_below(&scene->random, 1000));
	frame_sum(frame);
}

static void udp_source_port(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + UDP, storm_chance(&scene->random, 50) ? 0 : scene->path.server_port);
	frame_sum(frame);
}

static void udp_checksum(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[frame->size - 1 - storm_below(&scene->random, 20)] ^= (uint8_t)(1u << storm_below(&scene->random, 8));
}

static void no_udp_checksum(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + UDP + 6, 0);
}

static void padded(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	uint32_t more = 1 + storm_below(&scene->random, 60);
	storm_fill(&scene->random, frame->bytes + frame->size, more);
	frame->size += more;
}

const struct fault fault_frames[] = {
	{"a right frame", "datagram", "result", right},
	{"padding behind the packet", "datagram", "result", padded},
	{"no UDP checksum", "datagram", "result", no_udp_checksum},
	{"ARP", "arp_reply", NULL, arp},
	{"an echo request", "echo_reply", NULL, echo},
	{"longer than a buffer", "segmented", NULL, segmented},
	{"shorter than Ethernet's header", "runt", NULL, runt},
	{"to another station", "other_mac", NULL, other_mac},
	{"IPv4 to all stations", "other_mac", NULL, broadcast_ip},
	{"from a group of stations", "source_mac", NULL, group_source},
	{"from the server's own station", "source_mac", NULL, own_source},
	{"another type of frame", "ethertype", NULL, other_type},
	{"ARP, cut", "arp_invalid", NULL, cut_arp},
	{"ARP for another medium", "arp_invalid", NULL, token_ring_arp},
	{"ARP for another address", "arp_other", NULL, arp_for_another},
	{"IPv4, cut", "ip_short", NULL, cut_ip},
	{"another version of IP", "ip_version", NULL, ip_version},
	{"IPv4 options", "ip_options", NULL, ip_options},
	{"IPv4 longer than its frame", "ip_length", NULL, ip_longer_than_frame},
	{"a wrong IPv4 checksum", "ip_checksum", NULL, ip_checksum},
	{"a first fragment", "ip_fragment", NULL, first_fragment},
	{"a later fragment", "ip_fragment", NULL, later_fragment},
	{"to another address", "ip_destination", NULL, other_destination},
	{"from nobody", "ip_source", NULL, bad_source},
	{"another protocol", "ip_protocol", NULL, other_protocol},
	{"a wrong ICMP checksum", "icmp_checksum", NULL, icmp_checksum},
	{"another ICMP message", "icmp_other", NULL, icmp_other},
	{"a wrong UDP length", "udp_length", NULL, udp_length},
	{"to another UDP port", "udp_port", NULL, udp_port},
	{"from UDP port 0 or the server's", "udp_source_port", NULL, udp_source_port},
	{"a wrong UDP checksum", "udp_checksum", NULL, udp_checksum},
};
const uint32_t fault_frame_count = sizeof fault_frames / sizeof fault_frames[0];
