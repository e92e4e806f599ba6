/*
 * A file that one process at a time has: a lock that the kernel lets go of when the process ends, and in the file the process's id, for messages.
 */
#ifndef GYR_CONTROL_REGISTRY_LOCK_H
#define GYR_CONTROL_REGISTRY_LOCK_H

#include "base/error.h"

#define GYR_LOCK_HOLDER_BYTES 32u

/*
 * Takes the lock PATH, making the file where needed; it is held until *FD is closed. -EBUSY: another has it, and HOLDER says who ("?": not written yet). What
 * else open, flock and write give, the message naming PATH.
 */
GYR_MUST_CHECK int gyr_lock_take(const char *path, int *fd, char holder[GYR_LOCK_HOLDER_BYTES], struct gyr_error *error);

#endif
