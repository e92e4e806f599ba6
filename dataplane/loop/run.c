/*
 * The lcores' life: started, paused while DPDK's interrupt thread is at work in the ports, drained phase by phase, ended. Nothing else here: what an lcore
 * does in a turn is in io.c, engine.c and send.c.
 *
 *   launched -> running <-> waiting (while loop->pauses is odd)
 *                  | each phase acknowledged after a turn without work
 *                  v
 *                ended
 */
#include <sched.h>
#include <time.h>

#include <rte_launch.h>
#include <rte_pause.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "dataplane/loop/idle.h"
#include "dataplane/loop/large.h"
#include "dataplane/port/quiet.h"

#define ACK_POLL_NS 20000
#define UPKEEP_TURNS 1024u /* between looks at the clock: well below a millisecond */

static void count_turn(struct gyr_lcore *lcore)
{
	gyr_counter_add(&lcore->counters->polls, 1);
	if (lcore->began_tsc == 0)
		return;
	uint64_t now = lcore->sent_tsc != 0 ? lcore->sent_tsc : rte_rdtsc();
	gyr_counter_add(&lcore->counters->busy_cycles, now - lcore->began_tsc);
	lcore->began_tsc = 0;
	lcore->sent_tsc = 0;
}

/* Waits outside the ports while DPDK's interrupt thread is at work in them: until PAUSE, which is odd, has ended. */
static void wait_out(struct gyr_lcore *lcore, uint32_t pause)
{
	atomic_store_explicit(&lcore->waits_out, pause, memory_order_release);              /* R6 pairs with A6 in pause_lcores */
	while (atomic_load_explicit(&lcore->loop->pauses, memory_order_acquire) == pause) { /* A7 pairs with R7 in resume_lcores */
		if (lcore->engine)
			gyr_route_report(&lcore->loop->route, lcore->engine_index);
		if (lcore->yields)
			sched_yield();
		rte_pause();
	}
}

/* Each pause has a number of its own, so that none takes an lcore's word for the one before. */
static void pause_lcores(void *argument)
{
	struct gyr_loop *loop = argument;
	uint32_t pause = atomic_load_explicit(&loop->pauses, memory_order_relaxed) + 1;
	atomic_store_explicit(&loop->pauses, pause, memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst); /* F4 */
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		const struct gyr_lcore *lcore = &loop->lcores[i];
		/* One that has not started, has ended or sleeps is in no port. */
		while (atomic_load_explicit(&lcore->running, memory_order_seq_cst) &&
		       atomic_load_explicit(&lcore->waits_out, memory_order_acquire) != pause &&          /* A6 */
		       atomic_load_explicit(&lcore->idle_state, memory_order_acquire) != GYR_IDLE_ASLEEP) /* A8 */
			rte_pause();
	}
}

static void resume_lcores(void *argument)
{
	struct gyr_loop *loop = argument;
	/* R7 pairs with A7 in wait_out. */
	atomic_store_explicit(&loop->pauses, atomic_load_explicit(&loop->pauses, memory_order_relaxed) + 1, memory_order_release);
}

static void come_up(struct gyr_lcore *lcore)
{
	struct gyr_loop *loop = lcore->loop;
	/* R3 pairs with A3 in gyr_loop_start: the reader is registered. Ordered before the first look at `pauses`, as pause_lcores sets that before it looks
	 * here. */
	atomic_store_explicit(&lcore->running, true, memory_order_seq_cst);
	uint32_t pause = atomic_load_explicit(&loop->pauses, memory_order_seq_cst);
	if (pause % 2 != 0)
		wait_out(lcore, pause);
}

static int lcore_main(void *argument)
{
	struct gyr_lcore *lcore = argument;
	struct gyr_loop *loop = lcore->loop;
	if (lcore->engine) {
		gyr_plan_thread_init();
		gyr_route_reader_start(&loop->route, lcore->engine_index);
	}
	gyr_idle_calibrate(lcore);
	come_up(lcore);
	uint32_t pause, acked = GYR_PHASE_RUN;
	while (acked != GYR_PHASE_END) {
		/* A7 too: a pause may have come and gone while this one slept. */
		pause = atomic_load_explicit(&loop->pauses, memory_order_acquire);
		if (__builtin_expect(pause % 2 != 0, 0))
			wait_out(lcore, pause);
		uint32_t phase = atomic_load_explicit(&loop->phase, memory_order_acquire); /* A4 pairs with R4 in gyr_loop_drain */
		uint32_t work = 0;
		if (lcore->io && phase == GYR_PHASE_RUN && !lcore->behind)
			work += gyr_io_poll(lcore);
		if (lcore->owner_count > 0 && !lcore->behind)
			work += gyr_io_poll_handed(lcore);
		if (lcore->engine)
			work += gyr_engine_poll(lcore);
		if (lcore->large != NULL && gyr_large_is_live(lcore->large))
			work += gyr_large_turn(lcore);
		if (lcore->inbox_count > 0)
			work += gyr_send_poll(lcore);
		if (work > 0)
			gyr_send_flush(lcore);
		/* Nothing of this turn points at a version any more, not even what was counted after sending. */
		if (lcore->engine)
			gyr_route_report(&loop->route, lcore->engine_index);
		count_turn(lcore);
		if (lcore->io && phase == GYR_PHASE_RUN &&
		    (atomic_load_explicit(&lcore->counters->polls, memory_order_relaxed) % UPKEEP_TURNS == 0 || lcore->idle.drowsy))
			gyr_upkeep(lcore);
		/* Last, as it may sleep, and wake while the ports are being worked at: the next turn's look at `pauses` comes before any use of them. */
		if (__builtin_expect(lcore->rests, 0))
			gyr_idle_turn(lcore, work,
				      phase == GYR_PHASE_RUN && atomic_load_explicit(&lcore->queued, memory_order_relaxed) == 0 &&
					      (lcore->large == NULL || !gyr_large_is_live(lcore->large)));
		if (phase != acked && work == 0 && (lcore->large == NULL || !gyr_large_holds_up(lcore, phase))) {
			acked = phase;
			atomic_store_explicit(&lcore->acked_phase, phase, memory_order_release); /* R5 pairs with A5 in all_acked */
		}
	}
	if (lcore->engine)
		gyr_route_reader_stop(&loop->route, lcore->engine_index);
	atomic_store_explicit(&lcore->running, false, memory_order_release);
	return 0;
}

void gyr_loop_start(struct gyr_loop *loop)
{
	loop->started_ns = gyr_clock_ns();
	loop->started_tsc = rte_rdtsc();
	gyr_quiet_set(pause_lcores, resume_lcores, loop);
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		int status = rte_eal_remote_launch(lcore_main, &loop->lcores[i], loop->lcores[i].lcore);
		GYR_ASSERT(status == 0);
	}
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		while (!atomic_load_explicit(&loop->lcores[i].running, memory_order_acquire)) /* A3 pairs with R3 in lcore_main */
			nanosleep(&(struct timespec){.tv_nsec = ACK_POLL_NS}, NULL);
	}
	gyr_idle_tell(loop);
}

static bool all_acked(const struct gyr_loop *loop, uint32_t phase)
{
	for (uint32_t i = 0; i < loop->lcore_count; i++) {
		if (atomic_load_explicit(&loop->lcores[i].acked_phase, memory_order_acquire) != phase) /* A5 pairs with R5 in lcore_main */
			return false;
	}
	return true;
}

bool gyr_loop_drain(struct gyr_loop *loop, uint64_t timeout_ns)
{
	uint64_t until_ns = gyr_clock_ns() + timeout_ns;
	for (uint32_t phase = GYR_PHASE_DRAIN; phase <= GYR_PHASE_END; phase++) {
		atomic_store_explicit(&loop->phase, phase, memory_order_release); /* R4 pairs with A4 in lcore_main */
		for (uint32_t i = 0; i < loop->lcore_count; i++)
			gyr_idle_wake(&loop->lcores[i]);
		while (!all_acked(loop, phase)) {
			if (gyr_clock_ns() >= until_ns)
				return false;
			nanosleep(&(struct timespec){.tv_nsec = ACK_POLL_NS}, NULL);
		}
	}
	rte_eal_mp_wait_lcore();
	gyr_quiet_set(NULL, NULL, NULL);
	return true;
}
