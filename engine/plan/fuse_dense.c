/*
 * Dense layers and what they take in: see fuse.h.
 *
 * An operator that is taken in is written as y = x * scale + shift, one pair for each feature, in double. Before a layer it scales the rows of W and adds
 * shift * W to the bias; behind it, it scales the columns and the bias.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/plan/fuse.h"
#include "engine/ref/unaligned.h"

#define SHIFT_MAX 4.0

struct affine {
	double *scale, *shift;
};

static int no_memory(struct gyr_error *error)
{
	return gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
}

/* How many of the last dimensions of SHAPE hold FEATURES elements together; UINT32_MAX when no number of them does. */
static uint32_t trailing_dims(const struct gyr_shape *shape, size_t features)
{
	size_t total = 1;
	uint32_t taken = 0;
	while (total < features && taken < shape->rank) {
		int64_t dim = shape->dims[shape->rank - 1 - taken];
		if (dim <= 0)
			return UINT32_MAX;
		total *= (size_t)dim;
		taken++;
	}
	return total == features ? taken : UINT32_MAX;
}

/* Spreads the constant VALUE, which broadcasts to SHAPE, over the FEATURES last elements of SHAPE. False when it differs between rows of that many elements. */
static bool spread(const struct gyr_draft_value *value, const struct gyr_shape *shape, size_t features, double *out)
{
	const gyr_f32_u *data = value->data;
	uint32_t taken = trailing_dims(shape, features);
	size_t count;
	if (!gyr_shape_count(&value->shape, 1, &count))
		return false;
	if (count == 1) {
		for (size_t i = 0; i < features; i++)
			out[i] = data[0];
		return true;
	}
	if (taken == UINT32_MAX)
		return false;
	size_t strides[GYR_RANK_MAX] = {0}, step = 1; /* of the trailing dimensions, the last one first */
	for (uint32_t place = 0; place < value->shape.rank; place++) {
		size_t dim = (size_t)value->shape.dims[value->shape.rank - 1 - place];
		if (dim != 1 && place >= taken)
			return false;
		if (place < taken)
			strides[place] = dim == 1 ? 0 : step;
		step *= dim;
	}
	for (size_t i = 0; i < features; i++) {
		size_t rest = i, at = 0;
		for (uint32_t place = 0; place < taken; place++) {
			size_t dim = (size_t)shape->dims[shape->rank - 1 - place];
			at += rest % dim * strides[place];
			rest /= dim;
		}
		out[i] = data[at];
	}
	return true;
}

static bool same_dims(const struct gyr_shape *a, const struct gyr_shape *b)
{
	return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

/* NODE is Add, Sub, Mul or Div of a tensor by a constant, with one number a feature: writes it as AFFINE and the tensor into *X. */
static bool read_affine(const struct gyr_draft *draft, const struct gyr_draft_node *node, size_t features, const struct affine *affine, uint32_t *x)
{
	enum gyr_op op = node->source->op;
	if (op != GYR_OP_ADD && op != GYR_OP_SUB && op != GYR_OP_MUL && op != GYR_OP_DIV)
		return false;
	const struct gyr_draft_value *result = &draft->values[node->outputs[0]];
	bool left = draft->values[node->inputs[0]].data != NULL; /* the constant stands on the left */
	if (result->shape.dtype != GYR_DTYPE_F32 || (left && op == GYR_OP_DIV))
		return false;
	const struct gyr_draft_value *constant = &draft->values[node->inputs[left ? 0 : 1]];
	*x = node->inputs[left ? 1 : 0];
	if (constant->data == NULL || !same_dims(&draft->values[*x].shape, &result->shape) || !spread(constant, &result->shape, features, affine->shift))
		return false;
	for (size_t i = 0; i < features; i++) {
		double c = affine->shift[i];
		affine->scale[i] = op == GYR_OP_MUL ? c : op == GYR_OP_DIV ? 1 / c : op == GYR_OP_SUB && left ? -1 : 1;
		affine->shift[i] = op == GYR_OP_ADD || (op == GYR_OP_SUB && left) ? c : op == GYR_OP_SUB ? -c : 0;
	}
	return true;
}

/* The product is a number that f32 holds at its full precision. */
static bool keeps(double weight, double scale)
{
	double product = fabs(weight * scale);
	return product == 0 ? weight == 0 || scale == 0 : product >= FLT_MIN && product <= FLT_MAX;
}

static bool changes(const double *scale, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (scale[i] != 1)
			return true;
	return false;
}

/* Weights of the layer's own to write to. False without memory. */
static bool own_weights(struct gyr_draft *draft, struct gyr_draft_dense *dense)
{
	if (dense->own != NULL)
		return true;
	dense->own = GYR_ARENA_NEW(&draft->arena, float, dense->in * dense->out);
	if (dense->own == NULL)
		return false;
	memcpy(dense->own, dense->weights, dense->in * dense->out * sizeof *dense->own);
	dense->weights = dense->own;
	return true;
}

static bool take_before(struct gyr_draft *draft, struct gyr_draft_dense *dense, const struct affine *affine, double *bias)
{
	bool shifts = false, scales = changes(affine->scale, dense->in);
	memcpy(bias, dense->bias, dense->out * sizeof *bias);
	for (size_t k = 0; k < dense->in; k++) {
		const float *row = dense->weights + k * dense->out;
		if (!(fabs(affine->shift[k]) <= SHIFT_MAX))
			return false;
		shifts |= affine->shift[k] != 0;
		for (size_t n = 0; n < dense->out; n++) {
			if (!keeps(row[n], affine->scale[k]))
				return false;
			bias[n] += affine->shift[k] * row[n];
		}
	}
	for (size_t n = 0; n < dense->out; n++)
		if (!(fabs(bias[n]) <= FLT_MAX))
			return false;
	if (scales && !own_weights(draft, dense))
		return false;
	for (size_t k = 0; k < dense->in && scales; k++)
		for (size_t n = 0; n < dense->out; n++)
			dense->own[k * dense->out + n] = (float)(dense->own[k * dense->out + n] * affine->scale[k]);
	memcpy(dense->bias, bias, dense->out * sizeof *bias);
	dense->has_bias |= shifts;
	return true;
}

static bool take_behind(struct gyr_draft *draft, struct gyr_draft_dense *dense, const struct affine *affine)
{
	bool scales = changes(affine->scale, dense->out);
	for (size_t n = 0; n < dense->out; n++) {
		if (!(fabs(dense->bias[n] * affine->scale[n] + affine->shift[n]) <= FLT_MAX))
			return false;
		for (size_t k = 0; k < dense->in && scales; k++)
			if (!keeps(dense->weights[k * dense->out + n], affine->scale[n]))
				return false;
	}
	if (scales && !own_weights(draft, dense))
		return false;
	for (size_t n = 0; n < dense->out; n++) {
		dense->bias[n] = dense->bias[n] * affine->scale[n] + affine->shift[n];
		dense->has_bias |= dense->bias[n] != 0;
	}
	for (size_t k = 0; k < dense->in && scales; k++)
		for (size_t n = 0; n < dense->out; n++)
			dense->own[k * dense->out + n] = (float)(dense->own[k * dense->out + n] * affine->scale[n]);
	return true;
}

/* The node that alone reads what NODE makes, or NULL. */
static struct gyr_draft_node *sole_reader(const struct gyr_draft *draft, const struct gyr_draft_node *node)
{
	const struct gyr_draft_value *root = &draft->values[node->outputs[0]];
	return root->uses == 1 && root->consumer != GYR_DRAFT_NONE ? &draft->nodes[root->consumer] : NULL;
}

/* The reader's result becomes the node's. */
static void absorb_reader(struct gyr_draft *draft, struct gyr_draft_node *node, struct gyr_draft_node *reader)
{
	reader->dead = true;
	node->outputs[0] = reader->outputs[0];
	draft->values[node->outputs[0]].producer = (uint32_t)(node - draft->nodes);
}

static bool is_activation(const struct gyr_node *node)
{
	bool exact = node->op == GYR_OP_GELU && strcmp(gyr_node_string(node, "approximate", "none"), "none") == 0;
	return exact || node->op == GYR_OP_RELU || node->op == GYR_OP_SIGMOID || node->op == GYR_OP_TANH;
}

static void take_in(struct gyr_draft *draft, struct gyr_draft_node *node, const struct affine *affine, double *bias)
{
	struct gyr_draft_dense *dense = node->dense;
	uint32_t x;
	for (;;) {
		const struct gyr_draft_value *root = &draft->values[draft->values[node->inputs[0]].root];
		if (root->producer == GYR_DRAFT_NONE || root->uses != 1)
			break;
		struct gyr_draft_node *before = &draft->nodes[root->producer];
		if (before->dense != NULL || !read_affine(draft, before, dense->in, affine, &x) || !take_before(draft, dense, affine, bias))
			break;
		before->dead = true;
		node->inputs[0] = x;
		draft->values[draft->values[x].root].consumer = (uint32_t)(node - draft->nodes);
	}
	struct gyr_draft_node *reader;
	while ((reader = sole_reader(draft, node)) != NULL && reader->dense == NULL && read_affine(draft, reader, dense->out, affine, &x) &&
	       take_behind(draft, dense, affine))
		absorb_reader(draft, node, reader);
	if (reader != NULL && is_activation(reader->source)) {
		dense->activation = reader->source->op;
		absorb_reader(draft, node, reader);
	}
}

/* The weights as the layer has them: turned, and times ALPHA. False where that cannot be done exactly enough. */
static bool copy_weights(struct gyr_draft_dense *dense, const gyr_f32_u *weights, bool turned, float alpha)
{
	for (size_t k = 0; k < dense->in; k++) {
		for (size_t n = 0; n < dense->out; n++) {
			float weight = weights[turned ? n * dense->in + k : k * dense->out + n];
			if (alpha != 1 && !keeps(weight, alpha))
				return false;
			dense->own[k * dense->out + n] = weight * alpha;
		}
	}
	dense->weights = dense->own;
	return true;
}

/* Makes the dense layer of a Gemm or MatMul that is one; leaves NODE->dense NULL where it is none. */
static int make_dense(struct gyr_draft *draft, struct gyr_draft_node *node, struct gyr_error *error)
{
	const struct gyr_node *source = node->source;
	const struct gyr_draft_value *a = &draft->values[node->inputs[0]], *b = &draft->values[node->inputs[1]];
	const struct gyr_draft_value *c = node->input_count < 3 || node->inputs[2] == GYR_DRAFT_NONE ? NULL : &draft->values[node->inputs[2]];
	bool trans_b = source->op == GYR_OP_GEMM && gyr_node_integer(source, "transB", 0) != 0;
	size_t count;
	if (b->data == NULL || b->shape.dtype != GYR_DTYPE_F32 || b->shape.rank > 2 || a->data != NULL)
		return 0;
	if (source->op == GYR_OP_GEMM && gyr_node_integer(source, "transA", 0) != 0)
		return 0;
	if (c != NULL && (c->data == NULL || (c->shape.rank == 2 && c->shape.dims[0] != 1)))
		return 0;
	if (!gyr_shape_count(&a->shape, 1, &count) || count == 0 || !gyr_shape_count(&b->shape, 1, &count) || count == 0)
		return 0;

	struct gyr_draft_dense *dense = GYR_ARENA_NEW(&draft->arena, struct gyr_draft_dense, 1);
	if (dense == NULL)
		return no_memory(error);
	dense->in = (size_t)b->shape.dims[trans_b];
	dense->out = b->shape.rank == 2 ? (size_t)b->shape.dims[!trans_b] : 1;
	dense->bias = GYR_ARENA_NEW(&draft->arena, double, dense->out);
	if (dense->bias == NULL)
		return no_memory(error);
	float alpha = gyr_node_number(source, "alpha", 1), beta = gyr_node_number(source, "beta", 1);
	dense->weights = b->data;
	if (trans_b || alpha != 1 || (uintptr_t)b->data % sizeof(float) != 0) {
		dense->own = GYR_ARENA_NEW(&draft->arena, float, count);
		if (dense->own == NULL)
			return no_memory(error);
		if (!copy_weights(dense, b->data, trans_b, alpha))
			return 0;
	}
	if (c != NULL) {
		const gyr_f32_u *bias = c->data;
		bool one = c->shape.rank == 0 || c->shape.dims[c->shape.rank - 1] == 1;
		for (size_t n = 0; n < dense->out; n++)
			dense->bias[n] = (double)beta * bias[one ? 0 : n];
		dense->has_bias = true;
	}
	node->dense = dense;
	return 0;
}

int gyr_fuse_dense(struct gyr_draft *draft, struct gyr_error *error)
{
	size_t widest = 1;
	for (uint32_t i = 0; i < draft->node_count; i++) {
		struct gyr_draft_node *node = &draft->nodes[i];
		if (node->dead || (node->source->op != GYR_OP_GEMM && node->source->op != GYR_OP_MATMUL))
			continue;
		int status = make_dense(draft, node, error);
		if (status != 0)
			return status;
		if (node->dense != NULL && node->dense->in > widest)
			widest = node->dense->in;
		if (node->dense != NULL && node->dense->out > widest)
			widest = node->dense->out;
	}
	double *room = calloc(3 * widest, sizeof *room);
	if (room == NULL)
		return no_memory(error);
	for (uint32_t i = 0; i < draft->node_count; i++)
		if (!draft->nodes[i].dead && draft->nodes[i].dense != NULL)
			take_in(draft, &draft->nodes[i], &(struct affine){.scale = room, .shift = room + widest}, room + 2 * widest);
	free(room);
	return 0;
}
