#include "dataplane/loop/version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/node.h"
#include "engine/plan/profile.h"

#define ARRAY_ALIGN 64u
#define TURN_US 100u   /* a turn's rows are as many as are efficient, or more if they take no longer */
#define COST_RUNS 4u   /* the quickest of so many runs is what a batch size takes, ... */
#define COST_US 10000u /* ... or of two, when neither was quicker: a stall lengthens a long run by little */

static size_t align_up(size_t bytes, size_t to)
{
	return (bytes + to - 1) / to * to;
}

/* Fills VALUES from the plan's signature; *BYTES gets the room for batch_max rows of all. */
static int describe_values(const struct gyr_version *version, bool inputs, struct gyr_signature_value *values, struct gyr_wire_value *wire_values,
			   size_t *bytes, uint32_t payload_max, struct gyr_error *error)
{
	const struct gyr_plan *plan = version->plan;
	const char *what = inputs ? "input" : "output";
	uint32_t count = inputs ? version->input_count : version->output_count;
	size_t elements = 0;
	*bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct gyr_signature_value *value = &values[i];
		const char *name = inputs ? gyr_plan_input_name(plan, i) : gyr_plan_output_name(plan, i);
		value->shape = inputs ? *gyr_plan_input_shape(plan, i) : *gyr_plan_output_shape(plan, i);
		wire_values[i] = (struct gyr_wire_value){.name = name, .shape = value->shape};
		char shape[128];
		gyr_shape_text(&value->shape, shape, sizeof shape);
		if ((value->shape.rank > 0 && value->shape.dims[0] == GYR_DIM_BATCH) != version->batched)
			return gyr_error_set(error, -ENOTSUP, "%s \"%s\" is %s, and input \"%s\" %s: rows must go in and out together", what, name, shape,
					     version->input_values[0].name, version->batched ? "has rows" : "has none");
		if (!gyr_shape_count(&value->shape, 1, &value->row_elements) || !gyr_shape_bytes(&value->shape, 1, &value->row_bytes))
			return gyr_error_set(error, -EMSGSIZE, "%s \"%s\" is %s, more than memory holds", what, name, shape);
		/* The shortest form has a byte for each element. */
		if (value->row_elements > payload_max - elements)
			return gyr_error_set(error, -EMSGSIZE, "%s \"%s\" is %s: the largest message holds %u bytes, so no request could be served", what, name,
					     shape, payload_max);
		elements += value->row_elements;
		value->place = *bytes;
		*bytes += align_up(value->row_bytes * version->batch_max, ARRAY_ALIGN);
		snprintf(value->expected, sizeof value->expected, "%s \"%.40s\" is %s", what, name, shape);
	}
	return 0;
}

/* The lanes, each on pages of its own. */
static int make_lanes(struct gyr_version *version, const int *nodes, size_t input_bytes, size_t output_bytes, struct gyr_error *error)
{
	size_t head = align_up(sizeof(struct gyr_version_lane), GYR_NODE_PAGE);
	size_t inputs = align_up(input_bytes, GYR_NODE_PAGE), outputs = align_up(output_bytes, GYR_NODE_PAGE);
	version->lane_bytes = head + inputs + outputs + align_up(gyr_plan_scratch_bytes(version->plan), GYR_NODE_PAGE);
	version->lanes = calloc(version->lane_count, sizeof(struct gyr_version_lane *));
	version->lane_memory = gyr_node_map(version->lane_count * version->lane_bytes);
	if (version->lanes == NULL || version->lane_memory == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for version %llu: %zu bytes for each engine lcore", (unsigned long long)version->number,
				     version->lane_bytes);
	for (uint32_t i = 0; i < version->lane_count; i++) {
		uint8_t *memory = (uint8_t *)version->lane_memory + i * version->lane_bytes;
		struct gyr_version_lane *lane = version->lanes[i] = (struct gyr_version_lane *)(void *)memory;
		gyr_node_prefer(memory, version->lane_bytes, nodes[i]);
		memset(memory, 0, version->lane_bytes); /* touches every page */
		lane->inputs = memory + head;
		lane->outputs = lane->inputs + inputs;
		lane->scratch = lane->outputs + outputs;
	}
	return 0;
}

/* Runs LANE at BATCH rows RUNS times, or twice when neither took less than COST_US. The quickest run. */
static uint64_t quickest_run(const struct gyr_version *version, const struct gyr_version_lane *lane, uint32_t batch, uint32_t runs)
{
	const void *inputs[GYR_WIRE_TENSORS_MAX];
	void *outputs[GYR_WIRE_TENSORS_MAX];
	uint64_t long_tsc = COST_US * rte_get_tsc_hz() / 1000000, quickest_tsc = UINT64_MAX;
	for (uint32_t i = 0; i < version->input_count; i++)
		inputs[i] = lane->inputs + version->inputs[i].place;
	for (uint32_t i = 0; i < version->output_count; i++)
		outputs[i] = lane->outputs + version->outputs[i].place;
	for (uint32_t run = 0; run < runs && (run < 2 || quickest_tsc < long_tsc); run++) {
		uint64_t began_tsc = rte_rdtsc();
		gyr_plan_run(version->plan, batch, inputs, outputs, lane->scratch);
		quickest_tsc = RTE_MIN(quickest_tsc, rte_rdtsc() - began_tsc);
	}
	return quickest_tsc;
}

/* Every lane at every batch size, so that nothing is touched for the first time by a request; the first lane tells what each size takes. */
static void warm(struct gyr_version *version)
{
	for (uint32_t batch = 1, size = 0; batch <= version->batch_max; batch *= 2, size++) {
		version->cost_tsc[size] = quickest_run(version, version->lanes[0], batch, COST_RUNS);
		for (uint32_t l = 1; l < version->lane_count; l++)
			quickest_run(version, version->lanes[l], batch, 1);
	}
	version->batch_efficient = gyr_batch_efficient(version->cost_tsc, version->batch_max);
	version->batch_turn = gyr_batch_turn(version->cost_tsc, version->batch_max, TURN_US * rte_get_tsc_hz() / 1000000);
	gyr_batch_cuts(version->cost_tsc, version->batch_max, version->cuts);
}

static int fill(struct gyr_version *version, const int *nodes, uint32_t payload_max, struct gyr_error *error)
{
	size_t input_bytes, output_bytes;
	if (version->input_count == 0 || version->input_count > GYR_WIRE_TENSORS_MAX || version->output_count == 0 ||
	    version->output_count > GYR_WIRE_TENSORS_MAX)
		return gyr_error_set(error, -E2BIG, "%u inputs and %u outputs: a message holds 1 to %u of each", version->input_count, version->output_count,
				     GYR_WIRE_TENSORS_MAX);
	const struct gyr_shape *first = gyr_plan_input_shape(version->plan, 0);
	version->batched = first->rank > 0 && first->dims[0] == GYR_DIM_BATCH;
	int status = describe_values(version, true, version->inputs, version->input_values, &input_bytes, payload_max, error);
	if (status == 0)
		status = describe_values(version, false, version->outputs, version->output_values, &output_bytes, payload_max, error);
	if (status != 0)
		return status;
	status = make_lanes(version, nodes, input_bytes, output_bytes, error);
	if (status != 0)
		return status;
	warm(version);
	return 0;
}

int gyr_version_create(uint64_t number, struct gyr_plan *plan, const int *nodes, uint32_t lane_count, uint32_t payload_max, struct gyr_version **version,
		       struct gyr_error *error)
{
	struct gyr_version *made = calloc(1, sizeof *made);
	if (made == NULL) {
		gyr_plan_destroy(plan);
		return gyr_error_set(error, -ENOMEM, "no memory for version %llu", (unsigned long long)number);
	}
	made->number = number;
	made->plan = plan;
	made->batch_max = gyr_plan_batch_max(plan);
	made->input_count = gyr_plan_input_count(plan);
	made->output_count = gyr_plan_output_count(plan);
	made->lane_count = lane_count;
	int status = fill(made, nodes, payload_max, error);
	if (status != 0) {
		gyr_version_destroy(made);
		return status;
	}
	*version = made;
	return 0;
}

void gyr_version_destroy(struct gyr_version *version)
{
	if (version == NULL)
		return;
	if (version->stats != NULL)
		gyr_stats_release(version->stats, GYR_COUNTERS_VERSIONS, version->slot);
	gyr_node_unmap(version->lane_memory, version->lane_count * version->lane_bytes);
	free(version->lanes);
	gyr_plan_destroy((struct gyr_plan *)(uintptr_t)version->plan);
	free(version);
}

int gyr_version_show(struct gyr_version *version, struct gyr_stats *stats, const char *model, struct gyr_error *error)
{
	struct gyr_version_head head = {
		.version = version->number,
		.batch_max = version->batch_max,
		.weight_bytes = gyr_plan_weight_bytes(version->plan),
		.scratch_bytes = gyr_plan_scratch_bytes(version->plan),
		.nodes = gyr_plan_node_count(version->plan),
		.steps = gyr_plan_step_count(version->plan, 1),
	};
	snprintf(head.model, sizeof head.model, "%s", model);
	snprintf(head.id, sizeof head.id, "%s", version->id);
	snprintf(head.precision, sizeof head.precision, "%s", gyr_plan_precision(version->plan) == GYR_PLAN_BF16 ? "bf16" : "f32");
	int slot = gyr_stats_take(stats, GYR_COUNTERS_VERSIONS);
	if (slot < 0)
		return gyr_error_set(error, slot, "%u versions are loaded: unload one first", GYR_COUNTERS_VERSIONS_MAX);
	version->stats = stats;
	version->slot = slot;
	for (uint32_t i = 0; i < version->lane_count; i++)
		version->lanes[i]->counters = gyr_stats_lane(stats, GYR_COUNTERS_VERSIONS, slot, i);
	gyr_stats_show(stats, GYR_COUNTERS_VERSIONS, slot, &head);
	return 0;
}
