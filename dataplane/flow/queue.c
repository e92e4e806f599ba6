/*
 * Invariants: the lines of a queue are one round list; a line is in the list of its hash and of its queue, or free; those without an item are empty_count, at
 * most items_max, so that a line is free whenever an item may come. A queue without items has no lines: where nobody waits, nobody sits out.
 */
#include "dataplane/flow/queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assertion.h"

int gyr_queues_init(struct gyr_queues *queues, uint32_t queue_count, uint32_t items_max, uint64_t salt)
{
	uint32_t hashes = 2, lines = 2 * items_max;
	while (hashes < lines)
		hashes *= 2;
	*queues = (struct gyr_queues){.queue_count = queue_count, .items_max = items_max, .salt = salt | 1, .hash_mask = hashes - 1};
	queues->queues = calloc(queue_count, sizeof *queues->queues);
	queues->lines = calloc(lines, sizeof *queues->lines);
	queues->alike = calloc(hashes, sizeof *queues->alike);
	if (queues->queues == NULL || queues->lines == NULL || queues->alike == NULL) {
		gyr_queues_fini(queues);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < queue_count; i++)
		queues->queues[i].last = GYR_QUEUE_NONE;
	for (uint32_t i = 0; i < hashes; i++)
		queues->alike[i] = GYR_QUEUE_NONE;
	for (uint32_t i = 0; i < lines; i++)
		queues->lines[i].next = i + 1 < lines ? i + 1 : GYR_QUEUE_NONE;
	return 0;
}

void gyr_queues_fini(struct gyr_queues *queues)
{
	free(queues->queues);
	free(queues->lines);
	free(queues->alike);
	*queues = (struct gyr_queues){0};
}

static uint32_t *hash_of(const struct gyr_queues *queues, uint32_t queue, uint64_t client)
{
	uint64_t hash = (client ^ (uint64_t)queue << 32 ^ queues->salt >> 7) * queues->salt;
	hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return &queues->alike[(uint32_t)(hash >> 32) & queues->hash_mask];
}

static uint32_t find_line(const struct gyr_queues *queues, uint32_t queue, uint64_t client)
{
	uint32_t at = *hash_of(queues, queue, client);
	while (at != GYR_QUEUE_NONE && (queues->lines[at].client != client || queues->lines[at].queue != queue))
		at = queues->lines[at].next_alike;
	return at;
}

/* Gives CLIENT a line, whose turn comes after all others. */
static uint32_t add_line(struct gyr_queues *queues, uint32_t index, uint64_t client)
{
	struct gyr_queue *queue = &queues->queues[index];
	uint32_t at = queues->free, *alike = hash_of(queues, index, client);
	GYR_ASSERT(at != GYR_QUEUE_NONE);
	struct gyr_queue_line *line = &queues->lines[at];
	queues->free = line->next;
	*line = (struct gyr_queue_line){.client = client, .queue = index, .next = at, .next_alike = *alike};
	*alike = at;
	if (queue->last != GYR_QUEUE_NONE) {
		line->next = queues->lines[queue->last].next;
		queues->lines[queue->last].next = at;
	}
	queue->last = at;
	queue->line_count++;
	queues->empty_count++;
	return at;
}

/* Takes the empty line behind BEFORE away. */
static void remove_line(struct gyr_queues *queues, struct gyr_queue *queue, uint32_t before)
{
	uint32_t at = queues->lines[before].next, *alike = hash_of(queues, queues->lines[at].queue, queues->lines[at].client);
	while (*alike != at)
		alike = &queues->lines[*alike].next_alike;
	*alike = queues->lines[at].next_alike;
	queues->lines[before].next = queues->lines[at].next;
	queue->last = before == at ? GYR_QUEUE_NONE : queue->last == at ? before : queue->last;
	queue->line_count--;
	queues->empty_count--;
	queues->lines[at].next = queues->free;
	queues->free = at;
}

static uint32_t line_for(struct gyr_queues *queues, uint32_t queue, uint64_t client)
{
	uint32_t at = find_line(queues, queue, client);
	return at != GYR_QUEUE_NONE ? at : add_line(queues, queue, client);
}

static void count_in(struct gyr_queues *queues, struct gyr_queue_line *line)
{
	queues->empty_count -= line->count == 0;
	line->count++;
	queues->queues[line->queue].count++;
	queues->count++;
}

uint32_t gyr_queue_held(const struct gyr_queues *queues, uint32_t queue, uint64_t client)
{
	uint32_t at = find_line(queues, queue, client);
	return at != GYR_QUEUE_NONE ? queues->lines[at].count : 0;
}

void gyr_queue_push(struct gyr_queues *queues, uint32_t queue, struct gyr_queue_item *item)
{
	GYR_ASSERT(queues->count < queues->items_max);
	struct gyr_queue_line *line = &queues->lines[line_for(queues, queue, item->client)];
	item->next = NULL;
	if (line->count == 0)
		line->head = item;
	else
		line->tail->next = item;
	line->tail = item;
	count_in(queues, line);
}

void gyr_queue_push_back(struct gyr_queues *queues, uint32_t queue, struct gyr_queue_item *item)
{
	struct gyr_queue_line *line = &queues->lines[line_for(queues, queue, item->client)];
	item->next = line->count == 0 ? NULL : line->head;
	line->head = item;
	if (line->count == 0)
		line->tail = item;
	count_in(queues, line);
}

/* Nobody waits in QUEUE any more. */
static void forget_lines(struct gyr_queues *queues, struct gyr_queue *queue)
{
	while (queue->last != GYR_QUEUE_NONE)
		remove_line(queues, queue, queue->last);
}

struct gyr_queue_item *gyr_queue_pop(struct gyr_queues *queues, uint32_t index)
{
	struct gyr_queue *queue = &queues->queues[index];
	if (queue->count == 0)
		return NULL;
	for (;;) {
		uint32_t at = queues->lines[queue->last].next;
		struct gyr_queue_line *line = &queues->lines[at];
		if (line->owed > 0 && queue->line_count > 1) {
			line->owed--;
		} else if (line->count > 0) {
			struct gyr_queue_item *item = line->head;
			line->owed = 0; /* it is alone: it keeps nobody waiting */
			line->head = item->next;
			queues->empty_count += --line->count == 0;
			queues->count--;
			queue->count--;
			if (line->count == 0)
				remove_line(queues, queue, queue->last);
			else
				queue->last = at;
			if (queue->count == 0)
				forget_lines(queues, queue);
			return item;
		}
		if (line->count == 0 && line->owed == 0)
			remove_line(queues, queue, queue->last);
		else
			queue->last = at;
	}
}

void gyr_queue_charge(struct gyr_queues *queues, uint32_t queue, uint64_t client, uint32_t rows)
{
	if (rows < 2 || queues->queues[queue].count == 0)
		return;
	uint32_t at = find_line(queues, queue, client);
	if (at == GYR_QUEUE_NONE && queues->empty_count < queues->items_max)
		at = add_line(queues, queue, client);
	if (at != GYR_QUEUE_NONE)
		queues->lines[at].owed += rows - 1;
}
