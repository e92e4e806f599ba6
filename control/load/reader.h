/*
 * Reads a range of a file into memory through one io_uring, part by part, and tells of each part as it is there. Used by the loader only.
 */
#ifndef GYR_CONTROL_LOAD_READER_H
#define GYR_CONTROL_LOAD_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_READ_DEPTH 32u
#define GYR_READ_BYTES (1u << 20)
#define GYR_READ_ALIGN 4096u
#define GYR_READ_CHUNK (UINT64_C(8) << 20) /* of memory that is got ready at a time; a multiple of GYR_READ_BYTES */

struct gyr_read {
	int fd;
	bool direct;               /* FD is O_DIRECT: offsets and lengths are multiples of GYR_READ_ALIGN, but for where the file ends */
	uint8_t *to;               /* where the file's byte 0 goes, aligned to GYR_READ_ALIGN; room up to END rounded up to it */
	uint64_t from, end;        /* the range, FROM a multiple of GYR_READ_ALIGN */
	const atomic_bool *cancel; /* may be NULL */
	/*
	 * Both are called in the thread that reads, and may be NULL. PREPARE gets the memory for BYTES of the file from AT on ready to be written to by the
	 * kernel (in order, GYR_READ_CHUNK at a time, while reads are in flight); what it returns ends the run. ARRIVED has these bytes: GYR_READ_BYTES, or
	 * fewer at the end, in whatever order they come; nothing writes to them any more.
	 */
	int (*prepare)(void *user, uint64_t at, uint64_t bytes, struct gyr_error *error);
	void (*arrived)(void *user, uint64_t at, uint64_t bytes);
	void *user;
};

/*
 * Reads the range. When it returns, nothing writes to the memory any more. -EINVAL: DIRECT was refused; read again without. -EIO and what else a read gives.
 * -EBADMSG: the file is shorter. -ECANCELED. -ENOMEM, -EPERM, -ENOSYS: no io_uring.
 */
GYR_MUST_CHECK int gyr_read_run(const struct gyr_read *read, struct gyr_error *error);

struct gyr_read_result {
	uint32_t slot;
	int result; /* bytes, or -errno */
};

/* What tests do to reads. Members may be NULL or 0. */
struct gyr_read_faults {
	unsigned entries;    /* of both queues: of completions, few overflow */
	uint32_t part_bytes; /* in place of GYR_READ_BYTES, which it divides */
	/* More completions came than the queue has room for. */
	void (*overflowed)(void *user);
	/* What the kernel says to a submission; 0: the submission takes place. */
	int (*submit)(void *user);
	/* How many completions of the IN_FLIGHT are waited for. */
	unsigned (*wait)(void *user, unsigned in_flight);
	/* The order in which COUNT completions are taken. */
	void (*order)(void *user, struct gyr_read_result *results, unsigned count);
	/* What becomes of the RESULT of a read of LENGTH bytes at OFFSET, to MEMORY. */
	int (*result)(void *user, uint64_t offset, uint32_t length, uint8_t *memory, int result);
	void *user;
};

/* NULL in gyrd. */
extern const struct gyr_read_faults *gyr_read_faults;

#endif
