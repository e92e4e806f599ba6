/*
 * The operator table. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include "engine/model/op.h"

#include <stddef.h>
#include <string.h>

#include "base/assertion.h"

static const struct gyr_op_attribute cast_attributes[] = {{"to", GYR_ATTRIBUTE_INT, 7, true}, {"saturate", GYR_ATTRIBUTE_INT, 19, false}};
static const struct gyr_op_attribute axis_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}};
static const struct gyr_op_attribute gemm_attributes[] = {
	{"alpha", GYR_ATTRIBUTE_FLOAT, 7, false},
	{"beta", GYR_ATTRIBUTE_FLOAT, 7, false},
	{"transA", GYR_ATTRIBUTE_INT, 7, false},
	{"transB", GYR_ATTRIBUTE_INT, 7, false},
};
static const struct gyr_op_attribute reshape_attributes[] = {{"allowzero", GYR_ATTRIBUTE_INT, 14, false}};

#define OP(name, inputs_min, inputs_max) {name, GYR_OPSET_MIN, GYR_OPSET_MAX, inputs_min, inputs_max, 1, 0, NULL}
#define OP_WITH(name, inputs_min, inputs_max, attributes)                                                                                                      \
	{name, GYR_OPSET_MIN, GYR_OPSET_MAX, inputs_min, inputs_max, 1, sizeof(attributes) / sizeof((attributes)[0]), attributes}

static const struct gyr_op_info table[GYR_OP_COUNT] = {
	[GYR_OP_ADD] = OP("Add", 2, 2),
	[GYR_OP_CAST] = OP_WITH("Cast", 1, 1, cast_attributes),
	[GYR_OP_DIV] = OP("Div", 2, 2),
	[GYR_OP_FLATTEN] = OP_WITH("Flatten", 1, 1, axis_attributes),
	[GYR_OP_GEMM] = OP_WITH("Gemm", 2, 3, gemm_attributes),
	[GYR_OP_IDENTITY] = OP("Identity", 1, 1),
	[GYR_OP_MATMUL] = OP("MatMul", 2, 2),
	[GYR_OP_MUL] = OP("Mul", 2, 2),
	[GYR_OP_RELU] = OP("Relu", 1, 1),
	[GYR_OP_RESHAPE] = OP_WITH("Reshape", 2, 2, reshape_attributes),
	[GYR_OP_SIGMOID] = OP("Sigmoid", 1, 1),
	[GYR_OP_SOFTMAX] = OP_WITH("Softmax", 1, 1, axis_attributes),
	[GYR_OP_SUB] = OP("Sub", 2, 2),
	[GYR_OP_TANH] = OP("Tanh", 1, 1),
};

#define BIT(type) (UINT32_C(1) << GYR_DTYPE_##type)
#define FLOATS (BIT(F16) | BIT(F32) | BIT(F64))
#define INTS_WIDE (BIT(I32) | BIT(I64) | BIT(U32) | BIT(U64))
#define INTS_NARROW (BIT(I8) | BIT(I16) | BIT(U8) | BIT(U16))
#define ALL (FLOATS | INTS_WIDE | INTS_NARROW | BIT(BOOL))

/* Which types joined with which opset; a row holds for its opset and all later ones. */
static const struct {
	uint8_t op, opset_min;
	uint32_t types;
} takes[] = {
	{GYR_OP_ADD, 7, FLOATS | INTS_WIDE},
	{GYR_OP_ADD, 13, BIT(BF16)},
	{GYR_OP_ADD, 14, INTS_NARROW},
	{GYR_OP_CAST, 7, ALL},
	{GYR_OP_CAST, 13, BIT(BF16)},
	{GYR_OP_DIV, 7, FLOATS | INTS_WIDE},
	{GYR_OP_DIV, 13, BIT(BF16)},
	{GYR_OP_DIV, 14, INTS_NARROW},
	{GYR_OP_FLATTEN, 7, FLOATS},
	{GYR_OP_FLATTEN, 9, ALL},
	{GYR_OP_FLATTEN, 13, BIT(BF16)},
	{GYR_OP_GEMM, 7, FLOATS},
	{GYR_OP_GEMM, 9, INTS_WIDE},
	{GYR_OP_GEMM, 13, BIT(BF16)},
	{GYR_OP_IDENTITY, 7, ALL},
	{GYR_OP_IDENTITY, 13, BIT(BF16)},
	{GYR_OP_MATMUL, 7, FLOATS},
	{GYR_OP_MATMUL, 9, INTS_WIDE},
	{GYR_OP_MATMUL, 13, BIT(BF16)},
	{GYR_OP_MUL, 7, FLOATS | INTS_WIDE},
	{GYR_OP_MUL, 13, BIT(BF16)},
	{GYR_OP_MUL, 14, INTS_NARROW},
	{GYR_OP_RELU, 7, FLOATS},
	{GYR_OP_RELU, 13, BIT(BF16)},
	{GYR_OP_RELU, 14, BIT(I8) | BIT(I16) | BIT(I32) | BIT(I64)},
	{GYR_OP_RESHAPE, 7, ALL},
	{GYR_OP_RESHAPE, 13, BIT(BF16)},
	{GYR_OP_SIGMOID, 7, FLOATS},
	{GYR_OP_SIGMOID, 13, BIT(BF16)},
	{GYR_OP_SOFTMAX, 7, FLOATS},
	{GYR_OP_SOFTMAX, 13, BIT(BF16)},
	{GYR_OP_SUB, 7, FLOATS | INTS_WIDE},
	{GYR_OP_SUB, 13, BIT(BF16)},
	{GYR_OP_SUB, 14, INTS_NARROW},
	{GYR_OP_TANH, 7, FLOATS},
	{GYR_OP_TANH, 13, BIT(BF16)},
};

const struct gyr_op_info *gyr_op_info(enum gyr_op op)
{
	GYR_ASSERT(op > GYR_OP_NONE);
	GYR_ASSERT(op < GYR_OP_COUNT);
	return &table[op];
}

enum gyr_op gyr_op_from_name(const char *name)
{
	for (int op = GYR_OP_NONE + 1; op < GYR_OP_COUNT; op++)
		if (strcmp(table[op].name, name) == 0)
			return (enum gyr_op)op;
	return GYR_OP_NONE;
}

uint32_t gyr_op_input_min(enum gyr_op op, uint32_t opset)
{
	return op == GYR_OP_GEMM && opset < 11 ? 3 : gyr_op_info(op)->input_min;
}

bool gyr_op_takes(enum gyr_op op, uint32_t opset, enum gyr_dtype dtype)
{
	if ((unsigned)dtype >= 32)
		return false;
	for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++)
		if (takes[i].op == op && takes[i].opset_min <= opset && (takes[i].types >> dtype & 1) != 0)
			return true;
	return false;
}
