#include "control/registry/sql.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assertion.h"

int gyr_sql_status(int code)
{
	if (code == SQLITE_IOERR_DATA)
		return -EBADMSG;
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN: return -EACCES;
	case SQLITE_CONSTRAINT: return -EEXIST;
	default: return -EIO;
	}
}

int gyr_sql_failed(sqlite3 *database, const char *doing, struct gyr_error *error)
{
	int code = sqlite3_extended_errcode(database);
	if (code == SQLITE_IOERR_DATA)
		return gyr_error_set(error, -EBADMSG, "the registry's database: %s: a page is not as it was written", doing);
	return gyr_error_set(error, gyr_sql_status(code), "the registry's database: %s: %s", doing, sqlite3_errmsg(database));
}

int gyr_sql_run(sqlite3 *database, const char *sql, struct gyr_error *error)
{
	return sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : gyr_sql_failed(database, "statement", error);
}

static int prepare(sqlite3 *database, sqlite3_stmt **statement, struct gyr_error *error, const char *sql, const char *format, va_list arguments)
{
	int code = sqlite3_prepare_v2(database, sql, -1, statement, NULL);
	for (int i = 0; code == SQLITE_OK && format[i] != '\0'; i++) {
		if (format[i] == 's') {
			code = sqlite3_bind_text(*statement, i + 1, va_arg(arguments, const char *), -1, SQLITE_TRANSIENT);
		} else if (format[i] == 'd') {
			code = sqlite3_bind_double(*statement, i + 1, va_arg(arguments, double));
		} else {
			GYR_ASSERT(format[i] == 'i');
			code = sqlite3_bind_int64(*statement, i + 1, va_arg(arguments, int64_t));
		}
	}
	if (code == SQLITE_OK)
		return 0;
	int status = gyr_sql_failed(database, "prepare", error);
	sqlite3_finalize(*statement);
	*statement = NULL;
	return status;
}

int gyr_sql_prepare(sqlite3 *database, sqlite3_stmt **statement, struct gyr_error *error, const char *sql, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int status = prepare(database, statement, error, sql, format, arguments);
	va_end(arguments);
	return status;
}

int gyr_sql_do(sqlite3 *database, struct gyr_error *error, const char *sql, const char *format, ...)
{
	sqlite3_stmt *statement;
	va_list arguments;
	va_start(arguments, format);
	int status = prepare(database, &statement, error, sql, format, arguments);
	va_end(arguments);
	if (status != 0)
		return status;
	status = gyr_sql_step(database, statement, error);
	GYR_ASSERT(status <= 0);
	sqlite3_finalize(statement);
	return status;
}

int gyr_sql_step(sqlite3 *database, sqlite3_stmt *statement, struct gyr_error *error)
{
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : gyr_sql_failed(database, "step", error);
}

int gyr_sql_number(sqlite3 *database, const char *sql, int64_t *value, struct gyr_error *error)
{
	sqlite3_stmt *statement;
	int status = gyr_sql_prepare(database, &statement, error, sql, "");
	if (status != 0)
		return status;
	status = gyr_sql_step(database, statement, error);
	if (status == 1)
		*value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}

const char *gyr_sql_plain(sqlite3_stmt *statement, int column)
{
	const unsigned char *value = sqlite3_column_text(statement, column);
	return value == NULL ? "" : (const char *)value;
}

void gyr_sql_text(sqlite3_stmt *statement, int column, char *text, size_t size)
{
	snprintf(text, size, "%s", gyr_sql_plain(statement, column));
}
