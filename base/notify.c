#include "base/notify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static struct {
	struct sockaddr_un address;
	socklen_t length; /* 0: nobody listens */
	uint64_t watchdog_ns, told_ns;
} manager;

/* Whole microseconds from 1 on, for this process; 0 otherwise. */
static uint64_t read_watchdog_ns(void)
{
	const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	if (text == NULL || (pid != NULL && strtol(pid, NULL, 10) != getpid()))
		return 0;
	unsigned long long us = strtoull(text, &end, 10);
	return *end != '\0' || us > UINT64_MAX / GYR_NS_PER_US ? 0 : us * GYR_NS_PER_US;
}

void gyr_notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path == NULL ? 0 : strlen(path);
	memset(&manager, 0, sizeof manager);
	if (length > 1 && length < sizeof manager.address.sun_path && (path[0] == '/' || path[0] == '@')) {
		manager.address.sun_family = AF_UNIX;
		memcpy(manager.address.sun_path, path, length);
		/* One of the abstract ones, whose name begins with a zero and has none at its end. */
		if (path[0] == '@')
			manager.address.sun_path[0] = '\0';
		manager.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
		manager.watchdog_ns = read_watchdog_ns();
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void gyr_notify(const char *text)
{
	if (manager.length == 0)
		return;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* A manager that does not read must not hold us up. */
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&manager.address, manager.length);
	close(fd);
}

uint64_t gyr_notify_interval_ns(void)
{
	return manager.watchdog_ns / 2;
}

void gyr_notify_alive(void)
{
	uint64_t now = gyr_clock_ns();
	if (manager.watchdog_ns == 0 || (manager.told_ns != 0 && now - manager.told_ns < manager.watchdog_ns / 4))
		return;
	manager.told_ns = now;
	gyr_notify("WATCHDOG=1");
}

static void set_watchdog(uint64_t ns)
{
	char text[64];
	if (manager.watchdog_ns == 0)
		return;
	snprintf(text, sizeof text, "WATCHDOG_USEC=%llu\nWATCHDOG=1", (unsigned long long)(ns / GYR_NS_PER_US));
	gyr_notify(text);
	manager.told_ns = gyr_clock_ns();
}

void gyr_notify_busy(uint64_t at_most_ns)
{
	if (at_most_ns > manager.watchdog_ns)
		set_watchdog(at_most_ns);
}

void gyr_notify_idle(void)
{
	set_watchdog(manager.watchdog_ns);
}
