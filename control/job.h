/*
 * Jobs: what takes long, from its call to its end, and a while beyond. A job belongs to gyrd and not to its caller: it goes on when he goes, and whoever asks
 * is told how far it is and how it ended.
 *
 *     running --> done        with a body that answers every one who waits
 *            \--> failed      with a status and a reason
 *            \--> cancelled   likewise, by job.cancel
 *
 * Private to the files beside it; the loop's thread only.
 */
#ifndef GYR_CONTROL_JOB_H
#define GYR_CONTROL_JOB_H

#include "control/gyrd.h"
#include "control/jobs/run.h"
#include "control/rollout/import.h"

#define GYRD_JOBS_RUNNING_MAX 64u /* of all kinds */
#define GYRD_JOBS_KEPT_MAX 64u    /* that have ended */
#define GYRD_KEY_BYTES 65u

enum gyrd_job_state { GYRD_JOB_RUNNING, GYRD_JOB_DONE, GYRD_JOB_FAILED, GYRD_JOB_CANCELLED };

struct gyrd_watcher;

struct gyrd_job {
	struct gyrd *gyrd;
	uint64_t id;              /* counted up from 1 since gyrd started */
	const char *kind;         /* the call */
	char key[GYRD_KEY_BYTES]; /* that the caller gave; "": none */
	struct gyr_rpc_peer peer; /* who asked */
	int64_t began_s, ended_s; /* since 1970; 0: not yet */
	enum gyrd_job_state state;
	struct gyrd_watcher *watchers;
	int status; /* at the end */
	char text[512];
	msgpack_sbuffer body;

	char model[GYR_NAME_BYTES], label[GYR_NAME_BYTES];
	uint64_t number; /* of the version; 0: not known yet */
	/* Of a run of gyr-worker. */
	struct gyr_run *run;         /* under way */
	char result[GYR_PATH_BYTES]; /* the unfinished bundle that is removed at the end; "": none */
	struct gyr_run_progress last;
	bool promote, known, dry, cancelled;
	bool guarded;      /* only while the newest version is still ... */
	uint64_t expected; /* ... this one; 0: none */
	char version_id[GYR_BLOB_NAME_BYTES];
	struct gyr_timer news;      /* to the next, of a load */
	struct gyrd_folder *folder; /* whose versions are imported; NULL: a single file */
	/* Called at the end, before those who wait are told; NULL: nobody wants to know. */
	void (*ended)(struct gyrd_job *job);
	void *user;
	/* Takes back what is under way, which then ends the job; NULL: only a run can be cancelled. */
	void (*cancel)(struct gyrd_job *job);
	struct gyrd_job *next; /* begun before */
};

/*
 * Begins a job of CALL's kind on MODEL. NULL: CALL was answered, because gyrd ends or too much is under way, or because of "key": the job that has it already
 * is the one that the caller means.
 */
struct gyrd_job *gyrd_job_begin(struct gyrd *gyrd, struct gyr_rpc_call *call, const char *model);

/* The same for gyrd itself, in the name of PEER: nobody waits for it. */
struct gyrd_job *gyrd_job_make(struct gyrd *gyrd, const char *kind, const char *model, const struct gyr_rpc_peer *peer);

/* Has CALL wait for the job, or be told how it ended; or, with "detach", answers its number. Once, at last: CALL is not to be looked at any more. */
void gyrd_job_attach(struct gyrd_job *job, struct gyr_rpc_call *call);

/* Tells those who wait. The pairs of *PAIRS more that the caller packs follow those that every news has. */
void gyrd_job_news_begin(const struct gyrd_job *job, uint32_t pairs, struct gyr_rpc_buffer *buffer);
void gyrd_job_news_send(struct gyrd_job *job, struct gyr_rpc_buffer *buffer);

/* The end. FAIL: STATUS is negative, TEXT the reason. ANSWER_BEGIN: the object that is packed into *PACKER answers all; ANSWER_END ends it. */
void gyrd_job_fail(struct gyrd_job *job, int status, const char *text);
void gyrd_job_answer_begin(struct gyrd_job *job, msgpack_packer *packer);
void gyrd_job_answer_end(struct gyrd_job *job);

/*
 * The guard of what makes a version: the parameter "expect" says which version is the model's newest (0: it has none). READ reads and checks it, CHECK checks
 * it again. -EINVAL; -ESTALE: another one is.
 */
GYR_MUST_CHECK int gyrd_job_read_guard(struct gyrd_job *job, const struct gyr_rpc_request *request, struct gyr_error *error);
GYR_MUST_CHECK int gyrd_job_check_guard(const struct gyrd_job *job, struct gyr_error *error);

/* job_run.c: removes what a run has left. */
void gyrd_job_remove_result(const struct gyrd_job *job);

#endif
