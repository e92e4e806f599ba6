/* Trainings and exports. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assertion.h"
#include "control/job_run.h"

/* --- train --- */

/* What is handed to the worker as it came; it checks the values. */
static const char *const train_names[] = {"data",   "targets", "data-columns", "target-columns", "held-data", "held-targets",
					  "sizes",  "divisor", "loss",         "rate",           "momentum",  "optimiser",
					  "epochs", "batch",   "seed",         "shuffle",        "limit",     "bf16-bound"};
#define TRAIN_NAMES (sizeof train_names / sizeof train_names[0])

/* "from" is a version of the same model: its blob is what the worker starts with, and it becomes the parent. */
static int add_parent(struct gyrd_job *job, const struct gyr_rpc_request *request, struct gyrd_words *words, struct gyr_error *error)
{
	struct gyr_version version;
	uint64_t number = 0;
	char path[GYR_BLOB_PATH_BYTES], parent[32];
	if (gyr_rpc_value(request, "from") == NULL)
		return 0;
	int status = gyr_rpc_number(request, "from", &number, error);
	if (status == 0 && number == 0)
		status = gyr_error_set(error, -EINVAL, "from: versions count from 1");
	if (status == 0)
		status = gyr_registry_version(job->gyrd->registry, job->model, number, &version, error);
	if (status != 0)
		return status;
	gyr_blobs_path(gyr_registry_blobs(job->gyrd->registry), version.id, path);
	snprintf(parent, sizeof parent, "%llu", (unsigned long long)number);
	gyrd_words_add(words, "from", path);
	gyrd_words_add(words, "parent", parent);
	return 0;
}

/* Is it a parameter of the call that is not the worker's? */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {"model", "from", "promote", "key", "detach", "dry-run", "expect"};
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (strcmp(ours[i], name) == 0)
			return true;
	return false;
}

static int add_train_words(struct gyrd_job *job, const struct gyr_rpc_request *request, struct gyrd_words *words, struct gyr_error *error)
{
	gyrd_words_add(words, "name", job->model);
	for (uint32_t i = 0; i < request->count; i++) {
		const char *name = request->parameters[i].name;
		size_t known = 0;
		while (known < TRAIN_NAMES && strcmp(train_names[known], name) != 0)
			known++;
		if (known < TRAIN_NAMES) {
			if (strlen(request->parameters[i].value) >= GYR_PATH_BYTES)
				return gyr_error_set(error, -EINVAL, "%s: at most %u bytes", name, GYR_PATH_BYTES - 1);
			/* Each name once: the words are bounded by the names there are. */
			if (gyr_rpc_value(request, name) != request->parameters[i].value)
				return gyr_error_set(error, -EINVAL, "%s is given twice", name);
			gyrd_words_add(words, name, request->parameters[i].value);
		} else if (!is_ours(name)) {
			return gyr_error_set(error, -EINVAL, "train has no option \"%.64s\"", name);
		}
	}
	gyrd_run_begin_result(job);
	gyrd_words_add(words, "out", job->result);
	gyrd_words_add_identity(job, words);
	return add_parent(job, request, words, error);
}

void gyrd_serve_train(void *user, struct gyr_rpc_call *call)
{
	static const struct gyr_run_handlers handlers = {.progress = gyrd_run_tell_progress, .ended = gyrd_run_end_with_bundle};
	struct gyrd_job *job = gyrd_run_begin(user, call, NULL);
	if (job == NULL)
		return;
	job->promote = gyrd_says_yes(call, "promote");
	struct gyrd_words words;
	struct gyr_error error;
	gyrd_words_begin(&words, "train");
	int status = gyrd_job_read_guard(job, &call->request, &error);
	if (status == 0)
		status = add_train_words(job, &call->request, &words, &error);
	if (status != 0) {
		gyr_arena_fini(&words.arena);
		gyrd_job_fail(job, status, error.text);
	} else {
		gyrd_run_start(job, &words, &handlers);
	}
	gyrd_job_attach(job, call);
}

/* --- export --- */

static void end_run_of_export(void *user, int status, const char *text, const struct gyr_run_progress *last)
{
	struct gyrd_job *job = user;
	job->run = NULL;
	if (status != 0)
		gyrd_job_fail(job, status, text);
	else
		gyrd_run_answer_version(job);
}

void gyrd_serve_export(void *user, struct gyr_rpc_call *call)
{
	static const struct gyr_run_handlers handlers = {.ended = end_run_of_export};
	struct gyrd *gyrd = user;
	struct gyr_version version;
	struct gyr_error error;
	const char *path, *format = gyr_rpc_value(&call->request, "format");
	if (!gyrd_read_path(call, &path) || !gyrd_read_version(gyrd, call, &version))
		return;
	struct stat seen;
	/* What is written takes its place, which a device, such as /dev/null, must not be lost to. */
	if (stat(path, &seen) == 0 && !S_ISREG(seen.st_mode)) {
		gyr_error_set(&error, -EINVAL, "%s: is there and is not a file; a new name, or a file that may be replaced, is expected", path);
		gyr_rpc_answer(call, -EINVAL, error.text);
		return;
	}
	bool onnx = format != NULL && strcmp(format, "onnx") == 0;
	if (!onnx && (format == NULL || strcmp(format, "bundle") != 0)) {
		gyr_rpc_answer(call, -EINVAL, "format: onnx or bundle");
		return;
	}
	struct gyrd_job *job = gyrd_run_begin(gyrd, call, version.model);
	if (job == NULL)
		return;
	job->number = version.number;
	job->known = true;
	memcpy(job->version_id, version.id, sizeof job->version_id);
	if (job->dry) {
		gyrd_run_answer_version(job);
	} else {
		char blob[GYR_BLOB_PATH_BYTES];
		struct gyrd_words words;
		gyr_blobs_path(gyr_registry_blobs(gyrd->registry), version.id, blob);
		gyrd_words_begin(&words, "export");
		gyrd_words_add(&words, "in", blob);
		gyrd_words_add(&words, "out", path);
		gyrd_words_add(&words, "format", format);
		gyrd_words_add_identity(job, &words);
		gyrd_run_start(job, &words, &handlers);
	}
	gyrd_job_attach(job, call);
}
