/* The calls that change what is served. Each but set is a job: it may take as long as a load does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/job.h"

#define NEWS_NS (200 * GYR_NS_PER_MS)

/* --- load, unload, promote --- */

static void answer_change(struct gyrd_job *job)
{
	msgpack_packer packer;
	struct gyr_label label = {0};
	bool labelled = job->label[0] != '\0' && gyr_registry_label(job->gyrd->registry, job->model, job->label, &label, NULL) == 0;
	gyrd_job_answer_begin(job, &packer);
	msgpack_pack_map(&packer, 2 + (labelled ? 2 : 0) + (job->dry ? 1 : 0));
	gyr_rpc_pair_text(&packer, "model", job->model);
	gyr_rpc_pair_whole(&packer, "version", job->number);
	if (labelled) {
		gyr_rpc_pair_text(&packer, "label", job->label);
		/* Of a promotion that is only tried, the one that would be the former. */
		gyr_rpc_pair_whole(&packer, "former", job->dry ? label.version : label.former);
	}
	if (job->dry)
		gyr_rpc_pair_bool(&packer, "dry_run", true);
	gyrd_job_answer_end(job);
}

static void end_change(void *user, int status, const char *text)
{
	struct gyrd_job *job = user;
	if (status != 0)
		gyrd_job_fail(job, status, text);
	else
		answer_change(job);
}

/* NULL: the call was answered already. */
static struct gyrd_job *begin_change(struct gyrd *gyrd, struct gyr_rpc_call *call)
{
	struct gyr_version version;
	if (!gyrd_read_version(gyrd, call, &version))
		return NULL;
	struct gyrd_job *job = gyrd_job_begin(gyrd, call, version.model);
	if (job != NULL)
		job->number = version.number;
	return job;
}

/* How far the version's load is, again and again until the job ends. */
static void tell_load(void *user)
{
	struct gyrd_job *job = user;
	struct gyr_rpc_buffer buffer;
	uint64_t read, bytes;
	if (gyr_rollout_progress(job->gyrd->rollout, job->model, job->number, &read, &bytes)) {
		gyrd_job_news_begin(job, 2, &buffer);
		gyr_rpc_pair_whole(&buffer.packer, "bytes", read);
		gyr_rpc_pair_whole(&buffer.packer, "of_bytes", bytes);
		gyrd_job_news_send(job, &buffer);
	}
	gyr_timer_start(&job->gyrd->events, &job->news, NEWS_NS, tell_load, job);
}

static void ignore_end(void *user, int status, const char *text)
{
	struct gyrd_job *job = user;
	if (status != 0)
		gyr_log_warning("job %llu: what was cancelled is not taken back: %s", (unsigned long long)job->id, text);
}

/* The load ends with the unload that overtakes it. */
static void cancel_load(struct gyrd_job *job)
{
	gyr_rollout_unload(job->gyrd->rollout, job->model, job->number, job->peer.uid, ignore_end, job);
}

void gyrd_serve_load(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyrd_job *job = begin_change(gyrd, call);
	if (job == NULL)
		return;
	/* One that is there already, or is wanted by others, is not taken away from them. */
	struct gyr_version version;
	bool wanted = gyr_registry_version(gyrd->registry, job->model, job->number, &version, NULL) == 0 && version.wanted;
	if (!wanted)
		job->cancel = cancel_load;
	if (!job->dry)
		gyr_timer_start(&gyrd->events, &job->news, NEWS_NS, tell_load, job);
	if (job->dry)
		answer_change(job);
	else
		gyr_rollout_load(gyrd->rollout, job->model, job->number, job->peer.uid, end_change, job);
	gyrd_job_attach(job, call);
}

/* Why a version cannot be unloaded; 0: nothing is known against it. */
static int check_unload(const struct gyrd_job *job, struct gyr_error *error)
{
	const struct gyr_held_route *route = gyr_rollout_route(job->gyrd->rollout, job->model);
	for (uint32_t i = 0; route != NULL && i < route->label_count; i++)
		if (route->labels[i].version == job->number)
			return gyr_error_set(error, -EBUSY, "%s version %llu: label \"%s\" points at it; promote another version to it first", job->model,
					     (unsigned long long)job->number, route->labels[i].name);
	return 0;
}

void gyrd_serve_unload(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_error error;
	if (gyr_rpc_value(&call->request, "version") == NULL) {
		gyr_rpc_answer(call, -EINVAL, "the call names no version to unload");
		return;
	}
	struct gyrd_job *job = begin_change(gyrd, call);
	if (job == NULL)
		return;
	if (job->dry)
		end_change(job, check_unload(job, &error), error.text);
	else
		gyr_rollout_unload(gyrd->rollout, job->model, job->number, job->peer.uid, end_change, job);
	gyrd_job_attach(job, call);
}

/* The guard of a promotion: the parameter "expect" says which version the label points at (0: none). -ESTALE: it points at another. */
static int check_label(const struct gyrd_job *job, const struct gyr_rpc_request *request, struct gyr_error *error)
{
	struct gyr_label label = {0};
	uint64_t expected = 0;
	int status = gyr_rpc_number(request, "expect", &expected, error);
	if (status != 0 || gyr_rpc_value(request, "expect") == NULL)
		return status;
	if (gyr_registry_label(job->gyrd->registry, job->model, job->label, &label, NULL) != 0)
		label.version = 0;
	if (label.version == expected)
		return 0;
	return gyr_error_set(error, -ESTALE, "%s: \"%s\" points at version %llu and not at %llu, as was expected", job->model, job->label,
			     (unsigned long long)label.version, (unsigned long long)expected);
}

/* Would the registry refuse the promotion for the version's inputs and outputs? */
static int check_signature(const struct gyrd_job *job, struct gyr_error *error)
{
	struct gyr_registry *registry = job->gyrd->registry;
	struct gyr_label label;
	struct gyr_version version;
	if (gyr_registry_label(registry, job->model, job->label, &label, NULL) != 0 || label.version == 0)
		return 0;
	int status = gyr_registry_version(registry, job->model, label.version, &version, error);
	if (status != 0)
		return status;
	char *present = strdup(version.signature);
	GYR_ASSERT(present != NULL);
	status = gyr_registry_version(registry, job->model, job->number, &version, error);
	if (status == 0 && strcmp(present, version.signature) != 0)
		status =
			gyr_error_set(error, -EPERM,
				      "%s version %llu has other inputs or outputs than version %llu, which \"%s\" points at; --force promotes it all the same",
				      job->model, (unsigned long long)job->number, (unsigned long long)label.version, job->label);
	free(present);
	return status;
}

static void start_promote(struct gyrd_job *job, bool force)
{
	struct gyrd *gyrd = job->gyrd;
	gyr_timer_start(&gyrd->events, &job->news, NEWS_NS, tell_load, job);
	gyr_rollout_promote(gyrd->rollout, job->model, job->label, job->number, force, job->peer.uid, end_change, job);
}

void gyrd_serve_promote(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_error error;
	const char *label = gyr_rpc_value(&call->request, "label");
	if (label == NULL)
		label = GYR_LINK_STABLE;
	int status = gyr_name_check("label", label, &error);
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		return;
	}
	struct gyrd_job *job = begin_change(gyrd, call);
	if (job == NULL)
		return;
	strcpy(job->label, label);
	status = check_label(job, &call->request, &error);
	if (status == 0 && job->dry && !gyrd_says_yes(call, "force"))
		status = check_signature(job, &error);
	if (status != 0)
		gyrd_job_fail(job, status, error.text);
	else if (job->dry)
		answer_change(job);
	else
		start_promote(job, gyrd_says_yes(call, "force"));
	gyrd_job_attach(job, call);
}

/* --- set --- */

struct setting_change {
	struct gyrd *gyrd;
	struct gyr_rpc_call *call;
	char model[GYR_NAME_BYTES];
};

static void answer_policy(struct gyr_rpc_call *call, const char *model, const struct gyr_link_policy *policy)
{
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_map(&buffer.packer, 2);
	gyr_rpc_pair_text(&buffer.packer, "model", model);
	gyrd_pack_policy(&buffer.packer, policy);
	gyr_rpc_answer_send(call, &buffer);
}

static void end_set(void *user, int status, const char *text)
{
	struct setting_change *change = user;
	struct gyr_link_policy policy;
	struct gyr_error error;
	if (status == 0) {
		status = gyr_rollout_policy(change->gyrd->rollout, change->model, &policy, &error);
		text = error.text;
	}
	if (status != 0)
		gyr_rpc_answer(change->call, status, text);
	else
		answer_policy(change->call, change->model, &policy);
	free(change);
}

/* What the settings would be. */
static void try_settings(struct gyrd *gyrd, struct gyr_rpc_call *call, const char *model, const struct gyr_setting *settings, uint32_t count)
{
	struct gyr_link_policy policy;
	struct gyr_error error;
	int status = gyr_rollout_policy(gyrd->rollout, model, &policy, &error);
	for (uint32_t i = 0; status == 0 && i < count; i++)
		status = gyr_link_policy_set(&policy, settings[i].name, settings[i].value, &error);
	if (status != 0)
		gyr_rpc_answer(call, status, error.text);
	else
		answer_policy(call, model, &policy);
}

/* Every parameter but the model, and whether it is to be done, is a setting. */
static int read_settings(const struct gyr_rpc_request *request, struct gyr_setting *settings, uint32_t *count, struct gyr_error *error)
{
	int status = 0;
	*count = 0;
	for (uint32_t i = 0; status == 0 && i < request->count; i++) {
		const char *name = request->parameters[i].name;
		if (strcmp(name, "model") == 0 || strcmp(name, "dry-run") == 0)
			continue;
		if (*count == GYR_LINK_SETTINGS)
			return gyr_error_set(error, -EINVAL, "more settings than the %u that there are", GYR_LINK_SETTINGS);
		settings[*count] = (struct gyr_setting){0};
		snprintf(settings[*count].name, sizeof settings[*count].name, "%s", name);
		status = gyr_rpc_number(request, name, &settings[(*count)++].value, error);
	}
	return status == 0 && *count == 0 ? gyr_error_set(error, -EINVAL, "the call names no setting") : status;
}

void gyrd_serve_set(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_setting settings[GYR_LINK_SETTINGS];
	struct gyr_version version;
	struct gyr_error error;
	uint32_t count;
	int status = read_settings(&call->request, settings, &count, &error);
	if (status == 0 && gyrd->stopping)
		status = gyr_error_set(&error, -ESHUTDOWN, "gyrd is ending");
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		return;
	}
	if (!gyrd_read_version(gyrd, call, &version))
		return;
	if (gyrd_says_yes(call, "dry-run")) {
		try_settings(gyrd, call, version.model, settings, count);
		return;
	}
	struct setting_change *change = calloc(1, sizeof *change);
	GYR_ASSERT(change != NULL);
	change->gyrd = gyrd;
	change->call = call;
	memcpy(change->model, version.model, sizeof change->model);
	gyr_rollout_set(gyrd->rollout, change->model, settings, count, call->peer.uid, end_set, change);
}
