/*
 * Runs ONNX models for Python scripts, which ask on stdin and read answers from stdout; all numbers are little-endian.
 *
 *     'L' u32 reference, u32 batch_max, u32 count and for each u32 length and text "d:NAME=SIZE" or "s:INPUT=SIZE,...", u64 size, bytes of the model
 *         makes it the model that is asked. Answer: i32 status, u32 length and the message; and where the status is 0 u32 batch_max, and of the inputs and then
 *         of the outputs: u32 count, and for each u32 length and name, u32 dtype, u32 rank, i64 dimensions (the first may be -1, the batch).
 *     'R' u32 rows (1 to batch_max), and for each input u64 size and elements, one byte off any alignment when they lie here
 *         runs it. Answer: for each output u64 size and elements.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/plan/plan.h"

#define ENDS_MAX 64u
#define WORDS_MAX 64u
#define WORD_MAX 1100u

static struct gyr_plan *plan;

static void need(bool fine)
{
	if (!fine)
		exit(1); /* the script sees the end of the answers */
}

static void take(void *to, size_t size)
{
	need(fread(to, 1, size, stdin) == size);
}

static uint32_t take_u32(void)
{
	uint32_t number;
	take(&number, sizeof number);
	return number;
}

static uint64_t take_u64(void)
{
	uint64_t number;
	take(&number, sizeof number);
	return number;
}

static void give(const void *from, size_t size)
{
	need(fwrite(from, 1, size, stdout) == size);
}

static void give_u32(uint32_t number)
{
	give(&number, sizeof number);
}

static void give_text(const char *text)
{
	give_u32((uint32_t)strlen(text));
	give(text, strlen(text));
}

static void give_port(const char *name, const struct gyr_shape *shape)
{
	give_text(name);
	give_u32((uint32_t)shape->dtype);
	give_u32(shape->rank);
	give(shape->dims, shape->rank * sizeof shape->dims[0]);
}

static int make_plan(const struct gyr_onnx_fixed *fixed, const void *model, size_t size, const struct gyr_plan_options *options, struct gyr_error *error)
{
	struct gyr_graph *graph;
	int status = gyr_onnx_import_fixed(model, size, fixed, &graph, error);
	if (status != 0)
		return status;
	status = gyr_plan_create(graph, options, &plan, error);
	gyr_graph_destroy(graph);
	return status;
}

static void load(void)
{
	static char words[WORDS_MAX][WORD_MAX];
	struct gyr_onnx_fixed fixed = {0};
	struct gyr_error error = {""};
	struct gyr_plan_options options = {.reference = take_u32() != 0};
	options.batch_max = take_u32();
	uint32_t count = take_u32();
	int status = 0;
	need(count <= WORDS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = take_u32();
		need(length >= 2 && length < WORD_MAX);
		take(words[i], length);
		words[i][length] = 0;
		if (status == 0)
			status = words[i][0] == 'd' ? gyr_onnx_fix_dim(&fixed, words[i] + 2, &error) : gyr_onnx_fix_shape(&fixed, words[i] + 2, &error);
	}
	uint64_t size = take_u64();
	void *model = malloc(size + 1);
	need(model != NULL);
	take(model, size);
	gyr_plan_destroy(plan);
	plan = NULL;
	if (status == 0)
		status = make_plan(&fixed, model, size, &options, &error);
	free(model);
	give_u32((uint32_t)status);
	give_text(error.text);
	if (status != 0)
		return;
	give_u32(gyr_plan_batch_max(plan));
	give_u32(gyr_plan_input_count(plan));
	for (uint32_t i = 0; i < gyr_plan_input_count(plan); i++)
		give_port(gyr_plan_input_name(plan, i), gyr_plan_input_shape(plan, i));
	give_u32(gyr_plan_output_count(plan));
	for (uint32_t i = 0; i < gyr_plan_output_count(plan); i++)
		give_port(gyr_plan_output_name(plan, i), gyr_plan_output_shape(plan, i));
}

/* Room for the rows that are really computed, one byte off its alignment. */
static uint8_t *array_of(const struct gyr_shape *shape, uint32_t rows, size_t *bytes)
{
	size_t room = 0;
	need(gyr_shape_bytes(shape, rows, bytes) && gyr_shape_bytes(shape, gyr_plan_bucket(plan, rows), &room));
	uint8_t *array = calloc(1, room + 1);
	need(array != NULL);
	return array + 1;
}

static void run(void)
{
	uint8_t *inputs[ENDS_MAX], *outputs[ENDS_MAX];
	size_t bytes[ENDS_MAX];
	need(plan != NULL);
	uint32_t rows = take_u32(), input_count = gyr_plan_input_count(plan), output_count = gyr_plan_output_count(plan);
	need(rows >= 1 && rows <= gyr_plan_batch_max(plan));
	for (uint32_t i = 0; i < input_count; i++) {
		inputs[i] = array_of(gyr_plan_input_shape(plan, i), rows, &bytes[i]);
		need(take_u64() == bytes[i]);
		take(inputs[i], bytes[i]);
	}
	for (uint32_t i = 0; i < output_count; i++)
		outputs[i] = array_of(gyr_plan_output_shape(plan, i), rows, &bytes[i]);
	void *scratch =
		aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, gyr_plan_scratch_bytes(plan) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN + GYR_PLAN_SCRATCH_ALIGN);
	need(scratch != NULL);
	gyr_plan_run(plan, rows, (const void *const *)inputs, (void *const *)outputs, scratch);
	free(scratch);
	for (uint32_t i = 0; i < output_count; i++) {
		uint64_t size = bytes[i];
		give(&size, sizeof size);
		give(outputs[i], bytes[i]);
		free(outputs[i] - 1);
	}
	for (uint32_t i = 0; i < input_count; i++)
		free(inputs[i] - 1);
}

int main(void)
{
	for (int kind = getchar(); kind != EOF; kind = getchar()) {
		need(kind == 'L' || kind == 'R');
		if (kind == 'L')
			load();
		else
			run();
		fflush(stdout);
	}
	gyr_plan_destroy(plan);
	return 0;
}
