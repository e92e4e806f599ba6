/* The sandbox: what is forbidden is tried from inside, behind each wall alone and behind both; its limits; and what comes out of it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "control/jobs/sandbox.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#define MIB (UINT64_C(1) << 20)

static struct gyr_error error;
static int in_fd, out_fd, secret_fd, parent_pid;

/* Each gives true when it could do what it is named after. */
static bool opens_a_file(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool opens_beside_a_descriptor(void)
{
	return openat(in_fd, "../../etc/passwd", O_RDONLY) >= 0 || openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY) >= 0;
}

static bool opens_itself(void)
{
	return open("/proc/self/mem", O_RDWR) >= 0;
}

static bool makes_a_file(void)
{
	return open("/tmp/gyr-test-sandbox", O_WRONLY | O_CREAT, 0600) >= 0 || mkdir("/tmp/gyr-test-sandbox", 0700) == 0;
}

static bool executes(void)
{
	/* Which ends with 1, as an attempt that came through. */
	execl("/bin/false", "false", (char *)NULL);
	return false;
}

static bool looks_at_a_file(void)
{
	struct stat seen;
	return stat("/etc/passwd", &seen) == 0;
}

static bool makes_a_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0) >= 0 || socket(AF_INET6, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ||
	       socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static bool connects(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(4970), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == ECONNREFUSED);
}

static bool makes_a_process(void)
{
	return syscall(__NR_clone, SIGCHLD, NULL, NULL, NULL, NULL) >= 0 || syscall(__NR_clone3, NULL, 0) >= 0 || errno != EPERM;
}

static bool signals_its_parent(void)
{
	return kill(parent_pid, 0) == 0 || syscall(__NR_tgkill, parent_pid, parent_pid, 0) == 0;
}

static bool traces_its_parent(void)
{
	return ptrace(PTRACE_ATTACH, parent_pid, NULL, NULL) == 0 || syscall(__NR_pidfd_open, parent_pid, 0) >= 0;
}

static bool gets_rights_back(void)
{
	return setuid(0) == 0 || unshare(CLONE_NEWUSER) == 0 || prctl(PR_SET_DUMPABLE, 1) == 0;
}

static bool makes_an_io_uring(void)
{
	char parameters[256] = {0};
	return syscall(__NR_io_uring_setup, 4, parameters) >= 0;
}

static bool has_another_descriptor(void)
{
	char byte;
	return read(secret_fd, &byte, 1) >= 0 || write(STDOUT_FILENO, "", 0) >= 0;
}

#if defined(__x86_64__)
/* With the numbers of another calling convention: x32's getppid. */
static bool calls_as_x32(void)
{
	return syscall(0x40000000 | __NR_getppid) > 0;
}
#endif

static bool (*const by_seccomp[])(void) = {
	opens_a_file,   opens_beside_a_descriptor, opens_itself,       makes_a_file,      executes,         looks_at_a_file,
	makes_a_socket, makes_a_process,           signals_its_parent, traces_its_parent, gets_rights_back, makes_an_io_uring,
#if defined(__x86_64__)
	calls_as_x32,
#endif
};
static bool (*const by_landlock[])(void) = {opens_a_file, opens_beside_a_descriptor, makes_a_file, executes, connects};
#define COUNT(list) (sizeof list / sizeof list[0])

/* Does ATTEMPT fail behind WALL? In a child of its own. */
static bool fails_behind(int (*wall)(struct gyr_error *error), bool (*attempt)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(wall != NULL && wall(NULL) != 0 ? 2 : attempt() ? 1 : 0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 2);
	return WEXITSTATUS(status) == 0;
}

static void seccomp_alone_holds(void **state)
{
	for (size_t i = 0; i < COUNT(by_seccomp); i++)
		if (!fails_behind(gyr_sandbox_seccomp, by_seccomp[i]))
			fail_msg("attempt %zu came through seccomp", i);
	/* Without it, what needs no privilege goes through: the attempts are real ones. */
	assert_false(fails_behind(NULL, opens_a_file));
	assert_false(fails_behind(NULL, looks_at_a_file));
	assert_false(fails_behind(NULL, makes_a_socket));
	assert_false(fails_behind(NULL, signals_its_parent));
	assert_false(fails_behind(NULL, connects));
	assert_false(fails_behind(NULL, executes));
}

static void landlock_alone_holds(void **state)
{
	pid_t pid = fork();
	int status;
	if (pid == 0)
		_exit(gyr_sandbox_landlock(NULL) == 0 ? 0 : 77);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77) {
		print_message("this kernel has no Landlock\n");
		skip();
	}
	for (size_t i = 0; i < COUNT(by_landlock); i++)
		if (!fails_behind(gyr_sandbox_landlock, by_landlock[i]))
			fail_msg("attempt %zu came through Landlock", i);
}

/* --- the whole --- */

static int run(int (*work)(void *context, void *result, struct gyr_error *told), const struct gyr_sandbox *sandbox, uint64_t *result)
{
	struct gyr_sandbox wanted = *sandbox;
	wanted.descriptors[wanted.descriptor_count++] = in_fd;
	wanted.descriptors[wanted.descriptor_count++] = out_fd;
	return gyr_sandbox_run(&wanted, work, NULL, result, sizeof *result, &error);
}

static const struct gyr_sandbox usual = {.memory_bytes = 512 * MIB, .time_s = 20, .file_bytes = MIB};

static int try_all(void *context, void *result, struct gyr_error *told)
{
	for (size_t i = 0; i < COUNT(by_seccomp); i++)
		*(uint64_t *)result |= (uint64_t)by_seccomp[i]() << i;
	*(uint64_t *)result |= (uint64_t)has_another_descriptor() << 63;
	return 0;
}

static void nothing_comes_through_both(void **state)
{
	uint64_t came_through = 1;
	assert_int_equal(run(try_all, &usual, &came_through), 0);
	assert_int_equal(came_through, 0);
}

static int copy(void *context, void *result, struct gyr_error *told)
{
	char text[64];
	ssize_t count = read(in_fd, text, sizeof text);
	*(uint64_t *)result = (uint64_t)count;
	return count == 5 && write(out_fd, text, 5) == 5 ? 0 : gyr_error_set(told, -EIO, "no");
}

static int refuse(void *context, void *result, struct gyr_error *told)
{
	return gyr_error_set(told, -EBADMSG, "it is no model");
}

static int lie(void *context, void *result, struct gyr_error *told)
{
	memset(told->text, 'x', sizeof told->text);
	return 12345;
}

static void what_is_handed_in_is_there(void **state)
{
	uint64_t result = 0;
	char text[8] = "";
	assert_int_equal(pwrite(in_fd, "model", 5, 0), 5);
	assert_int_equal(lseek(in_fd, 0, SEEK_SET), 0);
	assert_int_equal(run(copy, &usual, &result), 0);
	assert_int_equal(result, 5);
	assert_int_equal(pread(out_fd, text, sizeof text, 0), 5);
	assert_string_equal(text, "model");
	assert_int_equal(run(refuse, &usual, &result), -EBADMSG);
	assert_string_equal(error.text, "it is no model");
	/* A text without an end, a status that is none. */
	assert_int_equal(run(lie, &usual, &result), -EIO);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

static int crash(void *context, void *result, struct gyr_error *told)
{
	return kill(getpid(), SIGSEGV) == 0 ? 0 : raise(SIGSEGV);
}

static int give_up(void *context, void *result, struct gyr_error *told)
{
	abort();
}

static int end_early(void *context, void *result, struct gyr_error *told)
{
	_exit(3);
}

static void a_reader_that_dies_is_told(void **state)
{
	uint64_t result = 7;
	assert_int_equal(run(crash, &usual, &result), -ECHILD);
	assert_non_null(strstr(error.text, "signal 11"));
	assert_int_equal(run(give_up, &usual, &result), -ECHILD);
	assert_non_null(strstr(error.text, "signal 6"));
	assert_int_equal(run(end_early, &usual, &result), -ECHILD);
	assert_non_null(strstr(error.text, "status 3"));
	assert_int_equal(result, 7);
}

static int compute_for_ever(void *context, void *result, struct gyr_error *told)
{
	for (volatile uint64_t i = 0;; i++)
		if (i == UINT64_MAX)
			return 0;
}

/* On a lock that nobody opens: no CPU time is spent. */
static int wait_for_ever(void *context, void *result, struct gyr_error *told)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&mutex);
	pthread_mutex_lock(&mutex);
	return 0;
}

static int ignore_the_limit(void *context, void *result, struct gyr_error *told)
{
	signal(SIGXCPU, SIG_IGN);
	return compute_for_ever(context, result, told);
}

static void time_is_limited(void **state)
{
	struct gyr_sandbox sandbox = usual;
	uint64_t result;
	sandbox.time_s = 1;
	assert_int_equal(run(compute_for_ever, &sandbox, &result), -ETIME);
	assert_non_null(strstr(error.text, "longer than the 1 s"));
	assert_int_equal(run(wait_for_ever, &sandbox, &result), -ETIME);
	assert_int_not_equal(run(ignore_the_limit, &sandbox, &result), 0);
}

#if !defined(SANITIZED)
static int take_memory(void *context, void *result, struct gyr_error *told)
{
	for (int i = 0; i < 4096; i++)
		if (mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			return gyr_error_set(told, -ENOMEM, "no memory");
	return 0;
}
#endif

static int fill_the_disk(void *context, void *result, struct gyr_error *told)
{
	static const char bytes[4096];
	for (int i = 0; i < 1024; i++)
		if (write(out_fd, bytes, sizeof bytes) < 0)
			return gyr_error_set(told, -errno, "%s", strerror(errno));
	return 0;
}

static void memory_and_files_are_limited(void **state)
{
	uint64_t result;
	struct stat seen;
#if !defined(SANITIZED)
	assert_int_equal(run(take_memory, &usual, &result), -ENOMEM);
#endif
	assert_int_equal(run(fill_the_disk, &usual, &result), -EFBIG);
	assert_int_equal(fstat(out_fd, &seen), 0);
	assert_int_equal(seen.st_size, MIB);
}

static int start(void **state)
{
	parent_pid = getpid();
	in_fd = memfd_create("in", MFD_CLOEXEC);
	secret_fd = memfd_create("secret", MFD_CLOEXEC);
	out_fd = memfd_create("out", MFD_CLOEXEC);
	return in_fd < 0 || secret_fd < 0 || out_fd < 0;
}

static int stop(void **state)
{
	close(in_fd);
	close(secret_fd);
	close(out_fd);
	return 0;
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(seccomp_alone_holds),        TEST(landlock_alone_holds), TEST(nothing_comes_through_both),   TEST(what_is_handed_in_is_there),
		TEST(a_reader_that_dies_is_told), TEST(time_is_limited),      TEST(memory_and_files_are_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
