/*
 * Running: no allocation, several threads on one plan, golden vectors.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/plan/plan_internal.h"
#include "net.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

static atomic_uint_fast64_t allocations;

#ifndef SANITIZED
/* Every allocation of this process, oneDNN's too, passes here; the sanitizers have allocators of their own. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
	allocations++;
	return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	allocations++;
	return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
	allocations++;
	return __libc_realloc(old, bytes);
}
#endif

/* Layers in one tile and in several, with and without a tail, and every other kind of step. */
static struct gyr_graph *make_net(void)
{
	uint64_t seed = 1;
	struct gyr_graph *graph = gyr_graph_create("run", 13);
	uint32_t none = GYR_VALUE_NONE, x = net_input(graph, "u8[N,300]");
	x = net_node(graph, GYR_OP_CAST, x, none, none, "to", GYR_DTYPE_F32);
	x = net_op2(graph, GYR_OP_MUL, x, net_weights(graph, "f32[300]", .01f, &seed));
	x = net_op2(graph, GYR_OP_RESHAPE, x, net_constant(graph, "i64[4]", (const int64_t[]){0, 3, 10, 10}));
	x = net_op2(graph, GYR_OP_CONV, x, net_weights(graph, "f32[5,3,3,3]", .1f, &seed));
	x = net_op1(graph, GYR_OP_FLATTEN, x);
	x = net_op2(graph, GYR_OP_MATMUL, x, net_weights(graph, "f32[320,1000]", .1f, &seed));
	x = net_op2(graph, GYR_OP_ADD, x, net_op1(graph, GYR_OP_TANH, x));
	x = net_op2(graph, GYR_OP_MATMUL, x, net_weights(graph, "f32[1000,20]", .1f, &seed));
	net_finish(graph, net_op1(graph, GYR_OP_SOFTMAX, net_op1(graph, GYR_OP_SIGMOID, x)));
	return graph;
}

struct worker {
	const struct gyr_plan *plan;
	unsigned runs;
	uint64_t allocations; /* seen during the runs */
	bool same;            /* every run gave what the first gave */
};

static void *work(void *argument)
{
	struct worker *worker = argument;
	static const uint32_t batches[] = {1, 2, 3, 8, 33, 64};
	uint8_t input[64 * 300];
	float output[64 * 20], expected[6][64 * 20];
	const void *inputs[] = {input};
	void *outputs[] = {output};
	void *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, (gyr_plan_scratch_bytes(worker->plan) + 64) / 64 * 64);
	uint64_t seed = 2;
	for (size_t i = 0; i < sizeof input; i++)
		input[i] = (uint8_t)(net_random(&seed) * 127 + 128);
	gyr_plan_thread_init();
	worker->same = true;
	for (unsigned run = 0; run < worker->runs; run++) {
		uint32_t batch = batches[run % 6];
		uint64_t before = allocations;
		gyr_plan_run(worker->plan, batch, inputs, outputs, scratch);
		worker->allocations += allocations - before;
		if (run < 6)
			memcpy(expected[run], output, sizeof output);
		else
			worker->same &= memcmp(expected[run % 6], output, batch * 20 * sizeof *output) == 0;
	}
	free(scratch);
	return NULL;
}

static void test_run_allocates_nothing(void **state)
{
	struct gyr_graph *graph = make_net();
	struct gyr_plan *plan = net_plan(graph, 64, false);
	struct worker worker = {.plan = plan, .runs = 60};
	work(&worker);
	assert_true(worker.same);
	assert_int_equal(worker.allocations, 0);
#ifndef SANITIZED
	assert_true(allocations > 0); /* the count works */
#endif
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

#ifndef SANITIZED
/* In a child that the kernel kills at its first system call but exit. */
static void test_run_makes_no_system_call(void **state)
{
	struct gyr_graph *graph = make_net();
	struct gyr_plan *plan = net_plan(graph, 64, false);
	static uint8_t input[64 * 300];
	static float output[64 * 20];
	void *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		gyr_plan_thread_init();
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0)
			for (uint32_t batch = 1; batch <= 64; batch++)
				gyr_plan_run(plan, batch, (const void *const[]){input}, (void *const[]){output}, scratch);
		syscall(SYS_exit, 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	free(scratch);
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}
#endif

static void test_threads_share_a_plan(void **state)
{
	struct gyr_graph *graph = make_net();
	struct gyr_plan *plan = net_plan(graph, 64, false);
	struct worker workers[3];
	pthread_t threads[3];
	for (int i = 0; i < 3; i++) {
		workers[i] = (struct worker){.plan = plan, .runs = 120};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_true(workers[i].same);
	}
	gyr_plan_destroy(plan);
	gyr_graph_destroy(graph);
}

static void test_create_and_destroy_leave_nothing(void **state)
{
	struct gyr_graph *graph = make_net();
	for (int i = 0; i < 20; i++)
		gyr_plan_destroy(net_plan(graph, 4, i % 2));
	gyr_graph_destroy(graph);
}

/* The softmax of 4 rows of 20, but for the last. */
static gyr_run_fn *right_run;

static void run_with_a_wrong_row(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	right_run(params, inputs, outputs, scratch);
	memset((float *)outputs[0] + 3 * 20, 0xff, 20 * sizeof(float));
}

/* A vector of three rows: fewer than the largest batch, more than the smallest. */
static void test_golden(void **state)
{
	struct gyr_graph *graph = make_net();
	struct gyr_plan *plan = net_plan(graph, 16, false), *reference = net_plan(graph, 16, true);
	uint8_t input[4 * 300];
	float output[4 * 20];
	const void *inputs[] = {input};
	void *outputs[] = {output};
	uint64_t seed = 3;
	for (size_t i = 0; i < sizeof input; i++)
		input[i] = (uint8_t)(net_random(&seed) * 127 + 128);
	void *scratch = aligned_alloc(64, (gyr_plan_scratch_bytes(reference) + 64) / 64 * 64);
	gyr_plan_run(reference, 3, inputs, outputs, scratch);
	free(scratch);

	const void *expected[] = {output};
	struct gyr_golden golden[2] = {{.batch = 1, .inputs = inputs, .outputs = expected, .tolerance = 1e-5f},
				       {.batch = 3, .inputs = inputs, .outputs = expected, .tolerance = 1e-5f}};
	struct gyr_bundle bundle = {.info = {.golden_count = 2, .golden = golden}};
	struct gyr_error error;
	assert_int_equal(gyr_plan_check_golden(plan, &bundle, &error), 0);
	assert_int_equal(gyr_plan_check_golden(reference, &bundle, &error), 0);

	float kept = output[2 * 20 + 7];
	output[2 * 20 + 7] += 1e-3f; /* one element of the last row */
	assert_int_equal(gyr_plan_check_golden(plan, &bundle, &error), -EILSEQ);
	assert_non_null(strstr(error.text, "golden vector 1: output 'value"));
	assert_non_null(strstr(error.text, "row 2, element 7 at batch size 1 is "));
	output[2 * 20 + 7] = NAN;
	assert_int_equal(gyr_plan_check_golden(plan, &bundle, &error), -EILSEQ);
	output[2 * 20 + 7] = kept;
	assert_int_equal(gyr_plan_check_golden(plan, &bundle, &error), 0);

	/* A plan that is wrong in the last row of one batch size only. */
	struct gyr_step *last = &plan->buckets[2].steps[plan->buckets[2].step_count - 1];
	right_run = last->run;
	last->run = run_with_a_wrong_row;
	assert_int_equal(gyr_plan_check_golden(plan, &bundle, &error), -EILSEQ);
	assert_non_null(strstr(error.text, "row 0, element 0 at batch size 4 is "));
	bundle.info.golden_count = 0;
	assert_int_equal(gyr_plan_check_golden(plan, &bundle, &error), 0);
	gyr_plan_destroy(plan);
	gyr_plan_destroy(reference);
	gyr_graph_destroy(graph);
}

/* Denormals count as zero on a thread that has been told so, and on no other. */
static void *flush(void *result)
{
	volatile float tiny = 1e-40f;
	*(bool *)result = tiny * 2.0f != 0;
	gyr_plan_thread_init();
	*(bool *)result &= tiny * 2.0f == 0;
	return NULL;
}

static void test_thread_init(void **state)
{
	bool flushed = false;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, flush, &flushed), 0);
	pthread_join(thread, NULL);
	assert_true(flushed);
}

int main(void)
{
	/* test_thread_init first: the threads of the others inherit its settings from here, where they are untouched until then. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thread_init),
		cmocka_unit_test(test_threads_share_a_plan),
		cmocka_unit_test(test_run_allocates_nothing),
#ifndef SANITIZED
		cmocka_unit_test(test_run_makes_no_system_call),
#endif
		cmocka_unit_test(test_create_and_destroy_leave_nothing),
		cmocka_unit_test(test_golden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
