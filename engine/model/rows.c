/*
 * Whether the rows of a batch stay apart: see rows.h.
 */
#include "engine/model/rows.h"

#include "base/assertion.h"

static bool fed(const struct gyr_infer *node, uint32_t input)
{
	return input < node->node->input_count && node->node->inputs[input] != GYR_VALUE_NONE;
}

enum gyr_rows gyr_rows_of(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *shapes, const void *const *contents,
			  const enum gyr_rows *rows, struct gyr_shape *outputs, int64_t batch)
{
	uint32_t opset = gyr_graph_opset(graph, node->op);
	const struct gyr_op_info *row = gyr_op_at(node->op, opset);
	const struct gyr_shape *inputs[GYR_NODE_ENDS_MAX];
	const void *read[GYR_NODE_ENDS_MAX];
	enum gyr_rows known[GYR_NODE_ENDS_MAX], most = GYR_ROWS_NONE;
	GYR_ASSERT(row != NULL);
	for (uint32_t i = 0; i < node->input_count; i++) {
		bool given = node->inputs[i] != GYR_VALUE_NONE;
		inputs[i] = given ? &shapes[node->inputs[i]] : NULL;
		read[i] = given ? contents[node->inputs[i]] : NULL;
		known[i] = given ? rows[node->inputs[i]] : GYR_ROWS_NONE;
		most = known[i] > most ? known[i] : most;
	}
	if (most < GYR_ROWS_APART)
		return most;
	const struct gyr_infer infer = {.node = node, .opset = opset, .inputs = inputs, .contents = read, .outputs = outputs};
	enum gyr_rows answer = row->rows == NULL ? GYR_ROWS_MIXED : row->rows(&infer, known, batch);
	for (uint32_t i = 0; answer == GYR_ROWS_APART && i < node->output_count; i++)
		if (node->outputs[i] != GYR_VALUE_NONE && (outputs[i].rank == 0 || outputs[i].dims[0] != batch))
			answer = GYR_ROWS_MIXED;
	return answer;
}

bool gyr_rows_merge(const struct gyr_shape *a, const struct gyr_shape *b, struct gyr_shape *merged)
{
	static const int64_t probes[2] = GYR_ROWS_PROBES;
	struct gyr_shape left = *a, right = *b;
	if (a->rank > 0 && b->rank > 0 && a->dims[0] == probes[0] && b->dims[0] == probes[1])
		left.dims[0] = right.dims[0] = GYR_DIM_BATCH;
	if (!gyr_shape_equal(&left, &right))
		return false;
	*merged = left;
	return true;
}

enum gyr_rows gyr_rows_broadcast(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	uint32_t rank = node->outputs[0].rank;
	for (uint32_t i = 0; i < node->node->input_count; i++) {
		if (!fed(node, i))
			continue;
		const struct gyr_shape *shape = node->inputs[i];
		if (inputs[i] == GYR_ROWS_APART ? shape->rank != rank : inputs[i] != GYR_ROWS_NONE || (shape->rank == rank && rank > 0 && shape->dims[0] != 1))
			return GYR_ROWS_MIXED;
	}
	return GYR_ROWS_APART;
}

enum gyr_rows gyr_rows_first(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] > GYR_ROWS_COUNT)
			return GYR_ROWS_MIXED;
	return inputs[0];
}

enum gyr_rows gyr_rows_along(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t otherwise)
{
	int64_t axis = gyr_node_integer(node->node, "axis", otherwise);
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] != GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
	return axis == 0 || axis + node->inputs[0]->rank == 0 ? GYR_ROWS_MIXED : inputs[0];
}

enum gyr_rows gyr_rows_count(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return GYR_ROWS_COUNT;
}
