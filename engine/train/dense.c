/*
 * gyr_train_build_dense. Weights lie as [inputs, outputs], biases as [outputs].
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/train/random.h"
#include "engine/train/train.h"

#define OPSET 17u
#define NAME_BYTES 32u

struct builder {
	struct gyr_graph *graph;
	struct gyr_random random;
	uint32_t last; /* the value that the next node starts from */
	struct gyr_error *error;
};

/* Adds a node from the last value and OTHERS; its result, called RESULT, becomes the last value. */
static int add_node(struct builder *builder, enum gyr_op op, const char *result, const uint32_t *others, uint32_t count, const struct gyr_attribute *attribute)
{
	uint32_t inputs[3] = {builder->last}, output;
	for (uint32_t i = 0; i < count; i++)
		inputs[1 + i] = others[i];
	int status = gyr_graph_add_value(builder->graph, result, NULL, NULL, false, &output, builder->error);
	if (status != 0)
		return status;
	struct gyr_node node = {
		.op = op,
		.name = result,
		.input_count = 1 + count,
		.inputs = inputs,
		.output_count = 1,
		.outputs = &output,
		.attribute_count = attribute != NULL,
		.attributes = attribute,
	};
	builder->last = output;
	return gyr_graph_add_node(builder->graph, &node, builder->error);
}

static int add_front(struct builder *builder, uint32_t inputs, enum gyr_dtype dtype, float divisor)
{
	struct gyr_shape shape = {.dtype = dtype, .rank = 2, .dims = {GYR_DIM_BATCH, inputs}};
	int result = gyr_graph_add_value(builder->graph, "input", &shape, NULL, false, &builder->last, builder->error);
	if (result == 0)
		result = gyr_graph_add_input(builder->graph, builder->last, builder->error);
	if (result == 0 && dtype != GYR_DTYPE_F32) {
		struct gyr_attribute to = {.name = "to", .type = GYR_ATTRIBUTE_INT, .integer = GYR_DTYPE_F32};
		result = add_node(builder, GYR_OP_CAST, "cast", NULL, 0, &to);
	}
	if (result == 0 && divisor != 0) {
		struct gyr_shape scalar = {.dtype = GYR_DTYPE_F32};
		uint32_t index;
		result = gyr_graph_add_value(builder->graph, "divisor", &scalar, &divisor, true, &index, builder->error);
		if (result == 0)
			result = add_node(builder, GYR_OP_DIV, "scaled", &index, 1, NULL);
	}
	return result;
}

/* He's initialisation: variance 2 / inputs. */
static int add_layer(struct builder *builder, uint32_t number, uint32_t inputs, uint32_t outputs, const char *result_name)
{
	char name[NAME_BYTES];
	size_t count = (size_t)inputs * outputs;
	float *weights = calloc(count + outputs, sizeof *weights);
	if (weights == NULL)
		return gyr_error_set(builder->error, -ENOMEM, "no memory for a layer of %" PRIu32 " x %" PRIu32, inputs, outputs);
	double deviation = sqrt(2.0 / inputs);
	for (size_t i = 0; i < count; i++)
		weights[i] = (float)(deviation * gyr_random_normal(&builder->random));
	uint32_t constants[2];
	struct gyr_shape shape = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {inputs, outputs}};
	snprintf(name, sizeof name, "weight%" PRIu32, number);
	int result = gyr_graph_add_value(builder->graph, name, &shape, weights, true, &constants[0], builder->error);
	shape = (struct gyr_shape){.dtype = GYR_DTYPE_F32, .rank = 1, .dims = {outputs}};
	snprintf(name, sizeof name, "bias%" PRIu32, number);
	if (result == 0)
		result = gyr_graph_add_value(builder->graph, name, &shape, weights + count, true, &constants[1], builder->error);
	if (result == 0)
		result = add_node(builder, GYR_OP_GEMM, result_name, constants, 2, NULL);
	free(weights);
	return result;
}

static int add_layers(struct builder *builder, const uint32_t *sizes, uint32_t count, enum gyr_loss loss)
{
	bool softmax = loss == GYR_LOSS_CROSS_ENTROPY;
	int result = 0;
	for (uint32_t i = 1; i < count && result == 0; i++) {
		bool last = i == count - 1;
		char name[NAME_BYTES];
		snprintf(name, sizeof name, "layer%" PRIu32, i);
		result = add_layer(builder, i, sizes[i - 1], sizes[i], !last ? name : softmax ? "logits" : "output");
		snprintf(name, sizeof name, "relu%" PRIu32, i);
		if (result == 0 && !last)
			result = add_node(builder, GYR_OP_RELU, name, NULL, 0, NULL);
	}
	if (result == 0 && softmax)
		result = add_node(builder, GYR_OP_SOFTMAX, "output", NULL, 0, NULL);
	return result;
}

static int check(const uint32_t *sizes, uint32_t count, enum gyr_dtype input_dtype, float divisor, struct gyr_error *error)
{
	if (count < 2)
		return gyr_error_set(error, -EINVAL, "a dense net needs 2 sizes or more, as in 784-128-10; %" PRIu32 " given", count);
	for (uint32_t i = 0; i < count; i++)
		if (sizes[i] == 0 || sizes[i] > GYR_TRAIN_SIZE_MAX)
			return gyr_error_set(error, -EINVAL, "size %" PRIu32 " of the net is %" PRIu32 "; 1 to %u is accepted", i + 1, sizes[i],
					     GYR_TRAIN_SIZE_MAX);
	if (!gyr_op_takes(GYR_OP_CAST, OPSET, input_dtype))
		return gyr_error_set(error, -EINVAL, "inputs of type %s cannot be cast to f32", gyr_dtype_name(input_dtype));
	if (!isfinite(divisor))
		return gyr_error_set(error, -EINVAL, "the divisor is not finite");
	return 0;
}

int gyr_train_build_dense(const char *name, const uint32_t *sizes, uint32_t count, enum gyr_dtype input_dtype, float divisor, enum gyr_loss loss, uint64_t seed,
			  struct gyr_graph **graph, struct gyr_error *error)
{
	int result = check(sizes, count, input_dtype, divisor, error);
	if (result != 0)
		return result;
	struct builder builder = {.graph = gyr_graph_create(name, OPSET), .error = error};
	if (builder.graph == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the net");
	gyr_random_init(&builder.random, seed);
	result = add_front(&builder, sizes[0], input_dtype, divisor);
	if (result == 0)
		result = add_layers(&builder, sizes, count, loss);
	if (result == 0)
		result = gyr_graph_add_output(builder.graph, builder.last, error);
	if (result == 0)
		result = gyr_graph_finish(builder.graph, error);
	if (result != 0)
		gyr_graph_destroy(builder.graph);
	else
		*graph = builder.graph;
	return result;
}
