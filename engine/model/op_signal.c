/*
 * The signal family: Fourier transforms and windows. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 17 to 22.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/model/movement.h"
#include "engine/model/op_family.h"
#include "engine/model/signal.h"

/* The one whole number that input INDEX holds, OTHERWISE where it is left out. */
static int read_one(struct gyr_infer *infer, uint32_t index, int64_t otherwise, int64_t *value)
{
	uint32_t count;
	*value = otherwise;
	return gyr_infer_input(infer, index) == NULL ? 0 : op_read_integers(infer, index, value, 1, &count);
}

/* That LENGTH is one that is run, and how many of its bins are kept. */
static int check_length(struct gyr_infer *infer, struct gyr_dft *dft, bool onesided)
{
	bool power = dft->length > 0 && (dft->length & (dft->length - 1)) == 0;
	if (dft->length < 1 || dft->length > (power ? GYR_DFT_LENGTH_MAX : GYR_DFT_LENGTH_DIRECT_MAX))
		return gyr_error_set(infer->error, -EINVAL, "a transform of %" PRId64 " (1 to %" PRId64 ", and a power of two above %" PRId64 ")", dft->length,
				     GYR_DFT_LENGTH_MAX, GYR_DFT_LENGTH_DIRECT_MAX);
	if (onesided && (dft->parts != 1 || dft->inverse))
		return gyr_error_set(infer->error, -EINVAL, "one-sided, and not the forward transform of real numbers");
	dft->bins = onesided ? dft->length / 2 + 1 : dft->length;
	return 0;
}

/* The signal is [..., n, ..., 1 or 2]; n becomes the number of bins, and the last dimension 2. */
static int infer_plain(struct gyr_infer *infer, struct gyr_dft *dft)
{
	const struct gyr_shape *x = infer->inputs[0];
	int64_t axis = infer->opset < 20 ? gyr_node_integer(infer->node, "axis", 1) : -2, rank = x->rank;
	bool onesided = false;
	int status = op_read_switch(infer, "onesided", &onesided);
	if (status == 0)
		status = op_read_switch(infer, "inverse", &dft->inverse);
	if (status == 0 && infer->opset >= 20)
		status = read_one(infer, 2, -2, &axis);
	if (status != 0)
		return status;
	axis = axis < 0 ? axis + rank : axis;
	if (rank < 2 || axis < 0 || axis > rank - 2 || (x->dims[rank - 1] != 1 && x->dims[rank - 1] != 2))
		return gyr_error_set(infer->error, -EINVAL, "its input's last dimension is not 1 or 2, or its axis is not one of those before it");
	dft->parts = x->dims[rank - 1];
	dft->signal = x->dims[axis];
	dft->frames = 1;
	status = read_one(infer, 1, dft->signal, &dft->length);
	if (status == 0)
		status = op_product(infer, x, 0, (uint32_t)axis, &dft->outer);
	if (status == 0)
		status = op_product(infer, x, (uint32_t)axis + 1, x->rank - 1, &dft->inner);
	if (status == 0)
		status = check_length(infer, dft, onesided);
	infer->outputs[0] = *x;
	infer->outputs[0].dims[axis] = dft->bins;
	infer->outputs[0].dims[rank - 1] = 2;
	return status;
}

/* The signal is [N, samples, 1 or 2], the result [N, frames, bins, 2]. */
static int infer_short(struct gyr_infer *infer, struct gyr_dft *dft)
{
	const struct gyr_shape *x = infer->inputs[0], *window = gyr_infer_input(infer, 2);
	bool onesided = true;
	int status = gyr_node_attribute(infer->node, "onesided") != NULL ? op_read_switch(infer, "onesided", &onesided) : 0;
	if (status == 0)
		status = read_one(infer, 1, 0, &dft->step);
	if (status != 0)
		return status;
	if (x->rank != 3 || (x->dims[2] != 1 && x->dims[2] != 2) || dft->step < 1)
		return gyr_error_set(infer->error, -EINVAL, "its signal is not [N, samples, 1 or 2], or its step is below 1");
	if (window == NULL && gyr_infer_input(infer, 3) == NULL)
		return gyr_error_set(infer->error, -EINVAL, "it has neither a window nor a frame_length");
	status = read_one(infer, 3, window != NULL && window->rank == 1 ? window->dims[0] : 0, &dft->length);
	if (status != 0)
		return status;
	if (window != NULL && (window->rank != 1 || window->dims[0] != dft->length))
		return gyr_error_set(infer->error, -EINVAL, "its window is not as long as a frame");
	dft->outer = x->dims[0];
	dft->inner = 1;
	dft->signal = x->dims[1];
	dft->parts = x->dims[2];
	if (dft->length > dft->signal)
		return gyr_error_set(infer->error, -EINVAL, "a frame of %" PRId64 " is longer than the signal", dft->length);
	dft->frames = (dft->signal - dft->length) / dft->step + 1;
	status = check_length(infer, dft, onesided);
	infer->outputs[0] = (struct gyr_shape){.dtype = x->dtype, .rank = 4, .dims = {x->dims[0], dft->frames, dft->bins, 2}};
	return status;
}

int gyr_infer_dft(struct gyr_infer *infer, struct gyr_dft *dft)
{
	*dft = (struct gyr_dft){0};
	return infer->node->op == GYR_OP_DFT ? infer_plain(infer, dft) : infer_short(infer, dft);
}

static int infer_dft(struct gyr_infer *infer)
{
	struct gyr_dft dft;
	return gyr_infer_dft(infer, &dft);
}

/* A transform along the rows would mix them. */
static enum gyr_rows rows_dft(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	int64_t rank = node->inputs[0]->rank, axis = gyr_node_integer(node->node, "axis", node->opset < 20 ? 1 : -2), given;
	if (node->opset >= 20 && gyr_infer_input(node, 2) != NULL) {
		if (node->contents[2] == NULL || !gyr_infer_whole(node->inputs[2]->dtype, node->contents[2], 0, &given))
			return GYR_ROWS_MIXED;
		axis = given;
	}
	return axis == 0 || axis + rank == 0 ? GYR_ROWS_MIXED : gyr_rows_first(node, inputs, batch);
}

static enum gyr_rows rows_stft(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	bool same = gyr_infer_input(node, 2) == NULL || inputs[2] == GYR_ROWS_NONE;
	return same ? gyr_rows_first(node, inputs, batch) : GYR_ROWS_MIXED;
}

static int infer_window(struct gyr_infer *infer)
{
	int64_t dtype = gyr_node_integer(infer->node, "output_datatype", GYR_DTYPE_F32), size;
	bool periodic = true;
	int status = op_read_switch(infer, "periodic", &periodic);
	if (status == 0)
		status = read_one(infer, 0, 0, &size);
	if (status != 0)
		return status;
	if (dtype < 0 || dtype >= 32 || ((OP_NUMBERS | OP_BIT(BF16)) >> dtype & 1) == 0)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'output_datatype' is %" PRId64 ", which is no type of this operator", dtype);
	if (size < 0)
		return gyr_error_set(infer->error, -EINVAL, "its size is %" PRId64 " (0 or more)", size);
	infer->outputs[0] = (struct gyr_shape){.dtype = (enum gyr_dtype)dtype, .rank = 1, .dims = {size}};
	return 0;
}

static const struct gyr_op_attribute dft_attributes[] = {
	{"inverse", GYR_ATTRIBUTE_INT, 17, false}, {"onesided", GYR_ATTRIBUTE_INT, 17, false}, {"axis", GYR_ATTRIBUTE_INT, 17, false}};
static const struct gyr_op_attribute dft_20_attributes[] = {{"inverse", GYR_ATTRIBUTE_INT, 17, false}, {"onesided", GYR_ATTRIBUTE_INT, 17, false}};
static const struct gyr_op_attribute stft_attributes[] = {{"onesided", GYR_ATTRIBUTE_INT, 17, false}};
static const struct gyr_op_attribute window_attributes[] = {{"output_datatype", GYR_ATTRIBUTE_INT, 17, false}, {"periodic", GYR_ATTRIBUTE_INT, 17, false}};

#define LENGTHS {'L', 17, OP_BIT(I32) | OP_BIT(I64)}
static const struct gyr_op_type dft_types[] = {{'T', 17, OP_FLOATS | OP_BIT(BF16)}, LENGTHS, {'A', 20, OP_BIT(I64)}};
static const struct gyr_op_type window_types[] = {LENGTHS};

#define WINDOW(id, onnx)                                                                                                                                       \
	{.op = GYR_OP_##id,                                                                                                                                    \
	 .name = onnx,                                                                                                                                         \
	 OP_OPSETS(17, GYR_OPSET_MAX),                                                                                                                         \
	 OP_INPUTS(1, 1, "L"),                                                                                                                                 \
	 OP_OUTPUTS(1, "T"),                                                                                                                                   \
	 OP_TYPES(window_types),                                                                                                                               \
	 OP_ATTRIBUTES(window_attributes),                                                                                                                     \
	 .infer = infer_window}

#define DFT .op = GYR_OP_DFT, .name = "DFT", OP_OUTPUTS(1, "T"), OP_TYPES(dft_types), .infer = infer_dft, .rows = rows_dft

static const struct gyr_op_info rows[] = {
	WINDOW(BLACKMAN_WINDOW, "BlackmanWindow"),
	{DFT, OP_OPSETS(17, 19), OP_INPUTS(1, 2, "TL"), OP_ATTRIBUTES(dft_attributes)},
	{DFT, OP_OPSETS(20, GYR_OPSET_MAX), OP_INPUTS(1, 3, "TLA"), OP_ATTRIBUTES(dft_20_attributes)},
	WINDOW(HAMMING_WINDOW, "HammingWindow"),
	WINDOW(HANN_WINDOW, "HannWindow"),
	{.op = GYR_OP_STFT,
	 .name = "STFT",
	 OP_OPSETS(17, GYR_OPSET_MAX),
	 OP_INPUTS(2, 4, "TLTL"),
	 OP_OUTPUTS(1, "T"),
	 OP_TYPES(dft_types),
	 OP_ATTRIBUTES(stft_attributes),
	 .infer = infer_dft,
	 .rows = rows_stft},
};

const struct op_family op_family_signal = {rows, OP_COUNT(rows)};
