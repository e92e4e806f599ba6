/*
 * Whole files in and out.
 */
#ifndef GYR_CONTROL_JOBS_FILE_H
#define GYR_CONTROL_JOBS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Reads a regular file of at most BYTES_MAX bytes whole (*BYTES, 4 KiB aligned; free(3) it). -ENOENT, -EIO, -E2BIG, -ENOMEM, -EBADMSG: not a regular file, or
 * empty. */
GYR_MUST_CHECK int gyr_job_file_read(const char *path, uint64_t bytes_max, void **bytes, size_t *size, struct gyr_error *error);

/* The same in two steps: -ENOENT, -EIO, -E2BIG, -EBADMSG; then, with PATH for messages, -EIO, -ENOMEM. The caller closes *FD. */
GYR_MUST_CHECK int gyr_job_file_open(const char *path, uint64_t bytes_max, int *fd, size_t *size, struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_file_take(int fd, const char *path, size_t size, void **bytes, struct gyr_error *error);

/* That PATH's folder can be written to, which is better known before the work than after it. The errno of access(2). */
GYR_MUST_CHECK int gyr_job_file_check(const char *path, struct gyr_error *error);

/*
 * Makes PATH hold SIZE bytes, or not at all what it does not hold already: written beside it, synced, renamed, the folder synced. -EIO, or another errno of
 * opening or writing.
 */
GYR_MUST_CHECK int gyr_job_file_write(const char *path, const void *bytes, size_t size, struct gyr_error *error);

/*
 * The same in steps, one file at a time: a descriptor of a file beside PATH to be written to; SIZE bytes written there; and its end, where it takes the place
 * of PATH, or goes when STATUS says that it failed (END gives STATUS then, and ERROR stays as it is).
 */
GYR_MUST_CHECK int gyr_job_file_begin(const char *path, int *fd, struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_file_put(int fd, const void *bytes, size_t size, struct gyr_error *error);
GYR_MUST_CHECK int gyr_job_file_end(const char *path, int fd, int status, struct gyr_error *error);

/* Removes what gyr_job_file_begin or gyr_job_file_write has begun. Only from a signal handler that then ends the process. */
void gyr_job_file_abandon(void);

#endif
