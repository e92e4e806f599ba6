/* What is told: a table for people, JSON for programs. */
#ifndef GYR_TOOLS_LOAD_REPORT_H
#define GYR_TOOLS_LOAD_REPORT_H

#include "tools/load/find.h"
#include "tools/load/source.h"
#include "tools/load/stats.h"

/* The quantiles that are told. */
extern const struct load_quantile {
	const char *name, *key; /* for people, in JSON */
	double quantile;
} load_quantiles[];
#define LOAD_QUANTILES 6u

/* "busy", "unknown model", ...; by a place in errors. */
const char *load_error_name(unsigned index);
double load_share(uint64_t part, uint64_t whole);

/* Answers a second, of COUNT answers. */
double load_per_second(const struct load_stats *stats, uint64_t count);

/* Whether the generator did not hold its own schedule: it was late by more than a quarter of the p99 that it measured. */
bool load_fell_behind(const struct load_stats *stats, const struct load_sum *all);

/* The table, on stdout, or on stderr when --json or --csv has stdout. */
void load_report_table(const struct load_options *options, const struct load_source *sources, const struct load_stats *stats);

/* The same as JSON; with FOUND (may be NULL) also what --find-rate found. -ENOMEM, -EIO. */
GYR_MUST_CHECK int load_report_json(const struct load_options *options, const struct load_source *sources, const struct load_stats *stats,
				    const struct load_found *found, struct gyr_error *error);

#endif
