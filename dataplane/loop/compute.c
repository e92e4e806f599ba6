/*
 * Computing a group of requests to one version: their tensors are gathered, the plan is run, and each is answered.
 *
 * What a request points at (names, tensors) lies in its frame: nothing of it is looked at once its reply is being packed. The plan reads a lone request's
 * tensors where they lie; its outputs go to the lcore's own arrays and are copied into the reply, as they could not be written over inputs still to be read.
 */
#include <string.h>

#include "dataplane/loop/loop_internal.h"

/* A request of a group. */
struct member {
	struct rte_mbuf *mbuf;
	uint32_t first_row;
};

/* Copies the tensors of a request behind those gathered before. False: refused. */
static bool gather(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint32_t first_row)
{
	const struct gyr_request *request = gyr_request_of(mbuf);
	const struct gyr_version *version = request->version;
	const struct gyr_version_lane *lane = gyr_lane_of(lcore, version);
	for (uint32_t i = 0; i < version->input_count; i++) {
		const struct gyr_signature_value *value = &version->inputs[i];
		const struct gyr_wire_tensor *tensor = &request->message.tensors[i];
		uint8_t *to = lane->inputs + value->place + value->row_bytes * first_row;
		if (tensor->form != GYR_WIRE_PLAIN) {
			memcpy(to, tensor->data, tensor->bytes);
			continue;
		}
		enum gyr_wire_code code = gyr_wire_plain_read(tensor, value->shape.dtype, to, value->row_elements * request->rows);
		if (code != GYR_WIRE_OK) {
			gyr_refuse(lcore, mbuf, code, value->expected);
			return false;
		}
	}
	return true;
}

/* The plan may read a request's tensors in place when there is no other and no row to pad. */
static bool readable_in_place(const struct gyr_request *request)
{
	for (uint32_t i = 0; i < request->version->input_count; i++) {
		if (request->message.tensors[i].form == GYR_WIRE_PLAIN)
			return false;
	}
	return gyr_plan_bucket(request->version->plan, request->rows) == request->rows;
}

/* The wire's timing has 32 bits: four seconds and more are told as the most that they hold. */
static uint32_t timing_of(uint64_t ns)
{
	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

void gyr_compute(struct gyr_lcore *lcore, struct rte_mbuf **mbufs, uint32_t count, uint64_t dequeued)
{
	struct gyr_loop *loop = lcore->loop;
	const struct gyr_version *version = gyr_request_of(mbufs[0])->version;
	struct gyr_version_lane *lane = gyr_lane_of(lcore, version);
	const void *inputs[GYR_WIRE_TENSORS_MAX];
	void *outputs[GYR_WIRE_TENSORS_MAX];
	struct member members[GYR_LOOP_BURST];
	uint32_t member_count = 0, rows = 0;
	bool in_place = count == 1 && readable_in_place(gyr_request_of(mbufs[0]));
	for (uint32_t i = 0; i < count; i++) {
		if (!in_place && !gather(lcore, mbufs[i], rows))
			continue;
		members[member_count++] = (struct member){.mbuf = mbufs[i], .first_row = rows};
		rows += gyr_request_of(mbufs[i])->rows;
	}
	if (member_count == 0)
		return;
	for (uint32_t i = 0; i < version->input_count; i++)
		inputs[i] = in_place ? gyr_request_of(mbufs[0])->message.tensors[i].data : lane->inputs + version->inputs[i].place;
	for (uint32_t i = 0; i < version->output_count; i++)
		outputs[i] = lane->outputs + version->outputs[i].place;

	uint64_t start = in_place ? dequeued : rte_rdtsc();
	gyr_plan_run(version->plan, rows, inputs, outputs, lane->scratch);
	uint64_t end = rte_rdtsc();

	uint64_t compute_ns = gyr_loop_ns(loop, end - start);
	gyr_counter_add(&lane->counters->engine_cycles, end - start);
	gyr_counter_add(&lane->counters->runs[gyr_counters_batch(rows)], 1);
	for (uint32_t i = 0; i < member_count; i++) {
		const struct gyr_request *request = gyr_request_of(members[i].mbuf);
		if (__builtin_expect(gyr_is_late(lcore, request, end), 0)) {
			gyr_refuse_computed(lcore, members[i].mbuf);
			continue;
		}
		const struct gyr_stage_times times = {.arrival = request->arrival_tsc, .parsed = request->parsed_tsc, .begin = start, .end = end};
		uint64_t queued_ns = gyr_loop_ns(loop, gyr_tsc_since(times.arrival, dequeued)), total_ns = gyr_loop_ns(loop, gyr_tsc_since(times.arrival, end));
		const uint32_t timing_ns[3] = {timing_of(queued_ns), timing_of(compute_ns), timing_of(total_ns)};
		if (gyr_answer_result(lcore, members[i].mbuf, members[i].first_row, timing_ns))
			gyr_stages_note(lcore, lane->counters, times);
	}
}
