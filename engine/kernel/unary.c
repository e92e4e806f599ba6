/*
 * Functions of one element: see unary.h.
 */
#include "engine/kernel/unary.h"

#include "base/assertion.h"
#include "engine/kernel/function.h"
#include "engine/ref/unaligned.h"

void gyr_kernel_unary(enum gyr_op op, size_t count, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	gyr_f32_u *to = y;
	switch (op) {
	case GYR_OP_RELU:
		for (size_t i = 0; i < count; i++)
			to[i] = gyr_relu(from[i]);
		return;
	case GYR_OP_SIGMOID:
		for (size_t i = 0; i < count; i++)
			to[i] = gyr_sigmoid(from[i]);
		return;
	case GYR_OP_TANH:
		for (size_t i = 0; i < count; i++)
			to[i] = gyr_tanh(from[i]);
		return;
	default: gyr_assert_failed("a function of one element", __FILE__, __LINE__);
	}
}
