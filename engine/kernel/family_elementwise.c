/*
 * The elementwise family: functions of one element, and of several with broadcasting.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/binary.h"
#include "engine/kernel/cast.h"
#include "engine/kernel/family.h"
#include "engine/kernel/select.h"
#include "engine/kernel/unary.h"
#include "engine/ref/cast.h"
#include "engine/ref/number.h"
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
	struct gyr_unary unary;
	size_t count;
};

static void run_unary(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct unary *unary = params;
	gyr_kernel_unary(&unary->unary, unary->count, inputs[0], outputs[0]);
}

static void run_unary_twin(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct unary *unary = params;
	gyr_ref_unary(&unary->unary, unary->count, inputs[0], outputs[0]);
}

/* The attributes of functions of one element, and ONNX's defaults. */
static void read_unary(const struct gyr_node *node, struct gyr_unary *unary)
{
	const char *first = "alpha", *second = "beta";
	float alpha = 1, beta = 0;
	switch (node->op) {
	case GYR_OP_HARD_SIGMOID:
		alpha = 0.2f;
		beta = 0.5f;
		break;
	case GYR_OP_IS_INF:
		unary->first = gyr_node_integer(node, "detect_negative", 1) != 0;
		unary->second = gyr_node_integer(node, "detect_positive", 1) != 0;
		break;
	case GYR_OP_GELU: unary->first = strcmp(gyr_node_string(node, "approximate", "none"), "tanh") == 0; break;
	case GYR_OP_LEAKY_RELU: alpha = 0.01f; break;
	case GYR_OP_SELU:
		second = "gamma";
		alpha = 1.67326319217681884765625f;
		beta = 1.05070102214813232421875f;
		break;
	case GYR_OP_SHRINK:
		first = "lambd";
		second = "bias";
		alpha = 0.5f;
		break;
	default: break;
	}
	unary->alpha = gyr_node_number(node, first, alpha);
	unary->beta = gyr_node_number(node, second, beta);
}

static int prepare_unary(struct gyr_prepare *prepare)
{
	struct unary *unary = KERNEL_PARAMS(prepare, struct unary);
	if (unary == NULL)
		return -ENOMEM;
	unary->unary = (struct gyr_unary){.op = prepare->node->op, .from = prepare->inputs[0]->dtype, .to = prepare->outputs[0].dtype};
	unary->count = kernel_count(&prepare->outputs[0]);
	read_unary(prepare->node, &unary->unary);
	prepare->run = prepare->reference ? run_unary_twin : run_unary;
	return 0;
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
	const struct gyr_node *node = prepare->node;
	struct gyr_binary *binary = KERNEL_PARAMS(prepare, struct gyr_binary);
	if (binary == NULL)
		return -ENOMEM;
	gyr_binary_init(binary, node->op, prepare->inputs[0], prepare->inputs[1], 1);
	binary->flag = node->op == GYR_OP_MOD ? gyr_node_integer(node, "fmod", 0) != 0 : strcmp(gyr_node_string(node, "direction", ""), "RIGHT") == 0;
	prepare->run = prepare->reference ? run_binary_twin : run_binary;
	return 0;
}

/* Max, Min, Sum and Mean: the first two into the result, then each further one with it, and at last Mean's division. */
struct many {
	uint32_t count; /* of inputs */
	bool reference;
	enum gyr_dtype dtype;
	size_t elements;
	bool mean;
	struct gyr_binary steps[]; /* count - 1 */
};

static void divide(const struct many *many, void *y)
{
	for (size_t i = 0; i < many->elements; i++) {
		struct gyr_number number = gyr_number_load(many->dtype, y, i);
		number.real /= many->count;
		gyr_number_store(many->dtype, y, i, number);
	}
}

static void run_many(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct many *many = params;
	if (many->count == 1)
		memcpy(outputs[0], inputs[0], many->elements * gyr_dtype_bytes(many->dtype));
	for (uint32_t i = 1; i < many->count; i++)
		(many->reference ? gyr_ref_binary : gyr_kernel_binary)(&many->steps[i - 1], i == 1 ? inputs[0] : outputs[0], inputs[i], outputs[0]);
	if (many->mean && many->count > 1)
		divide(many, outputs[0]);
}

static int prepare_many(struct gyr_prepare *prepare)
{
	const struct gyr_shape *y = &prepare->outputs[0];
	uint32_t count = prepare->node->input_count;
	enum gyr_op op = prepare->node->op;
	struct many *many = kernel_params(prepare, sizeof *many + count * sizeof many->steps[0]);
	if (many == NULL)
		return -ENOMEM;
	*many = (struct many){.count = count, .reference = prepare->reference, .dtype = y->dtype, .elements = kernel_count(y), .mean = op == GYR_OP_MEAN};
	for (uint32_t i = 1; i < count; i++)
		gyr_binary_init_to(&many->steps[i - 1], op == GYR_OP_MEAN || op == GYR_OP_SUM ? GYR_OP_ADD : op, i == 1 ? prepare->inputs[0] : y,
				   prepare->inputs[i], y);
	prepare->run = run_many;
	return 0;
}

static void run_where(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	gyr_kernel_where(params, inputs[0], inputs[1], inputs[2], outputs[0]);
}

static int prepare_where(struct gyr_prepare *prepare)
{
	struct gyr_where *where = KERNEL_PARAMS(prepare, struct gyr_where);
	if (where == NULL)
		return -ENOMEM;
	gyr_where_init(where, prepare->inputs, &prepare->outputs[0]);
	prepare->run = run_where;
	return 0;
}

/* The bounds are inputs, or before opset 11 attributes. */
struct clip {
	enum gyr_dtype dtype;
	size_t count;
	bool low, high; /* which inputs there are */
	bool has_least, has_most;
	double least, most; /* room for an element of any type */
};

static void run_clip(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct clip *clip = params;
	const void *low = clip->low ? inputs[1] : clip->has_least ? &clip->least : NULL;
	const void *high = clip->high ? inputs[2] : clip->has_most ? &clip->most : NULL;
	gyr_kernel_clip(clip->dtype, clip->count, low, high, inputs[0], outputs[0]);
}

static void read_bound(const struct gyr_node *node, const char *name, enum gyr_dtype dtype, bool *has, double *bound)
{
	*has = gyr_node_attribute(node, name) != NULL;
	gyr_number_store(dtype, bound, 0, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = gyr_node_number(node, name, 0)});
}

static int prepare_clip(struct gyr_prepare *prepare)
{
	struct clip *clip = KERNEL_PARAMS(prepare, struct clip);
	if (clip == NULL)
		return -ENOMEM;
	clip->dtype = prepare->outputs[0].dtype;
	clip->count = kernel_count(&prepare->outputs[0]);
	clip->low = kernel_input(prepare, 1) != NULL;
	clip->high = kernel_input(prepare, 2) != NULL;
	read_bound(prepare->node, "min", clip->dtype, &clip->has_least, &clip->least);
	read_bound(prepare->node, "max", clip->dtype, &clip->has_most, &clip->most);
	prepare->run = run_clip;
	return 0;
}

/* With a second output, which may be left out; with one, Dropout is a view. */
struct dropout {
	size_t count;
	enum gyr_dtype dtype, mask;
};

static void run_dropout(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct dropout *dropout = params;
	memcpy(outputs[0], inputs[0], dropout->count * gyr_dtype_bytes(dropout->dtype));
	for (size_t i = 0; outputs[1] != NULL && i < dropout->count; i++)
		gyr_number_store(dropout->mask, outputs[1], i, (struct gyr_number){.kind = GYR_NUMBER_UNSIGNED, .integer = 1});
}

static int prepare_dropout(struct gyr_prepare *prepare)
{
	struct dropout *dropout = KERNEL_PARAMS(prepare, struct dropout);
	if (dropout == NULL)
		return -ENOMEM;
	*dropout = (struct dropout){kernel_count(&prepare->outputs[0]), prepare->outputs[0].dtype, prepare->outputs[1].dtype};
	prepare->run = run_dropout;
	return 0;
}

static const struct kernel_row rows[] = {
	{GYR_OP_ABS, prepare_unary},
	{GYR_OP_ACOS, prepare_unary},
	{GYR_OP_ACOSH, prepare_unary},
	{GYR_OP_ADD, prepare_binary},
	{GYR_OP_AND, prepare_binary},
	{GYR_OP_ASIN, prepare_unary},
	{GYR_OP_ASINH, prepare_unary},
	{GYR_OP_ATAN, prepare_unary},
	{GYR_OP_ATANH, prepare_unary},
	{GYR_OP_BITWISE_AND, prepare_binary},
	{GYR_OP_BITWISE_NOT, prepare_unary},
	{GYR_OP_BITWISE_OR, prepare_binary},
	{GYR_OP_BITWISE_XOR, prepare_binary},
	{GYR_OP_BIT_SHIFT, prepare_binary},
	{GYR_OP_CAST, prepare_cast},
	{GYR_OP_CAST_LIKE, prepare_cast},
	{GYR_OP_CEIL, prepare_unary},
	{GYR_OP_CELU, prepare_unary},
	{GYR_OP_CLIP, prepare_clip},
	{GYR_OP_COS, prepare_unary},
	{GYR_OP_COSH, prepare_unary},
	{GYR_OP_DIV, prepare_binary},
	{GYR_OP_DROPOUT, prepare_dropout},
	{GYR_OP_ELU, prepare_unary},
	{GYR_OP_EQUAL, prepare_binary},
	{GYR_OP_ERF, prepare_unary},
	{GYR_OP_EXP, prepare_unary},
	{GYR_OP_FLOOR, prepare_unary},
	{GYR_OP_GELU, prepare_unary},
	{GYR_OP_GREATER, prepare_binary},
	{GYR_OP_GREATER_OR_EQUAL, prepare_binary},
	{GYR_OP_HARD_SIGMOID, prepare_unary},
	{GYR_OP_HARD_SWISH, prepare_unary},
	{GYR_OP_IS_INF, prepare_unary},
	{GYR_OP_IS_NAN, prepare_unary},
	{GYR_OP_LEAKY_RELU, prepare_unary},
	{GYR_OP_LESS, prepare_binary},
	{GYR_OP_LESS_OR_EQUAL, prepare_binary},
	{GYR_OP_LOG, prepare_unary},
	{GYR_OP_MAX, prepare_many},
	{GYR_OP_MEAN, prepare_many},
	{GYR_OP_MIN, prepare_many},
	{GYR_OP_MISH, prepare_unary},
	{GYR_OP_MOD, prepare_binary},
	{GYR_OP_MUL, prepare_binary},
	{GYR_OP_NEG, prepare_unary},
	{GYR_OP_NOT, prepare_unary},
	{GYR_OP_OR, prepare_binary},
	{GYR_OP_POW, prepare_binary},
	{GYR_OP_PRELU, prepare_binary},
	{GYR_OP_RECIPROCAL, prepare_unary},
	{GYR_OP_RELU, prepare_unary},
	{GYR_OP_ROUND, prepare_unary},
	{GYR_OP_SELU, prepare_unary},
	{GYR_OP_SHRINK, prepare_unary},
	{GYR_OP_SIGMOID, prepare_unary},
	{GYR_OP_SIGN, prepare_unary},
	{GYR_OP_SIN, prepare_unary},
	{GYR_OP_SINH, prepare_unary},
	{GYR_OP_SOFTPLUS, prepare_unary},
	{GYR_OP_SOFTSIGN, prepare_unary},
	{GYR_OP_SQRT, prepare_unary},
	{GYR_OP_SUB, prepare_binary},
	{GYR_OP_SUM, prepare_many},
	{GYR_OP_TAN, prepare_unary},
	{GYR_OP_TANH, prepare_unary},
	{GYR_OP_THRESHOLDED_RELU, prepare_unary},
	{GYR_OP_WHERE, prepare_where},
	{GYR_OP_XOR, prepare_binary},
};

const struct kernel_family kernel_family_elementwise = {rows, KERNEL_COUNT(rows)};
