#include "good.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dataplane/wire/wire.h"

#define TIMEOUT_NS (5 * GYR_NS_PER_S) /* longer than the server can be kept from a CPU that it shares with other tests */
#define ROWS_MAX 4u
#define TOLERANCE 1e-4f

static float *read_floats(FILE *file, size_t count)
{
	float *floats = malloc(count * sizeof *floats);
	if (floats == NULL || fread(floats, sizeof *floats, count, file) != count)
		way_die("the file of pairs is shorter than it says");
	return floats;
}

void good_read(const char *path, struct good_pairs *pairs)
{
	uint32_t head[3];
	FILE *file = fopen(path, "re");
	if (file == NULL || fread(head, sizeof head, 1, file) != 1)
		way_die("%s: %s", path, strerror(errno));
	pairs->count = head[0];
	pairs->in = head[1];
	pairs->out = head[2];
	if (pairs->count < ROWS_MAX || pairs->in == 0 || pairs->out == 0)
		way_die("%s: at least %u pairs are expected", path, ROWS_MAX);
	pairs->questions = read_floats(file, (size_t)pairs->count * pairs->in);
	pairs->answers = read_floats(file, (size_t)pairs->count * pairs->out);
	fclose(file);
}

static void ask(struct good *good, struct way *way, struct good_slot *slot, uint64_t now_ns)
{
	struct message *message = &good->message;
	say_start(message, 7, 1, slot->id);
	say_text(message, good->model);
	say_nil(message);
	say_uint(message, 0);
	say_array(message, 1);
	say_bin(message, good->pairs->questions + (size_t)slot->first * good->pairs->in, slot->rows * good->pairs->in * 4);
	frame_udp4(&good->frame, &good->path, message->bytes, message->size);
	slot->sent_ns = now_ns;
	slot->again_ns = 0;
	good->sent++;
	way->send(way, &good->frame);
}

uint32_t good_turn(struct good *good, struct way *way, uint64_t now_ns, bool may_ask)
{
	uint32_t waiting = 0;
	for (uint32_t i = 0; i < good->flight; i++) {
		struct good_slot *slot = &good->slots[i];
		if (slot->sent_ns != 0 && slot->again_ns == 0 && now_ns - slot->sent_ns > TIMEOUT_NS) {
			good->lost++;
			slot->sent_ns = 0;
		}
		if (slot->sent_ns == 0 && may_ask) {
			slot->id = good->next++ * GOOD_FLIGHT_MAX + i;
			slot->first = (uint32_t)(slot->id * 2654435761u % (good->pairs->count - ROWS_MAX + 1));
			slot->rows = 1 + (uint32_t)(slot->id >> 8) % ROWS_MAX;
			good->asked++;
			ask(good, way, slot, now_ns);
		} else if (slot->again_ns != 0 && now_ns >= slot->again_ns) {
			ask(good, way, slot, now_ns);
		}
		waiting += slot->sent_ns != 0;
	}
	return waiting;
}

static bool is_right(const struct good *good, const struct good_slot *slot, const struct gyr_wire_message *message)
{
	uint32_t count = slot->rows * good->pairs->out;
	if (message->tensor_count != 1 || message->tensors[0].form != GYR_WIRE_BARE || message->tensors[0].bytes != 4 * count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		float got, right = good->pairs->answers[(size_t)slot->first * good->pairs->out + i];
		memcpy(&got, message->tensors[0].data + 4 * i, sizeof got);
		if (!(fabsf(got - right) <= TOLERANCE * (1 + fabsf(right))))
			return false;
	}
	return true;
}

void good_take(struct good *good, const uint8_t *bytes, uint32_t size, uint64_t now_ns)
{
	struct gyr_wire_message message;
	const char *reason;
	if (gyr_wire_parse(bytes, size, &message, &reason) != GYR_WIRE_OK) {
		good->wrong++;
		return;
	}
	struct good_slot *slot = &good->slots[message.id % GOOD_FLIGHT_MAX];
	if (slot->id != message.id || slot->sent_ns == 0 || slot->again_ns != 0) {
		good->stray++;
		return;
	}
	if (message.type == GYR_WIRE_ERROR && message.code == GYR_WIRE_BUSY) {
		good->busy++;
		slot->again_ns = now_ns + message.retry_after_us * GYR_NS_PER_US + 1;
		return;
	}
	if (message.type == GYR_WIRE_RESULT && is_right(good, slot, &message))
		good->answered++;
	else if (message.type == GYR_WIRE_ERROR)
		good->refused++;
	else
		good->wrong++;
	uint64_t took_ns = now_ns - slot->sent_ns;
	if (took_ns > good->worst_ns)
		good->worst_ns = took_ns;
	slot->sent_ns = 0;
}
