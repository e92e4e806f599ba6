/* The data plane's end of the counters' shared memory. Everything that a reader may look at meanwhile is written by atomic words. */
#include "dataplane/link/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"

#define PAGE 4096u

_Static_assert(sizeof(struct gyr_stats_field) == 184, "read by other programs");
_Static_assert(sizeof(struct gyr_stats_table) == 80, "read by other programs");
_Static_assert(sizeof(struct gyr_stats_header) == 88, "read by other programs");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are shared between processes as they are");

struct gyr_stats {
	int descriptor; /* read-only */
	uint8_t *bytes;
	struct gyr_stats_header header;
	struct gyr_stats_table tables[GYR_STATS_TABLES_MAX];
	uint32_t head_bytes[GYR_STATS_TABLES_MAX]; /* as planned */
	bool *taken[GYR_STATS_TABLES_MAX];         /* by slot */
};

static uint64_t round_up(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) / to * to;
}

/* Lays TABLE out from offset *AT on. */
static void lay_out(const struct gyr_stats_plan *plan, uint32_t field_first, uint64_t *at, struct gyr_stats_table *table)
{
	GYR_ASSERT(plan->field_count <= GYR_STATS_FIELDS_MAX);
	GYR_ASSERT(plan->head_bytes <= GYR_STATS_HEAD_BYTES_MAX);
	GYR_ASSERT(plan->head_bytes % sizeof(uint64_t) == 0);
	GYR_ASSERT(plan->lane_count == 1 || (plan->lane_count > 1 && plan->lane_bytes > 0));
	GYR_ASSERT(strlen(plan->name) < sizeof table->name);
	/* Large slots are whole pages, which can be given back. */
	uint64_t unit = plan->lane_bytes >= PAGE ? PAGE : GYR_STATS_LANE_ALIGN;
	*table = (struct gyr_stats_table){
		.slot_count = plan->slot_count,
		.lane_count = plan->lane_count,
		.field_first = field_first,
		.field_count = plan->field_count,
		.head_bytes = round_up(plan->head_bytes, unit),
		.lane_bytes = round_up(plan->lane_bytes, unit),
	};
	strcpy(table->name, plan->name);
	table->slot_bytes = table->head_bytes + table->lane_count * table->lane_bytes;
	table->states_at = *at;
	table->slots_at = round_up(*at + table->slot_count * sizeof(uint64_t), PAGE);
	*at = round_up(table->slots_at + table->slot_count * table->slot_bytes, PAGE);
}

static int map(struct gyr_stats *stats, int descriptor, struct gyr_error *error)
{
	size_t size = (size_t)stats->header.bytes;
	char path[32];
	if (ftruncate(descriptor, (off_t)size) != 0 || fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return gyr_error_set(error, -errno, "shared memory of %zu bytes for the counters: %s", size, strerror(errno));
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
	if (bytes == MAP_FAILED)
		return gyr_error_set(error, -errno, "mmap of %zu bytes for the counters: %s", size, strerror(errno));
	stats->bytes = bytes;
	/* A core dump would read, and so take, all that is not used. */
	madvise(bytes, size, MADV_DONTDUMP);
	/* What is passed on reads only. (F_SEAL_FUTURE_WRITE would see to that too, but also forbids to give memory back.) */
	snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
	stats->descriptor = open(path, O_RDONLY | O_CLOEXEC);
	return stats->descriptor < 0 ? gyr_error_set(error, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static int make_memory(struct gyr_stats *stats, struct gyr_error *error)
{
	int descriptor = memfd_create("gyr-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (descriptor < 0)
		return gyr_error_set(error, -errno, "memfd_create: %s", strerror(errno));
	int status = map(stats, descriptor, error);
	close(descriptor);
	return status;
}

int gyr_stats_create(const struct gyr_stats_plan *plans, uint32_t count, uint64_t cycles_per_s, struct gyr_stats **stats, struct gyr_error *error)
{
	GYR_ASSERT(count <= GYR_STATS_TABLES_MAX);
	struct gyr_stats *made = calloc(1, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the counters");
	made->descriptor = -1;
	struct gyr_stats_header *header = &made->header;
	*header = (struct gyr_stats_header){
		.magic = GYR_STATS_MAGIC,
		.version = GYR_STATS_VERSION,
		.histogram_sub_bits = GYR_HISTOGRAM_SUB_BITS,
		.histogram_bits_max = GYR_HISTOGRAM_BITS_MAX,
		.table_count = count,
		.pid = (uint64_t)getpid(),
		.started_ns = gyr_clock_ns(),
		.cycles_per_s = cycles_per_s,
		.tables_at = sizeof *header,
		.fields_at = sizeof *header + count * sizeof(struct gyr_stats_table),
		.table_bytes = sizeof(struct gyr_stats_table),
		.field_bytes = sizeof(struct gyr_stats_field),
	};
	uint64_t lanes = 0;
	for (uint32_t i = 0; i < count; i++) {
		header->field_count += plans[i].field_count;
		lanes += (uint64_t)plans[i].slot_count * plans[i].lane_count;
	}
	GYR_ASSERT(lanes <= GYR_STATS_LANES_MAX);
	header->bytes = round_up(header->fields_at + header->field_count * sizeof(struct gyr_stats_field), PAGE);
	bool complete = true;
	for (uint32_t i = 0, fields = 0; i < count; fields += plans[i++].field_count) {
		lay_out(&plans[i], fields, &header->bytes, &made->tables[i]);
		made->head_bytes[i] = plans[i].head_bytes;
		made->taken[i] = calloc(plans[i].slot_count + 1, sizeof *made->taken[i]);
		complete = complete && made->taken[i] != NULL;
	}
	int status = complete ? make_memory(made, error) : gyr_error_set(error, -ENOMEM, "no memory for the counters");
	if (status != 0) {
		gyr_stats_destroy(made);
		return status;
	}
	memcpy(made->bytes, header, sizeof *header);
	memcpy(made->bytes + header->tables_at, made->tables, count * sizeof made->tables[0]);
	for (uint32_t i = 0; i < count; i++)
		memcpy(made->bytes + header->fields_at + made->tables[i].field_first * sizeof(struct gyr_stats_field), plans[i].fields,
		       plans[i].field_count * sizeof(struct gyr_stats_field));
	*stats = made;
	return 0;
}

void gyr_stats_destroy(struct gyr_stats *stats)
{
	if (stats == NULL)
		return;
	for (uint32_t i = 0; i < stats->header.table_count; i++)
		free(stats->taken[i]);
	if (stats->bytes != NULL)
		munmap(stats->bytes, (size_t)stats->header.bytes);
	if (stats->descriptor >= 0)
		close(stats->descriptor);
	free(stats);
}

int gyr_stats_descriptor(const struct gyr_stats *stats)
{
	return stats->descriptor;
}

static _Atomic uint64_t *state_of(const struct gyr_stats *stats, uint32_t table, int slot)
{
	return (_Atomic uint64_t *)(stats->bytes + stats->tables[table].states_at) + slot;
}

static _Atomic uint64_t *words_of(const struct gyr_stats *stats, uint32_t table, int slot)
{
	return (_Atomic uint64_t *)(stats->bytes + stats->tables[table].slots_at + (uint64_t)slot * stats->tables[table].slot_bytes);
}

int gyr_stats_take(struct gyr_stats *stats, uint32_t table)
{
	uint32_t slot = 0;
	while (slot < stats->tables[table].slot_count && stats->taken[table][slot])
		slot++;
	if (slot == stats->tables[table].slot_count)
		return -ENOSPC;
	stats->taken[table][slot] = true;
	/* Touches every page, so that counting never waits for one. */
	_Atomic uint64_t *words = words_of(stats, table, (int)slot);
	for (uint64_t i = 0; i < stats->tables[table].slot_bytes / sizeof(uint64_t); i++)
		atomic_store_explicit(&words[i], 0, memory_order_relaxed);
	return (int)slot;
}

void gyr_stats_show(struct gyr_stats *stats, uint32_t table, int slot, const void *head)
{
	_Atomic uint64_t *words = words_of(stats, table, slot), *state = state_of(stats, table, slot);
	for (uint64_t i = 0; i < stats->head_bytes[table] / sizeof(uint64_t); i++) {
		uint64_t word;
		memcpy(&word, (const uint8_t *)head + i * sizeof word, sizeof word);
		atomic_store_explicit(&words[i], word, memory_order_relaxed);
	}
	uint64_t before = atomic_load_explicit(state, memory_order_relaxed);
	GYR_ASSERT(before % 2 == 0);
	atomic_store_explicit(state, before + 1, memory_order_release); /* W2 pairs with R2 in gyr_stats_view_read */
}

void gyr_stats_release(struct gyr_stats *stats, uint32_t table, int slot)
{
	_Atomic uint64_t *state = state_of(stats, table, slot);
	uint64_t before = atomic_load_explicit(state, memory_order_relaxed);
	atomic_store_explicit(state, before + before % 2, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* W1 pairs with R1 in gyr_stats_view_read: who sees what comes after sees the state */
	if (stats->tables[table].slot_bytes % PAGE == 0)
		madvise((void *)(uintptr_t)words_of(stats, table, slot), (size_t)stats->tables[table].slot_bytes, MADV_REMOVE);
	stats->taken[table][slot] = false;
}

void *gyr_stats_lane(const struct gyr_stats *stats, uint32_t table, int slot, uint32_t lane)
{
	const struct gyr_stats_table *in = &stats->tables[table];
	return (uint8_t *)(uintptr_t)words_of(stats, table, slot) + in->head_bytes + lane * in->lane_bytes;
}
