/*
 * The sampling family: images read at places that are computed. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17),
 * opsets 16 to 22.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/model/op_family.h"
#include "engine/model/sample.h"

/* That attribute NAME, OTHERWISE where left out, is one of the NAMED, of which there are COUNT. */
static int one_of(struct gyr_infer *infer, const char *name, const char *otherwise, const char *const *named, size_t count)
{
	const char *value = gyr_node_string(infer->node, name, otherwise);
	for (size_t i = 0; i < count; i++)
		if (strcmp(value, named[i]) == 0)
			return 0;
	return gyr_error_set(infer->error, -EINVAL, "%s '%.32s' is none that ONNX has at this opset", name, value);
}

/* X is [N, C, D1 to Dk], the grid [N, E1 to Ek, k], the result [N, C, E1 to Ek]. */
static int infer_grid_sample(struct gyr_infer *infer)
{
	static const char *const early[] = {"bilinear", "nearest", "bicubic"}, *const late[] = {"linear", "nearest", "cubic"};
	static const char *const paddings[] = {"zeros", "border", "reflection"};
	const struct gyr_shape *x = infer->inputs[0], *grid = infer->inputs[1];
	const char *const *modes = infer->opset < 20 ? early : late;
	char x_text[128], grid_text[128];
	bool align = false;
	int status = one_of(infer, "mode", modes[0], modes, OP_COUNT(early));
	if (status == 0)
		status = one_of(infer, "padding_mode", "zeros", paddings, OP_COUNT(paddings));
	if (status == 0)
		status = op_read_switch(infer, "align_corners", &align);
	if (status != 0)
		return status;
	if (x->rank < 3 || (infer->opset < 20 && x->rank != 4) || grid->rank != x->rank || grid->dims[0] != x->dims[0] ||
	    grid->dims[grid->rank - 1] != (int64_t)x->rank - 2)
		return gyr_error_set(infer->error, -EINVAL, "%s is no grid on %s", gyr_shape_text(grid, grid_text, sizeof grid_text),
				     gyr_shape_text(x, x_text, sizeof x_text));
	infer->outputs[0] = *x;
	for (uint32_t i = 2; i < x->rank; i++)
		infer->outputs[0].dims[i] = grid->dims[i - 1];
	return 0;
}

static enum gyr_rows rows_grid_sample(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	return inputs[0] == GYR_ROWS_APART && inputs[1] == GYR_ROWS_APART ? GYR_ROWS_APART : GYR_ROWS_MIXED;
}

/* Theta is [N, 2, 3] and the size (N, C, H, W), or [N, 3, 4] and (N, C, D, H, W); the grid [N, H, W, 2] or [N, D, H, W, 3]. */
static int infer_affine_grid(struct gyr_infer *infer)
{
	const struct gyr_shape *theta = infer->inputs[0];
	struct gyr_shape *grid = &infer->outputs[0];
	int64_t size[GYR_RANK_MAX];
	uint32_t count;
	bool align = false;
	int status = op_read_switch(infer, "align_corners", &align);
	if (status == 0)
		status = op_read_integers(infer, 1, size, GYR_RANK_MAX, &count);
	if (status != 0)
		return status;
	if ((count != 4 && count != 5) || theta->rank != 3 || theta->dims[1] != (int64_t)count - 2 || theta->dims[2] != (int64_t)count - 1 ||
	    theta->dims[0] != size[0])
		return gyr_error_set(infer->error, -EINVAL, "theta and size do not fit each other, or are not of 2 or 3 dimensions");
	*grid = (struct gyr_shape){.dtype = theta->dtype, .rank = count, .dims = {size[0]}};
	for (uint32_t i = 2; i < count; i++) {
		if (size[i] < 0)
			return gyr_error_set(infer->error, -EINVAL, "size has %" PRId64 " (0 or more)", size[i]);
		grid->dims[i - 1] = size[i];
	}
	grid->dims[count - 1] = (int64_t)count - 2;
	return 0;
}

int gyr_infer_col2im(struct gyr_infer *infer, struct gyr_col2im *col2im)
{
	const struct gyr_shape *input = infer->inputs[0];
	int64_t image[GYR_RANK_MAX], block[GYR_RANK_MAX], blocks = 1, elements = 1;
	uint32_t count, block_count;
	int status = op_read_integers(infer, 1, image, GYR_RANK_MAX, &count);
	if (status == 0)
		status = op_read_integers(infer, 2, block, GYR_RANK_MAX, &block_count);
	if (status != 0)
		return status;
	const struct gyr_attribute *dilations = gyr_node_attribute(infer->node, "dilations"), *pads = gyr_node_attribute(infer->node, "pads"),
				   *strides = gyr_node_attribute(infer->node, "strides");
	if (count < 1 || count > GYR_RANK_MAX - 2 || block_count != count || input->rank != 3 || (dilations != NULL && dilations->integers.count != count) ||
	    (strides != NULL && strides->integers.count != count) || (pads != NULL && pads->integers.count != 2 * count))
		return gyr_error_set(infer->error, -EINVAL, "input of rank 3, image_shape, block_shape, dilations, strides and pads do not fit each other");
	*col2im = (struct gyr_col2im){.rank = count};
	for (uint32_t i = 0; i < count; i++) {
		int64_t dilation = dilations != NULL ? dilations->integers.items[i] : 1, stride = strides != NULL ? strides->integers.items[i] : 1;
		int64_t before = pads != NULL ? pads->integers.items[i] : 0, behind = pads != NULL ? pads->integers.items[count + i] : 0;
		const int64_t most = INT32_MAX;
		if (image[i] < 1 || image[i] > most || block[i] < 1 || block[i] > most || dilation < 1 || dilation > most || stride < 1 || stride > most ||
		    before < 0 || before > most || behind < 0 || behind > most)
			return gyr_error_set(infer->error, -EINVAL, "image_shape, block_shape, dilations, strides and pads are out of range");
		int64_t free = image[i] + before + behind - (block[i] - 1) * dilation - 1;
		if (free < 0)
			return gyr_error_set(infer->error, -EINVAL, "the blocks of dimension %" PRIu32 " are larger than the padded image", i);
		col2im->image[i] = image[i];
		col2im->block[i] = block[i];
		col2im->places[i] = free / stride + 1;
		col2im->dilation[i] = dilation;
		col2im->stride[i] = stride;
		col2im->before[i] = before;
		if (__builtin_mul_overflow(blocks, col2im->places[i], &blocks) || __builtin_mul_overflow(elements, block[i], &elements))
			return gyr_error_set(infer->error, -EINVAL, "its blocks are too many");
	}
	if (input->dims[1] % elements != 0 || input->dims[2] != blocks)
		return gyr_error_set(infer->error, -EINVAL, "its input is not [N, a multiple of %" PRId64 ", %" PRId64 "]", elements, blocks);
	infer->outputs[0] = (struct gyr_shape){.dtype = input->dtype, .rank = count + 2, .dims = {input->dims[0], input->dims[1] / elements}};
	memcpy(&infer->outputs[0].dims[2], image, count * sizeof image[0]);
	return 0;
}

static int infer_col2im(struct gyr_infer *infer)
{
	struct gyr_col2im col2im;
	return gyr_infer_col2im(infer, &col2im);
}

static const struct gyr_op_attribute grid_sample_attributes[] = {
	{"align_corners", GYR_ATTRIBUTE_INT, 16, false},
	{"mode", GYR_ATTRIBUTE_STRING, 16, false},
	{"padding_mode", GYR_ATTRIBUTE_STRING, 16, false},
};
static const struct gyr_op_attribute affine_grid_attributes[] = {{"align_corners", GYR_ATTRIBUTE_INT, 20, false}};
static const struct gyr_op_attribute col2im_attributes[] = {
	{"dilations", GYR_ATTRIBUTE_INTS, 18, false},
	{"pads", GYR_ATTRIBUTE_INTS, 18, false},
	{"strides", GYR_ATTRIBUTE_INTS, 18, false},
};

static const struct gyr_op_type grid_sample_types[] = {{'T', 16, OP_ALL}, {'T', 22, OP_BIT(BF16)}, {'G', 16, OP_FLOATS}, {'G', 22, OP_BIT(BF16)}};
static const struct gyr_op_type affine_grid_types[] = {{'T', 20, OP_FLOATS | OP_BIT(BF16)}, {'S', 20, OP_BIT(I64)}};
static const struct gyr_op_type col2im_types[] = {{'T', 18, OP_ALL | OP_BIT(BF16)}, {'S', 18, OP_BIT(I64)}};

static const struct gyr_op_info rows[] = {
	{.op = GYR_OP_AFFINE_GRID,
	 .name = "AffineGrid",
	 OP_OPSETS(20, GYR_OPSET_MAX),
	 OP_INPUTS(2, 2, "TS"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(affine_grid_types),
	 OP_ATTRIBUTES(affine_grid_attributes),
	 .infer = infer_affine_grid,
	 .rows = gyr_rows_first},
	{.op = GYR_OP_COL2IM,
	 .name = "Col2Im",
	 OP_OPSETS(18, GYR_OPSET_MAX),
	 OP_INPUTS(3, 3, "TSS"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(col2im_types),
	 OP_ATTRIBUTES(col2im_attributes),
	 .infer = infer_col2im,
	 .rows = gyr_rows_first},
	{.op = GYR_OP_GRID_SAMPLE,
	 .name = "GridSample",
	 OP_OPSETS(16, GYR_OPSET_MAX),
	 OP_INPUTS(2, 2, "TG"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(grid_sample_types),
	 OP_ATTRIBUTES(grid_sample_attributes),
	 .infer = infer_grid_sample,
	 .rows = rows_grid_sample},
};

const struct op_family op_family_sample = {rows, OP_COUNT(rows)};
