/* The table of calls, and those that change what is served. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "control/gyrd.h"
#include "control/stats.h"

#define STOP_NS (15 * GYR_NS_PER_S)

bool gyrd_read_model(struct gyr_rpc_call *call, const char **model)
{
	*model = gyr_rpc_value(&call->request, "model");
	if (*model == NULL)
		gyr_rpc_answer(call, -EINVAL, "the call names no model");
	return *model != NULL;
}

bool gyrd_read_version(struct gyrd *gyrd, struct gyr_rpc_call *call, struct gyr_version *version)
{
	const char *model;
	uint64_t number = 0;
	struct gyr_error error;
	if (!gyrd_read_model(call, &model))
		return false;
	int status = gyr_rpc_number(&call->request, "version", &number, &error);
	if (status == 0 && number == 0 && gyr_rpc_value(&call->request, "version") != NULL)
		status = gyr_error_set(&error, -ENOENT, "version 0: versions count from 1");
	if (status == 0)
		status = gyr_registry_version(gyrd->registry, model, number, version, &error);
	if (status == 0)
		return true;
	gyr_rpc_answer(call, status, error.text);
	return false;
}

/* What is asked of the rollout, until it has answered. */
struct change {
	struct gyrd *gyrd;
	struct gyr_rpc_call *call;
	char model[GYR_NAME_BYTES], label[GYR_NAME_BYTES];
	uint64_t number;
};

static void end_change(void *user, int status, const char *text)
{
	struct change *change = user;
	if (status != 0) {
		gyr_rpc_answer(change->call, status, text);
		free(change);
		return;
	}
	struct gyr_rpc_buffer buffer;
	struct gyr_label label = {0};
	bool labelled = change->label[0] != '\0' && gyr_registry_label(change->gyrd->registry, change->model, change->label, &label, NULL) == 0;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_map(&buffer.packer, labelled ? 4 : 2);
	gyr_rpc_pair_text(&buffer.packer, "model", change->model);
	gyr_rpc_pair_whole(&buffer.packer, "version", change->number);
	if (labelled) {
		gyr_rpc_pair_text(&buffer.packer, "label", change->label);
		gyr_rpc_pair_whole(&buffer.packer, "former", label.former);
	}
	gyr_rpc_answer_send(change->call, &buffer);
	free(change);
}

/* NULL: the call was answered already. */
static struct change *begin_change(struct gyrd *gyrd, struct gyr_rpc_call *call)
{
	struct gyr_version version;
	if (gyrd->stopping) {
		gyr_rpc_answer(call, -ESHUTDOWN, "gyrd is ending");
		return NULL;
	}
	if (!gyrd_read_version(gyrd, call, &version))
		return NULL;
	struct change *change = calloc(1, sizeof *change);
	GYR_ASSERT(change != NULL);
	change->gyrd = gyrd;
	change->call = call;
	change->number = version.number;
	memcpy(change->model, version.model, sizeof change->model);
	return change;
}

static void serve_load(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct change *change = begin_change(gyrd, call);
	if (change != NULL)
		gyr_rollout_load(gyrd->rollout, change->model, change->number, call->peer.uid, end_change, change);
}

static void serve_unload(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	if (gyr_rpc_value(&call->request, "version") == NULL) {
		gyr_rpc_answer(call, -EINVAL, "the call names no version to unload");
		return;
	}
	struct change *change = begin_change(gyrd, call);
	if (change != NULL)
		gyr_rollout_unload(gyrd->rollout, change->model, change->number, call->peer.uid, end_change, change);
}

static void serve_promote(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_error error;
	const char *label = gyr_rpc_value(&call->request, "label"), *force = gyr_rpc_value(&call->request, "force");
	if (label == NULL)
		label = GYR_LINK_STABLE;
	int status = gyr_name_check("label", label, &error);
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		return;
	}
	struct change *change = begin_change(gyrd, call);
	if (change == NULL)
		return;
	strcpy(change->label, label);
	gyr_rollout_promote(gyrd->rollout, change->model, change->label, change->number, force != NULL && strcmp(force, "yes") == 0, call->peer.uid, end_change,
			    change);
}

static void end_set(void *user, int status, const char *text)
{
	struct change *change = user;
	struct gyr_link_policy policy;
	struct gyr_error error;
	if (status == 0) {
		status = gyr_rollout_policy(change->gyrd->rollout, change->model, &policy, &error);
		text = error.text;
	}
	if (status != 0) {
		gyr_rpc_answer(change->call, status, text);
		free(change);
		return;
	}
	struct gyr_rpc_buffer buffer;
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_map(&buffer.packer, 2);
	gyr_rpc_pair_text(&buffer.packer, "model", change->model);
	gyrd_pack_policy(&buffer.packer, &policy);
	gyr_rpc_answer_send(change->call, &buffer);
	free(change);
}

/* Every parameter but the model is a setting. */
static void serve_set(void *user, struct gyr_rpc_call *call)
{
	struct gyrd *gyrd = user;
	struct gyr_setting settings[GYR_LINK_SETTINGS];
	struct gyr_error error;
	uint32_t count = 0;
	int status = 0;
	for (uint32_t i = 0; status == 0 && i < call->request.count; i++) {
		const char *name = call->request.parameters[i].name;
		if (strcmp(name, "model") == 0)
			continue;
		if (count == GYR_LINK_SETTINGS) {
			status = gyr_error_set(&error, -EINVAL, "more settings than the %u that there are", GYR_LINK_SETTINGS);
			break;
		}
		settings[count] = (struct gyr_setting){0};
		snprintf(settings[count].name, sizeof settings[count].name, "%s", name);
		status = gyr_rpc_number(&call->request, name, &settings[count++].value, &error);
	}
	if (status == 0 && count == 0)
		status = gyr_error_set(&error, -EINVAL, "the call names no setting");
	if (status != 0) {
		gyr_rpc_answer(call, status, error.text);
		return;
	}
	struct change *change = begin_change(gyrd, call);
	if (change != NULL)
		gyr_rollout_set(gyrd->rollout, change->model, settings, count, call->peer.uid, end_set, change);
}

/* --- the end --- */

static void end_loop(void *user)
{
	struct gyrd *gyrd = user;
	gyr_timer_cancel(&gyrd->events, &gyrd->stop_limit);
	if (gyrd->stop_call != NULL)
		gyr_rpc_answer(gyrd->stop_call, 0, "");
	gyrd->stop_call = NULL;
	gyr_events_stop(&gyrd->events);
}

static void stop_by_force(void *user)
{
	struct gyrd *gyrd = user;
	gyr_log_warning("the data plane does not end; killing it");
	gyr_process_signal(&gyrd->supervisor.process, SIGKILL);
}

static void ignore_answer(void *user, const struct gyr_link_answer *answer)
{
}

void gyrd_stop(struct gyrd *gyrd, bool keep_dataplane, struct gyr_rpc_call *call)
{
	if (gyrd->stopping) {
		if (call != NULL)
			gyr_rpc_answer(call, -EALREADY, "gyrd is ending already");
		return;
	}
	gyrd->stopping = true;
	gyr_notify("STOPPING=1");
	gyrd->stop_call = call;
	if (!gyrd->config.supervise || keep_dataplane || gyrd->supervisor.process.pid == 0) {
		end_loop(gyrd);
		return;
	}
	gyr_log_info("ending, with the data plane");
	gyr_supervisor_stop(&gyrd->supervisor, end_loop, gyrd);
	gyr_timer_start(&gyrd->events, &gyrd->stop_limit, STOP_NS, stop_by_force, gyrd);
	struct gyr_link_request request = {.type = GYR_LINK_STOP};
	struct gyr_peer *peer = gyr_rollout_peer(gyrd->rollout);
	if (gyr_peer_is_up(peer))
		gyr_peer_send(peer, &request, -1, STOP_NS, ignore_answer, gyrd);
	else
		gyr_process_signal(&gyrd->supervisor.process, SIGTERM);
}

static void serve_stop(void *user, struct gyr_rpc_call *call)
{
	const char *keep = gyr_rpc_value(&call->request, "keep_dataplane");
	gyrd_stop(user, keep != NULL && strcmp(keep, "yes") == 0, call);
}

const struct gyr_rpc_method gyrd_methods[] = {
	{"status", false, gyrd_serve_status},
	{"stats", false, gyrd_serve_stats},
	{"model.list", false, gyrd_serve_list},
	{"model.show", false, gyrd_serve_show},
	{"model.set", true, serve_set},
	{"model.import", true, gyrd_serve_import},
	{"model.export", true, gyrd_serve_export},
	{"model.remove", true, gyrd_serve_remove},
	{"verify", true, gyrd_serve_verify},
	{"gc", true, gyrd_serve_gc},
	{"audit", false, gyrd_serve_audit},
	{"train", true, gyrd_serve_train},
	{"load", true, serve_load},
	{"unload", true, serve_unload},
	{"promote", true, serve_promote},
	{"stop", true, serve_stop},
	{NULL, false, NULL},
};
