/*
 * Messages in pieces through a real port: questions and answers larger than a datagram, pieces lost, doubled and asked for again, half-sent questions given up,
 * and nothing left behind. Arguments: io_cpus and engine_cpus ("last" is the machine's).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "client.h"
#include "dataplane/flow/blocks.h"
#include "dataplane/loop/large.h"
#include "dataplane/loop/models_internal.h"
#include "dataplane/wire/pieces.h"
#include "models.h"

#define SKIP 77
#define FLOATS 4000u
#define MESSAGE_MAX 65536u
#define PIECE 1408u
/* Long against what a busy machine takes from an lcore now and then. */
#define ASK_MS 100u
#define TIMEOUT_MS 400u
#define PATIENCE_MS 10000u

static struct gyr_config config;
static struct gyr_loop *loop;
static struct gyr_models *models;
static char folder[64];
static uint64_t next_id = 1000, datagrams, payload_bytes;
static uint8_t question[MESSAGE_MAX], whole[MESSAGE_MAX];
static uint32_t question_bytes;
static struct client_answer answer;

static uint64_t sum(size_t first, size_t count)
{
	uint64_t all = 0;
	for (uint32_t l = 0; l < loop->lcore_count; l++) {
		const _Atomic uint64_t *counters = (const _Atomic uint64_t *)((const char *)loop->lcores[l].counters + first);
		for (size_t i = 0; i < count; i++)
			all += atomic_load(&counters[i]);
	}
	return all;
}

#define COUNTED(member) sum(offsetof(struct gyr_lcore_counters, member), 1)

static uint64_t answers(enum gyr_answer outcome)
{
	return sum(offsetof(struct gyr_lcore_counters, answers) + outcome * sizeof(uint64_t), 1);
}

/* Waits until WHAT is no more than MOST. */
static void wait_until(uint64_t (*what)(void), uint64_t most)
{
	uint64_t until_ns = gyr_clock_ns() + PATIENCE_MS * GYR_NS_PER_MS;
	while (what() > most)
		assert_true(gyr_clock_ns() < until_ns);
}

static uint64_t messages(void)
{
	return COUNTED(large_messages);
}

static uint64_t bytes_taken(void)
{
	return COUNTED(large_bytes);
}

static uint64_t under_way(void)
{
	return datagrams - sum(offsetof(struct gyr_lcore_counters, answers), GYR_ANSWERS);
}

static void send_datagram(const void *bytes, size_t size)
{
	client_send(bytes, size);
	datagrams++;
	payload_bytes += size;
}

/* A question to MODEL with one bare tensor of COUNT floats, 1 and on. */
static void pack_question(const char *model, uint32_t count, uint64_t id)
{
	static float x[FLOATS];
	const struct gyr_wire_ref ref = {.name = model, .length = (uint32_t)strlen(model), .present = true}, none = {0};
	for (uint32_t i = 0; i < count; i++)
		x[i] = (float)(i % 7);
	const struct gyr_wire_output input = {.form = GYR_WIRE_BARE, .data = x, .shape = {.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {count}}};
	question_bytes = (uint32_t)gyr_wire_pack_request(question, sizeof question, id, &ref, &none, 0, &input, 1, false);
	assert_true(question_bytes > 0);
}

/* What the narrow model says to that. */
static float narrow_sum(void)
{
	float all = 0;
	for (uint32_t i = 0; i < FLOATS; i++)
		all += (float)(i % 7);
	return all * 2;
}

static void send_range(uint64_t id, uint32_t total, uint32_t offset, uint32_t bytes)
{
	uint8_t payload[CLIENT_BYTES_MAX];
	size_t size = gyr_wire_pack_fragment(payload, sizeof payload, id, total, offset, question + offset, bytes);
	assert_true(size > 0);
	send_datagram(payload, size);
}

static uint32_t piece_bytes(uint32_t offset)
{
	return question_bytes - offset < PIECE ? question_bytes - offset : PIECE;
}

/* All pieces but the one at LOST (a multiple of PIECE; UINT32_MAX: none). */
static void send_pieces(uint64_t id, uint32_t lost)
{
	for (uint32_t offset = 0; offset < question_bytes; offset += PIECE) {
		if (offset != lost)
			send_range(id, question_bytes, offset, piece_bytes(offset));
	}
}

static void receive(uint64_t id, enum gyr_wire_type type)
{
	assert_true(client_receive(&answer, PATIENCE_MS));
	if (answer.message.type == GYR_WIRE_ERROR && type != GYR_WIRE_ERROR)
		fail_msg("%.*s", (int)answer.message.text_length, answer.message.text);
	assert_int_equal(answer.message.type, type);
	assert_int_equal(answer.message.id, id);
}

static void expect_error(uint64_t id, enum gyr_wire_code code)
{
	receive(id, GYR_WIRE_ERROR);
	assert_int_equal(answer.message.code, code);
}

static void expect_silence(void)
{
	assert_false(client_receive(&answer, 20));
}

static void expect_narrow(uint64_t id)
{
	float got;
	receive(id, GYR_WIRE_RESULT);
	assert_int_equal(answer.message.tensors[0].bytes, sizeof got);
	memcpy(&got, answer.message.tensors[0].data, sizeof got);
	assert_true(got == narrow_sum());
}

static void takes_pieces_in_any_order(void **state)
{
	uint64_t id = next_id++, before = COUNTED(large_whole);
	pack_question("narrow", FLOATS, id);
	/* From the end, the last twice, pieces of several sizes that overlap. */
	uint32_t last = question_bytes / 64 * 64;
	send_range(id, question_bytes, last, question_bytes - last);
	send_range(id, question_bytes, last, question_bytes - last);
	send_range(id, question_bytes, 640, 64);
	for (uint32_t at = last / 640 * 640 + 640; at > 0; at -= 640) {
		uint32_t offset = at - 640, left = question_bytes - offset;
		send_range(id, question_bytes, offset, left < 704 ? left : 704);
	}
	expect_narrow(id);
	expect_silence();
	assert_int_equal(COUNTED(large_whole), before + 1);
}

static void answers_one_after_another(void **state)
{
	for (int i = 0; i < 200; i++) {
		uint64_t id = next_id++;
		client_set_port((uint16_t)(20000 + i % 5));
		pack_question("narrow", FLOATS, id);
		send_pieces(id, UINT32_MAX);
		expect_narrow(id);
	}
}

static void asks_once_for_what_is_missing(void **state)
{
	uint64_t id = next_id++;
	struct gyr_wire_range range;
	pack_question("narrow", FLOATS, id);
	send_pieces(id, 2 * PIECE);
	receive(id, GYR_WIRE_MISSING);
	assert_int_equal(answer.message.total, question_bytes);
	assert_true(gyr_wire_next_range(&answer.message, &range));
	assert_int_equal(range.offset, 2 * PIECE);
	assert_int_equal(range.bytes, PIECE);
	assert_false(gyr_wire_next_range(&answer.message, &range));
	send_range(id, question_bytes, range.offset, range.bytes);
	expect_narrow(id);
}

static void gives_up_what_stays_incomplete(void **state)
{
	uint64_t id = next_id++, given_up = COUNTED(large_given_up), start_ns = gyr_clock_ns();
	pack_question("narrow", FLOATS, id);
	send_pieces(id, 0);
	receive(id, GYR_WIRE_MISSING);
	expect_error(id, GYR_WIRE_INCOMPLETE);
	/* The two clocks differ a little. */
	assert_true(gyr_clock_ns() - start_ns >= TIMEOUT_MS * GYR_NS_PER_MS * 49 / 50);
	assert_int_equal(COUNTED(large_given_up), given_up + 1);
	wait_until(messages, 0);
	wait_until(bytes_taken, 0);
	/* The id may be used again. */
	send_pieces(id, UINT32_MAX);
	expect_narrow(id);
}

/* Takes the pieces of an answer that are to come, all but the one at LOST; the whole parsed into answer.message. */
static void receive_pieces(uint64_t id, uint32_t lost)
{
	static uint64_t bits[MESSAGE_MAX / 64 / 64];
	struct gyr_pieces pieces = {0};
	do {
		receive(id, GYR_WIRE_FRAGMENT);
		const struct gyr_wire_message *piece = &answer.message;
		if (pieces.total == 0)
			gyr_pieces_init(&pieces, bits, piece->total);
		assert_int_equal(piece->total, pieces.total);
		if (piece->offset == lost) {
			lost = UINT32_MAX;
			uint8_t payload[64];
			const struct gyr_wire_range range = {piece->offset, piece->body_bytes};
			send_datagram(payload, gyr_wire_pack_missing(payload, sizeof payload, id, piece->total, &range, 1));
			continue;
		}
		memcpy(whole + piece->offset, piece->body, piece->body_bytes);
		gyr_pieces_add(&pieces, piece->offset, piece->body_bytes);
	} while (pieces.left > 0);
	const char *reason;
	assert_int_equal(gyr_wire_parse(whole, pieces.total, &answer.message, &reason), GYR_WIRE_OK);
}

static void expect_wide(uint64_t id, uint32_t rows)
{
	assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
	assert_int_equal(answer.message.id, id);
	assert_int_equal(answer.message.tensors[0].bytes, rows * FLOATS * sizeof(float));
	for (uint32_t i = 0; i < rows * FLOATS; i++) {
		float got;
		memcpy(&got, answer.message.tensors[0].data + i * sizeof got, sizeof got);
		assert_true(got == (float)(i / FLOATS % 7) * 3);
	}
}

static void sends_answers_in_pieces(void **state)
{
	for (uint32_t rows = 1; rows <= 3; rows++) {
		uint64_t id = next_id++, before = answers(GYR_ANSWER_RESULT);
		pack_question("wide", rows, id);
		send_datagram(question, question_bytes);
		receive_pieces(id, UINT32_MAX);
		expect_wide(id, rows);
		assert_int_equal(answers(GYR_ANSWER_RESULT), before + 1);
	}
	expect_silence();
}

static void sends_pieces_again(void **state)
{
	uint64_t id = next_id++, before = answers(GYR_ANSWER_MISSING);
	pack_question("wide", 2, id);
	send_datagram(question, question_bytes);
	receive_pieces(id, PIECE);
	expect_wide(id, 2);
	assert_int_equal(answers(GYR_ANSWER_MISSING), before + 1);
	/* After its time it is not kept any more, and was no message of anybody else before. */
	uint32_t total = 2 * FLOATS * 4;
	uint8_t payload[64];
	const struct gyr_wire_range range = {0, 64};
	size_t bytes = gyr_wire_pack_missing(payload, sizeof payload, id, total, &range, 1);
	client_set_port(23456);
	send_datagram(payload, bytes);
	expect_error(id, GYR_WIRE_INCOMPLETE);
	client_set_port(20000);
	wait_until(messages, 0);
	send_datagram(payload, bytes);
	expect_error(id, GYR_WIRE_INCOMPLETE);
}

static void keeps_the_pace(void **state)
{
	/* 3 rows are 48,000 bytes; 100 Mbit/s are 12.5 bytes a microsecond. */
	uint64_t id = next_id++;
	pack_question("wide", 3, id);
	wait_until(messages, 0); /* a client that rested */
	uint64_t start_ns = gyr_clock_ns();
	send_datagram(question, question_bytes);
	receive_pieces(id, UINT32_MAX);
	uint64_t took_us = (gyr_clock_ns() - start_ns) / GYR_NS_PER_US;
	assert_in_range(took_us, (48000 - 17 * 1500) * 10 / 125, 1000000);
}

static void keeps_the_answer_for_repeats(void **state)
{
	uint64_t id = next_id++;
	pack_question("narrow", FLOATS, id);
	send_pieces(id, UINT32_MAX);
	expect_narrow(id);
	uint64_t results = answers(GYR_ANSWER_RESULT);
	/* One of its pieces, once more, a while later: the answer again, without a new run. */
	usleep(config.large_ask_us + 1000);
	send_range(id, question_bytes, 0, PIECE);
	expect_narrow(id);
	assert_int_equal(answers(GYR_ANSWER_RESULT), results);
	/* The same for an answer in pieces to a question in pieces. */
	wait_until(messages, 0);
	wait_until(bytes_taken, 0);
}

/* A client whose address may be forged is never sent more than it sent, however often it repeats a piece. */
static void sends_strangers_no_more_than_they_sent(void **state)
{
	uint64_t id = next_id++, before = payload_bytes, answered = 0;
	client_set_address(RTE_IPV4(198u, 51, 100, 7));
	pack_question("scale", 64, id);
	/* All of it once more at the end, so that the answer fits the last datagram; no piece of a later one is larger than the first of these. */
	send_range(id, question_bytes, 0, 192);
	send_range(id, question_bytes, 0, question_bytes);
	receive(id, GYR_WIRE_RESULT);
	answered += answer.size;
	for (int repeat = 0; repeat < 3; repeat++) {
		assert_in_range(answered, 1, payload_bytes - before);
		usleep(config.large_ask_us + 1000);
		send_range(id, question_bytes, 0, 64);
		while (client_receive(&answer, 20))
			answered += answer.size;
	}
	assert_in_range(answered, 1, payload_bytes - before);
	while (client_receive(&answer, 2 * ASK_MS)) /* a repeat that came late begins anew, and is asked for the rest */
		continue;
	client_set_address(0);
}

static void refuses_what_it_cannot_take(void **state)
{
	uint64_t id = next_id++;
	uint8_t payload[256];
	/* Larger than the limit. */
	send_datagram(payload, gyr_wire_pack_fragment(payload, sizeof payload, id, MESSAGE_MAX + 1, 0, question, 64));
	expect_error(id, GYR_WIRE_TOO_LARGE);
	/* No request when it is whole; another id inside. */
	memset(question, 0xc1, sizeof question);
	question_bytes = 3000;
	send_pieces(id, UINT32_MAX);
	expect_error(id, GYR_WIRE_UNSUPPORTED);
	memset(question, 1, sizeof question);
	send_pieces(id, UINT32_MAX);
	expect_error(id, GYR_WIRE_MALFORMED);
	pack_question("narrow", FLOATS, id + 1);
	send_pieces(id, UINT32_MAX);
	expect_error(id, GYR_WIRE_MALFORMED);
	/* A question that is refused later on. */
	pack_question("nobody", FLOATS, id);
	send_pieces(id, UINT32_MAX);
	expect_error(id, GYR_WIRE_UNKNOWN_MODEL);
	pack_question("narrow", FLOATS - 1, id);
	send_pieces(id, UINT32_MAX);
	expect_error(id, GYR_WIRE_BAD_SHAPE);
	/* More than a client may have under way: the piece that begins a message is told so, another is dropped. */
	uint64_t no_room = answers(GYR_ANSWER_NO_ROOM);
	uint32_t begun = 0;
	wait_until(messages, 0);
	pack_question("narrow", FLOATS, id);
	for (;; begun++) {
		assert_in_range(begun, 0, 2000);
		send_range(100000 + begun, MESSAGE_MAX, 64, 64);
		wait_until(under_way, 0);
		if (answers(GYR_ANSWER_NO_ROOM) > no_room)
			break;
	}
	/* On each io lcore, which a client's messages may be spread over. */
	uint32_t most = (config.large_client_mb << 20) / (2 * MESSAGE_MAX);
	assert_in_range(begun, most, most * loop->io_count);
	send_range(100000 + begun, MESSAGE_MAX, 0, 64);
	do
		assert_true(client_receive(&answer, PATIENCE_MS));
	while (answer.message.id != 100000 + begun);
	assert_int_equal(answer.message.code, GYR_WIRE_BUSY);
	assert_true(answer.message.retry_after_us > 0);
	while (client_receive(&answer, 2 * TIMEOUT_MS))
		assert_true(answer.message.type == GYR_WIRE_MISSING || answer.message.code == GYR_WIRE_INCOMPLETE);
}

static void leaves_nothing_behind(void **state)
{
	wait_until(messages, 0);
	wait_until(bytes_taken, 0);
	assert_int_equal(sum(offsetof(struct gyr_lcore_counters, net) + GYR_NET_DATAGRAM * sizeof(uint64_t), 1), datagrams);
	assert_int_equal(sum(offsetof(struct gyr_lcore_counters, answers), GYR_ANSWERS), datagrams);
	assert_int_equal(COUNTED(unsent), 0);
	/* Every frame that was sent is there for a reason: dataplane/loop/counters.h. */
	static const enum gyr_answer silent[] = {GYR_ANSWER_NONE, GYR_ANSWER_WITHHELD, GYR_ANSWER_PIECE, GYR_ANSWER_NO_ROOM, GYR_ANSWER_MISSING};
	static const enum gyr_net_outcome replies[] = {GYR_NET_ARP_REPLY, GYR_NET_ECHO_REPLY, GYR_NET_ND_REPLY};
	uint64_t reasons = datagrams + COUNTED(unasked) + COUNTED(large_sent) + COUNTED(large_asked) + COUNTED(large_told) - COUNTED(large_answers);
	for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
		reasons -= answers(silent[i]);
	for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
		reasons += sum(offsetof(struct gyr_lcore_counters, net) + replies[i] * sizeof(uint64_t), 1);
	uint64_t frames = 0;
	for (uint32_t l = 0; l < loop->lcore_count; l++)
		frames += loop->lcores[l].tx[0].counters != NULL ? atomic_load(&loop->lcores[l].tx[0].counters->frames) : 0;
	assert_int_equal(frames, reasons);
	assert_true(COUNTED(large_sent) > 0 && COUNTED(large_asked) > 0 && COUNTED(large_told) > 0 && answers(GYR_ANSWER_NO_ROOM) > 0);
}

static void drains_what_is_still_to_be_sent(void **state)
{
	uint64_t id = next_id++;
	pack_question("wide", 3, id);
	send_datagram(question, question_bytes);
	receive(id, GYR_WIRE_FRAGMENT); /* the first of them */
	assert_true(gyr_loop_drain(loop, 10 * GYR_NS_PER_S));
	uint32_t bytes = answer.message.body_bytes, total = answer.message.total;
	while (bytes < total) {
		assert_true(client_receive(&answer, 1000));
		bytes += answer.message.body_bytes;
	}
}

static void load(enum test_model kind, const char *name, float factor)
{
	static const struct gyr_link_label stable = {.name = "stable", .version = 1};
	struct gyr_error error;
	size_t size;
	void *bytes = test_model_bundle(kind, factor, &size);
	int descriptor = test_memfd(bytes, size, true);
	if (gyr_models_load(models, name, 1, descriptor, &error) != 0)
		fail_msg("%s", error.text);
	close(descriptor);
	free(bytes);
	assert_int_equal(gyr_models_route(models, name, &stable, 1, &error), 0);
}

static int set_up(void **state)
{
	struct gyr_error error;
	char socket[96];
	snprintf(socket, sizeof socket, "%s/memif.sock", folder);
	if (gyr_loop_create(&config, &loop, &error) != 0)
		fail_msg("%s", error.text);
	models = gyr_models_create(loop);
	assert_non_null(models);
	gyr_loop_start(loop);
	client_start(socket, config.address);
	load(TEST_NARROW, "narrow", 2);
	load(TEST_WIDE, "wide", 3);
	load(TEST_SCALE, "scale", 2);
	client_set_port(20000);
	return 0;
}

static int tear_down(void **state)
{
	client_stop();
	gyr_models_destroy(models);
	gyr_loop_destroy(loop);
	return 0;
}

/* Writes LIST with the number of CPU in place of each "last". */
static void set_cpus(const char *key, const char *list, long cpu)
{
	struct gyr_error error;
	char text[128] = "";
	size_t used = 0;
	for (const char *at = list; *at != '\0';) {
		bool last = strncmp(at, "last", 4) == 0;
		if (last)
			used += (size_t)snprintf(text + used, sizeof text - used, "%ld", cpu);
		else
			text[used++] = *at;
		at += last ? 4 : 1;
	}
	if (gyr_config_set(&config, "test", key, text, &error) != 0) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_pieces_in_any_order),
		cmocka_unit_test(answers_one_after_another),
		cmocka_unit_test(asks_once_for_what_is_missing),
		cmocka_unit_test(gives_up_what_stays_incomplete),
		cmocka_unit_test(sends_answers_in_pieces),
		cmocka_unit_test(sends_pieces_again),
		cmocka_unit_test(keeps_the_pace),
		cmocka_unit_test(keeps_the_answer_for_repeats),
		cmocka_unit_test(sends_strangers_no_more_than_they_sent),
		cmocka_unit_test(refuses_what_it_cannot_take),
		cmocka_unit_test(leaves_nothing_behind),
		cmocka_unit_test(drains_what_is_still_to_be_sent),
	};
	if (argc != 3)
		return 2;
	long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	if (last == 0 && strchr(argv[1], '0') != NULL) {
		puts("skipped: two CPUs are needed to split io and engine");
		return SKIP;
	}
	gyr_log_init("test", GYR_LOG_ERROR);
	snprintf(folder, sizeof folder, "/tmp/gyr-test-large-XXXXXX");
	if (mkdtemp(folder) == NULL) {
		perror(folder);
		return 1;
	}
	gyr_config_defaults(&config);
	snprintf(config.ports[0], sizeof config.ports[0], "net_memif0,role=server,id=0,socket=%s/memif.sock,socket-abstract=no", folder);
	config.hugepages = GYR_HUGEPAGES_OFF;
	config.memory_mb = 128;
	config.batch_max = 16;
	config.large_mb = 16;
	config.large_message_kb = MESSAGE_MAX >> 10;
	config.large_client_mb = 1;
	config.large_timeout_ms = TIMEOUT_MS;
	config.large_ask_us = ASK_MS * 1000;
	config.large_pace_mbps = 100;
	set_cpus("dataplane.io_cpus", argv[1], last);
	set_cpus("dataplane.engine_cpus", argv[2], last);
	int failed = cmocka_run_group_tests(tests, set_up, tear_down);
	char socket[96];
	snprintf(socket, sizeof socket, "%s/memif.sock", folder);
	unlink(socket);
	rmdir(folder);
	return failed;
}
