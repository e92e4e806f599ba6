/*
 * A first look at protobuf bytes. Source: the protocol buffers encoding (developers' guide, "Encoding").
 */
#include <errno.h>
#include <string.h>

#include "engine/onnx/onnx_internal.h"

#define DEPTH_MAX 32u

const char *onnx_shown(const char *name, char text[SHOWN_MAX])
{
	size_t i = 0;
	for (; name != NULL && name[i] != 0 && i < SHOWN_MAX - 1; i++)
		text[i] = name[i] >= 0x20 && name[i] < 0x7f ? name[i] : '?';
	text[i] = 0;
	return text;
}

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 64 && *at != end; shift += 7) {
		uint8_t byte = *(*at)++;
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static int scan_at(const ProtobufCMessageDescriptor *descriptor, const uint8_t *at, const uint8_t *end, unsigned depth, struct gyr_error *error)
{
	while (at != end) {
		uint64_t tag, length = 0;
		bool whole = read_varint(&at, end, &tag) && tag <= UINT32_MAX;
		if (!whole)
			return gyr_error_set(error, -EBADMSG, "%s: cut, or not ONNX", descriptor->short_name);
		switch (tag & 7) {
		case PROTOBUF_C_WIRE_TYPE_VARINT:
			whole = read_varint(&at, end, &length);
			length = 0;
			break;
		case PROTOBUF_C_WIRE_TYPE_64BIT: length = 8; break;
		case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: whole = read_varint(&at, end, &length); break;
		case PROTOBUF_C_WIRE_TYPE_32BIT: length = 4; break;
		default: whole = false;
		}
		if (!whole || length > (size_t)(end - at))
			return gyr_error_set(error, -EBADMSG, "%s: cut, or not ONNX", descriptor->short_name);
		const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
		if (field != NULL && (tag & 7) == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
			if (field->type == PROTOBUF_C_TYPE_STRING && memchr(at, 0, length) != NULL)
				return gyr_error_set(error, -EBADMSG, "%s.%s: a zero byte in a text", descriptor->short_name, field->name);
			if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
				if (depth == DEPTH_MAX)
					return gyr_error_set(error, -EBADMSG, "messages are nested more than %u deep", DEPTH_MAX);
				int status = scan_at(field->descriptor, at, at + length, depth + 1, error);
				if (status != 0)
					return status;
			}
		}
		at += length;
	}
	return 0;
}

int onnx_scan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size, struct gyr_error *error)
{
	return scan_at(descriptor, bytes, bytes + size, 1, error);
}
