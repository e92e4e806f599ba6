/*
 * Golden vectors: see gyr_plan_check_golden.
 *
 * A vector of fewer rows than a batch size is repeated to fill it, and one of more rows is taken in pieces, so that each batch size computes each row.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/plan/plan_internal.h"
#include "engine/ref/number.h"

struct replay {
	const struct gyr_plan *plan;
	const struct gyr_golden *golden;
	double bound;                    /* of the error in bf16, over an output's largest number */
	double room[GYR_GRAPH_ENDS_MAX]; /* beside the tolerance, one an output */
	void **inputs, **outputs;        /* room for the largest batch */
	void *scratch;
};

static bool has_rows(const struct gyr_shape *shape)
{
	return shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH;
}

/* SHAPE was counted when the plan was made, so it is in range. */
static size_t bytes_of(const struct gyr_shape *shape, uint64_t batch)
{
	size_t bytes = 0;
	GYR_ASSERT(gyr_shape_bytes(shape, batch, &bytes));
	return bytes;
}

static double real(struct gyr_number number)
{
	return number.kind == GYR_NUMBER_REAL ? number.real : number.kind == GYR_NUMBER_SIGNED ? (double)(int64_t)number.integer : (double)number.integer;
}

static bool close_enough(double got, double expected, double tolerance, double more)
{
	if (isnan(expected) || isinf(expected))
		return (isnan(expected) && isnan(got)) || got == expected;
	return fabs(got - expected) <= tolerance * (1 + fabs(expected)) + more;
}

/* How far off output INDEX may be for the precision of the plan: a share of its largest number. Whole numbers may not. */
static double more_room(const struct replay *replay, uint32_t index)
{
	const struct gyr_shape *shape = &replay->plan->outputs[index].shape;
	size_t count = bytes_of(shape, replay->golden->batch) / gyr_dtype_bytes(shape->dtype);
	double largest = 0;
	for (size_t i = 0; i < count && replay->bound > 0; i++) {
		struct gyr_number number = gyr_number_load(shape->dtype, replay->golden->outputs[index], i);
		if (number.kind == GYR_NUMBER_REAL && isfinite(number.real))
			largest = fmax(largest, fabs(number.real));
	}
	return replay->bound * largest;
}

/* Compares one row (or the whole, where there are no rows) of output INDEX. */
static int compare(const struct replay *replay, uint32_t index, const void *got, const void *expected, uint32_t row, uint32_t batch, struct gyr_error *error)
{
	const struct gyr_shape *shape = &replay->plan->outputs[index].shape;
	size_t count = bytes_of(shape, 1) / gyr_dtype_bytes(shape->dtype);
	double more = replay->room[index];
	for (size_t i = 0; i < count; i++) {
		double value = real(gyr_number_load(shape->dtype, got, i)), wanted = real(gyr_number_load(shape->dtype, expected, i));
		if (!close_enough(value, wanted, replay->golden->tolerance, more))
			return gyr_error_set(error, -EILSEQ,
					     "output '%s', row %" PRIu32 ", element %zu at batch size %" PRIu32
					     " is %.9g, expected %.9g (tolerance %g, in bf16 %g more)",
					     replay->plan->outputs[index].name, row, i, batch, value, wanted, (double)replay->golden->tolerance, more);
	}
	return 0;
}

/* Runs BATCH rows from row FIRST on. */
static int run_piece(const struct replay *replay, uint32_t first, uint32_t batch, struct gyr_error *error)
{
	const struct gyr_plan *plan = replay->plan;
	const struct gyr_golden *golden = replay->golden;
	for (uint32_t i = 0; i < plan->input_count; i++) {
		const struct gyr_shape *shape = &plan->inputs[i].shape;
		size_t bytes = bytes_of(shape, 1);
		for (uint32_t row = 0; row < (has_rows(shape) ? batch : 1); row++)
			memcpy((char *)replay->inputs[i] + row * bytes, (const char *)golden->inputs[i] + (first + row) % golden->batch * bytes, bytes);
	}
	/* What is not written must not pass because it was written before. */
	for (uint32_t i = 0; i < plan->output_count; i++)
		memset(replay->outputs[i], 0xff, bytes_of(&plan->outputs[i].shape, batch));
	gyr_plan_run(plan, batch, (const void *const *)replay->inputs, replay->outputs, replay->scratch);
	for (uint32_t i = 0; i < plan->output_count; i++) {
		const struct gyr_shape *shape = &plan->outputs[i].shape;
		size_t bytes = bytes_of(shape, 1);
		for (uint32_t row = 0; row < (has_rows(shape) ? batch : 1); row++) {
			uint32_t golden_row = (first + row) % golden->batch;
			int status = compare(replay, i, (const char *)replay->outputs[i] + row * bytes, (const char *)golden->outputs[i] + golden_row * bytes,
					     golden_row, batch, error);
			if (status != 0)
				return status;
		}
	}
	return 0;
}

static int replay_all(struct replay *replay, const struct gyr_bundle *bundle, struct gyr_error *error)
{
	uint32_t batch_max = gyr_plan_batch_max(replay->plan);
	for (uint32_t g = 0; g < bundle->info.golden_count; g++) {
		replay->golden = &bundle->info.golden[g];
		GYR_ASSERT(replay->golden->batch >= 1);
		for (uint32_t i = 0; i < replay->plan->output_count; i++)
			replay->room[i] = more_room(replay, i);
		for (uint32_t batch = 1; batch <= batch_max; batch *= 2) {
			for (uint32_t first = 0; first < replay->golden->batch; first += batch) {
				int status = run_piece(replay, first, batch, error);
				if (status != 0)
					return gyr_error_prefix(error, status, "golden vector %" PRIu32, g);
			}
		}
	}
	return 0;
}

static bool allocate(const struct gyr_plan_port *ports, uint32_t count, uint32_t batch, void **arrays)
{
	for (uint32_t i = 0; i < count; i++) {
		arrays[i] = malloc(bytes_of(&ports[i].shape, batch) + 1);
		if (arrays[i] == NULL)
			return false;
	}
	return true;
}

int gyr_plan_check_golden(const struct gyr_plan *plan, const struct gyr_bundle *bundle, struct gyr_error *error)
{
	uint32_t batch = gyr_plan_batch_max(plan), ports = plan->input_count + plan->output_count;
	void **arrays = calloc(ports + 1, sizeof *arrays);
	struct replay replay = {.plan = plan,
				.bound = plan->bf16 ? bundle->info.bf16_bound : 0,
				.inputs = arrays,
				.outputs = arrays == NULL ? NULL : arrays + plan->input_count};
	replay.scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, plan->scratch_bytes + GYR_PLAN_SCRATCH_ALIGN);
	int status = 0;
	if (arrays == NULL || replay.scratch == NULL || !allocate(plan->inputs, plan->input_count, batch, replay.inputs) ||
	    !allocate(plan->outputs, plan->output_count, batch, replay.outputs))
		status = gyr_error_set(error, -ENOMEM, "no memory to replay the golden vectors");
	if (status == 0)
		status = replay_all(&replay, bundle, error);
	for (uint32_t i = 0; arrays != NULL && i < ports; i++)
		free(arrays[i]);
	free(arrays);
	free(replay.scratch);
	return status;
}

int gyr_plan_create_checked(const struct gyr_bundle *bundle, const struct gyr_plan_options *options, struct gyr_plan **plan, struct gyr_error *error)
{
	struct gyr_plan_options trial = *options;
	trial.precision = bundle->info.bf16_bound > 0 && bundle->info.golden_count > 0 ? GYR_PLAN_BF16 : GYR_PLAN_F32;
	for (;;) {
		struct gyr_plan *made;
		int status = gyr_plan_create(bundle->graph, &trial, &made, error);
		if (status != 0)
			return status;
		status = gyr_plan_check_golden(made, bundle, error);
		if (status == 0) {
			*plan = made;
			return 0;
		}
		bool again = status == -EILSEQ && gyr_plan_precision(made) == GYR_PLAN_BF16;
		gyr_plan_destroy(made);
		if (!again)
			return status;
		trial.precision = GYR_PLAN_F32;
	}
}
