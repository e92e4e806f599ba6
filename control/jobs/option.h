/*
 * The options of a command of gyr-worker: words of the form NAME=VALUE.
 */
#ifndef GYR_CONTROL_JOBS_OPTION_H
#define GYR_CONTROL_JOBS_OPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* An option as a command lists it. */
struct gyr_job_option {
	const char *name;
	const char *value; /* what it takes, for the usage text */
	bool required;
	bool repeated; /* may be given several times */
};

/* The values that were given, beside the list. */
struct gyr_job_options {
	const struct gyr_job_option *list; /* a NULL name ends it */
	char *const *words;                /* NAME=VALUE each */
	int count;
};

/* Checks that each word is NAME=VALUE with a listed name, each at most once but for those that are repeated, and that none that is required is missing.
 * -EINVAL. */
GYR_MUST_CHECK int gyr_job_options_check(const struct gyr_job_options *options, struct gyr_error *error);

/* The value of an option, or NULL. */
const char *gyr_job_option(const struct gyr_job_options *options, const char *name);
/* Value INDEX of an option that may be repeated, or NULL behind the last. */
const char *gyr_job_option_at(const struct gyr_job_options *options, const char *name, int index);

/* Read an option where it is given, and leave *VALUE alone where not. -EINVAL: no such number, or out of range; the message names option and range. */
GYR_MUST_CHECK int gyr_job_option_whole(const struct gyr_job_options *options, const char *name, uint64_t least, uint64_t most, uint64_t *value,
					struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_option_number(const struct gyr_job_options *options, const char *name, float *value, struct gyr_error *error);

/* Reads an option whose value is one of WORDS (NULL ends them): *INDEX becomes its place. -EINVAL; the message names the first two. */
GYR_MUST_CHECK int gyr_job_option_word(const struct gyr_job_options *options, const char *name, const char *const *words, uint32_t *index,
				       struct gyr_error *error);

/* The option "bf16-bound": over 0 and up to 1. *BOUND is left alone where it is not given. -EINVAL. */
GYR_MUST_CHECK int gyr_job_option_bound(const struct gyr_job_options *options, float *bound, struct gyr_error *error);

/* The option "name", or OTHERWISE: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or digit. -EINVAL. */
GYR_MUST_CHECK int gyr_job_option_name(const struct gyr_job_options *options, const char *otherwise, const char **name, struct gyr_error *error);

#endif
