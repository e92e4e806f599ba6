/*
 * ONNX in and out. Only protobuf-c and the graph are used; a file is untrusted.
 */
#ifndef GYR_ENGINE_ONNX_ONNX_H
#define GYR_ENGINE_ONNX_ONNX_H

#include <stddef.h>

#include "base/error.h"
#include "engine/model/graph.h"

#define GYR_ONNX_BYTES_MAX ((size_t)2 << 30)

/*
 * Reads an ONNX ModelProto (IR 3 to 10) from SIZE bytes into a finished graph (gyr_graph_destroy it); the bytes may go afterwards. Memory is bounded by a small
 * multiple of SIZE. A first dimension of an input that is not a number is the batch. An initialiser that is also an input is a constant; one that nobody uses
 * is left behind. -EBADMSG: not a ModelProto, or cut. -ENOTSUP: an operator, opset, type or feature that Gyr does not run; the message names node, operator and
 * opset. -EINVAL: the graph is wrong (cycle, missing value, shapes), or breaks a rule of graph.h. -EPERM: external data, which is never followed. -E2BIG: over
 * a limit. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_onnx_import(const void *bytes, size_t size, struct gyr_graph **graph, struct gyr_error *error);

#define GYR_ONNX_FIXED_MAX 64u /* dimensions, and inputs */

/* What is said about a model from outside: sizes that its file leaves open, and inputs that shall always hold the same. All names point into the texts that
 * were given, and are needed as long. */
struct gyr_onnx_fixed {
	uint32_t dim_count, shape_count, value_count;
	struct gyr_onnx_fixed_dim {
		const char *name; /* of a symbolic dimension, wherever it stands in the inputs */
		size_t name_length;
		int64_t size;
	} dims[GYR_ONNX_FIXED_MAX];
	struct gyr_onnx_fixed_shape {
		const char *name; /* of an input */
		size_t name_length;
		uint32_t rank;
		int64_t dims[GYR_RANK_MAX]; /* the first may be GYR_DIM_BATCH */
	} shapes[GYR_ONNX_FIXED_MAX];
	struct gyr_onnx_fixed_value {
		const char *name; /* of an input */
		size_t name_length;
		double number; /* of each of its elements */
	} values[GYR_ONNX_FIXED_MAX];
};

/*
 * Add what TEXT says: "NAME=SIZE" of a symbolic dimension, or "INPUT=SIZE,SIZE,..." of a whole input, where the first may be "N", the batch, and "INPUT=" is a
 * scalar; sizes are 1 to 2^31 - 1. Or "INPUT=NUMBER" of an input whose elements all are to be that number: it becomes a constant, and is no input any more.
 * -EINVAL: another text, or the name a second time. -E2BIG: more than GYR_ONNX_FIXED_MAX.
 */
GYR_MUST_CHECK int gyr_onnx_fix_dim(struct gyr_onnx_fixed *fixed, const char *text, struct gyr_error *error);
GYR_MUST_CHECK int gyr_onnx_fix_shape(struct gyr_onnx_fixed *fixed, const char *text, struct gyr_error *error);
GYR_MUST_CHECK int gyr_onnx_fix_value(struct gyr_onnx_fixed *fixed, const char *text, struct gyr_error *error);

/*
 * Reads a model as gyr_onnx_import does, with the sizes in FIXED in place of what its file leaves open. Besides: -EINVAL where FIXED names what no input has,
 * or contradicts the file.
 */
GYR_MUST_CHECK int gyr_onnx_import_fixed(const void *bytes, size_t size, const struct gyr_onnx_fixed *fixed, struct gyr_graph **graph, struct gyr_error *error);

/*
 * Writes a finished graph as an ONNX ModelProto (*BYTES, *SIZE; free(3) it), the batch as a dimension "N". -ENOTSUP: an output's shape is not known
 * (gyr_plan_settle finds it). -ENOMEM; -E2BIG: over GYR_ONNX_BYTES_MAX.
 */
GYR_MUST_CHECK int gyr_onnx_export(const struct gyr_graph *graph, void **bytes, size_t *size, struct gyr_error *error);

#endif
