/*
 * Nodes that run bodies, at one batch number: see specialise.h. Every body is looked at once, with the shapes that all its runs have; so what a loop carries
 * keeps its shape. What is known of rows is assumed of what is carried, and held against what the body makes of it: where that is more, nothing is known.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/plan/plan.h"
#include "engine/plan/specialise.h"

/* A node that is looked at. */
struct flowing {
	const struct gyr_graph *graph;
	const struct gyr_node *node;
	const struct gyr_special_flow *base; /* the node at another batch number, or NULL */
	struct gyr_arena *arena;
	struct gyr_special *special;
	struct gyr_error *error;
	struct gyr_flow flow;
	struct gyr_special_flow *found;
};

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
}

static const struct gyr_shape *input_shape(const struct flowing *flowing, uint32_t index)
{
	return &flowing->special->shapes[flowing->node->inputs[index]];
}

static enum gyr_rows input_rows(const struct flowing *flowing, uint32_t index)
{
	uint32_t value = flowing->node->inputs[index];
	return value == GYR_VALUE_NONE ? GYR_ROWS_NONE : flowing->special->rows[value];
}

static const void *input_content(const struct flowing *flowing, uint32_t index)
{
	uint32_t value = flowing->node->inputs[index];
	return value == GYR_VALUE_NONE ? NULL : flowing->special->contents[value];
}

/* Room for the inputs of body WHICH, with its captures filled in. */
static int begin_inputs(const struct flowing *flowing, uint32_t which, struct gyr_special_inputs *inputs)
{
	const struct gyr_graph *body = flowing->flow.bodies[which];
	uint32_t own = body->input_count - body->capture_count;
	inputs->shapes = GYR_ARENA_NEW(flowing->arena, struct gyr_shape, body->input_count);
	inputs->contents = GYR_ARENA_NEW(flowing->arena, const void *, body->input_count);
	inputs->rows = GYR_ARENA_NEW(flowing->arena, enum gyr_rows, body->input_count);
	if (inputs->shapes == NULL || inputs->contents == NULL || inputs->rows == NULL)
		return no_memory(flowing->error);
	for (uint32_t i = 0; i < body->capture_count; i++) {
		uint32_t from = flowing->flow.captures[which] + i;
		inputs->shapes[own + i] = *input_shape(flowing, from);
		inputs->contents[own + i] = input_content(flowing, from);
		inputs->rows[own + i] = input_rows(flowing, from);
	}
	return 0;
}

/* Specialises body WHICH on INPUTS. */
static int look_at(const struct flowing *flowing, uint32_t which, const struct gyr_special_inputs *inputs, int64_t trips)
{
	const struct gyr_graph *body = flowing->flow.bodies[which];
	struct gyr_special *special = GYR_ARENA_NEW(flowing->arena, struct gyr_special, 1);
	if (special == NULL)
		return no_memory(flowing->error);
	for (uint32_t i = 0; i < body->input_count; i++) {
		const struct gyr_value *input = &body->values[body->inputs[i]];
		if (input->shape.dtype != GYR_DTYPE_NONE && input->shape.dtype != inputs->shapes[i].dtype)
			return gyr_error_set(flowing->error, -EINVAL, "input '%s' of its body is declared as %s and given %s", input->name,
					     gyr_dtype_name(input->shape.dtype), gyr_dtype_name(inputs->shapes[i].dtype));
	}
	flowing->found->bodies[which] = special;
	return gyr_specialise_body(body, inputs, trips, flowing->special, flowing->base == NULL ? NULL : flowing->base->bodies[which], flowing->arena, special,
				   flowing->error);
}

/* Output INDEX of body WHICH. */
static const struct gyr_shape *body_shape(const struct flowing *flowing, uint32_t which, uint32_t index)
{
	return &flowing->found->bodies[which]->shapes[flowing->flow.bodies[which]->outputs[index]];
}

static const void *body_content(const struct flowing *flowing, uint32_t which, uint32_t index)
{
	return flowing->found->bodies[which]->contents[flowing->flow.bodies[which]->outputs[index]];
}

static enum gyr_rows body_rows(const struct flowing *flowing, uint32_t which, uint32_t index)
{
	return flowing->found->bodies[which]->rows[flowing->flow.bodies[which]->outputs[index]];
}

/* Writes down what output INDEX of the node is. */
static int give(const struct flowing *flowing, uint32_t index, const struct gyr_shape *shape, const void *content, enum gyr_rows rows)
{
	uint32_t value = index < flowing->node->output_count ? flowing->node->outputs[index] : GYR_VALUE_NONE;
	size_t count;
	if (value == GYR_VALUE_NONE)
		return 0;
	if (!gyr_shape_count(shape, 1, &count) || count > GYR_VALUE_ELEMENTS_MAX)
		return gyr_error_set(flowing->error, -EINVAL, "its result has too many elements");
	flowing->special->shapes[value] = *shape;
	flowing->special->contents[value] = content;
	flowing->special->rows[value] = rows;
	return 0;
}

/* SHAPE with a dimension of SIZE put in at AXIS. */
static int stack(const struct flowing *flowing, const struct gyr_shape *shape, uint32_t axis, int64_t size, struct gyr_shape *stacked)
{
	if (shape->rank == GYR_RANK_MAX)
		return gyr_error_set(flowing->error, -ENOTSUP, "what it stacks has rank %d already", GYR_RANK_MAX);
	*stacked = (struct gyr_shape){.dtype = shape->dtype, .rank = shape->rank + 1};
	for (uint32_t i = 0; i < stacked->rank; i++)
		stacked->dims[i] = i < axis ? shape->dims[i] : i == axis ? size : shape->dims[i - 1];
	return 0;
}

/* SHAPE without dimension AXIS. */
static struct gyr_shape cut(const struct gyr_shape *shape, uint32_t axis)
{
	struct gyr_shape rest = {.dtype = shape->dtype, .rank = shape->rank - 1};
	for (uint32_t i = 0; i < rest.rank; i++)
		rest.dims[i] = shape->dims[i < axis ? i : i + 1];
	return rest;
}

/* That what a body makes of a carried value, INDEX of its outputs, has the SHAPE of what it was given. */
static int check_carried(const struct flowing *flowing, uint32_t index, const struct gyr_shape *shape)
{
	const struct gyr_shape *made = body_shape(flowing, 0, index);
	char from[128], to[128];
	if (gyr_shape_equal(made, shape))
		return 0;
	return gyr_error_set(flowing->error, made->dtype == shape->dtype ? -ENOTSUP : -EINVAL, "what it carries as '%s' is %s before a trip and %s behind it",
			     flowing->flow.bodies[0]->values[flowing->flow.bodies[0]->outputs[index]].name, gyr_shape_text(shape, from, sizeof from),
			     gyr_shape_text(made, to, sizeof to));
}

/* What is known of the rows of what has either ROWS or OTHERS, of one shape. */
static enum gyr_rows either(enum gyr_rows rows, enum gyr_rows others)
{
	if (rows == others || others == GYR_ROWS_NONE)
		return rows;
	return rows == GYR_ROWS_NONE ? others : GYR_ROWS_MIXED;
}

/* ROWS when a dimension is put in at AXIS. Of a batch that is a part of a dimension nothing is known then. */
static enum gyr_rows stack_rows(enum gyr_rows rows, uint32_t axis)
{
	uint32_t batch = gyr_rows_axis(rows);
	if (rows <= GYR_ROWS_COUNT)
		return rows;
	return batch == GYR_RANK_MAX ? GYR_ROWS_MIXED : gyr_rows_apart(batch + (axis <= batch ? 1 : 0));
}

/* ROWS when dimension AXIS is cut: nothing is known when that was the batch, or the batch is a part of a dimension. */
static enum gyr_rows cut_rows(enum gyr_rows rows, uint32_t axis)
{
	uint32_t batch = gyr_rows_axis(rows);
	if (rows <= GYR_ROWS_COUNT)
		return rows;
	return batch == GYR_RANK_MAX || batch == axis ? GYR_ROWS_MIXED : gyr_rows_apart(batch - (axis < batch ? 1 : 0));
}

/* Whether rows that were assumed to be ASSUMED of a carried value hold when the body makes them MADE. */
static bool holds(enum gyr_rows assumed, enum gyr_rows made)
{
	return made == GYR_ROWS_NONE || made == assumed;
}

/* What is known of ROWS that are made only where something is so that is known as CONDITION. */
static enum gyr_rows under(enum gyr_rows condition, enum gyr_rows rows)
{
	if (condition == GYR_ROWS_NONE)
		return rows;
	return condition == GYR_ROWS_COUNT && rows <= GYR_ROWS_COUNT ? GYR_ROWS_COUNT : GYR_ROWS_MIXED;
}

static bool is_true(const void *content)
{
	return *(const uint8_t *)content != 0;
}

static int check_branches(const struct flowing *flowing)
{
	char then_text[128], else_text[128];
	for (uint32_t o = 0; o < flowing->node->output_count; o++) {
		const struct gyr_shape *then_shape = body_shape(flowing, 0, o), *else_shape = body_shape(flowing, 1, o);
		if (!gyr_shape_equal(then_shape, else_shape))
			return gyr_error_set(flowing->error, -ENOTSUP,
					     "its condition is known only when it runs, and result %" PRIu32 " is %s of one branch and %s of the other", o,
					     gyr_shape_text(then_shape, then_text, sizeof then_text), gyr_shape_text(else_shape, else_text, sizeof else_text));
	}
	return 0;
}

/* Looks at branch WHICH of an If. */
static int look_at_branch(const struct flowing *flowing, uint32_t which)
{
	struct gyr_special_inputs inputs;
	int status = begin_inputs(flowing, which, &inputs);
	if (status == 0)
		status = look_at(flowing, which, &inputs, 1);
	if (status != 0)
		flowing->found->bodies[which] = NULL;
	return status;
}

/* Looks at both branches. One may turn out not to fit the shapes; that is told when it is asked for (flow.h). */
static int look_at_branches(const struct flowing *flowing, uint32_t *first, uint32_t *last)
{
	struct flowing other = *flowing;
	struct gyr_error reason = {""};
	other.error = &reason;
	*first = 0;
	*last = 1;
	int status = look_at_branch(flowing, 0), other_status = status == 0 || status == -EINVAL ? look_at_branch(&other, 1) : status;
	if (status == -EINVAL && other_status == 0) {
		*first = 1;
		return 0;
	}
	if (status == 0 && other_status == -EINVAL) {
		*last = 0;
		return 0;
	}
	if (status == 0 && other_status != 0)
		return gyr_error_set(flowing->error, other_status, "%s", reason.text);
	return status == 0 ? check_branches(flowing) : status;
}

static int specialise_if(const struct flowing *flowing)
{
	const void *condition = input_content(flowing, 0);
	uint32_t first = condition != NULL && !is_true(condition) ? 1 : 0, last = first;
	bool known = condition != NULL;
	flowing->found->asked = !known;
	int status = known ? look_at_branch(flowing, first) : look_at_branches(flowing, &first, &last);
	/* All contents or none, as of every node. */
	for (uint32_t o = 0; o < flowing->node->output_count && status == 0; o++)
		known = known && body_content(flowing, first, o) != NULL;
	for (uint32_t o = 0; o < flowing->node->output_count && status == 0; o++) {
		enum gyr_rows rows = body_rows(flowing, first, o), others = body_rows(flowing, last, o);
		status = give(flowing, o, body_shape(flowing, first, o), known ? body_content(flowing, first, o) : NULL,
			      under(input_rows(flowing, 0), either(rows, others)));
	}
	return status;
}

/* The shape of the trip number or of the condition that a loop gives its body: a scalar, or where the body says so a vector of one. */
static struct gyr_shape control_shape(const struct gyr_graph *body, uint32_t input, enum gyr_dtype dtype)
{
	const struct gyr_shape *declared = &body->values[body->inputs[input]].shape;
	struct gyr_shape shape = {.dtype = dtype};
	if (declared->dtype != GYR_DTYPE_NONE && declared->rank == 1) {
		shape.rank = 1;
		shape.dims[0] = 1;
	}
	return shape;
}

/* How many trips a loop makes, as far as that is known before its body is looked at. */
static void count_trips(const struct flowing *flowing, struct gyr_special_flow *found)
{
	const void *count = input_content(flowing, 0), *condition = input_content(flowing, 1);
	int64_t trips = INT64_MAX;
	if (count != NULL)
		memcpy(&trips, count, sizeof trips);
	if (condition != NULL && !is_true(condition))
		trips = 0;
	found->trips_known = trips <= GYR_PLAN_TRIPS_MAX;
	found->trips = !found->trips_known ? GYR_PLAN_TRIPS_UNKNOWN : trips < 0 ? 0 : trips;
	found->ends = flowing->node->inputs[1] != GYR_VALUE_NONE && condition == NULL;
}

/* What the condition that the body makes says about the end of the loop. */
static int find_end(const struct flowing *flowing)
{
	struct gyr_special_flow *found = flowing->found;
	const struct gyr_shape *shape = body_shape(flowing, 0, 0);
	const void *again = body_content(flowing, 0, 0);
	size_t count;
	if (shape->dtype != GYR_DTYPE_BOOL || !gyr_shape_count(shape, 1, &count) || count != 1)
		return gyr_error_set(flowing->error, -EINVAL, "the first output of its body is not one truth value");
	bool always = again != NULL && is_true(again), asked = flowing->node->inputs[1] != GYR_VALUE_NONE;
	if (!always && !asked)
		return gyr_error_set(flowing->error, -ENOTSUP,
				     "its condition is left out, and its body makes one: runtimes differ in whether that ends it (give it a condition)");
	found->ends = (found->ends || !always) && !(found->trips_known && found->trips == 0);
	if (!found->trips_known && !found->ends && flowing->node->inputs[0] == GYR_VALUE_NONE)
		return gyr_error_set(flowing->error, -EINVAL, "it never ends");
	if (!found->trips_known && !found->ends && input_content(flowing, 0) != NULL)
		return gyr_error_set(flowing->error, -E2BIG, "it takes over %lld trips", (long long)GYR_PLAN_TRIPS_MAX);
	return 0;
}

static int specialise_loop(const struct flowing *flowing)
{
	static const uint8_t always = 1; /* a body runs only while the condition is true */
	const struct gyr_node *node = flowing->node;
	const struct gyr_graph *body = flowing->flow.bodies[0];
	struct gyr_special_flow *found = flowing->found;
	struct gyr_special_inputs inputs;
	uint32_t carried = node->input_count - node->capture_count - 2;
	count_trips(flowing, found);
	int status = begin_inputs(flowing, 0, &inputs);
	if (status != 0)
		return status;
	inputs.shapes[0] = control_shape(body, 0, GYR_DTYPE_I64);
	inputs.shapes[1] = control_shape(body, 1, GYR_DTYPE_BOOL);
	inputs.contents[1] = &always;
	for (uint32_t i = 0; i < carried; i++) {
		inputs.shapes[2 + i] = *input_shape(flowing, 2 + i);
		inputs.rows[2 + i] = input_rows(flowing, 2 + i);
	}
	status = look_at(flowing, 0, &inputs, found->trips);
	if (status == 0)
		status = find_end(flowing);
	if (status != 0)
		return status;
	bool apart = input_rows(flowing, 0) == GYR_ROWS_NONE && input_rows(flowing, 1) == GYR_ROWS_NONE && body_rows(flowing, 0, 0) == GYR_ROWS_NONE;
	for (uint32_t i = 0; i < carried && status == 0; i++) {
		status = check_carried(flowing, 1 + i, &inputs.shapes[2 + i]);
		apart = apart && holds(inputs.rows[2 + i], body_rows(flowing, 0, 1 + i));
	}
	for (uint32_t i = 0; i < carried && status == 0; i++)
		status = give(flowing, i, &inputs.shapes[2 + i], NULL, apart ? inputs.rows[2 + i] : GYR_ROWS_MIXED);
	for (uint32_t o = carried; o < node->output_count && status == 0; o++) {
		struct gyr_shape stacked;
		if (node->outputs[o] == GYR_VALUE_NONE)
			continue;
		if (!found->trips_known || found->ends)
			return gyr_error_set(flowing->error, -ENOTSUP,
					     "result %" PRIu32 " has an element for each trip, and how many there are is known only when it runs", o);
		status = stack(flowing, body_shape(flowing, 0, 1 + o), 0, found->trips, &stacked);
		if (status == 0)
			status = give(flowing, o, &stacked, NULL, apart ? stack_rows(body_rows(flowing, 0, 1 + o), 0) : GYR_ROWS_MIXED);
	}
	return status;
}

/* The slice of scanned input INDEX of a Scan that the body gets, and *LENGTH, how many there are (-1 before the first). */
static int slice(const struct flowing *flowing, const struct gyr_flow_scan *scan, uint32_t index, struct gyr_special_inputs *inputs, int64_t *length)
{
	const struct gyr_shape *whole = input_shape(flowing, scan->first + scan->states + index);
	enum gyr_rows rows = input_rows(flowing, scan->first + scan->states + index);
	struct gyr_shape *part = &inputs->shapes[scan->states + index];
	uint32_t axis;
	*part = *whole;
	if (scan->batched) {
		if (whole->rank == 0 || whole->dims[0] != input_shape(flowing, scan->first)->dims[0])
			return gyr_error_set(flowing->error, -EINVAL, "its inputs differ in their first dimension");
		*part = cut(whole, 0);
	}
	int status = gyr_flow_axis(flowing->node, flowing->graph->opset, "scan_input_axes", index, part->rank, &axis, flowing->error);
	if (status != 0)
		return status;
	if (*length >= 0 && part->dims[axis] != *length)
		return gyr_error_set(flowing->error, -EINVAL, "its scanned inputs have %" PRId64 " and %" PRId64 " elements", *length, part->dims[axis]);
	*length = part->dims[axis];
	*part = cut(part, axis);
	/* How many slices there are must not depend on the number of rows. */
	inputs->rows[scan->states + index] = rows == GYR_ROWS_COUNT || (scan->batched && rows != GYR_ROWS_NONE) ? GYR_ROWS_MIXED : cut_rows(rows, axis);
	return 0;
}

static int scan_result(const struct flowing *flowing, const struct gyr_flow_scan *scan, uint32_t o, bool apart)
{
	const struct gyr_shape *part = body_shape(flowing, 0, o);
	enum gyr_rows rows = body_rows(flowing, 0, o);
	struct gyr_shape stacked = *part;
	uint32_t axis = 0;
	int status = 0;
	if (o >= scan->states) {
		status = gyr_flow_axis(flowing->node, flowing->graph->opset, "scan_output_axes", o - scan->states, part->rank + 1, &axis, flowing->error);
		if (status == 0)
			status = stack(flowing, part, axis, flowing->found->trips, &stacked);
		rows = stack_rows(rows, axis);
	}
	if (status == 0 && scan->batched) {
		struct gyr_shape one = stacked;
		status = stack(flowing, &one, 0, input_shape(flowing, scan->first)->dims[0], &stacked);
	}
	return status == 0 ? give(flowing, o, &stacked, NULL, apart ? rows : GYR_ROWS_MIXED) : status;
}

static int specialise_scan(const struct flowing *flowing)
{
	struct gyr_special_flow *found = flowing->found;
	struct gyr_special_inputs inputs;
	struct gyr_flow_scan scan;
	int64_t length = -1;
	bool apart = true;
	gyr_flow_scan_read(flowing->node, flowing->graph->opset, &scan);
	int status = begin_inputs(flowing, 0, &inputs);
	if (status == 0 && scan.batched && input_shape(flowing, scan.first)->rank == 0)
		status = gyr_error_set(flowing->error, -EINVAL, "an input is a scalar, and has no first dimension");
	for (uint32_t i = 0; i < scan.states && status == 0; i++) {
		const struct gyr_shape *state = input_shape(flowing, scan.first + i);
		if (scan.batched && (state->rank == 0 || state->dims[0] != input_shape(flowing, scan.first)->dims[0]))
			return gyr_error_set(flowing->error, -EINVAL, "its inputs differ in their first dimension");
		inputs.shapes[i] = scan.batched ? cut(state, 0) : *state;
		enum gyr_rows rows = input_rows(flowing, scan.first + i);
		inputs.rows[i] = scan.batched && rows != GYR_ROWS_NONE ? GYR_ROWS_MIXED : rows;
	}
	for (uint32_t i = 0; i < scan.scans && status == 0; i++) {
		status = slice(flowing, &scan, i, &inputs, &length);
		apart = apart && status == 0 && inputs.rows[scan.states + i] != GYR_ROWS_MIXED;
	}
	if (status != 0)
		return status;
	found->trips = length;
	found->trips_known = true;
	status = look_at(flowing, 0, &inputs, length);
	for (uint32_t i = 0; i < scan.states && status == 0; i++) {
		status = check_carried(flowing, i, &inputs.shapes[i]);
		apart = apart && holds(inputs.rows[i], body_rows(flowing, 0, i));
	}
	for (uint32_t o = 0; o < flowing->node->output_count && status == 0; o++)
		status = scan_result(flowing, &scan, o, apart);
	return status;
}

int gyr_specialise_flow(const struct gyr_graph *graph, uint32_t index, const struct gyr_special *base, struct gyr_arena *arena, struct gyr_special *special,
			struct gyr_error *error)
{
	const struct gyr_node *node = &graph->nodes[index];
	struct flowing flowing = {
		.graph = graph,
		.node = node,
		.base = base == NULL ? NULL : base->flows[index],
		.arena = arena,
		.special = special,
		.error = error,
		.found = GYR_ARENA_NEW(arena, struct gyr_special_flow, 1),
	};
	struct gyr_shape outputs[GYR_NODE_ENDS_MAX];
	if (flowing.found == NULL)
		return no_memory(error);
	special->flows[index] = flowing.found;
	int status = gyr_infer_node(graph, node, special->shapes, special->contents, outputs, error);
	if (status != -EAGAIN)
		return status; /* what does not fit; shapes it never knows */
	gyr_flow_read(node, &flowing.flow);
	return node->op == GYR_OP_IF ? specialise_if(&flowing) : node->op == GYR_OP_LOOP ? specialise_loop(&flowing) : specialise_scan(&flowing);
}
