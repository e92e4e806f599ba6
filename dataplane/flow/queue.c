/*
 * Invariants: a line is in the list of its hash and either new or in the round of its queue, or it is free; a new one has an item; those without an item are
 * empty_count, at most items_max, so that a line is free whenever an item may come. A queue without items has no lines: where nobody waits, nobody sits out.
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
		queues->queues[i].last = queues->queues[i].new_first = queues->queues[i].new_last = GYR_QUEUE_NONE;
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

/* Gives CLIENT a line, neither new nor in the round yet. */
static uint32_t make_line(struct gyr_queues *queues, uint32_t index, uint64_t client)
{
	uint32_t at = queues->free, *alike = hash_of(queues, index, client);
	GYR_ASSERT(at != GYR_QUEUE_NONE);
	struct gyr_queue_line *line = &queues->lines[at];
	queues->free = line->next;
	*line = (struct gyr_queue_line){.client = client, .queue = index, .next_alike = *alike};
	*alike = at;
	queues->queues[index].line_count++;
	queues->empty_count++;
	return at;
}

/* Puts the line AT into the round, where its turn comes after all others. */
static void join_round(struct gyr_queues *queues, struct gyr_queue *queue, uint32_t at)
{
	struct gyr_queue_line *line = &queues->lines[at];
	line->is_new = false;
	line->next = line->previous = at;
	if (queue->last != GYR_QUEUE_NONE) {
		line->previous = queue->last;
		line->next = queues->lines[queue->last].next;
		queues->lines[line->next].previous = at;
		queues->lines[line->previous].next = at;
	}
	queue->last = at;
}

static void leave_round(struct gyr_queues *queues, struct gyr_queue *queue, uint32_t at)
{
	const struct gyr_queue_line *line = &queues->lines[at];
	queues->lines[line->previous].next = line->next;
	queues->lines[line->next].previous = line->previous;
	if (queue->last == at)
		queue->last = line->previous != at ? line->previous : GYR_QUEUE_NONE;
}

static void append_new(struct gyr_queues *queues, struct gyr_queue *queue, uint32_t at)
{
	queues->lines[at].is_new = true;
	queues->lines[at].next = GYR_QUEUE_NONE;
	if (queue->new_last != GYR_QUEUE_NONE)
		queues->lines[queue->new_last].next = at;
	else
		queue->new_first = at;
	queue->new_last = at;
}

static void prepend_new(struct gyr_queues *queues, struct gyr_queue *queue, uint32_t at)
{
	queues->lines[at].is_new = true;
	queues->lines[at].next = queue->new_first;
	if (queue->new_first == GYR_QUEUE_NONE)
		queue->new_last = at;
	queue->new_first = at;
}

static uint32_t take_new(struct gyr_queues *queues, struct gyr_queue *queue)
{
	uint32_t at = queue->new_first;
	queue->new_first = queues->lines[at].next;
	if (queue->new_first == GYR_QUEUE_NONE)
		queue->new_last = GYR_QUEUE_NONE;
	return at;
}

/* Takes the empty line AT out of the round, and frees it. */
static void remove_line(struct gyr_queues *queues, struct gyr_queue *queue, uint32_t at)
{
	struct gyr_queue_line *line = &queues->lines[at];
	uint32_t *alike = hash_of(queues, line->queue, line->client);
	while (*alike != at)
		alike = &queues->lines[*alike].next_alike;
	*alike = line->next_alike;
	leave_round(queues, queue, at);
	queue->line_count--;
	queues->empty_count--;
	line->next = queues->free;
	queues->free = at;
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

void gyr_queue_push(struct gyr_queues *queues, uint32_t index, struct gyr_queue_item *item)
{
	GYR_ASSERT(queues->count < queues->items_max);
	uint32_t at = find_line(queues, index, item->client);
	if (at == GYR_QUEUE_NONE) {
		at = make_line(queues, index, item->client);
		append_new(queues, &queues->queues[index], at);
	}
	struct gyr_queue_line *line = &queues->lines[at];
	item->next = NULL;
	if (line->count == 0)
		line->head = item;
	else
		line->tail->next = item;
	line->tail = item;
	count_in(queues, line);
}

void gyr_queue_push_back(struct gyr_queues *queues, uint32_t index, struct gyr_queue_item *item)
{
	struct gyr_queue *queue = &queues->queues[index];
	uint32_t at = find_line(queues, index, item->client);
	if (at == GYR_QUEUE_NONE)
		at = make_line(queues, index, item->client);
	else if (!queues->lines[at].is_new)
		leave_round(queues, queue, at);
	struct gyr_queue_line *line = &queues->lines[at];
	if (!line->is_new)
		prepend_new(queues, queue, at);
	queue->new_turns = 0;
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

/* The line whose turn it is. The queue has an item. */
static struct gyr_queue_line *next_line(struct gyr_queues *queues, struct gyr_queue *queue)
{
	for (;;) {
		if (queue->new_first != GYR_QUEUE_NONE && (queue->last == GYR_QUEUE_NONE || queue->new_turns < GYR_QUEUE_NEW_TURNS)) {
			uint32_t at = take_new(queues, queue);
			join_round(queues, queue, at);
			queue->new_turns++;
			return &queues->lines[at];
		}
		uint32_t at = queues->lines[queue->last].next;
		struct gyr_queue_line *line = &queues->lines[at];
		bool sits_out = line->owed > 0 && queue->line_count > 1;
		line->owed = sits_out ? line->owed - 1 : 0; /* one that is alone keeps nobody waiting */
		if (line->count == 0 && line->owed == 0)
			remove_line(queues, queue, at);
		else
			queue->last = at;
		if (!sits_out && line->count > 0) {
			queue->new_turns = 0;
			return line;
		}
	}
}

struct gyr_queue_item *gyr_queue_pop(struct gyr_queues *queues, uint32_t index)
{
	struct gyr_queue *queue = &queues->queues[index];
	if (queue->count == 0)
		return NULL;
	struct gyr_queue_line *line = next_line(queues, queue);
	struct gyr_queue_item *item = line->head;
	line->head = item->next;
	line->count--;
	queues->count--;
	queue->count--;
	queues->empty_count += line->count == 0;
	if (queue->count == 0)
		forget_lines(queues, queue);
	else if (queues->empty_count > queues->items_max)
		remove_line(queues, queue, (uint32_t)(line - queues->lines));
	return item;
}

void gyr_queue_charge(struct gyr_queues *queues, uint32_t queue, uint64_t client, uint32_t rows)
{
	if (rows < 2 || queues->queues[queue].count == 0)
		return;
	uint32_t at = find_line(queues, queue, client);
	if (at == GYR_QUEUE_NONE && queues->empty_count < queues->items_max) {
		at = make_line(queues, queue, client);
		join_round(queues, &queues->queues[queue], at);
	}
	if (at != GYR_QUEUE_NONE)
		queues->lines[at].owed += rows - 1;
}
