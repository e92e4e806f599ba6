/*
 * The recurrent family: RNN, GRU and LSTM. Source: the ONNX operator schemas (docs/Operators.md and docs/Changelog.md of ONNX 1.17), opsets 7 to 22.
 */
#include <errno.h>
#include <inttypes.h>

#include "engine/model/op_family.h"
#include "engine/model/recurrent.h"

enum { X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, P };

static const char *const names[] = {"X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"};

/* Input INDEX, where it is given, has exactly the RANK dimensions DIMS. */
static int check_dims(struct gyr_infer *infer, uint32_t index, uint32_t rank, const int64_t *dims)
{
	const struct gyr_shape *shape = gyr_infer_input(infer, index);
	bool fits = shape == NULL || shape->rank == rank;
	for (uint32_t i = 0; i < rank && fits && shape != NULL; i++)
		fits = shape->dims[i] == dims[i];
	if (fits)
		return 0;
	struct gyr_shape needed = {.dtype = shape->dtype, .rank = rank};
	char is[128], said[128];
	for (uint32_t i = 0; i < rank; i++)
		needed.dims[i] = dims[i];
	return gyr_error_set(infer->error, -EINVAL, "%s is %s, not %s", names[index], gyr_shape_text(shape, is, sizeof is),
			     gyr_shape_text(&needed, said, sizeof said));
}

static int infer_recurrent(struct gyr_infer *infer)
{
	const struct gyr_shape *x = infer->inputs[X], *r = infer->inputs[R];
	struct gyr_recurrent_cell cell;
	char x_text[128], r_text[128];
	int status = gyr_recurrent_read(infer->node, &cell, infer->error);
	if (status != 0)
		return status;
	if (x->rank != 3 || r->rank != 3)
		return gyr_error_set(infer->error, -EINVAL, "X is %s and R is %s (rank 3 both)", gyr_shape_text(x, x_text, sizeof x_text),
				     gyr_shape_text(r, r_text, sizeof r_text));
	int64_t steps = x->dims[cell.batch_first], batch = x->dims[!cell.batch_first], units = r->dims[2], rows = 0, directions = cell.directions;
	if (units < 1 || __builtin_mul_overflow(units, 2 * cell.gates, &rows))
		return gyr_error_set(infer->error, -EINVAL, "it has %" PRId64 " units", units);
	rows = units * cell.gates;
	if (gyr_node_integer(infer->node, "hidden_size", units) != units)
		return gyr_error_set(infer->error, -EINVAL, "attribute 'hidden_size' is not %" PRId64 ", which R has", units);

	const int64_t state[3] = {cell.batch_first ? batch : directions, cell.batch_first ? directions : batch, units};
	status = check_dims(infer, W, 3, (const int64_t[]){directions, rows, x->dims[2]});
	if (status == 0)
		status = check_dims(infer, R, 3, (const int64_t[]){directions, rows, units});
	if (status == 0)
		status = check_dims(infer, B, 2, (const int64_t[]){directions, 2 * rows});
	if (status == 0)
		status = check_dims(infer, LENGTHS, 1, &batch);
	if (status == 0)
		status = check_dims(infer, INITIAL_H, 3, state);
	if (status == 0)
		status = check_dims(infer, INITIAL_C, 3, state);
	if (status == 0)
		status = check_dims(infer, P, 2, (const int64_t[]){directions, 3 * units});

	infer->outputs[0] = (struct gyr_shape){.dtype = x->dtype, .rank = 4, .dims = {steps, directions, batch, units}};
	if (cell.batch_first)
		infer->outputs[0] = (struct gyr_shape){.dtype = x->dtype, .rank = 4, .dims = {batch, steps, directions, units}};
	for (uint32_t i = 1; i < infer->node->output_count; i++)
		infer->outputs[i] = (struct gyr_shape){.dtype = x->dtype, .rank = 3, .dims = {state[0], state[1], state[2]}};
	return status;
}

/* Each row has its own steps and states; the weights are the same for all. */
static enum gyr_rows rows_recurrent(const struct gyr_infer *node, const enum gyr_rows *inputs, int64_t batch)
{
	struct gyr_recurrent_cell cell;
	struct gyr_error unfit;
	if (gyr_recurrent_read(node->node, &cell, &unfit) != 0)
		return GYR_ROWS_MIXED;
	for (uint32_t i = 0; i < node->node->input_count; i++) {
		bool weights = i == W || i == R || i == B || i == P;
		enum gyr_rows needed = weights ? GYR_ROWS_NONE : gyr_rows_apart(cell.batch_first || i == LENGTHS ? 0 : 1);
		if (node->inputs[i] != NULL && inputs[i] != needed)
			return GYR_ROWS_MIXED;
	}
	return gyr_rows_apart(cell.batch_first ? 0 : node->asked == 0 ? 2 : 1);
}

static const struct gyr_op_attribute rnn_attributes[] = {
	{"activation_alpha", GYR_ATTRIBUTE_FLOATS, 7, false},
	{"activation_beta", GYR_ATTRIBUTE_FLOATS, 7, false},
	{"activations", GYR_ATTRIBUTE_STRINGS, 7, false},
	{"clip", GYR_ATTRIBUTE_FLOAT, 7, false},
	{"direction", GYR_ATTRIBUTE_STRING, 7, false},
	{"hidden_size", GYR_ATTRIBUTE_INT, 7, false},
	{"layout", GYR_ATTRIBUTE_INT, 14, false},
};
static const struct gyr_op_attribute gru_attributes[] = {
	{"activation_alpha", GYR_ATTRIBUTE_FLOATS, 7, false},
	{"activation_beta", GYR_ATTRIBUTE_FLOATS, 7, false},
	{"activations", GYR_ATTRIBUTE_STRINGS, 7, false},
	{"clip", GYR_ATTRIBUTE_FLOAT, 7, false},
	{"direction", GYR_ATTRIBUTE_STRING, 7, false},
	{"hidden_size", GYR_ATTRIBUTE_INT, 7, false},
	{"layout", GYR_ATTRIBUTE_INT, 14, false},
	{"linear_before_reset", GYR_ATTRIBUTE_INT, 7, false},
};
static const struct gyr_op_attribute lstm_attributes[] = {
	{"activation_alpha", GYR_ATTRIBUTE_FLOATS, 7, false}, {"activation_beta", GYR_ATTRIBUTE_FLOATS, 7, false},
	{"activations", GYR_ATTRIBUTE_STRINGS, 7, false},     {"clip", GYR_ATTRIBUTE_FLOAT, 7, false},
	{"direction", GYR_ATTRIBUTE_STRING, 7, false},        {"hidden_size", GYR_ATTRIBUTE_INT, 7, false},
	{"input_forget", GYR_ATTRIBUTE_INT, 7, false},        {"layout", GYR_ATTRIBUTE_INT, 14, false},
};

static const struct gyr_op_type recurrent_types[] = {{'T', 7, OP_FLOATS}, {'T', 22, OP_BIT(BF16)}, {'L', 7, OP_BIT(I32)}};

#define ROW(op_, name_, inputs_, letters_, outputs_, attributes_)                                                                                              \
	{.op = GYR_OP_##op_,                                                                                                                                   \
	 .name = name_,                                                                                                                                        \
	 OP_EVERY_OPSET,                                                                                                                                       \
	 OP_INPUTS(3, inputs_, letters_),                                                                                                                      \
	 OP_OUTPUTS(outputs_, "T"),                                                                                                                            \
	 OP_TYPES(recurrent_types),                                                                                                                            \
	 OP_ATTRIBUTES(attributes_),                                                                                                                           \
	 .infer = infer_recurrent,                                                                                                                             \
	 .rows = rows_recurrent,                                                                                                                               \
	 .rows_anywhere = true}

static const struct gyr_op_info rows[] = {
	ROW(GRU, "GRU", 6, "TTTTLT", 2, gru_attributes),
	ROW(LSTM, "LSTM", 8, "TTTTLTTT", 3, lstm_attributes),
	ROW(RNN, "RNN", 6, "TTTTLT", 2, rnn_attributes),
};

const struct op_family op_family_recurrent = {rows, OP_COUNT(rows)};
