/* What is packed comes back as it was, msgpack-c reads it as one object, and what does not fit is not sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <msgpack.h>
#include <string.h>

#include "dataplane/wire/wire.h"

static uint8_t bytes[4096];
static struct gyr_wire_message message;

/* Parses what was packed, and has msgpack-c say that it is one array of PLACES. */
static void parse(size_t size, enum gyr_wire_type type, uint32_t places)
{
	const char *reason;
	msgpack_unpacked unpacked;
	size_t offset = 0;
	assert_true(size > 0);
	msgpack_unpacked_init(&unpacked);
	assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)bytes, size, &offset), MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(offset, size);
	assert_int_equal(unpacked.data.type, MSGPACK_OBJECT_ARRAY);
	assert_int_equal(unpacked.data.via.array.size, places);
	msgpack_unpacked_destroy(&unpacked);
	if (gyr_wire_parse(bytes, size, &message, &reason) != GYR_WIRE_OK)
		fail_msg("%s", reason);
	assert_int_equal(message.type, type);
}

static const float four[4] = {1.5f, -2, 0, 3e30f};
static const struct gyr_wire_output outputs[] = {
	{.shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {1, 4}}, .data = four, .form = GYR_WIRE_BARE},
	{.shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {2, 2}}, .data = four, .form = GYR_WIRE_TYPED},
	{.shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {2, 2}}, .data = four, .form = GYR_WIRE_PLAIN},
};

static size_t pack_result(size_t size)
{
	const uint32_t timing[3] = {1, 200, 70000};
	return gyr_wire_pack_result(bytes, size, 77, 3, outputs, 3, timing, NULL);
}

static void test_result(void **unused)
{
	float back[4];
	parse(pack_result(sizeof bytes), GYR_WIRE_RESULT, 6);
	assert_int_equal(message.id, 77);
	assert_int_equal(message.version, 3);
	assert_int_equal(message.timing_ns[2], 70000);
	assert_int_equal(message.tensor_count, 3);
	assert_int_equal(message.tensors[0].form, GYR_WIRE_BARE);
	assert_memory_equal(message.tensors[0].data, four, sizeof four);
	assert_int_equal(message.tensors[1].form, GYR_WIRE_TYPED);
	assert_int_equal(message.tensors[1].dtype, GYR_DTYPE_F32);
	assert_int_equal(message.tensors[1].dims[1], 2);
	assert_memory_equal(message.tensors[1].data, four, sizeof four);
	assert_int_equal(message.tensors[2].form, GYR_WIRE_PLAIN);
	assert_int_equal(message.tensors[2].rank, 2);
	assert_int_equal(gyr_wire_plain_read(&message.tensors[2], GYR_DTYPE_F32, back, 4), GYR_WIRE_OK);
	assert_memory_equal(back, four, sizeof four);
}

/* Packing first and computing then leaves the same bytes as the other way round. */
static void test_places(void **unused)
{
	uint8_t first[512];
	uint32_t places[2];
	struct gyr_wire_output empty[2] = {outputs[0], outputs[1]};
	size_t size = gyr_wire_pack_result(bytes, sizeof bytes, 1, 2, outputs, 2, NULL, NULL);
	assert_true(size > 0 && size <= sizeof first);
	memcpy(first, bytes, size);
	memset(bytes, 0, sizeof bytes);
	empty[0].data = empty[1].data = NULL;
	assert_int_equal(gyr_wire_pack_result(bytes, sizeof bytes, 1, 2, empty, 2, NULL, places), size);
	memcpy(bytes + places[0], four, sizeof four);
	memcpy(bytes + places[1], four, sizeof four);
	assert_memory_equal(bytes, first, size);
}

static size_t pack_request(size_t size)
{
	const struct gyr_wire_ref model = {.name = "fashion", .length = 7, .present = true}, select = {.present = true, .number = 300};
	return gyr_wire_pack_request(bytes, size, UINT64_MAX, &model, &select, 5000, outputs, 2, true);
}

static size_t pack_error(size_t size)
{
	return gyr_wire_pack_error(bytes, size, 5, GYR_WIRE_BUSY, "come back", 250);
}

static size_t pack_describe(size_t size)
{
	const struct gyr_wire_ref handle = {.present = true, .number = 4}, label = {.name = "stable", .length = 6, .present = true};
	return gyr_wire_pack_describe(bytes, size, 6, &handle, &label);
}

static size_t pack_ping(size_t size)
{
	return gyr_wire_pack_ping(bytes, size, 8, "abcd", 4);
}

static size_t pack_description(size_t size)
{
	static const uint64_t versions[] = {1, 2};
	static const struct gyr_wire_label labels[] = {{"stable", 1}, {"canary", 2}};
	static const struct gyr_wire_value input = {"image", {.dtype = GYR_DTYPE_U8, .rank = 2, .dims = {GYR_DIM_BATCH, 784}}},
					   output = {"scores", {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {GYR_DIM_BATCH, 10}}};
	const struct gyr_wire_description description = {.model = "fashion",
							 .handle = 4,
							 .version_count = 2,
							 .versions = versions,
							 .label_count = 2,
							 .labels = labels,
							 .input_count = 1,
							 .inputs = &input,
							 .output_count = 1,
							 .outputs = &output,
							 .batch_max = 64,
							 .datagram_max = 1472,
							 .message_max = 1048576};
	return gyr_wire_pack_description(bytes, size, 9, &description);
}

static void test_request(void **unused)
{
	parse(pack_request(sizeof bytes), GYR_WIRE_REQUEST, 8);
	assert_int_equal(message.id, UINT64_MAX);
	assert_memory_equal(message.model.name, "fashion", 7);
	assert_int_equal(message.select.number, 300);
	assert_int_equal(message.deadline_us, 5000);
	assert_true(message.want_timing);
	assert_int_equal(message.tensor_count, 2);
	/* No select and no timing. */
	const struct gyr_wire_ref model = {.present = true, .number = 1}, absent = {0};
	parse(gyr_wire_pack_request(bytes, sizeof bytes, 0, &model, &absent, 0, outputs, 1, false), GYR_WIRE_REQUEST, 7);
	assert_false(message.select.present);
	parse(gyr_wire_pack_request(bytes, sizeof bytes, 0, &model, NULL, 0, outputs, 1, false), GYR_WIRE_REQUEST, 7);
	assert_false(message.select.present);
}

static void test_error(void **unused)
{
	parse(pack_error(sizeof bytes), GYR_WIRE_ERROR, 6);
	assert_int_equal(message.code, GYR_WIRE_BUSY);
	assert_memory_equal(message.text, "come back", 9);
	assert_int_equal(message.retry_after_us, 250);
	parse(gyr_wire_pack_error(bytes, sizeof bytes, 5, GYR_WIRE_INTERNAL, "", 0), GYR_WIRE_ERROR, 5);
	assert_int_equal(message.text_length, 0);
	assert_int_equal(message.retry_after_us, 0);
}

static void test_describe_and_ping(void **unused)
{
	parse(pack_describe(sizeof bytes), GYR_WIRE_DESCRIBE, 5);
	assert_int_equal(message.model.number, 4);
	assert_memory_equal(message.select.name, "stable", 6);
	parse(pack_ping(sizeof bytes), GYR_WIRE_PING, 4);
	assert_memory_equal(message.body, "abcd", 4);
	parse(gyr_wire_pack_ping(bytes, sizeof bytes, 8, NULL, 0), GYR_WIRE_PING, 4);
	assert_int_equal(message.body_bytes, 0);
}

static void test_description(void **unused)
{
	static const char expected[] = "{\"model\"=>\"fashion\", \"handle\"=>4, \"versions\"=>[1, 2], \"labels\"=>{\"stable\"=>1, \"canary\"=>2}, "
				       "\"inputs\"=>[[\"image\", 2, [-1, 784]]], \"outputs\"=>[[\"scores\", 1, [-1, 10]]], \"limits\"=>{\"batch\"=>64, "
				       "\"datagram\"=>1472, \"message\"=>1048576}}";
	char text[512];
	msgpack_unpacked unpacked;
	parse(pack_description(sizeof bytes), GYR_WIRE_DESCRIPTION, 4);
	msgpack_unpacked_init(&unpacked);
	assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)message.body, message.body_bytes, NULL), MSGPACK_UNPACK_SUCCESS);
	assert_true(msgpack_object_print_buffer(text, sizeof text, unpacked.data) > 0);
	assert_string_equal(text, expected);
	msgpack_unpacked_destroy(&unpacked);
}

/* Into every smaller room: nothing, and no byte beyond it. */
static void test_no_room(void **unused)
{
	static size_t (*const packers[])(size_t size) = {pack_result, pack_request, pack_error, pack_describe, pack_ping, pack_description};
	for (size_t i = 0; i < sizeof packers / sizeof packers[0]; i++) {
		size_t whole = packers[i](sizeof bytes);
		assert_int_equal(packers[i](whole), whole);
		for (size_t size = 0; size < whole; size++) {
			memset(bytes, 0xee, sizeof bytes);
			assert_int_equal(packers[i](size), 0);
			for (size_t at = size; at < whole + 8; at++)
				assert_int_equal(bytes[at], 0xee);
		}
	}
	/* More than a length of 32 bits can say. */
	struct gyr_wire_output huge = {.shape = {.dtype = GYR_DTYPE_U8, .rank = 1, .dims = {INT64_C(1) << 33}}, .form = GYR_WIRE_BARE};
	assert_int_equal(gyr_wire_pack_result(bytes, sizeof bytes, 1, 1, &huge, 1, NULL, NULL), 0);
}

static void test_fragment(void **unused)
{
	uint8_t piece[128];
	memset(piece, 7, sizeof piece);
	/* The head is never longer than it is said to be. */
	size_t size = gyr_wire_pack_fragment(bytes, sizeof bytes, UINT64_MAX, UINT32_MAX, 1u << 31, piece, sizeof piece);
	assert_true(size <= GYR_WIRE_FRAGMENT_HEAD_MAX + sizeof piece);
	parse(size, GYR_WIRE_FRAGMENT, 6);
	assert_int_equal(message.id, UINT64_MAX);
	assert_int_equal(message.total, UINT32_MAX);
	assert_int_equal(message.offset, 1u << 31);
	assert_int_equal(message.body_bytes, sizeof piece);
	assert_memory_equal(message.body, piece, sizeof piece);
	assert_int_equal(gyr_wire_pack_fragment(bytes, size - 1, UINT64_MAX, UINT32_MAX, 1u << 31, piece, sizeof piece), 0);
}

static void test_missing(void **unused)
{
	struct gyr_wire_range ranges[GYR_WIRE_RANGES_MAX], back;
	for (uint32_t i = 0; i < GYR_WIRE_RANGES_MAX; i++)
		ranges[i] = (struct gyr_wire_range){.offset = i * 65536, .bytes = 64 * (i + 1)};
	size_t size = gyr_wire_pack_missing(bytes, sizeof bytes, 5, 1u << 30, ranges, GYR_WIRE_RANGES_MAX);
	parse(size, GYR_WIRE_MISSING, 5);
	for (uint32_t i = 0; i < GYR_WIRE_RANGES_MAX; i++) {
		assert_true(gyr_wire_next_range(&message, &back));
		assert_memory_equal(&back, &ranges[i], sizeof back);
	}
	assert_false(gyr_wire_next_range(&message, &back));
	/* The first half goes where not all fit; nothing where none does. */
	parse(gyr_wire_pack_missing(bytes, size - 1, 5, 1u << 30, ranges, GYR_WIRE_RANGES_MAX), GYR_WIRE_MISSING, 5);
	uint32_t count = 0;
	while (gyr_wire_next_range(&message, &back))
		count++;
	assert_int_equal(count, GYR_WIRE_RANGES_MAX / 2);
	assert_int_equal(gyr_wire_pack_missing(bytes, 10, 5, 1u << 30, ranges, GYR_WIRE_RANGES_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fragment),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_describe_and_ping),
		cmocka_unit_test(test_description),
		cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
