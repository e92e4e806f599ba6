/*
 * Softmax: see softmax.h.
 */
#include "engine/ref/softmax.h"

#include <math.h>

#include "engine/ref/unaligned.h"

void gyr_ref_softmax(size_t outer, size_t length, size_t inner, const void *x, void *y)
{
	for (size_t o = 0; o < outer; o++) {
		for (size_t i = 0; i < inner; i++) {
			const gyr_f32_u *from = (const gyr_f32_u *)x + o * length * inner + i;
			gyr_f32_u *to = (gyr_f32_u *)y + o * length * inner + i;
			double most = -INFINITY, sum = 0;
			for (size_t k = 0; k < length; k++)
				most = from[k * inner] > most ? from[k * inner] : most;
			for (size_t k = 0; k < length; k++)
				sum += exp(from[k * inner] - most);
			for (size_t k = 0; k < length; k++)
				to[k * inner] = (float)(exp(from[k * inner] - most) / sum);
		}
	}
}
