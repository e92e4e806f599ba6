/*
 * From a datagram to a struct gyr_wire_message: one pass of the bounded cursor, which leaves the tensors where they lie. Every refusal is a constant string, so
 * that refusing costs no more than accepting.
 */
#include "dataplane/wire/wire.h"

#include "base/unpack.h"
#include "dataplane/wire/pieces.h"
#include "dataplane/wire/wire_internal.h"

#define OPTIONS_MAX 16u     /* pairs of a request's options */
#define OPTION_DEPTH_MAX 4u /* arrays and maps inside each other in the value of an option that we do not know */
#define BODY_DEPTH_MAX 8u   /* the same in a description */

struct parser {
	struct gyr_unpack cursor;
	uint32_t places; /* of the message's array */
	const char *reason;
};

static bool refuse(struct parser *parser, const char *reason)
{
	parser->reason = reason;
	return false;
}

bool gyr_wire_name_is_valid(const char *name, size_t length)
{
	static const bool allowed[256] = {['a' ... 'z'] = true, ['0' ... '9'] = true, ['.'] = true, ['_'] = true, ['-'] = true};
	if (length == 0 || length > GYR_WIRE_NAME_MAX || name[0] == '.' || name[0] == '_' || name[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!allowed[(uint8_t)name[i]])
			return false;
	return true;
}

static bool parse_ref(struct parser *parser, struct gyr_wire_ref *ref)
{
	*ref = (struct gyr_wire_ref){.present = true};
	if (gyr_unpack_str(&parser->cursor, &ref->name, &ref->length))
		return gyr_wire_name_is_valid(ref->name, ref->length);
	return gyr_unpack_uint(&parser->cursor, &ref->number);
}

static bool parse_model_and_select(struct parser *parser, struct gyr_wire_message *message)
{
	if (!parse_ref(parser, &message->model))
		return refuse(parser, "model: neither a name (1 to 63 of a-z 0-9 . _ -, the first a letter or digit) nor a handle");
	if (gyr_unpack_nil(&parser->cursor))
		return true;
	if (!parse_ref(parser, &message->select))
		return refuse(parser, "select: neither nil, a version, nor a label (1 to 63 of a-z 0-9 . _ -, the first a letter or digit)");
	return true;
}

/* [dtype, shape, bin]; the cursor stands behind dtype. */
static bool parse_typed(struct parser *parser, uint64_t dtype, struct gyr_wire_tensor *tensor)
{
	struct gyr_unpack *cursor = &parser->cursor;
	struct gyr_shape shape = {.dtype = (enum gyr_dtype)dtype};
	if (dtype > UINT16_MAX || gyr_dtype_bytes(shape.dtype) == 0)
		return refuse(parser, "tensor: dtype is none of WIRE.md's");
	if (!gyr_unpack_array(cursor, &shape.rank) || shape.rank > GYR_RANK_MAX)
		return refuse(parser, "tensor: more than 8 dimensions");
	for (uint32_t i = 0; i < shape.rank; i++) {
		uint64_t dim;
		if (!gyr_unpack_uint(cursor, &dim) || dim > INT64_MAX)
			return refuse(parser, "tensor: a dimension is no whole number from 0 on");
		tensor->dims[i] = shape.dims[i] = (int64_t)dim;
	}
	size_t bytes;
	if (!gyr_unpack_bin(cursor, &tensor->data, &tensor->bytes))
		return refuse(parser, "tensor: no whole bin after dtype and shape");
	if (!gyr_shape_bytes(&shape, 0, &bytes) || bytes != tensor->bytes)
		return refuse(parser, "tensor: the bin is not as long as dtype and shape say");
	tensor->form = GYR_WIRE_TYPED;
	tensor->dtype = (uint16_t)dtype;
	tensor->rank = (uint8_t)shape.rank;
	return true;
}

/* Numbers nested evenly. The first number, or the first empty array, fixes the rank; the first array at each depth its dimension. */
static bool parse_plain(struct parser *parser, struct gyr_wire_tensor *tensor)
{
	struct gyr_unpack *cursor = &parser->cursor;
	uint32_t left[GYR_WIRE_NEST_MAX]; /* elements still to come at each depth */
	uint32_t depth = 0, rank = UINT32_MAX, count;
	tensor->data = cursor->at;
	do {
		if (gyr_unpack_array(cursor, &count)) {
			if (depth == GYR_WIRE_NEST_MAX)
				return refuse(parser, "tensor: more than 8 arrays inside each other");
			if (rank == UINT32_MAX)
				tensor->dims[depth] = count;
			else if (depth >= rank || tensor->dims[depth] != count)
				return refuse(parser, "tensor: arrays of unequal length or depth");
			if (depth > 0)
				left[depth - 1]--;
			left[depth++] = count;
			if (count == 0 && rank == UINT32_MAX)
				rank = depth;
		} else {
			if (rank == UINT32_MAX)
				rank = depth;
			for (count = depth == 0 ? 1 : left[depth - 1]; count > 0; count--) {
				unsigned bytes = cursor->at == cursor->end ? 0 : gyr_wire_number_bytes[*cursor->at];
				if (bytes == 0 || bytes > (size_t)(cursor->end - cursor->at))
					return refuse(parser, "tensor: neither a bin, [dtype, shape, bin], nor numbers in even arrays, or not all there");
				cursor->at += bytes;
			}
			if (depth != rank)
				return refuse(parser, "tensor: arrays of unequal length or depth");
			if (depth > 0)
				left[depth - 1] = 0;
		}
		while (depth > 0 && left[depth - 1] == 0)
			depth--;
	} while (depth > 0);
	tensor->form = GYR_WIRE_PLAIN;
	tensor->dtype = GYR_DTYPE_NONE;
	tensor->rank = (uint8_t)rank;
	tensor->bytes = (uint32_t)(cursor->at - tensor->data);
	return true;
}

static bool parse_tensors(struct parser *parser, struct gyr_wire_message *message)
{
	struct gyr_unpack *cursor = &parser->cursor;
	uint32_t count;
	if (!gyr_unpack_array(cursor, &count) || count == 0 || count > GYR_WIRE_TENSORS_MAX)
		return refuse(parser, "tensors: not an array of 1 to 8");
	for (uint32_t i = 0; i < count; i++) {
		struct gyr_wire_tensor *tensor = &message->tensors[i];
		if (gyr_unpack_bin(cursor, &tensor->data, &tensor->bytes)) {
			tensor->form = GYR_WIRE_BARE;
			tensor->dtype = GYR_DTYPE_NONE;
			tensor->rank = 0;
			continue;
		}
		/* A plain array whose first element is a number holds no array, so [number, array, ...] can only be typed. */
		struct gyr_unpack ahead = *cursor;
		uint32_t places;
		uint64_t dtype;
		if (gyr_unpack_array(&ahead, &places) && places == 3 && gyr_unpack_uint(&ahead, &dtype) && gyr_unpack_peek(&ahead) == GYR_UNPACK_ARRAY) {
			*cursor = ahead;
			if (!parse_typed(parser, dtype, tensor))
				return false;
		} else if (!parse_plain(parser, tensor)) {
			return false;
		}
	}
	message->tensor_count = count;
	return true;
}

static bool parse_options(struct parser *parser, struct gyr_wire_message *message)
{
	struct gyr_unpack *cursor = &parser->cursor;
	uint32_t count;
	if (gyr_unpack_nil(cursor))
		return true;
	if (!gyr_unpack_map(cursor, &count) || count > OPTIONS_MAX)
		return refuse(parser, "options: neither nil nor a map of at most 16 pairs");
	for (uint32_t i = 0; i < count; i++) {
		const char *key;
		uint32_t length;
		if (!gyr_unpack_str(cursor, &key, &length))
			return refuse(parser, "options: a key is no str");
		if (gyr_unpack_is(key, length, "timing")) {
			if (!gyr_unpack_bool(cursor, &message->want_timing))
				return refuse(parser, "options: timing is neither true nor false");
		} else if (gyr_unpack_is(key, length, "order")) {
			if (!gyr_unpack_bool(cursor, &message->want_order))
				return refuse(parser, "options: order is neither true nor false");
		} else if (!gyr_unpack_skip(cursor, OPTION_DEPTH_MAX)) {
			return refuse(parser, "options: a value is not all there, or more than 4 deep");
		}
	}
	return true;
}

static bool parse_request(struct parser *parser, struct gyr_wire_message *message)
{
	uint64_t deadline_us;
	if (parser->places != 7 && parser->places != 8)
		return refuse(parser, "request: not an array of 7 or 8");
	if (!parse_model_and_select(parser, message))
		return false;
	if (!gyr_unpack_uint(&parser->cursor, &deadline_us) || deadline_us > GYR_WIRE_DEADLINE_US_MAX)
		return refuse(parser, "deadline_us: no whole number from 0 to 60000000");
	message->deadline_us = (uint32_t)deadline_us;
	return parse_tensors(parser, message) && (parser->places == 7 || parse_options(parser, message));
}

static bool parse_timing(struct parser *parser, struct gyr_wire_message *message)
{
	uint32_t count;
	if (gyr_unpack_nil(&parser->cursor))
		return true;
	if (!gyr_unpack_array(&parser->cursor, &count) || count != 3)
		return refuse(parser, "timing: neither nil nor an array of 3");
	for (uint32_t i = 0; i < count; i++) {
		uint64_t value_ns;
		if (!gyr_unpack_uint(&parser->cursor, &value_ns) || value_ns > UINT32_MAX)
			return refuse(parser, "timing: no whole number of 32 bits");
		message->timing_ns[i] = (uint32_t)value_ns;
	}
	message->has_timing = true;
	return true;
}

static bool parse_result(struct parser *parser, struct gyr_wire_message *message)
{
	if (parser->places != 5 && parser->places != 6)
		return refuse(parser, "result: not an array of 5 or 6");
	if (!gyr_unpack_uint(&parser->cursor, &message->version))
		return refuse(parser, "version: no whole number from 0 on");
	return parse_tensors(parser, message) && (parser->places == 5 || parse_timing(parser, message));
}

static bool parse_error(struct parser *parser, struct gyr_wire_message *message)
{
	uint64_t code, retry_after_us = 0;
	if (parser->places != 5 && parser->places != 6)
		return refuse(parser, "error: not an array of 5 or 6");
	if (!gyr_unpack_uint(&parser->cursor, &code) || code == 0 || code > UINT16_MAX)
		return refuse(parser, "code: no whole number from 1 to 65535");
	if (!gyr_unpack_str(&parser->cursor, &message->text, &message->text_length))
		return refuse(parser, "text: no whole str");
	if (parser->places == 6 && (!gyr_unpack_uint(&parser->cursor, &retry_after_us) || retry_after_us > UINT32_MAX))
		return refuse(parser, "retry_after_us: no whole number of 32 bits");
	message->code = (enum gyr_wire_code)code;
	message->retry_after_us = (uint32_t)retry_after_us;
	return true;
}

static bool parse_describe(struct parser *parser, struct gyr_wire_message *message)
{
	if (parser->places != 5)
		return refuse(parser, "describe: not an array of 5");
	return parse_model_and_select(parser, message);
}

static bool parse_description(struct parser *parser, struct gyr_wire_message *message)
{
	if (parser->places != 4)
		return refuse(parser, "description: not an array of 4");
	message->body = parser->cursor.at;
	if (gyr_unpack_peek(&parser->cursor) != GYR_UNPACK_MAP || !gyr_unpack_skip(&parser->cursor, BODY_DEPTH_MAX))
		return refuse(parser, "description: no whole map, or more than 8 deep");
	message->body_bytes = (uint32_t)(parser->cursor.at - message->body);
	return true;
}

static bool parse_ping(struct parser *parser, struct gyr_wire_message *message)
{
	if (parser->places != 4)
		return refuse(parser, "ping: not an array of 4");
	if (!gyr_unpack_bin(&parser->cursor, &message->body, &message->body_bytes))
		return refuse(parser, "ping: no whole bin");
	return true;
}

static bool parse_total(struct parser *parser, struct gyr_wire_message *message)
{
	uint64_t total;
	if (!gyr_unpack_uint(&parser->cursor, &total) || total == 0 || total > UINT32_MAX)
		return refuse(parser, "total: no whole number from 1 to 2^32 - 1");
	message->total = (uint32_t)total;
	return true;
}

static bool parse_fragment(struct parser *parser, struct gyr_wire_message *message)
{
	uint64_t offset;
	if (parser->places != 6)
		return refuse(parser, "fragment: not an array of 6");
	if (!parse_total(parser, message))
		return false;
	if (!gyr_unpack_uint(&parser->cursor, &offset) || !gyr_unpack_bin(&parser->cursor, &message->body, &message->body_bytes))
		return refuse(parser, "fragment: no offset, or no whole bin");
	if (!gyr_pieces_may_be(message->total, offset, message->body_bytes))
		return refuse(parser, "fragment: outside the message, or not of whole 64 bytes");
	message->offset = (uint32_t)offset;
	return true;
}

/* [offset, bytes], of a message of TOTAL bytes. */
static bool parse_range(struct gyr_unpack *cursor, uint32_t total, struct gyr_wire_range *range)
{
	uint32_t places;
	uint64_t offset, bytes;
	if (!gyr_unpack_array(cursor, &places) || places != 2 || !gyr_unpack_uint(cursor, &offset) || !gyr_unpack_uint(cursor, &bytes) ||
	    !gyr_pieces_may_be(total, offset, bytes))
		return false;
	*range = (struct gyr_wire_range){(uint32_t)offset, (uint32_t)bytes};
	return true;
}

static bool parse_missing(struct parser *parser, struct gyr_wire_message *message)
{
	uint32_t count;
	struct gyr_wire_range range;
	if (parser->places != 5)
		return refuse(parser, "missing: not an array of 5");
	if (!parse_total(parser, message))
		return false;
	if (!gyr_unpack_array(&parser->cursor, &count) || count == 0 || count > GYR_WIRE_RANGES_MAX)
		return refuse(parser, "missing: not an array of 1 to 128 ranges");
	message->body = parser->cursor.at;
	for (uint32_t i = 0; i < count; i++) {
		if (!parse_range(&parser->cursor, message->total, &range))
			return refuse(parser, "missing: a range is no [offset, bytes] within the message, of whole 64 bytes");
	}
	message->body_bytes = (uint32_t)(parser->cursor.at - message->body);
	return true;
}

bool gyr_wire_next_range(struct gyr_wire_message *message, struct gyr_wire_range *range)
{
	struct gyr_unpack cursor = {message->body, message->body + message->body_bytes};
	if (message->body_bytes == 0 || !parse_range(&cursor, message->total, range))
		return false;
	message->body = cursor.at;
	message->body_bytes = (uint32_t)(cursor.end - cursor.at);
	return true;
}

/* Everything but the tensors, a piece's place, and what is set beside them. */
static void clear(struct gyr_wire_message *message)
{
	message->type = (enum gyr_wire_type)0;
	message->id = 0;
	message->has_id = false;
	message->model = message->select = (struct gyr_wire_ref){0};
	message->deadline_us = 0;
	message->want_timing = false;
	message->want_order = false;
	message->version = 0;
	message->tensor_count = 0;
	message->has_timing = false;
	message->code = GYR_WIRE_OK;
	message->text = NULL;
	message->text_length = 0;
	message->retry_after_us = 0;
	message->body = NULL;
	message->body_bytes = 0;
}

enum gyr_wire_code gyr_wire_parse(const void *bytes, size_t size, struct gyr_wire_message *message, const char **reason)
{
	struct parser parser = {.cursor = {bytes, (const uint8_t *)bytes + size}};
	struct gyr_unpack *cursor = &parser.cursor;
	uint64_t version, type;
	clear(message);
	*reason = "";
	if (size > 0 && *cursor->at == GYR_WIRE_SEALED) {
		*reason = "sealed datagrams are not served";
		return GYR_WIRE_UNSUPPORTED;
	}
	if (!gyr_unpack_array(cursor, &parser.places) || parser.places < 3 || !gyr_unpack_uint(cursor, &version) || !gyr_unpack_uint(cursor, &type)) {
		*reason = "message: not a msgpack array that starts with version and type";
		return GYR_WIRE_MALFORMED;
	}
	/* Every version of the wire starts so: one that we do not know gets an answer that its sender can match, unless it is an answer itself. */
	if (!gyr_unpack_uint(cursor, &message->id)) {
		*reason = "id: no whole number from 0 on";
		return GYR_WIRE_MALFORMED;
	}
	message->has_id = true;
	message->type = (enum gyr_wire_type)(type <= GYR_WIRE_MISSING ? type : 0);
	if (version != GYR_WIRE_VERSION) {
		*reason = "version: only 1 is served";
		return GYR_WIRE_UNSUPPORTED;
	}
	bool good;
	switch (type) {
	case GYR_WIRE_REQUEST: good = parse_request(&parser, message); break;
	case GYR_WIRE_RESULT: good = parse_result(&parser, message); break;
	case GYR_WIRE_ERROR: good = parse_error(&parser, message); break;
	case GYR_WIRE_DESCRIBE: good = parse_describe(&parser, message); break;
	case GYR_WIRE_DESCRIPTION: good = parse_description(&parser, message); break;
	case GYR_WIRE_PING: good = parse_ping(&parser, message); break;
	case GYR_WIRE_FRAGMENT: good = parse_fragment(&parser, message); break;
	case GYR_WIRE_MISSING: good = parse_missing(&parser, message); break;
	default: *reason = "type: none of WIRE.md's"; return GYR_WIRE_UNSUPPORTED;
	}
	if (good && cursor->at != cursor->end)
		good = refuse(&parser, "message: bytes follow the array");
	if (good)
		return GYR_WIRE_OK;
	*reason = parser.reason;
	return GYR_WIRE_MALFORMED;
}

const char *gyr_wire_code_name(enum gyr_wire_code code)
{
	static const char *const names[GYR_WIRE_CODE_COUNT] = {
		[GYR_WIRE_OK] = "ok",
		[GYR_WIRE_MALFORMED] = "malformed",
		[GYR_WIRE_UNSUPPORTED] = "unsupported",
		[GYR_WIRE_UNKNOWN_MODEL] = "unknown model",
		[GYR_WIRE_UNKNOWN_VERSION] = "unknown version",
		[GYR_WIRE_UNKNOWN_LABEL] = "unknown label",
		[GYR_WIRE_BAD_SHAPE] = "bad shape",
		[GYR_WIRE_BAD_DTYPE] = "bad dtype",
		[GYR_WIRE_TOO_LARGE] = "too large",
		[GYR_WIRE_DEADLINE] = "deadline passed",
		[GYR_WIRE_BUSY] = "busy",
		[GYR_WIRE_INTERNAL] = "internal",
		[GYR_WIRE_INCOMPLETE] = "incomplete",
		[GYR_WIRE_FORBIDDEN] = "forbidden",
	};
	return (unsigned)code < GYR_WIRE_CODE_COUNT ? names[code] : "?";
}
