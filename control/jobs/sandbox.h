/*
 * A child process that has given up everything but the descriptors it is handed: what reads a model file from anywhere runs in one, so that a file made to
 * break its reader gains nothing by it.
 *
 * Behind two walls, each of which would do alone:
 *   1. seccomp: an allow-list of system calls. Memory, time, and reading and writing what is open are on it; no file, socket, process or signal to another is.
 *   2. Landlock, where the kernel has it: no file, no TCP, no signal and no abstract socket outside.
 * Beside them: no capabilities, no new privileges, no other descriptors, and limits of memory, CPU time, file size, and time by the clock.
 */
#ifndef GYR_CONTROL_JOBS_SANDBOX_H
#define GYR_CONTROL_JOBS_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_SANDBOX_DESCRIPTORS_MAX 4u

struct gyr_sandbox {
	uint64_t memory_bytes; /* of address space; with AddressSanitizer, which reserves terabytes, there is no limit */
	uint64_t time_s;       /* of CPU, and by the clock; at least 1 */
	uint64_t file_bytes;   /* no file grows beyond */
	uint32_t descriptor_count;
	int descriptors[GYR_SANDBOX_DESCRIPTORS_MAX]; /* that stay open; no others do, stdout and stderr included */
};

/*
 * Runs WORK in such a child and waits for its end. Of what WORK writes, RESULT (RESULT_BYTES, at most 4096) and ERROR come back, as the child left them: bytes
 * to be checked, not believed. What WORK returned (0, or its negative errno with its message); -ETIME: it took longer than TIME_S; -ECHILD: it was killed, or
 * ended by itself (the message says how); -ENOSYS: this kernel cannot make the first wall; -EAGAIN, -ENOMEM: no child. The process must have one thread.
 */
GYR_MUST_CHECK int gyr_sandbox_run(const struct gyr_sandbox *sandbox, int (*work)(void *context, void *result, struct gyr_error *error), void *context,
				   void *result, size_t result_bytes, struct gyr_error *error);

/* Each wall alone, around the calling process, for good: for tests of either. -ENOSYS: the kernel has none. */
GYR_MUST_CHECK int gyr_sandbox_seccomp(struct gyr_error *error);
GYR_MUST_CHECK int gyr_sandbox_landlock(struct gyr_error *error);

#endif
