/* Blobs that no version names: of imports that did not come to a row, and of versions that were removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "control/registry/registry_internal.h"
#include "control/registry/sql.h"

/* What cannot be found out is named. */
static int is_named(struct gyr_registry *registry, const char *name, bool *named, struct gyr_error *error)
{
	sqlite3_stmt *statement;
	*named = true;
	int status = gyr_sql_prepare(registry->database, &statement, error, "SELECT 1 FROM versions WHERE blob=? LIMIT 1", "s", name);
	if (status != 0)
		return status;
	status = gyr_sql_step(registry->database, statement, error);
	sqlite3_finalize(statement);
	*named = status != 0;
	return status < 0 ? status : 0;
}

int gyr_registry_each_loose(struct gyr_registry *registry, bool (*item)(void *user, const char *name, uint64_t bytes), void *user, struct gyr_error *error)
{
	DIR *dir = opendir(registry->blobs.dir);
	if (dir == NULL)
		return gyr_error_set(error, -errno, "%s: %s", registry->blobs.dir, strerror(errno));
	struct dirent *entry;
	int status = 0;
	while (status == 0 && (entry = readdir(dir)) != NULL) {
		struct stat seen;
		bool named = true;
		if (entry->d_name[0] == '.' || fstatat(registry->blobs.dir_fd, entry->d_name, &seen, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		status = is_named(registry, entry->d_name, &named, error);
		if (!named && !item(user, entry->d_name, (uint64_t)seen.st_size))
			break;
	}
	closedir(dir);
	return status;
}
