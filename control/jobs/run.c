/*
 * Two things tell the end: the pipe's, after which no event comes, and the process's, which gives the status. ENDED is called after both.
 */
#include "control/jobs/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/assertion.h"
#include "control/event/process.h"

#define ARGUMENTS_MAX 64u
#define LOWEST_PRIORITY 19

struct gyr_run {
	struct gyr_events *events;
	struct gyr_run_handlers handlers;
	void *user;
	struct gyr_process process;
	struct gyr_watch output;
	char line[GYR_RUN_LINE_BYTES];
	size_t used;
	bool too_long; /* the line being read; it is passed over */
	bool done;     /* the worker said so */
	bool refused;  /* the worker said why not: in TEXT */
	bool exited;
	int exit_status;
	char text[512];
	struct gyr_run_progress last;
};

static double number(yyjson_val *event, const char *key)
{
	yyjson_val *value = yyjson_obj_get(event, key);
	return yyjson_is_num(value) ? yyjson_get_num(value) : NAN;
}

static uint32_t whole(yyjson_val *event, const char *key)
{
	yyjson_val *value = yyjson_obj_get(event, key);
	return yyjson_is_uint(value) && yyjson_get_uint(value) <= UINT32_MAX ? (uint32_t)yyjson_get_uint(value) : 0;
}

static void take_event(struct gyr_run *run, yyjson_val *event)
{
	const char *kind = yyjson_get_str(yyjson_obj_get(event, "event"));
	if (kind == NULL)
		return;
	if (strcmp(kind, "error") == 0) {
		const char *text = yyjson_get_str(yyjson_obj_get(event, "text"));
		run->refused = true;
		snprintf(run->text, sizeof run->text, "%s", text == NULL ? "gyr-worker gave no reason" : text);
		return;
	}
	bool progress = strcmp(kind, "progress") == 0;
	if (!progress && strcmp(kind, "done") != 0)
		return;
	run->last.loss = number(event, "loss");
	run->last.accuracy = number(event, "accuracy");
	if (!progress) {
		run->done = true;
		return;
	}
	run->last.epoch = whole(event, "epoch");
	run->last.epochs = whole(event, "epochs");
	run->last.examples_per_s = number(event, "examples_per_s");
	run->last.left_s = number(event, "left_s");
	if (run->handlers.progress != NULL)
		run->handlers.progress(run->user, &run->last);
}

static void take_line(struct gyr_run *run, char *line, size_t length)
{
	yyjson_doc *doc = yyjson_read(line, length, 0);
	if (doc != NULL)
		take_event(run, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
}

static void take_bytes(struct gyr_run *run, const char *bytes, size_t count)
{
	while (count > 0) {
		const char *newline = memchr(bytes, '\n', count);
		size_t part = newline != NULL ? (size_t)(newline - bytes) : count;
		if (part > sizeof run->line - run->used)
			run->too_long = true;
		if (!run->too_long) {
			memcpy(run->line + run->used, bytes, part);
			run->used += part;
		}
		if (newline == NULL)
			return;
		if (!run->too_long)
			take_line(run, run->line, run->used);
		run->used = 0;
		run->too_long = false;
		bytes += part + 1;
		count -= part + 1;
	}
}

static void destroy(struct gyr_run *run)
{
	int fd = run->output.fd;
	gyr_watch_stop(run->events, &run->output);
	if (fd >= 0)
		close(fd);
	gyr_process_kill(&run->process);
	free(run);
}

static void end_if_over(struct gyr_run *run)
{
	if (!run->exited || run->output.fd >= 0)
		return;
	int status = 0;
	if (run->refused) {
		status = -EINVAL;
	} else if (run->exit_status != 0 || !run->done) {
		status = -EIO;
		if (run->exit_status == 0)
			snprintf(run->text, sizeof run->text, "gyr-worker ended without a result");
	}
	run->handlers.ended(run->user, status, status == 0 ? "" : run->text, &run->last);
	destroy(run);
}

static void read_output(void *user, uint32_t ready)
{
	struct gyr_run *run = user;
	char bytes[4096];
	ssize_t count = read(run->output.fd, bytes, sizeof bytes);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count > 0) {
		take_bytes(run, bytes, (size_t)count);
		return;
	}
	int fd = run->output.fd;
	gyr_watch_stop(run->events, &run->output);
	close(fd);
	end_if_over(run);
}

static void take_exit(void *user, int status, const char *how)
{
	struct gyr_run *run = user;
	run->exited = true;
	run->exit_status = status;
	if (!run->refused)
		snprintf(run->text, sizeof run->text, "gyr-worker %s", how);
	end_if_over(run);
}

int gyr_run_start(struct gyr_events *events, const char *const *arguments, const struct gyr_run_handlers *handlers, void *user, struct gyr_run **run,
		  struct gyr_error *error)
{
	char path[GYR_PROGRAM_PATH_BYTES], name[] = "gyr-worker";
	int status = gyr_program_find(name, "GYR_WORKER", path, error);
	if (status != 0)
		return status;
	int output[2];
	if (pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0)
		return gyr_error_set(error, -errno, "pipe2: %s", strerror(errno));
	struct gyr_run *made = calloc(1, sizeof *made);
	GYR_ASSERT(made != NULL);
	made->events = events;
	made->handlers = *handlers;
	made->user = user;
	made->output = (struct gyr_watch){.fd = -1, .ready = read_output, .user = made};
	made->last = (struct gyr_run_progress){.loss = NAN, .accuracy = NAN, .examples_per_s = NAN, .left_s = NAN};
	gyr_process_init(&made->process, events, take_exit, made);
	char *words[ARGUMENTS_MAX + 2] = {name};
	uint32_t count = 0;
	for (; arguments[count] != NULL; count++) {
		GYR_ASSERT(count < ARGUMENTS_MAX);
		words[count + 1] = (char *)(uintptr_t)arguments[count]; /* execv takes them without const and changes nothing */
	}
	/* Its own end must block: a worker that is faster than gyrd reads waits. */
	fcntl(output[1], F_SETFL, 0);
	struct gyr_process_start how = {
		.program = path, .arguments = words, .output_fd = output[1], .keep_fd = -1, .nice = LOWEST_PRIORITY, .dies_with_us = true};
	status = gyr_process_start(&made->process, &how, error);
	close(output[1]);
	if (status == 0) {
		status = gyr_watch_start(events, &made->output, output[0], EPOLLIN);
		if (status != 0)
			gyr_error_set(error, status, "gyr-worker's output: %s", strerror(-status));
	}
	if (status != 0) {
		close(output[0]);
		destroy(made);
		return status;
	}
	*run = made;
	return 0;
}

void gyr_run_kill(struct gyr_run *run)
{
	if (run != NULL)
		destroy(run);
}
