/*
 * The elementwise family: functions of one element, and of several with broadcasting. Source: the ONNX operator schemas (docs/Operators.md and
 * docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>

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

static const struct gyr_op_attribute cast_attributes[] = {{"to", GYR_ATTRIBUTE_INT, 7, true}, {"saturate", GYR_ATTRIBUTE_INT, 19, false}};

static const struct gyr_op_type all_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type float_types[] = {{'T', 7, OP_FLOATS}, {'T', 13, OP_BIT(BF16)}};
static const struct gyr_op_type arithmetic_types[] = {{'T', 7, OP_FLOATS | OP_INTS_WIDE}, {'T', 13, OP_BIT(BF16)}, {'T', 14, OP_INTS_NARROW}};
static const struct gyr_op_type relu_types[] = {{'T', 7, OP_FLOATS}, {'T', 13, OP_BIT(BF16)}, {'T', 14, OP_SIGNED}};

#define UNARY(op_, name_, types_)                                                                                                                              \
	{.op = GYR_OP_##op_,                                                                                                                                   \
	 .name = name_,                                                                                                                                        \
	 OP_EVERY_OPSET,                                                                                                                                       \
	 OP_INPUTS(1, 1, "T"),                                                                                                                                 \
	 OP_OUTPUTS(1, "T"),                                                                                                                                   \
	 OP_TYPES(types_),                                                                                                                                     \
	 .infer = op_infer_same,                                                                                                                               \
	 .rows = gyr_rows_broadcast}
#define ARITHMETIC(op_, name_)                                                                                                                                 \
	{.op = GYR_OP_##op_,                                                                                                                                   \
	 .name = name_,                                                                                                                                        \
	 OP_EVERY_OPSET,                                                                                                                                       \
	 OP_INPUTS(2, 2, "T"),                                                                                                                                 \
	 OP_OUTPUTS(1, "T"),                                                                                                                                   \
	 OP_TYPES(arithmetic_types),                                                                                                                           \
	 .infer = infer_broadcast,                                                                                                                             \
	 .rows = gyr_rows_broadcast}

static const struct gyr_op_info rows[] = {
	ARITHMETIC(ADD, "Add"),
	ARITHMETIC(DIV, "Div"),
	ARITHMETIC(MUL, "Mul"),
	ARITHMETIC(SUB, "Sub"),
	UNARY(RELU, "Relu", relu_types),
	UNARY(SIGMOID, "Sigmoid", float_types),
	UNARY(TANH, "Tanh", float_types),
	{.op = GYR_OP_CAST,
	 .name = "Cast",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "U"),
	 OP_TYPES(all_types),
	 OP_ATTRIBUTES(cast_attributes),
	 .infer = infer_cast,
	 .rows = gyr_rows_broadcast,
	 .view = true},
};

const struct op_family op_family_elementwise = {rows, OP_COUNT(rows)};
