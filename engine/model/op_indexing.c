/*
 * The indexing family: operators that take elements from, or put them to, places that another input names when they run. Source: the ONNX operator schemas
 * (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/model/op_family.h"

static int too_many_dimensions(struct gyr_infer *infer)
{
	return gyr_error_set(infer->error, -EINVAL, "the result has more than %d dimensions", GYR_RANK_MAX);
}

/* The axis of what the operator indexes, input 0. */
static int read_axis(struct gyr_infer *infer, uint32_t *axis)
{
	return op_read_axis(infer, 0, infer->inputs[0]->rank, (int64_t)infer->inputs[0]->rank - 1, axis);
}

static int infer_gather(struct gyr_infer *infer)
{
	const struct gyr_shape *data = infer->inputs[0], *indices = infer->inputs[1];
	struct gyr_shape *result = &infer->outputs[0];
	uint32_t axis = 0;
	int status = read_axis(infer, &axis);
	if (status != 0)
		return status;
	if (data->rank + indices->rank - 1 > GYR_RANK_MAX)
		return too_many_dimensions(infer);
	result->dtype = data->dtype;
	for (uint32_t i = 0; i < axis; i++)
		result->dims[result->rank++] = data->dims[i];
	for (uint32_t i = 0; i < indices->rank; i++)
		result->dims[result->rank++] = indices->dims[i];
	for (uint32_t i = axis + 1; i < data->rank; i++)
		result->dims[result->rank++] = data->dims[i];
	return 0;
}

static bool axis_is_first(const struct gyr_infer *node)
{
	int64_t axis = gyr_node_integer(node->node, "axis", 0);
	return axis == 0 || axis + node->inputs[0]->rank == 0;
}

/* A table is looked up in by each row, or each row is looked up in for the same places. */
static enum gyr_rows rows_gather(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	int64_t given = gyr_node_integer(node->node, "axis", 0);
	uint32_t axis = (uint32_t)(given < 0 ? given + node->inputs[0]->rank : given), of_data = gyr_rows_axis(inputs[0]),
		 of_indices = gyr_rows_axis(inputs[1]);
	if (of_indices != GYR_RANK_MAX)
		return inputs[0] == GYR_ROWS_NONE ? gyr_rows_apart(axis + of_indices) : GYR_ROWS_MIXED;
	if (of_data == GYR_RANK_MAX || of_data == axis || inputs[1] != GYR_ROWS_NONE)
		return GYR_ROWS_MIXED;
	return gyr_rows_apart(of_data < axis ? of_data : of_data + node->inputs[1]->rank - 1);
}

/* Input INDEX has the rank of the data and, but along the axis, no dimension that is larger. */
static int check_within(struct gyr_infer *infer, uint32_t index, uint32_t axis)
{
	const struct gyr_shape *data = infer->inputs[0], *indices = infer->inputs[index];
	bool fits = data->rank == indices->rank;
	for (uint32_t i = 0; i < data->rank && fits; i++)
		fits = i == axis || indices->dims[i] <= data->dims[i];
	char is[128], said[128];
	return fits ? 0
		    : gyr_error_set(infer->error, -EINVAL, "indices of %s do not fit in %s", gyr_shape_text(indices, is, sizeof is),
				    gyr_shape_text(data, said, sizeof said));
}

static int infer_gather_elements(struct gyr_infer *infer)
{
	uint32_t axis = 0;
	int status = read_axis(infer, &axis);
	infer->outputs[0] = *infer->inputs[1];
	infer->outputs[0].dtype = infer->inputs[0]->dtype;
	return status == 0 ? check_within(infer, 1, axis) : status;
}

/* All inputs have rows, and elements move within them. */
static enum gyr_rows rows_elements(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	for (uint32_t i = 0; i < node->node->input_count; i++)
		if (inputs[i] != GYR_ROWS_APART || node->inputs[i]->dims[0] != batch)
			return GYR_ROWS_MIXED;
	return axis_is_first(node) ? GYR_ROWS_MIXED : GYR_ROWS_APART;
}

/* Checks indices of GatherND and ScatterND, whose last dimension, *DEPTH long, is a place behind the first BATCH dimensions of the data. */
static int check_places(struct gyr_infer *infer, uint32_t batch, uint32_t *depth)
{
	const struct gyr_shape *data = infer->inputs[0], *indices = infer->inputs[1];
	char is[128], said[128];
	bool fits = data->rank > 0 && indices->rank > batch && data->rank >= batch && indices->dims[indices->rank - 1] <= (int64_t)(data->rank - batch);
	for (uint32_t i = 0; i < batch && fits; i++)
		fits = indices->dims[i] == data->dims[i];
	*depth = fits ? (uint32_t)indices->dims[indices->rank - 1] : 0;
	return fits ? 0
		    : gyr_error_set(infer->error, -EINVAL, "indices of %s do not fit in %s", gyr_shape_text(indices, is, sizeof is),
				    gyr_shape_text(data, said, sizeof said));
}

static int infer_gather_nd(struct gyr_infer *infer)
{
	const struct gyr_shape *data = infer->inputs[0], *indices = infer->inputs[1];
	struct gyr_shape *result = &infer->outputs[0];
	int64_t batch = gyr_node_integer(infer->node, "batch_dims", 0);
	uint32_t depth = 0;
	if (batch < 0 || batch >= GYR_RANK_MAX)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'batch_dims' is %" PRId64 " (0 to %d)", batch, GYR_RANK_MAX - 1);
	int status = check_places(infer, (uint32_t)batch, &depth);
	if (status != 0)
		return status;
	if (indices->rank - 1 + data->rank - (uint32_t)batch - depth > GYR_RANK_MAX)
		return too_many_dimensions(infer);
	result->dtype = data->dtype;
	for (uint32_t i = 0; i + 1 < indices->rank; i++)
		result->dims[result->rank++] = indices->dims[i];
	for (uint32_t i = (uint32_t)batch + depth; i < data->rank; i++)
		result->dims[result->rank++] = data->dims[i];
	return 0;
}

static enum gyr_rows rows_gather_nd(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	bool within = gyr_node_integer(node->node, "batch_dims", 0) > 0;
	return inputs[0] == (within ? GYR_ROWS_APART : GYR_ROWS_NONE) && inputs[1] == GYR_ROWS_APART && node->inputs[1]->rank > 1 ? GYR_ROWS_APART
																  : GYR_ROWS_MIXED;
}

static int check_reduction(struct gyr_infer *infer)
{
	const char *name = gyr_node_string(infer->node, "reduction", "none");
	bool newer = infer->opset >= 18 && (strcmp(name, "max") == 0 || strcmp(name, "min") == 0);
	if (strcmp(name, "none") == 0 || strcmp(name, "add") == 0 || strcmp(name, "mul") == 0 || newer)
		return 0;
	return gyr_error_set(infer->error, -EINVAL, "attribute 'reduction' is '%s' (none, add, mul%s)", name, infer->opset >= 18 ? ", max, min" : "");
}

static int infer_scatter_elements(struct gyr_infer *infer)
{
	struct gyr_shape updates = *infer->inputs[2];
	uint32_t axis = 0;
	int status = read_axis(infer, &axis);
	if (status == 0)
		status = check_within(infer, 1, axis);
	if (status == 0)
		status = check_reduction(infer);
	infer->outputs[0] = *infer->inputs[0];
	updates.dtype = infer->inputs[1]->dtype;
	if (status == 0 && !gyr_shape_equal(&updates, infer->inputs[1]))
		status = gyr_error_set(infer->error, -EINVAL, "its updates and indices are of two shapes");
	return status;
}

static int infer_scatter_nd(struct gyr_infer *infer)
{
	const struct gyr_shape *data = infer->inputs[0], *indices = infer->inputs[1];
	struct gyr_shape expected = {.dtype = data->dtype};
	uint32_t depth = 0;
	int status = check_places(infer, 0, &depth);
	if (status == 0)
		status = check_reduction(infer);
	if (status == 0 && indices->rank - 1 + data->rank - depth > GYR_RANK_MAX)
		status = gyr_error_set(infer->error, -EINVAL, "its updates would have more than %d dimensions", GYR_RANK_MAX);
	if (status != 0)
		return status;
	for (uint32_t i = 0; i + 1 < indices->rank; i++)
		expected.dims[expected.rank++] = indices->dims[i];
	for (uint32_t i = depth; i < data->rank; i++)
		expected.dims[expected.rank++] = data->dims[i];
	char is[128], said[128];
	if (!gyr_shape_equal(&expected, infer->inputs[2]))
		return gyr_error_set(infer->error, -EINVAL, "its updates are %s, not %s", gyr_shape_text(infer->inputs[2], is, sizeof is),
				     gyr_shape_text(&expected, said, sizeof said));
	infer->outputs[0] = *data;
	return 0;
}

static int infer_reverse_sequence(struct gyr_infer *infer)
{
	const struct gyr_shape *input = infer->inputs[0], *lengths = infer->inputs[1];
	int64_t batch_axis = gyr_node_integer(infer->node, "batch_axis", 1), time_axis = gyr_node_integer(infer->node, "time_axis", 0);
	if (batch_axis < 0 || batch_axis > 1 || time_axis != 1 - batch_axis || input->rank < 2)
		return gyr_error_set(infer->error, -EINVAL, "its axes are not 0 and 1 of at least two");
	if (lengths->rank != 1 || lengths->dims[0] != input->dims[batch_axis])
		return gyr_error_set(infer->error, -EINVAL, "its lengths are not %" PRId64, input->dims[batch_axis]);
	infer->outputs[0] = *input;
	return 0;
}

static enum gyr_rows rows_reverse_sequence(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	bool apart = inputs[0] == GYR_ROWS_APART && inputs[1] == GYR_ROWS_APART && gyr_node_integer(node->node, "batch_axis", 1) == 0;
	return apart ? GYR_ROWS_APART : GYR_ROWS_MIXED;
}

static const struct gyr_op_attribute axis_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}};
static const struct gyr_op_attribute batch_attributes[] = {{"batch_dims", GYR_ATTRIBUTE_INT, 12, false}};
static const struct gyr_op_attribute reduction_attributes[] = {{"reduction", GYR_ATTRIBUTE_STRING, 16, false}};
static const struct gyr_op_attribute scatter_attributes[] = {{"axis", GYR_ATTRIBUTE_INT, 7, false}, {"reduction", GYR_ATTRIBUTE_STRING, 16, false}};
static const struct gyr_op_attribute sequence_attributes[] = {{"batch_axis", GYR_ATTRIBUTE_INT, 7, false}, {"time_axis", GYR_ATTRIBUTE_INT, 7, false}};

static const struct gyr_op_type index_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}, {'I', 7, OP_BIT(I32) | OP_BIT(I64)}};
static const struct gyr_op_type place_types[] = {{'T', 7, OP_ALL}, {'T', 13, OP_BIT(BF16)}, {'P', 7, OP_BIT(I64)}};
static const struct gyr_op_type sequence_types[] = {{'T', 7, OP_ALL}, {'P', 7, OP_BIT(I64)}};

#define ROW(op_, name_, from_, to_, ...) {.op = GYR_OP_##op_, .name = (name_), OP_OPSETS(from_, to_), OP_OUTPUTS(1, "T"), __VA_ARGS__}

static const struct gyr_op_info rows[] = {
	ROW(GATHER, "Gather", 7, 22, OP_INPUTS(2, 2, "TI"), OP_TYPES(index_types), OP_ATTRIBUTES(axis_attributes), .infer = infer_gather, .rows = rows_gather,
	    .rows_anywhere = true),
	ROW(GATHER_ELEMENTS, "GatherElements", 11, 22, OP_INPUTS(2, 2, "TI"), OP_TYPES(index_types), OP_ATTRIBUTES(axis_attributes),
	    .infer = infer_gather_elements, .rows = rows_elements),
	ROW(GATHER_ND, "GatherND", 11, 22, OP_INPUTS(2, 2, "TP"), OP_TYPES(place_types), OP_ATTRIBUTES(batch_attributes), .infer = infer_gather_nd,
	    .rows = rows_gather_nd),
	ROW(REVERSE_SEQUENCE, "ReverseSequence", 10, 22, OP_INPUTS(2, 2, "TP"), OP_TYPES(sequence_types), OP_ATTRIBUTES(sequence_attributes),
	    .infer = infer_reverse_sequence, .rows = rows_reverse_sequence),
	ROW(SCATTER, "Scatter", 9, 10, OP_INPUTS(3, 3, "TIT"), OP_TYPES(index_types), OP_ATTRIBUTES(axis_attributes), .infer = infer_scatter_elements,
	    .rows = rows_elements),
	ROW(SCATTER_ELEMENTS, "ScatterElements", 11, 22, OP_INPUTS(3, 3, "TIT"), OP_TYPES(index_types), OP_ATTRIBUTES(scatter_attributes),
	    .infer = infer_scatter_elements, .rows = rows_elements),
	/* Its places say which row they are in, so it has no rule for rows. */
	ROW(SCATTER_ND, "ScatterND", 11, 22, OP_INPUTS(3, 3, "TPT"), OP_TYPES(place_types), OP_ATTRIBUTES(reduction_attributes), .infer = infer_scatter_nd),
};

const struct op_family op_family_indexing = {rows, OP_COUNT(rows)};
