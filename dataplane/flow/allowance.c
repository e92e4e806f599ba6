#include "dataplane/flow/allowance.h"

#include <stdlib.h>

#define MILLION 1000000u

struct debtor {
	uint64_t client, paid; /* when it will owe nothing; 0: nobody's place */
};

struct gyr_allowances {
	uint32_t parts_per_million;
	uint64_t span, salt;
	struct debtor debtors[GYR_ALLOWANCE_SETS][GYR_ALLOWANCE_WAYS];
};

struct gyr_allowances *gyr_allowances_create(uint32_t parts_per_million, uint64_t span, uint64_t salt)
{
	struct gyr_allowances *allowances = calloc(1, sizeof *allowances);
	if (allowances == NULL)
		return NULL;
	allowances->parts_per_million = parts_per_million;
	allowances->span = span;
	allowances->salt = salt;
	return allowances;
}

void gyr_allowances_destroy(struct gyr_allowances *allowances)
{
	free(allowances);
}

/* Which set CLIENT belongs to. */
static uint64_t set_of(const struct gyr_allowances *allowances, uint64_t client)
{
	uint64_t hash = (client ^ allowances->salt) * UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ (hash >> 32) ^ allowances->salt) * UINT64_C(0xd6e8feb86659fd93);
	return (hash >> 32) % GYR_ALLOWANCE_SETS;
}

/* How long after NOW the time AT is; 0 when it is not. */
static uint64_t after(uint64_t at, uint64_t now)
{
	return at > now ? at - now : 0;
}

uint64_t gyr_allowances_wait(const struct gyr_allowances *allowances, uint64_t client, uint64_t now)
{
	const struct debtor *set = allowances->debtors[set_of(allowances, client)];
	for (uint32_t i = 0; i < GYR_ALLOWANCE_WAYS; i++)
		if (set[i].client == client)
			return after(after(set[i].paid, now), allowances->span);
	return 0;
}

void gyr_allowances_charge(struct gyr_allowances *allowances, uint64_t client, uint64_t used, uint64_t now)
{
	struct debtor *set = allowances->debtors[set_of(allowances, client)], *place = set;
	for (uint32_t i = 0; i < GYR_ALLOWANCE_WAYS; i++) {
		if (set[i].client == client && set[i].paid != 0) {
			place = &set[i];
			break;
		}
		if (set[i].paid < place->paid)
			place = &set[i];
	}
	if (place->client != client || place->paid < now)
		*place = (struct debtor){.client = client, .paid = now};
	place->paid += used * MILLION / allowances->parts_per_million;
}
