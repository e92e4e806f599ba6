/* Small models for the tests of the loop, as bundles in sealed memory. */
#ifndef GYR_TESTS_UNIT_LOOP_MODELS_H
#define GYR_TESTS_UNIT_LOOP_MODELS_H

#include <stddef.h>

enum test_model {
	TEST_SCALE,  /* y f32[N,4] = x f32[N,4] * factor */
	TEST_PIXEL,  /* y f32[N,4] = x u8[N,4] * factor */
	TEST_PAIR,   /* y f32[2,3] = a f32[2,3] * factor + b f32[2,3]: no rows */
	TEST_SLOW,   /* y f32[N,1] = x f32[N,300] through 10 MB of weights, all of them factor */
	TEST_NARROW, /* y f32[N,1] = x f32[N,4000] summed, * factor: a question larger than a datagram */
	TEST_WIDE,   /* y f32[N,4000] = x f32[N,1] * factor: larger than a datagram */
};

/* The bundle in malloc'd memory. Asserts. */
void *test_model_bundle(enum test_model model, float factor, size_t *size);

/* A memfd of those bytes; sealed or not. The caller closes it. */
int test_memfd(const void *bytes, size_t size, int sealed);

#endif
