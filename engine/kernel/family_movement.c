/*
 * The movement family: operators that move elements or look at shapes. Flatten, Identity and Reshape are views, and have nothing to run.
 */
#include "engine/kernel/family.h"

static int prepare_shape(struct gyr_prepare *prepare)
{
	const struct gyr_shape *x = prepare->inputs[0];
	int64_t rank = x->rank, start = gyr_node_integer(prepare->node, "start", 0);
	start = start < 0 ? start + rank : start;
	start = start < 0 ? 0 : start;
	return kernel_prepare_content(prepare, x->dims + start, kernel_count(&prepare->outputs[0]) * sizeof x->dims[0]);
}

static const struct kernel_row rows[] = {
	{GYR_OP_SHAPE, prepare_shape},
};

const struct kernel_family kernel_family_movement = {rows, KERNEL_COUNT(rows)};
