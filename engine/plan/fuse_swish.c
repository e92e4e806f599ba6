/*
 * HardSwish, as exporters write it before they know the operator: see fuse.h.
 */
#include <math.h>

#include "engine/plan/fuse.h"

/* The nodes of one, the last one first; those that it does without are GYR_DRAFT_NONE. */
struct match {
	uint32_t nodes[4], x;
};

/* NODE is Add, Mul or Div of X by the number NUMBER, or so close to it as f32 has it; X goes into *X. */
static bool by_number(const struct gyr_draft *draft, const struct gyr_draft_node *node, double number, uint32_t *x)
{
	float given;
	for (uint32_t i = 0; i < 2; i++) {
		if (node->input_count != 2 || (node->source->op == GYR_OP_DIV && i == 0) || !gyr_draft_number(draft, node->inputs[i], &given))
			continue;
		*x = node->inputs[1 - i];
		return fabs(given - number) <= 1e-6 * number && draft->values[*x].shape.dtype == GYR_DTYPE_F32;
	}
	return false;
}

/* The node that makes VALUE, which one other node alone reads, by OP; or GYR_DRAFT_NONE. */
static uint32_t sole_maker(const struct gyr_draft *draft, uint32_t value, enum gyr_op op)
{
	return value != GYR_DRAFT_NONE && gyr_draft_sole_reader(draft, value) != GYR_DRAFT_NONE ? gyr_draft_maker(draft, value, op) : GYR_DRAFT_NONE;
}

/* NODE is a Clip to [0, 6]. Before opset 11 the bounds are attributes. */
static bool clips(const struct gyr_draft *draft, const struct gyr_draft_node *node)
{
	float low = gyr_node_number(node->source, "min", -INFINITY), high = gyr_node_number(node->source, "max", INFINITY);
	if (node->input_count > 1 && node->inputs[1] != GYR_DRAFT_NONE && !gyr_draft_number(draft, node->inputs[1], &low))
		return false;
	if (node->input_count > 2 && node->inputs[2] != GYR_DRAFT_NONE && !gyr_draft_number(draft, node->inputs[2], &high))
		return false;
	return low == 0 && high == 6;
}

/* VALUE is Clip(x + 3, 0, 6); the nodes go into MATCH from AT on. */
static bool read_gate(const struct gyr_draft *draft, uint32_t value, struct match *match, uint32_t at)
{
	uint32_t clip = sole_maker(draft, value, GYR_OP_CLIP);
	if (clip == GYR_DRAFT_NONE || !clips(draft, &draft->nodes[clip]))
		return false;
	uint32_t add = sole_maker(draft, draft->nodes[clip].inputs[0], GYR_OP_ADD);
	if (add == GYR_DRAFT_NONE || !by_number(draft, &draft->nodes[add], 3, &match->x))
		return false;
	match->nodes[at] = clip;
	match->nodes[at + 1] = add;
	return true;
}

/* VALUE is something over 6, or times a sixth, by *NODE, and *X the something. */
static bool is_sixth(const struct gyr_draft *draft, uint32_t node, uint32_t *x)
{
	if (node == GYR_DRAFT_NONE)
		return false;
	enum gyr_op op = draft->nodes[node].source->op;
	return (op == GYR_OP_DIV && by_number(draft, &draft->nodes[node], 6, x)) || (op == GYR_OP_MUL && by_number(draft, &draft->nodes[node], 1.0 / 6, x));
}

/* NODE is Mul of x and its gate, which begins with node AT of MATCH. SIXTH: the gate is still over 6. */
static bool read_product(const struct gyr_draft *draft, const struct gyr_draft_node *node, struct match *match, uint32_t at, bool sixth)
{
	for (uint32_t i = 0; i < 2 && node->source->op == GYR_OP_MUL && node->input_count == 2; i++) {
		uint32_t gate = node->inputs[i], other = node->inputs[1 - i], inner = gate, from = at;
		if (gate == GYR_DRAFT_NONE || other == GYR_DRAFT_NONE)
			continue;
		for (uint32_t k = at; k < 4; k++)
			match->nodes[k] = GYR_DRAFT_NONE;
		uint32_t hard = sixth ? sole_maker(draft, gate, GYR_OP_HARD_SIGMOID) : GYR_DRAFT_NONE;
		if (hard != GYR_DRAFT_NONE) {
			const struct gyr_node *source = draft->nodes[hard].source;
			match->nodes[at] = hard;
			match->x = draft->nodes[hard].inputs[0];
			if (match->x == other && fabs(gyr_node_number(source, "alpha", 0.2f) - 1.0 / 6) <= 1e-6 &&
			    gyr_node_number(source, "beta", 0.5f) == 0.5f && draft->values[other].shape.dtype == GYR_DTYPE_F32)
				return true;
			continue;
		}
		if (sixth) {
			uint32_t div = sole_maker(draft, gate, GYR_OP_DIV), mul = sole_maker(draft, gate, GYR_OP_MUL);
			match->nodes[from++] = div != GYR_DRAFT_NONE ? div : mul;
			if (!is_sixth(draft, div != GYR_DRAFT_NONE ? div : mul, &inner))
				continue;
		}
		if (read_gate(draft, inner, match, from) && match->x == other)
			return true;
	}
	return false;
}

/* NODE is the last one of a HardSwish. */
static bool read_swish(const struct gyr_draft *draft, uint32_t index, struct match *match)
{
	const struct gyr_draft_node *node = &draft->nodes[index];
	uint32_t product;
	*match = (struct match){.nodes = {index, GYR_DRAFT_NONE, GYR_DRAFT_NONE, GYR_DRAFT_NONE}};
	if (node->dead || node->dense != NULL)
		return false;
	if (is_sixth(draft, index, &product) && (match->nodes[1] = sole_maker(draft, product, GYR_OP_MUL)) != GYR_DRAFT_NONE)
		return read_product(draft, &draft->nodes[match->nodes[1]], match, 2, false);
	for (uint32_t i = 1; i < 4; i++)
		match->nodes[i] = GYR_DRAFT_NONE;
	return read_product(draft, node, match, 1, true);
}

/* Whether what a HardSwish makes has the shape of what it reads, at every batch size: a constant of many dimensions may have added some. */
static bool same_shape(const struct gyr_draft *draft, uint32_t a, uint32_t b)
{
	for (uint32_t k = 0; k < draft->special_count; k++)
		if (!gyr_shape_equal(gyr_draft_shape(draft, a, k), gyr_draft_shape(draft, b, k)))
			return false;
	return true;
}

int gyr_fuse_swish(struct gyr_draft *draft, struct gyr_error *error)
{
	struct match match;
	int status = 0;
	for (uint32_t n = 0, count = draft->node_count; n < count && status == 0; n++) {
		if (!read_swish(draft, n, &match) || !same_shape(draft, match.x, draft->nodes[n].outputs[0]))
			continue;
		const char *name = draft->nodes[n].source->name;
		uint32_t y = draft->nodes[n].outputs[0];
		for (uint32_t i = 0; i < 4; i++)
			if (match.nodes[i] != GYR_DRAFT_NONE)
				gyr_draft_remove(draft, match.nodes[i]);
		const struct gyr_node node = {.op = GYR_OP_HARD_SWISH, .name = name, .input_count = 1, .output_count = 1, .inputs = &match.x, .outputs = &y};
		status = gyr_draft_add_node(draft, &node, NULL, error);
	}
	return status;
}
