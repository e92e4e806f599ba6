/*
 * Loop: see flow.h.
 */
#include <errno.h>
#include <string.h>

#include "engine/plan/flow_internal.h"

/* A result with an element for each trip. */
struct stacked {
	size_t bytes;   /* of an element */
	size_t instead; /* where in the scratch each goes when the node leaves the result out */
};

struct loop {
	struct flow_body body;
	uint32_t carried_count, stacked_count, result_count; /* results: those that the node has */
	bool bounded; /* the most trips are known; else a run reads how many there are, and more than TRIPS are too many */
	int64_t trips;
	size_t number, again; /* where in the scratch the number of the trip is, and the condition that the body makes */
	struct flow_carried *carried;
	struct stacked *stacked;
	enum gyr_dtype *types; /* of what is carried */
};

/* The results of a loop that has not ended. */
static void spoil(const struct loop *loop, void *const outputs[])
{
	for (uint32_t i = 0; i < loop->carried_count && i < loop->result_count; i++)
		flow_spoil(loop->types[i], loop->carried[i].bytes, outputs[i]);
}

static void run_loop(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	static const uint8_t always = 1;
	const struct loop *loop = params;
	uint8_t *own = scratch;
	const void *from[GYR_NODE_ENDS_MAX], *const *captures = inputs + loop->body.capture;
	void *to[GYR_NODE_ENDS_MAX], *ends[GYR_NODE_ENDS_MAX];
	int64_t asked = loop->trips, trip = 0;
	bool again = inputs[1] == NULL || *(const uint8_t *)inputs[1] != 0;
	if (!loop->bounded) {
		asked = INT64_MAX;
		if (inputs[0] != NULL)
			memcpy(&asked, inputs[0], sizeof asked);
	}
	int64_t limit = asked < loop->trips ? asked : loop->trips;
	from[0] = own + loop->number;
	from[1] = &always; /* a body runs only while the condition is true */
	to[0] = own + loop->again;
	for (uint32_t i = 0; i < loop->carried_count; i++) {
		from[2 + i] = inputs[2 + i];
		ends[i] = i < loop->result_count && outputs[i] != NULL ? outputs[i] : own + loop->carried[i].instead;
	}
	for (uint32_t i = 0; i < loop->body.capture_count; i++)
		from[loop->body.own_count + i] = captures[i];
	for (; trip < limit && again; trip++) {
		memcpy(own + loop->number, &trip, sizeof trip);
		for (uint32_t i = 0; i < loop->carried_count; i++)
			to[1 + i] = (limit - 1 - trip) % 2 == 0 ? ends[i] : own + loop->carried[i].spare; /* so that the last trip ends in place */
		for (uint32_t i = 0; i < loop->stacked_count; i++) {
			uint32_t result = loop->carried_count + i;
			bool given = result < loop->result_count && outputs[result] != NULL;
			to[1 + result] = given ? (uint8_t *)outputs[result] + (size_t)trip * loop->stacked[i].bytes : own + loop->stacked[i].instead;
		}
		flow_run_body(&loop->body, from, to, scratch);
		again = own[loop->again] != 0;
		for (uint32_t i = 0; i < loop->carried_count; i++)
			from[2 + i] = to[1 + i];
	}
	for (uint32_t i = 0; i < loop->carried_count; i++)
		if (from[2 + i] != ends[i] && loop->carried[i].bytes != 0)
			memcpy(ends[i], from[2 + i], loop->carried[i].bytes);
	if (again && trip < asked)
		spoil(loop, outputs);
}

int flow_carry(struct flow_layout *layout, uint32_t output, uint32_t count, struct flow_carried *carried)
{
	for (uint32_t i = 0; i < count; i++) {
		bool given = i < layout->node->output_count && layout->node->outputs[i] != GYR_DRAFT_NONE;
		int status = flow_bytes(layout, flow_output_shape(layout, 0, output + i), &carried[i].bytes);
		if (status != 0)
			return status;
		carried[i].spare = flow_reserve(layout, carried[i].bytes);
		carried[i].instead = given ? 0 : flow_reserve(layout, carried[i].bytes);
	}
	return 0;
}

int flow_prepare_loop(struct flow_layout *layout)
{
	struct loop *loop = flow_params(layout, sizeof *loop);
	if (loop == NULL)
		return -ENOMEM;
	flow_use_body(layout, 0, &loop->body);
	loop->carried_count = loop->body.own_count - 2;
	loop->stacked_count = loop->body.output_count - 1 - loop->carried_count;
	loop->result_count = layout->node->output_count;
	loop->bounded = layout->special->trips_known;
	loop->trips = layout->special->trips;
	loop->number = flow_reserve(layout, sizeof(int64_t));
	loop->again = flow_reserve(layout, 1);
	loop->carried = flow_params(layout, loop->carried_count * sizeof *loop->carried);
	loop->types = flow_params(layout, loop->carried_count * sizeof *loop->types);
	loop->stacked = flow_params(layout, loop->stacked_count * sizeof *loop->stacked);
	if (loop->carried == NULL || loop->types == NULL || loop->stacked == NULL)
		return -ENOMEM;
	int status = loop->bounded ? 0 : flow_check_spoilable(layout, loop->carried_count, "there are too many trips, how many being known only when it runs");
	if (status == 0)
		status = flow_carry(layout, 1, loop->carried_count, loop->carried);
	for (uint32_t i = 0; i < loop->carried_count; i++) {
		loop->types[i] = flow_output_shape(layout, 0, 1 + i)->dtype;
		flow_reads(layout, 2 + i);
	}
	for (uint32_t i = 0; i < loop->stacked_count && status == 0; i++) {
		status = flow_bytes(layout, flow_output_shape(layout, 0, 1 + loop->carried_count + i), &loop->stacked[i].bytes);
		if (status == 0)
			loop->stacked[i].instead = flow_reserve(layout, loop->stacked[i].bytes);
	}
	if (!loop->bounded)
		flow_reads(layout, 0);
	if (layout->special->ends)
		flow_reads(layout, 1);
	layout->prepare->run = run_loop;
	layout->prepare->params = loop;
	return status;
}
