/* What can be told of the database: that it is as it was written, and that what it says can be. What the blobs hold, their readers check. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/registry/checked.h"
#include "control/registry/registry_internal.h"
#include "control/registry/sql.h"

struct verify {
	struct gyr_registry *registry;
	struct gyr_registry_check *check;
	void (*fault)(void *user, const char *text);
	void *user;
};

static void tell(struct verify *verify, const char *text)
{
	verify->check->faults++;
	if (verify->fault != NULL)
		verify->fault(verify->user, text);
}

/* Each row that SQL gives is a fault: its first column, in a sentence. */
static int rows_are_faults(struct verify *verify, const char *sql, const char *sentence, struct gyr_error *error)
{
	sqlite3 *database = verify->registry->database;
	sqlite3_stmt *statement;
	struct gyr_error text;
	int status = gyr_sql_prepare(database, &statement, error, sql, "");
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(database, statement, error)) == 1) {
		const char *said = gyr_sql_plain(statement, 0);
		if (strcmp(said, "ok") == 0)
			continue;
		gyr_error_set(&text, 0, "%s: %s", sentence, said);
		tell(verify, text.text);
	}
	sqlite3_finalize(statement);
	return status;
}

static int check_pages(struct verify *verify, struct gyr_error *error)
{
	struct gyr_registry_check *check = verify->check;
	struct gyr_error text;
	uint64_t bad, first;
	int64_t counted = 0;
	int status = gyr_checked_pages(verify->registry->database, &check->pages, &bad, &first, error);
	if (status != 0)
		return status;
	if (bad > 0) {
		gyr_error_set(&text, 0, "%llu of its %llu pages are not as they were written, page %llu the first", (unsigned long long)bad,
			      (unsigned long long)check->pages, (unsigned long long)first);
		tell(verify, text.text);
		return 0;
	}
	status = gyr_sql_number(verify->registry->database, "PRAGMA page_count", &counted, error);
	if (status == 0 && (uint64_t)counted != check->pages) {
		gyr_error_set(&text, 0, "the file has %llu pages, and %lld belong to it", (unsigned long long)check->pages, (long long)counted);
		tell(verify, text.text);
	}
	return status;
}

/* What the tables themselves do not enforce. */
static const struct {
	const char *sql, *sentence;
} rules[] = {
	{"PRAGMA integrity_check", "its structure is broken"},
	{"SELECT \"table\" FROM pragma_foreign_key_check", "a row names another that is not there"},
	{"SELECT m.name || ' version ' || v.number FROM versions v JOIN models m ON m.id=v.model WHERE v.number<1 OR v.number>=m.next_version",
	 "a version has a number that was not given yet"},
	{"SELECT m.name || ' version ' || v.number FROM versions v JOIN models m ON m.id=v.model WHERE length(v.blob)<>64 OR v.blob GLOB '*[^0-9a-f]*'",
	 "a version names no blob"},
	{"SELECT DISTINCT m.name || ' version ' || v.number FROM labels l JOIN models m ON m.id=l.model JOIN versions v ON v.model=l.model AND v.number IN "
	 "(l.version, l.intended) WHERE NOT v.wanted",
	 "a label points at a version that is not wanted"},
};

int gyr_registry_verify(struct gyr_registry *registry, struct gyr_registry_check *check, void (*fault)(void *user, const char *text), void *user,
			struct gyr_error *error)
{
	struct verify verify = {.registry = registry, .check = check, .fault = fault, .user = user};
	struct gyr_error broken;
	*check = (struct gyr_registry_check){0};
	int status = check_pages(&verify, error);
	/* Pages that are wrong say nothing of what is in them. */
	for (size_t i = 0; status == 0 && check->faults == 0 && i < sizeof rules / sizeof rules[0]; i++)
		status = rows_are_faults(&verify, rules[i].sql, rules[i].sentence, error);
	if (status != 0 || check->faults > 0)
		return status;
	status = gyr_audit_verify(registry, &check->audit_rows, check->audit_head, &broken);
	if (status == -EBADMSG)
		tell(&verify, broken.text);
	else if (status != 0 && error != NULL)
		*error = broken;
	return status == -EBADMSG ? 0 : status;
}
