/*
 * What changes the registry. What only reads it is in query.c.
 *
 * Invariants
 *   1. A version's row is written after its blob is on the disk.
 *   2. Every change, with its audit row, is one transaction.
 *   3. models.next_version only grows; a number is given once.
 *   4. A version that a label points at, or is intended to, is wanted.
 */
#include "control/registry/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/log.h"
#include "control/registry/checked.h"
#include "control/registry/disk.h"
#include "control/registry/lock.h"
#include "control/registry/registry_internal.h"
#include "control/registry/sql.h"
#include "control/registry/step.h"

int (*gyr_step_hook)(const char *step);

int gyr_name_check(const char *what, const char *name, struct gyr_error *error)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char other[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(name);
	if (length >= 1 && length < GYR_NAME_BYTES && strchr(first, name[0]) != NULL && strspn(name, other) == length)
		return 0;
	return gyr_error_set(error, -EINVAL, "%s \"%.80s\": a name is 1 to %u of a-z, 0-9, '.', '_' and '-', the first a letter or a digit", what, name,
			     GYR_NAME_BYTES - 1);
}

static int lock_state(struct gyr_registry *registry, const char *state_dir, struct gyr_error *error)
{
	char path[GYR_BLOB_PATH_BYTES], holder[GYR_LOCK_HOLDER_BYTES];
	if (snprintf(path, sizeof path, "%s/lock", state_dir) >= (int)sizeof path)
		return gyr_error_set(error, -ENAMETOOLONG, "%.100s...: the state directory's path is too long", state_dir);
	int status = gyr_lock_take(path, &registry->lock_fd, holder, error);
	if (status == -EBUSY)
		return gyr_error_set(error, status, "%s: in use by process %s; stop that gyrd first, or give this one a state_dir of its own", state_dir,
				     holder);
	return status;
}

static int open_database(struct gyr_registry *registry, const char *state_dir, struct gyr_error *error)
{
	char path[GYR_BLOB_PATH_BYTES];
	snprintf(path, sizeof path, "%s/registry.db", state_dir);
	int status = gyr_checked_register(error);
	if (status != 0)
		return status;
	gyr_disk_forget(path);
	int code = sqlite3_open_v2(path, &registry->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
				   GYR_CHECKED_VFS);
	if (code != SQLITE_OK)
		return gyr_error_set(error, gyr_sql_status(code), "%s: %s", path,
				     registry->database == NULL ? "no memory" : sqlite3_errmsg(registry->database));
	status = gyr_sql_run(registry->database,
			     "PRAGMA page_size=4096; PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF",
			     error);
	if (status == 0)
		status = gyr_schema_settle(registry, path, error);
	return status == 0 ? 0 : gyr_error_prefix(error, status, "%s", path);
}

static void keep_first(void *user, const char *text)
{
	struct gyr_error *first = user;
	if (first->text[0] == '\0')
		gyr_error_set(first, 0, "%s", text);
}

/* Nothing is served by a database that is not as it was written. */
static int check_database(struct gyr_registry *registry, const char *state_dir, struct gyr_error *error)
{
	struct gyr_registry_check check;
	struct gyr_error first = {0};
	int status = gyr_registry_verify(registry, &check, keep_first, &first, error);
	if (status != 0 || check.faults == 0)
		return status;
	return gyr_error_set(error, -EBADMSG, "%s/registry.db is damaged: %s; put it back from the backup", state_dir, first.text);
}

static bool count_loose(void *user, const char *name, uint64_t bytes)
{
	++*(uint64_t *)user;
	return true;
}

/* What was begun and not named yet goes. A whole blob that no version names stays: a registry that was put back from a backup may be the older one. */
static int look_for_leftovers(struct gyr_registry *registry, struct gyr_error *error)
{
	uint64_t loose = 0;
	int status = gyr_blobs_sweep(&registry->blobs, error);
	if (status == 0)
		status = gyr_registry_each_loose(registry, count_loose, &loose, error);
	if (status == 0 && loose > 0)
		gyr_log_info("%s: %llu files that no version names; \"gyrctl gc\" shows them, and can free them", registry->blobs.dir,
			     (unsigned long long)loose);
	return status;
}

int gyr_registry_open(const char *state_dir, struct gyr_registry **registry, struct gyr_error *error)
{
	*registry = NULL;
	int status = gyr_disk_make_folder(state_dir, error);
	if (status != 0)
		return status;
	struct gyr_registry *made = calloc(1, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the registry");
	made->blobs.dir_fd = made->lock_fd = -1;
	status = lock_state(made, state_dir, error);
	if (status == 0)
		status = gyr_blobs_open(&made->blobs, state_dir, error);
	if (status == 0)
		status = open_database(made, state_dir, error);
	if (status == 0)
		status = check_database(made, state_dir, error);
	if (status == 0)
		status = look_for_leftovers(made, error);
	if (status != 0) {
		gyr_registry_close(made);
		return status;
	}
	*registry = made;
	return 0;
}

void gyr_registry_close(struct gyr_registry *registry)
{
	if (registry == NULL)
		return;
	sqlite3_close(registry->database);
	if (registry->blobs.dir_fd >= 0)
		gyr_blobs_close(&registry->blobs);
	if (registry->lock_fd >= 0)
		close(registry->lock_fd);
	free(registry->signature);
	free(registry);
}

const struct gyr_blobs *gyr_registry_blobs(const struct gyr_registry *registry)
{
	return &registry->blobs;
}

int gyr_registry_begin(struct gyr_registry *registry, struct gyr_error *error)
{
	int status = GYR_STEP("begin");
	if (status != 0)
		return gyr_error_set(error, status, "the registry's database: begin: %s", strerror(-status));
	return gyr_sql_run(registry->database, "BEGIN IMMEDIATE", error);
}

/* Commits what STATUS says went well, and undoes what did not. */
int gyr_registry_end(struct gyr_registry *registry, int status, struct gyr_error *error)
{
	if (status == 0) {
		status = GYR_STEP("commit");
		if (status != 0)
			gyr_error_set(error, status, "the registry's database: commit: %s", strerror(-status));
		else
			status = gyr_sql_run(registry->database, "COMMIT", error);
	}
	if (status != 0 && sqlite3_get_autocommit(registry->database) == 0)
		sqlite3_exec(registry->database, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

static int add_rows(struct gyr_registry *registry, const char *model, const struct gyr_facts *facts, uid_t actor, uint64_t *number, struct gyr_error *error)
{
	sqlite3 *database = registry->database;
	int64_t id = 0;
	sqlite3_stmt *statement;
	int status = gyr_sql_do(database, error, "INSERT INTO models (name) VALUES (?) ON CONFLICT DO NOTHING", "s", model);
	if (status == 0)
		status = gyr_sql_prepare(database, &statement, error, "UPDATE models SET next_version=next_version+1 WHERE name=? RETURNING id, next_version-1",
					 "s", model);
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(database, statement, error)) == 1) {
		id = sqlite3_column_int64(statement, 0);
		*number = (uint64_t)sqlite3_column_int64(statement, 1);
	}
	sqlite3_finalize(statement);
	if (status == 0)
		status = gyr_sql_do(database, error, "INSERT INTO versions (model, number, blob, bytes, created_s, signature) VALUES (?,?,?,?,?,?)", "iisiis",
				    id, (int64_t)*number, facts->id, (int64_t)facts->bytes, (int64_t)time(NULL), facts->signature);
	for (uint32_t i = 0; status == 0 && i < facts->lineage_count; i++)
		status = gyr_sql_do(database, error, "INSERT INTO lineage (model, number, key, value) VALUES (?,?,?,?)", "iiss", id, (int64_t)*number,
				    facts->lineage[i].key, facts->lineage[i].value);
	for (uint32_t i = 0; status == 0 && i < facts->metric_count; i++)
		status = gyr_sql_do(database, error, "INSERT INTO metrics (model, number, name, value) VALUES (?,?,?,?)", "iisd", id, (int64_t)*number,
				    facts->metrics[i].name, facts->metrics[i].value);
	return status == 0 ? gyr_registry_audit(registry, actor, "import", model, *number, facts->id, error) : status;
}

int gyr_registry_add(struct gyr_registry *registry, const char *model, const struct gyr_facts *facts, uid_t actor, uint64_t *number, bool *known,
		     struct gyr_error *error)
{
	*known = false;
	int status = gyr_name_check("model", model, error);
	if (status == 0)
		status = gyr_registry_begin(registry, error);
	if (status != 0)
		return status;
	sqlite3_stmt *statement;
	status = gyr_sql_prepare(registry->database, &statement, error,
				 "SELECT v.number FROM versions v JOIN models m ON m.id=v.model WHERE m.name=? AND v.blob=?", "ss", model, facts->id);
	if (status == 0) {
		status = gyr_sql_step(registry->database, statement, error);
		if (status == 1) {
			*number = (uint64_t)sqlite3_column_int64(statement, 0);
			*known = true;
			status = 0;
		} else if (status == 0) {
			status = add_rows(registry, model, facts, actor, number, error);
		}
		sqlite3_finalize(statement);
	}
	return gyr_registry_end(registry, status, error);
}

int gyr_registry_want(struct gyr_registry *registry, const char *model, uint64_t number, bool wanted, uid_t actor, struct gyr_error *error)
{
	struct gyr_version version;
	int status = gyr_registry_version(registry, model, number, &version, error);
	if (status != 0 || version.wanted == wanted)
		return status;
	number = version.number;
	struct gyr_label label;
	if (!wanted && gyr_registry_pointing(registry, model, number, &label))
		return gyr_error_set(error, -EBUSY, "%s version %llu: the label \"%s\" points at it; promote another version first", model,
				     (unsigned long long)number, label.name);
	status = gyr_registry_begin(registry, error);
	if (status != 0)
		return status;
	status = gyr_sql_do(registry->database, error, "UPDATE versions SET wanted=? WHERE model=(SELECT id FROM models WHERE name=?) AND number=?", "isi",
			    (int64_t)wanted, model, (int64_t)number);
	if (status == 0)
		status = gyr_registry_audit(registry, actor, wanted ? GYR_AUDIT_LOAD : "unload", model, number, "", error);
	return gyr_registry_end(registry, status, error);
}

int gyr_registry_remove(struct gyr_registry *registry, const char *model, uint64_t number, uid_t actor, struct gyr_error *error)
{
	static const char *const statements[] = {
		"DELETE FROM lineage WHERE model=(SELECT id FROM models WHERE name=?) AND number=?",
		"DELETE FROM metrics WHERE model=(SELECT id FROM models WHERE name=?) AND number=?",
		"UPDATE labels SET former=NULL WHERE model=(SELECT id FROM models WHERE name=?) AND former=?",
		"DELETE FROM versions WHERE model=(SELECT id FROM models WHERE name=?) AND number=?",
	};
	struct gyr_version version;
	int status = gyr_registry_version(registry, model, number, &version, error);
	if (status == 0 && version.wanted)
		status = gyr_error_set(error, -EBUSY, "%s version %llu is to be held by the data plane; unload it first", model,
				       (unsigned long long)version.number);
	if (status == 0)
		status = gyr_registry_begin(registry, error);
	if (status != 0)
		return status;
	for (size_t i = 0; status == 0 && i < sizeof statements / sizeof statements[0]; i++)
		status = gyr_sql_do(registry->database, error, statements[i], "si", model, (int64_t)version.number);
	if (status == 0)
		status = gyr_registry_audit(registry, actor, "remove", model, version.number, version.id, error);
	return gyr_registry_end(registry, status, error);
}

static bool count_label(void *user, const struct gyr_label *label)
{
	++*(uint32_t *)user;
	return true;
}

/* May NUMBER follow what the label points at? */
static int check_successor(struct gyr_registry *registry, const char *model, const char *name, uint64_t number, bool force, struct gyr_error *error)
{
	struct gyr_version next, now;
	struct gyr_label label;
	int status = gyr_registry_version(registry, model, number, &next, error);
	if (status != 0)
		return status;
	status = gyr_registry_label(registry, model, name, &label, error);
	if (status == -ENOENT) {
		uint32_t count = 0;
		status = gyr_registry_each_label(registry, model, count_label, &count, error);
		if (status == 0 && count >= GYR_LABELS_MAX)
			status = gyr_error_set(error, -E2BIG, "model \"%s\" has %u labels, which is the most", model, GYR_LABELS_MAX);
		return status;
	}
	if (status != 0 || label.version == 0 || force)
		return status;
	char *signature = strdup(next.signature);
	if (signature == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for a signature");
	status = gyr_registry_version(registry, model, label.version, &now, error);
	if (status == 0 && strcmp(signature, now.signature) != 0)
		status = gyr_error_set(error, -EPERM,
				       "%s version %llu has the signature %.180s, but version %llu, which \"%s\" points at, has %.180s; --force "
				       "promotes it all the same",
				       model, (unsigned long long)number, signature, (unsigned long long)label.version, name, now.signature);
	free(signature);
	return status;
}

int gyr_registry_intend(struct gyr_registry *registry, const char *model, const char *name, uint64_t number, bool force, uid_t actor, struct gyr_error *error)
{
	int status = gyr_name_check("label", name, error);
	if (status == 0)
		status = check_successor(registry, model, name, number, force, error);
	if (status == 0)
		status = gyr_registry_begin(registry, error);
	if (status != 0)
		return status;
	status = gyr_sql_do(registry->database, error, "UPDATE versions SET wanted=1 WHERE model=(SELECT id FROM models WHERE name=?) AND number=?", "si",
			    model, (int64_t)number);
	if (status == 0)
		status = gyr_sql_do(registry->database, error,
				    "INSERT INTO labels (model, name, intended) SELECT id, ?, ? FROM models WHERE name=?"
				    " ON CONFLICT DO UPDATE SET intended=excluded.intended",
				    "sis", name, (int64_t)number, model);
	if (status == 0)
		status = gyr_registry_audit(registry, actor, force ? "promote --force" : "promote", model, number, name, error);
	return gyr_registry_end(registry, status, error);
}

int gyr_registry_settle(struct gyr_registry *registry, const char *model, const char *name, struct gyr_error *error)
{
	struct gyr_label label;
	int status = gyr_registry_label(registry, model, name, &label, error);
	if (status != 0 || label.intended == 0)
		return status == -ENOENT ? 0 : status;
	status = gyr_registry_begin(registry, error);
	if (status != 0)
		return status;
	/* Promoting what is promoted already keeps the way back to the former. */
	status = gyr_sql_do(registry->database, error,
			    "UPDATE labels SET former=CASE WHEN intended IS version THEN former ELSE version END, version=intended, intended=NULL"
			    " WHERE model=(SELECT id FROM models WHERE name=?) AND name=? AND intended IS NOT NULL",
			    "ss", model, name);
	if (status == 0)
		status = gyr_registry_audit(registry, getuid(), GYR_AUDIT_PROMOTED, model, label.intended, name, error);
	return gyr_registry_end(registry, status, error);
}

int gyr_registry_withdraw(struct gyr_registry *registry, const char *model, const char *name, const char *why, struct gyr_error *error)
{
	struct gyr_label label;
	int status = gyr_registry_label(registry, model, name, &label, error);
	if (status != 0 || label.intended == 0)
		return status;
	status = gyr_registry_begin(registry, error);
	if (status != 0)
		return status;
	status = gyr_sql_do(registry->database, error,
			    label.version == 0 ? "DELETE FROM labels WHERE model=(SELECT id FROM models WHERE name=?) AND name=?"
					       : "UPDATE labels SET intended=NULL WHERE model=(SELECT id FROM models WHERE name=?) AND name=?",
			    "ss", model, name);
	if (status == 0)
		status = gyr_registry_audit(registry, getuid(), "promote failed", model, label.intended, why, error);
	return gyr_registry_end(registry, status, error);
}
