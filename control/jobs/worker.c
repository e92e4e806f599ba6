/*
 * gyr-worker: one training, import or export, as a process of its own that may be killed at any time. It writes its result aside and renames it at the end, so
 * that nobody ever sees half of one. Exit status: 0, 1 (failed) or 2 (usage).
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control/jobs/command.h"
#include "control/jobs/event.h"
#include "control/jobs/file.h"

static const struct command {
	const char *name;
	const struct gyr_job_option *options;
	int (*run)(const struct gyr_job_options *options, bool *usage, struct gyr_error *error);
} commands[] = {
	{"train", gyr_job_train_options, gyr_job_train},
	{"import", gyr_job_import_options, gyr_job_import},
	{"export", gyr_job_export_options, gyr_job_export},
};

static void stop(int number)
{
	static const char line[] = "{\"event\":\"error\",\"text\":\"stopped by a signal\"}\n";
	gyr_job_file_abandon();
	ssize_t written = write(STDOUT_FILENO, line, sizeof line - 1);
	_exit(written >= 0 ? 1 : 128 + number);
}

static void handle_signals(void)
{
	struct sigaction action = {.sa_handler = stop};
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

/* Gives way to everything else on the machine. A kernel that refuses loses us nothing but politeness. */
static void lower_priority(void)
{
	struct sched_param none = {0};
	setpriority(PRIO_PROCESS, 0, 19);
	sched_setscheduler(0, SCHED_IDLE, &none);
}

static int fail(int status, const char *text)
{
	const struct gyr_job_field field = {"text", text, 0};
	gyr_job_event("error", &field, 1);
	if (status == 2)
		fprintf(stderr, "gyr-worker: %s\n", text);
	return status;
}

static int usage(const char *given)
{
	struct gyr_error error;
	gyr_error_set(&error, 0, "%s%.40s%s; train, import or export is expected", given != NULL ? "\"" : "no command", given != NULL ? given : "",
		      given != NULL ? "\" is no command" : "");
	fail(2, error.text);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		fprintf(stderr, "gyr-worker %s OPTION=VALUE...\n", commands[i].name);
		for (const struct gyr_job_option *option = commands[i].options; option->name != NULL; option++)
			fprintf(stderr, "    %s=%s%s\n", option->name, option->value, option->required ? ", needed" : "");
	}
	return 2;
}

static int run(const struct command *command, char **words, int count)
{
	struct gyr_job_options options = {.list = command->options, .words = words, .count = count};
	struct gyr_error error = {0};
	if (gyr_job_options_check(&options, &error) != 0)
		return fail(2, error.text);
	bool wrong_usage = false;
	int result = command->run(&options, &wrong_usage, &error);
	return result == 0 ? 0 : fail(wrong_usage ? 2 : 1, error.text);
}

int main(int argc, char **argv)
{
	handle_signals();
	lower_priority();
	for (size_t i = 0; i < sizeof commands / sizeof *commands && argc > 1; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return run(&commands[i], argv + 2, argc - 2);
	return usage(argc > 1 ? argv[1] : NULL);
}
