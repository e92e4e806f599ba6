/*
 * Normalisation: see normalise.h.
 */
#include "engine/ref/normalise.h"

#include <math.h>

#include "engine/ref/unaligned.h"

void gyr_ref_normalise(const struct gyr_normalise *normalise, const void *x, const void *scale, const void *bias, void *y, void *means, void *inverses)
{
	size_t length = normalise->parts * normalise->run;
	for (size_t r = 0; r < normalise->rows; r++) {
		const gyr_f32_u *from = (const gyr_f32_u *)x + r * length, *factor = scale, *shift = bias;
		double mean = 0, variance = 0;
		for (size_t k = 0; k < length; k++)
			mean += (double)from[k] / (double)length;
		for (size_t k = 0; k < length; k++)
			variance += (from[k] - mean) * (from[k] - mean) / (double)length;
		double inverse = 1 / sqrt(variance + (double)normalise->epsilon);
		for (size_t k = 0; k < length; k++) {
			size_t s = r % normalise->scale_rows * normalise->parts + k / normalise->run;
			((gyr_f32_u *)y)[r * length + k] = (float)((from[k] - mean) * inverse * factor[s] + (bias != NULL ? (double)shift[s] : 0));
		}
		if (means != NULL)
			((gyr_f32_u *)means)[r] = (float)mean;
		if (inverses != NULL)
			((gyr_f32_u *)inverses)[r] = (float)inverse;
	}
}

void gyr_ref_batch_norm(const struct gyr_batch_norm *norm, const void *x, const void *scale, const void *bias, const void *mean, const void *variance, void *y)
{
	for (size_t row = 0; row < norm->outer * norm->channels; row++) {
		size_t c = row % norm->channels;
		double factor = ((const gyr_f32_u *)scale)[c] / sqrt((double)((const gyr_f32_u *)variance)[c] + (double)norm->epsilon);
		for (size_t i = row * norm->inner; i < (row + 1) * norm->inner; i++)
			((gyr_f32_u *)y)[i] =
				(float)(((double)((const gyr_f32_u *)x)[i] - (double)((const gyr_f32_u *)mean)[c]) * factor + ((const gyr_f32_u *)bias)[c]);
	}
}

void gyr_ref_log_softmax(size_t outer, size_t length, size_t inner, const void *x, void *y)
{
	for (size_t row = 0; row < outer * inner; row++) {
		size_t base = row / inner * length * inner + row % inner;
		const gyr_f32_u *from = (const gyr_f32_u *)x + base;
		double most = -INFINITY, sum = 0;
		for (size_t k = 0; k < length; k++)
			most = from[k * inner] > most ? from[k * inner] : most;
		for (size_t k = 0; k < length; k++)
			sum += exp(from[k * inner] - most);
		for (size_t k = 0; k < length; k++)
			((gyr_f32_u *)y)[base + k * inner] = (float)(from[k * inner] - most - log(sum));
	}
}

void gyr_ref_hardmax(size_t outer, size_t length, size_t inner, const void *x, void *y)
{
	for (size_t row = 0; row < outer * inner; row++) {
		size_t base = row / inner * length * inner + row % inner, best = 0;
		const gyr_f32_u *from = (const gyr_f32_u *)x + base;
		for (size_t k = 1; k < length; k++)
			best = from[k * inner] > from[best * inner] ? k : best;
		for (size_t k = 0; k < length; k++)
			((gyr_f32_u *)y)[base + k * inner] = k == best;
	}
}

void gyr_ref_lp_normalise(size_t outer, size_t length, size_t inner, int p, const void *x, void *y)
{
	for (size_t row = 0; row < outer * inner; row++) {
		size_t base = row / inner * length * inner + row % inner;
		const gyr_f32_u *from = (const gyr_f32_u *)x + base;
		double sum = 0;
		for (size_t k = 0; k < length; k++)
			sum += p == 1 ? fabs((double)from[k * inner]) : (double)from[k * inner] * from[k * inner];
		double norm = p == 1 ? sum : sqrt(sum);
		for (size_t k = 0; k < length; k++)
			((gyr_f32_u *)y)[base + k * inner] = norm == 0 ? 0 : (float)(from[k * inner] / norm);
	}
}

void gyr_ref_lrn(const struct gyr_lrn *lrn, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	for (size_t o = 0; o < lrn->outer; o++) {
		for (size_t c = 0; c < lrn->channels; c++) {
			size_t before = (lrn->size - 1) / 2, after = lrn->size - 1 - before;
			size_t first = c < before ? 0 : c - before, last = after < lrn->channels - c ? c + after : lrn->channels - 1;
			for (size_t i = 0; i < lrn->inner; i++) {
				double sum = 0;
				for (size_t k = first; k <= last; k++) {
					double value = from[(o * lrn->channels + k) * lrn->inner + i];
					sum += value * value;
				}
				size_t at = (o * lrn->channels + c) * lrn->inner + i;
				((gyr_f32_u *)y)[at] = (float)(from[at] / pow(lrn->bias + (double)lrn->alpha / (double)lrn->size * sum, lrn->beta));
			}
		}
	}
}

void gyr_ref_mean_variance(const struct gyr_reduce *along, const void *x, void *y)
{
	const gyr_f32_u *from = x;
	for (size_t i = 0; i < along->count; i++) {
		size_t base = gyr_reduce_offset(along->kept_rank, along->kept, along->kept_strides, i);
		double mean = 0, variance = 0;
		for (size_t k = 0; k < along->length; k++)
			mean += from[base + gyr_reduce_offset(along->reduced_rank, along->reduced, along->reduced_strides, k)] / (double)along->length;
		for (size_t k = 0; k < along->length; k++) {
			double off = from[base + gyr_reduce_offset(along->reduced_rank, along->reduced, along->reduced_strides, k)] - mean;
			variance += off * off / (double)along->length;
		}
		for (size_t k = 0; k < along->length; k++) {
			size_t at = base + gyr_reduce_offset(along->reduced_rank, along->reduced, along->reduced_strides, k);
			((gyr_f32_u *)y)[at] = (float)((from[at] - mean) / (sqrt(variance) + 1e-9));
		}
	}
}
