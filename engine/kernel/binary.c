/*
 * Functions of two elements: see binary.h. The innermost dimension is one loop with both operands dense or one of them a single number; the others are
 * walked around it. Types other than f32 and functions that are not worth a loop go to the reference twin.
 */
#include "engine/kernel/binary.h"

#include "base/assertion.h"
#include "engine/ref/unaligned.h"

#define ROW(op)                                                                                                                                                \
	do {                                                                                                                                                   \
		if (a_stride == 0) {                                                                                                                           \
			float left = *a;                                                                                                                       \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				y[i] = left op b[i];                                                                                                           \
		} else if (b_stride == 0) {                                                                                                                    \
			float right = *b;                                                                                                                      \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				y[i] = a[i] op right;                                                                                                          \
		} else {                                                                                                                                       \
			for (size_t i = 0; i < count; i++)                                                                                                     \
				y[i] = a[i] op b[i];                                                                                                           \
		}                                                                                                                                              \
	} while (0)

/* A stride is 0 or 1: gyr_binary_init keeps no dimension of length 1, so the innermost one of a dense operand has stride 1. */
static void row(enum gyr_op op, size_t count, size_t a_stride, size_t b_stride, const gyr_f32_u *a, const gyr_f32_u *b, gyr_f32_u *y)
{
	switch (op) {
	case GYR_OP_ADD: ROW(+); return;
	case GYR_OP_SUB: ROW(-); return;
	case GYR_OP_MUL: ROW(*); return;
	case GYR_OP_DIV: ROW(/); return;
	default: gyr_assert_failed("an operator of arithmetic", __FILE__, __LINE__);
	}
}

void gyr_kernel_binary(const struct gyr_binary *binary, const void *a, const void *b, void *y)
{
	bool arithmetic = binary->op == GYR_OP_ADD || binary->op == GYR_OP_SUB || binary->op == GYR_OP_MUL || binary->op == GYR_OP_DIV;
	bool repeats = binary->rank != 0 && binary->a_strides[binary->rank - 1] == 0 && binary->b_strides[binary->rank - 1] == 0;
	if (!arithmetic || binary->dtype != GYR_DTYPE_F32 || binary->rank == 0 || repeats) {
		gyr_ref_binary(binary, a, b, y);
		return;
	}
	uint32_t inner = binary->rank - 1;
	size_t index[GYR_RANK_MAX] = {0}, count = binary->dims[inner], rows = 1;
	for (uint32_t i = 0; i < inner; i++)
		rows *= binary->dims[i];
	const gyr_f32_u *left = a, *right = b;
	gyr_f32_u *to = y;
	for (size_t at = 0; at < rows; at++, to += count) {
		row(binary->op, count, binary->a_strides[inner], binary->b_strides[inner], left, right, to);
		for (uint32_t i = inner; i-- > 0;) {
			left += binary->a_strides[i];
			right += binary->b_strides[i];
			if (++index[i] < binary->dims[i])
				break;
			left -= binary->a_strides[i] * index[i];
			right -= binary->b_strides[i] * index[i];
			index[i] = 0;
		}
	}
}
