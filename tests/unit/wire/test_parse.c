/* What gyr_wire_parse takes and what it refuses, datagram by datagram. Datagrams are written out as bytes, so that this reads as docs/WIRE.md does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/wire/wire.h"

static struct gyr_wire_message message;
static const char *reason;

/* Bytes of hex digits, spaces ignored; at the end of an allocation, so that a sanitizer sees a read past them. */
static uint8_t *bytes_of(const char *hex, size_t *size)
{
	static uint8_t *last;
	char pair[3] = {0};
	uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
	*size = 0;
	for (const char *at = hex; *at != 0; at++) {
		if (*at == ' ')
			continue;
		memcpy(pair, at++, 2);
		bytes[(*size)++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	free(last);
	last = malloc(*size == 0 ? 1 : *size);
	memcpy(last, bytes, *size);
	free(bytes);
	return last;
}

/* Whatever was in the message before makes no difference. */
static enum gyr_wire_code parse(const char *hex)
{
	size_t size;
	const uint8_t *bytes = bytes_of(hex, &size);
	memset(&message, 0, sizeof message);
	enum gyr_wire_code code = gyr_wire_parse(bytes, size, &message, &reason);
	memset(&message, 1, sizeof message);
	reason = NULL;
	assert_int_equal(gyr_wire_parse(bytes, size, &message, &reason), code);
	return code;
}

static void accept(const char *hex)
{
	if (parse(hex) != GYR_WIRE_OK)
		fail_msg("%s: %s", hex, reason);
}

/* Refused with CODE for a reason that starts with PLACE; the id was read or not. */
static void refuse(const char *hex, enum gyr_wire_code code, const char *place, bool has_id)
{
	enum gyr_wire_code got = parse(hex);
	if (got != code || strncmp(reason, place, strlen(place)) != 0 || message.has_id != has_id)
		fail_msg("%s: %s, \"%s\", id %d; expected %s, \"%s\"", hex, gyr_wire_code_name(got), reason, message.has_id, gyr_wire_code_name(code), place);
}

#define X7 "aaaaaaaaaaaaaa"
#define X21 X7 X7 X7
#define X63 X21 X21 X21
#define HEAD "97 01 01 07 a1 6d c0 00 " /* [1, 1, 7, "m", nil, 0, of 7 */
#define HEAD8 "98 01 01 07 a1 6d c0 00 91 c4 01 aa "

static void test_request(void **unused)
{
	accept("97 01 01 ce00010000 a7 66617368696f6e c0 cd03e8 91 c4 04 01020304");
	assert_int_equal(message.type, GYR_WIRE_REQUEST);
	assert_int_equal(message.id, 65536);
	assert_true(message.has_id);
	assert_memory_equal(message.model.name, "fashion", 7);
	assert_int_equal(message.model.length, 7);
	assert_true(message.model.present);
	assert_false(message.select.present);
	assert_int_equal(message.deadline_us, 1000);
	assert_false(message.want_timing);
	assert_int_equal(message.tensor_count, 1);
	assert_int_equal(message.tensors[0].form, GYR_WIRE_BARE);
	assert_int_equal(message.tensors[0].bytes, 4);
	assert_int_equal(message.tensors[0].data[3], 4);

	accept("97 01 01 00 05 02 00 91 c4 00"); /* a handle, a version */
	assert_null(message.model.name);
	assert_int_equal(message.model.number, 5);
	assert_true(message.select.present);
	assert_null(message.select.name);
	assert_int_equal(message.select.number, 2);

	accept("97 01 01 00 05 a6 63616e617279 00 91 c4 00"); /* a label */
	assert_memory_equal(message.select.name, "canary", 6);
	accept("97 01 01 cfffffffffffffffff 05 c0 ce03938700 91 c4 00"); /* the largest id and deadline */
	assert_int_equal(message.id, UINT64_MAX);
	assert_int_equal(message.deadline_us, GYR_WIRE_DEADLINE_US_MAX);
	accept("dc0007 cc01 d001 d107d0 d9016d c0 00 dd00000001 c600000001 aa"); /* longer forms of the same are the same */
	assert_int_equal(message.id, 2000);
}

static void test_options(void **unused)
{
	accept(HEAD8 "c0");
	assert_false(message.want_timing);
	accept(HEAD8 "80");
	accept(HEAD8 "81 a6 74696d696e67 c3");
	assert_true(message.want_timing);
	assert_false(message.want_order);
	accept(HEAD8 "81 a5 6f72646572 c3");
	assert_true(message.want_order);
	assert_false(message.want_timing);
	refuse(HEAD8 "81 a5 6f72646572 01", GYR_WIRE_MALFORMED, "options: order", true);
	accept(HEAD8 "82 a3 6e6577 93 01 81 01 02 03 a6 74696d696e67 c3"); /* one that we do not know is passed over */
	assert_true(message.want_timing);
	refuse(HEAD8 "05", GYR_WIRE_MALFORMED, "options", true);
	refuse(HEAD8 "81 01 c3", GYR_WIRE_MALFORMED, "options", true);
	refuse(HEAD8 "81 a6 74696d696e67 01", GYR_WIRE_MALFORMED, "options", true);
	refuse(HEAD8 "81 a1 78 91 91 91 91 91 00", GYR_WIRE_MALFORMED, "options", true);
	accept(HEAD8 "81 a1 78 91 91 91 91 00");
	refuse(HEAD8 "81 a1 78", GYR_WIRE_MALFORMED, "options", true);
	refuse(HEAD8 "de0011 a000a000a000a000a000a000a000a000a000a000a000a000a000a000a000a000a000", GYR_WIRE_MALFORMED, "options", true);
	accept(HEAD8 "de0010 a000a000a000a000a000a000a000a000a000a000a000a000a000a000a000a000");
}

static void test_typed(void **unused)
{
	accept(HEAD "91 93 02 92 02 03 c4 06 000000000000");
	assert_int_equal(message.tensors[0].form, GYR_WIRE_TYPED);
	assert_int_equal(message.tensors[0].dtype, GYR_DTYPE_U8);
	assert_int_equal(message.tensors[0].rank, 2);
	assert_int_equal(message.tensors[0].dims[0], 2);
	assert_int_equal(message.tensors[0].dims[1], 3);
	assert_int_equal(message.tensors[0].bytes, 6);
	accept(HEAD "91 93 01 90 c4 04 00000000"); /* a scalar */
	assert_int_equal(message.tensors[0].rank, 0);
	accept(HEAD "91 93 01 91 00 c4 00");
	accept(HEAD "91 93 02 98 0101010101010101 c4 01 ff");
	refuse(HEAD "91 93 02 99 010101010101010101 c4 01 ff", GYR_WIRE_MALFORMED, "tensor: more than 8", true);
	refuse(HEAD "91 93 08 91 01 c4 01 ff", GYR_WIRE_MALFORMED, "tensor: dtype", true);
	refuse(HEAD "91 93 00 91 01 c4 01 ff", GYR_WIRE_MALFORMED, "tensor: dtype", true);
	refuse(HEAD "91 93 ce00010001 91 01 c4 01 ff", GYR_WIRE_MALFORMED, "tensor: dtype", true);
	refuse(HEAD "91 93 02 91 ff c4 01 ff", GYR_WIRE_MALFORMED, "tensor: a dimension", true);
	refuse(HEAD "91 93 02 91 cfffffffffffffffff c4 01 ff", GYR_WIRE_MALFORMED, "tensor: a dimension", true);
	refuse(HEAD "91 93 02 91 02 c4 01 ff", GYR_WIRE_MALFORMED, "tensor: the bin", true);
	refuse(HEAD "91 93 02 91 01 c4 02 ffff", GYR_WIRE_MALFORMED, "tensor: the bin", true);
	refuse(HEAD "91 93 02 92 cf4000000000000000 04 c4 00", GYR_WIRE_MALFORMED, "tensor: the bin", true); /* 2^62 x 4 is 0 in 64 bits */
	refuse(HEAD "91 93 02 91 01 a1 ff", GYR_WIRE_MALFORMED, "tensor: no whole bin", true);
	refuse(HEAD "91 93 02 91 01 c4 02 ff", GYR_WIRE_MALFORMED, "tensor: no whole bin", true);
}

static void test_plain(void **unused)
{
	accept(HEAD "91 92 93 01 ff cb3ff0000000000000 93 ca3f800000 cd0100 c3");
	assert_int_equal(message.tensors[0].form, GYR_WIRE_PLAIN);
	assert_int_equal(message.tensors[0].rank, 2);
	assert_int_equal(message.tensors[0].dims[0], 2);
	assert_int_equal(message.tensors[0].dims[1], 3);
	accept(HEAD "91 93 01 02 03"); /* as long as a typed one, but of numbers */
	assert_int_equal(message.tensors[0].form, GYR_WIRE_PLAIN);
	assert_int_equal(message.tensors[0].dims[0], 3);
	accept(HEAD "91 05"); /* one number */
	assert_int_equal(message.tensors[0].rank, 0);
	assert_int_equal(message.tensors[0].bytes, 1);
	accept(HEAD "91 90"); /* nothing at all */
	assert_int_equal(message.tensors[0].rank, 1);
	assert_int_equal(message.tensors[0].dims[0], 0);
	accept(HEAD "91 92 90 90");
	assert_int_equal(message.tensors[0].rank, 2);
	assert_int_equal(message.tensors[0].dims[1], 0);
	accept(HEAD "91 9191919191919191 05");
	assert_int_equal(message.tensors[0].rank, 8);
	refuse(HEAD "91 919191919191919191 05", GYR_WIRE_MALFORMED, "tensor: more than 8", true);
	refuse(HEAD "91 92 92 01 02 91 03", GYR_WIRE_MALFORMED, "tensor: arrays of unequal", true);
	refuse(HEAD "91 92 91 01 02", GYR_WIRE_MALFORMED, "tensor: arrays of unequal", true);
	refuse(HEAD "91 92 01 91 02", GYR_WIRE_MALFORMED, "tensor: neither", true);
	refuse(HEAD "91 92 90 91 01", GYR_WIRE_MALFORMED, "tensor: arrays of unequal", true);
	refuse(HEAD "91 92 90 05", GYR_WIRE_MALFORMED, "tensor: arrays of unequal", true);
	refuse(HEAD "91 92 91 05 91 90", GYR_WIRE_MALFORMED, "tensor: arrays of unequal", true);
	refuse(HEAD "91 92 91 91 05 91 05", GYR_WIRE_MALFORMED, "tensor: arrays of unequal", true);
	refuse(HEAD "91 92 01 a1 78", GYR_WIRE_MALFORMED, "tensor: neither", true);
	refuse(HEAD "91 92 01 c0", GYR_WIRE_MALFORMED, "tensor: neither", true);
	refuse(HEAD "91 c0", GYR_WIRE_MALFORMED, "tensor: neither", true);
	refuse(HEAD "91 80", GYR_WIRE_MALFORMED, "tensor: neither", true);
	refuse(HEAD "91 92 01", GYR_WIRE_MALFORMED, "tensor: neither", true);
	refuse(HEAD "91 91 cb00000000000000", GYR_WIRE_MALFORMED, "tensor: neither", true);
}

static void test_tensor_counts(void **unused)
{
	accept(HEAD "98 c400 c400 c400 c400 93029100c400 9101 05 c400");
	assert_int_equal(message.tensor_count, 8);
	assert_int_equal(message.tensors[4].form, GYR_WIRE_TYPED);
	assert_int_equal(message.tensors[5].form, GYR_WIRE_PLAIN);
	refuse(HEAD "99 c400 c400 c400 c400 c400 c400 c400 c400 c400", GYR_WIRE_MALFORMED, "tensors", true);
	refuse(HEAD "90", GYR_WIRE_MALFORMED, "tensors", true);
	refuse(HEAD "c400", GYR_WIRE_MALFORMED, "tensors", true);
}

static void test_answers(void **unused)
{
	accept("95 01 02 09 03 91 c4 02 aabb");
	assert_int_equal(message.type, GYR_WIRE_RESULT);
	assert_int_equal(message.id, 9);
	assert_int_equal(message.version, 3);
	assert_int_equal(message.tensor_count, 1);
	assert_false(message.has_timing);
	accept("96 01 02 09 03 91 c4 00 c0");
	assert_false(message.has_timing);
	accept("96 01 02 09 03 91 c4 00 93 01 ceffffffff 03");
	assert_true(message.has_timing);
	assert_int_equal(message.timing_ns[1], UINT32_MAX);
	refuse("96 01 02 09 03 91 c4 00 92 01 02", GYR_WIRE_MALFORMED, "timing", true);
	refuse("96 01 02 09 03 91 c4 00 93 01 02 cf0000000100000000", GYR_WIRE_MALFORMED, "timing", true);
	refuse("95 01 02 09 c0 91 c4 00", GYR_WIRE_MALFORMED, "version", true);
	refuse("94 01 02 09 03", GYR_WIRE_MALFORMED, "result", true);

	accept("95 01 03 09 0a a4 62757379");
	assert_int_equal(message.type, GYR_WIRE_ERROR);
	assert_int_equal(message.code, GYR_WIRE_BUSY);
	assert_memory_equal(message.text, "busy", 4);
	assert_int_equal(message.retry_after_us, 0);
	accept("96 01 03 09 0a a0 cd01f4");
	assert_int_equal(message.retry_after_us, 500);
	accept("95 01 03 09 cdffff a0"); /* a code of a later server */
	refuse("95 01 03 09 00 a0", GYR_WIRE_MALFORMED, "code", true);
	refuse("95 01 03 09 ce00010000 a0", GYR_WIRE_MALFORMED, "code", true);
	refuse("95 01 03 09 01 c4 00", GYR_WIRE_MALFORMED, "text", true);
	refuse("96 01 03 09 01 a0 cf0000000100000000", GYR_WIRE_MALFORMED, "retry_after_us", true);
	refuse("97 01 03 09 01 a0 00 00", GYR_WIRE_MALFORMED, "error", true);
}

static void test_the_others(void **unused)
{
	accept("95 01 04 09 a1 6d c0");
	assert_int_equal(message.type, GYR_WIRE_DESCRIBE);
	assert_int_equal(message.model.length, 1);
	refuse("94 01 04 09 a1 6d", GYR_WIRE_MALFORMED, "describe", true);
	refuse("95 01 04 09 c0 c0", GYR_WIRE_MALFORMED, "model", true);
	accept("94 01 05 09 81 a1 78 91 00");
	assert_int_equal(message.type, GYR_WIRE_DESCRIPTION);
	assert_int_equal(message.body_bytes, 5);
	refuse("94 01 05 09 91 00", GYR_WIRE_MALFORMED, "description", true);
	refuse("94 01 05 09 81 a1 78 9191919191919191 00", GYR_WIRE_MALFORMED, "description", true);
	refuse("95 01 05 09 80 00", GYR_WIRE_MALFORMED, "description", true);
	accept("94 01 07 09 c4 02 aabb");
	assert_int_equal(message.type, GYR_WIRE_PING);
	assert_int_equal(message.body_bytes, 2);
	assert_int_equal(message.body[1], 0xbb);
	refuse("94 01 07 09 a2 6161", GYR_WIRE_MALFORMED, "ping", true);
	refuse("93 01 07 09", GYR_WIRE_MALFORMED, "ping", true);
}

static void test_heads(void **unused)
{
	refuse("", GYR_WIRE_MALFORMED, "message", false);
	refuse("c1 00 00", GYR_WIRE_UNSUPPORTED, "sealed", false);
	refuse("80", GYR_WIRE_MALFORMED, "message", false);
	refuse("92 01 01", GYR_WIRE_MALFORMED, "message", false);
	refuse("97 a1 31 01 07 a1 6d c0 00", GYR_WIRE_MALFORMED, "message", false);
	refuse("94 01 07 ff c4 00", GYR_WIRE_MALFORMED, "id", false);
	refuse("94 01 07 c0 c4 00", GYR_WIRE_MALFORMED, "id", false);
	refuse("94 02 07 09 c4 00", GYR_WIRE_UNSUPPORTED, "version", true);
	assert_int_equal(message.id, 9);
	/* The type is told whatever the version, since no answer may be answered. */
	refuse("95 02 03 09 02 a0", GYR_WIRE_UNSUPPORTED, "version", true);
	assert_int_equal(message.type, GYR_WIRE_ERROR);
	refuse("94 01 03 09 02", GYR_WIRE_MALFORMED, "error", true);
	assert_int_equal(message.type, GYR_WIRE_ERROR);
	refuse("94 00 07 09 c4 00", GYR_WIRE_UNSUPPORTED, "version", true);
	refuse("94 01 00 09 c4 00", GYR_WIRE_UNSUPPORTED, "type", true);
	refuse("94 01 09 09 c4 00", GYR_WIRE_UNSUPPORTED, "type", true);
	refuse("94 01 cf0000000100000007 09 c4 00", GYR_WIRE_UNSUPPORTED, "type", true);
	assert_int_equal(message.type, 0);
	refuse("94 01 07 09 c4 00 00", GYR_WIRE_MALFORMED, "message: bytes follow", true);
}

static void test_fragment(void **unused)
{
	accept("96 01 06 09 43 40 c4 03 616263"); /* the last three bytes of 67 */
	assert_int_equal(message.type, GYR_WIRE_FRAGMENT);
	assert_int_equal(message.total, 67);
	assert_int_equal(message.offset, 64);
	assert_int_equal(message.body_bytes, 3);
	assert_memory_equal(message.body, "abc", 3);
	accept("96 01 06 09 ceffffffff ceffffffc0 c4 3f" X63);
	refuse("95 01 06 09 43 40", GYR_WIRE_MALFORMED, "fragment: not an array", true);
	refuse("96 01 06 09 00 00 c4 00", GYR_WIRE_MALFORMED, "total", true);
	refuse("96 01 06 09 cf0000000100000000 00 c4 01 61", GYR_WIRE_MALFORMED, "total", true);
	refuse("96 01 06 09 c0 00 c4 01 61", GYR_WIRE_MALFORMED, "total", true);
	refuse("96 01 06 09 01 ff c4 01 61", GYR_WIRE_MALFORMED, "fragment: no offset", true);
	refuse("96 01 06 09 01 00 a1 61", GYR_WIRE_MALFORMED, "fragment: no offset", true);
	refuse("96 01 06 09 01 00 c4 02 61", GYR_WIRE_MALFORMED, "fragment: no offset", true);
	refuse("96 01 06 09 01 00 c4 00", GYR_WIRE_MALFORMED, "fragment: outside", true);                    /* empty */
	refuse("96 01 06 09 01 00 c4 02 6161", GYR_WIRE_MALFORMED, "fragment: outside", true);               /* past the end */
	refuse("96 01 06 09 43 41 c4 02 6161", GYR_WIRE_MALFORMED, "fragment: outside", true);               /* offset no multiple of 64 */
	refuse("96 01 06 09 43 00 c4 03 616263", GYR_WIRE_MALFORMED, "fragment: outside", true);             /* neither 64 nor the end */
	refuse("96 01 06 09 43 cc80 c4 01 61", GYR_WIRE_MALFORMED, "fragment: outside", true);               /* begins past the end */
	refuse("96 01 06 09 43 cfffffffffffffffc0 c4 01 61", GYR_WIRE_MALFORMED, "fragment: outside", true); /* would wrap */
}

static void test_missing(void **unused)
{
	struct gyr_wire_range range;
	accept("95 01 08 09 43 92 92 00 40 92 40 03");
	assert_int_equal(message.type, GYR_WIRE_MISSING);
	assert_int_equal(message.total, 67);
	assert_true(gyr_wire_next_range(&message, &range));
	assert_int_equal(range.offset, 0);
	assert_int_equal(range.bytes, 64);
	assert_true(gyr_wire_next_range(&message, &range));
	assert_int_equal(range.offset, 64);
	assert_int_equal(range.bytes, 3);
	assert_false(gyr_wire_next_range(&message, &range));
	refuse("94 01 08 09 43", GYR_WIRE_MALFORMED, "missing: not an array of 5", true);
	refuse("95 01 08 09 00 91 92 00 40", GYR_WIRE_MALFORMED, "total", true);
	refuse("95 01 08 09 43 90", GYR_WIRE_MALFORMED, "missing: not an array of 1", true);
	refuse("95 01 08 09 43 c0", GYR_WIRE_MALFORMED, "missing: not an array of 1", true);
	refuse("95 01 08 09 43 91 93 00 40 00", GYR_WIRE_MALFORMED, "missing: a range", true);
	refuse("95 01 08 09 43 91 92 00 00", GYR_WIRE_MALFORMED, "missing: a range", true);
	refuse("95 01 08 09 43 92 92 00 40 92 40 04", GYR_WIRE_MALFORMED, "missing: a range", true);
	refuse("95 01 08 09 43 92 92 00 40 92 40", GYR_WIRE_MALFORMED, "missing: a range", true);
	refuse("95 01 08 09 43 dc0081" X63 X63 X63 X63 X63 X63 "920040 920040", GYR_WIRE_MALFORMED, "missing: not an array of 1", true);
}

static void test_request_fields(void **unused)
{
	refuse("96 01 01 07 a1 6d c0 00", GYR_WIRE_MALFORMED, "request", true);
	refuse("99 01 01 07 a1 6d c0 00 91c400 c0 c0", GYR_WIRE_MALFORMED, "request", true);
	refuse("97 01 01 07 c0 c0 00 91c400", GYR_WIRE_MALFORMED, "model", true);
	refuse("97 01 01 07 ff c0 00 91c400", GYR_WIRE_MALFORMED, "model", true);
	refuse("97 01 01 07 a0 c0 00 91c400", GYR_WIRE_MALFORMED, "model", true);
	refuse("97 01 01 07 a1 6d c3 00 91c400", GYR_WIRE_MALFORMED, "select", true);
	refuse("97 01 01 07 a1 6d a1 2d 00 91c400", GYR_WIRE_MALFORMED, "select", true);
	refuse("97 01 01 07 a1 6d c0 c0 91c400", GYR_WIRE_MALFORMED, "deadline_us", true);
	refuse("97 01 01 07 a1 6d c0 ce03938701 91c400", GYR_WIRE_MALFORMED, "deadline_us", true);
}

static void test_names(void **unused)
{
	char name[GYR_WIRE_NAME_MAX + 1];
	memset(name, 'a', sizeof name);
	assert_true(gyr_wire_name_is_valid(name, GYR_WIRE_NAME_MAX));
	assert_false(gyr_wire_name_is_valid(name, GYR_WIRE_NAME_MAX + 1));
	assert_false(gyr_wire_name_is_valid("", 0));
	for (int byte = 0; byte < 256; byte++) {
		bool letter = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
		name[0] = (char)byte;
		name[1] = 'a';
		assert_int_equal(gyr_wire_name_is_valid(name, 2), letter);
		name[0] = 'a';
		name[1] = (char)byte;
		assert_int_equal(gyr_wire_name_is_valid(name, 2), letter || byte == '.' || byte == '_' || byte == '-');
	}
}

/* Whatever is cut off at the end, the rest is refused, by a reason, and never read past. */
static void test_truncation(void **unused)
{
	static const char *const whole[] = {
		"98 01 01 07 a7 66617368696f6e a1 78 00 93 c4 01 01 93 02 92 02 01 c4 02 0000 92 92 01 cd0100 92 cb3ff0000000000000 c3 81 a6 74696d696e67 c3",
		"96 01 02 09 03 91 c4 02 aabb 93 01 ceffffffff 03",
		"96 01 03 09 0a a4 62757379 cd01f4",
		"95 01 04 09 a1 6d d9026162",
		"94 01 05 09 81 a1 78 91 c4 03 010203",
		"94 01 07 09 c4 02 aabb",
	};
	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
		size_t size;
		accept(whole[i]);
		uint8_t *bytes = bytes_of(whole[i], &size);
		for (size_t length = 0; length < size; length++) {
			uint8_t *cut = malloc(length == 0 ? 1 : length);
			memcpy(cut, bytes, length);
			reason = NULL;
			assert_int_equal(gyr_wire_parse(cut, length, &message, &reason), GYR_WIRE_MALFORMED);
			assert_non_null(reason);
			assert_true(reason[0] != 0);
			free(cut);
		}
	}
}

static void test_code_names(void **unused)
{
	for (int code = 0; code < GYR_WIRE_CODE_COUNT; code++)
		assert_string_not_equal(gyr_wire_code_name((enum gyr_wire_code)code), "?");
	assert_string_equal(gyr_wire_code_name(GYR_WIRE_UNKNOWN_LABEL), "unknown label");
	assert_string_equal(gyr_wire_code_name(GYR_WIRE_CODE_COUNT), "?");
	assert_string_equal(gyr_wire_code_name((enum gyr_wire_code) - 1), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),       cmocka_unit_test(test_options),    cmocka_unit_test(test_typed),          cmocka_unit_test(test_plain),
		cmocka_unit_test(test_tensor_counts), cmocka_unit_test(test_answers),    cmocka_unit_test(test_the_others),     cmocka_unit_test(test_heads),
		cmocka_unit_test(test_fragment),      cmocka_unit_test(test_missing),    cmocka_unit_test(test_request_fields), cmocka_unit_test(test_names),
		cmocka_unit_test(test_truncation),    cmocka_unit_test(test_code_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
