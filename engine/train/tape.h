/*
 * A tape: the part of a graph that its one output needs, made ready to be run forwards and backwards over mini-batches. All memory is taken at create; a run
 * allocates nothing. One thread at a time.
 */
#ifndef GYR_ENGINE_TRAIN_TAPE_H
#define GYR_ENGINE_TRAIN_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/model/graph.h"

#define GYR_TAPE_NONE UINT32_MAX
#define GYR_TAPE_ALIGN 64u

/* What flows: batch x row elements, and the loss's derivative by each. Values that share their memory share a tensor. */
struct gyr_tape_tensor {
	enum gyr_dtype dtype;
	size_t row;      /* elements of one row of the batch */
	void *data;      /* batch x row */
	float *gradient; /* batch x row; NULL where nothing that is trained comes before */
	bool shared;     /* more than one step reads it: gradients are added up from zero */
	bool kept;       /* the step that made it needs its content again on the way back */
};

/* A constant that is trained. */
struct gyr_tape_parameter {
	uint32_t value; /* in the graph */
	size_t first;   /* in the tape's weights and gradients */
	size_t count;
	bool shared; /* more than one step uses it */
};

struct gyr_tape_step;

struct gyr_tape {
	struct gyr_arena arena; /* owns everything below */
	uint32_t batch;         /* rows at most */
	uint32_t tensor_count, step_count, parameter_count;
	struct gyr_tape_tensor *tensors;
	struct gyr_tape_step *steps;
	struct gyr_tape_parameter *parameters; /* in the order of their values */
	size_t weight_count;                   /* of all parameters, each padded to GYR_TAPE_ALIGN; the padding stays zero */
	float *weights, *gradients;
	struct gyr_tape_tensor *input, *output;
};

/*
 * Makes a tape of GRAPH (finished, and to stay as long as the tape) for up to BATCH rows, whose weights begin as the graph's constants. Where LOGITS, a Softmax
 * that makes the graph's output is left out, and its input is the tape's output. What is trained: the f32 constants that serve Gemm and MatMul as B or C and
 * Add as an operand, and nothing else. -ENOTSUP: no gradient for a node, which the message names; or, where LOGITS, a Softmax that makes several distributions
 * of a row. -EINVAL: not one input and one output with a batch dimension, or nothing to train. -ENOMEM.
 */
GYR_MUST_CHECK int gyr_tape_create(const struct gyr_graph *graph, uint32_t batch, bool logits, struct gyr_tape **tape, struct gyr_error *error);
void gyr_tape_destroy(struct gyr_tape *tape); /* NULL is fine */

/* Computes output->data from the first ROWS rows of input->data (which it may overwrite). */
void gyr_tape_forward(struct gyr_tape *tape, uint32_t rows);

/* From output->gradient, which the caller has filled (and which it overwrites), computes the gradients of all weights, after a forward run of as many rows. */
void gyr_tape_backward(struct gyr_tape *tape, uint32_t rows);

#endif
