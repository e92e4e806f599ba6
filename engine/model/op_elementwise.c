/*
 * The elementwise family: functions of one element, and of several with broadcasting. Source: the ONNX operator schemas (docs/Operators.md and
 * docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/model/op_family.h"

static int infer_broadcast(struct gyr_infer *infer)
{
	struct gyr_shape *result = &infer->outputs[0];
	*result = *infer->inputs[0];
	for (uint32_t i = 1; i < infer->node->input_count; i++) {
		const struct gyr_shape *input = infer->inputs[i];
		uint32_t rank = input->rank > result->rank ? input->rank : result->rank;
		int status = op_broadcast(infer, result, result->rank, input, input->rank, result);
		if (status != 0)
			return status;
		result->rank = rank;
	}
	return 0;
}

static int infer_compare(struct gyr_infer *infer)
{
	int status = infer_broadcast(infer);
	infer->outputs[0].dtype = GYR_DTYPE_BOOL;
	return status;
}

static int infer_mod(struct gyr_infer *infer)
{
	enum gyr_dtype dtype = infer->inputs[0]->dtype;
	bool real = dtype == GYR_DTYPE_F16 || dtype == GYR_DTYPE_F32 || dtype == GYR_DTYPE_F64 || dtype == GYR_DTYPE_BF16, sign_of_a;
	int status = op_read_switch(infer, "fmod", &sign_of_a);
	if (status == 0 && real && !sign_of_a)
		status = gyr_error_set(infer->error, -EINVAL, "attribute 'fmod' is 0, and must be 1 on %s", gyr_dtype_name(dtype));
	return status == 0 ? infer_broadcast(infer) : status;
}

static int infer_bit_shift(struct gyr_infer *infer)
{
	const char *direction = gyr_node_string(infer->node, "direction", "");
	if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'direction' is '%.40s' (LEFT or RIGHT)", direction);
	return infer_broadcast(infer);
}

/* The slopes broadcast to X, and not the other way. */
static int infer_prelu(struct gyr_infer *infer)
{
	char x[128], slope[128];
	int status = infer_broadcast(infer);
	if (status == 0 && !gyr_shape_equal(&infer->outputs[0], infer->inputs[0]))
		status = gyr_error_set(infer->error, -EINVAL, "the slope %s does not broadcast to %s", gyr_shape_text(infer->inputs[1], slope, sizeof slope),
				       gyr_shape_text(infer->inputs[0], x, sizeof x));
	return status;
}

static int infer_where(struct gyr_infer *infer)
{
	int status = infer_broadcast(infer);
	infer->outputs[0].dtype = infer->inputs[1]->dtype;
	return status;
}

static int infer_question(struct gyr_infer *infer)
{
	infer->outputs[0] = *infer->inputs[0];
	infer->outputs[0].dtype = GYR_DTYPE_BOOL;
	return 0;
}

static int infer_is_inf(struct gyr_infer *infer)
{
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "detect_negative" : "detect_positive";
		int64_t value = gyr_node_integer(infer->node, name, 1);
		if (value != 0 && value != 1)
			return gyr_error_set(infer->error, -EINVAL, "attribute '%s' is %" PRId64 " (0 or 1)", name, value);
	}
	return infer_question(infer);
}

static int infer_gelu(struct gyr_infer *infer)
{
	const char *approximate = gyr_node_string(infer->node, "approximate", "none");
	if (strcmp(approximate, "none") != 0 && strcmp(approximate, "tanh") != 0)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'approximate' is '%.40s' (none or tanh)", approximate);
	return op_infer_same(infer);
}

/* The bounds are one number each. */
static int infer_clip(struct gyr_infer *infer)
{
	char text[128];
	for (uint32_t i = 1; i < infer->node->input_count; i++) {
		size_t count;
		if (infer->inputs[i] != NULL && (!gyr_shape_count(infer->inputs[i], 1, &count) || count != 1))
			return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is %s (one number)", i,
					     gyr_shape_text(infer->inputs[i], text, sizeof text));
	}
	return op_infer_same(infer);
}

static int infer_cast(struct gyr_infer *infer)
{
	int64_t to = gyr_node_integer(infer->node, "to", GYR_DTYPE_NONE);
	bool saturate;
	if (to < 0 || to > INT32_MAX || !gyr_op_takes(GYR_OP_CAST, infer->opset, (enum gyr_dtype)to))
		return gyr_error_set(infer->error, -EINVAL, "attribute 'to' is %" PRId64 ", no element type that Gyr casts to", to);
	infer->outputs[0] = *infer->inputs[0];
	infer->outputs[0].dtype = (enum gyr_dtype)to;
	return gyr_node_attribute(infer->node, "saturate") != NULL ? op_read_switch(infer, "saturate", &saturate) : 0;
}

static int infer_cast_like(struct gyr_infer *infer)
{
	bool saturate;
	infer->outputs[0] = *infer->inputs[0];
	infer->outputs[0].dtype = infer->inputs[1]->dtype;
	return gyr_node_attribute(infer->node, "saturate") != NULL ? op_read_switch(infer, "saturate", &saturate) : 0;
}

/* Of its second input CastLike takes the type alone. */
static enum gyr_rows rows_cast_like(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return inputs[0];
}

/* For inference: the result is the input, and the mask, where it is asked for, is all ones. */
static int infer_dropout(struct gyr_infer *infer)
{
	const struct gyr_shape *training = gyr_infer_input(infer, 2);
	if (training != NULL && infer->contents[2] == NULL)
		return op_need_content(infer, 2);
	if (training != NULL && *(const uint8_t *)infer->contents[2] != 0)
		return gyr_error_set(infer->error, -EINVAL, "input 2 says that it trains (Gyr runs it for inference)");
	infer->outputs[0] = *infer->inputs[0];
	if (infer->node->output_count > 1) {
		infer->outputs[1] = *infer->inputs[0];
		infer->outputs[1].dtype = infer->opset < 10 ? infer->inputs[0]->dtype : GYR_DTYPE_BOOL;
	}
	return 0;
}

#define FLAG(name) {name, GYR_ATTRIBUTE_INT, 7, false}
#define NUMBER(name) {name, GYR_ATTRIBUTE_FLOAT, 7, false}
static const struct gyr_op_attribute alpha_attributes[] = {NUMBER("alpha")};
static const struct gyr_op_attribute alpha_beta_attributes[] = {NUMBER("alpha"), NUMBER("beta")};
static const struct gyr_op_attribute alpha_gamma_attributes[] = {NUMBER("alpha"), NUMBER("gamma")};
static const struct gyr_op_attribute bias_lambd_attributes[] = {NUMBER("bias"), NUMBER("lambd")};
static const struct gyr_op_attribute bound_attributes[] = {NUMBER("max"), NUMBER("min")};
static const struct gyr_op_attribute cast_attributes[] = {{"saturate", GYR_ATTRIBUTE_INT, 19, false}, {"to", GYR_ATTRIBUTE_INT, 7, true}};
static const struct gyr_op_attribute cast_like_attributes[] = {{"saturate", GYR_ATTRIBUTE_INT, 19, false}};
static const struct gyr_op_attribute detect_attributes[] = {FLAG("detect_negative"), FLAG("detect_positive")};
static const struct gyr_op_attribute fmod_attributes[] = {FLAG("fmod")};
static const struct gyr_op_attribute gelu_attributes[] = {{"approximate", GYR_ATTRIBUTE_STRING, 7, false}};
static const struct gyr_op_attribute ratio_attributes[] = {NUMBER("ratio")};
static const struct gyr_op_attribute seed_attributes[] = {FLAG("seed")};
static const struct gyr_op_attribute shift_attributes[] = {{"direction", GYR_ATTRIBUTE_STRING, 7, true}};

#define INTEGERS (OP_SIGNED | OP_UNSIGNED)
static const struct gyr_op_type all_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type arithmetic_types[] = {{'T', 7, OP_FLOATS | OP_INTS_WIDE}, {'T', 13, OP_BIT(BF16)}, {'T', 14, OP_INTS_NARROW}};
static const struct gyr_op_type bool_types[] = {{'T', 7, OP_BIT(BOOL)}};
static const struct gyr_op_type cast_like_types[] = {{'T', 15, OP_ALL | OP_BIT(BF16)}, {'U', 15, OP_ALL | OP_BIT(BF16)}};
static const struct gyr_op_type clip_types[] = {{'T', 11, OP_FLOATS}, {'T', 12, INTEGERS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type dropout_types[] = {
	{'T', 12, OP_FLOATS}, {'T', 13, OP_BIT(BF16)}, {'U', 12, OP_FLOATS}, {'U', 22, OP_BIT(BF16)}, {'V', 12, OP_BIT(BOOL)}};
static const struct gyr_op_type equal_types[] = {{'T', 7, OP_BIT(BOOL) | OP_BIT(I32) | OP_BIT(I64)}, {'T', 11, OP_NUMBERS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type extreme_types[] = {{'T', 7, OP_FLOATS}, {'T', 12, INTEGERS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type f32_types[] = {{'T', 7, OP_BIT(F32)}};
static const struct gyr_op_type floats_types[] = {{'T', 7, OP_FLOATS}};
static const struct gyr_op_type floats_13_types[] = {{'T', 7, OP_FLOATS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type floats_16_types[] = {{'T', 7, OP_FLOATS}, {'T', 16, OP_BIT(BF16)}};
static const struct gyr_op_type floats_20_types[] = {{'T', 7, OP_FLOATS}, {'T', 20, OP_BIT(BF16)}};
static const struct gyr_op_type floats_22_types[] = {{'T', 7, OP_FLOATS}, {'T', 22, OP_BIT(BF16)}};
static const struct gyr_op_type integer_types[] = {{'T', 7, INTEGERS}};
static const struct gyr_op_type is_inf_types[] = {{'T', 10, OP_BIT(F32) | OP_BIT(F64)}, {'T', 20, OP_BIT(F16) | OP_BIT(BF16)}};
static const struct gyr_op_type neg_types[] = {{'T', 7, OP_FLOATS | OP_SIGNED}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type numbers_types[] = {{'T', 7, OP_NUMBERS}};
static const struct gyr_op_type numbers_13_types[] = {{'T', 7, OP_NUMBERS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type numbers_16_types[] = {{'T', 7, OP_NUMBERS}, {'T', 16, OP_BIT(BF16)}};
static const struct gyr_op_type order_types[] = {{'T', 7, OP_FLOATS}, {'T', 9, INTEGERS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type pow_types[] = {
	{'T', 12, OP_FLOATS | OP_BIT(I32) | OP_BIT(I64)}, {'T', 13, OP_BIT(BF16)}, {'U', 12, OP_NUMBERS}, {'U', 15, OP_BIT(BF16)}};
static const struct gyr_op_type prelu_types[] = {{'T', 7, OP_FLOATS}, {'T', 9, OP_INTS_WIDE}, {'T', 16, OP_BIT(BF16)}};
static const struct gyr_op_type relu_types[] = {{'T', 7, OP_FLOATS}, {'T', 13, OP_BIT(BF16)}, {'T', 14, OP_SIGNED}};
static const struct gyr_op_type unsigned_types[] = {{'T', 7, OP_UNSIGNED}};
static const struct gyr_op_type where_types[] = {{'B', 7, OP_BIT(BOOL)}, {'T', 7, OP_ALL}, {'T', 16, OP_BIT(BF16)}};

/* A row from opset FIRST on; what else it has comes after. */
#define ROW(op_, name_, first, types_, infer_)                                                                                                                 \
	.op = GYR_OP_##op_, .name = name_, OP_OPSETS(first, GYR_OPSET_MAX), OP_OUTPUTS(1, "T"), OP_TYPES(types_), .infer = infer_, .rows = gyr_rows_broadcast, \
	.rows_anywhere = true, .rows_inside = true
#define UNARY(op_, name_, first, types_) ROW(op_, name_, first, types_, op_infer_same), OP_INPUTS(1, 1, "T")
#define BINARY(op_, name_, first, types_, infer_) ROW(op_, name_, first, types_, infer_), OP_INPUTS(2, 2, "T")
#define COMPARE(op_, name_, first, types_) BINARY(op_, name_, first, types_, infer_compare)
#define MANY(op_, name_, types_) ROW(op_, name_, 7, types_, infer_broadcast), OP_INPUTS(1, GYR_OP_VARIADIC, "T")

static const struct gyr_op_info rows[] = {
	{UNARY(ABS, "Abs", 7, numbers_13_types)},
	{UNARY(ACOS, "Acos", 7, floats_22_types)},
	{UNARY(ACOSH, "Acosh", 9, floats_22_types)},
	{BINARY(ADD, "Add", 7, arithmetic_types, infer_broadcast)},
	{BINARY(AND, "And", 7, bool_types, infer_broadcast)},
	{UNARY(ASIN, "Asin", 7, floats_22_types)},
	{UNARY(ASINH, "Asinh", 9, floats_22_types)},
	{UNARY(ATAN, "Atan", 7, floats_22_types)},
	{UNARY(ATANH, "Atanh", 9, floats_22_types)},
	{BINARY(BITWISE_AND, "BitwiseAnd", 18, integer_types, infer_broadcast)},
	{UNARY(BITWISE_NOT, "BitwiseNot", 18, integer_types)},
	{BINARY(BITWISE_OR, "BitwiseOr", 18, integer_types, infer_broadcast)},
	{BINARY(BITWISE_XOR, "BitwiseXor", 18, integer_types, infer_broadcast)},
	{BINARY(BIT_SHIFT, "BitShift", 11, unsigned_types, infer_bit_shift), OP_ATTRIBUTES(shift_attributes)},
	{ROW(CAST, "Cast", 7, all_types, infer_cast), OP_INPUTS(1, 1, "T"), OP_ATTRIBUTES(cast_attributes), .view = true},
	{.op = GYR_OP_CAST_LIKE,
	 .name = "CastLike",
	 OP_OPSETS(15, GYR_OPSET_MAX),
	 OP_INPUTS(2, 2, "TU"),
	 OP_OUTPUTS(1, "U"),
	 OP_TYPES(cast_like_types),
	 OP_ATTRIBUTES(cast_like_attributes),
	 .infer = infer_cast_like,
	 .rows = rows_cast_like,
	 .view = true},
	{UNARY(CEIL, "Ceil", 7, floats_13_types)},
	{UNARY(CELU, "Celu", 12, f32_types), OP_ATTRIBUTES(alpha_attributes)},
	{.op = GYR_OP_CLIP,
	 .name = "Clip",
	 OP_OPSETS(7, 10),
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(floats_types),
	 OP_ATTRIBUTES(bound_attributes),
	 .infer = op_infer_same,
	 .rows = gyr_rows_broadcast},
	{ROW(CLIP, "Clip", 11, clip_types, infer_clip), OP_INPUTS(1, 3, "T")},
	{UNARY(COS, "Cos", 7, floats_22_types)},
	{UNARY(COSH, "Cosh", 9, floats_22_types)},
	{BINARY(DIV, "Div", 7, arithmetic_types, infer_broadcast)},
	{.op = GYR_OP_DROPOUT,
	 .name = "Dropout",
	 OP_OPSETS(7, 11),
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(2, "TM"),
	 OP_TYPES(floats_types),
	 OP_ATTRIBUTES(ratio_attributes),
	 .infer = infer_dropout,
	 .rows = gyr_rows_first,
	 .view = true},
	{.op = GYR_OP_DROPOUT,
	 .name = "Dropout",
	 OP_OPSETS(12, GYR_OPSET_MAX),
	 OP_INPUTS(1, 3, "TUV"),
	 OP_OUTPUTS(2, "TV"),
	 OP_TYPES(dropout_types),
	 OP_ATTRIBUTES(seed_attributes),
	 .infer = infer_dropout,
	 .rows = gyr_rows_first,
	 .view = true},
	{UNARY(ELU, "Elu", 7, floats_22_types), OP_ATTRIBUTES(alpha_attributes)},
	{COMPARE(EQUAL, "Equal", 7, equal_types)},
	{UNARY(ERF, "Erf", 9, numbers_13_types)},
	{UNARY(EXP, "Exp", 7, floats_13_types)},
	{UNARY(FLOOR, "Floor", 7, floats_13_types)},
	{ROW(GELU, "Gelu", 20, floats_20_types, infer_gelu), OP_INPUTS(1, 1, "T"), OP_ATTRIBUTES(gelu_attributes)},
	{COMPARE(GREATER, "Greater", 7, order_types)},
	{COMPARE(GREATER_OR_EQUAL, "GreaterOrEqual", 12, numbers_16_types)},
	{UNARY(HARD_SIGMOID, "HardSigmoid", 7, floats_22_types), OP_ATTRIBUTES(alpha_beta_attributes)},
	{UNARY(HARD_SWISH, "HardSwish", 14, floats_22_types)},
	{ROW(IS_INF, "IsInf", 10, is_inf_types, infer_is_inf), OP_INPUTS(1, 1, "T"), OP_ATTRIBUTES(detect_attributes)},
	{ROW(IS_NAN, "IsNaN", 9, floats_13_types, infer_question), OP_INPUTS(1, 1, "T")},
	{UNARY(LEAKY_RELU, "LeakyRelu", 7, floats_16_types), OP_ATTRIBUTES(alpha_attributes)},
	{COMPARE(LESS, "Less", 7, order_types)},
	{COMPARE(LESS_OR_EQUAL, "LessOrEqual", 12, numbers_16_types)},
	{UNARY(LOG, "Log", 7, floats_13_types)},
	{MANY(MAX, "Max", extreme_types)},
	{MANY(MEAN, "Mean", floats_13_types)},
	{MANY(MIN, "Min", extreme_types)},
	{UNARY(MISH, "Mish", 18, floats_22_types)},
	{BINARY(MOD, "Mod", 10, numbers_13_types, infer_mod), OP_ATTRIBUTES(fmod_attributes)},
	{BINARY(MUL, "Mul", 7, arithmetic_types, infer_broadcast)},
	{UNARY(NEG, "Neg", 7, neg_types)},
	{UNARY(NOT, "Not", 7, bool_types)},
	{BINARY(OR, "Or", 7, bool_types, infer_broadcast)},
	{.op = GYR_OP_POW,
	 .name = "Pow",
	 OP_OPSETS(7, 11),
	 OP_INPUTS(2, 2, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(floats_types),
	 .infer = infer_broadcast,
	 .rows = gyr_rows_broadcast},
	{ROW(POW, "Pow", 12, pow_types, infer_broadcast), OP_INPUTS(2, 2, "TU")},
	{BINARY(PRELU, "PRelu", 7, prelu_types, infer_prelu)},
	{UNARY(RECIPROCAL, "Reciprocal", 7, floats_13_types)},
	{UNARY(RELU, "Relu", 7, relu_types)},
	{UNARY(ROUND, "Round", 11, floats_22_types)},
	{UNARY(SELU, "Selu", 7, floats_22_types), OP_ATTRIBUTES(alpha_gamma_attributes)},
	{UNARY(SHRINK, "Shrink", 9, numbers_types), OP_ATTRIBUTES(bias_lambd_attributes)},
	{UNARY(SIGMOID, "Sigmoid", 7, floats_13_types)},
	{UNARY(SIGN, "Sign", 9, numbers_13_types)},
	{UNARY(SIN, "Sin", 7, floats_22_types)},
	{UNARY(SINH, "Sinh", 9, floats_22_types)},
	{UNARY(SOFTPLUS, "Softplus", 7, floats_22_types)},
	{UNARY(SOFTSIGN, "Softsign", 7, floats_22_types)},
	{UNARY(SQRT, "Sqrt", 7, floats_13_types)},
	{BINARY(SUB, "Sub", 7, arithmetic_types, infer_broadcast)},
	{MANY(SUM, "Sum", floats_13_types)},
	{UNARY(TAN, "Tan", 7, floats_22_types)},
	{UNARY(TANH, "Tanh", 7, floats_13_types)},
	{UNARY(THRESHOLDED_RELU, "ThresholdedRelu", 10, floats_22_types), OP_ATTRIBUTES(alpha_attributes)},
	{ROW(WHERE, "Where", 9, where_types, infer_where), OP_INPUTS(3, 3, "BT")},
	{BINARY(XOR, "Xor", 7, bool_types, infer_broadcast)},
};

const struct op_family op_family_elementwise = {rows, OP_COUNT(rows)};
