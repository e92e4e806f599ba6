/* Due times: see schedule.h. */
#include "tools/load/schedule.h"

#include <math.h>

uint64_t load_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

double load_random_unit(uint64_t *state)
{
	return (double)(load_random(state) >> 11) * 0x1p-53;
}

static double gap(struct load_schedule *schedule)
{
	return -log(1 - load_random_unit(&schedule->random)) * schedule->gap_ns;
}

void load_schedule_start(struct load_schedule *schedule, double rate, bool poisson, uint64_t seed, uint64_t start_ns)
{
	*schedule = (struct load_schedule){.start_ns = start_ns, .random = seed, .gap_ns = 1e9 / rate, .poisson = poisson};
	if (poisson)
		schedule->next_ns = gap(schedule);
}

uint64_t load_schedule_due_ns(const struct load_schedule *schedule)
{
	return schedule->start_ns + (uint64_t)schedule->next_ns;
}

void load_schedule_step(struct load_schedule *schedule)
{
	schedule->count++;
	/* Even gaps are multiplied, not added up, so that no rounding does. */
	schedule->next_ns = schedule->poisson ? schedule->next_ns + gap(schedule) : (double)schedule->count * schedule->gap_ns;
}
