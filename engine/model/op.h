/*
 * The table of operators: what Gyr runs, from which opset to which. Everything that must know the list (importer, checker, docs) reads it here.
 */
#ifndef GYR_ENGINE_MODEL_OP_H
#define GYR_ENGINE_MODEL_OP_H

#include <stdint.h>

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

struct gyr_op_info {
	const char *name; /* ONNX's, as in NodeProto.op_type */
	uint32_t opset_min, opset_max;
	uint32_t input_min, input_max;
	uint32_t output_max; /* at least one is always needed */
};

/* The row of OP (not GYR_OP_NONE). Any thread. */
const struct gyr_op_info *gyr_op_info(enum gyr_op op);

/* The operator of that ONNX name in the default domain, or GYR_OP_NONE. */
enum gyr_op gyr_op_from_name(const char *name);

#endif
