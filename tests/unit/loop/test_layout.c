/*
 * Any split of io and engine lcores over one memif queue: what one client sends meets on one io lcore, every lcore gets its share, nothing is lost or counted
 * twice, and a drain answers what was accepted; all the same when idle lcores pause or sleep. Arguments: io_cpus, engine_cpus, how many lcores, io lcores and
 * engine lcores they make, and idle.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_lcore.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/unpack.h"
#include "client.h"
#include "dataplane/flow/blocks.h"
#include "dataplane/loop/backlog.h"
#include "dataplane/loop/large.h"
#include "dataplane/loop/models_internal.h"
#include "models.h"

#define CLIENTS 48
#define FIRST_PORT 20000
#define SKIP 77

static struct gyr_config config;
static struct gyr_loop *loop;
static struct gyr_models *models;
static char folder[64];
static uint32_t expected_lcores, expected_io, expected_engines;
static unsigned buffers_at_rest;
static uint64_t datagrams;

static uint64_t count_of(uint32_t lcore, enum gyr_answer answer)
{
	return atomic_load(&loop->lcores[lcore].counters->answers[answer]);
}

static uint64_t count_answers(void)
{
	uint64_t sum = 0;
	for (uint32_t l = 0; l < loop->lcore_count; l++) {
		for (unsigned i = 0; i < GYR_ANSWERS; i++)
			sum += count_of(l, i);
	}
	return sum;
}

static size_t pack_question(uint8_t *payload, size_t size, uint64_t id)
{
	static const float x[4] = {1, 2, 3, 4};
	const struct gyr_wire_ref model = {.name = "scale", .length = 5, .present = true}, no_select = {0};
	const struct gyr_wire_output input = {.form = GYR_WIRE_BARE, .data = x, .shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {1, 4}}};
	return gyr_wire_pack_request(payload, size, id, &model, &no_select, 0, &input, 1, false);
}

static void has_the_lcores_asked_for(void **state)
{
	assert_int_equal(loop->lcore_count, expected_lcores);
	assert_int_equal(loop->io_count, expected_io);
	assert_int_equal(loop->engine_count, expected_engines);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		const struct gyr_lcore *lcore = &loop->lcores[i];
		/* One memif queue: with more than one io lcore the software spread is on. */
		assert_int_equal(lcore->owner_count, lcore->io && expected_io > 1 ? expected_io : 0);
		assert_true(lcore->tx[0].queue >= 0 || lcore->outbox != NULL);
	}
}

/* Every client's pings are answered by one io lcore, and together the clients reach every one. */
static void keeps_each_client_to_one_io_lcore(void **state)
{
	enum { PINGS = 4 };
	uint8_t payload[64];
	struct client_answer answer;
	bool reached[GYR_EAL_HOT_MAX] = {false};
	uint32_t reached_count = 0;
	for (uint16_t c = 0; c < CLIENTS; c++) {
		uint64_t before[GYR_EAL_HOT_MAX];
		for (uint32_t l = 0; l < loop->lcore_count; l++)
			before[l] = count_of(l, GYR_ANSWER_PONG);
		client_set_port(FIRST_PORT + c);
		for (uint64_t id = 0; id < PINGS; id++) {
			client_ask(payload, gyr_wire_pack_ping(payload, sizeof payload, id, "x", 1), id, &answer);
			datagrams++;
		}
		for (uint32_t l = 0; l < loop->lcore_count; l++) {
			uint64_t more = count_of(l, GYR_ANSWER_PONG) - before[l];
			assert_true(more == 0 || more == PINGS);
			assert_true(more == 0 || loop->lcores[l].io);
			reached_count += more > 0 && !reached[l];
			reached[l] = reached[l] || more > 0;
		}
	}
	assert_int_equal(reached_count, loop->io_count);
}

static void computes_on_every_engine_lcore(void **state)
{
	enum { UNDER_WAY = 16 };
	uint8_t payload[256];
	struct client_answer answer;
	for (uint16_t c = 0; c < CLIENTS; c++) {
		client_set_port(FIRST_PORT + c);
		for (uint64_t id = 0; id < UNDER_WAY; id++)
			client_send(payload, pack_question(payload, sizeof payload, id));
		datagrams += UNDER_WAY;
		for (uint64_t i = 0; i < UNDER_WAY; i++) {
			assert_true(client_receive(&answer, 10000));
			assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
		}
	}
	const struct gyr_version *version = models->models[0]->versions[0];
	for (uint32_t l = 0; l < version->lane_count; l++)
		assert_true(atomic_load(&version->lanes[l]->counters->requests) > 0);
}

/* More at once than an io lcore's ring of datagrams, or an engine lcore's of requests, can hold: each is answered all the same. */
static void answers_a_flood(void **state)
{
	enum { FLOOD = 600 };
	uint8_t payload[256];
	uint32_t results = 0, busy = 0;
	struct client_answer answer;
	client_set_port(FIRST_PORT);
	for (uint64_t id = 0; id < FLOOD; id++)
		client_send(payload, pack_question(payload, sizeof payload, id));
	datagrams += FLOOD;
	while (results + busy < FLOOD) {
		assert_true(client_receive(&answer, 10000));
		if (answer.message.type == GYR_WIRE_RESULT) {
			results++;
			continue;
		}
		assert_int_equal(answer.message.code, GYR_WIRE_BUSY);
		assert_true(answer.message.retry_after_us > 0);
		busy++;
	}
	assert_true(results > 0);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
	return (uint64_t)now.tv_sec * GYR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t count_sleeps(void)
{
	uint64_t sum = 0;
	for (uint32_t l = 0; l < loop->lcore_count; l++)
		sum += atomic_load(&loop->lcores[l].counters->sleeps);
	return sum;
}

/* Without work for long, then asked: answered by all that it takes, whoever slept. Tells the time of the first answer, and the CPU's. */
static void wakes_for_a_question(void **state)
{
	enum { SILENCES = 20, SILENCE_MS = 50 };
	uint8_t payload[256];
	struct client_answer answer;
	uint64_t slowest_ns = 0, cpu_before_ns = cpu_ns(), begin_ns = gyr_clock_ns(), sleeps = count_sleeps();
	for (uint64_t id = 0; id < SILENCES; id++) {
		assert_int_equal(usleep(SILENCE_MS * 1000), 0);
		size_t bytes = pack_question(payload, sizeof payload, id);
		uint64_t asked_ns = gyr_clock_ns();
		client_ask(payload, bytes, id, &answer);
		uint64_t took_ns = gyr_clock_ns() - asked_ns;
		slowest_ns = took_ns > slowest_ns ? took_ns : slowest_ns;
		assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
		datagrams++;
	}
	printf("slowest first answer %.1f us, CPU use %.2f\n", (double)slowest_ns / GYR_NS_PER_US,
	       (double)(cpu_ns() - cpu_before_ns) / (double)(gyr_clock_ns() - begin_ns));
	if (config.idle == GYR_CONFIG_IDLE_SLEEP)
		assert_true(count_sleeps() >= sleeps + SILENCES);
	else
		assert_int_equal(count_sleeps(), 0);
}

static void swaps_under_every_reader(void **state)
{
	static const struct gyr_link_label stable = {.name = "stable", .version = 1};
	struct gyr_error error;
	for (int i = 0; i < 20; i++)
		assert_int_equal(gyr_models_route(models, "scale", &stable, 1, &error), 0);
	assert_int_equal(loop->route.stuck, 0);
}

static void drains(void **state)
{
	enum { QUESTIONS = 60 };
	uint8_t payload[256];
	struct client_answer answer;
	uint64_t taken = 0, unsent = 0;
	client_set_port(FIRST_PORT);
	for (uint64_t id = 0; id < QUESTIONS; id++)
		client_send(payload, pack_question(payload, sizeof payload, id));
	assert_true(gyr_loop_drain(loop, 10 * GYR_NS_PER_S));
	for (uint32_t l = 0; l < loop->lcore_count; l++) {
		taken += atomic_load(&loop->lcores[l].counters->net[GYR_NET_DATAGRAM]);
		unsent += atomic_load(&loop->lcores[l].counters->unsent);
	}
	assert_true(taken >= datagrams && taken <= datagrams + QUESTIONS);
	assert_int_equal(count_answers(), taken);
	assert_int_equal(unsent, 0);
	for (uint64_t i = 0; i < taken - datagrams; i++)
		assert_true(client_receive(&answer, 1000));
	/* Nothing of the data plane holds a buffer any more. */
	assert_int_equal(rte_mempool_in_use_count(loop->ports[0].pool), buffers_at_rest);
}

/* Asserts that the pages of the BYTES at MEMORY were wished for NODE. Without policies of memory, that there are none. */
static void expect_node(void *memory, size_t bytes, int node)
{
	for (size_t page = 0; page < bytes; page += GYR_NODE_PAGE) {
		int mode = -1;
		uint64_t nodes = 0;
		long status = syscall(SYS_get_mempolicy, &mode, &nodes, 65UL, (uint8_t *)memory + page, MPOL_F_ADDR);
		assert_true(status == 0 || errno == ENOSYS || errno == EPERM);
		assert_true(status != 0 || (mode == MPOL_PREFERRED && nodes == gyr_node_bit(node)));
	}
}

/* What an lcore has for itself lies on its node. */
static void has_its_memory_on_its_node(void **state)
{
	const struct gyr_version *version = models->models[0]->versions[0];
	for (uint32_t l = 0; l < loop->lcore_count; l++) {
		struct gyr_lcore *lcore = &loop->lcores[l];
		assert_int_equal(lcore->node, rte_lcore_to_socket_id(lcore->lcore));
		expect_node(lcore, sizeof *lcore, lcore->node);
		void *block = gyr_blocks_take(lcore->large->blocks, 1);
		expect_node(block, gyr_blocks_size(lcore->large->blocks, block), lcore->node);
		gyr_blocks_give(lcore->large->blocks, block);
		if (lcore->engine)
			expect_node(version->lanes[lcore->engine_index], version->lane_bytes, lcore->node);
	}
}

static uint64_t count_frames(void)
{
	uint64_t sum = 0;
	for (uint32_t l = 0; l < loop->lcore_count; l++) {
		for (unsigned i = 0; i < GYR_NET_OUTCOMES; i++)
			sum += atomic_load(&loop->lcores[l].counters->net[i]);
	}
	return sum;
}

static uint64_t count_waiting(void)
{
	uint64_t sum = 0;
	for (uint32_t l = 0; l < loop->lcore_count; l++) {
		const struct gyr_lcore *lcore = &loop->lcores[l];
		sum += (lcore->handed != NULL ? rte_ring_count(lcore->handed) : 0) + (lcore->requests != NULL ? rte_ring_count(lcore->requests) : 0);
	}
	return sum;
}

/* Does what RECEIVER, which has ended, would: takes all frames that were sent. How many it answered for others. */
static uint32_t receive_all(struct gyr_lcore *receiver)
{
	struct client_answer answer;
	uint64_t until_ns = gyr_clock_ns() + 10 * GYR_NS_PER_S, unanswered = client_frames_sent() - count_frames() + count_waiting();
	uint32_t for_others = 0;
	while (count_frames() < client_frames_sent()) {
		gyr_io_poll(receiver);
		assert_true(gyr_clock_ns() < until_ns);
	}
	gyr_send_flush(receiver);
	for (unanswered -= count_waiting(); unanswered > 0; unanswered--) {
		assert_true(client_receive(&answer, 10000));
		assert_int_equal(answer.message.code, GYR_WIRE_BUSY);
		for_others += gyr_unpack_is(answer.message.text, answer.message.text_length, "too many datagrams are waiting");
	}
	return for_others;
}

/* What an io lcore has no room for is answered by the one that received it; one that computes, too, is charged for that. */
static void turns_away_for_others_at_its_own_cost(void **state)
{
	enum { EACH = 8 };
	uint8_t payload[256];
	struct gyr_lcore *receiver = loop->lcores;
	while (receiver->queue_count == 0)
		receiver++;
	if (receiver->owner_count == 0)
		skip();
	uint32_t for_others = receive_all(receiver); /* what the drain left in the port */
	int64_t debt_tsc = receiver->backlog != NULL ? receiver->backlog->debt_tsc : 0;
	for (uint16_t c = 0; c < CLIENTS; c++) {
		client_set_port(FIRST_PORT + c);
		for (uint64_t id = 0; id < EACH; id++)
			client_send(payload, pack_question(payload, sizeof payload, id));
		for_others += receive_all(receiver);
	}
	assert_true(for_others > 0);
	if (receiver->backlog != NULL)
		assert_true(receiver->backlog->debt_tsc > debt_tsc);
}

static int set_up(void **state)
{
	static const struct gyr_link_label stable = {.name = "stable", .version = 1};
	struct gyr_error error;
	char socket[96];
	size_t size;
	snprintf(socket, sizeof socket, "%s/memif.sock", folder);
	if (gyr_loop_create(&config, &loop, &error) != 0)
		fail_msg("%s", error.text);
	buffers_at_rest = rte_mempool_in_use_count(loop->ports[0].pool);
	models = gyr_models_create(loop);
	assert_non_null(models);
	gyr_loop_start(loop);
	client_start(socket, config.address);
	void *bytes = test_model_bundle(TEST_SCALE, 1, &size);
	int descriptor = test_memfd(bytes, size, true);
	if (gyr_models_load(models, "scale", 1, descriptor, &error) != 0)
		fail_msg("%s", error.text);
	close(descriptor);
	free(bytes);
	assert_int_equal(gyr_models_route(models, "scale", &stable, 1, &error), 0);
	return 0;
}

static int tear_down(void **state)
{
	client_stop();
	gyr_models_destroy(models);
	gyr_loop_destroy(loop);
	return 0;
}

static void set(const char *key, const char *value)
{
	struct gyr_error error;
	if (gyr_config_set(&config, "test", key, value, &error) != 0) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
}

/* Writes LIST with the number of CPU in place of each "last". */
static void set_cpus(const char *key, const char *list, long cpu)
{
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
	set(key, text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_the_lcores_asked_for),
		cmocka_unit_test(keeps_each_client_to_one_io_lcore),
		cmocka_unit_test(computes_on_every_engine_lcore),
		cmocka_unit_test(answers_a_flood),
		cmocka_unit_test(wakes_for_a_question),
		cmocka_unit_test(swaps_under_every_reader),
		cmocka_unit_test(drains),
		cmocka_unit_test(has_its_memory_on_its_node),
		cmocka_unit_test(turns_away_for_others_at_its_own_cost),
	};
	if (argc != 7)
		return 2;
	long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	if (last == 0 && strchr(argv[1], '0') != NULL) {
		puts("skipped: two CPUs are needed to split io and engine");
		return SKIP;
	}
	gyr_log_init("test", GYR_LOG_ERROR);
	snprintf(folder, sizeof folder, "/tmp/gyr-test-layout-XXXXXX");
	if (mkdtemp(folder) == NULL) {
		perror(folder);
		return 1;
	}
	gyr_config_defaults(&config);
	snprintf(config.ports[0], sizeof config.ports[0], "net_memif0,role=server,id=0,socket=%s/memif.sock,socket-abstract=no", folder);
	config.hugepages = GYR_HUGEPAGES_OFF;
	config.memory_mb = 128;
	config.ring_entries = 64;
	set_cpus("dataplane.io_cpus", argv[1], last);
	set_cpus("dataplane.engine_cpus", argv[2], last);
	set("dataplane.idle", argv[6]);
	expected_lcores = (uint32_t)atoi(argv[3]);
	expected_io = (uint32_t)atoi(argv[4]);
	expected_engines = (uint32_t)atoi(argv[5]);
	int failed = cmocka_run_group_tests_name(argv[1], tests, set_up, tear_down);
	char socket[96];
	snprintf(socket, sizeof socket, "%s/memif.sock", folder);
	unlink(socket);
	rmdir(folder);
	return failed;
}
