#include "tests/unit/train/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"

#define STEP 1e-5

static const struct gyr_shape *shape_of(const struct oracle *oracle, uint32_t value)
{
	return &oracle->graph->values[value].shape;
}

size_t oracle_count(const struct oracle *oracle, uint32_t value)
{
	size_t count;
	GYR_ASSERT(gyr_shape_count(shape_of(oracle, value), oracle->rows, &count));
	return count;
}

static double constant_element(const struct gyr_value *value, size_t index)
{
	switch (value->shape.dtype) {
	case GYR_DTYPE_F32: return (double)((const float *)value->data)[index];
	case GYR_DTYPE_I64: return (double)((const int64_t *)value->data)[index];
	default: GYR_ASSERT(!"a type that the tests use");
	}
}

void oracle_init(struct oracle *oracle, const struct gyr_graph *graph, uint32_t rows)
{
	*oracle = (struct oracle){.graph = graph, .rows = rows, .values = calloc(graph->value_count, sizeof(double *))};
	GYR_ASSERT(oracle->values != NULL);
	for (uint32_t i = 0; i < graph->value_count; i++) {
		size_t count = oracle_count(oracle, i);
		oracle->values[i] = calloc(count + 1, sizeof(double));
		GYR_ASSERT(oracle->values[i] != NULL);
		for (size_t j = 0; j < count && graph->values[i].data != NULL; j++)
			oracle->values[i][j] = constant_element(&graph->values[i], j);
	}
}

void oracle_fini(struct oracle *oracle)
{
	for (uint32_t i = 0; i < oracle->graph->value_count; i++)
		free(oracle->values[i]);
	free(oracle->values);
}

/* Dimension AXIS of a value, with the rows in place of the batch. */
static size_t dim(const struct oracle *oracle, uint32_t value, uint32_t axis)
{
	int64_t length = shape_of(oracle, value)->dims[axis];
	return length == GYR_DIM_BATCH ? oracle->rows : (size_t)length;
}

/* Element INDEX of result RESULT as an element of OPERAND, which broadcasts to it. */
static double broadcast(const struct oracle *oracle, uint32_t operand, uint32_t result, size_t index)
{
	uint32_t rank = shape_of(oracle, operand)->rank, result_rank = shape_of(oracle, result)->rank;
	size_t at = 0, stride = 1;
	for (uint32_t i = 0; i < rank; i++) {
		size_t length = dim(oracle, operand, rank - 1 - i), result_length = dim(oracle, result, result_rank - 1 - i);
		at += length == 1 ? 0 : index % result_length * stride;
		stride *= length;
		index /= result_length;
	}
	return oracle->values[operand][at];
}

static void run_product(struct oracle *oracle, const struct gyr_node *node)
{
	uint32_t a = node->inputs[0], b = node->inputs[1], y = node->outputs[0];
	bool gemm = node->op == GYR_OP_GEMM, transposed = gemm && gyr_node_integer(node, "transB", 0) != 0;
	double alpha = gemm ? (double)gyr_node_number(node, "alpha", 1) : 1, beta = gemm ? (double)gyr_node_number(node, "beta", 1) : 0;
	size_t k = dim(oracle, b, transposed), n = dim(oracle, b, !transposed), count = oracle_count(oracle, y);
	for (size_t i = 0; i < count; i++) {
		double sum = 0;
		for (size_t j = 0; j < k; j++)
			sum += oracle->values[a][i / n * k + j] * oracle->values[b][transposed ? i % n * k + j : j * n + i % n];
		oracle->values[y][i] = alpha * sum;
		if (node->input_count > 2)
			oracle->values[y][i] += beta * broadcast(oracle, node->inputs[2], y, i);
	}
}

static void run_softmax(struct oracle *oracle, const struct gyr_node *node)
{
	uint32_t x = node->inputs[0], y = node->outputs[0], rank = shape_of(oracle, x)->rank;
	bool modern = oracle->graph->opset >= 13;
	size_t group = dim(oracle, x, rank - 1), count = oracle_count(oracle, y);
	for (int64_t i = modern ? rank : gyr_node_integer(node, "axis", 1); i < (int64_t)rank - 1; i++)
		group *= dim(oracle, x, (uint32_t)i);
	for (size_t i = 0; i < count; i++) {
		double sum = 0;
		for (size_t j = 0; j < group; j++)
			sum += exp(oracle->values[x][i / group * group + j] - oracle->values[x][i]);
		oracle->values[y][i] = 1 / sum;
	}
}

static double element(const struct oracle *oracle, const struct gyr_node *node, size_t index)
{
	double a = broadcast(oracle, node->inputs[0], node->outputs[0], index);
	double b = node->input_count > 1 ? broadcast(oracle, node->inputs[1], node->outputs[0], index) : 0;
	switch (node->op) {
	case GYR_OP_ADD: return a + b;
	case GYR_OP_SUB: return a - b;
	case GYR_OP_MUL: return a * b;
	case GYR_OP_DIV: return a / b;
	case GYR_OP_RELU: return a > 0 ? a : 0;
	case GYR_OP_SIGMOID: return 1 / (1 + exp(-a));
	case GYR_OP_TANH: return tanh(a);
	case GYR_OP_CAST: return a;
	default: GYR_ASSERT(!"an operator that the tests use");
	}
}

static void run_node(struct oracle *oracle, const struct gyr_node *node)
{
	size_t count = oracle_count(oracle, node->outputs[0]);
	double *y = oracle->values[node->outputs[0]];
	switch (node->op) {
	case GYR_OP_GEMM:
	case GYR_OP_MATMUL: run_product(oracle, node); break;
	case GYR_OP_SOFTMAX: run_softmax(oracle, node); break;
	case GYR_OP_FLATTEN:
	case GYR_OP_IDENTITY:
	case GYR_OP_RESHAPE: memcpy(y, oracle->values[node->inputs[0]], count * sizeof *y); break;
	default:
		for (size_t i = 0; i < count; i++)
			y[i] = element(oracle, node, i);
	}
}

double oracle_loss(struct oracle *oracle)
{
	for (uint32_t i = 0; i < oracle->graph->node_count; i++)
		run_node(oracle, &oracle->graph->nodes[i]);
	uint32_t output = oracle->graph->outputs[0];
	const double *y = oracle->values[output];
	size_t count = oracle_count(oracle, output), classes = count / oracle->rows;
	double loss = 0;
	if (oracle->targets != NULL) {
		for (size_t i = 0; i < count; i++)
			loss += (y[i] - oracle->targets[i]) * (y[i] - oracle->targets[i]);
		return loss / (double)count;
	}
	for (size_t row = 0; row < oracle->rows; row++, y += classes) {
		double right = y[oracle->classes[row]], sum = 0;
		for (size_t i = 0; i < classes; i++)
			sum += exp(y[i] - right);
		loss += oracle->probabilities ? -log(right) : log(sum);
	}
	return loss / oracle->rows;
}

double oracle_derivative(struct oracle *oracle, uint32_t value, size_t index)
{
	double *at = &oracle->values[value][index], kept = *at;
	*at = kept + STEP;
	double above = oracle_loss(oracle);
	*at = kept - STEP;
	double below = oracle_loss(oracle);
	*at = kept;
	return (above - below) / (2 * STEP);
}
