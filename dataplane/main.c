/* gyr-dataplane: reads the configuration, starts the data path, and is its house thread until it is told to stop. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/notify.h"
#include "dataplane/loop/house.h"

static const char usage[] = "usage: gyr-dataplane [--config FILE] [--set SECTION.KEY=VALUE]... [--ready-fd N]\n"
			    "  --config FILE    read FILE over the defaults (docs/gyr.conf shows every key)\n"
			    "  --set KEY=VALUE  set one key over the file, such as dataplane.port=net_memif0,role=server,id=0\n"
			    "  --ready-fd N     write a line to descriptor N when requests are answered\n"
			    "  --restoring      until gyrd has said that all is loaded, models that are not there are answered with BUSY\n";

enum option_id { OPTION_CONFIG = 1, OPTION_SET, OPTION_READY_FD, OPTION_RESTORING, OPTION_HELP, OPTION_VERSION };

struct options {
	int ready_fd; /* -1: none */
	bool restoring;
};

static int set_key(struct gyr_config *config, char *text, struct gyr_error *error)
{
	char *equals = strchr(text, '=');
	if (equals == NULL)
		return gyr_error_set(error, -EINVAL, "--set %s: expected SECTION.KEY=VALUE", text);
	*equals = '\0';
	return gyr_config_set(config, "--set", text, equals + 1, error);
}

/* The file first, wherever it stands, then each --set in order. */
static int read_options(int argc, char **argv, struct gyr_config *config, struct options *chosen, struct gyr_error *error)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, OPTION_CONFIG},
		{"set", required_argument, NULL, OPTION_SET},
		{"ready-fd", required_argument, NULL, OPTION_READY_FD},
		{"help", no_argument, NULL, OPTION_HELP},
		{"version", no_argument, NULL, OPTION_VERSION},
		{"restoring", no_argument, NULL, OPTION_RESTORING},
		{0},
	};
	const char *file = NULL;
	char *end;
	int option, status = 0;
	gyr_config_defaults(config);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case OPTION_CONFIG: file = optarg; break;
		case OPTION_SET: break;
		case OPTION_READY_FD:
			chosen->ready_fd = (int)strtol(optarg, &end, 10);
			if (*end != '\0' || end == optarg || chosen->ready_fd < 0)
				return gyr_error_set(error, -EINVAL, "--ready-fd %s: expected a descriptor's number", optarg);
			break;
		case OPTION_RESTORING: chosen->restoring = true; break;
		case OPTION_HELP: fputs(usage, stdout); exit(0);
		case OPTION_VERSION: puts("gyr-dataplane " GYR_VERSION); exit(0);
		default: fputs(usage, stderr); exit(2);
		}
	}
	if (optind < argc)
		return gyr_error_set(error, -EINVAL, "%s: expected no argument but options", argv[optind]);
	if (file != NULL)
		status = gyr_config_read(file, config, error);
	optind = 1;
	while (status == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == OPTION_SET)
			status = set_key(config, optarg, error);
	}
	return status != 0 ? status : gyr_config_check(config, error);
}

static int run(const struct gyr_config *config, const struct options *options, struct gyr_error *error)
{
	struct gyr_house *house;
	struct gyr_loop *loop;
	int status = gyr_house_create(config, &house, error);
	if (status != 0)
		return status;
	status = gyr_loop_create(config, &loop, error);
	if (status != 0) {
		gyr_house_destroy(house);
		return status;
	}
	struct gyr_models *models = gyr_models_create(loop);
	if (models == NULL) {
		gyr_loop_destroy(loop);
		gyr_house_destroy(house);
		return gyr_error_set(error, -ENOMEM, "no memory for the models");
	}
	gyr_loop_restore(loop, options->restoring);
	gyr_loop_start(loop);
	gyr_log_info("ready");
	gyr_notify("READY=1");
	if (options->ready_fd >= 0 && (write(options->ready_fd, "ready\n", 6) != 6 || close(options->ready_fd) != 0))
		gyr_log_warning("--ready-fd %d: %s", options->ready_fd, strerror(errno));
	status = gyr_house_run(house, loop, models, error);
	gyr_house_destroy(house);
	/* Where an lcore is stuck it may still use everything else. */
	if (status == 0) {
		gyr_models_destroy(models);
		gyr_loop_destroy(loop);
	}
	return status;
}

int main(int argc, char **argv)
{
	struct gyr_config config;
	struct gyr_error error;
	struct options options = {.ready_fd = -1};
	gyr_log_init("gyr-dataplane", GYR_LOG_INFO);
	gyr_notify_init();
	int status = read_options(argc, argv, &config, &options, &error);
	if (status != 0) {
		gyr_log_error("%s", error.text);
		return 2;
	}
	status = run(&config, &options, &error);
	if (status != 0)
		gyr_log_error("%s", error.text);
	return status == 0 ? 0 : 1;
}
