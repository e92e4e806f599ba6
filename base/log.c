#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *program_name = "gyr";
static enum gyr_log_level most_detailed = GYR_LOG_INFO;

void gyr_log_init(const char *program, enum gyr_log_level most)
{
	program_name = program;
	most_detailed = most;
}

void gyr_log(enum gyr_log_level level, const char *format, ...)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	if (level > most_detailed)
		return;
	char line[1024];
	struct timespec now;
	struct tm calendar;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &calendar);
	size_t length = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &calendar);
	length += (size_t)snprintf(line + length, sizeof line - length, ".%03ldZ %s %s: ", now.tv_nsec / 1000000, program_name, names[level]);
	va_list arguments;
	va_start(arguments, format);
	int written = vsnprintf(line + length, sizeof line - length - 1, format, arguments);
	va_end(arguments);
	if (written > 0)
		length += (size_t)written < sizeof line - length - 1 ? (size_t)written : sizeof line - length - 2;
	line[length++] = '\n';
	/* A log that cannot be written has nowhere to be reported. */
	ssize_t ignored = write(STDERR_FILENO, line, length);
	(void)ignored;
}
