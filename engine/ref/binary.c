/*
 * Functions of two elements: see binary.h. Source of their meanings: docs/Operators.md of ONNX 1.17, and NumPy where that says so.
 */
#include "engine/ref/binary.h"

#include <math.h>

#include "base/assertion.h"
#include "engine/ref/number.h"

bool gyr_binary_supports(enum gyr_op op, enum gyr_dtype dtype)
{
	bool boolean = dtype == GYR_DTYPE_BOOL;
	if (gyr_dtype_bytes(dtype) == 0)
		return false;
	switch (op) {
	case GYR_OP_EQUAL: return true;
	case GYR_OP_AND:
	case GYR_OP_OR:
	case GYR_OP_XOR: return boolean;
	case GYR_OP_BITWISE_AND:
	case GYR_OP_BITWISE_OR:
	case GYR_OP_BITWISE_XOR:
	case GYR_OP_BIT_SHIFT: return !boolean && dtype != GYR_DTYPE_F32 && dtype != GYR_DTYPE_F64 && dtype != GYR_DTYPE_F16 && dtype != GYR_DTYPE_BF16;
	case GYR_OP_ADD:
	case GYR_OP_DIV:
	case GYR_OP_GREATER:
	case GYR_OP_GREATER_OR_EQUAL:
	case GYR_OP_LESS:
	case GYR_OP_LESS_OR_EQUAL:
	case GYR_OP_MAX:
	case GYR_OP_MIN:
	case GYR_OP_MOD:
	case GYR_OP_MUL:
	case GYR_OP_POW:
	case GYR_OP_PRELU:
	case GYR_OP_SUB: return !boolean;
	default: return false;
	}
}

static bool compares(enum gyr_op op)
{
	return op == GYR_OP_EQUAL || op == GYR_OP_GREATER || op == GYR_OP_GREATER_OR_EQUAL || op == GYR_OP_LESS || op == GYR_OP_LESS_OR_EQUAL;
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
	struct gyr_shape left = *a, right = *b, y = {.rank = a->rank > b->rank ? a->rank : b->rank};
	for (uint32_t i = 0; i < a->rank; i++)
		left.dims[i] = (int64_t)dim_from_end(a, a->rank - 1 - i, batch);
	for (uint32_t i = 0; i < b->rank; i++)
		right.dims[i] = (int64_t)dim_from_end(b, b->rank - 1 - i, batch);
	for (uint32_t place = 0; place < y.rank; place++) {
		size_t a_dim = dim_from_end(&left, place, 1), b_dim = dim_from_end(&right, place, 1);
		y.dims[y.rank - 1 - place] = (int64_t)(a_dim == 1 ? b_dim : a_dim);
	}
	gyr_binary_init_to(binary, op, &left, &right, &y);
}

void gyr_binary_init_to(struct gyr_binary *binary, enum gyr_op op, const struct gyr_shape *a, const struct gyr_shape *b, const struct gyr_shape *y)
{
	GYR_ASSERT(a->dtype == b->dtype || op == GYR_OP_POW);
	GYR_ASSERT(gyr_binary_supports(op, a->dtype));
	struct gyr_binary walk = {.op = op, .dtype = a->dtype, .b_dtype = b->dtype}; /* innermost first, unlike the result */
	walk.y_dtype = compares(op) ? GYR_DTYPE_BOOL : a->dtype;
	size_t a_step = 1, b_step = 1;
	for (uint32_t place = 0; place < y->rank; place++) {
		size_t a_dim = dim_from_end(a, place, 1), b_dim = dim_from_end(b, place, 1), dim = dim_from_end(y, place, 1);
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

/* The remainder whose sign is B's (Python's and NumPy's), or A's. */
static double remainder_real(double a, double b, bool sign_of_a)
{
	double rest = fmod(a, b);
	return !sign_of_a && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* A double holds twice the bits of a float and two more, so an f32 result of arithmetic computed here and then rounded to f32 is the one that f32 gives. */
static double compute_real(const struct gyr_binary *binary, double a, double b)
{
	switch (binary->op) {
	case GYR_OP_ADD: return a + b;
	case GYR_OP_SUB: return a - b;
	case GYR_OP_MUL: return a * b;
	case GYR_OP_DIV: return a / b;
	case GYR_OP_MAX: return a != a || a > b ? a : b;
	case GYR_OP_MIN: return a != a || a < b ? a : b;
	case GYR_OP_MOD: return remainder_real(a, b, binary->flag);
	case GYR_OP_POW: return pow(a, b);
	case GYR_OP_PRELU: return a < 0 ? a * b : a;
	case GYR_OP_EQUAL: return a == b;
	case GYR_OP_GREATER: return a > b;
	case GYR_OP_GREATER_OR_EQUAL: return a >= b;
	case GYR_OP_LESS: return a < b;
	case GYR_OP_LESS_OR_EQUAL: return a <= b;
	default: gyr_assert_failed("a function of two reals", __FILE__, __LINE__);
	}
}

static uint64_t divide(bool is_signed, uint64_t a, uint64_t b)
{
	if (b == 0)
		return 0;
	if (!is_signed)
		return a / b;
	return b == UINT64_MAX ? 0 - a : (uint64_t)((int64_t)a / (int64_t)b); /* by -1: the one quotient that overflows wraps */
}

static uint64_t remainder_integer(bool is_signed, uint64_t a, uint64_t b, bool sign_of_a)
{
	uint64_t rest = b == 0 ? 0 : a - divide(is_signed, a, b) * b;
	bool other_sign = is_signed && rest != 0 && ((int64_t)rest < 0) != ((int64_t)b < 0);
	return other_sign && !sign_of_a ? rest + b : rest;
}

static uint64_t power(bool is_signed, uint64_t a, uint64_t b)
{
	uint64_t result = 1;
	if (is_signed && (int64_t)b < 0)
		return a == 1 ? 1 : a == UINT64_MAX ? (b & 1 ? a : 1) : 0; /* 1/a^|b|, without its fraction */
	for (; b != 0; b >>= 1, a *= a)
		result *= b & 1 ? a : 1;
	return result;
}

static uint64_t compute_integer(const struct gyr_binary *binary, bool is_signed, uint64_t a, uint64_t b)
{
	bool less = is_signed ? (int64_t)a < (int64_t)b : a < b;
	unsigned bits = (unsigned)gyr_dtype_bytes(binary->dtype) * 8;
	switch (binary->op) {
	case GYR_OP_ADD: return a + b;
	case GYR_OP_SUB: return a - b;
	case GYR_OP_MUL: return a * b;
	case GYR_OP_DIV: return divide(is_signed, a, b);
	case GYR_OP_MAX: return less ? b : a;
	case GYR_OP_MIN: return less ? a : b;
	case GYR_OP_MOD: return remainder_integer(is_signed, a, b, binary->flag);
	case GYR_OP_POW: return power(is_signed, a, b);
	case GYR_OP_PRELU: return is_signed && (int64_t)a < 0 ? a * b : a;
	case GYR_OP_AND:
	case GYR_OP_BITWISE_AND: return a & b;
	case GYR_OP_OR:
	case GYR_OP_BITWISE_OR: return a | b;
	case GYR_OP_XOR:
	case GYR_OP_BITWISE_XOR: return a ^ b;
	case GYR_OP_BIT_SHIFT: return b >= bits ? 0 : binary->flag ? a >> b : a << b;
	case GYR_OP_EQUAL: return a == b;
	case GYR_OP_GREATER: return !less && a != b;
	case GYR_OP_GREATER_OR_EQUAL: return !less;
	case GYR_OP_LESS: return less;
	case GYR_OP_LESS_OR_EQUAL: return less || a == b;
	default: gyr_assert_failed("a function of two integers", __FILE__, __LINE__);
	}
}

static double as_real(struct gyr_number number)
{
	return number.kind == GYR_NUMBER_REAL ? number.real : number.kind == GYR_NUMBER_SIGNED ? (double)(int64_t)number.integer : (double)number.integer;
}

/* Types differ for Pow alone: a real on either side makes it one of reals, and the result has the left one's type. */
static struct gyr_number compute(const struct gyr_binary *binary, struct gyr_number left, struct gyr_number right)
{
	if (left.kind == GYR_NUMBER_REAL || right.kind == GYR_NUMBER_REAL)
		return (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = compute_real(binary, as_real(left), as_real(right))};
	bool is_signed = left.kind == GYR_NUMBER_SIGNED;
	if (binary->op == GYR_OP_POW)
		is_signed = right.kind == GYR_NUMBER_SIGNED;
	left.integer = compute_integer(binary, is_signed, left.integer, right.integer);
	return left;
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
		struct gyr_number left = gyr_number_load(binary->dtype, a, a_at), right = gyr_number_load(binary->b_dtype, b, b_at);
		gyr_number_store(binary->y_dtype, y, at, compute(binary, left, right));
		for (uint32_t i = binary->rank; i-- > 0;) {
			if (++index[i] < binary->dims[i])
				break;
			index[i] = 0;
		}
	}
}
