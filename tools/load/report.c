/* The table for people. */
#include "tools/load/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct load_quantile load_quantiles[] = {{"p50", "p50", 0.5},      {"p90", "p90", 0.9},         {"p99", "p99", 0.99},
					       {"p99.9", "p999", 0.999}, {"p99.99", "p9999", 0.9999}, {"p99.999", "p99999", 0.99999}};
_Static_assert(sizeof load_quantiles / sizeof load_quantiles[0] == LOAD_QUANTILES, "as declared");

#define NAME_WIDTH 26

static const char *const timing_names[] = {"queued", "computed", "served"};

double load_per_second(const struct load_stats *stats, uint64_t count)
{
	return stats->elapsed_ns == 0 ? 0 : (double)count * 1e9 / (double)stats->elapsed_ns;
}

double load_share(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (double)part / (double)whole;
}

const char *load_error_name(unsigned index)
{
	return index < GYR_WIRE_CODE_COUNT ? gyr_wire_code_name((enum gyr_wire_code)index) : "unknown code";
}

bool load_fell_behind(const struct load_stats *stats, const struct load_sum *all)
{
	uint64_t late = gyr_histogram_quantile(&stats->late, 0.99);
	return stats->late.count > 0 && late * 4 > gyr_histogram_quantile(&all->round_trip, 0.99) && all->round_trip.count > 0;
}

/* N with a comma after each three digits; into one of the caller's buffers, since a line shows several. */
static const char *grouped(uint64_t number, char text[32])
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%" PRIu64, number), used = 0;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = 0;
	return text;
}

static void print_times(FILE *to, const struct gyr_histogram *histogram)
{
	for (size_t i = 0; i < LOAD_QUANTILES; i++)
		fprintf(to, " %9.2f", (double)gyr_histogram_quantile(histogram, load_quantiles[i].quantile) / 1e3);
	fprintf(to, " %9.2f\n", (double)histogram->max_ns / 1e3);
}

static void print_head(FILE *to)
{
	fprintf(to, "%-*s %12s %12s %11s %10s %9s %12s", NAME_WIDTH, "", "asked", "answered", "busy", "refused", "lost", "answers/s");
	for (size_t i = 0; i < LOAD_QUANTILES; i++)
		fprintf(to, " %9s", load_quantiles[i].name);
	fprintf(to, " %9s us\n", "max");
}

static void print_row(FILE *to, const char *name, const struct load_stats *stats, const struct load_sum *sum)
{
	char a[32], b[32], c[32], d[32], e[32], f[32];
	fprintf(to, "%-*s %12s %12s %11s %10s %9s %12s", NAME_WIDTH, name, grouped(sum->asked, a), grouped(sum->answered, b), grouped(sum->busy, c),
		grouped(sum->refused, d), grouped(sum->lost, e), grouped((uint64_t)(load_per_second(stats, sum->answered) + 0.5), f));
	print_times(to, &sum->round_trip);
}

static void print_version(FILE *to, const struct load_stats *stats, const struct load_version *version)
{
	char name[40], a[32], b[32];
	snprintf(name, sizeof name, "    version %" PRIu64, version->version);
	fprintf(to, "%-*s %12s %12s %11s %10s %9s %12s", NAME_WIDTH, name, "", grouped(version->answers, a), "", "", "",
		grouped((uint64_t)(load_per_second(stats, version->answers) + 0.5), b));
	print_times(to, &version->round_trip);
}

static void print_histogram(FILE *to, const char *name, const struct gyr_histogram *histogram)
{
	char a[32];
	if (histogram->count == 0)
		return;
	fprintf(to, "%-*s %12s %12s %11s %10s %9s %12s", NAME_WIDTH, name, "", grouped(histogram->count, a), "", "", "", "");
	print_times(to, histogram);
}

static void print_judgement(FILE *to, const struct load_source *source, const char *name, const struct load_sum *sum)
{
	char a[32], b[32];
	if (sum->right + sum->wrong == 0)
		return;
	if (source->labels != NULL)
		fprintf(to, "accuracy %s: %.4f (%s of %s right)\n", name, load_share(sum->right, sum->right + sum->wrong), grouped(sum->right, a),
			grouped(sum->right + sum->wrong, b));
	else
		fprintf(to, "checked %s: %s answers, %s wrong\n", name, grouped(sum->right + sum->wrong, a), grouped(sum->wrong, b));
}

static void print_amiss(FILE *to, const struct load_stats *stats, const struct load_sum *all)
{
	const struct {
		const char *what;
		uint64_t count;
	} counts[] = {{"asked again", stats->resent},
		      {"put off", all->put_off},
		      {"went back", all->went_back},
		      {"answered twice", stats->doubled},
		      {"malformed answers", all->malformed},
		      {"stray datagrams", stats->stray},
		      {"rejected frames", stats->rejected},
		      {"not sent for want of room", stats->unsent},
		      {"given up early, too many under way", stats->crowded}};
	const char *between = "besides: ";
	char a[32];
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		if (counts[i].count == 0)
			continue;
		fprintf(to, "%s%s %s", between, counts[i].what, grouped(counts[i].count, a));
		between = ", ";
	}
	for (unsigned i = 0; i <= GYR_WIRE_CODE_COUNT; i++) {
		if (all->errors[i] == 0 || i == GYR_WIRE_BUSY)
			continue;
		fprintf(to, "%srefused as \"%s\" %s", between, load_error_name(i), grouped(all->errors[i], a));
		between = ", ";
	}
	if (strcmp(between, ", ") == 0)
		fputc('\n', to);
}

static void print_kinds(FILE *to, const struct load_options *options, const struct load_source *sources, const struct load_stats *stats, struct load_sum *sum)
{
	for (uint32_t s = 0; s < options->stream_count; s++) {
		const struct load_stream *stream = &options->streams[s];
		for (uint32_t k = stream->kind_first; k < stream->kind_first + stream->kind_count; k++) {
			char name[128];
			load_stats_sum(stats, k, sum);
			snprintf(name, sizeof name, "  %s%s%.*s", options->stream_count > 1 ? stream->name : "", options->stream_count > 1 ? " " : "",
				 (int)options->kinds[k].model.length, options->kinds[k].model.name);
			if (options->kind_count > 1)
				print_row(to, name, stats, sum);
			for (uint32_t v = 0; v < stats->kinds[k].version_count && !options->echo; v++)
				print_version(to, stats, &stats->kinds[k].versions[v]);
			print_judgement(to, &sources[k], name + 2, sum);
		}
	}
}

void load_report_table(const struct load_options *options, const struct load_source *sources, const struct load_stats *stats)
{
	bool piped = (options->json != NULL && strcmp(options->json, "-") == 0) || (options->csv != NULL && strcmp(options->csv, "-") == 0);
	FILE *to = piped ? stderr : stdout;
	static struct load_sum all, sum;
	load_stats_sum(stats, UINT32_MAX, &all);
	print_head(to);
	print_row(to, "all", stats, &all);
	print_kinds(to, options, sources, stats, &sum);
	for (unsigned i = 0; i < 3; i++)
		print_histogram(to, timing_names[i], &stats->timing[i]);
	print_histogram(to, "asked later than due, by", &stats->late);
	print_amiss(to, stats, &all);
	if (load_fell_behind(stats, &all))
		fputs("the generator fell behind its own schedule: the round trips contain its delay; give it a CPU of its own, or a lower rate\n", to);
	if (options->until_stable > 0)
		fprintf(to, "%s\n", stats->stable ? "stable: the last windows agree" : "not stable: the last windows differ");
}
