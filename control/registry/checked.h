/*
 * SQLite's file system with a hash in every page: a database made through it keeps the last GYR_CHECKED_BYTES bytes of each page free of content (which the
 * file format provides for, so that any SQLite reads it), and they hold the hash of the rest and of the page's number. A page whose bytes are not those that
 * were written is SQLITE_IOERR_DATA when it is read. And a sync that fails ends the process (disk.h), which plain SQLite does not: it passes over some.
 *
 * A file whose pages have no such room is read and written as ever; gyr_checked_is_on tells.
 */
#ifndef GYR_CONTROL_REGISTRY_CHECKED_H
#define GYR_CONTROL_REGISTRY_CHECKED_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define GYR_CHECKED_VFS "gyr" /* for sqlite3_open_v2 */
#define GYR_CHECKED_BYTES 32u
#define GYR_CHECKED_PAGE 4096u

/* Registers GYR_CHECKED_VFS over what is the default then. Again is fine. One thread. -ENOTSUP: this SQLite does not let its system calls be seen. */
GYR_MUST_CHECK int gyr_checked_register(struct gyr_error *error);

/* Has new pages of DATABASE leave room for hashes: of a database without content, or before a VACUUM. */
GYR_MUST_CHECK int gyr_checked_make_room(sqlite3 *database, struct gyr_error *error);

/* Has every page of DATABASE a hash? */
bool gyr_checked_is_on(sqlite3 *database);

/* Reads every page of the file, also those that hold nothing now: *BAD of *PAGES are not as they were written, *FIRST (from 1) the first. -EIO. */
GYR_MUST_CHECK int gyr_checked_pages(sqlite3 *database, uint64_t *pages, uint64_t *bad, uint64_t *first, struct gyr_error *error);

#endif
