/*
 * Windows that slide over the spatial dimensions of a tensor: the geometry that convolution and pooling share, worked out from a node's attributes.
 */
#ifndef GYR_ENGINE_MODEL_WINDOW_H
#define GYR_ENGINE_MODEL_WINDOW_H

#include <stdint.h>

#include "base/error.h"
#include "engine/model/graph.h"

#define GYR_WINDOW_AXES 3u

struct gyr_window_axis {
	int64_t in, out;          /* elements of the side that slides (X) and of the result (Y) */
	int64_t kernel, dilation; /* taps, and the distance from one to the next */
	int64_t stride;
	int64_t begin, end; /* padding; what ceil_mode adds is not in END */
};

/* Depth, height, width: a window of fewer axes has ones, and no padding, in front. */
struct gyr_window {
	struct gyr_window_axis axes[GYR_WINDOW_AXES];
};

/*
 * The window of NODE (a convolution or a pooling) over X of rank 3 to 5. KERNEL has the taps of each spatial axis where the weights tell them, else NULL: then
 * "kernel_shape" does. Each dimension of the result is at least 1. -EINVAL with the reason: a rank or an attribute out of range, or attributes at odds.
 */
GYR_MUST_CHECK int gyr_window_read(const struct gyr_node *node, const struct gyr_shape *x, const int64_t *kernel, struct gyr_window *window,
				   struct gyr_error *error);

#endif
