#include "dataplane/loop/models.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "dataplane/loop/models_internal.h"
#include "engine/model/bundle.h"

struct gyr_models *gyr_models_create(struct gyr_loop *loop)
{
	struct gyr_models *models = calloc(1, sizeof *models);
	if (models != NULL)
		models->loop = loop;
	return models;
}

static void destroy_model(struct gyr_model *model)
{
	for (uint32_t i = 0; i < model->version_count; i++)
		gyr_version_destroy(model->versions[i]);
	free(model);
}

void gyr_models_destroy(struct gyr_models *models)
{
	if (models == NULL)
		return;
	for (uint32_t i = 0; i < models->count; i++)
		destroy_model(models->models[i]);
	free(models);
}

static struct gyr_model *find_model(const struct gyr_models *models, const char *name)
{
	for (uint32_t i = 0; i < models->count; i++) {
		if (strcmp(models->models[i]->name, name) == 0)
			return models->models[i];
	}
	return NULL;
}

/* The index of the first version that is not below NUMBER. */
static uint32_t place_of(const struct gyr_model *model, uint64_t number)
{
	uint32_t at = 0;
	while (at < model->version_count && model->versions[at]->number < number)
		at++;
	return at;
}

static bool has_version(const struct gyr_model *model, uint64_t number)
{
	uint32_t at = place_of(model, number);
	return at < model->version_count && model->versions[at]->number == number;
}

static void describe_model(const struct gyr_models *models, const struct gyr_model *model, struct gyr_arena *arena, struct gyr_route_model *to, bool *complete)
{
	uint64_t *numbers = GYR_ARENA_NEW(arena, uint64_t, model->version_count);
	struct gyr_wire_label *labels = GYR_ARENA_NEW(arena, struct gyr_wire_label, model->label_count);
	if (numbers == NULL || labels == NULL) {
		*complete = false;
		return;
	}
	for (uint32_t i = 0; i < model->version_count; i++)
		numbers[i] = model->versions[i]->number;
	for (uint32_t i = 0; i < model->label_count; i++)
		labels[i] = (struct gyr_wire_label){.name = model->labels[i].name, .version = model->labels[i].version};
	*to = (struct gyr_route_model){
		.name_length = (uint32_t)strlen(model->name),
		.handle = model->handle,
		.slot = (uint32_t)model->slot,
		.policy = model->policy,
		.version_count = model->version_count,
		.label_count = model->label_count,
		.numbers = numbers,
		.versions = model->versions,
		.labels = labels,
		.counters = gyr_stats_lane(models->loop->stats, GYR_COUNTERS_MODELS, model->slot, 0),
	};
	memcpy(to->name, model->name, sizeof to->name);
}

static struct gyr_route *build_route(const struct gyr_models *models)
{
	struct gyr_arena arena;
	gyr_arena_init(&arena, 0);
	struct gyr_route_model *list = GYR_ARENA_NEW(&arena, struct gyr_route_model, models->count);
	bool complete = list != NULL;
	for (uint32_t i = 0; complete && i < models->count; i++)
		describe_model(models, models->models[i], &arena, &list[i], &complete);
	struct gyr_route *route = complete ? gyr_route_create(list, models->count) : NULL;
	gyr_arena_fini(&arena);
	return route;
}

/* Shows the engine lcores the models as they are now. -ENOMEM: nothing was published. -ETIMEDOUT: published, but old memory must be kept. */
static int publish(struct gyr_models *models, struct gyr_error *error)
{
	struct gyr_route *route = build_route(models);
	if (route == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the route table");
	if (gyr_route_publish(&models->loop->route, route, GYR_LOOP_WAIT_NS))
		return 0;
	gyr_counter_add(&models->loop->house_counters->stuck, 1);
	gyr_log_error("an engine lcore has not let go of the route table for %llu ms: the old one is kept in memory (%llu so far)",
		      (unsigned long long)(GYR_LOOP_WAIT_NS / GYR_NS_PER_MS), (unsigned long long)models->loop->route.stuck);
	return gyr_error_set(error, -ETIMEDOUT, "done, but an engine lcore is stuck: old memory is kept");
}

/* Takes VERSION out of its model, and the model out of the list when that was its last; the caller publishes and then frees what was taken out. */
static struct gyr_model *remove_version(struct gyr_models *models, struct gyr_model *model, uint64_t number)
{
	uint32_t at = place_of(model, number);
	GYR_ASSERT(at < model->version_count);
	model->version_count--;
	memmove(&model->versions[at], &model->versions[at + 1], (model->version_count - at) * sizeof model->versions[0]);
	if (model->version_count > 0)
		return NULL;
	uint32_t index = 0;
	while (models->models[index] != model)
		index++;
	models->count--;
	memmove(&models->models[index], &models->models[index + 1], (models->count - index) * sizeof models->models[0]);
	return model;
}

/* Gives a new model its place to count in. False: none is free. There are as many as models, but some may be kept for good (forget_model). */
static bool show_model(const struct gyr_models *models, struct gyr_model *model)
{
	struct gyr_model_head head = {.handle = model->handle};
	_Static_assert(sizeof head.model == sizeof model->name, "names fit");
	memcpy(head.model, model->name, sizeof head.model);
	model->slot = gyr_stats_take(models->loop->stats, GYR_COUNTERS_MODELS);
	if (model->slot < 0)
		return false;
	gyr_stats_show(models->loop->stats, GYR_COUNTERS_MODELS, model->slot, &head);
	return true;
}

static uint64_t sum_of(const _Atomic uint64_t *counters, uint32_t count)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < count; i++)
		sum += atomic_load_explicit(&counters[i], memory_order_relaxed);
	return sum;
}

/* Frees VERSION, to which no engine lcore holds a pointer; what it counted stays in the sums. */
static void retire_version(const struct gyr_models *models, struct gyr_version *version)
{
	struct gyr_house_counters *house = models->loop->house_counters;
	for (uint32_t i = 0; i < version->lane_count; i++) {
		const struct gyr_version_counters *counters = version->lanes[i]->counters;
		gyr_counter_add(&house->retired_results, sum_of(&counters->requests, 1));
		gyr_counter_add(&house->retired_late, sum_of(&counters->late, 1));
		gyr_counter_add(&house->retired_refused, sum_of(counters->refused, GYR_WIRE_CODE_COUNT));
	}
	gyr_version_destroy(version);
}

/* Frees MODEL (NULL is fine), whose last version is gone. Where an engine lcore may still count in it, its place is kept for good. */
static void forget_model(const struct gyr_models *models, struct gyr_model *model, bool let_go)
{
	if (model != NULL && let_go) {
		const struct gyr_model_counters *counters = gyr_stats_lane(models->loop->stats, GYR_COUNTERS_MODELS, model->slot, 0);
		for (uint32_t i = 0; i < models->loop->engine_count; i++)
			gyr_counter_add(&models->loop->house_counters->retired_refused, sum_of(counters[i].refused, GYR_WIRE_CODE_COUNT));
		gyr_stats_release(models->loop->stats, GYR_COUNTERS_MODELS, model->slot);
	}
	free(model);
}

/* Puts VERSION into the model of that name, which is made when there is none. */
static int insert_version(struct gyr_models *models, const char *name, struct gyr_version *version, struct gyr_model **into, struct gyr_error *error)
{
	struct gyr_model *model = find_model(models, name);
	if (model == NULL) {
		if (models->count == GYR_MODELS_MAX || models->handle_next == GYR_ROUTE_HANDLES_MAX)
			return gyr_error_set(error, -ENOSPC, "model %s: %u are loaded, or all %u handles given out", name, models->count,
					     GYR_ROUTE_HANDLES_MAX);
		model = calloc(1, sizeof *model);
		if (model == NULL)
			return gyr_error_set(error, -ENOMEM, "no memory for model %s", name);
		memcpy(model->name, name, strlen(name));
		model->handle = models->handle_next;
		if (!show_model(models, model)) {
			free(model);
			return gyr_error_set(error, -ENOSPC,
					     "model %s: %u are loaded, and the places of others are kept, as an engine lcore is stuck: restart the data plane",
					     name, models->count);
		}
		models->handle_next++;
		model->policy = gyr_link_policy_default();
		models->models[models->count++] = model;
	}
	if (model->version_count == GYR_MODELS_VERSIONS_MAX)
		return gyr_error_set(error, -ENOSPC, "model %s: %u versions are loaded: unload one first", name, GYR_MODELS_VERSIONS_MAX);
	uint32_t at = place_of(model, version->number);
	memmove(&model->versions[at + 1], &model->versions[at], (model->version_count - at) * sizeof model->versions[0]);
	model->versions[at] = version;
	model->version_count++;
	*into = model;
	return 0;
}

/* The nodes of the engine lcores: all of them read the weights. */
static uint64_t engine_nodes(const struct gyr_loop *loop)
{
	uint64_t nodes = 0;
	for (uint32_t i = 0; i < loop->engine_count; i++)
		nodes |= gyr_node_bit(loop->engine_nodes[i]);
	return nodes;
}

/* Compiles and proves an opened bundle. */
static int compile(const struct gyr_models *models, const char *model, uint64_t number, const struct gyr_bundle *bundle, struct gyr_version **version,
		   struct gyr_error *error)
{
	const struct gyr_loop *loop = models->loop;
	struct gyr_plan_options options = {.batch_max = loop->config->batch_max};
	struct gyr_plan *plan;
	gyr_node_enter(engine_nodes(loop));
	int status = gyr_plan_create_checked(bundle, &options, &plan, error);
	gyr_node_leave();
	if (status != 0)
		return status;
	status = gyr_version_create(number, plan, loop->engine_nodes, loop->engine_count, RTE_MAX(loop->payload_max, loop->message_max), version, error);
	if (status != 0)
		return status;
	gyr_bundle_id_text(bundle->id, (*version)->id);
	return gyr_version_show(*version, loop->stats, model, error);
}

static int open_and_compile(const struct gyr_models *models, const char *model, uint64_t number, int descriptor, struct gyr_version **version,
			    struct gyr_error *error)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int seals = fcntl(descriptor, F_GET_SEALS);
	if (seals < 0 || (seals & needed) != needed)
		return gyr_error_set(error, -EINVAL, "the descriptor is not a memfd sealed against writing, shrinking and growing");
	struct stat about;
	if (fstat(descriptor, &about) != 0)
		return gyr_error_set(error, -errno, "fstat: %s", strerror(errno));
	if (about.st_size <= 0)
		return gyr_error_set(error, -EBADMSG, "the bundle is empty");
	size_t size = (size_t)about.st_size;
	/* Private, though nothing is written: before Linux 6.7 memory sealed against writing cannot be mapped shared. */
	void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
	if (bytes == MAP_FAILED)
		return gyr_error_set(error, -errno, "mmap of %zu bytes: %s", size, strerror(errno));
	struct gyr_bundle *bundle;
	/* Sealed by gyrd, which has checked it: see docs/decisions/0021-loading.md. */
	int status = gyr_bundle_open_vouched(bytes, size, &bundle, error);
	if (status == 0) {
		status = compile(models, model, number, bundle, version, error);
		gyr_bundle_close(bundle);
	}
	munmap(bytes, size);
	return status;
}

int gyr_models_load(struct gyr_models *models, const char *name, uint64_t number, int descriptor, struct gyr_error *error)
{
	if (!gyr_wire_name_is_valid(name, strlen(name)))
		return gyr_error_set(error, -EINVAL, "a model's name is 1 to %u of a-z 0-9 . _ -, the first a letter or digit", GYR_WIRE_NAME_MAX);
	if (number == 0)
		return gyr_error_set(error, -EINVAL, "model %s: versions count from 1", name);
	struct gyr_model *model = find_model(models, name);
	if (model != NULL && has_version(model, number))
		return 0;
	struct gyr_version *version = NULL;
	int status = open_and_compile(models, name, number, descriptor, &version, error);
	if (status == 0)
		status = insert_version(models, name, version, &model, error);
	if (status != 0) {
		gyr_version_destroy(version);
		return gyr_error_prefix(error, status, "model %s version %llu", name, (unsigned long long)number);
	}
	status = publish(models, error);
	if (status != -ENOMEM)
		gyr_counter_add(&models->loop->house_counters->loads, 1);
	if (status == -ENOMEM) {
		forget_model(models, remove_version(models, model, number), true);
		gyr_version_destroy(version);
	}
	return status;
}

int gyr_models_unload(struct gyr_models *models, const char *name, uint64_t number, struct gyr_error *error)
{
	struct gyr_model *model = find_model(models, name);
	if (model == NULL || !has_version(model, number))
		return 0;
	for (uint32_t i = 0; i < model->label_count; i++) {
		if (model->labels[i].version == number)
			return gyr_error_set(error, -EBUSY, "model %s version %llu: label %s points at it; move the label first", name,
					     (unsigned long long)number, model->labels[i].name);
	}
	struct gyr_version *version = model->versions[place_of(model, number)];
	struct gyr_model *emptied = remove_version(models, model, number);
	int status = publish(models, error);
	if (status == -ENOMEM) {
		/* It was there a moment ago, so there is room. */
		if (emptied != NULL)
			models->models[models->count++] = emptied;
		int back = insert_version(models, name, version, &model, error);
		GYR_ASSERT(back == 0);
		return gyr_error_set(error, -ENOMEM, "no memory for the route table");
	}
	forget_model(models, emptied, status == 0);
	if (status == 0)
		retire_version(models, version);
	gyr_counter_add(&models->loop->house_counters->unloads, 1);
	return status;
}

int gyr_models_route(struct gyr_models *models, const char *name, const struct gyr_link_label *labels, uint32_t count, struct gyr_error *error)
{
	GYR_ASSERT(count <= GYR_LINK_LABELS_MAX);
	struct gyr_model *model = find_model(models, name);
	if (model == NULL)
		return count == 0 ? 0 : gyr_error_set(error, -ENOENT, "model %s is not loaded", name);
	for (uint32_t i = 0; i < count; i++) {
		if (!gyr_wire_name_is_valid(labels[i].name, strlen(labels[i].name)))
			return gyr_error_set(error, -EINVAL, "a label is 1 to %u of a-z 0-9 . _ -, the first a letter or digit", GYR_WIRE_NAME_MAX);
		for (uint32_t other = 0; other < i; other++) {
			if (strcmp(labels[i].name, labels[other].name) == 0)
				return gyr_error_set(error, -EINVAL, "model %s: label %s is given twice", name, labels[i].name);
		}
		if (!has_version(model, labels[i].version))
			return gyr_error_set(error, -ENOENT, "model %s: label %s asks for version %llu, which is not loaded", name, labels[i].name,
					     (unsigned long long)labels[i].version);
	}
	struct gyr_link_label before[GYR_LINK_LABELS_MAX];
	uint32_t before_count = model->label_count;
	memcpy(before, model->labels, sizeof before);
	memcpy(model->labels, labels, count * sizeof labels[0]);
	model->label_count = count;
	int status = publish(models, error);
	if (status == -ENOMEM) {
		memcpy(model->labels, before, sizeof before);
		model->label_count = before_count;
	}
	return status;
}

int gyr_models_policy(struct gyr_models *models, const char *name, const struct gyr_link_label *settings, uint32_t count, struct gyr_error *error)
{
	struct gyr_model *model = find_model(models, name);
	if (model == NULL)
		return gyr_error_set(error, -ENOENT, "model %s is not loaded", name);
	struct gyr_link_policy policy = gyr_link_policy_default(), before = model->policy;
	int status = 0;
	for (uint32_t i = 0; status == 0 && i < count; i++)
		status = gyr_link_policy_set(&policy, settings[i].name, settings[i].version, error);
	if (status != 0)
		return gyr_error_prefix(error, status, "model %s", name);
	model->policy = policy;
	status = publish(models, error);
	if (status == -ENOMEM)
		model->policy = before;
	return status;
}
