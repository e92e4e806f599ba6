/* One run: asks by the streams of the options until their end, and counts what comes. */
#ifndef GYR_TOOLS_LOAD_RUN_H
#define GYR_TOOLS_LOAD_RUN_H

#include "tools/load/source.h"
#include "tools/load/stats.h"
#include "tools/load/transport.h"
#include "tools/load/window.h"

/*
 * Asks until the options' end or until *STOP is set (by a signal). SOURCES: one for each kind. WINDOWS may be NULL. STATS are cleared first. 0; -ENOMEM;
 * -EMSGSIZE: an example fits no datagram of TRANSPORT.
 */
GYR_MUST_CHECK int load_run(const struct load_options *options, const struct load_source *sources, struct load_transport *transport,
			    struct load_windows *windows, const atomic_bool *stop, struct load_stats *stats, struct gyr_error *error);

#endif
