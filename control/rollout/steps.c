/*
 * One step is under way at a time. After each, and after whatever else changes, rollout_advance looks for the next:
 *
 *     settle    a label that is routed as intended: written as so
 *     policy    a model that is held, with other settings than it shall have                       -> POLICY (policy.c)
 *     route     a model whose labels differ from what is routed, if it loses none by it             -> ROUTE
 *     load      a version that is wanted and not held, first    file -> sealed memory (helper thread) -> LOAD
 *               those that a label points at
 *     route     any model whose labels differ                                                       -> ROUTE
 *     unload    a version that is held and not wanted                                               -> UNLOAD
 *     refused   a model with settings that the data plane refused a while ago                       -> POLICY (policy.c)
 *
 * in this order, so that nothing is routed to before it is held, each model of a new data plane serves as soon as its versions are held, and nothing is
 * unloaded that is routed to. With no step left, the data plane is as the registry says, and is told so (SETTLED).
 *
 * Invariants
 *   1. A label's intention is in the registry before ROUTE is sent, and is settled there after it was answered: a crash between leaves an intention, which the
 *      next start routes again.
 *   2. What failed with someone waiting for it, or intended, is taken back; what failed otherwise (a version that served before) is tried again, ever slower.
 */
#include "control/rollout/rollout_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/load/loader.h"

#define LOAD_NS (120 * GYR_NS_PER_S) /* compiles for every batch size and replays the golden vectors */
#define ROUTE_NS (10 * GYR_NS_PER_S)
#define UNLOAD_NS (30 * GYR_NS_PER_S) /* waits until no engine lcore uses it */
#define STATUS_NS (5 * GYR_NS_PER_S)
#define SETTLED_NS (5 * GYR_NS_PER_S)

static void try_again(void *user)
{
	rollout_advance(user);
}

void rollout_retry_in(struct gyr_rollout *rollout, uint64_t delay_ns)
{
	if (!rollout->retry.running || rollout->retry.due_ns > gyr_clock_ns() + delay_ns)
		gyr_timer_start(rollout->events, &rollout->retry, delay_ns, try_again, rollout);
}

/*
 * A version that the registry does not have, or has with another content (the data plane served another state directory before), is neither routed to nor kept.
 * That is settled now: the registry may give the same number to something else a moment later.
 */
static void find_foreign(struct gyr_rollout *rollout)
{
	for (uint32_t i = 0; i < rollout->held.version_count; i++) {
		struct gyr_held_version *held = &rollout->held.versions[i];
		struct gyr_version version;
		int status = gyr_registry_version(rollout->registry, held->model, held->number, &version, NULL);
		held->foreign = status == -ENOENT || (status == 0 && held->id[0] != '\0' && strcmp(held->id, version.id) != 0);
		if (held->foreign)
			gyr_log_warning("the data plane holds a %s version %llu that is not this registry's; it is dropped", held->model,
					(unsigned long long)held->number);
	}
}

static void ask_for_rest(struct gyr_rollout *rollout);

static void end_rest(void *user, const struct gyr_link_answer *answer)
{
	struct gyr_rollout *rollout = user;
	struct gyr_error error;
	rollout->stepping = false;
	if (answer->status != 0)
		return; /* the link is down */
	if (gyr_held_take_more(&rollout->held, answer->body, answer->body_bytes, &error) != 0)
		gyr_log_warning("%s; some are loaded anew", error.text);
	find_foreign(rollout);
	ask_for_rest(rollout);
	if (rollout->stepping)
		return;
	rollout_settle_operations(rollout);
	rollout_advance(rollout);
}

/* A status that does not fit one packet comes in pieces; no step is begun before the last. */
static void ask_for_rest(struct gyr_rollout *rollout)
{
	if (rollout->held.left_out == 0)
		return;
	struct gyr_link_request request = {.type = GYR_LINK_STATUS, .version = rollout->held.model_count};
	rollout->stepping = true;
	gyr_peer_send(rollout->peer, &request, -1, STATUS_NS, end_rest, rollout);
}

void rollout_take_status(struct gyr_rollout *rollout, const uint8_t *body, uint32_t bytes)
{
	struct gyr_error error;
	if (gyr_held_take(&rollout->held, body, bytes, &error) != 0)
		gyr_log_warning("%s; everything is loaded anew", error.text);
	find_foreign(rollout);
	ask_for_rest(rollout);
}

static void end_refresh(void *user, const struct gyr_link_answer *answer)
{
	struct gyr_rollout *rollout = user;
	rollout->stepping = false;
	if (answer->status == 0)
		rollout_take_status(rollout, answer->body, answer->body_bytes);
	rollout_retry_in(rollout, ROLLOUT_RETRY_NS);
	if (!rollout->stepping)
		rollout_settle_operations(rollout);
}

void rollout_refresh(struct gyr_rollout *rollout)
{
	struct gyr_link_request request = {.type = GYR_LINK_STATUS};
	gyr_peer_send(rollout->peer, &request, -1, STATUS_NS, end_refresh, rollout);
}

static void end_load(void *user, const struct gyr_link_answer *answer)
{
	struct gyr_rollout *rollout = user;
	rollout->loading = false;
	gyr_budget_give(&rollout->budget, rollout->share);
	rollout->share = NULL;
	if (answer->status == -ETIMEDOUT) {
		rollout_refresh(rollout);
		return;
	}
	rollout->stepping = false;
	if (answer->status == 0) {
		int status = gyr_held_add(&rollout->held, rollout->model, rollout->number, "");
		GYR_ASSERT(status == 0);
		rollout_mark_checked(rollout, rollout->model, rollout->number);
		rollout_forget_fault(rollout, rollout->model, rollout->number);
		gyr_log_info("%s version %llu is loaded", rollout->model, (unsigned long long)rollout->number);
	} else if (answer->status != -ENOTCONN) {
		rollout_fail_version(rollout, rollout->model, rollout->number, answer->status, answer->text);
	}
	rollout_advance(rollout);
}

struct reading {
	struct gyr_task task; /* first */
	struct gyr_rollout *rollout;
	char path[GYR_BLOB_PATH_BYTES];
	char id[GYR_BLOB_NAME_BYTES];
	char name[GYR_BUDGET_NAME_BYTES];
	struct gyr_loaded loaded;
	int status;
	struct gyr_error error;
};

static void run_reading(struct gyr_task *task)
{
	struct reading *reading = (struct reading *)task;
	char id[GYR_BLOB_NAME_BYTES];
	const struct gyr_load_request request = {
		.path = reading->path,
		.name = reading->name,
		.progress = &reading->rollout->progress,
		.cancel = &reading->rollout->cancel,
		.budget = &reading->rollout->budget,
		.packed = true,
	};
	reading->status = gyr_load(&request, &reading->loaded, &reading->error);
	if (reading->status != 0)
		return;
	gyr_bundle_id_text(reading->loaded.id, id);
	if (strcmp(id, reading->id) == 0)
		return;
	gyr_loaded_release(&reading->loaded);
	reading->status = gyr_error_set(&reading->error, -EBADMSG, "%s holds the bundle %s", reading->path, id);
}

static void end_reading(struct gyr_task *task)
{
	struct reading *reading = (struct reading *)task;
	struct gyr_rollout *rollout = reading->rollout;
	if (rollout->ending) {
		if (reading->status == 0)
			gyr_loaded_release(&reading->loaded);
	} else if (reading->status == 0) {
		struct gyr_link_request request = {.type = GYR_LINK_LOAD, .version = rollout->number};
		snprintf(request.model, sizeof request.model, "%s", rollout->model);
		rollout->share = reading->loaded.share;
		gyr_peer_send(rollout->peer, &request, reading->loaded.fd, LOAD_NS, end_load, rollout);
	} else {
		rollout->stepping = rollout->loading = false;
		rollout_fail_version(rollout, rollout->model, rollout->number, reading->status, reading->error.text);
		rollout_advance(rollout);
	}
	free(reading);
}

struct label_list {
	uint32_t count;
	struct gyr_label *labels;
};

static bool collect_label(void *user, const struct gyr_label *label)
{
	struct label_list *list = user;
	struct gyr_label *grown = reallocarray(list->labels, list->count + 1, sizeof *grown);
	GYR_ASSERT(grown != NULL);
	list->labels = grown;
	grown[list->count++] = *label;
	return true;
}

/* Does a label point at it, or is about to? */
static bool is_labelled(const struct label_list *list, const struct gyr_version *version)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const struct gyr_label *label = &list->labels[i];
		if ((label->version == version->number || label->intended == version->number) && strcmp(label->model, version->model) == 0)
			return true;
	}
	return false;
}

struct search {
	struct gyr_rollout *rollout;
	const struct label_list *labels; /* only versions that one of them points at; NULL: any */
	bool found;
	struct gyr_version version;
};

static bool is_to_be_loaded(void *user, const struct gyr_version *version)
{
	struct search *search = user;
	struct gyr_rollout *rollout = search->rollout;
	if (search->labels != NULL && !is_labelled(search->labels, version))
		return true;
	if (gyr_held_find(&rollout->held, version->model, version->number) != NULL)
		return true;
	struct fault *fault = rollout_find_fault(rollout, version->model, version->number);
	uint64_t now = gyr_clock_ns();
	if (fault != NULL && fault->due_ns > now && !rollout_is_awaited(rollout, version->model, version->number)) {
		rollout_retry_in(rollout, fault->due_ns - now);
		return true;
	}
	search->version = *version;
	search->found = true;
	return false;
}

static void take_step(struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	rollout->stepping = true;
	rollout->loading = false;
	rollout->number = number;
	snprintf(rollout->model, sizeof rollout->model, "%s", model);
}

/* What is held counts with the size of its bundle, which is about that of its packed weights. */
static void note_held(struct gyr_rollout *rollout)
{
	gyr_budget_forget_held(&rollout->budget);
	for (uint32_t i = 0; i < rollout->held.version_count; i++) {
		const struct gyr_held_version *held = &rollout->held.versions[i];
		char name[GYR_BUDGET_NAME_BYTES];
		struct gyr_version version;
		if (gyr_registry_version(rollout->registry, held->model, held->number, &version, NULL) != 0)
			continue;
		snprintf(name, sizeof name, "%s version %llu", held->model, (unsigned long long)held->number);
		int status = gyr_budget_note_held(&rollout->budget, name, version.bytes);
		GYR_ASSERT(status == 0);
	}
}

static bool step_load(struct gyr_rollout *rollout)
{
	struct label_list list = {0};
	struct search search = {.rollout = rollout, .labels = &list};
	struct gyr_error error;
	int status = gyr_registry_each_label(rollout->registry, NULL, collect_label, &list, &error);
	if (status == 0)
		status = gyr_registry_each_version(rollout->registry, NULL, true, is_to_be_loaded, &search, &error);
	free(list.labels);
	search.labels = NULL;
	if (status == 0 && !search.found)
		status = gyr_registry_each_version(rollout->registry, NULL, true, is_to_be_loaded, &search, &error);
	if (status != 0)
		gyr_log_error("%s", error.text);
	if (!search.found)
		search.found = rollout_stand_in_to_load(rollout, &search.version);
	if (!search.found)
		return false;
	struct reading *reading = calloc(1, sizeof *reading);
	GYR_ASSERT(reading != NULL);
	take_step(rollout, search.version.model, search.version.number);
	rollout->loading = true;
	atomic_store_explicit(&rollout->progress.bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&rollout->progress.read, 0, memory_order_relaxed);
	reading->task = (struct gyr_task){.run = run_reading, .done = end_reading};
	reading->rollout = rollout;
	snprintf(reading->name, sizeof reading->name, "%s version %llu", search.version.model, (unsigned long long)search.version.number);
	note_held(rollout);
	memcpy(reading->id, search.version.id, sizeof reading->id);
	gyr_blobs_path(gyr_registry_blobs(rollout->registry), search.version.id, reading->path);
	gyr_work_submit(rollout->work, &reading->task);
	return true;
}

static void add_route(struct gyr_held *wanted, const char *model, const char *label, uint64_t number)
{
	struct gyr_held_route *route = gyr_held_route(wanted, model);
	GYR_ASSERT(route != NULL);
	GYR_ASSERT(route->label_count < GYR_LINK_LABELS_MAX);
	struct gyr_link_label *added = &route->labels[route->label_count++];
	*added = (struct gyr_link_label){.version = number};
	snprintf(added->name, sizeof added->name, "%s", label);
}

static bool same_route(const struct gyr_held_route *a, const struct gyr_held_route *b)
{
	if (a->label_count != b->label_count)
		return false;
	for (uint32_t i = 0; i < a->label_count; i++) {
		bool found = false;
		for (uint32_t j = 0; j < b->label_count && !found; j++)
			found = a->labels[i].version == b->labels[j].version && strcmp(a->labels[i].name, b->labels[j].name) == 0;
		if (!found)
			return false;
	}
	return true;
}

static void end_route(void *user, const struct gyr_link_answer *answer)
{
	struct gyr_rollout *rollout = user;
	const struct gyr_link_request *request = &rollout->route;
	if (answer->status == 0) {
		rollout->stepping = false;
		struct gyr_held_route *route = gyr_held_route(&rollout->held, request->model);
		GYR_ASSERT(route != NULL);
		route->label_count = request->label_count;
		memcpy(route->labels, request->labels, sizeof route->labels);
		rollout_advance(rollout);
		return;
	}
	if (answer->status != -ENOTCONN && answer->status != -ECONNRESET && answer->status != -ETIMEDOUT) {
		gyr_log_error("%s: the data plane refuses its labels: %s", request->model, answer->text);
		for (uint32_t i = 0; i < request->label_count; i++)
			if (rollout_take_back(rollout, request->model, request->labels[i].version, answer->text))
				rollout_end_operations(rollout, request->model, request->labels[i].version, answer->status, answer->text);
	}
	rollout_refresh(rollout);
}

/* Has TO every label of FROM, wherever it points? */
static bool has_labels(const struct gyr_held_route *to, const struct gyr_held_route *from)
{
	for (uint32_t i = 0; i < from->label_count; i++) {
		bool found = false;
		for (uint32_t j = 0; j < to->label_count && !found; j++)
			found = strcmp(to->labels[j].name, from->labels[i].name) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* KEEPING: only what takes no label away. */
static bool step_route(struct gyr_rollout *rollout, bool keeping)
{
	struct gyr_error error;
	struct label_list list = {0};
	struct gyr_held wanted = {0};
	const struct gyr_held_route *differs = NULL;
	if (gyr_registry_each_label(rollout->registry, NULL, collect_label, &list, &error) != 0) {
		gyr_log_error("%s", error.text);
		free(list.labels);
		return false;
	}
	for (uint32_t i = 0; i < list.count; i++) {
		const struct gyr_label *label = &list.labels[i];
		uint64_t target = rollout_target(rollout, label);
		if (target != 0)
			add_route(&wanted, label->model, label->name, target);
	}
	free(list.labels);
	/* Models that are routed and shall not be are among them, with no label. */
	for (uint32_t i = 0; i < rollout->held.route_count; i++) {
		struct gyr_held_route *route = gyr_held_route(&wanted, rollout->held.routes[i].model);
		GYR_ASSERT(route != NULL);
	}
	for (uint32_t i = 0; i < wanted.route_count && differs == NULL; i++) {
		struct gyr_held_route *now = gyr_held_route(&rollout->held, wanted.routes[i].model);
		GYR_ASSERT(now != NULL);
		if (!same_route(now, &wanted.routes[i]) && (!keeping || has_labels(&wanted.routes[i], now)))
			differs = &wanted.routes[i];
	}
	if (differs != NULL) {
		rollout->stepping = true;
		rollout->route = (struct gyr_link_request){.type = GYR_LINK_ROUTE, .label_count = differs->label_count};
		memcpy(rollout->route.model, differs->model, sizeof differs->model);
		memcpy(rollout->route.labels, differs->labels, sizeof differs->labels);
	}
	gyr_held_clear(&wanted);
	if (!rollout->stepping)
		return false;
	gyr_peer_send(rollout->peer, &rollout->route, -1, ROUTE_NS, end_route, rollout);
	return true;
}

/* Writes down that labels are as they were intended. True when the registry could not be written. */
static bool settle_labels(struct gyr_rollout *rollout)
{
	struct gyr_error error;
	struct label_list list = {0};
	bool moved = false;
	int status = rollout_take_back_withheld(rollout, &error);
	if (status == 0)
		status = gyr_registry_each_label(rollout->registry, NULL, collect_label, &list, &error);
	for (uint32_t i = 0; status == 0 && i < list.count; i++) {
		const struct gyr_label *label = &list.labels[i];
		if (label->intended == 0)
			continue;
		const struct gyr_held_route *route = gyr_held_route(&rollout->held, label->model);
		for (uint32_t j = 0; route != NULL && status == 0 && j < route->label_count; j++) {
			if (route->labels[j].version != label->intended || strcmp(route->labels[j].name, label->name) != 0)
				continue;
			moved = true;
			status = gyr_registry_settle(rollout->registry, label->model, label->name, &error);
			if (status == 0)
				gyr_log_info("%s: \"%s\" points at version %llu", label->model, label->name, (unsigned long long)label->intended);
			else if (rollout_is_awaited(rollout, label->model, label->intended))
				rollout_withhold(rollout, label, status, error.text);
		}
	}
	free(list.labels);
	if (moved && status == 0)
		rollout_retire(rollout);
	if (status == 0)
		return false;
	gyr_log_error("%s; trying again in %llu s", error.text, (unsigned long long)(ROLLOUT_RETRY_NS / GYR_NS_PER_S));
	return true;
}

static void end_unload(void *user, const struct gyr_link_answer *answer)
{
	struct gyr_rollout *rollout = user;
	if (answer->status == 0) {
		rollout->stepping = false;
		gyr_held_remove(&rollout->held, rollout->model, rollout->number);
		gyr_log_info("%s version %llu is unloaded", rollout->model, (unsigned long long)rollout->number);
		rollout_advance(rollout);
		return;
	}
	if (answer->status != -ENOTCONN && answer->status != -ECONNRESET && answer->status != -ETIMEDOUT) {
		gyr_log_error("%s version %llu: the data plane does not unload it: %s", rollout->model, (unsigned long long)rollout->number, answer->text);
		rollout_end_operations(rollout, rollout->model, rollout->number, answer->status, answer->text);
	}
	rollout_refresh(rollout);
}

static bool step_unload(struct gyr_rollout *rollout)
{
	for (uint32_t i = 0; i < rollout->held.version_count; i++) {
		const struct gyr_held_version *held = &rollout->held.versions[i];
		struct gyr_version version;
		struct gyr_error error;
		int status = gyr_registry_version(rollout->registry, held->model, held->number, &version, &error);
		if (status == 0 && !held->foreign && (version.wanted || rollout_is_stand_in(rollout, held->model, held->number)))
			continue;
		/* What cannot be found out is left as it is. */
		if (status != 0 && status != -ENOENT)
			continue;
		take_step(rollout, held->model, held->number);
		struct gyr_link_request request = {.type = GYR_LINK_UNLOAD, .version = held->number};
		memcpy(request.model, held->model, sizeof request.model);
		gyr_peer_send(rollout->peer, &request, -1, UNLOAD_NS, end_unload, rollout);
		return true;
	}
	return false;
}

static void end_settled(void *user, const struct gyr_link_answer *answer)
{
	if (answer->status != 0)
		gyr_log_warning("the data plane was not told that all is loaded: %s", answer->text);
}

/* It refuses from now on what clients ask for and is not there. */
static void tell_settled(struct gyr_rollout *rollout)
{
	struct gyr_link_request request = {.type = GYR_LINK_SETTLED};
	rollout->told_settled = true;
	gyr_peer_send(rollout->peer, &request, -1, SETTLED_NS, end_settled, rollout);
}

void rollout_advance(struct gyr_rollout *rollout)
{
	if (rollout->ending || rollout->stepping || !gyr_peer_is_up(rollout->peer))
		return;
	bool unwritten = settle_labels(rollout);
	if (unwritten)
		rollout_retry_in(rollout, ROLLOUT_RETRY_NS);
	rollout_settle_operations(rollout);
	/* Whoever was told may have asked for more, and so have begun a step. */
	if (rollout->stepping)
		return;
	bool done = !rollout_step_policy(rollout) && !step_route(rollout, true) && !step_load(rollout) && !step_route(rollout, false) &&
		    !step_unload(rollout) && !unwritten;
	if (done && !rollout->told_settled)
		tell_settled(rollout);
	rollout->settled = done && !rollout_step_refused(rollout);
	if (done)
		rollout_check_adopted(rollout);
}
