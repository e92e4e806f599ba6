/* The settings of models: whole numbers by name. What they mean, and which there are, others know. */
#include <errno.h>
#include <stdio.h>

#include "control/registry/registry_internal.h"
#include "control/registry/sql.h"

#define TEXT_BYTES 512u

int gyr_registry_set(struct gyr_registry *registry, const char *model, const struct gyr_setting *settings, uint32_t count, uid_t actor, struct gyr_error *error)
{
	struct gyr_version newest;
	char text[TEXT_BYTES] = "";
	size_t used = 0;
	int status = gyr_registry_version(registry, model, 0, &newest, error);
	if (status == 0)
		status = gyr_registry_begin(registry, error);
	if (status != 0)
		return status;
	for (uint32_t i = 0; status == 0 && i < count; i++) {
		status = gyr_sql_do(
			registry->database, error,
			"INSERT INTO settings (model, name, value) SELECT id, ?, ? FROM models WHERE name=? ON CONFLICT DO UPDATE SET value=excluded.value",
			"sis", settings[i].name, (int64_t)settings[i].value, model);
		if (used < sizeof text)
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%llu", i == 0 ? "" : " ", settings[i].name,
						 (unsigned long long)settings[i].value);
	}
	if (status == 0)
		status = gyr_registry_audit(registry, actor, "set", model, 0, text, error);
	return gyr_registry_end(registry, status, error);
}

int gyr_registry_each_setting(struct gyr_registry *registry, const char *model, bool (*item)(void *user, const struct gyr_setting *setting), void *user,
			      struct gyr_error *error)
{
	sqlite3_stmt *statement;
	int status = gyr_sql_prepare(registry->database, &statement, error,
				     "SELECT s.name, s.value FROM settings s JOIN models m ON m.id=s.model WHERE m.name=? ORDER BY s.name", "s", model);
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1) {
		struct gyr_setting setting = {.value = (uint64_t)sqlite3_column_int64(statement, 1)};
		gyr_sql_text(statement, 0, setting.name, sizeof setting.name);
		if (!item(user, &setting))
			break;
	}
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}
