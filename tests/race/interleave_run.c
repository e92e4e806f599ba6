/*
 * The lcores' life (dataplane/loop/run.c) with DPDK's interrupt thread beside it (dataplane/port/quiet.c) under chosen interleavings: they start, take frames,
 * hand them over as the product does, are paused for events, see a route table swapped, and are drained. What an lcore does in a turn is made up here: io.c,
 * engine.c and send.c without what they do to a frame. No event meets an lcore in a port, no frame is lost or sent twice, and all of it ends.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "dataplane/loop/idle.h"
#include "dataplane/loop/large.h"
#include "dataplane/port/quiet.h"
#include "tests/race/machine/machine.h"

#define LCORES_MAX 2u
#define FRAMES_MAX 4u
#define EVENTS 2
#define PAUSES_FEW 4u /* between what the house thread, and the interrupt thread, do */
#define PAUSES_MANY 64u
#define RING_ENTRIES 8u
#define WAIT_NS (10 * GYR_NS_PER_S)

struct frame {
	uint32_t sent;
};

static struct gyr_loop *loop;
static struct gyr_config config;
static struct frame *frames[FRAMES_MAX];
static uint32_t arrived, sent, events;
static bool bells[LCORES_MAX];
static unsigned threads[LCORES_MAX];
static char port[LCORES_MAX]; /* one object for each lcore's queues */

static void pause_a_while(void)
{
	for (unsigned i = machine_random(machine_random(2) == 0 ? PAUSES_FEW : PAUSES_MANY); i > 0; i--)
		machine_pause();
}

/* What the data path calls. */

void gyr_plan_thread_init(void)
{
}

/* There are no large messages here. */
uint32_t gyr_large_turn(struct gyr_lcore *lcore)
{
	return 0;
}

bool gyr_large_holds_up(const struct gyr_lcore *lcore, uint32_t phase)
{
	return false;
}

static void use_port(const struct gyr_lcore *lcore)
{
	machine_write(&port[lcore->lcore]);
}

/* What is due may be sent each time. */
void gyr_upkeep(struct gyr_lcore *lcore)
{
	use_port(lcore);
}

static void collect(struct gyr_lcore *lcore, void **from, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		lcore->tx[0].frames[lcore->tx[0].count++] = from[i];
}

/* Every second frame goes to the other io lcore, where there is one. */
uint32_t gyr_io_poll(struct gyr_lcore *lcore)
{
	GYR_ASSERT(!lcore->behind);
	use_port(lcore);
	if (arrived == FRAMES_MAX || machine_random(2) == 0)
		return 0;
	struct frame *frame = frames[arrived++];
	struct gyr_lcore *other = &loop->lcores[1 - lcore->lcore];
	machine_write(frame);
	unsigned taken = lcore->owner_count > 0 && arrived % 2 == 0 ? rte_ring_mp_enqueue(other->handed, frame) == 0
								    : rte_ring_enqueue(lcore->targets[0]->requests, frame) == 0;
	GYR_ASSERT(taken == 1);
	gyr_idle_ring(lcore->targets[0]);
	return 1;
}

uint32_t gyr_io_poll_handed(struct gyr_lcore *lcore)
{
	void *taken[FRAMES_MAX] = {0};
	GYR_ASSERT(!lcore->behind);
	uint32_t count = rte_ring_sc_dequeue_burst(lcore->handed, taken, FRAMES_MAX, NULL);
	for (uint32_t i = 0; i < count; i++) {
		machine_write(taken[i]);
		int status = rte_ring_enqueue(lcore->targets[0]->requests, taken[i]);
		GYR_ASSERT(status == 0);
	}
	return count;
}

/* A fused lcore may have spent too long on turning away: then it takes nothing for a turn, and computes what it has queued. */
uint32_t gyr_engine_poll(struct gyr_lcore *lcore)
{
	void *taken[FRAMES_MAX] = {0};
	if (lcore->behind) {
		lcore->behind = false;
		return 1;
	}
	uint32_t count = rte_ring_sc_dequeue_burst(lcore->requests, taken, FRAMES_MAX, NULL);
	if (count > 0)
		machine_read(gyr_route_read(&loop->route));
	for (uint32_t i = 0; i < count; i++)
		machine_write(taken[i]);
	collect(lcore, taken, count);
	lcore->behind = lcore->io && count > 0 && machine_random(2) == 0;
	return count;
}

uint32_t gyr_send_poll(struct gyr_lcore *lcore)
{
	void *taken[FRAMES_MAX] = {0};
	uint32_t count = rte_ring_sc_dequeue_burst(lcore->inboxes[0], taken, FRAMES_MAX, NULL);
	collect(lcore, taken, count);
	return count;
}

void gyr_send_flush(struct gyr_lcore *lcore)
{
	struct gyr_lcore_tx *tx = &lcore->tx[0];
	if (tx->queue < 0) {
		unsigned put = rte_ring_sp_enqueue_burst(lcore->outbox, (void **)tx->frames, tx->count, NULL);
		GYR_ASSERT(put == tx->count);
		gyr_idle_ring(lcore->sender);
	} else {
		use_port(lcore);
		for (uint32_t i = 0; i < tx->count; i++) {
			struct frame *frame = (struct frame *)tx->frames[i];
			machine_write(frame);
			frame->sent++;
			sent++;
		}
	}
	tx->count = 0;
}

/* What DPDK and the kernel do. */

static int (*lcore_function)(void *);

static void run_lcore(void *lcore)
{
	lcore_function(lcore);
}

int rte_eal_remote_launch(lcore_function_t *function, void *argument, unsigned lcore)
{
	lcore_function = function;
	threads[lcore] = machine_spawn(run_lcore, argument);
	return 0;
}

void rte_eal_mp_wait_lcore(void)
{
	for (uint32_t i = 0; i < loop->lcore_count; i++)
		machine_join(threads[i]);
}

int test_getname(pthread_t thread, char *name, size_t size)
{
	snprintf(name, size, "dpdk-intr");
	return 0;
}

int gyr_port_rx_interrupt(const struct gyr_port *of, uint16_t queue)
{
	return -ENOTSUP;
}

void gyr_port_set_rx_interrupt(const struct gyr_port *of, uint16_t queue, bool on)
{
	machine_write(&port[of - loop->ports]);
}

/* A bell is rung: the kernel orders this before the wait that it ends. */
ssize_t test_write(int bell, const void *bytes, size_t count)
{
	machine_lock(&bells[bell]);
	bells[bell] = true;
	machine_unlock(&bells[bell]);
	return (ssize_t)count;
}

/* epoll_pwait2 of an lcore: a nap ends by itself, a longer wait by the bell. */
static long wait_for_bell(uint32_t lcore, const struct timespec *timeout)
{
	machine_pause();
	bool nap = timeout->tv_sec == 0 && timeout->tv_nsec < (long)(10 * GYR_NS_PER_MS);
	while (!nap && !bells[lcore])
		machine_pause();
	machine_lock(&bells[lcore]);
	bells[lcore] = false;
	machine_unlock(&bells[lcore]);
	return 0;
}

/* epoll_pwait of the interrupt thread: EVENTS times an event, then none. */
long test_syscall(long number, ...)
{
	if (number == SYS_epoll_pwait2) {
		va_list arguments;
		va_start(arguments, number);
		uint32_t lcore = (uint32_t)va_arg(arguments, int);
		(void)va_arg(arguments, struct epoll_event *);
		(void)va_arg(arguments, unsigned);
		const struct timespec *timeout = va_arg(arguments, struct timespec *);
		va_end(arguments);
		return wait_for_bell(lcore, timeout);
	}
	pause_a_while();
	return events++ < EVENTS;
}

static void handle_events(void *unused)
{
	struct epoll_event event;
	while (epoll_wait(0, &event, 1, -1) > 0) {
		for (uint32_t i = 0; i < loop->lcore_count; i++)
			machine_write(&port[i]);
	}
}

/* The loop, as loop.c lays it out. */

static struct rte_ring *make_ring(unsigned flags)
{
	struct rte_ring *ring = machine_alloc(RTE_CACHE_LINE_SIZE, (size_t)rte_ring_get_memsize(RING_ENTRIES));
	int status = rte_ring_init(ring, "ring", RING_ENTRIES, flags);
	GYR_ASSERT(status == 0);
	return ring;
}

static void begin(uint32_t lcores, unsigned ios, unsigned engines)
{
	struct gyr_error error;
	loop = machine_alloc(RTE_CACHE_LINE_SIZE, sizeof *loop);
	loop->lcores = machine_alloc(_Alignof(struct gyr_lcore), lcores * sizeof *loop->lcores);
	loop->config = &config;
	loop->lcore_count = lcores;
	arrived = sent = events = 0;
	bells[0] = bells[1] = false;
	for (uint32_t i = 0; i < FRAMES_MAX; i++)
		frames[i] = machine_alloc(16, sizeof *frames[i]);
	for (uint32_t i = 0; i < lcores; i++) {
		struct gyr_lcore *lcore = &loop->lcores[i];
		lcore->loop = loop;
		lcore->lcore = (uint16_t)i;
		lcore->counters = machine_alloc(RTE_CACHE_LINE_SIZE, sizeof *lcore->counters);
		lcore->io = ios >> i & 1;
		lcore->engine = engines >> i & 1;
		lcore->queue_count = lcore->io;
		lcore->queues[0].port = (uint16_t)i;
		if (!lcore->engine)
			continue;
		lcore->engine_index = loop->engine_count++;
		lcore->requests = make_ring(RING_F_SC_DEQ | (ios == 3 ? 0 : RING_F_SP_ENQ));
	}
	int status = gyr_route_cell_init(&loop->route, loop->engine_count, &error);
	GYR_ASSERT(status == 0);
}

/* LCORE sends through OWNER. */
static void send_through(struct gyr_lcore *lcore, struct gyr_lcore *owner)
{
	static struct rte_ring *inbox;
	lcore->tx[0].queue = -1;
	lcore->sender = owner;
	lcore->outbox = inbox = make_ring(RING_F_SP_ENQ | RING_F_SC_DEQ);
	owner->inbox_count = 1;
	owner->inboxes = &inbox;
}

static void run(bool all_come)
{
	unsigned interrupts = machine_spawn(handle_events, NULL);
	gyr_loop_start(loop);
	pause_a_while();
	const struct gyr_route *route = gyr_route_create(NULL, 0);
	bool good = gyr_route_publish(&loop->route, route, WAIT_NS);
	GYR_ASSERT(good);
	pause_a_while();
	/* A bell that nobody heard would leave a frame where it is. */
	while (all_come && (arrived < FRAMES_MAX || sent < FRAMES_MAX))
		machine_pause();
	good = gyr_loop_drain(loop, WAIT_NS);
	GYR_ASSERT(good);
	for (uint32_t i = 0; i < arrived; i++) {
		machine_read(frames[i]);
		GYR_ASSERT(frames[i]->sent == 1);
	}
	machine_join(interrupts);
	gyr_route_cell_fini(&loop->route);
}

static void run_fused(void)
{
	begin(1, 1, 1);
	struct gyr_lcore *targets[] = {&loop->lcores[0]};
	loop->lcores[0].targets = targets;
	run(false);
}

/* An io lcore, and an engine lcore that sends through it. */
static void run_split(void)
{
	begin(2, 1, 2);
	struct gyr_lcore *targets[] = {&loop->lcores[1]};
	loop->lcores[0].targets = targets;
	send_through(&loop->lcores[1], &loop->lcores[0]);
	run(false);
}

/* The same, and both sleep when they have nothing to do: the io lcore in naps, the engine lcore until its bell. */
static void run_sleeping(void)
{
	begin(2, 1, 2);
	struct gyr_lcore *targets[] = {&loop->lcores[1]};
	config = (struct gyr_config){.idle = GYR_CONFIG_IDLE_SLEEP, .idle_sleep_us = 1};
	loop->lcores[0].targets = targets;
	send_through(&loop->lcores[1], &loop->lcores[0]);
	for (uint32_t i = 0; i < 2; i++) {
		struct gyr_lcore *lcore = &loop->lcores[i];
		lcore->rests = lcore->sleeps = true;
		lcore->idle.epoll = lcore->idle.bell = (int)i;
		lcore->idle.announced = i == 1;
	}
	run(true);
	config = (struct gyr_config){0};
}

/* Two io lcores, which hand clients over to each other and both feed the engine of the second. */
static void run_spread(void)
{
	begin(2, 3, 2);
	struct gyr_lcore *targets[] = {&loop->lcores[1]};
	for (uint32_t i = 0; i < 2; i++) {
		loop->lcores[i].targets = targets;
		loop->lcores[i].owner_count = 2;
		loop->lcores[i].handed = make_ring(RING_F_SC_DEQ);
	}
	run(false);
}

int main(int argc, char **argv)
{
	/* Readers start before the first table is published and end after the last; a ring is never full; only one lcore takes from it. Of a start and the
	 * fences of going online and of gyr_route_wait one is enough. */
#define SPARE                                                                                                                                                  \
	"rte_rcu_qsbr_thread_register change registered", "rte_rcu_qsbr_thread_offline store &v->qsbr_cnt[thread_id].cnt",                                     \
		"rte_rcu_qsbr_thread_unregister change registered", "__rte_ring_move_prod_head load &r->cons.tail",                                            \
		"__rte_ring_move_cons_head load &r->cons.head", "gyr_loop_start load &loop->lcores[i].running"
	/* None sleeps. */
#define SPARE_AWAKE                                                                                                                                            \
	SPARE, "rte_rcu_qsbr_thread_online fence fence", "gyr_route_wait fence fence", "pause_lcores fence fence", "pause_lcores load &lcore->idle_state",     \
		"lcore_main load &loop->pauses"
	/* A lone lcore hands over nothing. */
	static const char *const spare_fused[] = {
		SPARE_AWAKE,
		"__rte_ring_update_tail store &ht->tail",
		"__rte_ring_move_prod_head load &r->prod.head",
		"__rte_ring_move_cons_head load &r->prod.tail",
		"lcore_main load &loop->phase",
		"lcore_main store &lcore->acked_phase",
		"all_acked load &loop->lcores[i].acked_phase",
		"gyr_loop_drain store &loop->phase",
		NULL,
	};
	/* Each ring has one producer. */
	static const char *const spare_split[] = {SPARE_AWAKE, "__rte_ring_move_prod_head load &r->prod.head", NULL};
	static const char *const spare_spread[] = {
		SPARE_AWAKE,
		/* Needed in a ring that fills up, and by its cells: interleave_ring.c, test_ring.c. */
		"__rte_ring_move_prod_head load &r->prod.head",
		"__rte_ring_move_prod_head change &r->prod.head",
		"__rte_ring_update_tail load (uint32_t *)(uintptr_t)&ht->tail",
		NULL,
	};
	/* All frames have been sent before the drain. A reader that rests again and again has that to report by. */
	static const char *const spare_sleeping[] = {
		SPARE,
		"__rte_ring_move_prod_head load &r->prod.head",
		"lcore_main load &loop->phase",
		"lcore_main store &lcore->acked_phase",
		"all_acked load &loop->lcores[i].acked_phase",
		"gyr_loop_drain store &loop->phase",
		"rte_rcu_qsbr_quiescent store &v->qsbr_cnt[thread_id].cnt",
		NULL,
	};
	const struct machine_case cases[] = {
		{.name = "fused", .body = run_fused, .spare = spare_fused},
		{.name = "split", .body = run_split, .spare = spare_split},
		{.name = "sleeping", .body = run_sleeping, .spare = spare_sleeping},
		{.name = "spread", .body = run_spread, .spare = spare_spread},
	};
	return machine_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
