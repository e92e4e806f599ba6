/*
 * Equal columns of weights give equal answers, whatever tile of a dense layer they are in: nets whose answers are all the same, or nearly, must stay so under a
 * Softmax of large numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

#define ROWS_MAX 8u

static void check(size_t in, size_t out)
{
	struct gyr_graph *graph = gyr_graph_create("columns", 13);
	uint64_t seed = in + out;
	char shape[40];
	float *weights = malloc(in * out * sizeof *weights);
	assert_non_null(weights);
	for (size_t k = 0; k < in; k++) {
		float weight = net_random(&seed);
		for (size_t n = 0; n < out; n++)
			weights[k * out + n] = weight;
	}
	snprintf(shape, sizeof shape, "f32[N,%zu]", in);
	uint32_t x = net_input(graph, shape);
	snprintf(shape, sizeof shape, "f32[%zu,%zu]", in, out);
	net_finish(graph, net_op2(graph, GYR_OP_MATMUL, x, net_constant(graph, shape, weights)));
	free(weights);
	struct gyr_plan *plan = net_plan(graph, ROWS_MAX, false);
	gyr_graph_destroy(graph);
	for (uint32_t rows = 1; rows <= ROWS_MAX; rows++) {
		size_t count;
		float *y = net_run(plan, rows, seed, 1000, 0, &count);
		for (size_t i = 0; i < count; i++)
			if (memcmp(&y[i], &y[i / out * out], sizeof *y) != 0)
				fail_msg("%zu x %zu, %u rows: row %zu has %.9g, and in column %zu %.9g", in, out, rows, i / out, (double)y[i / out * out],
					 i % out, (double)y[i]);
		free(y);
	}
	gyr_plan_destroy(plan);
}

static void equal_columns(void **state)
{
	static const size_t ins[] = {1, 7, 100, 1024, 2048}, outs[] = {2, 17, 31, 40, 65, 90, 104, 130, 200, 257, 1000};
	for (size_t i = 0; i < sizeof ins / sizeof ins[0]; i++)
		for (size_t k = 0; k < sizeof outs / sizeof outs[0]; k++)
			check(ins[i], outs[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(equal_columns)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
