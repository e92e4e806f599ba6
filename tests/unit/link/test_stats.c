/* The counters' shared memory: what is written is read, slots come and go under a reader, and whatever is no such memory is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/link/stats.h"

#define LANES 3
#define SLOTS 4
#define CYCLES_PER_S UINT64_C(2000000000)

struct thing_head {
	char name[16];
	uint64_t number;
};

struct thing {
	_Atomic uint64_t count, gauge, cycles, sum_ns;
	_Atomic uint64_t buckets[GYR_HISTOGRAM_BUCKETS];
};

static const struct gyr_stats_field thing_fields[] = {
	{.name = "name", .help = "what it is", .kind = GYR_STATS_TEXT, .offset = 0, .bytes = 16},
	{.name = "number", .kind = GYR_STATS_NUMBER, .offset = offsetof(struct thing_head, number), .bytes = 8},
	{.name = "count", .kind = GYR_STATS_COUNTER, .offset = offsetof(struct thing, count), .bytes = 8},
	{.name = "gauge", .kind = GYR_STATS_GAUGE, .offset = offsetof(struct thing, gauge), .bytes = 8},
	{.name = "busy_ns", .kind = GYR_STATS_CYCLES, .offset = offsetof(struct thing, cycles), .bytes = 8},
	{.name = "took", .kind = GYR_STATS_HISTOGRAM, .offset = offsetof(struct thing, buckets), .sum_offset = offsetof(struct thing, sum_ns)},
};
static const struct gyr_stats_field small_fields[] = {{.name = "count", .kind = GYR_STATS_COUNTER, .offset = 8, .bytes = 8}};

static const struct gyr_stats_plan plans[] = {
	{"small", 2, LANES, 8, 16, 1, small_fields},
	{"things", SLOTS, LANES, sizeof(struct thing_head), sizeof(struct thing), sizeof thing_fields / sizeof thing_fields[0], thing_fields},
};

static struct gyr_stats *stats;
static struct gyr_stats_view *view;
static const struct gyr_stats_table *things;
static struct gyr_stats_reading reading;
static struct gyr_error error;

static int setup(void **unused)
{
	if (gyr_stats_create(plans, 2, CYCLES_PER_S, &stats, &error) != 0 || gyr_stats_view_open(gyr_stats_descriptor(stats), &view, &error) != 0)
		fail_msg("%s", error.text);
	things = gyr_stats_view_find(view, "things");
	return things == NULL ? -1 : 0;
}

static int teardown(void **unused)
{
	gyr_stats_view_close(view);
	gyr_stats_destroy(stats);
	return 0;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static int show(const char *name, uint64_t number)
{
	struct thing_head head = {.number = number};
	strcpy(head.name, name);
	int slot = gyr_stats_take(stats, 1);
	assert_true(slot >= 0);
	gyr_stats_show(stats, 1, slot, &head);
	return slot;
}

static bool read_slot(int slot)
{
	return gyr_stats_view_read(view, things, (uint32_t)slot, 0, UINT32_MAX, true, &reading);
}

static uint64_t value(const char *name)
{
	return gyr_stats_value(view, things, &reading, name);
}

static void test_what_is_written_is_read(void **unused)
{
	const struct gyr_stats_header *header = gyr_stats_view_header(view);
	assert_int_equal(header->pid, getpid());
	assert_int_equal(header->cycles_per_s, CYCLES_PER_S);
	assert_ptr_equal(gyr_stats_view_table(view, 1), things);
	assert_null(gyr_stats_view_table(view, 2));
	assert_null(gyr_stats_view_find(view, "thing"));
	assert_false(read_slot(0));
	int slot = show("first", 77);
	for (uint32_t lane = 0; lane < LANES; lane++) {
		struct thing *thing = gyr_stats_lane(stats, 1, slot, lane);
		assert_int_equal((uintptr_t)thing % GYR_STATS_LANE_ALIGN, 0);
		add(&thing->count, 5 + lane);
		add(&thing->gauge, 1);
		add(&thing->cycles, 1000);
		for (uint64_t i = 1; i <= 100; i++)
			gyr_histogram_count(thing->buckets, &thing->sum_ns, i);
	}
	assert_true(read_slot(slot));
	assert_string_equal(gyr_stats_text(view, things, &reading, "name"), "first");
	assert_int_equal(value("number"), 77);
	assert_int_equal(value("count"), 5 + 6 + 7);
	assert_int_equal(value("gauge"), LANES);
	assert_int_equal(value("busy_ns"), 500 * LANES);
	assert_int_equal(value("nothing"), 0);
	assert_string_equal(gyr_stats_text(view, things, &reading, "count"), "");
	assert_int_equal(reading.histograms[0].count, 100 * LANES);
	assert_int_equal(reading.histograms[0].sum_ns, 5050 * LANES);
	assert_int_equal(gyr_histogram_quantile(&reading.histograms[0], 0.99), 99);
	/* One lane alone, and none beyond the last. */
	assert_true(gyr_stats_view_read(view, things, (uint32_t)slot, 2, 3, false, &reading));
	assert_int_equal(value("count"), 7);
	assert_true(gyr_stats_view_read(view, things, (uint32_t)slot, 3, 9, false, &reading));
	assert_int_equal(value("count"), 0);
	assert_false(gyr_stats_view_read(view, things, SLOTS, 0, 1, false, &reading));
	/* Small lanes follow each other as in an array. */
	int small = gyr_stats_take(stats, 0);
	assert_int_equal((uint8_t *)gyr_stats_lane(stats, 0, small, 1) - (uint8_t *)gyr_stats_lane(stats, 0, small, 0), GYR_STATS_LANE_ALIGN);
}

static uint64_t memory_taken(void)
{
	struct stat about;
	assert_int_equal(fstat(gyr_stats_descriptor(stats), &about), 0);
	return (uint64_t)about.st_blocks * 512;
}

static void test_slots_come_and_go(void **unused)
{
	uint64_t before = memory_taken();
	int slots[SLOTS];
	for (int i = 0; i < SLOTS; i++)
		slots[i] = show("thing", (uint64_t)i);
	assert_int_equal(gyr_stats_take(stats, 1), -ENOSPC);
	assert_int_equal(gyr_stats_view_used(view, things), SLOTS);
	assert_true(memory_taken() >= before + SLOTS * LANES * sizeof(struct thing));
	struct thing *thing = gyr_stats_lane(stats, 1, slots[2], 0);
	add(&thing->count, 3);
	for (int i = 0; i < SLOTS; i++) {
		gyr_stats_release(stats, 1, slots[i]);
		assert_false(read_slot(slots[i]));
	}
	assert_int_equal(gyr_stats_view_used(view, things), 0);
	assert_int_equal(memory_taken(), before + sysconf(_SC_PAGESIZE)); /* the states */
	/* Looking at what is not used takes none either. */
	assert_false(read_slot(1));
	assert_int_equal(memory_taken(), before + sysconf(_SC_PAGESIZE));
	/* One that is used again has forgotten what it was. */
	for (int i = 0; i < SLOTS; i++) {
		int slot = show("again", 9);
		assert_true(read_slot(slot));
		assert_int_equal(value("count"), 0);
	}
}

static void test_outlives_its_writer(void **unused)
{
	int slot = show("last", 1);
	add(&((struct thing *)gyr_stats_lane(stats, 1, slot, 0))->count, 4);
	gyr_stats_destroy(stats);
	stats = NULL;
	assert_true(read_slot(slot));
	assert_int_equal(value("count"), 4);
}

static void test_is_only_read(void **unused)
{
	int descriptor = gyr_stats_descriptor(stats);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), MAP_FAILED);
	assert_int_equal(ftruncate(descriptor, 4096), -1);
	assert_int_equal(pwrite(descriptor, "x", 1, 0), -1);
}

/* Slots change under a reader: what it gets is of one thing, whole. */
static void *change_slots(void *stop)
{
	for (uint64_t i = 1; !atomic_load((_Atomic bool *)stop); i++) {
		struct thing_head head = {.number = i};
		memset(head.name, 'a' + (int)(i % 26), sizeof head.name - 1);
		int slot = gyr_stats_take(stats, 1);
		for (uint32_t lane = 0; lane < LANES; lane++)
			add(&((struct thing *)gyr_stats_lane(stats, 1, slot, lane))->count, i);
		gyr_stats_show(stats, 1, slot, &head);
		/* Shown for as long as none to several readings take. */
		for (uint64_t turns = i % 64 * 200; turns > 0 && !atomic_load((_Atomic bool *)stop); turns--)
			;
		gyr_stats_release(stats, 1, slot);
	}
	return NULL;
}

static void test_a_reading_is_of_one_thing(void **unused)
{
	_Atomic bool stop = false;
	pthread_t writer;
	assert_int_equal(pthread_create(&writer, NULL, change_slots, &stop), 0);
	for (int got = 0; got < 500;) {
		if (!gyr_stats_view_read(view, things, 0, 0, LANES, false, &reading))
			continue;
		uint64_t number = value("number");
		const char *name = gyr_stats_text(view, things, &reading, "name");
		assert_int_equal(value("count"), LANES * number);
		assert_int_equal(strlen(name), 15);
		for (int c = 0; c < 15; c++)
			assert_int_equal(name[c], 'a' + (int)(number % 26));
		got++;
	}
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(writer, NULL), 0);
}

/* A copy of the memory's first bytes, in a memfd of SIZE bytes. */
static int copy(size_t size, int seals)
{
	static uint8_t bytes[16384];
	assert_int_equal(pread(gyr_stats_descriptor(stats), bytes, sizeof bytes, 0), sizeof bytes);
	int descriptor = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(descriptor >= 0);
	assert_int_equal(ftruncate(descriptor, (off_t)size), 0);
	if (size > 0)
		assert_true(pwrite(descriptor, bytes, size < sizeof bytes ? size : sizeof bytes, 0) > 0);
	assert_int_equal(fcntl(descriptor, F_ADD_SEALS, seals), 0);
	return descriptor;
}

static int open_copy(int descriptor)
{
	struct gyr_stats_view *other = NULL;
	int status = gyr_stats_view_open(descriptor, &other, &error);
	gyr_stats_view_close(other);
	close(descriptor);
	return status;
}

static void test_refused(void **unused)
{
	size_t whole = (size_t)gyr_stats_view_header(view)->bytes;
	assert_int_equal(open_copy(copy(whole, F_SEAL_SHRINK)), 0);
	assert_int_equal(open_copy(copy(whole, 0)), -EINVAL);
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	close(pipes[1]);
	assert_int_equal(open_copy(pipes[0]), -EINVAL);
	static const size_t sizes[] = {0, 1, sizeof(struct gyr_stats_header) - 1, sizeof(struct gyr_stats_header), 4096};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		assert_int_equal(open_copy(copy(sizes[i], F_SEAL_SHRINK)), -EBADMSG);
	assert_int_equal(open_copy(copy(whole + 4096, F_SEAL_SHRINK)), -EBADMSG);
}

/* The directory with its two tables as they are given, in memory of SIZE bytes. */
static int open_laid_out(size_t size, const struct gyr_stats_table changed[2])
{
	struct gyr_stats_header header = *gyr_stats_view_header(view);
	int descriptor = copy(size, F_SEAL_SHRINK);
	header.bytes = size;
	assert_int_equal(pwrite(descriptor, &header, sizeof header, 0), sizeof header);
	assert_int_equal(pwrite(descriptor, changed, 2 * sizeof changed[0], (off_t)header.tables_at), 2 * sizeof changed[0]);
	return open_copy(descriptor);
}

/* Whoever walks over tables, slots, lanes and fields must come to an end soon, and have found as many as were announced. */
static void test_what_is_announced_is_there(void **unused)
{
	const struct gyr_stats_table *small = gyr_stats_view_table(view, 0);
	size_t whole = (size_t)gyr_stats_view_header(view)->bytes, states = (size_t)UINT32_MAX * sizeof(uint64_t);
	struct gyr_stats_table changed[2] = {*small, *things};
	assert_int_equal(open_laid_out(whole, changed), 0);
	/* As many lanes as can be counted, none of which takes memory. */
	changed[0].field_count = 0;
	changed[1].field_first = 0;
	changed[0].lane_count = UINT32_MAX;
	changed[0].lane_bytes = 0;
	changed[0].slot_bytes = changed[0].head_bytes;
	assert_int_equal(open_laid_out(whole, changed), -EBADMSG);
	/* As many slots, in memory for all of them. */
	changed[0] = (struct gyr_stats_table){.slot_count = UINT32_MAX, .lane_count = 1, .field_count = 1, .head_bytes = 8, .lane_bytes = 16, .slot_bytes = 24};
	changed[0].states_at = whole;
	changed[0].slots_at = whole + states;
	changed[1] = *things;
	changed[1].slot_count = 0;
	changed[1].states_at = changed[1].slots_at = whole + states + UINT32_MAX * changed[0].slot_bytes;
	assert_int_equal(open_laid_out((size_t)changed[1].slots_at, changed), -EBADMSG);
	/* Fields of two tables, and of none. */
	changed[1] = *things;
	changed[1].field_first = 0;
	changed[1].field_count = 0;
	assert_int_equal(open_laid_out(whole, changed), -EBADMSG);
	changed[1].field_first = small->field_count;
	assert_int_equal(open_laid_out(whole, changed), -EBADMSG);
	/* Slots of two tables. */
	changed[0].slots_at = changed[0].states_at = things->slots_at;
	changed[1] = *things;
	assert_int_equal(open_laid_out(whole, changed), -EBADMSG);
}

/* Any word of the directory made anything else: refused, or read without harm. */
static void test_any_directory_is_safe(void **unused)
{
	static const uint64_t wrong[] = {0, 1, 7, 127, 4096, UINT32_MAX, UINT64_C(1) << 40, UINT64_MAX, UINT64_MAX - 7};
	const struct gyr_stats_header *header = gyr_stats_view_header(view);
	size_t end = (size_t)header->fields_at + header->field_count * sizeof(struct gyr_stats_field), refused = 0, taken = 0;
	show("thing", 1);
	for (size_t at = 0; at < end; at += 4) {
		for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
			int descriptor = copy((size_t)header->bytes, F_SEAL_SHRINK);
			struct gyr_stats_view *other;
			assert_true(pwrite(descriptor, &wrong[i], i % 2 == 0 || at + 8 > end ? 4 : 8, (off_t)at) > 0);
			if (gyr_stats_view_open(descriptor, &other, &error) != 0) {
				refused++;
				close(descriptor);
				continue;
			}
			taken++;
			close(descriptor);
			uint32_t fields = 0;
			uint64_t lanes = 0;
			for (uint32_t t = 0; gyr_stats_view_table(other, t) != NULL; t++) {
				const struct gyr_stats_table *table = gyr_stats_view_table(other, t);
				fields += table->field_count;
				lanes += (uint64_t)table->slot_count * table->lane_count;
				for (uint32_t s = 0; s < SLOTS; s++) {
					if (gyr_stats_view_read(other, table, s, 0, LANES, true, &reading))
						assert_true(strlen(gyr_stats_text(other, table, &reading, "name")) < GYR_STATS_HEAD_BYTES_MAX);
				}
			}
			assert_int_equal(fields, gyr_stats_view_header(other)->field_count);
			assert_true(lanes <= GYR_STATS_LANES_MAX);
			gyr_stats_view_close(other);
		}
	}
	assert_true(refused > 100);
	assert_true(taken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outlives_its_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_only_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_reading_is_of_one_thing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_announced_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_directory_is_safe, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
