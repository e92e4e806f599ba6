/*
 * Queues that are fair among clients. In each queue every client has a line of its own, first come first served; the lines take turns, and one that has had
 * several rows at once sits out as many turns as it had more than one. A new line comes before the round of the others, so who asks little does not wait for
 * those who ask much (as in FQ-CoDel, RFC 8290); then it goes to the end of the round, and stays until it is found empty there, so that nobody is new again with
 * every request. GYR_QUEUE_NEW_TURNS new lines in a row at most, while the round has some. All memory is taken at the start. Items are embedded in what the
 * caller queues. One thread.
 */
#ifndef GYR_DATAPLANE_FLOW_QUEUE_H
#define GYR_DATAPLANE_FLOW_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net_address.h"

#define GYR_QUEUE_NONE UINT32_MAX
#define GYR_QUEUE_NEW_TURNS 8u

struct gyr_queue_item {
	struct gyr_queue_item *next;
	uint64_t client; /* gyr_queue_client */
};

struct gyr_queue_line {
	struct gyr_queue_item *head, *tail;
	uint64_t client;
	uint32_t queue, count;
	uint32_t owed;       /* turns to sit out */
	uint32_t next;       /* in turn, round; of a new one: the next new; of a free one: the next free */
	uint32_t previous;   /* in turn, round */
	bool is_new;
	uint32_t next_alike; /* of the same hash */
};

struct gyr_queue {
	uint32_t count;      /* items */
	uint32_t line_count; /* empty ones, and new ones, included */
	uint32_t last;       /* in the round: the line whose turn was last; its next is the next. GYR_QUEUE_NONE: no line in it */
	uint32_t new_first, new_last, new_turns;
};

struct gyr_queues {
	uint32_t queue_count, items_max, count; /* COUNT items stand in all queues */
	uint32_t empty_count, free, hash_mask;  /* lines without an item; the first line that is not in use */
	uint64_t salt;
	struct gyr_queue *queues;
	struct gyr_queue_line *lines; /* twice items_max */
	uint32_t *alike;              /* by hash: its first line */
};

/* Whom ADDRESS stands for: an IPv4 address, or an IPv6 network of 64 bits, since its owner may use every address of that. */
static inline uint64_t gyr_queue_client(const struct gyr_net_address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint64_t network;
	uint32_t ipv4;
	memcpy(&network, address->bytes, sizeof network);
	memcpy(&ipv4, address->bytes + sizeof mapped, sizeof ipv4);
	return memcmp(address->bytes, mapped, sizeof mapped) == 0 ? ipv4 : network; /* no network of IPv6 that may be a source begins with 32 zero bits */
}

/* QUEUE_COUNT queues, that hold ITEMS_MAX items in all. SALT, a random number, keeps clients from choosing addresses that hash alike. -ENOMEM. */
GYR_MUST_CHECK int gyr_queues_init(struct gyr_queues *queues, uint32_t queue_count, uint32_t items_max, uint64_t salt);
void gyr_queues_fini(struct gyr_queues *queues);

/* How many items CLIENT has in QUEUE. Hot path: about 5 ns. */
uint32_t gyr_queue_held(const struct gyr_queues *queues, uint32_t queue, uint64_t client);

/* Puts ITEM (its client set) behind the others of its client. queues->count is below items_max. Hot path. */
void gyr_queue_push(struct gyr_queues *queues, uint32_t queue, struct gyr_queue_item *item);
/* Takes the next in turn; NULL when the queue is empty. Hot path. */
struct gyr_queue_item *gyr_queue_pop(struct gyr_queues *queues, uint32_t queue);
/* Puts back what was taken, before the others of its client: the last taken first. Its turn, taken and not had, comes next, so that nobody is passed
 * over twice. */
void gyr_queue_push_back(struct gyr_queues *queues, uint32_t queue, struct gyr_queue_item *item);
/* What CLIENT was given weighs ROWS, not one. */
void gyr_queue_charge(struct gyr_queues *queues, uint32_t queue, uint64_t client, uint32_t rows);

#endif
