/*
 * A folder that is followed. Private to follow.c and follow_file.c; the loop's thread only.
 */
#ifndef GYR_CONTROL_FOLLOW_H
#define GYR_CONTROL_FOLLOW_H

#include "control/job_run.h"

struct gyrd_follow {
	struct gyrd *gyrd;
	char model[GYR_NAME_BYTES], path[GYR_PATH_BYTES], versions[256];
	struct gyr_folder_policy policy; /* what VERSIONS says */
	struct gyr_rpc_peer peer;        /* whose rights the files are opened with */
	bool promote;
	struct gyrd_job *job;                      /* that imports; NULL: none */
	struct gyr_folder tried, done;             /* what was imported last, or could not be; and what was */
	uint64_t numbers[GYR_FOLDER_VERSIONS_MAX]; /* of DONE */
	struct gyr_error fault;                    /* of the last look or import; "": none */
	struct gyrd_follow *next;
};

/* Writes all that is followed. The errno of opening, writing, renaming; a sync that fails ends the process. */
GYR_MUST_CHECK int gyrd_follows_save(const struct gyrd *gyrd, struct gyr_error *error);
/* Reads it; nothing where there is no file. -EBADMSG. */
GYR_MUST_CHECK int gyrd_follows_read(struct gyrd *gyrd, struct gyr_error *error);

#endif
