#include "control/event/work.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assertion.h"

static void append(struct gyr_task **list, struct gyr_task *task)
{
	while (*list != NULL)
		list = &(*list)->next;
	task->next = NULL;
	*list = task;
}

static void *work_main(void *user)
{
	struct gyr_work *work = user;
	pthread_mutex_lock(&work->lock);
	for (;;) {
		while (work->waiting == NULL && !work->ending)
			pthread_cond_wait(&work->more, &work->lock);
		struct gyr_task *task = work->waiting;
		if (task == NULL)
			break;
		work->waiting = task->next;
		pthread_mutex_unlock(&work->lock);
		task->run(task);
		pthread_mutex_lock(&work->lock);
		append(&work->finished, task);
		uint64_t one = 1;
		ssize_t written = write(work->watch.fd, &one, sizeof one);
		GYR_ASSERT(written == sizeof one);
	}
	pthread_mutex_unlock(&work->lock);
	return NULL;
}

static void tell_finished(void *user, uint32_t ready)
{
	struct gyr_work *work = user;
	uint64_t count;
	ssize_t got = read(work->watch.fd, &count, sizeof count);
	GYR_ASSERT(got == sizeof count || errno == EAGAIN);
	for (;;) {
		pthread_mutex_lock(&work->lock);
		struct gyr_task *task = work->finished;
		if (task != NULL)
			work->finished = task->next;
		pthread_mutex_unlock(&work->lock);
		if (task == NULL)
			return;
		task->done(task);
	}
}

int gyr_work_init(struct gyr_work *work, struct gyr_events *events, struct gyr_error *error)
{
	*work = (struct gyr_work){.events = events, .watch = {.fd = -1, .ready = tell_finished, .user = work}};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return gyr_error_set(error, -errno, "eventfd: %s", strerror(errno));
	int status = gyr_watch_start(events, &work->watch, fd, EPOLLIN);
	pthread_mutex_init(&work->lock, NULL);
	pthread_cond_init(&work->more, NULL);
	if (status == 0)
		status = -pthread_create(&work->thread, NULL, work_main, work);
	if (status == 0)
		return 0;
	gyr_watch_stop(events, &work->watch);
	close(fd);
	pthread_cond_destroy(&work->more);
	pthread_mutex_destroy(&work->lock);
	return gyr_error_set(error, status, "the helper thread: %s", strerror(-status));
}

void gyr_work_fini(struct gyr_work *work)
{
	pthread_mutex_lock(&work->lock);
	work->ending = true;
	pthread_cond_signal(&work->more);
	pthread_mutex_unlock(&work->lock);
	pthread_join(work->thread, NULL);
	tell_finished(work, EPOLLIN);
	int fd = work->watch.fd;
	gyr_watch_stop(work->events, &work->watch);
	close(fd);
	pthread_cond_destroy(&work->more);
	pthread_mutex_destroy(&work->lock);
}

void gyr_work_submit(struct gyr_work *work, struct gyr_task *task)
{
	pthread_mutex_lock(&work->lock);
	append(&work->waiting, task);
	pthread_cond_signal(&work->more);
	pthread_mutex_unlock(&work->lock);
}
