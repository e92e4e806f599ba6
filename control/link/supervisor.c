#include "control/link/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"

#define ARGUMENTS_MAX 128u
#define PAUSE_MIN_NS (100 * GYR_NS_PER_MS)
#define PAUSE_MAX_NS (10 * GYR_NS_PER_S)
#define STEADY_NS (2 * GYR_NS_PER_S) /* one that was ready for so long has not ended soon */

static void start_now(void *user);

static void stop_ready(struct gyr_supervisor *supervisor)
{
	int fd = supervisor->ready.fd;
	gyr_watch_stop(supervisor->events, &supervisor->ready);
	if (fd >= 0)
		close(fd);
}

static void plan_start(struct gyr_supervisor *supervisor)
{
	if (!supervisor->enabled)
		return;
	gyr_timer_start(supervisor->events, &supervisor->restart, supervisor->pause_ns, start_now, supervisor);
	uint64_t next_ns = supervisor->pause_ns * 2;
	supervisor->pause_ns = next_ns < PAUSE_MIN_NS ? PAUSE_MIN_NS : next_ns > PAUSE_MAX_NS ? PAUSE_MAX_NS : next_ns;
}

static void take_end(void *user, int status, const char *how)
{
	struct gyr_supervisor *supervisor = user;
	supervisor->starting = false;
	stop_ready(supervisor);
	snprintf(supervisor->said, sizeof supervisor->said, "%s", how);
	if (!supervisor->enabled) {
		gyr_log_info("gyr-dataplane %s", how);
		if (supervisor->stopped != NULL)
			supervisor->stopped(supervisor->stopped_user);
		return;
	}
	if (supervisor->ready_ns != 0 && gyr_clock_ns() - supervisor->ready_ns > STEADY_NS)
		supervisor->pause_ns = 0;
	gyr_log_warning("gyr-dataplane %s; starting it again in %.1f s", how, (double)supervisor->pause_ns / (double)GYR_NS_PER_S);
	plan_start(supervisor);
}

static void take_ready(void *user, uint32_t ready)
{
	struct gyr_supervisor *supervisor = user;
	char byte;
	ssize_t got = read(supervisor->ready.fd, &byte, 1);
	stop_ready(supervisor);
	supervisor->starting = false;
	/* Closed without a word: it is ending, which is told by itself, or it does not say when it is ready. */
	if (got != 1)
		return;
	supervisor->ready_ns = gyr_clock_ns();
	supervisor->is_ready(supervisor->user);
}

static int start(struct gyr_supervisor *supervisor, struct gyr_error *error)
{
	int report[2];
	if (pipe2(report, O_CLOEXEC) != 0)
		return gyr_error_set(error, -errno, "pipe2: %s", strerror(errno));
	char name[] = "gyr-dataplane", option[] = "--ready-fd", number[16], restoring[] = "--restoring";
	char *arguments[ARGUMENTS_MAX] = {name, option, number, restoring};
	snprintf(number, sizeof number, "%d", report[1]);
	for (uint32_t i = 0; i < supervisor->argument_count; i++)
		arguments[4 + i] = supervisor->arguments[i];
	struct gyr_process_start how = {
		.program = supervisor->program, .arguments = arguments, .output_fd = -1, .keep_fd = report[1], .cpus = supervisor->cpus};
	int status = gyr_process_start(&supervisor->process, &how, error);
	close(report[1]);
	if (status == 0)
		status = gyr_watch_start(supervisor->events, &supervisor->ready, report[0], EPOLLIN);
	if (status != 0)
		close(report[0]);
	return status;
}

static void start_now(void *user)
{
	struct gyr_supervisor *supervisor = user;
	struct gyr_error error;
	supervisor->starts++;
	supervisor->ready_ns = 0;
	if (start(supervisor, &error) == 0) {
		supervisor->starting = true;
		snprintf(supervisor->said, sizeof supervisor->said, "started as process %ld", (long)supervisor->process.pid);
		gyr_log_info("gyr-dataplane %s", supervisor->said);
		return;
	}
	snprintf(supervisor->said, sizeof supervisor->said, "%s", error.text);
	gyr_log_error("%s", error.text);
	plan_start(supervisor);
}

int gyr_supervisor_init(struct gyr_supervisor *supervisor, struct gyr_events *events, char *const *arguments, uint32_t argument_count, const cpu_set_t *cpus,
			void (*is_ready)(void *user), void *user, struct gyr_error *error)
{
	*supervisor = (struct gyr_supervisor){
		.events = events,
		.ready = {.fd = -1, .ready = take_ready, .user = supervisor},
		.arguments = arguments,
		.argument_count = argument_count,
		.cpus = cpus,
		.enabled = true,
		.pause_ns = PAUSE_MIN_NS,
		.is_ready = is_ready,
		.user = user,
		.said = "not started",
	};
	gyr_process_init(&supervisor->process, events, take_end, supervisor);
	if (argument_count > ARGUMENTS_MAX - 5)
		return gyr_error_set(error, -E2BIG, "%u arguments for gyr-dataplane; at most %u", argument_count, ARGUMENTS_MAX - 5);
	return gyr_program_find("gyr-dataplane", "GYR_DATAPLANE", supervisor->program, error);
}

void gyr_supervisor_fini(struct gyr_supervisor *supervisor)
{
	gyr_timer_cancel(supervisor->events, &supervisor->restart);
	stop_ready(supervisor);
	gyr_process_forget(&supervisor->process);
}

void gyr_supervisor_absent(struct gyr_supervisor *supervisor)
{
	if (supervisor->enabled && supervisor->process.pid == 0 && !supervisor->restart.running)
		start_now(supervisor);
}

void gyr_supervisor_present(struct gyr_supervisor *supervisor, pid_t pid)
{
	struct gyr_error error;
	supervisor->starting = false;
	if (supervisor->process.pid == pid)
		return;
	if (supervisor->process.pid != 0) {
		gyr_log_warning("process %ld answers at the data plane's socket, and not %ld, which was started", (long)pid, (long)supervisor->process.pid);
		return;
	}
	gyr_timer_cancel(supervisor->events, &supervisor->restart);
	if (gyr_process_adopt(&supervisor->process, pid, &error) != 0) {
		gyr_log_warning("the data plane cannot be watched: %s", error.text);
		return;
	}
	supervisor->ready_ns = gyr_clock_ns();
	snprintf(supervisor->said, sizeof supervisor->said, "adopted as process %ld", (long)pid);
	gyr_log_info("gyr-dataplane was running: %s", supervisor->said);
}

void gyr_supervisor_kill(struct gyr_supervisor *supervisor, pid_t pid, const char *why)
{
	if (supervisor->process.pid != pid)
		gyr_supervisor_present(supervisor, pid);
	if (supervisor->process.pid != pid)
		return;
	gyr_log_error("gyr-dataplane (process %ld) is stuck: %s; killing it", (long)pid, why);
	gyr_process_signal(&supervisor->process, SIGKILL);
}

void gyr_supervisor_stop(struct gyr_supervisor *supervisor, void (*ended)(void *user), void *user)
{
	supervisor->enabled = false;
	supervisor->stopped = ended;
	supervisor->stopped_user = user;
	gyr_timer_cancel(supervisor->events, &supervisor->restart);
}
