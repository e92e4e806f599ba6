/*
 * TensorProto: elements lie in raw_data, or in the typed field that onnx.proto names for their type.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/onnx/onnx_internal.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw_data is little-endian, and taken as it is");

/* The typed field of TENSOR's type: where, and how many elements of how many bytes. */
static const void *typed_field(const Onnx__TensorProto *tensor, size_t *count, size_t *bytes)
{
	switch (tensor->data_type) {
	case GYR_DTYPE_F32:
		*count = tensor->n_float_data;
		*bytes = 4;
		return tensor->float_data;
	case GYR_DTYPE_F64:
		*count = tensor->n_double_data;
		*bytes = 8;
		return tensor->double_data;
	case GYR_DTYPE_I64:
		*count = tensor->n_int64_data;
		*bytes = 8;
		return tensor->int64_data;
	case GYR_DTYPE_U32:
	case GYR_DTYPE_U64:
		*count = tensor->n_uint64_data;
		*bytes = 8;
		return tensor->uint64_data;
	default:
		*count = tensor->n_int32_data;
		*bytes = 4;
		return tensor->int32_data;
	}
}

/* That exactly the elements of a tensor of BYTES are there. */
static int check_count(const Onnx__TensorProto *tensor, size_t bytes, struct gyr_error *error)
{
	size_t count, typed_bytes;
	typed_field(tensor, &count, &typed_bytes);
	size_t needed = bytes / gyr_dtype_bytes((enum gyr_dtype)tensor->data_type);
	if (tensor->has_raw_data && tensor->raw_data.len != 0)
		return tensor->raw_data.len == bytes && count == 0
			       ? 0
			       : gyr_error_set(error, -EINVAL, "%zu bytes of raw data and %zu elements beside them (its shape needs %zu bytes)",
					       tensor->raw_data.len, count, bytes);
	return count == needed ? 0 : gyr_error_set(error, -EINVAL, "%zu elements (its shape needs %zu)", count, needed);
}

int onnx_tensor_shape(const Onnx__TensorProto *tensor, struct gyr_shape *shape, size_t *bytes, struct gyr_error *error)
{
	if (tensor->n_external_data != 0 || tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
		return gyr_error_set(error, -EPERM, "its data are in another file, which is never followed (save the model in one file)");
	if (tensor->segment != NULL)
		return gyr_error_set(error, -ENOTSUP, "it is a segment of a tensor");
	if (gyr_dtype_bytes((enum gyr_dtype)tensor->data_type) == 0)
		return gyr_error_set(error, -ENOTSUP, "element type %" PRId32, tensor->data_type);
	if (tensor->n_dims > GYR_RANK_MAX)
		return gyr_error_set(error, -ENOTSUP, "rank %zu (at most %d)", tensor->n_dims, GYR_RANK_MAX);
	*shape = (struct gyr_shape){.dtype = (enum gyr_dtype)tensor->data_type, .rank = (uint32_t)tensor->n_dims};
	for (uint32_t i = 0; i < shape->rank; i++) {
		shape->dims[i] = tensor->dims[i];
		if (shape->dims[i] < 0)
			return gyr_error_set(error, -EINVAL, "dimension %" PRIu32 " is %" PRId64, i, shape->dims[i]);
	}
	if (!gyr_shape_bytes(shape, 1, bytes))
		return gyr_error_set(error, -EINVAL, "its shape has too many elements");
	return check_count(tensor, *bytes, error);
}

/* int32_data into elements of BYTES each, which must hold [MIN, MAX]. */
static bool narrow(const int32_t *from, size_t count, size_t bytes, int32_t min, int32_t max, uint8_t *to)
{
	for (size_t i = 0; i < count; i++) {
		if (from[i] < min || from[i] > max)
			return false;
		memcpy(to + i * bytes, &from[i], bytes); /* the low bytes come first */
	}
	return true;
}

static bool copy_typed(const Onnx__TensorProto *tensor, void *elements)
{
	size_t count, bytes;
	const void *from = typed_field(tensor, &count, &bytes);
	switch (tensor->data_type) {
	case GYR_DTYPE_U8: return narrow(from, count, 1, 0, UINT8_MAX, elements);
	case GYR_DTYPE_I8: return narrow(from, count, 1, INT8_MIN, INT8_MAX, elements);
	case GYR_DTYPE_BOOL: return narrow(from, count, 1, 0, 1, elements);
	case GYR_DTYPE_I16: return narrow(from, count, 2, INT16_MIN, INT16_MAX, elements);
	case GYR_DTYPE_U16:
	case GYR_DTYPE_F16: /* the bits of a half are stored as a number */
	case GYR_DTYPE_BF16: return narrow(from, count, 2, 0, UINT16_MAX, elements);
	case GYR_DTYPE_U32:
		for (size_t i = 0; i < count; i++) {
			if (tensor->uint64_data[i] > UINT32_MAX)
				return false;
			((uint32_t *)elements)[i] = (uint32_t)tensor->uint64_data[i];
		}
		return true;
	default:
		if (count != 0)
			memcpy(elements, from, count * bytes);
		return true;
	}
}

int onnx_tensor_elements(const Onnx__TensorProto *tensor, void *elements, struct gyr_error *error)
{
	if (!tensor->has_raw_data || tensor->raw_data.len == 0) {
		if (!copy_typed(tensor, elements))
			return gyr_error_set(error, -EINVAL, "an element is out of the range of its type");
		return 0;
	}
	memcpy(elements, tensor->raw_data.data, tensor->raw_data.len);
	for (size_t i = 0; tensor->data_type == GYR_DTYPE_BOOL && i < tensor->raw_data.len; i++)
		if (tensor->raw_data.data[i] > 1)
			return gyr_error_set(error, -EINVAL, "element %zu is neither true nor false", i);
	return 0;
}
