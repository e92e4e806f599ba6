/*
 * The figures of a run: a line each on stdout, and all of them as JSON.
 */
#ifndef GYR_TOOLS_BENCHMARK_INFER_FIGURES_H
#define GYR_TOOLS_BENCHMARK_INFER_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

struct figures {
	yyjson_mut_doc *document;
	yyjson_mut_val *rows;
	const char *cpu; /* its name */
};

/* False without memory. Ends with figures_fini. */
bool figures_init(struct figures *figures, const char *cpu);
void figures_fini(struct figures *figures);

/* Prints "NAME<TAB>value<TAB>UNIT<TAB>(p10 to p90)", the value being the median of COUNT samples (1 or more), which are sorted. Returns the median. */
double figures_add(struct figures *figures, const char *name, const char *unit, double *samples, size_t count);

/* Writes {"cpu": ..., "figures": [{"name", "value", "unit", "low", "high"}, ...]} to PATH. False when it cannot. */
bool figures_write(const struct figures *figures, const char *path);

#endif
