/*
 * The flow family: operators that run graphs of their own (bodies, see graph.h). Inference checks what a node and its bodies have to do with each other, and
 * leaves the shapes to the plan. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/model/flow.h"
#include "engine/model/op_family.h"

bool gyr_flow_is(const struct gyr_node *node)
{
	return node->op == GYR_OP_IF || node->op == GYR_OP_LOOP || node->op == GYR_OP_SCAN;
}

void gyr_flow_read(const struct gyr_node *node, struct gyr_flow *flow)
{
	uint32_t capture = node->input_count - node->capture_count;
	*flow = (struct gyr_flow){.body_count = node->op == GYR_OP_IF ? 2 : 1};
	for (uint32_t i = 0; i < node->attribute_count; i++) {
		const struct gyr_attribute *attribute = &node->attributes[i];
		if (attribute->type != GYR_ATTRIBUTE_GRAPH)
			continue;
		uint32_t at = strcmp(attribute->name, "else_branch") == 0 ? 1 : 0;
		flow->bodies[at] = attribute->graph;
		flow->captures[at] = capture;
		capture += attribute->graph->capture_count;
	}
}

void gyr_flow_scan_read(const struct gyr_node *node, uint32_t opset, struct gyr_flow_scan *scan)
{
	uint32_t own = node->input_count - node->capture_count;
	*scan = (struct gyr_flow_scan){.batched = opset < 9, .first = opset < 9 ? 1 : 0};
	scan->scans = (uint32_t)gyr_node_integer(node, "num_scan_inputs", 0);
	scan->states = own - scan->first - scan->scans;
}

int gyr_flow_axis(const struct gyr_node *node, uint32_t opset, const char *name, uint32_t index, uint32_t rank, uint32_t *axis, struct gyr_error *error)
{
	const struct gyr_attribute *axes = gyr_node_attribute(node, name);
	int64_t value = axes == NULL ? 0 : axes->integers.items[index], min = opset >= 11 ? -(int64_t)rank : 0;
	if (value < min || value >= rank)
		return gyr_error_set(error, -EINVAL, "%s holds %" PRId64 " (%" PRId64 " to %" PRId64 ")", name, value, min, (int64_t)rank - 1);
	*axis = (uint32_t)(value < 0 ? value + rank : value);
	return 0;
}

bool gyr_flow_backwards(const struct gyr_node *node, const char *name, uint32_t index)
{
	const struct gyr_attribute *directions = gyr_node_attribute(node, name);
	return directions != NULL && directions->integers.items[index] != 0;
}

/* That input INDEX is one element. */
static int need_one(struct gyr_infer *infer, uint32_t index)
{
	char text[128];
	const struct gyr_shape *shape = gyr_infer_input(infer, index);
	if (shape == NULL)
		return 0;
	for (uint32_t i = 0; i < shape->rank; i++)
		if (shape->dims[i] != 1)
			return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is %s and must be one element", index,
					     gyr_shape_text(shape, text, sizeof text));
	return 0;
}

/* That a body has OWN inputs beside its captures, and at least OUTPUTS outputs. */
static int check_body(struct gyr_infer *infer, const struct gyr_graph *body, const char *what, uint32_t own, uint32_t outputs)
{
	uint32_t has = body->input_count - body->capture_count;
	if (has != own)
		return gyr_error_set(infer->error, -EINVAL, "its %s has %" PRIu32 " inputs and is given %" PRIu32, what, has, own);
	if (body->output_count < outputs)
		return gyr_error_set(infer->error, -EINVAL, "its %s has %" PRIu32 " outputs, and %" PRIu32 " are wanted of it", what, body->output_count,
				     outputs);
	return 0;
}

static int leave_to_plan(struct gyr_infer *infer)
{
	return gyr_error_set(infer->error, -EAGAIN, "its results' shapes depend on what it runs");
}

static int infer_if(struct gyr_infer *infer)
{
	struct gyr_flow flow;
	gyr_flow_read(infer->node, &flow);
	int status = need_one(infer, 0);
	if (status == 0)
		status = check_body(infer, flow.bodies[0], "then_branch", 0, infer->node->output_count);
	if (status == 0)
		status = check_body(infer, flow.bodies[1], "else_branch", 0, infer->node->output_count);
	return status == 0 ? leave_to_plan(infer) : status;
}

static int infer_loop(struct gyr_infer *infer)
{
	struct gyr_flow flow;
	uint32_t own = infer->node->input_count - infer->node->capture_count, carried = own - 2;
	gyr_flow_read(infer->node, &flow);
	int status = need_one(infer, 0);
	if (status == 0)
		status = need_one(infer, 1);
	for (uint32_t i = 2; i < own && status == 0; i++)
		if (infer->inputs[i] == NULL)
			status = gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is left out, and it is needed", i);
	if (status == 0)
		status = check_body(infer, flow.bodies[0], "body", own, 1 + (carried > infer->node->output_count ? carried : infer->node->output_count));
	return status == 0 ? leave_to_plan(infer) : status;
}

/* That a list of COUNT numbers, MIN to MAX, is what the attribute NAME holds where it is there. */
static int check_list(struct gyr_infer *infer, const char *name, uint32_t count, int64_t min, int64_t max)
{
	const struct gyr_attribute *list = gyr_node_attribute(infer->node, name);
	if (list == NULL)
		return 0;
	if (list->integers.count != count)
		return gyr_error_set(infer->error, -EINVAL, "%s has %" PRIu32 " numbers, and %" PRIu32 " are needed", name, list->integers.count, count);
	for (uint32_t i = 0; i < count; i++)
		if (list->integers.items[i] < min || list->integers.items[i] > max)
			return gyr_error_set(infer->error, -EINVAL, "%s holds %" PRId64 " (%" PRId64 " to %" PRId64 ")", name, list->integers.items[i], min,
					     max);
	return 0;
}

static int infer_scan(struct gyr_infer *infer)
{
	struct gyr_flow flow;
	struct gyr_flow_scan scan;
	uint32_t own = infer->node->input_count - infer->node->capture_count, first = infer->opset < 9 ? 1 : 0;
	int64_t scans = gyr_node_integer(infer->node, "num_scan_inputs", 0);
	if (scans < 1 || scans > (int64_t)own - first)
		return gyr_error_set(infer->error, -EINVAL, "num_scan_inputs is %" PRId64 ", and it has %" PRIu32 " inputs", scans, own - first);
	if (first != 0 && infer->inputs[0] != NULL)
		return gyr_error_set(infer->error, -ENOTSUP, "Gyr does not run it with sequence_lens");
	for (uint32_t i = first; i < own; i++)
		if (infer->inputs[i] == NULL)
			return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is left out, and it is needed", i);
	gyr_flow_read(infer->node, &flow);
	gyr_flow_scan_read(infer->node, infer->opset, &scan);
	uint32_t wanted = infer->node->output_count > scan.states ? infer->node->output_count : scan.states;
	int status = check_body(infer, flow.bodies[0], "body", own - first, wanted);
	uint32_t outputs = flow.bodies[0]->output_count - scan.states;
	if (status == 0)
		status = check_list(infer, first != 0 ? "directions" : "scan_input_directions", scan.scans, 0, 1);
	if (status == 0)
		status = check_list(infer, "scan_input_axes", scan.scans, INT64_MIN, INT64_MAX);
	if (status == 0)
		status = check_list(infer, "scan_output_directions", outputs, 0, 1);
	if (status == 0)
		status = check_list(infer, "scan_output_axes", outputs, INT64_MIN, INT64_MAX);
	return status == 0 ? leave_to_plan(infer) : status;
}

static const struct gyr_op_attribute if_attributes[] = {{"else_branch", GYR_ATTRIBUTE_GRAPH, 7, true}, {"then_branch", GYR_ATTRIBUTE_GRAPH, 7, true}};
static const struct gyr_op_attribute loop_attributes[] = {{"body", GYR_ATTRIBUTE_GRAPH, 7, true}};
static const struct gyr_op_attribute scan8_attributes[] = {
	{"body", GYR_ATTRIBUTE_GRAPH, 8, true}, {"directions", GYR_ATTRIBUTE_INTS, 8, false}, {"num_scan_inputs", GYR_ATTRIBUTE_INT, 8, true}};
static const struct gyr_op_attribute scan_attributes[] = {
	{"body", GYR_ATTRIBUTE_GRAPH, 9, true},
	{"num_scan_inputs", GYR_ATTRIBUTE_INT, 9, true},
	{"scan_input_axes", GYR_ATTRIBUTE_INTS, 9, false},
	{"scan_input_directions", GYR_ATTRIBUTE_INTS, 9, false},
	{"scan_output_axes", GYR_ATTRIBUTE_INTS, 9, false},
	{"scan_output_directions", GYR_ATTRIBUTE_INTS, 9, false},
};

static const struct gyr_op_type if_types[] = {{'B', 7, OP_BIT(BOOL)}};
static const struct gyr_op_type loop_types[] = {{'I', 7, OP_BIT(I64)}, {'B', 7, OP_BIT(BOOL)}, {'v', 7, OP_ALL}, {'v', 16, OP_BIT(BF16)}};
static const struct gyr_op_type scan_types[] = {{'I', 8, OP_BIT(I64)}, {'v', 8, OP_ALL}, {'v', 16, OP_BIT(BF16)}};

#define LOOP(from, to, least)                                                                                                                                  \
	{.op = GYR_OP_LOOP,                                                                                                                                    \
	 .name = "Loop",                                                                                                                                       \
	 OP_OPSETS(from, to),                                                                                                                                  \
	 OP_INPUTS(least, GYR_OP_VARIADIC, "IBv"),                                                                                                             \
	 .optional = 3,                                                                                                                                        \
	 OP_OUTPUTS(GYR_OP_VARIADIC, "v"),                                                                                                                     \
	 OP_TYPES(loop_types),                                                                                                                                 \
	 OP_ATTRIBUTES(loop_attributes),                                                                                                                       \
	 .infer = infer_loop}

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_IF,
	 .name = "If",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "B"),
	 OP_OUTPUTS(GYR_OP_VARIADIC, "v"),
	 OP_TYPES(if_types),
	 OP_ATTRIBUTES(if_attributes),
	 .infer = infer_if},
	LOOP(7, 10, 3),
	LOOP(11, GYR_OPSET_MAX, 2),
	{.op = GYR_OP_SCAN,
	 .name = "Scan",
	 OP_OPSETS(8, 8),
	 OP_INPUTS(2, GYR_OP_VARIADIC, "Iv"),
	 .optional = 1,
	 OP_OUTPUTS(GYR_OP_VARIADIC, "v"),
	 OP_TYPES(scan_types),
	 OP_ATTRIBUTES(scan8_attributes),
	 .infer = infer_scan},
	{.op = GYR_OP_SCAN,
	 .name = "Scan",
	 OP_OPSETS(9, GYR_OPSET_MAX),
	 OP_INPUTS(1, GYR_OP_VARIADIC, "v"),
	 OP_OUTPUTS(GYR_OP_VARIADIC, "v"),
	 OP_TYPES(scan_types),
	 OP_ATTRIBUTES(scan_attributes),
	 .infer = infer_scan},
};

const struct op_family op_family_flow = {rows, OP_COUNT(rows)};
