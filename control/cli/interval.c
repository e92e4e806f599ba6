#include "control/cli/interval.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/histogram.h"
#include "control/cli/ctl.h"

static double since(yyjson_mut_val *earlier, yyjson_mut_val *later, const char *name)
{
	uint64_t before = ctl_whole(earlier, name), after = ctl_whole(later, name);
	return after > before ? (double)(after - before) : 0;
}

/* The row of LIST whose members NAMES (texts or numbers, NULL ends them) are those of ROW, as far as that has them; NULL: none. */
static yyjson_mut_val *find_row(yyjson_mut_val *list, yyjson_mut_val *row, const char *const *names)
{
	size_t index, max;
	yyjson_mut_val *other;
	yyjson_mut_arr_foreach(list, index, max, other)
	{
		bool same = true;
		for (uint32_t i = 0; names[i] != NULL; i++) {
			yyjson_mut_val *wanted = yyjson_mut_obj_get(row, names[i]);
			same = same && (wanted == NULL || yyjson_mut_equals(yyjson_mut_obj_get(other, names[i]), wanted));
		}
		if (same)
			return other;
	}
	return NULL;
}

/* The growth of NAME in all rows of TABLE. A row that is new has grown from 0. */
static double sum_since(yyjson_mut_val *earlier, yyjson_mut_val *later, const char *table, const char *name)
{
	static const char *const names[] = {"name", "port", "queue", "lcore", NULL};
	size_t index, max;
	double sum = 0;
	yyjson_mut_val *row, *before = yyjson_mut_obj_get(earlier, table);
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(later, table), index, max, row)
	{
		sum += since(find_row(before, row, names), row, name);
	}
	return sum;
}

static void add_lcores(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_mut_val *earlier, yyjson_mut_val *later, double interval_ns)
{
	static const char *const names[] = {"lcore", NULL};
	size_t index, max;
	yyjson_mut_val *row, *list = yyjson_mut_obj_add_arr(doc, to, "lcores");
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(later, "lcores"), index, max, row)
	{
		yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, list);
		yyjson_mut_obj_add_uint(doc, one, "lcore", ctl_whole(row, "lcore"));
		yyjson_mut_obj_add_uint(doc, one, "cpu", ctl_whole(row, "cpu"));
		yyjson_mut_obj_add_strcpy(doc, one, "roles", ctl_text(row, "roles"));
		yyjson_mut_obj_add_real(doc, one, "busy", since(find_row(yyjson_mut_obj_get(earlier, "lcores"), row, names), row, "busy_ns") / interval_ns);
		yyjson_mut_obj_add_uint(doc, one, "queued", ctl_whole(row, "queued"));
	}
}

/* Adds the buckets of STAGE, or takes them off, as far as there are so many: those of one that was loaded anew meanwhile are others. */
static void add_buckets(struct gyr_histogram *histogram, yyjson_mut_val *stage, bool off)
{
	size_t index, max;
	yyjson_mut_val *pair;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(stage, "buckets"), index, max, pair)
	{
		size_t bucket = gyr_histogram_bucket(yyjson_mut_get_uint(yyjson_mut_arr_get(pair, 0)));
		uint64_t count = yyjson_mut_get_uint(yyjson_mut_arr_get(pair, 1));
		uint64_t there = histogram->buckets[bucket];
		histogram->buckets[bucket] = !off ? there + count : there > count ? there - count : 0;
	}
}

static void add_stages(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_mut_val *earlier, yyjson_mut_val *later)
{
	size_t index, max;
	yyjson_mut_val *name, *stage, *stages = yyjson_mut_obj_add_obj(doc, to, "stages");
	struct gyr_histogram *between = calloc(2, sizeof *between);
	GYR_ASSERT(between != NULL);
	yyjson_mut_obj_foreach(later, index, max, name, stage)
	{
		memset(between, 0, 2 * sizeof *between);
		add_buckets(&between[0], stage, false);
		add_buckets(&between[0], yyjson_mut_obj_get(earlier, yyjson_mut_get_str(name)), true);
		for (size_t i = 0; i < GYR_HISTOGRAM_BUCKETS; i++)
			gyr_histogram_add_bucket(&between[1], i, between[0].buckets[i]);
		yyjson_mut_val *figures = yyjson_mut_obj(doc);
		yyjson_mut_obj_add(stages, yyjson_mut_strcpy(doc, yyjson_mut_get_str(name)), figures);
		yyjson_mut_obj_add_uint(doc, figures, "p50_ns", gyr_histogram_quantile(&between[1], 0.5));
		yyjson_mut_obj_add_uint(doc, figures, "p99_ns", gyr_histogram_quantile(&between[1], 0.99));
		yyjson_mut_obj_add_uint(doc, figures, "p99.9_ns", gyr_histogram_quantile(&between[1], 0.999));
	}
	free(between);
}

/* The growth of all counters of ROW whose name begins with PREFIX. */
static double prefix_since(yyjson_mut_val *earlier, yyjson_mut_val *row, const char *prefix)
{
	size_t index, max;
	double sum = 0;
	yyjson_mut_val *name, *value;
	yyjson_mut_obj_foreach(row, index, max, name, value)
	{
		if (strncmp(yyjson_mut_get_str(name), prefix, strlen(prefix)) == 0)
			sum += since(earlier, row, yyjson_mut_get_str(name));
	}
	return sum;
}

/* Also what all versions did together, into TO. */
static void add_versions(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_mut_val *earlier, yyjson_mut_val *later, double interval_ns)
{
	/* Loaded anew, a version counts from 0 again: then it mostly has fewer requests than before, and nothing is taken off. */
	static const char *const names[] = {"model", "version", NULL};
	double per_s = 1e9 / interval_ns, rows_per_s = 0;
	size_t index, max;
	yyjson_mut_val *row, *list = yyjson_mut_obj_add_arr(doc, to, "versions");
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(later, "versions"), index, max, row)
	{
		yyjson_mut_val *before = find_row(yyjson_mut_obj_get(earlier, "versions"), row, names), *one = yyjson_mut_arr_add_obj(doc, list);
		if (ctl_whole(before, "requests") > ctl_whole(row, "requests"))
			before = NULL;
		double rows = since(before, row, "rows"), runs = prefix_since(before, row, "runs.");
		yyjson_mut_obj_add_strcpy(doc, one, "model", ctl_text(row, "model"));
		yyjson_mut_obj_add_uint(doc, one, "version", ctl_whole(row, "version"));
		yyjson_mut_obj_add_real(doc, one, "requests_per_s", since(before, row, "requests") * per_s);
		yyjson_mut_obj_add_real(doc, one, "rows_per_s", rows * per_s);
		yyjson_mut_obj_add_real(doc, one, "rows_per_run", runs > 0 ? rows / runs : 0);
		yyjson_mut_obj_add_real(doc, one, "busy", since(before, row, "engine_ns") / interval_ns);
		yyjson_mut_obj_add_real(doc, one, "refused_per_s", prefix_since(before, row, "refused.") * per_s);
		add_stages(doc, one, yyjson_mut_obj_get(before, "stages"), yyjson_mut_obj_get(row, "stages"));
		rows_per_s += rows * per_s;
	}
	yyjson_mut_obj_add_real(doc, to, "rows_per_s", rows_per_s);
}

/* Whether a counter counts what was not answered as it was asked. */
static bool is_refusal(const char *name)
{
	static const char *const served[] = {"answer.result", "answer.description", "answer.pong", "net.datagram", "net.arp_reply", "net.echo_reply",
					     "net.nd_reply",  "send.unasked",       NULL};
	for (uint32_t i = 0; served[i] != NULL; i++) {
		if (strcmp(name, served[i]) == 0)
			return false;
	}
	return strncmp(name, "answer.", 7) == 0 || strncmp(name, "net.", 4) == 0 || strncmp(name, "send.", 5) == 0;
}

static void add_refused(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_mut_val *earlier, yyjson_mut_val *later, double interval_ns)
{
	static const char *const lost[] = {"port.missed", "port.no_buffer"};
	size_t index, max;
	yyjson_mut_val *name, *value, *refused = yyjson_mut_obj_add_obj(doc, to, "refused");
	yyjson_mut_obj_foreach(yyjson_mut_arr_get_first(yyjson_mut_obj_get(later, "lcores")), index, max, name, value)
	{
		const char *text = yyjson_mut_get_str(name);
		double grown = is_refusal(text) ? sum_since(earlier, later, "lcores", text) : 0;
		if (grown > 0)
			yyjson_mut_obj_add(refused, yyjson_mut_strcpy(doc, text), yyjson_mut_real(doc, grown * 1e9 / interval_ns));
	}
	for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
		double grown = sum_since(earlier, later, "ports", lost[i]);
		if (grown > 0)
			yyjson_mut_obj_add_real(doc, refused, lost[i], grown * 1e9 / interval_ns);
	}
}

/* Datagrams that were taken and have no answer yet. */
static uint64_t count_under_way(yyjson_mut_val *later)
{
	size_t index, max;
	double datagrams = 0, answers = 0;
	yyjson_mut_val *row;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(later, "lcores"), index, max, row)
	{
		datagrams += since(NULL, row, "net.datagram");
		answers += prefix_since(NULL, row, "answer.");
	}
	return datagrams > answers ? (uint64_t)(datagrams - answers) : 0;
}

yyjson_mut_val *ctl_interval(yyjson_mut_doc *doc, yyjson_mut_val *earlier, yyjson_mut_val *later)
{
	double interval_ns = since(earlier, later, "now_ns");
	if (ctl_whole(earlier, "pid") != ctl_whole(later, "pid") || ctl_whole(earlier, "started_ns") != ctl_whole(later, "started_ns") || interval_ns <= 0)
		return NULL;
	double per_s = 1e9 / interval_ns;
	yyjson_mut_val *to = yyjson_mut_obj(doc);
	yyjson_mut_obj_add_real(doc, to, "interval_s", interval_ns / 1e9);
	yyjson_mut_obj_add_real(doc, to, "requests_per_s", sum_since(earlier, later, "lcores", "answer.result") * per_s);
	yyjson_mut_obj_add_real(doc, to, "received_per_s", sum_since(earlier, later, "rx", "rx.frames") * per_s);
	yyjson_mut_obj_add_real(doc, to, "sent_per_s", sum_since(earlier, later, "tx", "tx.frames") * per_s);
	yyjson_mut_obj_add_uint(doc, to, "under_way", count_under_way(later));
	add_lcores(doc, to, earlier, later, interval_ns);
	add_versions(doc, to, earlier, later, interval_ns);
	add_refused(doc, to, earlier, later, interval_ns);
	return to;
}
