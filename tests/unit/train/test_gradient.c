/*
 * The tape against finite differences in double: every operator in every role, both losses, shared values, and fewer rows than the tape's batch.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/train/loss.h"
#include "engine/train/tape.h"
#include "tests/unit/train/oracle.h"

#define ROWS 5u
#define BATCH 8u

/* Of the largest derivative of the same constant: f32 keeps about 1e-7, and sums of some hundred terms lose a digit or two. */
#define TOLERANCE 2e-5

/* A graph under construction; a fault fails the test. */
struct net {
	struct gyr_graph *graph;
	struct gyr_error error;
	int names;
};

static void check(struct net *net, int result)
{
	if (result != 0)
		fail_msg("%d: %s", result, net->error.text);
}

static uint32_t add_value(struct net *net, const struct gyr_shape *shape, const void *data)
{
	char name[16];
	uint32_t index;
	snprintf(name, sizeof name, "v%d", net->names++);
	check(net, gyr_graph_add_value(net->graph, name, shape, data, true, &index, &net->error));
	return index;
}

/* A net with one input of shape [N, ...DIMS] (zero-terminated), of f32 or u8. */
static struct net net_typed(uint32_t opset, enum gyr_dtype dtype, const int64_t *dims, uint32_t *input)
{
	struct net net = {.graph = gyr_graph_create("net", opset)};
	struct gyr_shape shape = {.dtype = dtype, .rank = 1, .dims = {GYR_DIM_BATCH}};
	assert_non_null(net.graph);
	while (*dims != 0)
		shape.dims[shape.rank++] = *dims++;
	*input = add_value(&net, &shape, NULL);
	check(&net, gyr_graph_add_input(net.graph, *input, &net.error));
	return net;
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__, 0})
#define SCALAR ((const int64_t[]){0})

static struct net net_new(const int64_t *dims, uint32_t *input)
{
	return net_typed(17, GYR_DTYPE_F32, dims, input);
}

/* A constant of numbers between LEAST and MOST. */
static uint32_t constant_between(struct net *net, const int64_t *dims, double least, double most)
{
	struct gyr_shape shape = {.dtype = GYR_DTYPE_F32};
	float data[512];
	size_t count;
	while (*dims != 0)
		shape.dims[shape.rank++] = *dims++;
	assert_true(gyr_shape_count(&shape, 1, &count) && count <= 512);
	for (size_t i = 0; i < count; i++)
		data[i] = (float)(least + (most - least) * drand48());
	return add_value(net, &shape, data);
}

static uint32_t constant(struct net *net, const int64_t *dims)
{
	return constant_between(net, dims, -1, 1);
}

static uint32_t node_with(struct net *net, enum gyr_op op, const uint32_t *inputs, uint32_t count, const struct gyr_attribute *attributes,
			  uint32_t attribute_count)
{
	uint32_t output = add_value(net, NULL, NULL);
	struct gyr_node node = {.op = op,
				.name = "",
				.input_count = count,
				.inputs = inputs,
				.output_count = 1,
				.outputs = &output,
				.attributes = attributes,
				.attribute_count = attribute_count};
	check(net, gyr_graph_add_node(net->graph, &node, &net->error));
	return output;
}

static uint32_t node1(struct net *net, enum gyr_op op, uint32_t a)
{
	return node_with(net, op, &a, 1, NULL, 0);
}

static uint32_t node2(struct net *net, enum gyr_op op, uint32_t a, uint32_t b)
{
	return node_with(net, op, (uint32_t[]){a, b}, 2, NULL, 0);
}

static uint32_t node3(struct net *net, enum gyr_op op, uint32_t a, uint32_t b, uint32_t c)
{
	return node_with(net, op, (uint32_t[]){a, b, c}, 3, NULL, 0);
}

static uint32_t node_int(struct net *net, enum gyr_op op, uint32_t a, const char *name, int64_t integer)
{
	const struct gyr_attribute attribute = {.name = name, .type = GYR_ATTRIBUTE_INT, .integer = integer};
	return node_with(net, op, &a, 1, &attribute, 1);
}

/* x * W + b. */
static uint32_t layer(struct net *net, uint32_t x, int64_t inputs, int64_t outputs)
{
	uint32_t weight = constant(net, DIMS(inputs, outputs)), bias = constant(net, DIMS(outputs));
	return node3(net, GYR_OP_GEMM, x, weight, bias);
}

static void finish(struct net *net, uint32_t output)
{
	check(net, gyr_graph_add_output(net->graph, output, &net->error));
	check(net, gyr_graph_finish(net->graph, &net->error));
}

static void compare(const struct gyr_tape *tape, struct oracle *oracle)
{
	assert_true(tape->parameter_count > 0);
	for (uint32_t i = 0; i < tape->parameter_count; i++) {
		const struct gyr_tape_parameter *parameter = &tape->parameters[i];
		double expected[512], largest = 0;
		assert_true(parameter->count <= 512);
		for (size_t j = 0; j < parameter->count; j++) {
			expected[j] = oracle_derivative(oracle, parameter->value, j);
			largest = fmax(largest, fabs(expected[j]));
		}
		assert_true(largest > 1e-6); /* else nothing would be compared */
		for (size_t j = 0; j < parameter->count; j++) {
			double got = (double)tape->gradients[parameter->first + j];
			if (!(fabs(got - expected[j]) <= TOLERANCE * largest))
				fail_msg("%s[%zu]: %.9g, and the difference quotient is %.9g", oracle->graph->values[parameter->value].name, j, got,
					 expected[j]);
		}
	}
}

/*
 * Finishes NET with OUTPUT, runs it forwards and backwards on random rows with LOSS, twice (gradients must not pile up), and compares. PARAMETERS: how many
 * constants are to be trained. Destroys the net.
 */
static void verify_loss(struct net *net, uint32_t output, uint32_t parameters, bool cross_entropy)
{
	finish(net, output);
	struct gyr_tape *tape;
	check(net, gyr_tape_create(net->graph, BATCH, cross_entropy, &tape, &net->error));
	assert_int_equal(tape->parameter_count, parameters);
	struct oracle oracle;
	oracle_init(&oracle, net->graph, ROWS);
	size_t width = tape->output->row, input_count = tape->input->row * ROWS;
	double targets[512];
	float targets_f32[512];
	uint32_t classes[ROWS];
	assert_true(width * ROWS <= 512);
	for (size_t i = 0; i < width * ROWS; i++)
		targets[i] = (double)(targets_f32[i] = (float)drand48());
	for (size_t i = 0; i < ROWS; i++)
		classes[i] = (uint32_t)(drand48() * (double)width);
	oracle.targets = cross_entropy ? NULL : targets;
	oracle.classes = classes;
	for (uint32_t i = 0; i < net->graph->node_count; i++)
		oracle.probabilities |= net->graph->nodes[i].outputs[0] == output && net->graph->nodes[i].op == GYR_OP_SOFTMAX;

	double *input = oracle.values[net->graph->inputs[0]];
	for (size_t i = 0; i < input_count; i++)
		input[i] = tape->input->dtype == GYR_DTYPE_U8 ? floor(drand48() * 256) : (double)(float)(drand48() * 2 - 1);
	double expected = oracle_loss(&oracle);
	for (int run = 0; run < 2; run++) {
		for (size_t i = 0; i < input_count; i++)
			if (tape->input->dtype == GYR_DTYPE_U8)
				((uint8_t *)tape->input->data)[i] = (uint8_t)input[i];
			else
				((float *)tape->input->data)[i] = (float)input[i];
		gyr_tape_forward(tape, ROWS);
		uint64_t right;
		double loss = cross_entropy ? gyr_loss_cross_entropy(tape->output->data, classes, ROWS, width, tape->output->gradient, &right)
					    : gyr_loss_mse(tape->output->data, targets_f32, width * ROWS, tape->output->gradient);
		assert_true(fabs(loss - expected) <= 1e-5 * (1 + fabs(expected)));
		gyr_tape_backward(tape, ROWS);
		compare(tape, &oracle);
	}
	oracle_fini(&oracle);
	gyr_tape_destroy(tape);
	gyr_graph_destroy(net->graph);
}

static void verify(struct net *net, uint32_t output, uint32_t parameters)
{
	verify_loss(net, output, parameters, false);
}

static void gemm(void **state)
{
	const int64_t *const biases[] = {(const int64_t[]){3, 0}, (const int64_t[]){1, 3, 0}, (const int64_t[]){1, 0}, SCALAR};
	for (int transposed = 0; transposed < 2; transposed++)
		for (int bias = 0; bias < 5; bias++) {
			uint32_t x;
			struct net net = net_new(DIMS(4), &x);
			uint32_t first = layer(&net, x, 4, 4); /* so that the derivative by the input counts too */
			uint32_t inputs[] = {first, constant(&net, transposed ? DIMS(3, 4) : DIMS(4, 3)), 0};
			if (bias < 4)
				inputs[2] = constant(&net, biases[bias]);
			const struct gyr_attribute attributes[] = {{.name = "transB", .type = GYR_ATTRIBUTE_INT, .integer = transposed},
								   {.name = "alpha", .type = GYR_ATTRIBUTE_FLOAT, .number = 0.5f},
								   {.name = "beta", .type = GYR_ATTRIBUTE_FLOAT, .number = -1.5f}};
			uint32_t y = node_with(&net, GYR_OP_GEMM, inputs, bias < 4 ? 3 : 2, attributes, 3);
			verify(&net, y, bias < 4 ? 4 : 3);
		}
}

static void matmul_of_rank_three(void **state)
{
	const int64_t *const addends[] = {(const int64_t[]){5, 0}, (const int64_t[]){3, 5, 0}, (const int64_t[]){1, 3, 5, 0}, (const int64_t[]){1, 0}, SCALAR};
	for (int i = 0; i < 5; i++) {
		uint32_t x;
		struct net net = net_new(DIMS(3, 4), &x);
		uint32_t first = node2(&net, GYR_OP_MATMUL, x, constant(&net, DIMS(4, 4)));
		uint32_t product = node2(&net, GYR_OP_MATMUL, first, constant(&net, DIMS(4, 5)));
		uint32_t addend = constant(&net, addends[i]);
		uint32_t sum = i % 2 == 0 ? node2(&net, GYR_OP_ADD, product, addend) : node2(&net, GYR_OP_ADD, addend, product);
		verify(&net, sum, 3);
	}
}

static void functions(void **state)
{
	static const enum gyr_op ops[] = {GYR_OP_RELU, GYR_OP_SIGMOID, GYR_OP_TANH, GYR_OP_SOFTMAX};
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		for (size_t j = 0; j < sizeof ops / sizeof *ops; j++) {
			/* One behind the other: the second may not work in place. */
			uint32_t x;
			struct net net = net_new(DIMS(6), &x);
			uint32_t first = node1(&net, ops[i], layer(&net, x, 6, 7));
			verify(&net, layer(&net, node1(&net, ops[j], first), 7, 3), 4);
		}
}

static void softmax_before_opset_13(void **state)
{
	for (int axis = 1; axis < 3; axis++) {
		uint32_t x;
		struct net net = net_typed(11, GYR_DTYPE_F32, DIMS(2, 4), &x);
		uint32_t product = node2(&net, GYR_OP_MATMUL, x, constant(&net, DIMS(4, 3)));
		uint32_t softmax = node_int(&net, GYR_OP_SOFTMAX, product, "axis", axis);
		verify(&net, node2(&net, GYR_OP_MATMUL, softmax, constant(&net, DIMS(3, 2))), 2);
	}
}

static void arithmetic_with_constants(void **state)
{
	static const enum gyr_op ops[] = {GYR_OP_SUB, GYR_OP_MUL, GYR_OP_DIV};
	const int64_t *const shapes[] = {(const int64_t[]){4, 0}, (const int64_t[]){1, 4, 0}, (const int64_t[]){1, 0}, SCALAR};
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < 4; j++)
			for (int first = 0; first < 2; first++)
				for (int before = 0; before < 2; before++) {
					uint32_t x;
					struct net net = net_new(DIMS(3), &x);
					/* Away from zero, for what is divided by it. */
					uint32_t weight = constant_between(&net, DIMS(3, 4), -0.2, 0.2), bias = constant_between(&net, DIMS(4), 1, 2);
					uint32_t y = node3(&net, GYR_OP_GEMM, x, weight, bias), c = constant_between(&net, shapes[j], 1, 2);
					if (before)
						y = node1(&net, GYR_OP_SIGMOID, y); /* keeps its result */
					y = first ? node2(&net, ops[i], c, y) : node2(&net, ops[i], y, c);
					verify(&net, node1(&net, GYR_OP_TANH, y), 2);
				}
}

static void arithmetic_of_two_computed(void **state)
{
	static const enum gyr_op ops[] = {GYR_OP_ADD, GYR_OP_SUB, GYR_OP_MUL, GYR_OP_DIV};
	for (size_t i = 0; i < 4; i++) {
		uint32_t x;
		struct net net = net_new(DIMS(3), &x);
		uint32_t a = layer(&net, x, 3, 4), weight = constant_between(&net, DIMS(3, 4), -0.2, 0.2), bias = constant_between(&net, DIMS(4), 1, 2);
		uint32_t b = node3(&net, GYR_OP_GEMM, x, weight, bias);
		verify(&net, node1(&net, GYR_OP_TANH, node2(&net, ops[i], a, b)), 4);
		/* a op f(a): one value read by two. */
		net = net_new(DIMS(3), &x);
		weight = constant_between(&net, DIMS(3, 4), -0.2, 0.2);
		bias = constant_between(&net, DIMS(4), 1, 2);
		a = node3(&net, GYR_OP_GEMM, x, weight, bias);
		verify(&net, node2(&net, ops[i], node1(&net, GYR_OP_TANH, a), a), 2);
		/* The input itself as the second operand needs no gradient. */
		net = net_new(DIMS(3), &x);
		verify(&net, node2(&net, ops[i], layer(&net, x, 3, 3), x), 2);
	}
	uint32_t x;
	struct net net = net_new(DIMS(3), &x);
	uint32_t a = layer(&net, x, 3, 4);
	verify(&net, node2(&net, GYR_OP_MUL, a, a), 2);
}

/* An output that goes on to be read inside the graph, and a residual block. */
static void values_read_more_than_once(void **state)
{
	uint32_t x;
	struct net net = net_new(DIMS(4), &x);
	uint32_t a = node1(&net, GYR_OP_RELU, layer(&net, x, 4, 4));
	uint32_t b = node1(&net, GYR_OP_TANH, layer(&net, a, 4, 4));
	uint32_t c = node2(&net, GYR_OP_ADD, a, b);
	uint32_t d = node2(&net, GYR_OP_MUL, c, node1(&net, GYR_OP_SIGMOID, c));
	verify(&net, layer(&net, d, 4, 2), 6);
}

static void constants_used_more_than_once(void **state)
{
	uint32_t x;
	struct net net = net_new(DIMS(4), &x);
	uint32_t weight = constant(&net, DIMS(4, 4)), bias = constant(&net, DIMS(4));
	uint32_t a = node1(&net, GYR_OP_TANH, node3(&net, GYR_OP_GEMM, x, weight, bias));
	uint32_t b = node2(&net, GYR_OP_ADD, node2(&net, GYR_OP_MATMUL, a, weight), bias);
	verify(&net, b, 2);
	/* A constant that something else multiplies by stays as it is everywhere. */
	net = net_new(DIMS(4), &x);
	bias = constant(&net, DIMS(4));
	a = node2(&net, GYR_OP_MUL, node2(&net, GYR_OP_ADD, layer(&net, x, 4, 4), bias), bias);
	verify(&net, a, 2);
	/* A bias on the input, before anything that is trained. */
	net = net_new(DIMS(4), &x);
	verify(&net, node1(&net, GYR_OP_TANH, node2(&net, GYR_OP_ADD, x, constant(&net, DIMS(4)))), 1);
}

static void passing_through(void **state)
{
	uint32_t x;
	struct net net = net_typed(17, GYR_DTYPE_U8, DIMS(2, 3), &x);
	const int64_t dims[] = {0, 2, 2};
	const struct gyr_shape shape = {.dtype = GYR_DTYPE_I64, .rank = 1, .dims = {3}};
	const float divisor = 255;
	const struct gyr_shape scalar = {.dtype = GYR_DTYPE_F32};
	uint32_t flat = node1(&net, GYR_OP_FLATTEN, node1(&net, GYR_OP_IDENTITY, x));
	uint32_t cast = node_int(&net, GYR_OP_CAST, flat, "to", GYR_DTYPE_F32);
	uint32_t same = node_int(&net, GYR_OP_CAST, cast, "to", GYR_DTYPE_F32);
	uint32_t scaled = node2(&net, GYR_OP_DIV, same, add_value(&net, &scalar, &divisor));
	uint32_t a = node1(&net, GYR_OP_TANH, layer(&net, scaled, 6, 4));
	uint32_t squares = node2(&net, GYR_OP_RESHAPE, a, add_value(&net, &shape, dims));
	uint32_t again = node1(&net, GYR_OP_FLATTEN, node1(&net, GYR_OP_RELU, node2(&net, GYR_OP_MATMUL, squares, constant(&net, DIMS(2, 3)))));
	verify(&net, node1(&net, GYR_OP_IDENTITY, layer(&net, again, 6, 2)), 5);
}

static void cross_entropy(void **state)
{
	for (int softmax = 0; softmax < 2; softmax++) {
		uint32_t x;
		struct net net = net_new(DIMS(4), &x);
		uint32_t y = layer(&net, node1(&net, GYR_OP_RELU, layer(&net, x, 4, 8)), 8, 3);
		verify_loss(&net, softmax ? node1(&net, GYR_OP_SOFTMAX, y) : y, 4, true);
	}
}

static void cross_entropy_is_stable(void **state)
{
	const float y[] = {1000, -1000, 0, 50, 50, -50};
	const uint32_t t[] = {0, 1};
	float gradient[6];
	uint64_t right;
	double loss = gyr_loss_cross_entropy(y, t, 2, 3, gradient, &right);
	assert_true(fabs(loss - log(2) / 2) < 1e-7);
	assert_int_equal(right, 1); /* of equals the first is the answer */
	assert_true(fabsf(gradient[0]) < 1e-7f && fabsf(gradient[3] - 0.25f) < 1e-6f && fabsf(gradient[4] + 0.25f) < 1e-6f);
}

/* Finishes NET, and expects that no tape can be made of it. Destroys the net. */
static void refuse(struct net *net, uint32_t output, int status, const char *words)
{
	finish(net, output);
	struct gyr_tape *tape;
	int result = gyr_tape_create(net->graph, BATCH, false, &tape, &net->error);
	if (result != status || strstr(net->error.text, words) == NULL)
		fail_msg("expected %d and \"%s\", got %d: %s", status, words, result, net->error.text);
	gyr_graph_destroy(net->graph);
}

static void refusals(void **state)
{
	uint32_t x;
	struct net net = net_new(DIMS(4), &x);
	refuse(&net, node1(&net, GYR_OP_RELU, x), -EINVAL, "nothing to train");
	net = net_new(DIMS(4), &x);
	uint32_t a = layer(&net, x, 4, 4);
	refuse(&net, node_int(&net, GYR_OP_CAST, a, "to", GYR_DTYPE_F64), -ENOTSUP, "only the input can be cast");
	net = net_new(DIMS(4), &x);
	uint32_t sum = node2(&net, GYR_OP_ADD, constant(&net, DIMS(4)), constant(&net, DIMS(4)));
	refuse(&net, node2(&net, GYR_OP_ADD, x, sum), -ENOTSUP, "constants only");
	net = net_new(DIMS(2, 4), &x);
	a = node2(&net, GYR_OP_MATMUL, x, constant(&net, DIMS(4, 3)));
	refuse(&net, node_int(&net, GYR_OP_SOFTMAX, a, "axis", 1), -ENOTSUP, "axis must be the last");
	net = net_new(DIMS(2, 4), &x);
	a = node2(&net, GYR_OP_MATMUL, x, constant(&net, DIMS(4, 3)));
	refuse(&net, node2(&net, GYR_OP_ADD, a, constant(&net, DIMS(2, 1))), -ENOTSUP, "fit the last dimensions");
	net = net_new(DIMS(1), &x);
	a = layer(&net, x, 1, 1);
	refuse(&net, node2(&net, GYR_OP_MUL, a, constant(&net, DIMS(3))), -ENOTSUP, "larger");
	net = net_new(DIMS(4), &x);
	a = layer(&net, x, 4, 4);
	refuse(&net, node2(&net, GYR_OP_ADD, a, layer(&net, x, 4, 1)), -ENOTSUP, "same shape");
	net = net_new(DIMS(2, 2), &x);
	a = node2(&net, GYR_OP_MATMUL, x, constant(&net, DIMS(2, 2)));
	refuse(&net, node2(&net, GYR_OP_MATMUL, x, a), -ENOTSUP, "second a constant");
	net = net_new(DIMS(4), &x);
	a = layer(&net, x, 4, 4);
	uint32_t inputs[] = {x, constant(&net, DIMS(4, 4)), a};
	refuse(&net, node_with(&net, GYR_OP_GEMM, inputs, 3, NULL, 0), -ENOTSUP, "C must be a constant");
	net = net_new(DIMS(2, 3), &x);
	refuse(&net, node2(&net, GYR_OP_MATMUL, x, constant(&net, DIMS(1, 3, 3))), -ENOTSUP, "two dimensions");
}

/* Cross-entropy over the six numbers of a row would train another model than the one whose Softmax makes two distributions of them. */
static void cross_entropy_of_one_distribution(void **state)
{
	for (int64_t axis = 1; axis <= 2; axis++) {
		uint32_t x;
		struct net net = net_new(DIMS(2, 4), &x);
		finish(&net, node_int(&net, GYR_OP_SOFTMAX, node2(&net, GYR_OP_MATMUL, x, constant(&net, DIMS(4, 3))), "axis", axis));
		struct gyr_tape *tape;
		assert_int_equal(gyr_tape_create(net.graph, BATCH, true, &tape, &net.error), -ENOTSUP);
		assert_non_null(strstr(net.error.text, "several distributions"));
		gyr_graph_destroy(net.graph);
	}
}

static void refusals_of_ends(void **state)
{
	struct net net = {.graph = gyr_graph_create("net", 17)};
	const struct gyr_shape fixed = {.dtype = GYR_DTYPE_F32, .rank = 2, .dims = {4, 4}};
	uint32_t x = add_value(&net, &fixed, NULL);
	check(&net, gyr_graph_add_input(net.graph, x, &net.error));
	refuse(&net, layer(&net, x, 4, 4), -EINVAL, "needs a batch as its first dimension");
	net = net_new(DIMS(4), &x);
	uint32_t a = layer(&net, x, 4, 4);
	check(&net, gyr_graph_add_output(net.graph, a, &net.error));
	refuse(&net, node1(&net, GYR_OP_RELU, a), -EINVAL, "1 inputs and 2 outputs");
}

static int seed(void **state)
{
	srand48(7);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(gemm, seed),
		cmocka_unit_test_setup(matmul_of_rank_three, seed),
		cmocka_unit_test_setup(functions, seed),
		cmocka_unit_test_setup(softmax_before_opset_13, seed),
		cmocka_unit_test_setup(arithmetic_with_constants, seed),
		cmocka_unit_test_setup(arithmetic_of_two_computed, seed),
		cmocka_unit_test_setup(values_read_more_than_once, seed),
		cmocka_unit_test_setup(constants_used_more_than_once, seed),
		cmocka_unit_test_setup(passing_through, seed),
		cmocka_unit_test_setup(cross_entropy, seed),
		cmocka_unit_test(cross_entropy_is_stable),
		cmocka_unit_test_setup(refusals, seed),
		cmocka_unit_test(cross_entropy_of_one_distribution),
		cmocka_unit_test(refusals_of_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
