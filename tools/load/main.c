#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/load/load.h"

static atomic_bool stop;
static struct load_stats stats;

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

static int ask(const struct load_options *options, const struct load_source *source, struct gyr_error *error)
{
	struct load_transport *transport;
	int status = options->memif != NULL ? load_memif_open(options, &transport, error) : load_udp_open(options, &transport, error);
	if (status != 0)
		return status;
	status = load_run(options, source, transport, &stop, &stats, error);
	transport->methods->close(transport);
	return status;
}

int main(int argc, char **argv)
{
	struct load_options options;
	struct load_source source = {0};
	struct gyr_error error;
	int status = load_options_read(argc, argv, &options, &error);
	if (status != 0) {
		if (status < 0)
			fprintf(stderr, "gyr-load: %s\n", error.text);
		return status < 0 ? 2 : 0;
	}
	status = prepare(&options, &error);
	if (status == 0)
		status = load_source_open(&options, &source, &error);
	if (status == 0)
		status = ask(&options, &source, &error);
	if (status == 0) {
		load_report_table(&options, &source, &stats);
		if (options.json != NULL)
			status = load_report_json(&options, &source, &stats, &error);
	}
	load_source_close(&source);
	if (status != 0)
		fprintf(stderr, "gyr-load: %s\n", error.text);
	return status == 0 && load_is_clean(&options, &stats) ? 0 : 1;
}
