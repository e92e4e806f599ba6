/*
 * A latency histogram of bounded memory: nanoseconds in log-linear buckets, 128 to each power of two, so that a value read back is at most 1/128
 * above the value put in. Two histograms merge by adding.
 */
#ifndef GYR_BASE_HISTOGRAM_H
#define GYR_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define GYR_HISTOGRAM_SUB_BITS 7
#define GYR_HISTOGRAM_BITS_MAX 40 /* values from 2^40 ns (18 minutes) on count as 2^40 - 1 */
#define GYR_HISTOGRAM_BUCKETS ((GYR_HISTOGRAM_BITS_MAX - GYR_HISTOGRAM_SUB_BITS + 1) << GYR_HISTOGRAM_SUB_BITS)

/* All zero is the empty histogram. */
struct gyr_histogram {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t min_ns, max_ns; /* exact, but for what came by bucket; meaningless while count is 0 */
	uint64_t buckets[GYR_HISTOGRAM_BUCKETS];
};

/*
 * Which bucket counts VALUE_NS. Values below 256 have a bucket each; above, the leading 8 bits choose it. A few cycles.
 */
static inline size_t gyr_histogram_bucket(uint64_t value_ns)
{
	const uint64_t most = (UINT64_C(1) << GYR_HISTOGRAM_BITS_MAX) - 1, subs = UINT64_C(1) << GYR_HISTOGRAM_SUB_BITS;
	uint64_t value = value_ns > most ? most : value_ns;
	if (value < subs)
		return (size_t)value;
	unsigned shift = 63u - (unsigned)__builtin_clzll(value) - GYR_HISTOGRAM_SUB_BITS;
	return (size_t)(((uint64_t)(shift + 1) << GYR_HISTOGRAM_SUB_BITS) + ((value >> shift) - subs));
}

/* The smallest and the largest value that BUCKET counts. */
uint64_t gyr_histogram_bucket_first(size_t bucket);
uint64_t gyr_histogram_bucket_last(size_t bucket);

/* Counts one value. One writer; no allocation, no branch that depends on how much was counted. */
void gyr_histogram_add(struct gyr_histogram *histogram, uint64_t value_ns);

/* Counts COUNT values of which only the bucket is known: min and max become as far apart as the bucket's ends, and sum_ns is left to the caller. */
void gyr_histogram_add_bucket(struct gyr_histogram *histogram, size_t bucket, uint64_t count);

/* Adds all that FROM counted. */
void gyr_histogram_merge(struct gyr_histogram *into, const struct gyr_histogram *from);

/* The value that QUANTILE (0 to 1) of the values are at or below, rounded up to its bucket's end but never above the largest; 0 when empty. */
uint64_t gyr_histogram_quantile(const struct gyr_histogram *histogram, double quantile);

/*
 * A histogram that one thread adds to while others read it, at any time and without being noticed: GYR_HISTOGRAM_BUCKETS counters, and a sum that lies where
 * the writer wants it. A value costs two relaxed adds, 2 ns. What a reader adds up is some moment of each bucket: no value is lost or counted twice, but one
 * that is being counted may be in the sum and not yet in its bucket.
 */
static inline void gyr_histogram_count(_Atomic uint64_t *buckets, _Atomic uint64_t *sum_ns, uint64_t value_ns)
{
	_Atomic uint64_t *bucket = &buckets[gyr_histogram_bucket(value_ns)];
	atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + 1, memory_order_relaxed);
	atomic_store_explicit(sum_ns, atomic_load_explicit(sum_ns, memory_order_relaxed) + value_ns, memory_order_relaxed);
}

/* Adds what was counted so to INTO. Any thread, any process that has the memory mapped. */
void gyr_histogram_read(struct gyr_histogram *into, const _Atomic uint64_t *buckets, const _Atomic uint64_t *sum_ns);

#endif
