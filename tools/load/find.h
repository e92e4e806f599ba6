/* The highest rate at which a p99 holds: doubled until it does not hold, then the gap halved, each rate tried until it held, or did not, three times. */
#ifndef GYR_TOOLS_LOAD_FIND_H
#define GYR_TOOLS_LOAD_FIND_H

#include "tools/load/run.h"

struct load_found {
	double rate;        /* the highest that held; 0: none did of those that ask a thousand questions in a trial */
	double failed_rate; /* the lowest that did not */
	uint64_t p99_ns;    /* the mean of its trials that held */
	uint32_t trials;
};

/*
 * Tries rates of the first stream, from its own or else from what a closed loop reaches, and prints each trial on stderr. *STATS, which is made
 * anew, holds the last trial that held. -EINTR: *STOP was set; else as load_run.
 */
GYR_MUST_CHECK int load_find_rate(struct load_options *options, const struct load_source *sources, struct load_transport *transport, const atomic_bool *stop,
				  struct load_stats **stats, struct load_found *found, struct gyr_error *error);

#endif
