/*
 * Training: the graph that serves, run forwards and backwards over mini-batches. oneDNN does the matrix products. A run with the same graph, data, options
 * and machine gives the same weights, bit for bit.
 */
#ifndef GYR_ENGINE_TRAIN_TRAIN_H
#define GYR_ENGINE_TRAIN_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/graph.h"
#include "engine/train/dataset.h"

#define GYR_TRAIN_SIZE_MAX 1048576u /* of a layer of a dense net */
#define GYR_TRAIN_BATCH_MAX 65536u

enum gyr_loss {
	GYR_LOSS_MSE,           /* mean over all elements of (y - t)^2 */
	GYR_LOSS_CROSS_ENTROPY, /* mean over rows of -log softmax(y)[t]; targets are class numbers. A final Softmax node is looked through: its input is y */
};

enum gyr_optimiser {
	GYR_OPTIMISER_SGD,  /* v = momentum * v + g; w -= rate * v */
	GYR_OPTIMISER_ADAM, /* Kingma and Ba, 2015, algorithm 1, beta1 0.9, beta2 0.999, epsilon 1e-8 */
};

struct gyr_train_options {
	enum gyr_loss loss;
	enum gyr_optimiser optimiser;
	float rate;     /* > 0 */
	float momentum; /* SGD only, 0 to < 1 */
	uint32_t epochs;
	uint32_t batch; /* rows to a step, 1 to GYR_TRAIN_BATCH_MAX; the last step of an epoch takes what is left */
	bool shuffle;   /* a new order each epoch, from the seed */
	uint64_t seed;
};

struct gyr_train_progress {
	uint32_t epoch, epochs; /* epochs finished (1 ...) of */
	double loss;            /* mean over the epoch, each row as the weights then were */
	double held_loss;       /* mean over the held-out data; NAN where none is given */
	double accuracy;        /* share of rows right, on the held-out data where given, else on the training rows of this epoch; NAN for MSE */
	double examples_per_s;
	double left_s;
};

/* Called after each epoch from the training thread; returning false stops the run, which then keeps what it has learned. */
typedef bool gyr_train_report(const struct gyr_train_progress *progress, void *user);

/*
 * Builds a dense net: SIZES[0] inputs, then COUNT - 1 layers (Gemm), Relu between them, and no activation at the end, or Softmax when the loss is
 * cross-entropy. Weights from He's initialisation (He et al., 2015) with SEED, biases zero. A DIVISOR other than 0 puts a Div by it in front, and an
 * INPUT_DTYPE other than f32 a Cast before that, so that raw data may be asked. *GRAPH is finished; gyr_graph_destroy it. -EINVAL: sizes, type or divisor.
 * -ENOMEM.
 */
GYR_MUST_CHECK int gyr_train_build_dense(const char *name, const uint32_t *sizes, uint32_t count, enum gyr_dtype input_dtype, float divisor, enum gyr_loss loss,
					 uint64_t seed, struct gyr_graph **graph, struct gyr_error *error);

/*
 * Trains the f32 constants that feed Gemm, MatMul and Add as weights and biases, and nothing else, starting from the values in GRAPH, into a new finished graph
 * *TRAINED of the same structure, which shares no memory with GRAPH (gyr_graph_destroy it). INPUTS' rows fit the graph's one input, TARGETS' its one output
 * (class numbers for cross-entropy); HELD_INPUTS and HELD_TARGETS may both be NULL. Rows are as many elements as the graph's, in its type, or any where that is
 * f32. -EINVAL: shapes, types or options do not fit. -ENOTSUP: an operator without a gradient; the message names the node. -EDOM: the loss became NaN or
 * infinite. -ENOMEM. A stopped run is a success. Memory is taken before the first step; one thread works.
 */
GYR_MUST_CHECK int gyr_train_run(const struct gyr_graph *graph, const struct gyr_dataset *inputs, const struct gyr_dataset *targets,
				 const struct gyr_dataset *held_inputs, const struct gyr_dataset *held_targets, const struct gyr_train_options *options,
				 gyr_train_report *report, void *user, struct gyr_graph **trained, struct gyr_error *error);

#endif
