#include "control/jobs/golden.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan/plan.h"
#include "engine/train/random.h"

#define TOLERANCE_MIN 1e-4f
#define TOLERANCE_MAX 1e-2f
#define TOLERANCE_FACTOR 8

static const struct gyr_shape *input_shape(const struct gyr_graph *graph, uint32_t index)
{
	return &graph->values[graph->inputs[index]].shape;
}

static const struct gyr_shape *output_shape(const struct gyr_graph *graph, uint32_t index)
{
	return &graph->values[graph->outputs[index]].shape;
}

/* Zeroed memory for as many rows of SHAPE as the plan may touch. */
static int take(const struct gyr_shape *shape, void **memory, struct gyr_error *error)
{
	size_t bytes;
	if (!gyr_shape_bytes(shape, GYR_JOB_GOLDEN_ROWS, &bytes))
		return gyr_error_set(error, -E2BIG, "golden vectors of this model are too large");
	*memory = calloc(bytes + 1, 1);
	return *memory != NULL ? 0 : gyr_error_set(error, -ENOMEM, "no memory for golden vectors of %zu bytes", bytes);
}

int gyr_job_golden_init(struct gyr_job_golden *golden, const struct gyr_graph *graph, struct gyr_error *error)
{
	const struct gyr_shape *first = input_shape(graph, 0);
	bool batched = first->rank > 0 && first->dims[0] == GYR_DIM_BATCH;
	*golden = (struct gyr_job_golden){.golden = {.batch = batched ? GYR_JOB_GOLDEN_ROWS : 1}};
	int result = 0;
	for (uint32_t i = 0; i < graph->input_count && result == 0; i++)
		result = take(input_shape(graph, i), &golden->inputs[i], error);
	for (uint32_t i = 0; i < graph->output_count && result == 0; i++)
		result = take(output_shape(graph, i), &golden->outputs[i], error);
	golden->golden.inputs = (const void *const *)golden->inputs;
	golden->golden.outputs = (const void *const *)golden->outputs;
	if (result != 0)
		gyr_job_golden_fini(golden);
	return result;
}

void gyr_job_golden_fini(struct gyr_job_golden *golden)
{
	for (uint32_t i = 0; i < GYR_GRAPH_ENDS_MAX; i++) {
		free(golden->inputs[i]);
		free(golden->outputs[i]);
	}
	*golden = (struct gyr_job_golden){0};
}

static void put_random(enum gyr_dtype dtype, void *array, size_t index, struct gyr_random *random)
{
	double unit = 2 * gyr_random_uniform(random) - 1;
	uint32_t whole = gyr_random_below(random, 100);
	switch (dtype) {
	case GYR_DTYPE_F32: ((float *)array)[index] = (float)unit; break;
	case GYR_DTYPE_F64: ((double *)array)[index] = unit; break;
	case GYR_DTYPE_BOOL: ((uint8_t *)array)[index] = whole & 1; break;
	case GYR_DTYPE_U8:
	case GYR_DTYPE_I8: ((uint8_t *)array)[index] = (uint8_t)whole; break;
	case GYR_DTYPE_U16:
	case GYR_DTYPE_I16: ((uint16_t *)array)[index] = (uint16_t)whole; break;
	case GYR_DTYPE_U32:
	case GYR_DTYPE_I32: ((uint32_t *)array)[index] = whole; break;
	case GYR_DTYPE_U64:
	case GYR_DTYPE_I64: ((uint64_t *)array)[index] = whole; break;
	/* A sign and a fraction, with the exponent of numbers from 0.5 to 1. */
	case GYR_DTYPE_F16: ((uint16_t *)array)[index] = (uint16_t)(0x3800 | (gyr_random_next(random) & 0x83ff)); break;
	case GYR_DTYPE_BF16: ((uint16_t *)array)[index] = (uint16_t)(0x3f00 | (gyr_random_next(random) & 0x807f)); break;
	case GYR_DTYPE_NONE: break;
	}
}

void gyr_job_golden_random(struct gyr_job_golden *golden, const struct gyr_graph *graph, uint64_t seed)
{
	struct gyr_random random;
	gyr_random_init(&random, seed);
	for (uint32_t i = 0; i < graph->input_count; i++) {
		size_t count;
		if (!gyr_shape_count(input_shape(graph, i), golden->golden.batch, &count))
			continue;
		for (size_t j = 0; j < count; j++)
			put_random(input_shape(graph, i)->dtype, golden->inputs[i], j, &random);
	}
}

/* Runs one plan over the questions. */
static int run(const struct gyr_job_golden *golden, const struct gyr_graph *graph, bool reference, void *const outputs[], struct gyr_error *error)
{
	struct gyr_plan_options options = {.batch_max = golden->golden.batch > 1 ? GYR_JOB_GOLDEN_ROWS : 1, .reference = reference};
	struct gyr_plan *plan;
	int result = gyr_plan_create(graph, &options, &plan, error);
	if (result != 0)
		return result;
	size_t bytes = gyr_plan_scratch_bytes(plan);
	void *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, (bytes / GYR_PLAN_SCRATCH_ALIGN + 1) * GYR_PLAN_SCRATCH_ALIGN);
	if (scratch == NULL)
		result = gyr_error_set(error, -ENOMEM, "no memory for %zu bytes of scratch", bytes);
	else
		gyr_plan_run(plan, golden->golden.batch, golden->golden.inputs, outputs, scratch);
	free(scratch);
	gyr_plan_destroy(plan);
	return result;
}

/* The largest |got - expected| / (1 + |expected|) of one output, or infinity when a number is not finite. Types other than f32 and f64 are taken to be exact.
 */
static double difference(enum gyr_dtype dtype, const void *expected, const void *got, size_t count)
{
	double largest = 0;
	for (size_t i = 0; i < count && (dtype == GYR_DTYPE_F32 || dtype == GYR_DTYPE_F64); i++) {
		double e = dtype == GYR_DTYPE_F32 ? (double)((const float *)expected)[i] : ((const double *)expected)[i];
		double g = dtype == GYR_DTYPE_F32 ? (double)((const float *)got)[i] : ((const double *)got)[i];
		if (!isfinite(e) || !isfinite(g))
			return INFINITY;
		largest = fmax(largest, fabs(g - e) / (1 + fabs(e)));
	}
	return largest;
}

int gyr_job_golden_compute(struct gyr_job_golden *golden, const struct gyr_graph *graph, bool *finite, struct gyr_error *error)
{
	uint32_t rows = golden->golden.batch;
	void *again[GYR_GRAPH_ENDS_MAX] = {NULL};
	gyr_plan_thread_init();
	int result = run(golden, graph, true, golden->outputs, error);
	for (uint32_t i = 0; i < graph->output_count && result == 0; i++)
		result = take(output_shape(graph, i), &again[i], error);
	if (result == 0)
		result = run(golden, graph, false, again, error);
	double largest = 0;
	for (uint32_t i = 0; i < graph->output_count && result == 0; i++) {
		size_t count = 0;
		if (gyr_shape_count(output_shape(graph, i), rows, &count))
			largest = fmax(largest, difference(output_shape(graph, i)->dtype, golden->outputs[i], again[i], count));
	}
	for (uint32_t i = 0; i < graph->output_count; i++)
		free(again[i]);
	*finite = isfinite(largest);
	golden->golden.tolerance = fminf(fmaxf((float)(TOLERANCE_FACTOR * largest), TOLERANCE_MIN), TOLERANCE_MAX);
	return result;
}
