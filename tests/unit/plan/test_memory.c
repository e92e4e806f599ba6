/*
 * Plans made and destroyed 2,000 times, of several kinds of nets, with changing sizes and batch sizes: resident memory ends where it began. What is kept by
 * shape, here or in a library beneath, would grow with every new one.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <unistd.h>

#include <cmocka.h>

#include "net.h"

#define LOADS 2000u
#define WARM_LOADS 200u                 /* what is made once, and the allocator's own, is there after these */
#define GROWTH_MAX ((size_t)1536 << 10) /* less than 1 KiB a load */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

/* "f32[4,3]", or of an input "f32[N,4,3]", for what net.h takes; DIMS end with 0. */
static const char *text(char to[64], bool rows, const unsigned *dims)
{
	size_t used = (size_t)(rows ? snprintf(to, 64, "f32[N") : snprintf(to, 64, "f32[%u", dims[0]));
	for (dims += !rows; *dims != 0; dims++)
		used += (size_t)snprintf(to + used, 64 - used, ",%u", *dims);
	snprintf(to + used, 64 - used, "]");
	return to;
}

#define WEIGHTS(...) net_weights(graph, text((char[64]){0}, false, (const unsigned[]){__VA_ARGS__, 0}), .1f, seed)
#define INPUT(...) net_input(graph, text((char[64]){0}, true, (const unsigned[]){__VA_ARGS__, 0}))

static uint32_t dense(struct gyr_graph *graph, unsigned size, uint64_t *seed)
{
	uint32_t x = INPUT(40 + size);
	x = net_op2(graph, GYR_OP_MATMUL, x, WEIGHTS(40 + size, 70));
	x = net_op1(graph, GYR_OP_RELU, net_op2(graph, GYR_OP_ADD, x, WEIGHTS(70)));
	return net_op1(graph, GYR_OP_SOFTMAX, net_op2(graph, GYR_OP_MATMUL, x, WEIGHTS(70, 10 + size)));
}

static uint32_t convolution(struct gyr_graph *graph, unsigned size, uint64_t *seed)
{
	uint32_t x = INPUT(3, 8 + size, 9);
	x = net_op1(graph, GYR_OP_RELU, net_op2(graph, GYR_OP_CONV, x, WEIGHTS(16, 3, 3, 3)));
	x = net_op2(graph, GYR_OP_CONV, x, WEIGHTS(24, 16, 1, 1));
	x = net_op1(graph, GYR_OP_GLOBAL_AVERAGE_POOL, x);
	return net_op2(graph, GYR_OP_MATMUL, net_op1(graph, GYR_OP_FLATTEN, x), WEIGHTS(24, 5));
}

/* Rows as steps, so they mix: a plan of one row. */
static uint32_t recurrent(struct gyr_graph *graph, unsigned size, uint64_t *seed)
{
	uint32_t x = INPUT(1, 8 + size);
	uint32_t w = WEIGHTS(1, 4 * 20, 8 + size), r = WEIGHTS(1, 4 * 20, 20);
	return net_node(graph, GYR_OP_LSTM, x, w, r, "hidden_size", 20);
}

static uint32_t products(struct gyr_graph *graph, unsigned size, uint64_t *seed)
{
	uint32_t x = INPUT(4 + size, 16);
	uint32_t keys = net_op2(graph, GYR_OP_MATMUL, x, WEIGHTS(16, 4 + size));
	return net_op1(graph, GYR_OP_SOFTMAX, net_op2(graph, GYR_OP_MATMUL, keys, x));
}

typedef uint32_t make_fn(struct gyr_graph *graph, unsigned size, uint64_t *seed);

/* One life of a plan. */
static void load(make_fn *make, unsigned size, uint32_t batch_max)
{
	uint64_t seed = size + 1;
	struct gyr_graph *graph = gyr_graph_create("memory", 13);
	assert_non_null(graph);
	net_finish(graph, make(graph, size, &seed));
	struct gyr_plan *plan = net_plan(graph, batch_max, false);
	gyr_graph_destroy(graph);
	for (uint32_t rows = 1; rows <= gyr_plan_batch_max(plan); rows *= 2) {
		size_t count;
		free(net_run(plan, rows, seed, 1, 0, &count));
	}
	gyr_plan_destroy(plan);
}

static size_t resident(void)
{
	size_t pages = 0;
	malloc_trim(0);
	FILE *file = fopen("/proc/self/statm", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*u %zu", &pages), 1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void resident_memory_stays(void **state)
{
#ifdef SANITIZED
	skip(); /* it keeps what is freed for a while; leaks it finds by itself */
#endif
	static make_fn *const nets[] = {dense, convolution, recurrent, products};
	size_t before = 0;
	for (unsigned i = 0; i < LOADS; i++) {
		if (i == WARM_LOADS)
			before = resident();
		/* Each net with sizes that come back after 500 loads of it, at each batch size in turn. */
		load(nets[i % 4], i / 4 % 500, UINT32_C(1) << i / 4 % 5);
	}
	size_t after = resident();
	print_message("resident: %zu KiB after %u loads, %zu KiB after %u\n", before >> 10, WARM_LOADS, after >> 10, LOADS);
	assert_true(after < before + GROWTH_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(resident_memory_stays)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
