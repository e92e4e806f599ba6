/*
 * A child process (or, adopted, another's) whose end is told in the loop.
 */
#ifndef GYR_CONTROL_EVENT_PROCESS_H
#define GYR_CONTROL_EVENT_PROCESS_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "control/event/events.h"

#define GYR_PROCESS_KEEP_MAX 4u
#define GYR_PROGRAM_PATH_BYTES 4096u

/* All zero but WATCH.fd = -1 (gyr_process_init): no process. The caller's memory, which must stay until the end was told or the process was forgotten. */
struct gyr_process {
	struct gyr_events *events;
	struct gyr_watch watch; /* of its pidfd */
	pid_t pid;              /* 0: none */
	bool child;             /* ours; else adopted, and how it ended is not known */
	/* Called once when the process has ended, with words such as "ended with status 2" or "was killed by signal 9 (Killed)". STATUS: what it exited with,
	 * or -1. */
	void (*ended)(void *user, int status, const char *how);
	void *user;
};

struct gyr_process_start {
	const char *program;    /* its path */
	char *const *arguments; /* argv, from the program's name to NULL */
	int output_fd;          /* becomes its stdout; -1: stderr is its stdout too */
	int keep_fd;            /* stays open under the same number; -1: none */
	const cpu_set_t *cpus;  /* where it runs; NULL: where gyrd does */
	int nice;               /* added to gyrd's */
	bool dies_with_us;      /* killed when gyrd ends; else it gets a session of its own and lives on */
};

void gyr_process_init(struct gyr_process *process, struct gyr_events *events, void (*ended)(void *user, int status, const char *how), void *user);

/* Starts a program. The errno of pipe2, fork or exec, the message naming the program. */
GYR_MUST_CHECK int gyr_process_start(struct gyr_process *process, const struct gyr_process_start *start, struct gyr_error *error);

/* Watches a process that is no child of ours. -ESRCH: there is none of that pid. */
GYR_MUST_CHECK int gyr_process_adopt(struct gyr_process *process, pid_t pid, struct gyr_error *error);

/* Sends a signal; nothing when there is no process. */
void gyr_process_signal(struct gyr_process *process, int number);

/* Kills it and waits for its end, which is not told. Nothing when there is none. */
void gyr_process_kill(struct gyr_process *process);

/* Watches it no more and lets it live. */
void gyr_process_forget(struct gyr_process *process);

/*
 * Finds a program of Gyr's: where environment variable VARIABLE says, else beside gyrd's own executable, else in ../libexec/gyr from there. -ENOENT with the
 * places that were looked at.
 */
GYR_MUST_CHECK int gyr_program_find(const char *name, const char *variable, char path[GYR_PROGRAM_PATH_BYTES], struct gyr_error *error);

#endif
