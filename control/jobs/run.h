/*
 * One run of gyr-worker as gyrd sees it: a child process that says on its stdout, a JSON object a line, how far it is and how it ended. It is killed with gyrd
 * and runs at the lowest priority. The loop's thread only.
 */
#ifndef GYR_CONTROL_JOBS_RUN_H
#define GYR_CONTROL_JOBS_RUN_H

#include <stdint.h>

#include "base/error.h"
#include "control/event/events.h"

struct gyr_run;

#define GYR_RUN_LINE_BYTES 32768u /* a line that is longer is no event; one with the longest path fits, however it is escaped */

/* A number that the worker did not give is NAN. */
struct gyr_run_progress {
	uint32_t epoch, epochs;
	double loss, accuracy, examples_per_s, left_s;
};

struct gyr_run_handlers {
	void (*progress)(void *user, const struct gyr_run_progress *progress); /* may be NULL */
	/* Once, at the end, unless it was killed by gyr_run_kill: 0; -EINVAL: the worker refused, TEXT says what; -EIO: it died, or broke off. PROGRESS: the
	 * last loss and accuracy. */
	void (*ended)(void *user, int status, const char *text, const struct gyr_run_progress *last);
};

/* Starts gyr-worker (gyr_program_find) with ARGUMENTS: the command, its name=value pairs, NULL. They are copied. The errno of starting it. */
GYR_MUST_CHECK int gyr_run_start(struct gyr_events *events, const char *const *arguments, const struct gyr_run_handlers *handlers, void *user,
				 struct gyr_run **run, struct gyr_error *error);

/* Kills it and frees the run; ENDED is not called. */
void gyr_run_kill(struct gyr_run *run);

#endif
