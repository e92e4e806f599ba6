/*
 * The whole data path in one process: a real memif port, real plans, and a client at the other end. The first argument chooses how the lcores are laid out:
 * fused, or split.
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
#include "base/unpack.h"
#include "client.h"
#include "dataplane/loop/models_internal.h"
#include "models.h"

#define RING_ENTRIES 64
#define SKIP 77

static struct gyr_config config;
static struct gyr_loop *loop;
static struct gyr_models *models;
static char folder[64];
static uint64_t next_id = 1000;
static uint64_t datagrams;

static const struct gyr_wire_ref no_select = {0};

static struct gyr_wire_ref name_ref(const char *name)
{
	return (struct gyr_wire_ref){.name = name, .length = (uint32_t)strlen(name), .present = true};
}

static struct gyr_wire_ref number_ref(uint64_t number)
{
	return (struct gyr_wire_ref){.number = number, .present = true};
}

static int load(enum test_model kind, const char *name, uint64_t version, float factor, struct gyr_error *error)
{
	size_t size;
	void *bytes = test_model_bundle(kind, factor, &size);
	int descriptor = test_memfd(bytes, size, true);
	int status = gyr_models_load(models, name, version, descriptor, error);
	close(descriptor);
	free(bytes);
	return status;
}

static void must_load(enum test_model kind, const char *name, uint64_t version, float factor)
{
	struct gyr_error error;
	if (load(kind, name, version, factor, &error) != 0)
		fail_msg("%s", error.text);
}

static int route(const char *name, uint64_t stable)
{
	const struct gyr_link_label labels[] = {{.name = "stable", .version = stable}, {.name = "other", .version = stable}};
	struct gyr_error error;
	return gyr_models_route(models, name, labels, 2, &error);
}

static void ask(const void *payload, size_t bytes, uint64_t id, struct client_answer *answer)
{
	datagrams++;
	client_ask(payload, bytes, id, answer);
}

/* Asks MODEL with COUNT inputs in one form. */
static void request(const char *model, const struct gyr_wire_ref *select, const struct gyr_wire_output *inputs, uint32_t count, bool timing,
		    struct client_answer *answer)
{
	uint8_t payload[CLIENT_BYTES_MAX];
	const struct gyr_wire_ref ref = name_ref(model);
	uint64_t id = next_id++;
	size_t bytes = gyr_wire_pack_request(payload, sizeof payload, id, &ref, select, 0, inputs, count, timing);
	assert_true(bytes > 0);
	ask(payload, bytes, id, answer);
}

static struct gyr_wire_output tensor(enum gyr_wire_form form, enum gyr_dtype dtype, uint32_t rank, int64_t first, int64_t second, const void *data)
{
	return (struct gyr_wire_output){.form = (uint8_t)form, .data = data, .shape = {.dtype = dtype, .rank = rank, .dims = {first, second}}};
}

static void expect_error(const struct client_answer *answer, enum gyr_wire_code code)
{
	assert_int_equal(answer->message.type, GYR_WIRE_ERROR);
	if (answer->message.code != code)
		fail_msg("%s: %.*s", gyr_wire_code_name(answer->message.code), (int)answer->message.text_length, answer->message.text);
	assert_true(answer->message.text_length > 0);
}

static void expect_floats(const struct gyr_wire_tensor *tensor_got, const float *expected, size_t count)
{
	float got[64];
	assert_true(count <= 64);
	if (tensor_got->form == GYR_WIRE_PLAIN) {
		assert_int_equal(gyr_wire_plain_read(tensor_got, GYR_DTYPE_F32, got, count), GYR_WIRE_OK);
	} else {
		assert_int_equal(tensor_got->bytes, count * sizeof(float));
		memcpy(got, tensor_got->data, sizeof(float) * count);
	}
	for (size_t i = 0; i < count; i++)
		assert_true(got[i] == expected[i]);
}

static void answers_echo(void **state)
{
	assert_true(client_echo());
}

static void answers_ping(void **state)
{
	uint8_t payload[512], body[300];
	struct client_answer answer;
	memset(body, 0x5a, sizeof body);
	size_t bytes = gyr_wire_pack_ping(payload, sizeof payload, 5, body, sizeof body);
	ask(payload, bytes, 5, &answer);
	assert_int_equal(answer.size, bytes);
	assert_memory_equal(answer.bytes, payload, bytes);
}

static void answers_every_form_in_its_style(void **state)
{
	static const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, twice[8] = {2, 4, 6, 8, 10, 12, 14, 16};
	struct client_answer answer;
	for (int form = GYR_WIRE_BARE; form <= GYR_WIRE_PLAIN; form++) {
		for (int64_t rows = 1; rows <= 2; rows++) {
			struct gyr_wire_output input = tensor((enum gyr_wire_form)form, GYR_DTYPE_F32, 2, rows, 4, x);
			request("scale", &no_select, &input, 1, false, &answer);
			const struct gyr_wire_tensor *got = &answer.message.tensors[0];
			assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
			assert_int_equal(answer.message.version, 2);
			assert_int_equal(answer.message.tensor_count, 1);
			assert_false(answer.message.has_timing);
			assert_int_equal(got->form, form);
			if (form != GYR_WIRE_BARE) {
				assert_int_equal(got->rank, 2);
				assert_int_equal(got->dims[0], rows);
				assert_int_equal(got->dims[1], 4);
			}
			expect_floats(got, twice, 4 * (size_t)rows);
		}
		if (form == GYR_WIRE_BARE)
			continue;
		/* One row without the dimension of rows, and the answer likewise. */
		struct gyr_wire_output row = tensor((enum gyr_wire_form)form, GYR_DTYPE_F32, 1, 4, 0, x);
		request("scale", &no_select, &row, 1, false, &answer);
		assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
		assert_int_equal(answer.message.tensors[0].rank, 1);
		expect_floats(&answer.message.tensors[0], twice, 4);
	}
}

static void answers_every_number_of_rows(void **state)
{
	float x[64], twice[64];
	struct client_answer answer;
	for (int i = 0; i < 64; i++) {
		x[i] = (float)i;
		twice[i] = 2 * x[i];
	}
	for (int64_t rows = 1; rows <= 16; rows++) {
		struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, rows, 4, x);
		request("scale", &no_select, &input, 1, false, &answer);
		assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
		expect_floats(&answer.message.tensors[0], twice, 4 * (size_t)rows);
	}
}

static void tells_timing_when_asked(void **state)
{
	static const float x[4] = {0};
	struct client_answer answer;
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 4, x);
	request("scale", &no_select, &input, 1, true, &answer);
	assert_true(answer.message.has_timing);
	assert_true(answer.message.timing_ns[2] >= answer.message.timing_ns[0]);
	assert_true(answer.message.timing_ns[2] >= answer.message.timing_ns[1]);
	assert_true(answer.message.timing_ns[2] > 0);
}

static void selects_versions(void **state)
{
	static const float x[4] = {1, 1, 1, 1};
	struct client_answer answer;
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 4, x);
	struct gyr_wire_ref select = number_ref(1);
	request("scale", &select, &input, 1, false, &answer);
	assert_int_equal(answer.message.version, 1);
	select = name_ref("other");
	request("scale", &select, &input, 1, false, &answer);
	assert_int_equal(answer.message.version, 2);
	select = number_ref(9);
	request("scale", &select, &input, 1, false, &answer);
	expect_error(&answer, GYR_WIRE_UNKNOWN_VERSION);
	select = name_ref("nobody");
	request("scale", &select, &input, 1, false, &answer);
	expect_error(&answer, GYR_WIRE_UNKNOWN_LABEL);
	request("unrouted", &no_select, &input, 1, false, &answer);
	expect_error(&answer, GYR_WIRE_UNKNOWN_LABEL);
	request("scala", &no_select, &input, 1, false, &answer);
	expect_error(&answer, GYR_WIRE_UNKNOWN_MODEL);
}

static void describes_and_answers_by_handle(void **state)
{
	static const float x[4] = {3, 3, 3, 3}, twice[4] = {6, 6, 6, 6};
	uint8_t payload[512];
	struct client_answer answer;
	struct gyr_wire_ref ref = name_ref("scale");
	size_t bytes = gyr_wire_pack_describe(payload, sizeof payload, 77, &ref, &no_select);
	ask(payload, bytes, 77, &answer);
	assert_int_equal(answer.message.type, GYR_WIRE_DESCRIPTION);
	uint64_t handle = UINT64_MAX;
	for (uint32_t m = 0; m < models->count; m++)
		handle = strcmp(models->models[m]->name, "scale") == 0 ? models->models[m]->handle : handle;
	ref = number_ref(handle);
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 4, x);
	bytes = gyr_wire_pack_request(payload, sizeof payload, 78, &ref, &no_select, 0, &input, 1, false);
	ask(payload, bytes, 78, &answer);
	expect_floats(&answer.message.tensors[0], twice, 4);
	static const uint64_t no_handles[] = {GYR_ROUTE_HANDLES_MAX, 1000, UINT64_MAX};
	for (int i = 0; i < 3; i++) {
		ref = number_ref(no_handles[i]);
		bytes = gyr_wire_pack_describe(payload, sizeof payload, 79, &ref, &no_select);
		ask(payload, bytes, 79, &answer);
		expect_error(&answer, GYR_WIRE_UNKNOWN_MODEL);
	}
}

static void takes_several_inputs_without_rows(void **state)
{
	static const float a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 1, 1, 1, 1, 1}, sum[6] = {3, 5, 7, 9, 11, 13};
	struct client_answer answer;
	for (int form = GYR_WIRE_BARE; form <= GYR_WIRE_PLAIN; form++) {
		struct gyr_wire_output inputs[] = {tensor((enum gyr_wire_form)form, GYR_DTYPE_F32, 2, 2, 3, a),
						   tensor((enum gyr_wire_form)form, GYR_DTYPE_F32, 2, 2, 3, b)};
		request("pair", &no_select, inputs, 2, false, &answer);
		assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
		expect_floats(&answer.message.tensors[0], sum, 6);
		request("pair", &no_select, inputs, 1, false, &answer);
		expect_error(&answer, GYR_WIRE_BAD_SHAPE);
	}
}

static void refuses_bad_tensors(void **state)
{
	static const float x[128] = {0};
	static const uint8_t pixels[4] = {0, 1, 2, 255};
	static const float by_half[4] = {0, .5f, 1, 127.5f}, too_large[4] = {0, 0, 0, 256}, no_integer[4] = {0, 0, 0, .5f};
	struct client_answer answer;
	const struct {
		struct gyr_wire_output input;
		enum gyr_wire_code code;
	} scale[] = {
		{tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 1, 3, 0, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 1, 0, 0, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_BARE, GYR_DTYPE_U8, 1, 17, 0, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_TYPED, GYR_DTYPE_F32, 2, 1, 5, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_TYPED, GYR_DTYPE_F32, 2, 4, 1, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_TYPED, GYR_DTYPE_F32, 2, 0, 4, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_TYPED, GYR_DTYPE_F32, 0, 0, 0, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_TYPED, GYR_DTYPE_I32, 2, 1, 4, x), GYR_WIRE_BAD_DTYPE},
		{tensor(GYR_WIRE_PLAIN, GYR_DTYPE_F32, 2, 1, 3, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_PLAIN, GYR_DTYPE_F32, 1, 5, 0, x), GYR_WIRE_BAD_SHAPE},
		{tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 17, 4, x), GYR_WIRE_TOO_LARGE},
	};
	for (size_t i = 0; i < sizeof scale / sizeof scale[0]; i++) {
		request("scale", &no_select, &scale[i].input, 1, false, &answer);
		expect_error(&answer, scale[i].code);
	}
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_U8, 1, 4, 0, pixels);
	request("pixel", &no_select, &input, 1, false, &answer);
	expect_floats(&answer.message.tensors[0], by_half, 4);
	input = tensor(GYR_WIRE_PLAIN, GYR_DTYPE_F32, 1, 4, 0, too_large);
	request("pixel", &no_select, &input, 1, false, &answer);
	expect_error(&answer, GYR_WIRE_BAD_DTYPE);
	input = tensor(GYR_WIRE_PLAIN, GYR_DTYPE_F32, 1, 4, 0, no_integer);
	request("pixel", &no_select, &input, 1, false, &answer);
	expect_error(&answer, GYR_WIRE_BAD_DTYPE);
}

static void answers_datagrams_that_are_no_message(void **state)
{
	/* [1, 9, 7], [2, 1, 7], a fragment of nothing, a request whose deadline is nil */
	static const struct {
		uint8_t bytes[8];
		size_t size;
		enum gyr_wire_code code;
	} cases[] = {{{0x93, 1, 9, 7}, 4, GYR_WIRE_UNSUPPORTED},
		     {{0x93, 2, 1, 7}, 4, GYR_WIRE_UNSUPPORTED},
		     {{0x96, 1, 6, 7, 0, 0, 0xc4, 0}, 8, GYR_WIRE_MALFORMED},
		     {{0x97, 1, 1, 7, 0xa1, 'm', 0xc0, 0xc0}, 8, GYR_WIRE_MALFORMED}};
	struct client_answer answer;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ask(cases[i].bytes, cases[i].size, 7, &answer);
		expect_error(&answer, cases[i].code);
	}
	/* No id to answer with, or an answer itself: silence. What follows is answered first. */
	static const uint8_t silent[][8] = {{0xc1, 1, 2}, {0x93, 1, 1, 0xc0}, {0x95, 1, 3, 7, 1, 0xa0}, {0x94, 1, 5, 7, 0x80}, {0x92, 1, 3}};
	static const size_t sizes[] = {3, 4, 6, 5, 3};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		client_send(silent[i], sizes[i]);
		datagrams++;
	}
	answers_ping(state);
	assert_false(client_receive(&answer, 20));
}

static uint64_t lcores_sum(size_t first, size_t count)
{
	uint64_t sum = 0;
	for (uint32_t l = 0; l < loop->lcore_count; l++) {
		const _Atomic uint64_t *counters = (const _Atomic uint64_t *)((const char *)loop->lcores[l].counters + first);
		for (size_t i = 0; i < count; i++)
			sum += atomic_load(&counters[i]);
	}
	return sum;
}

/* A virtual port hands us frames above the MTU. A ping, whose answer is as long as itself, is dropped from one byte more on. */
static void survives_a_ping_above_the_mtu(void **state)
{
	uint8_t body[CLIENT_BYTES_MAX] = {0}, payload[CLIENT_BYTES_MAX + 1];
	struct client_answer answer;
	for (size_t size = CLIENT_BYTES_MAX; size <= CLIENT_BYTES_MAX + 1; size++) {
		size_t bytes = gyr_wire_pack_ping(payload, sizeof payload, 5, body, (uint32_t)size - 7);
		assert_int_equal(bytes, size);
		if (size == CLIENT_BYTES_MAX)
			ask(payload, bytes, 5, &answer);
		else
			client_send(payload, bytes);
	}
	answers_ping(state);
	assert_int_equal(lcores_sum(offsetof(struct gyr_lcore_counters, net) + GYR_NET_IP_MTU * sizeof(uint64_t), 1), 1);
}

/* More than the ring holds, of a model that takes long: each is answered, by a result, by BUSY with a time, or by DEADLINE. */
static void turns_away_what_it_cannot_hold(void **state)
{
	enum { QUESTIONS = 400 };
	static const float x[300] = {0};
	uint8_t payload[CLIENT_BYTES_MAX];
	uint32_t results = 0, busy = 0, late = 0;
	struct client_answer answer;
	const struct gyr_wire_ref ref = name_ref("slow");
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 300, x);
	for (uint64_t id = 0; id < QUESTIONS; id++) {
		size_t bytes = gyr_wire_pack_request(payload, sizeof payload, id, &ref, &no_select, id % 2 == 0 ? 0 : 1, &input, 1, false);
		client_send(payload, bytes);
		datagrams++;
	}
	while (results + busy + late < QUESTIONS) {
		assert_true(client_receive(&answer, 10000));
		if (answer.message.type == GYR_WIRE_RESULT) {
			results++;
			continue;
		}
		assert_int_equal(answer.message.type, GYR_WIRE_ERROR);
		if (answer.message.code == GYR_WIRE_BUSY) {
			assert_true(answer.message.retry_after_us > 0);
			busy++;
		} else {
			assert_int_equal(answer.message.code, GYR_WIRE_DEADLINE);
			assert_int_equal(answer.message.id % 2, 1);
			late++;
		}
	}
	assert_true(results > 0);
	assert_true(late > 0);
	assert_true(busy > 0);
}

/* How long a run of as many rows as fit together takes. */
static uint64_t slow_batch_ns(void)
{
	enum { ROWS = 16 };
	static const float x[300 * ROWS] = {0};
	uint64_t longest_ns = 0;
	struct client_answer answer;
	for (uint32_t sent = 0, answered = 0, results = 0; results < ROWS; answered++) {
		/* One that is turned away, as the queue stood a moment ago, is sent again. */
		for (; sent - answered < ROWS - results; sent++) {
			uint8_t payload[CLIENT_BYTES_MAX];
			const struct gyr_wire_ref ref = name_ref("slow");
			struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 300, x);
			client_send(payload, gyr_wire_pack_request(payload, sizeof payload, sent, &ref, &no_select, 0, &input, 1, true));
			datagrams++;
		}
		assert_true(client_receive(&answer, 10000));
		if (answer.message.type != GYR_WIRE_RESULT) {
			expect_error(&answer, GYR_WIRE_BUSY);
			continue;
		}
		results++;
		longest_ns = longest_ns > answer.message.timing_ns[1] ? longest_ns : answer.message.timing_ns[1];
	}
	return longest_ns;
}

/*
 * More questions are under way than can be computed within their deadline. What becomes late in the queue is not begun, and what becomes late while it is
 * computed is not answered with a result: no result is late.
 */
static void answers_nothing_late(void **state)
{
	enum { RESULTS = 100, IN_FLIGHT = 60, RUNS = 10 };
	static const float x[300] = {0};
	uint8_t payload[CLIENT_BYTES_MAX];
	uint32_t results = 0, sent = 0, answered = 0, deadline_us = (uint32_t)(2 * slow_batch_ns() / GYR_NS_PER_US);
	struct client_answer answer;
	const struct gyr_wire_ref ref = name_ref("slow");
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 300, x);
	uint64_t until_ns = gyr_clock_ns() + 20 * GYR_NS_PER_S;
	while (results < RESULTS || answered < sent) {
		assert_true(gyr_clock_ns() < until_ns);
		for (; results < RESULTS && sent - answered < IN_FLIGHT; sent++) {
			client_send(payload, gyr_wire_pack_request(payload, sizeof payload, sent, &ref, &no_select, deadline_us, &input, 1, true));
			datagrams++;
		}
		assert_true(client_receive(&answer, 10000));
		answered++;
		if (answer.message.type != GYR_WIRE_RESULT)
			continue;
		results++;
		assert_true(answer.message.timing_ns[2] <= (deadline_us + 1) * GYR_NS_PER_US);
	}
	assert_true(lcores_sum(offsetof(struct gyr_lcore_counters, answers) + GYR_WIRE_DEADLINE * sizeof(uint64_t), 1) > 0);
	/* Half of what a run takes, when nothing comes between: it begins, and ends too late. Of a version whose counters go on in those of what was unloaded.
	 */
	const struct gyr_wire_ref second = number_ref(2);
	struct gyr_error error;
	must_load(TEST_SLOW, "slow", 2, 0);
	uint64_t run_ns = UINT64_MAX;
	for (int i = 0; i < RUNS; i++) {
		request("slow", &second, &input, 1, true, &answer);
		run_ns = run_ns < answer.message.timing_ns[1] ? run_ns : answer.message.timing_ns[1];
	}
	const size_t late = offsetof(struct gyr_lcore_counters, answers) + GYR_ANSWER_LATE * sizeof(uint64_t);
	const uint64_t late_before = lcores_sum(late, 1);
	while (lcores_sum(late, 1) == late_before) {
		assert_true(gyr_clock_ns() < until_ns);
		uint32_t half_us = (uint32_t)(run_ns / 2 / GYR_NS_PER_US);
		ask(payload, gyr_wire_pack_request(payload, sizeof payload, next_id, &ref, &second, half_us, &input, 1, false), next_id, &answer);
		/* The run before may have lost its CPU, and so have taken longer than it takes. */
		if (answer.message.type != GYR_WIRE_RESULT)
			expect_error(&answer, GYR_WIRE_DEADLINE);
		next_id++;
	}
	assert_int_equal(gyr_models_unload(models, "slow", 2, &error), 0);
}

/* Loads and promotes version after version and unloads the old ones, while questions are under way: none is lost, and each answer is its version's. */
static void swaps_versions_under_questions(void **state)
{
	enum { VERSIONS = 20, UNDER_WAY = 16 };
	static const float x[4] = {1, 2, 3, 4};
	uint8_t payload[256];
	struct client_answer answer;
	struct gyr_error error;
	uint64_t newest = 0;
	const struct gyr_wire_ref ref = name_ref("swap");
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 4, x);
	must_load(TEST_SCALE, "swap", 1, 1);
	assert_int_equal(route("swap", 1), 0);
	for (uint64_t version = 2; version <= VERSIONS; version++) {
		must_load(TEST_SCALE, "swap", version, (float)version);
		for (uint64_t id = 0; id < UNDER_WAY; id++) {
			size_t bytes = gyr_wire_pack_request(payload, sizeof payload, id, &ref, &no_select, 0, &input, 1, false);
			client_send(payload, bytes);
			datagrams++;
			if (id != UNDER_WAY / 2)
				continue;
			assert_int_equal(route("swap", version), 0);
			assert_int_equal(gyr_models_unload(models, "swap", version - 1, &error), 0);
		}
		for (uint64_t id = 0; id < UNDER_WAY; id++) {
			assert_true(client_receive(&answer, 10000));
			assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
			assert_true(answer.message.version == version || answer.message.version == version - 1);
			assert_true(answer.message.version >= newest);
			newest = answer.message.version;
			const float got = (float)answer.message.version, expected[4] = {got, 2 * got, 3 * got, 4 * got};
			expect_floats(&answer.message.tensors[0], expected, 4);
		}
		assert_int_equal(newest, version);
	}
	assert_int_equal(loop->route.stuck, 0);
}

static int set_policy(const char *model, const char *name, uint64_t value)
{
	struct gyr_link_label setting = {.version = value};
	struct gyr_error error;
	snprintf(setting.name, sizeof setting.name, "%s", name);
	return gyr_models_policy(models, model, &setting, 1, &error);
}

/* Questions to two versions in turn, which are computed in groups, come back in the order in which they were asked where that was asked for. */
static void keeps_order_on_demand(void **state)
{
	enum { QUESTIONS = 48 };
	static const float x[4] = {1, 2, 3, 4};
	static const uint8_t order[] = {0x81, 0xa5, 'o', 'r', 'd', 'e', 'r', 0xc3};
	const struct gyr_wire_ref ref = name_ref("scale");
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 4, x);
	struct client_answer answer;
	uint64_t last = 0;
	for (uint64_t id = 1; id <= QUESTIONS; id++) {
		uint8_t payload[512];
		struct gyr_wire_ref select = number_ref(1 + id % 2);
		size_t bytes = gyr_wire_pack_request(payload, sizeof payload, id, &ref, &select, 0, &input, 1, false);
		assert_int_equal(payload[0], 0x97);
		payload[0] = 0x98; /* with options */
		memcpy(payload + bytes, order, sizeof order);
		client_send(payload, bytes + sizeof order);
		datagrams++;
	}
	for (int i = 0; i < QUESTIONS; i++) {
		assert_true(client_receive(&answer, 10000));
		if (answer.message.type == GYR_WIRE_ERROR) {
			expect_error(&answer, GYR_WIRE_BUSY);
			continue;
		}
		assert_true(answer.message.id > last);
		assert_int_equal(answer.message.version, 1 + answer.message.id % 2);
		last = answer.message.id;
	}
	assert_true(last > 0);
}

/* A lone question waits for others as long as its model says, not past its deadline, and not when there are as many as a batch holds. */
static void waits_for_more_rows(void **state)
{
	enum { DELAY_US = 50000, DEADLINE_US = 20000, ROWS = 16 };
	static const float x[4] = {1, 2, 3, 4};
	const struct gyr_wire_ref ref = name_ref("scale");
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 4, x);
	struct client_answer answer;
	uint8_t payload[512];
	bool in_time = false, at_once = false;
	assert_int_equal(set_policy("scale", "max_delay_us", DELAY_US), 0);
	request("scale", &no_select, &input, 1, true, &answer);
	assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
	assert_true(answer.message.timing_ns[0] >= DELAY_US * (GYR_NS_PER_US - 1)); /* cycles of a microsecond are rounded */
	/* An lcore may lose its CPU: what must be possible need not be so every time. */
	for (int attempt = 0; attempt < 50 && !in_time; attempt++) {
		ask(payload, gyr_wire_pack_request(payload, sizeof payload, next_id, &ref, &no_select, DEADLINE_US, &input, 1, true), next_id, &answer);
		next_id++;
		in_time = answer.message.type == GYR_WIRE_RESULT;
	}
	assert_true(in_time);
	for (int attempt = 0; attempt < 50 && !at_once; attempt++) {
		for (uint64_t id = 0; id < ROWS; id++) {
			client_send(payload, gyr_wire_pack_request(payload, sizeof payload, id, &ref, &no_select, 0, &input, 1, true));
			datagrams++;
		}
		for (int i = 0; i < ROWS; i++) {
			assert_true(client_receive(&answer, 10000));
			at_once = answer.message.type == GYR_WIRE_RESULT && answer.message.timing_ns[0] < DELAY_US * GYR_NS_PER_US / 2;
		}
	}
	assert_true(at_once);
	assert_int_equal(set_policy("scale", "max_delay_us", 0), 0);
}

static uint64_t engine_cycles(const char *name)
{
	uint64_t cycles = 0;
	for (uint32_t m = 0; m < models->count; m++) {
		const struct gyr_version *version = models->models[m]->versions[0];
		for (uint32_t l = 0; strcmp(models->models[m]->name, name) == 0 && l < version->lane_count; l++)
			cycles += atomic_load(&version->lanes[l]->counters->engine_cycles);
	}
	return cycles;
}

/* Asks both models more than can be done, and tells how often the first one's engine time goes into the second's. */
static double share_of(const char *const names[2])
{
	enum { WAITING = 24, ANSWERS = 2000 };
	static const float x[300] = {0};
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 300, x);
	struct client_answer answer;
	uint8_t payload[CLIENT_BYTES_MAX];
	uint64_t before[2] = {0}, had[2];
	for (uint64_t id = 0; id < 2 * WAITING + ANSWERS; id++) {
		/* Each answer, whatever it says, is a place for another question to the same model; the id tells which that is. */
		uint64_t which = id % 2;
		if (id >= 2 * WAITING) {
			assert_true(client_receive(&answer, 10000));
			which = answer.message.id % 2;
		}
		for (int i = 0; id == ANSWERS / 2 && i < 2; i++)
			before[i] = engine_cycles(names[i]);
		const struct gyr_wire_ref ref = name_ref(names[which]);
		client_send(payload, gyr_wire_pack_request(payload, sizeof payload, 2 * id + which, &ref, &no_select, 0, &input, 1, false));
		datagrams++;
	}
	for (int i = 0; i < 2; i++)
		had[i] = engine_cycles(names[i]) - before[i];
	for (int i = 0; i < 2 * WAITING; i++)
		assert_true(client_receive(&answer, 10000));
	return (double)had[1] / (double)(had[0] + 1);
}

/* Engine time is shared 3 to 1 with three times the weight. Where this thread loses its CPU there is nothing to share for a while: several tries. */
static void shares_engine_time_by_weight(void **state)
{
	static const char *const names[2] = {"slow", "heavy"};
	double share = 0;
	/* Where this thread has its CPU with the io lcore, it cannot ask as much as the engine lcore can do. */
	if (loop->lcores[0].io != loop->lcores[0].engine)
		skip();
	must_load(TEST_SLOW, "heavy", 1, 0);
	assert_int_equal(route("heavy", 1), 0);
	assert_int_equal(set_policy("heavy", "weight", 3), 0);
	for (int attempt = 0; attempt < 20 && (share < 2.5 || share > 3.5); attempt++)
		share = share_of(names);
	assert_true(share > 2.5);
	assert_true(share < 3.5);
}

static void refuses_to_load(void **state)
{
	struct gyr_error error;
	size_t size;
	uint8_t *bytes = test_model_bundle(TEST_SCALE, 1, &size);
	int descriptor = test_memfd(bytes, size, false);
	assert_int_equal(gyr_models_load(models, "bad", 1, descriptor, &error), -EINVAL);
	assert_non_null(strstr(error.text, "sealed"));
	assert_int_equal(gyr_models_load(models, "", 1, descriptor, &error), -EINVAL);
	assert_int_equal(gyr_models_load(models, "Bad", 1, descriptor, &error), -EINVAL);
	assert_int_equal(gyr_models_load(models, "bad", 0, descriptor, &error), -EINVAL);
	close(descriptor);
	int pipe_ends[2];
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(gyr_models_load(models, "bad", 1, pipe_ends[0], &error), -EINVAL);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	bytes[size / 2] ^= 1;
	descriptor = test_memfd(bytes, size, true);
	assert_int_equal(gyr_models_load(models, "bad", 1, descriptor, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "model bad version 1"));
	close(descriptor);
	descriptor = test_memfd(bytes, 0, true);
	assert_int_equal(gyr_models_load(models, "bad", 1, descriptor, &error), -EBADMSG);
	close(descriptor);
	free(bytes);
	assert_int_equal(load(TEST_WIDE, "bad", 1, 1, &error), -EMSGSIZE);
	assert_int_equal(load(TEST_SCALE, "scale", 1, 7, &error), 0); /* is loaded: stays as it was */
	static const struct gyr_link_label stable = {.name = "stable", .version = 1}, bad_name = {.name = "No", .version = 1},
					   missing = {.name = "stable", .version = 9};
	const struct gyr_link_label twice[] = {stable, stable};
	assert_int_equal(gyr_models_route(models, "bad", &stable, 1, &error), -ENOENT);
	assert_int_equal(gyr_models_route(models, "scale", &missing, 1, &error), -ENOENT);
	assert_int_equal(gyr_models_route(models, "scale", &bad_name, 1, &error), -EINVAL);
	assert_int_equal(gyr_models_route(models, "scale", twice, 2, &error), -EINVAL);
	assert_int_equal(gyr_models_unload(models, "scale", 2, &error), -EBUSY);
	assert_int_equal(gyr_models_unload(models, "scale", 9, &error), 0);
	assert_int_equal(gyr_models_unload(models, "bad", 1, &error), 0);
}

/* Places to count in that an unload had to keep for good are missing when a model is to have one. */
static void refuses_a_model_without_a_place_to_count(void **state)
{
	struct gyr_error error;
	int first = gyr_stats_take(loop->stats, GYR_COUNTERS_MODELS), last = first;
	assert_true(first >= 0);
	for (int slot = first; slot >= 0; slot = gyr_stats_take(loop->stats, GYR_COUNTERS_MODELS))
		last = slot;
	uint32_t count = models->count;
	assert_int_equal(load(TEST_SCALE, "late", 1, 1, &error), -ENOSPC);
	assert_non_null(strstr(error.text, "model late"));
	assert_int_equal(models->count, count);
	assert_int_equal(load(TEST_SCALE, "scale", 9, 1, &error), 0); /* of a model that is there */
	assert_int_equal(gyr_models_unload(models, "scale", 9, &error), 0);
	for (int slot = first; slot <= last; slot++)
		gyr_stats_release(loop->stats, GYR_COUNTERS_MODELS, slot);
	assert_int_equal(load(TEST_SCALE, "late", 1, 1, &error), 0);
	assert_int_equal(gyr_models_unload(models, "late", 1, &error), 0);
}

static void forgets_a_model_with_its_last_version(void **state)
{
	static const float x[4] = {0};
	struct client_answer answer;
	struct gyr_error error;
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 4, x);
	struct gyr_wire_ref select = number_ref(3);
	must_load(TEST_SCALE, "brief", 3, 1);
	request("brief", &select, &input, 1, false, &answer);
	assert_int_equal(answer.message.type, GYR_WIRE_RESULT);
	assert_int_equal(gyr_models_unload(models, "brief", 3, &error), 0);
	request("brief", &select, &input, 1, false, &answer);
	expect_error(&answer, GYR_WIRE_UNKNOWN_MODEL);
}

/* Every frame was counted once, and every datagram has had one outcome. */
static void counters_add_up(void **state)
{
	assert_int_equal(lcores_sum(offsetof(struct gyr_lcore_counters, net), GYR_NET_OUTCOMES), client_frames_sent());
	assert_int_equal(lcores_sum(offsetof(struct gyr_lcore_counters, net) + GYR_NET_DATAGRAM * sizeof(uint64_t), 1), datagrams);
	assert_int_equal(lcores_sum(offsetof(struct gyr_lcore_counters, answers), GYR_ANSWERS), datagrams);
	assert_int_equal(lcores_sum(offsetof(struct gyr_lcore_counters, unsent), 1), 0);
}

/* The sum of the counters of TABLE whose name begins with PREFIX, as another process reads them. */
static uint64_t shown(const struct gyr_stats_view *view, const char *name, const char *prefix)
{
	static struct gyr_stats_reading reading;
	const struct gyr_stats_table *table = gyr_stats_view_find(view, name);
	assert_non_null(table);
	const struct gyr_stats_field *fields = gyr_stats_view_fields(view, table);
	uint64_t sum = 0;
	for (uint32_t slot = 0; slot < table->slot_count; slot++) {
		bool used = gyr_stats_view_read(view, table, slot, 0, UINT32_MAX, false, &reading);
		for (uint32_t i = 0; used && i < table->field_count; i++)
			sum += strncmp(fields[i].name, prefix, strlen(prefix)) == 0 ? reading.values[i] : 0;
	}
	return sum;
}

/* The equations of docs/OPERATIONS.md, by the names that an operator sees. */
static void shows_counters_that_add_up(void **state)
{
	static struct gyr_stats_reading reading;
	struct gyr_stats_view *view;
	struct gyr_error error;
	if (gyr_stats_view_open(gyr_loop_stats(loop), &view, &error) != 0)
		fail_msg("%s", error.text);
	uint64_t frames = shown(view, "rx", "rx.frames"), answers = shown(view, "lcores", "answer.");
	assert_int_equal(frames, client_frames_sent());
	assert_int_equal(frames, shown(view, "lcores", "net."));
	assert_int_equal(answers, datagrams);
	assert_int_equal(answers, shown(view, "lcores", "net.datagram"));
	uint64_t silent = 0, pieces = 0;
	static const char *const silent_names[] = {"answer.none", "answer.withheld", "answer.piece", "answer.no_room", "answer.missing"};
	static const char *const piece_names[] = {"large.sent", "large.asked", "large.told"};
	for (size_t i = 0; i < sizeof silent_names / sizeof silent_names[0]; i++)
		silent += shown(view, "lcores", silent_names[i]);
	for (size_t i = 0; i < sizeof piece_names / sizeof piece_names[0]; i++)
		pieces += shown(view, "lcores", piece_names[i]);
	pieces -= shown(view, "lcores", "large.answers");
	uint64_t replies = shown(view, "lcores", "net.arp_reply") + shown(view, "lcores", "net.echo_reply") + shown(view, "lcores", "net.nd_reply");
	assert_int_equal(shown(view, "tx", "tx.frames") + shown(view, "lcores", "send.dropped"),
			 answers - silent + replies + pieces + shown(view, "lcores", "send.unasked"));
	/* What was refused by shape names a version; by label or number, a model. */
	assert_int_equal(shown(view, "versions", "refused.bad_shape"), shown(view, "lcores", "answer.bad_shape"));
	assert_int_equal(shown(view, "models", "refused.unknown_"),
			 shown(view, "lcores", "answer.unknown_label") + shown(view, "lcores", "answer.unknown_version"));
	assert_true(shown(view, "lcores", "answer.bad_shape") > 0);
	assert_true(shown(view, "lcores", "answer.unknown_version") > 0);
	/* Each result was measured once in each stage, and the stages make up the whole. */
	const struct gyr_stats_table *versions = gyr_stats_view_find(view, "versions");
	uint64_t requests = 0, parts_ns = 0, total_ns = 0;
	for (uint32_t slot = 0; slot < versions->slot_count; slot++) {
		if (!gyr_stats_view_read(view, versions, slot, 0, UINT32_MAX, true, &reading))
			continue;
		requests += gyr_stats_value(view, versions, &reading, "requests");
		for (unsigned stage = 0; stage < GYR_STAGES; stage++) {
			assert_int_equal(reading.histograms[stage].count, gyr_stats_value(view, versions, &reading, "requests"));
			*(stage == GYR_STAGE_TOTAL ? &total_ns : &parts_ns) += reading.histograms[stage].sum_ns;
		}
	}
	assert_int_equal(requests + shown(view, "house", "retired.requests"), shown(view, "lcores", "answer.result"));
	assert_true(shown(view, "house", "retired.requests") > 0);
	assert_int_equal(shown(view, "versions", "late") + shown(view, "house", "retired.late"), shown(view, "lcores", "answer.late"));
	assert_true(shown(view, "house", "retired.late") > 0);
	assert_true(parts_ns <= total_ns);
	assert_true(total_ns - parts_ns <= GYR_STAGES * requests); /* each is rounded down */
	/* A run computed at least one request, whose answer was a result, or too late for one. */
	assert_true(shown(view, "versions", "runs.") > 0);
	assert_true(shown(view, "versions", "runs.") <= requests + shown(view, "versions", "late"));
	assert_true(shown(view, "versions", "rows") >= requests);
	gyr_stats_view_close(view);
}

static void tells_its_status(void **state)
{
	static const char *const keys[] = {"pid", "models", "models_left_out"};
	static uint8_t body[65536];
	uint32_t bytes = gyr_models_status(models, 0, body, sizeof body), pairs;
	struct gyr_unpack cursor = {.at = body, .end = body + bytes};
	assert_true(gyr_unpack_skip(&cursor, 8));
	assert_ptr_equal(cursor.at, cursor.end);
	/* In little room what does not fit is left out, and comes when the first ones are skipped. */
	uint32_t told = 0, room = bytes - 10;
	for (uint64_t left_out = 1; left_out > 0;) {
		uint32_t fewer = gyr_models_status(models, told, body, room), some = 0;
		assert_true(fewer <= room);
		cursor = (struct gyr_unpack){.at = body, .end = body + fewer};
		assert_true(gyr_unpack_map(&cursor, &pairs));
		assert_int_equal(pairs, sizeof keys / sizeof keys[0]);
		for (uint32_t i = 0; i < pairs; i++) {
			const char *key = NULL;
			uint32_t length = 0;
			assert_true(gyr_unpack_str(&cursor, &key, &length));
			assert_true(gyr_unpack_is(key, length, keys[i]));
			struct gyr_unpack value = cursor;
			assert_true(gyr_unpack_skip(&cursor, 8));
			assert_true(i != 1 || gyr_unpack_array(&value, &some));
			assert_true(i != 2 || gyr_unpack_uint(&value, &left_out));
		}
		assert_ptr_equal(cursor.at, cursor.end);
		assert_true(some > 0);
		assert_true(told > 0 || left_out > 0);
		told += some;
	}
	assert_int_equal(told, models->count);
}

/* What was accepted before the drain began is answered by its end. */
static void drains(void **state)
{
	enum { QUESTIONS = 40 };
	static const float x[300] = {0};
	uint8_t payload[CLIENT_BYTES_MAX];
	struct client_answer answer;
	const struct gyr_wire_ref ref = name_ref("slow");
	struct gyr_wire_output input = tensor(GYR_WIRE_BARE, GYR_DTYPE_F32, 2, 1, 300, x);
	for (uint64_t id = 0; id < QUESTIONS; id++) {
		size_t bytes = gyr_wire_pack_request(payload, sizeof payload, id, &ref, &no_select, 0, &input, 1, false);
		client_send(payload, bytes);
	}
	uint64_t until_ns = gyr_clock_ns() + 10 * GYR_NS_PER_S;
	while (lcores_sum(offsetof(struct gyr_lcore_counters, net), GYR_NET_OUTCOMES) == client_frames_sent() - QUESTIONS)
		assert_true(gyr_clock_ns() < until_ns);
	assert_true(gyr_loop_drain(loop, 10 * GYR_NS_PER_S));
	uint64_t accepted = lcores_sum(offsetof(struct gyr_lcore_counters, net) + GYR_NET_DATAGRAM * sizeof(uint64_t), 1) - datagrams;
	assert_int_equal(lcores_sum(offsetof(struct gyr_lcore_counters, answers), GYR_ANSWERS), datagrams + accepted);
	for (uint64_t i = 0; i < accepted; i++)
		assert_true(client_receive(&answer, 1000));
	assert_true(accepted > 0);
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
	must_load(TEST_SCALE, "scale", 1, 1);
	must_load(TEST_SCALE, "scale", 2, 2);
	must_load(TEST_SCALE, "unrouted", 1, 1);
	must_load(TEST_PIXEL, "pixel", 1, .5f);
	must_load(TEST_PAIR, "pair", 1, 2);
	must_load(TEST_SLOW, "slow", 1, 0);
	assert_int_equal(route("scale", 2), 0);
	assert_int_equal(route("pixel", 1), 0);
	assert_int_equal(route("pair", 1), 0);
	assert_int_equal(route("slow", 1), 0);
	return 0;
}

static int tear_down(void **state)
{
	client_stop();
	gyr_models_destroy(models);
	gyr_loop_destroy(loop);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_echo),
		cmocka_unit_test(answers_ping),
		cmocka_unit_test(answers_every_form_in_its_style),
		cmocka_unit_test(answers_every_number_of_rows),
		cmocka_unit_test(tells_timing_when_asked),
		cmocka_unit_test(selects_versions),
		cmocka_unit_test(describes_and_answers_by_handle),
		cmocka_unit_test(takes_several_inputs_without_rows),
		cmocka_unit_test(refuses_bad_tensors),
		cmocka_unit_test(answers_datagrams_that_are_no_message),
		cmocka_unit_test(survives_a_ping_above_the_mtu),
		cmocka_unit_test(turns_away_what_it_cannot_hold),
		cmocka_unit_test(answers_nothing_late),
		cmocka_unit_test(swaps_versions_under_questions),
		cmocka_unit_test(keeps_order_on_demand),
		cmocka_unit_test(waits_for_more_rows),
		cmocka_unit_test(shares_engine_time_by_weight),
		cmocka_unit_test(refuses_to_load),
		cmocka_unit_test(refuses_a_model_without_a_place_to_count),
		cmocka_unit_test(forgets_a_model_with_its_last_version),
		cmocka_unit_test(counters_add_up),
		cmocka_unit_test(shows_counters_that_add_up),
		cmocka_unit_test(tells_its_status),
		cmocka_unit_test(drains),
	};
	bool split = argc == 2 && strcmp(argv[1], "split") == 0;
	uint16_t last = (uint16_t)(sysconf(_SC_NPROCESSORS_ONLN) - 1);
	if (split && last == 0) {
		puts("skipped: two CPUs are needed to split io and engine");
		return SKIP;
	}
	gyr_log_init("test", GYR_LOG_ERROR);
	snprintf(folder, sizeof folder, "/tmp/gyr-test-loop-XXXXXX");
	if (mkdtemp(folder) == NULL) {
		perror(folder);
		return 1;
	}
	gyr_config_defaults(&config);
	snprintf(config.ports[0], sizeof config.ports[0], "net_memif0,role=server,id=0,socket=%s/memif.sock,socket-abstract=no", folder);
	config.hugepages = GYR_HUGEPAGES_OFF;
	config.memory_mb = 128;
	config.large_mb = 0; /* a message is a datagram; test_large.c has larger ones */
	config.queues = 2;   /* the client has one: each frame is taken once all the same */
	config.batch_max = 16;
	config.ring_entries = RING_ENTRIES;
	config.engine_cpus = (struct gyr_cpu_list){.count = 1, .cpus = {last}};
	config.io_cpus = (struct gyr_cpu_list){.count = 1, .cpus = {split ? 0 : last}};
	int failed = cmocka_run_group_tests_name(split ? "loop, split" : "loop, fused", tests, set_up, tear_down);
	char socket[96];
	snprintf(socket, sizeof socket, "%s/memif.sock", folder);
	unlink(socket);
	rmdir(folder);
	return failed;
}
