/*
 * One event is fetched from epoll at a time, so that whatever is stopped while another is served can never be called afterwards.
 */
#include "control/event/events.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"

int gyr_events_init(struct gyr_events *events, struct gyr_error *error)
{
	*events = (struct gyr_events){.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .stop_fd = -1};
	if (events->epoll_fd < 0)
		return gyr_error_set(error, -errno, "epoll_create1: %s", strerror(errno));
	events->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event wanted = {.events = EPOLLIN};
	if (events->stop_fd < 0 || epoll_ctl(events->epoll_fd, EPOLL_CTL_ADD, events->stop_fd, &wanted) != 0) {
		int status = gyr_error_set(error, -errno, "eventfd: %s", strerror(errno));
		gyr_events_fini(events);
		return status;
	}
	return 0;
}

void gyr_events_fini(struct gyr_events *events)
{
	if (events->stop_fd >= 0)
		close(events->stop_fd);
	close(events->epoll_fd);
	events->epoll_fd = events->stop_fd = -1;
}

int gyr_watch_start(struct gyr_events *events, struct gyr_watch *watch, int fd, uint32_t interest)
{
	struct epoll_event wanted = {.events = interest, .data.ptr = watch};
	if (epoll_ctl(events->epoll_fd, EPOLL_CTL_ADD, fd, &wanted) != 0)
		return -errno;
	watch->fd = fd;
	return 0;
}

void gyr_watch_interest(struct gyr_events *events, struct gyr_watch *watch, uint32_t interest)
{
	struct epoll_event wanted = {.events = interest, .data.ptr = watch};
	int status = epoll_ctl(events->epoll_fd, EPOLL_CTL_MOD, watch->fd, &wanted);
	GYR_ASSERT(status == 0);
}

void gyr_watch_stop(struct gyr_events *events, struct gyr_watch *watch)
{
	if (watch->fd < 0)
		return;
	int status = epoll_ctl(events->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	GYR_ASSERT(status == 0);
	watch->fd = -1;
}

void gyr_timer_start(struct gyr_events *events, struct gyr_timer *timer, uint64_t delay_ns, void (*due)(void *user), void *user)
{
	gyr_timer_cancel(events, timer);
	*timer = (struct gyr_timer){.due_ns = gyr_clock_ns() + delay_ns, .due = due, .user = user, .running = true};
	struct gyr_timer **at = &events->timers;
	while (*at != NULL && (*at)->due_ns <= timer->due_ns)
		at = &(*at)->next;
	timer->next = *at;
	*at = timer;
}

void gyr_timer_cancel(struct gyr_events *events, struct gyr_timer *timer)
{
	if (!timer->running)
		return;
	struct gyr_timer **at = &events->timers;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->running = false;
}

/* Calls the first timer when it is due: true. Else *WAIT_MS is the time until it is, -1 when there is none. */
static bool serve_timer(struct gyr_events *events, int *wait_ms)
{
	struct gyr_timer *first = events->timers;
	*wait_ms = -1;
	if (first == NULL)
		return false;
	uint64_t now = gyr_clock_ns();
	if (first->due_ns > now) {
		uint64_t left_ms = (first->due_ns - now + GYR_NS_PER_MS - 1) / GYR_NS_PER_MS;
		*wait_ms = left_ms > 60000 ? 60000 : (int)left_ms;
		return false;
	}
	events->timers = first->next;
	first->running = false;
	first->due(first->user);
	return true;
}

/* One thing only, so that the loop's condition is looked at after each. */
static void serve_one(struct gyr_events *events)
{
	int wait_ms;
	if (serve_timer(events, &wait_ms))
		return;
	struct epoll_event event;
	int count = epoll_wait(events->epoll_fd, &event, 1, wait_ms);
	GYR_ASSERT(count >= 0 || errno == EINTR);
	if (count <= 0 || event.data.ptr == NULL)
		return;
	struct gyr_watch *watch = event.data.ptr;
	watch->ready(watch->user, event.events);
}

void gyr_events_run(struct gyr_events *events)
{
	while (!atomic_load(&events->stopping))
		serve_one(events);
}

static void set_true(void *user)
{
	*(bool *)user = true;
}

bool gyr_events_run_until(struct gyr_events *events, const bool *done, uint64_t timeout_ns)
{
	bool late = false;
	struct gyr_timer limit = {0};
	gyr_timer_start(events, &limit, timeout_ns, set_true, &late);
	while (!*done && !late && !atomic_load(&events->stopping))
		serve_one(events);
	gyr_timer_cancel(events, &limit);
	return *done;
}

void gyr_events_stop(struct gyr_events *events)
{
	uint64_t one = 1;
	atomic_store(&events->stopping, true);
	/* Full already is as good as written. */
	ssize_t ignored = write(events->stop_fd, &one, sizeof one);
	(void)ignored;
}
