/*
 * A plan step by step: the steps add up to a run, and are told by operator, node and cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/plan/profile.h"
#include "net.h"

/* y = Softmax(Conv(x)) and y again: a copy; and a dense layer. */
static struct gyr_graph *make_net(void)
{
	uint64_t seed = 1;
	struct gyr_graph *graph = gyr_graph_create("profile", 13);
	uint32_t x = net_input(graph, "f32[N,3,8,8]");
	x = net_op2(graph, GYR_OP_CONV, x, net_weights(graph, "f32[4,3,3,3]", .1f, &seed));
	x = net_op1(graph, GYR_OP_FLATTEN, x);
	x = net_op2(graph, GYR_OP_MATMUL, x, net_weights(graph, "f32[144,10]", .1f, &seed));
	net_finish(graph, net_op1(graph, GYR_OP_SOFTMAX, x));
	return graph;
}

static void steps_add_up(void **state)
{
	struct gyr_graph *graph = make_net();
	struct gyr_plan *plan = net_plan(graph, 4, false);
	gyr_graph_destroy(graph);
	float x[4 * 192], whole[40], stepped[40];
	uint64_t seed = 2;
	bool convolution = false, product = false;
	void *scratch =
		aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, gyr_plan_scratch_bytes(plan) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN + GYR_PLAN_SCRATCH_ALIGN);
	assert_non_null(scratch);
	for (size_t i = 0; i < sizeof x / sizeof *x; i++)
		x[i] = net_random(&seed);
	gyr_plan_run(plan, 3, (const void *const[]){x}, (void *const[]){whole}, scratch);
	memset(stepped, 0, sizeof stepped);
	assert_true(gyr_plan_step_count(plan, 3) >= 2);
	for (uint32_t i = 0; i < gyr_plan_step_count(plan, 3); i++) {
		struct gyr_plan_step step = gyr_plan_step_at(plan, 3, i);
		assert_non_null(step.op);
		assert_non_null(step.node);
		if (step.weight_bytes == 4 * 27 * sizeof(float)) {
			assert_true(step.operations == 2. * 4 * (4 * 36) * 27); /* of four rows: that many are computed for three */
			convolution = true;
		}
		if (step.weight_bytes == 144 * 10 * sizeof(float)) {
			assert_true(step.operations == 2. * 4 * 144 * 10);
			product = true;
		}
		gyr_plan_step_run(plan, 3, i, (const void *const[]){x}, (void *const[]){stepped}, scratch);
	}
	assert_true(convolution);
	assert_true(product);
	assert_memory_equal(stepped, whole, 30 * sizeof *whole);
	free(scratch);
	gyr_plan_destroy(plan);
}

/* An output that is an input is copied. */
static void copies_are_told(void **state)
{
	struct gyr_graph *graph = gyr_graph_create("copy", 13);
	net_finish(graph, net_op1(graph, GYR_OP_IDENTITY, net_input(graph, "f32[N,2]")));
	struct gyr_plan *plan = net_plan(graph, 1, false);
	gyr_graph_destroy(graph);
	assert_int_equal(gyr_plan_step_count(plan, 1), 1);
	struct gyr_plan_step step = gyr_plan_step_at(plan, 1, 0);
	assert_string_equal(step.op, "copy");
	assert_string_equal(step.node, gyr_plan_output_name(plan, 0));
	gyr_plan_destroy(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(steps_add_up), cmocka_unit_test(copies_are_told)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
