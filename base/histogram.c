#include "base/histogram.h"

#include <math.h>

#define SUB_COUNT (UINT64_C(1) << GYR_HISTOGRAM_SUB_BITS)
#define VALUE_MAX ((UINT64_C(1) << GYR_HISTOGRAM_BITS_MAX) - 1)

uint64_t gyr_histogram_bucket_first(size_t bucket)
{
	uint64_t group = bucket >> GYR_HISTOGRAM_SUB_BITS, sub = bucket & (SUB_COUNT - 1);
	return group == 0 ? sub : (SUB_COUNT + sub) << (group - 1);
}

uint64_t gyr_histogram_bucket_last(size_t bucket)
{
	return gyr_histogram_bucket_first(bucket + 1) - 1;
}

static void widen(struct gyr_histogram *histogram, uint64_t least, uint64_t most)
{
	if (histogram->count == 0 || least < histogram->min_ns)
		histogram->min_ns = least;
	if (most > histogram->max_ns)
		histogram->max_ns = most;
}

void gyr_histogram_add(struct gyr_histogram *histogram, uint64_t value_ns)
{
	uint64_t value = value_ns > VALUE_MAX ? VALUE_MAX : value_ns;
	widen(histogram, value, value);
	histogram->count++;
	histogram->sum_ns += value;
	histogram->buckets[gyr_histogram_bucket(value)]++;
}

void gyr_histogram_add_bucket(struct gyr_histogram *histogram, size_t bucket, uint64_t count)
{
	if (count == 0)
		return;
	widen(histogram, gyr_histogram_bucket_first(bucket), gyr_histogram_bucket_last(bucket));
	histogram->count += count;
	histogram->buckets[bucket] += count;
}

void gyr_histogram_merge(struct gyr_histogram *into, const struct gyr_histogram *from)
{
	if (from->count == 0)
		return;
	widen(into, from->min_ns, from->max_ns);
	into->count += from->count;
	into->sum_ns += from->sum_ns;
	for (size_t i = 0; i < GYR_HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

void gyr_histogram_read(struct gyr_histogram *into, const _Atomic uint64_t *buckets, const _Atomic uint64_t *sum_ns)
{
	for (size_t i = 0; i < GYR_HISTOGRAM_BUCKETS; i++)
		gyr_histogram_add_bucket(into, i, atomic_load_explicit(&buckets[i], memory_order_relaxed));
	into->sum_ns += atomic_load_explicit(sum_ns, memory_order_relaxed);
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
			return gyr_histogram_bucket_last(i) < histogram->max_ns ? gyr_histogram_bucket_last(i) : histogram->max_ns;
	}
	return histogram->max_ns;
}
