#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tools/load/find.h"
#include "tools/load/report.h"

static atomic_bool stop;

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&stop, true, memory_order_relaxed);
}

static int prepare(const struct load_options *options, struct gyr_error *error)
{
	/* Without SA_RESTART, so that a wait ends. */
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (options->cpu < 0)
		return 0;
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(options->cpu, &cpus);
	if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
		return gyr_error_set(error, -errno, "--cpu %d: %s", options->cpu, strerror(errno));
	return 0;
}

static int ask(struct load_options *options, const struct load_source *sources, struct load_stats **stats, struct load_found *found, struct gyr_error *error)
{
	struct load_transport *transport;
	struct load_windows *windows = NULL;
	bool dpdk = options->memif != NULL || options->devargs != NULL;
	int status = dpdk ? load_dpdk_open(options, &transport, error) : load_udp_open(options, &transport, error);
	if (status != 0)
		return status;
	if (options->find_rate) {
		status = load_find_rate(options, sources, transport, &stop, stats, found, error);
	} else {
		status = load_windows_make(options, &windows, error);
		if (status == 0)
			status = load_run(options, sources, transport, windows, &stop, *stats, error);
		if (status == 0)
			status = load_windows_end(windows, gyr_clock_ns(), error);
	}
	transport->methods->close(transport);
	return status;
}

static int run(struct load_options *options, struct load_source *sources, struct gyr_error *error)
{
	struct load_found found = {0};
	struct load_stats *stats = load_stats_make(options->kind_count);
	int status = stats == NULL ? gyr_error_set(error, -ENOMEM, "no memory for the figures") : prepare(options, error);
	for (uint32_t i = 0; status == 0 && i < options->kind_count; i++)
		status = load_source_open(options, &options->kinds[i], &sources[i], error);
	if (status == 0)
		status = ask(options, sources, &stats, &found, error);
	if (status == 0)
		load_report_table(options, sources, stats);
	if (status == 0 && options->json != NULL)
		status = load_report_json(options, sources, stats, options->find_rate ? &found : NULL, error);
	if (status == 0 && !(options->find_rate ? found.rate > 0 : load_is_clean(options, stats)))
		status = 1;
	free(stats);
	return status;
}

int main(int argc, char **argv)
{
	static struct load_options options;
	static struct load_source sources[LOAD_KINDS_MAX];
	struct gyr_error error;
	int status = load_options_read(argc, argv, &options, &error);
	if (status != 0) {
		if (status < 0)
			fprintf(stderr, "gyr-load: %s\n", error.text);
		return status < 0 ? 2 : 0;
	}
	status = run(&options, sources, &error);
	for (uint32_t i = 0; i < options.kind_count; i++)
		load_source_close(&sources[i]);
	if (status < 0)
		fprintf(stderr, "gyr-load: %s\n", error.text);
	return status == 0 ? 0 : 1;
}
