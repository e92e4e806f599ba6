/*
 * From values to a datagram, with msgpack-c's packer over the caller's bytes.
 */
#include <string.h>

#include "base/assertion.h"
#include "base/pack.h"
#include "dataplane/wire/wire.h"

static void start(struct gyr_pack *pack, void *to, size_t size, unsigned places, enum gyr_wire_type type, uint64_t id)
{
	gyr_pack_init(pack, to, size);
	msgpack_pack_array(&pack->packer, places);
	msgpack_pack_uint8(&pack->packer, GYR_WIRE_VERSION);
	msgpack_pack_uint8(&pack->packer, (uint8_t)type);
	msgpack_pack_uint64(&pack->packer, id);
}

static size_t finish(const struct gyr_pack *pack)
{
	return pack->overflow ? 0 : pack->used;
}

static void pack_ref(struct gyr_pack *pack, const struct gyr_wire_ref *ref)
{
	if (ref == NULL || !ref->present)
		msgpack_pack_nil(&pack->packer);
	else if (ref->name != NULL)
		gyr_pack_strn(pack, ref->name, ref->length);
	else
		msgpack_pack_uint64(&pack->packer, ref->number);
}

/* A bin of BYTES bytes, whose place is told; from DATA or, when that is NULL, left as it is. */
static void pack_elements(struct gyr_pack *pack, const void *data, size_t bytes, uint32_t *place)
{
	if (bytes > pack->size - pack->used) {
		pack->overflow = true;
		return;
	}
	msgpack_pack_bin(&pack->packer, bytes);
	if (pack->overflow || bytes > pack->size - pack->used) {
		pack->overflow = true;
		return;
	}
	if (place != NULL)
		*place = (uint32_t)pack->used;
	if (data != NULL && bytes != 0)
		memcpy(pack->bytes + pack->used, data, bytes);
	pack->used += bytes;
}

static void pack_dims(struct gyr_pack *pack, const struct gyr_shape *shape)
{
	msgpack_pack_array(&pack->packer, shape->rank);
	for (uint32_t i = 0; i < shape->rank; i++)
		msgpack_pack_int64(&pack->packer, shape->dims[i]);
}

static float float_of_bf16(uint16_t half)
{
	uint32_t bits = (uint32_t)half << 16;
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static void pack_number(msgpack_packer *packer, enum gyr_dtype dtype, const uint8_t *at)
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
	case GYR_DTYPE_F32: msgpack_pack_float(packer, value.f32); break;
	case GYR_DTYPE_F64: msgpack_pack_double(packer, value.f64); break;
	case GYR_DTYPE_F16: msgpack_pack_float(packer, (float)value.f16); break;
	case GYR_DTYPE_BF16: msgpack_pack_float(packer, float_of_bf16(value.u16)); break;
	case GYR_DTYPE_U8: msgpack_pack_uint8(packer, value.u8); break;
	case GYR_DTYPE_I8: msgpack_pack_int8(packer, value.i8); break;
	case GYR_DTYPE_U16: msgpack_pack_uint16(packer, value.u16); break;
	case GYR_DTYPE_I16: msgpack_pack_int16(packer, value.i16); break;
	case GYR_DTYPE_U32: msgpack_pack_uint32(packer, value.u32); break;
	case GYR_DTYPE_I32: msgpack_pack_int32(packer, value.i32); break;
	case GYR_DTYPE_U64: msgpack_pack_uint64(packer, value.u64); break;
	case GYR_DTYPE_I64: msgpack_pack_int64(packer, value.i64); break;
	case GYR_DTYPE_BOOL:
		if (value.u8 != 0)
			msgpack_pack_true(packer);
		else
			msgpack_pack_false(packer);
		break;
	case GYR_DTYPE_NONE: GYR_ASSERT(dtype != GYR_DTYPE_NONE);
	}
}

/* The elements at AT, from dimension DEPTH on; recurses at most GYR_RANK_MAX deep. Returns where they end. */
static const uint8_t *pack_plain(struct gyr_pack *pack, const struct gyr_shape *shape, uint32_t depth, const uint8_t *at)
{
	if (depth == shape->rank) {
		pack_number(&pack->packer, shape->dtype, at);
		return at + gyr_dtype_bytes(shape->dtype);
	}
	msgpack_pack_array(&pack->packer, (size_t)shape->dims[depth]);
	for (int64_t i = 0; i < shape->dims[depth] && !pack->overflow; i++)
		at = pack_plain(pack, shape, depth + 1, at);
	return at;
}

static void pack_tensors(struct gyr_pack *pack, const struct gyr_wire_output *outputs, uint32_t count, uint32_t *places)
{
	GYR_ASSERT(count >= 1 && count <= GYR_WIRE_TENSORS_MAX);
	msgpack_pack_array(&pack->packer, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_wire_output *output = &outputs[i];
		size_t bytes;
		bool known = gyr_shape_bytes(&output->shape, 0, &bytes);
		GYR_ASSERT(known);
		switch ((enum gyr_wire_form)output->form) {
		case GYR_WIRE_TYPED:
			msgpack_pack_array(&pack->packer, 3);
			msgpack_pack_uint8(&pack->packer, (uint8_t)output->shape.dtype);
			pack_dims(pack, &output->shape);
			/* fall through */
		case GYR_WIRE_BARE: pack_elements(pack, output->data, bytes, places == NULL ? NULL : &places[i]); break;
		case GYR_WIRE_PLAIN:
			GYR_ASSERT(output->data != NULL);
			pack_plain(pack, &output->shape, 0, output->data);
			break;
		}
	}
}

size_t gyr_wire_pack_result(void *to, size_t size, uint64_t id, uint64_t version, const struct gyr_wire_output *outputs, uint32_t count,
			    const uint32_t timing_ns[3], uint32_t *places)
{
	struct gyr_pack pack;
	start(&pack, to, size, timing_ns == NULL ? 5 : 6, GYR_WIRE_RESULT, id);
	msgpack_pack_uint64(&pack.packer, version);
	pack_tensors(&pack, outputs, count, places);
	if (timing_ns != NULL) {
		msgpack_pack_array(&pack.packer, 3);
		for (unsigned i = 0; i < 3; i++)
			msgpack_pack_uint32(&pack.packer, timing_ns[i]);
	}
	return finish(&pack);
}

size_t gyr_wire_pack_error(void *to, size_t size, uint64_t id, enum gyr_wire_code code, const char *text, uint32_t retry_after_us)
{
	struct gyr_pack pack;
	start(&pack, to, size, retry_after_us == 0 ? 5 : 6, GYR_WIRE_ERROR, id);
	msgpack_pack_uint16(&pack.packer, (uint16_t)code);
	gyr_pack_str(&pack, text);
	if (retry_after_us != 0)
		msgpack_pack_uint32(&pack.packer, retry_after_us);
	return finish(&pack);
}

size_t gyr_wire_pack_request(void *to, size_t size, uint64_t id, const struct gyr_wire_ref *model, const struct gyr_wire_ref *select, uint32_t deadline_us,
			     const struct gyr_wire_output *inputs, uint32_t count, bool want_timing)
{
	struct gyr_pack pack;
	start(&pack, to, size, want_timing ? 8 : 7, GYR_WIRE_REQUEST, id);
	pack_ref(&pack, model);
	pack_ref(&pack, select);
	msgpack_pack_uint32(&pack.packer, deadline_us);
	pack_tensors(&pack, inputs, count, NULL);
	if (want_timing) {
		msgpack_pack_map(&pack.packer, 1);
		gyr_pack_str(&pack, "timing");
		msgpack_pack_true(&pack.packer);
	}
	return finish(&pack);
}

size_t gyr_wire_pack_describe(void *to, size_t size, uint64_t id, const struct gyr_wire_ref *model, const struct gyr_wire_ref *select)
{
	struct gyr_pack pack;
	start(&pack, to, size, 5, GYR_WIRE_DESCRIBE, id);
	pack_ref(&pack, model);
	pack_ref(&pack, select);
	return finish(&pack);
}

size_t gyr_wire_pack_ping(void *to, size_t size, uint64_t id, const void *body, uint32_t body_bytes)
{
	struct gyr_pack pack;
	start(&pack, to, size, 4, GYR_WIRE_PING, id);
	gyr_pack_bin(&pack, body, body_bytes);
	return finish(&pack);
}

static void pack_values(struct gyr_pack *pack, const char *key, const struct gyr_wire_value *values, uint32_t count)
{
	gyr_pack_str(pack, key);
	msgpack_pack_array(&pack->packer, count);
	for (uint32_t i = 0; i < count; i++) {
		msgpack_pack_array(&pack->packer, 3);
		gyr_pack_str(pack, values[i].name);
		msgpack_pack_uint8(&pack->packer, (uint8_t)values[i].shape.dtype);
		pack_dims(pack, &values[i].shape);
	}
}

size_t gyr_wire_pack_description(void *to, size_t size, uint64_t id, const struct gyr_wire_description *description)
{
	struct gyr_pack pack;
	start(&pack, to, size, 4, GYR_WIRE_DESCRIPTION, id);
	msgpack_pack_map(&pack.packer, 7);
	gyr_pack_str(&pack, "model");
	gyr_pack_str(&pack, description->model);
	gyr_pack_str(&pack, "handle");
	msgpack_pack_uint64(&pack.packer, description->handle);
	gyr_pack_str(&pack, "versions");
	msgpack_pack_array(&pack.packer, description->version_count);
	for (uint32_t i = 0; i < description->version_count; i++)
		msgpack_pack_uint64(&pack.packer, description->versions[i]);
	gyr_pack_str(&pack, "labels");
	msgpack_pack_map(&pack.packer, description->label_count);
	for (uint32_t i = 0; i < description->label_count; i++) {
		gyr_pack_str(&pack, description->labels[i].name);
		msgpack_pack_uint64(&pack.packer, description->labels[i].version);
	}
	pack_values(&pack, "inputs", description->inputs, description->input_count);
	pack_values(&pack, "outputs", description->outputs, description->output_count);
	gyr_pack_str(&pack, "limits");
	msgpack_pack_map(&pack.packer, 2);
	gyr_pack_str(&pack, "batch");
	msgpack_pack_uint32(&pack.packer, description->batch_max);
	gyr_pack_str(&pack, "datagram");
	msgpack_pack_uint32(&pack.packer, description->datagram_max);
	return finish(&pack);
}
