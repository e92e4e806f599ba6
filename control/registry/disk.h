/*
 * Syncs whose failure ends the process. A kernel that could not write what it held may forget that it held it, so that a second sync says "done" of bytes that
 * are not on the disk: after a failed one, nothing that this process believes of its files may be acknowledged any more. The next start reads them anew, past
 * what the page cache holds, and checks all of them.
 *
 * Any thread.
 */
#ifndef GYR_CONTROL_REGISTRY_DISK_H
#define GYR_CONTROL_REGISTRY_DISK_H

#include "base/error.h"

#define GYR_EXIT_DISK 74 /* what a process exits with that gave up after a failed sync */

/* Ends the process at once, having said why. STATUS is the negative errno of the sync of PATH. */
_Noreturn void gyr_disk_give_up(const char *path, int status);

/* Brings a file or a folder to the disk; does not return when that fails. PATH is for the message; STEP is one of control/registry/step.h. */
void gyr_disk_sync(int fd, const char *path, const char *step);

/* The same of the folder PATH, or of the one that PATH lies in. A folder that cannot be opened cannot be synced either. */
void gyr_disk_sync_folder(const char *path, const char *step);
void gyr_disk_sync_parent(const char *path, const char *step);

/* Makes the folder PATH where it is not there, for good. The errno of mkdir. */
GYR_MUST_CHECK int gyr_disk_make_folder(const char *path, struct gyr_error *error);

/* Has the next reads of the file PATH come from the disk, as far as the kernel lets go of what it holds. A file that is not there is fine. */
void gyr_disk_forget(const char *path);

#endif
