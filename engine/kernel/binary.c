/*
 * Functions of two elements: see binary.h. The innermost dimension is one loop with each operand dense or a single number; the others are walked around it.
 * Types and functions that are not worth a loop go to the reference twin.
 */
#include "engine/kernel/binary.h"

#include <math.h>

#include "engine/ref/unaligned.h"

/* A stride is 0 or 1: gyr_binary_init keeps no dimension of length 1, so the innermost one of a dense operand has stride 1. */
typedef void row_fn(size_t count, size_t a_stride, size_t b_stride, const void *a, const void *b, void *y);

#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* One loop, whose turns do not depend on each other: the result is apart from the operands or one of them itself. */
#define LOOP(left, right, expression)                                                                                                                          \
	INDEPENDENT for (size_t i = 0; i < count; i++)                                                                                                         \
	{                                                                                                                                                      \
		const __auto_type l = left;                                                                                                                    \
		const __auto_type r = right;                                                                                                                   \
		(void)r;                                                                                                                                       \
		to[i] = expression;                                                                                                                            \
	}

/* The function NAME gives EXPRESSION of L and R, elements of type IN, as one of type OUT. */
#define ROW(name, in, out, expression)                                                                                                                         \
	static void name(size_t count, size_t a_stride, size_t b_stride, const void *a, const void *b, void *y)                                                \
	{                                                                                                                                                      \
		const in *from_a = a, *from_b = b;                                                                                                             \
		const in first_a = from_a[0], first_b = from_b[0];                                                                                             \
		out *to = y;                                                                                                                                   \
		if (a_stride == 0 && b_stride == 0)                                                                                                            \
			LOOP(first_a, first_b, expression)                                                                                                     \
		else if (a_stride == 0)                                                                                                                        \
			LOOP(first_a, from_b[i], expression)                                                                                                   \
		else if (b_stride == 0)                                                                                                                        \
			LOOP(from_a[i], first_b, expression)                                                                                                   \
		else                                                                                                                                           \
			LOOP(from_a[i], from_b[i], expression)                                                                                                 \
	}

#define COMPARISONS(type)                                                                                                                                      \
	ROW(equal_##type, gyr_##type##_u, gyr_u8_u, l == r)                                                                                                    \
	ROW(greater_##type, gyr_##type##_u, gyr_u8_u, l > r)                                                                                                   \
	ROW(greater_or_equal_##type, gyr_##type##_u, gyr_u8_u, l >= r)                                                                                         \
	ROW(less_##type, gyr_##type##_u, gyr_u8_u, l < r)                                                                                                      \
	ROW(less_or_equal_##type, gyr_##type##_u, gyr_u8_u, l <= r)

/* On integers as on unsigned ones, which wrap. */
#define ARITHMETIC(type, as)                                                                                                                                   \
	ROW(add_##type, gyr_##as##_u, gyr_##as##_u, l + r)                                                                                                     \
	ROW(sub_##type, gyr_##as##_u, gyr_##as##_u, l - r)                                                                                                     \
	ROW(mul_##type, gyr_##as##_u, gyr_##as##_u, l *r)

#define EXTREMES(type)                                                                                                                                         \
	ROW(max_##type, gyr_##type##_u, gyr_##type##_u, l != l || l > r ? l : r)                                                                               \
	ROW(min_##type, gyr_##type##_u, gyr_##type##_u, l != l || l < r ? l : r)

ARITHMETIC(f32, f32)
ARITHMETIC(f64, f64)
ARITHMETIC(i32, u32)
ARITHMETIC(i64, u64)
COMPARISONS(f32)
COMPARISONS(f64)
COMPARISONS(i32)
COMPARISONS(i64)
COMPARISONS(u8)
EXTREMES(f32)
EXTREMES(f64)
EXTREMES(i32)
EXTREMES(i64)
ROW(div_f32, gyr_f32_u, gyr_f32_u, l / r)
ROW(div_f64, gyr_f64_u, gyr_f64_u, l / r)
ROW(prelu_f32, gyr_f32_u, gyr_f32_u, l < 0 ? l * r : l)
ROW(equal_bool, gyr_u8_u, gyr_u8_u, (l != 0) == (r != 0))
ROW(and_bool, gyr_u8_u, gyr_u8_u, l != 0 && r != 0)
ROW(or_bool, gyr_u8_u, gyr_u8_u, l != 0 || r != 0)
ROW(xor_bool, gyr_u8_u, gyr_u8_u, (l != 0) != (r != 0))

/* The powers that models use: squares and cubes round once, as the twin does. */
ROW(square_f32, gyr_f32_u, gyr_f32_u, l *l)
ROW(cube_f32, gyr_f32_u, gyr_f32_u, (float)((double)l *(double)l *(double)l))
ROW(any_power_f32, gyr_f32_u, gyr_f32_u, (float)pow((double)l, (double)r))

static void pow_f32(size_t count, size_t a_stride, size_t b_stride, const void *a, const void *b, void *y)
{
	float power = b_stride == 0 ? *(const gyr_f32_u *)b : 0;
	row_fn *row = power == 2 ? square_f32 : power == 3 ? cube_f32 : any_power_f32;
	row(count, a_stride, b_stride, a, b, y);
}

#define CASE(op, name)                                                                                                                                         \
	case GYR_OP_##op: return name
#define CASES_ARITHMETIC(type)                                                                                                                                 \
	CASE(ADD, add_##type);                                                                                                                                 \
	CASE(SUB, sub_##type);                                                                                                                                 \
	CASE(MUL, mul_##type)
#define CASES_ORDER(type)                                                                                                                                      \
	CASE(EQUAL, equal_##type);                                                                                                                             \
	CASE(GREATER, greater_##type);                                                                                                                         \
	CASE(GREATER_OR_EQUAL, greater_or_equal_##type);                                                                                                       \
	CASE(LESS, less_##type);                                                                                                                               \
	CASE(LESS_OR_EQUAL, less_or_equal_##type)
#define CASES_EXTREMES(type)                                                                                                                                   \
	CASE(MAX, max_##type);                                                                                                                                 \
	CASE(MIN, min_##type)

static row_fn *find_f32(enum gyr_op op)
{
	switch (op) {
		CASES_ARITHMETIC(f32);
		CASES_ORDER(f32);
		CASES_EXTREMES(f32);
		CASE(DIV, div_f32);
		CASE(POW, pow_f32);
		CASE(PRELU, prelu_f32);
	default: return NULL;
	}
}

static row_fn *find_f64(enum gyr_op op)
{
	switch (op) {
		CASES_ARITHMETIC(f64);
		CASES_ORDER(f64);
		CASES_EXTREMES(f64);
		CASE(DIV, div_f64);
	default: return NULL;
	}
}

static row_fn *find_i32(enum gyr_op op)
{
	switch (op) {
		CASES_ARITHMETIC(i32);
		CASES_ORDER(i32);
		CASES_EXTREMES(i32);
	default: return NULL;
	}
}

static row_fn *find_i64(enum gyr_op op)
{
	switch (op) {
		CASES_ARITHMETIC(i64);
		CASES_ORDER(i64);
		CASES_EXTREMES(i64);
	default: return NULL;
	}
}

static row_fn *find_u8(enum gyr_op op)
{
	switch (op) {
		CASES_ORDER(u8);
	default: return NULL;
	}
}

static row_fn *find_bool(enum gyr_op op)
{
	switch (op) {
		CASE(EQUAL, equal_bool);
		CASE(AND, and_bool);
		CASE(OR, or_bool);
		CASE(XOR, xor_bool);
	default: return NULL;
	}
}

/* The function for one row, or NULL where the twin runs. */
static row_fn *find_row(const struct gyr_binary *binary)
{
	if (binary->dtype != binary->b_dtype)
		return NULL;
	switch (binary->dtype) {
	case GYR_DTYPE_F32: return find_f32(binary->op);
	case GYR_DTYPE_F64: return find_f64(binary->op);
	case GYR_DTYPE_I32: return find_i32(binary->op);
	case GYR_DTYPE_I64: return find_i64(binary->op);
	case GYR_DTYPE_U8: return find_u8(binary->op);
	case GYR_DTYPE_BOOL: return find_bool(binary->op);
	default: return NULL;
	}
}

void gyr_kernel_binary(const struct gyr_binary *binary, const void *a, const void *b, void *y)
{
	row_fn *row = find_row(binary);
	if (row == NULL) {
		gyr_ref_binary(binary, a, b, y);
		return;
	}
	if (binary->rank == 0) {
		row(1, 0, 0, a, b, y);
		return;
	}
	uint32_t inner = binary->rank - 1;
	size_t index[GYR_RANK_MAX] = {0}, count = binary->dims[inner], rows = 1;
	size_t bytes = gyr_dtype_bytes(binary->dtype), y_bytes = gyr_dtype_bytes(binary->y_dtype);
	for (uint32_t i = 0; i < inner; i++)
		rows *= binary->dims[i];
	const uint8_t *left = a, *right = b;
	uint8_t *to = y;
	for (size_t at = 0; at < rows; at++, to += count * y_bytes) {
		row(count, binary->a_strides[inner], binary->b_strides[inner], left, right, to);
		for (uint32_t i = inner; i-- > 0;) {
			left += binary->a_strides[i] * bytes;
			right += binary->b_strides[i] * bytes;
			if (++index[i] < binary->dims[i])
				break;
			left -= binary->a_strides[i] * index[i] * bytes;
			right -= binary->b_strides[i] * index[i] * bytes;
			index[i] = 0;
		}
	}
}
