/*
 * What a label is routed to when it cannot be what the registry says.
 *
 * Stand-ins: a label's version that cannot be loaded (its file is damaged) is stood in for by the version with the same signature that the label pointed at
 * last and that can be. The label itself stays: once its version can be loaded again, it is routed to that.
 *
 * Withheld: a label that was routed as intended, which then could not be written down (a full disk). Who waits is told so, the label is routed as before, and
 * the intention is taken back as soon as that can be written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/log.h"
#include "control/rollout/rollout_internal.h"

struct withheld {
	char model[GYR_NAME_BYTES], label[GYR_NAME_BYTES];
	uint64_t number;
	bool was_wanted;
	struct withheld *next;
};

struct choice {
	struct gyr_rollout *rollout;
	const struct gyr_label *label;
	char *signature;
	uint64_t number; /* 0: none */
};

static bool choose_former(void *user, uint64_t number)
{
	struct choice *choice = user;
	const char *model = choice->label->model;
	struct gyr_version version;
	if (number == choice->label->version || gyr_registry_version(choice->rollout->registry, model, number, &version, NULL) != 0)
		return true;
	bool usable = gyr_rollout_holds(choice->rollout, model, number) || rollout_find_fault(choice->rollout, model, number) == NULL;
	if (!usable || strcmp(version.signature, choice->signature) != 0)
		return true;
	choice->number = number;
	return false;
}

static uint64_t find_stand_in(struct gyr_rollout *rollout, const struct gyr_label *label)
{
	struct gyr_version version;
	struct choice choice = {.rollout = rollout, .label = label};
	struct gyr_error error;
	if (label->version == 0 || gyr_rollout_holds(rollout, label->model, label->version) ||
	    rollout_find_fault(rollout, label->model, label->version) == NULL ||
	    gyr_registry_version(rollout->registry, label->model, label->version, &version, NULL) != 0)
		return 0;
	choice.signature = strdup(version.signature);
	GYR_ASSERT(choice.signature != NULL);
	if (gyr_registry_each_former(rollout->registry, label->model, label->name, choose_former, &choice, &error) != 0)
		gyr_log_error("%s", error.text);
	free(choice.signature);
	return choice.number;
}

static struct withheld *find_withheld(const struct gyr_rollout *rollout, const struct gyr_label *label)
{
	struct withheld *withheld = rollout->withheld;
	while (withheld != NULL &&
	       (withheld->number != label->intended || strcmp(withheld->label, label->name) != 0 || strcmp(withheld->model, label->model) != 0))
		withheld = withheld->next;
	return withheld;
}

uint64_t rollout_target(struct gyr_rollout *rollout, const struct gyr_label *label)
{
	/* A version that is not held (0 never is) is left out until it is. */
	if (gyr_rollout_holds(rollout, label->model, label->intended) && find_withheld(rollout, label) == NULL)
		return label->intended;
	uint64_t number = gyr_rollout_holds(rollout, label->model, label->version) ? label->version : find_stand_in(rollout, label);
	return gyr_rollout_holds(rollout, label->model, number) ? number : 0;
}

struct search {
	struct gyr_rollout *rollout;
	const char *model;
	uint64_t number;
	bool found;
	struct gyr_version *version;
};

static bool is_to_be_loaded(void *user, const struct gyr_label *label)
{
	struct search *search = user;
	uint64_t number = find_stand_in(search->rollout, label);
	if (number == 0 || gyr_rollout_holds(search->rollout, label->model, number))
		return true;
	search->found = gyr_registry_version(search->rollout->registry, label->model, number, search->version, NULL) == 0;
	if (search->found)
		gyr_log_warning("%s: \"%s\" is served by version %llu until version %llu can be loaded", label->model, label->name, (unsigned long long)number,
				(unsigned long long)label->version);
	return !search->found;
}

bool rollout_stand_in_to_load(struct gyr_rollout *rollout, struct gyr_version *version)
{
	struct search search = {.rollout = rollout, .version = version};
	struct gyr_error error;
	if (rollout->faults == NULL)
		return false;
	if (gyr_registry_each_label(rollout->registry, NULL, is_to_be_loaded, &search, &error) != 0)
		gyr_log_error("%s", error.text);
	return search.found;
}

static bool is_the_one(void *user, const struct gyr_label *label)
{
	struct search *search = user;
	search->found = find_stand_in(search->rollout, label) == search->number;
	return !search->found;
}

bool rollout_is_stand_in(struct gyr_rollout *rollout, const char *model, uint64_t number)
{
	struct search search = {.rollout = rollout, .number = number};
	struct gyr_error error;
	/* What cannot be found out is kept. */
	return rollout->faults != NULL && (gyr_registry_each_label(rollout->registry, model, is_the_one, &search, &error) != 0 || search.found);
}

void rollout_withhold(struct gyr_rollout *rollout, const struct gyr_label *label, int status, const char *text)
{
	struct withheld *withheld = calloc(1, sizeof *withheld);
	GYR_ASSERT(withheld != NULL);
	memcpy(withheld->model, label->model, sizeof withheld->model);
	memcpy(withheld->label, label->name, sizeof withheld->label);
	withheld->number = label->intended;
	withheld->was_wanted = rollout_was_wanted(rollout, label->model, label->intended);
	withheld->next = rollout->withheld;
	rollout->withheld = withheld;
	rollout_end_operations(rollout, withheld->model, withheld->number, status, text);
}

static void forget_withheld(struct gyr_rollout *rollout, struct withheld *withheld)
{
	struct withheld **at = &rollout->withheld;
	while (*at != withheld)
		at = &(*at)->next;
	*at = withheld->next;
	free(withheld);
}

/* -EBUSY of a version that another label points at is as good as done. */
static int take_back(struct gyr_rollout *rollout, const struct withheld *withheld, struct gyr_error *error)
{
	struct gyr_label label;
	int status = gyr_registry_label(rollout->registry, withheld->model, withheld->label, &label, error);
	if (status == 0 && label.intended == withheld->number)
		status = gyr_registry_withdraw(rollout->registry, withheld->model, withheld->label, "it could not be written down", error);
	if ((status == 0 || status == -ENOENT) && !withheld->was_wanted)
		status = gyr_registry_want(rollout->registry, withheld->model, withheld->number, false, getuid(), error);
	return status == -EBUSY || status == -ENOENT ? 0 : status;
}

int rollout_take_back_withheld(struct gyr_rollout *rollout, struct gyr_error *error)
{
	for (struct withheld *withheld = rollout->withheld, *next; withheld != NULL; withheld = next) {
		next = withheld->next;
		/* Somebody may have asked for the same again, and had it written. */
		int status = rollout_is_awaited(rollout, withheld->model, withheld->number) ? 0 : take_back(rollout, withheld, error);
		if (status != 0)
			return status;
		forget_withheld(rollout, withheld);
	}
	return 0;
}

void rollout_forget_withheld(struct gyr_rollout *rollout)
{
	while (rollout->withheld != NULL)
		forget_withheld(rollout, rollout->withheld);
}
