/* The same for IPv6 and its neighbour discovery, for tags, and for what clients outside the appliance's subnets may ask. */
#include "fault.h"

#define IP FRAME_ETHER
#define ICMP (FRAME_ETHER + FRAME_IP6)
#define UDP (FRAME_ETHER + FRAME_IP6)

static void right(struct scene *scene, struct frame *frame)
{
	scene_request(scene, &scene->message);
	frame_udp6(frame, &scene->path, scene->message.bytes, scene->message.size);
}

static void right4(struct scene *scene, struct frame *frame)
{
	scene_request(scene, &scene->message);
	frame_udp4(frame, &scene->path, scene->message.bytes, scene->message.size);
}

static void echo(struct scene *scene, struct frame *frame)
{
	frame_echo6(frame, &scene->path, scene->message.bytes, storm_below(&scene->random, 1000));
}

static void solicit(struct scene *scene, struct frame *frame)
{
	frame_solicit(frame, &scene->path);
}

static void cut(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->size = FRAME_ETHER + storm_below(&scene->random, FRAME_IP6);
}

static void version(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[IP] = (uint8_t)((7 + storm_below(&scene->random, 9)) << 4);
}

static void longer_than_frame(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + IP + 4, get16(frame->bytes + IP + 4) + 1 + storm_below(&scene->random, 500));
}

static void destination(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[IP + 39] ^= (uint8_t)(1 + storm_below(&scene->random, 255));
	frame_sum(frame);
}

static void source(struct scene *scene, struct frame *frame)
{
	static const uint8_t sources[][16] = {
		{0}, {[15] = 1}, {0xff, 0x02, [15] = 1}, {[10] = 0xff, 0xff, 192, 0, 2, 77}, {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
	};
	right(scene, frame);
	memcpy(frame->bytes + IP + 8, sources[storm_below(&scene->random, sizeof sources / sizeof sources[0])], 16);
	frame_sum(frame);
}

static void extension(struct scene *scene, struct frame *frame, uint8_t kind)
{
	static const uint8_t nothing[8] = {0, 0, 1, 4}; /* PadN, where it is of options */
	right(scene, frame);
	frame_extend6(frame, kind, nothing, sizeof nothing);
}

static void hop_by_hop(struct scene *scene, struct frame *frame)
{
	extension(scene, frame, IP_HOP_BY_HOP);
}

static void routing(struct scene *scene, struct frame *frame)
{
	extension(scene, frame, IP_ROUTING);
}

static void fragment(struct scene *scene, struct frame *frame)
{
	extension(scene, frame, IP_FRAGMENT);
}

static void options(struct scene *scene, struct frame *frame)
{
	extension(scene, frame, IP_DESTINATION);
}

static void protocol(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[IP + 6] = IP_TCP;
}

static void icmp_checksum(struct scene *scene, struct frame *frame)
{
	echo(scene, frame);
	frame->bytes[ICMP + 2] ^= 0x10;
}

static void icmp_other(struct scene *scene, struct frame *frame)
{
	echo(scene, frame);
	frame->bytes[ICMP] = 139; /* a question for a node's information */
	frame_sum(frame);
}

static void far_solicit(struct scene *scene, struct frame *frame)
{
	solicit(scene, frame);
	frame->bytes[IP + 7] = 254;
}

static void empty_option(struct scene *scene, struct frame *frame)
{
	solicit(scene, frame);
	frame->bytes[ICMP + 25] = 0;
	frame_sum(frame);
}

static void solicit_another(struct scene *scene, struct frame *frame)
{
	/* Of the same group: the last three bytes tell it. */
	solicit(scene, frame);
	frame->bytes[ICMP + 8 + 8] ^= 0x40;
	frame_sum(frame);
}

static void no_checksum(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + UDP + 6, 0);
}

static void checksum(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame->bytes[frame->size - 1 - storm_below(&scene->random, 20)] ^= (uint8_t)(1u << storm_below(&scene->random, 8));
}

static void port(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + UDP + 2, scene->path.server_port + 1u + storm_below(&scene->random, 1000));
	frame_sum(frame);
}

static void source_port(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	put16(frame->bytes + UDP, scene->path.server_port);
	frame_sum(frame);
}

static void tagged(struct scene *scene, struct frame *frame)
{
	right4(scene, frame);
	frame_tag(frame, ETHER_VLAN, (uint16_t)(1 + storm_below(&scene->random, 4094)));
}

static void tagged_twice(struct scene *scene, struct frame *frame)
{
	right(scene, frame);
	frame_tag(frame, ETHER_VLAN, 0);
	frame_tag(frame, ETHER_QINQ, 0);
}

static void priority(struct scene *scene, struct frame *frame)
{
	right4(scene, frame);
	frame_tag(frame, ETHER_VLAN, (uint16_t)(storm_below(&scene->random, 8) << 13));
}

static void source_route(struct scene *scene, struct frame *frame)
{
	static const uint8_t routes[][8] = {{131, 7, 4, 192, 0, 2, 7, 0}, {137, 7, 4, 192, 0, 2, 7, 0}, {1, 131, 7, 4, 192, 0, 2, 7}};
	right4(scene, frame);
	frame_options4(frame, routes[storm_below(&scene->random, 3)], 8);
}

static void conflict(struct scene *scene, struct frame *frame)
{
	frame_arp(frame, &scene->path);
	memcpy(frame->bytes + FRAME_ETHER + 14, scene->path.server4, 4);
}

/* A router that quotes an answer to a client which never asked. */
static void too_big4(struct scene *scene, struct frame *frame)
{
	static struct frame quoted;
	struct path back = scene->path;
	memcpy(back.source4, scene->path.server4, 4);
	memcpy(back.server4, (const uint8_t[]){192, 0, 2, 253}, 4);
	back.source_port = scene->path.server_port;
	back.server_port = scene->path.source_port;
	frame_udp4(&quoted, &back, scene->message.bytes, 1000);
	frame_too_big4(frame, &scene->path, 1000, quoted.bytes + FRAME_ETHER, 28);
}

static void too_big6(struct scene *scene, struct frame *frame)
{
	static struct frame quoted;
	struct path back = scene->path;
	memcpy(back.source6, scene->path.server6, 16);
	memcpy(back.server6, scene->path.source6, 16);
	back.server6[14] = 0x77;
	back.source_port = scene->path.server_port;
	back.server_port = scene->path.source_port;
	frame_udp6(&quoted, &back, scene->message.bytes, 1000);
	frame_too_big6(frame, &scene->path, 1300, quoted.bytes + FRAME_ETHER, 200);
}

static void stranger(struct scene *scene)
{
	memcpy(scene->path.source4, (const uint8_t[]){198, 51, 100, 7}, 4);
}

static void known(struct scene *scene)
{
	memcpy(scene->path.source4, scene->path.server4, 3);
}

static void ping_from_afar(struct scene *scene, struct frame *frame)
{
	stranger(scene);
	say_start(&scene->message, 4, 7, scene->next_id++);
	say_bin(&scene->message, "as long as this", 15);
	frame_udp4(frame, &scene->path, scene->message.bytes, scene->message.size);
	known(scene);
}

static void describe_from_afar(struct scene *scene, struct frame *frame)
{
	stranger(scene);
	say_start(&scene->message, 5, 4, scene->next_id++);
	say_text(&scene->message, scene->model);
	say_nil(&scene->message);
	frame_udp4(frame, &scene->path, scene->message.bytes, scene->message.size);
	known(scene);
}

static void little_from_afar(struct scene *scene, struct frame *frame)
{
	/* Malformed, and too short for any error in return. */
	stranger(scene);
	say_start(&scene->message, 3, 7, storm_below(&scene->random, 100));
	frame_udp4(frame, &scene->path, scene->message.bytes, scene->message.size);
	known(scene);
}

const struct fault fault_frames6[] = {
	{"a right frame of IPv6", "datagram", "result", right},
	{"a tag that tells a priority alone", "datagram", "result", priority},
	{"an echo request of IPv6", "echo_reply", NULL, echo},
	{"a neighbour's solicitation", "nd_reply", NULL, solicit},
	{"IPv6, cut", "ip6_short", NULL, cut},
	{"another version than 6", "ip6_version", NULL, version},
	{"IPv6 longer than its frame", "ip6_length", NULL, longer_than_frame},
	{"to another IPv6 address", "ip6_destination", NULL, destination},
	{"from nobody by IPv6", "ip6_source", NULL, source},
	{"hop by hop options", "ip6_hop_by_hop", NULL, hop_by_hop},
	{"a routing header", "ip6_routing", NULL, routing},
	{"a fragment header", "ip6_fragment", NULL, fragment},
	{"destination options", "ip6_options", NULL, options},
	{"another protocol by IPv6", "ip6_protocol", NULL, protocol},
	{"a wrong ICMPv6 checksum", "icmp6_checksum", NULL, icmp_checksum},
	{"another ICMPv6 message", "icmp6_other", NULL, icmp_other},
	{"a solicitation from beyond the link", "nd_invalid", NULL, far_solicit},
	{"a solicitation with an option of no length", "nd_invalid", NULL, empty_option},
	{"a solicitation for another", "nd_other", NULL, solicit_another},
	{"no UDP checksum by IPv6", "udp_checksum", NULL, no_checksum},
	{"a wrong UDP checksum by IPv6", "udp_checksum", NULL, checksum},
	{"to another UDP port by IPv6", "udp_port", NULL, port},
	{"from the server's UDP port by IPv6", "udp_source_port", NULL, source_port},
	{"another VLAN", "vlan", NULL, tagged},
	{"two tags", "vlan", NULL, tagged_twice},
	{"a source route", "ip_source_route", NULL, source_route},
	{"another station with the server's address", "arp_conflict", NULL, conflict},
	{"a path too narrow for what was never sent", "path_mtu_refused", NULL, too_big4},
	{"the same by IPv6", "path_mtu_refused", NULL, too_big6},
	{"ping from afar", "datagram", "pong", ping_from_afar},
	{"describe from afar", "datagram", "forbidden", describe_from_afar},
	{"too short from afar for an error", "datagram", "withheld", little_from_afar},
};
const uint32_t fault_frame6_count = sizeof fault_frames6 / sizeof fault_frames6[0];
