#include "base/unpack.h"

#include "base/assertion.h"

#define SKIP_DEPTH_MAX 32u

/* The bytes of the object's own head (first byte and fixed fields) and, for a container, how many objects follow it; false when they are not all there. */
static bool head_of(const struct gyr_unpack *cursor, size_t *bytes, uint64_t *children)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	*children = 0;
	if (left == 0)
		return false;
	uint8_t first = *cursor->at;
	uint64_t total = 1;
	if (first < 0x80 || first >= 0xe0) {
		/* a small integer */
	} else if (first < 0x90) {
		*children = 2u * (first & 0x0f);
	} else if (first < 0xa0) {
		*children = first & 0x0f;
	} else if (first < 0xc0) {
		total += first & 0x1f;
	} else {
		/* Per format from 0xc0 on: bytes of a length field, bytes of fixed content. */
		static const struct {
			uint8_t length, fixed;
		} formats[32] = {
			[0xc4 - 0xc0] = {1, 0},  [0xc5 - 0xc0] = {2, 0}, [0xc6 - 0xc0] = {4, 0}, [0xc7 - 0xc0] = {1, 1}, [0xc8 - 0xc0] = {2, 1},
			[0xc9 - 0xc0] = {4, 1},  [0xca - 0xc0] = {0, 4}, [0xcb - 0xc0] = {0, 8}, [0xcc - 0xc0] = {0, 1}, [0xcd - 0xc0] = {0, 2},
			[0xce - 0xc0] = {0, 4},  [0xcf - 0xc0] = {0, 8}, [0xd0 - 0xc0] = {0, 1}, [0xd1 - 0xc0] = {0, 2}, [0xd2 - 0xc0] = {0, 4},
			[0xd3 - 0xc0] = {0, 8},  [0xd4 - 0xc0] = {0, 2}, [0xd5 - 0xc0] = {0, 3}, [0xd6 - 0xc0] = {0, 5}, [0xd7 - 0xc0] = {0, 9},
			[0xd8 - 0xc0] = {0, 17}, [0xd9 - 0xc0] = {1, 0}, [0xda - 0xc0] = {2, 0}, [0xdb - 0xc0] = {4, 0}, [0xdc - 0xc0] = {2, 0},
			[0xdd - 0xc0] = {4, 0},  [0xde - 0xc0] = {2, 0}, [0xdf - 0xc0] = {4, 0},
		};
		if (first == 0xc1)
			return false;
		unsigned length_bytes = formats[first - 0xc0].length;
		total += length_bytes + formats[first - 0xc0].fixed;
		if (total > left)
			return false;
		uint64_t length = length_bytes == 0 ? 0 : gyr_unpack_big(cursor->at + 1, length_bytes);
		if (first >= 0xdc)
			*children = length * (first >= 0xde ? 2 : 1);
		else
			total += length;
	}
	if (total > left || *children > left - total)
		return false;
	*bytes = (size_t)total;
	return true;
}

enum gyr_unpack_type gyr_unpack_peek(const struct gyr_unpack *cursor)
{
	if (cursor->at == cursor->end)
		return GYR_UNPACK_END;
	uint8_t first = *cursor->at;
	if (first < 0x80 || first >= 0xe0 || (first >= 0xcc && first <= 0xd3))
		return GYR_UNPACK_INT;
	if (first < 0x90 || first >= 0xde)
		return GYR_UNPACK_MAP;
	if (first < 0xa0 || first >= 0xdc)
		return GYR_UNPACK_ARRAY;
	if (first < 0xc0 || first >= 0xd9)
		return GYR_UNPACK_STR;
	if (first == 0xc0)
		return GYR_UNPACK_NIL;
	if (first == 0xc1)
		return GYR_UNPACK_NEVER;
	if (first <= 0xc3)
		return GYR_UNPACK_BOOL;
	if (first <= 0xc6)
		return GYR_UNPACK_BIN;
	return first == 0xca || first == 0xcb ? GYR_UNPACK_FLOAT : GYR_UNPACK_EXT;
}

bool gyr_unpack_nil(struct gyr_unpack *cursor)
{
	if (cursor->at == cursor->end || *cursor->at != 0xc0)
		return false;
	cursor->at++;
	return true;
}

bool gyr_unpack_bool(struct gyr_unpack *cursor, bool *value)
{
	if (cursor->at == cursor->end || (*cursor->at & 0xfe) != 0xc2)
		return false;
	*value = *cursor->at++ == 0xc3;
	return true;
}

bool gyr_unpack_int(struct gyr_unpack *cursor, int64_t *value)
{
	if (cursor->at == cursor->end)
		return false;
	uint8_t first = *cursor->at;
	if (first >= 0xe0) {
		*value = (int8_t)first;
		cursor->at++;
		return true;
	}
	if (first >= 0xd0 && first <= 0xd3) {
		unsigned bytes = 1u << (first - 0xd0);
		if ((size_t)(cursor->end - cursor->at) < 1 + bytes)
			return false;
		uint64_t bits = gyr_unpack_big(cursor->at + 1, bytes);
		unsigned unused = 64 - 8 * bytes;
		*value = (int64_t)(bits << unused) >> unused;
		cursor->at += 1 + bytes;
		return true;
	}
	struct gyr_unpack trial = *cursor;
	uint64_t number;
	if ((first >= 0x80 && (first < 0xcc || first > 0xcf)) || !gyr_unpack_uint(&trial, &number) || number > INT64_MAX)
		return false;
	*value = (int64_t)number;
	*cursor = trial;
	return true;
}

bool gyr_unpack_float32(struct gyr_unpack *cursor, float *value)
{
	if ((size_t)(cursor->end - cursor->at) < 5 || *cursor->at != 0xca)
		return false;
	uint32_t bits = (uint32_t)gyr_unpack_big(cursor->at + 1, 4);
	memcpy(value, &bits, sizeof bits);
	cursor->at += 5;
	return true;
}

bool gyr_unpack_float(struct gyr_unpack *cursor, double *value)
{
	if (cursor->at == cursor->end)
		return false;
	size_t left = (size_t)(cursor->end - cursor->at);
	if (*cursor->at == 0xca && left >= 5) {
		uint32_t bits = (uint32_t)gyr_unpack_big(cursor->at + 1, 4);
		float number;
		memcpy(&number, &bits, sizeof number);
		*value = (double)number;
		cursor->at += 5;
		return true;
	}
	if (*cursor->at == 0xcb && left >= 9) {
		uint64_t bits = gyr_unpack_big(cursor->at + 1, 8);
		memcpy(value, &bits, sizeof bits);
		cursor->at += 9;
		return true;
	}
	int64_t whole;
	uint64_t positive;
	if (gyr_unpack_int(cursor, &whole)) {
		*value = (double)whole;
		return true;
	}
	if (gyr_unpack_uint(cursor, &positive)) {
		*value = (double)positive;
		return true;
	}
	return false;
}

bool gyr_unpack_map(struct gyr_unpack *cursor, uint32_t *count)
{
	size_t bytes;
	uint64_t children;
	if (gyr_unpack_peek(cursor) != GYR_UNPACK_MAP || !head_of(cursor, &bytes, &children))
		return false;
	*count = (uint32_t)(children / 2);
	cursor->at += bytes;
	return true;
}

bool gyr_unpack_skip(struct gyr_unpack *cursor, unsigned depth_max)
{
	GYR_ASSERT(depth_max <= SKIP_DEPTH_MAX);
	struct gyr_unpack trial = *cursor;
	uint64_t open[SKIP_DEPTH_MAX]; /* objects still to come at each depth */
	unsigned depth = 0;
	for (;;) {
		size_t bytes;
		uint64_t children;
		enum gyr_unpack_type type = gyr_unpack_peek(&trial);
		if (!head_of(&trial, &bytes, &children))
			return false;
		trial.at += bytes;
		if (type == GYR_UNPACK_ARRAY || type == GYR_UNPACK_MAP) {
			if (depth == depth_max)
				return false;
			open[depth++] = children;
		}
		while (depth > 0 && open[depth - 1] == 0)
			depth--;
		if (depth == 0)
			break;
		open[depth - 1]--;
	}
	*cursor = trial;
	return true;
}
