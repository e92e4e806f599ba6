/* The search for a rate: see find.h. */
#include "tools/load/find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tools/load/report.h"

#define HOLDS 3u /* trials of one rate that agree, of five at most: a stall of the machine is not the server's, nor is a lucky trial */
#define BAD_MAX 1e-3
#define WARM_PART 0.1 /* of a trial's questions are asked before those that are measured */
#define CLOSED_IN_FLIGHT 16u
#define START_PART 0.5      /* of what a closed loop reaches */
#define QUESTIONS_MIN 1000u /* of a trial: fewer have no p99 */

struct search {
	struct load_options *options;
	const struct load_source *sources;
	struct load_transport *transport;
	const atomic_bool *stop;
	struct load_stats *stats, *best; /* of the last trial; of one at the highest rate that held */
	struct load_sum sum;
	struct load_found *found;
	struct gyr_error *error;
};

static int run_once(struct search *search)
{
	/* Each trial has arrivals of its own. */
	search->options->seed++;
	int status = load_run(search->options, search->sources, search->transport, NULL, search->stop, search->stats, search->error);
	if (status == 0)
		load_stats_sum(search->stats, UINT32_MAX, &search->sum);
	if (status == 0 && atomic_load_explicit(search->stop, memory_order_relaxed))
		return gyr_error_set(search->error, -EINTR, "stopped before the rate was found");
	return status;
}

/* One trial. *HELD: the p99 was as wanted, and nearly nothing was lost or refused. A generator that was late only made it harder. */
static int try_once(struct search *search, double rate, bool *held, uint64_t *p99_ns)
{
	struct load_options *options = search->options;
	const struct load_sum *sum = &search->sum;
	double seconds = options->seconds;
	options->streams[0].rate = rate;
	options->warm_up = (uint64_t)(rate * seconds * WARM_PART);
	options->seconds = seconds * (1 + WARM_PART);
	int status = run_once(search);
	options->seconds = seconds;
	if (status != 0)
		return status;
	bool behind = load_fell_behind(search->stats, sum);
	double bad = 1 - load_share(sum->answered, sum->asked);
	*p99_ns = gyr_histogram_quantile(&sum->round_trip, 0.99);
	*held = sum->answered > 0 && (double)*p99_ns <= options->p99_us * 1e3 && bad <= BAD_MAX;
	search->found->trials++;
	fprintf(stderr, "load: trial %2u: %.0f/s  p50 %.2f us  p99 %.2f us  not answered %.3f%%  late by p99 %.2f us  %s%s\n", search->found->trials, rate,
		(double)gyr_histogram_quantile(&sum->round_trip, 0.5) / 1e3, (double)*p99_ns / 1e3, bad * 100,
		(double)gyr_histogram_quantile(&search->stats->late, 0.99) / 1e3, *held ? "holds" : "does not hold",
		behind ? " (the generator fell behind)" : "");
	return 0;
}

/* RATE, until it is known. */
static int try_rate(struct search *search, double rate, bool *held)
{
	uint64_t p99_ns, sum_ns = 0;
	unsigned good = 0, bad = 0;
	while (good < HOLDS && bad < HOLDS) {
		bool once;
		int status = try_once(search, rate, &once, &p99_ns);
		if (status != 0)
			return status;
		*(once ? &good : &bad) += 1;
		if (once) {
			sum_ns += p99_ns;
			struct load_stats *last = search->stats;
			search->stats = search->best;
			search->best = last;
		}
	}
	*held = good == HOLDS;
	if (*held) {
		search->found->rate = rate;
		search->found->p99_ns = sum_ns / HOLDS;
	} else {
		search->found->failed_rate = rate;
	}
	return 0;
}

/* What a closed loop reaches, to begin with. */
static int first_rate(struct search *search, double *rate)
{
	struct load_stream *stream = &search->options->streams[0];
	uint32_t in_flight = stream->in_flight;
	*rate = stream->rate;
	if (stream->rate > 0)
		return 0;
	stream->in_flight = CLOSED_IN_FLIGHT;
	int status = run_once(search);
	*rate = START_PART * load_per_second(search->stats, search->sum.answered);
	stream->in_flight = in_flight;
	if (status == 0 && *rate == 0)
		status = gyr_error_set(search->error, -ETIMEDOUT, "--find-rate: nothing was answered in %.1f s", search->options->seconds);
	return status;
}

static int find(struct search *search)
{
	struct load_found *found = search->found;
	double rate;
	bool held = true;
	int status = first_rate(search, &rate);
	while (status == 0 && (found->rate == 0 || found->failed_rate == 0) && rate * search->options->seconds >= QUESTIONS_MIN) {
		status = try_rate(search, rate, &held);
		rate = held ? rate * 2 : rate / 2;
	}
	while (status == 0 && found->rate > 0 && found->failed_rate > found->rate * (1 + search->options->within))
		status = try_rate(search, (found->rate + found->failed_rate) / 2, &held);
	return status;
}

int load_find_rate(struct load_options *options, const struct load_source *sources, struct load_transport *transport, const atomic_bool *stop,
		   struct load_stats **stats, struct load_found *found, struct gyr_error *error)
{
	struct search search = {.options = options, .sources = sources, .transport = transport, .stop = stop, .stats = *stats, .found = found, .error = error};
	*found = (struct load_found){0};
	search.best = load_stats_make(options->kind_count);
	if (search.best == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the figures of trials");
	int status = find(&search);
	*stats = search.best;
	free(search.stats);
	options->streams[0].rate = found->rate;
	return status;
}
