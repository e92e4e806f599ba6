/*
 * Plans in bf16: half the weights, within the bound that the model states; and f32 where that is passed, not shown, or not stated.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

#define ROWS 5u
#define IN 70u
#define OUT 9u

/* Two layers; their result, or what it is cut to in WHOLE numbers. */
static struct gyr_graph *make_net(bool whole)
{
	uint64_t seed = 1;
	struct gyr_graph *graph = gyr_graph_create("precision", 17);
	uint32_t x = net_input(graph, "f32[N,70]");
	x = net_op2(graph, GYR_OP_MATMUL, x, net_weights(graph, "f32[70,300]", .12f, &seed));
	x = net_op2(graph, GYR_OP_ADD, x, net_weights(graph, "f32[300]", .1f, &seed));
	x = net_op2(graph, GYR_OP_MATMUL, net_op1(graph, GYR_OP_TANH, x), net_weights(graph, "f32[300,9]", .06f, &seed));
	net_finish(graph, whole ? net_node(graph, GYR_OP_CAST, x, GYR_VALUE_NONE, GYR_VALUE_NONE, "to", GYR_DTYPE_I32) : x);
	return graph;
}

struct setting {
	struct gyr_graph *graph;
	float x[8 * IN], y[8 * OUT];
	const void *inputs[1], *outputs[1];
	struct gyr_golden golden;
	struct gyr_bundle bundle;
};

static void run(const struct gyr_plan *plan, const float *x, float *y)
{
	void *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, (gyr_plan_scratch_bytes(plan) + 64) / 64 * 64);
	gyr_plan_run(plan, ROWS, (const void *const[]){x}, (void *const[]){y}, scratch);
	free(scratch);
}

static void begin(struct setting *setting, bool whole)
{
	uint64_t seed = 2;
	*setting = (struct setting){.graph = make_net(whole)};
	for (size_t i = 0; i < ROWS * IN; i++)
		setting->x[i] = net_random(&seed);
	struct gyr_plan *reference = net_plan(setting->graph, 8, true);
	run(reference, setting->x, setting->y);
	gyr_plan_destroy(reference);
	setting->inputs[0] = setting->x;
	setting->outputs[0] = setting->y;
	setting->golden = (struct gyr_golden){.batch = ROWS, .inputs = setting->inputs, .outputs = setting->outputs, .tolerance = 1e-5f};
	setting->bundle = (struct gyr_bundle){.graph = setting->graph, .info = {.golden_count = 1, .golden = &setting->golden}};
}

/* Whether this CPU computes in bf16. */
static bool has_bf16(const struct gyr_graph *graph)
{
	const struct gyr_plan_options options = {.batch_max = 1, .precision = GYR_PLAN_BF16};
	struct gyr_plan *plan;
	struct gyr_error error;
	if (gyr_plan_create(graph, &options, &plan, &error) != 0)
		fail_msg("%s", error.text);
	bool has = gyr_plan_precision(plan) == GYR_PLAN_BF16;
	gyr_plan_destroy(plan);
	return has;
}

static struct gyr_plan *create(const struct setting *setting)
{
	const struct gyr_plan_options options = {.batch_max = 8};
	struct gyr_plan *plan;
	struct gyr_error error;
	if (gyr_plan_create_checked(&setting->bundle, &options, &plan, &error) != 0)
		fail_msg("%s", error.text);
	return plan;
}

static enum gyr_plan_precision precision(const struct setting *setting)
{
	struct gyr_plan *plan = create(setting);
	enum gyr_plan_precision chosen = gyr_plan_precision(plan);
	gyr_plan_destroy(plan);
	return chosen;
}

static void test_bound(void **state)
{
	struct setting setting;
	begin(&setting, false);
	if (!has_bf16(setting.graph)) {
		gyr_graph_destroy(setting.graph);
		skip();
	}
	struct gyr_plan *full = create(&setting);
	assert_int_equal(gyr_plan_precision(full), GYR_PLAN_F32);

	setting.bundle.info.bf16_bound = .02f;
	struct gyr_plan *half = create(&setting);
	assert_int_equal(gyr_plan_precision(half), GYR_PLAN_BF16);
	assert_true(gyr_plan_weight_bytes(half) < .6 * (double)gyr_plan_weight_bytes(full));
	float y[8 * OUT];
	double most = 0, largest = 0;
	run(half, setting.x, y);
	for (size_t i = 0; i < ROWS * OUT; i++) {
		most = fmax(most, fabs((double)y[i] - setting.y[i]));
		largest = fmax(largest, fabs((double)setting.y[i]));
	}
	assert_true(most > 1e-5 && most <= .02 * largest);

	/* The bound is what it is measured against: below that, f32. */
	setting.bundle.info.bf16_bound = (float)(most / largest / 4);
	assert_int_equal(precision(&setting), GYR_PLAN_F32);
	setting.bundle.info.bf16_bound = .02f;
	assert_int_equal(precision(&setting), GYR_PLAN_BF16);
	/* An f32 plan gets no more room for it. */
	setting.y[3] += .01f * (float)largest;
	struct gyr_error error;
	assert_int_equal(gyr_plan_check_golden(full, &setting.bundle, &error), -EILSEQ);
	/* What is wrong in f32 as well is refused. */
	setting.y[3] += .5f * (float)largest;
	struct gyr_plan *none = NULL;
	assert_int_equal(gyr_plan_create_checked(&setting.bundle, &(struct gyr_plan_options){.batch_max = 8}, &none, &error), -EILSEQ);
	assert_null(none);
	/* Nothing shows what the error is. */
	setting.bundle.info.golden_count = 0;
	assert_int_equal(precision(&setting), GYR_PLAN_F32);
	gyr_plan_destroy(full);
	gyr_plan_destroy(half);
	gyr_graph_destroy(setting.graph);
}

/* Whole numbers get no room, whatever the bound. */
static void test_whole(void **state)
{
	struct setting setting;
	begin(&setting, true);
	setting.bundle.info.bf16_bound = 1;
	int32_t *y = (int32_t *)setting.y;
	y[0] += 1;
	struct gyr_plan *plan;
	struct gyr_error error;
	assert_int_equal(gyr_plan_create_checked(&setting.bundle, &(struct gyr_plan_options){.batch_max = 8}, &plan, &error), -EILSEQ);
	gyr_graph_destroy(setting.graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bound), cmocka_unit_test(test_whole)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
