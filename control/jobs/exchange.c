/*
 * import and export. A model file from anywhere is opened here, with the rights of who named it, and read in a sandbox (sandbox.h), which writes a bundle that
 * gyrd opens: of ONNX a new one, of a bundle the same once it has answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "control/jobs/command.h"
#include "control/jobs/event.h"
#include "control/jobs/file.h"
#include "control/jobs/golden.h"
#include "control/jobs/identity.h"
#include "control/jobs/model.h"
#include "control/jobs/sandbox.h"
#include "engine/onnx/onnx.h"

#define GOLDEN_SEED 1u
#define MIB (UINT64_C(1) << 20)
#define MEMORY_FACTOR 16u /* of the file's size: the importer's small multiple, and the plans for golden vectors */

const struct gyr_job_option gyr_job_import_options[] = {
	{"in", "FILE.onnx or BUNDLE", true},
	{"out", "BUNDLE", true},
	{"name", "NAME", true},
	{"bf16-bound", "NUMBER over 0 to 1: how far answers may be off for weights in bf16 (not at all)", false},
	{"dim", "NAME=SIZE of a dimension that the file leaves open; several times for several", false, true},
	{"shape", "INPUT=SIZE,SIZE,... of a whole input; several times for several", false, true},
	{"value", "INPUT=NUMBER that the elements of an input always are; several times for several", false, true},
	{"source-version", "NUMBER that the file has where it comes from, for lineage", false},
	{"as", "UID:GID,... whose rights IN is opened with (the process's own)", false},
	{"memory-mb", "NUMBER of MiB that the import may take, besides 16 times the file (4096)", false},
	{"time-s", "NUMBER of seconds that it may take (600)", false},
	{0},
};

const struct gyr_job_option gyr_job_export_options[] = {
	{"in", "BUNDLE", true},
	{"out", "FILE", true},
	{"format", "onnx or bundle (onnx)", false},
	{"as", "UID:GID,... whose rights OUT is written with (the process's own)", false},
	{0},
};

struct import {
	const char *in, *name, *source_version; /* the last NULL: none */
	int in_fd, out_fd;
	size_t size;
	float bf16_bound;
	struct gyr_onnx_fixed fixed;
	uint64_t memory_mb, time_s;
	struct gyr_identity identity;
};

struct result {
	uint8_t id[GYR_BUNDLE_ID_BYTES];
	uint32_t golden_rows;
};

/* Answers random questions, as a version that is loaded will have to. */
static int answer(const struct gyr_graph *graph, struct gyr_job_golden *golden, bool *finite, struct gyr_error *error)
{
	int status = gyr_job_golden_init(golden, graph, error);
	if (status != 0)
		return status;
	gyr_job_golden_random(golden, graph, GOLDEN_SEED);
	status = gyr_job_golden_compute(golden, graph, finite, error);
	if (status != 0)
		gyr_job_golden_fini(golden);
	return status;
}

static int put_onnx(const struct import *import, const struct gyr_job_model *model, struct result *result, struct gyr_error *error)
{
	struct gyr_job_golden golden;
	bool finite = false;
	int status = gyr_job_rename(model->graph, import->name, error);
	if (status == 0)
		status = answer(model->graph, &golden, &finite, error);
	if (status != 0)
		return status;
	char digest[2 * GYR_BUNDLE_ID_BYTES + 1];
	gyr_bundle_id_text(model->digest, digest);
	const struct gyr_lineage lineage[] = {
		{"tool", GYR_JOB_TOOL}, {"source", "onnx"}, {"source-digest", digest}, {"source-version", import->source_version}};
	/* A model that answers NaN to random questions may be right on others; it goes without golden vectors, and the event says so. */
	struct gyr_bundle_info info = {.lineage_count = sizeof lineage / sizeof *lineage - (import->source_version == NULL),
				       .lineage = lineage,
				       .golden_count = finite,
				       .golden = &golden.golden,
				       .bf16_bound = import->bf16_bound};
	void *bytes;
	size_t size;
	status = gyr_job_bundle_make(model->graph, &info, &bytes, &size, result->id, error);
	if (status == 0) {
		result->golden_rows = finite ? golden.golden.batch : 0;
		status = gyr_job_file_put(import->out_fd, bytes, size, error);
		free(bytes);
	}
	gyr_job_golden_fini(&golden);
	return status;
}

static int put_bundle(const struct import *import, const struct gyr_job_model *model, struct result *result, struct gyr_error *error)
{
	const struct gyr_bundle_info *info = &model->bundle->info;
	struct gyr_job_golden golden;
	bool finite;
	if (import->bf16_bound != 0)
		return gyr_error_set(error, -EINVAL, "bf16-bound: %s is a bundle, which states its own", import->in);
	if (import->fixed.dim_count + import->fixed.shape_count + import->fixed.value_count > 0)
		return gyr_error_set(error, -EINVAL, "dim, shape, value: %s is a bundle, where all is fixed", import->in);
	int status = answer(model->graph, &golden, &finite, error);
	if (status != 0)
		return status;
	gyr_job_golden_fini(&golden);
	memcpy(result->id, model->digest, sizeof result->id);
	result->golden_rows = info->golden_count > 0 ? info->golden[0].batch : 0;
	return gyr_job_file_put(import->out_fd, model->bytes, model->size, error);
}

/* In the sandbox. */
static int read_model(void *context, void *result, struct gyr_error *error)
{
	const struct import *import = context;
	struct gyr_job_model model;
	void *bytes;
	int status = gyr_job_file_take(import->in_fd, import->in, import->size, &bytes, error);
	if (status == 0)
		status = gyr_job_model_parse(import->in, bytes, import->size, &import->fixed, &model, error);
	if (status != 0)
		return status;
	status = model.bundle == NULL ? put_onnx(import, &model, result, error) : put_bundle(import, &model, result, error);
	gyr_job_model_fini(&model);
	return status;
}

/* What the options "dim", "shape" and "value" give. -EINVAL, -E2BIG. */
static int read_fixed(const struct gyr_job_options *options, struct gyr_onnx_fixed *fixed, struct gyr_error *error)
{
	const char *text;
	int result = 0;
	*fixed = (struct gyr_onnx_fixed){0};
	for (int i = 0; result == 0 && (text = gyr_job_option_at(options, "dim", i)) != NULL; i++)
		result = gyr_onnx_fix_dim(fixed, text, error);
	for (int i = 0; result == 0 && (text = gyr_job_option_at(options, "shape", i)) != NULL; i++)
		result = gyr_onnx_fix_shape(fixed, text, error);
	for (int i = 0; result == 0 && (text = gyr_job_option_at(options, "value", i)) != NULL; i++)
		result = gyr_onnx_fix_value(fixed, text, error);
	return result;
}

static int read_options(const struct gyr_job_options *options, struct import *import, struct gyr_error *error)
{
	*import = (struct import){
		.in = gyr_job_option(options, "in"), .source_version = gyr_job_option(options, "source-version"), .memory_mb = 4096, .time_s = 600};
	int result = gyr_job_option_name(options, "", &import->name, error);
	if (result == 0)
		result = gyr_job_option_bound(options, &import->bf16_bound, error);
	if (result == 0)
		result = gyr_job_option_whole(options, "memory-mb", 1, UINT32_MAX, &import->memory_mb, error);
	if (result == 0)
		result = gyr_job_option_whole(options, "time-s", 1, UINT32_MAX, &import->time_s, error);
	if (result == 0)
		result = gyr_identity_read(gyr_job_option(options, "as"), &import->identity, error);
	return result != 0 ? result : read_fixed(options, &import->fixed, error);
}

static int open_input(struct import *import, struct gyr_error *error)
{
	int result = gyr_identity_take(&import->identity, error);
	if (result != 0)
		return result;
	result = gyr_job_file_open(import->in, GYR_BUNDLE_BYTES_MAX, &import->in_fd, &import->size, error);
	gyr_identity_leave(&import->identity);
	return result;
}

static int run_import(struct import *import, const char *out, struct result *found, struct gyr_error *error)
{
	uint64_t memory = import->memory_mb * MIB + MEMORY_FACTOR * (uint64_t)import->size;
	struct gyr_sandbox sandbox = {.memory_bytes = memory, .file_bytes = memory, .time_s = import->time_s, .descriptor_count = 2};
	int result = gyr_job_file_begin(out, &import->out_fd, error);
	if (result != 0)
		return result;
	sandbox.descriptors[0] = import->in_fd;
	sandbox.descriptors[1] = import->out_fd;
	result = gyr_sandbox_run(&sandbox, read_model, import, found, sizeof *found, error);
	if (result == -ETIME || result == -ECHILD)
		gyr_error_prefix(error, 0, "%s", import->in);
	return gyr_job_file_end(out, import->out_fd, result, error);
}

int gyr_job_import(const struct gyr_job_options *options, bool *usage, struct gyr_error *error)
{
	const char *out = gyr_job_option(options, "out");
	struct import import;
	struct result found;
	int result = read_options(options, &import, error);
	*usage = result != 0;
	if (result == 0 && sodium_init() < 0)
		result = gyr_error_set(error, -EIO, "libsodium does not start");
	if (result == 0)
		result = open_input(&import, error);
	if (result != 0)
		return result;
	result = run_import(&import, out, &found, error);
	close(import.in_fd);
	if (result != 0)
		return result;
	char id[2 * GYR_BUNDLE_ID_BYTES + 1];
	gyr_bundle_id_text(found.id, id);
	const struct gyr_job_field fields[] = {{"out", out, 0}, {"id", id, 0}, {"golden_rows", NULL, found.golden_rows}};
	gyr_job_event("done", fields, sizeof fields / sizeof *fields);
	return 0;
}

static int write_export(const struct gyr_job_model *model, bool onnx, const char *out, const struct gyr_identity *identity, struct gyr_error *error)
{
	void *bytes = NULL;
	size_t size;
	int result = onnx ? gyr_onnx_export(model->graph, &bytes, &size, error) : 0;
	if (result == 0)
		result = gyr_identity_take(identity, error);
	if (result == 0) {
		result = gyr_job_file_write(out, onnx ? bytes : model->bytes, onnx ? size : model->size, error);
		gyr_identity_leave(identity);
	}
	free(bytes);
	return result;
}

int gyr_job_export(const struct gyr_job_options *options, bool *usage, struct gyr_error *error)
{
	static const char *const formats[] = {"onnx", "bundle", NULL};
	const char *in = gyr_job_option(options, "in"), *out = gyr_job_option(options, "out");
	struct gyr_job_model model;
	struct gyr_identity identity;
	uint32_t format = 0;
	int result = gyr_job_option_word(options, "format", formats, &format, error);
	if (result == 0)
		result = gyr_identity_read(gyr_job_option(options, "as"), &identity, error);
	*usage = result != 0;
	if (result == 0)
		result = gyr_job_model_read(in, NULL, &model, error);
	if (result != 0)
		return result;
	result = model.bundle == NULL ? gyr_error_set(error, -EBADMSG, "%s: no bundle", in) : write_export(&model, format == 0, out, &identity, error);
	if (result == 0) {
		char id[2 * GYR_BUNDLE_ID_BYTES + 1];
		gyr_bundle_id_text(model.digest, id);
		const struct gyr_job_field fields[] = {{"out", out, 0}, {"id", id, 0}};
		gyr_job_event("done", fields, sizeof fields / sizeof *fields);
	}
	gyr_job_model_fini(&model);
	return result;
}
