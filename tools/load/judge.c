/*
 * Judgement: see judge.h. First answers, with all of their tensors, are kept one behind the other in a store of fixed size; PLACES tells for each example and version where. What the store
 * has no room for is not judged.
 */
#include "tools/load/judge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/load/stats.h"

#define STORE_BYTES (64u << 20)
#define NOWHERE UINT32_MAX

struct load_memory {
	uint8_t *store; /* for each: the number of tensors; the number of bytes, then these, for each of them */
	uint32_t used;
	uint32_t places[]; /* LOAD_VERSIONS_MAX for each example */
};

int load_memory_make(uint32_t count, struct load_memory **memory, struct gyr_error *error)
{
	size_t places = (size_t)count * LOAD_VERSIONS_MAX;
	*memory = malloc(sizeof **memory + places * sizeof(*memory)->places[0]);
	uint8_t *store = malloc(STORE_BYTES);
	if (*memory == NULL || store == NULL) {
		free(store);
		free(*memory);
		*memory = NULL;
		return gyr_error_set(error, -ENOMEM, "no memory for the first answers to %u questions", count);
	}
	(*memory)->store = store;
	(*memory)->used = 0;
	for (size_t i = 0; i < places; i++)
		(*memory)->places[i] = NOWHERE;
	return 0;
}

void load_memory_free(struct load_memory *memory)
{
	if (memory != NULL)
		free(memory->store);
	free(memory);
}

static bool is_best(const struct gyr_wire_tensor *scores, uint8_t label)
{
	uint32_t best = 0;
	float most = 0;
	for (uint32_t i = 0; i < scores->bytes / sizeof(float); i++) {
		float score;
		memcpy(&score, scores->data + i * sizeof score, sizeof score);
		if (i == 0 || score > most) {
			most = score;
			best = i;
		}
	}
	return best == label;
}

static bool is_same(const uint8_t *expected, uint32_t bytes, const struct gyr_wire_tensor *answer, double tolerance)
{
	if (answer->bytes != bytes)
		return false;
	if (tolerance == 0 || bytes % sizeof(float) != 0)
		return memcmp(expected, answer->data, bytes) == 0;
	for (uint32_t i = 0; i < bytes; i += sizeof(float)) {
		float want, got;
		memcpy(&want, expected + i, sizeof want);
		memcpy(&got, answer->data + i, sizeof got);
		/* Where one is no number, the other must be none either. */
		if (isnan(want) || isnan(got) ? isnan(want) != isnan(got) : want != got && !(fabs((double)want - got) <= tolerance * (1 + fabs((double)want))))
			return false;
	}
	return true;
}

static void store(struct load_memory *memory, const void *bytes, uint32_t count)
{
	memcpy(memory->store + memory->used, bytes, count);
	memory->used += count;
}

static enum load_verdict remember(struct load_memory *memory, uint32_t *place, const struct gyr_wire_tensor *answer, uint32_t count)
{
	uint64_t bytes = sizeof count;
	for (uint32_t i = 0; i < count; i++)
		bytes += sizeof answer[i].bytes + answer[i].bytes;
	if (STORE_BYTES - memory->used < bytes)
		return LOAD_UNJUDGED;
	*place = memory->used;
	store(memory, &count, sizeof count);
	for (uint32_t i = 0; i < count; i++) {
		store(memory, &answer[i].bytes, sizeof answer[i].bytes);
		store(memory, answer[i].data, answer[i].bytes);
	}
	return LOAD_RIGHT;
}

static bool is_remembered(const uint8_t *first, const struct gyr_wire_tensor *answer, uint32_t count, double tolerance)
{
	uint32_t expected;
	memcpy(&expected, first, sizeof expected);
	bool same = count == expected;
	first += sizeof expected;
	for (uint32_t i = 0; same && i < count; i++) {
		uint32_t bytes;
		memcpy(&bytes, first, sizeof bytes);
		same = is_same(first + sizeof bytes, bytes, &answer[i], tolerance);
		first += sizeof bytes + bytes;
	}
	return same;
}

enum load_verdict load_judge(const struct load_source *source, uint32_t example, uint64_t number, uint32_t place, const struct gyr_wire_tensor *answer,
			     uint32_t count, double tolerance)
{
	struct load_memory *memory = source->memory;
	bool right = true;
	size_t part = source->outputs == NULL ? 0 : number % source->output_parts;
	if (source->labels != NULL)
		right = is_best(answer, source->labels[example]);
	else if (source->outputs != NULL)
		right = is_same(source->outputs + (part * source->count + example) * source->output_bytes, source->output_bytes, answer,
				source->output_f32 ? tolerance : 0);
	else if (memory == NULL)
		return LOAD_UNJUDGED;
	if (memory != NULL && right && place < LOAD_VERSIONS_MAX - 1) {
		uint32_t *at = &memory->places[(size_t)example * LOAD_VERSIONS_MAX + place];
		if (*at == NOWHERE)
			return remember(memory, at, answer, count);
		right = is_remembered(memory->store + *at, answer, count, tolerance);
	}
	return right ? LOAD_RIGHT : LOAD_WRONG;
}
