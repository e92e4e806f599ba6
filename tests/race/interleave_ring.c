/*
 * DPDK's rings as lcores use them, under chosen interleavings: one or two producers, one consumer, a ring that is often full. Whoever takes a frame has come
 * after all that was written to it; none is lost, none comes twice, and those of one producer keep their order. DPDK's C11 form, as in test_ring.c.
 */
#include <rte_ring.h>

#include "base/assertion.h"
#include "tests/race/machine/machine.h"

#define PRODUCERS_MAX 2u
#define FRAMES 4u  /* of each producer */
#define ENTRIES 4u /* of which three can be used */
#define BURST 2u

struct frame {
	uint32_t producer, number;
};

static struct rte_ring *ring;
static uint32_t producer_count;

static void produce(void *argument)
{
	uint32_t producer = (uint32_t)(uintptr_t)argument, put = 0;
	void *frames[FRAMES];
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct frame *frame = machine_alloc(16, sizeof *frame);
		*frame = (struct frame){.producer = producer, .number = i};
		frames[i] = frame;
	}
	while (put < FRAMES) {
		uint32_t count = FRAMES - put < BURST ? FRAMES - put : BURST;
		put += rte_ring_enqueue_burst(ring, frames + put, machine_random(count) + 1, NULL);
		machine_pause();
	}
}

static void consume(void *unused)
{
	uint32_t next[PRODUCERS_MAX] = {0};
	for (uint32_t left = producer_count * FRAMES; left > 0;) {
		void *taken[BURST] = {0};
		uint32_t count = rte_ring_sc_dequeue_burst(ring, taken, BURST, NULL);
		for (uint32_t i = 0; i < count; i++) {
			const struct frame *frame = taken[i];
			machine_write(frame);
			GYR_ASSERT(frame->number == next[frame->producer]);
			next[frame->producer]++;
			machine_free(taken[i]);
		}
		left -= count;
		machine_pause();
	}
}

static void run(uint32_t producers, unsigned flags)
{
	unsigned threads[PRODUCERS_MAX + 1];
	ring = machine_alloc(RTE_CACHE_LINE_SIZE, (size_t)rte_ring_get_memsize(ENTRIES));
	int status = rte_ring_init(ring, "ring", ENTRIES, flags);
	GYR_ASSERT(status == 0);
	producer_count = producers;
	for (uint32_t i = 0; i < producers; i++)
		threads[i] = machine_spawn(produce, (void *)(uintptr_t)i);
	threads[producers] = machine_spawn(consume, NULL);
	for (uint32_t i = 0; i <= producers; i++)
		machine_join(threads[i]);
}

/* An outbox. */
static void run_one_producer(void)
{
	run(1, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

/* Requests, and datagrams handed over. */
static void run_two_producers(void)
{
	run(2, RING_F_SC_DEQ);
}

int main(int argc, char **argv)
{
	/* What keeps threads apart in the ring's cells, which are plain memory here: test_ring.c sees that. And heads that only one thread moves. */
#define SPARE "__rte_ring_move_prod_head load &r->cons.tail", "__rte_ring_move_cons_head load &r->cons.head"
	static const char *const spare_one[] = {SPARE, "__rte_ring_move_prod_head load &r->prod.head", NULL};
	static const char *const spare_two[] = {SPARE, "__rte_ring_update_tail load (uint32_t *)(uintptr_t)&ht->tail", NULL};
	const struct machine_case cases[] = {
		{.name = "one-producer", .body = run_one_producer, .spare = spare_one},
		{.name = "two-producers", .body = run_two_producers, .spare = spare_two},
	};
	return machine_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
