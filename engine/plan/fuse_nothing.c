/*
 * Nodes that do nothing: see fuse.h.
 *
 * An addition of 0 is nothing only where it keeps -0 as it is: + -0 and - +0 do, + +0 does not.
 */
#include <errno.h>
#include <math.h>

#include "engine/plan/fuse.h"
#include "engine/ref/number.h"

static bool same_shapes(const struct gyr_draft *draft, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < draft->special_count; i++)
		if (!gyr_shape_equal(gyr_draft_shape(draft, a, i), gyr_draft_shape(draft, b, i)))
			return false;
	return true;
}

/* Whether every element of VALUE is known to be NUMBER, with its sign. */
static bool is_all(const struct gyr_draft *draft, uint32_t value, double number)
{
	const struct gyr_draft_value *constant = &draft->values[value];
	size_t count;
	if (constant->data == NULL || !gyr_shape_count(&constant->shape, 1, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct gyr_number element = gyr_number_load(constant->shape.dtype, constant->data, i);
		if (element.kind != GYR_NUMBER_REAL ? element.integer != (uint64_t)number : element.real != number || signbit(element.real) != signbit(number))
			return false;
	}
	return true;
}

/* What NODE, on two operands, passes on, for the other one is neutral; GYR_DRAFT_NONE where it does something. */
static uint32_t passed_by_arithmetic(const struct gyr_draft *draft, const struct gyr_draft_node *node)
{
	uint32_t left = node->inputs[0], right = node->inputs[1];
	switch (node->source->op) {
	case GYR_OP_ADD: return is_all(draft, right, -0.0) ? left : is_all(draft, left, -0.0) ? right : GYR_DRAFT_NONE;
	case GYR_OP_SUB: return is_all(draft, right, 0) ? left : GYR_DRAFT_NONE;
	case GYR_OP_MUL: return is_all(draft, right, 1) ? left : is_all(draft, left, 1) ? right : GYR_DRAFT_NONE;
	default: return is_all(draft, right, 1) ? left : GYR_DRAFT_NONE; /* Div, Pow */
	}
}

/* Whether NODE pads by nothing: what it pads by is an attribute before opset 11, later an input. */
static bool pads_nothing(const struct gyr_draft *draft, const struct gyr_draft_node *node)
{
	if (node->input_count > 1)
		return node->inputs[1] != GYR_DRAFT_NONE && is_all(draft, node->inputs[1], 0);
	const struct gyr_attribute *pads = gyr_node_attribute(node->source, "pads");
	for (uint32_t i = 0; pads != NULL && i < pads->integers.count; i++)
		if (pads->integers.items[i] != 0)
			return false;
	return pads != NULL;
}

/* What a node that has the shape of its input passes on, or GYR_DRAFT_NONE. */
static uint32_t passed_on(const struct gyr_draft *draft, const struct gyr_draft_node *node)
{
	switch (node->source->op) {
	case GYR_OP_ADD:
	case GYR_OP_SUB:
	case GYR_OP_MUL:
	case GYR_OP_DIV:
	case GYR_OP_POW: return passed_by_arithmetic(draft, node);
	case GYR_OP_CONCAT:
	case GYR_OP_MAX:
	case GYR_OP_MEAN:
	case GYR_OP_MIN:
	case GYR_OP_SUM: return node->input_count == 1 ? node->inputs[0] : GYR_DRAFT_NONE;
	case GYR_OP_CLIP: return node->input_count == 1 && node->source->attribute_count == 0 ? node->inputs[0] : GYR_DRAFT_NONE;
	case GYR_OP_DROPOUT:
	case GYR_OP_EXPAND:
	case GYR_OP_TILE: return node->inputs[0];
	case GYR_OP_PAD: return pads_nothing(draft, node) ? node->inputs[0] : GYR_DRAFT_NONE;
	case GYR_OP_SLICE:
		return node->input_count < 5 || node->inputs[4] == GYR_DRAFT_NONE || is_all(draft, node->inputs[4], 1) ? node->inputs[0] : GYR_DRAFT_NONE;
	default: return GYR_DRAFT_NONE;
	}
}

/* Writes how Transpose NODE orders the dimensions of its input. */
static void read_order(const struct gyr_draft *draft, const struct gyr_draft_node *node, uint32_t order[GYR_RANK_MAX])
{
	const struct gyr_attribute *perm = gyr_node_attribute(node->source, "perm");
	uint32_t rank = draft->values[node->outputs[0]].shape.rank;
	for (uint32_t i = 0; i < rank; i++)
		order[i] = perm != NULL ? (uint32_t)perm->integers.items[i] : rank - 1 - i;
}

/* Whether ORDER moves only dimensions of 1 of X, whose elements then stay where they are, at every batch number. */
static bool moves_nothing(const struct gyr_draft *draft, uint32_t x, const uint32_t order[GYR_RANK_MAX])
{
	for (uint32_t k = 0; k < draft->special_count; k++) {
		const struct gyr_shape *shape = gyr_draft_shape(draft, x, k);
		uint32_t last = 0;
		for (uint32_t i = 0; i < shape->rank; i++) {
			if (shape->dims[order[i]] == 1)
				continue;
			if (order[i] < last)
				return false;
			last = order[i];
		}
	}
	return true;
}

/* Makes the first result of node INDEX the memory of X. */
static void drop(struct gyr_draft *draft, uint32_t index, uint32_t x)
{
	uint32_t y = draft->nodes[index].outputs[0];
	gyr_draft_remove(draft, index);
	gyr_draft_make_view(draft, y, x);
}

/* Puts one Transpose of X by ORDER in the place of Transpose INDEX. */
static int turn_at_once(struct gyr_draft *draft, uint32_t index, uint32_t x, const uint32_t order[GYR_RANK_MAX], struct gyr_error *error)
{
	uint32_t y = draft->nodes[index].outputs[0], rank = draft->values[y].shape.rank;
	int64_t *items = GYR_ARENA_NEW(&draft->arena, int64_t, rank);
	if (items == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
	for (uint32_t i = 0; i < rank; i++)
		items[i] = order[i];
	const struct gyr_attribute perm = {.name = "perm", .type = GYR_ATTRIBUTE_INTS, .integers = {.count = rank, .items = items}};
	const struct gyr_node node = {.op = GYR_OP_TRANSPOSE,
				      .name = draft->nodes[index].source->name,
				      .inputs = &x,
				      .input_count = 1,
				      .outputs = &y,
				      .output_count = 1,
				      .attributes = &perm,
				      .attribute_count = 1};
	gyr_draft_remove(draft, index);
	return gyr_draft_add_node(draft, &node, NULL, error);
}

static int take_transpose(struct gyr_draft *draft, uint32_t index, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &draft->nodes[index];
	uint32_t order[GYR_RANK_MAX], x = node->inputs[0], before = gyr_draft_maker(draft, x, GYR_OP_TRANSPOSE);
	read_order(draft, node, order);
	if (before != GYR_DRAFT_NONE) {
		uint32_t first[GYR_RANK_MAX], rank = draft->values[x].shape.rank;
		read_order(draft, &draft->nodes[before], first);
		for (uint32_t i = 0; i < rank; i++)
			order[i] = first[order[i]];
		x = draft->nodes[before].inputs[0];
	}
	if (moves_nothing(draft, x, order))
		drop(draft, index, x);
	else if (before != GYR_DRAFT_NONE)
		return turn_at_once(draft, index, x, order, error);
	return 0;
}

/* Whether NODE makes one result that anybody reads, the first. */
static bool makes_one(const struct gyr_draft *draft, const struct gyr_draft_node *node)
{
	for (uint32_t o = 1; o < node->output_count; o++)
		if (node->outputs[o] != GYR_DRAFT_NONE && draft->values[node->outputs[o]].uses != 0)
			return false;
	return true;
}

int gyr_fuse_nothing(struct gyr_draft *draft, struct gyr_error *error)
{
	int status = 0;
	for (uint32_t i = 0, count = draft->node_count; i < count && status == 0; i++) {
		const struct gyr_draft_node *node = &draft->nodes[i];
		if (node->dead || node->dense != NULL || !makes_one(draft, node))
			continue;
		if (node->source->op == GYR_OP_TRANSPOSE) {
			status = take_transpose(draft, i, error);
			continue;
		}
		uint32_t x = passed_on(draft, node);
		if (x != GYR_DRAFT_NONE && same_shapes(draft, x, node->outputs[0]))
			drop(draft, i, x);
	}
	return status;
}
