/* What a route table finds, and what publishing does when a reader does not let go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dataplane/loop/route.h"
#include "dataplane/loop/version.h"

#define MODELS 300

static struct gyr_wire_ref name_ref(const char *name)
{
	return (struct gyr_wire_ref){.name = name, .length = (uint32_t)strlen(name), .present = true};
}

static struct gyr_wire_ref number_ref(uint64_t number)
{
	return (struct gyr_wire_ref){.number = number, .present = true};
}

static void finds_every_model_version_and_label(void **state)
{
	static struct gyr_version objects[3] = {{.number = 2}, {.number = 5}, {.number = 900}};
	static struct gyr_version *const versions[3] = {&objects[0], &objects[1], &objects[2]};
	static const uint64_t numbers[3] = {2, 5, 900};
	static const struct gyr_wire_label labels[2] = {{"canary", 900}, {GYR_LINK_STABLE, 5}};
	static struct gyr_route_model models[MODELS];
	const struct gyr_wire_ref none = {0};
	for (int i = 0; i < MODELS; i++) {
		models[i] = (struct gyr_route_model){.handle = (uint64_t)(3 * i),
						     .version_count = 3,
						     .label_count = i % 2 == 0 ? 2 : 1,
						     .numbers = numbers,
						     .versions = versions,
						     .labels = labels};
		models[i].name_length = (uint32_t)snprintf(models[i].name, sizeof models[i].name, "model-%d", i);
	}
	struct gyr_route *route = gyr_route_create(models, MODELS);
	assert_non_null(route);
	memset(models, 0, sizeof models); /* it has its own copy */
	for (int i = 0; i < MODELS; i++) {
		char name[64];
		const struct gyr_route_model *model, *by_handle;
		struct gyr_version *version;
		snprintf(name, sizeof name, "model-%d", i);
		struct gyr_wire_ref ref = name_ref(name), handle = number_ref((uint64_t)(3 * i)), select = name_ref("canary");
		assert_int_equal(gyr_route_find(route, &ref, &select, &model, &version), GYR_WIRE_OK);
		assert_string_equal(model->name, name);
		assert_ptr_equal(version, &objects[2]);
		assert_int_equal(gyr_route_find(route, &handle, &select, &by_handle, &version), GYR_WIRE_OK);
		assert_ptr_equal(by_handle, model);
		/* Odd models have no stable label. */
		assert_int_equal(gyr_route_find(route, &ref, &none, &model, &version), i % 2 == 0 ? GYR_WIRE_OK : GYR_WIRE_UNKNOWN_LABEL);
		if (i % 2 == 0)
			assert_ptr_equal(version, &objects[1]);
		for (int v = 0; v < 3; v++) {
			select = number_ref(numbers[v]);
			assert_int_equal(gyr_route_find(route, &ref, &select, &model, &version), GYR_WIRE_OK);
			assert_ptr_equal(version, &objects[v]);
		}
		static const uint64_t no_numbers[] = {0, 1, 3, 899, 901, UINT64_MAX};
		for (size_t v = 0; v < sizeof no_numbers / sizeof no_numbers[0]; v++) {
			select = number_ref(no_numbers[v]);
			assert_int_equal(gyr_route_find(route, &ref, &select, &model, &version), GYR_WIRE_UNKNOWN_VERSION);
		}
		static const char *const no_labels[] = {"canar", "canary-", "c", "stabl"};
		for (size_t l = 0; l < sizeof no_labels / sizeof no_labels[0]; l++) {
			select = name_ref(no_labels[l]);
			assert_int_equal(gyr_route_find(route, &ref, &select, &model, &version), GYR_WIRE_UNKNOWN_LABEL);
		}
		handle = number_ref((uint64_t)(3 * i + 1));
		assert_int_equal(gyr_route_find(route, &handle, &none, &model, &version), GYR_WIRE_UNKNOWN_MODEL);
	}
	gyr_route_destroy(route);
}

static void finds_nothing_in_an_empty_table(void **state)
{
	struct gyr_route *route = gyr_route_create(NULL, 0);
	const struct gyr_route_model *model;
	struct gyr_version *version;
	const struct gyr_wire_ref none = {0}, name = name_ref("model"), handle = number_ref(0);
	assert_non_null(route);
	assert_int_equal(gyr_route_find(route, &name, &none, &model, &version), GYR_WIRE_UNKNOWN_MODEL);
	assert_int_equal(gyr_route_find(route, &handle, &none, &model, &version), GYR_WIRE_UNKNOWN_MODEL);
	gyr_route_destroy(route);
}

/* A reader that does not report keeps the old table readable for as long as it likes. */
static void keeps_what_a_stuck_reader_may_hold(void **state)
{
	struct gyr_route_cell cell;
	struct gyr_error error;
	const struct gyr_wire_ref none = {0}, name = name_ref("model");
	const struct gyr_route_model *model;
	struct gyr_version *version;
	assert_int_equal(gyr_route_cell_init(&cell, 1, &error), 0);
	gyr_route_reader_start(&cell, 0);
	const struct gyr_route *before = gyr_route_read(&cell);
	assert_false(gyr_route_publish(&cell, gyr_route_create(NULL, 0), GYR_NS_PER_MS));
	assert_int_equal(cell.stuck, 1);
	assert_int_equal(gyr_route_find(before, &name, &none, &model, &version), GYR_WIRE_UNKNOWN_MODEL);
	gyr_route_report(&cell, 0);
	assert_ptr_not_equal(gyr_route_read(&cell), before);
	gyr_route_reader_stop(&cell, 0);
	/* Nobody reads: nothing to wait for. */
	assert_true(gyr_route_publish(&cell, gyr_route_create(NULL, 0), GYR_NS_PER_MS));
	assert_int_equal(cell.stuck, 1);
	gyr_route_cell_fini(&cell);
	gyr_route_destroy((struct gyr_route *)(uintptr_t)before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_model_version_and_label),
		cmocka_unit_test(finds_nothing_in_an_empty_table),
		cmocka_unit_test(keeps_what_a_stuck_reader_may_hold),
	};
	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
