/*
 * gyrd's one helper thread: what would hold up the loop (reading, hashing and writing models) runs there, one task after another, and its end is told in the
 * loop. A task owns what it works on from gyr_work_submit until its DONE is called.
 */
#ifndef GYR_CONTROL_EVENT_WORK_H
#define GYR_CONTROL_EVENT_WORK_H

#include <pthread.h>

#include "base/error.h"
#include "control/event/events.h"

/* Embedded first or anywhere in the caller's own task. */
struct gyr_task {
	void (*run)(struct gyr_task *task);  /* in the helper thread */
	void (*done)(struct gyr_task *task); /* afterwards in the loop's thread; may free the task */
	struct gyr_task *next;
};

struct gyr_work {
	struct gyr_events *events;
	struct gyr_watch watch;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more;
	struct gyr_task *waiting, *finished; /* the oldest first */
	bool ending;
};

/* Starts the thread. The struct must not move. The errno of eventfd or pthread_create. */
GYR_MUST_CHECK int gyr_work_init(struct gyr_work *work, struct gyr_events *events, struct gyr_error *error);

/* Lets the thread finish all that was submitted, calls each DONE, and ends it. */
void gyr_work_fini(struct gyr_work *work);

/* Gives the thread a task. The loop's thread. */
void gyr_work_submit(struct gyr_work *work, struct gyr_task *task);

#endif
