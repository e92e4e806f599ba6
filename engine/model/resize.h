/*
 * What a Resize or an Upsample asks for, in every opset's words: for each axis the size of the result, the scale, and the part of the input that it shows.
 */
#ifndef GYR_ENGINE_MODEL_RESIZE_H
#define GYR_ENGINE_MODEL_RESIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model/infer.h"

enum gyr_resize_mode { GYR_RESIZE_NEAREST, GYR_RESIZE_LINEAR, GYR_RESIZE_CUBIC };

/* Where in the input a place of the result lies; ONNX's names. */
enum gyr_resize_coordinate {
	GYR_RESIZE_HALF_PIXEL,
	GYR_RESIZE_HALF_PIXEL_SYMMETRIC,
	GYR_RESIZE_PYTORCH_HALF_PIXEL,
	GYR_RESIZE_ALIGN_CORNERS,
	GYR_RESIZE_ASYMMETRIC,
	GYR_RESIZE_TF_CROP_AND_RESIZE,
};

/* Which of two elements is the nearest. SIMPLE is what opset 10 did: the one behind where the result is smaller, else the one in front. */
enum gyr_resize_nearest {
	GYR_RESIZE_ROUND_PREFER_FLOOR,
	GYR_RESIZE_ROUND_PREFER_CEIL,
	GYR_RESIZE_FLOOR,
	GYR_RESIZE_CEIL,
	GYR_RESIZE_SIMPLE,
};

struct gyr_resize_axis {
	int64_t in, out;  /* elements */
	float scale;      /* as it is given, or OUT / IN */
	float width;      /* of the result before it was cut to whole elements */
	float begin, end; /* the part of the input, from 0 to 1 */
};

struct gyr_resize {
	enum gyr_resize_mode mode;
	enum gyr_resize_coordinate coordinate;
	enum gyr_resize_nearest nearest;
	bool antialias, exclude_outside;
	float cubic, extrapolation;
	uint32_t rank;
	struct gyr_resize_axis axes[GYR_RANK_MAX];
};

/* Reads INFER's node. -EAGAIN: it needs a content that is not known. -EINVAL with the reason. */
GYR_MUST_CHECK int gyr_resize_read(struct gyr_infer *infer, struct gyr_resize *resize);

/* Whether the result is the same as the input along AXIS. */
bool gyr_resize_same(const struct gyr_resize *resize, uint32_t axis);

#endif
