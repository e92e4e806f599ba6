#include "control/rpc/rpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/unpack.h"

/*
 * A text's bytes are moved one to the front, over the last byte of their own msgpack head, so that the zero has room. Texts with a zero in them are refused.
 */
static bool take_text(struct gyr_unpack *cursor, const char **text)
{
	const char *at;
	uint32_t length;
	if (!gyr_unpack_str(cursor, &at, &length) || memchr(at, '\0', length) != NULL)
		return false;
	char *to = (char *)(uintptr_t)at - 1;
	memmove(to, at, length);
	to[length] = '\0';
	*text = to;
	return true;
}

int gyr_rpc_parse(uint8_t *bytes, size_t size, struct gyr_rpc_request *request, struct gyr_error *error)
{
	struct gyr_unpack cursor = {.at = bytes, .end = bytes + size};
	uint32_t count;
	uint64_t version;
	const char *call;
	*request = (struct gyr_rpc_request){0};
	if (!gyr_unpack_array(&cursor, &count) || count != 3)
		return gyr_error_set(error, -EBADMSG, "the request is not an array of 3");
	if (!gyr_unpack_uint(&cursor, &version))
		return gyr_error_set(error, -EBADMSG, "the request's version is not a number");
	if (version != GYR_RPC_VERSION)
		return gyr_error_set(error, -EPROTONOSUPPORT, "the request is of version %llu; this gyrd speaks %u", (unsigned long long)version,
				     GYR_RPC_VERSION);
	if (!take_text(&cursor, &call) || strlen(call) >= sizeof request->call)
		return gyr_error_set(error, -EBADMSG, "the call is not a text of at most %zu bytes", sizeof request->call - 1);
	strcpy(request->call, call);
	if (!gyr_unpack_map(&cursor, &count))
		return gyr_error_set(error, -EBADMSG, "the parameters are not a map");
	if (count > GYR_RPC_PARAMETERS_MAX)
		return gyr_error_set(error, -E2BIG, "%u parameters; at most %u", count, GYR_RPC_PARAMETERS_MAX);
	for (uint32_t i = 0; i < count; i++)
		if (!take_text(&cursor, &request->parameters[i].name) || !take_text(&cursor, &request->parameters[i].value))
			return gyr_error_set(error, -EBADMSG, "parameter %u is not a pair of texts", i + 1);
	request->count = count;
	if (cursor.at != cursor.end)
		return gyr_error_set(error, -EBADMSG, "bytes follow the request");
	return 0;
}

const char *gyr_rpc_value(const struct gyr_rpc_request *request, const char *name)
{
	for (uint32_t i = 0; i < request->count; i++)
		if (strcmp(request->parameters[i].name, name) == 0)
			return request->parameters[i].value;
	return NULL;
}

int gyr_rpc_number(const struct gyr_rpc_request *request, const char *name, uint64_t *number, struct gyr_error *error)
{
	const char *value = gyr_rpc_value(request, name);
	char *end;
	if (value == NULL)
		return 0;
	errno = 0;
	unsigned long long parsed = strtoull(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
		return gyr_error_set(error, -EINVAL, "%s \"%.80s\": expected a whole number", name, value);
	*number = parsed;
	return 0;
}

void gyr_rpc_pack_begin(struct gyr_rpc_buffer *buffer, size_t values)
{
	static const char head[GYR_RPC_HEAD_BYTES];
	msgpack_sbuffer_init(&buffer->bytes);
	msgpack_packer_init(&buffer->packer, &buffer->bytes, msgpack_sbuffer_write);
	msgpack_sbuffer_write(&buffer->bytes, head, sizeof head);
	msgpack_pack_array(&buffer->packer, values);
	msgpack_pack_uint32(&buffer->packer, GYR_RPC_VERSION);
}

bool gyr_rpc_pack_end(struct gyr_rpc_buffer *buffer)
{
	if (buffer->bytes.data == NULL || buffer->bytes.size - GYR_RPC_HEAD_BYTES > GYR_RPC_ANSWER_MAX)
		return false;
	uint32_t head = htonl((uint32_t)(buffer->bytes.size - GYR_RPC_HEAD_BYTES));
	memcpy(buffer->bytes.data, &head, sizeof head);
	return true;
}

void gyr_rpc_pack_fini(struct gyr_rpc_buffer *buffer)
{
	msgpack_sbuffer_destroy(&buffer->bytes);
}

void gyr_rpc_pack_text(msgpack_packer *packer, const char *text)
{
	size_t length = strlen(text);
	msgpack_pack_str(packer, length);
	msgpack_pack_str_body(packer, text, length);
}

void gyr_rpc_pair_text(msgpack_packer *packer, const char *key, const char *text)
{
	gyr_rpc_pack_text(packer, key);
	gyr_rpc_pack_text(packer, text);
}

void gyr_rpc_pair_whole(msgpack_packer *packer, const char *key, uint64_t number)
{
	gyr_rpc_pack_text(packer, key);
	msgpack_pack_uint64(packer, number);
}

void gyr_rpc_pair_number(msgpack_packer *packer, const char *key, double number)
{
	gyr_rpc_pack_text(packer, key);
	if (isfinite(number))
		msgpack_pack_double(packer, number);
	else
		msgpack_pack_nil(packer);
}

void gyr_rpc_pair_bool(msgpack_packer *packer, const char *key, bool value)
{
	gyr_rpc_pack_text(packer, key);
	if (value)
		msgpack_pack_true(packer);
	else
		msgpack_pack_false(packer);
}
