/*
 * The tables, and how those of earlier Gyrs become them. A registry is brought up in two steps, each of which is done wholly or not at all: room for hashes in
 * every page (checked.h), by writing the database anew; then the tables, with the number of their version.
 */
#include <errno.h>
#include <stdio.h>

#include "control/registry/checked.h"
#include "control/registry/registry_internal.h"
#include "control/registry/sql.h"

#define APPLICATION_ID 0x47795231 /* "GyR1" */
#define SCHEMA_VERSION 3

/* Version 2 has this beside what version 1 had. */
#define SETTINGS_TABLE                                                                                                                                         \
	"CREATE TABLE settings ("                                                                                                                              \
	" model INTEGER NOT NULL REFERENCES models(id),"                                                                                                       \
	" name TEXT NOT NULL,"                                                                                                                                 \
	" value INTEGER NOT NULL,"                                                                                                                             \
	" PRIMARY KEY (model, name)) WITHOUT ROWID;"

/* Version 3 has these, and no other audit. */
#define METRICS_TABLE                                                                                                                                          \
	"CREATE TABLE metrics ("                                                                                                                               \
	" model INTEGER NOT NULL, number INTEGER NOT NULL,"                                                                                                    \
	" name TEXT NOT NULL,"                                                                                                                                 \
	" value REAL NOT NULL,"                                                                                                                                \
	" PRIMARY KEY (model, number, name),"                                                                                                                  \
	" FOREIGN KEY (model, number) REFERENCES versions(model, number)) WITHOUT ROWID;"
#define AUDIT_TABLE                                                                                                                                            \
	"CREATE TABLE audit ("                                                                                                                                 \
	" id INTEGER PRIMARY KEY,"                                                                                                                             \
	" at_s INTEGER NOT NULL,"                                                                                                                              \
	" actor INTEGER NOT NULL,"                                                                                                                             \
	" action TEXT NOT NULL,"                                                                                                                               \
	" model TEXT NOT NULL,"                                                                                                                                \
	" version INTEGER NOT NULL,"                                                                                                                           \
	" text TEXT NOT NULL,"                                                                                                                                 \
	" hash TEXT NOT NULL);"

static const char schema[] = "CREATE TABLE models ("
			     " id INTEGER PRIMARY KEY,"
			     " name TEXT NOT NULL UNIQUE,"
			     " next_version INTEGER NOT NULL DEFAULT 1);"
			     "CREATE TABLE versions ("
			     " model INTEGER NOT NULL REFERENCES models(id),"
			     " number INTEGER NOT NULL,"
			     " blob TEXT NOT NULL,"
			     " bytes INTEGER NOT NULL,"
			     " created_s INTEGER NOT NULL,"
			     " signature TEXT NOT NULL,"
			     " wanted INTEGER NOT NULL DEFAULT 0,"
			     " PRIMARY KEY (model, number),"
			     " UNIQUE (model, blob)) WITHOUT ROWID;"
			     "CREATE TABLE lineage ("
			     " model INTEGER NOT NULL, number INTEGER NOT NULL,"
			     " key TEXT NOT NULL,"
			     " value TEXT NOT NULL,"
			     " PRIMARY KEY (model, number, key),"
			     " FOREIGN KEY (model, number) REFERENCES versions(model, number)) WITHOUT ROWID;"
			     "CREATE TABLE labels ("
			     " model INTEGER NOT NULL REFERENCES models(id),"
			     " name TEXT NOT NULL,"
			     " version INTEGER, former INTEGER, intended INTEGER,"
			     " PRIMARY KEY (model, name),"
			     " FOREIGN KEY (model, version) REFERENCES versions(model, number),"
			     " FOREIGN KEY (model, former) REFERENCES versions(model, number),"
			     " FOREIGN KEY (model, intended) REFERENCES versions(model, number)) WITHOUT ROWID;" METRICS_TABLE AUDIT_TABLE SETTINGS_TABLE;

static int make_tables(struct gyr_registry *registry, struct gyr_error *error)
{
	uint32_t blobs;
	/* A new registry names no blob: those there are what is left of one that was lost. */
	int status = gyr_blobs_count(&registry->blobs, &blobs, error);
	if (status == 0 && blobs > 0)
		status = gyr_error_set(error, -ENODATA,
				       "the registry is gone or empty, but %s has %u models' files; put registry.db back, or move that folder away",
				       registry->blobs.dir, blobs);
	if (status == 0)
		status = gyr_checked_make_room(registry->database, error);
	if (status != 0)
		return status;
	char sql[sizeof schema + 128];
	snprintf(sql, sizeof sql, "BEGIN IMMEDIATE;%sPRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT", schema, APPLICATION_ID, SCHEMA_VERSION);
	return gyr_sql_run(registry->database, sql, error);
}

/* Metrics were among the lineage only, and the audit had no chain. */
static int change_tables(struct gyr_registry *registry, int64_t version, struct gyr_error *error)
{
	sqlite3 *database = registry->database;
	int status = version == 1 ? gyr_sql_run(database, SETTINGS_TABLE, error) : 0;
	if (status == 0)
		status = gyr_sql_run(database, METRICS_TABLE "ALTER TABLE audit RENAME TO audit_before;" AUDIT_TABLE, error);
	for (size_t i = 0; status == 0 && gyr_metric_names[i] != NULL; i++)
		status = gyr_sql_do(database, error,
				    "INSERT INTO metrics SELECT model, number, key, CAST(value AS REAL) FROM lineage WHERE key=? AND value GLOB '[0-9]*'", "s",
				    gyr_metric_names[i]);
	if (status == 0)
		status = gyr_audit_chain_again(registry, error);
	if (status == 0)
		status = gyr_sql_run(database, "DROP TABLE audit_before; PRAGMA user_version=3", error);
	return status;
}

static int bring_up(struct gyr_registry *registry, int64_t version, struct gyr_error *error)
{
	sqlite3 *database = registry->database;
	if (!gyr_checked_is_on(database)) {
		int status = gyr_checked_make_room(database, error);
		/* Pages must not be written before the first, which says that they are checked. */
		if (status == 0)
			status = gyr_sql_run(database, "PRAGMA cache_spill=OFF; VACUUM; PRAGMA cache_spill=ON", error);
		if (status != 0)
			return status;
	}
	int status = gyr_registry_begin(registry, error);
	return status != 0 ? status : gyr_registry_end(registry, change_tables(registry, version, error), error);
}

int gyr_schema_settle(struct gyr_registry *registry, const char *path, struct gyr_error *error)
{
	sqlite3 *database = registry->database;
	int64_t application = 0, version = 0, tables = 0;
	int status = gyr_sql_number(database, "PRAGMA application_id", &application, error);
	if (status == 0)
		status = gyr_sql_number(database, "PRAGMA user_version", &version, error);
	if (status == 0)
		status = gyr_sql_number(database, "SELECT count(*) FROM sqlite_schema", &tables, error);
	if (status != 0)
		return status;
	if (application == APPLICATION_ID && version > SCHEMA_VERSION)
		return gyr_error_set(error, -ENOTSUP, "%s: schema %lld was made by a later Gyr; this one reads %d", path, (long long)version, SCHEMA_VERSION);
	if (application == APPLICATION_ID && version == SCHEMA_VERSION)
		return gyr_checked_is_on(database) ? 0 : gyr_error_set(error, -EBADMSG, "%s: its pages carry no hashes any more", path);
	if (application == APPLICATION_ID && version >= 1)
		return bring_up(registry, version, error);
	if (application != 0 || version != 0 || tables != 0)
		return gyr_error_set(error, -EBADMSG, "%s: not a registry of Gyr's", path);
	return make_tables(registry, error);
}
