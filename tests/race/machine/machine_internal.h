/* What machine.c and driver.c share. */
#ifndef GYR_TESTS_RACE_MACHINE_INTERNAL_H
#define GYR_TESTS_RACE_MACHINE_INTERNAL_H

#include "tests/race/machine/machine.h"

/* Every site that has been reached since the case, counted from 1, began. */
extern struct machine_site *machine_sites;
extern unsigned machine_case_number;

/* Whether they are one place in the source: an inline function has its sites once in each file that uses it. OTHER may be NULL. */
bool machine_is_same(const struct machine_site *one, const struct machine_site *other);

/* One run of BODY under SEED, with WEAKENED (or NULL) weakened. False: it failed, and *FAILURE tells how. */
bool machine_run(void (*body)(void), uint64_t seed, const struct machine_site *weakened, bool tracing, const char **failure);

#endif
