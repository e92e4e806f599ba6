/*
 * The registry: every error, and what is left after a crash or a failing disk at each of its steps. The file is long because all of it is about one object, in the
 * one folder that each test is given.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "control/registry/checked.h"
#include "control/registry/disk.h"
#include "control/registry/registry.h"
#include "control/registry/step.h"
#include "sample.h"

static char folder[64];
static struct gyr_error error;

static int make_folder(void **state)
{
	sample_folder(folder);
	gyr_step_hook = NULL;
	return 0;
}

static int remove_folder(void **state)
{
	gyr_step_hook = NULL;
	sample_remove(folder);
	return 0;
}

static struct gyr_registry *open_registry(void)
{
	struct gyr_registry *registry;
	if (gyr_registry_open(folder, &registry, &error) != 0)
		fail_msg("%s", error.text);
	return registry;
}

/* What gyrd does for an import: the blob, then the row. */
static int import(struct gyr_registry *registry, const char *model, uint32_t width, float salt, uint64_t *number, bool *known)
{
	void *bytes;
	size_t size;
	struct gyr_bundle *bundle;
	struct gyr_facts facts;
	sample_bundle(width, salt, &bytes, &size);
	assert_int_equal(gyr_bundle_open(bytes, size, &bundle, NULL), 0);
	assert_int_equal(gyr_facts_take(&facts, bundle, size, NULL), 0);
	int status = gyr_blobs_put(gyr_registry_blobs(registry), facts.id, bytes, size, &error);
	if (status == 0)
		status = gyr_registry_add(registry, model, &facts, 0, number, known, &error);
	gyr_facts_fini(&facts);
	gyr_bundle_close(bundle);
	free(bytes);
	return status;
}

static uint64_t must_import(struct gyr_registry *registry, const char *model, uint32_t width, float salt)
{
	uint64_t number;
	bool known;
	if (import(registry, model, width, salt, &number, &known) != 0)
		fail_msg("%s", error.text);
	return number;
}

static void versions_count_up_and_contents_are_known(void **state)
{
	struct gyr_registry *registry = open_registry();
	struct gyr_version version;
	uint64_t number;
	bool known;
	assert_int_equal(must_import(registry, "a", 4, 1), 1);
	assert_int_equal(must_import(registry, "a", 4, 2), 2);
	assert_int_equal(must_import(registry, "b", 4, 2), 1);
	assert_int_equal(import(registry, "a", 4, 1, &number, &known), 0);
	assert_true(known);
	assert_int_equal(number, 1);
	assert_int_equal(must_import(registry, "a", 4, 3), 3);
	assert_int_equal(gyr_registry_version(registry, "a", 0, &version, &error), 0);
	assert_int_equal(version.number, 3);
	assert_string_equal(version.signature, "{\"inputs\":[{\"name\":\"x\",\"dtype\":\"f32\",\"shape\":[-1,4]}],"
					       "\"outputs\":[{\"name\":\"y\",\"dtype\":\"f32\",\"shape\":[-1,2]}]}");
	assert_false(version.wanted);
	gyr_registry_close(registry);
	registry = open_registry();
	assert_int_equal(gyr_registry_version(registry, "a", 3, &version, &error), 0);
	gyr_registry_close(registry);
}

static bool check_lineage(void *user, const char *key, const char *value)
{
	uint32_t *count = user;
	assert_string_equal(key, *count == 0 ? "accuracy" : "tool");
	assert_string_equal(value, *count == 0 ? "0.9" : "test");
	++*count;
	return true;
}

static bool check_audit(void *user, const struct gyr_audit *row)
{
	static const char *const actions[] = {"promote", "load", "import"};
	uint32_t *count = user;
	assert_int_equal(row->id, 3 - *count);
	assert_true(row->at_s > 0);
	assert_int_equal(row->actor, *count == 2 ? 0 : 7);
	assert_string_equal(row->action, actions[*count]);
	assert_string_equal(row->model, "a");
	assert_int_equal(row->version, 1);
	assert_int_equal(strlen(row->hash), 64);
	++*count;
	return true;
}

static void lineage_and_audit_are_kept(void **state)
{
	struct gyr_registry *registry = open_registry();
	uint32_t count = 0;
	must_import(registry, "a", 4, 1);
	assert_int_equal(gyr_registry_each_lineage(registry, "a", 1, check_lineage, &count, &error), 0);
	assert_int_equal(count, 2);
	assert_int_equal(gyr_registry_want(registry, "a", 1, true, 7, &error), 0);
	assert_int_equal(gyr_registry_intend(registry, "a", "stable", 1, false, 7, &error), 0);
	count = 0;
	assert_int_equal(gyr_registry_each_audit(registry, "a", check_audit, &count, &error), 0);
	assert_int_equal(count, 3);
	gyr_registry_close(registry);
}

static void names_are_checked(void **state)
{
	static const char *const bad[] = {"", "A", "-a", ".a", "a b", "a/b", "\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123"};
	static const char *const good[] = {"a", "0", "fashion-mnist_2.x", "012345678901234567890123456789012345678901234567890123456789012"};
	struct gyr_registry *registry = open_registry();
	uint64_t number;
	bool known;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(gyr_name_check("model", bad[i], &error), -EINVAL);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(gyr_name_check("model", good[i], &error), 0);
	assert_int_equal(import(registry, "No", 4, 1, &number, &known), -EINVAL);
	must_import(registry, "a", 4, 1);
	assert_int_equal(gyr_registry_intend(registry, "a", "Stable", 1, false, 0, &error), -EINVAL);
	gyr_registry_close(registry);
}

static void what_is_not_there_is_named(void **state)
{
	struct gyr_registry *registry = open_registry();
	struct gyr_version version;
	struct gyr_label label;
	assert_int_equal(gyr_registry_version(registry, "a", 0, &version, &error), -ENOENT);
	assert_non_null(strstr(error.text, "\"a\""));
	must_import(registry, "a", 4, 1);
	must_import(registry, "a", 4, 2);
	assert_int_equal(gyr_registry_version(registry, "a", 9, &version, &error), -ENOENT);
	assert_non_null(strstr(error.text, "it has 1, 2"));
	assert_int_equal(gyr_registry_version(registry, "a", UINT64_MAX, &version, &error), -ENOENT);
	assert_int_equal(gyr_registry_label(registry, "a", "stable", &label, &error), -ENOENT);
	assert_int_equal(gyr_registry_want(registry, "a", 9, true, 0, &error), -ENOENT);
	assert_int_equal(gyr_registry_intend(registry, "a", "stable", 9, false, 0, &error), -ENOENT);
	assert_int_equal(gyr_registry_withdraw(registry, "a", "stable", "", &error), -ENOENT);
	gyr_registry_close(registry);
}

static struct gyr_label read_label(struct gyr_registry *registry)
{
	struct gyr_label label;
	assert_int_equal(gyr_registry_label(registry, "a", "stable", &label, &error), 0);
	return label;
}

static void promote(struct gyr_registry *registry, uint64_t number)
{
	if (gyr_registry_intend(registry, "a", "stable", number, false, 0, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(gyr_registry_settle(registry, "a", "stable", &error), 0);
}

static void a_label_is_intended_and_then_settled_or_withdrawn(void **state)
{
	struct gyr_registry *registry = open_registry();
	struct gyr_version version;
	for (int i = 1; i <= 3; i++)
		must_import(registry, "a", 4, (float)i);
	assert_int_equal(gyr_registry_intend(registry, "a", "stable", 1, false, 0, &error), 0);
	struct gyr_label label = read_label(registry);
	assert_int_equal(label.version, 0);
	assert_int_equal(label.intended, 1);
	assert_int_equal(gyr_registry_version(registry, "a", 1, &version, &error), 0);
	assert_true(version.wanted);
	/* What never was goes with its intention. */
	assert_int_equal(gyr_registry_withdraw(registry, "a", "stable", "because", &error), 0);
	assert_int_equal(gyr_registry_label(registry, "a", "stable", &label, &error), -ENOENT);
	promote(registry, 1);
	promote(registry, 2);
	label = read_label(registry);
	assert_int_equal(label.version, 2);
	assert_int_equal(label.former, 1);
	assert_int_equal(label.intended, 0);
	/* What is so already keeps the way back. */
	promote(registry, 2);
	assert_int_equal(read_label(registry).former, 1);
	assert_int_equal(gyr_registry_intend(registry, "a", "stable", 3, false, 0, &error), 0);
	/* Either is held fast: what a label points at, and what it is about to. */
	assert_int_equal(gyr_registry_want(registry, "a", 2, false, 0, &error), -EBUSY);
	assert_int_equal(gyr_registry_want(registry, "a", 3, false, 0, &error), -EBUSY);
	assert_non_null(strstr(error.text, "\"stable\""));
	assert_int_equal(gyr_registry_withdraw(registry, "a", "stable", "because", &error), 0);
	label = read_label(registry);
	assert_int_equal(label.version, 2);
	assert_int_equal(label.intended, 0);
	assert_int_equal(gyr_registry_want(registry, "a", 3, false, 0, &error), 0);
	assert_int_equal(gyr_registry_want(registry, "a", 1, false, 0, &error), 0);
	gyr_registry_close(registry);
}

static void another_signature_is_refused_unless_forced(void **state)
{
	struct gyr_registry *registry = open_registry();
	must_import(registry, "a", 4, 1);
	must_import(registry, "a", 8, 1);
	promote(registry, 1);
	assert_int_equal(gyr_registry_intend(registry, "a", "stable", 2, false, 0, &error), -EPERM);
	assert_non_null(strstr(error.text, "[-1,8]"));
	assert_non_null(strstr(error.text, "[-1,4]"));
	assert_int_equal(read_label(registry).intended, 0);
	/* Another label does not follow this one. */
	assert_int_equal(gyr_registry_intend(registry, "a", "canary", 2, false, 0, &error), 0);
	assert_int_equal(gyr_registry_intend(registry, "a", "stable", 2, true, 0, &error), 0);
	assert_int_equal(read_label(registry).intended, 2);
	gyr_registry_close(registry);
}

static void labels_have_a_limit(void **state)
{
	struct gyr_registry *registry = open_registry();
	char name[8];
	must_import(registry, "a", 4, 1);
	for (unsigned i = 0; i < GYR_LABELS_MAX; i++) {
		snprintf(name, sizeof name, "l%u", i);
		assert_int_equal(gyr_registry_intend(registry, "a", name, 1, false, 0, &error), 0);
	}
	assert_int_equal(gyr_registry_intend(registry, "a", "more", 1, false, 0, &error), -E2BIG);
	assert_int_equal(gyr_registry_intend(registry, "a", "l3", 1, false, 0, &error), 0);
	gyr_registry_close(registry);
}

static void a_second_process_is_refused(void **state)
{
	struct gyr_registry *registry = open_registry(), *other;
	char pid[16];
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	assert_int_equal(gyr_registry_open(folder, &other, &error), -EBUSY);
	assert_non_null(strstr(error.text, pid));
	assert_null(other);
	gyr_registry_close(registry);
	gyr_registry_close(open_registry());
}

/* With the hashes that pages of a registry have, or (VFS NULL) without. */
static void run_sql_on(const char *vfs, const char *sql)
{
	char path[128];
	sqlite3 *database;
	snprintf(path, sizeof path, "%s/registry.db", folder);
	assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
	if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(database));
	sqlite3_close(database);
}

static void run_sql(const char *sql)
{
	run_sql_on(GYR_CHECKED_VFS, sql);
}

static void what_is_not_ours_is_refused(void **state)
{
	struct gyr_registry *registry;
	char path[128];
	gyr_registry_close(open_registry());
	run_sql("PRAGMA user_version=4");
	assert_int_equal(gyr_registry_open(folder, &registry, &error), -ENOTSUP);
	run_sql("PRAGMA user_version=1; PRAGMA application_id=7");
	assert_int_equal(gyr_registry_open(folder, &registry, &error), -EBADMSG);
	snprintf(path, sizeof path, "%s/registry.db", folder);
	sample_write(path, "this is no database, and long enough not to be taken for an empty one", 70);
	assert_int_equal(gyr_registry_open(folder, &registry, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "registry.db"));
	assert_int_equal(gyr_registry_open("/proc/gyr-cannot-be-made", &registry, &error), -ENOENT);
}

static bool note_setting(void *user, const struct gyr_setting *setting)
{
	char *text = user;
	snprintf(text + strlen(text), 128 - strlen(text), "%s=%llu ", setting->name, (unsigned long long)setting->value);
	return true;
}

static bool note_action(void *user, const struct gyr_audit *row)
{
	snprintf(user, 128, "%u %s %s", (unsigned)row->actor, row->action, row->text);
	return false;
}

static void settings_are_kept(void **state)
{
	const struct gyr_setting first[] = {{"weight", 3}, {"queue_limit", 9}}, second[] = {{"weight", 4}};
	struct gyr_registry *registry = open_registry();
	char text[128] = "";
	uint64_t number;
	bool known;
	assert_int_equal(gyr_registry_set(registry, "net", first, 2, 7, &error), -ENOENT);
	assert_int_equal(import(registry, "net", 4, 1, &number, &known), 0);
	assert_int_equal(import(registry, "other", 4, 1, &number, &known), 0);
	assert_int_equal(gyr_registry_set(registry, "net", first, 2, 7, &error), 0);
	assert_int_equal(gyr_registry_set(registry, "net", second, 1, 8, &error), 0);
	assert_int_equal(gyr_registry_each_audit(registry, "net", note_action, text, &error), 0);
	assert_string_equal(text, "8 set weight=4");
	gyr_registry_close(registry);
	registry = open_registry();
	text[0] = '\0';
	assert_int_equal(gyr_registry_each_setting(registry, "net", note_setting, text, &error), 0);
	assert_string_equal(text, "queue_limit=9 weight=4 ");
	text[0] = '\0';
	assert_int_equal(gyr_registry_each_setting(registry, "other", note_setting, text, &error), 0);
	assert_string_equal(text, "");
	gyr_registry_close(registry);
}

/* The tables that the first Gyr made: no settings, no metrics, no chain, no room in the pages. */
static const char first_registry[] = "CREATE TABLE models (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, next_version INTEGER NOT NULL DEFAULT 1);"
				     "CREATE TABLE versions (model INTEGER NOT NULL REFERENCES models(id), number INTEGER NOT NULL, blob TEXT NOT NULL,"
				     " bytes INTEGER NOT NULL, created_s INTEGER NOT NULL, signature TEXT NOT NULL, wanted INTEGER NOT NULL DEFAULT 0,"
				     " PRIMARY KEY (model, number), UNIQUE (model, blob)) WITHOUT ROWID;"
				     "CREATE TABLE lineage (model INTEGER NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
				     " PRIMARY KEY (model, number, key), FOREIGN KEY (model, number) REFERENCES versions(model, number)) WITHOUT ROWID;"
				     "CREATE TABLE labels (model INTEGER NOT NULL REFERENCES models(id), name TEXT NOT NULL, version INTEGER, former INTEGER,"
				     " intended INTEGER, PRIMARY KEY (model, name), FOREIGN KEY (model, version) REFERENCES versions(model, number),"
				     " FOREIGN KEY (model, former) REFERENCES versions(model, number),"
				     " FOREIGN KEY (model, intended) REFERENCES versions(model, number)) WITHOUT ROWID;"
				     "CREATE TABLE audit (id INTEGER PRIMARY KEY, at_s INTEGER NOT NULL, actor INTEGER NOT NULL, action TEXT NOT NULL,"
				     " model TEXT NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL);"
				     "INSERT INTO models VALUES (5, 'net', 3);"
				     "INSERT INTO versions VALUES (5, 1, printf('%064d', 7), 9, 1, '{}', 0), (5, 2, printf('%064d', 8), 9, 1, '{}', 1);"
				     "INSERT INTO lineage VALUES (5, 1, 'accuracy', '0.75'), (5, 1, 'loss', 'small');"
				     "INSERT INTO labels VALUES (5, 'stable', 2, 1, NULL);"
				     "INSERT INTO audit VALUES (1, 10, 0, 'import', 'net', 1, ''), (4, 11, 7, 'import', 'net', 2, '');"
				     "PRAGMA application_id=1199133233; PRAGMA user_version=1";

static bool check_metric(void *user, const struct gyr_metric *metric)
{
	assert_string_equal(metric->name, "accuracy");
	assert_true(metric->value == *(double *)user);
	*(double *)user = 0;
	return true;
}

static void check_sound(struct gyr_registry *registry, uint64_t audit_rows)
{
	struct gyr_registry_check check;
	assert_int_equal(gyr_registry_verify(registry, &check, NULL, NULL, &error), 0);
	assert_int_equal(check.faults, 0);
	assert_int_equal(check.audit_rows, audit_rows);
	assert_int_equal(strlen(check.audit_head), 64);
	assert_true(check.pages > 5);
}

static void an_earlier_registry_is_brought_up(void **state)
{
	const struct gyr_setting weight = {"weight", 3};
	run_sql_on(NULL, first_registry);
	for (uint64_t i = 0; i < 2; i++) {
		struct gyr_version version;
		struct gyr_label label;
		double accuracy = 0.75;
		struct gyr_registry *registry = open_registry();
		assert_int_equal(gyr_registry_version(registry, "net", 0, &version, &error), 0);
		assert_int_equal(version.number, 2);
		assert_true(version.wanted);
		assert_int_equal(gyr_registry_label(registry, "net", "stable", &label, &error), 0);
		assert_int_equal(label.former, 1);
		assert_int_equal(gyr_registry_each_metric(registry, "net", 1, check_metric, &accuracy, &error), 0);
		assert_true(accuracy == 0);
		check_sound(registry, 2 + 3 * i);
		assert_int_equal(gyr_registry_set(registry, "net", &weight, 1, 0, &error), 0);
		assert_int_equal(must_import(registry, "net", 4, (float)i), 3 + i);
		assert_int_equal(gyr_registry_remove(registry, "net", 3 + i, 0, &error), 0);
		check_sound(registry, 5 + 3 * i);
		gyr_registry_close(registry);
	}
}

static uint32_t count_files(void)
{
	char command[160];
	uint32_t count;
	snprintf(command, sizeof command, "ls -A %s/blobs | wc -l", folder);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%u", &count), 1);
	pclose(pipe);
	return count;
}

/* The id of the bundle in a file, by its content. */
static void read_id(const char *path, char id[GYR_BLOB_NAME_BYTES])
{
	static _Alignas(4096) char bytes[1 << 20];
	struct gyr_bundle *bundle;
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t size = read(fd, bytes, sizeof bytes);
	assert_in_range(size, 1, sizeof bytes - 1);
	if (gyr_bundle_open(bytes, (size_t)size, &bundle, &error) != 0)
		fail_msg("%s", error.text);
	gyr_bundle_id_text(bundle->id, id);
	gyr_bundle_close(bundle);
	close(fd);
}

static void blobs_without_a_registry_are_kept(void **state)
{
	struct gyr_registry *registry = open_registry();
	char path[128];
	must_import(registry, "a", 4, 1);
	gyr_registry_close(registry);
	snprintf(path, sizeof path, "%s/registry.db", folder);
	for (int empty = 0; empty < 2; empty++) {
		assert_int_equal(empty ? truncate(path, 0) : unlink(path), 0);
		assert_int_equal(gyr_registry_open(folder, &registry, &error), -ENODATA);
		assert_non_null(strstr(error.text, folder));
		assert_int_equal(count_files(), 1);
	}
}

static void a_damaged_blob_is_mended_and_leftovers_are_swept(void **state)
{
	struct gyr_registry *registry = open_registry();
	struct gyr_version version;
	char path[GYR_BLOB_PATH_BYTES], left[160];
	must_import(registry, "a", 4, 1);
	assert_int_equal(gyr_registry_version(registry, "a", 1, &version, &error), 0);
	gyr_blobs_path(gyr_registry_blobs(registry), version.id, path);
	/* Cut short, or of the right size with other bytes in it, or gone. */
	for (int damage = 0; damage < 3; damage++) {
		char id[GYR_BLOB_NAME_BYTES];
		assert_int_equal(damage == 0 ? truncate(path, 5) : damage == 1 ? truncate(path, 5) + truncate(path, (off_t)version.bytes) : unlink(path), 0);
		assert_int_equal(must_import(registry, "a", 4, 1), 1);
		read_id(path, id);
		assert_string_equal(id, version.id);
	}
	snprintf(left, sizeof left, "%s/blobs/.begun.0", folder);
	sample_write(left, "x", 1);
	assert_int_equal(count_files(), 2);
	gyr_registry_close(registry);
	gyr_registry_close(open_registry());
	assert_int_equal(count_files(), 1);
}

static bool note_loose(void *user, const char *name, uint64_t bytes)
{
	char *noted = user;
	assert_string_equal(noted, "");
	snprintf(noted, 100, "%s %llu", name, (unsigned long long)bytes);
	return true;
}

/* A whole blob that nobody names may be named by a newer registry than this one: it goes only when it is told to. */
static void loose_blobs_are_shown_and_freed(void **state)
{
	char path[160], name[GYR_BLOB_NAME_BYTES], noted[100] = "", expected[100];
	struct gyr_registry *registry = open_registry();
	must_import(registry, "a", 4, 1);
	snprintf(name, sizeof name, "%064d", 0);
	snprintf(path, sizeof path, "%s/blobs/%s", folder, name);
	sample_write(path, "xy", 2);
	gyr_registry_close(registry);
	registry = open_registry();
	assert_int_equal(gyr_registry_each_loose(registry, note_loose, noted, &error), 0);
	snprintf(expected, sizeof expected, "%s 2", name);
	assert_string_equal(noted, expected);
	assert_int_equal(gyr_blobs_remove(gyr_registry_blobs(registry), name, &error), 0);
	assert_int_equal(gyr_blobs_remove(gyr_registry_blobs(registry), name, &error), 0);
	assert_int_equal(count_files(), 1);
	gyr_registry_close(registry);
}

static bool collect_former(void *user, uint64_t number)
{
	char *text = user;
	snprintf(text + strlen(text), 32 - strlen(text), "%llu ", (unsigned long long)number);
	return true;
}

static void a_version_is_removed_and_its_number_never_given_again(void **state)
{
	struct gyr_registry *registry = open_registry();
	struct gyr_version version;
	char formers[32] = "", noted[100] = "";
	double accuracy = 0.9;
	for (int i = 1; i <= 3; i++)
		must_import(registry, "a", 4, (float)i);
	assert_int_equal(gyr_registry_each_metric(registry, "a", 3, check_metric, &accuracy, &error), 0);
	assert_true(accuracy == 0);
	for (uint64_t i = 1; i <= 3; i++)
		promote(registry, i);
	assert_int_equal(gyr_registry_each_former(registry, "a", "stable", collect_former, formers, &error), 0);
	assert_string_equal(formers, "2 3 2 1 ");
	assert_int_equal(gyr_registry_remove(registry, "a", 3, 0, &error), -EBUSY);
	assert_int_equal(gyr_registry_remove(registry, "a", 2, 0, &error), -EBUSY);
	assert_non_null(strstr(error.text, "unload"));
	assert_int_equal(gyr_registry_remove(registry, "a", 9, 0, &error), -ENOENT);
	assert_int_equal(gyr_registry_want(registry, "a", 2, false, 0, &error), 0);
	assert_int_equal(gyr_registry_remove(registry, "a", 2, 0, &error), 0);
	assert_int_equal(gyr_registry_version(registry, "a", 2, &version, &error), -ENOENT);
	assert_int_equal(read_label(registry).former, 0);
	assert_int_equal(gyr_registry_each_loose(registry, note_loose, noted, &error), 0);
	assert_true(noted[0] != '\0');
	assert_int_equal(must_import(registry, "a", 4, 2), 4);
	gyr_registry_close(registry);
	registry = open_registry();
	check_sound(registry, 12);
	gyr_registry_close(registry);
}

static void a_broken_chain_is_found(void **state)
{
	static const char *const breaks[] = {
		"UPDATE audit SET actor=8 WHERE id=2",
		"UPDATE audit SET text='x' WHERE id=1",
		"DELETE FROM audit WHERE id=2",
		"UPDATE audit SET hash=(SELECT hash FROM audit WHERE id=3) WHERE id=2",
		"INSERT INTO audit SELECT 4, at_s, actor, action, model, version, text, hash FROM audit WHERE id=3",
	};
	for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
		struct gyr_registry *registry = open_registry();
		must_import(registry, "a", 4, 1);
		promote(registry, 1);
		check_sound(registry, 3);
		gyr_registry_close(registry);
		run_sql(breaks[i]);
		assert_int_equal(gyr_registry_open(folder, &registry, &error), -EBADMSG);
		assert_non_null(strstr(error.text, "chain"));
		sample_remove(folder);
		assert_int_equal(mkdir(folder, 0700), 0);
	}
}

static void what_cannot_be_is_found(void **state)
{
	static const struct {
		const char *sql, *said;
	} cases[] = {
		{"UPDATE models SET next_version=1", "not given yet: a version 1"},
		{"UPDATE versions SET wanted=0", "not wanted: a version 1"},
		{"UPDATE versions SET blob='x'", "names no blob: a version 1"},
		{"UPDATE labels SET version=9", "not there: labels"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gyr_registry *registry = open_registry();
		must_import(registry, "a", 4, 1);
		promote(registry, 1);
		gyr_registry_close(registry);
		run_sql(cases[i].sql);
		assert_int_equal(gyr_registry_open(folder, &registry, &error), -EBADMSG);
		assert_non_null(strstr(error.text, cases[i].said));
		sample_remove(folder);
		assert_int_equal(mkdir(folder, 0700), 0);
	}
}

/* What another program writes has no hashes, and is not taken for ours. */
static void a_change_by_others_is_found(void **state)
{
	struct gyr_registry *registry = open_registry();
	must_import(registry, "a", 4, 1);
	gyr_registry_close(registry);
	run_sql_on("unix", "UPDATE versions SET signature='{}'");
	assert_int_equal(gyr_registry_open(folder, &registry, &error), -EBADMSG);
}

/* --- faults --- */

static const char *const steps[] = {"blob-open", "blob-write", "blob-sync", "blob-rename", "blob-folder-sync", "begin", "commit", "database-folder-sync"};
#define STEPS (sizeof steps / sizeof steps[0])
static const char *bad_step;

static bool is_sync(const char *step)
{
	return strstr(step, "sync") != NULL;
}

static int fail_step(const char *step)
{
	return strcmp(step, bad_step) == 0 ? -EIO : 0;
}

static int die_at_step(const char *step)
{
	if (strcmp(step, bad_step) == 0)
		raise(SIGKILL);
	return 0;
}

/* One version is in; a second import was cut short or failed. Everything must be as if it had not been tried, and it must work now. */
static void check_as_before(void)
{
	struct gyr_registry *registry = open_registry();
	struct gyr_version version;
	char loose[100] = "";
	assert_int_equal(gyr_registry_each_loose(registry, note_loose, loose, &error), 0);
	loose[strcspn(loose, " ")] = '\0';
	assert_int_equal(loose[0] == '\0' ? 0 : gyr_blobs_remove(gyr_registry_blobs(registry), loose, &error), 0);
	assert_int_equal(count_files(), 1);
	assert_int_equal(gyr_registry_version(registry, "a", 0, &version, &error), 0);
	assert_int_equal(version.number, 1);
	assert_int_equal(must_import(registry, "a", 4, 2), 2);
	assert_int_equal(count_files(), 2);
	gyr_registry_close(registry);
}

/* What a process does that imports a second version while HOOK is at work: how it ended. It exits with 0 when the import failed twice with -EIO. */
static int import_with(int (*hook)(const char *step))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		struct gyr_registry *registry;
		uint64_t number;
		bool known;
		if (gyr_registry_open(folder, &registry, NULL) != 0)
			_exit(1);
		gyr_step_hook = hook;
		/* And the next try does not take for done what was not. */
		for (int i = 0; i < 2; i++)
			if (import(registry, "a", 4, 2, &number, &known) != -EIO)
				_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* A step that fails fails the call; a sync that fails ends the process. */
static void a_failing_step_leaves_nothing(void **state)
{
	for (size_t i = 0; i < STEPS; i++) {
		struct gyr_registry *registry = open_registry();
		must_import(registry, "a", 4, 1);
		gyr_registry_close(registry);
		bad_step = steps[i];
		int status = import_with(fail_step);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), is_sync(steps[i]) ? GYR_EXIT_DISK : 0);
		check_as_before();
		sample_remove(folder);
		assert_int_equal(mkdir(folder, 0700), 0);
	}
}

static void a_crash_at_any_step_leaves_nothing(void **state)
{
	for (size_t i = 0; i < STEPS; i++) {
		struct gyr_registry *registry = open_registry();
		must_import(registry, "a", 4, 1);
		gyr_registry_close(registry);
		bad_step = steps[i];
		int status = import_with(die_at_step);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
		check_as_before();
		sample_remove(folder);
		assert_int_equal(mkdir(folder, 0700), 0);
	}
}

/* A disk whose N-th write or sync fails, or is the process's last: SQLite's own file system with a counter before it. */
static sqlite3_vfs counting_vfs;
/* The database's file and the others have each a table of their own. */
static struct {
	const sqlite3_io_methods *real;
	sqlite3_io_methods counting;
} methods[2];
static int until_fault, fault_kills;

static int count_down(void)
{
	if (until_fault == 0 || --until_fault > 0)
		return 0;
	if (fault_kills)
		raise(SIGKILL);
	return 1;
}

static const sqlite3_io_methods *real_methods(const sqlite3_file *file)
{
	return methods[file->pMethods == &methods[1].counting].real;
}

static int counting_write(sqlite3_file *file, const void *bytes, int amount, sqlite3_int64 at)
{
	return count_down() ? SQLITE_IOERR_WRITE : real_methods(file)->xWrite(file, bytes, amount, at);
}

static int counting_sync(sqlite3_file *file, int flags)
{
	return count_down() ? SQLITE_IOERR_FSYNC : real_methods(file)->xSync(file, flags);
}

static int counting_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	sqlite3_vfs *real = vfs->pAppData;
	int code = real->xOpen(real, name, file, flags, out);
	if (code == SQLITE_OK && file->pMethods != NULL) {
		int kind = (flags & SQLITE_OPEN_MAIN_DB) == 0;
		methods[kind].real = file->pMethods;
		methods[kind].counting = *file->pMethods;
		methods[kind].counting.xWrite = counting_write;
		methods[kind].counting.xSync = counting_sync;
		file->pMethods = &methods[kind].counting;
	}
	return code;
}

/* Before a registry is opened, which puts its own before what is the default then. */
static int use_counting_vfs(void **state)
{
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	assert_non_null(real);
	counting_vfs = *real;
	counting_vfs.zName = "counting";
	counting_vfs.pAppData = real;
	counting_vfs.xOpen = counting_open;
	assert_int_equal(sqlite3_vfs_register(&counting_vfs, 1), SQLITE_OK);
	return 0;
}

/* The label is either as it was or as it was to be, and goes both ways on. */
static void check_either(bool acknowledged)
{
	struct gyr_registry *registry = open_registry();
	struct gyr_label label = read_label(registry);
	assert_int_equal(label.version, 1);
	if (acknowledged)
		assert_int_equal(label.intended, 2);
	else
		assert_true(label.intended == 0 || label.intended == 2);
	promote(registry, 2);
	promote(registry, 1);
	gyr_registry_close(registry);
}

/* A process that points the label at version 2 while the disk's N-th write or sync does not come about: how it ended. */
static int intend_with_fault(int n, bool kills)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		struct gyr_registry *registry;
		if (gyr_registry_open(folder, &registry, NULL) != 0)
			_exit(1);
		until_fault = n;
		fault_kills = kills;
		status = gyr_registry_intend(registry, "a", "stable", 2, false, 0, NULL);
		_exit(status == 0 ? 0 : status == -EIO && !kills ? 2 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void every_write_and_sync_of_the_database_may_fail(void **state)
{
	int faults = 0, gave_up = 0;
	for (int kills = 0; kills < 2; kills++) {
		for (int n = 1;; n++) {
			struct gyr_registry *registry = open_registry();
			must_import(registry, "a", 4, 1);
			must_import(registry, "a", 4, 2);
			promote(registry, 1);
			gyr_registry_close(registry);
			int status = intend_with_fault(n, kills);
			bool acknowledged = WIFEXITED(status) && WEXITSTATUS(status) == 0;
			assert_true(acknowledged ||
				    (kills ? WIFSIGNALED(status) : WIFEXITED(status) && (WEXITSTATUS(status) == 2 || WEXITSTATUS(status) == GYR_EXIT_DISK)));
			gave_up += WIFEXITED(status) && WEXITSTATUS(status) == GYR_EXIT_DISK;
			check_either(acknowledged);
			sample_remove(folder);
			assert_int_equal(mkdir(folder, 0700), 0);
			if (acknowledged)
				break;
			faults++;
		}
	}
	/* A journal and a database, written and synced, both ways. */
	assert_true(faults >= 8);
	assert_true(gave_up >= 2);
	print_message("%d writes and syncs\n", faults);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(versions_count_up_and_contents_are_known),
		TEST(lineage_and_audit_are_kept),
		TEST(names_are_checked),
		TEST(what_is_not_there_is_named),
		TEST(a_label_is_intended_and_then_settled_or_withdrawn),
		TEST(another_signature_is_refused_unless_forced),
		TEST(labels_have_a_limit),
		TEST(a_second_process_is_refused),
		TEST(what_is_not_ours_is_refused),
		TEST(settings_are_kept),
		TEST(an_earlier_registry_is_brought_up),
		TEST(a_damaged_blob_is_mended_and_leftovers_are_swept),
		TEST(loose_blobs_are_shown_and_freed),
		TEST(a_version_is_removed_and_its_number_never_given_again),
		TEST(a_broken_chain_is_found),
		TEST(what_cannot_be_is_found),
		TEST(a_change_by_others_is_found),
		TEST(blobs_without_a_registry_are_kept),
		TEST(a_failing_step_leaves_nothing),
		TEST(a_crash_at_any_step_leaves_nothing),
		TEST(every_write_and_sync_of_the_database_may_fail),
	};
	return cmocka_run_group_tests(tests, use_counting_vfs, NULL);
}
