/* The table of calls, what several of them read, and the end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "control/gyrd.h"
#include "control/rollout/import.h"
#include "control/stats.h"

#define STOP_NS (15 * GYR_NS_PER_S)

bool gyrd_says_yes(const struct gyr_rpc_call *call, const char *name)
{
	const char *value = gyr_rpc_value(&call->request, name);
	return value != NULL && strcmp(value, "yes") == 0;
}

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
	struct gyr_error error;
	uint64_t pid = (uint64_t)getpid();
	int status = gyr_rpc_number(&call->request, "expect", &pid, &error);
	if (status == 0 && pid != (uint64_t)getpid())
		status = gyr_error_set(&error, -ESTALE, "this gyrd is process %ld and not %llu, as was expected", (long)getpid(), (unsigned long long)pid);
	if (status != 0)
		gyr_rpc_answer(call, status, error.text);
	else if (gyrd_says_yes(call, "dry-run"))
		gyr_rpc_answer(call, 0, "");
	else
		gyrd_stop(user, gyrd_says_yes(call, "keep_dataplane"), call);
}

const struct gyr_rpc_method gyrd_methods[] = {
	{"status", false, gyrd_serve_status},
	{"stats", false, gyrd_serve_stats},
	{"model.list", false, gyrd_serve_list},
	{"model.show", false, gyrd_serve_show},
	{"model.set", true, gyrd_serve_set},
	{"model.import", true, gyrd_serve_import, GYR_RPC_REQUEST_MAX},
	{"model.export", true, gyrd_serve_export, 2 * GYR_PATH_BYTES},
	{"model.follow", true, gyrd_serve_follow, 2 * GYR_PATH_BYTES},
	{"model.unfollow", true, gyrd_serve_unfollow},
	{"model.follows", false, gyrd_serve_follows},
	{"model.remove", true, gyrd_serve_remove},
	{"verify", true, gyrd_serve_verify},
	{"gc", true, gyrd_serve_gc},
	{"audit", false, gyrd_serve_audit},
	{"job.list", false, gyrd_serve_job_list},
	{"job.show", false, gyrd_serve_job_show},
	{"job.follow", false, gyrd_serve_job_follow},
	{"job.cancel", true, gyrd_serve_job_cancel},
	{"train", true, gyrd_serve_train, GYR_RPC_REQUEST_MAX},
	{"load", true, gyrd_serve_load},
	{"unload", true, gyrd_serve_unload},
	{"promote", true, gyrd_serve_promote},
	{"stop", true, serve_stop},
	{NULL, false, NULL},
};
