/*
 * The command that shows the counters live: top. On a terminal, one screen that is written over in place: the cursor goes home, each line is cleared to its
 * end, so that nothing flickers. Elsewhere, lines.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "control/cli/ctl.h"
#include "control/cli/interval.h"

#define INTERVAL_MS 1000u
#define INTERVAL_MS_MIN 100u
#define INTERVAL_MS_MAX 3600000u

const struct ctl_option ctl_top_options[] = {
	{"interval", "MS", "milliseconds from one look to the next, 100 to 3600000 (1000)"},
	{"count", "N", "end after N looks (none: goes on until q is pressed, or it is interrupted)"},
	{0},
};

/* What the terminal was before; restored however top ends. */
struct screen {
	bool is_terminal;
	bool has_keys; /* stdin is a terminal: a key ends it */
	struct termios before;
};

static volatile sig_atomic_t told_to_end;

static void end_soon(int number)
{
	told_to_end = 1;
}

/* A new size of the terminal only has to wake poll up: the next screen is drawn to it. */
static void wake(int number)
{
}

static void open_screen(struct screen *screen)
{
	struct sigaction ends = {.sa_handler = end_soon, .sa_flags = SA_RESTART},
			 wakes = {.sa_handler = wake, .sa_flags = SA_RESTART}; /* poll is never restarted */
	sigaction(SIGINT, &ends, NULL);
	sigaction(SIGTERM, &ends, NULL);
	sigaction(SIGHUP, &ends, NULL);
	sigaction(SIGWINCH, &wakes, NULL);
	screen->has_keys = screen->is_terminal && tcgetattr(STDIN_FILENO, &screen->before) == 0;
	if (screen->has_keys) {
		struct termios now = screen->before;
		now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &now);
	}
	if (screen->is_terminal)
		fputs("\033[?25l\033[2J", stdout); /* no cursor, nothing on it */
}

static void close_screen(const struct screen *screen)
{
	if (screen->has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
	if (screen->is_terminal)
		fputs("\033[?25h\n", stdout);
}

/* Prints TEXT: on a terminal over what is there, as many columns and lines as it has. */
static void show(const struct screen *screen, const char *text)
{
	struct winsize size = {0};
	if (!screen->is_terminal) {
		puts(text);
		fflush(stdout);
		return;
	}
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	fputs("\033[H", stdout);
	for (unsigned line = 0; *text != '\0' && line + 1u < size.ws_row; line++) {
		size_t length = strcspn(text, "\n"),
		       fits = length < size.ws_col ? length : size.ws_col - 1u; /* in the last column a line would be about to wrap */
		printf("%.*s\033[K\n", (int)fits, text);
		text += length + (text[length] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static void print_stage(FILE *to, yyjson_mut_val *stages, const char *name)
{
	yyjson_mut_val *stage = yyjson_mut_obj_get(stages, name);
	fprintf(to, " %7.1f %7.1f %7.1f |", (double)ctl_whole(stage, "p50_ns") / 1e3, (double)ctl_whole(stage, "p99_ns") / 1e3,
		(double)ctl_whole(stage, "p99.9_ns") / 1e3);
}

static void print_versions(FILE *to, yyjson_mut_val *versions)
{
	static const char *const stages[] = {"total", "parsed", "queued", "computed", "sent"};
	size_t index, max;
	yyjson_mut_val *version;
	fprintf(to, "\n%-44s |", "");
	for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
		fprintf(to, " %-8s us%12s |", stages[i], "");
	fprintf(to, "\n%-16s %5s %10s %4s %5s |", "MODEL", "VERS", "REQUESTS/s", "ROWS", "BUSY%");
	for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
		fprintf(to, " %7s %7s %7s |", "p50", "p99", "p99.9");
	fputc('\n', to);
	yyjson_mut_arr_foreach(versions, index, max, version)
	{
		fprintf(to, "%-16.16s %5" PRIu64 " %10.0f %4.1f %5.1f |", ctl_text(version, "model"), ctl_whole(version, "version"),
			ctl_number(version, "requests_per_s"), ctl_number(version, "rows_per_run"), 100 * ctl_number(version, "busy"));
		for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
			print_stage(to, yyjson_mut_obj_get(version, "stages"), stages[i]);
		fputc('\n', to);
	}
}

/* The screen's text, to be freed. */
static char *describe(yyjson_mut_val *interval)
{
	char *text = NULL;
	size_t size, index, max;
	FILE *to = open_memstream(&text, &size);
	GYR_ASSERT(to != NULL);
	yyjson_mut_val *lcore, *name, *value;
	fprintf(to, "%.0f requests/s, %.0f rows/s; %.0f frames/s in, %.0f out; %" PRIu64 " under way\n", ctl_number(interval, "requests_per_s"),
		ctl_number(interval, "rows_per_s"), ctl_number(interval, "received_per_s"), ctl_number(interval, "sent_per_s"),
		ctl_whole(interval, "under_way"));
	fprintf(to, "\n%-6s %4s %-10s %6s %7s\n", "LCORE", "CPU", "ROLES", "BUSY%", "QUEUED");
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(interval, "lcores"), index, max, lcore)
	{
		fprintf(to, "%-6" PRIu64 " %4" PRIu64 " %-10s %6.1f %7" PRIu64 "\n", ctl_whole(lcore, "lcore"), ctl_whole(lcore, "cpu"),
			ctl_text(lcore, "roles"), 100 * ctl_number(lcore, "busy"), ctl_whole(lcore, "queued"));
	}
	print_versions(to, yyjson_mut_obj_get(interval, "versions"));
	if (yyjson_mut_obj_size(yyjson_mut_obj_get(interval, "refused")) > 0)
		fprintf(to, "\n%-32s %10s\n", "REFUSED OR LOST", "per s");
	yyjson_mut_obj_foreach(yyjson_mut_obj_get(interval, "refused"), index, max, name, value)
	{
		fprintf(to, "%-32s %10.1f\n", ctl_plain(yyjson_mut_get_str(name)), yyjson_mut_get_num(value));
	}
	fclose(to);
	return text;
}

/* Waits until DUE_NS. False: it is to end. */
static bool wait_until(const struct screen *screen, uint64_t due_ns)
{
	while (!told_to_end) {
		uint64_t now_ns = gyr_clock_ns();
		if (now_ns >= due_ns)
			return true;
		struct pollfd keys = {.fd = screen->has_keys ? STDIN_FILENO : -1, .events = POLLIN};
		char key;
		if (poll(&keys, 1, (int)((due_ns - now_ns + GYR_NS_PER_MS - 1) / GYR_NS_PER_MS)) > 0 &&
		    (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
			return false;
	}
	return false;
}

static yyjson_mut_doc *look(const struct ctl *ctl)
{
	static const struct gyr_rpc_parameter parameters[] = {{"buckets", "yes"}};
	yyjson_mut_doc *doc;
	return ctl_call(ctl->config.run_dir, "stats", parameters, 1, NULL, NULL, &doc) ? doc : NULL;
}

/* What came between two looks. */
static void report(const struct ctl *ctl, const struct screen *screen, yyjson_mut_doc *before, yyjson_mut_doc *now)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	GYR_ASSERT(doc != NULL);
	yyjson_mut_val *interval = ctl_interval(doc, yyjson_mut_doc_get_root(before), yyjson_mut_doc_get_root(now));
	bool alive = yyjson_mut_get_bool(yyjson_mut_obj_get(yyjson_mut_doc_get_root(now), "alive"));
	if (ctl->json && interval != NULL) {
		ctl_print_json(interval);
		fflush(stdout);
	} else if (!ctl->json && (interval == NULL || !alive)) {
		show(screen, interval == NULL ? "the data plane has been started anew" : "the data plane is gone");
	} else if (!ctl->json) {
		char *text = describe(interval);
		show(screen, text);
		free(text);
	}
	yyjson_mut_doc_free(doc);
}

enum ctl_exit ctl_top(struct ctl *ctl)
{
	uint64_t interval_ms, count;
	struct gyr_error error;
	if (ctl_option_number(ctl, "interval", INTERVAL_MS, INTERVAL_MS_MIN, INTERVAL_MS_MAX, &interval_ms, &error) != 0 ||
	    ctl_option_number(ctl, "count", UINT64_MAX, 1, UINT64_MAX, &count, &error) != 0)
		return ctl_misused(&error);
	yyjson_mut_doc *before = look(ctl);
	if (before == NULL)
		return CTL_FAILED;
	struct screen screen = {.is_terminal = !ctl->json && isatty(STDOUT_FILENO)};
	enum ctl_exit result = CTL_OK;
	open_screen(&screen);
	uint64_t due_ns = gyr_clock_ns();
	for (uint64_t i = 0; i < count; i++) {
		due_ns += interval_ms * GYR_NS_PER_MS;
		if (!wait_until(&screen, due_ns))
			break;
		yyjson_mut_doc *now = look(ctl);
		if (now == NULL) {
			result = CTL_FAILED;
			break;
		}
		report(ctl, &screen, before, now);
		yyjson_mut_doc_free(before);
		before = now;
		if (ferror(stdout))
			break;
	}
	close_screen(&screen);
	yyjson_mut_doc_free(before);
	return result;
}
