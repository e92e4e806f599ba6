/*
 * Graphs at one batch number: see specialise.h.
 */
#include "engine/plan/specialise.h"

#include <errno.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "engine/model/infer.h"
#include "engine/plan/plan.h"

/* Beyond these, in all and a row, a result that could be computed now, but depends on the batch number, is left to the run. */
#define FOLD_ROWS_BYTES_MAX ((size_t)1 << 20)
#define FOLD_ROW_BYTES_MAX ((size_t)16 << 10)
#define CONSTANT_ALIGN 64u

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
}

/* Whether NODE can be computed now. */
static bool foldable(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_special *special)
{
	if (gyr_op_at(node->op, gyr_graph_opset(graph, node->op))->rows == gyr_rows_count)
		return true;
	for (uint32_t i = 0; i < node->input_count; i++)
		if (node->inputs[i] != GYR_VALUE_NONE && special->contents[node->inputs[i]] == NULL)
			return false;
	return true;
}

/* Takes BYTES of what folding may have. */
static int take(struct gyr_special *special, size_t bytes, struct gyr_error *error)
{
	if (bytes > special->fold_bytes_left)
		return gyr_error_set(error, -E2BIG, "constants computed from constants are too large (at most %zu bytes, and twice those in the model)",
				     special->fold_bytes_max);
	special->fold_bytes_left -= bytes;
	return 0;
}

/* Computes NODE by the twins into memory from ARENA. */
static int compute(const struct gyr_graph *graph, const struct gyr_node *node, struct gyr_special *special, const struct gyr_shape *shapes,
		   struct gyr_arena *arena, void **outputs, struct gyr_error *error)
{
	const struct gyr_shape *inputs[GYR_NODE_ENDS_MAX];
	const void *contents[GYR_NODE_ENDS_MAX];
	bool empty = true;
	for (uint32_t i = 0; i < node->input_count; i++) {
		bool given = node->inputs[i] != GYR_VALUE_NONE;
		inputs[i] = given ? &special->shapes[node->inputs[i]] : NULL;
		contents[i] = given ? special->contents[node->inputs[i]] : NULL;
	}
	for (uint32_t i = 0; i < node->output_count; i++) {
		size_t bytes;
		outputs[i] = NULL;
		if (node->outputs[i] == GYR_VALUE_NONE)
			continue;
		if (!gyr_shape_bytes(&shapes[i], 1, &bytes) || (outputs[i] = gyr_arena_alloc(arena, bytes, CONSTANT_ALIGN)) == NULL)
			return no_memory(error);
		empty = empty && bytes == 0;
	}
	if (empty)
		return 0;
	struct gyr_prepare prepare = {.node = node,
				      .opset = gyr_graph_opset(graph, node->op),
				      .inputs = inputs,
				      .contents = contents,
				      .outputs = shapes,
				      .reference = true,
				      .arena = arena,
				      .packs = gyr_packs_create(),
				      .error = error};
	int status = prepare.packs == NULL ? no_memory(error) : gyr_kernel_prepare(&prepare);
	if (status == 0)
		status = take(special, prepare.scratch_bytes, error);
	void *scratch = status == 0 ? gyr_arena_alloc(arena, prepare.scratch_bytes, CONSTANT_ALIGN) : NULL;
	if (status == 0 && scratch == NULL)
		status = no_memory(error);
	if (status == 0)
		prepare.run(prepare.params, contents, outputs, scratch);
	gyr_packs_destroy(prepare.packs);
	return status;
}

/* Finds NODE's contents where they can be known, those of BASE where they are the same. */
static int fold(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *shapes, enum gyr_rows rows, const struct gyr_special *base,
		struct gyr_arena *arena, struct gyr_special *special, struct gyr_error *error)
{
	void *outputs[GYR_NODE_ENDS_MAX];
	size_t total = 0;
	if (node->input_count > 0 && gyr_kernel_is_view(node, gyr_graph_opset(graph, node->op), special->shapes[node->inputs[0]].dtype, shapes[0].dtype)) {
		special->contents[node->outputs[0]] = special->contents[node->inputs[0]];
		return 0;
	}
	if (!foldable(graph, node, special))
		return 0;
	for (uint32_t o = 0; o < node->output_count; o++) {
		size_t bytes;
		if (node->outputs[o] == GYR_VALUE_NONE)
			continue;
		if (!gyr_shape_bytes(&shapes[o], 1, &bytes))
			bytes = SIZE_MAX;
		if (rows != GYR_ROWS_NONE && bytes > FOLD_ROWS_BYTES_MAX && bytes / (size_t)special->batch > FOLD_ROW_BYTES_MAX)
			return 0;
		if (__builtin_add_overflow(total, bytes, &total))
			total = SIZE_MAX;
	}
	bool known = base != NULL && rows == GYR_ROWS_NONE && base->contents[node->outputs[0]] != NULL;
	int status = known ? 0 : take(special, total, error);
	if (status == 0 && !known)
		status = compute(graph, node, special, shapes, arena, outputs, error);
	for (uint32_t o = 0; o < node->output_count && status == 0; o++) {
		uint32_t value = node->outputs[o];
		size_t bytes;
		if (value == GYR_VALUE_NONE || !gyr_shape_bytes(&shapes[o], 1, &bytes))
			continue;
		special->contents[value] = known ? base->contents[value] : outputs[o];
		if (known || base == NULL || base->contents[value] == NULL)
			continue;
		if (!gyr_shape_equal(&base->shapes[value], &shapes[o]) || memcmp(base->contents[value], outputs[o], bytes) != 0) {
			enum gyr_rows same = gyr_rows_of_content(&base->shapes[value], base->contents[value], &shapes[o], outputs[o], special->batch);
			special->rows[value] = same == GYR_ROWS_COUNT ? special->rows[value] : same;
			continue;
		}
		special->contents[value] = base->contents[value];
		special->rows[value] = GYR_ROWS_NONE; /* a feature dimension from a Shape, say */
	}
	return status;
}

static int add_node(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_special *base, struct gyr_arena *arena,
		    struct gyr_special *special, struct gyr_error *error)
{
	struct gyr_shape shapes[GYR_NODE_ENDS_MAX];
	enum gyr_rows rows[GYR_NODE_ENDS_MAX];
	int status = gyr_infer_node(graph, node, special->shapes, special->contents, shapes, error);
	if (status != 0)
		return status == -EAGAIN ? -ENOTSUP : status;
	gyr_rows_of(graph, node, special->shapes, special->contents, special->rows, shapes, special->batch, rows);
	for (uint32_t o = 0; o < node->output_count; o++) {
		if (node->outputs[o] == GYR_VALUE_NONE)
			continue;
		special->shapes[node->outputs[o]] = shapes[o];
		special->rows[node->outputs[o]] = rows[o];
	}
	return fold(graph, node, shapes, rows[0], base, arena, special, error);
}

/* Room for what is to be found, and constants. Of those that BASE has not counted, folding may take twice the bytes. */
static int begin(const struct gyr_graph *graph, const struct gyr_special *base, struct gyr_arena *arena, struct gyr_special *special, struct gyr_error *error)
{
	special->shapes = GYR_ARENA_NEW(arena, struct gyr_shape, graph->value_count);
	special->contents = GYR_ARENA_NEW(arena, const void *, graph->value_count);
	special->rows = GYR_ARENA_NEW(arena, enum gyr_rows, graph->value_count);
	special->flows = GYR_ARENA_NEW(arena, const struct gyr_special_flow *, graph->node_count);
	if (special->shapes == NULL || special->contents == NULL || special->rows == NULL || special->flows == NULL)
		return no_memory(error);
	for (uint32_t i = 0; i < graph->value_count; i++) {
		size_t bytes;
		special->shapes[i] = graph->values[i].shape;
		special->contents[i] = graph->values[i].data;
		if (base == NULL && graph->values[i].data != NULL && gyr_shape_bytes(&graph->values[i].shape, 1, &bytes))
			special->fold_bytes_left += 2 * bytes;
	}
	return 0;
}

static int add_nodes(const struct gyr_graph *graph, const struct gyr_special *base, struct gyr_arena *arena, struct gyr_special *special,
		     struct gyr_error *error)
{
	for (uint32_t i = 0; i < graph->node_count; i++) {
		int status = gyr_flow_is(&graph->nodes[i]) ? gyr_specialise_flow(graph, i, base, arena, special, error)
							   : add_node(graph, &graph->nodes[i], base, arena, special, error);
		if (status != 0)
			return gyr_graph_blame(graph, &graph->nodes[i], status, error);
	}
	return 0;
}

static int specialise(const struct gyr_graph *graph, int64_t batch, const struct gyr_special *base, size_t fold_bytes_max, struct gyr_arena *arena,
		      struct gyr_special *special, struct gyr_error *error)
{
	*special = (struct gyr_special){.batch = batch,
					.trips = 1,
					.fold_bytes_max = base != NULL ? base->fold_bytes_max : fold_bytes_max,
					.fold_bytes_left = base != NULL ? base->fold_bytes_left : fold_bytes_max};
	int status = begin(graph, base, arena, special, error);
	if (status != 0)
		return status;
	for (uint32_t i = 0; i < graph->input_count; i++) {
		const struct gyr_shape *shape = &graph->values[graph->inputs[i]].shape;
		special->shapes[graph->inputs[i]] = gyr_infer_concrete(shape, batch);
		special->rows[graph->inputs[i]] = shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH ? GYR_ROWS_APART : GYR_ROWS_MIXED;
	}
	return add_nodes(graph, base, arena, special, error);
}

int gyr_specialise(const struct gyr_graph *graph, int64_t batch, const struct gyr_special *base, struct gyr_arena *arena, struct gyr_special *special,
		   struct gyr_error *error)
{
	return specialise(graph, batch, base, GYR_PLAN_FOLD_BYTES_MAX, arena, special, error);
}

int gyr_specialise_within(const struct gyr_graph *graph, int64_t batch, size_t fold_bytes_max, struct gyr_arena *arena, struct gyr_special *special,
			  struct gyr_error *error)
{
	return specialise(graph, batch, NULL, fold_bytes_max, arena, special, error);
}

int gyr_specialise_body(const struct gyr_graph *body, const struct gyr_special_inputs *inputs, int64_t trips, struct gyr_special *outer,
			const struct gyr_special *base, struct gyr_arena *arena, struct gyr_special *special, struct gyr_error *error)
{
	*special = (struct gyr_special){.batch = outer->batch, .fold_bytes_max = outer->fold_bytes_max, .fold_bytes_left = outer->fold_bytes_left};
	if (__builtin_mul_overflow(outer->trips, trips > 1 ? trips : 1, &special->trips) || special->trips > GYR_PLAN_TRIPS_MAX)
		return gyr_error_set(error, -E2BIG, "it may take over %lld trips, with those of the loops around it", (long long)GYR_PLAN_TRIPS_MAX);
	int status = begin(body, base, arena, special, error);
	for (uint32_t i = 0; i < body->input_count && status == 0; i++) {
		special->shapes[body->inputs[i]] = inputs->shapes[i];
		special->contents[body->inputs[i]] = inputs->contents[i];
		special->rows[body->inputs[i]] = inputs->rows[i];
	}
	if (status == 0)
		status = add_nodes(body, base, arena, special, error);
	outer->fold_bytes_left = special->fold_bytes_left;
	return status;
}

bool gyr_special_steady(const struct gyr_graph *graph, const struct gyr_special *one, const struct gyr_special *many)
{
	bool steady = true;
	for (uint32_t i = 0; i < graph->value_count && steady; i++)
		steady = gyr_rows_steady(many->rows[i], &one->shapes[i], &many->shapes[i], many->batch);
	for (uint32_t i = 0; i < graph->node_count && steady; i++) {
		struct gyr_flow flow;
		if (many->flows[i] == NULL)
			continue;
		gyr_flow_read(&graph->nodes[i], &flow);
		for (uint32_t which = 0; which < flow.body_count && steady; which++)
			if (one->flows[i]->bodies[which] != NULL && many->flows[i]->bodies[which] != NULL)
				steady = gyr_special_steady(flow.bodies[which], one->flows[i]->bodies[which], many->flows[i]->bodies[which]);
	}
	return steady;
}

/* Whether rows stay apart at the probes, and the shapes there. What does not fit at them is not proven. */
static int probe(const struct gyr_graph *graph, const struct gyr_special *one, struct gyr_shape *shapes, bool *batched, struct gyr_error *error)
{
	static const int64_t probes[2] = GYR_ROWS_PROBES;
	struct gyr_special specials[2];
	struct gyr_arena arena;
	int status = 0;
	gyr_arena_init(&arena, 0);
	for (int i = 0; i < 2 && *batched; i++) {
		status = gyr_specialise(graph, probes[i], one, &arena, &specials[i], error);
		*batched = status == 0 && gyr_special_steady(graph, one, &specials[i]);
		for (uint32_t o = 0; o < graph->output_count && *batched; o++)
			*batched = specials[i].rows[graph->outputs[o]] == GYR_ROWS_APART;
	}
	for (uint32_t i = 0; i < graph->value_count && *batched; i++)
		(void)gyr_rows_merge(&specials[0].shapes[i], &specials[1].shapes[i], &shapes[i]);
	for (uint32_t o = 0; o < graph->output_count && *batched; o++)
		*batched = shapes[graph->outputs[o]].rank > 0 && shapes[graph->outputs[o]].dims[0] == GYR_DIM_BATCH;
	gyr_arena_fini(&arena);
	return status == -ENOMEM ? status : 0;
}

int gyr_specialise_signature(const struct gyr_graph *graph, const struct gyr_special *one, struct gyr_shape *shapes, bool *batched, struct gyr_error *error)
{
	int status = 0;
	*batched = true; /* when all inputs have rows */
	for (uint32_t i = 0; i < graph->input_count; i++) {
		const struct gyr_shape *shape = &graph->values[graph->inputs[i]].shape;
		*batched = *batched && shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH;
	}
	for (uint32_t i = 0; i < graph->value_count; i++)
		shapes[i] = graph->settled ? graph->values[i].shape : one->shapes[i];
	if (!graph->settled && *batched)
		status = probe(graph, one, shapes, batched, error);
	for (uint32_t i = 0; i < graph->value_count && !*batched; i++)
		shapes[i] = one->shapes[i];
	return status;
}
