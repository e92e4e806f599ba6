/*
 * What the jobs that run gyr-worker share. Private to the files beside it; the loop's thread only.
 */
#ifndef GYR_CONTROL_JOB_RUN_H
#define GYR_CONTROL_JOB_RUN_H

#include "control/job.h"
#include "control/jobs/folder.h"

#define GYRD_WORDS_MAX 48u
#define GYRD_FIXED_MAX 24u /* of them */

/* Words of a worker's command. */
struct gyrd_words {
	uint32_t count;
	const char *list[GYRD_WORDS_MAX + 1];
	struct gyr_arena arena;
};

/* Versions of a folder that are imported one after another (job_import.c). */
struct gyrd_folder {
	struct gyr_folder found;
	uint32_t at;                               /* the one under way */
	uint64_t numbers[GYR_FOLDER_VERSIONS_MAX]; /* that they got */
	char path[GYR_PATH_BYTES];
	struct gyr_rpc_parameter options[GYRD_FIXED_MAX]; /* copies */
	uint32_t option_count;
};

/* A job of gyr-worker's. NULL: CALL was answered. MODEL NULL: the call names it. */
struct gyrd_job *gyrd_run_begin(struct gyrd *gyrd, struct gyr_rpc_call *call, const char *model);

void gyrd_words_begin(struct gyrd_words *words, const char *command);
void gyrd_words_add(struct gyrd_words *words, const char *name, const char *value);
void gyrd_words_add_number(struct gyrd_words *words, const char *name, uint64_t number);
/* Files that the caller names are opened with the caller's rights. */
void gyrd_words_add_identity(const struct gyrd_job *job, struct gyrd_words *words);

/* Chooses where the worker's bundle goes. */
void gyrd_run_begin_result(struct gyrd_job *job);
/* Starts the worker, or fails the job; WORDS are freed. */
void gyrd_run_start(struct gyrd_job *job, struct gyrd_words *words, const struct gyr_run_handlers *handlers);
/* Handlers: news of a training, and the end of a run that made a bundle, which is registered. */
void gyrd_run_tell_progress(void *user, const struct gyr_run_progress *progress);
void gyrd_run_end_with_bundle(void *user, int status, const char *text, const struct gyr_run_progress *last);
/* Ends the job with the version that it made, or wrote. */
void gyrd_run_answer_version(struct gyrd_job *job);

/* job_import.c: begins an import on JOB's model as a call would, of the parameters that fix what a file leaves open. */
void gyrd_import_start(struct gyrd_job *job, const struct gyr_rpc_parameter *options, uint32_t count, const char *path);
/* Likewise of all that FOUND has of the folder PATH. */
void gyrd_folder_start(struct gyrd_job *job, const struct gyr_rpc_parameter *options, uint32_t count, const char *path, const struct gyr_folder *found);
/* One version of the folder is in: begins the next. False: it was the last. */
bool gyrd_folder_go_on(struct gyrd_job *job);
/* The pair "versions": of each, its number in the folder and here. */
void gyrd_folder_pack(const struct gyrd_folder *folder, msgpack_packer *packer);
void gyrd_folder_free(struct gyrd_folder *folder);
/* Is it a parameter that fixes something, or a bound? */
bool gyrd_is_import_option(const struct gyr_rpc_parameter *parameter);

#endif
