#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "control/registry/registry_internal.h"
#include "control/registry/sql.h"

#define VERSION_COLUMNS "m.name, v.number, v.blob, v.bytes, v.created_s, v.wanted, v.signature"

/* Fills VERSION from a row of VERSION_COLUMNS; its signature lives as long as the row. */
static void take_version(sqlite3_stmt *statement, struct gyr_version *version)
{
	*version = (struct gyr_version){
		.number = (uint64_t)sqlite3_column_int64(statement, 1),
		.bytes = (uint64_t)sqlite3_column_int64(statement, 3),
		.created_s = sqlite3_column_int64(statement, 4),
		.wanted = sqlite3_column_int(statement, 5) != 0,
		.signature = (const char *)sqlite3_column_text(statement, 6),
	};
	gyr_sql_text(statement, 0, version->model, sizeof version->model);
	gyr_sql_text(statement, 2, version->id, sizeof version->id);
}

/* "1, 2, 3", the newest eight at most. */
static void list_numbers(struct gyr_registry *registry, const char *model, char *text, size_t size)
{
	sqlite3_stmt *statement;
	size_t used = 0;
	text[0] = '\0';
	if (gyr_sql_prepare(registry->database, &statement, NULL,
			    "SELECT number FROM (SELECT v.number FROM versions v JOIN models m ON m.id=v.model WHERE m.name=? ORDER BY v.number DESC LIMIT 8)"
			    " ORDER BY number",
			    "s", model) != 0)
		return;
	while (gyr_sql_step(registry->database, statement, NULL) == 1 && used < size)
		used += (size_t)snprintf(text + used, size - used, "%s%lld", used == 0 ? "" : ", ", (long long)sqlite3_column_int64(statement, 0));
	sqlite3_finalize(statement);
}

int gyr_registry_version(struct gyr_registry *registry, const char *model, uint64_t number, struct gyr_version *version, struct gyr_error *error)
{
	int status = gyr_name_check("model", model, error);
	if (status != 0)
		return status;
	sqlite3_stmt *statement;
	status = gyr_sql_prepare(registry->database, &statement, error,
				 "SELECT " VERSION_COLUMNS " FROM versions v JOIN models m ON m.id=v.model WHERE m.name=?1 AND (?2=0 OR v.number=?2)"
				 " ORDER BY v.number DESC LIMIT 1",
				 "si", model, number > INT64_MAX ? INT64_MAX : (int64_t)number);
	if (status != 0)
		return status;
	status = gyr_sql_step(registry->database, statement, error);
	if (status == 1) {
		take_version(statement, version);
		free(registry->signature);
		registry->signature = strdup(version->signature);
		version->signature = registry->signature;
		status = registry->signature == NULL ? gyr_error_set(error, -ENOMEM, "no memory for a signature") : 0;
	} else if (status == 0) {
		char there[128];
		list_numbers(registry, model, there, sizeof there);
		status = there[0] == '\0'
				 ? gyr_error_set(error, -ENOENT, "no model \"%s\"; \"gyrctl model list\" shows those there are", model)
				 : gyr_error_set(error, -ENOENT, "model \"%s\" has no version %llu; it has %s", model, (unsigned long long)number, there);
	}
	sqlite3_finalize(statement);
	return status;
}

#define LABEL_COLUMNS "m.name, l.name, coalesce(l.version, 0), coalesce(l.former, 0), coalesce(l.intended, 0)"

static void take_label(sqlite3_stmt *statement, struct gyr_label *label)
{
	*label = (struct gyr_label){
		.version = (uint64_t)sqlite3_column_int64(statement, 2),
		.former = (uint64_t)sqlite3_column_int64(statement, 3),
		.intended = (uint64_t)sqlite3_column_int64(statement, 4),
	};
	gyr_sql_text(statement, 0, label->model, sizeof label->model);
	gyr_sql_text(statement, 1, label->name, sizeof label->name);
}

int gyr_registry_label(struct gyr_registry *registry, const char *model, const char *name, struct gyr_label *label, struct gyr_error *error)
{
	sqlite3_stmt *statement;
	int status = gyr_sql_prepare(registry->database, &statement, error,
				     "SELECT " LABEL_COLUMNS " FROM labels l JOIN models m ON m.id=l.model WHERE m.name=? AND l.name=?", "ss", model, name);
	if (status != 0)
		return status;
	status = gyr_sql_step(registry->database, statement, error);
	if (status == 1) {
		take_label(statement, label);
		status = 0;
	} else if (status == 0) {
		status = gyr_error_set(error, -ENOENT, "model \"%s\" has no label \"%s\"", model, name);
	}
	sqlite3_finalize(statement);
	return status;
}

bool gyr_registry_pointing(struct gyr_registry *registry, const char *model, uint64_t number, struct gyr_label *label)
{
	sqlite3_stmt *statement;
	if (gyr_sql_prepare(registry->database, &statement, NULL,
			    "SELECT " LABEL_COLUMNS " FROM labels l JOIN models m ON m.id=l.model WHERE m.name=?1 AND (l.version=?2 OR l.intended=?2) LIMIT 1",
			    "si", model, (int64_t)number) != 0)
		return false;
	bool found = gyr_sql_step(registry->database, statement, NULL) == 1;
	if (found)
		take_label(statement, label);
	sqlite3_finalize(statement);
	return found;
}

int gyr_registry_each_version(struct gyr_registry *registry, const char *model, bool wanted_only, bool (*item)(void *user, const struct gyr_version *version),
			      void *user, struct gyr_error *error)
{
	sqlite3_stmt *statement;
	int status = gyr_sql_prepare(registry->database, &statement, error,
				     "SELECT " VERSION_COLUMNS " FROM versions v JOIN models m ON m.id=v.model"
				     " WHERE (?1='' OR m.name=?1) AND (?2=0 OR v.wanted) ORDER BY m.name, v.number",
				     "si", model == NULL ? "" : model, (int64_t)wanted_only);
	if (status != 0)
		return status;
	struct gyr_version version;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1) {
		take_version(statement, &version);
		if (!item(user, &version))
			break;
	}
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}

int gyr_registry_each_label(struct gyr_registry *registry, const char *model, bool (*item)(void *user, const struct gyr_label *label), void *user,
			    struct gyr_error *error)
{
	sqlite3_stmt *statement;
	int status = gyr_sql_prepare(registry->database, &statement, error,
				     "SELECT " LABEL_COLUMNS " FROM labels l JOIN models m ON m.id=l.model WHERE ?1='' OR m.name=?1 ORDER BY m.name, l.name",
				     "s", model == NULL ? "" : model);
	if (status != 0)
		return status;
	struct gyr_label label;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1) {
		take_label(statement, &label);
		if (!item(user, &label))
			break;
	}
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}

int gyr_registry_each_lineage(struct gyr_registry *registry, const char *model, uint64_t number, bool (*item)(void *user, const char *key, const char *value),
			      void *user, struct gyr_error *error)
{
	sqlite3_stmt *statement;
	int status = gyr_sql_prepare(registry->database, &statement, error,
				     "SELECT l.key, l.value FROM lineage l JOIN models m ON m.id=l.model WHERE m.name=? AND l.number=? ORDER BY l.key", "si",
				     model, (int64_t)number);
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1)
		if (!item(user, (const char *)sqlite3_column_text(statement, 0), (const char *)sqlite3_column_text(statement, 1)))
			break;
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}

int gyr_registry_each_metric(struct gyr_registry *registry, const char *model, uint64_t number, bool (*item)(void *user, const struct gyr_metric *metric),
			     void *user, struct gyr_error *error)
{
	sqlite3_stmt *statement;
	int status = gyr_sql_prepare(registry->database, &statement, error,
				     "SELECT t.name, t.value FROM metrics t JOIN models m ON m.id=t.model WHERE m.name=? AND t.number=? ORDER BY t.name", "si",
				     model, (int64_t)number);
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1) {
		struct gyr_metric metric = {gyr_sql_plain(statement, 0), sqlite3_column_double(statement, 1)};
		if (!item(user, &metric))
			break;
	}
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}

int gyr_registry_each_former(struct gyr_registry *registry, const char *model, const char *label, bool (*item)(void *user, uint64_t number), void *user,
			     struct gyr_error *error)
{
	sqlite3_stmt *statement;
	/* Registries of earlier Gyrs know of the one before only. */
	int status = gyr_sql_prepare(registry->database, &statement, error,
				     "SELECT l.former, 9223372036854775807 AS rank FROM labels l JOIN models m ON m.id=l.model"
				     " WHERE m.name=?1 AND l.name=?2 AND l.former IS NOT NULL"
				     " UNION ALL SELECT version, id FROM audit WHERE model=?1 AND text=?2 AND action='" GYR_AUDIT_PROMOTED "' ORDER BY 2 DESC",
				     "ss", model, label);
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1)
		if (!item(user, (uint64_t)sqlite3_column_int64(statement, 0)))
			break;
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}
