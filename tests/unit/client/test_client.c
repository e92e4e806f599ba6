/*
 * libgyr against a responder on loopback that speaks the real codec and misbehaves as told: loses, doubles, delays, answers stale ids, refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "dataplane/client/gyr.h"
#include "dataplane/wire/wire.h"

#define TIMEOUT_US 5000000u /* far longer than any answer of a healthy responder takes, so that a slow machine fails no test */

/* What the responder does with the next datagrams; set while no call is under way. */
static struct {
	unsigned lose;           /* so many first */
	bool twice;              /* send each answer twice */
	bool stale;              /* before each answer, an error for the id before it, and one that is no message at all */
	bool plain;              /* outputs as plain numbers */
	bool garbled;            /* an answer that ends early, with the right id */
	bool wrong_type;         /* a ping where a result is due */
	enum gyr_wire_code code; /* answer an error */
	const char *text;
	uint32_t retry_after_us;
} manner;

static struct {
	int fd;
	uint16_t port;
	pthread_t thread;
	unsigned received;
	struct gyr_wire_message last;
	char model[64];
} responder;

static struct gyr_client *client;

static size_t answer(uint8_t *to, size_t size, const struct gyr_wire_message *message, uint64_t id)
{
	static const float sum_of[2] = {1, 2};
	struct gyr_wire_output output = {
		.shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {1, 2}}, .data = sum_of, .form = manner.plain ? GYR_WIRE_PLAIN : GYR_WIRE_BARE};
	const struct gyr_wire_description description = {.model = "m"};
	if (manner.code != GYR_WIRE_OK)
		return gyr_wire_pack_error(to, size, id, manner.code, manner.text, manner.retry_after_us);
	if (message->type == GYR_WIRE_PING || manner.wrong_type)
		return gyr_wire_pack_ping(to, size, id, NULL, 0);
	if (message->type == GYR_WIRE_DESCRIBE)
		return gyr_wire_pack_description(to, size, id, &description);
	/* An echo of the input, so that a test sees that its own bytes were answered. */
	if (message->tensors[0].bytes == 8)
		output.data = message->tensors[0].data;
	return gyr_wire_pack_result(to, size, id, 41, &output, 1, NULL, NULL);
}

static void *respond(void *unused)
{
	static uint8_t in[65536], out[65536];
	for (;;) {
		struct sockaddr_in from;
		socklen_t from_size = sizeof from;
		const char *reason;
		ssize_t bytes = recvfrom(responder.fd, in, sizeof in, 0, (struct sockaddr *)&from, &from_size);
		if (bytes <= 0) /* the empty datagram ends it */
			return NULL;
		if (gyr_wire_parse(in, (size_t)bytes, &responder.last, &reason) != GYR_WIRE_OK)
			continue;
		snprintf(responder.model, sizeof responder.model, "%.*s", (int)responder.last.model.length,
			 responder.last.model.name == NULL ? "" : responder.last.model.name);
		if (++responder.received <= manner.lose)
			continue;
		if (manner.stale) {
			size_t size = gyr_wire_pack_error(out, sizeof out, responder.last.id - 1, GYR_WIRE_INTERNAL, "not this one", 0);
			sendto(responder.fd, out, size, 0, (struct sockaddr *)&from, from_size);
			sendto(responder.fd, "\x93no", 3, 0, (struct sockaddr *)&from, from_size);
		}
		size_t size = answer(out, sizeof out, &responder.last, responder.last.id) - (manner.garbled ? 1 : 0);
		for (int i = 0; i < (manner.twice ? 2 : 1); i++)
			sendto(responder.fd, out, size, 0, (struct sockaddr *)&from, from_size);
	}
}

static int setup(void **unused)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	memset(&manner, 0, sizeof manner);
	memset(&responder, 0, sizeof responder);
	responder.fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(responder.fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(responder.fd, (struct sockaddr *)&address, &size), 0);
	responder.port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&responder.thread, NULL, respond, NULL), 0);
	assert_int_equal(gyr_client_create("127.0.0.1", responder.port, &client), 0);
	return 0;
}

/* Ends the responder's thread, so that what it noted can be read. */
static void end_responder(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(responder.port)};
	if (responder.fd < 0)
		return;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(sendto(fd, "", 0, 0, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	pthread_join(responder.thread, NULL);
	close(responder.fd);
	responder.fd = -1;
}

static int teardown(void **unused)
{
	end_responder();
	gyr_client_destroy(client);
	return 0;
}

static int predict_8(float values[2], struct gyr_reply *reply, uint32_t timeout_us)
{
	static float input[2] = {3.5f, -7};
	struct gyr_tensor in = {.data = input, .bytes = sizeof input}, out = {.data = values, .bytes = 2 * sizeof *values};
	int status = gyr_predict(client, "fashion", NULL, &in, 1, &out, 1, timeout_us, reply);
	if (status == 0) {
		assert_int_equal(out.bytes, 8);
		assert_memory_equal(values, input, 8);
	}
	return status;
}

static void test_predict(void **unused)
{
	float values[2];
	struct gyr_reply reply;
	assert_int_equal(predict_8(values, &reply, TIMEOUT_US), 0);
	assert_int_equal(reply.version, 41);
	assert_int_equal(reply.retry_after_us, 0);
	assert_true(reply.attempts >= 1);
	assert_true(reply.round_trip_ns > 0);
	assert_string_equal(gyr_client_error(client), "");
	assert_int_equal(predict_8(values, NULL, TIMEOUT_US), 0);
	gyr_client_busy_poll(client, 1);
	assert_int_equal(predict_8(values, &reply, TIMEOUT_US), 0);
	end_responder();
	assert_string_equal(responder.model, "fashion");
	assert_int_equal(responder.last.deadline_us, TIMEOUT_US);
	assert_false(responder.last.select.present);
	assert_int_equal(responder.last.tensors[0].form, GYR_WIRE_BARE);
}

static void test_selects(void **unused)
{
	float values[2], input[2] = {0};
	struct gyr_tensor in = {.data = input, .bytes = 8}, out = {.data = values, .bytes = 8};
	assert_int_equal(gyr_predict(client, "m", "18446744073709551615", &in, 1, &out, 1, TIMEOUT_US, NULL), 0);
	end_responder();
	assert_null(responder.last.select.name);
	assert_int_equal(responder.last.select.number, UINT64_MAX);
	teardown(NULL);
	setup(NULL);
	assert_int_equal(gyr_predict(client, "m", "2nd", &in, 1, &out, 1, TIMEOUT_US, NULL), 0);
	end_responder();
	assert_non_null(responder.last.select.name);
	assert_int_equal(responder.last.select.length, 3);
}

static void test_loss_is_mended(void **unused)
{
	float values[2];
	struct gyr_reply reply;
	manner.lose = 3;
	uint64_t start_ns = gyr_clock_ns();
	assert_int_equal(predict_8(values, &reply, TIMEOUT_US), 0);
	assert_true(reply.attempts >= 4);
	/* Sent again after 10, 20 and 40 ms: not before. */
	assert_true(gyr_clock_ns() - start_ns >= 70 * GYR_NS_PER_MS);
	end_responder();
	assert_true(responder.received >= 4);
}

static void test_doubles_and_stale_answers_are_dropped(void **unused)
{
	float values[2];
	manner.twice = manner.stale = true;
	/* Each call finds the second answer to the call before it in its socket. */
	for (int i = 0; i < 50; i++)
		assert_int_equal(predict_8(values, NULL, TIMEOUT_US), 0);
}

static void test_timeout(void **unused)
{
	float values[2];
	struct gyr_reply reply;
	manner.lose = UINT32_MAX;
	uint64_t start_ns = gyr_clock_ns();
	assert_int_equal(predict_8(values, &reply, 50000), -ETIMEDOUT);
	assert_true(gyr_clock_ns() - start_ns >= 50 * GYR_NS_PER_MS);
	assert_true(reply.attempts >= 1 && reply.attempts <= 3);
	assert_non_null(strstr(gyr_client_error(client), "no answer in 50000 us"));
}

static void test_codes(void **unused)
{
	static const int expected[GYR_WIRE_CODE_COUNT + 1] = {
		[GYR_WIRE_MALFORMED] = -EPROTO,     [GYR_WIRE_UNSUPPORTED] = -EPROTO, [GYR_WIRE_UNKNOWN_MODEL] = -ENOENT, [GYR_WIRE_UNKNOWN_VERSION] = -ENOENT,
		[GYR_WIRE_UNKNOWN_LABEL] = -ENOENT, [GYR_WIRE_BAD_SHAPE] = -EINVAL,   [GYR_WIRE_BAD_DTYPE] = -EINVAL,     [GYR_WIRE_TOO_LARGE] = -EMSGSIZE,
		[GYR_WIRE_DEADLINE] = -ETIME,       [GYR_WIRE_BUSY] = -EBUSY,         [GYR_WIRE_INTERNAL] = -EIO,         [GYR_WIRE_INCOMPLETE] = -EIO,
		[GYR_WIRE_FORBIDDEN] = -EPERM,      [GYR_WIRE_CODE_COUNT] = -EPROTO,
	};
	float values[2];
	struct gyr_reply reply;
	for (int code = 1; code <= GYR_WIRE_CODE_COUNT; code++) {
		manner.code = (enum gyr_wire_code)code;
		manner.text = "because";
		manner.retry_after_us = 250;
		assert_int_equal(predict_8(values, &reply, TIMEOUT_US), expected[code]);
		assert_non_null(strstr(gyr_client_error(client), "because"));
		assert_int_equal(reply.retry_after_us, code == GYR_WIRE_BUSY ? 250 : 0);
	}
}

static void test_answers_not_understood(void **unused)
{
	float values[2];
	manner.garbled = true;
	assert_int_equal(predict_8(values, NULL, TIMEOUT_US), -EPROTO);
	manner.garbled = false;
	manner.wrong_type = true;
	assert_int_equal(predict_8(values, NULL, TIMEOUT_US), -EPROTO);
	manner.wrong_type = false;
	manner.plain = true;
	assert_int_equal(predict_8(values, NULL, TIMEOUT_US), -EPROTO);
	manner.plain = false;
	assert_int_equal(predict_8(values, NULL, TIMEOUT_US), 0);
}

static void test_bad_arguments(void **unused)
{
	char name[65];
	float values[2];
	struct gyr_client *none = NULL;
	struct gyr_tensor in = {.data = values, .bytes = 8}, out = {.data = values, .bytes = 8}, outs[2] = {out, out};
	static const char *const hosts[] = {
		"localhost",          "",         "1.2.3", "1.2.3.4.5", "::g",
		"fe80::1%nosuchlink", "fe80::1%", "%lo",   "[::1]",     "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		assert_int_equal(gyr_client_create(hosts[i], 0, &none), -EINVAL);
	assert_null(none);
	memset(name, 'a', 64);
	name[64] = 0;
	static const char *const bad[] = {"", "Fashion", "a b", "-a", "a/b"};
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(gyr_predict(client, bad[i], NULL, &in, 1, &out, 1, TIMEOUT_US, NULL), -EINVAL);
		assert_int_equal(gyr_predict(client, "m", bad[i], &in, 1, &out, 1, TIMEOUT_US, NULL), -EINVAL);
	}
	assert_int_equal(gyr_predict(client, name, NULL, &in, 1, &out, 1, TIMEOUT_US, NULL), -EINVAL);
	assert_int_equal(gyr_predict(client, "m", "18446744073709551616", &in, 1, &out, 1, TIMEOUT_US, NULL), -EINVAL);
	assert_int_equal(gyr_predict(client, "m", NULL, &in, 0, &out, 1, TIMEOUT_US, NULL), -EINVAL);
	assert_int_equal(gyr_predict(client, "m", NULL, &in, 9, &out, 1, TIMEOUT_US, NULL), -EINVAL);
	in.bytes = UINT32_MAX; /* more than a message holds: none of it is read */
	assert_int_equal(gyr_predict(client, "m", NULL, &in, 1, &out, 1, TIMEOUT_US, NULL), -EMSGSIZE);
	in.bytes = 8;
	/* What only the answer shows. */
	assert_int_equal(gyr_predict(client, "m", NULL, &in, 1, outs, 2, TIMEOUT_US, NULL), -EINVAL);
	out.bytes = 7;
	assert_int_equal(gyr_predict(client, "m", NULL, &in, 1, &out, 1, TIMEOUT_US, NULL), -EMSGSIZE);
	assert_int_equal(out.bytes, 7);
}

static void test_nobody_listens(void **unused)
{
	float values[2];
	end_responder();
	assert_int_equal(predict_8(values, NULL, 30000), -ECONNREFUSED);
}

static void test_describe_and_ping(void **unused)
{
	const void *map;
	size_t bytes;
	uint64_t round_trip_ns = 0;
	assert_int_equal(gyr_ping(client, TIMEOUT_US, &round_trip_ns), 0);
	assert_true(round_trip_ns > 0);
	assert_int_equal(gyr_describe(client, "m", "stable", TIMEOUT_US, &map, &bytes), 0);
	assert_int_equal(*(const uint8_t *)map, 0x87);
	assert_int_equal(gyr_describe(client, "M", NULL, TIMEOUT_US, &map, &bytes), -EINVAL);
	manner.code = GYR_WIRE_UNKNOWN_MODEL;
	manner.text = "no such model";
	assert_int_equal(gyr_describe(client, "m", NULL, TIMEOUT_US, &map, &bytes), -ENOENT);
}

int main(void)
{
#define WITH_RESPONDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_RESPONDER(test_predict),
		WITH_RESPONDER(test_selects),
		WITH_RESPONDER(test_loss_is_mended),
		WITH_RESPONDER(test_doubles_and_stale_answers_are_dropped),
		WITH_RESPONDER(test_timeout),
		WITH_RESPONDER(test_codes),
		WITH_RESPONDER(test_answers_not_understood),
		WITH_RESPONDER(test_bad_arguments),
		WITH_RESPONDER(test_nobody_listens),
		WITH_RESPONDER(test_describe_and_ping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
