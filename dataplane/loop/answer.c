/* Answers: written over the question in its frame, counted, and handed to the sender. */
#include <stdio.h>
#include <string.h>

#include "base/assertion.h"
#include "dataplane/loop/large.h"

#define ERROR_TEXT_MAX 128u

void gyr_answer(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_answer answer, uint32_t bytes)
{
	if (__builtin_expect(gyr_request_of(mbuf)->large != NULL, 0))
		gyr_large_answered(lcore, mbuf, answer, bytes);
	gyr_net_reply(gyr_host_of(lcore->loop, mbuf), mbuf, bytes);
	gyr_counter_add(&lcore->counters->answers[answer], 1);
	gyr_send(lcore, mbuf);
}

/* Packs an error with as much of TEXT as ROOM holds; 0 when it does not even hold one without words. */
static size_t pack_short_error(void *to, uint32_t room, uint64_t id, enum gyr_wire_code code, const char *text, uint32_t retry_after_us)
{
	char some[ERROR_TEXT_MAX];
	size_t least = gyr_wire_pack_error(to, room, id, code, "", retry_after_us);
	if (least == 0)
		return 0;
	/* A longer text may need one more byte for its length. */
	for (size_t length = RTE_MIN(room - least, sizeof some - 1); length > 0; length--) {
		snprintf(some, length + 1, "%s", text);
		size_t bytes = gyr_wire_pack_error(to, room, id, code, some, retry_after_us);
		if (bytes > 0)
			return bytes;
	}
	return gyr_wire_pack_error(to, room, id, code, "", retry_after_us);
}

/* Answers with an error, counted as ANSWER. */
static void answer_error(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_answer answer, uint64_t id, enum gyr_wire_code code, const char *text,
			 uint32_t retry_after_us)
{
	struct gyr_net_host *host = gyr_host_of(lcore->loop, mbuf);
	uint32_t room = gyr_net_payload_room(host, mbuf);
	size_t bytes = gyr_wire_pack_error(gyr_payload_of(mbuf), room, id, code, text, retry_after_us);
	if (bytes == 0) {
		GYR_ASSERT(!gyr_net_is_trusted(host, mbuf)); /* texts are ours, and shorter than the smallest MTU */
		bytes = pack_short_error(gyr_payload_of(mbuf), room, id, code, text, retry_after_us);
	}
	if (bytes > 0) {
		gyr_answer(lcore, mbuf, answer, (uint32_t)bytes);
		return;
	}
	if (gyr_request_of(mbuf)->large != NULL)
		gyr_large_answered(lcore, mbuf, GYR_ANSWER_WITHHELD, 0);
	gyr_counter_add(&lcore->counters->answers[GYR_ANSWER_WITHHELD], 1);
	rte_pktmbuf_free(mbuf);
}

void gyr_answer_error(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint64_t id, enum gyr_wire_code code, const char *text, uint32_t retry_after_us)
{
	answer_error(lcore, mbuf, (enum gyr_answer)code, id, code, text, retry_after_us);
}

/* Counts a refusal with the request's version, where that is chosen, and answers. */
static void refuse(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_wire_code code, const char *text, uint32_t retry_after_us)
{
	const struct gyr_request *request = gyr_request_of(mbuf);
	if (request->version != NULL)
		gyr_counter_add(&gyr_lane_of(lcore, request->version)->counters->refused[code], 1);
	gyr_answer_error(lcore, mbuf, request->message.id, code, text, retry_after_us);
}

void gyr_refuse(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_wire_code code, const char *text)
{
	refuse(lcore, mbuf, code, text, 0);
}

void gyr_refuse_computed(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	const struct gyr_request *request = gyr_request_of(mbuf);
	gyr_counter_add(&gyr_lane_of(lcore, request->version)->counters->late, 1);
	answer_error(lcore, mbuf, GYR_ANSWER_LATE, request->message.id, GYR_WIRE_DEADLINE, "the deadline passed during the computation", 0);
}

void gyr_refuse_long(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const char *too_large)
{
	if (gyr_net_is_trusted(gyr_host_of(lcore->loop, mbuf), mbuf))
		gyr_refuse(lcore, mbuf, GYR_WIRE_TOO_LARGE, too_large);
	else
		gyr_refuse(lcore, mbuf, GYR_WIRE_FORBIDDEN, "the answer is larger than the question, and your address is not trusted with that");
}

void gyr_refuse_busy(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const char *text)
{
	uint64_t service_us = atomic_load_explicit(&lcore->service_tsc, memory_order_relaxed) / lcore->loop->tsc_per_us;
	refuse(lcore, mbuf, GYR_WIRE_BUSY, text, (uint32_t)RTE_MAX(service_us, UINT64_C(1)));
}

bool gyr_answer_result(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint32_t first_row, const uint32_t timing_ns[3])
{
	const struct gyr_request *request = gyr_request_of(mbuf);
	const struct gyr_version *version = request->version;
	struct gyr_version_lane *lane = gyr_lane_of(lcore, version);
	struct gyr_wire_output outputs[GYR_WIRE_TENSORS_MAX];
	for (uint32_t i = 0; i < version->output_count; i++) {
		const struct gyr_signature_value *value = &version->outputs[i];
		struct gyr_wire_output *output = &outputs[i];
		output->form = request->message.tensors[0].form;
		output->data = lane->outputs + value->place + value->row_bytes * first_row;
		output->shape = value->shape;
		if (version->batched && request->has_rows) {
			output->shape.dims[0] = request->rows;
		} else if (version->batched) {
			output->shape.rank--;
			memmove(output->shape.dims, output->shape.dims + 1, output->shape.rank * sizeof output->shape.dims[0]);
		}
	}
	uint32_t room = gyr_net_payload_room(gyr_host_of(lcore->loop, mbuf), mbuf);
	size_t bytes = gyr_wire_pack_result(gyr_payload_of(mbuf), room, request->message.id, version->number, outputs, version->output_count,
					    request->message.want_timing ? timing_ns : NULL, NULL);
	uint32_t rows = request->rows; /* the mbuf goes with a large result */
	bool large = __builtin_expect(bytes == 0, 0);
	if (large && !gyr_large_result(lcore, mbuf, outputs, version->output_count, request->message.want_timing ? timing_ns : NULL))
		return false;
	gyr_counter_add(&lane->counters->requests, 1);
	gyr_counter_add(&lane->counters->rows, rows);
	if (large)
		return true;
	gyr_answer(lcore, mbuf, GYR_ANSWER_RESULT, (uint32_t)bytes);
	return true;
}
