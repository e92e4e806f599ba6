/*
 * What the files of operator families share: the form of their tables, and the parts that many inference functions need. Inside engine/model.
 */
#ifndef GYR_ENGINE_MODEL_OP_FAMILY_H
#define GYR_ENGINE_MODEL_OP_FAMILY_H

#include "base/error.h"
#include "engine/model/infer.h"
#include "engine/model/op.h"
#include "engine/model/rows.h"

struct op_family {
	const struct gyr_op_info *rows;
	uint32_t count;
};

/* Every family, op_family_NAME; one a line, sorted. */
#define OP_FAMILIES(X)                                                                                                                                         \
	X(arrange)                                                                                                                                             \
	X(choose)                                                                                                                                              \
	X(convolution)                                                                                                                                         \
	X(einsum)                                                                                                                                              \
	X(elementwise)                                                                                                                                         \
	X(filling)                                                                                                                                             \
	X(flow)                                                                                                                                                \
	X(indexing)                                                                                                                                            \
	X(integer)                                                                                                                                             \
	X(loss)                                                                                                                                                \
	X(matrix)                                                                                                                                              \
	X(ml)                                                                                                                                                  \
	X(movement)                                                                                                                                            \
	X(normalise)                                                                                                                                           \
	X(quantise)                                                                                                                                            \
	X(recurrent)                                                                                                                                           \
	X(reduce)                                                                                                                                              \
	X(resize)                                                                                                                                              \
	X(sample)                                                                                                                                              \
	X(signal)                                                                                                                                              \
	X(square)                                                                                                                                              \
	X(trees)

#define OP_FAMILY_DECLARE(name) extern const struct op_family op_family_##name;
OP_FAMILIES(OP_FAMILY_DECLARE)
#undef OP_FAMILY_DECLARE

extern const struct op_family op_family_internal; /* of operators that no file can hold: only gyr_op_info knows it */

#define OP_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OP_TYPES(array) .types = (array), .type_count = OP_COUNT(array)
#define OP_ATTRIBUTES(array) .attributes = (array), .attribute_count = OP_COUNT(array)
#define OP_OPSETS(min, max) .opset_min = (min), .opset_max = (max)
#define OP_EVERY_OPSET OP_OPSETS(GYR_OPSET_MIN, GYR_OPSET_MAX)
#define OP_INPUTS(min, max, letters) .input_min = (min), .input_max = (max), .inputs = (letters)
#define OP_OUTPUTS(max, letters) .output_max = (max), .outputs = (letters)

#define OP_BIT(type) (UINT32_C(1) << GYR_DTYPE_##type)
#define OP_FLOATS (OP_BIT(F16) | OP_BIT(F32) | OP_BIT(F64))
#define OP_SIGNED (OP_BIT(I8) | OP_BIT(I16) | OP_BIT(I32) | OP_BIT(I64))
#define OP_UNSIGNED (OP_BIT(U8) | OP_BIT(U16) | OP_BIT(U32) | OP_BIT(U64))
#define OP_INTS_WIDE (OP_BIT(I32) | OP_BIT(I64) | OP_BIT(U32) | OP_BIT(U64))
#define OP_INTS_NARROW (OP_BIT(I8) | OP_BIT(I16) | OP_BIT(U8) | OP_BIT(U16))
#define OP_NUMBERS (OP_FLOATS | OP_SIGNED | OP_UNSIGNED)
#define OP_ALL (OP_NUMBERS | OP_BIT(BOOL))

/* An attribute that is a switch, off where it is left out. -EINVAL where it is neither 0 nor 1. */
GYR_MUST_CHECK int op_read_switch(struct gyr_infer *infer, const char *name, bool *on);

/* VALUE as an axis of RANK dimensions counted from the front; MAX is the largest allowed. NAME is the attribute's or the input's. -EINVAL. */
GYR_MUST_CHECK int op_check_axis(struct gyr_infer *infer, const char *name, int64_t value, uint32_t rank, int64_t max, uint32_t *axis);

/* The attribute "axis", or OTHERWISE where it is left out. */
GYR_MUST_CHECK int op_read_axis(struct gyr_infer *infer, int64_t otherwise, uint32_t rank, int64_t max, uint32_t *axis);

/* The product of dimensions [FROM, TO) of SHAPE. -EINVAL: it overflows. */
GYR_MUST_CHECK int op_product(struct gyr_infer *infer, const struct gyr_shape *shape, uint32_t from, uint32_t to, int64_t *total);

/* Broadcasts the first A_RANK and B_RANK dimensions of A and B into those of RESULT (ONNX's multidirectional rule), whose rank it leaves alone. RESULT may be
 * A. -EINVAL. */
GYR_MUST_CHECK int op_broadcast(struct gyr_infer *infer, const struct gyr_shape *a, uint32_t a_rank, const struct gyr_shape *b, uint32_t b_rank,
				struct gyr_shape *result);

/*
 * The content of input INDEX as up to MAX whole numbers, an i64 or i32 vector (or a scalar, which is one number): how axes, shapes and sizes are given. *COUNT
 * is how many. -EINVAL: of another type or rank, or more than MAX. -EAGAIN: not known yet.
 */
GYR_MUST_CHECK int op_read_integers(struct gyr_infer *infer, uint32_t index, int64_t *items, uint32_t max, uint32_t *count);

/* Says that the content of input INDEX must be known first. Returns -EAGAIN. */
int op_need_content(struct gyr_infer *infer, uint32_t index);

/*
 * The dimensions of output 0 as the product of A and B, as numpy.matmul: a vector on the left is a row and on the right a column, and that dimension goes
 * again; leading dimensions broadcast. -EINVAL.
 */
GYR_MUST_CHECK int op_infer_matmul(struct gyr_infer *infer, const struct gyr_shape *a, const struct gyr_shape *b);

/* Output 0 has the type and shape of input 0. */
int op_infer_same(struct gyr_infer *infer);

#endif
