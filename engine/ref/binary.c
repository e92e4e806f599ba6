/*
 * Arithmetic with broadcasting: see binary.h.
 */
#include "engine/ref/binary.h"

#include "base/assertion.h"
#include "engine/ref/number.h"

bool gyr_binary_supports(enum gyr_op op, enum gyr_dtype dtype)
{
	bool known_op = op == GYR_OP_ADD || op == GYR_OP_SUB || op == GYR_OP_MUL || op == GYR_OP_DIV;
	return known_op && gyr_dtype_bytes(dtype) != 0 && dtype != GYR_DTYPE_BOOL && dtype != GYR_DTYPE_F16 && dtype != GYR_DTYPE_BF16;
}

/* The dimension of SHAPE that lies PLACES before the last; 1 where there is none. */
static size_t dim_from_end(const struct gyr_shape *shape, uint32_t places, uint64_t batch)
{
	if (places >= shape->rank)
		return 1;
	int64_t dim = shape->dims[shape->rank - 1 - places];
	return dim == GYR_DIM_BATCH ? batch : (size_t)dim;
}

void gyr_binary_init(struct gyr_binary *binary, enum gyr_op op, const struct gyr_shape *a, const struct gyr_shape *b, uint64_t batch)
{
	GYR_ASSERT(a->dtype == b->dtype);
	GYR_ASSERT(gyr_binary_supports(op, a->dtype));
	struct gyr_binary walk = {.op = op, .dtype = a->dtype}; /* innermost first, unlike the result */
	uint32_t rank = a->rank > b->rank ? a->rank : b->rank;
	size_t a_step = 1, b_step = 1;
	for (uint32_t place = 0; place < rank; place++) {
		size_t a_dim = dim_from_end(a, place, batch), b_dim = dim_from_end(b, place, batch);
		size_t dim = a_dim == 1 ? b_dim : a_dim;
		GYR_ASSERT(a_dim == dim || a_dim == 1);
		GYR_ASSERT(b_dim == dim || b_dim == 1);
		size_t a_stride = a_dim == 1 ? 0 : a_step, b_stride = b_dim == 1 ? 0 : b_step;
		a_step *= a_dim;
		b_step *= b_dim;
		if (dim == 1)
			continue;
		uint32_t last = walk.rank - 1;
		if (walk.rank != 0 && a_stride == walk.a_strides[last] * walk.dims[last] && b_stride == walk.b_strides[last] * walk.dims[last]) {
			walk.dims[last] *= dim;
			continue;
		}
		walk.dims[walk.rank] = dim;
		walk.a_strides[walk.rank] = a_stride;
		walk.b_strides[walk.rank++] = b_stride;
	}
	*binary = walk;
	for (uint32_t i = 0; i < walk.rank; i++) {
		uint32_t from = walk.rank - 1 - i;
		binary->dims[i] = walk.dims[from];
		binary->a_strides[i] = walk.a_strides[from];
		binary->b_strides[i] = walk.b_strides[from];
	}
}

/* A double holds twice the bits of a float and two more, so an f32 result computed here and then rounded to f32 is the one that f32 arithmetic gives. */
static double compute_real(enum gyr_op op, double a, double b)
{
	return op == GYR_OP_ADD ? a + b : op == GYR_OP_SUB ? a - b : op == GYR_OP_MUL ? a * b : a / b;
}

static uint64_t compute_integer(enum gyr_op op, bool is_signed, uint64_t a, uint64_t b)
{
	if (op != GYR_OP_DIV)
		return op == GYR_OP_ADD ? a + b : op == GYR_OP_SUB ? a - b : a * b;
	if (b == 0)
		return 0;
	if (!is_signed)
		return a / b;
	return b == UINT64_MAX ? 0 - a : (uint64_t)((int64_t)a / (int64_t)b); /* by -1: the one quotient that overflows wraps */
}

void gyr_ref_binary(const struct gyr_binary *binary, const void *a, const void *b, void *y)
{
	size_t index[GYR_RANK_MAX] = {0}, count = 1;
	for (uint32_t i = 0; i < binary->rank; i++)
		count *= binary->dims[i];
	for (size_t at = 0; at < count; at++) {
		size_t a_at = 0, b_at = 0;
		for (uint32_t i = 0; i < binary->rank; i++) {
			a_at += index[i] * binary->a_strides[i];
			b_at += index[i] * binary->b_strides[i];
		}
		struct gyr_number left = gyr_number_load(binary->dtype, a, a_at), right = gyr_number_load(binary->dtype, b, b_at);
		if (left.kind == GYR_NUMBER_REAL)
			left.real = compute_real(binary->op, left.real, right.real);
		else
			left.integer = compute_integer(binary->op, left.kind == GYR_NUMBER_SIGNED, left.integer, right.integer);
		gyr_number_store(binary->dtype, y, at, left);
		for (uint32_t i = binary->rank; i-- > 0;) {
			if (++index[i] < binary->dims[i])
				break;
			index[i] = 0;
		}
	}
}
