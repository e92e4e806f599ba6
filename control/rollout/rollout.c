/* Rollouts as the other rooms see them, and the link's events. operation.c knows who waits, steps.c does the work. */
#include "control/rollout/rollout_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"

#define CHOICES_NS (5 * GYR_NS_PER_S)
#define STATS_NS (5 * GYR_NS_PER_S)

static void end_choices(void *user, const struct gyr_link_answer *answer)
{
	if (answer->status != 0)
		gyr_log_warning("the data plane does not keep what it measures: %s", answer->text);
}

/* Before any load, so that these find what is known. */
static void give_choices(struct gyr_rollout *rollout)
{
	struct gyr_link_request request = {.type = GYR_LINK_CHOICES};
	if (rollout->choices == NULL)
		return;
	int fd = open(rollout->choices, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		gyr_log_warning("%s: %s; the data plane measures at each start", rollout->choices, strerror(errno));
	else
		gyr_peer_send(rollout->peer, &request, fd, CHOICES_NS, end_choices, rollout);
}

static void end_stats(void *user, const struct gyr_link_answer *answer)
{
	struct gyr_rollout *rollout = user;
	struct gyr_stats_view *view;
	struct gyr_error error;
	int descriptor = gyr_peer_take_descriptor(rollout->peer);
	rollout->asks_for_stats = false;
	int status = answer->status;
	if (status != 0)
		gyr_error_set(&error, status, "%s", answer->text);
	else
		status = gyr_stats_view_open(descriptor, &view, &error);
	if (descriptor >= 0)
		close(descriptor);
	if (status != 0) {
		gyr_log_warning("the data plane's counters cannot be read: %s", error.text);
		return;
	}
	gyr_stats_view_close(rollout->stats);
	rollout->stats = view;
}

/* The counters of the one before are kept until these are there. */
static void ask_for_stats(struct gyr_rollout *rollout)
{
	struct gyr_link_request request = {.type = GYR_LINK_STATS};
	rollout->asks_for_stats = true;
	gyr_peer_send(rollout->peer, &request, -1, STATS_NS, end_stats, rollout);
}

static void be_up(void *user, const uint8_t *body, uint32_t bytes)
{
	struct gyr_rollout *rollout = user;
	rollout->told_absent = rollout->told_settled = false;
	if (rollout->supervisor != NULL)
		gyr_supervisor_present(rollout->supervisor, gyr_peer_pid(rollout->peer));
	rollout_take_status(rollout, body, bytes);
	ask_for_stats(rollout);
	give_choices(rollout);
	gyr_log_info("linked to the data plane (process %ld), which holds %u versions", (long)gyr_peer_pid(rollout->peer), rollout->held.version_count);
	rollout_advance(rollout);
}

static void be_down(void *user, const char *why)
{
	struct gyr_rollout *rollout = user;
	/* One that is stopped on purpose is no news. */
	bool expected = rollout->ending || (rollout->supervisor != NULL && !rollout->supervisor->enabled);
	gyr_held_clear(&rollout->held);
	rollout_forget_refusals(rollout, NULL);
	if (!expected)
		gyr_log_warning("the link to the data plane is down: %s", why);
}

static void be_absent(void *user, const char *why)
{
	struct gyr_rollout *rollout = user;
	if (rollout->supervisor != NULL) {
		gyr_supervisor_absent(rollout->supervisor);
	} else if (!rollout->told_absent) {
		rollout->told_absent = true;
		gyr_log_info("waiting for a data plane: %s", why);
	}
}

int gyr_rollout_create(struct gyr_events *events, struct gyr_work *work, struct gyr_registry *registry, const char *socket, struct gyr_supervisor *supervisor,
		       struct gyr_rollout **rollout, struct gyr_error *error)
{
	static const struct gyr_peer_handlers handlers = {.up = be_up, .down = be_down, .absent = be_absent};
	struct gyr_rollout *made = calloc(1, sizeof *made);
	if (made == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the rollout");
	made->events = events;
	made->work = work;
	made->registry = registry;
	made->supervisor = supervisor;
	gyr_budget_init(&made->budget, UINT64_MAX);
	gyr_rollout_keep_warm(made, UINT32_MAX, UINT64_MAX);
	int status = gyr_peer_create(events, socket, &handlers, made, &made->peer, error);
	if (status != 0) {
		gyr_budget_fini(&made->budget);
		free(made);
		return status;
	}
	*rollout = made;
	return 0;
}

void gyr_rollout_keep_warm(struct gyr_rollout *rollout, uint32_t versions, uint64_t bytes)
{
	rollout->warm_versions = versions;
	rollout->warm_bytes = bytes;
}

int gyr_rollout_keep_choices(struct gyr_rollout *rollout, const char *path, struct gyr_error *error)
{
	char *copy = strdup(path);
	if (copy == NULL)
		return gyr_error_set(error, -ENOMEM, "no memory for the rollout");
	free(rollout->choices);
	rollout->choices = copy;
	return 0;
}

void gyr_rollout_limit(struct gyr_rollout *rollout, uint64_t bytes)
{
	rollout->budget.limit = bytes;
}

void gyr_rollout_end(struct gyr_rollout *rollout)
{
	rollout->ending = true;
	atomic_store(&rollout->cancel, true);
}

void gyr_rollout_destroy(struct gyr_rollout *rollout)
{
	gyr_peer_destroy(rollout->peer);
	gyr_timer_cancel(rollout->events, &rollout->retry);
	gyr_timer_cancel(rollout->events, &rollout->look);
	gyr_pulse_fini(&rollout->pulse);
	while (rollout->operations != NULL)
		rollout_end_operation(rollout->operations, -ESHUTDOWN, "gyrd is ending; what was begun goes on when it starts again");
	while (rollout->faults != NULL)
		rollout_forget_fault(rollout, rollout->faults->model, rollout->faults->number);
	rollout_forget_withheld(rollout);
	rollout_forget_refusals(rollout, NULL);
	gyr_held_clear(&rollout->held);
	gyr_budget_give(&rollout->budget, rollout->share);
	gyr_budget_fini(&rollout->budget);
	gyr_stats_view_close(rollout->stats);
	free(rollout->choices);
	free(rollout);
}

static bool is_wanted(struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	struct gyr_version version;
	return gyr_registry_version(rollout->registry, model, number, &version, NULL) == 0 && version.wanted;
}

void gyr_rollout_load(struct gyr_rollout *rollout, const char *model, uint64_t number, uid_t actor, gyr_rollout_done *done, void *user)
{
	struct gyr_error error;
	bool was_wanted = is_wanted(rollout, model, number);
	int status = gyr_registry_want(rollout->registry, model, number, true, actor, &error);
	if (status != 0)
		done(user, status, error.text);
	else
		rollout_begin_operation(rollout, LOAD, model, "", number, was_wanted, done, user);
}

void gyr_rollout_unload(struct gyr_rollout *rollout, const char *model, uint64_t number, uid_t actor, gyr_rollout_done *done, void *user)
{
	struct gyr_error error;
	int status = gyr_registry_want(rollout->registry, model, number, false, actor, &error);
	if (status != 0) {
		done(user, status, error.text);
		return;
	}
	rollout_end_operations(rollout, model, number, -ECANCELED, "it is unloaded by a later call");
	rollout_forget_fault(rollout, model, number);
	rollout_begin_operation(rollout, UNLOAD, model, "", number, false, done, user);
}

void gyr_rollout_promote(struct gyr_rollout *rollout, const char *model, const char *label, uint64_t number, bool force, uid_t actor, gyr_rollout_done *done,
			 void *user)
{
	struct gyr_error error;
	bool was_wanted = is_wanted(rollout, model, number);
	int status = gyr_registry_intend(rollout->registry, model, label, number, force, actor, &error);
	if (status != 0) {
		done(user, status, error.text);
		return;
	}
	/* An earlier promotion of the same label that is not done yet will never be. */
	for (struct operation *other = rollout->operations, *next; other != NULL; other = next) {
		next = other->next;
		if (other->verb == PROMOTE && other->number != number && strcmp(other->model, model) == 0 && strcmp(other->label, label) == 0) {
			rollout_end_operation(other, -ECANCELED, "another version is promoted by a later call");
			next = rollout->operations;
		}
	}
	rollout_begin_operation(rollout, PROMOTE, model, label, number, was_wanted, done, user);
}

bool gyr_rollout_holds(const struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	const struct gyr_held_version *held = gyr_held_find(&rollout->held, model, number);
	return held != NULL && !held->foreign;
}

bool gyr_rollout_progress(const struct gyr_rollout *rollout, const char *model, uint64_t number, uint64_t *read, uint64_t *bytes)
{
	*bytes = atomic_load_explicit(&rollout->progress.bytes, memory_order_relaxed);
	*read = atomic_load_explicit(&rollout->progress.read, memory_order_relaxed);
	return rollout->stepping && rollout->loading && rollout->number == number && strcmp(rollout->model, model) == 0 && *bytes > 0;
}

bool gyr_rollout_is_settled(const struct gyr_rollout *rollout)
{
	return gyr_peer_is_up(rollout->peer) && rollout->settled && !rollout->stepping;
}

bool gyr_rollout_is_linked(const struct gyr_rollout *rollout)
{
	return gyr_peer_is_up(rollout->peer) && !rollout->asks_for_stats;
}

const struct gyr_stats_view *gyr_rollout_stats(const struct gyr_rollout *rollout)
{
	return rollout->stats;
}

const struct gyr_held_route *gyr_rollout_route(const struct gyr_rollout *rollout, const char *model)
{
	for (uint32_t i = 0; i < rollout->held.route_count; i++)
		if (strcmp(rollout->held.routes[i].model, model) == 0)
			return &rollout->held.routes[i];
	return NULL;
}

struct gyr_peer *gyr_rollout_peer(struct gyr_rollout *rollout)
{
	return rollout->peer;
}

const char *gyr_rollout_fault(const struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	struct fault *fault = rollout_find_fault(rollout, model, number);
	return fault == NULL ? NULL : fault->text;
}
