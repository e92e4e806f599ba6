/*
 * gyrd's one loop: descriptors that become ready and timers that become due, served one at a time by the thread that runs it. Nothing in here may be called by
 * another thread but gyr_events_stop.
 */
#ifndef GYR_CONTROL_EVENT_EVENTS_H
#define GYR_CONTROL_EVENT_EVENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct gyr_events {
	int epoll_fd, stop_fd;
	struct gyr_timer *timers; /* the soonest first */
	atomic_bool stopping;
};

/* A descriptor that is watched. The caller's memory, which must stay until gyr_watch_stop. */
struct gyr_watch {
	int fd;                                    /* -1 while not watched */
	void (*ready)(void *user, uint32_t ready); /* with EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR; may stop any watch */
	void *user;
};

/* A time at which something is called, once. The caller's memory, which must stay until it was called or cancelled. All zero: not running. */
struct gyr_timer {
	uint64_t due_ns;
	void (*due)(void *user);
	void *user;
	bool running;
	struct gyr_timer *next;
};

/* Makes an empty loop. The errno of epoll_create1 or eventfd. */
GYR_MUST_CHECK int gyr_events_init(struct gyr_events *events, struct gyr_error *error);
void gyr_events_fini(struct gyr_events *events);

/* Begins to watch FD for INTEREST (EPOLLIN, EPOLLOUT). The errno of epoll_ctl. */
GYR_MUST_CHECK int gyr_watch_start(struct gyr_events *events, struct gyr_watch *watch, int fd, uint32_t interest);

/* Changes what is waited for. */
void gyr_watch_interest(struct gyr_events *events, struct gyr_watch *watch, uint32_t interest);

/* Watches no more; the descriptor stays open. A watch that is not watched is fine. */
void gyr_watch_stop(struct gyr_events *events, struct gyr_watch *watch);

/* Calls DUE after DELAY_NS; a timer that is running is moved. */
void gyr_timer_start(struct gyr_events *events, struct gyr_timer *timer, uint64_t delay_ns, void (*due)(void *user), void *user);
void gyr_timer_cancel(struct gyr_events *events, struct gyr_timer *timer);

/* Serves until gyr_events_stop. */
void gyr_events_run(struct gyr_events *events);

/* Serves until *DONE, or for TIMEOUT_NS: false then. */
bool gyr_events_run_until(struct gyr_events *events, const bool *done, uint64_t timeout_ns);

/* Ends gyr_events_run. Any thread, also a signal handler. */
void gyr_events_stop(struct gyr_events *events);

#endif
