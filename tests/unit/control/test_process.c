/* The loop, children, the supervisor and the worker's runs, with shell scripts in the place of Gyr's programs. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control/event/events.h"
#include "control/event/process.h"
#include "control/event/work.h"
#include "control/jobs/run.h"
#include "control/link/supervisor.h"
#include "sample.h"

#define WAIT_NS (20 * GYR_NS_PER_S)

static char folder[64], script[128];
static struct gyr_error error;
static struct gyr_events events;

static int start(void **state)
{
	sample_folder(folder);
	snprintf(script, sizeof script, "%s/script", folder);
	return gyr_events_init(&events, &error);
}

static int stop(void **state)
{
	gyr_events_fini(&events);
	sample_remove(folder);
	unsetenv("GYR_WORKER");
	unsetenv("GYR_DATAPLANE");
	return 0;
}

static void write_script(const char *text)
{
	char whole[2048];
	int length = snprintf(whole, sizeof whole, "#!/bin/sh\n%s\n", text);
	sample_write(script, whole, (size_t)length);
	assert_int_equal(chmod(script, 0755), 0);
}

/* --- the loop and its helper thread --- */

static char order[16];
static size_t order_used;

static void note_due(void *user)
{
	order[order_used++] = *(const char *)user;
}

static void timers_are_called_in_their_order(void **state)
{
	static char names[] = "abcd";
	struct gyr_timer a = {0}, b = {0}, c = {0}, d = {0};
	bool never = false;
	order_used = 0;
	memset(order, 0, sizeof order);
	gyr_timer_start(&events, &a, 3 * GYR_NS_PER_MS, note_due, &names[0]);
	gyr_timer_start(&events, &b, 1 * GYR_NS_PER_MS, note_due, &names[1]);
	gyr_timer_start(&events, &c, 2 * GYR_NS_PER_MS, note_due, &names[2]);
	gyr_timer_start(&events, &d, 2 * GYR_NS_PER_MS, note_due, &names[3]);
	gyr_timer_cancel(&events, &c);
	gyr_timer_cancel(&events, &c);
	gyr_timer_start(&events, &b, 4 * GYR_NS_PER_MS, note_due, &names[1]);
	assert_false(gyr_events_run_until(&events, &never, 20 * GYR_NS_PER_MS));
	assert_string_equal(order, "dab");
	assert_null(events.timers);
}

struct task {
	struct gyr_task task;
	pthread_t ran_in;
	bool done;
};

static void run_task(struct gyr_task *task)
{
	((struct task *)task)->ran_in = pthread_self();
}

static void end_task(struct gyr_task *task)
{
	((struct task *)task)->done = true;
}

static void tasks_run_elsewhere_and_end_here(void **state)
{
	struct gyr_work work;
	struct task tasks[3];
	assert_int_equal(gyr_work_init(&work, &events, &error), 0);
	for (int i = 0; i < 3; i++) {
		tasks[i] = (struct task){.task = {.run = run_task, .done = end_task}};
		gyr_work_submit(&work, &tasks[i].task);
	}
	assert_true(gyr_events_run_until(&events, &tasks[0].done, WAIT_NS));
	assert_false(pthread_equal(tasks[0].ran_in, pthread_self()));
	/* Whatever was submitted is ended. */
	gyr_work_fini(&work);
	assert_true(tasks[1].done);
	assert_true(tasks[2].done);
}

/* --- children --- */

struct end {
	bool told;
	int status;
	char how[128];
};

static void note_end(void *user, int status, const char *how)
{
	struct end *end = user;
	assert_false(end->told);
	end->told = true;
	end->status = status;
	snprintf(end->how, sizeof end->how, "%s", how);
}

static void start_script(struct gyr_process *process, struct end *end)
{
	char name[] = "script";
	char *arguments[] = {name, NULL};
	struct gyr_process_start how = {.program = script, .arguments = arguments, .output_fd = -1, .keep_fd = -1, .dies_with_us = true};
	gyr_process_init(process, &events, note_end, end);
	if (gyr_process_start(process, &how, &error) != 0)
		fail_msg("%s", error.text);
}

static void ends_are_told_in_words(void **state)
{
	struct gyr_process process;
	struct end end = {0};
	write_script("exit 3");
	start_script(&process, &end);
	assert_true(gyr_events_run_until(&events, &end.told, WAIT_NS));
	assert_int_equal(end.status, 3);
	assert_string_equal(end.how, "ended with status 3");
	end = (struct end){0};
	write_script("kill -9 $$");
	start_script(&process, &end);
	assert_true(gyr_events_run_until(&events, &end.told, WAIT_NS));
	assert_int_equal(end.status, -1);
	assert_non_null(strstr(end.how, "signal 9"));
	/* No child is left unreaped. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_killed_one_is_not_told(void **state)
{
	struct gyr_process process;
	struct end end = {0};
	write_script("exec sleep 100");
	start_script(&process, &end);
	gyr_process_kill(&process);
	assert_int_equal(process.pid, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_false(end.told);
}

static void what_cannot_be_started_is_named(void **state)
{
	struct gyr_process process;
	struct end end = {0};
	char *arguments[] = {script, NULL};
	struct gyr_process_start how = {.program = "/nonexistent/program", .arguments = arguments, .output_fd = -1, .keep_fd = -1};
	gyr_process_init(&process, &events, note_end, &end);
	assert_int_equal(gyr_process_start(&process, &how, &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nonexistent/program"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(gyr_process_adopt(&process, 0x3fffffff, &error), -ESRCH);
	char path[GYR_PROGRAM_PATH_BYTES];
	assert_int_equal(gyr_program_find("gyr-no-such-program", "GYR_NO_SUCH", path, &error), -ENOENT);
	assert_non_null(strstr(error.text, "GYR_NO_SUCH"));
	setenv("GYR_WORKER", "/nonexistent/worker", 1);
	assert_int_equal(gyr_program_find("gyr-worker", "GYR_WORKER", path, &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nonexistent/worker"));
}

static void an_adopted_one_is_watched(void **state)
{
	struct gyr_process process;
	struct end end = {0};
	int wait[2];
	char byte;
	assert_int_equal(pipe(wait), 0);
	pid_t child = fork();
	if (child == 0) {
		close(wait[1]);
		_exit(read(wait[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(wait[0]);
	gyr_process_init(&process, &events, note_end, &end);
	assert_int_equal(gyr_process_adopt(&process, child, &error), 0);
	close(wait[1]);
	assert_true(gyr_events_run_until(&events, &end.told, WAIT_NS));
	assert_string_equal(end.how, "ended");
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* --- the supervisor --- */

static void note_ready(void *user)
{
	*(bool *)user = true;
}

static void a_data_plane_is_started_again(void **state)
{
	struct gyr_supervisor supervisor;
	char argument[] = "--set=x";
	char *arguments[] = {argument};
	bool ready = false, stopped = false, never = false;
	setenv("GYR_DATAPLANE", script, 1);
	/* argv: --ready-fd N --restoring --set=x */
	write_script("[ \"$1 $3 $4\" = '--ready-fd --restoring --set=x' ] || exit 9\n[ -e $0.second ] || { : >$0.second; exit 2; }\necho >&$2\neval \"exec "
		     "$2>&-\"\nexec "
		     "sleep 100");
	assert_int_equal(gyr_supervisor_init(&supervisor, &events, arguments, 1, NULL, note_ready, &ready, &error), 0);
	gyr_supervisor_absent(&supervisor);
	assert_int_equal(supervisor.starts, 1);
	gyr_supervisor_absent(&supervisor);
	assert_int_equal(supervisor.starts, 1);
	assert_true(gyr_events_run_until(&events, &ready, WAIT_NS));
	assert_int_equal(supervisor.starts, 2);
	pid_t pid = supervisor.process.pid;
	assert_true(pid > 0);
	/* The one that answers is the one that was started. */
	gyr_supervisor_present(&supervisor, pid);
	assert_int_equal(supervisor.process.pid, pid);
	ready = false;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(gyr_events_run_until(&events, &ready, WAIT_NS));
	assert_int_equal(supervisor.starts, 3);
	gyr_supervisor_stop(&supervisor, note_ready, &stopped);
	gyr_process_signal(&supervisor.process, SIGTERM);
	assert_true(gyr_events_run_until(&events, &stopped, WAIT_NS));
	gyr_supervisor_absent(&supervisor);
	assert_false(gyr_events_run_until(&events, &never, 10 * GYR_NS_PER_MS));
	assert_int_equal(supervisor.starts, 3);
	gyr_supervisor_fini(&supervisor);
}

/* The pause before the next start, once the data plane has ended. */
static uint64_t pause_after_end(struct gyr_supervisor *supervisor)
{
	uint64_t begin_ns = gyr_clock_ns();
	bool never = false;
	while (!supervisor->restart.running) {
		assert_true(gyr_clock_ns() - begin_ns < WAIT_NS);
		assert_false(gyr_events_run_until(&events, &never, GYR_NS_PER_MS));
	}
	uint64_t now = gyr_clock_ns();
	return supervisor->restart.due_ns > now ? supervisor->restart.due_ns - now : 0;
}

static void a_data_plane_that_keeps_ending_is_started_ever_later(void **state)
{
	struct gyr_supervisor supervisor;
	bool ready = false, never = false;
	uint64_t pauses_ms[] = {100, 200, 400};
	setenv("GYR_DATAPLANE", script, 1);
	write_script("echo >&$2\n[ -e $0.well ] || exit 1\nexec sleep 100");
	assert_int_equal(gyr_supervisor_init(&supervisor, &events, NULL, 0, NULL, note_ready, &ready, &error), 0);
	gyr_supervisor_absent(&supervisor);
	for (size_t i = 0; i < 3; i++) {
		uint64_t pause_ns = pause_after_end(&supervisor);
		assert_true(pause_ns > (pauses_ms[i] - 20) * GYR_NS_PER_MS && pause_ns <= pauses_ms[i] * GYR_NS_PER_MS);
		if (i == 2) {
			char well[sizeof script + 8];
			snprintf(well, sizeof well, "%s.well", script);
			sample_write(well, "", 0);
			ready = false;
		}
		while (supervisor.restart.running)
			assert_false(gyr_events_run_until(&events, &never, GYR_NS_PER_MS));
	}
	/* One that has been ready for a while is started again at once; who says that it is stuck has it killed. */
	assert_true(gyr_events_run_until(&events, &ready, WAIT_NS));
	assert_false(gyr_events_run_until(&events, &never, 2100 * GYR_NS_PER_MS));
	uint32_t starts = supervisor.starts;
	ready = false;
	gyr_supervisor_kill(&supervisor, supervisor.process.pid, "says the test");
	uint64_t begin_ns = gyr_clock_ns();
	assert_true(gyr_events_run_until(&events, &ready, WAIT_NS));
	assert_true(gyr_clock_ns() - begin_ns < 100 * GYR_NS_PER_MS);
	assert_int_equal(supervisor.starts, starts + 1);
	gyr_process_kill(&supervisor.process);
	gyr_supervisor_fini(&supervisor);
}

static void a_data_plane_outlives_its_supervisor_and_is_adopted(void **state)
{
	struct gyr_supervisor supervisor;
	bool ready = false, stopped = false;
	setenv("GYR_DATAPLANE", script, 1);
	write_script("echo >&$2\neval \"exec $2>&-\"\nexec sleep 100");
	assert_int_equal(gyr_supervisor_init(&supervisor, &events, NULL, 0, NULL, note_ready, &ready, &error), 0);
	gyr_supervisor_absent(&supervisor);
	assert_true(gyr_events_run_until(&events, &ready, WAIT_NS));
	pid_t pid = supervisor.process.pid;
	gyr_supervisor_fini(&supervisor);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(gyr_supervisor_init(&supervisor, &events, NULL, 0, NULL, note_ready, &ready, &error), 0);
	gyr_supervisor_present(&supervisor, pid);
	assert_int_equal(supervisor.process.pid, pid);
	assert_int_equal(supervisor.starts, 0);
	gyr_supervisor_stop(&supervisor, note_ready, &stopped);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(gyr_events_run_until(&events, &stopped, WAIT_NS));
	gyr_supervisor_fini(&supervisor);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* --- runs of the worker --- */

struct outcome {
	bool ended;
	uint32_t progress;
	int status;
	char text[512];
	struct gyr_run_progress last;
};

static void note_progress(void *user, const struct gyr_run_progress *progress)
{
	struct outcome *outcome = user;
	outcome->progress++;
	assert_int_equal(progress->epoch, outcome->progress);
	assert_int_equal(progress->epochs, 2);
}

static void note_outcome(void *user, int status, const char *text, const struct gyr_run_progress *last)
{
	struct outcome *outcome = user;
	assert_false(outcome->ended);
	outcome->ended = true;
	outcome->status = status;
	snprintf(outcome->text, sizeof outcome->text, "%s", text);
	outcome->last = *last;
}

static const struct gyr_run_handlers handlers = {.progress = note_progress, .ended = note_outcome};

static struct outcome run_worker(const char *text)
{
	static const char *const arguments[] = {"train", "name=a", NULL};
	struct gyr_run *run;
	struct outcome outcome = {0};
	setenv("GYR_WORKER", script, 1);
	write_script(text);
	if (gyr_run_start(&events, arguments, &handlers, &outcome, &run, &error) != 0)
		fail_msg("%s", error.text);
	assert_true(gyr_events_run_until(&events, &outcome.ended, WAIT_NS));
	return outcome;
}

static void a_run_tells_its_progress_and_its_end(void **state)
{
	struct outcome outcome =
		run_worker("[ \"$*\" = 'train name=a' ] || exit 9\n"
			   "echo '{\"event\":\"progress\",\"epoch\":1,\"epochs\":2,\"loss\":0.5,\"accuracy\":null,\"examples_per_s\":10,\"left_s\":3}'\n"
			   "echo '{\"event\":\"progress\",\"epoch\":2,\"epochs\":2,\"loss\":0.25}'\n"
			   "echo '{\"event\":\"done\",\"out\":\"x\",\"id\":\"y\",\"loss\":0.125,\"accuracy\":1}'");
	assert_int_equal(outcome.status, 0);
	assert_int_equal(outcome.progress, 2);
	assert_true(outcome.last.loss == 0.125);
	assert_true(outcome.last.accuracy == 1);
	assert_true(isnan(outcome.last.left_s));
}

static void a_run_that_fails_says_why(void **state)
{
	struct outcome outcome = run_worker("echo '{\"event\":\"error\",\"text\":\"no such column\"}'\nexit 1");
	assert_int_equal(outcome.status, -EINVAL);
	assert_string_equal(outcome.text, "no such column");
	outcome = run_worker("exit 2");
	assert_int_equal(outcome.status, -EIO);
	assert_string_equal(outcome.text, "gyr-worker ended with status 2");
	outcome = run_worker("kill -9 $$");
	assert_int_equal(outcome.status, -EIO);
	assert_non_null(strstr(outcome.text, "signal 9"));
	outcome = run_worker("exit 0");
	assert_int_equal(outcome.status, -EIO);
	assert_string_equal(outcome.text, "gyr-worker ended without a result");
	/* What is no event is passed over: no JSON, no object, no end of line, a line without end. */
	outcome = run_worker("echo nonsense; echo '[1]'; echo '{}'; echo '{\"event\":7}'; head -c 100000 /dev/zero | tr '\\0' x; echo\n"
			     "printf '{\"event\":\"done\"'");
	assert_int_equal(outcome.status, -EIO);
	outcome = run_worker("head -c 100000 /dev/zero | tr '\\0' x; echo; echo '{\"event\":\"done\"}'");
	assert_int_equal(outcome.status, 0);
}

static void a_run_can_be_killed(void **state)
{
	static const char *const arguments[] = {"train", NULL};
	struct gyr_run *run;
	struct outcome outcome = {0};
	setenv("GYR_WORKER", script, 1);
	write_script("exec sleep 100");
	assert_int_equal(gyr_run_start(&events, arguments, &handlers, &outcome, &run, &error), 0);
	gyr_run_kill(run);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_false(outcome.ended);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(timers_are_called_in_their_order),
		TEST(tasks_run_elsewhere_and_end_here),
		TEST(ends_are_told_in_words),
		TEST(a_killed_one_is_not_told),
		TEST(what_cannot_be_started_is_named),
		TEST(an_adopted_one_is_watched),
		TEST(a_data_plane_is_started_again),
		TEST(a_data_plane_that_keeps_ending_is_started_ever_later),
		TEST(a_data_plane_outlives_its_supervisor_and_is_adopted),
		TEST(a_run_tells_its_progress_and_its_end),
		TEST(a_run_that_fails_says_why),
		TEST(a_run_can_be_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
