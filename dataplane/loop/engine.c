/*
 * The engine part of an lcore: takes what has queued, chooses each request's version once, from the table as it is now, groups by version, runs the plan and
 * writes the replies over the requests.
 *
 * What a request points at (names, tensors) lies in its frame: nothing of it is looked at once its reply is being packed. The plan reads a lone request's
 * tensors where they lie; its outputs go to the lcore's own arrays and are copied into the reply, as they could not be written over inputs still to be read.
 */
#include <string.h>

#include "base/assertion.h"
#include "dataplane/loop/loop_internal.h"

#define SERVICE_WEIGHT 16u /* of what was known before, against one new turn, in service_tsc */

/* A request of a group. */
struct member {
	struct rte_mbuf *mbuf;
	uint32_t first_row;
};

static struct gyr_version_lane *lane_of(const struct gyr_lcore *lcore, const struct gyr_version *version)
{
	return version->lanes[lcore->engine_index];
}

static void refuse(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, enum gyr_wire_code code, const char *text)
{
	const struct gyr_request *request = gyr_request_of(mbuf);
	if (request->version != NULL)
		gyr_counter_add(&lane_of(lcore, request->version)->errors, 1);
	gyr_answer_error(lcore, mbuf, request->message.id, code, text, 0);
}

static const char *route_text(enum gyr_wire_code code, const struct gyr_wire_ref *select)
{
	switch (code) {
	case GYR_WIRE_UNKNOWN_MODEL: return "no model of that name or handle is loaded";
	case GYR_WIRE_UNKNOWN_VERSION: return "that version of the model is not loaded";
	default: return select->present ? "the model has no such label" : "no version of the model is promoted";
	}
}

/* Dimensions DIMS against SHAPE without its first. */
static bool same_dims(const int64_t *dims, const int64_t *shape, uint32_t rank)
{
	for (uint32_t i = 0; i < rank; i++) {
		if (dims[i] != shape[i])
			return false;
	}
	return true;
}

/* How many rows TENSOR has, and whether it says so in a dimension; 0 when it does not fit VALUE. */
static enum gyr_wire_code count_rows(const struct gyr_version *version, const struct gyr_signature_value *value, const struct gyr_wire_tensor *tensor,
				     uint64_t *rows, bool *has_rows)
{
	const struct gyr_shape *shape = &value->shape;
	*has_rows = version->batched;
	if (tensor->form == GYR_WIRE_BARE) {
		*rows = version->batched && value->row_bytes > 0 ? tensor->bytes / value->row_bytes : 1;
		return *rows > 0 && *rows * value->row_bytes == tensor->bytes ? GYR_WIRE_OK : GYR_WIRE_BAD_SHAPE;
	}
	if (tensor->form == GYR_WIRE_TYPED && tensor->dtype != shape->dtype)
		return GYR_WIRE_BAD_DTYPE;
	*rows = 1;
	if (!version->batched)
		return tensor->rank == shape->rank && same_dims(tensor->dims, shape->dims, shape->rank) ? GYR_WIRE_OK : GYR_WIRE_BAD_SHAPE;
	if (tensor->rank == shape->rank && tensor->dims[0] > 0 && same_dims(tensor->dims + 1, shape->dims + 1, shape->rank - 1)) {
		*rows = (uint64_t)tensor->dims[0];
		return GYR_WIRE_OK;
	}
	/* One row may come without the dimension that counts rows. */
	*has_rows = false;
	return tensor->rank + 1u == shape->rank && same_dims(tensor->dims, shape->dims + 1, tensor->rank) ? GYR_WIRE_OK : GYR_WIRE_BAD_SHAPE;
}

/* Checks the tensors against the signature. False: refused. */
static bool check(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	struct gyr_request *request = gyr_request_of(mbuf);
	const struct gyr_version *version = request->version;
	const struct gyr_wire_message *message = &request->message;
	if (message->tensor_count != version->input_count) {
		refuse(lcore, mbuf, GYR_WIRE_BAD_SHAPE, "the model takes another number of inputs");
		return false;
	}
	uint64_t rows = 0;
	for (uint32_t i = 0; i < version->input_count; i++) {
		uint64_t these;
		bool has_rows;
		enum gyr_wire_code code = count_rows(version, &version->inputs[i], &message->tensors[i], &these, &has_rows);
		if (code != GYR_WIRE_OK) {
			refuse(lcore, mbuf, code, version->inputs[i].expected);
			return false;
		}
		if (i > 0 && these != rows) {
			refuse(lcore, mbuf, GYR_WIRE_BAD_SHAPE, "the inputs have unequal numbers of rows");
			return false;
		}
		rows = these;
		request->has_rows = i == 0 ? has_rows : request->has_rows && has_rows;
	}
	if (rows > version->batch_max) {
		refuse(lcore, mbuf, GYR_WIRE_TOO_LARGE, "more rows than the model's limit, which describe tells");
		return false;
	}
	request->rows = (uint32_t)rows;
	return true;
}

static void describe(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const struct gyr_route_model *model, const struct gyr_version *version)
{
	const struct gyr_net_host *host = gyr_host_of(lcore->loop, mbuf);
	struct gyr_wire_description description = {
		.model = model->name,
		.handle = model->handle,
		.version_count = model->version_count,
		.label_count = model->label_count,
		.input_count = version->input_count,
		.output_count = version->output_count,
		.batch_max = version->batch_max,
		.datagram_max = host->payload_max,
		.versions = model->numbers,
		.labels = model->labels,
		.inputs = version->input_values,
		.outputs = version->output_values,
	};
	uint64_t id = gyr_request_of(mbuf)->message.id;
	size_t bytes = gyr_wire_pack_description(gyr_payload_of(mbuf), gyr_net_payload_room(host, mbuf), id, &description);
	if (bytes == 0)
		refuse(lcore, mbuf, GYR_WIRE_TOO_LARGE, "no datagram holds the description");
	else
		gyr_answer(lcore, mbuf, GYR_ANSWER_DESCRIPTION, (uint32_t)bytes);
}

static bool is_late(const struct gyr_lcore *lcore, const struct gyr_request *request, uint64_t now)
{
	uint32_t deadline_us = request->message.deadline_us;
	return deadline_us != 0 && gyr_tsc_since(request->arrival_tsc, now) > deadline_us * lcore->loop->tsc_per_us;
}

static void refuse_late(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	refuse(lcore, mbuf, GYR_WIRE_DEADLINE, "the deadline passed while the request waited");
}

/* Finds the version and checks the request, or answers it. True: it is to be computed. */
static bool admit(struct gyr_lcore *lcore, const struct gyr_route *route, struct rte_mbuf *mbuf, uint64_t now)
{
	struct gyr_request *request = gyr_request_of(mbuf);
	const struct gyr_wire_message *message = &request->message;
	const struct gyr_route_model *model;
	request->version = NULL;
	if (is_late(lcore, request, now)) {
		refuse_late(lcore, mbuf);
		return false;
	}
	enum gyr_wire_code code = gyr_route_find(route, &message->model, &message->select, &model, &request->version);
	if (code != GYR_WIRE_OK) {
		refuse(lcore, mbuf, code, route_text(code, &message->select));
		return false;
	}
	if (message->type == GYR_WIRE_DESCRIBE) {
		describe(lcore, mbuf, model, request->version);
		return false;
	}
	return check(lcore, mbuf);
}

static void answer(struct gyr_lcore *lcore, const struct member *member, const uint32_t timing_ns[3])
{
	const struct gyr_request *request = gyr_request_of(member->mbuf);
	const struct gyr_version *version = request->version;
	struct gyr_version_lane *lane = lane_of(lcore, version);
	struct gyr_wire_output outputs[GYR_WIRE_TENSORS_MAX];
	for (uint32_t i = 0; i < version->output_count; i++) {
		const struct gyr_signature_value *value = &version->outputs[i];
		struct gyr_wire_output *output = &outputs[i];
		output->form = request->message.tensors[0].form;
		output->data = lane->outputs + value->place + value->row_bytes * member->first_row;
		output->shape = value->shape;
		if (version->batched && request->has_rows) {
			output->shape.dims[0] = request->rows;
		} else if (version->batched) {
			output->shape.rank--;
			memmove(output->shape.dims, output->shape.dims + 1, output->shape.rank * sizeof output->shape.dims[0]);
		}
	}
	uint32_t room = gyr_net_payload_room(gyr_host_of(lcore->loop, member->mbuf), member->mbuf);
	size_t bytes = gyr_wire_pack_result(gyr_payload_of(member->mbuf), room, request->message.id, version->number, outputs, version->output_count,
					    request->message.want_timing ? timing_ns : NULL, NULL);
	if (bytes == 0) {
		refuse(lcore, member->mbuf, GYR_WIRE_TOO_LARGE, "no datagram holds the result");
		return;
	}
	gyr_counter_add(&lane->requests, 1);
	gyr_counter_add(&lane->rows, request->rows);
	gyr_answer(lcore, member->mbuf, GYR_ANSWER_RESULT, (uint32_t)bytes);
}

/* Copies the tensors of a request behind those gathered before. False: refused. */
static bool gather(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, uint32_t first_row)
{
	const struct gyr_request *request = gyr_request_of(mbuf);
	const struct gyr_version *version = request->version;
	const struct gyr_version_lane *lane = lane_of(lcore, version);
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
			refuse(lcore, mbuf, code, value->expected);
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

static void run(struct gyr_lcore *lcore, struct rte_mbuf **mbufs, uint32_t count, uint64_t dequeued)
{
	struct gyr_loop *loop = lcore->loop;
	const struct gyr_version *version = gyr_request_of(mbufs[0])->version;
	struct gyr_version_lane *lane = lane_of(lcore, version);
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

	uint64_t start = rte_rdtsc();
	gyr_plan_run(version->plan, rows, inputs, outputs, lane->scratch);
	uint64_t end = rte_rdtsc();

	uint64_t compute_ns = gyr_loop_ns(loop, end - start);
	struct gyr_histogram *stages = lane->stages[atomic_load_explicit(&loop->histogram_side, memory_order_acquire)]; /* A2 pairs with R2 in status.c */
	for (uint32_t i = 0; i < member_count; i++) {
		uint64_t arrival = gyr_request_of(members[i].mbuf)->arrival_tsc;
		uint64_t queued_ns = gyr_loop_ns(loop, gyr_tsc_since(arrival, dequeued)), total_ns = gyr_loop_ns(loop, gyr_tsc_since(arrival, end));
		const uint32_t timing_ns[3] = {timing_of(queued_ns), timing_of(compute_ns), timing_of(total_ns)};
		gyr_histogram_add(&stages[GYR_STAGE_QUEUED], queued_ns);
		gyr_histogram_add(&stages[GYR_STAGE_COMPUTE], compute_ns);
		gyr_histogram_add(&stages[GYR_STAGE_TOTAL], total_ns);
		answer(lcore, &members[i], timing_ns);
	}
}

/* Takes from MBUFS the first and all that can be computed with it; how many are left. */
static uint32_t run_group(struct gyr_lcore *lcore, struct rte_mbuf **mbufs, uint32_t count, uint64_t dequeued)
{
	struct rte_mbuf *group[GYR_LOOP_BURST];
	const struct gyr_version *version = gyr_request_of(mbufs[0])->version;
	uint32_t group_count = 0, left = 0, rows = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct gyr_request *request = gyr_request_of(mbufs[i]);
		if (request->version == version && rows + request->rows <= version->batch_max) {
			rows += request->rows;
			group[group_count++] = mbufs[i];
		} else {
			mbufs[left++] = mbufs[i];
		}
	}
	run(lcore, group, group_count, dequeued);
	return left;
}

/* Answers those of MBUFS whose deadline passed while a group before them was computed; how many are left. */
static uint32_t drop_late(struct gyr_lcore *lcore, struct rte_mbuf **mbufs, uint32_t count)
{
	uint64_t now = rte_rdtsc();
	uint32_t left = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (is_late(lcore, gyr_request_of(mbufs[i]), now))
			refuse_late(lcore, mbufs[i]);
		else
			mbufs[left++] = mbufs[i];
	}
	return left;
}

uint32_t gyr_engine_poll(struct gyr_lcore *lcore)
{
	struct gyr_loop *loop = lcore->loop;
	struct rte_mbuf *mbufs[GYR_LOOP_BURST];
	uint32_t count = rte_ring_sc_dequeue_burst(lcore->requests, (void **)mbufs, GYR_LOOP_BURST, NULL);
	if (count > 0) {
		uint64_t now = rte_rdtsc();
		if (lcore->began_tsc == 0)
			lcore->began_tsc = now;
		const struct gyr_route *route = gyr_route_read(&loop->route);
		uint32_t left = 0;
		for (uint32_t i = 0; i < count; i++) {
			if (admit(lcore, route, mbufs[i], now))
				mbufs[left++] = mbufs[i];
		}
		while (left > 0) {
			left = run_group(lcore, mbufs, left, now);
			left = drop_late(lcore, mbufs, left);
		}
		uint64_t service = (rte_rdtsc() - now) / count, known = atomic_load_explicit(&lcore->service_tsc, memory_order_relaxed);
		uint64_t mean = (known * (SERVICE_WEIGHT - 1) + service) / SERVICE_WEIGHT;
		atomic_store_explicit(&lcore->service_tsc, mean < UINT32_MAX ? (uint32_t)mean : UINT32_MAX, memory_order_relaxed);
	}
	gyr_route_report(&loop->route, lcore->engine_index);
	return count;
}
