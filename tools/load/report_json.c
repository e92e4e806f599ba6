/* The figures as JSON. */
#include <errno.h>
#include <string.h>
#include <yyjson.h>

#include "tools/load/report.h"

static const char *const timing_names[] = {"queued", "computed", "served"};

static void add_histogram(yyjson_mut_doc *document, yyjson_mut_val *object, const char *name, const struct gyr_histogram *histogram)
{
	yyjson_mut_val *figures = yyjson_mut_obj_add_obj(document, object, name);
	yyjson_mut_obj_add_uint(document, figures, "count", histogram->count);
	yyjson_mut_obj_add_real(document, figures, "mean", load_share(histogram->sum_ns, histogram->count));
	yyjson_mut_obj_add_uint(document, figures, "min", histogram->count == 0 ? 0 : histogram->min_ns);
	for (size_t i = 0; i < LOAD_QUANTILES; i++)
		yyjson_mut_obj_add_uint(document, figures, load_quantiles[i].key, gyr_histogram_quantile(histogram, load_quantiles[i].quantile));
	yyjson_mut_obj_add_uint(document, figures, "max", histogram->max_ns);
}

static void add_judgement(yyjson_mut_doc *document, yyjson_mut_val *object, const struct load_source *source, uint64_t right, uint64_t wrong)
{
	if (source->labels != NULL)
		yyjson_mut_obj_add_real(document, object, "accuracy", load_share(right, right + wrong));
	if (source->labels == NULL && right + wrong > 0)
		yyjson_mut_obj_add_uint(document, object, "wrong", wrong);
}

static void add_sum(yyjson_mut_doc *document, yyjson_mut_val *object, const struct load_stats *stats, const struct load_sum *sum)
{
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {{"asked", sum->asked},     {"answered", sum->answered},   {"lost", sum->lost},          {"busy", sum->busy},
		      {"put_off", sum->put_off}, {"malformed", sum->malformed}, {"went_back", sum->went_back}};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		yyjson_mut_obj_add_uint(document, object, counts[i].name, counts[i].value);
	yyjson_mut_val *errors = yyjson_mut_obj_add_obj(document, object, "errors");
	for (unsigned i = 0; i <= GYR_WIRE_CODE_COUNT; i++)
		if (sum->errors[i] != 0)
			yyjson_mut_obj_add_uint(document, errors, load_error_name(i), sum->errors[i]);
	yyjson_mut_obj_add_real(document, object, "answers_per_second", load_per_second(stats, sum->answered));
	add_histogram(document, object, "round_trip_ns", &sum->round_trip);
}

static void add_versions(yyjson_mut_doc *document, yyjson_mut_val *object, const struct load_source *source, const struct load_kind_stats *kind)
{
	yyjson_mut_val *versions = yyjson_mut_obj_add_arr(document, object, "versions");
	for (uint32_t i = 0; i < kind->version_count; i++) {
		yyjson_mut_val *version = yyjson_mut_arr_add_obj(document, versions);
		yyjson_mut_obj_add_uint(document, version, "version", kind->versions[i].version);
		yyjson_mut_obj_add_uint(document, version, "answers", kind->versions[i].answers);
		add_judgement(document, version, source, kind->versions[i].right, kind->versions[i].wrong);
		add_histogram(document, version, "round_trip_ns", &kind->versions[i].round_trip);
	}
}

static void add_kinds(yyjson_mut_doc *document, yyjson_mut_val *root, const struct load_options *options, const struct load_source *sources,
		      const struct load_stats *stats, struct load_sum *sum)
{
	yyjson_mut_val *kinds = yyjson_mut_obj_add_arr(document, root, "kinds");
	for (uint32_t s = 0; s < options->stream_count; s++) {
		const struct load_stream *stream = &options->streams[s];
		for (uint32_t k = stream->kind_first; k < stream->kind_first + stream->kind_count; k++) {
			yyjson_mut_val *kind = yyjson_mut_arr_add_obj(document, kinds);
			load_stats_sum(stats, k, sum);
			yyjson_mut_obj_add_str(document, kind, "stream", stream->name);
			yyjson_mut_obj_add_strn(document, kind, "model", options->kinds[k].model.name, options->kinds[k].model.length);
			yyjson_mut_obj_add_uint(document, kind, "tensor_bytes", sources[k].bytes);
			add_sum(document, kind, stats, sum);
			add_judgement(document, kind, &sources[k], sum->right, sum->wrong);
			add_versions(document, kind, &sources[k], &stats->kinds[k]);
		}
	}
}

static void fill(yyjson_mut_doc *document, yyjson_mut_val *root, const struct load_options *options, const struct load_source *sources,
		 const struct load_stats *stats, const struct load_found *found)
{
	static struct load_sum all, sum;
	load_stats_sum(stats, UINT32_MAX, &all);
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {{"resent", stats->resent},          {"doubled", stats->doubled},       {"stray", stats->stray},
		      {"rejected", stats->rejected},      {"unsent", stats->unsent},         {"crowded", stats->crowded},
		      {"tensor_bytes", sources[0].bytes}, {"clients", options->client_count}};
	add_sum(document, root, stats, &all);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		yyjson_mut_obj_add_uint(document, root, counts[i].name, counts[i].value);
	yyjson_mut_obj_add_real(document, root, "seconds", (double)stats->elapsed_ns / 1e9);
	add_judgement(document, root, &sources[0], all.right, all.wrong);
	/* As a run of one kind has them; the others' are with their kinds. */
	add_versions(document, root, &sources[0], &stats->kinds[0]);
	add_kinds(document, root, options, sources, stats, &sum);
	if (stats->timing[0].count > 0) {
		yyjson_mut_val *timing = yyjson_mut_obj_add_obj(document, root, "timing_ns");
		for (unsigned i = 0; i < 3; i++)
			add_histogram(document, timing, timing_names[i], &stats->timing[i]);
	}
	if (stats->late.count > 0) {
		add_histogram(document, root, "late_ns", &stats->late);
		yyjson_mut_obj_add_bool(document, root, "fell_behind", load_fell_behind(stats, &all));
	}
	if (options->until_stable > 0)
		yyjson_mut_obj_add_bool(document, root, "stable", stats->stable);
	if (found != NULL) {
		yyjson_mut_val *figures = yyjson_mut_obj_add_obj(document, root, "found");
		yyjson_mut_obj_add_real(document, figures, "rate", found->rate);
		yyjson_mut_obj_add_real(document, figures, "failed_rate", found->failed_rate);
		yyjson_mut_obj_add_uint(document, figures, "p99_ns", found->p99_ns);
		yyjson_mut_obj_add_uint(document, figures, "trials", found->trials);
	}
}

int load_report_json(const struct load_options *options, const struct load_source *sources, const struct load_stats *stats, const struct load_found *found,
		     struct gyr_error *error)
{
	yyjson_mut_doc *document = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = document == NULL ? NULL : yyjson_mut_obj(document);
	yyjson_write_err why = {.msg = "no memory"};
	bool good = false;
	if (root != NULL) {
		yyjson_mut_doc_set_root(document, root);
		fill(document, root, options, sources, stats, found);
		if (strcmp(options->json, "-") == 0)
			good = yyjson_mut_write_fp(stdout, document, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, NULL, &why) && fflush(stdout) == 0;
		else
			good = yyjson_mut_write_file(options->json, document, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, NULL, &why);
	}
	yyjson_mut_doc_free(document);
	return good ? 0 : gyr_error_set(error, -EIO, "--json %s: %s", options->json, why.msg);
}
