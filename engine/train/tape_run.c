/*
 * The steps of a tape, forwards and backwards.
 *
 * Forwards, a step that does not work in place copies x to y first, so that each operator has one form: y becomes f(y). Backwards, the gradient by y, complete
 * by then and of no further use, becomes the gradient by x in the same way, and is handed on where x has a tensor of its own. So no loop reads and writes
 * overlapping arrays. With what they use in locals (a store may change *STEP for all that the compiler knows), the compiler vectorises them.
 */
#include <math.h>
#include <string.h>

#include <dnnl.h>

#include "base/assertion.h"
#include "engine/train/tape_internal.h"

/* C[m, n] = alpha * op(A)[m, k] * op(B)[k, n] (+ C where ADD), all dense and row-major. */
static void multiply(char a_form, char b_form, size_t m, size_t n, size_t k, float alpha, const float *a, const float *b, bool add, float *c)
{
	dnnl_status_t status = dnnl_sgemm(a_form, b_form, (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, alpha, a, (dnnl_dim_t)(a_form == 'N' ? k : m), b,
					  (dnnl_dim_t)(b_form == 'N' ? n : k), add ? 1 : 0, c, (dnnl_dim_t)n);
	GYR_ASSERT(status == dnnl_success);
}

/* Adds SCALE * OPERAND, repeated, to COUNT numbers. */
static void add_operand(float *restrict y, size_t count, const struct gyr_tape_operand *operand, float scale)
{
	const float *restrict constant = operand->data;
	const size_t period = operand->count;
	for (size_t at = 0; at < count; at += period)
		for (size_t i = 0; i < period; i++)
			y[at + i] += scale * constant[i];
}

/* Adds SCALE times the sum over all repetitions to a parameter's gradient, which is zero to begin with. */
static void add_operand_gradient(const float *restrict dy, size_t count, const struct gyr_tape_operand *operand, float scale)
{
	float *restrict gradient = operand->gradient;
	const size_t period = operand->count;
	for (size_t at = 0; at < count; at += period)
		for (size_t i = 0; i < period; i++)
			gradient[i] += scale * dy[at + i];
}

/* Hands the gradient GIVEN on to a tensor. */
static void give(struct gyr_tape_tensor *tensor, const float *restrict given, size_t count)
{
	float *restrict gradient = tensor->gradient;
	if (gradient == NULL || gradient == given)
		return;
	if (!tensor->shared) {
		memcpy(gradient, given, count * sizeof *gradient);
		return;
	}
	for (size_t i = 0; i < count; i++)
		gradient[i] += given[i];
}

static void product_forward(const struct gyr_tape_step *step, uint32_t rows)
{
	size_t m = rows * step->inner;
	multiply('N', step->transposed ? 'T' : 'N', m, step->n, step->k, step->alpha, step->x->data, step->weight.data, false, step->y->data);
	if (step->constant.data != NULL)
		add_operand(step->y->data, m * step->n, &step->constant, step->beta);
}

static void product_backward(const struct gyr_tape_step *step, uint32_t rows)
{
	size_t m = rows * step->inner;
	const float *x = step->x->data, *dy = step->y->gradient, *weight = step->weight.data;
	if (step->constant.gradient != NULL)
		add_operand_gradient(dy, m * step->n, &step->constant, step->beta);
	if (step->weight.gradient != NULL) {
		bool add = step->weight.parameter->shared;
		if (step->transposed)
			multiply('T', 'N', step->n, step->k, m, step->alpha, dy, x, add, step->weight.gradient);
		else
			multiply('T', 'N', step->k, step->n, m, step->alpha, x, dy, add, step->weight.gradient);
	}
	if (step->x->gradient != NULL)
		multiply('N', step->transposed ? 'N' : 'T', m, step->k, step->n, step->alpha, dy, weight, step->x->shared, step->x->gradient);
}

/* Sets each y[i] to EXPRESSION, row by row; c, the constant, is as long as a row. */
#define EACH(expression)                                                                                                                                       \
	do {                                                                                                                                                   \
		for (size_t row = 0; row < rows; row++, y += width)                                                                                            \
			for (size_t i = 0; i < width; i++)                                                                                                     \
				y[i] = (expression);                                                                                                           \
	} while (0)

static void constant_forward(const struct gyr_tape_step *step, uint32_t rows)
{
	size_t width = step->y->row;
	float *restrict y = step->y->data;
	const float *restrict c = step->constant.data;
	if (step->op == GYR_OP_ADD)
		add_operand(y, rows * width, &step->constant, 1);
	else if (step->op == GYR_OP_MUL)
		EACH(y[i] * c[i]);
	else if (step->op == GYR_OP_SUB && step->constant_first)
		EACH(c[i] - y[i]);
	else if (step->op == GYR_OP_SUB)
		EACH(y[i] - c[i]);
	else if (step->constant_first)
		EACH(c[i] / y[i]);
	else
		EACH(y[i] / c[i]);
}

static void constant_backward(const struct gyr_tape_step *step, uint32_t rows)
{
	size_t width = step->y->row, count = rows * width;
	float *restrict y = step->y->gradient;
	const float *restrict c = step->constant.data;
	if (step->op == GYR_OP_ADD) {
		if (step->constant.gradient != NULL)
			add_operand_gradient(y, count, &step->constant, 1);
	} else if (step->op == GYR_OP_MUL) {
		EACH(y[i] * c[i]);
	} else if (step->op == GYR_OP_SUB) {
		if (step->constant_first)
			EACH(-y[i]);
	} else if (step->constant_first) {
		/* (c / x)' = -(c / x) / x */
		const float *restrict quotient = step->y->data, *restrict x = step->x->data;
		for (size_t i = 0; i < count; i++)
			y[i] *= -quotient[i] / x[i];
	} else {
		EACH(y[i] / c[i]);
	}
	give(step->x, step->y->gradient, count);
}

static void pair_forward(const struct gyr_tape_step *step, size_t count)
{
	float *restrict y = step->y->data;
	const float *restrict b = step->x2->data;
	const enum gyr_op op = step->op;
	for (size_t i = 0; i < count; i++)
		y[i] = op == GYR_OP_ADD ? y[i] + b[i] : op == GYR_OP_SUB ? y[i] - b[i] : op == GYR_OP_MUL ? y[i] * b[i] : y[i] / b[i];
}

/* The gradient of one computed operand from element I's derivative by y. */
#define GIVE_EACH(tensor, expression)                                                                                                                          \
	do {                                                                                                                                                   \
		float *restrict given = (tensor)->gradient;                                                                                                    \
		const bool add = (tensor)->shared;                                                                                                             \
		for (size_t i = 0; i < count && given != NULL; i++)                                                                                            \
			given[i] = (add ? given[i] : 0) + (expression);                                                                                        \
	} while (0)

static void pair_backward(const struct gyr_tape_step *step, size_t count)
{
	const float *dy = step->y->gradient, *y = step->y->data, *a = step->x->data, *b = step->x2->data;
	switch (step->op) {
	case GYR_OP_ADD:
		give(step->x, dy, count);
		give(step->x2, dy, count);
		break;
	case GYR_OP_SUB:
		give(step->x, dy, count);
		GIVE_EACH(step->x2, -dy[i]);
		break;
	case GYR_OP_MUL:
		GIVE_EACH(step->x, dy[i] * b[i]);
		GIVE_EACH(step->x2, dy[i] * a[i]);
		break;
	case GYR_OP_DIV:
		GIVE_EACH(step->x, dy[i] / b[i]);
		GIVE_EACH(step->x2, -dy[i] * y[i] / b[i]);
		break;
	default: GYR_ASSERT(!"an arithmetic operator");
	}
}

static void softmax_forward(float *y, size_t count, size_t group)
{
	for (size_t at = 0; at < count; at += group, y += group) {
		float most = y[0], sum = 0;
		for (size_t i = 1; i < group; i++)
			most = y[i] > most ? y[i] : most;
		for (size_t i = 0; i < group; i++)
			sum += y[i] = expf(y[i] - most);
		for (size_t i = 0; i < group; i++)
			y[i] /= sum;
	}
}

static void softmax_backward(const float *restrict y, float *restrict dy, size_t count, size_t group)
{
	for (size_t at = 0; at < count; at += group, y += group, dy += group) {
		float sum = 0;
		for (size_t i = 0; i < group; i++)
			sum += dy[i] * y[i];
		for (size_t i = 0; i < group; i++)
			dy[i] = y[i] * (dy[i] - sum);
	}
}

#define CAST_FROM(type)                                                                                                                                        \
	for (size_t i = 0; i < count; i++)                                                                                                                     \
		y[i] = (float)((const type *)x)[i];                                                                                                            \
	break

static void cast_forward(const struct gyr_tape_step *step, size_t count)
{
	float *restrict y = step->y->data;
	const void *restrict x = step->x->data;
	switch (step->x->dtype) {
	case GYR_DTYPE_U8: CAST_FROM(uint8_t);
	case GYR_DTYPE_I8: CAST_FROM(int8_t);
	case GYR_DTYPE_I32: CAST_FROM(int32_t);
	case GYR_DTYPE_I64: CAST_FROM(int64_t);
	case GYR_DTYPE_F64: CAST_FROM(double);
	default: GYR_ASSERT(!"a type that add_cast let through");
	}
}

static void step_forward(const struct gyr_tape_step *step, uint32_t rows)
{
	size_t count = rows * step->y->row;
	float *y = step->y->data;
	switch (step->op) {
	case GYR_OP_GEMM:
	case GYR_OP_MATMUL: product_forward(step, rows); return;
	case GYR_OP_CAST: cast_forward(step, count); return;
	default: break;
	}
	if (step->y != step->x)
		memcpy(y, step->x->data, count * sizeof *y);
	switch (step->op) {
	case GYR_OP_RELU:
		/* Written so that a NaN stays one. */
		for (size_t i = 0; i < count; i++)
			y[i] = y[i] < 0 ? 0 : y[i];
		break;
	case GYR_OP_SIGMOID:
		for (size_t i = 0; i < count; i++)
			y[i] = 1 / (1 + expf(-y[i]));
		break;
	case GYR_OP_TANH:
		for (size_t i = 0; i < count; i++)
			y[i] = tanhf(y[i]);
		break;
	case GYR_OP_SOFTMAX: softmax_forward(y, count, step->group); break;
	default:
		if (step->x2 != NULL)
			pair_forward(step, count);
		else
			constant_forward(step, rows);
	}
}

static void step_backward(const struct gyr_tape_step *step, uint32_t rows)
{
	size_t count = rows * step->y->row;
	const float *restrict y = step->y->data;
	float *restrict dy = step->y->gradient;
	if (dy == NULL)
		return;
	switch (step->op) {
	case GYR_OP_GEMM:
	case GYR_OP_MATMUL: product_backward(step, rows); return;
	case GYR_OP_RELU:
		for (size_t i = 0; i < count; i++)
			dy[i] = y[i] > 0 ? dy[i] : 0;
		break;
	case GYR_OP_SIGMOID:
		for (size_t i = 0; i < count; i++)
			dy[i] *= y[i] * (1 - y[i]);
		break;
	case GYR_OP_TANH:
		for (size_t i = 0; i < count; i++)
			dy[i] *= 1 - y[i] * y[i];
		break;
	case GYR_OP_SOFTMAX: softmax_backward(y, dy, count, step->group); break;
	default:
		if (step->x2 != NULL)
			pair_backward(step, count);
		else
			constant_backward(step, rows);
		return;
	}
	give(step->x, dy, count);
}

void gyr_tape_forward(struct gyr_tape *tape, uint32_t rows)
{
	GYR_ASSERT(rows >= 1 && rows <= tape->batch);
	for (uint32_t i = 0; i < tape->step_count; i++)
		step_forward(&tape->steps[i], rows);
}

/* Zeroes what is added up: gradients of shared tensors, of shared parameters and of constant operands. Those of weights used once are written whole. */
static void clear_gradients(struct gyr_tape *tape, uint32_t rows)
{
	for (uint32_t i = 0; i < tape->tensor_count; i++) {
		struct gyr_tape_tensor *tensor = &tape->tensors[i];
		if (tensor->shared && tensor->gradient != NULL && tensor != tape->output)
			memset(tensor->gradient, 0, rows * tensor->row * sizeof(float));
	}
	for (uint32_t i = 0; i < tape->parameter_count; i++) {
		const struct gyr_tape_parameter *parameter = &tape->parameters[i];
		if (parameter->shared)
			memset(tape->gradients + parameter->first, 0, parameter->count * sizeof(float));
	}
	for (uint32_t i = 0; i < tape->step_count; i++) {
		const struct gyr_tape_operand *constant = &tape->steps[i].constant;
		if (constant->gradient != NULL)
			memset(constant->gradient, 0, constant->count * sizeof(float));
	}
}

void gyr_tape_backward(struct gyr_tape *tape, uint32_t rows)
{
	GYR_ASSERT(rows >= 1 && rows <= tape->batch);
	clear_gradients(tape, rows);
	for (uint32_t i = tape->step_count; i-- > 0;)
		step_backward(&tape->steps[i], rows);
}
