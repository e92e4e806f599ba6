/*
 * bf16: see bf16.h. The compiler makes vector code of it.
 */
#include "engine/kernel/bf16.h"

#include "engine/ref/unaligned.h"

void gyr_bf16_rows(size_t rows, size_t columns, size_t stride, const void *x, uint16_t *y)
{
	const gyr_f32_u *from = x;
	for (size_t row = 0; row < rows; row++, from += columns, y += stride) {
		for (size_t i = 0; i < columns; i++)
			y[i] = gyr_bf16_of(from[i]);
		for (size_t i = columns; i < stride; i++)
			y[i] = 0;
	}
}
