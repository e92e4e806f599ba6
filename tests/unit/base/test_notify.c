/* What a service manager hears, at a socket of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/notify.h"

static int listener;

static int start(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(sa_family_t); /* the kernel chooses a name */
	char name[sizeof address.sun_path + 2];
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0)
		return -1;
	length = sizeof address;
	if (getsockname(listener, (struct sockaddr *)&address, &length) != 0)
		return -1;
	snprintf(name, sizeof name, "@%.*s", (int)(length - offsetof(struct sockaddr_un, sun_path) - 1), address.sun_path + 1);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	return setenv("NOTIFY_SOCKET", name, 1);
}

static int stop(void **state)
{
	return close(listener);
}

/* The next thing that was told; "" when nothing was. */
static const char *heard(void)
{
	static char text[256];
	ssize_t got = recv(listener, text, sizeof text - 1, 0);
	text[got < 0 ? 0 : got] = '\0';
	return text;
}

static void nobody_listens(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	gyr_notify_init();
	assert_int_equal(gyr_notify_interval_ns(), 0);
	gyr_notify("READY=1");
	gyr_notify_alive();
	for (const char *const *bad = (const char *const[]){"", "x", "relative/path", "/no/such/folder/socket", NULL}; *bad != NULL; bad++) {
		setenv("NOTIFY_SOCKET", *bad, 1);
		gyr_notify_init();
		gyr_notify("READY=1");
	}
	assert_string_equal(heard(), "");
}

static void what_is_told_is_heard_and_children_do_not_tell(void **state)
{
	gyr_notify_init();
	assert_null(getenv("NOTIFY_SOCKET"));
	gyr_notify("READY=1");
	assert_string_equal(heard(), "READY=1");
	gyr_notify_alive();
	gyr_notify_busy(GYR_NS_PER_S);
	gyr_notify_idle();
	assert_string_equal(heard(), "");
}

static void a_watchdog_is_fed_and_told_to_wait(void **state)
{
	setenv("WATCHDOG_USEC", "2000000", 1);
	gyr_notify_init();
	assert_null(getenv("WATCHDOG_USEC"));
	assert_int_equal(gyr_notify_interval_ns(), GYR_NS_PER_S);
	gyr_notify_alive();
	gyr_notify_alive();
	assert_string_equal(heard(), "WATCHDOG=1");
	assert_string_equal(heard(), "");
	gyr_notify_busy(GYR_NS_PER_S); /* less than there is anyway */
	assert_string_equal(heard(), "");
	gyr_notify_busy(150 * GYR_NS_PER_S);
	assert_string_equal(heard(), "WATCHDOG_USEC=150000000\nWATCHDOG=1");
	gyr_notify_idle();
	assert_string_equal(heard(), "WATCHDOG_USEC=2000000\nWATCHDOG=1");
}

static void anothers_watchdog_is_none_of_ours(void **state)
{
	char pid[32];
	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	gyr_notify_init();
	assert_int_equal(gyr_notify_interval_ns(), 0);
	assert_int_equal(start(state), 0);
	setenv("WATCHDOG_USEC", "2000000", 1);
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	gyr_notify_init();
	assert_int_equal(gyr_notify_interval_ns(), GYR_NS_PER_S);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(nobody_listens),
		TEST(what_is_told_is_heard_and_children_do_not_tell),
		TEST(a_watchdog_is_fed_and_told_to_wait),
		TEST(anothers_watchdog_is_none_of_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
