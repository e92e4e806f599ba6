/*
 * Conv and ConvTranspose on f32.
 */
#ifndef GYR_ENGINE_REF_CONVOLUTION_H
#define GYR_ENGINE_REF_CONVOLUTION_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/model/window.h"

struct gyr_convolution {
	bool transposed;
	size_t batch, groups;
	size_t in, out; /* channels of one group */
	struct gyr_window window;
};

/*
 * X is [batch, groups * in, the window's in...], Y [batch, groups * out, the window's out...]. W is [groups * out, in, taps...], or of a transposed convolution
 * [groups * in, out, taps...]; B is [groups * out], or NULL for zeros. All of any alignment, Y overlapping nothing. Sums in double, rounded once. Any thread.
 */
void gyr_ref_convolution(const struct gyr_convolution *convolution, const void *x, const void *w, const void *b, void *y);

#endif
