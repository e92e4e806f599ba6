/*
 * Reads a file into memory through one io_uring. Used by the loader only.
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

struct gyr_read {
	int fd;
	bool direct; /* FD is O_DIRECT: offsets and lengths are multiples of GYR_READ_ALIGN, but for where the file ends */
	uint8_t *to; /* aligned to GYR_READ_ALIGN; room for SIZE rounded up to it */
	uint64_t size;
	const atomic_bool *cancel; /* may be NULL */
};

/*
 * Reads the first SIZE bytes. When it returns, nothing writes to the memory any more. -EINVAL: DIRECT was refused; read again without. -EIO and what else a
 * read gives. -EBADMSG: the file is shorter. -ECANCELED. -ENOMEM, -EPERM, -ENOSYS: no io_uring.
 */
GYR_MUST_CHECK int gyr_read_run(const struct gyr_read *read, struct gyr_error *error);

/* Tests see and may change the result of each read of LENGTH bytes at OFFSET. NULL in gyrd. */
extern int (*gyr_read_hook)(uint64_t offset, uint32_t length, int result);

#endif
