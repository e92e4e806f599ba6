/*
 * The peer: ONNX Runtime through its C API, at its best: one thread, every optimisation, denormals flushed as in Gyr, tensors made beforehand.
 */
#ifndef GYR_TOOLS_BENCHMARK_INFER_PEER_H
#define GYR_TOOLS_BENCHMARK_INFER_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"

struct peer;

/* A session of the ONNX model in MODEL. NULL when ONNX Runtime refuses it, with its reason in REASON of SIZE bytes. */
struct peer *peer_create(const void *model, size_t model_size, char *reason, size_t size);
void peer_destroy(struct peer *peer); /* NULL is fine */

/* The names, in the model's order; they live as long as the peer. */
size_t peer_input_count(const struct peer *peer);
size_t peer_output_count(const struct peer *peer);
const char *peer_input_name(const struct peer *peer, size_t index);

/*
 * Sets what the inputs hold until the next call: SHAPES are concrete, DATA in the model's order. Computes once, so that every output has its shape and its
 * memory, the peer's own. False when ONNX Runtime refuses, with its reason.
 */
bool peer_bind(struct peer *peer, const struct gyr_shape *shapes, void *const *data, char *reason, size_t size);

/* Output INDEX of what was computed last: its shape and elements. */
const void *peer_output(const struct peer *peer, size_t index, struct gyr_shape *shape);

/* Computes what is bound. Ends the program when it cannot. */
void peer_run(struct peer *peer);

#endif
