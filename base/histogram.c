#include "base/histogram.h"

#include <math.h>
#include <stddef.h>

#define SUB_COUNT (UINT64_C(1) << GYR_HISTOGRAM_SUB_BITS)
#define VALUE_MAX ((UINT64_C(1) << GYR_HISTOGRAM_BITS_MAX) - 1)

/* Values below 2 * SUB_COUNT have a bucket each; above, the leading SUB_BITS + 1 bits choose it. */
static size_t bucket_of(uint64_t value)
{
	if (value < SUB_COUNT)
		return (size_t)value;
	unsigned shift = 63u - (unsigned)__builtin_clzll(value) - GYR_HISTOGRAM_SUB_BITS;
	return (size_t)(((uint64_t)(shift + 1) << GYR_HISTOGRAM_SUB_BITS) + ((value >> shift) - SUB_COUNT));
}

static uint64_t bucket_last(size_t bucket)
{
	uint64_t group = bucket >> GYR_HISTOGRAM_SUB_BITS, sub = bucket & (SUB_COUNT - 1);
	if (group == 0)
		return sub;
	return ((SUB_COUNT + sub + 1) << (group - 1)) - 1;
}

void gyr_histogram_add(struct gyr_histogram *histogram, uint64_t value_ns)
{
	uint64_t value = value_ns > VALUE_MAX ? VALUE_MAX : value_ns;
	if (histogram->count == 0 || value < histogram->min_ns)
		histogram->min_ns = value;
	if (value > histogram->max_ns)
		histogram->max_ns = value;
	histogram->count++;
	histogram->sum_ns += value;
	histogram->buckets[bucket_of(value)]++;
}

void gyr_histogram_merge(struct gyr_histogram *into, const struct gyr_histogram *from)
{
	if (from->count == 0)
		return;
	if (into->count == 0 || from->min_ns < into->min_ns)
		into->min_ns = from->min_ns;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	into->count += from->count;
	into->sum_ns += from->sum_ns;
	for (size_t i = 0; i < GYR_HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

uint64_t gyr_histogram_quantile(const struct gyr_histogram *histogram, double quantile)
{
	if (histogram->count == 0)
		return 0;
	double wanted = ceil(quantile * (double)histogram->count);
	uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted, seen = 0;
	for (size_t i = 0; i < GYR_HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen >= rank)
			return bucket_last(i) < histogram->max_ns ? bucket_last(i) : histogram->max_ns;
	}
	return histogram->max_ns;
}
