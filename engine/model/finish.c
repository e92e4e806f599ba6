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
#include "engine/model/infer.h"
#include "engine/model/rows.h"

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
			if (value == GYR_VALUE_NONE)
				continue;
			if (makers[value] == GYR_VALUE_NONE) {
				makers[value] = i;
				continue;
			}
			const char *name = graph->values[value].name;
			int status = makers[value] == FROM_OUTSIDE ? gyr_error_set(error, -EINVAL, "its result '%s' is an input or a constant already", name)
								   : gyr_error_set(error, -EINVAL, "its result '%s' is another node's too", name);
			return gyr_graph_blame(graph, node, status, error);
		}
	}
	for (uint32_t i = 0; i < graph->value_count; i++)
		if (makers[i] == GYR_VALUE_NONE)
			return gyr_error_set(error, -EINVAL, "value '%s' is neither an input nor a constant nor the result of a node", graph->values[i].name);
	for (uint32_t i = 0; i < graph->output_count && graph->outer == NULL; i++)
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
				return gyr_graph_blame(graph, node, status, error);
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

static bool has_batch(const struct gyr_graph *graph, uint32_t value)
{
	const struct gyr_shape *shape = &graph->values[value].shape;
	return shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH;
}

/* What is known of all values at one batch number. */
struct knowledge {
	struct gyr_shape *shapes; /* dtype NONE: not known */
	const void **contents;    /* of constants only */
	enum gyr_rows *rows;
};

static void knowledge_fini(struct knowledge *known)
{
	free(known->shapes);
	free(known->contents);
	free(known->rows);
}

static int knowledge_init(struct knowledge *known, const struct gyr_graph *graph, int64_t batch, struct gyr_error *error)
{
	known->shapes = calloc(graph->value_count + 1, sizeof *known->shapes);
	known->contents = calloc(graph->value_count + 1, sizeof *known->contents);
	known->rows = calloc(graph->value_count + 1, sizeof *known->rows);
	if (known->shapes == NULL || known->contents == NULL || known->rows == NULL)
		return graph_no_memory(error);
	for (uint32_t i = 0; i < graph->value_count; i++) {
		known->contents[i] = graph->values[i].data;
		if (known->contents[i] != NULL)
			known->shapes[i] = graph->values[i].shape;
	}
	for (uint32_t i = 0; i < graph->input_count; i++) {
		const struct gyr_shape *shape = &graph->values[graph->inputs[i]].shape;
		known->shapes[graph->inputs[i]] = gyr_infer_concrete(shape, batch);
		known->rows[graph->inputs[i]] = has_batch(graph, graph->inputs[i]) ? GYR_ROWS_APART : GYR_ROWS_MIXED;
	}
	return 0;
}

static bool inputs_known(const struct gyr_node *node, const struct knowledge *known)
{
	for (uint32_t i = 0; i < node->input_count; i++)
		if (node->inputs[i] != GYR_VALUE_NONE && known->shapes[node->inputs[i]].dtype == GYR_DTYPE_NONE)
			return false;
	return true;
}

/* Infers everything at BATCH rows, as far as it can be known without computing. *WHOLE is whether that was all. */
static int infer(const struct gyr_graph *graph, int64_t batch, struct knowledge *known, bool *whole, struct gyr_error *error)
{
	struct gyr_shape outputs[GYR_NODE_ENDS_MAX];
	enum gyr_rows rows[GYR_NODE_ENDS_MAX];
	*whole = true;
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct gyr_node *node = &graph->nodes[i];
		struct gyr_error reason = {""};
		int status = inputs_known(node, known) ? gyr_infer_node(graph, node, known->shapes, known->contents, outputs, &reason) : -EAGAIN;
		if (status == -EAGAIN) {
			*whole = false;
			continue;
		}
		if (status != 0)
			return gyr_graph_blame(graph, node, gyr_error_set(error, status, "%s", reason.text), error);
		gyr_rows_of(graph, node, known->shapes, known->contents, known->rows, outputs, batch, rows);
		for (uint32_t o = 0; o < node->output_count; o++) {
			if (node->outputs[o] == GYR_VALUE_NONE)
				continue;
			known->shapes[node->outputs[o]] = outputs[o];
			known->rows[node->outputs[o]] = rows[o];
		}
	}
	return 0;
}

/*
 * Whether rows stay apart, and if so the shapes of all values with their batch dimension into SHAPES. What does not fit at the probes is not proven; *OPEN is
 * whether folding might prove it, because something is computed from the number of rows or from other dimensions.
 */
static int judge(const struct gyr_graph *graph, struct gyr_shape *shapes, bool *apart, bool *open, struct gyr_error *error)
{
	static const int64_t probes[2] = GYR_ROWS_PROBES;
	struct knowledge known[2] = {0};
	int status = 0;
	*apart = true;
	for (int i = 0; i < 2 && status == 0 && *apart; i++) {
		bool whole;
		struct gyr_error unfit;
		status = knowledge_init(&known[i], graph, probes[i], error);
		if (status == 0)
			*apart = infer(graph, probes[i], &known[i], &whole, &unfit) == 0;
		for (uint32_t o = 0; o < graph->output_count && status == 0; o++)
			*apart = *apart && known[i].rows[graph->outputs[o]] == GYR_ROWS_APART;
		for (uint32_t v = 0; v < graph->value_count && status == 0; v++)
			*open = *open || known[i].rows[v] == GYR_ROWS_COUNT;
	}
	for (uint32_t i = 0; i < graph->value_count && status == 0 && *apart; i++)
		(void)gyr_rows_merge(&known[0].shapes[i], &known[1].shapes[i], &shapes[i]);
	for (uint32_t o = 0; o < graph->output_count && status == 0 && *apart; o++)
		*apart = shapes[graph->outputs[o]].rank > 0 && shapes[graph->outputs[o]].dims[0] == GYR_DIM_BATCH;
	knowledge_fini(&known[0]);
	knowledge_fini(&known[1]);
	return status;
}

/* Gives a result SHAPE, which must be what was said of it; where the batch stands in what was said, a 1 may be. */
static int settle_value(struct gyr_value *value, const struct gyr_shape *shape, struct gyr_error *error)
{
	if (shape->dtype == GYR_DTYPE_NONE)
		return 0;
	struct gyr_shape said = value->shape;
	if (said.rank > 0 && said.dims[0] == GYR_DIM_BATCH && shape->rank > 0 && shape->dims[0] == 1)
		said.dims[0] = 1;
	if (said.dtype != GYR_DTYPE_NONE && !gyr_shape_equal(&said, shape)) {
		char said_text[128], is[128];
		return gyr_error_set(error, -EINVAL, "its result '%s' is said to be %s and is %s", value->name,
				     gyr_shape_text(&value->shape, said_text, sizeof said_text), gyr_shape_text(shape, is, sizeof is));
	}
	value->shape = *shape;
	return 0;
}

int gyr_graph_settle(struct gyr_graph *graph, const struct gyr_shape *shapes, bool batched, struct gyr_error *error)
{
	size_t count;
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct gyr_node *node = &graph->nodes[i];
		for (uint32_t o = 0; o < node->output_count; o++) {
			if (node->outputs[o] == GYR_VALUE_NONE)
				continue;
			int status = settle_value(&graph->values[node->outputs[o]], &shapes[node->outputs[o]], error);
			if (status == 0 && gyr_shape_count(&shapes[node->outputs[o]], 1, &count) && count > GYR_VALUE_ELEMENTS_MAX)
				status = gyr_error_set(error, -EINVAL, "its result has too many elements");
			if (status != 0)
				return gyr_graph_blame(graph, node, status, error);
		}
	}
	for (uint32_t i = 0; !batched && i < graph->input_count; i++)
		if (has_batch(graph, graph->inputs[i]))
			graph->values[graph->inputs[i]].shape.dims[0] = 1;
	graph->settled = true;
	return 0;
}

static int check_nodes(const struct gyr_graph *graph, struct gyr_error *error)
{
	for (uint32_t i = 0; i < graph->node_count; i++) {
		int status = gyr_infer_check_node(&graph->nodes[i], gyr_graph_opset(graph, graph->nodes[i].op), error);
		if (status != 0)
			return gyr_graph_blame(graph, &graph->nodes[i], status, error);
	}
	return 0;
}

/* Shapes of all values, and whether there is a batch dimension. */
static int infer_all(struct gyr_graph *graph, struct gyr_error *error)
{
	struct knowledge known = {0};
	bool batched = true, apart = false, open = false, whole;
	for (uint32_t i = 0; i < graph->input_count; i++)
		batched = batched && has_batch(graph, graph->inputs[i]);
	int status = knowledge_init(&known, graph, 1, error);
	if (status == 0)
		status = infer(graph, 1, &known, &whole, error);
	if (status == 0 && whole && batched)
		status = judge(graph, known.shapes, &apart, &open, error);
	if (status == 0 && whole && (apart || !open))
		status = gyr_graph_settle(graph, known.shapes, apart, error);
	knowledge_fini(&known);
	return status;
}

int gyr_graph_finish(struct gyr_graph *graph, struct gyr_error *error)
{
	GYR_ASSERT(!graph->finished);
	if (graph->opset < GYR_OPSET_MIN || graph->opset > GYR_OPSET_MAX)
		return gyr_error_set(error, -EINVAL, "opset %" PRIu32 " (%u to %u)", graph->opset, GYR_OPSET_MIN, GYR_OPSET_MAX);
	if (graph->opset_ml > GYR_OPSET_ML_MAX)
		return gyr_error_set(error, -EINVAL, "opset %" PRIu32 " of %s (%u to %u)", graph->opset_ml, GYR_DOMAIN_ML, GYR_OPSET_ML_MIN, GYR_OPSET_ML_MAX);
	bool body = graph->outer != NULL;
	if ((graph->input_count == 0 && !body) || graph->output_count == 0)
		return gyr_error_set(error, -EINVAL, "the graph has no %s", graph->input_count == 0 && !body ? "input" : "output");
	for (uint32_t i = 0; i < graph->input_count; i++) {
		const struct gyr_value *input = &graph->values[graph->inputs[i]];
		int status = body ? 0 : graph_check_shape(&input->shape, false, error);
		if (status != 0)
			return gyr_error_prefix(error, status, "input '%s'", input->name);
	}
	int status = sort(graph, error);
	if (status == 0)
		status = check_nodes(graph, error);
	if (status == 0 && !body)
		status = infer_all(graph, error);
	graph->finished = status == 0;
	return status;
}
