/*
 * The swap of route tables under chosen interleavings: two readers that read, use and report, and the house thread, which publishes tables and frees what
 * nobody can hold any more. Table N holds version N; the one before is freed with its table.
 */
#include "dataplane/loop/route.h"

#include <string.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "tests/race/machine/machine.h"

#define READERS 2u
#define TABLES 3u
#define READS 4u
#define WAIT_NS (10 * GYR_NS_PER_S)
#define SHORT_WAIT_NS (2 * GYR_NS_PER_MS)

static struct gyr_route_cell cell;
static _Atomic uint32_t started, stuck, resumed;

struct gyr_version {
	uint64_t number;
};

static const struct gyr_wire_ref model_ref = {.name = "model", .length = 5, .present = true}, any = {0};

/* Finds the stable version and uses it. */
static void read_once(void)
{
	const struct gyr_route *route = gyr_route_read(&cell);
	const struct gyr_route_model *model;
	struct gyr_version *version;
	machine_read(route);
	enum gyr_wire_code code = gyr_route_find(route, &model_ref, &any, &model, &version);
	if (code != GYR_WIRE_OK)
		return; /* the empty table from the start */
	machine_read(version);
	machine_read(version);
	GYR_ASSERT(version->number > 0);
}

static void read_tables(void *argument)
{
	uint32_t reader = (uint32_t)(uintptr_t)argument;
	gyr_route_reader_start(&cell, reader);
	atomic_fetch_add_explicit(&started, 1, memory_order_relaxed); /* the fence within the call before releases it */
	for (unsigned i = 0; i < READS; i++) {
		unsigned count = machine_random(3);
		for (unsigned n = 0; n < count; n++)
			read_once();
		gyr_route_report(&cell, reader);
	}
	gyr_route_reader_stop(&cell, reader);
}

static struct gyr_version *make_version(uint64_t number)
{
	struct gyr_version *version = machine_alloc(64, sizeof *version);
	version->number = number;
	return version;
}

static const struct gyr_route *make_table(struct gyr_version *version)
{
	const struct gyr_wire_label label = {GYR_LINK_STABLE, version->number};
	const struct gyr_route_model model = {
		.name = "model",
		.name_length = 5,
		.handle = 1,
		.version_count = 1,
		.label_count = 1,
		.numbers = &version->number,
		.versions = &version,
		.labels = &label,
	};
	const struct gyr_route *route = gyr_route_create(&model, 1);
	GYR_ASSERT(route != NULL);
	return route;
}

static void begin(uint32_t readers, void (*run)(void *), unsigned *threads)
{
	struct gyr_error error;
	atomic_store_explicit(&started, 0, memory_order_relaxed);
	int status = gyr_route_cell_init(&cell, readers, &error);
	GYR_ASSERT(status == 0);
	for (uint32_t i = 0; i < readers; i++)
		threads[i] = machine_spawn(run, (void *)(uintptr_t)i);
	while (atomic_load_explicit(&started, memory_order_acquire) < readers)
		machine_pause();
}

static void end(uint32_t readers, const unsigned *threads, struct gyr_version *last)
{
	for (uint32_t i = 0; i < readers; i++)
		machine_join(threads[i]);
	gyr_route_cell_fini(&cell);
	machine_free(last);
}

/* Between uses it rests, as an lcore that sleeps does, and need not report. */
static void read_and_rest(void *argument)
{
	uint32_t reader = (uint32_t)(uintptr_t)argument;
	gyr_route_reader_start(&cell, reader);
	atomic_fetch_add_explicit(&started, 1, memory_order_relaxed);
	for (unsigned i = 0; i < READS; i++) {
		gyr_route_reader_rest(&cell, reader);
		gyr_route_reader_resume(&cell, reader);
		read_once();
	}
	gyr_route_reader_stop(&cell, reader);
}

static void publish_to(void (*readers)(void *))
{
	unsigned threads[READERS];
	struct gyr_version *now = NULL;
	begin(READERS, readers, threads);
	for (uint64_t number = 1; number <= TABLES; number++) {
		struct gyr_version *before = now;
		now = make_version(number);
		bool free_now = gyr_route_publish(&cell, make_table(now), WAIT_NS);
		GYR_ASSERT(free_now);
		machine_free(before);
	}
	GYR_ASSERT(cell.stuck == 0);
	end(READERS, threads, now);
}

static void swap(void)
{
	publish_to(read_tables);
}

static void rest(void)
{
	publish_to(read_and_rest);
}

/* Holds a table for longer than the house thread waits. */
static void read_and_hang(void *argument)
{
	uint32_t reader = (uint32_t)(uintptr_t)argument;
	gyr_route_reader_start(&cell, reader);
	const struct gyr_route *route = gyr_route_read(&cell);
	atomic_fetch_add_explicit(&started, 1, memory_order_relaxed);
	while (!atomic_load_explicit(&stuck, memory_order_relaxed))
		machine_pause();
	machine_read(route);
	gyr_route_report(&cell, reader);
	atomic_store_explicit(&resumed, 1, memory_order_relaxed);
	for (unsigned i = 0; i < READS; i++) {
		read_once();
		gyr_route_report(&cell, reader);
	}
	gyr_route_reader_stop(&cell, reader);
}

/* A reader that does not let go in time costs the memory of one table, and nothing else. */
static void hang(void)
{
	unsigned thread;
	atomic_store_explicit(&stuck, 0, memory_order_relaxed);
	atomic_store_explicit(&resumed, 0, memory_order_relaxed);
	begin(1, read_and_hang, &thread);
	struct gyr_version *first = make_version(1), *second = make_version(2);
	bool free_now = gyr_route_publish(&cell, make_table(first), SHORT_WAIT_NS);
	GYR_ASSERT(!free_now);
	GYR_ASSERT(cell.stuck == 1);
	atomic_store_explicit(&stuck, 1, memory_order_relaxed);
	while (!atomic_load_explicit(&resumed, memory_order_relaxed))
		machine_pause();
	free_now = gyr_route_publish(&cell, make_table(second), WAIT_NS);
	GYR_ASSERT(free_now);
	machine_free(first);
	end(1, &thread, second);
}

int main(int argc, char **argv)
{
	/* The fence of going online and that of gyr_route_wait, which come after them, do the same. */
#define SPARE "rte_rcu_qsbr_thread_register change registered", "begin load &started"
	/* Readers that start before the first publish and never rest are always seen to be there. */
	static const char *const spare[] = {SPARE, "rte_rcu_qsbr_thread_online fence fence", "gyr_route_wait fence fence", NULL};
	static const char *const spare_rest[] = {SPARE, NULL};
	const struct machine_case cases[] = {
		{.name = "swap", .body = swap, .spare = spare},
		{.name = "rest", .body = rest, .spare = spare_rest},
		{.name = "hang", .body = hang, .spare = spare},
	};
	return machine_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
