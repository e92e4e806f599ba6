/* The registry: every error, and what is left after a crash or a failing disk at each of its steps. */
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

static bool check_audit(void *user, int64_t at_s, uid_t actor, const char *action, uint64_t version, const char *text)
{
	static const char *const actions[] = {"promote", "load", "import"};
	uint32_t *count = user;
	assert_true(at_s > 0);
	assert_int_equal(actor, *count == 2 ? 0 : 7);
	assert_string_equal(action, actions[*count]);
	assert_int_equal(version, 1);
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

static void run_sql(const char *sql)
{
	char path[128];
	sqlite3 *database;
	snprintf(path, sizeof path, "%s/registry.db", folder);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
}

static void what_is_not_ours_is_refused(void **state)
{
	struct gyr_registry *registry;
	char path[128];
	gyr_registry_close(open_registry());
	run_sql("PRAGMA user_version=3");
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

static bool note_action(void *user, int64_t at_s, uid_t actor, const char *action, uint64_t version, const char *text)
{
	snprintf(user, 128, "%u %s %s", (unsigned)actor, action, text);
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

/* A registry of the first Gyr's had no settings. */
static void an_earlier_registry_is_brought_up(void **state)
{
	const struct gyr_setting weight = {"weight", 3};
	struct gyr_registry *registry = open_registry();
	uint64_t number;
	bool known;
	assert_int_equal(import(registry, "net", 4, 1, &number, &known), 0);
	gyr_registry_close(registry);
	run_sql("DROP TABLE settings; PRAGMA user_version=1");
	for (int i = 0; i < 2; i++) {
		struct gyr_version version;
		registry = open_registry();
		assert_int_equal(gyr_registry_version(registry, "net", 1, &version, &error), 0);
		assert_int_equal(gyr_registry_set(registry, "net", &weight, 1, 0, &error), 0);
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
	snprintf(left, sizeof left, "%s/blobs/%064d", folder, 0);
	sample_write(left, "x", 1);
	assert_int_equal(count_files(), 3);
	gyr_registry_close(registry);
	gyr_registry_close(open_registry());
	assert_int_equal(count_files(), 1);
}

/* --- faults --- */

static const char *const steps[] = {"blob-open", "blob-write", "blob-sync", "blob-rename", "blob-folder-sync", "begin", "commit"};
#define STEPS (sizeof steps / sizeof steps[0])
static const char *bad_step;
static uint32_t steps_seen;

static int fail_step(const char *step)
{
	steps_seen++;
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
	assert_int_equal(count_files(), 1);
	assert_int_equal(gyr_registry_version(registry, "a", 0, &version, &error), 0);
	assert_int_equal(version.number, 1);
	assert_int_equal(must_import(registry, "a", 4, 2), 2);
	assert_int_equal(count_files(), 2);
	gyr_registry_close(registry);
}

static void a_failing_step_leaves_nothing(void **state)
{
	for (size_t i = 0; i < STEPS; i++) {
		uint64_t number;
		bool known;
		struct gyr_registry *registry = open_registry();
		must_import(registry, "a", 4, 1);
		bad_step = steps[i];
		gyr_step_hook = fail_step;
		assert_int_equal(import(registry, "a", 4, 2, &number, &known), -EIO);
		/* And the next try does not take for done what was not. */
		assert_int_equal(import(registry, "a", 4, 2, &number, &known), -EIO);
		gyr_step_hook = NULL;
		gyr_registry_close(registry);
		check_as_before();
		sample_remove(folder);
		assert_int_equal(mkdir(folder, 0700), 0);
	}
	assert_true(steps_seen > STEPS);
}

static void a_crash_at_any_step_leaves_nothing(void **state)
{
	for (size_t i = 0; i < STEPS; i++) {
		struct gyr_registry *registry = open_registry();
		must_import(registry, "a", 4, 1);
		gyr_registry_close(registry);
		bad_step = steps[i];
		pid_t child = fork();
		if (child == 0) {
			uint64_t number;
			bool known;
			if (gyr_registry_open(folder, &registry, NULL) != 0)
				_exit(1);
			gyr_step_hook = die_at_step;
			import(registry, "a", 4, 2, &number, &known);
			_exit(0);
		}
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
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

static void use_counting_vfs(void)
{
	if (counting_vfs.zName != NULL)
		return;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	assert_non_null(real);
	counting_vfs = *real;
	counting_vfs.zName = "counting";
	counting_vfs.pAppData = real;
	counting_vfs.xOpen = counting_open;
	assert_int_equal(sqlite3_vfs_register(&counting_vfs, 1), SQLITE_OK);
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

static void every_write_and_sync_of_the_database_may_fail(void **state)
{
	use_counting_vfs();
	int faults = 0;
	for (int kills = 0; kills < 2; kills++) {
		for (int n = 1;; n++) {
			struct gyr_registry *registry = open_registry();
			must_import(registry, "a", 4, 1);
			must_import(registry, "a", 4, 2);
			promote(registry, 1);
			bool acknowledged = false;
			int status = 0;
			if (kills) {
				gyr_registry_close(registry);
				pid_t child = fork();
				if (child == 0) {
					if (gyr_registry_open(folder, &registry, NULL) != 0)
						_exit(1);
					until_fault = n;
					fault_kills = 1;
					_exit(gyr_registry_intend(registry, "a", "stable", 2, false, 0, NULL) == 0 ? 0 : 2);
				}
				assert_int_equal(waitpid(child, &status, 0), child);
				acknowledged = WIFEXITED(status);
				assert_true(!acknowledged || WEXITSTATUS(status) == 0);
			} else {
				until_fault = n;
				status = gyr_registry_intend(registry, "a", "stable", 2, false, 0, &error);
				acknowledged = status == 0;
				assert_true(status == 0 || status == -EIO);
				bool reached = until_fault == 0;
				until_fault = 0;
				assert_true(acknowledged || reached);
				gyr_registry_close(registry);
			}
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
		TEST(blobs_without_a_registry_are_kept),
		TEST(a_failing_step_leaves_nothing),
		TEST(a_crash_at_any_step_leaves_nothing),
		TEST(every_write_and_sync_of_the_database_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
