/*
 * DPDK's interrupt thread is known by its name, which it gets from outside, perhaps only after it has begun to wait. Events that come afterwards are watched
 * all the same.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assertion.h"
#include "dataplane/port/quiet.h"

static int epoll, event;
static sem_t waited, named;
static int before_count, after_count, handled_between;

static void before(void *argument)
{
	(void)argument;
	before_count++;
}

static void after(void *argument)
{
	(void)argument;
	after_count++;
}

static void *handle_events(void *unused)
{
	(void)unused;
	struct epoll_event ready;
	uint64_t value;
	int count = epoll_wait(epoll, &ready, 1, 0);
	GYR_ASSERT(count == 0);
	sem_post(&waited);
	sem_wait(&named);
	count = epoll_wait(epoll, &ready, 1, -1);
	GYR_ASSERT(count == 1);
	handled_between = before_count == 1 && after_count == 0;
	ssize_t bytes = read(event, &value, sizeof value);
	GYR_ASSERT(bytes == sizeof value);
	count = epoll_wait(epoll, &ready, 1, 0);
	GYR_ASSERT(count == 0);
	return NULL;
}

int main(void)
{
	pthread_t thread;
	struct epoll_event wanted = {.events = EPOLLIN};
	sem_init(&waited, 0, 0);
	sem_init(&named, 0, 0);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	event = eventfd(1, EFD_CLOEXEC);
	GYR_ASSERT(epoll >= 0);
	GYR_ASSERT(event >= 0);
	gyr_quiet_set(before, after, NULL);
	int status = pthread_create(&thread, NULL, handle_events, NULL);
	GYR_ASSERT(status == 0);
	sem_wait(&waited);
	/* Its first look found nothing to watch; now there is. */
	status = pthread_setname_np(thread, "dpdk-intr");
	GYR_ASSERT(status == 0);
	status = epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted);
	GYR_ASSERT(status == 0);
	sem_post(&named);
	pthread_join(thread, NULL);
	gyr_quiet_set(NULL, NULL, NULL);
	printf("before %d, after %d\n", before_count, after_count);
	close(epoll);
	close(event);
	return handled_between && before_count == 1 && after_count == 1 ? 0 : 1;
}
