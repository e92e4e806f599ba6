/* Rollouts against a real link: what is asked for comes true, what is refused is taken back, and what was true is so again after either end has gone. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control/registry/step.h"
#include "control/rollout/import.h"
#include "control/rollout/rollout.h"
#include "sample.h"

#define WAIT_NS (20 * GYR_NS_PER_S)

static char folder[64];
static struct gyr_error error;
static struct gyr_events events;
static struct gyr_work work;
static struct gyr_registry *registry;
static struct gyr_rollout *rollout;
static struct sample_plane plane;

/* gyrd's parts that a rollout needs, over the state in FOLDER. */
static void start_gyrd(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/" GYR_LINK_SOCKET, folder);
	assert_int_equal(gyr_events_init(&events, &error), 0);
	assert_int_equal(gyr_work_init(&work, &events, &error), 0);
	snprintf(path, sizeof path, "%s/state", folder);
	assert_int_equal(gyr_registry_open(path, &registry, &error), 0);
	snprintf(path, sizeof path, "%s/" GYR_LINK_SOCKET, folder);
	assert_int_equal(gyr_rollout_create(&events, &work, registry, path, NULL, &rollout, &error), 0);
}

static void stop_gyrd(void)
{
	gyr_rollout_end(rollout);
	gyr_work_fini(&work);
	gyr_rollout_destroy(rollout);
	gyr_registry_close(registry);
	gyr_events_fini(&events);
}

static int start_all(void **state)
{
	sample_folder(folder);
	sample_plane_start(&plane, folder);
	start_gyrd();
	return 0;
}

static int stop_all(void **state)
{
	gyr_step_hook = NULL;
	stop_gyrd();
	sample_plane_stop(&plane);
	sample_remove(folder);
	return 0;
}

struct outcome {
	bool done;
	int status;
	char text[640];
	uint64_t number;
};

static void end_import(void *user, int status, const char *text, const struct gyr_facts *facts)
{
	struct outcome *outcome = user;
	bool known;
	outcome->done = true;
	outcome->status = status;
	snprintf(outcome->text, sizeof outcome->text, "%s", text);
	if (status == 0)
		outcome->status = gyr_registry_add(registry, "net", facts, 0, &outcome->number, &known, &error);
}

static uint64_t import(uint32_t width, float salt)
{
	char path[128];
	struct outcome outcome = {0};
	snprintf(path, sizeof path, "%s/new", folder);
	sample_bundle_file(path, width, salt, NULL);
	gyr_import_start(&work, gyr_registry_blobs(registry), path, end_import, &outcome);
	assert_true(gyr_events_run_until(&events, &outcome.done, WAIT_NS));
	if (outcome.status != 0)
		fail_msg("%s", outcome.text);
	return outcome.number;
}

static void end(void *user, int status, const char *text)
{
	struct outcome *outcome = user;
	assert_false(outcome->done);
	outcome->done = true;
	outcome->status = status;
	snprintf(outcome->text, sizeof outcome->text, "%s", text);
}

static int wait_for(struct outcome *outcome)
{
	assert_true(gyr_events_run_until(&events, &outcome->done, WAIT_NS));
	return outcome->status;
}

static int load(uint64_t number)
{
	struct outcome outcome = {0};
	gyr_rollout_load(rollout, "net", number, 0, end, &outcome);
	return wait_for(&outcome);
}

static int unload(uint64_t number)
{
	struct outcome outcome = {0};
	gyr_rollout_unload(rollout, "net", number, 0, end, &outcome);
	return wait_for(&outcome);
}

static int promote(uint64_t number)
{
	struct outcome outcome = {0};
	gyr_rollout_promote(rollout, "net", GYR_LINK_STABLE, number, false, 0, end, &outcome);
	return wait_for(&outcome);
}

/* Serves until the data plane is as the registry says. */
static void settle(void)
{
	uint64_t end_ns = gyr_clock_ns() + WAIT_NS;
	bool never = false;
	while (!gyr_rollout_is_settled(rollout)) {
		assert_true(gyr_clock_ns() < end_ns);
		gyr_events_run_until(&events, &never, 5 * GYR_NS_PER_MS);
	}
}

/* Which of versions 1 to 6 the data plane holds, as digits. */
static const char *held(void)
{
	static char text[8];
	size_t used = 0;
	settle();
	for (uint64_t number = 1; number <= 6; number++)
		if (sample_plane_holds(&plane, "net", number))
			text[used++] = (char)('0' + number);
	text[used] = '\0';
	return text;
}

static void the_versions_before_stay_warm_by_number_and_bytes(void **state)
{
	struct gyr_version version;
	for (int i = 1; i <= 6; i++)
		import(4, (float)i);
	gyr_rollout_keep_warm(rollout, 2, UINT64_MAX);
	for (uint64_t number = 1; number <= 3; number++)
		assert_int_equal(promote(number), 0);
	assert_string_equal(held(), "123");
	assert_int_equal(promote(4), 0);
	assert_string_equal(held(), "234");
	/* The latest by when it served, not by its number; and what was loaded by name, and never served, stays. */
	assert_int_equal(load(6), 0);
	assert_int_equal(promote(2), 0);
	assert_string_equal(held(), "2346");
	assert_int_equal(promote(1), 0);
	assert_string_equal(held(), "1246");
	/* Bytes count too: there is room for one. */
	assert_int_equal(gyr_registry_version(registry, "net", 1, &version, &error), 0);
	gyr_rollout_keep_warm(rollout, 2, version.bytes);
	assert_int_equal(promote(5), 0);
	assert_string_equal(held(), "156");
	gyr_rollout_keep_warm(rollout, 2, version.bytes - 1);
	assert_int_equal(promote(4), 0);
	assert_string_equal(held(), "46");
	/* Loaded by name after it served: it stays. */
	assert_int_equal(load(5), 0);
	assert_int_equal(promote(3), 0);
	assert_string_equal(held(), "356");
	/* Whatever another label points at stays, and does not count. */
	struct outcome outcome = {0};
	gyr_rollout_keep_warm(rollout, 0, UINT64_MAX);
	gyr_rollout_promote(rollout, "net", "canary", 3, false, 0, end, &outcome);
	assert_int_equal(wait_for(&outcome), 0);
	assert_int_equal(promote(1), 0);
	assert_string_equal(held(), "1356");
}

static void versions_are_loaded_promoted_and_unloaded(void **state)
{
	struct gyr_label label;
	import(4, 1);
	import(4, 2);
	assert_int_equal(load(1), 0);
	assert_true(sample_plane_holds(&plane, "net", 1));
	assert_int_equal(load(1), 0);
	assert_int_equal(plane.loads, 1);
	assert_int_equal(promote(1), 0);
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 1);
	/* Loads it first; the former stays warm. */
	assert_int_equal(promote(2), 0);
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 2);
	assert_true(sample_plane_holds(&plane, "net", 1));
	assert_int_equal(gyr_registry_label(registry, "net", "stable", &label, &error), 0);
	assert_int_equal(label.version, 2);
	assert_int_equal(label.former, 1);
	assert_int_equal(label.intended, 0);
	assert_int_equal(unload(2), -EBUSY);
	assert_int_equal(unload(1), 0);
	assert_false(sample_plane_holds(&plane, "net", 1));
	assert_int_equal(unload(1), 0);
	/* The way back loads what was unloaded. */
	assert_int_equal(promote(1), 0);
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 1);
	assert_int_equal(load(9), -ENOENT);
	settle();
}

static void what_is_refused_is_taken_back(void **state)
{
	struct gyr_version version;
	struct gyr_label label;
	struct outcome outcome = {0};
	import(4, 1);
	import(4, 2);
	assert_int_equal(promote(1), 0);
	sample_plane_set_mood(&plane, PLANE_REFUSES);
	gyr_rollout_promote(rollout, "net", GYR_LINK_STABLE, 2, false, 0, end, &outcome);
	assert_int_equal(wait_for(&outcome), -EINVAL);
	assert_string_equal(outcome.text, "a golden vector differs");
	assert_int_equal(gyr_registry_label(registry, "net", "stable", &label, &error), 0);
	assert_int_equal(label.version, 1);
	assert_int_equal(label.intended, 0);
	assert_int_equal(gyr_registry_version(registry, "net", 2, &version, &error), 0);
	assert_false(version.wanted);
	assert_int_equal(load(2), -EINVAL);
	assert_int_equal(gyr_registry_version(registry, "net", 2, &version, &error), 0);
	assert_false(version.wanted);
	sample_plane_set_mood(&plane, PLANE_WORKS);
	settle();
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 1);
	assert_int_equal(promote(2), 0);
}

static void what_was_wanted_before_stays_wanted(void **state)
{
	struct gyr_version version;
	struct gyr_label label;
	import(4, 1);
	import(4, 2);
	assert_int_equal(promote(1), 0);
	assert_int_equal(load(2), 0);
	/* A new data plane, which refuses for now; who asks once more meanwhile takes nothing away. */
	sample_plane_stop(&plane);
	sample_plane_start(&plane, folder);
	sample_plane_set_mood(&plane, PLANE_REFUSES);
	uint64_t end_ns = gyr_clock_ns() + WAIT_NS;
	bool never = false;
	while (gyr_rollout_fault(rollout, "net", 2) == NULL) {
		assert_true(gyr_clock_ns() < end_ns);
		gyr_events_run_until(&events, &never, 5 * GYR_NS_PER_MS);
	}
	assert_int_equal(load(2), -EINVAL);
	assert_int_equal(promote(2), -EINVAL);
	assert_int_equal(gyr_registry_version(registry, "net", 2, &version, &error), 0);
	assert_true(version.wanted);
	assert_int_equal(gyr_registry_label(registry, "net", "stable", &label, &error), 0);
	assert_int_equal(label.version, 1);
	assert_int_equal(label.intended, 0);
	sample_plane_set_mood(&plane, PLANE_WORKS);
	end_ns = gyr_clock_ns() + WAIT_NS;
	while (!sample_plane_holds(&plane, "net", 2)) {
		assert_true(gyr_clock_ns() < end_ns);
		gyr_events_run_until(&events, &never, 5 * GYR_NS_PER_MS);
	}
}

static void a_data_plane_that_dies_while_it_loads_fails_the_load(void **state)
{
	import(4, 1);
	sample_plane_set_mood(&plane, PLANE_HANGS_UP);
	assert_int_equal(load(1), -ECONNRESET);
	sample_plane_set_mood(&plane, PLANE_WORKS);
	settle();
	assert_false(sample_plane_holds(&plane, "net", 1));
	assert_int_equal(load(1), 0);
}

static void a_new_data_plane_gets_the_same_versions(void **state)
{
	import(4, 1);
	import(4, 2);
	assert_int_equal(promote(1), 0);
	assert_int_equal(promote(2), 0);
	sample_plane_stop(&plane);
	sample_plane_start(&plane, folder);
	/* The old link has to be seen to be gone first. */
	uint64_t end_ns = gyr_clock_ns() + WAIT_NS;
	bool never = false;
	while (sample_plane_label(&plane, "net", "stable") != 2 || !sample_plane_holds(&plane, "net", 1)) {
		assert_true(gyr_clock_ns() < end_ns);
		gyr_events_run_until(&events, &never, 5 * GYR_NS_PER_MS);
	}
	assert_true(sample_plane_holds(&plane, "net", 2));
}

static int set(const char *name, uint64_t value)
{
	struct outcome outcome = {0};
	struct gyr_setting setting = {.value = value};
	snprintf(setting.name, sizeof setting.name, "%s", name);
	gyr_rollout_set(rollout, "net", &setting, 1, 0, end, &outcome);
	return wait_for(&outcome);
}

/* Settings are given to the data plane with the versions that it holds, again to a new one, and anew when it has forgotten the model. */
static void settings_follow_a_model(void **state)
{
	assert_int_equal(set("weight", 3), -ENOENT);
	import(4, 1);
	assert_int_equal(set("speed", 3), -EINVAL);
	assert_int_equal(set("weight", 1001), -EINVAL);
	assert_int_equal(set("weight", 3), 0); /* nobody holds it yet */
	assert_int_equal(plane.policies, 0);
	assert_int_equal(promote(1), 0);
	assert_int_equal(sample_plane_policy(&plane, "net").weight, 3);
	assert_int_equal(sample_plane_policy(&plane, "net").priority, gyr_link_policy_default().priority);
	assert_int_equal(set("max_delay_us", 50), 0);
	assert_int_equal(sample_plane_policy(&plane, "net").max_delay_us, 50);
	assert_int_equal(sample_plane_policy(&plane, "net").weight, 3);
	assert_int_equal(set("weight", 3), 0);
	assert_int_equal(plane.policies, 2);
	/* Another gyrd finds it so, another data plane gets it. */
	stop_gyrd();
	start_gyrd();
	settle();
	assert_int_equal(plane.policies, 2);
	stop_gyrd();
	sample_plane_stop(&plane);
	sample_plane_start(&plane, folder);
	start_gyrd();
	settle();
	assert_int_equal(sample_plane_policy(&plane, "net").max_delay_us, 50);
	/* What the data plane refuses is said; it stays written, and is tried again. */
	import(4, 2);
	sample_plane_set_mood(&plane, PLANE_REFUSES);
	assert_int_equal(set("weight", 5), -EINVAL);
	sample_plane_set_mood(&plane, PLANE_WORKS);
	settle();
	assert_int_equal(sample_plane_policy(&plane, "net").weight, 5);
}

/* Whoever promotes, loads and unloads meanwhile is not held up. */
static void refused_settings_hold_up_nothing(void **state)
{
	import(4, 1);
	import(4, 2);
	assert_int_equal(promote(1), 0);
	sample_plane_set_mood(&plane, PLANE_REFUSES_POLICY);
	assert_int_equal(set("weight", 5), -EINVAL);
	assert_int_equal(promote(2), 0);
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 2);
	assert_int_equal(unload(1), 0);
	assert_false(sample_plane_holds(&plane, "net", 1));
	/* Asked for again it is tried at once, and refused again. */
	assert_int_equal(set("weight", 5), -EINVAL);
	assert_int_equal(set("weight", 6), -EINVAL);
	assert_int_equal(plane.policies, 0);
	sample_plane_set_mood(&plane, PLANE_WORKS);
	settle();
	assert_int_equal(sample_plane_policy(&plane, "net").weight, 6);
	assert_int_equal(plane.policies, 1);
}

/* More than one answer of the data plane tells. */
static void what_is_held_is_told_in_pieces(void **state)
{
	enum { VERSIONS = 5 };
	for (uint64_t number = 1; number <= VERSIONS; number++) {
		import(4, (float)number);
		assert_int_equal(load(number), 0);
	}
	assert_int_equal(promote(VERSIONS), 0);
	stop_gyrd();
	start_gyrd();
	settle();
	for (uint64_t number = 1; number <= VERSIONS; number++)
		assert_true(gyr_rollout_holds(rollout, "net", number));
	assert_int_equal(plane.loads, VERSIONS);
	assert_int_equal(plane.routes, 1);
}

static void a_new_gyrd_adopts_what_is_there(void **state)
{
	import(4, 1);
	import(4, 2);
	assert_int_equal(promote(1), 0);
	assert_int_equal(load(2), 0);
	stop_gyrd();
	start_gyrd();
	settle();
	assert_int_equal(plane.loads, 2);
	assert_int_equal(plane.routes, 1);
	assert_true(gyr_rollout_holds(rollout, "net", 2));
}

static void what_was_begun_goes_on_after_a_crash(void **state)
{
	import(4, 1);
	import(4, 2);
	assert_int_equal(promote(1), 0);
	assert_int_equal(load(2), 0);
	/* As if gyrd had died: between the intention and ROUTE, */
	assert_int_equal(gyr_registry_intend(registry, "net", "stable", 2, false, 0, &error), 0);
	stop_gyrd();
	start_gyrd();
	settle();
	struct gyr_label label;
	assert_int_equal(gyr_registry_label(registry, "net", "stable", &label, &error), 0);
	assert_int_equal(label.version, 2);
	assert_int_equal(label.intended, 0);
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 2);
	/* between ROUTE and what settles it, */
	assert_int_equal(gyr_registry_intend(registry, "net", "stable", 2, false, 0, &error), 0);
	stop_gyrd();
	start_gyrd();
	settle();
	assert_int_equal(gyr_registry_label(registry, "net", "stable", &label, &error), 0);
	assert_int_equal(label.intended, 0);
	/* and between the word that it is not wanted and UNLOAD. */
	assert_int_equal(gyr_registry_want(registry, "net", 1, false, 0, &error), 0);
	stop_gyrd();
	start_gyrd();
	settle();
	assert_false(sample_plane_holds(&plane, "net", 1));
}

static void a_version_of_another_registry_is_replaced(void **state)
{
	char path[128];
	import(4, 1);
	assert_int_equal(promote(1), 0);
	stop_gyrd();
	snprintf(path, sizeof path, "%s/state", folder);
	sample_remove(path);
	start_gyrd();
	import(4, 2);
	assert_int_equal(promote(1), 0);
	settle();
	struct gyr_version version;
	assert_int_equal(gyr_registry_version(registry, "net", 1, &version, &error), 0);
	assert_string_equal(plane.versions[0].id, version.id);
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 1);
}

static void a_broken_blob_of_a_served_version_is_said_and_tried_again(void **state)
{
	struct gyr_version version;
	char path[GYR_BLOB_PATH_BYTES], aside[GYR_BLOB_PATH_BYTES + 8];
	import(4, 1);
	assert_int_equal(promote(1), 0);
	assert_int_equal(gyr_registry_version(registry, "net", 1, &version, &error), 0);
	gyr_blobs_path(gyr_registry_blobs(registry), version.id, path);
	snprintf(aside, sizeof aside, "%s.aside", path);
	stop_gyrd();
	sample_plane_stop(&plane);
	assert_int_equal(rename(path, aside), 0);
	sample_plane_start(&plane, folder);
	start_gyrd();
	uint64_t end_ns = gyr_clock_ns() + WAIT_NS;
	bool never = false;
	while (gyr_rollout_fault(rollout, "net", 1) == NULL) {
		assert_true(gyr_clock_ns() < end_ns);
		gyr_events_run_until(&events, &never, 5 * GYR_NS_PER_MS);
	}
	assert_non_null(strstr(gyr_rollout_fault(rollout, "net", 1), "No such file"));
	/* It is swept away as what belongs to nobody only by a start, so this is the same file. */
	void *bytes;
	size_t size;
	sample_bundle(4, 1, &bytes, &size);
	sample_write(path, bytes, size);
	free(bytes);
	while (sample_plane_label(&plane, "net", "stable") != 1) {
		assert_true(gyr_clock_ns() < end_ns);
		gyr_events_run_until(&events, &never, 5 * GYR_NS_PER_MS);
	}
	assert_null(gyr_rollout_fault(rollout, "net", 1));
}

static void change_blob(uint64_t number)
{
	struct gyr_version version;
	char path[GYR_BLOB_PATH_BYTES], byte;
	assert_int_equal(gyr_registry_version(registry, "net", number, &version, &error), 0);
	gyr_blobs_path(gyr_registry_blobs(registry), version.id, path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 5000), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 5000), 1);
	close(fd);
}

static void wait_for_label(uint64_t number)
{
	uint64_t end_ns = gyr_clock_ns() + WAIT_NS;
	bool never = false;
	while (sample_plane_label(&plane, "net", "stable") != number) {
		assert_true(gyr_clock_ns() < end_ns);
		gyr_events_run_until(&events, &never, 5 * GYR_NS_PER_MS);
	}
}

/* The last version that the label pointed at, of the same signature, and whole, serves until the one that it points at can be loaded. */
static void a_damaged_version_is_stood_in_for(void **state)
{
	struct gyr_label label;
	import(4, 1);
	import(4, 2);
	import(4, 3);
	for (uint64_t number = 1; number <= 3; number++)
		assert_int_equal(promote(number), 0);
	/* The one before is damaged too, and the first is not loaded. */
	assert_int_equal(unload(1), 0);
	change_blob(3);
	change_blob(2);
	stop_gyrd();
	sample_plane_stop(&plane);
	sample_plane_start(&plane, folder);
	start_gyrd();
	wait_for_label(1);
	assert_non_null(gyr_rollout_fault(rollout, "net", 3));
	assert_int_equal(gyr_registry_label(registry, "net", "stable", &label, &error), 0);
	assert_int_equal(label.version, 3);
	change_blob(3);
	wait_for_label(3);
	assert_null(gyr_rollout_fault(rollout, "net", 3));
}

/* What the data plane holds serves on; that its file is damaged is told all the same. */
static void the_file_of_an_adopted_version_is_read(void **state)
{
	import(4, 1);
	assert_int_equal(promote(1), 0);
	change_blob(1);
	stop_gyrd();
	start_gyrd();
	settle();
	uint64_t end_ns = gyr_clock_ns() + WAIT_NS;
	bool never = false;
	while (gyr_rollout_fault(rollout, "net", 1) == NULL) {
		assert_true(gyr_clock_ns() < end_ns);
		gyr_events_run_until(&events, &never, 5 * GYR_NS_PER_MS);
	}
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 1);
	assert_int_equal(plane.loads, 1);
}

static int fail_commit(const char *step)
{
	return strcmp(step, "commit") == 0 ? -ENOSPC : 0;
}

static void a_full_disk_fails_the_call_and_changes_nothing(void **state)
{
	import(4, 1);
	import(4, 2);
	assert_int_equal(promote(1), 0);
	gyr_step_hook = fail_commit;
	assert_int_equal(load(2), -ENOSPC);
	assert_int_equal(promote(2), -ENOSPC);
	gyr_step_hook = NULL;
	settle();
	assert_false(sample_plane_holds(&plane, "net", 2));
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 1);
}

static void a_later_call_replaces_an_earlier_one(void **state)
{
	struct outcome first = {0}, second = {0}, third = {0};
	import(4, 1);
	import(4, 2);
	gyr_rollout_promote(rollout, "net", GYR_LINK_STABLE, 1, false, 0, end, &first);
	gyr_rollout_promote(rollout, "net", GYR_LINK_STABLE, 2, false, 0, end, &second);
	assert_int_equal(wait_for(&first), -ECANCELED);
	assert_int_equal(wait_for(&second), 0);
	assert_int_equal(sample_plane_label(&plane, "net", "stable"), 2);
	settle();
	first = second = (struct outcome){0};
	assert_int_equal(unload(1), 0);
	gyr_rollout_load(rollout, "net", 1, 0, end, &first);
	gyr_rollout_unload(rollout, "net", 1, 0, end, &second);
	assert_int_equal(wait_for(&first), -ECANCELED);
	assert_int_equal(wait_for(&second), 0);
	settle();
	assert_false(sample_plane_holds(&plane, "net", 1));
	/* One that is under way when gyrd ends is told so. */
	gyr_rollout_load(rollout, "net", 1, 0, end, &third);
	stop_gyrd();
	assert_int_equal(third.status, -ESHUTDOWN);
	assert_true(third.done);
	start_gyrd();
	settle();
	assert_true(sample_plane_holds(&plane, "net", 1));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, start_all, stop_all)
	const struct CMUnitTest tests[] = {
		TEST(the_versions_before_stay_warm_by_number_and_bytes),
		TEST(versions_are_loaded_promoted_and_unloaded),
		TEST(what_is_refused_is_taken_back),
		TEST(what_was_wanted_before_stays_wanted),
		TEST(a_data_plane_that_dies_while_it_loads_fails_the_load),
		TEST(a_new_data_plane_gets_the_same_versions),
		TEST(settings_follow_a_model),
		TEST(refused_settings_hold_up_nothing),
		TEST(what_is_held_is_told_in_pieces),
		TEST(a_new_gyrd_adopts_what_is_there),
		TEST(what_was_begun_goes_on_after_a_crash),
		TEST(a_version_of_another_registry_is_replaced),
		TEST(a_broken_blob_of_a_served_version_is_said_and_tried_again),
		TEST(a_damaged_version_is_stood_in_for),
		TEST(the_file_of_an_adopted_version_is_read),
		TEST(a_full_disk_fails_the_call_and_changes_nothing),
		TEST(a_later_call_replaces_an_earlier_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
