/*
 * What the files of engine/onnx share. Messages are protobuf-c's, of ONNX's onnx.proto.
 */
#ifndef GYR_ENGINE_ONNX_ONNX_INTERNAL_H
#define GYR_ENGINE_ONNX_ONNX_INTERNAL_H

#include "engine/onnx/onnx.h"
#include "onnx.pb-c.h"

#define SHOWN_MAX 100

/* A name from a file as it may be printed: at most SHOWN_MAX - 1 bytes, with '?' for what is not printable ASCII. NULL is as empty. Returns TEXT. */
const char *onnx_shown(const char *name, char text[SHOWN_MAX]);

/*
 * Looks over the bytes of a message before protobuf-c, which bounds no nesting, unpacks them: lengths fit, messages nest at most 32 deep, no string holds a
 * zero. -EBADMSG.
 */
GYR_MUST_CHECK int onnx_scan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size, struct gyr_error *error);

/*
 * The type and dimensions of TENSOR, and the bytes of its elements, all of which are there. -ENOTSUP; -EINVAL: there are more elements or fewer; -EPERM: they
 * are in another file.
 */
GYR_MUST_CHECK int onnx_tensor_shape(const Onnx__TensorProto *tensor, struct gyr_shape *shape, size_t *bytes, struct gyr_error *error);

/* Copies the elements of TENSOR, whose shape was read, to ELEMENTS. -EINVAL: one is out of its type's range. */
GYR_MUST_CHECK int onnx_tensor_elements(const Onnx__TensorProto *tensor, void *elements, struct gyr_error *error);

/* Which of a struct gyr_onnx_fixed some input had. */
struct onnx_fixed_use {
	bool dims[GYR_ONNX_FIXED_MAX], shapes[GYR_ONNX_FIXED_MAX], values[GYR_ONNX_FIXED_MAX];
};

/* What FIXED says of the dimension called SYMBOL, and of the whole input called NAME: false and NULL where nothing. Notes the use. */
bool onnx_fixed_dim(const struct gyr_onnx_fixed *fixed, const char *symbol, int64_t *size, struct onnx_fixed_use *use);
const struct gyr_onnx_fixed_shape *onnx_fixed_shape(const struct gyr_onnx_fixed *fixed, const char *name, struct onnx_fixed_use *use);

/* That all of it was used. -EINVAL names what was not. */
/* What input NAME of SHAPE was given to hold (free *DATA), or NULL. -EINVAL: its type does not have that number, or its size is open. -E2BIG, -ENOMEM. */
GYR_MUST_CHECK int onnx_fixed_value(const struct gyr_onnx_fixed *fixed, const char *name, const struct gyr_shape *shape, struct onnx_fixed_use *use,
				    void **data, struct gyr_error *error);
GYR_MUST_CHECK int onnx_fixed_used(const struct gyr_onnx_fixed *fixed, const struct onnx_fixed_use *use, struct gyr_error *error);

#endif
