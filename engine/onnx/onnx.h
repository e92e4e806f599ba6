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

/*
 * Writes a finished graph as an ONNX ModelProto (*BYTES, *SIZE; free(3) it), the batch as a dimension "N". -ENOTSUP: an output's shape is not known
 * (gyr_plan_settle finds it). -ENOMEM; -E2BIG: over GYR_ONNX_BYTES_MAX.
 */
GYR_MUST_CHECK int gyr_onnx_export(const struct gyr_graph *graph, void **bytes, size_t *size, struct gyr_error *error);

#endif
