/*
 * What a convolution with channels last takes in: see fuse.h.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/conv_last.h"
#include "engine/plan/fuse.h"

struct activation {
	enum gyr_conv_activation kind;
	float alpha, beta;
};

/* Whether NODE, the reader of X, is an activation. Before opset 11 Clip has its bounds as attributes. */
static bool read_activation(const struct gyr_draft *draft, const struct gyr_draft_node *node, uint32_t x, struct activation *activation)
{
	const struct gyr_node *source = node->source;
	if (node->inputs[0] != x || node->dense != NULL)
		return false;
	switch (source->op) {
	case GYR_OP_RELU: *activation = (struct activation){GYR_CONV_CLIP, 0, INFINITY}; return true;
	case GYR_OP_CLIP:
		*activation = (struct activation){GYR_CONV_CLIP, gyr_node_number(source, "min", -INFINITY), gyr_node_number(source, "max", INFINITY)};
		if (node->input_count > 1 && node->inputs[1] != GYR_DRAFT_NONE && !gyr_draft_number(draft, node->inputs[1], &activation->alpha))
			return false;
		if (node->input_count > 2 && node->inputs[2] != GYR_DRAFT_NONE && !gyr_draft_number(draft, node->inputs[2], &activation->beta))
			return false;
		return activation->alpha <= activation->beta;
	case GYR_OP_LEAKY_RELU: *activation = (struct activation){GYR_CONV_LEAKY, gyr_node_number(source, "alpha", 0.01f), 0}; return true;
	case GYR_OP_SIGMOID: *activation = (struct activation){GYR_CONV_SIGMOID, 0, 0}; return true;
	case GYR_OP_TANH: *activation = (struct activation){GYR_CONV_TANH, 0, 0}; return true;
	case GYR_OP_HARD_SIGMOID:
		*activation = (struct activation){GYR_CONV_HARD_SIGMOID, gyr_node_number(source, "alpha", 0.2f), gyr_node_number(source, "beta", 0.5f)};
		return true;
	case GYR_OP_HARD_SWISH: *activation = (struct activation){GYR_CONV_HARD_SWISH, 1.0f / 6, 0.5f}; return true;
	default: return false;
	}
}

static bool same_shape(const struct gyr_draft *draft, uint32_t a, uint32_t b)
{
	for (uint32_t k = 0; k < draft->special_count; k++)
		if (!gyr_shape_equal(gyr_draft_shape(draft, a, k), gyr_draft_shape(draft, b, k)))
			return false;
	return true;
}

/* What NODE adds to X, of the same shape, or GYR_DRAFT_NONE. */
static uint32_t read_added(const struct gyr_draft *draft, const struct gyr_draft_node *node, uint32_t x)
{
	if ((node->source->op != GYR_OP_ADD && node->source->op != GYR_OP_SUM) || node->input_count != 2 || node->dense != NULL)
		return GYR_DRAFT_NONE;
	uint32_t other = node->inputs[node->inputs[0] == x];
	return other != x && same_shape(draft, x, other) ? other : GYR_DRAFT_NONE;
}

/* Puts a convolution in the place of node INDEX that adds ADDED (or nothing), activates, and makes Y. */
static int rewrite(struct gyr_draft *draft, uint32_t index, uint32_t added, const struct activation *activation, uint32_t y, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &draft->nodes[index];
	struct gyr_node source = *node->source;
	uint32_t inputs[4] = {node->inputs[0], node->inputs[1], node->inputs[2], added};
	struct gyr_attribute *attributes = GYR_ARENA_NEW(&draft->arena, struct gyr_attribute, source.attribute_count + 3);
	if (attributes == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
	if (source.attribute_count != 0)
		memcpy(attributes, source.attributes, source.attribute_count * sizeof *attributes);
	attributes[source.attribute_count++] = (struct gyr_attribute){.name = "activation", .type = GYR_ATTRIBUTE_INT, .integer = activation->kind};
	attributes[source.attribute_count++] = (struct gyr_attribute){.name = "activation_alpha", .type = GYR_ATTRIBUTE_FLOAT, .number = activation->alpha};
	attributes[source.attribute_count++] = (struct gyr_attribute){.name = "activation_beta", .type = GYR_ATTRIBUTE_FLOAT, .number = activation->beta};
	gyr_draft_remove(draft, index);
	source.attributes = attributes;
	source.input_count = added == GYR_DRAFT_NONE ? 3 : 4;
	source.inputs = inputs;
	source.outputs = &y;
	return gyr_draft_add_node(draft, &source, NULL, error);
}

int gyr_fuse_last(struct gyr_draft *draft, struct gyr_error *error)
{
	int status = 0;
	for (uint32_t n = 0, count = draft->node_count; n < count && status == 0; n++) {
		const struct gyr_draft_node *node = &draft->nodes[n];
		if (node->dead || node->source->op != GYR_OP_CHANNELS_LAST_CONV)
			continue;
		struct activation activation = {GYR_CONV_CLIP, -INFINITY, INFINITY};
		uint32_t y = node->outputs[0], added = GYR_DRAFT_NONE, reader = gyr_draft_sole_reader(draft, y);
		if (reader != GYR_DRAFT_NONE && (added = read_added(draft, &draft->nodes[reader], y)) != GYR_DRAFT_NONE) {
			y = draft->nodes[reader].outputs[0];
			gyr_draft_remove(draft, reader);
			reader = gyr_draft_sole_reader(draft, y);
		}
		if (reader != GYR_DRAFT_NONE && read_activation(draft, &draft->nodes[reader], y, &activation)) {
			y = draft->nodes[reader].outputs[0];
			gyr_draft_remove(draft, reader);
		}
		if (y != node->outputs[0])
			status = rewrite(draft, n, added, &activation, y, error);
	}
	return status;
}
