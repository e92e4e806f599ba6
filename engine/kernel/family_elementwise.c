/*
 * The elementwise family: functions of one element, and of two with broadcasting.
 */
#include <errno.h>

#include "engine/kernel/binary.h"
#include "engine/kernel/cast.h"
#include "engine/kernel/family.h"
#include "engine/kernel/unary.h"
#include "engine/ref/cast.h"
#include "engine/ref/unary.h"

struct cast {
	enum gyr_dtype from, to;
	size_t count;
};

static void run_cast(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct cast *cast = params;
	gyr_kernel_cast(cast->from, cast->to, cast->count, inputs[0], outputs[0]);
}

static void run_cast_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct cast *cast = params;
	gyr_ref_cast(cast->from, cast->to, cast->count, inputs[0], outputs[0]);
}

static int prepare_cast(struct gyr_prepare *prepare)
{
	struct cast *cast = KERNEL_PARAMS(prepare, struct cast);
	if (cast == NULL)
		return -ENOMEM;
	*cast = (struct cast){prepare->inputs[0]->dtype, prepare->outputs[0].dtype, kernel_count(&prepare->outputs[0])};
	prepare->run = prepare->reference ? run_cast_twin : run_cast;
	return 0;
}

struct unary {
	enum gyr_op op;
	size_t count;
};

static void run_unary(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct unary *unary = params;
	gyr_kernel_unary(unary->op, unary->count, inputs[0], outputs[0]);
}

static void run_unary_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct unary *unary = params;
	gyr_ref_unary(unary->op, unary->count, inputs[0], outputs[0]);
}

static int prepare_unary(struct gyr_prepare *prepare)
{
	struct unary *unary = KERNEL_PARAMS(prepare, struct unary);
	if (unary == NULL)
		return -ENOMEM;
	*unary = (struct unary){prepare->node->op, kernel_count(&prepare->outputs[0])};
	prepare->run = prepare->reference ? run_unary_twin : run_unary;
	return kernel_need_f32(prepare, &prepare->outputs[0]);
}

static void run_binary(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_kernel_binary(params, inputs[0], inputs[1], outputs[0]);
}

static void run_binary_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_ref_binary(params, inputs[0], inputs[1], outputs[0]);
}

static int prepare_binary(struct gyr_prepare *prepare)
{
	const struct gyr_shape *a = prepare->inputs[0], *b = prepare->inputs[1];
	if (!gyr_binary_supports(prepare->node->op, a->dtype))
		return gyr_error_set(prepare->error, -ENOTSUP, "it is not run on %s", gyr_dtype_name(a->dtype));
	struct gyr_binary *binary = KERNEL_PARAMS(prepare, struct gyr_binary);
	if (binary == NULL)
		return -ENOMEM;
	gyr_binary_init(binary, prepare->node->op, a, b, 1);
	prepare->run = prepare->reference ? run_binary_twin : run_binary;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_ADD, prepare_binary}, {GYR_OP_DIV, prepare_binary},    {GYR_OP_MUL, prepare_binary}, {GYR_OP_SUB, prepare_binary},
	{GYR_OP_RELU, prepare_unary}, {GYR_OP_SIGMOID, prepare_unary}, {GYR_OP_TANH, prepare_unary}, {GYR_OP_CAST, prepare_cast},
};

const struct kernel_family kernel_family_elementwise = {rows, KERNEL_COUNT(rows)};
