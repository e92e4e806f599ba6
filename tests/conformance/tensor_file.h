/*
 * The tensors of ONNX's test cases: TensorProto files.
 */
#ifndef GYR_TESTS_CONFORMANCE_TENSOR_FILE_H
#define GYR_TESTS_CONFORMANCE_TENSOR_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/tensor.h"

#include "onnx.pb-c.h"

/* The whole file (free it), *SIZE long; NULL when it cannot be read. */
void *case_file_read(const char *path, size_t *size);

/* The message in a file, to be freed with onnx__tensor_proto__free_unpacked; NULL when there is none. */
Onnx__TensorProto *case_tensor_read(const char *path);

/* Its shape. False for what Gyr has no type or rank for. */
bool case_tensor_shape(const Onnx__TensorProto *tensor, struct gyr_shape *shape);

/* Its elements as a dense array (free it); NULL when the message does not hold them all. SHAPE is that of case_tensor_shape. */
void *case_tensor_elements(const Onnx__TensorProto *tensor, const struct gyr_shape *shape);

#endif
