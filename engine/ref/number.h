/*
 * One element of any type as a number, for code that is meant to be obviously right rather than fast.
 */
#ifndef GYR_ENGINE_REF_NUMBER_H
#define GYR_ENGINE_REF_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tensor.h"

enum gyr_number_kind { GYR_NUMBER_REAL, GYR_NUMBER_SIGNED, GYR_NUMBER_UNSIGNED };

struct gyr_number {
	enum gyr_number_kind kind;
	double real;      /* of a real */
	uint64_t integer; /* of the others; a signed one in two's complement */
};

/* Element INDEX of an array of DTYPE at X, of any alignment. A bool is 0 or 1. DTYPE is one of ours. Any thread. */
struct gyr_number gyr_number_load(enum gyr_dtype dtype, const void *x, size_t index);

/*
 * Stores NUMBER as element INDEX of an array of DTYPE at Y, as ONNX's Cast converts: a real becomes an integer by dropping its fraction, an integer wraps into
 * a narrower one, anything but zero is true, and what a real type cannot hold is rounded to the nearest, ties to even. ONNX leaves a real outside of the
 * integer's range undefined: here it becomes the nearest integer of that type, and NaN becomes 0. Any thread.
 */
void gyr_number_store(enum gyr_dtype dtype, void *y, size_t index, struct gyr_number number);

/* The same as a double: an integer is the nearest one. */
double gyr_number_load_real(enum gyr_dtype dtype, const void *x, size_t index);
void gyr_number_store_real(enum gyr_dtype dtype, void *y, size_t index, double real);

#endif
