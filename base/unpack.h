/*
 * A bounded cursor over msgpack bytes from the network or a file. It copies nothing, allocates nothing, trusts no length before it has compared it with the
 * bytes that are there, and recurses nowhere. A call that returns false leaves the cursor where it was.
 *
 * Source: the msgpack specification (formats and their first bytes).
 */
#ifndef GYR_BASE_UNPACK_H
#define GYR_BASE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gyr_unpack {
	const uint8_t *at, *end; /* [at, end) is still to be read */
};

enum gyr_unpack_type {
	GYR_UNPACK_END, /* no byte left */
	GYR_UNPACK_NIL,
	GYR_UNPACK_BOOL,
	GYR_UNPACK_INT,   /* signed or unsigned */
	GYR_UNPACK_FLOAT, /* 32 or 64 bits */
	GYR_UNPACK_STR,
	GYR_UNPACK_BIN,
	GYR_UNPACK_ARRAY,
	GYR_UNPACK_MAP,
	GYR_UNPACK_EXT,
	GYR_UNPACK_NEVER, /* 0xC1, which msgpack does not use */
};

/* The type of the next object, which need not be whole. */
enum gyr_unpack_type gyr_unpack_peek(const struct gyr_unpack *cursor);

/* Each reads the next object when it is of that type and all there (for an array or a map: its head; COUNT elements, or pairs, follow, each at least one byte
 * long, so COUNT never exceeds the bytes left). */
bool gyr_unpack_nil(struct gyr_unpack *cursor);
bool gyr_unpack_bool(struct gyr_unpack *cursor, bool *value);
bool gyr_unpack_int(struct gyr_unpack *cursor, int64_t *value);   /* false when above INT64_MAX */
bool gyr_unpack_float(struct gyr_unpack *cursor, double *value);  /* a float or an integer */
bool gyr_unpack_float32(struct gyr_unpack *cursor, float *value); /* a float of 32 bits, to the bit */
bool gyr_unpack_map(struct gyr_unpack *cursor, uint32_t *count);

/* Reads past one whole object with everything inside it, nested at most DEPTH_MAX (<= 32) arrays or maps deep. */
bool gyr_unpack_skip(struct gyr_unpack *cursor, unsigned depth_max);

/* STR equals the zero-terminated TEXT. */
static inline bool gyr_unpack_is(const char *str, uint32_t length, const char *text)
{
	return strlen(text) == length && memcmp(str, text, length) == 0;
}

/* What follows is read once or more for each request, so it is inline. */

static inline uint64_t gyr_unpack_big(const uint8_t *at, unsigned bytes)
{
	uint64_t value;
	switch (bytes) {
	case 1: return at[0];
	case 2: return (uint64_t)(at[0] << 8 | at[1]);
	case 4: {
		uint32_t word;
		memcpy(&word, at, sizeof word);
		return __builtin_bswap32(word);
	}
	default: memcpy(&value, at, sizeof value); return __builtin_bswap64(value);
	}
}

/* A length of BYTES bytes that follows the first byte, and then a body of that length. */
static inline bool gyr_unpack_body(struct gyr_unpack *cursor, unsigned bytes, const uint8_t **body, uint32_t *length)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	if (left < 1 + bytes)
		return false;
	uint64_t size = gyr_unpack_big(cursor->at + 1, bytes);
	if (size > left - 1 - bytes)
		return false;
	*body = cursor->at + 1 + bytes;
	*length = (uint32_t)size;
	cursor->at = *body + size;
	return true;
}

static inline bool gyr_unpack_uint(struct gyr_unpack *cursor, uint64_t *value)
{
	if (cursor->at == cursor->end)
		return false;
	uint8_t first = *cursor->at;
	if (first < 0x80) {
		*value = first;
		cursor->at++;
		return true;
	}
	if (first < 0xcc || first > 0xcf) {
		/* A signed form of a number that is not negative. */
		struct gyr_unpack trial = *cursor;
		int64_t number;
		if (first < 0xd0 || first > 0xd3 || !gyr_unpack_int(&trial, &number) || number < 0)
			return false;
		*value = (uint64_t)number;
		*cursor = trial;
		return true;
	}
	unsigned bytes = 1u << (first - 0xcc);
	if ((size_t)(cursor->end - cursor->at) < 1 + bytes)
		return false;
	*value = gyr_unpack_big(cursor->at + 1, bytes);
	cursor->at += 1 + bytes;
	return true;
}

static inline bool gyr_unpack_str(struct gyr_unpack *cursor, const char **str, uint32_t *length)
{
	if (cursor->at == cursor->end)
		return false;
	uint8_t first = *cursor->at;
	if ((first & 0xe0) == 0xa0) {
		uint32_t size = first & 0x1f;
		if (size > (size_t)(cursor->end - cursor->at) - 1)
			return false;
		*str = (const char *)cursor->at + 1;
		*length = size;
		cursor->at += 1 + size;
		return true;
	}
	return first >= 0xd9 && first <= 0xdb && gyr_unpack_body(cursor, 1u << (first - 0xd9), (const uint8_t **)str, length);
}

static inline bool gyr_unpack_bin(struct gyr_unpack *cursor, const uint8_t **bin, uint32_t *length)
{
	if (cursor->at == cursor->end)
		return false;
	uint8_t first = *cursor->at;
	return first >= 0xc4 && first <= 0xc6 && gyr_unpack_body(cursor, 1u << (first - 0xc4), bin, length);
}

static inline bool gyr_unpack_array(struct gyr_unpack *cursor, uint32_t *count)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	if (left == 0)
		return false;
	uint8_t first = *cursor->at;
	unsigned bytes = first == 0xdc ? 2 : first == 0xdd ? 4 : 0;
	if ((bytes == 0 && (first & 0xf0) != 0x90) || left < 1 + bytes)
		return false;
	uint64_t size = bytes == 0 ? (uint64_t)(first & 0x0f) : gyr_unpack_big(cursor->at + 1, bytes);
	if (size > left - 1 - bytes)
		return false;
	*count = (uint32_t)size;
	cursor->at += 1 + bytes;
	return true;
}

#endif
