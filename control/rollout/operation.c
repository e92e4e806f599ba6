/* Who waits for what, and why a version is not held. */
#include "control/rollout/rollout_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/clock.h"
#include "base/log.h"

#define OPERATION_NS (60 * GYR_NS_PER_S)
#define RETRY_MAX_NS (60 * GYR_NS_PER_S)

struct fault *rollout_find_fault(const struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	struct fault *fault = rollout->faults;
	while (fault != NULL && (fault->number != number || strcmp(fault->model, model) != 0))
		fault = fault->next;
	return fault;
}

void rollout_forget_fault(struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	for (struct fault **at = &rollout->faults; *at != NULL; at = &(*at)->next) {
		struct fault *fault = *at;
		if (fault->number != number || strcmp(fault->model, model) != 0)
			continue;
		*at = fault->next;
		free(fault);
		return;
	}
}

void rollout_note_fault(struct gyr_rollout *rollout, const char *model, uint64_t number, const char *text)
{
	struct fault *fault = rollout_find_fault(rollout, model, number);
	if (fault == NULL) {
		fault = calloc(1, sizeof *fault);
		GYR_ASSERT(fault != NULL);
		snprintf(fault->model, sizeof fault->model, "%s", model);
		fault->number = number;
		fault->next = rollout->faults;
		rollout->faults = fault;
	}
	fault->pause_ns = fault->pause_ns == 0 ? ROLLOUT_RETRY_NS : fault->pause_ns * 2 > RETRY_MAX_NS ? RETRY_MAX_NS : fault->pause_ns * 2;
	fault->due_ns = gyr_clock_ns() + fault->pause_ns;
	snprintf(fault->text, sizeof fault->text, "%s", text);
}

void rollout_end_operation(struct operation *operation, int status, const char *text)
{
	struct operation **at = &operation->rollout->operations;
	while (*at != operation)
		at = &(*at)->next;
	*at = operation->next;
	gyr_timer_cancel(operation->rollout->events, &operation->limit);
	operation->done(operation->user, status, text);
	free(operation);
}

void rollout_end_operations(struct gyr_rollout *rollout, const char *model, uint64_t number, int status, const char *text)
{
	struct operation *operation = rollout->operations;
	while (operation != NULL) {
		if (operation->number == number && strcmp(operation->model, model) == 0) {
			rollout_end_operation(operation, status, text);
			/* DONE may have changed the list. */
			operation = rollout->operations;
		} else {
			operation = operation->next;
		}
	}
}

void rollout_end_settings(struct gyr_rollout *rollout, const char *model, int status, const char *text)
{
	for (struct operation *operation = rollout->operations, *next; operation != NULL; operation = next) {
		next = operation->next;
		if (operation->verb != SET || strcmp(operation->model, model) != 0)
			continue;
		rollout_end_operation(operation, status, text);
		next = rollout->operations;
	}
}

bool rollout_is_awaited(const struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	for (const struct operation *operation = rollout->operations; operation != NULL; operation = operation->next)
		if (operation->verb != UNLOAD && operation->number == number && strcmp(operation->model, model) == 0)
			return true;
	return false;
}

bool rollout_was_wanted(const struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	bool was = false;
	/* The last of the list came first. */
	for (const struct operation *operation = rollout->operations; operation != NULL; operation = operation->next)
		if (operation->verb != UNLOAD && operation->number == number && strcmp(operation->model, model) == 0)
			was = operation->was_wanted;
	return was;
}

struct intended {
	uint64_t number;
	uint32_t count;
	struct gyr_label labels[GYR_LABELS_MAX];
};

static bool note_intended(void *user, const struct gyr_label *label)
{
	struct intended *intended = user;
	if (label->intended == intended->number && intended->count < GYR_LABELS_MAX)
		intended->labels[intended->count++] = *label;
	return true;
}

bool rollout_take_back(struct gyr_rollout *rollout, const char *model, uint64_t number, const char *why)
{
	struct gyr_error error;
	struct intended intended = {.number = number};
	bool waited = rollout_is_awaited(rollout, model, number);
	int status = gyr_registry_each_label(rollout->registry, model, note_intended, &intended, &error);
	for (uint32_t i = 0; status == 0 && i < intended.count; i++)
		status = gyr_registry_withdraw(rollout->registry, model, intended.labels[i].name, why, &error);
	/* One that is held already, or was to be, was not brought by what failed. */
	if (status == 0 && (waited || intended.count > 0) && !rollout_was_wanted(rollout, model, number) && !gyr_rollout_holds(rollout, model, number)) {
		status = gyr_registry_want(rollout->registry, model, number, false, getuid(), &error);
		if (status == -EBUSY) /* it served before, and goes on */
			status = 0;
	}
	if (status != 0)
		gyr_log_error("%s version %llu: what was intended cannot be taken back: %s", model, (unsigned long long)number, error.text);
	return waited || intended.count > 0;
}

void rollout_fail_version(struct gyr_rollout *rollout, const char *model, uint64_t number, int status, const char *text)
{
	if (rollout_take_back(rollout, model, number, text)) {
		gyr_log_warning("%s version %llu: %s", model, (unsigned long long)number, text);
		rollout_forget_fault(rollout, model, number);
		rollout_end_operations(rollout, model, number, status, text);
		return;
	}
	rollout_note_fault(rollout, model, number, text);
	uint64_t pause_ns = rollout_find_fault(rollout, model, number)->pause_ns;
	gyr_log_error("%s version %llu is wanted and cannot be loaded: %s; trying again in %llu s", model, (unsigned long long)number, text,
		      (unsigned long long)(pause_ns / GYR_NS_PER_S));
	rollout_retry_in(rollout, pause_ns);
}

static void be_over(void *user)
{
	struct operation *operation = user;
	struct gyr_rollout *rollout = operation->rollout;
	char model[GYR_NAME_BYTES], text[640];
	uint64_t number = operation->number;
	memcpy(model, operation->model, sizeof model);
	if (operation->verb == SET) {
		rollout_end_operation(operation, -ETIMEDOUT, "it is written, but the data plane has not taken it yet; it will as soon as it can");
		return;
	}
	if (operation->verb == UNLOAD) {
		rollout_end_operation(operation, -ETIMEDOUT, "the data plane has not unloaded it yet; it will as soon as it can");
		return;
	}
	snprintf(text, sizeof text, "given up after %d s: the data plane %s", (int)(OPERATION_NS / GYR_NS_PER_S),
		 gyr_peer_is_up(rollout->peer) ? "has not done it"
		 : rollout->supervisor == NULL ? "is not running"
					       : rollout->supervisor->said);
	rollout_take_back(rollout, model, number, text);
	rollout_end_operations(rollout, model, number, -ETIMEDOUT, text);
	rollout_advance(rollout);
}

void rollout_settle_operations(struct gyr_rollout *rollout)
{
	struct operation *operation = rollout->operations;
	while (operation != NULL) {
		struct gyr_label label;
		bool held = gyr_rollout_holds(rollout, operation->model, operation->number);
		bool so = operation->verb == UNLOAD ? gyr_peer_is_up(rollout->peer) && !held : held;
		if (operation->verb == PROMOTE)
			so = gyr_registry_label(rollout->registry, operation->model, operation->label, &label, NULL) == 0 && label.intended == 0 &&
			     label.version == operation->number;
		if (operation->verb == SET)
			so = rollout_has_policy(rollout, operation->model);
		if (so) {
			rollout_end_operation(operation, 0, "");
			operation = rollout->operations;
		} else {
			operation = operation->next;
		}
	}
}

void rollout_begin_operation(struct gyr_rollout *rollout, enum verb verb, const char *model, const char *label, uint64_t number, bool was_wanted,
			     gyr_rollout_done *done, void *user)
{
	struct operation *operation = calloc(1, sizeof *operation);
	GYR_ASSERT(operation != NULL);
	*operation = (struct operation){
		.verb = verb, .number = number, .was_wanted = was_wanted, .done = done, .user = user, .rollout = rollout, .next = rollout->operations};
	snprintf(operation->model, sizeof operation->model, "%s", model);
	snprintf(operation->label, sizeof operation->label, "%s", label);
	rollout->operations = operation;
	gyr_timer_start(rollout->events, &operation->limit, OPERATION_NS, be_over, operation);
	rollout_advance(rollout);
}
