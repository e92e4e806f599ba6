/*
 * A latency histogram of bounded memory: nanoseconds in log-linear buckets, 128 to each power of two, so that a value read back is at most 1/128
 * above the value put in. Two histograms merge by adding.
 */
#ifndef GYR_BASE_HISTOGRAM_H
#define GYR_BASE_HISTOGRAM_H

#include <stdint.h>

#define GYR_HISTOGRAM_SUB_BITS 7
#define GYR_HISTOGRAM_BITS_MAX 40 /* values from 2^40 ns (18 minutes) on count as 2^40 - 1 */
#define GYR_HISTOGRAM_BUCKETS ((GYR_HISTOGRAM_BITS_MAX - GYR_HISTOGRAM_SUB_BITS + 1) << GYR_HISTOGRAM_SUB_BITS)

/* All zero is the empty histogram. */
struct gyr_histogram {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t min_ns, max_ns; /* exact; meaningless while count is 0 */
	uint64_t buckets[GYR_HISTOGRAM_BUCKETS];
};

/* Counts one value. One writer; no allocation, no branch that depends on how much was counted. */
void gyr_histogram_add(struct gyr_histogram *histogram, uint64_t value_ns);

/* Adds all that FROM counted. */
void gyr_histogram_merge(struct gyr_histogram *into, const struct gyr_histogram *from);

/* The value that QUANTILE (0 to 1) of the values are at or below, rounded up to its bucket's end but never above the largest; 0 when empty. */
uint64_t gyr_histogram_quantile(const struct gyr_histogram *histogram, double quantile);

#endif
