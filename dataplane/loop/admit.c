/* Admission on an engine lcore: which version a request goes to, whether its tensors fit that version's signature, and the answer to describe. */
#include <string.h>

#include "dataplane/loop/large.h"

#define DESCRIPTION_MAX 65536u    /* bytes of one that goes in pieces */
#define RESTORING_AFTER_US 20000u /* when to ask again for what is being restored */

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
		gyr_refuse(lcore, mbuf, GYR_WIRE_BAD_SHAPE, "the model takes another number of inputs");
		return false;
	}
	uint64_t rows = 0;
	for (uint32_t i = 0; i < version->input_count; i++) {
		uint64_t these;
		bool has_rows;
		enum gyr_wire_code code = count_rows(version, &version->inputs[i], &message->tensors[i], &these, &has_rows);
		if (code != GYR_WIRE_OK) {
			gyr_refuse(lcore, mbuf, code, version->inputs[i].expected);
			return false;
		}
		if (i > 0 && these != rows) {
			gyr_refuse(lcore, mbuf, GYR_WIRE_BAD_SHAPE, "the inputs have unequal numbers of rows");
			return false;
		}
		rows = these;
		request->has_rows = i == 0 ? has_rows : request->has_rows && has_rows;
	}
	if (rows > version->batch_max) {
		gyr_refuse(lcore, mbuf, GYR_WIRE_TOO_LARGE, "more rows than the model's limit, which describe tells");
		return false;
	}
	request->rows = (uint32_t)rows;
	return true;
}

/* The description is longer than a datagram. */
static void describe_large(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const struct gyr_wire_description *description)
{
	size_t room = RTE_MIN((size_t)DESCRIPTION_MAX, (size_t)lcore->loop->message_max), bytes = 0;
	bool trusted = gyr_net_is_trusted(gyr_host_of(lcore->loop, mbuf), mbuf);
	uint8_t *place = room == 0 || !trusted ? NULL : gyr_large_room(lcore, room);
	if (place != NULL) {
		bytes = gyr_wire_pack_description(place, room, gyr_request_of(mbuf)->message.id, description);
		gyr_large_post(lcore, mbuf, place, GYR_ANSWER_DESCRIPTION, (uint32_t)bytes);
	}
	if (bytes == 0)
		gyr_refuse_long(lcore, mbuf, "no message holds the description, or there is no room for one now");
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
		.datagram_max = gyr_net_payload_max(host, mbuf),
		.message_max = lcore->loop->message_max,
		.versions = model->numbers,
		.labels = model->labels,
		.inputs = version->input_values,
		.outputs = version->output_values,
	};
	uint64_t id = gyr_request_of(mbuf)->message.id;
	size_t bytes = gyr_wire_pack_description(gyr_payload_of(mbuf), gyr_net_payload_room(host, mbuf), id, &description);
	if (bytes == 0)
		describe_large(lcore, mbuf, &description);
	else
		gyr_answer(lcore, mbuf, GYR_ANSWER_DESCRIPTION, (uint32_t)bytes);
}

bool gyr_is_late(const struct gyr_lcore *lcore, const struct gyr_request *request, uint64_t now)
{
	uint32_t deadline_us = request->message.deadline_us;
	return deadline_us != 0 && gyr_tsc_since(request->arrival_tsc, now) > deadline_us * lcore->loop->tsc_per_us;
}

void gyr_refuse_late(struct gyr_lcore *lcore, struct rte_mbuf *mbuf)
{
	gyr_refuse(lcore, mbuf, GYR_WIRE_DEADLINE, "the deadline passed while the request waited");
}

/* There is no such MODEL (NULL), or no such version of it. */
static void refuse_unknown(struct gyr_lcore *lcore, struct rte_mbuf *mbuf, const struct gyr_route_model *model, enum gyr_wire_code code)
{
	const struct gyr_wire_message *message = &gyr_request_of(mbuf)->message;
	bool restoring = atomic_load_explicit(&lcore->loop->restoring, memory_order_relaxed);
	if (restoring)
		code = GYR_WIRE_BUSY;
	if (model != NULL)
		gyr_counter_add(&gyr_model_counters_of(lcore, model)->refused[code], 1);
	if (restoring)
		gyr_answer_error(lcore, mbuf, message->id, code, "the models are being loaded", RESTORING_AFTER_US);
	else
		gyr_refuse(lcore, mbuf, code, route_text(code, &message->select));
}

bool gyr_admit(struct gyr_lcore *lcore, const struct gyr_route *route, struct rte_mbuf *mbuf, uint64_t now)
{
	struct gyr_request *request = gyr_request_of(mbuf);
	const struct gyr_wire_message *message = &request->message;
	const struct gyr_route_model *model;
	request->version = NULL;
	if (gyr_is_late(lcore, request, now)) {
		gyr_refuse_late(lcore, mbuf);
		return false;
	}
	enum gyr_wire_code code = gyr_route_find(route, &message->model, &message->select, &model, &request->version);
	if (code != GYR_WIRE_OK) {
		refuse_unknown(lcore, mbuf, model, code);
		return false;
	}
	if (message->type == GYR_WIRE_DESCRIBE) {
		describe(lcore, mbuf, model, request->version);
		return false;
	}
	return check(lcore, mbuf);
}
