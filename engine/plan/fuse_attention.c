/*
 * Attention as exporters write it: see fuse.h.
 *
 *   MatMul(Q, K^T), Mul or Div by a constant number, Add of a mask or Where with a constant number, Softmax over the keys, MatMul with V, Transpose
 *
 * of which the second, third and last may be missing. Where Q, K^T and V come from - heads split off, packed projections cut apart, dimensions swapped, scaled
 * beforehand - is found as strides over what is really computed (strides.h), so that the nodes which would move elements there are read by nobody and go.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/attention.h"
#include "engine/plan/fuse.h"
#include "engine/plan/strides.h"

/* What was found around one product with V. */
struct found {
	uint32_t product, transpose; /* draft nodes; transpose may be GYR_DRAFT_NONE */
	uint32_t q, k, v, mask, y;   /* values; K is turned already; mask may be GYR_DRAFT_NONE; Y is the product's result */
	double scale;
	bool chosen, keep; /* the mask is Where's condition, and stays at KEEP; elsewhere there is FILL */
	float fill;
	struct gyr_trace from[3]; /* of q, k, v */
};

/* The graph's value that VALUE, behind nodes that change nothing at all, is. */
static uint32_t strip(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t value)
{
	for (;;) {
		const struct gyr_node *node = value < draft->graph->value_count ? makers[value] : NULL;
		if (node == NULL || (node->op != GYR_OP_IDENTITY && node->op != GYR_OP_DROPOUT) || node->output_count != 1)
			return value;
		value = node->inputs[0];
	}
}

/* The draft node with OP that makes VALUE and whose result is read once only, or GYR_DRAFT_NONE. */
static uint32_t only_for(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t value, enum gyr_op op)
{
	value = strip(draft, makers, value);
	return draft->values[gyr_draft_root(draft, value)].uses == 1 ? gyr_draft_maker(draft, value, op) : GYR_DRAFT_NONE;
}

static bool same_shapes(const struct gyr_draft *draft, uint32_t a, uint32_t b)
{
	for (uint32_t batch = 0; batch < draft->special_count; batch++)
		if (!gyr_shape_equal(gyr_draft_shape(draft, a, batch), gyr_draft_shape(draft, b, batch)))
			return false;
	return true;
}

/* X, from which Y is made, may be scores: a product or a scaled one, of the same shape. */
static bool may_be_scores(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t x, uint32_t y)
{
	static const enum gyr_op ops[] = {GYR_OP_MATMUL, GYR_OP_MUL, GYR_OP_DIV};
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		if (only_for(draft, makers, x, ops[i]) != GYR_DRAFT_NONE)
			return same_shapes(draft, x, y);
	return false;
}

/* Takes the mask off SCORES, where there is one that leaves their shape alone. */
static uint32_t take_mask(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t scores, struct found *found)
{
	uint32_t add = only_for(draft, makers, scores, GYR_OP_ADD), where = only_for(draft, makers, scores, GYR_OP_WHERE);
	found->mask = GYR_DRAFT_NONE;
	for (int side = 0; add != GYR_DRAFT_NONE && side < 2; side++) {
		uint32_t x = draft->nodes[add].inputs[side];
		if (!may_be_scores(draft, makers, x, draft->nodes[add].outputs[0]))
			continue;
		found->mask = draft->nodes[add].inputs[1 - side];
		return x;
	}
	for (int side = 0; where != GYR_DRAFT_NONE && side < 2; side++) {
		uint32_t x = draft->nodes[where].inputs[2 - side];
		if (!gyr_draft_number(draft, draft->nodes[where].inputs[1 + side], &found->fill) ||
		    !may_be_scores(draft, makers, x, draft->nodes[where].outputs[0]))
			continue;
		found->mask = draft->nodes[where].inputs[0];
		found->chosen = true;
		found->keep = side == 1;
		return x;
	}
	return scores;
}

/* Takes multiplications by constant numbers off SCORES. */
static uint32_t take_scale(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t scores, double *scale)
{
	for (;;) {
		uint32_t index = only_for(draft, makers, scores, GYR_OP_MUL);
		bool divides = index == GYR_DRAFT_NONE;
		if (divides && (index = only_for(draft, makers, scores, GYR_OP_DIV)) == GYR_DRAFT_NONE)
			return scores;
		const struct gyr_draft_node *node = &draft->nodes[index];
		float number;
		bool left = !divides && gyr_draft_number(draft, node->inputs[0], &number);
		if (!left && !gyr_draft_number(draft, node->inputs[1], &number))
			return scores;
		uint32_t x = node->inputs[left ? 1 : 0];
		if (!same_shapes(draft, x, node->outputs[0]))
			return scores;
		*scale *= divides ? 1 / (double)number : number;
		scores = x;
	}
}

/* Whether the softmax, draft node INDEX, is over the last dimension alone. */
static bool is_over_last(const struct gyr_draft *draft, uint32_t index)
{
	const struct gyr_draft_node *node = &draft->nodes[index];
	int64_t rank = draft->values[node->outputs[0]].shape.rank, axis = gyr_node_integer(node->source, "axis", draft->graph->opset < 13 ? 1 : -1);
	return axis == -1 || axis == rank - 1;
}

static bool find(const struct gyr_draft *draft, const struct gyr_node *const *makers, uint32_t product, struct found *found)
{
	const struct gyr_draft_node *node = &draft->nodes[product];
	if (node->dead || node->dense != NULL || node->source->op != GYR_OP_MATMUL)
		return false;
	uint32_t softmax = only_for(draft, makers, node->inputs[0], GYR_OP_SOFTMAX);
	*found = (struct found){.product = product, .transpose = GYR_DRAFT_NONE, .v = node->inputs[1], .y = node->outputs[0], .scale = 1};
	if (softmax == GYR_DRAFT_NONE || !is_over_last(draft, softmax) || draft->values[found->y].shape.dtype != GYR_DTYPE_F32)
		return false;
	uint32_t scores = take_mask(draft, makers, draft->nodes[softmax].inputs[0], found);
	scores = take_scale(draft, makers, scores, &found->scale);
	uint32_t first = only_for(draft, makers, scores, GYR_OP_MATMUL);
	if (first == GYR_DRAFT_NONE || (found->mask != GYR_DRAFT_NONE && !found->chosen && draft->values[found->mask].shape.dtype != GYR_DTYPE_F32))
		return false;
	found->q = draft->nodes[first].inputs[0];
	found->k = draft->nodes[first].inputs[1];
	uint32_t reader = gyr_draft_sole_reader(draft, found->y);
	if (reader != GYR_DRAFT_NONE && draft->nodes[reader].source->op == GYR_OP_TRANSPOSE && draft->nodes[reader].dense == NULL)
		found->transpose = reader;
	if (!gyr_trace(draft, makers, found->q, true, &found->from[0]) || !gyr_trace(draft, makers, found->k, true, &found->from[1]) ||
	    !gyr_trace(draft, makers, found->v, false, &found->from[2]))
		return false;
	found->scale *= found->from[0].scale * found->from[1].scale;
	/* Keys are scaled beforehand: that neither overflows nor loses digits where the scores would not. */
	return fabs(found->scale) >= 0x1p-40 && fabs(found->scale) <= 1;
}

enum operand { Q, K, V, Y, MASK, OPERANDS };

/* Splits the leading dimensions of all operands into the same factors. RANK is theirs; false where that does not go. */
static bool split_leading(struct gyr_strides operands[OPERANDS], uint32_t rank, struct gyr_attention_layout *layout)
{
	int64_t *steps[OPERANDS] = {layout->q_steps, layout->k_steps, layout->v_steps, layout->y_steps, layout->mask_steps};
	int found = GYR_ATTENTION_LEADING_MAX;
	uint32_t left[OPERANDS];
	for (int i = 0; i < OPERANDS; i++)
		for (left[i] = 0; left[i] < operands[i].count && operands[i].factors[left[i]].dim + 2 < rank;)
			left[i]++;
	while (left[Q] > 0) {
		uint32_t dim = operands[Q].factors[left[Q] - 1].dim;
		int64_t size = INT64_MAX;
		for (int i = 0; i < OPERANDS; i++) {
			if (left[i] == 0 || operands[i].factors[left[i] - 1].dim != dim)
				return false;
			if (operands[i].factors[left[i] - 1].size < size)
				size = operands[i].factors[left[i] - 1].size;
		}
		if (found-- == 0)
			return false;
		layout->leading[found] = size;
		for (int i = 0; i < OPERANDS; i++) {
			struct gyr_factor *factor = &operands[i].factors[left[i] - 1];
			if (factor->size % size != 0)
				return false;
			steps[i][found] = factor->stride;
			factor->size /= size;
			factor->stride *= size;
			left[i] -= factor->size == 1;
		}
	}
	for (int i = 0; i < OPERANDS; i++)
		if (left[i] != 0)
			return false;
	while (found-- > 0)
		layout->leading[found] = 1;
	return true;
}

/* The strides of the mask as if it had the scores' SHAPE: 0 along what repeats. */
static bool spread_mask(const struct gyr_shape *mask, const struct gyr_shape *shape, struct gyr_strides *strides)
{
	struct gyr_strides dense;
	*strides = (struct gyr_strides){0};
	if (mask != NULL && (mask->rank > shape->rank || !gyr_strides_dense(mask, &dense)))
		return false;
	for (uint32_t dim = 0; dim < shape->rank; dim++) {
		uint32_t places = shape->rank - 1 - dim;
		int64_t stride = 0;
		if (mask != NULL && places < mask->rank)
			stride = gyr_strides_along(&dense, mask->rank - 1 - places, 0);
		if (shape->dims[dim] > 1)
			strides->factors[strides->count++] = (struct gyr_factor){dim, shape->dims[dim], stride};
	}
	return true;
}

/* The strides of the product's result in what is written: itself, or itself transposed. */
static bool spread_result(const struct gyr_draft *draft, const struct found *found, uint32_t batch, struct gyr_strides *strides)
{
	const struct gyr_shape *y = gyr_draft_shape(draft, found->y, batch);
	struct gyr_strides dense;
	if (found->transpose == GYR_DRAFT_NONE)
		return gyr_strides_dense(y, strides);
	const struct gyr_node *node = draft->nodes[found->transpose].source;
	const struct gyr_attribute *perm = gyr_node_attribute(node, "perm");
	if (!gyr_strides_dense(gyr_draft_shape(draft, draft->nodes[found->transpose].outputs[0], batch), &dense))
		return false;
	*strides = (struct gyr_strides){0};
	for (uint32_t dim = 0; dim < y->rank; dim++) {
		uint32_t to = 0;
		while ((perm != NULL ? (uint32_t)perm->integers.items[to] : y->rank - 1 - to) != dim)
			to++;
		if (y->dims[dim] > 1)
			strides->factors[strides->count++] = (struct gyr_factor){dim, y->dims[dim], gyr_strides_along(&dense, to, 0)};
	}
	return true;
}

/* Writes where everything lies at batch number BATCH. False where the kernel cannot read it so. */
static bool lay_out(const struct gyr_draft *draft, const struct found *found, uint32_t batch, struct gyr_attention_layout *layout)
{
	const struct gyr_shape *q = gyr_draft_shape(draft, found->q, batch), *k = gyr_draft_shape(draft, found->k, batch);
	const struct gyr_shape *v = gyr_draft_shape(draft, found->v, batch), *y = gyr_draft_shape(draft, found->y, batch);
	uint32_t rank = q->rank;
	size_t elements;
	if (rank < 2 || k->rank != rank || v->rank != rank || y->rank != rank || !gyr_shape_count(y, 1, &elements))
		return false;
	for (uint32_t i = 0; i + 2 < rank; i++)
		if (q->dims[i] != k->dims[i] || q->dims[i] != v->dims[i])
			return false;
	struct gyr_shape scores = *y;
	scores.dims[rank - 1] = v->dims[rank - 2];
	struct gyr_strides operands[OPERANDS] = {[Q] = found->from[0].at[batch], [K] = found->from[1].at[batch], [V] = found->from[2].at[batch]};
	const struct gyr_shape *mask = found->mask == GYR_DRAFT_NONE ? NULL : gyr_draft_shape(draft, found->mask, batch);
	if (!spread_result(draft, found, batch, &operands[Y]) || !spread_mask(mask, &scores, &operands[MASK]))
		return false;
	uint32_t row = rank - 2, column = rank - 1;
	*layout = (struct gyr_attention_layout){
		.elements = (int64_t)elements,
		.queries = q->dims[row],
		.keys = k->dims[column],
		.depth = q->dims[column],
		.width = v->dims[column],
		.q_offset = operands[Q].offset,
		.k_offset = operands[K].offset,
		.v_offset = operands[V].offset,
		.q_row = gyr_strides_along(&operands[Q], row, q->dims[column]),
		.k_row = gyr_strides_along(&operands[K], column, k->dims[row]),
		.k_column = gyr_strides_along(&operands[K], row, 1),
		.v_row = gyr_strides_along(&operands[V], row, v->dims[column]),
		.y_row = gyr_strides_along(&operands[Y], row, y->dims[column]),
		.mask_query = gyr_strides_along(&operands[MASK], row, 0),
		.mask_key = gyr_strides_along(&operands[MASK], column, 0),
	};
	bool dense = gyr_strides_along(&operands[Q], column, 1) == 1 && gyr_strides_along(&operands[V], column, 1) == 1 &&
		     gyr_strides_along(&operands[Y], column, 1) == 1;
	bool apart = layout->q_row >= layout->depth && layout->v_row >= layout->width && layout->y_row >= layout->width;
	bool known = layout->k_row >= 0 && layout->k_column >= 0 && layout->mask_query >= 0 && (layout->mask_key == 0 || layout->mask_key == 1);
	return dense && apart && known && split_leading(operands, rank, layout);
}

static int replace(struct gyr_draft *draft, const struct found *found, const struct gyr_attention_layout *layouts, struct gyr_error *error)
{
	uint32_t inputs[4] = {found->from[0].base, found->from[1].base, found->from[2].base, found->mask};
	uint32_t output = found->transpose == GYR_DRAFT_NONE ? found->y : draft->nodes[found->transpose].outputs[0];
	const struct gyr_attribute attributes[4] = {
		{.name = "layouts",
		 .type = GYR_ATTRIBUTE_INTS,
		 .integers = {.count = draft->special_count * (uint32_t)GYR_ATTENTION_LAYOUT_ITEMS, .items = (const int64_t *)layouts}},
		{.name = "scale", .type = GYR_ATTRIBUTE_FLOAT, .number = (float)found->scale},
		{.name = "keep", .type = GYR_ATTRIBUTE_INT, .integer = found->keep},
		{.name = "fill", .type = GYR_ATTRIBUTE_FLOAT, .number = found->fill},
	};
	const struct gyr_node node = {.op = GYR_OP_STRIDED_ATTENTION,
				      .name = draft->nodes[found->product].source->name,
				      .inputs = inputs,
				      .input_count = found->mask == GYR_DRAFT_NONE ? 3 : 4,
				      .outputs = &output,
				      .output_count = 1,
				      .attributes = attributes,
				      .attribute_count = found->chosen ? 4 : 3};
	gyr_draft_remove(draft, found->product);
	if (found->transpose != GYR_DRAFT_NONE)
		gyr_draft_remove(draft, found->transpose);
	return gyr_draft_add_node(draft, &node, NULL, error);
}

int gyr_fuse_attention(struct gyr_draft *draft, struct gyr_error *error)
{
	const struct gyr_node **makers = gyr_trace_makers(draft);
	struct found *found = malloc(sizeof *found);
	int status = makers == NULL || found == NULL ? gyr_error_set(error, -ENOMEM, "no memory to compile the graph") : 0;
	uint32_t count = draft->node_count;
	for (uint32_t n = 0; n < count && status == 0; n++) {
		if (!find(draft, makers, n, found))
			continue;
		struct gyr_attention_layout *layouts = GYR_ARENA_NEW(&draft->arena, struct gyr_attention_layout, draft->special_count);
		bool fits = layouts != NULL;
		for (uint32_t batch = 0; batch < draft->special_count && fits; batch++)
			fits = lay_out(draft, found, batch, &layouts[batch]);
		if (layouts == NULL)
			status = gyr_error_set(error, -ENOMEM, "no memory to compile the graph");
		else if (fits)
			status = replace(draft, found, layouts, error);
	}
	free(makers);
	free(found);
	return status;
}
