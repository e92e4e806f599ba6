/*
 * import and export: between ONNX files and bundles.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/jobs/command.h"
#include "control/jobs/event.h"
#include "control/jobs/file.h"
#include "control/jobs/golden.h"
#include "control/jobs/model.h"
#include "engine/onnx/onnx.h"

#define GOLDEN_SEED 1u

const struct gyr_job_option gyr_job_import_options[] = {
	{"in", "FILE.onnx", true},
	{"out", "BUNDLE", true},
	{"name", "NAME", true},
	{"bf16-bound", "NUMBER over 0 to 1: how far answers may be off for weights in bf16 (not at all)", false},
	{"dim", "NAME=SIZE of a dimension that the file leaves open; several times for several", false, true},
	{"shape", "INPUT=SIZE,SIZE,... of a whole input; several times for several", false, true},
	{"value", "INPUT=NUMBER that the elements of an input always are; several times for several", false, true},
	{0},
};

const struct gyr_job_option gyr_job_export_options[] = {
	{"in", "BUNDLE", true},
	{"out", "FILE.onnx", true},
	{0},
};

static int write_import(const struct gyr_job_model *model, float bf16_bound, const char *out, struct gyr_error *error)
{
	struct gyr_job_golden golden;
	int result = gyr_job_golden_init(&golden, model->graph, error);
	if (result != 0)
		return result;
	bool finite = false;
	gyr_job_golden_random(&golden, model->graph, GOLDEN_SEED);
	result = gyr_job_golden_compute(&golden, model->graph, &finite, error);
	char digest[2 * GYR_BUNDLE_ID_BYTES + 1], id_text[2 * GYR_BUNDLE_ID_BYTES + 1];
	gyr_bundle_id_text(model->digest, digest);
	const struct gyr_lineage lineage[] = {{"tool", GYR_JOB_TOOL}, {"source", "onnx"}, {"source-digest", digest}};
	/* A model that answers NaN to random questions may be right on others; it goes without golden vectors, and the event says so. */
	struct gyr_bundle_info info = {.lineage_count = sizeof lineage / sizeof *lineage,
				       .lineage = lineage,
				       .golden_count = finite,
				       .golden = &golden.golden,
				       .bf16_bound = bf16_bound};
	uint8_t id[GYR_BUNDLE_ID_BYTES];
	if (result == 0)
		result = gyr_job_bundle_write(out, model->graph, &info, id, error);
	if (result == 0) {
		gyr_bundle_id_text(id, id_text);
		const struct gyr_job_field fields[] = {{"out", out, 0}, {"id", id_text, 0}, {"golden_rows", NULL, finite ? golden.golden.batch : 0}};
		gyr_job_event("done", fields, sizeof fields / sizeof *fields);
	}
	gyr_job_golden_fini(&golden);
	return result;
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

int gyr_job_import(const struct gyr_job_options *options, bool *usage, struct gyr_error *error)
{
	const char *in = gyr_job_option(options, "in"), *name;
	struct gyr_onnx_fixed fixed;
	float bf16_bound = 0;
	int result = gyr_job_option_name(options, "", &name, error);
	if (result == 0)
		result = gyr_job_option_bound(options, &bf16_bound, error);
	if (result == 0)
		result = read_fixed(options, &fixed, error);
	*usage = result != 0;
	if (result != 0)
		return result;
	struct gyr_job_model model;
	result = gyr_job_model_read(in, &fixed, &model, error);
	if (result != 0)
		return result;
	if (model.bundle != NULL)
		result = gyr_error_set(error, -EBADMSG, "%s: a bundle already; an ONNX file is expected", in);
	if (result == 0)
		result = gyr_job_rename(model.graph, name, error);
	if (result == 0)
		result = write_import(&model, bf16_bound, gyr_job_option(options, "out"), error);
	gyr_job_model_fini(&model);
	return result;
}

int gyr_job_export(const struct gyr_job_options *options, bool *usage, struct gyr_error *error)
{
	const char *in = gyr_job_option(options, "in"), *out = gyr_job_option(options, "out");
	struct gyr_job_model model;
	*usage = false;
	int result = gyr_job_model_read(in, NULL, &model, error);
	if (result != 0)
		return result;
	void *bytes = NULL;
	size_t size;
	result = model.bundle == NULL ? gyr_error_set(error, -EBADMSG, "%s: no bundle", in) : gyr_onnx_export(model.graph, &bytes, &size, error);
	if (result == 0)
		result = gyr_job_file_write(out, bytes, size, error);
	free(bytes);
	if (result == 0) {
		char id[2 * GYR_BUNDLE_ID_BYTES + 1];
		gyr_bundle_id_text(model.digest, id);
		const struct gyr_job_field fields[] = {{"out", out, 0}, {"id", id, 0}};
		gyr_job_event("done", fields, sizeof fields / sizeof *fields);
	}
	gyr_job_model_fini(&model);
	return result;
}
