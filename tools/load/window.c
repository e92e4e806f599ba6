/* Windows: see window.h. */
#include "tools/load/window.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999};

int load_windows_make(const struct load_options *options, struct load_windows **windows, struct gyr_error *error)
{
	*windows = NULL;
	if (options->csv == NULL && !options->progress && options->until_stable == 0)
		return 0;
	*windows = calloc(1, sizeof **windows + options->kind_count * sizeof(*windows)->kinds[0]);
	if (*windows == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for windows");
	(*windows)->options = options;
	(*windows)->kind_count = options->kind_count;
	if (options->csv != NULL) {
		(*windows)->csv = strcmp(options->csv, "-") == 0 ? stdout : fopen(options->csv, "w");
		if ((*windows)->csv == NULL) {
			free(*windows);
			*windows = NULL;
			return gyr_error_set(error, -errno, "--csv %s: %s", options->csv, strerror(errno));
		}
		fputs("begin_s,end_s,stream,model,asked,answered,busy,refused,lost,answers_per_second,p50_ns,p90_ns,p99_ns,p999_ns,p9999_ns,p99999_ns,max_ns\n",
		      (*windows)->csv);
	}
	return 0;
}

void load_windows_start(struct load_windows *windows, uint64_t now_ns)
{
	windows->start_ns = windows->begun_ns = windows->flushed_ns = now_ns;
	windows->closed = 0;
}

static void add_up(struct load_windows *windows)
{
	struct load_window_kind *sum = &windows->sum;
	memset(sum, 0, sizeof *sum);
	for (uint32_t i = 0; i < windows->kind_count; i++) {
		const struct load_window_kind *kind = &windows->kinds[i];
		sum->asked += kind->asked;
		sum->answered += kind->answered;
		sum->busy += kind->busy;
		sum->refused += kind->refused;
		sum->lost += kind->lost;
		gyr_histogram_merge(&sum->round_trip, &kind->round_trip);
	}
}

static void write_row(const struct load_windows *windows, const char *stream, const struct gyr_wire_ref *model, const struct load_window_kind *row,
		      uint64_t now_ns)
{
	double begin_s = (double)(windows->begun_ns - windows->start_ns) / 1e9, end_s = (double)(now_ns - windows->start_ns) / 1e9;
	fprintf(windows->csv, "%.6f,%.6f,%s,%.*s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.0f", begin_s, end_s, stream,
		model == NULL ? 3 : (int)model->length, model == NULL ? "all" : model->name, row->asked, row->answered, row->busy, row->refused, row->lost,
		(double)row->answered / (end_s - begin_s));
	for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
		fprintf(windows->csv, ",%" PRIu64, gyr_histogram_quantile(&row->round_trip, quantiles[i]));
	fprintf(windows->csv, ",%" PRIu64 "\n", row->round_trip.max_ns);
}

static void write_rows(struct load_windows *windows, uint64_t now_ns)
{
	const struct load_options *options = windows->options;
	write_row(windows, "all", NULL, &windows->sum, now_ns);
	for (uint32_t s = 0; options->kind_count > 1 && s < options->stream_count; s++) {
		const struct load_stream *stream = &options->streams[s];
		for (uint32_t k = stream->kind_first; k < stream->kind_first + stream->kind_count; k++)
			write_row(windows, stream->name, &options->kinds[k].model, &windows->kinds[k], now_ns);
	}
	/* What reads along sees a row at most a second late; more often would only cost. */
	if (now_ns - windows->flushed_ns >= GYR_NS_PER_S) {
		fflush(windows->csv);
		windows->flushed_ns = now_ns;
	}
}

static bool agree(const uint64_t *values, double part)
{
	uint64_t least = UINT64_MAX, most = 0;
	for (uint32_t i = 0; i < LOAD_STABLE_WINDOWS; i++) {
		least = values[i] < least ? values[i] : least;
		most = values[i] > most ? values[i] : most;
	}
	return least > 0 && (double)(most - least) <= part * (double)least;
}

static void progress(const struct load_windows *windows, uint64_t now_ns)
{
	const struct load_window_kind *sum = &windows->sum;
	fprintf(stderr, "load: %.1f s, %.0f answers/s, busy %" PRIu64 ", refused %" PRIu64 ", lost %" PRIu64 ", p50 %.1f us, p99 %.1f us, max %.1f us\n",
		(double)(now_ns - windows->start_ns) / 1e9, (double)sum->answered * 1e9 / (double)(now_ns - windows->begun_ns), sum->busy, sum->refused,
		sum->lost, (double)gyr_histogram_quantile(&sum->round_trip, 0.5) / 1e3, (double)gyr_histogram_quantile(&sum->round_trip, 0.99) / 1e3,
		(double)sum->round_trip.max_ns / 1e3);
}

static void close_window(struct load_windows *windows, uint64_t now_ns)
{
	uint32_t place = windows->closed++ % LOAD_STABLE_WINDOWS;
	add_up(windows);
	windows->p50_ns[place] = gyr_histogram_quantile(&windows->sum.round_trip, 0.5);
	windows->p99_ns[place] = gyr_histogram_quantile(&windows->sum.round_trip, 0.99);
	if (windows->csv != NULL)
		write_rows(windows, now_ns);
	if (windows->options->progress)
		progress(windows, now_ns);
	memset(windows->kinds, 0, windows->kind_count * sizeof windows->kinds[0]);
	windows->begun_ns = now_ns;
}

bool load_windows_turn(struct load_windows *windows, uint64_t now_ns)
{
	if ((double)(now_ns - windows->begun_ns) < windows->options->window * (double)GYR_NS_PER_S)
		return false;
	close_window(windows, now_ns);
	double part = windows->options->until_stable;
	return part > 0 && windows->closed >= LOAD_STABLE_WINDOWS && agree(windows->p50_ns, part) && agree(windows->p99_ns, part);
}

int load_windows_end(struct load_windows *windows, uint64_t now_ns, struct gyr_error *error)
{
	int status = 0;
	if (windows == NULL)
		return 0;
	if (now_ns > windows->begun_ns)
		close_window(windows, now_ns);
	if (windows->csv != NULL) {
		bool good = fflush(windows->csv) == 0 && ferror(windows->csv) == 0;
		if (windows->csv != stdout)
			good = fclose(windows->csv) == 0 && good;
		if (!good)
			status = gyr_error_set(error, -EIO, "--csv %s: could not be written", windows->options->csv);
	}
	free(windows);
	return status;
}
