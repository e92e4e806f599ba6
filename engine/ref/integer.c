/*
 * Integer products, one sum after another: see integer.h. Sums are unsigned inside, so that they wrap.
 */
#include "engine/ref/integer.h"

#include "engine/ref/unaligned.h"

static int32_t byte_at(enum gyr_dtype dtype, const void *data, size_t index)
{
	return dtype == GYR_DTYPE_U8 ? (int32_t)((const gyr_u8_u *)data)[index] : (int32_t)((const gyr_i8_u *)data)[index];
}

static int32_t zero_of(const struct gyr_integers *integers, size_t column)
{
	return integers->zeros == NULL ? 0 : byte_at(integers->dtype, integers->zeros, column * integers->zero_step);
}

void gyr_ref_integer_product(size_t m, size_t n, size_t k, const struct gyr_integers *a, const struct gyr_integers *b, void *sums)
{
	gyr_i32_u *to = sums;
	for (size_t row = 0; row < m; row++) {
		for (size_t column = 0; column < n; column++) {
			uint32_t sum = 0;
			for (size_t i = 0; i < k; i++)
				sum += (uint32_t)((byte_at(a->dtype, a->data, row * k + i) - zero_of(a, 0)) *
						  (byte_at(b->dtype, b->data, i * n + column) - zero_of(b, column)));
			*to++ = (int32_t)sum;
		}
	}
}

/* The sum over one channel: X is the number of its first element, W of its first tap, OUT where in the result. */
static uint32_t channel(const struct gyr_window_axis *axes, const struct gyr_integers *x, size_t first, const struct gyr_integers *w, size_t tap,
			int32_t w_zero, const int64_t *out)
{
	uint32_t sum = 0;
	for (int64_t i = 0; i < axes[0].kernel; i++) {
		for (int64_t j = 0; j < axes[1].kernel; j++) {
			for (int64_t k = 0; k < axes[2].kernel; k++, tap++) {
				int64_t depth = out[0] * axes[0].stride - axes[0].begin + i * axes[0].dilation;
				int64_t row = out[1] * axes[1].stride - axes[1].begin + j * axes[1].dilation;
				int64_t column = out[2] * axes[2].stride - axes[2].begin + k * axes[2].dilation;
				if (depth < 0 || depth >= axes[0].in || row < 0 || row >= axes[1].in || column < 0 || column >= axes[2].in)
					continue;
				size_t at = first + (size_t)((depth * axes[1].in + row) * axes[2].in + column);
				sum += (uint32_t)((byte_at(x->dtype, x->data, at) - zero_of(x, 0)) * (byte_at(w->dtype, w->data, tap) - w_zero));
			}
		}
	}
	return sum;
}

void gyr_ref_integer_convolution(const struct gyr_convolution *convolution, const struct gyr_integers *x, const struct gyr_integers *w, const void *bias,
				 void *sums)
{
	const struct gyr_window_axis *axes = convolution->window.axes;
	size_t in = convolution->in, out = convolution->out;
	size_t elements = (size_t)(axes[0].in * axes[1].in * axes[2].in), taps = (size_t)(axes[0].kernel * axes[1].kernel * axes[2].kernel);
	gyr_i32_u *to = sums;
	for (size_t n = 0; n < convolution->batch; n++) {
		for (size_t m = 0; m < convolution->groups * out; m++) {
			size_t first = (n * convolution->groups + m / out) * in;
			int64_t at[GYR_WINDOW_AXES];
			for (at[0] = 0; at[0] < axes[0].out; at[0]++) {
				for (at[1] = 0; at[1] < axes[1].out; at[1]++) {
					for (at[2] = 0; at[2] < axes[2].out; at[2]++) {
						uint32_t sum = bias == NULL ? 0 : (uint32_t)((const gyr_i32_u *)bias)[m];
						for (size_t c = 0; c < in; c++)
							sum += channel(axes, x, (first + c) * elements, w, (m * in + c) * taps, zero_of(w, m), at);
						*to++ = (int32_t)sum;
					}
				}
			}
		}
	}
}
