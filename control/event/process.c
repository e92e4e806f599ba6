#include "control/event/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assertion.h"

/* Reaps a child; writes in words how it ended. */
static int take_status(struct gyr_process *process, char *how, size_t size)
{
	siginfo_t info = {0};
	if (!process->child || waitid(P_PIDFD, (id_t)process->watch.fd, &info, WEXITED) != 0) {
		snprintf(how, size, "ended");
		return -1;
	}
	if (info.si_code == CLD_EXITED) {
		snprintf(how, size, "ended with status %d", info.si_status);
		return info.si_status;
	}
	snprintf(how, size, "was killed by signal %d (%s)", info.si_status, strsignal(info.si_status));
	return -1;
}

void gyr_process_forget(struct gyr_process *process)
{
	if (process->pid == 0)
		return;
	int fd = process->watch.fd;
	gyr_watch_stop(process->events, &process->watch);
	close(fd);
	process->pid = 0;
}

static void tell_end(void *user, uint32_t ready)
{
	struct gyr_process *process = user;
	char how[128];
	int status = take_status(process, how, sizeof how);
	gyr_process_forget(process);
	process->ended(process->user, status, how);
}

void gyr_process_init(struct gyr_process *process, struct gyr_events *events, void (*ended)(void *user, int status, const char *how), void *user)
{
	*process = (struct gyr_process){.events = events, .watch = {.fd = -1, .ready = tell_end, .user = process}, .ended = ended, .user = user};
}

static int watch_pid(struct gyr_process *process, pid_t pid)
{
	int fd = pidfd_open(pid, 0);
	if (fd < 0)
		return -errno;
	int status = gyr_watch_start(process->events, &process->watch, fd, EPOLLIN);
	if (status != 0)
		close(fd);
	else
		process->pid = pid;
	return status;
}

/* In the child. Only what is safe between fork and exec: other threads' locks may be held for ever. */
static _Noreturn void become(const struct gyr_process_start *start, int error_fd, pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	int null_fd = open("/dev/null", O_RDONLY);
	bool ready = null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0;
	ready = ready && dup2(start->output_fd >= 0 ? start->output_fd : STDERR_FILENO, STDOUT_FILENO) >= 0;
	ready = ready && (start->keep_fd < 0 || fcntl(start->keep_fd, F_SETFD, 0) == 0);
	ready = ready && (start->cpus == NULL || sched_setaffinity(0, sizeof *start->cpus, start->cpus) == 0);
	if (start->dies_with_us) {
		ready = ready && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
		if (getppid() != parent)
			_exit(127);
	} else {
		setsid();
	}
	if (ready && (start->nice == 0 || nice(start->nice) != -1 || errno == 0))
		execv(start->program, start->arguments);
	int failure = errno;
	ssize_t ignored = write(error_fd, &failure, sizeof failure);
	(void)ignored;
	_exit(127);
}

int gyr_process_start(struct gyr_process *process, const struct gyr_process_start *start, struct gyr_error *error)
{
	GYR_ASSERT(process->pid == 0);
	int report[2];
	if (pipe2(report, O_CLOEXEC) != 0)
		return gyr_error_set(error, -errno, "pipe2: %s", strerror(errno));
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		errno = 0;
		become(start, report[1], parent);
	}
	int failure = pid < 0 ? errno : 0;
	close(report[1]);
	/* Closed by a successful exec: nothing comes. */
	ssize_t got = 0;
	if (pid > 0)
		while ((got = read(report[0], &failure, sizeof failure)) < 0 && errno == EINTR)
			continue;
	close(report[0]);
	if (pid > 0 && got == 0) {
		int status = watch_pid(process, pid);
		if (status == 0) {
			process->child = true;
			return 0;
		}
		failure = -status;
		kill(pid, SIGKILL);
	}
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	if (failure == 0)
		failure = EIO;
	return gyr_error_set(error, -failure, "%s: cannot be started: %s", start->program, strerror(failure));
}

int gyr_process_adopt(struct gyr_process *process, pid_t pid, struct gyr_error *error)
{
	GYR_ASSERT(process->pid == 0);
	process->child = false;
	int status = watch_pid(process, pid);
	return status == 0 ? 0 : gyr_error_set(error, status, "process %ld: %s", (long)pid, strerror(-status));
}

void gyr_process_signal(struct gyr_process *process, int number)
{
	if (process->pid != 0)
		pidfd_send_signal(process->watch.fd, number, NULL, 0);
}

void gyr_process_kill(struct gyr_process *process)
{
	char how[128];
	if (process->pid == 0)
		return;
	gyr_process_signal(process, SIGKILL);
	take_status(process, how, sizeof how);
	gyr_process_forget(process);
}

int gyr_program_find(const char *name, const char *variable, char path[GYR_PROGRAM_PATH_BYTES], struct gyr_error *error)
{
	const char *given = getenv(variable);
	if (given != NULL && given[0] != '\0') {
		snprintf(path, GYR_PROGRAM_PATH_BYTES, "%s", given);
		if (access(path, X_OK) == 0)
			return 0;
		return gyr_error_set(error, -errno, "%s=%.200s: %s", variable, given, strerror(errno));
	}
	/* The last two are where a build tree has them. */
	static const char *const places[] = {"", "../libexec/gyr/", "../dataplane/", "jobs/"};
	char self[GYR_PROGRAM_PATH_BYTES / 2];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length < 0)
		return gyr_error_set(error, -errno, "/proc/self/exe: %s", strerror(errno));
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, GYR_PROGRAM_PATH_BYTES, "%s/%s%s", self, places[i], name);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return gyr_error_set(error, -ENOENT, "%s is neither in %.150s nor in %.150s/../libexec/gyr; set %s to its path", name, self, self, variable);
}
