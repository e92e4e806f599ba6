/*
 * Convolutions and what scales and shifts their channels: see fuse.h.
 *
 * What is taken in is written as y = x * scale + shift, one pair for each channel, in double. The products of several are rounded once, when no more follows.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan/fuse.h"
#include "engine/ref/unaligned.h"

struct affine {
	size_t channels;
	double *scale, *shift; /* of all that is taken in so far */
	double *more;          /* two a channel: of the next one */
};

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
}

/* The elements of VALUE, a constant f32 vector of COUNT; NULL where it is anything else. */
static const gyr_f32_u *read_vector(const struct gyr_draft *draft, uint32_t value, size_t count)
{
	const struct gyr_draft_value *constant = &draft->values[value];
	size_t elements;
	if (constant->data == NULL || constant->shape.dtype != GYR_DTYPE_F32 || !gyr_shape_count(&constant->shape, 1, &elements) || elements != count)
		return NULL;
	return constant->data;
}

/* The elements of constant VALUE, which broadcasts to RANK dimensions, when it has one number for each channel (*STEP is 1) or for all (0); else NULL. */
static const gyr_f32_u *read_channels(const struct gyr_draft *draft, uint32_t value, uint32_t rank, size_t channels, size_t *step)
{
	const struct gyr_shape *shape = &draft->values[value].shape;
	const gyr_f32_u *data = shape->rank > rank ? NULL : read_vector(draft, value, 1);
	*step = data == NULL;
	if (data != NULL)
		return data;
	if (shape->rank + 1 < rank || shape->rank > rank || shape->rank == 0 || shape->dims[shape->rank + 1 - rank] != (int64_t)channels)
		return NULL;
	return read_vector(draft, value, channels); /* so every other dimension is 1 */
}

static bool read_batch_norm(const struct gyr_draft *draft, const struct gyr_draft_node *node, const struct affine *affine)
{
	size_t channels = affine->channels;
	const gyr_f32_u *scale = read_vector(draft, node->inputs[1], channels), *bias = read_vector(draft, node->inputs[2], channels);
	const gyr_f32_u *mean = read_vector(draft, node->inputs[3], channels), *variance = read_vector(draft, node->inputs[4], channels);
	double epsilon = gyr_node_number(node->source, "epsilon", 1e-5f);
	if (node->output_count != 1 || scale == NULL || bias == NULL || mean == NULL || variance == NULL)
		return false;
	for (size_t c = 0; c < channels; c++) {
		affine->more[2 * c] = scale[c] / sqrt(variance[c] + epsilon);
		affine->more[2 * c + 1] = bias[c] - mean[c] * affine->more[2 * c];
	}
	return true;
}

/* Writes NODE, the reader of X, as scale and shift into AFFINE->more. False where it is something else. */
static bool read_affine(const struct gyr_draft *draft, const struct gyr_draft_node *node, uint32_t x, const struct affine *affine)
{
	enum gyr_op op = node->source->op;
	const struct gyr_shape *shape = &draft->values[x].shape;
	if (op == GYR_OP_BATCH_NORMALIZATION)
		return node->inputs[0] == x && read_batch_norm(draft, node, affine);
	if (op != GYR_OP_ADD && op != GYR_OP_SUB && op != GYR_OP_MUL && op != GYR_OP_DIV)
		return false;
	bool left = node->inputs[1] == x; /* the constant stands on the left */
	size_t step;
	const gyr_f32_u *data = read_channels(draft, node->inputs[left ? 0 : 1], shape->rank, affine->channels, &step);
	if (data == NULL || (left && op == GYR_OP_DIV))
		return false;
	for (size_t c = 0; c < affine->channels; c++) {
		double constant = data[c * step];
		affine->more[2 * c] = op == GYR_OP_MUL ? constant : op == GYR_OP_DIV ? 1 / constant : op == GYR_OP_SUB && left ? -1 : 1;
		affine->more[2 * c + 1] = op == GYR_OP_ADD || (op == GYR_OP_SUB && left) ? constant : op == GYR_OP_SUB ? -constant : 0;
	}
	return true;
}

/* WEIGHT times SCALE is a number that f32 holds at its full precision. */
static bool keeps(double weight, double scale)
{
	double product = fabs(weight * scale);
	return product == 0 ? weight == 0 || scale == 0 : product >= FLT_MIN && product <= FLT_MAX;
}

/* A convolution and its weights as [outer][channels of a group][inner] with GROUPS of them: Conv has one of the first and no groups to speak of. */
struct conv {
	uint32_t node, y;
	const gyr_f32_u *weights, *bias;
	const struct gyr_shape *shape;
	size_t groups, outer, channels, inner; /* channels: of one group */
};

/* The place of channel C of group G, in row OUTER. */
static size_t weight_at(const struct conv *conv, size_t group, size_t outer, size_t channel)
{
	return ((group * conv->outer + outer) * conv->channels + channel) * conv->inner;
}

/* That every weight, and the shift, stays a number of full precision with AFFINE->more on top. */
static bool fits(const struct conv *conv, const struct affine *affine)
{
	for (size_t c = 0; c < affine->channels; c++) {
		double scale = affine->scale[c] * affine->more[2 * c], shift = affine->shift[c] * affine->more[2 * c] + affine->more[2 * c + 1];
		if (!(fabs(shift) <= FLT_MAX) || !(fabs(scale) <= FLT_MAX))
			return false;
		for (size_t outer = 0; outer < conv->outer; outer++) {
			const gyr_f32_u *weights = conv->weights + weight_at(conv, c / conv->channels, outer, c % conv->channels);
			for (size_t i = 0; i < conv->inner; i++)
				if (!keeps(weights[i], scale))
					return false;
		}
	}
	return true;
}

/* What NODE convolves with, or false where the pass has nothing to say. */
static bool read_conv(const struct gyr_draft *draft, uint32_t index, struct conv *conv)
{
	const struct gyr_draft_node *node = &draft->nodes[index];
	bool transposed = node->source->op == GYR_OP_CONV_TRANSPOSE;
	if (node->dead || node->dense != NULL || (node->source->op != GYR_OP_CONV && !transposed))
		return false;
	const struct gyr_draft_value *w = &draft->values[node->inputs[1]];
	uint32_t bias = node->input_count > 2 ? node->inputs[2] : GYR_DRAFT_NONE;
	size_t count;
	if (w->data == NULL || w->shape.dtype != GYR_DTYPE_F32 || !gyr_shape_count(&w->shape, 1, &count) || count == 0)
		return false;
	size_t groups = transposed ? (size_t)gyr_node_integer(node->source, "group", 1) : 1;
	size_t channels = (size_t)w->shape.dims[transposed];
	*conv = (struct conv){.node = index,
			      .y = node->outputs[0],
			      .weights = w->data,
			      .bias = bias == GYR_DRAFT_NONE ? NULL : read_vector(draft, bias, groups * channels),
			      .shape = &w->shape,
			      .groups = groups,
			      .outer = transposed ? (size_t)w->shape.dims[0] / groups : 1,
			      .channels = channels};
	conv->inner = count / (groups * conv->outer * channels);
	return bias == GYR_DRAFT_NONE || conv->bias != NULL;
}

/* Puts a convolution with new constants in the place of CONV, making Y. */
static int rewrite(struct gyr_draft *draft, const struct conv *conv, const struct affine *affine, uint32_t y, struct gyr_error *error)
{
	const struct gyr_draft_node *node = &draft->nodes[conv->node];
	struct gyr_shape weights_shape = *conv->shape, bias_shape = {.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {(int64_t)affine->channels}};
	uint32_t inputs[3] = {node->inputs[0]}, outputs[1] = {y};
	struct gyr_node source = *node->source;
	void *weights, *bias;
	int status = gyr_draft_add_constant(draft, &weights_shape, &weights, &inputs[1], error);
	if (status == 0)
		status = gyr_draft_add_constant(draft, &bias_shape, &bias, &inputs[2], error);
	if (status != 0)
		return status;
	for (size_t c = 0; c < affine->channels; c++) {
		((float *)bias)[c] = (float)affine->shift[c];
		for (size_t outer = 0; outer < conv->outer; outer++) {
			size_t at = weight_at(conv, c / conv->channels, outer, c % conv->channels);
			for (size_t i = at; i < at + conv->inner; i++)
				((float *)weights)[i] = (float)(conv->weights[i] * affine->scale[c]);
		}
	}
	gyr_draft_remove(draft, conv->node);
	source.input_count = 3;
	source.inputs = inputs;
	source.outputs = outputs;
	return gyr_draft_add_node(draft, &source, NULL, error);
}

static int take_in(struct gyr_draft *draft, struct conv *conv, struct affine *affine, struct gyr_error *error)
{
	uint32_t y = conv->y, reader;
	for (size_t c = 0; c < affine->channels; c++) {
		affine->scale[c] = 1;
		affine->shift[c] = conv->bias != NULL ? conv->bias[c] : 0;
	}
	while ((reader = gyr_draft_sole_reader(draft, y)) != GYR_DRAFT_NONE && draft->nodes[reader].dense == NULL &&
	       read_affine(draft, &draft->nodes[reader], y, affine) && fits(conv, affine)) {
		for (size_t c = 0; c < affine->channels; c++) {
			affine->scale[c] *= affine->more[2 * c];
			affine->shift[c] = affine->shift[c] * affine->more[2 * c] + affine->more[2 * c + 1];
		}
		y = draft->nodes[reader].outputs[0];
		gyr_draft_remove(draft, reader);
	}
	return y == conv->y ? 0 : rewrite(draft, conv, affine, y, error);
}

int gyr_fuse_channels(struct gyr_draft *draft, struct gyr_error *error)
{
	struct conv conv;
	size_t most = 0;
	uint32_t count = draft->node_count;
	for (uint32_t n = 0; n < count; n++)
		if (read_conv(draft, n, &conv) && conv.groups * conv.channels > most)
			most = conv.groups * conv.channels;
	double *room = calloc(4 * most + 1, sizeof *room);
	int status = room == NULL ? no_memory(error) : 0;
	for (uint32_t n = 0; n < count && status == 0; n++) {
		struct affine affine = {.scale = room, .shift = room + most, .more = room + 2 * most};
		if (!read_conv(draft, n, &conv))
			continue;
		affine.channels = conv.groups * conv.channels;
		status = take_in(draft, &conv, &affine, error);
	}
	free(room);
	return status;
}
