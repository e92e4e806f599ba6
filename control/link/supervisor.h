/*
 * Keeps gyr-dataplane running: adopts one that is there, starts one that is not, and starts it again when it ends: at once when it was ready for two seconds,
 * else after a pause that doubles from 100 ms to 10 s while it keeps ending so soon. The loop's thread only.
 */
#ifndef GYR_CONTROL_LINK_SUPERVISOR_H
#define GYR_CONTROL_LINK_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "control/event/events.h"
#include "control/event/process.h"

struct gyr_supervisor {
	struct gyr_events *events;
	struct gyr_process process;
	struct gyr_watch ready; /* the pipe on which it says that it listens */
	struct gyr_timer restart;
	char program[GYR_PROGRAM_PATH_BYTES];
	char *const *arguments; /* for it; argv[0] and --ready-fd are added */
	uint32_t argument_count;
	const cpu_set_t *cpus;
	bool enabled;                 /* starts it again */
	bool starting;                /* started and not ready yet */
	uint32_t starts;              /* since gyrd began */
	uint64_t pause_ns;            /* before the next start */
	uint64_t ready_ns;            /* when this one was; 0: not yet */
	char said[512];               /* how it is, in words */
	void (*is_ready)(void *user); /* it listens */
	void *user;
	void (*stopped)(void *user); /* of gyr_supervisor_stop */
	void *stopped_user;
};

/*
 * Finds the program (gyr_program_find) and gets ready; nothing is started. ARGUMENTS (ARGUMENT_COUNT of them) and CPUS must stay. -ENOENT.
 */
GYR_MUST_CHECK int gyr_supervisor_init(struct gyr_supervisor *supervisor, struct gyr_events *events, char *const *arguments, uint32_t argument_count,
				       const cpu_set_t *cpus, void (*is_ready)(void *user), void *user, struct gyr_error *error);

/* Watches no more; the data plane lives on. */
void gyr_supervisor_fini(struct gyr_supervisor *supervisor);

/* Nobody answers at its socket: starts it, unless it is starting, or a start is due. */
void gyr_supervisor_absent(struct gyr_supervisor *supervisor);

/* It answers as process PID: watched from now on. */
void gyr_supervisor_present(struct gyr_supervisor *supervisor, pid_t pid);

/* Process PID is stuck, in the words of WHY: it is killed, and so started again, whoever had started it. */
void gyr_supervisor_kill(struct gyr_supervisor *supervisor, pid_t pid, const char *why);

/* Starts it no more, and calls ENDED once it has ended; whoever calls this asks it to, and sees first that there is one (process.pid). */
void gyr_supervisor_stop(struct gyr_supervisor *supervisor, void (*ended)(void *user), void *user);

#endif
