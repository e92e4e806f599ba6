/*
 * The arrange family: operators that give the same elements in another order or number. Each becomes one or more moves.
 */
#include <errno.h>
#include <string.h>

#include "engine/kernel/family.h"
#include "engine/kernel/move.h"
#include "engine/model/movement.h"

struct moves {
	uint32_t count;
	struct {
		uint32_t input, output;
		struct gyr_move move;
	} items[];
};

static void run_moves(const void *params, const void *const inputs[], void *const outputs[], void *scratch)
{
	const struct moves *moves = params;
	for (uint32_t i = 0; i < moves->count; i++)
		if (outputs[moves->items[i].output] != NULL)
			gyr_kernel_move(&moves->items[i].move, inputs[moves->items[i].input], outputs[moves->items[i].output]);
}

/* COUNT moves of elements as the first input's. */
static struct moves *make_moves(struct gyr_prepare *prepare, uint32_t count)
{
	struct moves *moves = kernel_params(prepare, sizeof *moves + count * sizeof moves->items[0]);
	if (moves == NULL)
		return NULL;
	moves->count = count;
	for (uint32_t i = 0; i < count; i++)
		moves->items[i].move.bytes = gyr_dtype_bytes(prepare->inputs[0]->dtype);
	prepare->run = run_moves;
	return moves;
}

static int finish(struct moves *moves)
{
	for (uint32_t i = 0; i < moves->count; i++)
		gyr_move_simplify(&moves->items[i].move);
	return 0;
}

/* The bytes from one element to the next in dimension AXIS of SHAPE. */
static ptrdiff_t step_of(const struct gyr_shape *shape, uint32_t axis)
{
	return (ptrdiff_t)(kernel_product(shape, axis + 1, shape->rank) * gyr_dtype_bytes(shape->dtype));
}

static int prepare_transpose(struct gyr_prepare *prepare)
{
	const struct gyr_attribute *perm = gyr_node_attribute(prepare->node, "perm");
	const struct gyr_shape *x = prepare->inputs[0], *y = &prepare->outputs[0];
	struct moves *moves = make_moves(prepare, 1);
	for (uint32_t i = 0; moves != NULL && i < y->rank; i++) {
		uint32_t from = perm != NULL ? (uint32_t)perm->integers.items[i] : x->rank - 1 - i;
		gyr_move_add(&moves->items[0].move, (size_t)y->dims[i], step_of(x, from), step_of(y, i));
	}
	return moves == NULL ? -ENOMEM : finish(moves);
}

static uint32_t axis_of(const struct gyr_prepare *prepare)
{
	int64_t axis = gyr_node_integer(prepare->node, "axis", 0);
	return (uint32_t)(axis < 0 ? axis + prepare->inputs[0]->rank : axis);
}

static int prepare_concat(struct gyr_prepare *prepare)
{
	struct moves *moves = make_moves(prepare, prepare->node->input_count);
	uint32_t axis = axis_of(prepare);
	ptrdiff_t whole = (ptrdiff_t)(step_of(&prepare->outputs[0], axis) * prepare->outputs[0].dims[axis]);
	size_t done = 0;
	for (uint32_t i = 0; moves != NULL && i < moves->count; i++) {
		const struct gyr_shape *x = prepare->inputs[i];
		size_t part = (size_t)(step_of(x, axis) * x->dims[axis]);
		struct gyr_move *move = &moves->items[i].move;
		moves->items[i].input = i;
		move->to = done;
		move->bytes = part;
		gyr_move_add(move, kernel_product(x, 0, axis), (ptrdiff_t)part, whole);
		done += part;
	}
	return moves == NULL ? -ENOMEM : finish(moves);
}

static int prepare_split(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	struct moves *moves = make_moves(prepare, prepare->node->output_count);
	uint32_t axis = axis_of(prepare);
	size_t done = 0;
	for (uint32_t i = 0; moves != NULL && i < moves->count; i++) {
		size_t part = (size_t)(step_of(x, axis) * prepare->outputs[i].dims[axis]);
		struct gyr_move *move = &moves->items[i].move;
		moves->items[i].output = i;
		move->from = done;
		move->bytes = part;
		gyr_move_add(move, kernel_product(x, 0, axis), (ptrdiff_t)(step_of(x, axis) * x->dims[axis]), (ptrdiff_t)part);
		done += part;
	}
	return moves == NULL ? -ENOMEM : finish(moves);
}

static int prepare_slice(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *y = &prepare->outputs[0];
	struct gyr_infer infer = kernel_infer(prepare, NULL);
	struct gyr_slice slice;
	int status = gyr_infer_slice(&infer, &slice);
	if (status != 0)
		return status == -EAGAIN ? -ENOTSUP : status;
	struct moves *moves = make_moves(prepare, 1);
	for (uint32_t i = 0; moves != NULL && i < y->rank; i++) {
		struct gyr_move *move = &moves->items[0].move;
		move->from += (size_t)(slice.starts[i] * step_of(x, i));
		gyr_move_add(move, (size_t)y->dims[i], slice.steps[i] * step_of(x, i), step_of(y, i));
	}
	return moves == NULL ? -ENOMEM : finish(moves);
}

static int prepare_expand(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *y = &prepare->outputs[0];
	struct moves *moves = make_moves(prepare, 1);
	for (uint32_t i = 0; moves != NULL && i < y->rank; i++) {
		uint32_t missing = y->rank - x->rank;
		bool stays = i < missing || x->dims[i - missing] == 1;
		gyr_move_add(&moves->items[0].move, (size_t)y->dims[i], stays ? 0 : step_of(x, i - missing), step_of(y, i));
	}
	return moves == NULL ? -ENOMEM : finish(moves);
}

static int prepare_tile(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0], *y = &prepare->outputs[0];
	struct moves *moves = make_moves(prepare, 1);
	for (uint32_t i = 0; moves != NULL && i < y->rank; i++) {
		gyr_move_add(&moves->items[0].move, (size_t)(y->dims[i] / x->dims[i]), 0, step_of(y, i) * x->dims[i]);
		gyr_move_add(&moves->items[0].move, (size_t)x->dims[i], step_of(x, i), step_of(y, i));
	}
	return moves == NULL ? -ENOMEM : finish(moves);
}

/* Both ways between DEEP [N, C * side * side, H, W] and WIDE [N, C, H * side, W * side]: six dimensions, with these steps on either side. */
static int prepare_blocks(struct gyr_prepare *prepare, const struct gyr_shape *deep, const struct gyr_shape *wide, bool to_wide)
{
	const char *mode = gyr_node_string(prepare->node, "mode", "DCR");
	bool depth_first = strcmp(mode, "DCR") == 0;
	ptrdiff_t side = (ptrdiff_t)gyr_node_integer(prepare->node, "blocksize", 1), channels = (ptrdiff_t)wide->dims[1], channel = step_of(deep, 1);
	const size_t dims[6] = {(size_t)wide->dims[0], (size_t)channels, (size_t)deep->dims[2], (size_t)side, (size_t)deep->dims[3], (size_t)side};
	const ptrdiff_t deep_steps[6] = {step_of(deep, 0), depth_first ? channel : channel * side * side,
					 step_of(deep, 2), depth_first ? channel * channels * side : channel * side,
					 step_of(deep, 3), depth_first ? channel * channels : channel};
	const ptrdiff_t wide_steps[6] = {step_of(wide, 0), step_of(wide, 1),        step_of(wide, 2) * side,
					 step_of(wide, 2), step_of(wide, 3) * side, step_of(wide, 3)};
	struct moves *moves = make_moves(prepare, 1);
	for (uint32_t i = 0; moves != NULL && i < 6; i++)
		gyr_move_add(&moves->items[0].move, dims[i], to_wide ? deep_steps[i] : wide_steps[i], to_wide ? wide_steps[i] : deep_steps[i]);
	return moves == NULL ? -ENOMEM : finish(moves);
}

static int prepare_depth_to_space(struct gyr_prepare *prepare)
{
	return prepare_blocks(prepare, prepare->inputs[0], &prepare->outputs[0], true);
}

static int prepare_space_to_depth(struct gyr_prepare *prepare)
{
	return prepare_blocks(prepare, &prepare->outputs[0], prepare->inputs[0], false);
}

static const struct kernel_row rows[] = {
	{GYR_OP_CONCAT, prepare_concat}, {GYR_OP_DEPTH_TO_SPACE, prepare_depth_to_space}, {GYR_OP_EXPAND, prepare_expand},
	{GYR_OP_SLICE, prepare_slice},   {GYR_OP_SPACE_TO_DEPTH, prepare_space_to_depth}, {GYR_OP_SPLIT, prepare_split},
	{GYR_OP_TILE, prepare_tile},     {GYR_OP_TRANSPOSE, prepare_transpose},
};

const struct kernel_family kernel_family_arrange = {rows, KERNEL_COUNT(rows)};
