/* The settings of models: written in the registry first, then given to the data plane with the versions that it holds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/log.h"
#include "control/rollout/rollout_internal.h"

#define POLICY_NS (10 * GYR_NS_PER_S)

struct collected {
	struct gyr_link_policy policy;
	const char *model;
};

static bool take_setting(void *user, const struct gyr_setting *setting)
{
	struct collected *collected = user;
	struct gyr_error error;
	/* One of a later Gyr's, or with a value of one: left as it is by default. */
	if (gyr_link_policy_set(&collected->policy, setting->name, setting->value, &error) != 0)
		gyr_log_warning("model %s: %s", collected->model, error.text);
	return true;
}

int gyr_rollout_policy(struct gyr_rollout *rollout, const char *model, struct gyr_link_policy *policy, struct gyr_error *error)
{
	struct collected collected = {.policy = gyr_link_policy_default(), .model = model};
	int status = gyr_registry_each_setting(rollout->registry, model, take_setting, &collected, error);
	*policy = collected.policy;
	return status;
}

void gyr_rollout_set(struct gyr_rollout *rollout, const char *model, const struct gyr_setting *settings, uint32_t count, uid_t actor, gyr_rollout_done *done,
		     void *user)
{
	struct gyr_error error;
	struct gyr_link_policy policy = gyr_link_policy_default();
	int status = 0;
	for (uint32_t i = 0; status == 0 && i < count; i++)
		status = gyr_link_policy_set(&policy, settings[i].name, settings[i].value, &error);
	if (status == 0)
		status = gyr_registry_set(rollout->registry, model, settings, count, actor, &error);
	if (status != 0) {
		done(user, status, error.text);
		return;
	}
	rollout_forget_refusals(rollout, model);
	rollout_begin_operation(rollout, SET, model, "", 0, false, done, user);
}

bool rollout_has_policy(struct gyr_rollout *rollout, const char *model)
{
	struct gyr_link_policy wanted;
	struct gyr_error error;
	if (!gyr_held_any(&rollout->held, model))
		return true;
	const struct gyr_held_route *held = gyr_held_route(&rollout->held, model);
	GYR_ASSERT(held != NULL);
	/* What cannot be found out is left as it is. */
	return gyr_rollout_policy(rollout, model, &wanted, &error) != 0 || gyr_link_policy_is_same(&wanted, &held->policy);
}

void rollout_forget_refusals(struct gyr_rollout *rollout, const char *model)
{
	for (struct refusal **at = &rollout->refusals, *one; (one = *at) != NULL;) {
		if (model != NULL && strcmp(one->model, model) != 0) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		free(one);
	}
}

static bool is_refused(const struct gyr_rollout *rollout, const char *model, const struct gyr_link_policy *policy)
{
	for (const struct refusal *one = rollout->refusals; one != NULL; one = one->next)
		if (strcmp(one->model, model) == 0)
			return gyr_link_policy_is_same(&one->policy, policy);
	return false;
}

/* POLICY of MODEL is refused. The last that was is the last to be due again. */
static void note_refused(struct gyr_rollout *rollout, const char *model, const struct gyr_link_policy *policy)
{
	struct refusal *noted = calloc(1, sizeof *noted), **last = &rollout->refusals;
	GYR_ASSERT(noted != NULL);
	rollout_forget_refusals(rollout, model);
	snprintf(noted->model, sizeof noted->model, "%s", model);
	noted->policy = *policy;
	noted->due_ns = gyr_clock_ns() + ROLLOUT_RETRY_NS;
	while (*last != NULL)
		last = &(*last)->next;
	*last = noted;
}

static void end_policy(void *user, const struct gyr_link_answer *answer)
{
	struct gyr_rollout *rollout = user;
	const struct gyr_link_request *request = &rollout->route;
	struct gyr_link_policy policy = gyr_link_policy_default();
	for (uint32_t i = 0; i < request->label_count; i++) {
		int status = gyr_link_policy_set(&policy, request->labels[i].name, request->labels[i].version, NULL);
		GYR_ASSERT(status == 0);
	}
	if (answer->status == 0) {
		rollout->stepping = false;
		struct gyr_held_route *held = gyr_held_route(&rollout->held, request->model);
		GYR_ASSERT(held != NULL);
		held->policy = policy;
		rollout_forget_refusals(rollout, request->model);
		rollout_advance(rollout);
		return;
	}
	if (answer->status != -ENOTCONN && answer->status != -ECONNRESET && answer->status != -ETIMEDOUT) {
		if (!is_refused(rollout, request->model, &policy))
			gyr_log_error("%s: the data plane refuses its settings: %s; trying again every %llu s", request->model, answer->text,
				      (unsigned long long)(ROLLOUT_RETRY_NS / GYR_NS_PER_S));
		note_refused(rollout, request->model, &policy);
		rollout_end_settings(rollout, request->model, answer->status, answer->text);
	}
	rollout_refresh(rollout);
}

/* Gives MODEL its settings, where they differ, and were refused before or not. True: that is under way. */
static bool give(struct gyr_rollout *rollout, const char *model, bool refused)
{
	struct gyr_link_policy wanted;
	struct gyr_error error;
	if (rollout_has_policy(rollout, model) || gyr_rollout_policy(rollout, model, &wanted, &error) != 0 || is_refused(rollout, model, &wanted) != refused)
		return false;
	rollout->stepping = true;
	rollout->route = (struct gyr_link_request){.type = GYR_LINK_POLICY, .label_count = GYR_LINK_SETTINGS};
	snprintf(rollout->route.model, sizeof rollout->route.model, "%s", model);
	for (uint32_t s = 0; s < GYR_LINK_SETTINGS; s++) {
		snprintf(rollout->route.labels[s].name, sizeof rollout->route.labels[s].name, "%s", gyr_link_settings[s].name);
		rollout->route.labels[s].version = gyr_link_policy_get(&wanted, s);
	}
	gyr_peer_send(rollout->peer, &rollout->route, -1, POLICY_NS, end_policy, rollout);
	return true;
}

bool rollout_step_policy(struct gyr_rollout *rollout)
{
	for (uint32_t i = 0; i < rollout->held.version_count; i++)
		if (give(rollout, rollout->held.versions[i].model, false))
			return true;
	return false;
}

bool rollout_step_refused(struct gyr_rollout *rollout)
{
	uint64_t now_ns = gyr_clock_ns();
	for (const struct refusal *one = rollout->refusals; one != NULL; one = one->next) {
		if (one->due_ns > now_ns) {
			rollout_retry_in(rollout, one->due_ns - now_ns);
			return true;
		}
		if (give(rollout, one->model, true))
			return true;
	}
	return false;
}
