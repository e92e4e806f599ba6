/*
 * Fuzzes the cursor, the wire's parser and the link's. msgpack-c is the oracle: what we accept it must read as one object of the same content, and what it
 * reads we must accept. What was parsed is packed and parsed again: from then on nothing may change.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "base/unpack.h"
#include "dataplane/link/link.h"
#include "dataplane/wire/wire.h"
#include "tests/unit/base/oracle.h"

#define DEPTH_MAX 32u
#define ELEMENTS_MAX 65536u

/* Stays on whatever the build: it is what a fuzzer is for. */
#define MUST(condition) ((condition) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort()))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* msgpack-c takes memory for as many elements as a head of 16 or 32 bits promises before it looks for them; such inputs are no use as a test of us. */
static bool promises_much(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] >= 0xdc && data[i] <= 0xdf)
			return true;
	return false;
}

static void check_cursor(const uint8_t *data, size_t size)
{
	struct gyr_unpack cursor = {data, data + size}, again = cursor;
	bool whole = gyr_unpack_skip(&cursor, DEPTH_MAX);
	MUST(cursor.at >= data && cursor.at <= data + size);
	MUST(whole || cursor.at == data);
	if (!whole && promises_much(data, size))
		return;
	msgpack_unpacked unpacked;
	size_t offset = 0;
	msgpack_unpacked_init(&unpacked);
	msgpack_unpack_return status = msgpack_unpack_next(&unpacked, (const char *)data, size, &offset);
	bool read = status == MSGPACK_UNPACK_SUCCESS || status == MSGPACK_UNPACK_EXTRA_BYTES;
	/* msgpack-c bounds its own depth, one short of ours for an innermost container; deeper than it goes it can tell us nothing. */
	if (status != MSGPACK_UNPACK_NOMEM_ERROR)
		MUST(read == whole);
	if (read && whole) {
		MUST(offset == (size_t)(cursor.at - data));
		MUST(oracle_is_same(&again, &unpacked.data));
		MUST(again.at == cursor.at);
	}
	msgpack_unpacked_destroy(&unpacked);
}

/* The tensors of MESSAGE as outputs to be packed; plain numbers as f64, which holds what any of them became. */
static void outputs_of(const struct gyr_wire_message *message, struct gyr_wire_output *outputs)
{
	static double elements[GYR_WIRE_TENSORS_MAX][ELEMENTS_MAX];
	for (uint32_t i = 0; i < message->tensor_count; i++) {
		const struct gyr_wire_tensor *tensor = &message->tensors[i];
		struct gyr_wire_output *output = &outputs[i];
		*output = (struct gyr_wire_output){.form = tensor->form, .data = tensor->data};
		output->shape = (struct gyr_shape){.dtype = GYR_DTYPE_U8, .rank = 1, .dims = {tensor->bytes}};
		if (tensor->form == GYR_WIRE_BARE)
			continue;
		output->shape = (struct gyr_shape){.dtype = tensor->form == GYR_WIRE_TYPED ? tensor->dtype : GYR_DTYPE_F64, .rank = tensor->rank};
		memcpy(output->shape.dims, tensor->dims, tensor->rank * sizeof tensor->dims[0]);
		size_t count;
		MUST(gyr_shape_count(&output->shape, 0, &count));
		if (tensor->form != GYR_WIRE_PLAIN)
			continue;
		MUST(count <= tensor->bytes && count <= ELEMENTS_MAX);
		for (int dtype = 0; dtype <= GYR_DTYPE_BF16; dtype++) {
			enum gyr_wire_code code = gyr_wire_plain_read(tensor, (enum gyr_dtype)dtype, elements[i], count);
			MUST(code == GYR_WIRE_OK || code == GYR_WIRE_BAD_DTYPE);
		}
		MUST(gyr_wire_plain_read(tensor, GYR_DTYPE_F64, elements[i], count) == GYR_WIRE_OK);
		output->data = elements[i];
	}
}

static size_t pack_ranges(uint8_t *to, size_t size, struct gyr_wire_message message)
{
	struct gyr_wire_range ranges[GYR_WIRE_RANGES_MAX];
	uint32_t count = 0;
	while (gyr_wire_next_range(&message, &ranges[count < GYR_WIRE_RANGES_MAX ? count : 0]))
		MUST(++count <= GYR_WIRE_RANGES_MAX);
	MUST(count > 0 && message.body_bytes == 0);
	return gyr_wire_pack_missing(to, size, message.id, message.total, ranges, count);
}

static size_t pack_again(uint8_t *to, size_t size, const struct gyr_wire_message *message)
{
	struct gyr_wire_output outputs[GYR_WIRE_TENSORS_MAX];
	char text[ELEMENTS_MAX];
	outputs_of(message, outputs);
	switch (message->type) {
	case GYR_WIRE_REQUEST:
		return gyr_wire_pack_request(to, size, message->id, &message->model, &message->select, message->deadline_us, outputs, message->tensor_count,
					     message->want_timing);
	case GYR_WIRE_RESULT:
		return gyr_wire_pack_result(to, size, message->id, message->version, outputs, message->tensor_count,
					    message->has_timing ? message->timing_ns : NULL, NULL);
	case GYR_WIRE_ERROR:
		MUST(message->text_length < sizeof text);
		memcpy(text, message->text, message->text_length);
		text[message->text_length] = 0;
		return gyr_wire_pack_error(to, size, message->id, message->code, text, message->retry_after_us);
	case GYR_WIRE_DESCRIBE: return gyr_wire_pack_describe(to, size, message->id, &message->model, &message->select);
	case GYR_WIRE_PING: return gyr_wire_pack_ping(to, size, message->id, message->body, message->body_bytes);
	case GYR_WIRE_FRAGMENT: return gyr_wire_pack_fragment(to, size, message->id, message->total, message->offset, message->body, message->body_bytes);
	case GYR_WIRE_MISSING: return pack_ranges(to, size, *message);
	default: return 0; /* a description: what it holds is not parsed */
	}
}

static void check_wire(const uint8_t *data, size_t size)
{
	static uint8_t first[1 << 21], second[1 << 21]; /* a plain number may grow from one byte to nine */
	struct gyr_wire_message message, again;
	const char *reason = NULL;
	enum gyr_wire_code code = gyr_wire_parse(data, size, &message, &reason);
	MUST(reason != NULL && (reason[0] != 0) == (code != GYR_WIRE_OK));
	if (code != GYR_WIRE_OK) {
		MUST(code == GYR_WIRE_MALFORMED || code == GYR_WIRE_UNSUPPORTED);
		return;
	}
	struct gyr_unpack whole = {data, data + size};
	MUST(gyr_unpack_skip(&whole, DEPTH_MAX) && whole.at == whole.end);
	MUST(message.has_id);
	size_t packed = pack_again(first, sizeof first, &message);
	if (message.type == GYR_WIRE_DESCRIPTION)
		return;
	MUST(packed > 0);
	MUST(gyr_wire_parse(first, packed, &again, &reason) == GYR_WIRE_OK);
	MUST(again.type == message.type && again.id == message.id && again.version == message.version && again.code == message.code);
	MUST(again.tensor_count == message.tensor_count && again.deadline_us == message.deadline_us && again.want_timing == message.want_timing);
	for (uint32_t i = 0; i < message.tensor_count; i++) {
		const struct gyr_wire_tensor *a = &message.tensors[i], *b = &again.tensors[i];
		MUST(a->form == b->form && a->dtype == b->dtype && a->rank == b->rank);
		MUST(memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0);
		MUST(a->form == GYR_WIRE_PLAIN || (a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0));
	}
	size_t repacked = pack_again(second, sizeof second, &again);
	/* Of a text only what lies before a zero was packed, so its second packing is the first that can be compared. */
	MUST(repacked == packed && memcmp(first, second, packed) == 0);
}

static void check_link(const uint8_t *data, size_t size)
{
	static struct gyr_link_request request;
	static struct gyr_link_answer answer;
	static uint8_t first[1 << 17], second[1 << 17];
	struct gyr_error error;
	int status = gyr_link_parse_request(data, size, &request, &error);
	MUST(status == 0 || status == -EBADMSG || status == -EPROTONOSUPPORT);
	if (status == 0) {
		size_t packed = gyr_link_pack_request(first, sizeof first, &request);
		MUST(packed > 0 && gyr_link_parse_request(first, packed, &request, &error) == 0);
		MUST(gyr_link_pack_request(second, sizeof second, &request) == packed && memcmp(first, second, packed) == 0);
	}
	status = gyr_link_parse_answer(data, size, &answer, &error);
	MUST(status == 0 || status == -EBADMSG || status == -EPROTONOSUPPORT);
	if (status == 0) {
		size_t packed = gyr_link_pack_answer(first, sizeof first, &answer);
		MUST(packed > 0 && gyr_link_parse_answer(first, packed, &answer, &error) == 0);
		MUST(gyr_link_pack_answer(second, sizeof second, &answer) == packed && memcmp(first, second, packed) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > GYR_WIRE_DATAGRAM_MAX)
		return 0;
	check_cursor(data, size);
	check_wire(data, size);
	check_link(data, size);
	return 0;
}
