/*
 * Resize and Upsample: see resize.h. Source: the ONNX operator schemas of both and the reference implementation of Resize (ONNX 1.17).
 */
#include "engine/model/resize.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/model/op_family.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The inputs; 0: there is none. */
struct ends {
	uint32_t roi, scales, sizes;
};

static struct ends ends_of(const struct gyr_infer *infer)
{
	if (infer->node->op == GYR_OP_UPSAMPLE)
		return (struct ends){.scales = infer->opset >= 9 ? 1 : 0};
	if (infer->opset < 11)
		return (struct ends){.scales = 1};
	/* Left out, or empty: not given. */
	struct ends ends = {.roi = 1, .scales = 2, .sizes = 3};
	uint32_t *const all[] = {&ends.roi, &ends.scales, &ends.sizes};
	for (size_t i = 0; i < COUNT(all); i++) {
		const struct gyr_shape *shape = gyr_infer_input(infer, *all[i]);
		if (shape == NULL || (shape->rank == 1 && shape->dims[0] == 0))
			*all[i] = 0;
	}
	return ends;
}

/* The attribute NAME, one of COUNT texts in ITEMS, as its number; OTHERWISE where it is left out. */
static int read_choice(struct gyr_infer *infer, const char *name, const char *const *items, size_t count, const char *otherwise, int *choice)
{
	const char *text = gyr_node_string(infer->node, name, otherwise);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, items[i]) == 0) {
			*choice = (int)i;
			return 0;
		}
	}
	return gyr_error_set(infer->error, -EINVAL, "attribute '%s' is '%.40s', which it does not know", name, text);
}

static int read_modes(struct gyr_infer *infer, struct gyr_resize *resize)
{
	static const char *const modes[] = {[GYR_RESIZE_NEAREST] = "nearest", [GYR_RESIZE_LINEAR] = "linear", [GYR_RESIZE_CUBIC] = "cubic"};
	static const char *const coordinates[] = {
		[GYR_RESIZE_HALF_PIXEL] = "half_pixel",
		[GYR_RESIZE_HALF_PIXEL_SYMMETRIC] = "half_pixel_symmetric",
		[GYR_RESIZE_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel",
		[GYR_RESIZE_ALIGN_CORNERS] = "align_corners",
		[GYR_RESIZE_ASYMMETRIC] = "asymmetric",
		[GYR_RESIZE_TF_CROP_AND_RESIZE] = "tf_crop_and_resize",
	};
	static const char *const nearests[] = {
		[GYR_RESIZE_ROUND_PREFER_FLOOR] = "round_prefer_floor",
		[GYR_RESIZE_ROUND_PREFER_CEIL] = "round_prefer_ceil",
		[GYR_RESIZE_FLOOR] = "floor",
		[GYR_RESIZE_CEIL] = "ceil",
	};
	bool old = infer->opset < 11;
	int mode = 0, coordinate = GYR_RESIZE_ASYMMETRIC, nearest = GYR_RESIZE_SIMPLE;
	int status = read_choice(infer, "mode", modes, old ? GYR_RESIZE_CUBIC : COUNT(modes), "nearest", &mode);
	if (status == 0 && !old)
		status = read_choice(infer, "coordinate_transformation_mode", coordinates, COUNT(coordinates), "half_pixel", &coordinate);
	if (status == 0 && !old)
		status = read_choice(infer, "nearest_mode", nearests, COUNT(nearests), "round_prefer_floor", &nearest);
	if (status == 0)
		status = op_read_switch(infer, "antialias", &resize->antialias);
	if (status == 0)
		status = op_read_switch(infer, "exclude_outside", &resize->exclude_outside);
	resize->mode = (enum gyr_resize_mode)mode;
	resize->coordinate = (enum gyr_resize_coordinate)coordinate;
	resize->nearest = (enum gyr_resize_nearest)nearest;
	resize->cubic = gyr_node_number(infer->node, "cubic_coeff_a", -0.75f);
	resize->extrapolation = gyr_node_number(infer->node, "extrapolation_value", 0);
	if (status == 0 && resize->antialias && mode == GYR_RESIZE_NEAREST)
		status = gyr_error_set(infer->error, -EINVAL, "attribute 'antialias' means nothing with mode 'nearest'");
	return status;
}

/* The axes that scales, sizes and roi speak of: all, or those of the attribute "axes". */
static int read_axes(struct gyr_infer *infer, uint32_t rank, uint32_t *axes, uint32_t *count)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(infer->node, "axes");
	uint32_t seen = 0;
	*count = rank;
	for (uint32_t i = 0; i < rank; i++)
		axes[i] = i;
	if (attribute == NULL)
		return 0;
	*count = attribute->integers.count;
	if (*count > rank)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'axes' has %" PRIu32 " items (%" PRIu32 " at most)", *count, rank);
	for (uint32_t i = 0; i < *count; i++) {
		int status = op_check_axis(infer, "axes has", attribute->integers.items[i], rank, (int64_t)rank - 1, &axes[i]);
		if (status != 0)
			return status;
		if ((seen >> axes[i] & 1) != 0)
			return gyr_error_set(infer->error, -EINVAL, "attribute 'axes' has %" PRIu32 " twice", axes[i]);
		seen |= 1u << axes[i];
	}
	return 0;
}

/* Input INDEX as COUNT floats. */
static int read_floats(struct gyr_infer *infer, uint32_t index, uint32_t count, float *items)
{
	const struct gyr_shape *shape = infer->inputs[index];
	const char *content = infer->contents[index];
	if (shape->rank != 1 || shape->dims[0] != count)
		return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " is no vector of %" PRIu32, index, count);
	if (content == NULL)
		return op_need_content(infer, index);
	for (uint32_t i = 0; i < count; i++) {
		double wide;
		_Float16 narrow;
		if (shape->dtype == GYR_DTYPE_F32) {
			memcpy(&items[i], content + i * sizeof items[i], sizeof items[i]);
		} else if (shape->dtype == GYR_DTYPE_F64) {
			memcpy(&wide, content + i * sizeof wide, sizeof wide);
			items[i] = (float)wide;
		} else {
			memcpy(&narrow, content + i * sizeof narrow, sizeof narrow);
			items[i] = (float)narrow;
		}
		if (!isfinite(items[i]))
			return gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " has an item that is not finite", index);
	}
	return 0;
}

static int read_scales(struct gyr_infer *infer, uint32_t input, const uint32_t *axes, uint32_t count, struct gyr_resize *resize)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(infer->node, "scales");
	float scales[GYR_RANK_MAX];
	int status = 0;
	if (input != 0)
		status = read_floats(infer, input, count, scales);
	else if (attribute->numbers.count != count)
		status = gyr_error_set(infer->error, -EINVAL, "attribute 'scales' has %" PRIu32 " items (%" PRIu32 ")", attribute->numbers.count, count);
	else
		memcpy(scales, attribute->numbers.items, count * sizeof scales[0]);
	for (uint32_t i = 0; i < count && status == 0; i++) {
		struct gyr_resize_axis *axis = &resize->axes[axes[i]];
		axis->scale = scales[i];
		axis->width = (float)axis->in * scales[i];
		if (!(scales[i] > 0) || !(axis->width < 0x1p31f) || (infer->node->op == GYR_OP_UPSAMPLE && scales[i] < 1))
			return gyr_error_set(infer->error, -EINVAL, "a scale is %g, which it does not take", (double)scales[i]);
		axis->out = (int64_t)floorf(axis->width);
		/* ONNX's text counts whole elements, as PyTorch and ONNX Runtime do; its reference and its cases count what was cut off. */
		if (resize->coordinate == GYR_RESIZE_ALIGN_CORNERS && axis->width - (float)axis->out > 1e-5f * axis->width)
			return gyr_error_set(infer->error, -EINVAL,
					     "'align_corners' means nothing certain where a scale (%g) gives no whole number of elements", (double)scales[i]);
	}
	return status;
}

/* Sizes, and what a policy on their ratio makes of them. */
static int read_sizes(struct gyr_infer *infer, uint32_t input, const uint32_t *axes, uint32_t count, struct gyr_resize *resize)
{
	static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
	int64_t sizes[GYR_RANK_MAX];
	uint32_t given;
	int policy = 0, status = read_choice(infer, "keep_aspect_ratio_policy", policies, COUNT(policies), "stretch", &policy);
	if (status == 0)
		status = op_read_integers(infer, input, sizes, GYR_RANK_MAX, &given);
	if (status == 0 && given != count)
		status = gyr_error_set(infer->error, -EINVAL, "input %" PRIu32 " has %" PRIu32 " sizes (%" PRIu32 ")", input, given, count);
	float one = 0;
	for (uint32_t i = 0; i < count && status == 0; i++) {
		struct gyr_resize_axis *axis = &resize->axes[axes[i]];
		if (sizes[i] < 1 || sizes[i] > INT32_MAX)
			return gyr_error_set(infer->error, -EINVAL, "a size is %" PRId64 ", which it does not take", sizes[i]);
		axis->out = sizes[i];
		axis->scale = (float)sizes[i] / (float)axis->in;
		axis->width = (float)sizes[i];
		if (i == 0 || (policy == 1 ? axis->scale < one : axis->scale > one))
			one = axis->scale;
	}
	for (uint32_t i = 0; i < count && status == 0 && policy != 0; i++) {
		struct gyr_resize_axis *axis = &resize->axes[axes[i]];
		axis->scale = one;
		axis->width = (float)axis->in * one;
		if (!(axis->width < 0x1p31f))
			return gyr_error_set(infer->error, -EINVAL, "its result is too large");
		axis->out = (int64_t)floorf(axis->width + 0.5f);
	}
	return status;
}

int gyr_resize_read(struct gyr_infer *infer, struct gyr_resize *resize)
{
	const struct gyr_shape *x = infer->inputs[0];
	const struct ends ends = ends_of(infer);
	bool attribute = infer->node->op == GYR_OP_UPSAMPLE && ends.scales == 0;
	uint32_t axes[GYR_RANK_MAX], count = 0;
	float roi[2 * GYR_RANK_MAX];
	*resize = (struct gyr_resize){.rank = x->rank};
	for (uint32_t i = 0; i < x->rank; i++)
		resize->axes[i] = (struct gyr_resize_axis){.in = x->dims[i], .out = x->dims[i], .scale = 1, .width = (float)x->dims[i], .end = 1};
	int status = read_modes(infer, resize);
	if (status == 0)
		status = read_axes(infer, x->rank, axes, &count);
	if (status != 0)
		return status;
	bool crop = resize->coordinate == GYR_RESIZE_TF_CROP_AND_RESIZE;
	if ((ends.scales != 0) + (ends.sizes != 0) + attribute != 1)
		return gyr_error_set(infer->error, -EINVAL, "it wants either scales or sizes");
	if (crop && ends.roi == 0)
		return gyr_error_set(infer->error, -EINVAL, "'tf_crop_and_resize' wants a roi");
	/* ONNX's text cuts the result to the roi, its reference does not. */
	if (crop && ends.sizes == 0)
		return gyr_error_set(infer->error, -EINVAL, "'tf_crop_and_resize' means nothing certain with scales");
	for (uint32_t i = 0; i < count; i++)
		if (x->dims[axes[i]] == 0)
			return gyr_error_set(infer->error, -EINVAL, "its input is empty");
	status = ends.sizes != 0 ? read_sizes(infer, ends.sizes, axes, count, resize) : read_scales(infer, ends.scales, axes, count, resize);
	if (status == 0 && crop)
		status = read_floats(infer, ends.roi, 2 * count, roi);
	for (uint32_t i = 0; i < count && status == 0; i++) {
		struct gyr_resize_axis *axis = &resize->axes[axes[i]];
		if (axis->out < 1)
			return gyr_error_set(infer->error, -EINVAL, "its result is empty");
		if (crop) {
			axis->begin = roi[i];
			axis->end = roi[count + i];
		}
	}
	return status;
}

bool gyr_resize_same(const struct gyr_resize *resize, uint32_t axis)
{
	const struct gyr_resize_axis *at = &resize->axes[axis];
	return at->in == at->out && at->scale == 1 && at->begin == 0 && at->end == 1;
}
