/* Questions that rest until the server wants them again: a heap of bounded size, the one due first on top. */
#ifndef GYR_TOOLS_LOAD_REST_H
#define GYR_TOOLS_LOAD_REST_H

#include <stdbool.h>
#include <stdint.h>

struct load_rest {
	uint32_t count, size;
	struct load_resting {
		uint64_t wake_ns, id;
	} *resting;
};

/* Room for SIZE. False: no memory. */
bool load_rest_init(struct load_rest *rest, uint32_t size);
void load_rest_fini(struct load_rest *rest);

/* False: no room is left. */
bool load_rest_add(struct load_rest *rest, uint64_t wake_ns, uint64_t id);

/* When the first is due; UINT64_MAX: none rests. */
uint64_t load_rest_due_ns(const struct load_rest *rest);

/* Takes the first out; there must be one. */
uint64_t load_rest_take(struct load_rest *rest);

#endif
