#include "dataplane/flow/codel.h"

void gyr_codel_leave(struct gyr_codel *codel, const struct gyr_codel_limits *limits, uint64_t now, uint64_t waited)
{
	if (codel->standing && now - codel->refused_last > limits->interval)
		codel->standing = false;
	if (waited <= limits->target) {
		codel->above_since = 0;
	} else if (codel->above_since == 0) {
		codel->above_since = now;
	} else if (!codel->standing && now - codel->above_since > limits->interval) {
		codel->standing = true;
		codel->refused_last = now; /* as if: it stands for an interval at least */
	}
}

uint64_t gyr_codel_refuse(struct gyr_codel *codel, uint64_t now, uint64_t wait, uint64_t service, uint64_t wait_max, uint32_t spread)
{
	codel->standing = true;
	codel->refused_last = now;
	if ((int64_t)(codel->return_last - (now + wait)) < 0)
		codel->return_last = now + wait;
	codel->return_last += service;
	uint64_t after = codel->return_last - now;
	if (after <= wait_max)
		return after;
	codel->return_last = now + wait_max;
	return wait_max - ((wait_max >> 2) * spread >> 32);
}
