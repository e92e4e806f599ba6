/*
 * Idling.
 *
 *   awake --- idle_after_us without work ---> drowsy --- one more turn without work ---> asleep
 *     ^                                         |  ^                                       |
 *     +------------------ work -----------------+  +------- bell, interrupt, time ---------+
 *
 * A drowsy lcore has its bell and the interrupts of its RX queues on, and looks at everything once more: what came before they were on is found by that look,
 * what comes later wakes it. A port without interrupts (memif, AF_XDP, AF_PACKET) is looked at after naps, an eighth as long as it has been idle, so that an
 * answer after a short silence is hardly later, and at most idle_sleep_us.
 */
#include "dataplane/loop/idle.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_cpuflags.h>
#include <rte_power_intrinsics.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"

#define PAUSE_NS 1000u                    /* of one pause: what it may cost the first answer */
#define PAUSES_PLAIN 16u                  /* PAUSE instructions in place of a timed pause, where the CPU has none: under a microsecond */
#define NAP_SHARE 8u                      /* a nap is this part of the time without work */
#define NAP_MIN_NS (10 * GYR_NS_PER_US)   /* less is not worth two system calls */
#define WAIT_MAX_NS (100 * GYR_NS_PER_MS) /* where everything that comes is announced: a look all the same, so often */
#define EVENTS 8u                         /* taken at once: what they were does not matter */
#define CALIBRATIONS 32u                  /* naps measured at the start */
#define CALIBRATION_NS (50 * GYR_NS_PER_US)

/*
 * Waits for the bell or an interrupt, at most so long. 0, or -errno: the kernel cannot (-ENOSYS), or something else came (-EINTR). Not glibc's epoll_wait: that
 * has milliseconds, and port/quiet.h has its hand on it.
 */
static int wait_for(const struct gyr_lcore *lcore, uint64_t ns)
{
	struct epoll_event events[EVENTS];
	struct timespec timeout = {.tv_sec = (time_t)(ns / GYR_NS_PER_S), .tv_nsec = (long)(ns % GYR_NS_PER_S)};
	return syscall(SYS_epoll_pwait2, lcore->idle.epoll, events, EVENTS, &timeout, NULL, 0) < 0 ? -errno : 0;
}

static int watch(struct gyr_lcore *lcore, int descriptor)
{
	/* Edges: nobody reads the descriptors, and one that has told something need not tell it again. */
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	return epoll_ctl(lcore->idle.epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : -errno;
}

int gyr_idle_init(struct gyr_lcore *lcore, struct gyr_error *error)
{
	struct gyr_loop *loop = lcore->loop;
	lcore->rests = lcore->yields || loop->config->idle != GYR_CONFIG_IDLE_POLL;
	lcore->sleeps = loop->config->idle == GYR_CONFIG_IDLE_SLEEP;
	lcore->idle.epoll = lcore->idle.bell = -1;
	lcore->idle.after_tsc = loop->config->idle_after_us * loop->tsc_per_us;
	if (!lcore->sleeps)
		return 0;
	lcore->idle.epoll = epoll_create1(EPOLL_CLOEXEC);
	lcore->idle.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int status = lcore->idle.epoll < 0 || lcore->idle.bell < 0 ? -errno : watch(lcore, lcore->idle.bell);
	lcore->idle.announced = true;
	for (uint32_t q = 0; q < lcore->queue_count && status == 0; q++) {
		int descriptor = gyr_port_rx_interrupt(&loop->ports[lcore->queues[q].port], lcore->queues[q].queue);
		lcore->idle.announced = lcore->idle.announced && descriptor >= 0;
		status = descriptor >= 0 ? watch(lcore, descriptor) : 0;
	}
	if (status != 0)
		return gyr_error_set(error, status, "idle = sleep: no descriptors to wake lcore %u: %s", lcore->lcore, strerror(-status));
	status = wait_for(lcore, 0);
	if (status != 0 && status != -EINTR)
		return gyr_error_set(error, status,
				     "idle = sleep: the kernel cannot wait for less than a millisecond (epoll_pwait2, Linux 5.11): %s; set idle to "
				     "poll or pause",
				     strerror(-status));
	return 0;
}

void gyr_idle_fini(struct gyr_lcore *lcore)
{
	if (!lcore->sleeps)
		return;
	if (lcore->idle.epoll >= 0)
		close(lcore->idle.epoll);
	if (lcore->idle.bell >= 0)
		close(lcore->idle.bell);
}

void gyr_idle_calibrate(struct gyr_lcore *lcore)
{
	if (!lcore->sleeps)
		return;
	uint64_t latest_ns = 0;
	prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
	for (uint32_t i = 0; i < CALIBRATIONS; i++) {
		uint64_t begin_ns = gyr_clock_ns();
		(void)wait_for(lcore, CALIBRATION_NS);
		uint64_t took_ns = gyr_clock_ns() - begin_ns;
		if (took_ns > CALIBRATION_NS && took_ns - CALIBRATION_NS > latest_ns)
			latest_ns = took_ns - CALIBRATION_NS;
	}
	lcore->idle.latest_ns = latest_ns;
}

static bool has_timed_pause(void)
{
	struct rte_cpu_intrinsics has = {0};
	rte_cpu_get_intrinsics_support(&has);
	return has.power_pause;
}

void gyr_idle_tell(const struct gyr_loop *loop)
{
	const struct gyr_config *config = loop->config;
	uint64_t latest_ns = 0;
	bool announced = true;
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		latest_ns = RTE_MAX(latest_ns, loop->lcores[i].idle.latest_ns);
		announced = announced && loop->lcores[i].idle.announced;
	}
	if (config->idle == GYR_CONFIG_IDLE_PAUSE)
		gyr_log_info("idle = pause: after %u us without work an lcore pauses (%s): the first answer comes up to %u us later", config->idle_after_us,
			     has_timed_pause() ? "a timed pause" : "PAUSE; this CPU has no timed one", PAUSE_NS / 1000);
	else if (config->idle == GYR_CONFIG_IDLE_SLEEP && announced)
		gyr_log_info("idle = sleep: after %u us without work an lcore waits for an interrupt: the first answer comes about %llu us later",
			     config->idle_after_us, (unsigned long long)(latest_ns / GYR_NS_PER_US + 1));
	else if (config->idle == GYR_CONFIG_IDLE_SLEEP)
		gyr_log_info("idle = sleep: after %u us without work an lcore naps, as a port of its has no interrupts: the first answer comes up to %llu us "
			     "later (naps of up to %u us, and up to %llu us until the CPU was back when that was measured)",
			     config->idle_after_us, config->idle_sleep_us + (unsigned long long)(latest_ns / GYR_NS_PER_US + 1), config->idle_sleep_us,
			     (unsigned long long)(latest_ns / GYR_NS_PER_US + 1));
}

static void pause_a_little(uint64_t now)
{
	/* A CPU without the instruction answers so, and needs no second question. */
	static _Thread_local int timed = -1;
	if (timed < 0)
		timed = has_timed_pause();
	if (timed && rte_power_pause(now + rte_get_tsc_hz() / (GYR_NS_PER_S / PAUSE_NS)) == 0)
		return;
	for (uint32_t i = 0; i < PAUSES_PLAIN; i++)
		rte_pause();
}

static void set_interrupts(const struct gyr_lcore *lcore, bool on)
{
	for (uint32_t q = 0; q < lcore->queue_count; q++)
		gyr_port_set_rx_interrupt(&lcore->loop->ports[lcore->queues[q].port], lcore->queues[q].queue, on);
}

static void sleep_now(struct gyr_lcore *lcore, uint64_t idle_tsc)
{
	struct gyr_loop *loop = lcore->loop;
	uint64_t longest_ns = lcore->idle.announced ? WAIT_MAX_NS : loop->config->idle_sleep_us * GYR_NS_PER_US;
	uint64_t ns = lcore->idle.announced ? longest_ns : gyr_loop_ns(loop, idle_tsc) / NAP_SHARE;
	uint64_t begin = rte_rdtsc();
	if (lcore->engine)
		gyr_route_reader_rest(&loop->route, lcore->engine_index);
	atomic_store_explicit(&lcore->idle_state, GYR_IDLE_ASLEEP, memory_order_release); /* R8 pairs with A8 in pause_lcores: the ports have been left */
	(void)wait_for(lcore, ns < NAP_MIN_NS ? NAP_MIN_NS : ns < longest_ns ? ns : longest_ns);
	atomic_store_explicit(&lcore->idle_state, GYR_IDLE_DROWSY, memory_order_relaxed);
	/* F3 pairs with F4 in pause_lcores: either that sees that this one is up and waits for it, or the coming look at `pauses` sees it. Until then no port
	 * is touched: gyr_idle_turn ends the turn. */
	atomic_thread_fence(memory_order_seq_cst);
	if (lcore->engine)
		gyr_route_reader_resume(&loop->route, lcore->engine_index);
	gyr_counter_add(&lcore->counters->sleeps, 1);
	gyr_counter_add(&lcore->counters->slept_cycles, rte_rdtsc() - begin);
}

void gyr_idle_turn(struct gyr_lcore *lcore, uint32_t work, bool may_sleep)
{
	if (lcore->yields && work == 0)
		sched_yield();
	if (lcore->loop->config->idle == GYR_CONFIG_IDLE_POLL)
		return;
	if (work > 0 || !may_sleep) {
		lcore->idle.since_tsc = 0;
		if (!lcore->idle.drowsy)
			return;
		lcore->idle.drowsy = false;
		atomic_store_explicit(&lcore->idle_state, GYR_IDLE_AWAKE, memory_order_relaxed);
		set_interrupts(lcore, false);
		return;
	}
	uint64_t now = rte_rdtsc();
	if (lcore->idle.since_tsc == 0)
		lcore->idle.since_tsc = now;
	uint64_t idle_tsc = gyr_tsc_since(lcore->idle.since_tsc, now);
	if (idle_tsc < lcore->idle.after_tsc)
		return;
	if (!lcore->sleeps) {
		pause_a_little(now);
	} else if (!lcore->idle.drowsy) {
		lcore->idle.drowsy = true;
		set_interrupts(lcore, true);
		atomic_store_explicit(&lcore->idle_state, GYR_IDLE_DROWSY, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst); /* F2 */
	} else {
		sleep_now(lcore, idle_tsc);
	}
}

void gyr_idle_wake(struct gyr_lcore *lcore)
{
	if (!lcore->sleeps)
		return;
	const uint64_t one = 1;
	/* Full after 2^64 rings: then it rings anyway. */
	ssize_t bytes = write(lcore->idle.bell, &one, sizeof one);
	GYR_ASSERT(bytes == sizeof one || errno == EAGAIN);
}
