/*
 * The table of operators: what Gyr runs, from which opset to which. Everything that must know the list (importer, checker, docs) reads it here.
 */
#ifndef GYR_ENGINE_MODEL_OP_H
#define GYR_ENGINE_MODEL_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tensor.h"

#define GYR_OPSET_MIN 7u
#define GYR_OPSET_MAX 22u

enum gyr_op {
	GYR_OP_NONE,
	GYR_OP_ADD,
	GYR_OP_CAST,
	GYR_OP_DIV,
	GYR_OP_FLATTEN,
	GYR_OP_GEMM,
	GYR_OP_IDENTITY,
	GYR_OP_MATMUL,
	GYR_OP_MUL,
	GYR_OP_RELU,
	GYR_OP_RESHAPE,
	GYR_OP_SIGMOID,
	GYR_OP_SOFTMAX,
	GYR_OP_SUB,
	GYR_OP_TANH,
	GYR_OP_COUNT
};

enum gyr_attribute_type { GYR_ATTRIBUTE_INT, GYR_ATTRIBUTE_FLOAT, GYR_ATTRIBUTE_STRING, GYR_ATTRIBUTE_INTS, GYR_ATTRIBUTE_FLOATS };

struct gyr_op_attribute {
	const char *name;
	enum gyr_attribute_type type;
	uint32_t opset_min; /* the first opset that knows it */
	bool required;
};

struct gyr_op_info {
	const char *name; /* ONNX's, as in NodeProto.op_type */
	uint32_t opset_min, opset_max;
	uint32_t input_min, input_max;
	uint32_t output_max; /* at least one is always needed */
	uint32_t attribute_count;
	const struct gyr_op_attribute *attributes;
};

/* The row of OP (not GYR_OP_NONE). Any thread. */
const struct gyr_op_info *gyr_op_info(enum gyr_op op);

/* The operator of that ONNX name in the default domain, or GYR_OP_NONE. */
enum gyr_op gyr_op_from_name(const char *name);

/* The fewest inputs that OP needs at OPSET (Gemm's third became optional with opset 11). */
uint32_t gyr_op_input_min(enum gyr_op op, uint32_t opset);

/* Whether OP (not GYR_OP_NONE) takes elements of DTYPE at OPSET, as ONNX's operator schema says. Of Reshape's inputs: the first. */
bool gyr_op_takes(enum gyr_op op, uint32_t opset, enum gyr_dtype dtype);

#endif
