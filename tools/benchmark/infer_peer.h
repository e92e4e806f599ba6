/*
 * The peer: ONNX Runtime through its C API, at its best: one thread, every optimisation, denormals flushed as in Gyr, tensors made beforehand.
 */
#ifndef GYR_TOOLS_BENCHMARK_INFER_PEER_H
#define GYR_TOOLS_BENCHMARK_INFER_PEER_H

#include <stddef.h>
#include <stdint.h>

struct peer;

/* A session of the ONNX model in MODEL, with one input "x" [N, in] and one output "y" [N, out]. Ends the program with a message when ONNX Runtime refuses. */
struct peer *peer_create(const void *model, size_t size);
void peer_destroy(struct peer *peer);

/* Sets where BATCH rows are read from and written to, until the next call. */
void peer_bind(struct peer *peer, int64_t batch, int64_t in, int64_t out, float *x, float *y);

/* Computes what is bound. */
void peer_run(struct peer *peer);

#endif
