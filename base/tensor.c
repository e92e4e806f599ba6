#include "base/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	size_t bytes;
} types[] = {
	[GYR_DTYPE_F32] = {"f32", 4}, [GYR_DTYPE_U8] = {"u8", 1},   [GYR_DTYPE_I8] = {"i8", 1},     [GYR_DTYPE_U16] = {"u16", 2}, [GYR_DTYPE_I16] = {"i16", 2},
	[GYR_DTYPE_I32] = {"i32", 4}, [GYR_DTYPE_I64] = {"i64", 8}, [GYR_DTYPE_BOOL] = {"bool", 1}, [GYR_DTYPE_F16] = {"f16", 2}, [GYR_DTYPE_F64] = {"f64", 8},
	[GYR_DTYPE_U32] = {"u32", 4}, [GYR_DTYPE_U64] = {"u64", 8}, [GYR_DTYPE_BF16] = {"bf16", 2},
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

size_t gyr_dtype_bytes(enum gyr_dtype dtype)
{
	return (unsigned)dtype < TYPE_COUNT ? types[dtype].bytes : 0;
}

const char *gyr_dtype_name(enum gyr_dtype dtype)
{
	return (unsigned)dtype < TYPE_COUNT && types[dtype].name != NULL ? types[dtype].name : "?";
}

enum gyr_dtype gyr_dtype_from_name(const char *name)
{
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (types[i].name != NULL && strcmp(types[i].name, name) == 0)
			return (enum gyr_dtype)i;
	return GYR_DTYPE_NONE;
}

bool gyr_shape_count(const struct gyr_shape *shape, uint64_t batch, size_t *count)
{
	size_t total = 1, bytes = gyr_dtype_bytes(shape->dtype);
	if (shape->rank > GYR_RANK_MAX || bytes == 0)
		return false;
	for (uint32_t i = 0; i < shape->rank; i++) {
		uint64_t dim = (uint64_t)shape->dims[i];
		if (shape->dims[i] == GYR_DIM_BATCH && i == 0)
			dim = batch;
		else if (shape->dims[i] < 0)
			return false;
		if (__builtin_mul_overflow(total, dim, &total))
			return false;
	}
	if (total > (size_t)PTRDIFF_MAX / bytes)
		return false;
	*count = total;
	return true;
}

bool gyr_shape_bytes(const struct gyr_shape *shape, uint64_t batch, size_t *bytes)
{
	size_t count;
	if (!gyr_shape_count(shape, batch, &count))
		return false;
	*bytes = count * gyr_dtype_bytes(shape->dtype);
	return true;
}

bool gyr_shape_equal(const struct gyr_shape *a, const struct gyr_shape *b)
{
	return a->dtype == b->dtype && a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

const char *gyr_shape_text(const struct gyr_shape *shape, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s[", gyr_dtype_name(shape->dtype));
	for (uint32_t i = 0; i < shape->rank && i < GYR_RANK_MAX && used < size; i++) {
		const char *comma = i == 0 ? "" : ",";
		if (shape->dims[i] == GYR_DIM_BATCH)
			used += (size_t)snprintf(text + used, size - used, "%sN", comma);
		else
			used += (size_t)snprintf(text + used, size - used, "%s%" PRId64, comma, shape->dims[i]);
	}
	if (used < size)
		snprintf(text + used, size - used, "]");
	return text;
}
