#include "tensor_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *case_file_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return NULL;
	char *bytes = NULL;
	long length = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
	if (length >= 0 && fseek(file, 0, SEEK_SET) == 0 && (bytes = malloc((size_t)length + 1)) != NULL) {
		*size = fread(bytes, 1, (size_t)length, file);
		if (*size != (size_t)length) {
			free(bytes);
			bytes = NULL;
		}
	}
	fclose(file);
	return bytes;
}

Onnx__TensorProto *case_tensor_read(const char *path)
{
	size_t size;
	void *bytes = case_file_read(path, &size);
	if (bytes == NULL)
		return NULL;
	Onnx__TensorProto *tensor = onnx__tensor_proto__unpack(NULL, size, bytes);
	free(bytes);
	return tensor;
}

bool case_tensor_shape(const Onnx__TensorProto *tensor, struct gyr_shape *shape)
{
	*shape = (struct gyr_shape){.dtype = (enum gyr_dtype)tensor->data_type, .rank = (uint32_t)tensor->n_dims};
	if (gyr_dtype_bytes(shape->dtype) == 0 || tensor->n_dims > GYR_RANK_MAX)
		return false;
	for (size_t i = 0; i < tensor->n_dims; i++)
		shape->dims[i] = tensor->dims[i];
	return true;
}

void *case_tensor_elements(const Onnx__TensorProto *tensor, const struct gyr_shape *shape)
{
	size_t count, bytes, width = gyr_dtype_bytes(shape->dtype);
	if (!gyr_shape_count(shape, 1, &count) || !gyr_shape_bytes(shape, 1, &bytes))
		return NULL;
	/* Another kind of message, read as a tensor, may claim any size. */
	bool raw = tensor->has_raw_data && tensor->raw_data.len == bytes;
	if (!raw && tensor->n_float_data != count && tensor->n_double_data != count && tensor->n_int64_data != count && tensor->n_int32_data != count &&
	    tensor->n_uint64_data != count)
		return NULL;
	char *elements = malloc(bytes + 1);
	if (elements == NULL)
		return NULL;
	if (bytes == 0)
		return elements;
	if (raw)
		memcpy(elements, tensor->raw_data.data, bytes);
	else if (tensor->n_float_data == count && shape->dtype == GYR_DTYPE_F32)
		memcpy(elements, tensor->float_data, bytes);
	else if (tensor->n_double_data == count && shape->dtype == GYR_DTYPE_F64)
		memcpy(elements, tensor->double_data, bytes);
	else if (tensor->n_int64_data == count && shape->dtype == GYR_DTYPE_I64)
		memcpy(elements, tensor->int64_data, bytes);
	else if (tensor->n_int32_data == count && width <= 4)
		for (size_t i = 0; i < count; i++)
			memcpy(elements + i * width, &tensor->int32_data[i], width);
	else if (tensor->n_uint64_data == count)
		for (size_t i = 0; i < count; i++)
			memcpy(elements + i * width, &tensor->uint64_data[i], width);
	else {
		free(elements);
		return NULL;
	}
	return elements;
}
