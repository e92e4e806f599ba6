/* Calls that are jobs (control/job.h): waited for, with their progress shown, or left to themselves; and the commands that look at jobs. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/cli/ctl.h"
#include "control/cli/table.h"
#include "control/rpc/client.h"

const struct ctl_option ctl_job_options[] = {
	{"detach", NULL, "do not wait for the end; \"gyrctl job follow\" does"},
	{"key", "TEXT", "a repeat with the same key joins the job, or is told how it ended, instead of beginning another"},
	{0},
};

/* What is waited for. */
struct waiting {
	struct ctl *ctl;
	uint64_t job; /* 0: not told yet */
	bool drew;    /* a line that is written over */
};

/* --- progress --- */

static void draw_bar(double part)
{
	char bar[24];
	uint32_t full = (uint32_t)(part * (sizeof bar - 1));
	for (uint32_t i = 0; i < sizeof bar - 1; i++)
		bar[i] = i < full ? '#' : '.';
	bar[sizeof bar - 1] = '\0';
	printf("[%s] %3.0f%%  ", bar, 100 * part);
}

static void show_training(struct waiting *waiting, yyjson_mut_val *body)
{
	char left[64], accuracy[32] = "";
	bool rewrites = isatty(STDOUT_FILENO);
	uint64_t epoch = ctl_whole(body, "epoch"), epochs = ctl_whole(body, "epochs");
	if (isfinite(ctl_number(body, "accuracy")))
		snprintf(accuracy, sizeof accuracy, "  accuracy %.4f", ctl_number(body, "accuracy"));
	if (rewrites) {
		printf("\r\033[K");
		draw_bar(epochs == 0 ? 0 : (double)epoch / (double)epochs);
	}
	printf("epoch %" PRIu64 "/%" PRIu64 "  loss %.6g%s  %.0f examples/s  %s left%s", epoch, epochs, ctl_number(body, "loss"), accuracy,
	       ctl_number(body, "examples_per_s"), ctl_duration_text(ctl_number(body, "left_s"), left, sizeof left), rewrites ? "" : "\n");
	waiting->drew = rewrites;
}

/* Bytes of a version that is being read; only worth a line where it can be written over. */
static void show_bytes(struct waiting *waiting, yyjson_mut_val *body)
{
	char done[32], all[32];
	uint64_t bytes = ctl_whole(body, "bytes"), of = ctl_whole(body, "of_bytes");
	if (!isatty(STDOUT_FILENO) || of == 0)
		return;
	printf("\r\033[K");
	draw_bar((double)bytes / (double)of);
	printf("%s of %s", ctl_bytes_text(bytes, done, sizeof done), ctl_bytes_text(of, all, sizeof all));
	waiting->drew = true;
}

static void take_news(void *user, struct gyr_unpack body)
{
	struct waiting *waiting = user;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *news = doc == NULL ? NULL : ctl_to_json(doc, &body);
	bool first = waiting->job == 0;
	waiting->job = ctl_whole(news, "job");
	/* The first only says which job it is. */
	if (waiting->ctl->json && !first)
		ctl_print_json(news);
	else if (!waiting->ctl->json && yyjson_mut_obj_get(news, "epochs") != NULL)
		show_training(waiting, news);
	else if (!waiting->ctl->json && yyjson_mut_obj_get(news, "of_bytes") != NULL)
		show_bytes(waiting, news);
	fflush(stdout);
	yyjson_mut_doc_free(doc);
}

/* --- waiting --- */

static void wake(int number)
{
}

/* Lets SIGINT through only while the answer is waited for. */
static void let_interrupt(sigset_t *while_waiting)
{
	struct sigaction action = {.sa_handler = wake};
	sigset_t interrupt;
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigaction(SIGINT, &action, NULL);
	sigprocmask(SIG_BLOCK, &interrupt, while_waiting);
	sigdelset(while_waiting, SIGINT);
}

static int call_job(const struct ctl *ctl, const char *call, const struct gyr_rpc_parameter *parameters, uint32_t count, struct waiting *waiting,
		    yyjson_mut_doc **doc, struct gyr_error *error)
{
	struct gyr_rpc_client client;
	struct gyr_unpack body;
	sigset_t while_waiting;
	char path[GYR_CONFIG_PATH_MAX + 16];
	snprintf(path, sizeof path, "%s/" GYR_RPC_SOCKET, ctl->config.run_dir);
	int status = gyr_rpc_client_init(&client, path, error);
	if (status != 0)
		return status;
	let_interrupt(&while_waiting);
	client.while_waiting = &while_waiting;
	status = gyr_rpc_client_call(&client, call, parameters, count, take_news, waiting, &body, error);
	if (status == 0) {
		*doc = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *root = *doc == NULL ? NULL : ctl_to_json(*doc, &body);
		if (root != NULL)
			yyjson_mut_doc_set_root(*doc, root);
		else
			status = gyr_error_set(error, -EBADMSG, "gyrd's answer is not understood; is it of another version?");
	}
	gyr_rpc_client_fini(&client);
	if (waiting->drew)
		printf("\n");
	return status;
}

static enum ctl_exit be_interrupted(const struct ctl *ctl, const struct waiting *waiting, bool cancels)
{
	char number[24];
	yyjson_mut_doc *doc;
	const struct gyr_rpc_parameter job = {"job", number};
	snprintf(number, sizeof number, "%" PRIu64, waiting->job);
	if (waiting->job == 0) {
		fprintf(stderr, "gyrctl: interrupted; \"gyrctl job list\" shows what was begun\n");
	} else if (!cancels) {
		fprintf(stderr, "gyrctl: job %s goes on; \"gyrctl job follow %s\" waits for it\n", number, number);
	} else if (ctl_call(ctl->config.run_dir, "job.cancel", &job, 1, NULL, NULL, &doc)) {
		yyjson_mut_doc_free(doc);
		fprintf(stderr, "gyrctl: job %s is cancelled\n", number);
	}
	return CTL_FAILED;
}

enum ctl_exit ctl_call_job(struct ctl *ctl, const char *call, const struct gyr_rpc_parameter *parameters, uint32_t count, bool cancels, yyjson_mut_doc **doc)
{
	struct gyr_rpc_parameter all[GYR_RPC_PARAMETERS_MAX];
	struct waiting waiting = {.ctl = ctl};
	struct gyr_error error;
	static const char *const passed[] = {"key", "dry-run", "expect", "detach"};
	memcpy(all, parameters, count * sizeof *all);
	for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
		if (ctl_option(ctl, passed[i]) != NULL)
			all[count++] = (struct gyr_rpc_parameter){passed[i], ctl_option(ctl, passed[i])};
	int status = call_job(ctl, call, all, count, &waiting, doc, &error);
	if (status == -EINTR)
		return be_interrupted(ctl, &waiting, cancels);
	if (status != 0)
		return ctl_fail(&error);
	if (ctl_option(ctl, "detach") == NULL)
		return CTL_OK;
	uint64_t job = ctl_whole(yyjson_mut_doc_get_root(*doc), "job");
	if (ctl->json)
		ctl_print_json(yyjson_mut_doc_get_root(*doc));
	else
		printf("job %" PRIu64 " is under way; \"gyrctl job follow %" PRIu64 "\" waits for it\n", job, job);
	yyjson_mut_doc_free(*doc);
	return CTL_DETACHED;
}

/* --- job list, show, follow, cancel --- */

static enum ctl_colour colour_of(const char *state)
{
	return strcmp(state, "done") == 0 ? CTL_GREEN : strcmp(state, "running") == 0 ? CTL_PLAIN : CTL_RED;
}

static void add_row(struct ctl_table *table, yyjson_mut_val *job)
{
	char text[64], span[64];
	uint64_t began = ctl_whole(job, "began_s"), ended = ctl_whole(job, "ended_s");
	yyjson_mut_val *progress = yyjson_mut_obj_get(job, "progress");
	snprintf(text, sizeof text, "%" PRIu64, ctl_whole(job, "job"));
	ctl_table_cell(table, text, CTL_PLAIN);
	ctl_table_cell(table, ctl_text(job, "kind"), CTL_PLAIN);
	ctl_table_cell(table, ctl_text(job, "model"), CTL_PLAIN);
	ctl_table_cell(table, ctl_text(job, "state"), colour_of(ctl_text(job, "state")));
	ctl_table_cell(table, ctl_time_text((int64_t)began, text, sizeof text), CTL_PLAIN);
	ctl_table_cell(table, ended == 0 ? "" : ctl_duration_text((double)(ended - began), span, sizeof span), CTL_PLAIN);
	text[0] = '\0';
	if (ended == 0 && ctl_whole(progress, "epochs") != 0)
		snprintf(text, sizeof text, "epoch %" PRIu64 "/%" PRIu64 ", loss %.4g", ctl_whole(progress, "epoch"), ctl_whole(progress, "epochs"),
			 ctl_number(progress, "loss"));
	else if (ctl_whole(job, "version") != 0)
		snprintf(text, sizeof text, "version %" PRIu64, ctl_whole(job, "version"));
	ctl_table_cell(table, ctl_text(job, "text")[0] != '\0' ? ctl_text(job, "text") : text, CTL_PLAIN);
}

static const struct ctl_column job_columns[] = {{"JOB", true},    {"KIND", false}, {"MODEL", false}, {"STATE", false},
						{"BEGAN", false}, {"TOOK", true},  {"WHAT", false},  {0}};

enum ctl_exit ctl_job_list(struct ctl *ctl)
{
	yyjson_mut_doc *doc;
	if (!ctl_call(ctl->config.run_dir, "job.list", NULL, 0, NULL, NULL, &doc))
		return CTL_FAILED;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *job;
	size_t index, max;
	if (ctl->json) {
		ctl_print_json(root);
	} else if (yyjson_mut_arr_size(root) == 0) {
		printf("no jobs since gyrd started\n");
	} else {
		struct ctl_table table;
		ctl_table_init(&table, job_columns);
		yyjson_mut_arr_foreach(root, index, max, job)
		{
			add_row(&table, job);
		}
		ctl_table_print(&table);
	}
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

/* A job by the word that names it. */
static bool read_job(const struct ctl *ctl, struct gyr_rpc_parameter *job)
{
	*job = (struct gyr_rpc_parameter){"job", ctl->words[0]};
	if (ctl->words[0][0] != '\0' && strspn(ctl->words[0], "0123456789") == strlen(ctl->words[0]))
		return true;
	struct gyr_error error;
	gyr_error_set(&error, 0, "\"%.64s\" is no job: a number is expected, such as \"gyrctl job list\" shows", ctl->words[0]);
	ctl_misused(&error);
	return false;
}

enum ctl_exit ctl_job_show(struct ctl *ctl)
{
	struct gyr_rpc_parameter job;
	yyjson_mut_doc *doc;
	if (!read_job(ctl, &job))
		return CTL_USAGE;
	if (!ctl_call(ctl->config.run_dir, "job.show", &job, 1, NULL, NULL, &doc))
		return CTL_FAILED;
	if (ctl->json) {
		ctl_print_json(yyjson_mut_doc_get_root(doc));
	} else {
		struct ctl_table table;
		ctl_table_init(&table, job_columns);
		add_row(&table, yyjson_mut_doc_get_root(doc));
		ctl_table_print(&table);
	}
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

enum ctl_exit ctl_job_follow(struct ctl *ctl)
{
	struct gyr_rpc_parameter job;
	yyjson_mut_doc *doc;
	if (!read_job(ctl, &job))
		return CTL_USAGE;
	enum ctl_exit result = ctl_call_job(ctl, "job.follow", &job, 1, false, &doc);
	if (result != CTL_OK)
		return result;
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
	if (ctl->json)
		ctl_print_json(root);
	else
		printf("%s version %" PRIu64 ": done\n", ctl_text(root, "model"), ctl_whole(root, "version"));
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}

enum ctl_exit ctl_job_cancel(struct ctl *ctl)
{
	struct gyr_rpc_parameter parameters[2] = {{0}, {"dry-run", "yes"}};
	bool dry = ctl_option(ctl, "dry-run") != NULL;
	yyjson_mut_doc *doc;
	if (!read_job(ctl, &parameters[0]))
		return CTL_USAGE;
	if (!ctl_call(ctl->config.run_dir, "job.cancel", parameters, dry ? 2 : 1, NULL, NULL, &doc))
		return CTL_FAILED;
	if (ctl->json)
		ctl_print_json(yyjson_mut_doc_get_root(doc));
	else
		printf("job %s %s\n", ctl->words[0], dry ? "would be cancelled" : "is cancelled");
	yyjson_mut_doc_free(doc);
	return CTL_OK;
}
