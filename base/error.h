/*
 * How set-up and control work fails: a negative errno as the return value, and a message that names the file, key, line or field
 * at fault and what would be accepted. The caller owns the struct gyr_error and decides where it is logged, once.
 */
#ifndef GYR_BASE_ERROR_H
#define GYR_BASE_ERROR_H

#define GYR_MUST_CHECK __attribute__((warn_unused_result))

struct gyr_error {
	char text[512]; /* a sentence without a full stop; cut when longer */
};

/*
 * Writes the message (printf style) into ERROR, which may be NULL, and returns STATUS, so that a failing function can end with
 *     return gyr_error_set(error, -EINVAL, "%s:%d: ...", path, line);
 */
int gyr_error_set(struct gyr_error *error, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " before the message already there; ERROR may be NULL. Returns STATUS. */
int gyr_error_prefix(struct gyr_error *error, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
