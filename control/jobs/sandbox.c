#include "control/jobs/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"

#define RESULT_MAX 4096u
#define CPU_GRACE_S 1u /* from the signal that tells of the limit of CPU time to the one that kills */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the sandbox knows the system calls of x86-64 and AArch64"
#endif

/* What computing needs, whatever its arguments are. Another number, those of other calling conventions included, is refused with EPERM. */
static const uint16_t allowed[] = {
	__NR_read,
	__NR_write,
	__NR_lseek,
	__NR_fstat,
	__NR_close,
	__NR_mmap,
	__NR_munmap,
	__NR_mprotect,
	__NR_mremap,
	__NR_madvise,
	__NR_brk,
	__NR_futex,
	__NR_sched_yield,
	__NR_sched_getaffinity,
	__NR_getcpu,
	__NR_getpid,
	__NR_gettid,
	__NR_getrandom,
	__NR_clock_gettime,
	__NR_sysinfo,
	__NR_rt_sigaction,
	__NR_rt_sigprocmask,
	__NR_rt_sigreturn,
	__NR_sigaltstack,
	__NR_restart_syscall,
	__NR_exit,
	__NR_exit_group,
};
#define ALLOWED (sizeof allowed / sizeof allowed[0])

int gyr_sandbox_seccomp(struct gyr_error *error)
{
	struct sock_filter code[2 * ALLOWED + 16];
	uint16_t count = 0;
#define LOAD(member) code[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define UNLESS(value, skip) code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, skip)
#define END(action) code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action)
	LOAD(arch);
	code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	END(SECCOMP_RET_KILL_PROCESS);
	LOAD(nr);
	for (size_t i = 0; i < ALLOWED; i++) {
		UNLESS(allowed[i], 1);
		END(SECCOMP_RET_ALLOW);
	}
	/* abort(3) signals its own thread, and nobody may signal another process. */
	UNLESS(__NR_tgkill, 3);
	LOAD(args[0]);
	UNLESS(getpid(), 1);
	END(SECCOMP_RET_ALLOW);
	END(SECCOMP_RET_ERRNO | EPERM);
#undef LOAD
#undef UNLESS
#undef END
	struct sock_fprog program = {.len = count, .filter = code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
		return 0;
	return gyr_error_set(error, -ENOSYS, "this kernel lets no process give up its rights (seccomp: %s), and without that no model file is opened",
			     strerror(errno));
}

int gyr_sandbox_landlock(struct gyr_error *error)
{
	long version = syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return gyr_error_set(error, -ENOSYS, "this kernel has no Landlock");
	/* Every right that the version knows; none is given back. */
	struct landlock_ruleset_attr rights = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
				     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
				     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
	};
	if (version >= 2)
		rights.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		rights.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (version >= 4)
		rights.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
	if (version >= 5)
		rights.handled_access_fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	if (version >= 6)
		rights.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	int rules = (int)syscall(__NR_landlock_create_ruleset, &rights, sizeof rights, 0);
	bool enclosed = rules >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(__NR_landlock_restrict_self, rules, 0) == 0;
	int failure = errno;
	if (rules >= 0)
		close(rules);
	return enclosed ? 0 : gyr_error_set(error, -failure, "Landlock: %s", strerror(failure));
}

/* Is DESCRIPTOR among those that stay? Not even stderr is, which a log is behind; but a sanitizer's findings are to be seen. */
static bool stays(const struct gyr_sandbox *sandbox, unsigned descriptor)
{
#if defined(SANITIZED)
	if (descriptor == STDERR_FILENO)
		return true;
#endif
	for (uint32_t i = 0; i < sandbox->descriptor_count; i++)
		if (sandbox->descriptors[i] == (int)descriptor)
			return true;
	return false;
}

/* Closes what lies between those that stay, and all behind them. */
static bool close_others(const struct gyr_sandbox *sandbox)
{
	unsigned last = STDERR_FILENO;
	for (uint32_t i = 0; i < sandbox->descriptor_count; i++)
		if (sandbox->descriptors[i] > (int)last)
			last = (unsigned)sandbox->descriptors[i];
	for (unsigned descriptor = 0; descriptor <= last; descriptor++)
		if (!stays(sandbox, descriptor))
			close((int)descriptor);
	return close_range(last + 1, ~0u, 0) == 0;
}

static bool limit(int which, uint64_t soft, uint64_t hard)
{
	struct rlimit value;
	if (getrlimit(which, &value) != 0)
		return false;
	if (value.rlim_max > hard)
		value.rlim_max = hard;
	value.rlim_cur = soft < value.rlim_max ? soft : value.rlim_max;
	return setrlimit(which, &value) == 0;
}

static bool set_limits(const struct gyr_sandbox *sandbox)
{
	bool set = limit(RLIMIT_CPU, sandbox->time_s, sandbox->time_s + CPU_GRACE_S) && limit(RLIMIT_FSIZE, sandbox->file_bytes, sandbox->file_bytes) &&
		   limit(RLIMIT_CORE, 0, 0);
#if !defined(SANITIZED)
	set = set && limit(RLIMIT_AS, sandbox->memory_bytes, sandbox->memory_bytes);
#endif
	return set;
}

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	return syscall(__NR_capset, &head, none) == 0;
}

static int enclose(const struct gyr_sandbox *sandbox, struct gyr_error *error)
{
	/* No handler of the parent's runs in here. A write beyond the limit of a file's size shall fail, and not kill. */
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN);
	if (!close_others(sandbox) || !set_limits(sandbox) || !drop_capabilities())
		return gyr_error_set(error, -errno, "the sandbox: %s", strerror(errno));
	struct gyr_error landlock;
	int status = gyr_sandbox_landlock(&landlock);
	if (status != 0 && status != -ENOSYS && status != -EOPNOTSUPP)
		return gyr_error_set(error, status, "%s", landlock.text);
	return gyr_sandbox_seccomp(error);
}

struct shared {
	int status;
	struct gyr_error error;
	_Alignas(16) unsigned char result[RESULT_MAX];
};

/* Waits, at most until DUE_NS; then kills. Fills in how it ended. */
static void await_end(pid_t pid, uint64_t due_ns, bool *late, siginfo_t *info)
{
	int fd = pidfd_open(pid, 0);
	uint64_t now_ns = gyr_clock_ns();
	*late = fd < 0;
	while (fd >= 0 && now_ns < due_ns) {
		struct pollfd end = {.fd = fd, .events = POLLIN};
		uint64_t left_ms = (due_ns - now_ns) / GYR_NS_PER_MS + 1;
		if (poll(&end, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms) > 0)
			break;
		now_ns = gyr_clock_ns();
	}
	if (fd < 0 || now_ns >= due_ns) {
		*late = true;
		kill(pid, SIGKILL);
	}
	while (waitid(P_PID, (id_t)pid, info, WEXITED) != 0 && errno == EINTR)
		continue;
	if (fd >= 0)
		close(fd);
}

static int tell_end(const struct gyr_sandbox *sandbox, const siginfo_t *info, bool late, const struct shared *shared, struct gyr_error *error)
{
	bool exited = info->si_code == CLD_EXITED;
	if (late || (!exited && info->si_status == SIGXCPU))
		return gyr_error_set(error, -ETIME, "took longer than the %llu s that it may, and was ended", (unsigned long long)sandbox->time_s);
	if (!exited)
		return gyr_error_set(error, -ECHILD, "its reader died by signal %d (%s), and harmed nothing else", info->si_status, strsignal(info->si_status));
	if (info->si_status != 0)
		return gyr_error_set(error, -ECHILD, "its reader ended with status %d, and harmed nothing else", info->si_status);
	if (shared->status == 0)
		return 0;
	/* Its own words, as far as they are words. */
	int status = shared->status < 0 && shared->status > -4096 ? shared->status : -EIO;
	return gyr_error_set(error, status, "%.*s", (int)strnlen(shared->error.text, sizeof shared->error.text), shared->error.text);
}

int gyr_sandbox_run(const struct gyr_sandbox *sandbox, int (*work)(void *context, void *result, struct gyr_error *error), void *context, void *result,
		    size_t result_bytes, struct gyr_error *error)
{
	GYR_ASSERT(result_bytes <= RESULT_MAX);
	GYR_ASSERT(sandbox->descriptor_count <= GYR_SANDBOX_DESCRIPTORS_MAX);
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return gyr_error_set(error, -ENOMEM, "no memory for a sandbox");
	uint64_t due_ns = gyr_clock_ns() + (sandbox->time_s + CPU_GRACE_S) * GYR_NS_PER_S;
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
			_exit(1);
		shared->status = enclose(sandbox, &shared->error);
		if (shared->status == 0)
			shared->status = work(context, shared->result, &shared->error);
		/* Without what exit(3) runs: it is the parent's. */
		_exit(0);
	}
	int status;
	if (pid < 0) {
		status = gyr_error_set(error, -errno, "a sandbox's process: %s", strerror(errno));
	} else {
		siginfo_t info = {0};
		bool late;
		await_end(pid, due_ns, &late, &info);
		status = tell_end(sandbox, &info, late, shared, error);
	}
	if (status == 0)
		memcpy(result, shared->result, result_bytes);
	munmap(shared, sizeof *shared);
	return status;
}
