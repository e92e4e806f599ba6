/*
 * Runs models for check_flow.py. For each line "MODEL QUESTIONS ROWS ANSWERS EXPORT" of standard input it imports MODEL, settles it, takes it through a bundle
 * and through EXPORT and back, compiles it, runs ROWS rows of QUESTIONS (the inputs' arrays, one behind the other) by the plan and by the plain twins, every
 * array off its alignment, and writes what both gave to ANSWERS, one behind the other. It prints one line: the status (an errno's name, or OK) and the message;
 * after OK the plan's batch_max and the shapes of its outputs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "engine/model/bundle.h"
#include "engine/onnx/onnx.h"
#include "engine/plan/plan.h"

#define ENDS_MAX 16u
#define GUARD 64u /* bytes around each output, which a run must leave alone */

static void *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	GYR_ASSERT(file != NULL && fseek(file, 0, SEEK_END) == 0);
	long length = ftell(file);
	rewind(file);
	void *bytes = malloc((size_t)length + 1);
	GYR_ASSERT(bytes != NULL);
	*size = fread(bytes, 1, (size_t)length, file);
	fclose(file);
	return bytes;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	GYR_ASSERT(file != NULL);
	GYR_ASSERT(fwrite(bytes, 1, size, file) == size);
	fclose(file);
}

/* What is exported must come back as it was. */
static int through_onnx(const struct gyr_graph *graph, const char *path, struct gyr_error *error)
{
	struct gyr_graph *again;
	void *bytes;
	size_t size;
	int status = gyr_onnx_export(graph, &bytes, &size, error);
	if (status != 0)
		return status;
	write_file(path, bytes, size);
	status = gyr_onnx_import(bytes, size, &again, error);
	free(bytes);
	if (status != 0)
		return status;
	status = gyr_plan_settle(again, error);
	if (status == 0 && !gyr_graph_same_signature(graph, again, error))
		status = -EILSEQ;
	gyr_graph_destroy(again);
	return status;
}

/* Runs PLAN; its outputs go to FILE. */
static void run(const struct gyr_plan *plan, uint32_t rows, const uint8_t *questions, size_t question_bytes, FILE *file)
{
	const void *inputs[ENDS_MAX];
	void *outputs[ENDS_MAX], *inputs_own[ENDS_MAX];
	size_t bytes, at = 0;
	uint32_t input_count = gyr_plan_input_count(plan), output_count = gyr_plan_output_count(plan), bucket = gyr_plan_bucket(plan, rows);
	GYR_ASSERT(input_count <= ENDS_MAX && output_count <= ENDS_MAX);
	for (uint32_t i = 0; i < input_count; i++) {
		size_t room;
		GYR_ASSERT(gyr_shape_bytes(gyr_plan_input_shape(plan, i), rows, &bytes) && gyr_shape_bytes(gyr_plan_input_shape(plan, i), bucket, &room));
		GYR_ASSERT(bytes <= question_bytes - at);
		inputs_own[i] = calloc(1, room + 1);
		inputs[i] = (uint8_t *)inputs_own[i] + 1;
		memcpy((uint8_t *)inputs_own[i] + 1, questions + at, bytes);
		at += bytes;
	}
	GYR_ASSERT(at == question_bytes);
	for (uint32_t i = 0; i < output_count; i++) {
		GYR_ASSERT(gyr_shape_bytes(gyr_plan_output_shape(plan, i), bucket, &bytes));
		outputs[i] = malloc(bytes + 2 * GUARD + 1);
		memset(outputs[i], 0xa5, bytes + 2 * GUARD + 1);
		outputs[i] = (uint8_t *)outputs[i] + GUARD + 1;
	}
	size_t scratch_bytes = gyr_plan_scratch_bytes(plan) / GYR_PLAN_SCRATCH_ALIGN * GYR_PLAN_SCRATCH_ALIGN + GYR_PLAN_SCRATCH_ALIGN;
	void *scratch = aligned_alloc(GYR_PLAN_SCRATCH_ALIGN, scratch_bytes);
	memset(scratch, 0xff, scratch_bytes);
	gyr_plan_run(plan, rows, inputs, outputs, scratch);
	free(scratch);
	for (uint32_t i = 0; i < output_count; i++) {
		uint8_t *output = outputs[i];
		size_t room;
		GYR_ASSERT(gyr_shape_bytes(gyr_plan_output_shape(plan, i), rows, &bytes) && gyr_shape_bytes(gyr_plan_output_shape(plan, i), bucket, &room));
		for (size_t k = 0; k < GUARD; k++)
			GYR_ASSERT(output[-1 - (ptrdiff_t)k] == 0xa5 && output[room + k] == 0xa5);
		GYR_ASSERT(fwrite(output, 1, bytes, file) == bytes);
		free(output - GUARD - 1);
	}
	for (uint32_t i = 0; i < input_count; i++)
		free(inputs_own[i]);
}

static int compile_and_run(const struct gyr_graph *graph, const char *questions_path, uint32_t rows, const char *answers_path, char *told, size_t told_bytes,
			   struct gyr_error *error)
{
	size_t size;
	int status = 0;
	void *questions = read_file(questions_path, &size);
	FILE *file = fopen(answers_path, "wb");
	GYR_ASSERT(file != NULL);
	for (int reference = 0; reference < 2 && status == 0; reference++) {
		const struct gyr_plan_options options = {.batch_max = GYR_PLAN_BATCH_MAX, .reference = reference != 0};
		struct gyr_plan *plan;
		char text[128];
		status = gyr_plan_create(graph, &options, &plan, error);
		if (status != 0)
			break;
		size_t length = (size_t)snprintf(told, told_bytes, "%u", gyr_plan_batch_max(plan));
		for (uint32_t i = 0; i < gyr_plan_output_count(plan); i++)
			length +=
				(size_t)snprintf(told + length, told_bytes - length, " %s", gyr_shape_text(gyr_plan_output_shape(plan, i), text, sizeof text));
		run(plan, rows <= gyr_plan_batch_max(plan) ? rows : 1, questions, size, file);
		gyr_plan_destroy(plan);
	}
	fclose(file);
	free(questions);
	return status;
}

static int do_all(char *line, char *told, size_t told_bytes, struct gyr_error *error)
{
	const struct gyr_bundle_info info = {0};
	struct gyr_bundle *bundle;
	struct gyr_graph *graph;
	void *file;
	size_t size;
	const char *model = strtok(line, " \n"), *questions = strtok(NULL, " \n"), *rows = strtok(NULL, " \n"), *answers = strtok(NULL, " \n"),
		   *export = strtok(NULL, " \n");
	GYR_ASSERT(export != NULL);
	void *bytes = read_file(model, &size);
	int status = gyr_onnx_import(bytes, size, &graph, error);
	free(bytes);
	if (status != 0)
		return status;
	status = gyr_plan_settle(graph, error);
	if (status == 0)
		status = through_onnx(graph, export, error);
	if (status == 0)
		status = gyr_bundle_build(graph, &info, &file, &size, error);
	if (status == 0) {
		status = gyr_bundle_open(file, size, &bundle, error);
		if (status == 0) {
			status = compile_and_run(bundle->graph, questions, (uint32_t)atoi(rows), answers, told, told_bytes, error);
			gyr_bundle_close(bundle);
		}
		free(file);
	}
	gyr_graph_destroy(graph);
	return status;
}

int main(void)
{
	char line[8192], told[4096];
	while (fgets(line, sizeof line, stdin) != NULL) {
		struct gyr_error error = {""};
		int status = do_all(line, told, sizeof told, &error);
		printf("%s %s\n", status == 0 ? "OK" : status == -ENOTSUP ? "ENOTSUP" : strerrorname_np(-status), status == 0 ? told : error.text);
		fflush(stdout);
	}
	return 0;
}
