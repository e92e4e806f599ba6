/*
 * From values to a datagram, with msgpack-c's packing template over the caller's bytes. msgpack-c's ready packer makes an indirect call for each object, which
 * took 45 ns for the head of a result; its template, given our own append, is inlined whole.
 */
#include <limits.h>
#include <string.h>

#include <msgpack/sysdep.h>
#include <msgpack/timestamp.h>

#include "base/assertion.h"
#include "dataplane/wire/wire.h"

/* Bytes being packed. What does not fit is not written, and said at the end. */
struct out {
	uint8_t *bytes;
	size_t used, size;
	bool overflow;
};

static inline int append(struct out *out, const void *bytes, size_t length)
{
	if (length > out->size - out->used) {
		out->overflow = true;
		return -1;
	}
	if (length != 0)
		memcpy(out->bytes + out->used, bytes, length);
	out->used += length;
	return 0;
}

/* msgpack_pack_nil(struct out *), msgpack_pack_array(struct out *, size_t), ... */
#define msgpack_pack_inline_func(name) static inline int msgpack_pack##name
#define msgpack_pack_inline_func_cint(name) static inline int msgpack_pack##name
#define msgpack_pack_inline_func_fixint(name) static inline int msgpack_pack_fix##name
#define msgpack_pack_user struct out *
#define msgpack_pack_append_buffer(out, buffer, length) return append(out, buffer, length)
#include <msgpack/pack_template.h>

static void start(struct out *out, void *to, size_t size, unsigned places, enum gyr_wire_type type, uint64_t id)
{
	*out = (struct out){.bytes = to, .size = size};
	msgpack_pack_array(out, places);
	msgpack_pack_uint8(out, GYR_WIRE_VERSION);
	msgpack_pack_uint8(out, (uint8_t)type);
	msgpack_pack_uint64(out, id);
}

static size_t finish(const struct out *out)
{
	return out->overflow ? 0 : out->used;
}

static void pack_text(struct out *out, const char *text, size_t length)
{
	msgpack_pack_str(out, length);
	append(out, text, length);
}

static void pack_string(struct out *out, const char *text)
{
	pack_text(out, text, strlen(text));
}

static void pack_ref(struct out *out, const struct gyr_wire_ref *ref)
{
	if (ref == NULL || !ref->present)
		msgpack_pack_nil(out);
	else if (ref->name != NULL)
		pack_text(out, ref->name, ref->length);
	else
		msgpack_pack_uint64(out, ref->number);
}

/* A bin of BYTES bytes, whose place is told; from DATA or, when that is NULL, left as it is. */
static void pack_elements(struct out *out, const void *data, size_t bytes, uint32_t *place)
{
	msgpack_pack_bin(out, bytes);
	if (out->overflow || bytes > out->size - out->used) {
		out->overflow = true;
		return;
	}
	if (place != NULL)
		*place = (uint32_t)out->used;
	if (data != NULL && bytes != 0)
		memcpy(out->bytes + out->used, data, bytes);
	out->used += bytes;
}

static void pack_dims(struct out *out, const struct gyr_shape *shape)
{
	msgpack_pack_array(out, shape->rank);
	for (uint32_t i = 0; i < shape->rank; i++)
		msgpack_pack_int64(out, shape->dims[i]);
}

static float float_of_bf16(uint16_t half)
{
	uint32_t bits = (uint32_t)half << 16;
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static void pack_number(struct out *out, enum gyr_dtype dtype, const uint8_t *at)
{
	union {
		float f32;
		double f64;
		_Float16 f16;
		uint8_t u8;
		int8_t i8;
		uint16_t u16;
		int16_t i16;
		uint32_t u32;
		int32_t i32;
		uint64_t u64;
		int64_t i64;
	} value;
	memcpy(&value, at, gyr_dtype_bytes(dtype));
	switch (dtype) {
	case GYR_DTYPE_F32: msgpack_pack_float(out, value.f32); break;
	case GYR_DTYPE_F64: msgpack_pack_double(out, value.f64); break;
	case GYR_DTYPE_F16: msgpack_pack_float(out, (float)value.f16); break;
	case GYR_DTYPE_BF16: msgpack_pack_float(out, float_of_bf16(value.u16)); break;
	case GYR_DTYPE_U8: msgpack_pack_uint8(out, value.u8); break;
	case GYR_DTYPE_I8: msgpack_pack_int8(out, value.i8); break;
	case GYR_DTYPE_U16: msgpack_pack_uint16(out, value.u16); break;
	case GYR_DTYPE_I16: msgpack_pack_int16(out, value.i16); break;
	case GYR_DTYPE_U32: msgpack_pack_uint32(out, value.u32); break;
	case GYR_DTYPE_I32: msgpack_pack_int32(out, value.i32); break;
	case GYR_DTYPE_U64: msgpack_pack_uint64(out, value.u64); break;
	case GYR_DTYPE_I64: msgpack_pack_int64(out, value.i64); break;
	case GYR_DTYPE_BOOL:
		if (value.u8 != 0)
			msgpack_pack_true(out);
		else
			msgpack_pack_false(out);
		break;
	case GYR_DTYPE_NONE: GYR_ASSERT(dtype != GYR_DTYPE_NONE);
	}
}

/* The elements at AT, from dimension DEPTH on; recurses at most GYR_RANK_MAX deep. Returns where they end. */
static const uint8_t *pack_plain(struct out *out, const struct gyr_shape *shape, uint32_t depth, const uint8_t *at)
{
	if (depth == shape->rank) {
		pack_number(out, shape->dtype, at);
		return at + gyr_dtype_bytes(shape->dtype);
	}
	msgpack_pack_array(out, (size_t)shape->dims[depth]);
	for (int64_t i = 0; i < shape->dims[depth] && !out->overflow; i++)
		at = pack_plain(out, shape, depth + 1, at);
	return at;
}

static void pack_tensors(struct out *out, const struct gyr_wire_output *outputs, uint32_t count, uint32_t *places)
{
	GYR_ASSERT(count >= 1 && count <= GYR_WIRE_TENSORS_MAX);
	msgpack_pack_array(out, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_wire_output *output = &outputs[i];
		size_t bytes;
		bool known = gyr_shape_bytes(&output->shape, 0, &bytes);
		GYR_ASSERT(known);
		switch ((enum gyr_wire_form)output->form) {
		case GYR_WIRE_TYPED:
			msgpack_pack_array(out, 3);
			msgpack_pack_uint8(out, (uint8_t)output->shape.dtype);
			pack_dims(out, &output->shape);
			/* fall through */
		case GYR_WIRE_BARE: pack_elements(out, output->data, bytes, places == NULL ? NULL : &places[i]); break;
		case GYR_WIRE_PLAIN:
			GYR_ASSERT(output->data != NULL);
			pack_plain(out, &output->shape, 0, output->data);
			break;
		}
	}
}

size_t gyr_wire_pack_result(void *to, size_t size, uint64_t id, uint64_t version, const struct gyr_wire_output *outputs, uint32_t count,
			    const uint32_t timing_ns[3], uint32_t *places)
{
	struct out out;
	start(&out, to, size, timing_ns == NULL ? 5 : 6, GYR_WIRE_RESULT, id);
	msgpack_pack_uint64(&out, version);
	pack_tensors(&out, outputs, count, places);
	if (timing_ns != NULL) {
		msgpack_pack_array(&out, 3);
		for (unsigned i = 0; i < 3; i++)
			msgpack_pack_uint32(&out, timing_ns[i]);
	}
	return finish(&out);
}

size_t gyr_wire_pack_error(void *to, size_t size, uint64_t id, enum gyr_wire_code code, const char *text, uint32_t retry_after_us)
{
	struct out out;
	start(&out, to, size, retry_after_us == 0 ? 5 : 6, GYR_WIRE_ERROR, id);
	msgpack_pack_uint16(&out, (uint16_t)code);
	pack_string(&out, text);
	if (retry_after_us != 0)
		msgpack_pack_uint32(&out, retry_after_us);
	return finish(&out);
}

size_t gyr_wire_pack_request(void *to, size_t size, uint64_t id, const struct gyr_wire_ref *model, const struct gyr_wire_ref *select, uint32_t deadline_us,
			     const struct gyr_wire_output *inputs, uint32_t count, bool want_timing)
{
	struct out out;
	start(&out, to, size, want_timing ? 8 : 7, GYR_WIRE_REQUEST, id);
	pack_ref(&out, model);
	pack_ref(&out, select);
	msgpack_pack_uint32(&out, deadline_us);
	pack_tensors(&out, inputs, count, NULL);
	if (want_timing) {
		msgpack_pack_map(&out, 1);
		pack_string(&out, "timing");
		msgpack_pack_true(&out);
	}
	return finish(&out);
}

size_t gyr_wire_pack_describe(void *to, size_t size, uint64_t id, const struct gyr_wire_ref *model, const struct gyr_wire_ref *select)
{
	struct out out;
	start(&out, to, size, 5, GYR_WIRE_DESCRIBE, id);
	pack_ref(&out, model);
	pack_ref(&out, select);
	return finish(&out);
}

size_t gyr_wire_pack_ping(void *to, size_t size, uint64_t id, const void *body, uint32_t body_bytes)
{
	struct out out;
	start(&out, to, size, 4, GYR_WIRE_PING, id);
	msgpack_pack_bin(&out, body_bytes);
	append(&out, body, body_bytes);
	return finish(&out);
}

size_t gyr_wire_pack_fragment(void *to, size_t size, uint64_t id, uint32_t total, uint32_t offset, const void *piece, uint32_t bytes)
{
	struct out out;
	start(&out, to, size, 6, GYR_WIRE_FRAGMENT, id);
	msgpack_pack_uint32(&out, total);
	msgpack_pack_uint32(&out, offset);
	pack_elements(&out, piece, bytes, NULL);
	return finish(&out);
}

size_t gyr_wire_pack_missing(void *to, size_t size, uint64_t id, uint32_t total, const struct gyr_wire_range *ranges, uint32_t count)
{
	GYR_ASSERT(count >= 1 && count <= GYR_WIRE_RANGES_MAX);
	for (; count > 0; count /= 2) {
		struct out out;
		start(&out, to, size, 5, GYR_WIRE_MISSING, id);
		msgpack_pack_uint32(&out, total);
		msgpack_pack_array(&out, count);
		for (uint32_t i = 0; i < count; i++) {
			msgpack_pack_array(&out, 2);
			msgpack_pack_uint32(&out, ranges[i].offset);
			msgpack_pack_uint32(&out, ranges[i].bytes);
		}
		if (!out.overflow)
			return out.used;
	}
	return 0;
}

static void pack_values(struct out *out, const char *key, const struct gyr_wire_value *values, uint32_t count)
{
	pack_string(out, key);
	msgpack_pack_array(out, count);
	for (uint32_t i = 0; i < count; i++) {
		msgpack_pack_array(out, 3);
		pack_string(out, values[i].name);
		msgpack_pack_uint8(out, (uint8_t)values[i].shape.dtype);
		pack_dims(out, &values[i].shape);
	}
}

size_t gyr_wire_pack_description(void *to, size_t size, uint64_t id, const struct gyr_wire_description *description)
{
	struct out out;
	start(&out, to, size, 4, GYR_WIRE_DESCRIPTION, id);
	msgpack_pack_map(&out, 7);
	pack_string(&out, "model");
	pack_string(&out, description->model);
	pack_string(&out, "handle");
	msgpack_pack_uint64(&out, description->handle);
	pack_string(&out, "versions");
	msgpack_pack_array(&out, description->version_count);
	for (uint32_t i = 0; i < description->version_count; i++)
		msgpack_pack_uint64(&out, description->versions[i]);
	pack_string(&out, "labels");
	msgpack_pack_map(&out, description->label_count);
	for (uint32_t i = 0; i < description->label_count; i++) {
		pack_string(&out, description->labels[i].name);
		msgpack_pack_uint64(&out, description->labels[i].version);
	}
	pack_values(&out, "inputs", description->inputs, description->input_count);
	pack_values(&out, "outputs", description->outputs, description->output_count);
	pack_string(&out, "limits");
	msgpack_pack_map(&out, 3);
	pack_string(&out, "batch");
	msgpack_pack_uint32(&out, description->batch_max);
	pack_string(&out, "datagram");
	msgpack_pack_uint32(&out, description->datagram_max);
	pack_string(&out, "message");
	msgpack_pack_uint32(&out, description->message_max);
	return finish(&out);
}
