#include "dataplane/port/said.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>

#include "base/log.h"

static _Thread_local struct {
	bool keep;
	size_t length;
	char text[300]; /* leaves room for our own words in a struct gyr_error */
} said;

static void keep_line(const char *line, size_t length)
{
	if (said.length > 0 && said.length + 2 < sizeof said.text) {
		memcpy(said.text + said.length, "; ", 2);
		said.length += 2;
	}
	size_t room = sizeof said.text - 1 - said.length;
	size_t taken = length < room ? length : room;
	memcpy(said.text + said.length, line, taken);
	said.length += taken;
	said.text[said.length] = '\0';
}

/* What DPDK warns of in a call that we watch is told by whether the call succeeds. */
static enum gyr_log_level log_level(int level)
{
	if (level <= (int)RTE_LOG_ERR)
		return GYR_LOG_ERROR;
	return level == (int)RTE_LOG_WARNING && !said.keep ? GYR_LOG_WARNING : GYR_LOG_DEBUG;
}

/* DPDK flushes its stream at the end of each message, so each write is one message or more lines of it. */
static ssize_t write_lines(void *cookie, const char *bytes, size_t size)
{
	int level = rte_log_cur_msg_loglevel();
	for (size_t at = 0; at < size;) {
		const char *end = memchr(bytes + at, '\n', size - at);
		size_t length = end != NULL ? (size_t)(end - bytes) - at : size - at;
		if (length > 0 && level <= (int)RTE_LOG_ERR && said.keep)
			keep_line(bytes + at, length);
		else if (length > 0)
			gyr_log(log_level(level), "DPDK: %.*s", (int)length, bytes + at);
		at += length + 1;
	}
	return (ssize_t)size;
}

int gyr_said_init(struct gyr_error *error)
{
	FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_lines});
	if (stream == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for DPDK's log");
	rte_openlog_stream(stream);
	return 0;
}

void gyr_said_keep(void)
{
	said.keep = true;
	said.length = 0;
	said.text[0] = '\0';
}

const char *gyr_said_end(void)
{
	said.keep = false;
	return said.text;
}
