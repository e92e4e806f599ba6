/*
 * The reader's end of the counters' shared memory. The directory is copied and checked once; from then on every offset is ours, and what lies in the memory
 * is only ever numbers and texts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "dataplane/link/stats.h"

#define HISTOGRAM_BYTES (GYR_HISTOGRAM_BUCKETS * sizeof(uint64_t))
#define TOTAL_FIELDS_MAX (GYR_STATS_TABLES_MAX * GYR_STATS_FIELDS_MAX)

struct gyr_stats_view {
	const uint8_t *bytes;
	size_t size;
	struct gyr_stats_header header;
	struct gyr_stats_table tables[GYR_STATS_TABLES_MAX];
	struct gyr_stats_field fields[TOTAL_FIELDS_MAX];
};

/* COUNT pieces of BYTES each, from AT on, lie within SIZE. */
static bool fits(uint64_t at, uint64_t count, uint64_t bytes, uint64_t size)
{
	uint64_t all;
	return !__builtin_mul_overflow(count, bytes, &all) && at <= size && all <= size - at;
}

static bool is_word(uint64_t offset, uint64_t within)
{
	return offset % sizeof(uint64_t) == 0 && fits(offset, 1, sizeof(uint64_t), within);
}

static bool is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool check_field(const struct gyr_stats_field *field, const struct gyr_stats_table *table, uint32_t *histograms)
{
	if (!is_text(field->name, sizeof field->name) || !is_text(field->help, sizeof field->help))
		return false;
	uint64_t head = table->head_bytes < GYR_STATS_HEAD_BYTES_MAX ? table->head_bytes : GYR_STATS_HEAD_BYTES_MAX;
	switch (field->kind) {
	case GYR_STATS_TEXT: return field->bytes > 0 && fits(field->offset, 1, field->bytes, head);
	case GYR_STATS_NUMBER: return is_word(field->offset, head);
	case GYR_STATS_COUNTER:
	case GYR_STATS_GAUGE:
	case GYR_STATS_CYCLES: return is_word(field->offset, table->lane_bytes);
	case GYR_STATS_HISTOGRAM:
		return ++*histograms <= GYR_STATS_HISTOGRAMS_MAX && field->offset % sizeof(uint64_t) == 0 &&
		       fits(field->offset, 1, HISTOGRAM_BYTES, table->lane_bytes) && is_word(field->sum_offset, table->lane_bytes);
	default: return false;
	}
}

/* What was laid out before a table: all that a reader does is bounded by the memory there is, because no two tables share any of it. */
struct before {
	uint32_t fields;
	uint64_t bytes, lanes;
};

static bool check_table(const struct gyr_stats_view *view, const struct gyr_stats_table *table, struct before *before)
{
	uint64_t lanes;
	uint32_t histograms = 0;
	if (!is_text(table->name, sizeof table->name) || table->field_first != before->fields || table->field_count > GYR_STATS_FIELDS_MAX ||
	    table->field_count > view->header.field_count - before->fields || table->lane_count == 0 || (table->lane_count > 1 && table->lane_bytes == 0) ||
	    table->head_bytes % sizeof(uint64_t) != 0 || table->lane_bytes % sizeof(uint64_t) != 0 || table->states_at % sizeof(uint64_t) != 0 ||
	    table->slots_at % sizeof(uint64_t) != 0 || __builtin_mul_overflow(table->lane_count, table->lane_bytes, &lanes) ||
	    table->slot_bytes < table->head_bytes || table->slot_bytes - table->head_bytes != lanes || table->states_at < before->bytes ||
	    !fits(table->states_at, table->slot_count, sizeof(uint64_t), view->size) ||
	    table->slots_at < table->states_at + table->slot_count * sizeof(uint64_t) || !fits(table->slots_at, table->slot_count, table->slot_bytes, view->size))
		return false;
	for (uint32_t i = 0; i < table->field_count; i++) {
		if (!check_field(&view->fields[table->field_first + i], table, &histograms))
			return false;
	}
	before->fields += table->field_count;
	before->bytes = table->slots_at + table->slot_count * table->slot_bytes;
	before->lanes += (uint64_t)table->slot_count * table->lane_count;
	return before->lanes <= GYR_STATS_LANES_MAX;
}

static int check(struct gyr_stats_view *view, struct gyr_error *error)
{
	struct gyr_stats_header *header = &view->header;
	if (view->size < sizeof *header)
		return gyr_error_set(error, -EBADMSG, "counters: %zu bytes are less than a header", view->size);
	memcpy(header, view->bytes, sizeof *header);
	if (header->magic != GYR_STATS_MAGIC || header->version != GYR_STATS_VERSION)
		return gyr_error_set(error, -EBADMSG, "counters: layout %u, or none; this end reads %u", header->version, GYR_STATS_VERSION);
	if (header->histogram_sub_bits != GYR_HISTOGRAM_SUB_BITS || header->histogram_bits_max != GYR_HISTOGRAM_BITS_MAX)
		return gyr_error_set(error, -EBADMSG, "counters: histograms of other buckets");
	if (header->bytes != view->size || header->cycles_per_s == 0 || header->table_count > GYR_STATS_TABLES_MAX || header->field_count > TOTAL_FIELDS_MAX ||
	    header->table_bytes != sizeof view->tables[0] || header->field_bytes != sizeof view->fields[0] ||
	    !fits(header->tables_at, header->table_count, header->table_bytes, view->size) ||
	    !fits(header->fields_at, header->field_count, header->field_bytes, view->size))
		return gyr_error_set(error, -EBADMSG, "counters: the header does not fit the %zu bytes there are", view->size);
	memcpy(view->tables, view->bytes + header->tables_at, header->table_count * sizeof view->tables[0]);
	memcpy(view->fields, view->bytes + header->fields_at, header->field_count * sizeof view->fields[0]);
	struct before before = {.bytes = header->fields_at + header->field_count * sizeof view->fields[0]};
	for (uint32_t i = 0; i < header->table_count; i++) {
		if (!check_table(view, &view->tables[i], &before))
			return gyr_error_set(error, -EBADMSG, "counters: table %u, or a field of it, does not fit the %zu bytes there are", i, view->size);
	}
	if (before.fields != header->field_count)
		return gyr_error_set(error, -EBADMSG, "counters: %u fields, of which the tables have %u", header->field_count, before.fields);
	return 0;
}

int gyr_stats_view_open(int descriptor, struct gyr_stats_view **view, struct gyr_error *error)
{
	struct stat about;
	int seals = fcntl(descriptor, F_GET_SEALS);
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(descriptor, &about) != 0)
		return gyr_error_set(error, -EINVAL, "counters: the descriptor is no memfd sealed against shrinking");
	struct gyr_stats_view *made = calloc(1, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the counters' directory");
	made->size = (size_t)about.st_size;
	void *bytes = made->size == 0 ? NULL : mmap(NULL, made->size, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
	int status = bytes == MAP_FAILED ? gyr_error_set(error, -errno, "mmap of %zu bytes of counters: %s", made->size, strerror(errno)) : 0;
	if (status == 0) {
		made->bytes = bytes;
		if (bytes != NULL)
			madvise(bytes, made->size, MADV_DONTDUMP);
		status = check(made, error);
	}
	if (status != 0) {
		gyr_stats_view_close(made);
		return status;
	}
	*view = made;
	return 0;
}

void gyr_stats_view_close(struct gyr_stats_view *view)
{
	if (view == NULL)
		return;
	if (view->bytes != NULL)
		munmap((void *)(uintptr_t)view->bytes, view->size);
	free(view);
}

const struct gyr_stats_header *gyr_stats_view_header(const struct gyr_stats_view *view)
{
	return &view->header;
}

const struct gyr_stats_table *gyr_stats_view_table(const struct gyr_stats_view *view, uint32_t i)
{
	return i < view->header.table_count ? &view->tables[i] : NULL;
}

const struct gyr_stats_table *gyr_stats_view_find(const struct gyr_stats_view *view, const char *name)
{
	for (uint32_t i = 0; i < view->header.table_count; i++) {
		if (strcmp(view->tables[i].name, name) == 0)
			return &view->tables[i];
	}
	return NULL;
}

const struct gyr_stats_field *gyr_stats_view_fields(const struct gyr_stats_view *view, const struct gyr_stats_table *table)
{
	return &view->fields[table->field_first];
}

static const _Atomic uint64_t *words_at(const struct gyr_stats_view *view, uint64_t offset)
{
	return (const _Atomic uint64_t *)(view->bytes + offset);
}

static uint64_t word_at(const struct gyr_stats_view *view, uint64_t offset)
{
	return atomic_load_explicit(words_at(view, offset), memory_order_relaxed);
}

static uint64_t nanoseconds(const struct gyr_stats_view *view, uint64_t cycles)
{
	return (uint64_t)((unsigned __int128)cycles * GYR_NS_PER_S / view->header.cycles_per_s);
}

static void read_head(const struct gyr_stats_view *view, const struct gyr_stats_table *table, uint64_t at, struct gyr_stats_reading *reading)
{
	uint64_t bytes = table->head_bytes < sizeof reading->head ? table->head_bytes : sizeof reading->head;
	for (uint64_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = word_at(view, at + i);
		memcpy(reading->head + i, &word, sizeof word);
	}
}

static void read_lane(const struct gyr_stats_view *view, const struct gyr_stats_table *table, uint64_t at, bool histograms, struct gyr_stats_reading *reading)
{
	struct gyr_histogram *histogram = reading->histograms;
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct gyr_stats_field *field = &view->fields[table->field_first + i];
		if (field->kind == GYR_STATS_HISTOGRAM && histograms)
			gyr_histogram_read(histogram++, words_at(view, at + field->offset), words_at(view, at + field->sum_offset));
		else if (field->kind == GYR_STATS_COUNTER || field->kind == GYR_STATS_GAUGE || field->kind == GYR_STATS_CYCLES)
			reading->values[i] += word_at(view, at + field->offset);
	}
}

/* Texts end within their room; numbers and times become values. */
static void finish(const struct gyr_stats_view *view, const struct gyr_stats_table *table, struct gyr_stats_reading *reading)
{
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct gyr_stats_field *field = &view->fields[table->field_first + i];
		if (field->kind == GYR_STATS_TEXT)
			reading->head[field->offset + field->bytes - 1] = '\0';
		else if (field->kind == GYR_STATS_NUMBER)
			memcpy(&reading->values[i], reading->head + field->offset, sizeof reading->values[i]);
		else if (field->kind == GYR_STATS_CYCLES)
			reading->values[i] = nanoseconds(view, reading->values[i]);
	}
}

bool gyr_stats_view_read(const struct gyr_stats_view *view, const struct gyr_stats_table *table, uint32_t slot, uint32_t lane_first, uint32_t lane_end,
			 bool histograms, struct gyr_stats_reading *reading)
{
	if (slot >= table->slot_count)
		return false;
	const _Atomic uint64_t *state = words_at(view, table->states_at) + slot;
	uint64_t before = atomic_load_explicit(state, memory_order_acquire); /* R2 pairs with W2 in gyr_stats_show */
	if (before % 2 == 0)
		return false;
	uint64_t at = table->slots_at + slot * table->slot_bytes;
	memset(reading->values, 0, sizeof reading->values);
	if (histograms)
		memset(reading->histograms, 0, sizeof reading->histograms);
	read_head(view, table, at, reading);
	for (uint32_t lane = lane_first; lane < lane_end && lane < table->lane_count; lane++)
		read_lane(view, table, at + table->head_bytes + lane * table->lane_bytes, histograms, reading);
	atomic_thread_fence(memory_order_acquire); /* R1 pairs with W1 in gyr_stats_release */
	if (atomic_load_explicit(state, memory_order_relaxed) != before)
		return false;
	finish(view, table, reading);
	return true;
}

uint32_t gyr_stats_view_used(const struct gyr_stats_view *view, const struct gyr_stats_table *table)
{
	uint32_t used = 0;
	for (uint32_t i = 0; i < table->slot_count; i++)
		used += atomic_load_explicit(words_at(view, table->states_at) + i, memory_order_relaxed) % 2 == 1;
	return used;
}

static const struct gyr_stats_field *find_field(const struct gyr_stats_view *view, const struct gyr_stats_table *table, const char *name)
{
	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct gyr_stats_field *field = &view->fields[table->field_first + i];
		if (strcmp(field->name, name) == 0)
			return field;
	}
	return NULL;
}

uint64_t gyr_stats_value(const struct gyr_stats_view *view, const struct gyr_stats_table *table, const struct gyr_stats_reading *reading, const char *name)
{
	const struct gyr_stats_field *field = find_field(view, table, name);
	return field == NULL ? 0 : reading->values[field - gyr_stats_view_fields(view, table)];
}

const char *gyr_stats_text(const struct gyr_stats_view *view, const struct gyr_stats_table *table, const struct gyr_stats_reading *reading, const char *name)
{
	const struct gyr_stats_field *field = find_field(view, table, name);
	return field == NULL || field->kind != GYR_STATS_TEXT ? "" : (const char *)reading->head + field->offset;
}
