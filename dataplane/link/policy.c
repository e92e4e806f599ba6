#include "dataplane/link/policy.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define AT(member) offsetof(struct gyr_link_policy, member)

const struct gyr_link_setting gyr_link_settings[GYR_LINK_SETTINGS] = {
	{"weight", 1, GYR_LINK_WEIGHT_MAX, 1, AT(weight)},
	{"priority", 0, GYR_LINK_PRIORITIES - 1, GYR_LINK_PRIORITIES / 2, AT(priority)},
	{"queue_limit", 0, 65536, 0, AT(queue_limit)},
	{"max_delay_us", 0, 100000, 0, AT(max_delay_us)},
};

static void put(struct gyr_link_policy *policy, uint32_t index, uint32_t value)
{
	memcpy((char *)policy + gyr_link_settings[index].offset, &value, sizeof value);
}

uint32_t gyr_link_policy_get(const struct gyr_link_policy *policy, uint32_t index)
{
	uint32_t value;
	memcpy(&value, (const char *)policy + gyr_link_settings[index].offset, sizeof value);
	return value;
}

struct gyr_link_policy gyr_link_policy_default(void)
{
	struct gyr_link_policy policy;
	for (uint32_t i = 0; i < GYR_LINK_SETTINGS; i++)
		put(&policy, i, gyr_link_settings[i].otherwise);
	return policy;
}

int gyr_link_policy_set(struct gyr_link_policy *policy, const char *name, uint64_t value, struct gyr_error *error)
{
	char names[128];
	size_t used = 0;
	for (uint32_t i = 0; i < GYR_LINK_SETTINGS; i++) {
		const struct gyr_link_setting *setting = &gyr_link_settings[i];
		if (strcmp(setting->name, name) == 0) {
			if (value < setting->least || value > setting->most)
				return gyr_error_set(error, -EINVAL, "%s=%llu: expected %u to %u", name, (unsigned long long)value, setting->least,
						     setting->most);
			put(policy, i, (uint32_t)value);
			return 0;
		}
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ", setting->name);
	}
	return gyr_error_set(error, -EINVAL, "a model has no setting \"%.64s\", only %s", name, names);
}

bool gyr_link_policy_is_same(const struct gyr_link_policy *a, const struct gyr_link_policy *b)
{
	bool same = true;
	for (uint32_t i = 0; i < GYR_LINK_SETTINGS; i++)
		same = same && gyr_link_policy_get(a, i) == gyr_link_policy_get(b, i);
	return same;
}
