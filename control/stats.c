/*
 * The counters, from the shared memory that the data plane writes: nobody is asked, nothing is waited for. Rows are packed as the memory describes them; the
 * only names known here are those of the tables, and of what status puts together.
 */
#include "control/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "control/gyrd.h"

static const struct {
	const char *name;
	double quantile;
} quantiles[] = {{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"p99.9_ns", 0.999}, {"p99.99_ns", 0.9999}};
#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

/* Which fields of a row are packed. */
enum part {
	PART_OWN = 1,       /* texts, numbers, and counters whose name has no dot */
	PART_COMMON = 2,    /* counters whose name has a dot: one of many of a kind */
	PART_HISTOGRAMS = 4 /* as "stages" */
};

struct rows {
	const struct gyr_stats_view *view;
	const struct gyr_stats_table *table;
	unsigned parts; /* enum part */
	bool buckets;
};

static bool is_packed(const struct rows *rows, const struct gyr_stats_field *field)
{
	if (field->kind == GYR_STATS_HISTOGRAM)
		return false;
	bool head = field->kind == GYR_STATS_TEXT || field->kind == GYR_STATS_NUMBER;
	return (rows->parts & (head || strchr(field->name, '.') == NULL ? PART_OWN : PART_COMMON)) != 0;
}

/* The values of the fields that ROWS asks for, as pairs; how many there are. PACKER may be NULL. */
static uint32_t pack_fields(msgpack_packer *packer, const struct rows *rows, const struct gyr_stats_reading *reading)
{
	const struct gyr_stats_field *fields = gyr_stats_view_fields(rows->view, rows->table);
	uint32_t count = 0;
	for (uint32_t i = 0; i < rows->table->field_count; i++) {
		if (!is_packed(rows, &fields[i]))
			continue;
		count++;
		if (packer != NULL && fields[i].kind == GYR_STATS_TEXT)
			gyr_rpc_pair_text(packer, fields[i].name, (const char *)reading->head + fields[i].offset);
		else if (packer != NULL)
			gyr_rpc_pair_whole(packer, fields[i].name, reading->values[i]);
	}
	return count;
}

/* [[a bucket's largest value, how many], ...] of buckets that are not empty. */
static void pack_buckets(msgpack_packer *packer, const struct gyr_histogram *histogram)
{
	uint32_t used = 0;
	for (size_t i = 0; i < GYR_HISTOGRAM_BUCKETS; i++)
		used += histogram->buckets[i] != 0;
	msgpack_pack_array(packer, used);
	for (size_t i = 0; i < GYR_HISTOGRAM_BUCKETS; i++) {
		if (histogram->buckets[i] == 0)
			continue;
		msgpack_pack_array(packer, 2);
		msgpack_pack_uint64(packer, gyr_histogram_bucket_last(i));
		msgpack_pack_uint64(packer, histogram->buckets[i]);
	}
}

static void pack_histogram(msgpack_packer *packer, const struct gyr_histogram *histogram, bool buckets)
{
	msgpack_pack_map(packer, 3 + QUANTILES + buckets);
	gyr_rpc_pair_whole(packer, "count", histogram->count);
	gyr_rpc_pair_whole(packer, "sum_ns", histogram->sum_ns);
	for (size_t i = 0; i < QUANTILES; i++)
		gyr_rpc_pair_whole(packer, quantiles[i].name, gyr_histogram_quantile(histogram, quantiles[i].quantile));
	gyr_rpc_pair_whole(packer, "max_ns", histogram->max_ns);
	if (buckets) {
		gyr_rpc_pack_text(packer, "buckets");
		pack_buckets(packer, histogram);
	}
}

static uint32_t histogram_count(const struct rows *rows)
{
	const struct gyr_stats_field *fields = gyr_stats_view_fields(rows->view, rows->table);
	uint32_t count = 0;
	for (uint32_t i = 0; i < rows->table->field_count; i++)
		count += fields[i].kind == GYR_STATS_HISTOGRAM;
	return (rows->parts & PART_HISTOGRAMS) != 0 ? count : 0;
}

static void pack_histograms(msgpack_packer *packer, const struct rows *rows, const struct gyr_stats_reading *reading)
{
	const struct gyr_stats_field *fields = gyr_stats_view_fields(rows->view, rows->table);
	gyr_rpc_pack_text(packer, "stages");
	msgpack_pack_map(packer, histogram_count(rows));
	for (uint32_t i = 0, h = 0; i < rows->table->field_count; i++) {
		if (fields[i].kind != GYR_STATS_HISTOGRAM)
			continue;
		gyr_rpc_pack_text(packer, fields[i].name);
		pack_histogram(packer, &reading->histograms[h++], rows->buckets);
	}
}

/* What each lane counted by itself, as "lanes". False: the slot was given up meanwhile. */
static bool pack_lanes(msgpack_packer *packer, const struct rows *rows, uint32_t slot, struct gyr_stats_reading *reading)
{
	const struct gyr_stats_field *fields = gyr_stats_view_fields(rows->view, rows->table);
	uint32_t count = 0;
	for (uint32_t i = 0; i < rows->table->field_count; i++)
		count += fields[i].kind == GYR_STATS_COUNTER || fields[i].kind == GYR_STATS_GAUGE || fields[i].kind == GYR_STATS_CYCLES;
	gyr_rpc_pack_text(packer, "lanes");
	msgpack_pack_array(packer, rows->table->lane_count);
	for (uint32_t lane = 0; lane < rows->table->lane_count; lane++) {
		if (!gyr_stats_view_read(rows->view, rows->table, slot, lane, lane + 1, false, reading))
			return false;
		msgpack_pack_map(packer, count);
		for (uint32_t i = 0; i < rows->table->field_count; i++) {
			if (fields[i].kind == GYR_STATS_COUNTER || fields[i].kind == GYR_STATS_GAUGE || fields[i].kind == GYR_STATS_CYCLES)
				gyr_rpc_pair_whole(packer, fields[i].name, reading->values[i]);
		}
	}
	return true;
}

/* Packs the row of SLOT. False: it is not in use, or not any more; then what was packed is to be taken back. */
static bool pack_row(msgpack_packer *packer, const struct rows *rows, uint32_t slot, struct gyr_stats_reading *reading)
{
	uint32_t histograms = histogram_count(rows);
	bool lanes = rows->table->lane_count > 1 && (rows->parts & PART_COMMON) != 0;
	if (!gyr_stats_view_read(rows->view, rows->table, slot, 0, rows->table->lane_count, histograms > 0, reading))
		return false;
	msgpack_pack_map(packer, pack_fields(NULL, rows, reading) + (histograms > 0) + lanes);
	pack_fields(packer, rows, reading);
	if (histograms > 0)
		pack_histograms(packer, rows, reading);
	return !lanes || pack_lanes(packer, rows, slot, reading);
}

static struct gyr_stats_reading *new_reading(void)
{
	struct gyr_stats_reading *reading = malloc(sizeof *reading);
	GYR_ASSERT(reading != NULL);
	return reading;
}

/* An array of all rows; aside first, as its length stands before it. */
static void pack_rows(msgpack_packer *packer, const struct rows *rows)
{
	struct gyr_stats_reading *reading = new_reading();
	msgpack_sbuffer aside;
	msgpack_packer to_aside;
	uint32_t count = 0;
	msgpack_sbuffer_init(&aside);
	msgpack_packer_init(&to_aside, &aside, msgpack_sbuffer_write);
	for (uint32_t slot = 0; slot < rows->table->slot_count; slot++) {
		size_t before = aside.size;
		if (pack_row(&to_aside, rows, slot, reading))
			count++;
		else
			aside.size = before;
	}
	msgpack_pack_array(packer, count);
	if (aside.size > 0)
		packer->callback(packer->data, aside.data, aside.size);
	msgpack_sbuffer_destroy(&aside);
	free(reading);
}

static void pack_table(msgpack_packer *packer, const struct gyr_stats_view *view, const char *name, unsigned parts)
{
	const struct gyr_stats_table *table = gyr_stats_view_find(view, name);
	gyr_rpc_pack_text(packer, name);
	if (table == NULL)
		msgpack_pack_array(packer, 0);
	else
		pack_rows(packer, &(struct rows){.view = view, .table = table, .parts = parts});
}

static uint64_t uptime_ns(const struct gyr_stats_view *view)
{
	return gyr_clock_ns() - gyr_stats_view_header(view)->started_ns;
}

/* --- status --- */

/* The common counters of tables that nothing is taken out of while the data plane lives, each summed over its rows. */
static void pack_counters(msgpack_packer *packer, const struct gyr_stats_view *view)
{
	static const char *const names[] = {"lcores", "rx", "tx", "ports", "house"};
	struct gyr_stats_reading *reading = new_reading();
	uint32_t count = 0;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct gyr_stats_table *table = gyr_stats_view_find(view, names[i]);
		count += table == NULL ? 0 : pack_fields(NULL, &(struct rows){.view = view, .table = table, .parts = PART_COMMON}, NULL);
	}
	gyr_rpc_pack_text(packer, "counters");
	msgpack_pack_map(packer, count);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct gyr_stats_table *table = gyr_stats_view_find(view, names[i]);
		uint64_t sums[GYR_STATS_FIELDS_MAX] = {0};
		for (uint32_t slot = 0; table != NULL && slot < table->slot_count; slot++) {
			bool read = gyr_stats_view_read(view, table, slot, 0, table->lane_count, false, reading);
			for (uint32_t f = 0; read && f < table->field_count; f++)
				sums[f] += reading->values[f];
		}
		if (table == NULL)
			continue;
		memcpy(reading->values, sums, sizeof sums);
		pack_fields(packer, &(struct rows){.view = view, .table = table, .parts = PART_COMMON}, reading);
	}
	free(reading);
}

/* Refusals of a version, whatever the reason. */
static uint64_t count_refused(const struct rows *rows, const struct gyr_stats_reading *reading)
{
	const struct gyr_stats_field *fields = gyr_stats_view_fields(rows->view, rows->table);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < rows->table->field_count; i++)
		sum += strncmp(fields[i].name, "refused.", 8) == 0 ? reading->values[i] : 0;
	return sum;
}

/* The histogram of that name, or NULL. */
static const struct gyr_histogram *find_histogram(const struct rows *rows, const struct gyr_stats_reading *reading, const char *name)
{
	const struct gyr_stats_field *fields = gyr_stats_view_fields(rows->view, rows->table);
	const struct gyr_histogram *histogram = reading->histograms;
	for (uint32_t i = 0; i < rows->table->field_count; i++) {
		if (fields[i].kind == GYR_STATS_HISTOGRAM && strcmp(fields[i].name, name) == 0)
			return histogram;
		histogram += fields[i].kind == GYR_STATS_HISTOGRAM;
	}
	return NULL;
}

struct served {
	uint32_t slot;
	uint64_t version;
	char model[64];
};

static int by_model(const void *a, const void *b)
{
	const struct served *x = a, *y = b;
	int names = strcmp(x->model, y->model);
	return names != 0 ? names : x->version < y->version ? -1 : x->version > y->version;
}

/* The versions that are shown, by model and number; *COUNT of them, to be freed. */
static struct served *list_served(const struct rows *rows, struct gyr_stats_reading *reading, uint32_t *count)
{
	struct served *list = calloc((size_t)rows->table->slot_count + 1, sizeof *list);
	GYR_ASSERT(list != NULL);
	*count = 0;
	for (uint32_t slot = 0; slot < rows->table->slot_count; slot++) {
		if (!gyr_stats_view_read(rows->view, rows->table, slot, 0, 0, false, reading))
			continue;
		struct served *one = &list[(*count)++];
		one->slot = slot;
		one->version = gyr_stats_value(rows->view, rows->table, reading, "version");
		strncpy(one->model, gyr_stats_text(rows->view, rows->table, reading, "model"), sizeof one->model - 1);
	}
	qsort(list, *count, sizeof *list, by_model);
	return list;
}

static void pack_served(msgpack_packer *packer, const struct rows *rows, const struct served *served, struct gyr_stats_reading *reading)
{
	if (!gyr_stats_view_read(rows->view, rows->table, served->slot, 0, rows->table->lane_count, true, reading)) {
		/* Unloaded since the list was made. */
		msgpack_pack_map(packer, 1);
		gyr_rpc_pair_whole(packer, "version", served->version);
		return;
	}
	const struct gyr_histogram *total = find_histogram(rows, reading, "total");
	msgpack_pack_map(packer, pack_fields(NULL, rows, reading) + 4);
	pack_fields(packer, rows, reading);
	gyr_rpc_pair_text(packer, "state", "ready");
	gyr_rpc_pair_whole(packer, "errors", count_refused(rows, reading));
	gyr_rpc_pair_whole(packer, "p50_ns", total == NULL ? 0 : gyr_histogram_quantile(total, 0.5));
	gyr_rpc_pair_whole(packer, "p99_ns", total == NULL ? 0 : gyr_histogram_quantile(total, 0.99));
}

static void pack_labels(msgpack_packer *packer, const struct gyr_held_route *route)
{
	uint32_t count = route == NULL ? 0 : route->label_count;
	gyr_rpc_pack_text(packer, "labels");
	msgpack_pack_map(packer, count);
	for (uint32_t i = 0; i < count; i++)
		gyr_rpc_pair_whole(packer, route->labels[i].name, route->labels[i].version);
}

static void pack_models(msgpack_packer *packer, const struct gyr_rollout *rollout, const struct gyr_stats_view *view)
{
	struct rows rows = {.view = view, .table = gyr_stats_view_find(view, "versions"), .parts = PART_OWN};
	gyr_rpc_pack_text(packer, "models");
	if (rows.table == NULL) {
		msgpack_pack_array(packer, 0);
		return;
	}
	struct gyr_stats_reading *reading = new_reading();
	uint32_t count, models = 0;
	struct served *list = list_served(&rows, reading, &count);
	for (uint32_t i = 0; i < count; i++)
		models += i == 0 || strcmp(list[i].model, list[i - 1].model) != 0;
	msgpack_pack_array(packer, models);
	for (uint32_t i = 0, end; i < count; i = end) {
		for (end = i; end < count && strcmp(list[end].model, list[i].model) == 0;)
			end++;
		msgpack_pack_map(packer, 3);
		gyr_rpc_pair_text(packer, "model", list[i].model);
		gyr_rpc_pack_text(packer, "versions");
		msgpack_pack_array(packer, end - i);
		for (uint32_t v = i; v < end; v++)
			pack_served(packer, &rows, &list[v], reading);
		pack_labels(packer, gyr_rollout_route(rollout, list[i].model));
	}
	free(list);
	free(reading);
}

void gyrd_pack_status(msgpack_packer *packer, const struct gyr_rollout *rollout, const struct gyr_stats_view *view)
{
	msgpack_pack_map(packer, 7);
	gyr_rpc_pair_whole(packer, "pid", gyr_stats_view_header(view)->pid);
	gyr_rpc_pair_whole(packer, "uptime_ns", uptime_ns(view));
	pack_table(packer, view, "house", PART_OWN);
	pack_table(packer, view, "ports", PART_OWN);
	pack_table(packer, view, "lcores", PART_OWN);
	pack_counters(packer, view);
	pack_models(packer, rollout, view);
}

/* --- stats --- */

static void pack_help(msgpack_packer *packer, const struct gyr_stats_view *view)
{
	static const char *const kinds[] = {[GYR_STATS_TEXT] = "text",   [GYR_STATS_NUMBER] = "number",  [GYR_STATS_COUNTER] = "counter",
					    [GYR_STATS_GAUGE] = "gauge", [GYR_STATS_CYCLES] = "counter", [GYR_STATS_HISTOGRAM] = "histogram"};
	const struct gyr_stats_table *table;
	gyr_rpc_pack_text(packer, "help");
	msgpack_pack_array(packer, gyr_stats_view_header(view)->field_count);
	for (uint32_t t = 0; (table = gyr_stats_view_table(view, t)) != NULL; t++) {
		const struct gyr_stats_field *fields = gyr_stats_view_fields(view, table);
		for (uint32_t i = 0; i < table->field_count; i++) {
			msgpack_pack_map(packer, 4);
			gyr_rpc_pair_text(packer, "table", table->name);
			gyr_rpc_pair_text(packer, "name", fields[i].name);
			gyr_rpc_pair_text(packer, "kind", kinds[fields[i].kind]);
			gyr_rpc_pair_text(packer, "help", fields[i].help);
		}
	}
}

static bool is_asked(const struct gyr_rpc_call *call, const char *what)
{
	const char *value = gyr_rpc_value(&call->request, what);
	return value != NULL && strcmp(value, "yes") == 0;
}

void gyrd_serve_stats(void *user, struct gyr_rpc_call *call)
{
	const struct gyrd *gyrd = user;
	const struct gyr_stats_view *view = gyr_rollout_stats(gyrd->rollout);
	struct gyr_peer *peer = gyr_rollout_peer(gyrd->rollout);
	bool help = is_asked(call, "help"), buckets = is_asked(call, "buckets");
	if (view == NULL) {
		gyr_rpc_answer(call, -ENOENT, "no data plane has shown its counters since gyrd began");
		return;
	}
	struct gyr_rpc_buffer buffer;
	const struct gyr_stats_table *table;
	const struct gyr_stats_header *header = gyr_stats_view_header(view);
	gyr_rpc_answer_begin(&buffer);
	msgpack_pack_map(&buffer.packer, 5 + header->table_count + help);
	gyr_rpc_pair_bool(&buffer.packer, "alive", gyr_peer_is_up(peer) && (uint64_t)gyr_peer_pid(peer) == header->pid);
	gyr_rpc_pair_whole(&buffer.packer, "pid", header->pid);
	gyr_rpc_pair_whole(&buffer.packer, "started_ns", header->started_ns);
	gyr_rpc_pair_whole(&buffer.packer, "uptime_ns", uptime_ns(view));
	gyr_rpc_pair_whole(&buffer.packer, "now_ns", gyr_clock_ns());
	for (uint32_t t = 0; (table = gyr_stats_view_table(view, t)) != NULL; t++) {
		const struct rows rows = {.view = view, .table = table, .parts = PART_OWN | PART_COMMON | PART_HISTOGRAMS, .buckets = buckets};
		gyr_rpc_pack_text(&buffer.packer, table->name);
		pack_rows(&buffer.packer, &rows);
	}
	if (help)
		pack_help(&buffer.packer, view);
	gyr_rpc_answer_send(call, &buffer);
}
