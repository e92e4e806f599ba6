/*
 * The jobs that make, take or write whole models:
 *
 *     train    worker: train  -> import the bundle -> row -> perhaps promote -> answer
 *     import   worker: import -> import the bundle -> row -> answer
 *     export   worker: export -> answer
 */
#include "control/job.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/log.h"

#define WORDS_MAX 48u
#define FIXED_MAX 24u /* of WORDS_MAX */
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

/* A job of gyr-worker's. NULL: CALL was answered. MODEL NULL: the call names it. */
static struct gyrd_job *begin_run(struct gyrd *gyrd, struct gyr_rpc_call *call, const char *model)
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

static void answer_version(struct gyrd_job *job)
{
	msgpack_packer packer;
	gyrd_job_answer_begin(job, &packer);
	msgpack_pack_map(&packer, 8);
	gyr_rpc_pair_text(&packer, "model", job->model);
	gyr_rpc_pair_whole(&packer, "version", job->number);
	gyr_rpc_pair_text(&packer, "id", job->version_id);
	gyr_rpc_pair_bool(&packer, "known", job->known);
	gyr_rpc_pair_bool(&packer, "promoted", job->promote && !job->dry);
	gyr_rpc_pair_bool(&packer, "dry_run", job->dry);
	gyr_rpc_pair_number(&packer, "loss", job->last.loss);
	gyr_rpc_pair_number(&packer, "accuracy", job->last.accuracy);
	gyrd_job_answer_end(job);
}

static void end_promote(void *user, int status, const char *text)
{
	struct gyrd_job *job = user;
	char whole[640];
	if (status == 0) {
		answer_version(job);
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
	if (job->promote)
		gyr_rollout_promote(job->gyrd->rollout, job->model, GYR_LINK_STABLE, job->number, false, job->peer.uid, end_promote, job);
	else
		answer_version(job);
}

/* What was read is not registered. */
static void answer_dry(struct gyrd_job *job)
{
	struct gyr_version newest;
	job->number = gyr_registry_version(job->gyrd->registry, job->model, 0, &newest, NULL) == 0 ? newest.number + 1 : 1;
	answer_version(job);
}

static void import_file(struct gyrd_job *job, const char *path)
{
	gyr_import_start(&job->gyrd->work, gyr_registry_blobs(job->gyrd->registry), path, end_import, job);
}

/* --- runs of the worker --- */

static void send_progress(void *user, const struct gyr_run_progress *progress)
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

static void end_run_with_bundle(void *user, int status, const char *text, const struct gyr_run_progress *last)
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

/* Words of a worker's command, as long as they fit. */
struct words {
	uint32_t count;
	const char *list[WORDS_MAX + 1];
	struct gyr_arena arena;
};

static void add_word(struct words *words, const char *name, const char *value)
{
	char word[GYR_PATH_BYTES + 64];
	GYR_ASSERT(words->count < WORDS_MAX);
	int length = snprintf(word, sizeof word, "%s=%s", name, value);
	if (length >= (int)sizeof word)
		length = sizeof word - 1;
	words->list[words->count] = gyr_arena_string(&words->arena, word, (size_t)length);
	GYR_ASSERT(words->list[words->count] != NULL);
	words->count++;
}

static void begin_words(struct words *words, const char *command)
{
	*words = (struct words){.count = 1, .list = {command}};
	gyr_arena_init(&words->arena, 0);
}

static void add_number(struct words *words, const char *name, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	add_word(words, name, text);
}

/* Files that the caller names are opened with the caller's rights. */
static void add_identity(const struct gyrd_job *job, struct words *words)
{
	const struct gyr_rpc_peer *peer = &job->peer;
	char text[16 * (GYR_RPC_GROUPS_MAX + 2)];
	size_t used = (size_t)snprintf(text, sizeof text, "%u:%u", (unsigned)peer->uid, (unsigned)peer->gid);
	for (uint32_t i = 0; i < peer->group_count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, ",%u", (unsigned)peer->groups[i]);
	add_word(words, "as", text);
}

/* Starts the worker, or fails the job. */
static void start_run(struct gyrd_job *job, struct words *words, const struct gyr_run_handlers *handlers)
{
	struct gyr_error error;
	int status = gyr_run_start(&job->gyrd->events, words->list, handlers, job, &job->run, &error);
	gyr_arena_fini(&words->arena);
	if (status != 0)
		gyrd_job_fail(job, status, error.text);
}

static void begin_result(struct gyrd_job *job)
{
	char name[32];
	snprintf(name, sizeof name, "%llu", (unsigned long long)job->id);
	make_path(job->gyrd, name, job->result);
}

/* --- train --- */

/* What is handed to the worker as it came; it checks the values. */
static const char *const train_names[] = {"data",   "targets", "data-columns", "target-columns", "held-data", "held-targets",
					  "sizes",  "divisor", "loss",         "rate",           "momentum",  "optimiser",
					  "epochs", "batch",   "seed",         "shuffle",        "limit",     "bf16-bound"};
#define TRAIN_NAMES (sizeof train_names / sizeof train_names[0])

/* "from" is a version of the same model: its blob is what the worker starts with, and it becomes the parent. */
static int add_parent(struct gyrd_job *job, const struct gyr_rpc_request *request, struct words *words, struct gyr_error *error)
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
	add_word(words, "from", path);
	add_word(words, "parent", parent);
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

static int add_train_words(struct gyrd_job *job, const struct gyr_rpc_request *request, struct words *words, struct gyr_error *error)
{
	add_word(words, "name", job->model);
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
			add_word(words, name, request->parameters[i].value);
		} else if (!is_ours(name)) {
			return gyr_error_set(error, -EINVAL, "train has no option \"%.64s\"", name);
		}
	}
	begin_result(job);
	add_word(words, "out", job->result);
	add_identity(job, words);
	return add_parent(job, request, words, error);
}

void gyrd_serve_train(void *user, struct gyr_rpc_call *call)
{
	static const struct gyr_run_handlers handlers = {.progress = send_progress, .ended = end_run_with_bundle};
	struct gyrd_job *job = begin_run(user, call, NULL);
	if (job == NULL)
		return;
	job->promote = gyrd_says_yes(call, "promote");
	struct words words;
	struct gyr_error error;
	begin_words(&words, "train");
	int status = gyrd_job_read_guard(job, &call->request, &error);
	if (status == 0)
		status = add_train_words(job, &call->request, &words, &error);
	if (status != 0) {
		gyr_arena_fini(&words.arena);
		gyrd_job_fail(job, status, error.text);
	} else {
		start_run(job, &words, &handlers);
	}
	gyrd_job_attach(job, call);
}

/* --- import, export --- */

/* A path that both ends mean the same file by. False: the call was answered. */
static bool read_path(struct gyr_rpc_call *call, const char **path)
{
	*path = gyr_rpc_value(&call->request, "path");
	if (*path != NULL && (*path)[0] == '/' && strlen(*path) < GYR_PATH_BYTES)
		return true;
	gyr_rpc_answer(call, -EINVAL, "the call names no file by an absolute path");
	return false;
}

/* Whether the parameter fixes what an ONNX file leaves open, of which there may be several. */
static bool fixes(const struct gyr_rpc_parameter *parameter)
{
	return strcmp(parameter->name, "dim") == 0 || strcmp(parameter->name, "shape") == 0 || strcmp(parameter->name, "value") == 0;
}

static uint32_t count_fixed(const struct gyr_rpc_request *request)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < request->count; i++)
		count += fixes(&request->parameters[i]);
	return count;
}

static void start_import(struct gyrd_job *job, const struct gyr_rpc_request *request, const char *path, const char *bound)
{
	static const struct gyr_run_handlers handlers = {.ended = end_run_with_bundle};
	struct words words;
	begin_words(&words, "import");
	begin_result(job);
	add_word(&words, "in", path);
	add_word(&words, "out", job->result);
	add_word(&words, "name", job->model);
	add_identity(job, &words);
	add_number(&words, "memory-mb", job->gyrd->config.import_memory_mb);
	add_number(&words, "time-s", job->gyrd->config.import_time_s);
	if (bound != NULL)
		add_word(&words, "bf16-bound", bound);
	for (uint32_t i = 0; i < request->count; i++)
		if (fixes(&request->parameters[i]))
			add_word(&words, request->parameters[i].name, request->parameters[i].value);
	start_run(job, &words, &handlers);
}

void gyrd_serve_import(void *user, struct gyr_rpc_call *call)
{
	const char *path, *bound = gyr_rpc_value(&call->request, "bf16-bound");
	struct gyr_error error;
	if (!read_path(call, &path))
		return;
	struct gyrd_job *job = begin_run(user, call, NULL);
	if (job == NULL)
		return;
	int status = gyrd_job_read_guard(job, &call->request, &error);
	if (status == 0 && count_fixed(&call->request) > FIXED_MAX)
		status = gyr_error_set(&error, -E2BIG, "more than %u of dim, shape and value", FIXED_MAX);
	if (status != 0)
		gyrd_job_fail(job, status, error.text);
	else
		start_import(job, &call->request, path, bound);
	gyrd_job_attach(job, call);
}

static void end_run_of_export(void *user, int status, const char *text, const struct gyr_run_progress *last)
{
	struct gyrd_job *job = user;
	job->run = NULL;
	if (status != 0)
		gyrd_job_fail(job, status, text);
	else
		answer_version(job);
}

void gyrd_serve_export(void *user, struct gyr_rpc_call *call)
{
	static const struct gyr_run_handlers handlers = {.ended = end_run_of_export};
	struct gyrd *gyrd = user;
	struct gyr_version version;
	struct gyr_error error;
	const char *path, *format = gyr_rpc_value(&call->request, "format");
	if (!read_path(call, &path) || !gyrd_read_version(gyrd, call, &version))
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
	struct gyrd_job *job = begin_run(gyrd, call, version.model);
	if (job == NULL)
		return;
	job->number = version.number;
	job->known = true;
	memcpy(job->version_id, version.id, sizeof job->version_id);
	if (job->dry) {
		answer_version(job);
	} else {
		char blob[GYR_BLOB_PATH_BYTES];
		struct words words;
		gyr_blobs_path(gyr_registry_blobs(gyrd->registry), version.id, blob);
		begin_words(&words, "export");
		add_word(&words, "in", blob);
		add_word(&words, "out", path);
		add_word(&words, "format", format);
		add_identity(job, &words);
		start_run(job, &words, &handlers);
	}
	gyrd_job_attach(job, call);
}
