/*
 * Windows: the same figures again and again, each for a short time. A row of CSV for each, a line of --progress each second, and whether the last ones agree.
 * An answer counts in the window in which it came, with its whole round trip.
 */
#ifndef GYR_TOOLS_LOAD_WINDOW_H
#define GYR_TOOLS_LOAD_WINDOW_H

#include <stdio.h>

#include "base/histogram.h"
#include "tools/load/stats.h"

#define LOAD_STABLE_WINDOWS 5u

struct load_window_kind {
	uint64_t asked, answered, busy, refused, lost;
	struct gyr_histogram round_trip;
};

struct load_windows {
	const struct load_options *options;
	FILE *csv; /* NULL: none */
	uint64_t start_ns, begun_ns, flushed_ns;
	uint32_t closed;                                                   /* how many */
	uint64_t p50_ns[LOAD_STABLE_WINDOWS], p99_ns[LOAD_STABLE_WINDOWS]; /* of the last, in turn */
	struct load_window_kind sum;
	uint32_t kind_count;
	struct load_window_kind kinds[];
};

/* NULL in *WINDOWS: neither --csv nor --progress nor --until-stable wants them. -ENOMEM; or what opening the file of --csv said. */
GYR_MUST_CHECK int load_windows_make(const struct load_options *options, struct load_windows **windows, struct gyr_error *error);

/* The last one is cut short. -EIO: --csv could not be written. */
GYR_MUST_CHECK int load_windows_end(struct load_windows *windows, uint64_t now_ns, struct gyr_error *error);

/* They begin at NOW_NS. */
void load_windows_start(struct load_windows *windows, uint64_t now_ns);

/* Closes the window that is over, and tells. True: the last LOAD_STABLE_WINDOWS agree as --until-stable wants. */
bool load_windows_turn(struct load_windows *windows, uint64_t now_ns);

#endif
