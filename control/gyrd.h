/*
 * gyrd: what its parts share. Private to the files beside it.
 */
#ifndef GYR_CONTROL_GYRD_H
#define GYR_CONTROL_GYRD_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "control/event/events.h"
#include "control/event/work.h"
#include "control/link/supervisor.h"
#include "control/registry/registry.h"
#include "control/rollout/rollout.h"
#include "control/rpc/server.h"

#define GYRD_ARGUMENTS_MAX 96u

struct gyrd_job;
struct gyrd_follow;

struct gyrd {
	struct gyr_config config;
	char *arguments[GYRD_ARGUMENTS_MAX]; /* --config and --set, handed on to the data plane */
	uint32_t argument_count;
	cpu_set_t cpus; /* that gyrd was started on; its children's, but for the workers' */
	uint64_t started_ns;
	struct gyr_events events;
	struct gyr_work work;
	struct gyr_registry *registry;
	struct gyr_supervisor supervisor; /* only with config.supervise */
	struct gyr_rollout *rollout;
	struct gyr_rpc_server *server;
	struct gyrd_job *jobs; /* the newest first; the last that have ended are among them */
	uint32_t job_count;    /* that are under way */
	uint64_t job_serial;
	struct gyrd_follow *follows; /* folders that are followed */
	struct gyr_timer follow_timer;
	struct gyr_rpc_call *stop_call; /* NULL: nobody waits for the end */
	struct gyr_timer stop_limit;
	struct gyr_timer alive; /* the service manager is to be told so */
	bool stopping;
	bool collecting; /* gc frees blobs: nothing may be put meanwhile */
};

/* The calls that gyrd serves. */
extern const struct gyr_rpc_method gyrd_methods[];

/* Begins to end: with the data plane when gyrd supervises it and KEEP is false, else without. CALL (may be NULL) is answered at the end. */
void gyrd_stop(struct gyrd *gyrd, bool keep_dataplane, struct gyr_rpc_call *call);

/* show.c: calls that only look. */
void gyrd_serve_status(void *user, struct gyr_rpc_call *call);
void gyrd_serve_list(void *user, struct gyr_rpc_call *call);
void gyrd_serve_show(void *user, struct gyr_rpc_call *call);

/* show.c: the pair "policy" of a map. */
void gyrd_pack_policy(msgpack_packer *packer, const struct gyr_link_policy *policy);

/* care.c: calls that look after the registry. */
void gyrd_serve_verify(void *user, struct gyr_rpc_call *call);
void gyrd_serve_gc(void *user, struct gyr_rpc_call *call);
void gyrd_serve_audit(void *user, struct gyr_rpc_call *call);
void gyrd_serve_remove(void *user, struct gyr_rpc_call *call);

/* job.c: calls that look at jobs. */
void gyrd_serve_job_list(void *user, struct gyr_rpc_call *call);
void gyrd_serve_job_show(void *user, struct gyr_rpc_call *call);
void gyrd_serve_job_follow(void *user, struct gyr_rpc_call *call);
void gyrd_serve_job_cancel(void *user, struct gyr_rpc_call *call);

/* follow.c: folders that are followed. */
void gyrd_serve_follow(void *user, struct gyr_rpc_call *call);
void gyrd_serve_unfollow(void *user, struct gyr_rpc_call *call);
void gyrd_serve_follows(void *user, struct gyr_rpc_call *call);
/* Reads what is followed, and begins to look. -EBADMSG. */
GYR_MUST_CHECK int gyrd_follows_init(struct gyrd *gyrd, struct gyr_error *error);
void gyrd_follows_fini(struct gyrd *gyrd);

/* change.c: calls that change what is served. */
void gyrd_serve_load(void *user, struct gyr_rpc_call *call);
void gyrd_serve_unload(void *user, struct gyr_rpc_call *call);
void gyrd_serve_promote(void *user, struct gyr_rpc_call *call);
void gyrd_serve_set(void *user, struct gyr_rpc_call *call);

/* job_import.c: the path in a call's parameter "path", which both ends mean the same file by. False: CALL was answered. */
bool gyrd_read_path(struct gyr_rpc_call *call, const char **path);

/* job_model.c, job_import.c: calls that read, make or write whole models. */
void gyrd_serve_train(void *user, struct gyr_rpc_call *call);
void gyrd_serve_import(void *user, struct gyr_rpc_call *call);
void gyrd_serve_export(void *user, struct gyr_rpc_call *call);

/* Makes the folder of unfinished results, or empties it. */
GYR_MUST_CHECK int gyrd_jobs_init(struct gyrd *gyrd, struct gyr_error *error);
/* Kills the workers' runs that are under way; their callers are told -ESHUTDOWN. Jobs that are further end with the helper thread and the rollout. */
void gyrd_jobs_end(struct gyrd *gyrd);
/* Frees the records of jobs, when all have ended. */
void gyrd_jobs_fini(struct gyrd *gyrd);

/* Is the parameter NAME of a call "yes"? */
bool gyrd_says_yes(const struct gyr_rpc_call *call, const char *name);

/* The model that a call names. False: there is none, and CALL was answered. */
bool gyrd_read_model(struct gyr_rpc_call *call, const char **model);

/* The version that a call means: its parameters model and version, the newest where no version is given. False: CALL was answered. */
bool gyrd_read_version(struct gyrd *gyrd, struct gyr_rpc_call *call, struct gyr_version *version);

#endif
