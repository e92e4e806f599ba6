/*
 * Whether the rows of a batch stay apart: see rows.h.
 */
#include "engine/model/rows.h"

#include <string.h>

#include "base/assertion.h"

#define BEHIND_MAX (INT64_C(1) << 24)

struct gyr_rows_place gyr_rows_place(enum gyr_rows rows)
{
	if (rows < GYR_ROWS_INSIDE)
		return (struct gyr_rows_place){gyr_rows_axis(rows), 1};
	uint32_t code = rows - GYR_ROWS_INSIDE;
	return (struct gyr_rows_place){code % GYR_RANK_MAX, code / GYR_RANK_MAX};
}

enum gyr_rows gyr_rows_at(const struct gyr_shape *shape, struct gyr_rows_place place, int64_t batch)
{
	if (place.axis >= shape->rank || place.behind < 1 || place.behind > BEHIND_MAX || shape->dims[place.axis] % (batch * place.behind) != 0)
		return GYR_ROWS_MIXED;
	if (shape->dims[place.axis] == batch && place.behind == 1)
		return gyr_rows_apart(place.axis);
	return (enum gyr_rows)(GYR_ROWS_INSIDE + (uint32_t)place.behind * GYR_RANK_MAX + place.axis);
}

static bool same_place(struct gyr_rows_place a, struct gyr_rows_place b)
{
	return a.axis == b.axis && a.behind == b.behind;
}

static bool fed(const struct gyr_infer *node, uint32_t input)
{
	return input < node->node->input_count && node->node->inputs[input] != GYR_VALUE_NONE;
}

void gyr_rows_of(const struct gyr_graph *graph, const struct gyr_node *node, const struct gyr_shape *shapes, const void *const *contents,
		 const enum gyr_rows *rows, struct gyr_shape *outputs, int64_t batch, enum gyr_rows *answers)
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
		if ((known[i] > GYR_ROWS_APART && !row->rows_anywhere) || (known[i] >= GYR_ROWS_INSIDE && !row->rows_inside))
			known[i] = GYR_ROWS_MIXED;
		most = known[i] > most ? known[i] : most;
	}
	struct gyr_infer infer = {.node = node, .opset = opset, .inputs = inputs, .contents = read, .outputs = outputs};
	bool proven = most >= GYR_ROWS_APART && row->rows != NULL;
	for (infer.asked = 0; infer.asked < node->output_count; infer.asked++) {
		enum gyr_rows answer = proven ? row->rows(&infer, known, batch) : most < GYR_ROWS_APART ? most : GYR_ROWS_MIXED;
		struct gyr_rows_place place = gyr_rows_place(answer);
		if (place.axis != GYR_RANK_MAX && node->outputs[infer.asked] != GYR_VALUE_NONE && gyr_rows_at(&outputs[infer.asked], place, batch) != answer)
			proven = false;
		answers[infer.asked] = answer;
	}
	for (uint32_t o = 0; o < node->output_count && most >= GYR_ROWS_APART && !proven; o++)
		answers[o] = GYR_ROWS_MIXED;
}

/* Whether A and B, of the same type, differ in one dimension alone, which is 1 in A and BATCH in B. */
static bool find_batch(const struct gyr_shape *a, const struct gyr_shape *b, int64_t batch, uint32_t *axis)
{
	uint32_t found = 0;
	for (uint32_t i = 0; i < a->rank && a->rank == b->rank; i++) {
		if (a->dims[i] == b->dims[i])
			continue;
		if (a->dims[i] != 1 || b->dims[i] != batch)
			return false;
		*axis = i;
		found++;
	}
	return found == 1 && a->dtype == b->dtype;
}

enum gyr_rows gyr_rows_of_content(const struct gyr_shape *one_shape, const void *one, const struct gyr_shape *many_shape, const void *many, int64_t batch)
{
	uint32_t axis = 0;
	size_t bytes, outer = 1;
	if (!find_batch(one_shape, many_shape, batch, &axis) || !gyr_shape_bytes(one_shape, 1, &bytes))
		return GYR_ROWS_COUNT;
	for (uint32_t i = 0; i < axis; i++)
		outer *= (size_t)one_shape->dims[i];
	if (bytes == 0)
		return gyr_rows_apart(axis);
	size_t row_bytes = bytes / outer;
	const char *row = one, *at = many;
	for (size_t o = 0; o < outer; o++, row += row_bytes)
		for (int64_t i = 0; i < batch; i++, at += row_bytes)
			if (memcmp(row, at, row_bytes) != 0)
				return GYR_ROWS_COUNT;
	return gyr_rows_apart(axis);
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
	const struct gyr_shape *result = &node->outputs[node->asked];
	struct gyr_rows_place place = {GYR_RANK_MAX, 1}; /* in the result */
	for (uint32_t i = 0; i < node->node->input_count; i++) {
		struct gyr_rows_place own = gyr_rows_place(inputs[i]);
		if (!fed(node, i) || own.axis == GYR_RANK_MAX)
			continue;
		if (own.axis >= node->inputs[i]->rank || node->inputs[i]->rank > result->rank)
			return GYR_ROWS_MIXED;
		own.axis += result->rank - node->inputs[i]->rank;
		if (place.axis != GYR_RANK_MAX && !same_place(place, own))
			return GYR_ROWS_MIXED;
		place = own;
	}
	if (place.axis == GYR_RANK_MAX)
		return GYR_ROWS_MIXED;
	uint32_t from_end = result->rank - place.axis;
	for (uint32_t i = 0; i < node->node->input_count; i++) {
		const struct gyr_shape *shape = node->inputs[i];
		if (!fed(node, i))
			continue;
		if (gyr_rows_place(inputs[i]).axis != GYR_RANK_MAX
			    ? shape->dims[shape->rank - from_end] != result->dims[place.axis]
			    : inputs[i] != GYR_ROWS_NONE || (shape->rank >= from_end && shape->dims[shape->rank - from_end] != 1))
			return GYR_ROWS_MIXED;
	}
	return gyr_rows_at(result, place, batch);
}

bool gyr_rows_steady(enum gyr_rows rows, const struct gyr_shape *one, const struct gyr_shape *many, int64_t batch)
{
	struct gyr_rows_place place = gyr_rows_place(rows);
	bool steady = one->rank == many->rank;
	if (place.axis == GYR_RANK_MAX)
		return true;
	for (uint32_t i = 0; i < many->rank && steady; i++)
		steady = i == place.axis ? many->dims[i] % batch == 0 && many->dims[i] / batch == one->dims[i] : many->dims[i] == one->dims[i];
	return steady;
}

enum gyr_rows gyr_rows_first(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] > GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
	return inputs[0];
}

enum gyr_rows gyr_rows_in_order(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	const struct gyr_shape *from = node->inputs[0], *to = &node->outputs[0];
	struct gyr_rows_place place = gyr_rows_place(inputs[0]);
	int64_t inner = place.behind, behind = 1;
	enum gyr_rows found = GYR_ROWS_MIXED;
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] > GYR_ROWS_COUNT)
			return GYR_ROWS_MIXED;
	if (place.axis == GYR_RANK_MAX)
		return inputs[0];
	if (inputs[0] == GYR_ROWS_APART && to->rank > 0 && to->dims[0] == batch)
		return GYR_ROWS_APART;
	for (uint32_t i = place.axis + 1; i < from->rank; i++)
		inner *= from->dims[i];
	/* The batch stands where the same number of elements is behind it; among dimensions of 1, at the first; and where it is a dimension by itself, there.
	 */
	for (uint32_t i = to->rank; i-- > 0 && behind != 0 && inner != 0;) {
		if (inner % behind == 0 && to->dims[i] * behind % (inner * batch) == 0) {
			enum gyr_rows at = gyr_rows_at(to, (struct gyr_rows_place){i, inner / behind}, batch);
			found = at < found || found == GYR_ROWS_MIXED || found >= GYR_ROWS_INSIDE ? at : found;
		}
		behind *= to->dims[i];
	}
	return found;
}

enum gyr_rows gyr_rows_along(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t otherwise)
{
	int64_t axis = gyr_node_integer(node->node, "axis", otherwise);
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] != GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
	return axis == 0 || axis + node->inputs[0]->rank == 0 ? GYR_ROWS_MIXED : inputs[0];
}

enum gyr_rows gyr_rows_beside(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t otherwise, bool flat)
{
	int64_t given = gyr_node_integer(node->node, "axis", otherwise);
	uint32_t rank = node->inputs[0]->rank, axis = (uint32_t)(given < 0 ? given + rank : given), batch = gyr_rows_place(inputs[0]).axis;
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (inputs[i] != GYR_ROWS_NONE)
			return GYR_ROWS_MIXED;
	return batch < axis || (!flat && batch > axis) ? inputs[0] : GYR_ROWS_MIXED;
}

enum gyr_rows gyr_rows_count(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return GYR_ROWS_COUNT;
}
