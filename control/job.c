/* The life of jobs, and the calls that look at them: job.list, job.show, job.follow, job.cancel. */
#include "control/job_run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assertion.h"
#include "base/log.h"

static const char *const states[] = {"running", "done", "failed", "cancelled"};

/* A call that waits for the end of a job. */
struct gyrd_watcher {
	struct gyr_rpc_call *call;
	struct gyrd_job *job;
	struct gyrd_watcher *next;
};

/* The caller is gone; the job goes on. */
static void forget_watcher(struct gyr_rpc_call *call)
{
	struct gyrd_watcher *watcher = call->user, **at = &watcher->job->watchers;
	while (*at != watcher)
		at = &(*at)->next;
	*at = watcher->next;
	free(watcher);
	gyr_rpc_answer(call, -ECANCELED, "the caller is gone");
}

static void watch(struct gyrd_job *job, struct gyr_rpc_call *call)
{
	struct gyrd_watcher *watcher = calloc(1, sizeof *watcher);
	GYR_ASSERT(watcher != NULL);
	*watcher = (struct gyrd_watcher){.call = call, .job = job, .next = job->watchers};
	job->watchers = watcher;
	call->gone = forget_watcher;
	call->user = watcher;
}

static void tell_begin(const struct gyrd_job *job, struct gyr_rpc_call *call)
{
	struct gyr_rpc_buffer buffer;
	gyrd_job_news_begin(job, 0, &buffer);
	gyr_rpc_news_send(call, &buffer);
}

static void answer_id(const struct gyrd_job *job, struct gyr_rpc_call *call)
{
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_map(&buffer.packer, 3);
	gyr_rpc_pair_whole(&buffer.packer, "job", job->id);
	gyr_rpc_pair_text(&buffer.packer, "kind", job->kind);
	gyr_rpc_pair_text(&buffer.packer, "model", job->model);
	gyr_rpc_answer_send(call, &buffer);
}

static void answer_end(const struct gyrd_job *job, struct gyr_rpc_call *call)
{
	struct gyr_rpc_buffer buffer;
	if (job->state != GYRD_JOB_DONE) {
		gyr_rpc_answer(call, job->status, job->text);
		return;
	}
	gyr_rpc_answer_begin(&buffer);
	msgpack_sbuffer_write(&buffer.bytes, job->body.data, job->body.size);
	gyr_rpc_answer_send(call, &buffer);
}

/* CALL becomes one that waits for JOB, or that is told what became of it. */
static void join(struct gyrd_job *job, struct gyr_rpc_call *call)
{
	if (job->state != GYRD_JOB_RUNNING) {
		answer_end(job, call);
		return;
	}
	watch(job, call);
	tell_begin(job, call);
}

static void free_job(struct gyrd_job *job)
{
	struct gyrd_job **at = &job->gyrd->jobs;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	msgpack_sbuffer_destroy(&job->body);
	gyrd_folder_free(job->folder);
	free(job);
}

/* Of those that have ended, the last are kept. */
static void forget_old_jobs(struct gyrd *gyrd)
{
	uint32_t kept = 0;
	for (struct gyrd_job *job = gyrd->jobs, *next; job != NULL; job = next) {
		next = job->next;
		if (job->state != GYRD_JOB_RUNNING && ++kept > GYRD_JOBS_KEPT_MAX)
			free_job(job);
	}
}

static struct gyrd_job *find_key(const struct gyrd *gyrd, const struct gyr_rpc_call *call, const char *key)
{
	for (struct gyrd_job *job = gyrd->jobs; job != NULL; job = job->next)
		if (strcmp(job->key, key) == 0 && job->peer.uid == call->peer.uid)
			return job;
	return NULL;
}

/* What is asked of every job. False: CALL was answered. */
static bool may_begin(struct gyrd *gyrd, struct gyr_rpc_call *call, const char *model, const char *key)
{
	struct gyr_error error;
	struct gyrd_job *same = key[0] == '\0' ? NULL : find_key(gyrd, call, key);
	int status = 0;
	if (strlen(key) >= GYRD_KEY_BYTES)
		status = gyr_error_set(&error, -EINVAL, "key: at most %u bytes", GYRD_KEY_BYTES - 1);
	else if (same != NULL && (strcmp(same->kind, call->request.call) != 0 || strcmp(same->model, model) != 0))
		status = gyr_error_set(&error, -EEXIST, "key: job %llu has it, which is another call (%s of %s)", (unsigned long long)same->id, same->kind,
				       same->model);
	else if (gyrd->stopping)
		status = gyr_error_set(&error, -ESHUTDOWN, "gyrd is ending");
	else if (same == NULL && gyrd->job_count >= GYRD_JOBS_RUNNING_MAX)
		status = gyr_error_set(&error, -EBUSY, "%u jobs are under way, which is the most; \"gyrctl job list\" shows them", gyrd->job_count);
	if (status != 0)
		gyr_rpc_answer(call, status, error.text);
	else if (same != NULL && gyrd_says_yes(call, "detach"))
		answer_id(same, call);
	else if (same != NULL)
		join(same, call);
	return status == 0 && same == NULL;
}

struct gyrd_job *gyrd_job_make(struct gyrd *gyrd, const char *kind, const char *model, const struct gyr_rpc_peer *peer)
{
	struct gyrd_job *job = calloc(1, sizeof *job);
	GYR_ASSERT(job != NULL);
	job->gyrd = gyrd;
	job->id = ++gyrd->job_serial;
	for (const struct gyr_rpc_method *method = gyrd_methods; method->name != NULL; method++)
		if (strcmp(method->name, kind) == 0)
			job->kind = method->name;
	snprintf(job->model, sizeof job->model, "%s", model);
	job->peer = *peer;
	job->last = (struct gyr_run_progress){.loss = NAN, .accuracy = NAN, .examples_per_s = NAN, .left_s = NAN};
	job->began_s = time(NULL);
	msgpack_sbuffer_init(&job->body);
	job->next = gyrd->jobs;
	gyrd->jobs = job;
	gyrd->job_count++;
	return job;
}

struct gyrd_job *gyrd_job_begin(struct gyrd *gyrd, struct gyr_rpc_call *call, const char *model)
{
	const char *key = gyr_rpc_value(&call->request, "key");
	if (key == NULL)
		key = "";
	if (!may_begin(gyrd, call, model, key))
		return NULL;
	struct gyrd_job *job = gyrd_job_make(gyrd, call->request.call, model, &call->peer);
	snprintf(job->key, sizeof job->key, "%s", key);
	job->dry = gyrd_says_yes(call, "dry-run");
	return job;
}

void gyrd_job_attach(struct gyrd_job *job, struct gyr_rpc_call *call)
{
	if (gyrd_says_yes(call, "detach"))
		answer_id(job, call);
	else
		join(job, call);
}

int gyrd_job_check_guard(const struct gyrd_job *job, struct gyr_error *error)
{
	struct gyr_version newest;
	if (!job->guarded)
		return 0;
	uint64_t number = gyr_registry_version(job->gyrd->registry, job->model, 0, &newest, NULL) == 0 ? newest.number : 0;
	if (number == job->expected)
		return 0;
	return gyr_error_set(error, -ESTALE, "%s: the newest version is %llu and not %llu, as was expected", job->model, (unsigned long long)number,
			     (unsigned long long)job->expected);
}

int gyrd_job_read_guard(struct gyrd_job *job, const struct gyr_rpc_request *request, struct gyr_error *error)
{
	job->guarded = gyr_rpc_value(request, "expect") != NULL;
	int status = gyr_rpc_number(request, "expect", &job->expected, error);
	return status == 0 ? gyrd_job_check_guard(job, error) : status;
}

/* --- news and the end --- */

void gyrd_job_news_begin(const struct gyrd_job *job, uint32_t pairs, struct gyr_rpc_buffer *buffer)
{
	gyr_rpc_news_begin(buffer);
	msgpack_pack_map(&buffer->packer, 3 + pairs);
	gyr_rpc_pair_whole(&buffer->packer, "job", job->id);
	gyr_rpc_pair_text(&buffer->packer, "kind", job->kind);
	gyr_rpc_pair_text(&buffer->packer, "model", job->model);
}

void gyrd_job_news_send(struct gyrd_job *job, struct gyr_rpc_buffer *buffer)
{
	/* One that cannot be told any more goes from the list within the call. */
	for (struct gyrd_watcher *watcher = job->watchers, *next; watcher != NULL; watcher = next) {
		struct gyr_rpc_buffer copy;
		next = watcher->next;
		msgpack_sbuffer_init(&copy.bytes);
		msgpack_sbuffer_write(&copy.bytes, buffer->bytes.data, buffer->bytes.size);
		gyr_rpc_news_send(watcher->call, &copy);
	}
	gyr_rpc_pack_fini(buffer);
}

static void end(struct gyrd_job *job, enum gyrd_job_state state)
{
	struct gyrd *gyrd = job->gyrd;
	GYR_ASSERT(job->state == GYRD_JOB_RUNNING);
	job->state = state;
	job->ended_s = time(NULL);
	gyrd->job_count--;
	gyr_timer_cancel(&gyrd->events, &job->news);
	gyr_run_kill(job->run);
	job->run = NULL;
	gyrd_job_remove_result(job);
	if (job->ended != NULL)
		job->ended(job);
	while (job->watchers != NULL) {
		struct gyrd_watcher *watcher = job->watchers;
		struct gyr_rpc_call *call = watcher->call;
		job->watchers = watcher->next;
		free(watcher);
		call->gone = NULL;
		answer_end(job, call);
	}
	forget_old_jobs(gyrd);
}

void gyrd_job_fail(struct gyrd_job *job, int status, const char *text)
{
	job->status = status;
	snprintf(job->text, sizeof job->text, "%s", text);
	end(job, job->cancelled ? GYRD_JOB_CANCELLED : GYRD_JOB_FAILED);
}

void gyrd_job_answer_begin(struct gyrd_job *job, msgpack_packer *packer)
{
	msgpack_packer_init(packer, &job->body, msgpack_sbuffer_write);
}

void gyrd_job_answer_end(struct gyrd_job *job)
{
	end(job, GYRD_JOB_DONE);
}

void gyrd_jobs_end(struct gyrd *gyrd)
{
	for (struct gyrd_job *job = gyrd->jobs, *next; job != NULL; job = next) {
		next = job->next;
		if (job->run != NULL)
			gyrd_job_fail(job, -ESHUTDOWN, "gyrd is ending");
	}
}

void gyrd_jobs_fini(struct gyrd *gyrd)
{
	while (gyrd->jobs != NULL) {
		GYR_ASSERT(gyrd->jobs->state != GYRD_JOB_RUNNING);
		free_job(gyrd->jobs);
	}
}

/* --- the calls --- */

static void pack_progress(msgpack_packer *packer, const struct gyr_run_progress *last)
{
	gyr_rpc_pack_text(packer, "progress");
	msgpack_pack_map(packer, 4);
	gyr_rpc_pair_whole(packer, "epoch", last->epoch);
	gyr_rpc_pair_whole(packer, "epochs", last->epochs);
	gyr_rpc_pair_number(packer, "loss", last->loss);
	gyr_rpc_pair_number(packer, "left_s", last->left_s);
}

static void pack_job(msgpack_packer *packer, const struct gyrd_job *job)
{
	msgpack_pack_map(packer, 11);
	gyr_rpc_pair_whole(packer, "job", job->id);
	gyr_rpc_pair_text(packer, "kind", job->kind);
	gyr_rpc_pair_text(packer, "model", job->model);
	gyr_rpc_pair_text(packer, "state", states[job->state]);
	gyr_rpc_pair_whole(packer, "uid", job->peer.uid);
	gyr_rpc_pair_whole(packer, "began_s", (uint64_t)job->began_s);
	gyr_rpc_pair_whole(packer, "ended_s", (uint64_t)job->ended_s);
	gyr_rpc_pair_whole(packer, "version", job->number);
	gyr_rpc_pair_text(packer, "text", job->text);
	pack_progress(packer, &job->last);
	gyr_rpc_pack_text(packer, "result");
	if (job->state == GYRD_JOB_DONE)
		packer->callback(packer->data, job->body.data, job->body.size);
	else
		msgpack_pack_nil(packer);
}

void gyrd_serve_job_list(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_rpc_buffer buffer;
	uint32_t count = 0;
	for (struct gyrd_job *job = gyrd->jobs; job != NULL; job = job->next)
		count++;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_array(&buffer.packer, count);
	for (struct gyrd_job *job = gyrd->jobs; job != NULL; job = job->next)
		pack_job(&buffer.packer, job);
	gyr_rpc_answer_send(call, &buffer);
}

/* The job that CALL names; NULL: there is none, and it was answered. */
static struct gyrd_job *find_job(struct gyrd *gyrd, struct gyr_rpc_call *call)
{
	struct gyr_error error;
	uint64_t id = 0;
	int status = gyr_rpc_number(&call->request, "job", &id, &error);
	struct gyrd_job *job = gyrd->jobs;
	while (job != NULL && job->id != id)
		job = job->next;
	if (status == 0 && job != NULL)
		return job;
	if (status == 0)
		status =
			gyr_error_set(&error, -ENOENT, "no job %llu is known; \"gyrctl job list\" shows those that are, the last %u that have ended among them",
				      (unsigned long long)id, GYRD_JOBS_KEPT_MAX);
	gyr_rpc_answer(call, status, error.text);
	return NULL;
}

void gyrd_serve_job_show(void *user, struct gyr_rpc_call *call)
{
	struct gyrd_job *job = find_job(user, call);
	struct gyr_rpc_buffer buffer;
	if (job == NULL)
		return;
	gyr_rpc_answer_begin(&buffer);
	pack_job(&buffer.packer, job);
	gyr_rpc_answer_send(call, &buffer);
}

void gyrd_serve_job_follow(void *user, struct gyr_rpc_call *call)
{
	struct gyrd_job *job = find_job(user, call);
	if (job != NULL)
		join(job, call);
}

void gyrd_serve_job_cancel(void *user, struct gyr_rpc_call *call)
{
	struct gyrd_job *job = find_job(user, call);
	struct gyr_error error;
	int status = 0;
	if (job == NULL)
		return;
	if (job->state == GYRD_JOB_DONE || job->state == GYRD_JOB_FAILED)
		status = gyr_error_set(&error, -EALREADY, "job %llu has ended already: it is %s", (unsigned long long)job->id, states[job->state]);
	else if (job->state == GYRD_JOB_RUNNING && job->run == NULL && job->cancel == NULL)
		status = gyr_error_set(&error, -EBUSY, "job %llu can be cancelled no more: what it made is being registered, or routed to",
				       (unsigned long long)job->id);
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		return;
	}
	/* A second time changes nothing. */
	bool dry = gyrd_says_yes(call, "dry-run");
	if (job->state == GYRD_JOB_RUNNING && !dry) {
		gyr_log_info("job %llu (%s of %s) is cancelled by user %u", (unsigned long long)job->id, job->kind, job->model, (unsigned)call->peer.uid);
		job->cancelled = true;
		if (job->run != NULL)
			gyrd_job_fail(job, -ECANCELED, "it was cancelled");
		else
			job->cancel(job);
	}
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_map(&buffer.packer, 2);
	gyr_rpc_pair_whole(&buffer.packer, "job", job->id);
	gyr_rpc_pair_bool(&buffer.packer, "dry_run", dry);
	gyr_rpc_answer_send(call, &buffer);
}
