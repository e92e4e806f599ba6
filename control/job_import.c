/*
 * Imports: of one file, or of the versions in a folder, one after another.
 *
 *     worker: import -> import the bundle -> row -> (the next file of the folder) -> answer
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assertion.h"
#include "control/job_run.h"

bool gyrd_read_path(struct gyr_rpc_call *call, const char **path)
{
	*path = gyr_rpc_value(&call->request, "path");
	if (*path != NULL && (*path)[0] == '/' && strlen(*path) < GYR_PATH_BYTES)
		return true;
	gyr_rpc_answer(call, -EINVAL, "the call names no file by an absolute path");
	return false;
}

bool gyrd_is_import_option(const struct gyr_rpc_parameter *parameter)
{
	static const char *const names[] = {"dim", "shape", "value", "bf16-bound"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(parameter->name, names[i]) == 0)
			return true;
	return false;
}

static void run_import(struct gyrd_job *job, const struct gyr_rpc_parameter *options, uint32_t count, const char *path, uint64_t source)
{
	static const struct gyr_run_handlers handlers = {.ended = gyrd_run_end_with_bundle};
	struct gyrd_words words;
	gyrd_words_begin(&words, "import");
	gyrd_run_begin_result(job);
	gyrd_words_add(&words, "in", path);
	gyrd_words_add(&words, "out", job->result);
	gyrd_words_add(&words, "name", job->model);
	gyrd_words_add_identity(job, &words);
	gyrd_words_add_number(&words, "memory-mb", job->gyrd->config.import_memory_mb);
	gyrd_words_add_number(&words, "time-s", job->gyrd->config.import_time_s);
	if (source != 0)
		gyrd_words_add_number(&words, "source-version", source);
	for (uint32_t i = 0; i < count; i++)
		if (gyrd_is_import_option(&options[i]))
			gyrd_words_add(&words, options[i].name, options[i].value);
	gyrd_run_start(job, &words, &handlers);
}

void gyrd_import_start(struct gyrd_job *job, const struct gyr_rpc_parameter *options, uint32_t count, const char *path)
{
	run_import(job, options, count, path, 0);
}

/* --- folders --- */

static void import_next(struct gyrd_job *job)
{
	const struct gyrd_folder *folder = job->folder;
	char file[GYR_PATH_BYTES];
	struct gyr_error error;
	uint64_t number = folder->found.versions[folder->at].number;
	int status = gyr_folder_file(folder->path, number, file, sizeof file, &error);
	if (status != 0)
		gyrd_job_fail(job, status, error.text);
	else
		run_import(job, folder->options, folder->option_count, file, number);
}

void gyrd_folder_start(struct gyrd_job *job, const struct gyr_rpc_parameter *options, uint32_t count, const char *path, const struct gyr_folder *found)
{
	struct gyrd_folder *folder = calloc(1, sizeof *folder);
	GYR_ASSERT(folder != NULL);
	folder->found = *found;
	snprintf(folder->path, sizeof folder->path, "%s", path);
	for (uint32_t i = 0; i < count; i++) {
		if (!gyrd_is_import_option(&options[i]))
			continue;
		GYR_ASSERT(folder->option_count < GYRD_FIXED_MAX);
		struct gyr_rpc_parameter *copy = &folder->options[folder->option_count++];
		*copy = (struct gyr_rpc_parameter){strdup(options[i].name), strdup(options[i].value)};
		GYR_ASSERT(copy->name != NULL);
		GYR_ASSERT(copy->value != NULL);
	}
	job->folder = folder;
	import_next(job);
}

bool gyrd_folder_go_on(struct gyrd_job *job)
{
	struct gyrd_folder *folder = job->folder;
	folder->numbers[folder->at] = job->number;
	/* The guard was for the first: it is the newest now. */
	job->guarded = false;
	if (folder->at + 1 == folder->found.count)
		return false;
	folder->at++;
	import_next(job);
	return true;
}

void gyrd_folder_pack(const struct gyrd_folder *folder, msgpack_packer *packer)
{
	gyr_rpc_pack_text(packer, "versions");
	msgpack_pack_array(packer, folder->found.count);
	for (uint32_t i = 0; i < folder->found.count; i++) {
		msgpack_pack_map(packer, 2);
		gyr_rpc_pair_whole(packer, "source", folder->found.versions[i].number);
		gyr_rpc_pair_whole(packer, "version", folder->numbers[i]);
	}
}

void gyrd_folder_free(struct gyrd_folder *folder)
{
	if (folder == NULL)
		return;
	for (uint32_t i = 0; i < folder->option_count; i++) {
		free((char *)(uintptr_t)folder->options[i].name);
		free((char *)(uintptr_t)folder->options[i].value);
	}
	free(folder);
}

/* --- the call --- */

/* Begins what PATH is: a folder's versions, or a file. */
static int start_path(struct gyrd_job *job, const struct gyr_rpc_request *request, const char *path, struct gyr_error *error)
{
	const char *versions = gyr_rpc_value(request, "versions");
	struct gyr_folder_policy policy;
	struct gyr_folder found;
	struct stat seen;
	if (stat(path, &seen) != 0 || !S_ISDIR(seen.st_mode)) {
		if (versions != NULL)
			return gyr_error_set(error, -EINVAL, "versions: %s is no folder, of which to choose any", path);
		gyrd_import_start(job, request->parameters, request->count, path);
		return 0;
	}
	int status = gyr_folder_policy_read(versions == NULL ? "all" : versions, &policy, error);
	if (status == 0)
		status = gyr_folder_read(path, &policy, &found, error);
	if (status == 0)
		gyrd_folder_start(job, request->parameters, request->count, path, &found);
	return status;
}

void gyrd_serve_import(void *user, struct gyr_rpc_call *call)
{
	const char *path;
	struct gyr_error error;
	uint32_t options = 0;
	if (!gyrd_read_path(call, &path))
		return;
	struct gyrd_job *job = gyrd_run_begin(user, call, NULL);
	if (job == NULL)
		return;
	int status = gyrd_job_read_guard(job, &call->request, &error);
	for (uint32_t i = 0; i < call->request.count; i++)
		options += gyrd_is_import_option(&call->request.parameters[i]);
	if (status == 0 && options > GYRD_FIXED_MAX)
		status = gyr_error_set(&error, -E2BIG, "more than %u of dim, shape and value", GYRD_FIXED_MAX);
	if (status == 0)
		status = start_path(job, &call->request, path, &error);
	if (status != 0)
		gyrd_job_fail(job, status, error.text);
	gyrd_job_attach(job, call);
}
