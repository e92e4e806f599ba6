/*
 * One plan, run by more threads at once than anything in it has been made for: each gets its own answer.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "net.h"

enum { THREADS = 40, RUNS = 30, IN = 16 * 9 * 9, OUT = 12 * 19 * 19 };

struct thread {
	pthread_t id;
	const struct gyr_plan *plan, *twin;
	pthread_barrier_t *start;
	uint64_t seed;
	double worst; /* difference, to 1 + what is expected; HUGE_VAL without memory */
};

static void *run(void *context)
{
	struct thread *thread = context;
	float *x = malloc(IN * sizeof *x), *got = malloc(OUT * sizeof *got), *expected = malloc(OUT * sizeof *expected);
	void *scratch = aligned_alloc(64, gyr_plan_scratch_bytes(thread->plan) / 64 * 64 + 64);
	void *twin_scratch = aligned_alloc(64, gyr_plan_scratch_bytes(thread->twin) / 64 * 64 + 64);
	if (x == NULL || got == NULL || expected == NULL || scratch == NULL || twin_scratch == NULL)
		thread->worst = HUGE_VAL;
	for (size_t i = 0; i < IN && thread->worst == 0; i++)
		x[i] = net_random(&thread->seed);
	if (thread->worst == 0)
		gyr_plan_run(thread->twin, 1, (const void *const[]){x}, (void *const[]){expected}, twin_scratch);
	pthread_barrier_wait(thread->start);
	for (int k = 0; k < RUNS && thread->worst < 1; k++) {
		gyr_plan_run(thread->plan, 1, (const void *const[]){x}, (void *const[]){got}, scratch);
		for (size_t i = 0; i < OUT; i++) {
			double difference = fabs((double)got[i] - expected[i]) / (1 + fabs((double)expected[i]));
			thread->worst = difference > thread->worst ? difference : thread->worst;
		}
	}
	free(x);
	free(got);
	free(expected);
	free(scratch);
	free(twin_scratch);
	return NULL;
}

static void test_many_threads(void **state)
{
	uint64_t seed = 1;
	static const int64_t strides[2] = {2, 2};
	const struct gyr_attribute attribute = {.name = "strides", .type = GYR_ATTRIBUTE_INTS, .integers = {2, strides}};
	struct gyr_graph *graph = gyr_graph_create("threads", 13);
	uint32_t x = net_input(graph, "f32[N,16,9,9]"), y;
	x = net_node(graph, GYR_OP_CONV, x, net_weights(graph, "f32[20,16,1,1]", 0.3f, &seed), net_weights(graph, "f32[20]", 1, &seed), "group", 1);
	x = net_op1(graph, GYR_OP_RELU, x);
	const uint32_t inputs[2] = {x, net_weights(graph, "f32[20,12,3,3]", 0.3f, &seed)};
	assert_int_equal(gyr_graph_add_value(graph, "y", NULL, NULL, false, &y, NULL), 0);
	const struct gyr_node node = {.op = GYR_OP_CONV_TRANSPOSE,
				      .input_count = 2,
				      .output_count = 1,
				      .attribute_count = 1,
				      .inputs = inputs,
				      .outputs = &y,
				      .attributes = &attribute};
	assert_int_equal(gyr_graph_add_node(graph, &node, NULL), 0);
	net_finish(graph, y);
	struct gyr_plan *plan = net_plan(graph, 1, false), *twin = net_plan(graph, 1, true);
	gyr_graph_destroy(graph);
	static struct thread threads[THREADS];
	pthread_barrier_t start;
	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (uint64_t i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){.plan = plan, .twin = twin, .start = &start, .seed = i + 1};
		assert_int_equal(pthread_create(&threads[i].id, NULL, run, &threads[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i].id, NULL), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_true(threads[i].worst < 1e-5);
	pthread_barrier_destroy(&start);
	gyr_plan_destroy(plan);
	gyr_plan_destroy(twin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
