/*
 * Contests: see infer_contest.h.
 */
#include "tools/benchmark/infer_contest.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ref/number.h"

#define ALIGN 64u

static void *need(size_t bytes)
{
	void *memory = aligned_alloc(ALIGN, (bytes / ALIGN + 1) * ALIGN);
	if (memory == NULL) {
		fprintf(stderr, "bench: no memory\n");
		exit(1);
	}
	memset(memory, 0, bytes);
	return memory;
}

static float random_number(void)
{
	static uint64_t seed = 1;
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (float)(int32_t)(seed >> 32) / 2147483648.0f;
}

/* Fills an input: with what is said of it, else floats with random numbers. */
static void fill(const struct net *net, const char *name, const struct gyr_shape *shape, void *data)
{
	size_t count, length = strlen(name);
	bool real = shape->dtype == GYR_DTYPE_F32 || shape->dtype == GYR_DTYPE_F64 || shape->dtype == GYR_DTYPE_F16 || shape->dtype == GYR_DTYPE_BF16;
	const char *value = NULL;
	for (size_t i = 0; i < net->value_count; i++)
		if (strncmp(net->values[i], name, length) == 0 && net->values[i][length] == '=')
			value = net->values[i] + length + 1;
	if (!gyr_shape_count(shape, 1, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		double number = value != NULL ? strtod(value, NULL) : real ? random_number() : 0;
		gyr_number_store(shape->dtype, data, i, (struct gyr_number){.kind = GYR_NUMBER_REAL, .real = number});
	}
}

/* The model as a graph, with NAME=BATCH fixed besides where NAME is not NULL. */
static int import(const struct net *net, const void *model, size_t model_size, const char *name, uint32_t batch, struct gyr_graph **graph,
		  struct gyr_error *error)
{
	struct gyr_onnx_fixed fixed = {0};
	char word[128];
	int status = 0;
	for (size_t i = 0; i < net->dim_count && status == 0; i++)
		status = gyr_onnx_fix_dim(&fixed, net->dims[i], error);
	for (size_t i = 0; i < net->shape_count && status == 0; i++)
		status = gyr_onnx_fix_shape(&fixed, net->shapes[i], error);
	if (name != NULL && status == 0) {
		snprintf(word, sizeof word, "%s=%" PRIu32, name, batch);
		status = gyr_onnx_fix_dim(&fixed, word, error);
	}
	return status == 0 ? gyr_onnx_import_fixed(model, model_size, &fixed, graph, error) : status;
}

static bool has_batch(const struct gyr_graph *graph)
{
	for (uint32_t i = 0; i < graph->input_count; i++) {
		const struct gyr_shape *shape = &graph->values[graph->inputs[i]].shape;
		if (shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH)
			return true;
	}
	return false;
}

/* The plan, and the inputs' shapes. */
static enum contest_state make_plan(struct contest *contest, const struct gyr_graph *graph, bool first, struct gyr_error *error)
{
	uint32_t batch = contest->batch;
	if (!first && !has_batch(graph)) {
		gyr_error_set(error, -EINVAL, "the model has no batch dimension");
		return CONTEST_ABSENT;
	}
	/* Settling says whether rows can be batched, and takes the dimension from the shapes when not: they are read before. */
	contest->input_count = graph->input_count;
	contest->output_count = graph->output_count;
	for (uint32_t i = 0; i < graph->input_count; i++)
		contest->shapes[i] = graph->values[graph->inputs[i]].shape;
	bool batched = has_batch(graph);
	struct gyr_plan_options options = {.batch_max = 1};
	while (batched && options.batch_max < batch)
		options.batch_max *= 2;
	if (gyr_plan_create(graph, &options, &contest->plan, error) != 0)
		return CONTEST_REFUSED;
	options.precision = GYR_PLAN_BF16;
	if (gyr_plan_create(graph, &options, &contest->bf16, error) != 0)
		return CONTEST_REFUSED;
	if (gyr_plan_precision(contest->bf16) != GYR_PLAN_BF16) {
		gyr_plan_destroy(contest->bf16);
		contest->bf16 = NULL;
	}
	contest->rows = gyr_plan_batch_max(contest->plan) >= batch ? batch : 1;
	contest->runs = batched ? batch / contest->rows : 1;
	for (uint32_t i = 0; i < contest->input_count; i++) {
		struct gyr_shape *shape = &contest->shapes[i];
		size_t bytes;
		bool rows = shape->rank > 0 && shape->dims[0] == GYR_DIM_BATCH;
		if (!gyr_shape_bytes(shape, 1, &bytes))
			return CONTEST_FAULT;
		contest->input_steps[i] = rows ? bytes : 0;
		if (rows)
			shape->dims[0] = batch;
	}
	return CONTEST_READY;
}

/* Inputs in the order of Gyr's signature and of the peer's are the same: the model's. */
static enum contest_state make_arrays(struct contest *contest, char *reason, size_t size)
{
	size_t bytes;
	if (contest->input_count != peer_input_count(contest->peer) || contest->output_count != peer_output_count(contest->peer)) {
		snprintf(reason, size, "Gyr and ONNX Runtime see different inputs or outputs");
		return CONTEST_FAULT;
	}
	for (uint32_t i = 0; i < contest->input_count; i++) {
		const struct gyr_shape *shape = gyr_plan_input_shape(contest->plan, i);
		if (strcmp(gyr_plan_input_name(contest->plan, i), peer_input_name(contest->peer, i)) != 0 || !gyr_shape_bytes(shape, contest->rows, &bytes)) {
			snprintf(reason, size, "Gyr and ONNX Runtime see different inputs or outputs");
			return CONTEST_FAULT;
		}
		bytes = bytes / contest->rows * gyr_plan_bucket(contest->plan, contest->rows) * contest->runs;
		contest->inputs[i] = need(bytes);
		fill(contest->net, gyr_plan_input_name(contest->plan, i), &contest->shapes[i], contest->inputs[i]);
	}
	for (uint32_t i = 0; i < contest->output_count; i++) {
		const struct gyr_shape *shape = gyr_plan_output_shape(contest->plan, i);
		if (!gyr_shape_bytes(shape, gyr_plan_bucket(contest->plan, contest->rows), &bytes))
			return CONTEST_FAULT;
		contest->output_steps[i] = contest->runs > 1 ? bytes : 0;
		contest->outputs[i] = need(bytes * contest->runs);
	}
	bytes = gyr_plan_scratch_bytes(contest->plan);
	if (contest->bf16 != NULL && gyr_plan_scratch_bytes(contest->bf16) > bytes)
		bytes = gyr_plan_scratch_bytes(contest->bf16);
	contest->scratch = need(bytes);
	return peer_bind(contest->peer, contest->shapes, contest->inputs, reason, size) ? CONTEST_READY : CONTEST_FAULT;
}

enum contest_state contest_begin(struct contest *contest, const struct net *net, const void *model, size_t model_size, uint32_t batch, bool first, char *reason,
				 size_t size)
{
	struct gyr_error error;
	struct gyr_graph *graph;
	*contest = (struct contest){.net = net, .batch = batch};
	int status = import(net, model, model_size, NULL, 0, &graph, &error);
	bool fixed = status != 0 && net->batch != NULL;
	if (fixed)
		status = import(net, model, model_size, net->batch, batch, &graph, &error);
	if (status != 0) {
		snprintf(reason, size, "%s", error.text);
		return CONTEST_REFUSED;
	}
	enum contest_state state = make_plan(contest, graph, first || fixed, &error);
	gyr_graph_destroy(graph);
	if (state != CONTEST_READY) {
		snprintf(reason, size, "%s", error.text);
		return state;
	}
	contest->peer = peer_create(model, model_size, reason, size);
	return contest->peer != NULL ? make_arrays(contest, reason, size) : CONTEST_FAULT;
}

void contest_end(struct contest *contest)
{
	gyr_plan_destroy(contest->plan);
	gyr_plan_destroy(contest->bf16);
	peer_destroy(contest->peer);
	for (uint32_t i = 0; i < CONTEST_ENDS_MAX; i++) {
		free(contest->inputs[i]);
		free(contest->outputs[i]);
	}
	free(contest->scratch);
}

static void run(const struct contest *contest, const struct gyr_plan *plan)
{
	if (contest->runs == 1) {
		gyr_plan_run(plan, contest->rows, (const void *const *)contest->inputs, contest->outputs, contest->scratch);
		return;
	}
	const void *inputs[CONTEST_ENDS_MAX];
	void *outputs[CONTEST_ENDS_MAX];
	for (uint32_t run = 0; run < contest->runs; run++) {
		for (uint32_t i = 0; i < contest->input_count; i++)
			inputs[i] = (const char *)contest->inputs[i] + run * contest->input_steps[i];
		for (uint32_t i = 0; i < contest->output_count; i++)
			outputs[i] = (char *)contest->outputs[i] + run * contest->output_steps[i];
		gyr_plan_run(plan, contest->rows, inputs, outputs, contest->scratch);
	}
}

void contest_run_gyr(const struct contest *contest)
{
	run(contest, contest->plan);
}

void contest_run_bf16(const struct contest *contest)
{
	run(contest, contest->bf16);
}

void contest_run_peer(const struct contest *contest)
{
	peer_run(contest->peer);
}

static double real(struct gyr_number number)
{
	return number.kind == GYR_NUMBER_REAL ? number.real : number.kind == GYR_NUMBER_SIGNED ? (double)(int64_t)number.integer : (double)number.integer;
}

static double output_difference(const struct contest *contest, uint32_t index)
{
	struct gyr_shape theirs, ours = *gyr_plan_output_shape(contest->plan, index);
	const void *expected = peer_output(contest->peer, index, &theirs);
	size_t count, our_count;
	double most = 0, size = 0;
	if (!gyr_shape_count(&ours, contest->rows, &our_count) || !gyr_shape_count(&theirs, 1, &count) || ours.dtype != theirs.dtype ||
	    ours.rank != theirs.rank || our_count * contest->runs != count)
		return INFINITY;
	for (size_t i = 0; i < count; i++) {
		double a = real(gyr_number_load(ours.dtype, contest->outputs[index], i)), b = real(gyr_number_load(theirs.dtype, expected, i));
		if (a == b || (isnan(a) && isnan(b)))
			continue;
		double gap = fabs(a - b);
		most = gap <= most ? most : isnan(gap) ? INFINITY : gap;
		size = fmax(size, fabs(b));
	}
	return most == 0 ? 0 : most / size;
}

double contest_difference(const struct contest *contest)
{
	double worst = 0;
	for (uint32_t i = 0; i < contest->output_count; i++)
		worst = fmax(worst, output_difference(contest, i));
	return worst;
}
