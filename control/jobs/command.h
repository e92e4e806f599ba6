/*
 * The commands of gyr-worker.
 */
#ifndef GYR_CONTROL_JOBS_COMMAND_H
#define GYR_CONTROL_JOBS_COMMAND_H

#include <stdbool.h>

#include "base/error.h"
#include "control/jobs/option.h"

#define GYR_JOB_TOOL "gyr " GYR_VERSION /* for lineage */

/* The options of each command. */
extern const struct gyr_job_option gyr_job_train_options[], gyr_job_import_options[], gyr_job_export_options[];

/* Each runs a command and prints its events but the error. 0, or a negative errno and a message; *USAGE: the options are at fault. */
GYR_MUST_CHECK int gyr_job_train(const struct gyr_job_options *options, bool *usage, struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_import(const struct gyr_job_options *options, bool *usage, struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_export(const struct gyr_job_options *options, bool *usage, struct gyr_error *error);

#endif
