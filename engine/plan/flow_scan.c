/*
 * Scan: see flow.h. In opset 8 the whole is done for each of the first dimension.
 */
#include <errno.h>
#include <string.h>

#include "engine/plan/flow_internal.h"

/* What is scanned, or stacked: slices of an array along an axis. */
struct sliced {
	size_t outer, inner; /* elements before the axis, bytes of those behind it */
	size_t bytes;        /* of a slice: outer * inner */
	size_t buffer;       /* where in the scratch a slice is put together, or goes when the node leaves the result out */
	bool direct;         /* slices lie in one piece: nothing is put together */
	bool backwards;
};

struct scan {
	struct flow_body body;
	uint32_t first, states, scans, stacks, result_count; /* first: the first of the node's inputs that counts */
	size_t batch, length;
	struct flow_carried *carried;
	struct sliced *inputs, *outputs;
};

/* The slice at STEP of the array at BASE begins here, when it is in one piece, and there its first part does, when not. */
static size_t offset_of(const struct scan *scan, const struct sliced *sliced, size_t step)
{
	size_t at = sliced->backwards ? scan->length - 1 - step : step;
	return sliced->direct ? at * sliced->bytes : at * sliced->inner;
}

static const void *take_slice(const struct scan *scan, const struct sliced *sliced, const uint8_t *base, size_t step, uint8_t *scratch)
{
	const uint8_t *from = base + offset_of(scan, sliced, step);
	if (sliced->direct)
		return from;
	uint8_t *to = scratch + sliced->buffer;
	for (size_t i = 0; i < sliced->outer; i++)
		memcpy(to + i * sliced->inner, from + i * scan->length * sliced->inner, sliced->inner);
	return to;
}

static void put_slice(const struct scan *scan, const struct sliced *sliced, uint8_t *base, size_t step, const uint8_t *scratch)
{
	uint8_t *to = base + offset_of(scan, sliced, step);
	for (size_t i = 0; i < sliced->outer; i++)
		memcpy(to + i * scan->length * sliced->inner, scratch + sliced->buffer + i * sliced->inner, sliced->inner);
}

static uint8_t *result(const struct scan *scan, void *const outputs[], uint32_t index)
{
	return index < scan->result_count ? outputs[index] : NULL;
}

/* One of the batch. FROM has the captures already. */
static void run_one(const struct scan *scan, size_t one, const void *const inputs[], void *const outputs[], const void **from, uint8_t *scratch)
{
	void *to[GYR_NODE_ENDS_MAX], *ends[GYR_NODE_ENDS_MAX];
	for (uint32_t i = 0; i < scan->states; i++) {
		uint8_t *end = result(scan, outputs, i);
		ends[i] = end != NULL ? end + one * scan->carried[i].bytes : scratch + scan->carried[i].instead;
		from[i] = (const uint8_t *)inputs[scan->first + i] + one * scan->carried[i].bytes;
	}
	for (size_t step = 0; step < scan->length; step++) {
		for (uint32_t i = 0; i < scan->states; i++)
			to[i] = (scan->length - 1 - step) % 2 == 0 ? ends[i] : scratch + scan->carried[i].spare; /* so that the last step ends in place */
		for (uint32_t i = 0; i < scan->scans; i++) {
			const uint8_t *base = inputs[scan->first + scan->states + i];
			from[scan->states + i] = take_slice(scan, &scan->inputs[i], base + one * scan->length * scan->inputs[i].bytes, step, scratch);
		}
		for (uint32_t i = 0; i < scan->stacks; i++) {
			const struct sliced *sliced = &scan->outputs[i];
			uint8_t *base = result(scan, outputs, scan->states + i);
			bool place = base != NULL && sliced->direct;
			to[scan->states + i] = place ? base + one * scan->length * sliced->bytes + offset_of(scan, sliced, step) : scratch + sliced->buffer;
		}
		flow_run_body(&scan->body, from, to, scratch);
		for (uint32_t i = 0; i < scan->stacks; i++) {
			uint8_t *base = result(scan, outputs, scan->states + i);
			if (base != NULL && !scan->outputs[i].direct)
				put_slice(scan, &scan->outputs[i], base + one * scan->length * scan->outputs[i].bytes, step, scratch);
		}
		for (uint32_t i = 0; i < scan->states; i++)
			from[i] = to[i];
	}
	for (uint32_t i = 0; i < scan->states && scan->length == 0; i++)
		if (scan->carried[i].bytes != 0)
			memcpy(ends[i], from[i], scan->carried[i].bytes);
}

static void run_scan(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct scan *scan = params;
	const void *from[GYR_NODE_ENDS_MAX];
	for (uint32_t i = 0; i < scan->body.capture_count; i++)
		from[scan->body.own_count + i] = inputs[scan->body.capture + i];
	for (size_t one = 0; one < scan->batch; one++)
		run_one(scan, one, inputs, outputs, from, scratch);
}

/* How the slices of SHAPE lie in an array along the axis that number INDEX of the attribute AXES says. */
static int lay_out_slices(struct flow_layout *layout, const struct gyr_shape *shape, const char *axes, const char *directions, uint32_t index,
			  struct sliced *sliced)
{
	uint32_t axis;
	struct gyr_prepare *prepare = layout->prepare;
	int status = gyr_flow_axis(prepare->node, prepare->opset, axes, index, shape->rank + 1, &axis, prepare->error);
	if (status == 0)
		status = flow_bytes(layout, shape, &sliced->bytes);
	if (status != 0)
		return status;
	sliced->outer = 1;
	sliced->inner = gyr_dtype_bytes(shape->dtype);
	for (uint32_t i = 0; i < shape->rank; i++)
		*(i < axis ? &sliced->outer : &sliced->inner) *= (size_t)shape->dims[i];
	if (sliced->bytes == 0)
		sliced->outer = 0;
	sliced->direct = axis == 0;
	sliced->backwards = gyr_flow_backwards(prepare->node, directions, index);
	sliced->buffer = flow_reserve(layout, sliced->bytes);
	return 0;
}

int flow_prepare_scan(struct flow_layout *layout)
{
	struct gyr_prepare *prepare = layout->prepare;
	struct gyr_flow_scan what;
	struct scan *scan = flow_params(layout, sizeof *scan);
	if (scan == NULL)
		return -ENOMEM;
	gyr_flow_scan_read(prepare->node, prepare->opset, &what);
	flow_use_body(layout, 0, &scan->body);
	scan->first = what.first;
	scan->states = what.states;
	scan->scans = what.scans;
	scan->stacks = scan->body.output_count - what.states;
	scan->result_count = layout->node->output_count;
	scan->batch = what.batched ? (size_t)prepare->inputs[what.first]->dims[0] : 1;
	scan->length = (size_t)layout->special->trips;
	scan->carried = flow_params(layout, scan->states * sizeof *scan->carried);
	scan->inputs = flow_params(layout, scan->scans * sizeof *scan->inputs);
	scan->outputs = flow_params(layout, scan->stacks * sizeof *scan->outputs);
	if (scan->carried == NULL || scan->inputs == NULL || scan->outputs == NULL)
		return -ENOMEM;
	int status = flow_carry(layout, 0, scan->states, scan->carried);
	for (uint32_t i = 0; i < scan->states + scan->scans; i++)
		flow_reads(layout, what.first + i);
	for (uint32_t i = 0; i < scan->scans && status == 0; i++) {
		const struct gyr_graph *body = layout->flow.bodies[0];
		const struct gyr_shape *shape = &layout->special->bodies[0]->shapes[body->inputs[scan->states + i]];
		status = lay_out_slices(layout, shape, "scan_input_axes", what.batched ? "directions" : "scan_input_directions", i, &scan->inputs[i]);
	}
	for (uint32_t i = 0; i < scan->stacks && status == 0; i++)
		status = lay_out_slices(layout, flow_output_shape(layout, 0, scan->states + i), "scan_output_axes", "scan_output_directions", i,
					&scan->outputs[i]);
	prepare->run = run_scan;
	prepare->params = scan;
	return status;
}
