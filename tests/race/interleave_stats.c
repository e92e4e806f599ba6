/*
 * The counters' shared memory (dataplane/link/stats.h) under chosen interleavings: slots are taken, shown, counted in and released by the data plane's house
 * thread while a reader in another process looks. What is read is of one use of the slot: its head and its counters belong together.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/assertion.h"
#include "dataplane/link/stats.h"
#include "tests/race/machine/machine.h"

#define USES 3u
#define READS 6u
#define COUNTS 2u
#define BASE 1000u /* a counter of use N starts from N * BASE */

struct head {
	uint64_t use, twin;
};

static void *shared;
static struct gyr_stats *stats;

/* Writer and reader map the memory where the other does: the machine knows a word by its address. */
void *test_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset)
{
	if (shared == NULL)
		shared = machine_alloc(4096, size);
	return shared;
}

int test_munmap(void *address, size_t size)
{
	shared = NULL;
	return 0;
}

static void read_slots(void *unused)
{
	static struct gyr_stats_reading reading;
	struct gyr_stats_view *view;
	struct gyr_error error;
	int status = gyr_stats_view_open(gyr_stats_descriptor(stats), &view, &error);
	GYR_ASSERT(status == 0);
	const struct gyr_stats_table *table = gyr_stats_view_find(view, "table");
	uint64_t newest = 0;
	for (unsigned i = 0; i < READS; i++) {
		if (!gyr_stats_view_read(view, table, 0, 0, 1, false, &reading))
			continue;
		uint64_t use = gyr_stats_value(view, table, &reading, "use"), count = gyr_stats_value(view, table, &reading, "count");
		GYR_ASSERT(use == gyr_stats_value(view, table, &reading, "twin"));
		GYR_ASSERT(use >= newest);
		GYR_ASSERT(count >= use * BASE);
		GYR_ASSERT(count <= use * BASE + COUNTS);
		newest = use;
	}
}

static void use_slot(uint64_t use)
{
	const struct head head = {use, use};
	int slot = gyr_stats_take(stats, 0);
	GYR_ASSERT(slot == 0);
	_Atomic uint64_t *count = gyr_stats_lane(stats, 0, slot, 0);
	atomic_store_explicit(count, use * BASE, memory_order_relaxed);
	gyr_stats_show(stats, 0, slot, &head);
	for (unsigned i = 1; i <= COUNTS; i++)
		atomic_store_explicit(count, use * BASE + i, memory_order_relaxed);
	gyr_stats_release(stats, 0, slot);
}

static void use_slots(void)
{
	static const struct gyr_stats_field fields[] = {
		{.name = "use", .kind = GYR_STATS_NUMBER, .offset = offsetof(struct head, use)},
		{.name = "twin", .kind = GYR_STATS_NUMBER, .offset = offsetof(struct head, twin)},
		{.name = "count", .kind = GYR_STATS_COUNTER},
	};
	const struct gyr_stats_plan plan = {
		.name = "table", .slot_count = 1, .lane_count = 1, .head_bytes = sizeof(struct head), .lane_bytes = 8, .field_count = 3, .fields = fields};
	struct gyr_error error;
	shared = NULL;
	int status = gyr_stats_create(&plan, 1, 1, &stats, &error);
	GYR_ASSERT(status == 0);
	unsigned reader = machine_spawn(read_slots, NULL);
	for (uint64_t use = 1; use <= USES; use++)
		use_slot(use);
	machine_join(reader);
	gyr_stats_destroy(stats);
}

int main(int argc, char **argv)
{
	const struct machine_case cases[] = {{.name = "slots", .body = use_slots}};
	return machine_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
