#include "control/link/pulse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int gyr_pulse_init(struct gyr_pulse *pulse, uint32_t still_max, uint32_t silent_max, struct gyr_error *error)
{
	*pulse = (struct gyr_pulse){.still_max = still_max, .silent_max = silent_max, .reading = malloc(sizeof *pulse->reading)};
	return pulse->reading != NULL ? 0 : gyr_error_set(error, -ENOMEM, "no memory to watch over the data plane");
}

void gyr_pulse_fini(struct gyr_pulse *pulse)
{
	free(pulse->reading);
	*pulse = (struct gyr_pulse){0};
}

/* How many looks BEAT has stood still for, with this one. */
static uint32_t feel(struct gyr_pulse_beat *beat, uint64_t value)
{
	beat->still = value == beat->value ? beat->still + 1 : 0;
	beat->value = value;
	return beat->still;
}

/* The word NAME of a slot of table WHAT. False: there is none now. */
static bool read_word(struct gyr_pulse *pulse, const struct gyr_stats_view *view, const char *what, uint32_t slot, const char *name, uint64_t *value)
{
	const struct gyr_stats_table *table = gyr_stats_view_find(view, what);
	if (table == NULL || slot >= table->slot_count || !gyr_stats_view_read(view, table, slot, 0, table->lane_count, false, pulse->reading))
		return false;
	*value = gyr_stats_value(view, table, pulse->reading, name);
	return true;
}

static bool is_still(struct gyr_pulse *pulse, const struct gyr_pulse_look *look, char *why, size_t size)
{
	uint64_t value;
	/* The house thread copies the drivers' figures several times a second, but for while it serves a request. */
	if (look->asked || !read_word(pulse, look->view, "ports", 0, "copied_ns", &value)) {
		pulse->house.still = 0;
	} else if (feel(&pulse->house, value) >= pulse->still_max) {
		snprintf(why, size, "its house thread stands still");
		return true;
	}
	for (uint32_t i = 0; i < GYR_PULSE_LCORES_MAX; i++) {
		if (!read_word(pulse, look->view, "lcores", i, "polls", &value) || feel(&pulse->lcores[i], value) < pulse->still_max)
			continue;
		if (!read_word(pulse, look->view, "lcores", i, "cpu", &value))
			continue;
		snprintf(why, size, "its lcore %u (CPU %llu) stands still", i, (unsigned long long)value);
		return true;
	}
	return false;
}

static void begin(struct gyr_pulse *pulse, pid_t pid)
{
	pulse->pid = pid;
	pulse->silent = 0;
	pulse->house = (struct gyr_pulse_beat){0};
	for (uint32_t i = 0; i < GYR_PULSE_LCORES_MAX; i++)
		pulse->lcores[i] = (struct gyr_pulse_beat){0};
}

bool gyr_pulse_look(struct gyr_pulse *pulse, const struct gyr_pulse_look *look, char *why, size_t size)
{
	if (look->pid == 0)
		return false;
	if (look->pid != pulse->pid)
		begin(pulse, look->pid);
	if (look->view != NULL && gyr_stats_view_header(look->view)->pid == (uint64_t)look->pid)
		return is_still(pulse, look, why, size);
	pulse->silent = look->linked ? 0 : pulse->silent + 1;
	if (pulse->silent < pulse->silent_max)
		return false;
	snprintf(why, size, "it does not answer");
	return true;
}
