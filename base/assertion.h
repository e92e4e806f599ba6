/*
 * Assertions that stay on in release builds. A failed one is a bug in Gyr, never the fault of input.
 */
#ifndef GYR_BASE_ASSERTION_H
#define GYR_BASE_ASSERTION_H

/* Aborts with the condition and its place when COND is false. One condition each, so that the message names the one that failed. */
#define GYR_ASSERT(cond) (__builtin_expect(!!(cond), 1) ? (void)0 : gyr_assert_failed(#cond, __FILE__, __LINE__))

/* Prints the failed condition to stderr and aborts. Any thread. */
_Noreturn void gyr_assert_failed(const char *condition, const char *file, int line);

#endif
