/*
 * Layer normalisation as exporters write it: see fuse.h.
 *
 *   d = x - ReduceMean(x);  d / Sqrt(ReduceMean(d^2) + epsilon) * scale + bias
 *
 * over the last dimensions. The walk starts at Sqrt.
 */
#include <errno.h>
#include <math.h>

#include "engine/plan/fuse.h"
#include "engine/ref/unaligned.h"

struct found {
	uint32_t x, y, end; /* values, and the node that makes y */
	uint32_t scale, bias;
	uint32_t axis; /* the first that is normalised */
	float epsilon;
};

/* VALUE is the mean of *X over its last dimensions, from *AXIS on, which stay as ones. */
static bool read_mean(const struct gyr_draft *draft, uint32_t value, uint32_t *x, uint32_t *axis)
{
	uint32_t index = gyr_draft_maker(draft, value, GYR_OP_REDUCE_MEAN), seen = 0, count = 0;
	if (index == GYR_DRAFT_NONE)
		return false;
	const struct gyr_draft_node *node = &draft->nodes[index];
	const struct gyr_attribute *attribute = gyr_node_attribute(node->source, "axes");
	const struct gyr_draft_value *given = node->input_count > 1 && node->inputs[1] != GYR_DRAFT_NONE ? &draft->values[node->inputs[1]] : NULL;
	*x = node->inputs[0];
	uint32_t rank = draft->values[*x].shape.rank;
	if (gyr_node_integer(node->source, "keepdims", 1) == 0 || (attribute == NULL) == (given == NULL))
		return false;
	if (given != NULL && (given->data == NULL || given->shape.rank != 1 || given->shape.dims[0] > rank))
		return false;
	count = given != NULL ? (uint32_t)given->shape.dims[0] : attribute->integers.count;
	for (uint32_t i = 0; i < count; i++) {
		int64_t at = given != NULL ? ((const gyr_i64_u *)given->data)[i] : attribute->integers.items[i];
		seen |= UINT32_C(1) << (at < 0 ? at + rank : at);
	}
	*axis = rank - count;
	return count > 0 && seen == (UINT32_C(1) << rank) - (UINT32_C(1) << *axis);
}

/* VALUE is *D squared. */
static bool read_square(const struct gyr_draft *draft, uint32_t value, uint32_t *d)
{
	uint32_t mul = gyr_draft_maker(draft, value, GYR_OP_MUL), pow = gyr_draft_maker(draft, value, GYR_OP_POW);
	float number;
	*d = mul != GYR_DRAFT_NONE ? draft->nodes[mul].inputs[0] : pow != GYR_DRAFT_NONE ? draft->nodes[pow].inputs[0] : GYR_DRAFT_NONE;
	if (mul != GYR_DRAFT_NONE)
		return draft->nodes[mul].inputs[1] == *d;
	return pow != GYR_DRAFT_NONE && gyr_draft_number(draft, draft->nodes[pow].inputs[1], &number) && number == 2;
}

/* The node with OP that alone reads Y, together with a value that has an element for each that is normalised, which *PARAMETER is. */
static uint32_t read_parameter(const struct gyr_draft *draft, const struct found *found, uint32_t y, enum gyr_op op, uint32_t *parameter)
{
	uint32_t reader = gyr_draft_sole_reader(draft, y);
	if (reader == GYR_DRAFT_NONE || draft->nodes[reader].dense != NULL || draft->nodes[reader].source->op != op)
		return GYR_DRAFT_NONE;
	const struct gyr_shape *x = &draft->values[found->x].shape;
	*parameter = draft->nodes[reader].inputs[draft->nodes[reader].inputs[0] == y];
	const struct gyr_draft_value *value = &draft->values[*parameter];
	if (value->data == NULL || value->shape.dtype != GYR_DTYPE_F32 || value->shape.rank != x->rank - found->axis)
		return GYR_DRAFT_NONE;
	for (uint32_t i = 0; i < value->shape.rank; i++)
		if (value->shape.dims[i] != x->dims[found->axis + i])
			return GYR_DRAFT_NONE;
	return reader;
}

static bool same_shapes(const struct gyr_draft *draft, uint32_t a, uint32_t b)
{
	for (uint32_t batch = 0; batch < draft->special_count; batch++)
		if (!gyr_shape_equal(gyr_draft_shape(draft, a, batch), gyr_draft_shape(draft, b, batch)))
			return false;
	return true;
}

/* Reads what stands around draft node INDEX, a Sqrt. */
static bool find(const struct gyr_draft *draft, uint32_t index, struct found *found)
{
	const struct gyr_draft_node *root = &draft->nodes[index];
	uint32_t add = gyr_draft_maker(draft, root->inputs[0], GYR_OP_ADD), squares, d, mean, of, axis, again;
	bool left = add != GYR_DRAFT_NONE && gyr_draft_number(draft, draft->nodes[add].inputs[0], &found->epsilon);
	if (add == GYR_DRAFT_NONE || (!left && !gyr_draft_number(draft, draft->nodes[add].inputs[1], &found->epsilon)))
		return false;
	if (!(found->epsilon >= 0) || !read_mean(draft, draft->nodes[add].inputs[left ? 1 : 0], &squares, &found->axis) || !read_square(draft, squares, &d))
		return false;
	uint32_t sub = gyr_draft_maker(draft, d, GYR_OP_SUB), div = gyr_draft_sole_reader(draft, root->outputs[0]);
	if (sub == GYR_DRAFT_NONE || div == GYR_DRAFT_NONE || draft->nodes[div].dense != NULL || draft->nodes[div].source->op != GYR_OP_DIV)
		return false;
	found->x = draft->nodes[sub].inputs[0];
	mean = draft->nodes[sub].inputs[1];
	if (!read_mean(draft, mean, &of, &axis) || of != found->x || axis != found->axis || draft->values[found->x].shape.dtype != GYR_DTYPE_F32)
		return false;
	/* PyTorch's older exporter subtracts the mean once for the variance, and once more for the result. */
	uint32_t numerator = draft->nodes[div].inputs[0], second = gyr_draft_maker(draft, numerator, GYR_OP_SUB);
	if (numerator != d && (second == GYR_DRAFT_NONE || draft->nodes[second].inputs[0] != found->x ||
			       !read_mean(draft, draft->nodes[second].inputs[1], &of, &again) || of != found->x || again != axis))
		return false;
	found->end = div;
	found->y = draft->nodes[div].outputs[0];
	found->scale = found->bias = GYR_DRAFT_NONE;
	uint32_t mul = read_parameter(draft, found, found->y, GYR_OP_MUL, &found->scale);
	if (mul == GYR_DRAFT_NONE)
		return true;
	found->end = mul;
	found->y = draft->nodes[mul].outputs[0];
	uint32_t shift = read_parameter(draft, found, found->y, GYR_OP_ADD, &found->bias);
	found->end = shift != GYR_DRAFT_NONE ? shift : mul;
	found->y = draft->nodes[found->end].outputs[0];
	found->bias = shift != GYR_DRAFT_NONE ? found->bias : GYR_DRAFT_NONE;
	return true;
}

static int replace(struct gyr_draft *draft, struct found *found, struct gyr_error *error)
{
	if (draft->nodes[found->end].source->op == GYR_OP_DIV) { /* no scale: a one */
		const struct gyr_shape one = {.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {1}};
		void *data;
		int status = gyr_draft_add_constant(draft, &one, &data, &found->scale, error);
		if (status != 0)
			return status;
		*(float *)data = 1;
	}
	const uint32_t inputs[3] = {found->x, found->scale, found->bias};
	const struct gyr_attribute attributes[2] = {{.name = "axis", .type = GYR_ATTRIBUTE_INT, .integer = found->axis},
						    {.name = "epsilon", .type = GYR_ATTRIBUTE_FLOAT, .number = found->epsilon}};
	const struct gyr_node node = {.op = GYR_OP_LAYER_NORMALIZATION,
				      .name = draft->nodes[found->end].source->name,
				      .inputs = inputs,
				      .input_count = found->bias == GYR_DRAFT_NONE ? 2 : 3,
				      .outputs = &found->y,
				      .output_count = 1,
				      .attributes = attributes,
				      .attribute_count = 2};
	gyr_draft_remove(draft, found->end);
	return gyr_draft_add_node(draft, &node, NULL, error);
}

int gyr_fuse_normalise(struct gyr_draft *draft, struct gyr_error *error)
{
	struct found found;
	int status = 0;
	uint32_t count = draft->node_count;
	for (uint32_t n = 0; n < count && status == 0; n++) {
		const struct gyr_draft_node *node = &draft->nodes[n];
		if (!node->dead && node->dense == NULL && node->source->op == GYR_OP_SQRT && find(draft, n, &found) && same_shapes(draft, found.x, found.y))
			status = replace(draft, &found, error);
	}
	return status;
}
