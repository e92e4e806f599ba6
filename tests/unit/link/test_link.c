#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pack.h"
#include "dataplane/link/link.h"

static uint8_t bytes[4096];
static struct gyr_link_request request;
static struct gyr_link_answer answer;
static struct gyr_error error;

static const struct gyr_link_request route = {
	.type = GYR_LINK_ROUTE,
	.seq = UINT64_MAX,
	.model = "fashion",
	.version = 300,
	.label_count = 2,
	.labels = {{"stable", 1}, {"canary", UINT64_MAX}},
};

static const uint8_t body[] = {0x81, 0xa1, 'x', 0x93, 1, 2, 3}; /* {"x": [1, 2, 3]} */
static const struct gyr_link_answer status_answer = {.type = GYR_LINK_STATUS, .seq = 7, .body = body, .body_bytes = sizeof body};

static void test_requests_come_back(void **unused)
{
	size_t size = gyr_link_pack_request(bytes, sizeof bytes, &route);
	assert_true(size > 0);
	assert_int_equal(gyr_link_parse_request(bytes, size, &request, &error), 0);
	assert_memory_equal(&request, &route, sizeof route);
	for (int type = GYR_LINK_HELLO; type <= GYR_LINK_TYPE_MAX; type++) {
		struct gyr_link_request bare = {.type = (enum gyr_link_type)type, .seq = (uint64_t)type};
		size = gyr_link_pack_request(bytes, sizeof bytes, &bare);
		assert_int_equal(gyr_link_parse_request(bytes, size, &request, &error), 0);
		assert_memory_equal(&request, &bare, sizeof bare);
	}
}

static void test_as_many_and_as_long_as_may_be(void **unused)
{
	struct gyr_link_request full = route;
	full.label_count = GYR_LINK_LABELS_MAX;
	memset(full.model, 'm', sizeof full.model - 1);
	for (uint32_t i = 0; i < GYR_LINK_LABELS_MAX; i++)
		memset(full.labels[i].name, 'a' + (int)i, sizeof full.labels[i].name - 1);
	size_t size = gyr_link_pack_request(bytes, sizeof bytes, &full);
	assert_int_equal(gyr_link_parse_request(bytes, size, &request, &error), 0);
	assert_memory_equal(&request, &full, sizeof full);
}

static void test_answers_come_back(void **unused)
{
	size_t size = gyr_link_pack_answer(bytes, sizeof bytes, &status_answer);
	assert_int_equal(gyr_link_parse_answer(bytes, size, &answer, &error), 0);
	assert_int_equal(answer.type, GYR_LINK_STATUS);
	assert_int_equal(answer.seq, 7);
	assert_int_equal(answer.status, 0);
	assert_string_equal(answer.text, "");
	assert_int_equal(answer.body_bytes, sizeof body);
	assert_memory_equal(answer.body, body, sizeof body);
	assert_in_range((uintptr_t)answer.body, (uintptr_t)bytes, (uintptr_t)bytes + size - 1);

	struct gyr_link_answer refusal = {.type = GYR_LINK_LOAD, .seq = 8, .status = -ENOENT, .text = "no such version"};
	size = gyr_link_pack_answer(bytes, sizeof bytes, &refusal);
	assert_int_equal(gyr_link_parse_answer(bytes, size, &answer, &error), 0);
	assert_memory_equal(&answer, &refusal, sizeof refusal);
}

static void test_a_request_is_no_answer(void **unused)
{
	size_t size = gyr_link_pack_request(bytes, sizeof bytes, &route);
	assert_int_equal(gyr_link_parse_answer(bytes, size, &answer, &error), -EBADMSG);
	size = gyr_link_pack_answer(bytes, sizeof bytes, &status_answer);
	assert_int_equal(gyr_link_parse_request(bytes, size, &request, &error), -EBADMSG);
}

/* [VERSION, TYPE, 5, ...] as a packer, so that each field can be made wrong. */
static struct gyr_pack *head(unsigned places, uint64_t version, uint64_t type)
{
	static struct gyr_pack pack;
	gyr_pack_init(&pack, bytes, sizeof bytes);
	msgpack_pack_array(&pack.packer, places);
	msgpack_pack_uint64(&pack.packer, version);
	msgpack_pack_uint64(&pack.packer, type);
	msgpack_pack_int(&pack.packer, 5);
	return &pack;
}

static void refuse_request(const struct gyr_pack *pack, int status, const char *place)
{
	int got = gyr_link_parse_request(bytes, pack->used, &request, &error);
	if (got != status || strstr(error.text, place) == NULL)
		fail_msg("%d, \"%s\"; expected %d, \"%s\"", got, error.text, status, place);
}

static void refuse_answer(const struct gyr_pack *pack, int status, const char *place)
{
	int got = gyr_link_parse_answer(bytes, pack->used, &answer, &error);
	if (got != status || strstr(error.text, place) == NULL)
		fail_msg("%d, \"%s\"; expected %d, \"%s\"", got, error.text, status, place);
}

static void test_heads_refused(void **unused)
{
	struct gyr_pack *pack = head(6, 2, GYR_LINK_HELLO);
	gyr_pack_str(pack, "xxxx");
	refuse_request(pack, -EPROTONOSUPPORT, "version 2");
	refuse_answer(pack, -EPROTONOSUPPORT, "version 2");
	refuse_request(head(5, 1, GYR_LINK_HELLO), -EBADMSG, "link: the packet"); /* says five, holds three */
	refuse_request(head(3, 1, GYR_LINK_HELLO), -EBADMSG, "an array of 3");
	pack = head(6, 1, 0);
	gyr_pack_str(pack, "xxxx");
	refuse_request(pack, -EBADMSG, "type");
	pack = head(6, 1, GYR_LINK_TYPE_MAX + 1);
	gyr_pack_str(pack, "xxxx");
	refuse_request(pack, -EBADMSG, "type");
	gyr_pack_init(pack, bytes, sizeof bytes);
	msgpack_pack_array(&pack->packer, 6);
	for (int i = 0; i < 6; i++)
		msgpack_pack_int(&pack->packer, i < 2 ? 1 : -1);
	refuse_request(pack, -EBADMSG, "seq");
	gyr_pack_init(pack, bytes, sizeof bytes);
	refuse_request(pack, -EBADMSG, "link: the packet");
	gyr_pack_str(pack, "hello");
	refuse_request(pack, -EBADMSG, "link: the packet");
	/* Without a place for the message, the status alone. */
	assert_int_equal(gyr_link_parse_request(bytes, pack->used, &request, NULL), -EBADMSG);
}

static void test_requests_refused(void **unused)
{
	char name[65];
	memset(name, 'a', 64);
	name[64] = 0;
	struct gyr_pack *pack = head(6, 1, GYR_LINK_LOAD);
	gyr_pack_str(pack, name);
	refuse_request(pack, -EBADMSG, "model is no str");
	pack = head(6, 1, GYR_LINK_LOAD);
	gyr_pack_strn(pack, "a\0b", 3);
	refuse_request(pack, -EBADMSG, "model is no str");
	pack = head(6, 1, GYR_LINK_LOAD);
	gyr_pack_str(pack, "m");
	msgpack_pack_int(&pack->packer, -1);
	msgpack_pack_array(&pack->packer, 0);
	refuse_request(pack, -EBADMSG, "version");
	pack = head(6, 1, GYR_LINK_ROUTE);
	gyr_pack_str(pack, "m");
	msgpack_pack_int(&pack->packer, 1);
	msgpack_pack_array(&pack->packer, GYR_LINK_LABELS_MAX + 1);
	for (uint32_t i = 0; i <= GYR_LINK_LABELS_MAX; i++)
		msgpack_pack_nil(&pack->packer);
	refuse_request(pack, -EBADMSG, "labels");
	for (unsigned wrong = 0; wrong < 3; wrong++) {
		pack = head(6, 1, GYR_LINK_ROUTE);
		gyr_pack_str(pack, "m");
		msgpack_pack_int(&pack->packer, 1);
		msgpack_pack_array(&pack->packer, 1);
		msgpack_pack_array(&pack->packer, wrong == 0 ? 3 : 2);
		gyr_pack_str(pack, wrong == 1 ? name : "stable");
		if (wrong == 2)
			msgpack_pack_nil(&pack->packer);
		else
			msgpack_pack_int(&pack->packer, 1);
		msgpack_pack_nil(&pack->packer);
		refuse_request(pack, -EBADMSG, "label 0");
	}
	pack = head(6, 1, GYR_LINK_HELLO);
	gyr_pack_str(pack, "");
	msgpack_pack_int(&pack->packer, 0);
	msgpack_pack_array(&pack->packer, 0);
	msgpack_pack_nil(&pack->packer);
	refuse_request(pack, -EBADMSG, "bytes follow");
}

static void test_answers_refused(void **unused)
{
	static const int64_t wrong[] = {1, -4096};
	char text[513];
	struct gyr_pack *pack;
	for (size_t i = 0; i < 2; i++) {
		pack = head(6, 1, GYR_LINK_LOAD | 0x80);
		msgpack_pack_int64(&pack->packer, wrong[i]);
		gyr_pack_str(pack, "x");
		msgpack_pack_nil(&pack->packer);
		refuse_answer(pack, -EBADMSG, "status");
	}
	memset(text, 'x', 512);
	text[512] = 0;
	pack = head(6, 1, GYR_LINK_LOAD | 0x80);
	msgpack_pack_int(&pack->packer, 0);
	gyr_pack_str(pack, text);
	msgpack_pack_nil(&pack->packer);
	refuse_answer(pack, -EBADMSG, "text");
	pack = head(6, 1, GYR_LINK_LOAD | 0x80);
	msgpack_pack_int(&pack->packer, 0);
	gyr_pack_str(pack, "");
	msgpack_pack_array(&pack->packer, 0);
	refuse_answer(pack, -EBADMSG, "body");
	pack = head(6, 1, GYR_LINK_LOAD | 0x80);
	msgpack_pack_int(&pack->packer, 0);
	gyr_pack_str(pack, "");
	msgpack_pack_nil(&pack->packer);
	msgpack_pack_nil(&pack->packer);
	refuse_answer(pack, -EBADMSG, "bytes follow");
}

/* Cut anywhere, a packet is refused and not read past; into less room it is not packed. */
static void test_truncation(void **unused)
{
	uint8_t whole[256];
	for (int which = 0; which < 2; which++) {
		size_t size = which == 0 ? gyr_link_pack_request(whole, sizeof whole, &route) : gyr_link_pack_answer(whole, sizeof whole, &status_answer);
		assert_true(size > 0);
		for (size_t length = 0; length < size; length++) {
			uint8_t *cut = malloc(length + 1);
			memcpy(cut + 1, whole, length);
			int status = which == 0 ? gyr_link_parse_request(cut + 1, length, &request, &error)
						: gyr_link_parse_answer(cut + 1, length, &answer, &error);
			assert_int_equal(status, -EBADMSG);
			free(cut);
			assert_int_equal(which == 0 ? gyr_link_pack_request(bytes, length, &route) : gyr_link_pack_answer(bytes, length, &status_answer), 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_come_back), cmocka_unit_test(test_as_many_and_as_long_as_may_be),
		cmocka_unit_test(test_answers_come_back),  cmocka_unit_test(test_a_request_is_no_answer),
		cmocka_unit_test(test_heads_refused),      cmocka_unit_test(test_requests_refused),
		cmocka_unit_test(test_answers_refused),    cmocka_unit_test(test_truncation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
