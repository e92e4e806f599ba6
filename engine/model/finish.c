/*
 * Completes graphs: finds out which node makes each value, sorts the nodes, infers types and shapes, and checks what only a whole graph can violate.
 *
 * Afterwards every value has a shape, and each node stands behind the makers of its inputs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/assertion.h"
#include "engine/model/graph_internal.h"

/* What finish works with: allocated at its start, freed at its end. */
struct sorting {
	uint32_t *makers;     /* for each value: the node that makes it, FROM_OUTSIDE, or GYR_VALUE_NONE */
	uint8_t *marks;       /* for each node */
	uint32_t *stack;      /* of nodes whose makers are being visited */
	uint32_t *next_input; /* for each node on the stack: the input to look at next */
	struct gyr_node *sorted;
};
#define FROM_OUTSIDE (UINT32_MAX - 1)
enum { MARK_NEW, MARK_OPEN, MARK_DONE };

static void sorting_fini(struct sorting *sorting)
{
	free(sorting->makers);
	free(sorting->marks);
	free(sorting->stack);
	free(sorting->next_input);
}

/* Finds the maker of each value. */
static int find_makers(const struct gyr_graph *graph, struct sorting *sorting, struct gyr_error *error)
{
	uint32_t *makers = sorting->makers;
	for (uint32_t i = 0; i < graph->value_count; i++)
		makers[i] = graph->values[i].data != NULL ? FROM_OUTSIDE : GYR_VALUE_NONE;
	for (uint32_t i = 0; i < graph->input_count; i++)
		makers[graph->inputs[i]] = FROM_OUTSIDE;
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct gyr_node *node = &graph->nodes[i];
		for (uint32_t o = 0; o < node->output_count; o++) {
			uint32_t value = node->outputs[o];
			if (makers[value] == GYR_VALUE_NONE) {
				makers[value] = i;
				continue;
			}
			const char *name = graph->values[value].name;
			int status = makers[value] == FROM_OUTSIDE ? gyr_error_set(error, -EINVAL, "its result '%s' is an input or a constant already", name)
								   : gyr_error_set(error, -EINVAL, "its result '%s' is another node's too", name);
			return graph_at_node(graph, node, status, error);
		}
	}
	for (uint32_t i = 0; i < graph->value_count; i++)
		if (makers[i] == GYR_VALUE_NONE)
			return gyr_error_set(error, -EINVAL, "value '%s' is neither an input nor a constant nor the result of a node", graph->values[i].name);
	for (uint32_t i = 0; i < graph->output_count; i++)
		if (makers[graph->outputs[i]] == FROM_OUTSIDE)
			return gyr_error_set(error, -EINVAL, "output '%s' is not the result of a node", graph->values[graph->outputs[i]].name);
	return 0;
}

/* Depth first from each node in turn, without recursion: every node comes out behind those that it needs, and an order that is right stays. */
static int sort_nodes(const struct gyr_graph *graph, struct sorting *sorting, struct gyr_error *error)
{
	uint32_t done = 0;
	for (uint32_t root = 0; root < graph->node_count; root++) {
		if (sorting->marks[root] != MARK_NEW)
			continue;
		uint32_t depth = 0;
		sorting->stack[depth++] = root;
		sorting->marks[root] = MARK_OPEN;
		while (depth > 0) {
			uint32_t at = sorting->stack[depth - 1];
			const struct gyr_node *node = &graph->nodes[at];
			if (sorting->next_input[at] == node->input_count) {
				sorting->marks[at] = MARK_DONE;
				sorting->sorted[done++] = *node;
				depth--;
				continue;
			}
			uint32_t value = node->inputs[sorting->next_input[at]++];
			uint32_t maker = value == GYR_VALUE_NONE ? FROM_OUTSIDE : sorting->makers[value];
			if (maker == FROM_OUTSIDE || sorting->marks[maker] == MARK_DONE)
				continue;
			if (sorting->marks[maker] == MARK_OPEN) {
				int status = gyr_error_set(error, -EINVAL, "it needs its own result, by way of '%s' (a cycle)", graph->values[value].name);
				return graph_at_node(graph, node, status, error);
			}
			sorting->marks[maker] = MARK_OPEN;
			sorting->stack[depth++] = maker;
		}
	}
	GYR_ASSERT(done == graph->node_count);
	return 0;
}

static int sort(struct gyr_graph *graph, struct gyr_error *error)
{
	struct sorting sorting = {
		.makers = malloc((graph->value_count + 1) * sizeof *sorting.makers),
		.marks = calloc(graph->node_count + 1, sizeof *sorting.marks),
		.stack = malloc((graph->node_count + 1) * sizeof *sorting.stack),
		.next_input = calloc(graph->node_count + 1, sizeof *sorting.next_input),
		.sorted = GYR_ARENA_NEW(&graph->arena, struct gyr_node, graph->node_count),
	};
	int status;
	if (sorting.makers == NULL || sorting.marks == NULL || sorting.stack == NULL || sorting.next_input == NULL || sorting.sorted == NULL)
		status = graph_no_memory(error);
	else
		status = find_makers(graph, &sorting, error);
	if (status == 0)
		status = sort_nodes(graph, &sorting, error);
	if (status == 0)
		graph->nodes = sorting.sorted;
	sorting_fini(&sorting);
	return status;
}

static int infer(struct gyr_graph *graph, struct gyr_error *error)
{
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct gyr_node *node = &graph->nodes[i];
		struct gyr_value *result = &graph->values[node->outputs[0]];
		struct gyr_shape shape = {0};
		int status = graph_infer_node(graph, node, &shape, error);
		if (status == 0)
			status = graph_check_shape(&shape, false, error);
		if (status == 0 && result->shape.dtype != GYR_DTYPE_NONE && !gyr_shape_equal(&result->shape, &shape)) {
			char said[128], is[128];
			status = gyr_error_set(error, -EINVAL, "its result '%s' is said to be %s and is %s", result->name,
					       gyr_shape_text(&result->shape, said, sizeof said), gyr_shape_text(&shape, is, sizeof is));
		}
		if (status != 0)
			return graph_at_node(graph, node, status, error);
		result->shape = shape;
	}
	return 0;
}

static bool has_batch(const struct gyr_graph *graph, uint32_t value)
{
	const struct gyr_shape *shape = &graph->values[value].shape;
	return shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH;
}

/* All inputs and outputs have the batch dimension, or none. */
static int check_batch(const struct gyr_graph *graph, struct gyr_error *error)
{
	bool batch = has_batch(graph, graph->inputs[0]);
	const char *first = graph->values[graph->inputs[0]].name;
	for (uint32_t i = 0; i < graph->input_count; i++)
		if (has_batch(graph, graph->inputs[i]) != batch)
			return gyr_error_set(error, -EINVAL, "of inputs '%s' and '%s' only one has a batch dimension (all or none must)", first,
					     graph->values[graph->inputs[i]].name);
	for (uint32_t i = 0; i < graph->output_count; i++)
		if (has_batch(graph, graph->outputs[i]) != batch)
			return gyr_error_set(error, -EINVAL, "input '%s' has a batch dimension, and output '%s' has none", first,
					     graph->values[graph->outputs[i]].name);
	return 0;
}

int gyr_graph_finish(struct gyr_graph *graph, struct gyr_error *error)
{
	GYR_ASSERT(!graph->finished);
	if (graph->opset < GYR_OPSET_MIN || graph->opset > GYR_OPSET_MAX)
		return gyr_error_set(error, -EINVAL, "opset %" PRIu32 " (%u to %u)", graph->opset, GYR_OPSET_MIN, GYR_OPSET_MAX);
	if (graph->input_count == 0 || graph->output_count == 0)
		return gyr_error_set(error, -EINVAL, "the graph has no %s", graph->input_count == 0 ? "input" : "output");
	for (uint32_t i = 0; i < graph->input_count; i++) {
		const struct gyr_value *input = &graph->values[graph->inputs[i]];
		int status = graph_check_shape(&input->shape, false, error);
		if (status != 0)
			return gyr_error_prefix(error, status, "input '%s'", input->name);
	}
	int status = sort(graph, error);
	if (status == 0)
		status = infer(graph, error);
	if (status == 0)
		status = check_batch(graph, error);
	graph->finished = status == 0;
	return status;
}
