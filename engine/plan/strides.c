/*
 * Strides: see strides.h.
 */
#include "engine/plan/strides.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "engine/model/movement.h"

#define DEPTH_MAX 64 /* nodes that are followed */

const struct gyr_node **gyr_trace_makers(const struct gyr_draft *draft)
{
	const struct gyr_graph *graph = draft->graph;
	const struct gyr_node **makers = calloc((size_t)graph->value_count + 1, sizeof *makers);
	for (uint32_t n = 0; makers != NULL && n < graph->node_count; n++)
		for (uint32_t o = 0; o < graph->nodes[n].output_count; o++)
			if (graph->nodes[n].outputs[o] != GYR_VALUE_NONE)
				makers[graph->nodes[n].outputs[o]] = &graph->nodes[n];
	return makers;
}

static bool add(struct gyr_strides *strides, uint32_t dim, int64_t size, int64_t stride)
{
	if (size <= 0 || strides->count == GYR_FACTORS_MAX)
		return false;
	if (size > 1)
		strides->factors[strides->count++] = (struct gyr_factor){dim, size, stride};
	return true;
}

bool gyr_strides_dense(const struct gyr_shape *shape, struct gyr_strides *strides)
{
	int64_t step[GYR_RANK_MAX + 1];
	*strides = (struct gyr_strides){0};
	step[shape->rank] = 1;
	for (uint32_t i = shape->rank; i-- > 0;)
		step[i] = step[i + 1] * shape->dims[i];
	for (uint32_t i = 0; i < shape->rank; i++)
		if (!add(strides, i, shape->dims[i], step[i + 1]))
			return false;
	return true;
}

int64_t gyr_strides_along(const struct gyr_strides *strides, uint32_t dim, int64_t otherwise)
{
	const struct gyr_factor *inner = NULL;
	int64_t stride = otherwise;
	for (uint32_t i = strides->count; i-- > 0;) {
		const struct gyr_factor *factor = &strides->factors[i];
		if (factor->dim != dim)
			continue;
		if (inner != NULL && factor->stride != inner->stride * inner->size)
			return -1;
		stride = inner == NULL ? factor->stride : stride;
		inner = factor;
	}
	return stride;
}

/* The same elements in the same order under another SHAPE. */
static bool reshape(const struct gyr_strides *from, const struct gyr_shape *shape, struct gyr_strides *to)
{
	struct gyr_strides turned = {.offset = from->offset}; /* innermost first */
	uint32_t left = from->count;
	struct gyr_factor rest = {.size = 1};
	for (uint32_t dim = shape->rank; dim-- > 0;) {
		for (int64_t need = shape->dims[dim]; need > 1;) {
			if (rest.size == 1) {
				if (left == 0)
					return false;
				rest = from->factors[--left];
			}
			int64_t taken = need % rest.size == 0 ? rest.size : rest.size % need == 0 ? need : 0;
			if (taken == 0 || !add(&turned, dim, taken, rest.stride))
				return false;
			rest.size /= taken;
			rest.stride *= taken;
			need /= taken;
		}
	}
	*to = (struct gyr_strides){.offset = from->offset, .count = turned.count};
	for (uint32_t i = 0; i < turned.count; i++)
		to->factors[i] = turned.factors[turned.count - 1 - i];
	return true;
}

static bool transpose(const struct gyr_node *node, uint32_t rank, const struct gyr_strides *from, struct gyr_strides *to)
{
	const struct gyr_attribute *perm = gyr_node_attribute(node, "perm");
	*to = (struct gyr_strides){.offset = from->offset};
	for (uint32_t dim = 0; dim < rank; dim++) {
		uint32_t source = perm != NULL ? (uint32_t)perm->integers.items[dim] : rank - 1 - dim;
		for (uint32_t i = 0; i < from->count; i++)
			if (from->factors[i].dim == source && !add(to, dim, from->factors[i].size, from->factors[i].stride))
				return false;
	}
	return true;
}

/* Elements START, START + STEP, ... of dimension DIM, COUNT of them. */
static bool cut(struct gyr_strides *strides, uint32_t dim, int64_t start, int64_t step, int64_t count)
{
	uint32_t kept = 0;
	if (count < 1 || (count > 1 && step < 1))
		return false;
	int64_t stride = gyr_strides_along(strides, dim, 0);
	if (count > 1 && stride < 0)
		return false;
	for (uint32_t i = strides->count; i-- > 0;) { /* the index in the factors' mixed radix */
		if (strides->factors[i].dim != dim)
			continue;
		strides->offset += start % strides->factors[i].size * strides->factors[i].stride;
		start /= strides->factors[i].size;
	}
	for (uint32_t i = 0; i < strides->count; i++) {
		bool last = i + 1 == strides->count || strides->factors[i + 1].dim != dim;
		if (strides->factors[i].dim != dim)
			strides->factors[kept++] = strides->factors[i];
		else if (count > 1 && last)
			strides->factors[kept++] = (struct gyr_factor){dim, count, stride * step};
	}
	strides->count = kept;
	return true;
}

/* One index, known at every batch number, along the axis; the dimension goes when the index is a scalar. */
static bool gather(const struct gyr_draft *draft, const struct gyr_node *node, uint32_t batch, struct gyr_strides *strides)
{
	const struct gyr_shape *x = gyr_draft_shape(draft, node->inputs[0], batch), *indices = gyr_draft_shape(draft, node->inputs[1], batch);
	const void *content = gyr_draft_content(draft, node->inputs[1], batch);
	int64_t axis = gyr_node_integer(node, "axis", 0), index;
	size_t count;
	axis += axis < 0 ? x->rank : 0;
	if (content == NULL || indices->rank > 1 || !gyr_shape_count(indices, 1, &count) || count != 1 || !gyr_infer_whole(indices->dtype, content, 0, &index))
		return false;
	index += index < 0 ? x->dims[axis] : 0;
	if (index < 0 || index >= x->dims[axis] || !cut(strides, (uint32_t)axis, index, 1, 1))
		return false;
	for (uint32_t i = 0; i < strides->count; i++)
		if (indices->rank == 0 && strides->factors[i].dim > (uint32_t)axis)
			strides->factors[i].dim--;
	return true;
}

static bool slice(const struct gyr_draft *draft, const struct gyr_node *node, uint32_t batch, struct gyr_strides *strides)
{
	const struct gyr_shape *inputs[GYR_NODE_ENDS_MAX];
	const void *contents[GYR_NODE_ENDS_MAX];
	struct gyr_slice to;
	struct gyr_error error;
	for (uint32_t i = 0; i < node->input_count; i++) {
		bool given = node->inputs[i] != GYR_VALUE_NONE;
		inputs[i] = given ? gyr_draft_shape(draft, node->inputs[i], batch) : NULL;
		contents[i] = given ? gyr_draft_content(draft, node->inputs[i], batch) : NULL;
	}
	struct gyr_infer infer = {.node = node, .opset = draft->graph->opset, .inputs = inputs, .contents = contents, .error = &error};
	if (gyr_infer_slice(&infer, &to) != 0)
		return false;
	for (uint32_t i = 0; i < inputs[0]->rank; i++)
		if ((to.starts[i] != 0 || to.steps[i] != 1 || to.counts[i] != inputs[0]->dims[i]) && !cut(strides, i, to.starts[i], to.steps[i], to.counts[i]))
			return false;
	return true;
}

static bool split(const struct gyr_draft *draft, const struct gyr_node *node, uint32_t value, uint32_t batch, struct gyr_strides *strides)
{
	int64_t axis = gyr_node_integer(node, "axis", 0), start = 0;
	axis += axis < 0 ? gyr_draft_shape(draft, node->inputs[0], batch)->rank : 0;
	for (uint32_t o = 0; node->outputs[o] != value; o++) {
		if (node->outputs[o] == GYR_VALUE_NONE)
			return false; /* how long it would be is not written anywhere */
		start += gyr_draft_shape(draft, node->outputs[o], batch)->dims[axis];
	}
	return cut(strides, (uint32_t)axis, start, 1, gyr_draft_shape(draft, value, batch)->dims[axis]);
}

/* Has STRIDES, those of NODE's input 0, become those of VALUE, which it makes. False where it does more than move. */
static bool follow(const struct gyr_draft *draft, const struct gyr_node *node, uint32_t value, uint32_t batch, struct gyr_strides *strides)
{
	const struct gyr_shape *from = gyr_draft_shape(draft, node->inputs[0], batch), *to = gyr_draft_shape(draft, value, batch);
	struct gyr_strides before = *strides;
	if (gyr_kernel_is_view(node, draft->graph->opset, from->dtype, to->dtype))
		return reshape(&before, to, strides);
	switch (node->op) {
	case GYR_OP_TRANSPOSE: return transpose(node, from->rank, &before, strides);
	case GYR_OP_GATHER: return gather(draft, node, batch, strides);
	case GYR_OP_SLICE: return slice(draft, node, batch, strides);
	case GYR_OP_SPLIT: return split(draft, node, value, batch, strides);
	default: return false;
	}
}

/* Multiplies SCALE by the constant that NODE multiplies its other input by, which becomes *X. */
static bool scales(const struct gyr_draft *draft, const struct gyr_node *node, uint32_t *x, double *scale)
{
	float number;
	if (node->op != GYR_OP_MUL && node->op != GYR_OP_DIV)
		return false;
	bool left = node->op == GYR_OP_MUL && gyr_draft_number(draft, node->inputs[0], &number);
	if (!left && !gyr_draft_number(draft, node->inputs[1], &number))
		return false;
	*x = node->inputs[left ? 1 : 0];
	for (uint32_t batch = 0; batch < draft->special_count; batch++)
		if (!gyr_shape_equal(gyr_draft_shape(draft, *x, batch), gyr_draft_shape(draft, node->outputs[0], batch)))
			return false;
	*scale *= node->op == GYR_OP_MUL ? number : 1 / (double)number;
	return true;
}

/* Whether VALUE is there when it is read: made by a node, known, or an input. */
static bool is_there(const struct gyr_draft *draft, uint32_t value)
{
	uint32_t root = gyr_draft_root(draft, value);
	for (uint32_t i = 0; i < draft->graph->input_count; i++)
		if (draft->graph->inputs[i] == root)
			return true;
	return draft->values[root].known || draft->values[root].producer != GYR_DRAFT_NONE;
}

static bool trace_from(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t value, bool scaled, int depth, struct gyr_trace *trace)
{
	const struct gyr_node *node = value < draft->graph->value_count ? makers[value] : NULL;
	uint32_t x;
	*trace = (struct gyr_trace){.scale = 1};
	if (node != NULL && depth > 0 && node->input_count > 0 && node->inputs[0] != GYR_VALUE_NONE && !draft->values[value].known) {
		double scale = 1;
		bool multiplies = scaled && scales(draft, node, &x, &scale);
		bool follows = trace_from(draft, makers, multiplies ? x : node->inputs[0], scaled, depth - 1, trace);
		for (uint32_t batch = 0; batch < draft->special_count && follows && !multiplies; batch++)
			follows = follow(draft, node, value, batch, &trace->at[batch]);
		trace->scale *= scale;
		if (follows)
			return true;
	}
	*trace = (struct gyr_trace){.base = value, .scale = 1};
	bool there = is_there(draft, value) && draft->values[value].shape.dtype == GYR_DTYPE_F32;
	for (uint32_t batch = 0; batch < draft->special_count && there; batch++)
		there = gyr_strides_dense(gyr_draft_shape(draft, value, batch), &trace->at[batch]);
	return there;
}

bool gyr_trace(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t value, bool scaled, struct gyr_trace *trace)
{
	return trace_from(draft, makers, value, scaled, DEPTH_MAX, trace);
}
