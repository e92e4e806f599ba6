/*
 * Rounding to bf16, the upper half of a float: to the nearest, ties to even; a NaN stays one. Any thread.
 */
#ifndef GYR_ENGINE_KERNEL_BF16_H
#define GYR_ENGINE_KERNEL_BF16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t gyr_bf16_of(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40u;
	return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

/* ROWS rows of COLUMNS floats at X (of any alignment) to rows of STRIDE bf16 at Y, with zeros behind each. */
void gyr_bf16_rows(size_t rows, size_t columns, size_t stride, const void *x, uint16_t *y);

#endif
