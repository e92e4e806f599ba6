/*
 * How much engine time each client may use, whether others want it or not. A client earns PER_SECOND parts of a second's time, and may be in debt for as much
 * as it earns in one SPAN: the generic cell rate algorithm of ATM's traffic management (ITU-T I.371), which keeps one time for each client, when what it has
 * used will be paid. Whose time has come owes nothing and need not be remembered, so the table is bounded: where all places of a set are taken, whoever owes
 * least is forgotten, and so gains what it owed. Units of time are the caller's. Pure; one thread.
 */
#ifndef GYR_DATAPLANE_FLOW_ALLOWANCE_H
#define GYR_DATAPLANE_FLOW_ALLOWANCE_H

#include <stdint.h>

#define GYR_ALLOWANCE_WAYS 4u
#define GYR_ALLOWANCE_SETS 1024u

struct gyr_allowances;

/* PARTS_PER_MILLION of the time, 1 to 1000000; SPAN above 0; SALT, a random number, keeps clients from choosing addresses of one set. NULL without memory. */
struct gyr_allowances *gyr_allowances_create(uint32_t parts_per_million, uint64_t span, uint64_t salt);
void gyr_allowances_destroy(struct gyr_allowances *allowances); /* NULL is fine */

/* How long CLIENT (gyr_queue_client) has to wait, at NOW, until it may ask for more; 0: it may. Hot path: about 5 ns. */
uint64_t gyr_allowances_wait(const struct gyr_allowances *allowances, uint64_t client, uint64_t now);
/* CLIENT has USED so much time, and it is NOW, above 0. Hot path. */
void gyr_allowances_charge(struct gyr_allowances *allowances, uint64_t client, uint64_t used, uint64_t now);

#endif
