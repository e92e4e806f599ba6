/*
 * The codec of the link. Names are copied, so that a request outlives its packet; only the body of an answer stays where it was received.
 */
#include "dataplane/link/link.h"

#include <errno.h>
#include <string.h>

#include "base/pack.h"
#include "base/unpack.h"

#define ANSWER_FLAG 0x80u
#define ERRNO_MAX 4095
#define BODY_DEPTH_MAX 16u

size_t gyr_link_pack_request(void *to, size_t size, const struct gyr_link_request *request)
{
	struct gyr_pack pack;
	gyr_pack_init(&pack, to, size);
	msgpack_pack_array(&pack.packer, 6);
	msgpack_pack_uint32(&pack.packer, GYR_LINK_VERSION);
	msgpack_pack_uint32(&pack.packer, (uint32_t)request->type);
	msgpack_pack_uint64(&pack.packer, request->seq);
	gyr_pack_str(&pack, request->model);
	msgpack_pack_uint64(&pack.packer, request->version);
	msgpack_pack_array(&pack.packer, request->label_count);
	for (uint32_t i = 0; i < request->label_count; i++) {
		msgpack_pack_array(&pack.packer, 2);
		gyr_pack_str(&pack, request->labels[i].name);
		msgpack_pack_uint64(&pack.packer, request->labels[i].version);
	}
	return pack.overflow ? 0 : pack.used;
}

size_t gyr_link_pack_answer(void *to, size_t size, const struct gyr_link_answer *answer)
{
	struct gyr_pack pack;
	gyr_pack_init(&pack, to, size);
	msgpack_pack_array(&pack.packer, 6);
	msgpack_pack_uint32(&pack.packer, GYR_LINK_VERSION);
	msgpack_pack_uint32(&pack.packer, (uint32_t)answer->type | ANSWER_FLAG);
	msgpack_pack_uint64(&pack.packer, answer->seq);
	msgpack_pack_int32(&pack.packer, answer->status);
	gyr_pack_str(&pack, answer->text);
	if (answer->body == NULL)
		msgpack_pack_nil(&pack.packer);
	else
		pack.packer.callback(pack.packer.data, (const char *)answer->body, answer->body_bytes); /* packed already */
	return pack.overflow ? 0 : pack.used;
}

/* [version, type, seq, ...: what requests and answers share; an answer has FLAG in its type. */
static int parse_head(struct gyr_unpack *cursor, uint64_t flag, enum gyr_link_type *type, uint64_t *seq, struct gyr_error *error)
{
	uint32_t places;
	uint64_t version, number;
	if (!gyr_unpack_array(cursor, &places) || places == 0 || !gyr_unpack_uint(cursor, &version))
		return gyr_error_set(error, -EBADMSG, "link: the packet is no msgpack array that starts with a version");
	if (version != GYR_LINK_VERSION)
		return gyr_error_set(error, -EPROTONOSUPPORT, "link: version %llu; this end speaks %u", (unsigned long long)version, GYR_LINK_VERSION);
	if (places != 6)
		return gyr_error_set(error, -EBADMSG, "link: an array of %u; expected 6", places);
	if (!gyr_unpack_uint(cursor, &number) || number < (flag | GYR_LINK_HELLO) || number > (flag | GYR_LINK_TYPE_MAX))
		return gyr_error_set(error, -EBADMSG, "link: type is none of %llu to %llu", (unsigned long long)(flag | GYR_LINK_HELLO),
				     (unsigned long long)(flag | GYR_LINK_TYPE_MAX));
	if (!gyr_unpack_uint(cursor, seq))
		return gyr_error_set(error, -EBADMSG, "link: seq is no whole number from 0 on");
	*type = (enum gyr_link_type)(number & ~flag);
	return 0;
}

/* A str with no zero in it that fits, with one behind it, into TEXT of SIZE bytes. */
static bool parse_text(struct gyr_unpack *cursor, char *text, size_t size)
{
	const char *str;
	uint32_t length;
	if (!gyr_unpack_str(cursor, &str, &length) || length >= size || memchr(str, 0, length) != NULL)
		return false;
	memcpy(text, str, length);
	text[length] = 0;
	return true;
}

static int parse_end(const struct gyr_unpack *cursor, struct gyr_error *error)
{
	return cursor->at == cursor->end ? 0 : gyr_error_set(error, -EBADMSG, "link: bytes follow the array");
}

int gyr_link_parse_request(const void *bytes, size_t size, struct gyr_link_request *request, struct gyr_error *error)
{
	struct gyr_unpack cursor = {bytes, (const uint8_t *)bytes + size};
	*request = (struct gyr_link_request){0};
	int status = parse_head(&cursor, 0, &request->type, &request->seq, error);
	if (status != 0)
		return status;
	if (!parse_text(&cursor, request->model, sizeof request->model))
		return gyr_error_set(error, -EBADMSG, "link: model is no str of at most %zu bytes", sizeof request->model - 1);
	if (!gyr_unpack_uint(&cursor, &request->version))
		return gyr_error_set(error, -EBADMSG, "link: the model's version is no whole number from 0 on");
	if (!gyr_unpack_array(&cursor, &request->label_count) || request->label_count > GYR_LINK_LABELS_MAX)
		return gyr_error_set(error, -EBADMSG, "link: labels are no array of at most %u", GYR_LINK_LABELS_MAX);
	for (uint32_t i = 0; i < request->label_count; i++) {
		struct gyr_link_label *label = &request->labels[i];
		uint32_t places;
		if (!gyr_unpack_array(&cursor, &places) || places != 2 || !parse_text(&cursor, label->name, sizeof label->name) ||
		    !gyr_unpack_uint(&cursor, &label->version))
			return gyr_error_set(error, -EBADMSG, "link: label %u is not [a name of at most %zu bytes, a version]", i, sizeof label->name - 1);
	}
	return parse_end(&cursor, error);
}

int gyr_link_parse_answer(const void *bytes, size_t size, struct gyr_link_answer *answer, struct gyr_error *error)
{
	struct gyr_unpack cursor = {bytes, (const uint8_t *)bytes + size};
	int64_t number;
	*answer = (struct gyr_link_answer){0};
	int status = parse_head(&cursor, ANSWER_FLAG, &answer->type, &answer->seq, error);
	if (status != 0)
		return status;
	if (!gyr_unpack_int(&cursor, &number) || number > 0 || number < -ERRNO_MAX)
		return gyr_error_set(error, -EBADMSG, "link: status is neither 0 nor a negative errno");
	answer->status = (int)number;
	if (!parse_text(&cursor, answer->text, sizeof answer->text))
		return gyr_error_set(error, -EBADMSG, "link: text is no str of at most %zu bytes", sizeof answer->text - 1);
	if (!gyr_unpack_nil(&cursor)) {
		answer->body = cursor.at;
		if (gyr_unpack_peek(&cursor) != GYR_UNPACK_MAP || !gyr_unpack_skip(&cursor, BODY_DEPTH_MAX))
			return gyr_error_set(error, -EBADMSG, "link: the body is neither nil nor a whole map, at most %u deep", BODY_DEPTH_MAX);
		answer->body_bytes = (uint32_t)(cursor.at - answer->body);
	}
	return parse_end(&cursor, error);
}
