/*
 * Windows: see window.h. Source: the ONNX operator schemas of Conv, ConvTranspose, MaxPool, AveragePool and LpPool (docs/Operators.md of ONNX 1.17).
 */
#include "engine/model/window.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ITEM_MAX (INT64_C(1) << 30) /* of any number here, so that no sum of products of two overflows */

enum auto_pad { PAD_EXPLICIT, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID };

struct reader {
	const struct gyr_node *node;
	uint32_t rank; /* spatial */
	struct gyr_error *error;
};

/* The attribute NAME as COUNT numbers from MIN on, each OTHERWISE where it is left out; *GIVEN says whether it is there. */
static int read_items(const struct reader *reader, const char *name, uint32_t count, int64_t min, int64_t otherwise, int64_t *items, bool *given)
{
	const struct gyr_attribute *attribute = gyr_node_attribute(reader->node, name);
	*given = attribute != NULL;
	for (uint32_t i = 0; i < count; i++)
		items[i] = otherwise;
	if (attribute == NULL)
		return 0;
	if (attribute->integers.count != count)
		return gyr_error_set(reader->error, -EINVAL, "attribute '%s' has %" PRIu32 " items (%" PRIu32 ")", name, attribute->integers.count, count);
	for (uint32_t i = 0; i < count; i++) {
		items[i] = attribute->integers.items[i];
		if (items[i] < min || items[i] > ITEM_MAX)
			return gyr_error_set(reader->error, -EINVAL, "attribute '%s' has an item of %" PRId64 " (%" PRId64 " to %" PRId64 ")", name, items[i],
					     min, ITEM_MAX);
	}
	return 0;
}

static int read_auto_pad(const struct reader *reader, enum auto_pad *pad)
{
	static const char *const names[] = {[PAD_EXPLICIT] = "NOTSET", [PAD_SAME_UPPER] = "SAME_UPPER", [PAD_SAME_LOWER] = "SAME_LOWER", [PAD_VALID] = "VALID"};
	const char *name = gyr_node_string(reader->node, "auto_pad", "NOTSET");
	for (*pad = PAD_EXPLICIT; *pad <= PAD_VALID; (*pad)++)
		if (strcmp(name, names[*pad]) == 0)
			return 0;
	return gyr_error_set(reader->error, -EINVAL, "attribute 'auto_pad' is '%s' (NOTSET, SAME_UPPER, SAME_LOWER or VALID)", name);
}

static int read_kernel(const struct reader *reader, const int64_t *kernel, int64_t *taps)
{
	bool given;
	int status = read_items(reader, "kernel_shape", reader->rank, 1, 0, taps, &given);
	for (uint32_t i = 0; status == 0 && kernel != NULL && i < reader->rank; i++) {
		if (given && taps[i] != kernel[i])
			return gyr_error_set(reader->error, -EINVAL, "attribute 'kernel_shape' has %" PRId64 " where the weights have %" PRId64, taps[i],
					     kernel[i]);
		if (kernel[i] < 1 || kernel[i] > ITEM_MAX)
			return gyr_error_set(reader->error, -EINVAL, "the weights have a dimension of %" PRId64 " (1 to %" PRId64 ")", kernel[i], ITEM_MAX);
		taps[i] = kernel[i];
	}
	return status;
}

/* From the first tap to the last one, both counted. */
static int64_t reach(const struct gyr_window_axis *axis)
{
	return (axis->kernel - 1) * axis->dilation + 1;
}

/* Padding of TOTAL, the odd one at the end (UPPER) or at the beginning. */
static void split(struct gyr_window_axis *axis, int64_t total, bool upper)
{
	axis->begin = upper ? total / 2 : total - total / 2;
	axis->end = total - axis->begin;
}

/* With ceil_mode a window may begin in the input or the padding before it and end beyond the padding behind it. */
static int slide(const struct reader *reader, struct gyr_window_axis *axis, enum auto_pad pad, bool ceil)
{
	if (pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER) {
		axis->out = (axis->in + axis->stride - 1) / axis->stride;
		int64_t total = (axis->out - 1) * axis->stride + reach(axis) - axis->in;
		split(axis, total > 0 ? total : 0, pad == PAD_SAME_UPPER);
	} else {
		int64_t room = axis->in + axis->begin + axis->end - reach(axis);
		if (room < 0)
			return gyr_error_set(reader->error, -EINVAL, "its window reaches over %" PRId64 " elements, and the input has %" PRId64 " with padding",
					     reach(axis), axis->in + axis->begin + axis->end);
		axis->out = room / axis->stride + 1;
		if (ceil && room % axis->stride != 0 && axis->out * axis->stride < axis->in + axis->begin) {
			/* ONNX's text says one thing, its shape inference another. */
			if (pad == PAD_VALID)
				return gyr_error_set(reader->error, -EINVAL, "attribute 'ceil_mode' means nothing certain with 'auto_pad' VALID");
			axis->out++;
		}
	}
	if (axis->out < 1)
		return gyr_error_set(reader->error, -EINVAL, "its input is empty");
	return 0;
}

/* The result of a transposed convolution; TARGET is its size where that is given, or 0. */
static int slide_back(const struct reader *reader, struct gyr_window_axis *axis, enum auto_pad pad, int64_t more, int64_t target)
{
	if (axis->in < 1)
		return gyr_error_set(reader->error, -EINVAL, "its input is empty");
	int64_t full = axis->stride * (axis->in - 1) + more + reach(axis);
	if (target == 0 && (pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER))
		target = axis->in * axis->stride;
	axis->out = target != 0 ? target : full - axis->begin - axis->end;
	if (axis->out < 1)
		return gyr_error_set(reader->error, -EINVAL, "its padding leaves nothing of the result's %" PRId64 " elements", full);
	if (target != 0)
		split(axis, full > target ? full - target : 0, pad == PAD_SAME_UPPER); /* what is missing stands at the end */
	return 0;
}

int gyr_window_read(const struct gyr_node *node, const struct gyr_shape *x, const int64_t *kernel, struct gyr_window *window, struct gyr_error *error)
{
	const struct reader reader = {.node = node, .rank = x->rank - 2, .error = error};
	int64_t taps[GYR_WINDOW_AXES], strides[GYR_WINDOW_AXES], dilations[GYR_WINDOW_AXES], pads[2 * GYR_WINDOW_AXES];
	int64_t more[GYR_WINDOW_AXES], targets[GYR_WINDOW_AXES];
	bool given, padded, ceil = gyr_node_integer(node, "ceil_mode", 0) != 0;
	enum auto_pad pad = PAD_EXPLICIT;
	char text[128];
	if (x->rank < 3 || x->rank > 2 + GYR_WINDOW_AXES)
		return gyr_error_set(error, -EINVAL, "its input is %s (rank 3 to 5)", gyr_shape_text(x, text, sizeof text));
	int status = read_auto_pad(&reader, &pad);
	if (status == 0)
		status = read_kernel(&reader, kernel, taps);
	if (status == 0)
		status = read_items(&reader, "strides", reader.rank, 1, 1, strides, &given);
	if (status == 0)
		status = read_items(&reader, "dilations", reader.rank, 1, 1, dilations, &given);
	if (status == 0)
		status = read_items(&reader, "pads", 2 * reader.rank, 0, 0, pads, &padded);
	if (status == 0)
		status = read_items(&reader, "output_padding", reader.rank, 0, 0, more, &given);
	if (status == 0)
		status = read_items(&reader, "output_shape", reader.rank, 1, 0, targets, &given);
	for (uint32_t i = 0; i < GYR_WINDOW_AXES; i++)
		window->axes[i] = (struct gyr_window_axis){.in = 1, .out = 1, .kernel = 1, .dilation = 1, .stride = 1};
	for (uint32_t i = 0; status == 0 && i < reader.rank; i++) {
		struct gyr_window_axis *axis = &window->axes[GYR_WINDOW_AXES - reader.rank + i];
		int64_t begin = pads[i], end = pads[reader.rank + i];
		if (pad != PAD_EXPLICIT && (begin != 0 || end != 0))
			return gyr_error_set(error, -EINVAL, "attributes 'auto_pad' and 'pads' are both given");
		if (x->dims[2 + i] > ITEM_MAX)
			return gyr_error_set(error, -EINVAL, "its input is %s, which is too large", gyr_shape_text(x, text, sizeof text));
		*axis = (struct gyr_window_axis){
			.in = x->dims[2 + i], .kernel = taps[i], .dilation = dilations[i], .stride = strides[i], .begin = begin, .end = end};
		status = node->op == GYR_OP_CONV_TRANSPOSE ? slide_back(&reader, axis, pad, more[i], targets[i]) : slide(&reader, axis, pad, ceil);
	}
	return status;
}
