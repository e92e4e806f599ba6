/*
 * How a model's requests are treated beside those of others: the settings that an operator gives a model, their names, ranges and defaults, the same for both
 * ends of the link.
 */
#ifndef GYR_DATAPLANE_LINK_POLICY_H
#define GYR_DATAPLANE_LINK_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct gyr_link_policy {
	uint32_t weight;       /* its part of the engines' time against other models of its priority */
	uint32_t priority;     /* it comes before all models of lesser priority, however long those wait */
	uint32_t queue_limit;  /* requests that may wait for one engine lcore; 0: as many as the lcore has room for */
	uint32_t max_delay_us; /* how long a request may wait for others to be computed with */
};

#define GYR_LINK_SETTINGS 4u
#define GYR_LINK_WEIGHT_MAX 1000u
#define GYR_LINK_PRIORITIES 8u

extern const struct gyr_link_setting {
	const char *name;
	uint32_t least, most, otherwise;
	uint32_t offset; /* in struct gyr_link_policy */
} gyr_link_settings[GYR_LINK_SETTINGS];

/* Every setting as it is when nobody has said anything. */
struct gyr_link_policy gyr_link_policy_default(void);

/* Sets what NAME names to VALUE. -EINVAL: no such setting, or a value out of its range; the message says what would be accepted. */
GYR_MUST_CHECK int gyr_link_policy_set(struct gyr_link_policy *policy, const char *name, uint64_t value, struct gyr_error *error);

/* What the setting of INDEX is. */
uint32_t gyr_link_policy_get(const struct gyr_link_policy *policy, uint32_t index);

bool gyr_link_policy_is_same(const struct gyr_link_policy *a, const struct gyr_link_policy *b);

#endif
