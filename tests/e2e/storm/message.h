/* Messages of the wire, written from docs/WIRE.md and from nothing of Gyr's. */
#ifndef GYR_TESTS_E2E_STORM_MESSAGE_H
#define GYR_TESTS_E2E_STORM_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MESSAGE_MAX 8192u

struct message {
	uint32_t size;
	uint8_t bytes[MESSAGE_MAX];
};

/* Each appends one object, in its shortest form. What does not fit is left out. */
static inline void say_bytes(struct message *message, const void *bytes, uint32_t size)
{
	if (size > MESSAGE_MAX - message->size)
		return;
	memcpy(message->bytes + message->size, bytes, size);
	message->size += size;
}

static inline void say_byte(struct message *message, uint32_t byte)
{
	say_bytes(message, &(uint8_t){(uint8_t)byte}, 1);
}

/* FIRST, then the low BYTES of VALUE, the highest first. */
static inline void say_number(struct message *message, uint32_t first, uint64_t value, int bytes)
{
	say_byte(message, first);
	for (int i = bytes - 1; i >= 0; i--)
		say_byte(message, (uint32_t)(value >> 8 * i) & 0xff);
}

static inline void say_uint(struct message *message, uint64_t value)
{
	if (value < 0x80)
		say_byte(message, (uint32_t)value);
	else if (value < 0x100)
		say_number(message, 0xcc, value, 1);
	else if (value < 0x10000)
		say_number(message, 0xcd, value, 2);
	else if (value < 0x100000000)
		say_number(message, 0xce, value, 4);
	else
		say_number(message, 0xcf, value, 8);
}

static inline void say_array(struct message *message, uint32_t count)
{
	if (count < 16)
		say_byte(message, 0x90 | count);
	else
		say_number(message, 0xdc, count, 2);
}

static inline void say_map(struct message *message, uint32_t count)
{
	if (count < 16)
		say_byte(message, 0x80 | count);
	else
		say_number(message, 0xde, count, 2);
}

static inline void say_text(struct message *message, const char *text)
{
	uint32_t length = (uint32_t)strlen(text);
	if (length < 32)
		say_byte(message, 0xa0 | length);
	else
		say_number(message, 0xd9, length, 1);
	say_bytes(message, text, length);
}

static inline void say_bin(struct message *message, const void *bytes, uint32_t size)
{
	if (size < 0x100)
		say_number(message, 0xc4, size, 1);
	else
		say_number(message, 0xc5, size, 2);
	say_bytes(message, bytes, size);
}

static inline void say_nil(struct message *message)
{
	say_byte(message, 0xc0);
}

/* The three places that begin every message, of COUNT in all. */
static inline void say_start(struct message *message, uint32_t count, uint32_t type, uint64_t id)
{
	message->size = 0;
	say_array(message, count);
	say_uint(message, 1);
	say_uint(message, type);
	say_uint(message, id);
}

#endif
