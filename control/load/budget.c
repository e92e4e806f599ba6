#include "control/load/budget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assertion.h"

#define MIB (UINT64_C(1) << 20)

void gyr_budget_init(struct gyr_budget *budget, uint64_t limit)
{
	*budget = (struct gyr_budget){.limit = limit};
	pthread_mutex_init(&budget->lock, NULL);
}

void gyr_budget_fini(struct gyr_budget *budget)
{
	gyr_budget_forget_held(budget);
	GYR_ASSERT(budget->shares == NULL);
	pthread_mutex_destroy(&budget->lock);
}

/* Under the lock. */
static struct gyr_budget_share *add(struct gyr_budget *budget, const char *name, uint64_t bytes, bool held)
{
	struct gyr_budget_share *share = calloc(1, sizeof *share);
	if (share == NULL)
		return NULL;
	snprintf(share->name, sizeof share->name, "%s", name);
	share->bytes = bytes;
	share->held = held;
	share->next = budget->shares;
	budget->shares = share;
	budget->taken += bytes;
	return share;
}

/* Takes the share that *AT points at out of the list. Under the lock. */
static void drop(struct gyr_budget *budget, struct gyr_budget_share **at)
{
	struct gyr_budget_share *share = *at;
	*at = share->next;
	budget->taken -= share->bytes;
	free(share);
}

/* Sizes are rounded up, so that none is 0. */
static unsigned long long in_mib(uint64_t bytes)
{
	return (unsigned long long)((bytes + MIB - 1) / MIB);
}

static int refuse(const struct gyr_budget *budget, const char *name, uint64_t bytes, struct gyr_error *error)
{
	char who[256] = "nobody";
	size_t used = 0;
	for (const struct gyr_budget_share *share = budget->shares; share != NULL && used < sizeof who; share = share->next)
		used += (size_t)snprintf(who + used, sizeof who - used, "%s%s %llu", used == 0 ? "" : ", ", share->name, in_mib(share->bytes));
	return gyr_error_set(error, -ENOSPC, "%s needs %llu MiB, and of the %llu MiB for models %llu are taken (%s): unload something, or raise gyrd.models_mb",
			     name, in_mib(bytes), in_mib(budget->limit), in_mib(budget->taken), who);
}

int gyr_budget_take(struct gyr_budget *budget, const char *name, uint64_t bytes, struct gyr_budget_share **share, struct gyr_error *error)
{
	int status = 0;
	*share = NULL;
	pthread_mutex_lock(&budget->lock);
	if (budget->taken > budget->limit || bytes > budget->limit - budget->taken)
		status = refuse(budget, name, bytes, error);
	else if ((*share = add(budget, name, bytes, false)) == NULL)
		status = gyr_error_set(error, -ENOMEM, "no memory for the list of what is loaded");
	pthread_mutex_unlock(&budget->lock);
	return status;
}

void gyr_budget_give(struct gyr_budget *budget, struct gyr_budget_share *share)
{
	if (share == NULL)
		return;
	pthread_mutex_lock(&budget->lock);
	struct gyr_budget_share **at = &budget->shares;
	while (*at != share)
		at = &(*at)->next;
	drop(budget, at);
	pthread_mutex_unlock(&budget->lock);
}

void gyr_budget_forget_held(struct gyr_budget *budget)
{
	pthread_mutex_lock(&budget->lock);
	for (struct gyr_budget_share **at = &budget->shares; *at != NULL;) {
		if ((*at)->held)
			drop(budget, at);
		else
			at = &(*at)->next;
	}
	pthread_mutex_unlock(&budget->lock);
}

int gyr_budget_note_held(struct gyr_budget *budget, const char *name, uint64_t bytes)
{
	pthread_mutex_lock(&budget->lock);
	bool noted = add(budget, name, bytes, true) != NULL;
	pthread_mutex_unlock(&budget->lock);
	return noted ? 0 : -ENOMEM;
}
