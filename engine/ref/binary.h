/*
 * Functions of two elements, with ONNX's (NumPy's) broadcasting.
 */
#ifndef GYR_ENGINE_REF_BINARY_H
#define GYR_ENGINE_REF_BINARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"
#include "engine/model/op.h"

/* The walk over the result, outermost dimension first; a stride is in elements, 0 where the operand is repeated. */
struct gyr_binary {
	enum gyr_op op;
	enum gyr_dtype dtype, b_dtype, y_dtype; /* of A; of B, which differs for Pow alone; of the result: A's, or bool where the operator compares */
	bool flag;                              /* Mod: the sign is the dividend's (fmod); BitShift: to the right */
	uint32_t rank;
	size_t dims[GYR_RANK_MAX], a_strides[GYR_RANK_MAX], b_strides[GYR_RANK_MAX];
};

/* OP is one of them, and means something on DTYPE. */
bool gyr_binary_supports(enum gyr_op op, enum gyr_dtype dtype);

/* Describes OP on two shapes with BATCH in place of GYR_DIM_BATCH, which broadcast together and have types that are supported (checked before). Neighbouring
 * dimensions that both operands walk alike become one. */
void gyr_binary_init(struct gyr_binary *binary, enum gyr_op op, const struct gyr_shape *a, const struct gyr_shape *b, uint64_t batch);

/* The same on concrete shapes for a result of the shape Y, to which A and B broadcast together with others. */
void gyr_binary_init_to(struct gyr_binary *binary, enum gyr_op op, const struct gyr_shape *a, const struct gyr_shape *b, const struct gyr_shape *y);

/* Y = A op B, each of any alignment; Y is dense and overlaps neither, or is one of them where that one is not repeated. Reals: each result rounded once.
 * Integers wrap, and a division by zero gives 0, so that no content can raise a fault. Any thread. */
void gyr_ref_binary(const struct gyr_binary *binary, const void *a, const void *b, void *y);

#endif
