/*
 * libgyr with questions and answers in pieces, against a responder on loopback that gathers and asks as docs/WIRE.md says a server does, and loses what it is
 * told to lose, both ways. The whole answer is the question's bytes turned round, so that a test sees that every one of them was answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "dataplane/client/gyr.h"
#include "dataplane/wire/pieces.h"
#include "dataplane/wire/wire.h"

#define TIMEOUT_US 20000000u
#define BYTES_MAX 700000u
#define PIECE 1408u
#define QUIET_MS 5

/* What the responder does; set while no call is under way. */
static struct {
	unsigned lose_in, lose_out; /* of a thousand datagrams, at random */
	unsigned lose_first;        /* so many pieces of a question first */
	unsigned lose_once;         /* each so many-th piece of an answer, the first time that it is sent */
	unsigned lose_answers;      /* the same of so many answers only; 0: of all */
	bool never_ask;             /* for missing pieces */
	bool ask_in_vain;           /* says incomplete once, instead of asking */
	bool deaf;                  /* to requests for pieces of the answer */
	bool other_answer;          /* each time that the question is whole again, the answer is another */
	unsigned takes_ms;          /* to answer; what comes meanwhile is looked at, and dropped */
} manner;

static struct {
	int fd;
	uint16_t port;
	pthread_t thread;
	struct sockaddr_storage from;
	socklen_t from_size;
	uint64_t id, question_id;
	uint8_t question[BYTES_MAX], answer[BYTES_MAX];
	uint64_t question_bits[BYTES_MAX / 64 / 64 + 1], lost_bits[BYTES_MAX / 64 / 64 + 1];
	struct gyr_pieces pieces, lost;
	size_t answer_bytes;
	bool asked, incomplete_said;
	uint64_t done_ns; /* when the answer under way is sent; 0: none is */
	_Atomic unsigned pieces_in, asks, asks_in, wholes, ids;
} responder;

static struct gyr_client *client;
static uint8_t in_bytes[BYTES_MAX], out_bytes[BYTES_MAX];

static void send_out(const void *bytes, size_t size)
{
	if ((unsigned)rand() % 1000 >= manner.lose_out)
		sendto(responder.fd, bytes, size, 0, (struct sockaddr *)&responder.from, responder.from_size);
}

static void send_answer(uint32_t offset, uint32_t bytes)
{
	uint8_t datagram[1472];
	uint32_t total = (uint32_t)responder.answer_bytes, end = offset + bytes;
	if (total <= sizeof datagram) {
		send_out(responder.answer, total);
		return;
	}
	for (; offset < end; offset += PIECE) {
		uint32_t size = end - offset < PIECE ? end - offset : PIECE;
		if (manner.lose_once > 0 && (manner.lose_answers == 0 || responder.wholes <= manner.lose_answers) && offset / PIECE % manner.lose_once == 0 &&
		    gyr_pieces_add(&responder.lost, offset, size) > 0)
			continue;
		send_out(datagram, gyr_wire_pack_fragment(datagram, sizeof datagram, responder.id, total, offset, responder.answer + offset, size));
	}
}

static void answer_question(const struct gyr_wire_message *question)
{
	const struct gyr_wire_tensor *input = &question->tensors[0];
	static uint8_t turned[BYTES_MAX];
	unsigned whole = ++responder.wholes;
	for (uint32_t i = 0; i < input->bytes; i++)
		turned[i] = (uint8_t)(input->data[input->bytes - 1 - i] + (manner.other_answer ? whole : 0));
	struct gyr_wire_output output = {.shape = {.dtype = GYR_DTYPE_U8, .rank = 1, .dims = {input->bytes}}, .data = turned, .form = GYR_WIRE_BARE};
	/* A model named "small" answers with a byte. */
	if (question->model.length == 5)
		output.shape.dims[0] = 1;
	responder.answer_bytes = gyr_wire_pack_result(responder.answer, sizeof responder.answer, question->id, whole, &output, 1, NULL, NULL);
	gyr_pieces_init(&responder.lost, responder.lost_bits, (uint32_t)responder.answer_bytes);
	if (manner.takes_ms > 0)
		responder.done_ns = gyr_clock_ns() + manner.takes_ms * GYR_NS_PER_MS;
	else
		send_answer(0, (uint32_t)responder.answer_bytes);
}

static void take_piece(const struct gyr_wire_message *piece)
{
	const char *reason;
	struct gyr_wire_message whole;
	unsigned count = ++responder.pieces_in;
	if (count <= manner.lose_first)
		return;
	if (piece->id != responder.question_id || responder.pieces.total != piece->total) {
		responder.ids += piece->id != responder.question_id;
		responder.question_id = piece->id;
		responder.asked = false;
		gyr_pieces_init(&responder.pieces, responder.question_bits, piece->total);
	}
	if (responder.pieces.left == 0) {
		if (piece->offset == 0 && responder.done_ns == 0)
			send_answer(0, (uint32_t)responder.answer_bytes); /* a repeat */
		return;
	}
	memcpy(responder.question + piece->offset, piece->body, piece->body_bytes);
	gyr_pieces_add(&responder.pieces, piece->offset, piece->body_bytes);
	if (responder.pieces.left == 0 && gyr_wire_parse(responder.question, piece->total, &whole, &reason) == GYR_WIRE_OK)
		answer_question(&whole);
}

/* Nothing came for a while. */
static void rest(void)
{
	struct gyr_wire_range ranges[GYR_WIRE_RANGES_MAX];
	uint8_t datagram[1472];
	uint32_t count = 0, from = 0;
	if (responder.pieces.total == 0 || responder.pieces.left == 0 || responder.asked || manner.never_ask)
		return;
	if (manner.ask_in_vain && !responder.incomplete_said) {
		responder.incomplete_said = true;
		responder.pieces.total = 0;
		send_out(datagram, gyr_wire_pack_error(datagram, sizeof datagram, responder.question_id, GYR_WIRE_INCOMPLETE, "no", 0));
		return;
	}
	responder.asked = true;
	responder.asks++;
	while (count < GYR_WIRE_RANGES_MAX && from < responder.pieces.total && gyr_pieces_next_missing(&responder.pieces, from, &ranges[count])) {
		from = ranges[count].offset + ranges[count].bytes;
		count++;
	}
	send_out(datagram, gyr_wire_pack_missing(datagram, sizeof datagram, responder.question_id, responder.pieces.total, ranges, count));
}

static void *respond(void *unused)
{
	static uint8_t in[65536];
	for (;;) {
		const char *reason;
		struct gyr_wire_message message;
		struct gyr_wire_range range;
		struct pollfd waited = {.fd = responder.fd, .events = POLLIN};
		int ready = poll(&waited, 1, responder.done_ns != 0 ? 1 : QUIET_MS);
		if (responder.done_ns != 0 && gyr_clock_ns() >= responder.done_ns) {
			responder.done_ns = 0;
			send_answer(0, (uint32_t)responder.answer_bytes);
		}
		if (ready == 0) {
			rest();
			continue;
		}
		responder.from_size = sizeof responder.from;
		ssize_t bytes = recvfrom(responder.fd, in, sizeof in, 0, (struct sockaddr *)&responder.from, &responder.from_size);
		if (bytes <= 0) /* the empty datagram ends it */
			return NULL;
		if ((unsigned)rand() % 1000 < manner.lose_in || gyr_wire_parse(in, (size_t)bytes, &message, &reason) != GYR_WIRE_OK)
			continue;
		responder.id = message.id;
		if (message.type == GYR_WIRE_FRAGMENT)
			take_piece(&message);
		else if (message.type == GYR_WIRE_REQUEST)
			answer_question(&message);
		else if (message.type == GYR_WIRE_MISSING && ++responder.asks_in > 0 && !manner.deaf && message.total == responder.answer_bytes)
			while (gyr_wire_next_range(&message, &range))
				send_answer(range.offset, range.bytes);
	}
}

static void start(int family, const char *host)
{
	struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
	socklen_t size = sizeof address;
	int room = 8 << 20;
	if (family == AF_INET)
		((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
	memset(&manner, 0, sizeof manner);
	memset(&responder, 0, sizeof responder);
	responder.fd = socket(family, SOCK_DGRAM, 0);
	setsockopt(responder.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	assert_int_equal(bind(responder.fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(responder.fd, (struct sockaddr *)&address, &size), 0);
	responder.port = ntohs(((struct sockaddr_in *)&address)->sin_port); /* in the same place in both */
	assert_int_equal(pthread_create(&responder.thread, NULL, respond, NULL), 0);
	assert_int_equal(gyr_client_create(host, responder.port, &client), 0);
}

static int set_up(void **unused)
{
	for (uint32_t i = 0; i < BYTES_MAX; i++)
		in_bytes[i] = (uint8_t)(i * 7 + i / 255);
	srand(11);
	start(AF_INET, "127.0.0.1");
	return 0;
}

static void stop(void)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	assert_int_equal(getsockname(responder.fd, (struct sockaddr *)&address, &size), 0);
	int fd = socket(address.ss_family, SOCK_DGRAM, 0);
	assert_int_equal(sendto(fd, "", 0, 0, (struct sockaddr *)&address, size), 0);
	close(fd);
	pthread_join(responder.thread, NULL);
	close(responder.fd);
	gyr_client_destroy(client);
}

static int tear_down(void **unused)
{
	stop();
	return 0;
}

static int predict(const char *model, uint32_t bytes, size_t room, struct gyr_reply *reply)
{
	struct gyr_tensor in = {.data = in_bytes, .bytes = bytes}, out = {.data = out_bytes, .bytes = room};
	memset(out_bytes, 0, sizeof out_bytes);
	int status = gyr_predict(client, model, NULL, &in, 1, &out, 1, TIMEOUT_US, reply);
	if (status == 0)
		assert_int_equal(out.bytes, model[0] == 's' ? 1 : bytes);
	return status;
}

static void expect(uint32_t bytes, uint8_t more)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (out_bytes[i] != (uint8_t)(in_bytes[bytes - 1 - i] + more))
			fail_msg("byte %u is wrong", i);
}

static void must_predict(uint32_t bytes)
{
	int status = predict("m", bytes, bytes, NULL);
	if (status != 0)
		fail_msg("%s", gyr_client_error(client));
	expect(bytes, 0);
}

static void test_sizes(void **unused)
{
	/* One datagram there and pieces back; both in pieces; the next call's message is shorter; answers of one byte. */
	static const uint32_t sizes[] = {1000, 1400, 1500, 60000, 65500, 65507, 70000, 602112, 80000, 1, 65536 * 2};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		must_predict(sizes[i]);
	assert_int_equal(predict("small", 602112, 1, NULL), 0);
	assert_int_equal(out_bytes[0], in_bytes[602111]);
}

static void test_loss_both_ways(void **unused)
{
	manner.lose_in = manner.lose_out = 10;
	for (int i = 0; i < 20; i++)
		must_predict(200000);
	assert_true(responder.asks > 0);
	assert_true(responder.asks_in > 0);
}

static void test_pieces_of_the_question_again(void **unused)
{
	struct gyr_reply reply;
	manner.lose_first = 3;
	assert_int_equal(predict("m", 100000, 100000, &reply), 0);
	expect(100000, 0);
	assert_true(responder.asks <= 1);
	/* The server never asks: one piece that is lost comes again by itself, then all go. */
	manner.lose_first = responder.pieces_in + 3;
	manner.never_ask = true;
	assert_int_equal(predict("m", 100000, 100000, &reply), 0);
	expect(100000, 0);
	assert_true(reply.attempts > 1);
}

static void test_incomplete_begins_again(void **unused)
{
	struct gyr_reply reply;
	manner.lose_first = 1;
	manner.ask_in_vain = true;
	assert_int_equal(predict("m", 100000, 100000, &reply), 0);
	expect(100000, 0);
	assert_true(reply.attempts > 1);
}

static void test_pieces_of_the_answer_again(void **unused)
{
	manner.lose_once = 5;
	must_predict(100000);
	assert_true(responder.asks_in >= 1);
}

static void test_answers_are_not_mixed(void **unused)
{
	/* A piece of the first answer stays lost, and the question brings another answer each time: what comes must be all of one. */
	struct gyr_reply reply;
	manner.lose_once = 40;
	manner.lose_answers = 1;
	manner.deaf = true;
	manner.other_answer = true;
	assert_int_equal(predict("m", 30000, 30000, &reply), 0);
	assert_true(responder.asks_in == 1);
	assert_true(reply.version > 1);
	expect(30000, (uint8_t)reply.version);
}

/* A model that takes a while costs no question twice: one piece, to see whether the server is still there, and later not even that. */
static void test_a_slow_model_is_waited_for(void **unused)
{
	struct gyr_reply reply;
	unsigned once = (100000 + PIECE - 1) / PIECE, before = 0, least = UINT32_MAX;
	manner.takes_ms = 30;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(predict("m", 100000, 100000, &reply), 0);
		expect(100000, 0);
		assert_int_equal(responder.wholes, i + 1);
		unsigned pieces = responder.pieces_in - before;
		before = responder.pieces_in;
		/* A machine that stands still for as long looks like a server that does. */
		least = pieces < least ? pieces : least;
		if (i == 0 && reply.attempts == 1)
			assert_true(pieces <= once + 1);
	}
	assert_int_equal(least, once);
}

/* What was answered and got lost on its way is answered again for the first piece alone. */
static void test_a_lost_answer_comes_again(void **unused)
{
	struct gyr_reply reply;
	manner.lose_once = 1;
	manner.lose_answers = 1;
	assert_int_equal(predict("m", 100000, 100000, &reply), 0);
	expect(100000, 0);
	assert_int_equal(responder.wholes, 1);
	if (reply.attempts == 1)
		assert_int_equal(responder.pieces_in, (100000 + PIECE - 1) / PIECE + 1);
}

static void test_room(void **unused)
{
	assert_int_equal(predict("m", 100000, 50000, NULL), -EMSGSIZE);
	assert_non_null(strstr(gyr_client_error(client), "more than the room given"));
	must_predict(100000);
}

/* In a network of this thread's own, whose packets carry PAYLOAD bytes of a datagram. False: this machine makes none. */
static bool narrow(uint32_t payload)
{
	struct ifreq link = {.ifr_name = "lo"};
	int fd = unshare(CLONE_NEWNET) == 0 ? socket(AF_INET, SOCK_DGRAM, 0) : -1;
	bool made = false;
	if (fd >= 0) {
		link.ifr_flags = IFF_UP;
		made = ioctl(fd, SIOCSIFFLAGS, &link) == 0;
		link.ifr_mtu = (int)payload + 28;
		made = made && ioctl(fd, SIOCSIFMTU, &link) == 0;
		close(fd);
	}
	return made;
}

static void test_narrow_path(void **unused)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(home >= 0);
	stop();
	bool made = narrow(GYR_PIECES_GRAIN + GYR_WIRE_FRAGMENT_HEAD_MAX - 1);
	start(AF_INET, "127.0.0.1");
	if (made) {
		/* The head of a message this short takes less than the most that one can. */
		assert_int_equal(predict("small", 1000, 1, NULL), 0);
		assert_int_equal(out_bytes[0], in_bytes[999]);
		assert_true(responder.pieces_in >= 1000 / GYR_PIECES_GRAIN);
		stop();
		assert_true(narrow(GYR_PIECES_GRAIN));
		start(AF_INET, "127.0.0.1");
		assert_int_equal(predict("small", 1000, 1, NULL), -EMSGSIZE);
		assert_non_null(strstr(gyr_client_error(client), "fits no frame"));
	}
	stop();
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
	start(AF_INET, "127.0.0.1");
	if (!made)
		skip(); /* may make no network */
}

static void test_ipv6(void **unused)
{
	int probe = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool there = probe >= 0 && bind(probe, (struct sockaddr *)&address, sizeof address) == 0;
	close(probe);
	if (!there)
		skip(); /* this machine has no ::1 */
	static const char *const hosts[] = {"::1", "0:0:0:0:0:0:0:1", "::1%lo"};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		stop();
		start(AF_INET6, hosts[i]);
		must_predict(8);
		must_predict(100000);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_sizes),
		TEST(test_loss_both_ways),
		TEST(test_pieces_of_the_question_again),
		TEST(test_incomplete_begins_again),
		TEST(test_pieces_of_the_answer_again),
		TEST(test_answers_are_not_mixed),
		TEST(test_a_slow_model_is_waited_for),
		TEST(test_a_lost_answer_comes_again),
		TEST(test_room),
		TEST(test_narrow_path),
		TEST(test_ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
