/*
 * Packs: see pack.h. A list; a model has as many as it has weights.
 */
#include "engine/kernel/pack.h"

#include <stdbool.h>
#include <stdlib.h>

struct pack {
	struct pack *next;
	const void *source;
	uint64_t tag;
	void *pack;
	size_t bytes;
	void (*destroy)(void *);
};

struct gyr_packs {
	struct pack *first;
};

struct gyr_packs *gyr_packs_create(void)
{
	return calloc(1, sizeof(struct gyr_packs));
}

void gyr_packs_destroy(struct gyr_packs *packs)
{
	if (packs == NULL)
		return;
	for (struct pack *at = packs->first, *next; at != NULL; at = next) {
		next = at->next;
		at->destroy(at->pack);
		free(at);
	}
	free(packs);
}

void *gyr_packs_find(const struct gyr_packs *packs, const void *source, uint64_t tag)
{
	for (const struct pack *at = packs->first; at != NULL; at = at->next)
		if (at->source == source && at->tag == tag)
			return at->pack;
	return NULL;
}

bool gyr_packs_keep(struct gyr_packs *packs, const void *source, uint64_t tag, void *pack, size_t bytes, void (*destroy)(void *))
{
	struct pack *made = malloc(sizeof *made);
	if (made == NULL)
		return false;
	*made = (struct pack){.next = packs->first, .source = source, .tag = tag, .pack = pack, .bytes = bytes, .destroy = destroy};
	packs->first = made;
	return true;
}

size_t gyr_packs_bytes(const struct gyr_packs *packs)
{
	size_t bytes = 0;
	for (const struct pack *at = packs->first; at != NULL; at = at->next)
		bytes += at->bytes;
	return bytes;
}
