/*
 * The few words of SQLite that the registry uses, with its errors put into ours.
 */
#ifndef GYR_CONTROL_REGISTRY_SQL_H
#define GYR_CONTROL_REGISTRY_SQL_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The negative errno that a SQLite result code comes to. */
int gyr_sql_status(int code);

/* Fills ERROR from the connection's last failure and returns its status. */
int gyr_sql_failed(sqlite3 *database, const char *doing, struct gyr_error *error);

/* Runs statements without parameters or results. */
GYR_MUST_CHECK int gyr_sql_run(sqlite3 *database, const char *sql, struct gyr_error *error);

/* Prepares SQL and binds the arguments that FORMAT names: 's' const char * (copied), 'i' int64_t, 'd' double. Finalise *STATEMENT with sqlite3_finalize, also
 * after an error (NULL then). */
GYR_MUST_CHECK int gyr_sql_prepare(sqlite3 *database, sqlite3_stmt **statement, struct gyr_error *error, const char *sql, const char *format, ...);

/* Prepares, binds, runs and finalises a statement that gives no rows. */
GYR_MUST_CHECK int gyr_sql_do(sqlite3 *database, struct gyr_error *error, const char *sql, const char *format, ...);

/* The next row: 1, or 0 at the end, or a negative errno. */
GYR_MUST_CHECK int gyr_sql_step(sqlite3 *database, sqlite3_stmt *statement, struct gyr_error *error);

/* The first column of the first row that SQL gives; *VALUE stays where it gives none. */
GYR_MUST_CHECK int gyr_sql_number(sqlite3 *database, const char *sql, int64_t *value, struct gyr_error *error);

/* A text column, "" for NULL, until the next step. */
const char *gyr_sql_plain(sqlite3_stmt *statement, int column);

/* Copies a text column, "" for NULL, into TEXT of SIZE bytes. */
void gyr_sql_text(sqlite3_stmt *statement, int column, char *text, size_t size);

#endif
