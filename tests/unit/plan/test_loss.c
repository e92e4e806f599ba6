/*
 * The loss family where ONNX's cases do not look: targets that are no class, and what may be computed together.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/plan/plan.h"
#include "net.h"

/* loss(scores f32[N,3], targets i64[N]), reduced as REDUCTION says. */
static struct gyr_graph *loss_graph(enum gyr_op op, const char *reduction)
{
	struct gyr_graph *graph = gyr_graph_create("loss", 22);
	struct gyr_error error;
	uint32_t inputs[2] = {net_input(graph, "f32[N,3]"), net_input(graph, "i64[N]")}, output;
	struct gyr_attribute attribute = {.name = "reduction", .type = GYR_ATTRIBUTE_STRING, .string = reduction};
	assert_int_equal(gyr_graph_add_value(graph, "loss", NULL, NULL, false, &output, NULL), 0);
	struct gyr_node node = {.op = op,
				.name = "node",
				.inputs = inputs,
				.input_count = 2,
				.outputs = &output,
				.output_count = 1,
				.attributes = &attribute,
				.attribute_count = 1};
	if (gyr_graph_add_node(graph, &node, &error) != 0)
		fail_msg("%s", error.text);
	net_finish(graph, output);
	return graph;
}

/* A client's target that is no class gives NaN to that client, and to nobody else. */
static void test_targets(void **state)
{
	static const float scores[] = {-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12};
	static const int64_t targets[] = {2, 3, INT64_MIN, 0};
	static const float expected[2][4] = {{3, NAN, NAN, 10}, {2.4076059f, NAN, NAN, 0.4076059f}};
	for (int softmax = 0; softmax < 2; softmax++) {
		struct gyr_graph *graph = loss_graph(softmax ? GYR_OP_SOFTMAX_CROSS_ENTROPY_LOSS : GYR_OP_NEGATIVE_LOG_LIKELIHOOD_LOSS, "none");
		struct gyr_plan *plan = net_plan(graph, 4, false);
		float got[4];
		const void *inputs[] = {scores, targets};
		void *outputs[] = {got}, *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, gyr_plan_scratch_bytes(plan) + GYR_PLAN_SCRATCH_ALIGN);
		assert_non_null(scratch);
		gyr_plan_run(plan, 4, inputs, outputs, scratch);
		for (int i = 0; i < 4; i++)
			if (isnan(expected[softmax][i]) ? !isnan(got[i]) : !(fabsf(got[i] - expected[softmax][i]) < 1e-5f))
				fail_msg("loss %d is %g", i, (double)got[i]);
		free(scratch);
		gyr_plan_destroy(plan);
		gyr_graph_destroy(graph);
	}
}

/* One number over all rows would mix clients. */
static void test_reduction(void **state)
{
	static const struct {
		const char *reduction;
		uint32_t batch_max;
	} cases[] = {{"none", 8}, {"mean", 1}, {"sum", 1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_graph *graph = loss_graph(GYR_OP_SOFTMAX_CROSS_ENTROPY_LOSS, cases[i].reduction);
		struct gyr_plan *plan = net_plan(graph, 8, false);
		assert_int_equal(gyr_plan_batch_max(plan), cases[i].batch_max);
		gyr_plan_destroy(plan);
		gyr_graph_destroy(graph);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_targets), cmocka_unit_test(test_reduction)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
