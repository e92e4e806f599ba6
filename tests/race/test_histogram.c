/*
 * The stage histograms (base/histogram.h), under a thread sanitizer: one thread counts while another reads all the time. What is read never goes down, is never
 * more than was counted, and in the end is all of it. With WRITERS 2 the rule of one writer is broken, and the test must notice.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assertion.h"
#include "base/histogram.h"

#ifndef WRITERS
#define WRITERS 1u
#endif
#define VALUES UINT64_C(4000000)
#define VALUES_LONG UINT64_C(100000000)
#define STEP_NS 977u /* values are multiples of it, in turn */
#define KINDS 64u

static _Atomic uint64_t buckets[GYR_HISTOGRAM_BUCKETS];
static _Alignas(64) _Atomic uint64_t sum_ns;
static _Alignas(64) _Atomic uint64_t begun; /* values whose counting has begun */
static _Atomic uint32_t done;
static uint64_t values;

static void *count_values(void *unused)
{
	for (uint64_t i = 0; i < values; i++) {
		atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
		gyr_histogram_count(buckets, &sum_ns, i % KINDS * STEP_NS);
	}
	atomic_fetch_add_explicit(&done, 1, memory_order_release);
	return NULL;
}

/* Into HISTOGRAM, after what it held; how many reads it took until the writers were done. */
static uint64_t read_all(struct gyr_histogram *histogram)
{
	static struct gyr_histogram before;
	for (uint64_t reads = 1;; reads++) {
		bool last = atomic_load_explicit(&done, memory_order_acquire) == WRITERS;
		*histogram = (struct gyr_histogram){0};
		gyr_histogram_read(histogram, buckets, &sum_ns);
		for (size_t i = 0; i < GYR_HISTOGRAM_BUCKETS; i++)
			GYR_ASSERT(histogram->buckets[i] >= before.buckets[i]);
		GYR_ASSERT(histogram->count <= atomic_load_explicit(&begun, memory_order_relaxed));
		before = *histogram;
		if (last)
			return reads;
	}
}

int main(void)
{
	const char *is_long = getenv("GYR_LONG");
	pthread_t writers[WRITERS];
	static struct gyr_histogram all;
	values = is_long != NULL && is_long[0] != '\0' ? VALUES_LONG : VALUES;
	for (uint32_t i = 0; i < WRITERS; i++) {
		int status = pthread_create(&writers[i], NULL, count_values, NULL);
		GYR_ASSERT(status == 0);
	}
	uint64_t reads = read_all(&all), expected_sum = 0;
	for (uint32_t i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	for (uint64_t i = 0; i < values; i++)
		expected_sum += i % KINDS * STEP_NS;
	GYR_ASSERT(all.count == WRITERS * values);
	GYR_ASSERT(all.sum_ns == WRITERS * expected_sum);
	printf("%" PRIu64 " values counted while they were read %" PRIu64 " times\n", all.count, reads);
	return 0;
}
