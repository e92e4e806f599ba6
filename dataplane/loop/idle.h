/*
 * What an lcore does when it has nothing to do (idle.c), as the configuration's `idle` says: poll on, pause, or sleep.
 *
 * Who hands work to another lcore rings its bell afterwards: one that sleeps, or is about to, wakes. Neither a sleeping lcore nor a pausing one holds up
 * anything: a sleeping one is outside the ports and holds no route table.
 */
#ifndef GYR_DATAPLANE_LOOP_IDLE_H
#define GYR_DATAPLANE_LOOP_IDLE_H

#include "dataplane/loop/loop_internal.h"

/* What other lcores and threads may know of it. */
enum gyr_idle_state {
	GYR_IDLE_AWAKE,
	GYR_IDLE_DROWSY, /* looks once more at everything, then sleeps: ring after handing it work */
	GYR_IDLE_ASLEEP, /* in no port, holds no route table */
};

/* Makes what LCORE needs to sleep: after the layout, with the ports started. -errno: the kernel has no descriptor left, or no wait as
 * short as a nap (-ENOSYS). House thread. */
GYR_MUST_CHECK int gyr_idle_init(struct gyr_lcore *lcore, struct gyr_error *error);
/* Frees it, however far that came. House thread. */
void gyr_idle_fini(struct gyr_lcore *lcore);

/* On the lcore's own thread, before its first turn: measures how late its CPU wakes. */
void gyr_idle_calibrate(struct gyr_lcore *lcore);

/* Says in the log what idling costs. House thread, when every lcore runs. */
void gyr_idle_tell(const struct gyr_loop *loop);

/*
 * The end of a turn of an lcore that rests, which found WORK; the caller looks at loop->pauses before it uses a port again. May sleep: as long as
 * idle_sleep_us, or, where a bell or an interrupt announces all that can come, until then. MAY_SLEEP: nothing is waiting for time to pass, and no drain is
 * under way.
 */
void gyr_idle_turn(struct gyr_lcore *lcore, uint32_t work, bool may_sleep);

/* Rings LCORE's bell whatever its state: a change that it must look at. Any thread; one system call. */
void gyr_idle_wake(struct gyr_lcore *lcore);

/* After work was handed to LCORE. Hot path: one test where no lcore sleeps. */
static inline void gyr_idle_ring(struct gyr_lcore *lcore)
{
	if (__builtin_expect(!lcore->sleeps, 1))
		return;
	/* F1 pairs with F2 in idle.c: either this sees that it is drowsy, or its last look sees the work. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&lcore->idle_state, memory_order_relaxed) != GYR_IDLE_AWAKE)
		gyr_idle_wake(lcore);
}

#endif
