/* gyrd: reads the configuration, makes its parts, and serves its loop until it is told to end. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "control/gyrd.h"
#include "control/link/peer.h"
#include "control/registry/lock.h"

static const char usage[] = "usage: gyrd [--config FILE] [--set SECTION.KEY=VALUE]... [--ready-fd N]\n"
			    "  --config FILE    read FILE over the defaults (docs/gyr.conf shows every key); the data plane gets it too\n"
			    "  --set KEY=VALUE  set one key over the file, such as gyrd.state_dir=/srv/gyr\n"
			    "  --ready-fd N     write a line to descriptor N when calls are answered\n"
			    "gyrd ends with SIGTERM or \"gyrctl stop\", and the data plane that it supervises with it.\n";

enum option_id { OPTION_CONFIG = 1, OPTION_SET, OPTION_READY_FD, OPTION_HELP, OPTION_VERSION };

static const struct option options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},     {"set", required_argument, NULL, OPTION_SET},
	{"ready-fd", required_argument, NULL, OPTION_READY_FD}, {"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},         {0},
};

static int hand_on(struct gyrd *gyrd, const char *option, char *value, struct gyr_error *error)
{
	if (gyrd->argument_count + 2 > GYRD_ARGUMENTS_MAX)
		return gyr_error_set(error, -E2BIG, "at most %u options", GYRD_ARGUMENTS_MAX / 2);
	gyrd->arguments[gyrd->argument_count++] = (char *)(uintptr_t)option; /* execv changes nothing */
	gyrd->arguments[gyrd->argument_count++] = value;
	return 0;
}

static int set_key(struct gyrd *gyrd, const char *text, struct gyr_error *error)
{
	char key[GYR_CONFIG_TEXT_MAX];
	size_t length = strcspn(text, "=");
	if (text[length] == '\0' || length >= sizeof key)
		return gyr_error_set(error, -EINVAL, "--set %s: expected SECTION.KEY=VALUE", text);
	memcpy(key, text, length);
	key[length] = '\0';
	return gyr_config_set(&gyrd->config, "--set", key, text + length + 1, error);
}

/* The file first, wherever it stands, then each --set in order. */
static int read_options(struct gyrd *gyrd, int argc, char **argv, int *ready_fd, struct gyr_error *error)
{
	const char *file = NULL;
	char *end;
	int option, status = 0;
	gyr_config_defaults(&gyrd->config);
	while (status == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case OPTION_CONFIG:
			file = optarg;
			status = hand_on(gyrd, "--config", optarg, error);
			break;
		case OPTION_SET: status = hand_on(gyrd, "--set", optarg, error); break;
		case OPTION_READY_FD:
			*ready_fd = (int)strtol(optarg, &end, 10);
			if (*end != '\0' || end == optarg || fcntl(*ready_fd, F_SETFD, FD_CLOEXEC) != 0)
				status = gyr_error_set(error, -EINVAL, "--ready-fd %s: expected the number of an open descriptor", optarg);
			break;
		case OPTION_HELP: fputs(usage, stdout); exit(0);
		case OPTION_VERSION: puts("gyrd " GYR_VERSION); exit(0);
		default: fputs(usage, stderr); exit(2);
		}
	}
	if (status == 0 && optind < argc)
		status = gyr_error_set(error, -EINVAL, "%s: expected no argument but options", argv[optind]);
	if (status == 0 && file != NULL)
		status = gyr_config_read(file, &gyrd->config, error);
	for (uint32_t i = 0; status == 0 && i < gyrd->argument_count; i += 2)
		if (strcmp(gyrd->arguments[i], "--set") == 0)
			status = set_key(gyrd, gyrd->arguments[i + 1], error);
	return status != 0 ? status : gyr_config_check(&gyrd->config, error);
}

/* Keeps gyrd and its workers off the data plane's CPUs, where the machine has others. */
static void choose_cpus(struct gyrd *gyrd)
{
	const struct gyr_config *config = &gyrd->config;
	cpu_set_t chosen;
	if (sched_getaffinity(0, sizeof gyrd->cpus, &gyrd->cpus) != 0)
		return;
	CPU_ZERO(&chosen);
	for (uint32_t i = 0; i < config->control_cpus.count; i++)
		CPU_SET(config->control_cpus.cpus[i], &chosen);
	if (config->control_cpus.count == 0) {
		chosen = gyrd->cpus;
		for (uint32_t i = 0; i < config->io_cpus.count; i++)
			CPU_CLR(config->io_cpus.cpus[i], &chosen);
		for (uint32_t i = 0; i < config->engine_cpus.count; i++)
			CPU_CLR(config->engine_cpus.cpus[i], &chosen);
	}
	if (CPU_COUNT(&chosen) == 0)
		gyr_log_info("the data plane has every CPU; gyrd runs where there is time left");
	else if (sched_setaffinity(0, sizeof chosen, &chosen) != 0)
		gyr_log_warning("gyrd cannot be kept to its CPUs: %s", strerror(errno));
}

/* One gyrd for a run directory: the sockets in it are its. The lock is held as long as the process lives. */
static int lock_run_dir(const struct gyrd *gyrd, struct gyr_error *error)
{
	char path[GYR_CONFIG_PATH_MAX + 16], holder[GYR_LOCK_HOLDER_BYTES];
	const char *dir = gyrd->config.run_dir;
	int fd;
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return gyr_error_set(error, -errno, "%s: cannot be made: %s", dir, strerror(errno));
	snprintf(path, sizeof path, "%s/gyrd.lock", dir);
	int status = gyr_lock_take(path, &fd, holder, error);
	if (status == -EBUSY)
		return gyr_error_set(error, status, "%s: in use by process %s; stop that gyrd first, or give this one a run_dir of its own", dir, holder);
	return status;
}

struct signals {
	struct gyr_watch watch;
	struct gyrd *gyrd;
};

static void take_signal(void *user, uint32_t ready)
{
	struct signals *signals = user;
	struct signalfd_siginfo info;
	if (read(signals->watch.fd, &info, sizeof info) != sizeof info)
		return;
	gyr_log_info("%s", strsignal((int)info.ssi_signo));
	gyrd_stop(signals->gyrd, false, NULL);
}

static int watch_signals(struct signals *signals, struct gyrd *gyrd, struct gyr_error *error)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	*signals = (struct signals){.watch = {.fd = -1, .ready = take_signal, .user = signals}, .gyrd = gyrd};
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	int status = fd < 0 ? -errno : gyr_watch_start(&gyrd->events, &signals->watch, fd, EPOLLIN);
	return status == 0 ? 0 : gyr_error_set(error, status, "signalfd: %s", strerror(-status));
}

static void retry_link(void *user)
{
	struct gyrd *gyrd = user;
	gyr_peer_retry(gyr_rollout_peer(gyrd->rollout));
}

/* Memory for versions. */
static uint64_t models_bytes(const struct gyr_config *config)
{
	uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	return config->models_mb != 0 ? (uint64_t)config->models_mb << 20 : machine / 4 * 3;
}

static int start_parts(struct gyrd *gyrd, struct gyr_error *error)
{
	char link[GYR_CONFIG_PATH_MAX + 32], calls[GYR_CONFIG_PATH_MAX + 32], choices[GYR_CONFIG_PATH_MAX + 32];
	const char *dir = gyrd->config.run_dir;
	snprintf(link, sizeof link, "%s/" GYR_LINK_SOCKET, dir);
	snprintf(calls, sizeof calls, "%s/" GYR_RPC_SOCKET, dir);
	snprintf(choices, sizeof choices, "%s/choices", gyrd->config.state_dir);
	const struct gyr_rpc_roles roles = {.operators = gyrd->config.operator_group, .viewers = gyrd->config.viewer_group};
	int status = lock_run_dir(gyrd, error);
	if (status == 0)
		status = gyr_registry_open(gyrd->config.state_dir, &gyrd->registry, error);
	if (status == 0)
		status = gyrd_jobs_init(gyrd, error);
	if (status == 0 && gyrd->config.supervise)
		status = gyr_supervisor_init(&gyrd->supervisor, &gyrd->events, gyrd->arguments, gyrd->argument_count, &gyrd->cpus, retry_link, gyrd, error);
	if (status == 0)
		status = gyr_rollout_create(&gyrd->events, &gyrd->work, gyrd->registry, link, gyrd->config.supervise ? &gyrd->supervisor : NULL, &gyrd->rollout,
					    error);
	if (status == 0)
		status = gyr_rollout_keep_choices(gyrd->rollout, choices, error);
	if (status == 0)
		gyr_rollout_limit(gyrd->rollout, models_bytes(&gyrd->config));
	if (status == 0)
		gyr_rollout_keep_warm(gyrd->rollout, gyrd->config.warm_versions, (uint64_t)gyrd->config.warm_mb << 20);
	if (status == 0)
		status = gyr_rollout_watch(gyrd->rollout, gyrd->config.stuck_s, error);
	if (status == 0)
		status = gyrd_follows_init(gyrd, error);
	if (status == 0)
		status = gyr_rpc_server_create(&gyrd->events, calls, gyrd_methods, &roles, gyrd, &gyrd->server, error);
	return status;
}

/* Whoever still waits is told so, which is why the server goes last but for what it asks. */
static void end_parts(struct gyrd *gyrd)
{
	gyrd->stopping = true;
	gyr_timer_cancel(&gyrd->events, &gyrd->alive);
	gyrd_jobs_end(gyrd);
	if (gyrd->rollout != NULL)
		gyr_rollout_end(gyrd->rollout);
	gyr_work_fini(&gyrd->work);
	if (gyrd->rollout != NULL)
		gyr_rollout_destroy(gyrd->rollout);
	gyrd_jobs_fini(gyrd);
	gyr_rpc_server_destroy(gyrd->server);
	if (gyrd->supervisor.events != NULL)
		gyr_supervisor_fini(&gyrd->supervisor);
	gyr_registry_close(gyrd->registry);
}

static void tell_alive(void *user)
{
	struct gyrd *gyrd = user;
	gyr_notify_alive();
	gyr_timer_start(&gyrd->events, &gyrd->alive, gyr_notify_interval_ns() / 2, tell_alive, gyrd);
}

static void say_ready(int fd)
{
	static const char line[] = "ready\n";
	if (fd >= 0 && write(fd, line, sizeof line - 1) != sizeof line - 1)
		gyr_log_warning("descriptor %d, which is to be told: %s", fd, strerror(errno));
	if (fd >= 0)
		close(fd);
	gyr_notify("READY=1");
}

int main(int argc, char **argv)
{
	static struct gyrd gyrd;
	struct signals signals;
	struct gyr_error error;
	int ready_fd = -1;
	gyr_log_init("gyrd", GYR_LOG_INFO);
	gyr_notify_init();
	gyrd.started_ns = gyr_clock_ns();
	if (read_options(&gyrd, argc, argv, &ready_fd, &error) != 0) {
		gyr_log_error("%s", error.text);
		return 2;
	}
	choose_cpus(&gyrd);
	int status = gyr_events_init(&gyrd.events, &error);
	if (status == 0)
		status = watch_signals(&signals, &gyrd, &error);
	if (status == 0)
		status = gyr_work_init(&gyrd.work, &gyrd.events, &error);
	if (status != 0) {
		gyr_log_error("%s", error.text);
		return 1;
	}
	status = start_parts(&gyrd, &error);
	if (status == 0) {
		gyr_log_info("gyrd " GYR_VERSION " serves %s from %s", gyrd.config.run_dir, gyrd.config.state_dir);
		say_ready(ready_fd);
		if (gyr_notify_interval_ns() > 0)
			tell_alive(&gyrd);
		gyr_events_run(&gyrd.events);
		gyr_log_info("ended");
	} else {
		gyr_log_error("%s", error.text);
	}
	end_parts(&gyrd);
	return status == 0 ? 0 : 1;
}
