/*
 * The convolution family: convolution and pooling. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/model/op_family.h"
#include "engine/model/window.h"

/* [N, CHANNELS, the window's results...]. */
static void set_result(struct gyr_infer *infer, const struct gyr_window *window, int64_t channels)
{
	const struct gyr_shape *x = infer->inputs[0];
	struct gyr_shape *result = &infer->outputs[0];
	*result = (struct gyr_shape){.dtype = x->dtype, .rank = x->rank, .dims = {x->dims[0], channels}};
	for (uint32_t i = 2; i < x->rank; i++)
		result->dims[i] = window->axes[GYR_WINDOW_AXES - x->rank + i].out;
}

/* X is [N, C, ...]. The weights are [M, C / group, taps...], and of a transposed convolution [C, M / group, taps...]; the bias is [M]. */
static int infer_conv(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0], *w = infer->inputs[1], *b = gyr_infer_input(infer, 2);
	bool transposed = infer->node->op == GYR_OP_CONV_TRANSPOSE;
	int64_t group = gyr_node_integer(infer->node, "group", 1), channels = 0;
	char x_text[128], w_text[128];
	struct gyr_window window;
	gyr_shape_text(x, x_text, sizeof x_text);
	gyr_shape_text(w, w_text, sizeof w_text);
	if (x->rank != w->rank || x->rank < 3)
		return gyr_error_set(infer->error, -EINVAL, "its input is %s and its weights are %s (rank 3 or more, and the same)", x_text, w_text);
	if (group < 1)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'group' is %" PRId64 " (1 or more)", group);
	if (x->dims[1] % group != 0 || (transposed ? w->dims[0] != x->dims[1] : w->dims[0] % group != 0 || w->dims[1] != x->dims[1] / group))
		return gyr_error_set(infer->error, -EINVAL, "weights of %s do not fit an input of %s in %" PRId64 " groups", w_text, x_text, group);
	if (!transposed)
		channels = w->dims[0];
	else if (__builtin_mul_overflow(w->dims[1], group, &channels))
		return gyr_error_set(infer->error, -EINVAL, "the result has too many channels");
	if (b != NULL && (b->rank != 1 || b->dims[0] != channels))
		return gyr_error_set(infer->error, -EINVAL, "its bias is %s ([%" PRId64 "])", gyr_shape_text(b, x_text, sizeof x_text), channels);
	int status = gyr_window_read(infer->node, x, w->dims + 2, &window, infer->error);
	if (status == 0)
		set_result(infer, &window, channels);
	return status;
}

/* The weights are the same for all rows. */
static enum gyr_rows rows_conv(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return gyr_rows_along(node, inputs, 1);
}

static int infer_pool(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0];
	struct gyr_window window;
	bool unused;
	int status = op_read_switch(infer, "ceil_mode", &unused);
	if (status == 0)
		status = op_read_switch(infer, "count_include_pad", &unused);
	if (status == 0)
		status = op_read_switch(infer, "storage_order", &unused);
	if (status == 0 && gyr_node_integer(infer->node, "p", 2) < 1)
		status = gyr_error_set(infer->error, -EINVAL, "attribute 'p' is %" PRId64 " (1 or more)", gyr_node_integer(infer->node, "p", 2));
	if (status == 0)
		status = gyr_window_read(infer->node, x, NULL, &window, infer->error);
	if (status != 0)
		return status;
	set_result(infer, &window, x->dims[1]);
	if (infer->node->output_count > 1) {
		infer->outputs[1] = infer->outputs[0];
		infer->outputs[1].dtype = GYR_DTYPE_I64;
	}
	return 0;
}

/* The places that MaxPool tells are counted through the whole tensor, so they depend on where a row stands. */
static enum gyr_rows rows_pool(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return node->node->output_count > 1 ? GYR_ROWS_MIXED : inputs[0];
}

static int infer_global(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[0];
	char text[128];
	infer->outputs[0] = *x;
	if (gyr_node_integer(infer->node, "p", 2) < 1)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'p' is %" PRId64 " (1 or more)", gyr_node_integer(infer->node, "p", 2));
	if (x->rank < 2)
		return gyr_error_set(infer->error, -EINVAL, "its input is %s (rank 2 or more)", gyr_shape_text(x, text, sizeof text));
	for (uint32_t i = 2; i < x->rank; i++) {
		if (x->dims[i] == 0)
			return gyr_error_set(infer->error, -EINVAL, "its input is %s, which has nothing to pool", gyr_shape_text(x, text, sizeof text));
		infer->outputs[0].dims[i] = 1;
	}
	return 0;
}

static const struct gyr_op_attribute conv_attributes[] = {
	{"auto_pad", GYR_ATTRIBUTE_STRING, 7, false},   {"dilations", GYR_ATTRIBUTE_INTS, 7, false}, {"group", GYR_ATTRIBUTE_INT, 7, false},
	{"kernel_shape", GYR_ATTRIBUTE_INTS, 7, false}, {"pads", GYR_ATTRIBUTE_INTS, 7, false},      {"strides", GYR_ATTRIBUTE_INTS, 7, false},
};
static const struct gyr_op_attribute transpose_attributes[] = {
	{"auto_pad", GYR_ATTRIBUTE_STRING, 7, false},   {"dilations", GYR_ATTRIBUTE_INTS, 7, false},      {"group", GYR_ATTRIBUTE_INT, 7, false},
	{"kernel_shape", GYR_ATTRIBUTE_INTS, 7, false}, {"output_padding", GYR_ATTRIBUTE_INTS, 7, false}, {"output_shape", GYR_ATTRIBUTE_INTS, 7, false},
	{"pads", GYR_ATTRIBUTE_INTS, 7, false},         {"strides", GYR_ATTRIBUTE_INTS, 7, false},
};
static const struct gyr_op_attribute max_attributes[] = {
	{"auto_pad", GYR_ATTRIBUTE_STRING, 7, false},  {"ceil_mode", GYR_ATTRIBUTE_INT, 10, false}, {"dilations", GYR_ATTRIBUTE_INTS, 10, false},
	{"kernel_shape", GYR_ATTRIBUTE_INTS, 7, true}, {"pads", GYR_ATTRIBUTE_INTS, 7, false},      {"storage_order", GYR_ATTRIBUTE_INT, 8, false},
	{"strides", GYR_ATTRIBUTE_INTS, 7, false},
};
static const struct gyr_op_attribute average_attributes[] = {
	{"auto_pad", GYR_ATTRIBUTE_STRING, 7, false}, {"ceil_mode", GYR_ATTRIBUTE_INT, 10, false},   {"count_include_pad", GYR_ATTRIBUTE_INT, 7, false},
	{"dilations", GYR_ATTRIBUTE_INTS, 19, false}, {"kernel_shape", GYR_ATTRIBUTE_INTS, 7, true}, {"pads", GYR_ATTRIBUTE_INTS, 7, false},
	{"strides", GYR_ATTRIBUTE_INTS, 7, false},
};
static const struct gyr_op_attribute lp_attributes[] = {
	{"auto_pad", GYR_ATTRIBUTE_STRING, 7, false},  {"ceil_mode", GYR_ATTRIBUTE_INT, 18, false}, {"dilations", GYR_ATTRIBUTE_INTS, 18, false},
	{"kernel_shape", GYR_ATTRIBUTE_INTS, 7, true}, {"p", GYR_ATTRIBUTE_INT, 7, false},          {"pads", GYR_ATTRIBUTE_INTS, 7, false},
	{"strides", GYR_ATTRIBUTE_INTS, 7, false},
};
static const struct gyr_op_attribute global_lp_attributes[] = {{"p", GYR_ATTRIBUTE_INT, 7, false}};

static const struct gyr_op_type float_types[] = {{'T', 7, OP_FLOATS}, {'T', 22, OP_BIT(BF16)}};
static const struct gyr_op_type max_types[] = {{'T', 7, OP_FLOATS}, {'T', 12, OP_BIT(I8) | OP_BIT(U8)}, {'T', 22, OP_BIT(BF16)}};
static const struct gyr_op_type global_lp_types[] = {{'T', 7, OP_FLOATS | OP_BIT(BF16)}};
static const struct gyr_op_type global_lp_types_22[] = {{'T', 22, OP_FLOATS}}; /* the schema lost bf16 */

#define MAX_POOL                                                                                                                                               \
	.op = GYR_OP_MAX_POOL, .name = "MaxPool", OP_INPUTS(1, 1, "T"), OP_TYPES(max_types), OP_ATTRIBUTES(max_attributes), .infer = infer_pool,               \
	.rows = rows_pool
#define GLOBAL_LP                                                                                                                                              \
	.op = GYR_OP_GLOBAL_LP_POOL, .name = "GlobalLpPool", OP_INPUTS(1, 1, "T"), OP_OUTPUTS(1, "T"), OP_ATTRIBUTES(global_lp_attributes),                    \
	.infer = infer_global, .rows = gyr_rows_first

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_AVERAGE_POOL,
	 .name = "AveragePool",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(float_types),
	 OP_ATTRIBUTES(average_attributes),
	 .infer = infer_pool,
	 .rows = rows_pool},
	{.op = GYR_OP_CONV,
	 .name = "Conv",
	 OP_EVERY_OPSET,
	 OP_INPUTS(2, 3, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(float_types),
	 OP_ATTRIBUTES(conv_attributes),
	 .infer = infer_conv,
	 .rows = rows_conv},
	{.op = GYR_OP_CONV_TRANSPOSE,
	 .name = "ConvTranspose",
	 OP_EVERY_OPSET,
	 OP_INPUTS(2, 3, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(float_types),
	 OP_ATTRIBUTES(transpose_attributes),
	 .infer = infer_conv,
	 .rows = rows_conv},
	{.op = GYR_OP_GLOBAL_AVERAGE_POOL,
	 .name = "GlobalAveragePool",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(float_types),
	 .infer = infer_global,
	 .rows = gyr_rows_first},
	{GLOBAL_LP, OP_OPSETS(7, 21), OP_TYPES(global_lp_types)},
	{GLOBAL_LP, OP_OPSETS(22, GYR_OPSET_MAX), OP_TYPES(global_lp_types_22)},
	{.op = GYR_OP_GLOBAL_MAX_POOL,
	 .name = "GlobalMaxPool",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(float_types),
	 .infer = infer_global,
	 .rows = gyr_rows_first},
	{.op = GYR_OP_LP_POOL,
	 .name = "LpPool",
	 OP_EVERY_OPSET,
	 OP_INPUTS(1, 1, "T"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(float_types),
	 OP_ATTRIBUTES(lp_attributes),
	 .infer = infer_pool,
	 .rows = rows_pool},
	{MAX_POOL, OP_OPSETS(7, 7), OP_OUTPUTS(1, "T")},
	{MAX_POOL, OP_OPSETS(8, GYR_OPSET_MAX), OP_OUTPUTS(2, "TI")},
};

const struct op_family op_family_convolution = {rows, OP_COUNT(rows)};
