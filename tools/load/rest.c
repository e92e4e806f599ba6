/* A binary heap: see rest.h. */
#include "tools/load/rest.h"

#include <stdlib.h>

#include "base/assertion.h"

bool load_rest_init(struct load_rest *rest, uint32_t size)
{
	*rest = (struct load_rest){.size = size, .resting = calloc(size, sizeof *rest->resting)};
	return rest->resting != NULL;
}

void load_rest_fini(struct load_rest *rest)
{
	free(rest->resting);
	*rest = (struct load_rest){0};
}

bool load_rest_add(struct load_rest *rest, uint64_t wake_ns, uint64_t id)
{
	if (rest->count == rest->size)
		return false;
	uint32_t at = rest->count++;
	for (; at > 0 && rest->resting[(at - 1) / 2].wake_ns > wake_ns; at = (at - 1) / 2)
		rest->resting[at] = rest->resting[(at - 1) / 2];
	rest->resting[at] = (struct load_resting){.wake_ns = wake_ns, .id = id};
	return true;
}

uint64_t load_rest_due_ns(const struct load_rest *rest)
{
	return rest->count == 0 ? UINT64_MAX : rest->resting[0].wake_ns;
}

uint64_t load_rest_take(struct load_rest *rest)
{
	GYR_ASSERT(rest->count > 0);
	uint64_t id = rest->resting[0].id;
	struct load_resting last = rest->resting[--rest->count];
	uint32_t at = 0;
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child + 1 < rest->count && rest->resting[child + 1].wake_ns < rest->resting[child].wake_ns)
			child++;
		if (child >= rest->count || rest->resting[child].wake_ns >= last.wake_ns)
			break;
		rest->resting[at] = rest->resting[child];
		at = child;
	}
	rest->resting[at] = last;
	return id;
}
