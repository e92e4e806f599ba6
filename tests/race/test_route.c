/*
 * Route tables published while two readers use them. Each version that goes is overwritten and freed as soon as publishing says that it may be, so a reader
 * that still held it reads nonsense (or, under a thread sanitizer, is reported).
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "dataplane/loop/route.h"
#include "dataplane/loop/version.h"

#define READERS 2u
#define TABLES 3000u
#define READS UINT64_C(1000000) /* of all readers; tables are published until they are done */
#define READS_LONG UINT64_C(100000000)
#define GONE UINT64_MAX
#define WAIT_NS (20 * GYR_NS_PER_S)

static struct gyr_route_cell cell;
static _Atomic uint32_t ready;
static atomic_bool stop;

struct reader {
	_Alignas(64) pthread_t thread;
	uint32_t number;
	uint64_t reads, tables;
	_Atomic uint64_t reads_told;
};

/* Table N holds versions N and N + 1, and stable is N + 1. */
static void read_once(struct reader *reader, uint64_t *newest)
{
	const struct gyr_route *route = gyr_route_read(&cell);
	const struct gyr_wire_ref names[] = {{.name = "model", .length = 5, .present = true}, {.present = true, .number = 7}};
	const struct gyr_wire_ref none = {0}, label = {.name = "last", .length = 4, .present = true};
	const struct gyr_route_model *model, *same;
	struct gyr_version *stable, *last, *by_number;
	enum gyr_wire_code code = gyr_route_find(route, &names[reader->reads % 2], &none, &model, &stable);
	if (code == GYR_WIRE_UNKNOWN_MODEL && *newest == 0)
		return; /* the empty table from the start */
	GYR_ASSERT(code == GYR_WIRE_OK);
	GYR_ASSERT(stable->number != GONE);
	GYR_ASSERT(stable->number >= *newest);
	reader->tables += stable->number != *newest;
	*newest = stable->number;
	code = gyr_route_find(route, &names[0], &label, &same, &last);
	GYR_ASSERT(code == GYR_WIRE_OK);
	GYR_ASSERT(same == model);
	GYR_ASSERT(last->number == stable->number - 1);
	const struct gyr_wire_ref number = {.present = true, .number = stable->number - 1};
	code = gyr_route_find(route, &names[1], &number, &same, &by_number);
	GYR_ASSERT(code == GYR_WIRE_OK);
	GYR_ASSERT(by_number == last);
}

static void *read_tables(void *argument)
{
	struct reader *reader = argument;
	uint64_t newest = 0;
	gyr_route_reader_start(&cell, reader->number);
	atomic_fetch_add(&ready, 1);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		read_once(reader, &newest);
		reader->reads++;
		atomic_store_explicit(&reader->reads_told, reader->reads, memory_order_relaxed);
		gyr_route_report(&cell, reader->number);
	}
	gyr_route_reader_stop(&cell, reader->number);
	return NULL;
}

static struct gyr_version *make_version(uint64_t number)
{
	struct gyr_version *version = calloc(1, sizeof *version);
	GYR_ASSERT(version != NULL);
	version->number = number;
	return version;
}

static const struct gyr_route *make_table(uint64_t number, struct gyr_version *const versions[2])
{
	const uint64_t numbers[] = {number, number + 1};
	const struct gyr_wire_label labels[] = {{"last", number}, {GYR_LINK_STABLE, number + 1}};
	const struct gyr_route_model model = {.name = "model",
					      .name_length = 5,
					      .handle = 7,
					      .version_count = 2,
					      .label_count = 2,
					      .numbers = numbers,
					      .versions = versions,
					      .labels = labels};
	const struct gyr_route *route = gyr_route_create(&model, 1);
	GYR_ASSERT(route != NULL);
	return route;
}

static uint64_t reads_told(const struct reader readers[READERS])
{
	uint64_t reads = 0;
	for (uint32_t i = 0; i < READERS; i++)
		reads += atomic_load_explicit(&readers[i].reads_told, memory_order_relaxed);
	return reads;
}

int main(void)
{
	const char *is_long = getenv("GYR_LONG");
	uint64_t wanted = is_long != NULL && is_long[0] != '\0' ? READS_LONG : READS, tables = 0, newest = 0;
	static struct reader readers[READERS];
	struct gyr_error error;
	int status = gyr_route_cell_init(&cell, READERS, &error);
	GYR_ASSERT(status == 0);
	for (uint32_t i = 0; i < READERS; i++) {
		readers[i].number = i;
		status = pthread_create(&readers[i].thread, NULL, read_tables, &readers[i]);
		GYR_ASSERT(status == 0);
	}
	while (atomic_load(&ready) < READERS)
		;
	struct gyr_version *versions[2] = {make_version(1), make_version(2)};
	for (uint64_t number = 1; tables < TABLES || reads_told(readers) < wanted; number++, tables++) {
		bool free_now = gyr_route_publish(&cell, make_table(number, versions), WAIT_NS);
		GYR_ASSERT(free_now);
		/* The next table does without the older of the two: once it is published nobody may hold that one. */
		struct gyr_version *gone = versions[0];
		versions[0] = versions[1];
		versions[1] = make_version(number + 2);
		free_now = gyr_route_publish(&cell, make_table(number + 1, versions), WAIT_NS);
		GYR_ASSERT(free_now);
		memset(gone, 0xff, sizeof *gone);
		free(gone);
		newest = number + 2;
	}
	atomic_store(&stop, true);
	uint64_t reads = 0, seen = 0;
	for (uint32_t i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		reads += readers[i].reads;
		seen += readers[i].tables;
	}
	GYR_ASSERT(cell.stuck == 0);
	GYR_ASSERT(seen > tables / 2);
	gyr_route_cell_fini(&cell);
	free(versions[0]);
	free(versions[1]);
	printf("%" PRIu64 " tables up to version %" PRIu64 ", %" PRIu64 " reads, %" PRIu64 " changes seen\n", 2 * tables, newest, reads, seen);
	return 0;
}
