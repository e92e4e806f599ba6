/*
 * What the data plane held when it was linked has been read by an earlier gyrd. Its files are read again, one after another, when nothing else is left to be
 * done: the version that is served is not touched by what is found, but it is told before a start needs the file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/rollout/check.h"
#include "control/rollout/rollout_internal.h"

static struct gyr_held_version *find_unchecked(struct gyr_rollout *rollout)
{
	for (uint32_t i = 0; i < rollout->held.version_count; i++)
		if (!rollout->held.versions[i].checked && !rollout->held.versions[i].foreign)
			return &rollout->held.versions[i];
	return NULL;
}

void rollout_mark_checked(struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	for (uint32_t i = 0; i < rollout->held.version_count; i++)
		if (rollout->held.versions[i].number == number && strcmp(rollout->held.versions[i].model, model) == 0)
			rollout->held.versions[i].checked = true;
}

static void end_check(void *user, int status, const char *text)
{
	struct gyr_rollout *rollout = user;
	rollout->checking = false;
	if (rollout->ending)
		return;
	rollout_mark_checked(rollout, rollout->checked_model, rollout->checked_number);
	if (status != 0 && status != -ENOMEM && gyr_rollout_holds(rollout, rollout->checked_model, rollout->checked_number)) {
		gyr_log_error("%s version %llu serves on, but could not be loaded again: %s; importing the same bundle again mends it", rollout->checked_model,
			      (unsigned long long)rollout->checked_number, text);
		rollout_note_fault(rollout, rollout->checked_model, rollout->checked_number, text);
	}
	rollout_check_adopted(rollout);
}

void rollout_check_adopted(struct gyr_rollout *rollout)
{
	struct gyr_version version;
	struct gyr_held_version *held = rollout->checking || rollout->ending ? NULL : find_unchecked(rollout);
	if (held == NULL)
		return;
	held->checked = true;
	if (gyr_registry_version(rollout->registry, held->model, held->number, &version, NULL) != 0)
		return;
	rollout->checking = true;
	rollout->checked_number = held->number;
	snprintf(rollout->checked_model, sizeof rollout->checked_model, "%s", held->model);
	gyr_check_start(rollout->work, gyr_registry_blobs(rollout->registry), version.id, end_check, rollout);
}
