#include "dataplane/port/quiet.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INTERRUPT_THREAD "dpdk-intr"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	void (*before)(void *), (*after)(void *);
	void *argument;
} hooks;

/* Held by the interrupt thread from before events are handled until after. */
static _Thread_local bool handling;

void gyr_quiet_set(void (*before)(void *), void (*after)(void *), void *argument)
{
	pthread_mutex_lock(&lock);
	hooks.before = before;
	hooks.after = after;
	hooks.argument = argument;
	pthread_mutex_unlock(&lock);
}

void gyr_quiet_hold(void)
{
	pthread_mutex_lock(&lock);
}

void gyr_quiet_release(void)
{
	pthread_mutex_unlock(&lock);
}

/* DPDK names the thread from outside, once it runs: one that has no such name yet may have it at the next call. */
static bool is_interrupt_thread(void)
{
	static _Thread_local bool known;
	char name[16];
	known = known || (pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcmp(name, INTERRUPT_THREAD) == 0);
	return known;
}

/* The C library's, in place of which the linker takes this one, also for DPDK's shared libraries. */
int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout)
{
	if (handling) {
		if (hooks.after != NULL)
			hooks.after(hooks.argument);
		handling = false;
		pthread_mutex_unlock(&lock);
	}
	int ready = (int)syscall(SYS_epoll_pwait, epoll, events, count, timeout, NULL, 0);
	if (ready > 0 && is_interrupt_thread()) {
		pthread_mutex_lock(&lock);
		handling = true;
		if (hooks.before != NULL)
			hooks.before(hooks.argument);
	}
	return ready;
}

/* A polling thread's turns. ASKED and RELEASED are written by the interrupt thread, GRANTED and POLLING by the one that polls. */
static _Atomic unsigned asked, granted, released;
static atomic_bool polling;

static void ask(void *unused)
{
	(void)unused;
	unsigned turn = atomic_load_explicit(&asked, memory_order_relaxed) + 1;
	atomic_store_explicit(&asked, turn, memory_order_relaxed);
	/* A1 pairs with R1 in gyr_quiet_turn, A2 with R2 in gyr_quiet_end: the port has been left. */
	while (atomic_load_explicit(&polling, memory_order_acquire) && atomic_load_explicit(&granted, memory_order_acquire) != turn)
		sched_yield();
}

static void release(void *unused)
{
	(void)unused;
	/* R3 pairs with A3 in gyr_quiet_turn: what was handled is seen. */
	atomic_store_explicit(&released, atomic_load_explicit(&asked, memory_order_relaxed), memory_order_release);
}

void gyr_quiet_begin(void)
{
	atomic_store_explicit(&polling, true, memory_order_relaxed);
	gyr_quiet_set(ask, release, NULL);
}

void gyr_quiet_turn(void)
{
	unsigned turn = atomic_load_explicit(&asked, memory_order_relaxed);
	if (turn == atomic_load_explicit(&granted, memory_order_relaxed))
		return;
	atomic_store_explicit(&granted, turn, memory_order_release);          /* R1 */
	while (atomic_load_explicit(&released, memory_order_acquire) != turn) /* A3 */
		sched_yield();
}

void gyr_quiet_end(void)
{
	atomic_store_explicit(&polling, false, memory_order_release); /* R2 */
	gyr_quiet_set(NULL, NULL, NULL);
}
