/*
 * What stays loaded without a label. A version that labels have moved away from is kept, so that the way back is one route table: the latest of each model up
 * to a number, and of all models up to so many bytes, the latest first. Which was the latest is in the audit, whose newest row on a version tells too whether
 * somebody has loaded it since, by name: then it stays until it is unloaded by name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/log.h"
#include "control/rollout/rollout_internal.h"

enum fate { UNKNOWN, KEPT, RETIRED };

struct loaded {
	char model[GYR_NAME_BYTES];
	uint64_t number, bytes;
	bool labelled, warm;
	enum fate fate;
};

struct survey {
	struct gyr_rollout *rollout;
	uint32_t count, unknown;
	struct loaded *versions;
	uint64_t warm_bytes;
};

static bool note_version(void *user, const struct gyr_version *version)
{
	struct survey *survey = user;
	struct loaded *grown = reallocarray(survey->versions, survey->count + 1, sizeof *grown);
	GYR_ASSERT(grown != NULL);
	survey->versions = grown;
	struct loaded *loaded = &grown[survey->count++];
	*loaded = (struct loaded){.number = version->number, .bytes = version->bytes};
	memcpy(loaded->model, version->model, sizeof loaded->model);
	return true;
}

static struct loaded *find(const struct survey *survey, const char *model, uint64_t number)
{
	for (uint32_t i = 0; i < survey->count; i++)
		if (survey->versions[i].number == number && strcmp(survey->versions[i].model, model) == 0)
			return &survey->versions[i];
	return NULL;
}

static bool note_label(void *user, const struct gyr_label *label)
{
	const uint64_t numbers[] = {label->version, label->intended};
	for (size_t i = 0; i < 2; i++) {
		struct loaded *loaded = find(user, label->model, numbers[i]);
		if (loaded != NULL)
			loaded->labelled = true;
	}
	return true;
}

static uint32_t warm_count(const struct survey *survey, const char *model)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < survey->count; i++)
		count += survey->versions[i].warm && strcmp(survey->versions[i].model, model) == 0;
	return count;
}

/* The newest rows come first: the first of a version decides. */
static bool judge(void *user, const struct gyr_audit *row)
{
	struct survey *survey = user;
	const struct gyr_rollout *rollout = survey->rollout;
	bool promoted = strcmp(row->action, GYR_AUDIT_PROMOTED) == 0;
	if (!promoted && strcmp(row->action, GYR_AUDIT_LOAD) != 0)
		return true;
	struct loaded *loaded = find(survey, row->model, row->version);
	if (loaded == NULL || loaded->labelled || loaded->fate != UNKNOWN)
		return true;
	loaded->warm = promoted && warm_count(survey, loaded->model) < rollout->warm_versions && survey->warm_bytes + loaded->bytes <= rollout->warm_bytes;
	survey->warm_bytes += loaded->warm ? loaded->bytes : 0;
	loaded->fate = promoted && !loaded->warm ? RETIRED : KEPT;
	return --survey->unknown > 0;
}

void rollout_retire(struct gyr_rollout *rollout)
{
	struct survey survey = {.rollout = rollout};
	struct gyr_error error;
	int status = gyr_registry_each_version(rollout->registry, NULL, true, note_version, &survey, &error);
	if (status == 0)
		status = gyr_registry_each_label(rollout->registry, NULL, note_label, &survey, &error);
	for (uint32_t i = 0; i < survey.count; i++)
		survey.unknown += !survey.versions[i].labelled;
	if (status == 0 && survey.unknown > 0)
		status = gyr_registry_each_audit(rollout->registry, NULL, judge, &survey, &error);
	for (uint32_t i = 0; status == 0 && i < survey.count; i++) {
		const struct loaded *loaded = &survey.versions[i];
		if (loaded->fate != RETIRED || rollout_is_awaited(rollout, loaded->model, loaded->number))
			continue;
		gyr_log_info("%s version %llu served before and is not kept warm any more", loaded->model, (unsigned long long)loaded->number);
		status = gyr_registry_want(rollout->registry, loaded->model, loaded->number, false, getuid(), &error);
	}
	free(survey.versions);
	/* Until the next promotion more is loaded than need be. */
	if (status != 0)
		gyr_log_warning("versions that served before cannot be unloaded: %s", error.text);
}
