/*
 * The audit: a row for every change, in the change's own transaction. Each row's hash is over the row and the hash of the row before, so that no row can be
 * changed, taken out or put between without all that follow being written anew; the last hash, kept elsewhere, stands for all of them.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/registry/registry_internal.h"
#include "control/registry/sql.h"

struct row {
	int64_t id, at_s, actor, version;
	const char *action, *model, *text;
};

static void hash_number(crypto_generichash_state *state, uint64_t number)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	crypto_generichash_update(state, bytes, sizeof bytes);
}

static void hash_text(crypto_generichash_state *state, const char *text)
{
	hash_number(state, strlen(text));
	crypto_generichash_update(state, (const unsigned char *)text, strlen(text));
}

/* HASH holds that of the row before ("": none), and then this one's. */
static void chain(char hash[GYR_BLOB_NAME_BYTES], const struct row *row)
{
	crypto_generichash_state state;
	uint8_t bytes[GYR_BUNDLE_ID_BYTES];
	crypto_generichash_init(&state, NULL, 0, sizeof bytes);
	hash_text(&state, hash);
	hash_number(&state, (uint64_t)row->id);
	hash_number(&state, (uint64_t)row->at_s);
	hash_number(&state, (uint64_t)row->actor);
	hash_text(&state, row->action);
	hash_text(&state, row->model);
	hash_number(&state, (uint64_t)row->version);
	hash_text(&state, row->text);
	crypto_generichash_final(&state, bytes, sizeof bytes);
	gyr_bundle_id_text(bytes, hash);
}

static int read_last(struct gyr_registry *registry, int64_t *id, char hash[GYR_BLOB_NAME_BYTES], struct gyr_error *error)
{
	sqlite3_stmt *statement;
	*id = 0;
	hash[0] = '\0';
	int status = gyr_sql_prepare(registry->database, &statement, error, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", "");
	if (status != 0)
		return status;
	status = gyr_sql_step(registry->database, statement, error);
	if (status == 1) {
		*id = sqlite3_column_int64(statement, 0);
		gyr_sql_text(statement, 1, hash, GYR_BLOB_NAME_BYTES);
	}
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}

static int insert(struct gyr_registry *registry, const struct row *row, const char *hash, struct gyr_error *error)
{
	return gyr_sql_do(registry->database, error, "INSERT INTO audit (id, at_s, actor, action, model, version, text, hash) VALUES (?,?,?,?,?,?,?,?)",
			  "iiississ", row->id, row->at_s, row->actor, row->action, row->model, row->version, row->text, hash);
}

int gyr_registry_audit(struct gyr_registry *registry, uid_t actor, const char *action, const char *model, uint64_t number, const char *text,
		       struct gyr_error *error)
{
	struct row row = {.at_s = (int64_t)time(NULL), .actor = (int64_t)actor, .action = action, .model = model, .version = (int64_t)number, .text = text};
	char hash[GYR_BLOB_NAME_BYTES];
	int64_t last;
	int status = read_last(registry, &last, hash, error);
	if (status != 0)
		return status;
	row.id = last + 1;
	chain(hash, &row);
	return insert(registry, &row, hash, error);
}

#define ROW_COLUMNS "id, at_s, actor, action, model, version, text"

static struct row take_row(sqlite3_stmt *statement)
{
	return (struct row){
		.id = sqlite3_column_int64(statement, 0),
		.at_s = sqlite3_column_int64(statement, 1),
		.actor = sqlite3_column_int64(statement, 2),
		.action = gyr_sql_plain(statement, 3),
		.model = gyr_sql_plain(statement, 4),
		.version = sqlite3_column_int64(statement, 5),
		.text = gyr_sql_plain(statement, 6),
	};
}

int gyr_audit_chain_again(struct gyr_registry *registry, struct gyr_error *error)
{
	sqlite3_stmt *statement;
	char hash[GYR_BLOB_NAME_BYTES] = "";
	int64_t id = 0;
	int status = gyr_sql_prepare(registry->database, &statement, error, "SELECT " ROW_COLUMNS " FROM audit_before ORDER BY id", "");
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1) {
		struct row row = take_row(statement);
		row.id = ++id;
		chain(hash, &row);
		status = insert(registry, &row, hash, error);
		if (status != 0)
			break;
	}
	sqlite3_finalize(statement);
	return status;
}

int gyr_audit_verify(struct gyr_registry *registry, uint64_t *rows, char head[GYR_BLOB_NAME_BYTES], struct gyr_error *error)
{
	sqlite3_stmt *statement;
	*rows = 0;
	head[0] = '\0';
	int status = gyr_sql_prepare(registry->database, &statement, error, "SELECT " ROW_COLUMNS ", hash FROM audit ORDER BY id", "");
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1) {
		struct row row = take_row(statement);
		chain(head, &row);
		++*rows;
		if (row.id == (int64_t)*rows && strcmp(head, gyr_sql_plain(statement, 7)) == 0)
			continue;
		status = gyr_error_set(error, -EBADMSG, "the audit's chain is broken at row %lld: it, or one before it, is not as it was written",
				       (long long)row.id);
		break;
	}
	sqlite3_finalize(statement);
	return status;
}

int gyr_registry_each_audit(struct gyr_registry *registry, const char *model, bool (*item)(void *user, const struct gyr_audit *row), void *user,
			    struct gyr_error *error)
{
	sqlite3_stmt *statement;
	int status = gyr_sql_prepare(registry->database, &statement, error, "SELECT " ROW_COLUMNS ", hash FROM audit WHERE ?1='' OR model=?1 ORDER BY id DESC",
				     "s", model == NULL ? "" : model);
	if (status != 0)
		return status;
	while ((status = gyr_sql_step(registry->database, statement, error)) == 1) {
		struct row row = take_row(statement);
		struct gyr_audit given = {
			.id = (uint64_t)row.id,
			.at_s = row.at_s,
			.actor = (uid_t)row.actor,
			.version = (uint64_t)row.version,
			.action = row.action,
			.model = row.model,
			.text = row.text,
			.hash = gyr_sql_plain(statement, 7),
		};
		if (!item(user, &given))
			break;
	}
	sqlite3_finalize(statement);
	return status < 0 ? status : 0;
}
