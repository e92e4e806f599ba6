/*
 * The data path: io lcores that take frames from the ports, and engine lcores that answer the requests in them. The house thread makes, starts and ends it;
 * between, it only publishes route tables, reads counters and sleeps.
 *
 * A request lives in its mbuf from arrival to reply, parsed into the mbuf's private area. Whoever holds the pointer owns it: an io lcore, then a ring, then an
 * engine lcore, then the port. An lcore that is both io and engine does both in turn, with its ring between.
 *
 * RX queues are shared out among the io lcores in turn. Where an io lcore is left without, or a port may deal one client's datagrams out to several queues,
 * datagrams are spread over the io lcores by client in software (spread.c): all that one client sends meets on one io lcore, always.
 *
 * TX queues: every lcore gets its own of each port that has one for each. Else the io lcores come first, as they never compute for long (BUSY must not wait for
 * what it is about), and an lcore left without hands its frames, by a ring of its own, to an io lcore that has one. A virtual port has as many as `queues`.
 */
#ifndef GYR_DATAPLANE_LOOP_LOOP_H
#define GYR_DATAPLANE_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"

struct gyr_loop;

/*
 * Starts DPDK and the ports, and lays out lcores and rings. CONFIG (checked) outlives the loop. Once in the life of a process. The errors of gyr_eal_start and
 * gyr_port_start; -ENOMEM.
 */
GYR_MUST_CHECK int gyr_loop_create(const struct gyr_config *config, struct gyr_loop **loop, struct gyr_error *error);

/*
 * Whether the models are still being loaded that clients may know from before: then a model, version or label that is not there is no error but BUSY, which
 * clients ask again after. House thread.
 */
void gyr_loop_restore(struct gyr_loop *loop, bool restoring);

/* Launches the lcores; when it returns they answer. */
void gyr_loop_start(struct gyr_loop *loop);

/*
 * Takes no more frames, answers what was accepted, and ends the lcores. False after TIMEOUT_NS: an lcore is stuck; then nothing may be freed, and the process
 * should end.
 */
GYR_MUST_CHECK bool gyr_loop_drain(struct gyr_loop *loop, uint64_t timeout_ns);

/* Whether every lcore has ended a turn since this last said so. House thread. */
bool gyr_loop_moved(struct gyr_loop *loop);

/* A descriptor that reads the counters' memory (dataplane/link/stats.h); the loop's. House thread. */
int gyr_loop_stats(const struct gyr_loop *loop);
/* Copies what the ports' drivers count into that memory. House thread. */
void gyr_loop_copy_stats(struct gyr_loop *loop);

/* Stops the ports and frees the rest. Drained, or never started; no route table holds a version any more. */
void gyr_loop_destroy(struct gyr_loop *loop);

#endif
