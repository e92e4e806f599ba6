/* What is told: a table for people, JSON for programs, a line each second. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "tools/load/load.h"

static const struct {
	const char *name, *key; /* for people, in JSON */
	double quantile;
} quantiles[] = {{"p50", "p50", 0.5}, {"p90", "p90", 0.9}, {"p99", "p99", 0.99}, {"p99.9", "p999", 0.999}, {"p99.99", "p9999", 0.9999}};
#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

static const char *const timing_names[] = {"queued", "computed", "served"};

static double per_second(const struct load_stats *stats)
{
	return stats->elapsed_ns == 0 ? 0 : (double)stats->answered * 1e9 / (double)stats->elapsed_ns;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (double)part / (double)whole;
}

static uint64_t error_count(const struct load_stats *stats)
{
	uint64_t total = 0;
	for (unsigned i = 0; i <= GYR_WIRE_CODE_COUNT; i++)
		total += stats->errors[i];
	return total;
}

static const char *error_name(unsigned index)
{
	return index < GYR_WIRE_CODE_COUNT ? gyr_wire_code_name((enum gyr_wire_code)index) : "unknown code";
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

static void print_histogram(FILE *to, const char *name, const struct gyr_histogram *histogram)
{
	if (histogram->count == 0)
		return;
	fprintf(to, "%-14s", name);
	for (size_t i = 0; i < QUANTILES; i++)
		fprintf(to, "%s %.2f  ", quantiles[i].name, (double)gyr_histogram_quantile(histogram, quantiles[i].quantile) / 1e3);
	fprintf(to, "max %.2f us\n", (double)histogram->max_ns / 1e3);
}

void load_report_table(const struct load_options *options, const struct load_source *source, const struct load_stats *stats)
{
	FILE *to = options->json != NULL && strcmp(options->json, "-") == 0 ? stderr : stdout;
	char a[32], b[32], c[32], d[32];
	fprintf(to, "asked         %s questions of %u bytes, answered %s, lost %s, resent %s\n", grouped(stats->asked, a), source->bytes,
		grouped(stats->answered, b), grouped(stats->lost, c), grouped(stats->resent, d));
	if (error_count(stats) + stats->doubled + stats->malformed + stats->stray + stats->rejected > 0) {
		fprintf(to, "amiss         doubled %s, malformed %s, stray %s, rejected frames %s", grouped(stats->doubled, a), grouped(stats->malformed, b),
			grouped(stats->stray, c), grouped(stats->rejected, d));
		for (unsigned i = 0; i <= GYR_WIRE_CODE_COUNT; i++)
			if (stats->errors[i] != 0)
				fprintf(to, ", \"%s\" %s", error_name(i), grouped(stats->errors[i], a));
		fputc('\n', to);
	}
	fprintf(to, "answers/s     %s\n", grouped((uint64_t)(per_second(stats) + 0.5), a));
	if (source->labels != NULL)
		fprintf(to, "accuracy      %.4f (%s of %s right)\n", share(stats->correct, stats->answered), grouped(stats->correct, a),
			grouped(stats->answered, b));
	for (uint32_t i = 0; i < stats->version_count; i++) {
		const struct load_version *version = &stats->versions[i];
		fprintf(to, "version %-6" PRIu64 "%s answers", version->version, grouped(version->answers, a));
		if (source->labels != NULL)
			fprintf(to, ", accuracy %.4f", share(version->correct, version->answers));
		fputc('\n', to);
	}
	print_histogram(to, "round trip", &stats->round_trip);
	for (unsigned i = 0; i < 3; i++)
		print_histogram(to, timing_names[i], &stats->timing[i]);
}

void load_report_progress(const struct load_stats *stats, double seconds, uint64_t answered_before, double interval)
{
	char a[32], b[32], c[32];
	fprintf(stderr, "load: %.0f s, %s answered, %s/s, lost %s, p50 %.1f us, p99 %.1f us", seconds, grouped(stats->answered, a),
		grouped((uint64_t)((double)(stats->answered - answered_before) / interval), b), grouped(stats->lost, c),
		(double)gyr_histogram_quantile(&stats->round_trip, 0.5) / 1e3, (double)gyr_histogram_quantile(&stats->round_trip, 0.99) / 1e3);
	for (uint32_t i = 0; i < stats->version_count; i++)
		fprintf(stderr, ", version %" PRIu64 " %s", stats->versions[i].version, grouped(stats->versions[i].answers, a));
	fputc('\n', stderr);
}

static void add_histogram(yyjson_mut_doc *document, yyjson_mut_val *object, const char *name, const struct gyr_histogram *histogram)
{
	yyjson_mut_val *figures = yyjson_mut_obj_add_obj(document, object, name);
	yyjson_mut_obj_add_uint(document, figures, "count", histogram->count);
	yyjson_mut_obj_add_real(document, figures, "mean", share(histogram->sum_ns, histogram->count));
	yyjson_mut_obj_add_uint(document, figures, "min", histogram->count == 0 ? 0 : histogram->min_ns);
	for (size_t i = 0; i < QUANTILES; i++)
		yyjson_mut_obj_add_uint(document, figures, quantiles[i].key, gyr_histogram_quantile(histogram, quantiles[i].quantile));
	yyjson_mut_obj_add_uint(document, figures, "max", histogram->max_ns);
}

static void fill(yyjson_mut_doc *document, yyjson_mut_val *root, const struct load_source *source, const struct load_stats *stats)
{
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {{"asked", stats->asked},   {"answered", stats->answered}, {"lost", stats->lost},
		      {"resent", stats->resent}, {"doubled", stats->doubled},   {"malformed", stats->malformed},
		      {"stray", stats->stray},   {"rejected", stats->rejected}, {"tensor_bytes", source->bytes}};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		yyjson_mut_obj_add_uint(document, root, counts[i].name, counts[i].value);
	yyjson_mut_val *errors = yyjson_mut_obj_add_obj(document, root, "errors");
	for (unsigned i = 0; i <= GYR_WIRE_CODE_COUNT; i++)
		if (stats->errors[i] != 0)
			yyjson_mut_obj_add_uint(document, errors, error_name(i), stats->errors[i]);
	yyjson_mut_obj_add_real(document, root, "seconds", (double)stats->elapsed_ns / 1e9);
	yyjson_mut_obj_add_real(document, root, "answers_per_second", per_second(stats));
	if (source->labels != NULL)
		yyjson_mut_obj_add_real(document, root, "accuracy", share(stats->correct, stats->answered));
	yyjson_mut_val *versions = yyjson_mut_obj_add_arr(document, root, "versions");
	for (uint32_t i = 0; i < stats->version_count; i++) {
		yyjson_mut_val *version = yyjson_mut_arr_add_obj(document, versions);
		yyjson_mut_obj_add_uint(document, version, "version", stats->versions[i].version);
		yyjson_mut_obj_add_uint(document, version, "answers", stats->versions[i].answers);
		if (source->labels != NULL)
			yyjson_mut_obj_add_real(document, version, "accuracy", share(stats->versions[i].correct, stats->versions[i].answers));
	}
	add_histogram(document, root, "round_trip_ns", &stats->round_trip);
	if (stats->timing[0].count > 0) {
		yyjson_mut_val *timing = yyjson_mut_obj_add_obj(document, root, "timing_ns");
		for (unsigned i = 0; i < 3; i++)
			add_histogram(document, timing, timing_names[i], &stats->timing[i]);
	}
}

int load_report_json(const struct load_options *options, const struct load_source *source, const struct load_stats *stats, struct gyr_error *error)
{
	yyjson_mut_doc *document = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = document == NULL ? NULL : yyjson_mut_obj(document);
	yyjson_write_err why = {.msg = "no memory"};
	bool good = false;
	if (root != NULL) {
		yyjson_mut_doc_set_root(document, root);
		fill(document, root, source, stats);
		if (strcmp(options->json, "-") == 0)
			good = yyjson_mut_write_fp(stdout, document, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, NULL, &why) && fflush(stdout) == 0;
		else
			good = yyjson_mut_write_file(options->json, document, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, NULL, &why);
	}
	yyjson_mut_doc_free(document);
	return good ? 0 : gyr_error_set(error, -EIO, "--json %s: %s", options->json, why.msg);
}
