/*
 * Invariants
 *   1. `on` is what the file's first page says, as it was read or written last: a file is either checked in all its pages or in none.
 *   2. A page leaves for the disk with its hash, and is given to SQLite only when its hash is right. The first 100 bytes alone are given unchecked: SQLite
 * looks at them before it plays a hot journal back, when the page may be half written, and reads the whole page before it goes by what it holds.
 *   3. Every sync of a file or a folder is seen here, or made here, and a failed one is the process's last.
 */
#include "control/registry/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>

#include "base/assertion.h"
#include "control/registry/disk.h"
#include "control/registry/step.h"

#define CONTENT_BYTES (GYR_CHECKED_PAGE - GYR_CHECKED_BYTES)
#define HEADER_BYTES 100
#define CHECK_PAGES 0x67795231 /* a file control of our own */

struct checked_file {
	sqlite3_file base;  /* first */
	sqlite3_file *real; /* behind this struct */
	const char *name;
	bool is_database, on;
};

struct census {
	uint64_t pages, bad, first;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct checked_file *)file)->real;
}

static void hash_page(const uint8_t *page, uint64_t number, uint8_t hash[GYR_CHECKED_BYTES])
{
	crypto_generichash_state state;
	uint8_t place[8];
	for (size_t i = 0; i < sizeof place; i++)
		place[i] = (uint8_t)(number >> (8 * i));
	crypto_generichash_init(&state, NULL, 0, GYR_CHECKED_BYTES);
	crypto_generichash_update(&state, place, sizeof place);
	crypto_generichash_update(&state, page, CONTENT_BYTES);
	crypto_generichash_final(&state, hash, GYR_CHECKED_BYTES);
}

static bool is_right(const uint8_t *page, uint64_t number)
{
	uint8_t hash[GYR_CHECKED_BYTES];
	hash_page(page, number, hash);
	return memcmp(hash, page + CONTENT_BYTES, GYR_CHECKED_BYTES) == 0;
}

/* The page size and the room at each page's end, as the file format has them. */
static bool has_room(const uint8_t *header)
{
	return ((uint32_t)header[16] << 8 | header[17]) == GYR_CHECKED_PAGE && header[20] == GYR_CHECKED_BYTES;
}

static int read_page(struct checked_file *file, uint64_t number, uint8_t page[GYR_CHECKED_PAGE])
{
	int code = file->real->pMethods->xRead(file->real, page, GYR_CHECKED_PAGE, (sqlite3_int64)((number - 1) * GYR_CHECKED_PAGE));
	if (code == SQLITE_OK && number == 1)
		file->on = has_room(page);
	return code;
}

static int checked_read(sqlite3_file *base, void *to, int bytes, sqlite3_int64 at)
{
	struct checked_file *file = (struct checked_file *)base;
	uint64_t number = (uint64_t)at / GYR_CHECKED_PAGE + 1, offset = (uint64_t)at % GYR_CHECKED_PAGE;
	if (!file->is_database || bytes <= HEADER_BYTES || offset + (uint64_t)bytes > GYR_CHECKED_PAGE)
		return file->real->pMethods->xRead(file->real, to, bytes, at);
	/* A part of a page is asked for where content goes on over several. */
	uint8_t page[GYR_CHECKED_PAGE];
	int code = read_page(file, number, page);
	if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
		return code;
	if (code == SQLITE_OK && file->on && !is_right(page, number))
		return SQLITE_IOERR_DATA;
	memcpy(to, page + offset, (size_t)bytes);
	return code;
}

static int checked_write(sqlite3_file *base, const void *from, int bytes, sqlite3_int64 at)
{
	struct checked_file *file = (struct checked_file *)base;
	uint8_t page[GYR_CHECKED_PAGE];
	if (file->is_database && at == 0)
		file->on = bytes == (int)GYR_CHECKED_PAGE && has_room(from);
	if (!file->is_database || !file->on)
		return file->real->pMethods->xWrite(file->real, from, bytes, at);
	GYR_ASSERT(bytes == (int)GYR_CHECKED_PAGE);
	GYR_ASSERT(at % GYR_CHECKED_PAGE == 0);
	memcpy(page, from, CONTENT_BYTES);
	hash_page(page, (uint64_t)at / GYR_CHECKED_PAGE + 1, page + CONTENT_BYTES);
	return file->real->pMethods->xWrite(file->real, page, bytes, at);
}

static int checked_sync(sqlite3_file *base, int flags)
{
	struct checked_file *file = (struct checked_file *)base;
	int code = file->real->pMethods->xSync(file->real, flags);
	if (code != SQLITE_OK)
		gyr_disk_give_up(file->name, -EIO);
	return code;
}

/* A page that was given room, and was free again before it was ever written, is all zero. */
static bool is_blank(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, GYR_CHECKED_PAGE - 1) == 0;
}

static int check_pages(struct checked_file *file, struct census *census)
{
	uint8_t page[GYR_CHECKED_PAGE];
	sqlite3_int64 bytes;
	int code = file->real->pMethods->xFileSize(file->real, &bytes);
	*census = (struct census){.pages = (uint64_t)bytes / GYR_CHECKED_PAGE};
	for (uint64_t number = 1; code == SQLITE_OK && number <= census->pages; number++) {
		code = read_page(file, number, page);
		if (code != SQLITE_OK || is_right(page, number) || (number > 1 && is_blank(page)))
			continue;
		if (census->bad++ == 0)
			census->first = number;
	}
	return code;
}

static int checked_control(sqlite3_file *base, int operation, void *argument)
{
	if (operation == CHECK_PAGES)
		return check_pages((struct checked_file *)base, argument);
	sqlite3_file *real = real_of(base);
	return real->pMethods->xFileControl(real, operation, argument);
}

static int checked_close(sqlite3_file *file)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods->xClose(real);
}

static int checked_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods->xTruncate(real, size);
}

static int checked_size(sqlite3_file *file, sqlite3_int64 *size)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods->xFileSize(real, size);
}

static int checked_lock(sqlite3_file *file, int kind)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods->xLock(real, kind);
}

static int checked_unlock(sqlite3_file *file, int kind)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods->xUnlock(real, kind);
}

static int checked_is_reserved(sqlite3_file *file, int *result)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods->xCheckReservedLock(real, result);
}

static int checked_sector(sqlite3_file *file)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods->xSectorSize(real);
}

/* Nothing that would have SQLite do without a journal. */
static int checked_characteristics(sqlite3_file *file)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods->xDeviceCharacteristics(real) & SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods checked_methods = {
	.iVersion = 1, /* no shared memory, no mapped pages */
	.xClose = checked_close,
	.xRead = checked_read,
	.xWrite = checked_write,
	.xTruncate = checked_truncate,
	.xSync = checked_sync,
	.xFileSize = checked_size,
	.xLock = checked_lock,
	.xUnlock = checked_unlock,
	.xCheckReservedLock = checked_is_reserved,
	.xFileControl = checked_control,
	.xSectorSize = checked_sector,
	.xDeviceCharacteristics = checked_characteristics,
};

/* Takes the place of the call with which SQLite opens files: why one could not be made is forgotten otherwise. */
static _Thread_local int refusal;

static int open_and_note(const char *path, int flags, int mode)
{
	int fd = open(path, flags, mode);
	if (fd < 0 && (flags & O_CREAT) != 0)
		refusal = errno;
	return fd;
}

static int checked_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out)
{
	sqlite3_vfs *real = vfs->pAppData;
	struct checked_file *file = (struct checked_file *)base;
	uint8_t header[HEADER_BYTES];
	*file = (struct checked_file){.real = (sqlite3_file *)(file + 1), .name = name, .is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0};
	refusal = 0;
	int code = real->xOpen(real, name, file->real, flags, out);
	/* SQLite has one word for whatever keeps a file from being made. */
	if (code != SQLITE_OK && (refusal == ENOSPC || refusal == EDQUOT))
		code = SQLITE_FULL;
	if (file->real->pMethods == NULL)
		return code;
	file->base.pMethods = &checked_methods;
	if (code == SQLITE_OK && file->is_database && file->real->pMethods->xRead(file->real, header, sizeof header, 0) == SQLITE_OK)
		file->on = has_room(header);
	return code;
}

/*
 * Takes the place of the call with which SQLite opens a folder to sync it. SQLite passes over that sync's failure when it has made a journal; so it is made
 * here, and SQLite told that this system has nothing there to open, after which it goes on.
 */
static int sync_instead_of_opening(const char *name, int *fd)
{
	*fd = -1;
	gyr_disk_sync_parent(name, "database-folder-sync");
	return SQLITE_CANTOPEN;
}

int gyr_checked_register(struct gyr_error *error)
{
	static sqlite3_vfs checked;
	if (checked.zName != NULL)
		return 0;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	if (real == NULL || real->iVersion < 3 || real->xSetSystemCall == NULL ||
	    real->xSetSystemCall(real, "open", (sqlite3_syscall_ptr)open_and_note) != SQLITE_OK ||
	    real->xSetSystemCall(real, "openDirectory", (sqlite3_syscall_ptr)sync_instead_of_opening) != SQLITE_OK)
		return gyr_error_set(error, -ENOTSUP, "SQLite %s does not let its system calls be seen", sqlite3_libversion());
	checked = *real;
	checked.zName = GYR_CHECKED_VFS;
	checked.szOsFile = (int)sizeof(struct checked_file) + real->szOsFile;
	checked.pAppData = real;
	checked.xOpen = checked_open;
	int code = sqlite3_vfs_register(&checked, 0);
	GYR_ASSERT(code == SQLITE_OK);
	return 0;
}

int gyr_checked_make_room(sqlite3 *database, struct gyr_error *error)
{
	int room = GYR_CHECKED_BYTES;
	if (sqlite3_file_control(database, "main", SQLITE_FCNTL_RESERVE_BYTES, &room) == SQLITE_OK)
		return 0;
	return gyr_error_set(error, -ENOTSUP, "SQLite %s leaves no room in its pages", sqlite3_libversion());
}

bool gyr_checked_is_on(sqlite3 *database)
{
	struct checked_file *file;
	int code = sqlite3_file_control(database, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	return code == SQLITE_OK && file->base.pMethods == &checked_methods && file->on;
}

int gyr_checked_pages(sqlite3 *database, uint64_t *pages, uint64_t *bad, uint64_t *first, struct gyr_error *error)
{
	struct census census;
	int code = sqlite3_file_control(database, "main", CHECK_PAGES, &census);
	*pages = census.pages;
	*bad = census.bad;
	*first = census.first;
	return code == SQLITE_OK ? 0 : gyr_error_set(error, -EIO, "the registry's database cannot be read: %s", sqlite3_errstr(code));
}
