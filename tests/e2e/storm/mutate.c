#include "mutate.h"

#include "fault.h"

#define FRAME_SIZE_MAX 4096u /* of what is made here: several buffers of the port */

static uint32_t any(struct scene *scene, uint32_t n)
{
	return storm_below(&scene->random, n);
}

static bool chance(struct scene *scene, uint32_t percent)
{
	return storm_chance(&scene->random, percent);
}

/* Numbers at which code goes wrong. */
static uint64_t edge(struct scene *scene)
{
	static const uint64_t edges[] = {0,
					 1,
					 2,
					 7,
					 8,
					 15,
					 16,
					 31,
					 32,
					 63,
					 64,
					 127,
					 128,
					 255,
					 256,
					 1400,
					 1472,
					 1500,
					 4095,
					 4096,
					 32767,
					 32768,
					 65507,
					 65535,
					 65536,
					 602112,
					 0x7fffffff,
					 0x80000000,
					 0xffffffff,
					 0x100000000,
					 0x7fffffffffffffff,
					 0x8000000000000000,
					 0xffffffffffffffff};
	uint64_t value = edges[any(scene, sizeof edges / sizeof edges[0])];
	return chance(scene, 30) ? value + any(scene, 5) - 2 : value;
}

/* A piece of a large message, of few clients and few ids, so that pieces meet. */
static void fragment(struct scene *scene, struct message *message)
{
	scene->path.source_port = (uint16_t)(2000 + any(scene, 4));
	static const uint32_t totals[] = {3000, 10000, 602112};
	uint32_t total = totals[any(scene, 3)], piece = 200 + 100 * any(scene, 12);
	uint8_t data[1500];
	storm_fill(&scene->random, data, piece);
	say_start(message, 6, 6, any(scene, 8));
	say_uint(message, chance(scene, 90) ? total : edge(scene));
	say_uint(message, chance(scene, 80) ? (uint64_t)any(scene, 1 + total / piece) * piece : edge(scene));
	say_bin(message, data, piece);
}

static void missing(struct scene *scene, struct message *message)
{
	uint32_t count = any(scene, 20);
	say_start(message, 5, 8, any(scene, 8));
	say_uint(message, chance(scene, 80) ? 10000 : edge(scene));
	say_array(message, count);
	for (uint32_t i = 0; i < count; i++) {
		say_array(message, 2);
		say_uint(message, chance(scene, 80) ? 1400 * any(scene, 8) : edge(scene));
		say_uint(message, chance(scene, 80) ? 1400 : edge(scene));
	}
}

/* Random objects in each other. */
static void babble(struct scene *scene, struct message *message)
{
	say_start(message, 3 + any(scene, 6), any(scene, 10), scene->next_id++);
	for (uint32_t i = any(scene, 30); i > 0; i--) {
		switch (any(scene, 8)) {
		case 0: say_uint(message, edge(scene)); break;
		case 1: say_array(message, any(scene, 4)); break;
		case 2: say_map(message, any(scene, 3)); break;
		case 3: say_text(message, chance(scene, 50) ? scene->model : "x"); break;
		case 4: say_bin(message, message->bytes, any(scene, 64)); break;
		case 5: say_nil(message); break;
		case 6: say_number(message, 0xd4 + any(scene, 5), edge(scene), 2); break;
		default: say_byte(message, any(scene, 256)); break;
		}
	}
}

static void damage(struct scene *scene, uint8_t *bytes, uint32_t *size, uint32_t most)
{
	if (*size == 0)
		return;
	uint32_t at = any(scene, *size), left = *size - at;
	switch (any(scene, 9)) {
	case 0: bytes[at] ^= (uint8_t)(1u << any(scene, 8)); break;
	case 1: bytes[at] = (uint8_t)any(scene, 256); break;
	case 2:
		if (left >= 2)
			put16(bytes + at, (uint32_t)edge(scene));
		break;
	case 3:
		if (left >= 4)
			put32(bytes + at, (uint32_t)edge(scene));
		break;
	case 4: *size = at; break;
	case 5: { /* longer */
		uint32_t more = any(scene, chance(scene, 90) ? 64 : most);
		more = more < most - *size ? more : most - *size;
		storm_fill(&scene->random, bytes + *size, more);
		*size += more;
		break;
	}
	case 6: memset(bytes + at, chance(scene, 50) ? 0 : 0xff, left < 16 ? left : any(scene, 16)); break;
	case 7: { /* a part of it elsewhere */
		uint32_t from = any(scene, *size), length = any(scene, 32);
		length = length < left ? length : left;
		length = length < *size - from ? length : *size - from;
		memmove(bytes + at, bytes + from, length);
		break;
	}
	default: { /* a part of it left out */
		uint32_t length = any(scene, 16);
		length = length < left ? length : left;
		memmove(bytes + at, bytes + at + length, left - length);
		*size -= length;
		break;
	}
	}
}

static void make_message(struct scene *scene, struct frame *frame)
{
	uint32_t kind = any(scene, 20);
	if (kind == 0)
		babble(scene, &scene->message);
	else if (kind < 4)
		fragment(scene, &scene->message);
	else if (kind == 4)
		missing(scene, &scene->message);
	else
		fault_messages[any(scene, fault_message_count)].build(scene, frame);
	if (chance(scene, 40)) {
		for (uint32_t i = 1 + any(scene, 4); i > 0; i--)
			damage(scene, scene->message.bytes, &scene->message.size, MESSAGE_MAX / 2);
	}
	if (chance(scene, 60))
		frame_udp4(frame, &scene->path, scene->message.bytes, scene->message.size);
	else
		frame_udp6(frame, &scene->path, scene->message.bytes, scene->message.size);
}

static void too_big(struct scene *scene, struct frame *frame)
{
	/* An answer of the server's to one of its clients, as a router quotes it. */
	struct path back = scene->path;
	struct frame quoted;
	memcpy(back.source4, scene->path.server4, 4);
	memcpy(back.server4, scene->path.source4, 4);
	memcpy(back.source6, scene->path.server6, 16);
	memcpy(back.server6, scene->path.source6, 16);
	back.source_port = scene->path.server_port;
	back.server_port = scene->path.source_port;
	uint32_t mtu = chance(scene, 50) ? 500 + any(scene, 1000) : (uint32_t)edge(scene), bytes = 8 + any(scene, 600);
	if (chance(scene, 50)) {
		frame_udp4(&quoted, &back, scene->message.bytes, 700);
		frame_too_big4(frame, &scene->path, mtu, quoted.bytes + FRAME_ETHER, bytes);
	} else {
		frame_udp6(&quoted, &back, scene->message.bytes, 700);
		frame_too_big6(frame, &scene->path, mtu, quoted.bytes + FRAME_ETHER, bytes);
	}
}

static void make_frame(struct scene *scene, struct frame *frame)
{
	uint32_t kind = any(scene, 20);
	if (kind < 12)
		make_message(scene, frame);
	else if (kind < 15)
		fault_frames[any(scene, fault_frame_count)].build(scene, frame);
	else if (kind < 17)
		fault_frames6[any(scene, fault_frame6_count)].build(scene, frame);
	else if (kind == 17)
		frame_solicit(frame, &scene->path);
	else if (kind == 18)
		frame_echo6(frame, &scene->path, scene->message.bytes, any(scene, 1000));
	else
		too_big(scene, frame);
}

/* More headers than there were. */
static void wrap(struct scene *scene, struct frame *frame)
{
	static const uint8_t kinds[] = {IP_HOP_BY_HOP, IP_ROUTING, IP_FRAGMENT, IP_DESTINATION};
	uint8_t header[64];
	if (frame->size < FRAME_ETHER + FRAME_IP6)
		return;
	uint32_t type = get16(frame->bytes + 12), bytes = 8 + 8 * any(scene, 4);
	storm_fill(&scene->random, header, bytes);
	header[1] = (uint8_t)(bytes / 8 - 1);
	if (type == ETHER_IP6 && chance(scene, 20)) {
		for (uint32_t i = 1 + any(scene, 3); i > 0; i--)
			frame_extend6(frame, kinds[any(scene, sizeof kinds)], header, bytes);
	}
	if (type == ETHER_IP4 && chance(scene, 5))
		frame_options4(frame, header, bytes);
	if (chance(scene, 10))
		frame_tag(frame, chance(scene, 80) ? ETHER_VLAN : ETHER_QINQ, (uint16_t)(chance(scene, 50) ? 0 : any(scene, 65536)));
}

void mutate_frame(struct scene *scene, struct frame *frame)
{
	scene_turn(scene);
	struct path kept = scene->path;
	if (chance(scene, 3))
		storm_fill(&scene->random, scene->path.source4, 3); /* from elsewhere; the last byte keeps it apart from the good client */
	if (chance(scene, 3))
		storm_fill(&scene->random, scene->path.source6, 15);
	make_frame(scene, frame);
	scene->path = kept;
	wrap(scene, frame);
	if (chance(scene, 40)) {
		for (uint32_t i = 1 + any(scene, 4); i > 0; i--)
			damage(scene, frame->bytes, &frame->size, FRAME_SIZE_MAX);
		if (chance(scene, 60))
			frame_sum(frame);
	}
	if (frame->size == 0)
		frame->size = 1;
}
