#include "control/job_run.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/log.h"

#define RUNS_MAX 4u

static int make_path(const struct gyrd *gyrd, const char *name, char path[GYR_PATH_BYTES])
{
	return snprintf(path, GYR_PATH_BYTES, "%s/jobs%s%s", gyrd->config.state_dir, name[0] == '\0' ? "" : "/", name);
}

int gyrd_jobs_init(struct gyrd *gyrd, struct gyr_error *error)
{
	char path[GYR_PATH_BYTES];
	make_path(gyrd, "", path);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return gyr_error_set(error, -errno, "%s: cannot be made: %s", path, strerror(errno));
	DIR *dir = opendir(path);
	if (dir == NULL)
		return gyr_error_set(error, -errno, "%s: %s", path, strerror(errno));
	struct dirent *entry;
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return 0;
}

/* The unfinished bundle, and what a worker that was killed has left beside it. */
void gyrd_job_remove_result(const struct gyrd_job *job)
{
	char path[GYR_PATH_BYTES];
	const char *name = strrchr(job->result, '/');
	make_path(job->gyrd, "", path);
	DIR *dir = name == NULL ? NULL : opendir(path);
	size_t length = name == NULL ? 0 : strlen(++name);
	struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, name, length) == 0 && (entry->d_name[length] == '\0' || entry->d_name[length] == '.'))
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
}

struct gyrd_job *gyrd_run_begin(struct gyrd *gyrd, struct gyr_rpc_call *call, const char *model)
{
	struct gyr_error error;
	uint32_t runs = 0;
	if (model == NULL && !gyrd_read_model(call, &model))
		return NULL;
	int status = gyr_name_check("model", model, &error);
	for (const struct gyrd_job *job = gyrd->jobs; job != NULL; job = job->next)
		runs += job->run != NULL;
	if (status == 0 && gyrd->collecting)
		status = gyr_error_set(&error, -EBUSY, "gc is under way; try again in a moment");
	if (status == 0 && runs == RUNS_MAX)
		status = gyr_error_set(&error, -EBUSY, "%u runs of gyr-worker are under way, which is the most; try again when one has ended", RUNS_MAX);
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		return NULL;
	}
	return gyrd_job_begin(gyrd, call, model);
}

/* --- the end of every import --- */

void gyrd_run_answer_version(struct gyrd_job *job)
{
	msgpack_packer packer;
	gyrd_job_answer_begin(job, &packer);
	msgpack_pack_map(&packer, job->folder != NULL ? 9 : 8);
	gyr_rpc_pair_text(&packer, "model", job->model);
	gyr_rpc_pair_whole(&packer, "version", job->number);
	gyr_rpc_pair_text(&packer, "id", job->version_id);
	gyr_rpc_pair_bool(&packer, "known", job->known);
	gyr_rpc_pair_bool(&packer, "promoted", job->promote && !job->dry);
	gyr_rpc_pair_bool(&packer, "dry_run", job->dry);
	gyr_rpc_pair_number(&packer, "loss", job->last.loss);
	gyr_rpc_pair_number(&packer, "accuracy", job->last.accuracy);
	if (job->folder != NULL)
		gyrd_folder_pack(job->folder, &packer);
	gyrd_job_answer_end(job);
}

static void end_promote(void *user, int status, const char *text)
{
	struct gyrd_job *job = user;
	char whole[640];
	if (status == 0) {
		gyrd_run_answer_version(job);
		return;
	}
	snprintf(whole, sizeof whole, "version %llu is registered, but not promoted: %s", (unsigned long long)job->number, text);
	gyrd_job_fail(job, status, whole);
}

static void end_import(void *user, int status, const char *text, const struct gyr_facts *facts)
{
	struct gyrd_job *job = user;
	struct gyr_error error;
	if (status != 0) {
		gyrd_job_fail(job, status, text);
		return;
	}
	/* Nobody else changes the registry between this look and what follows it. */
	status = gyrd_job_check_guard(job, &error);
	if (status != 0) {
		gyrd_job_fail(job, status, error.text);
		return;
	}
	status = gyr_registry_add(job->gyrd->registry, job->model, facts, job->peer.uid, &job->number, &job->known, &error);
	if (status != 0) {
		gyrd_job_fail(job, status, error.text);
		return;
	}
	memcpy(job->version_id, facts->id, sizeof job->version_id);
	gyr_log_info("%s version %llu: %s%s", job->model, (unsigned long long)job->number, job->version_id, job->known ? " (known already)" : "");
	if (job->folder != NULL && gyrd_folder_go_on(job))
		return;
	if (job->promote)
		gyr_rollout_promote(job->gyrd->rollout, job->model, GYR_LINK_STABLE, job->number, false, job->peer.uid, end_promote, job);
	else
		gyrd_run_answer_version(job);
}

/* What was read is not registered. */
static void answer_dry(struct gyrd_job *job)
{
	struct gyr_version newest;
	job->number = gyr_registry_version(job->gyrd->registry, job->model, 0, &newest, NULL) == 0 ? newest.number + 1 : 1;
	if (job->folder != NULL && gyrd_folder_go_on(job))
		return;
	gyrd_run_answer_version(job);
}

static void import_file(struct gyrd_job *job, const char *path)
{
	gyr_import_start(&job->gyrd->work, gyr_registry_blobs(job->gyrd->registry), path, end_import, job);
}

/* --- runs of the worker --- */

void gyrd_run_tell_progress(void *user, const struct gyr_run_progress *progress)
{
	struct gyrd_job *job = user;
	struct gyr_rpc_buffer buffer;
	job->last = *progress;
	gyrd_job_news_begin(job, 6, &buffer);
	gyr_rpc_pair_whole(&buffer.packer, "epoch", progress->epoch);
	gyr_rpc_pair_whole(&buffer.packer, "epochs", progress->epochs);
	gyr_rpc_pair_number(&buffer.packer, "loss", progress->loss);
	gyr_rpc_pair_number(&buffer.packer, "accuracy", progress->accuracy);
	gyr_rpc_pair_number(&buffer.packer, "examples_per_s", progress->examples_per_s);
	gyr_rpc_pair_number(&buffer.packer, "left_s", progress->left_s);
	gyrd_job_news_send(job, &buffer);
}

void gyrd_run_end_with_bundle(void *user, int status, const char *text, const struct gyr_run_progress *last)
{
	struct gyrd_job *job = user;
	job->run = NULL;
	job->last = *last;
	if (status != 0)
		gyrd_job_fail(job, status, text);
	else if (job->dry)
		answer_dry(job);
	else
		import_file(job, job->result);
}

void gyrd_words_add(struct gyrd_words *words, const char *name, const char *value)
{
	char word[GYR_PATH_BYTES + 64];
	GYR_ASSERT(words->count < GYRD_WORDS_MAX);
	int length = snprintf(word, sizeof word, "%s=%s", name, value);
	if (length >= (int)sizeof word)
		length = sizeof word - 1;
	words->list[words->count] = gyr_arena_string(&words->arena, word, (size_t)length);
	GYR_ASSERT(words->list[words->count] != NULL);
	words->count++;
}

void gyrd_words_begin(struct gyrd_words *words, const char *command)
{
	*words = (struct gyrd_words){.count = 1, .list = {command}};
	gyr_arena_init(&words->arena, 0);
}

void gyrd_words_add_number(struct gyrd_words *words, const char *name, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	gyrd_words_add(words, name, text);
}

/* Files that the caller names are opened with the caller's rights. */
void gyrd_words_add_identity(const struct gyrd_job *job, struct gyrd_words *words)
{
	const struct gyr_rpc_peer *peer = &job->peer;
	char text[16 * (GYR_RPC_GROUPS_MAX + 2)];
	size_t used = (size_t)snprintf(text, sizeof text, "%u:%u", (unsigned)peer->uid, (unsigned)peer->gid);
	for (uint32_t i = 0; i < peer->group_count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, ",%u", (unsigned)peer->groups[i]);
	gyrd_words_add(words, "as", text);
}

/* Starts the worker, or fails the job. */
void gyrd_run_start(struct gyrd_job *job, struct gyrd_words *words, const struct gyr_run_handlers *handlers)
{
	struct gyr_error error;
	int status = gyr_run_start(&job->gyrd->events, words->list, handlers, job, &job->run, &error);
	gyr_arena_fini(&words->arena);
	if (status != 0)
		gyrd_job_fail(job, status, error.text);
}

void gyrd_run_begin_result(struct gyrd_job *job)
{
	char name[32];
	snprintf(name, sizeof name, "%llu", (unsigned long long)job->id);
	make_path(job->gyrd, name, job->result);
}
