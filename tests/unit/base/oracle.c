#include "tests/unit/base/oracle.h"

static bool is_same_number(struct gyr_unpack *cursor, const msgpack_object *object)
{
	struct gyr_unpack a = *cursor, b = *cursor, c = *cursor;
	uint64_t natural;
	int64_t whole;
	double real, expected = object->type == MSGPACK_OBJECT_POSITIVE_INTEGER   ? (double)object->via.u64
				: object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? (double)object->via.i64
										  : object->via.f64;
	bool is_natural = gyr_unpack_uint(&a, &natural), is_whole = gyr_unpack_int(&b, &whole), is_real = gyr_unpack_float(&c, &real);
	*cursor = c;
	if (!is_real || memcmp(&real, &expected, sizeof real) != 0)
		return false;
	if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		return is_natural && natural == object->via.u64 && is_whole == (natural <= INT64_MAX) && (!is_whole || (uint64_t)whole == natural);
	if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		return !is_natural && is_whole && whole == object->via.i64;
	return !is_natural && !is_whole;
}

/* msgpack-c gives no pointer to nothing. */
static bool is_same_bytes(const void *ours, uint32_t length, const void *theirs, uint32_t their_length)
{
	return length == their_length && (length == 0 || memcmp(ours, theirs, length) == 0);
}

static bool is_same_children(struct gyr_unpack *cursor, const msgpack_object *object)
{
	uint32_t count;
	if (object->type == MSGPACK_OBJECT_ARRAY) {
		if (!gyr_unpack_array(cursor, &count) || count != object->via.array.size)
			return false;
		for (uint32_t i = 0; i < count; i++)
			if (!oracle_is_same(cursor, &object->via.array.ptr[i]))
				return false;
		return true;
	}
	if (!gyr_unpack_map(cursor, &count) || count != object->via.map.size)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!oracle_is_same(cursor, &object->via.map.ptr[i].key) || !oracle_is_same(cursor, &object->via.map.ptr[i].val))
			return false;
	return true;
}

bool oracle_is_same(struct gyr_unpack *cursor, const msgpack_object *object)
{
	enum gyr_unpack_type type = gyr_unpack_peek(cursor);
	const char *str;
	const uint8_t *bin;
	uint32_t length;
	bool truth;
	switch (object->type) {
	case MSGPACK_OBJECT_NIL: return type == GYR_UNPACK_NIL && gyr_unpack_nil(cursor);
	case MSGPACK_OBJECT_BOOLEAN: return type == GYR_UNPACK_BOOL && gyr_unpack_bool(cursor, &truth) && truth == object->via.boolean;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER: return type == GYR_UNPACK_INT && is_same_number(cursor, object);
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64: return type == GYR_UNPACK_FLOAT && is_same_number(cursor, object);
	case MSGPACK_OBJECT_STR:
		return type == GYR_UNPACK_STR && gyr_unpack_str(cursor, &str, &length) && is_same_bytes(str, length, object->via.str.ptr, object->via.str.size);
	case MSGPACK_OBJECT_BIN:
		return type == GYR_UNPACK_BIN && gyr_unpack_bin(cursor, &bin, &length) && is_same_bytes(bin, length, object->via.bin.ptr, object->via.bin.size);
	case MSGPACK_OBJECT_EXT: return type == GYR_UNPACK_EXT && gyr_unpack_skip(cursor, 0);
	case MSGPACK_OBJECT_ARRAY: return type == GYR_UNPACK_ARRAY && is_same_children(cursor, object);
	case MSGPACK_OBJECT_MAP: return type == GYR_UNPACK_MAP && is_same_children(cursor, object);
	}
	return false;
}
