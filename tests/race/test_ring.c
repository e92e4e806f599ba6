/*
 * Frames handed over between lcores as the data plane does, under a thread sanitizer: two producers fill their private areas and put them into one ring (many
 * producers, one consumer); the consumer reads, writes its answer over them and puts them into an outbox (one producer, one consumer) from which the first
 * producer sends: checks and gives them back, those of the other producer by a ring too. Whoever takes a frame must see all that was written to it.
 *
 * DPDK's rings are compiled in their C11 form (RTE_USE_C11_MEM_MODEL), whose atomics the sanitizer sees; on x86 the product has the other form, of the same
 * steps, in which the CPU's own ordering and compiler barriers stand for release and acquire.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/race/wait.h"

#include <rte_ring.h>

#include "base/assertion.h"

#define PRODUCERS 2u
#define FRAMES 96u /* of each producer: more than the rings hold together, so that they fill up */
#define ENTRIES 64u
#define BURST_MAX 16u
#define HAND_OVERS UINT64_C(1000000)
#define HAND_OVERS_LONG UINT64_C(100000000)

struct frame {
	_Alignas(64) uint32_t producer;
	uint64_t question, answer;
};

struct producer {
	uint32_t number;
	uint64_t asked, answered, full;
	uint32_t free_count;
	struct frame *free[FRAMES];
	struct rte_ring *back; /* from the first producer, who sends for all */
};

static struct rte_ring *requests, *outbox;
static struct producer producers[PRODUCERS];
static uint64_t hand_overs; /* of each producer */
static atomic_bool done;

static struct rte_ring *make_ring(unsigned flags)
{
	struct rte_ring *ring = aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)rte_ring_get_memsize(ENTRIES));
	GYR_ASSERT(ring != NULL);
	int status = rte_ring_init(ring, "ring", ENTRIES, flags);
	GYR_ASSERT(status == 0);
	return ring;
}

static uint64_t answer_to(uint64_t question)
{
	return question * UINT64_C(0x9e3779b97f4a7c15);
}

static void take_back(struct producer *producer, struct frame *frame)
{
	GYR_ASSERT(frame->producer == producer->number);
	GYR_ASSERT(frame->question == producer->answered); /* rings keep the order */
	GYR_ASSERT(frame->answer == answer_to(frame->question));
	producer->answered++;
	producer->free[producer->free_count++] = frame;
}

static void ask(struct producer *producer, uint32_t count)
{
	void *burst[BURST_MAX];
	count = RTE_MIN(count, producer->free_count);
	count = (uint32_t)RTE_MIN(count, hand_overs - producer->asked);
	for (uint32_t i = 0; i < count; i++) {
		struct frame *frame = producer->free[--producer->free_count];
		*frame = (struct frame){.producer = producer->number, .question = producer->asked + i};
		burst[i] = frame;
	}
	uint32_t taken = rte_ring_enqueue_burst(requests, burst, count, NULL);
	producer->asked += taken;
	producer->full += taken < count;
	while (count > taken)
		producer->free[producer->free_count++] = burst[--count];
}

/* Sends what is in the outbox: keeps its own, gives the other's back. */
static void send_answers(struct producer *self)
{
	void *burst[BURST_MAX];
	uint32_t count = rte_ring_sc_dequeue_burst(outbox, burst, BURST_MAX, NULL);
	for (uint32_t i = 0; i < count; i++) {
		struct frame *frame = burst[i];
		struct producer *owner = &producers[frame->producer];
		if (owner == self) {
			take_back(self, frame);
			continue;
		}
		while (rte_ring_sp_enqueue(owner->back, frame) != 0)
			sched_yield();
	}
}

static void *produce(void *argument)
{
	struct producer *self = argument;
	for (uint32_t turn = 0; self->answered < hand_overs || (self->number == 0 && !atomic_load_explicit(&done, memory_order_relaxed)); turn++) {
		uint64_t before = self->asked + self->answered;
		void *frame;
		ask(self, turn % BURST_MAX + 1);
		if (self->number == 0)
			send_answers(self);
		else if (rte_ring_sc_dequeue(self->back, &frame) == 0)
			take_back(self, frame);
		if (before == self->asked + self->answered)
			sched_yield();
	}
	/* The first one sends until nobody waits any more. */
	if (self->number != 0)
		atomic_store_explicit(&done, true, memory_order_relaxed);
	return NULL;
}

static void *consume(void *unused)
{
	void *burst[BURST_MAX];
	for (uint64_t left = PRODUCERS * hand_overs; left > 0;) {
		uint32_t count = rte_ring_sc_dequeue_burst(requests, burst, BURST_MAX, NULL);
		for (uint32_t i = 0; i < count; i++) {
			struct frame *frame = burst[i];
			frame->answer = answer_to(frame->question);
		}
		for (uint32_t put = 0; put < count;) {
			put += rte_ring_sp_enqueue_burst(outbox, burst + put, count - put, NULL);
			if (put < count)
				sched_yield();
		}
		if (count == 0)
			sched_yield();
		left -= count;
	}
	return NULL;
}

int main(void)
{
	const char *is_long = getenv("GYR_LONG");
	pthread_t threads[PRODUCERS + 1];
	hand_overs = (is_long != NULL && is_long[0] != '\0' ? HAND_OVERS_LONG : HAND_OVERS) / PRODUCERS;
	requests = make_ring(RING_F_SC_DEQ);
	outbox = make_ring(RING_F_SP_ENQ | RING_F_SC_DEQ);
	for (uint32_t p = 0; p < PRODUCERS; p++) {
		struct producer *producer = &producers[p];
		producer->number = p;
		producer->back = make_ring(RING_F_SP_ENQ | RING_F_SC_DEQ);
		struct frame *frames = aligned_alloc(64, FRAMES * sizeof *frames);
		GYR_ASSERT(frames != NULL);
		for (uint32_t i = 0; i < FRAMES; i++)
			producer->free[producer->free_count++] = &frames[i];
	}
	for (uint32_t i = 0; i <= PRODUCERS; i++) {
		int status = pthread_create(&threads[i], NULL, i < PRODUCERS ? produce : consume, &producers[i % PRODUCERS]);
		GYR_ASSERT(status == 0);
	}
	for (uint32_t i = 0; i <= PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	uint64_t answered = 0, full = 0;
	for (uint32_t p = 0; p < PRODUCERS; p++) {
		answered += producers[p].answered;
		full += producers[p].full;
		GYR_ASSERT(producers[p].free_count == FRAMES);
	}
	GYR_ASSERT(answered == PRODUCERS * hand_overs);
	GYR_ASSERT(full > 0);
	printf("%" PRIu64 " frames there and back, %" PRIu64 " times a ring was full\n", answered, full);
	return 0;
}
