/*
 * The resize family: Resize and Upsample. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <string.h>

#include "engine/model/op_family.h"
#include "engine/model/resize.h"

static int infer_resize(struct gyr_infer *infer)
{
	struct gyr_resize resize;
	int status = gyr_resize_read(infer, &resize);
	infer->outputs[0] = *infer->inputs[0];
	for (uint32_t i = 0; i < resize.rank && status == 0; i++)
		infer->outputs[0].dims[i] = resize.axes[i].out;
	return status;
}

/*
 * The first axis is left alone. Sizes may come from the number of rows, as from a Shape: they say what each axis becomes, and nothing else, where no policy
 * ties the axes together.
 */
static enum gyr_rows rows_resize(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	struct gyr_error ignored;
	struct gyr_infer own = *node;
	struct gyr_resize resize;
	bool stretch = strcmp(gyr_node_string(node->node, "keep_aspect_ratio_policy", "stretch"), "stretch") == 0;
	own.error = &ignored;
	for (uint32_t i = 1; i < node->node->input_count; i++)
		if (node->node->inputs[i] != GYR_VALUE_NONE && inputs[i] > (i == 3 && stretch ? GYR_ROWS_COUNT : GYR_ROWS_NONE))
			return GYR_ROWS_MIXED;
	if (node->inputs[0]->rank == 0 || gyr_resize_read(&own, &resize) != 0 || !gyr_resize_same(&resize, 0))
		return GYR_ROWS_MIXED;
	return inputs[0];
}

static const struct gyr_op_attribute resize_attributes[] = {
	{"antialias", GYR_ATTRIBUTE_INT, 18, false},
	{"axes", GYR_ATTRIBUTE_INTS, 18, false},
	{"coordinate_transformation_mode", GYR_ATTRIBUTE_STRING, 11, false},
	{"cubic_coeff_a", GYR_ATTRIBUTE_FLOAT, 11, false},
	{"exclude_outside", GYR_ATTRIBUTE_INT, 11, false},
	{"extrapolation_value", GYR_ATTRIBUTE_FLOAT, 11, false},
	{"keep_aspect_ratio_policy", GYR_ATTRIBUTE_STRING, 18, false},
	{"mode", GYR_ATTRIBUTE_STRING, 10, false},
	{"nearest_mode", GYR_ATTRIBUTE_STRING, 11, false},
};
static const struct gyr_op_attribute upsample_attributes[] = {{"mode", GYR_ATTRIBUTE_STRING, 7, false}};
static const struct gyr_op_attribute upsample_attributes_7[] = {{"mode", GYR_ATTRIBUTE_STRING, 7, false}, {"scales", GYR_ATTRIBUTE_FLOATS, 7, true}};

static const struct gyr_op_type resize_types[] = {
	{'T', 10, OP_ALL}, {'T', 13, OP_BIT(BF16)}, {'R', 11, OP_FLOATS}, {'S', 10, OP_BIT(F32)}, {'I', 11, OP_BIT(I64)},
};
static const struct gyr_op_type upsample_types[] = {{'T', 7, OP_ALL}, {'S', 9, OP_BIT(F32)}};

#define RESIZE                                                                                                                                                 \
	.op = GYR_OP_RESIZE, .name = "Resize", OP_OUTPUTS(1, "T"), OP_TYPES(resize_types), OP_ATTRIBUTES(resize_attributes), .infer = infer_resize,            \
	.rows = rows_resize
#define UPSAMPLE .op = GYR_OP_UPSAMPLE, .name = "Upsample", OP_OUTPUTS(1, "T"), OP_TYPES(upsample_types), .infer = infer_resize, .rows = rows_resize

static const struct gyr_op_info rows[] = {
	{RESIZE, OP_OPSETS(10, 10), OP_INPUTS(2, 2, "TS")},
	{RESIZE, OP_OPSETS(11, 12), OP_INPUTS(3, 4, "TRSI")},
	{RESIZE, OP_OPSETS(13, GYR_OPSET_MAX), OP_INPUTS(1, 4, "TRSI")},
	{UPSAMPLE, OP_OPSETS(7, 8), OP_INPUTS(1, 1, "T"), OP_ATTRIBUTES(upsample_attributes_7)},
	{UPSAMPLE, OP_OPSETS(9, 9), OP_INPUTS(2, 2, "TS"), OP_ATTRIBUTES(upsample_attributes)},
};

const struct op_family op_family_resize = {rows, OP_COUNT(rows)};
