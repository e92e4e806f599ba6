/*
 * What gyr-worker tells who started it: JSON objects on stdout, one a line.
 */
#ifndef GYR_CONTROL_JOBS_EVENT_H
#define GYR_CONTROL_JOBS_EVENT_H

#include <stddef.h>

/* A member of an event. */
struct gyr_job_field {
	const char *name;
	const char *text; /* a string, or NULL: NUMBER, which is left out when it is not finite */
	double number;
};

/* Prints {"event":EVENT, FIELDS...} as one line with one write to stdout. */
void gyr_job_event(const char *event, const struct gyr_job_field *fields, size_t count);

#endif
