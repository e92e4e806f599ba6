/*
 * What the attributes of RNN, GRU and LSTM say: what inference and the kernels must read alike. Source: the ONNX operator schemas (docs/Operators.md and
 * docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#ifndef GYR_ENGINE_MODEL_RECURRENT_H
#define GYR_ENGINE_MODEL_RECURRENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/graph.h"

#define GYR_RECURRENT_GATES_MAX 4u
#define GYR_RECURRENT_FUNCTIONS_MAX 3u
#define GYR_RECURRENT_DIRECTIONS_MAX 2u

/* The functions that ONNX lists as activations. */
enum gyr_recurrent_function {
	GYR_RECURRENT_SIGMOID,
	GYR_RECURRENT_TANH,
	GYR_RECURRENT_RELU,
	GYR_RECURRENT_AFFINE,           /* alpha x + beta */
	GYR_RECURRENT_LEAKY_RELU,       /* x where x >= 0, else alpha x */
	GYR_RECURRENT_THRESHOLDED_RELU, /* x where x >= alpha, else 0 */
	GYR_RECURRENT_SCALED_TANH,      /* alpha tanh(beta x) */
	GYR_RECURRENT_HARD_SIGMOID,     /* alpha x + beta within [0, 1] */
	GYR_RECURRENT_ELU,              /* x where x >= 0, else alpha (exp(x) - 1) */
	GYR_RECURRENT_SOFTSIGN,
	GYR_RECURRENT_SOFTPLUS,
};

struct gyr_recurrent_activation {
	enum gyr_recurrent_function function;
	float alpha, beta;
};

struct gyr_recurrent_cell {
	enum gyr_op op;           /* GYR_OP_RNN, GRU or LSTM */
	uint32_t gates;           /* 1; 3: update, reset, hidden; 4: input, output, forget, cell */
	uint32_t functions;       /* how many activations a direction has: f; f, g; f, g, h */
	uint32_t directions;      /* 1 or 2 */
	bool reverse;             /* the only direction is from the last step to the first; of two, the second always is */
	bool batch_first;         /* attribute layout: the batch is the first dimension of X, Y and the states */
	bool input_forget;        /* LSTM: the forget gate is 1 - the input gate */
	bool linear_before_reset; /* GRU: the reset gate multiplies the product and its bias, not the state */
	float clip;               /* the inputs of activations are bounded by it; infinity where they are not */
	struct gyr_recurrent_activation activations[GYR_RECURRENT_DIRECTIONS_MAX][GYR_RECURRENT_FUNCTIONS_MAX];
};

/* Reads NODE, an RNN, GRU or LSTM. -EINVAL: an attribute that is not what the schema allows, or whose meaning the schema leaves open; without the node's name.
 */
GYR_MUST_CHECK int gyr_recurrent_read(const struct gyr_node *node, struct gyr_recurrent_cell *cell, struct gyr_error *error);

#endif
