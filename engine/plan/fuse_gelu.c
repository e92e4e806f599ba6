/*
 * Gelu as exporters write it: see fuse.h.
 *
 *   x * 0.5 * (1 + Erf(x / sqrt(2)))
 *   x * 0.5 * (1 + Tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
 *
 * with the factors multiplied in any order. The walk starts at Erf or Tanh: what it is of must come from x, and what is multiplied to 1 + it must be x and
 * numbers whose product is 0.5.
 */
#include <errno.h>
#include <math.h>

#include "engine/plan/fuse.h"

#define NEAR 1e-6

/* The draft node that alone reads VALUE when it has OP, or GYR_DRAFT_NONE. */
static uint32_t reader_with(const struct gyr_draft *draft, uint32_t value, enum gyr_op op)
{
	uint32_t reader = gyr_draft_sole_reader(draft, value);
	return reader != GYR_DRAFT_NONE && draft->nodes[reader].dense == NULL && draft->nodes[reader].source->op == op ? reader : GYR_DRAFT_NONE;
}

/* NODE, of two inputs, has a number as one: *OTHER is the other. Either side may be the number where SIDES is 2, else the right one. */
static bool read_number(const struct gyr_draft *draft, uint32_t node, int sides, uint32_t *other, float *number)
{
	const uint32_t *inputs = draft->nodes[node].inputs;
	for (int side = 1; side >= 2 - sides; side--) {
		*other = inputs[1 - side];
		if (gyr_draft_number(draft, inputs[side], number))
			return true;
	}
	return false;
}

static bool is_near(double number, double expected)
{
	return fabs(number - expected) <= NEAR * expected;
}

/* VALUE is X * FACTOR, by a multiplication or a division: *X. */
static bool read_scaled(const struct gyr_draft *draft, uint32_t value, double factor, uint32_t *x)
{
	uint32_t mul = gyr_draft_maker(draft, value, GYR_OP_MUL), div = gyr_draft_maker(draft, value, GYR_OP_DIV);
	float number;
	if (mul != GYR_DRAFT_NONE)
		return read_number(draft, mul, 2, x, &number) && is_near((double)number, factor);
	return div != GYR_DRAFT_NONE && read_number(draft, div, 1, x, &number) && is_near(1 / (double)number, factor);
}

/* VALUE is X^2. */
static bool is_square(const struct gyr_draft *draft, uint32_t value, uint32_t x)
{
	uint32_t mul = gyr_draft_maker(draft, value, GYR_OP_MUL), pow = gyr_draft_maker(draft, value, GYR_OP_POW), base;
	float number;
	if (mul != GYR_DRAFT_NONE)
		return draft->nodes[mul].inputs[0] == x && draft->nodes[mul].inputs[1] == x;
	return pow != GYR_DRAFT_NONE && read_number(draft, pow, 1, &base, &number) && base == x && number == 2;
}

/* VALUE is X^3. */
static bool is_cube(const struct gyr_draft *draft, uint32_t value, uint32_t x)
{
	uint32_t mul = gyr_draft_maker(draft, value, GYR_OP_MUL), pow = gyr_draft_maker(draft, value, GYR_OP_POW), base;
	float number;
	if (pow != GYR_DRAFT_NONE)
		return read_number(draft, pow, 1, &base, &number) && base == x && number == 3;
	for (int side = 0; mul != GYR_DRAFT_NONE && side < 2; side++)
		if (draft->nodes[mul].inputs[side] == x && is_square(draft, draft->nodes[mul].inputs[1 - side], x))
			return true;
	return false;
}

/* VALUE is sqrt(2 / pi) * (x + 0.044715 x^3): *X. */
static bool read_inner(const struct gyr_draft *draft, uint32_t value, uint32_t *x)
{
	uint32_t sum, cube;
	if (!read_scaled(draft, value, 0.79788456080286536, &sum))
		return false;
	uint32_t add = gyr_draft_maker(draft, sum, GYR_OP_ADD);
	for (int side = 0; add != GYR_DRAFT_NONE && side < 2; side++) {
		*x = draft->nodes[add].inputs[side];
		if (read_scaled(draft, draft->nodes[add].inputs[1 - side], 0.044715, &cube) && is_cube(draft, cube, *x))
			return true;
	}
	return false;
}

/* VALUE is what X is multiplied by: X itself, or X times a number, by which SCALE is multiplied. */
static bool takes_x(const struct gyr_draft *draft, uint32_t value, uint32_t x, double *scale)
{
	float number;
	uint32_t mul = gyr_draft_maker(draft, value, GYR_OP_MUL), other;
	if (value == x)
		return true;
	if (mul == GYR_DRAFT_NONE || !read_number(draft, mul, 2, &other, &number) || other != x)
		return false;
	*scale *= (double)number;
	return true;
}

static bool same_shapes(const struct gyr_draft *draft, uint32_t a, uint32_t b)
{
	for (uint32_t batch = 0; batch < draft->special_count; batch++)
		if (!gyr_shape_equal(gyr_draft_shape(draft, a, batch), gyr_draft_shape(draft, b, batch)))
			return false;
	return true;
}

/* The node that ends the Gelu around draft node INDEX (Erf or Tanh) of X, or GYR_DRAFT_NONE. */
static uint32_t find_end(const struct gyr_draft *draft, uint32_t index, uint32_t x)
{
	uint32_t at = reader_with(draft, draft->nodes[index].outputs[0], GYR_OP_ADD), other;
	double scale = 1;
	bool has_x = false;
	float number;
	if (at == GYR_DRAFT_NONE || !read_number(draft, at, 2, &other, &number) || number != 1)
		return GYR_DRAFT_NONE;
	while (!has_x || scale != 0.5) {
		uint32_t value = draft->nodes[at].outputs[0];
		at = reader_with(draft, value, GYR_OP_MUL);
		if (at == GYR_DRAFT_NONE)
			return GYR_DRAFT_NONE;
		other = draft->nodes[at].inputs[draft->nodes[at].inputs[0] == value];
		if (gyr_draft_number(draft, other, &number))
			scale *= (double)number;
		else if (!has_x && takes_x(draft, other, x, &scale))
			has_x = true;
		else
			return GYR_DRAFT_NONE;
	}
	return same_shapes(draft, draft->nodes[at].outputs[0], x) ? at : GYR_DRAFT_NONE;
}

int gyr_fuse_gelu(struct gyr_draft *draft, struct gyr_error *error)
{
	int status = 0;
	uint32_t count = draft->node_count;
	for (uint32_t n = 0; n < count && status == 0; n++) {
		const struct gyr_draft_node *node = &draft->nodes[n];
		if (node->dead || node->dense != NULL || (node->source->op != GYR_OP_ERF && node->source->op != GYR_OP_TANH))
			continue;
		bool by_tanh = node->source->op == GYR_OP_TANH;
		uint32_t x;
		if (by_tanh ? !read_inner(draft, node->inputs[0], &x) : !read_scaled(draft, node->inputs[0], 0.70710678118654752, &x))
			continue;
		uint32_t end = find_end(draft, n, x);
		if (end == GYR_DRAFT_NONE || draft->values[x].shape.dtype != GYR_DTYPE_F32)
			continue;
		uint32_t output = draft->nodes[end].outputs[0];
		const struct gyr_attribute approximate = {.name = "approximate", .type = GYR_ATTRIBUTE_STRING, .string = by_tanh ? "tanh" : "none"};
		const struct gyr_node gelu = {.op = GYR_OP_GELU,
					      .name = draft->nodes[end].source->name,
					      .inputs = &x,
					      .input_count = 1,
					      .outputs = &output,
					      .output_count = 1,
					      .attributes = &approximate,
					      .attribute_count = 1};
		gyr_draft_remove(draft, end);
		status = gyr_draft_add_node(draft, &gelu, NULL, error);
	}
	return status;
}
