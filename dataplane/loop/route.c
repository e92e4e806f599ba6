#include "dataplane/loop/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/assertion.h"
#include "base/clock.h"

#define SLOT_EMPTY UINT32_MAX
#define POLL_NS 20000 /* between looks at the readers, which report every few microseconds */

struct gyr_route {
	struct gyr_arena arena; /* owns the struct itself too */
	uint32_t slot_mask;     /* slots: a power of two, at least twice the models, so that a search ends soon */
	uint32_t handle_count;
	bool delays;                                    /* some model has a max_delay_us */
	const uint32_t *slots;                          /* by hash of the name, with linear probing: an index into models, or SLOT_EMPTY */
	const struct gyr_route_model *const *by_handle; /* NULL: no such model any more */
	const struct gyr_route_model *models;
};

/* FNV-1a: names are short. */
static uint32_t hash_name(const char *name, uint32_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (uint32_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(hash ^ hash >> 32);
}

static struct gyr_version *find_version(const struct gyr_route_model *model, uint64_t number)
{
	uint32_t low = 0, high = model->version_count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (model->numbers[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < model->version_count && model->numbers[low] == number ? model->versions[low] : NULL;
}

static struct gyr_version *find_label(const struct gyr_route_model *model, const char *name, uint32_t length)
{
	for (uint32_t i = 0; i < model->label_count; i++) {
		const struct gyr_wire_label *label = &model->labels[i];
		if (strncmp(label->name, name, length) == 0 && label->name[length] == '\0')
			return find_version(model, label->version);
	}
	return NULL;
}

static bool copy_model(struct gyr_arena *arena, const struct gyr_route_model *from, struct gyr_route_model *to)
{
	*to = *from;
	uint64_t *numbers = GYR_ARENA_NEW(arena, uint64_t, from->version_count);
	struct gyr_version **versions = GYR_ARENA_NEW(arena, struct gyr_version *, from->version_count);
	struct gyr_wire_label *labels = GYR_ARENA_NEW(arena, struct gyr_wire_label, from->label_count);
	if (numbers == NULL || versions == NULL || labels == NULL)
		return false;
	for (uint32_t i = 0; i < from->version_count; i++) {
		numbers[i] = from->numbers[i];
		versions[i] = from->versions[i];
		GYR_ASSERT(i == 0 || numbers[i - 1] < numbers[i]);
	}
	for (uint32_t i = 0; i < from->label_count; i++) {
		labels[i] = from->labels[i];
		labels[i].name = gyr_arena_string(arena, from->labels[i].name, strlen(from->labels[i].name));
		if (labels[i].name == NULL)
			return false;
	}
	to->numbers = numbers;
	to->versions = versions;
	to->labels = labels;
	for (uint32_t i = 0; i < from->label_count; i++)
		GYR_ASSERT(find_version(to, labels[i].version) != NULL);
	to->stable = find_label(to, GYR_LINK_STABLE, (uint32_t)strlen(GYR_LINK_STABLE));
	return true;
}

static bool fill(struct gyr_route *route, const struct gyr_route_model *models, uint32_t count)
{
	uint32_t slot_count = 2;
	while (slot_count < 2 * count)
		slot_count *= 2;
	for (uint32_t i = 0; i < count; i++) {
		GYR_ASSERT(models[i].handle < GYR_ROUTE_HANDLES_MAX);
		if (models[i].handle >= route->handle_count)
			route->handle_count = (uint32_t)models[i].handle + 1;
	}
	uint32_t *slots = GYR_ARENA_NEW(&route->arena, uint32_t, slot_count);
	const struct gyr_route_model **by_handle = GYR_ARENA_NEW(&route->arena, const struct gyr_route_model *, route->handle_count);
	struct gyr_route_model *copies = GYR_ARENA_NEW(&route->arena, struct gyr_route_model, count);
	if (slots == NULL || by_handle == NULL || copies == NULL)
		return false;
	memset(slots, 0xff, slot_count * sizeof *slots);
	route->slot_mask = slot_count - 1;
	for (uint32_t i = 0; i < count; i++) {
		if (!copy_model(&route->arena, &models[i], &copies[i]))
			return false;
		by_handle[copies[i].handle] = &copies[i];
		route->delays = route->delays || copies[i].policy.max_delay_us > 0;
		uint32_t slot = hash_name(copies[i].name, copies[i].name_length) & route->slot_mask;
		while (slots[slot] != SLOT_EMPTY)
			slot = (slot + 1) & route->slot_mask;
		slots[slot] = i;
	}
	route->slots = slots;
	route->by_handle = by_handle;
	route->models = copies;
	return true;
}

struct gyr_route *gyr_route_create(const struct gyr_route_model *models, uint32_t count)
{
	struct gyr_arena arena;
	gyr_arena_init(&arena, 0);
	struct gyr_route *route = GYR_ARENA_NEW(&arena, struct gyr_route, 1);
	if (route == NULL)
		return NULL;
	route->arena = arena;
	if (fill(route, models, count))
		return route;
	gyr_route_destroy(route);
	return NULL;
}

void gyr_route_destroy(struct gyr_route *route)
{
	if (route == NULL)
		return;
	struct gyr_arena arena = route->arena;
	gyr_arena_fini(&arena);
}

const struct gyr_route_model *gyr_route_model(const struct gyr_route *route, const struct gyr_wire_ref *ref)
{
	if (ref->name == NULL)
		return ref->number < route->handle_count ? route->by_handle[ref->number] : NULL;
	for (uint32_t slot = hash_name(ref->name, ref->length) & route->slot_mask; route->slots[slot] != SLOT_EMPTY; slot = (slot + 1) & route->slot_mask) {
		const struct gyr_route_model *model = &route->models[route->slots[slot]];
		if (model->name_length == ref->length && memcmp(model->name, ref->name, ref->length) == 0)
			return model;
	}
	return NULL;
}

bool gyr_route_delays(const struct gyr_route *route)
{
	return route->delays;
}

enum gyr_wire_code gyr_route_find(const struct gyr_route *route, const struct gyr_wire_ref *model_ref, const struct gyr_wire_ref *select,
				  const struct gyr_route_model **model, struct gyr_version **version)
{
	*model = gyr_route_model(route, model_ref);
	if (*model == NULL)
		return GYR_WIRE_UNKNOWN_MODEL;
	if (!select->present) {
		*version = (*model)->stable;
		return *version != NULL ? GYR_WIRE_OK : GYR_WIRE_UNKNOWN_LABEL;
	}
	if (select->name == NULL) {
		*version = find_version(*model, select->number);
		return *version != NULL ? GYR_WIRE_OK : GYR_WIRE_UNKNOWN_VERSION;
	}
	*version = find_label(*model, select->name, select->length);
	return *version != NULL ? GYR_WIRE_OK : GYR_WIRE_UNKNOWN_LABEL;
}

int gyr_route_cell_init(struct gyr_route_cell *cell, uint32_t reader_count, struct gyr_error *error)
{
	*cell = (struct gyr_route_cell){0};
	size_t bytes = RTE_ALIGN(rte_rcu_qsbr_get_memsize(reader_count), RTE_CACHE_LINE_SIZE);
	cell->readers = aligned_alloc(RTE_CACHE_LINE_SIZE, bytes);
	const struct gyr_route *empty = gyr_route_create(NULL, 0);
	if (cell->readers == NULL || empty == NULL) {
		gyr_route_cell_fini(cell);
		return gyr_error_set(error, -ENOMEM, "no memory for the route table");
	}
	int status = rte_rcu_qsbr_init(cell->readers, reader_count);
	GYR_ASSERT(status == 0);
	atomic_store_explicit(&cell->current, empty, memory_order_relaxed);
	return 0;
}

void gyr_route_cell_fini(struct gyr_route_cell *cell)
{
	gyr_route_destroy((struct gyr_route *)(uintptr_t)atomic_load_explicit(&cell->current, memory_order_relaxed));
	free(cell->readers);
	*cell = (struct gyr_route_cell){0};
}

void gyr_route_reader_start(struct gyr_route_cell *cell, uint32_t reader)
{
	int status = rte_rcu_qsbr_thread_register(cell->readers, reader);
	GYR_ASSERT(status == 0);
	rte_rcu_qsbr_thread_online(cell->readers, reader);
}

void gyr_route_reader_stop(struct gyr_route_cell *cell, uint32_t reader)
{
	rte_rcu_qsbr_thread_offline(cell->readers, reader);
	rte_rcu_qsbr_thread_unregister(cell->readers, reader);
}

bool gyr_route_wait(struct gyr_route_cell *cell, uint64_t timeout_ns)
{
	uint64_t token = rte_rcu_qsbr_start(cell->readers), until_ns = gyr_clock_ns() + timeout_ns;
	/* F5 pairs with the fence in rte_rcu_qsbr_thread_online: either this sees that a reader which rested is back, or that one reads the new table. */
	atomic_thread_fence(memory_order_seq_cst);
	while (rte_rcu_qsbr_check(cell->readers, token, false) == 0) {
		if (gyr_clock_ns() >= until_ns)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	return true;
}

bool gyr_route_publish(struct gyr_route_cell *cell, const struct gyr_route *next, uint64_t timeout_ns)
{
	/* R1 pairs with A1 in gyr_route_read: who sees the table sees what it holds. */
	const struct gyr_route *before = atomic_exchange_explicit(&cell->current, next, memory_order_release);
	if (!gyr_route_wait(cell, timeout_ns)) {
		cell->stuck++;
		return false;
	}
	gyr_route_destroy((struct gyr_route *)(uintptr_t)before);
	return true;
}
