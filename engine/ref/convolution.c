/*
 * Convolutions, one element of the result after another: see convolution.h.
 */
#include "engine/ref/convolution.h"

#include "engine/ref/unaligned.h"

static size_t taps(const struct gyr_window *window)
{
	return (size_t)(window->axes[0].kernel * window->axes[1].kernel * window->axes[2].kernel);
}

static size_t elements(const struct gyr_window *window)
{
	return (size_t)(window->axes[0].in * window->axes[1].in * window->axes[2].in);
}

/* The element that tap K of the result's element OUT meets, or -1 where it meets none. */
static int64_t meets(const struct gyr_window_axis *axis, bool transposed, int64_t out, int64_t k)
{
	int64_t at = transposed ? out + axis->begin - k * axis->dilation : out * axis->stride - axis->begin + k * axis->dilation;
	if (transposed) {
		if (at < 0 || at % axis->stride != 0)
			return -1;
		at /= axis->stride;
	}
	return at >= 0 && at < axis->in ? at : -1;
}

/* The sum over one channel: X is its elements, W its taps, OUT where in the result. */
static double channel(const struct gyr_convolution *convolution, const gyr_f32_u *x, const gyr_f32_u *w, const int64_t *out)
{
	const struct gyr_window_axis *axes = convolution->window.axes;
	double sum = 0;
	for (int64_t i = 0; i < axes[0].kernel; i++) {
		for (int64_t j = 0; j < axes[1].kernel; j++) {
			for (int64_t k = 0; k < axes[2].kernel; k++) {
				int64_t depth = meets(&axes[0], convolution->transposed, out[0], i), row = meets(&axes[1], convolution->transposed, out[1], j);
				int64_t column = meets(&axes[2], convolution->transposed, out[2], k);
				if (depth >= 0 && row >= 0 && column >= 0)
					sum += (double)x[(depth * axes[1].in + row) * axes[2].in + column] *
					       (double)w[(i * axes[1].kernel + j) * axes[2].kernel + k];
			}
		}
	}
	return sum;
}

void gyr_ref_convolution(const struct gyr_convolution *convolution, const void *x, const void *w, const void *b, void *y)
{
	const struct gyr_window *window = &convolution->window;
	const gyr_f32_u *from = x, *weights = w, *bias = b;
	gyr_f32_u *to = y;
	size_t in = convolution->in, out = convolution->out;
	for (size_t n = 0; n < convolution->batch; n++) {
		for (size_t m = 0; m < convolution->groups * out; m++) {
			size_t group = m / out;
			int64_t at[GYR_WINDOW_AXES];
			for (at[0] = 0; at[0] < window->axes[0].out; at[0]++) {
				for (at[1] = 0; at[1] < window->axes[1].out; at[1]++) {
					for (at[2] = 0; at[2] < window->axes[2].out; at[2]++) {
						double sum = bias != NULL ? (double)bias[m] : 0;
						for (size_t c = 0; c < in; c++) {
							size_t matrix = convolution->transposed ? (group * in + c) * out + m % out : m * in + c;
							sum += channel(convolution, from + ((n * convolution->groups + group) * in + c) * elements(window),
								       weights + matrix * taps(window), at);
						}
						*to++ = (float)sum;
					}
				}
			}
		}
	}
}
