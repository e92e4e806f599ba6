/*
 * Element types and shapes, shared by the engine and the wire.
 */
#ifndef GYR_BASE_TENSOR_H
#define GYR_BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GYR_RANK_MAX 8
#define GYR_DIM_BATCH (-1) /* a dimension that the batch size replaces; only ever the first one */

/* The numbers are those of ONNX (TensorProto.DataType); the wire carries the same. */
enum gyr_dtype {
	GYR_DTYPE_NONE = 0,
	GYR_DTYPE_F32 = 1,
	GYR_DTYPE_U8 = 2,
	GYR_DTYPE_I8 = 3,
	GYR_DTYPE_U16 = 4,
	GYR_DTYPE_I16 = 5,
	GYR_DTYPE_I32 = 6,
	GYR_DTYPE_I64 = 7,
	GYR_DTYPE_BOOL = 9,
	GYR_DTYPE_F16 = 10,
	GYR_DTYPE_F64 = 11,
	GYR_DTYPE_U32 = 12,
	GYR_DTYPE_U64 = 13,
	GYR_DTYPE_BF16 = 16,
};

struct gyr_shape {
	enum gyr_dtype dtype;
	uint32_t rank;              /* 0 (a scalar) to GYR_RANK_MAX */
	int64_t dims[GYR_RANK_MAX]; /* outermost first; each >= 0, or GYR_DIM_BATCH in dims[0] */
};

/* Bytes of one element; 0 for a number that is no type of ours. */
size_t gyr_dtype_bytes(enum gyr_dtype dtype);

/* "f32", "u8", ...; "?" for a number that is no type of ours. */
const char *gyr_dtype_name(enum gyr_dtype dtype);

/* The type of that name, or GYR_DTYPE_NONE. */
enum gyr_dtype gyr_dtype_from_name(const char *name);

/*
 * The number of elements of SHAPE with BATCH in place of GYR_DIM_BATCH, into *COUNT. False when the rank or a dimension is out of range or the bytes
 * would not fit a size_t.
 */
bool gyr_shape_count(const struct gyr_shape *shape, uint64_t batch, size_t *count);

/* The same in bytes. */
bool gyr_shape_bytes(const struct gyr_shape *shape, uint64_t batch, size_t *bytes);

/* Same type, rank and dimensions. */
bool gyr_shape_equal(const struct gyr_shape *a, const struct gyr_shape *b);

/* Writes "f32[N,784]" into TEXT of SIZE bytes and returns TEXT. */
const char *gyr_shape_text(const struct gyr_shape *shape, char *text, size_t size);

#endif
