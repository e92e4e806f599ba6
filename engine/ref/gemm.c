/*
 * Matrix products: see gemm.h.
 */
#include "engine/ref/gemm.h"

#include "engine/ref/unaligned.h"

static void product(const struct gyr_gemm *gemm, const gyr_f32_u *a, const gyr_f32_u *b, const gyr_f32_u *c, gyr_f32_u *y)
{
	for (size_t m = 0; m < gemm->m; m++) {
		for (size_t n = 0; n < gemm->n; n++) {
			double sum = 0;
			for (size_t k = 0; k < gemm->k; k++)
				sum += (double)a[m * gemm->a_row + k * gemm->a_column] * b[k * gemm->b_row + n * gemm->b_column];
			sum *= gemm->alpha;
			if (c != NULL)
				sum += (double)gemm->beta * c[m * gemm->c_row + n * gemm->c_column];
			y[m * gemm->n + n] = (float)sum;
		}
	}
}

void gyr_ref_gemm(const struct gyr_gemm *gemm, const void *a, const void *b, const void *c, void *y)
{
	size_t index[GYR_RANK_MAX] = {0}, count = 1;
	for (uint32_t i = 0; i < gemm->leading; i++)
		count *= gemm->dims[i];
	for (size_t at = 0; at < count; at++) {
		size_t a_at = 0, b_at = 0;
		for (uint32_t i = 0; i < gemm->leading; i++) {
			a_at += index[i] * gemm->a_strides[i];
			b_at += index[i] * gemm->b_strides[i];
		}
		product(gemm, (const gyr_f32_u *)a + a_at, (const gyr_f32_u *)b + b_at, c, (gyr_f32_u *)y + at * gemm->m * gemm->n);
		for (uint32_t i = gemm->leading; i-- > 0;) {
			if (++index[i] < gemm->dims[i])
				break;
			index[i] = 0;
		}
	}
}
