/*
 * Log lines on stderr: "2026-01-31T12:00:00.123Z gyrd warning: text". Never called on the path of a request.
 */
#ifndef GYR_BASE_LOG_H
#define GYR_BASE_LOG_H

enum gyr_log_level { GYR_LOG_ERROR, GYR_LOG_WARNING, GYR_LOG_INFO, GYR_LOG_DEBUG };

/* Names the program (a string that outlives it) and the most detailed level that is printed. Once, before threads start. */
void gyr_log_init(const char *program, enum gyr_log_level most);

/* Prints one line (printf style, without a newline) with one write. Any thread but those of the hot path. */
void gyr_log(enum gyr_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define gyr_log_error(...) gyr_log(GYR_LOG_ERROR, __VA_ARGS__)
#define gyr_log_warning(...) gyr_log(GYR_LOG_WARNING, __VA_ARGS__)
#define gyr_log_info(...) gyr_log(GYR_LOG_INFO, __VA_ARGS__)
#define gyr_log_debug(...) gyr_log(GYR_LOG_DEBUG, __VA_ARGS__)

#endif
